/* The formats, as the manuals draw them. */
#include <vmmu/format.h>

#include "tests/unit/test.h"

#define SETS BITS64(63, 0)

static const struct vmmu_x86_limits widest = {
    .physical_bits = 52, .nx = true, .pse36 = true, .gib_pages = true, .execute_only = true
};

static const struct vmmu_x86_level *level_of(enum vmmu_x86_format_name name, unsigned level)
{
    return &vmmu_x86_formats[name].level[level];
}

static struct vmmu_x86_layout layout_of(enum vmmu_x86_format_name name, const struct vmmu_x86_limits *limits)
{
    struct vmmu_x86_layout layout;

    EXPECT_EQ(vmmu_format_layout(name, limits, &layout), VMMU_OK);
    return layout;
}

static void test_each_format_translates_the_address_width_of_its_manual(void **state)
{
    static const struct {
        enum vmmu_x86_format_name name;
        unsigned levels, bits, entry_bytes;
    } expected[] = {
        { VMMU_X86_FORMAT_32BIT, 2, 32, 4 },  { VMMU_X86_FORMAT_32BIT_PSE, 2, 32, 4 },
        { VMMU_X86_FORMAT_PAE, 3, 32, 8 },    { VMMU_X86_FORMAT_4LEVEL, 4, 48, 8 },
        { VMMU_X86_FORMAT_5LEVEL, 5, 57, 8 }, { VMMU_X86_FORMAT_EPT4, 4, 48, 8 },
        { VMMU_X86_FORMAT_EPT5, 5, 57, 8 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct vmmu_x86_format *format = &vmmu_x86_formats[expected[i].name];

        EXPECT_EQ(format->levels, expected[i].levels);
        EXPECT_EQ(format->entry_bytes, expected[i].entry_bytes);
        EXPECT_EQ(vmmu_format_address_bits(format), expected[i].bits);
        EXPECT(vmmu_format_reaches(format, BIT64(expected[i].bits) - 1));
        EXPECT(!vmmu_format_reaches(format, BIT64(expected[i].bits)));
    }
}

static void test_levels_follow_each_other_without_gap_and_level_1_is_always_a_leaf(void **state)
{
    (void)state;
    for (unsigned name = 0; name < VMMU_X86_FORMATS; name++) {
        const struct vmmu_x86_format *format = &vmmu_x86_formats[name];

        EXPECT_EQ(format->level[1].shift, 12);
        EXPECT(vmmu_format_is_leaf(&format->level[1], 0));
        EXPECT(vmmu_format_is_leaf(&format->level[1], SETS));
        for (unsigned level = 2; level <= format->levels; level++) {
            EXPECT_EQ(format->level[level].shift,
                      format->level[level - 1].shift + format->level[level - 1].index_bits);
        }
    }
}

static void test_address_bits_are_never_reserved_on_the_widest_processor(void **state)
{
    (void)state;
    for (unsigned name = 0; name < VMMU_X86_FORMATS; name++) {
        const struct vmmu_x86_layout layout = layout_of((enum vmmu_x86_format_name)name, &widest);

        for (unsigned level = 1; level <= vmmu_x86_formats[name].levels; level++) {
            const struct vmmu_x86_level *record = level_of((enum vmmu_x86_format_name)name, level);

            EXPECT_EQ(layout.reserved[level][0] & record->table_mask, 0);
            EXPECT_EQ(layout.reserved[level][1] & (record->frame_mask | record->high_mask), 0);
        }
    }
}

static void test_page_sizes_are_4k_2m_1g_and_4m_in_32_bit_paging(void **state)
{
    (void)state;
    EXPECT_EQ(vmmu_format_level_bytes(level_of(VMMU_X86_FORMAT_4LEVEL, 1)), VMMU_PAGE_BYTES);
    EXPECT_EQ(vmmu_format_level_bytes(level_of(VMMU_X86_FORMAT_4LEVEL, 2)), VMMU_2M_BYTES);
    EXPECT_EQ(vmmu_format_level_bytes(level_of(VMMU_X86_FORMAT_4LEVEL, 3)), VMMU_1G_BYTES);
    EXPECT_EQ(vmmu_format_level_bytes(level_of(VMMU_X86_FORMAT_PAE, 2)), VMMU_2M_BYTES);
    EXPECT_EQ(vmmu_format_level_bytes(level_of(VMMU_X86_FORMAT_32BIT_PSE, 2)), 0x400000);
}

static void test_large_leaves_stand_only_where_the_format_has_them(void **state)
{
    static const struct {
        enum vmmu_x86_format_name name;
        unsigned level;
        bool leaf;
    } expected[] = {
        { VMMU_X86_FORMAT_32BIT, 2, false },  { VMMU_X86_FORMAT_32BIT_PSE, 2, true },
        { VMMU_X86_FORMAT_PAE, 2, true },     { VMMU_X86_FORMAT_PAE, 3, false },
        { VMMU_X86_FORMAT_4LEVEL, 2, true },  { VMMU_X86_FORMAT_4LEVEL, 3, true },
        { VMMU_X86_FORMAT_4LEVEL, 4, false }, { VMMU_X86_FORMAT_5LEVEL, 4, false },
        { VMMU_X86_FORMAT_5LEVEL, 5, false }, { VMMU_X86_FORMAT_EPT4, 2, true },
        { VMMU_X86_FORMAT_EPT4, 3, true },    { VMMU_X86_FORMAT_EPT5, 4, false },
        { VMMU_X86_FORMAT_EPT5, 5, false },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct vmmu_x86_level *level = level_of(expected[i].name, expected[i].level);

        EXPECT_EQ(vmmu_format_is_leaf(level, BIT64(0) | BIT64(7)), expected[i].leaf);
        EXPECT_EQ(vmmu_format_may_be_leaf(level), expected[i].leaf);
        EXPECT(!vmmu_format_is_leaf(level, BIT64(0)));
    }
}

static void test_bit_7_of_a_4k_entry_is_pat_and_not_ps(void **state)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_4LEVEL];
    const struct vmmu_x86_level *level = &format->level[1];
    const uint64_t entry = 0x12345000 | BIT64(0) | BIT64(7);

    (void)state;
    EXPECT(vmmu_format_is_leaf(level, entry));
    EXPECT_EQ(vmmu_format_frame(level, entry), 0x12345000);
    EXPECT_EQ(vmmu_format_pat_index(format, level, entry), 4);
}

static void test_bit_12_of_a_large_leaf_is_pat_and_no_part_of_its_address(void **state)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_4LEVEL];
    const uint64_t entry = 0x40000000 | BIT64(12) | BIT64(7) | BIT64(4) | BIT64(3) | BIT64(0);

    (void)state;
    for (unsigned level = 2; level <= 3; level++) {
        EXPECT_EQ(vmmu_format_frame(&format->level[level], entry), 0x40000000);
        EXPECT_EQ(vmmu_format_pat_index(format, &format->level[level], entry), 7);
    }
}

static void test_every_pat_index_has_bits_that_read_back_as_it(void **state)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_PAE];

    (void)state;
    for (unsigned level = 1; level <= 2; level++) {
        for (unsigned index = 0; index < 8; index++) {
            const uint64_t bits = vmmu_format_pat_bits(format, &format->level[level], index);

            EXPECT_EQ(vmmu_format_pat_index(format, &format->level[level], bits), index);
            EXPECT_EQ(bits & ~(BIT64(3) | BIT64(4) | (level == 1 ? BIT64(7) : BIT64(12))), 0);
        }
    }
}

static void test_a_pae_2m_frame_has_52_bits(void **state)
{
    const uint64_t entry = UINT64_C(0x000fffffffe00000) | BIT64(7) | BIT64(0);

    (void)state;
    EXPECT_EQ(vmmu_format_frame(level_of(VMMU_X86_FORMAT_PAE, 2), entry), UINT64_C(0x000fffffffe00000));
}

static void test_pse36_puts_bits_39_to_32_of_the_address_in_bits_20_to_13(void **state)
{
    const struct vmmu_x86_level *level = level_of(VMMU_X86_FORMAT_32BIT_PSE, 2);
    const uint64_t entry = UINT64_C(0x80400000) | (UINT64_C(0xA5) << 13) | BIT64(7) | BIT64(0);

    (void)state;
    EXPECT_EQ(vmmu_format_frame(level, entry), UINT64_C(0xA580400000));
    EXPECT_EQ(vmmu_format_with_frame(level, BIT64(7) | BIT64(0), UINT64_C(0xA580400000)), entry);
}

static void test_pse36_reserves_what_lies_beyond_the_width_and_always_bit_21(void **state)
{
    static const struct {
        unsigned width;
        bool pse36;
        uint64_t reserved;
    } expected[] = {
        { 32, true, BITS64(21, 13) }, { 36, true, BITS64(21, 17) }, { 39, true, BITS64(21, 20) },
        { 40, true, BIT64(21) },      { 52, true, BIT64(21) },      { 52, false, BITS64(21, 13) },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct vmmu_x86_limits limits = { .physical_bits = (uint8_t)expected[i].width,
                                                .pse36 = expected[i].pse36 };

        EXPECT_EQ(layout_of(VMMU_X86_FORMAT_32BIT_PSE, &limits).reserved[2][1], expected[i].reserved);
    }
}

static void test_32_bit_entries_reserve_nothing_else(void **state)
{
    const struct vmmu_x86_limits limits = { .physical_bits = 32 };

    (void)state;
    EXPECT_EQ(layout_of(VMMU_X86_FORMAT_32BIT_PSE, &limits).reserved[1][1], 0);
    EXPECT_EQ(layout_of(VMMU_X86_FORMAT_32BIT_PSE, &limits).reserved[2][0], 0);
    EXPECT_EQ(layout_of(VMMU_X86_FORMAT_32BIT, &limits).reserved[2][0], 0);
}

static void test_address_bits_from_the_width_to_51_are_reserved_for_every_width(void **state)
{
    (void)state;
    for (unsigned width = 32; width < 52; width++) {
        const struct vmmu_x86_limits limits = { .physical_bits = (uint8_t)width,
                                                .nx = true,
                                                .gib_pages = true };
        const struct vmmu_x86_layout four = layout_of(VMMU_X86_FORMAT_4LEVEL, &limits);
        const struct vmmu_x86_layout pae = layout_of(VMMU_X86_FORMAT_PAE, &limits);

        EXPECT_EQ(four.reserved[1][1], BITS64(51, width));
        EXPECT_EQ(four.reserved[2][0], BITS64(51, width));
        EXPECT_EQ(four.reserved[2][1], BITS64(51, width) | BITS64(20, 13));
        EXPECT_EQ(four.reserved[3][1], BITS64(51, width) | BITS64(29, 13));
        EXPECT_EQ(four.reserved[4][0], BITS64(51, width) | BIT64(7));
        EXPECT_EQ(pae.reserved[1][1], BITS64(62, width));
        EXPECT_EQ(pae.reserved[2][0], BITS64(62, width));
        EXPECT_EQ(pae.reserved[2][1], BITS64(62, width) | BITS64(20, 13));
        EXPECT_EQ(pae.reserved[3][0], BITS64(63, width) | BITS64(8, 5) | BITS64(2, 1));
    }
}

static void test_bits_62_to_52_are_ignored_in_long_mode_and_reserved_under_pae(void **state)
{
    (void)state;
    EXPECT_EQ(layout_of(VMMU_X86_FORMAT_4LEVEL, &widest).reserved[1][1] & BITS64(62, 52), 0);
    EXPECT_EQ(layout_of(VMMU_X86_FORMAT_PAE, &widest).reserved[1][1] & BITS64(62, 52), BITS64(62, 52));
}

static void test_nx_is_reserved_while_it_is_not_enabled(void **state)
{
    struct vmmu_x86_limits limits = widest;

    (void)state;
    limits.nx = false;
    for (unsigned level = 1; level <= 5; level++) {
        EXPECT(layout_of(VMMU_X86_FORMAT_5LEVEL, &limits).reserved[level][0] & BIT64(63));
        EXPECT(layout_of(VMMU_X86_FORMAT_5LEVEL, &limits).reserved[level][1] & BIT64(63));
        EXPECT(!(layout_of(VMMU_X86_FORMAT_5LEVEL, &widest).reserved[level][0] & BIT64(63)));
    }
    EXPECT(!(layout_of(VMMU_X86_FORMAT_EPT4, &limits).reserved[1][1] & BIT64(63)));
}

static void test_the_large_bit_is_reserved_where_the_processor_has_no_such_page(void **state)
{
    struct vmmu_x86_limits limits = widest;

    (void)state;
    limits.gib_pages = false;
    EXPECT(layout_of(VMMU_X86_FORMAT_4LEVEL, &limits).reserved[3][1] & BIT64(7));
    EXPECT(!(layout_of(VMMU_X86_FORMAT_4LEVEL, &limits).reserved[2][1] & BIT64(7)));
    EXPECT(!(layout_of(VMMU_X86_FORMAT_4LEVEL, &widest).reserved[3][1] & BIT64(7)));
    EXPECT(layout_of(VMMU_X86_FORMAT_EPT4, &limits).reserved[3][1] & BIT64(7));
    limits.no_2m_pages = true;
    EXPECT(layout_of(VMMU_X86_FORMAT_EPT4, &limits).reserved[2][1] & BIT64(7));
}

static void test_amd_reserves_bit_8_of_pml4_and_pml5_entries(void **state)
{
    struct vmmu_x86_limits limits = widest;

    (void)state;
    limits.bit8_reserved = true;
    for (unsigned level = 1; level <= 5; level++) {
        EXPECT_EQ((layout_of(VMMU_X86_FORMAT_5LEVEL, &limits).reserved[level][0] & BIT64(8)) != 0,
                  level >= 4);
        EXPECT(!(layout_of(VMMU_X86_FORMAT_5LEVEL, &widest).reserved[level][0] & BIT64(8)));
    }
}

static void test_ept_reserves_the_low_bits_of_table_entries_and_the_offset_of_large_leaves(void **state)
{
    const struct vmmu_x86_limits limits = { .physical_bits = 46, .gib_pages = true, .execute_only = true };
    const struct vmmu_x86_layout layout = layout_of(VMMU_X86_FORMAT_EPT5, &limits);

    (void)state;
    EXPECT_EQ(layout.reserved[5][0], BITS64(51, 46) | BITS64(7, 3));
    EXPECT_EQ(layout.reserved[4][0], BITS64(51, 46) | BITS64(7, 3));
    EXPECT_EQ(layout.reserved[3][0], BITS64(51, 46) | BITS64(6, 3));
    EXPECT_EQ(layout.reserved[2][0], BITS64(51, 46) | BITS64(6, 3));
    EXPECT_EQ(layout.reserved[3][1], BITS64(51, 46) | BITS64(29, 12));
    EXPECT_EQ(layout.reserved[2][1], BITS64(51, 46) | BITS64(20, 12));
    EXPECT_EQ(layout.reserved[1][1], BITS64(51, 46));
}

static void test_ept_misconfigurations_are_write_without_read_and_execute_only_where_not_offered(void **state)
{
    struct vmmu_x86_limits limits = widest;
    const struct vmmu_x86_layout with = layout_of(VMMU_X86_FORMAT_EPT4, &limits);

    limits.execute_only = false;
    const struct vmmu_x86_layout without = layout_of(VMMU_X86_FORMAT_EPT4, &limits);
    static const bool refused_with[8] = { false, false, true, false, false, false, true, false };
    static const bool refused_without[8] = { false, false, true, false, true, false, true, false };

    (void)state;
    for (unsigned rights = 1; rights < 8; rights++) {
        EXPECT_EQ(vmmu_format_is_refused(&with, 1, true, rights), refused_with[rights]);
        EXPECT_EQ(vmmu_format_is_refused(&with, 4, false, rights), refused_with[rights]);
        EXPECT_EQ(vmmu_format_is_refused(&without, 1, true, rights), refused_without[rights]);
    }
}

static void test_ept_memory_types_2_3_and_7_are_misconfigurations_of_leaves(void **state)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_EPT4];
    const struct vmmu_x86_layout layout = layout_of(VMMU_X86_FORMAT_EPT4, &widest);

    (void)state;
    for (unsigned type = 0; type < 8; type++) {
        const uint64_t leaf = 7 | ((uint64_t)type << 3);
        const bool reserved = type == 2 || type == 3 || type == 7;

        EXPECT_EQ(vmmu_format_is_refused(&layout, 1, true, leaf), reserved);
        EXPECT_EQ(vmmu_format_memory_type(format, leaf), type);
        EXPECT_EQ(vmmu_format_memory_type_bits(format, (enum vmmu_x86_memory_type)type), (uint64_t)type << 3);
    }
}

static void test_an_ept_entry_is_present_if_any_right_is_granted(void **state)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_EPT4];

    (void)state;
    EXPECT(!vmmu_format_is_present(format, ~UINT64_C(7)));
    EXPECT(vmmu_format_is_present(format, 1));
    EXPECT(vmmu_format_is_present(format, 2));
    EXPECT(vmmu_format_is_present(format, 4));
}

static void test_a_leaf_made_from_frame_and_rights_reads_back_in_every_format(void **state)
{
    (void)state;
    for (unsigned name = 0; name < VMMU_X86_FORMATS; name++) {
        const struct vmmu_x86_format *format = &vmmu_x86_formats[name];
        const struct vmmu_x86_layout layout = layout_of((enum vmmu_x86_format_name)name, &widest);

        for (unsigned number = 1; number <= format->levels; number++) {
            const struct vmmu_x86_level *level = &format->level[number];
            const uint64_t frame = 3 * vmmu_format_level_bytes(level);

            for (unsigned rights = 0; vmmu_format_may_be_leaf(level) && rights <= VMMU_X86_RIGHTS_ALL;
                 rights++) {
                const uint8_t always = (uint8_t)((format->user ? 0 : VMMU_X86_RIGHT_USER) |
                                                 (format->execute ? 0 : VMMU_X86_RIGHT_EXECUTE));
                const uint64_t leaf = vmmu_format_leaf(format, level, frame, (uint8_t)rights);

                EXPECT(vmmu_format_is_leaf(level, leaf));
                EXPECT_EQ(leaf & layout.reserved[number][1], 0);
                EXPECT_EQ(vmmu_format_frame(level, leaf), frame);
                EXPECT_EQ(vmmu_format_rights(format, vmmu_format_grants(format, level, leaf)),
                          rights | always);
            }
        }
    }
}

static void test_a_link_withholds_nothing_and_sets_no_reserved_bit(void **state)
{
    (void)state;
    for (unsigned name = 0; name < VMMU_X86_FORMATS; name++) {
        const struct vmmu_x86_format *format = &vmmu_x86_formats[name];
        const struct vmmu_x86_layout layout = layout_of((enum vmmu_x86_format_name)name, &widest);

        for (unsigned number = 2; number <= format->levels; number++) {
            const struct vmmu_x86_level *level = &format->level[number];
            const uint64_t link = vmmu_format_link(format, level, 0x7000);

            EXPECT(vmmu_format_is_present(format, link));
            EXPECT(!vmmu_format_is_leaf(level, link));
            EXPECT(!vmmu_format_is_refused(&layout, number, false, link));
            EXPECT_EQ(vmmu_format_table(level, link), 0x7000);
            EXPECT_EQ(vmmu_format_rights(format, vmmu_format_grants(format, level, link)),
                      VMMU_X86_RIGHTS_ALL);
            EXPECT_EQ(vmmu_format_with_table(level, link, 0x9000) & level->table_mask, 0x9000);
        }
    }
}

static void test_the_rights_mask_of_a_format_holds_the_bits_of_its_manual(void **state)
{
    (void)state;
    EXPECT_EQ(vmmu_format_rights_mask(&vmmu_x86_formats[VMMU_X86_FORMAT_32BIT]), 7);
    EXPECT_EQ(vmmu_format_rights_mask(&vmmu_x86_formats[VMMU_X86_FORMAT_PAE]), 7 | BIT64(63));
    EXPECT_EQ(vmmu_format_rights_mask(&vmmu_x86_formats[VMMU_X86_FORMAT_EPT4]), 7);
}

static void test_the_protection_key_is_bits_62_to_59_in_long_mode_only(void **state)
{
    const uint64_t leaf = UINT64_C(0xB) << 59;

    (void)state;
    EXPECT_EQ(vmmu_format_key(&vmmu_x86_formats[VMMU_X86_FORMAT_4LEVEL], leaf), 0xB);
    EXPECT_EQ(vmmu_format_key(&vmmu_x86_formats[VMMU_X86_FORMAT_PAE], leaf), 0);
    EXPECT_EQ(vmmu_format_key_refusals(UINT32_C(2) << 22, 0xB), VMMU_X86_KEY_NO_WRITE);
    EXPECT_EQ(vmmu_format_key_refusals(UINT32_C(1) << 30, 15), VMMU_X86_KEY_NO_ACCESS);
}

static void test_a_layout_is_refused_for_widths_that_no_processor_has(void **state)
{
    struct vmmu_x86_limits limits = widest;
    struct vmmu_x86_layout layout = { .format = VMMU_X86_FORMAT_EPT5 };

    (void)state;
    limits.physical_bits = 31;
    EXPECT_EQ(vmmu_format_layout(VMMU_X86_FORMAT_PAE, &limits, &layout), VMMU_INVALID);
    limits.physical_bits = 53;
    EXPECT_EQ(vmmu_format_layout(VMMU_X86_FORMAT_PAE, &limits, &layout), VMMU_INVALID);
    EXPECT_EQ(vmmu_format_layout(VMMU_X86_FORMATS, &widest, &layout), VMMU_INVALID);
    EXPECT_EQ(layout.format, VMMU_X86_FORMAT_EPT5);
}

static void test_table_indices_cut_the_address_at_9_or_10_bits_and_pae_at_2(void **state)
{
    const uint64_t va = UINT64_C(0x00A5B6C7D8E9F012);

    (void)state;
    EXPECT_EQ(vmmu_format_index(level_of(VMMU_X86_FORMAT_5LEVEL, 5), va), (va >> 48) & 0x1ff);
    EXPECT_EQ(vmmu_format_index(level_of(VMMU_X86_FORMAT_5LEVEL, 1), va), (va >> 12) & 0x1ff);
    EXPECT_EQ(vmmu_format_index(level_of(VMMU_X86_FORMAT_32BIT, 2), va), (va >> 22) & 0x3ff);
    EXPECT_EQ(vmmu_format_index(level_of(VMMU_X86_FORMAT_PAE, 3), va), (va >> 30) & 3);
    EXPECT_EQ(vmmu_format_entries(level_of(VMMU_X86_FORMAT_32BIT, 1)), 1024);
    EXPECT_EQ(vmmu_format_entries(level_of(VMMU_X86_FORMAT_PAE, 3)), 4);
    EXPECT_EQ(vmmu_format_entries(level_of(VMMU_X86_FORMAT_EPT5, 5)), 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_format_translates_the_address_width_of_its_manual),
        cmocka_unit_test(test_levels_follow_each_other_without_gap_and_level_1_is_always_a_leaf),
        cmocka_unit_test(test_address_bits_are_never_reserved_on_the_widest_processor),
        cmocka_unit_test(test_page_sizes_are_4k_2m_1g_and_4m_in_32_bit_paging),
        cmocka_unit_test(test_large_leaves_stand_only_where_the_format_has_them),
        cmocka_unit_test(test_bit_7_of_a_4k_entry_is_pat_and_not_ps),
        cmocka_unit_test(test_bit_12_of_a_large_leaf_is_pat_and_no_part_of_its_address),
        cmocka_unit_test(test_every_pat_index_has_bits_that_read_back_as_it),
        cmocka_unit_test(test_a_pae_2m_frame_has_52_bits),
        cmocka_unit_test(test_pse36_puts_bits_39_to_32_of_the_address_in_bits_20_to_13),
        cmocka_unit_test(test_pse36_reserves_what_lies_beyond_the_width_and_always_bit_21),
        cmocka_unit_test(test_32_bit_entries_reserve_nothing_else),
        cmocka_unit_test(test_address_bits_from_the_width_to_51_are_reserved_for_every_width),
        cmocka_unit_test(test_bits_62_to_52_are_ignored_in_long_mode_and_reserved_under_pae),
        cmocka_unit_test(test_nx_is_reserved_while_it_is_not_enabled),
        cmocka_unit_test(test_the_large_bit_is_reserved_where_the_processor_has_no_such_page),
        cmocka_unit_test(test_amd_reserves_bit_8_of_pml4_and_pml5_entries),
        cmocka_unit_test(test_ept_reserves_the_low_bits_of_table_entries_and_the_offset_of_large_leaves),
        cmocka_unit_test(
            test_ept_misconfigurations_are_write_without_read_and_execute_only_where_not_offered),
        cmocka_unit_test(test_ept_memory_types_2_3_and_7_are_misconfigurations_of_leaves),
        cmocka_unit_test(test_an_ept_entry_is_present_if_any_right_is_granted),
        cmocka_unit_test(test_a_leaf_made_from_frame_and_rights_reads_back_in_every_format),
        cmocka_unit_test(test_a_link_withholds_nothing_and_sets_no_reserved_bit),
        cmocka_unit_test(test_the_rights_mask_of_a_format_holds_the_bits_of_its_manual),
        cmocka_unit_test(test_the_protection_key_is_bits_62_to_59_in_long_mode_only),
        cmocka_unit_test(test_a_layout_is_refused_for_widths_that_no_processor_has),
        cmocka_unit_test(test_table_indices_cut_the_address_at_9_or_10_bits_and_pae_at_2),
    };

    return RUN_TESTS(tests);
}
