/* Ranges: what is joined, and what is not. */
#include <string.h>

#include "stage.h"
#include "tests/unit/test.h"
#include "tools/maps/ranges.h"

/* Five neighbours by address; each differs from the one before in one thing more. */
static struct stage *neighbours(void)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);

    stage_chain(stage, 0);
    room_put(stage->room, 0x4000, 0, 8, 0x10000 | E_ALL);
    room_put(stage->room, 0x4000, 1, 8, 0x20000 | E_ALL);
    room_put(stage->room, 0x4000, 2, 8, 0x21000 | E_ALL | E_G);
    room_put(stage->room, 0x4000, 3, 8, 0x22000 | E_ALL | E_G | E_PCD);
    room_put(stage->room, 0x4000, 4, 8, 0x23000 | E_ALL | E_G | E_PCD | E_NX);
    room_put(stage->room, 0x4000, 5, 8, 0x24000 | E_P | E_US | E_G | E_PCD | E_NX);
    return stage;
}

/* The lengths in pages of all ranges, in order, ended by 0. */
static void expect_lengths(struct stage *stage, enum ranges_join join, bool physical, const unsigned *pages)
{
    const struct space space = stage_space(stage);
    struct ranges ranges;
    struct range range;
    uint64_t address = 0;

    ranges_begin(&ranges, &space, join, physical);
    for (; *pages; pages++) {
        EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
        EXPECT_EQ(range.start, address);
        EXPECT_EQ(range.bytes, *pages * VMMU_PAGE_BYTES);
        EXPECT_EQ(range.pages[PAGES_4K], *pages);
        address += range.bytes;
    }
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_END);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_END);
}

#define LENGTHS(...) ((const unsigned[]){ __VA_ARGS__, 0 })

static void test_pages_are_joined_that_agree_in_what_is_asked_for(void **state)
{
    struct stage *stage = neighbours();

    (void)state;
    expect_lengths(stage, RANGES_PROTECTION, false, LENGTHS(5, 1));
    expect_lengths(stage, RANGES_RIGHTS, false, LENGTHS(4, 1, 1));
    expect_lengths(stage, RANGES_TYPE, false, LENGTHS(3, 1, 1, 1));
    expect_lengths(stage, RANGES_SIZE, false, LENGTHS(3, 1, 1, 1));
    expect_lengths(stage, RANGES_ALL, false, LENGTHS(2, 1, 1, 1, 1));
    stage_free(stage);
}

static void test_physical_ranges_end_where_memory_is_not_contiguous(void **state)
{
    struct stage *stage = neighbours();

    (void)state;
    expect_lengths(stage, RANGES_PROTECTION, true, LENGTHS(1, 4, 1));
    stage_free(stage);
}

static void test_a_range_counts_its_pages_of_each_size(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct ranges ranges;
    struct range range;

    (void)state;
    stage_chain(stage, 0);
    room_put(stage->room, 0x4000, 511, 8, 0x1FF000 | E_ALL);
    room_put(stage->room, 0x3000, 1, 8, 0x200000 | E_ALL | E_PS);
    room_put(stage->room, 0x3000, 2, 8, 0x400000 | E_ALL | E_PS);
    const struct space space = stage_space(stage);
    ranges_begin(&ranges, &space, RANGES_TYPE, true);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT(range.start == 0x1FF000 && range.bytes == 0x401000);
    EXPECT(range.pages[PAGES_4K] == 1 && range.pages[PAGES_2M] == 2 && range.pages[PAGES_1G] == 0);
    ranges_begin(&ranges, &space, RANGES_SIZE, true);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT_EQ(range.bytes, 0x1000);
    stage_free(stage);
}

static void test_page_sizes_of_every_mode_are_told_apart(void **state)
{
    (void)state;
    EXPECT_EQ(page_size_of(4096), PAGES_4K);
    EXPECT_EQ(page_size_of(0x200000), PAGES_2M);
    EXPECT_EQ(page_size_of(0x400000), PAGES_4M);
    EXPECT_EQ(page_size_of(0x40000000), PAGES_1G);
    EXPECT_EQ(page_size_of(UINT64_C(0x100000000)), PAGES_4G);
}

static void test_malformed_entries_and_absent_tables_are_ranges_of_their_own(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct ranges ranges;
    struct range range;

    (void)state;
    stage_chain(stage, 0);
    room_put(stage->room, 0x3000, 1, 8, BIT64(13) | E_ALL | E_PS);
    room_put(stage->room, 0x3000, 2, 8, BIT64(13) | E_ALL | E_PS);
    room_put(stage->room, 0x3000, 3, 8, 0x7000000 | E_ALL);
    room_put(stage->room, 0x4000, 511, 8, 0x5000 | E_ALL);
    const struct space space = stage_space(stage);
    ranges_begin(&ranges, &space, RANGES_TYPE, false);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT(range.kind == RANGE_MAPPED && range.start == 0x1FF000);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT(range.kind == RANGE_MALFORMED && range.start == 0x200000 && range.bytes == 0x400000 &&
           range.entries == 2);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT(range.kind == RANGE_ABSENT && range.start == 0x600000 && range.bytes == 0x200000);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_END);
    stage_free(stage);
}

static void test_tables_without_end_are_told_at_the_budget(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct ranges ranges;
    struct range range;

    (void)state;
    for (unsigned index = 0; index < 512; index++) {
        room_put(stage->room, 0x1000, index, 8, 0x1000 | E_ALL);
    }
    struct space space = stage_space(stage);
    struct complaint complaint;

    space.budget = 5000;
    ranges_begin(&ranges, &space, RANGES_TYPE, false);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_SPENT);
    EXPECT(!space_spent(&space, &ranges.scan, &complaint));
    EXPECT(strstr(complaint.text, "no end of the tables of root 0x1000 after 5000 entries") ==
           complaint.text);
    stage_free(stage);
}

static void test_the_memory_type_is_the_pats_or_the_ept_entrys(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_scan_item leaf = { .pat_index = 3, .memory_type = VMMU_X86_TYPE_WP };

    (void)state;
    struct space space = stage_space(stage);
    EXPECT_EQ(space_type(&space, &leaf), VMMU_X86_TYPE_UC);
    space.pat = UINT64_C(0x01000000);
    EXPECT_EQ(space_type(&space, &leaf), VMMU_X86_TYPE_WC);
    space.mode.paging = VMMU_X86_PAGING_NONE;
    EXPECT_EQ(space_type(&space, &leaf), VMMU_X86_TYPE_WB);
    space.uncached = true;
    EXPECT_EQ(space_type(&space, &leaf), VMMU_X86_TYPE_UC);
    EXPECT_EQ(vmmu_stage2_ept(0x1000 | (3 << 3) | 6, &full_limits, &stage->room->ram, &stage->machine.second),
              VMMU_OK);
    stage->machine.has_second = true;
    space = space_of_second(&stage->machine);
    EXPECT_EQ(space_type(&space, &leaf), VMMU_X86_TYPE_WP);
    stage_free(stage);
}

static void test_tables_behind_a_second_stage_are_found_through_it(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    struct ranges ranges;
    struct range range;

    (void)state;
    /* EPT at 0x8000: guest-physical 0 to 2 MiB lies 0x10000 higher, but for 0x4000, which is nowhere. */
    EXPECT_EQ(vmmu_stage2_ept(0x8000 | (3 << 3) | 6, &full_limits, &stage->room->ram, &stage->machine.second),
              VMMU_OK);
    stage->machine.has_second = true;
    for (uint64_t table = 0x8000; table < 0xB000; table += 0x1000) {
        room_put(stage->room, table, 0, 8, (table + 0x1000) | 7);
    }
    for (unsigned page = 0; page < 8; page++) {
        room_put(stage->room, 0xB000, page, 8, page == 4 ? 0 : (0x10000 + page * 0x1000U) | 0x37);
    }
    for (uint64_t table = 1; table < 3; table++) {
        room_put(stage->room, 0x10000 + table * 0x1000, 0, 8, (table + 1) * 0x1000 | E_ALL);
    }
    room_put(stage->room, 0x13000, 1, 8, 0x5000 | E_ALL);
    room_put(stage->room, 0x13000, 2, 8, 0x4000 | E_ALL);
    room_put(stage->room, 0x15000, 7, 8, 0x1234000 | E_ALL);
    const struct space space = stage_space(stage);
    ranges_begin(&ranges, &space, RANGES_TYPE, true);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT(range.kind == RANGE_MAPPED && range.start == 0x207000 && range.first.frame == 0x1234000);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_LEAF);
    EXPECT(range.kind == RANGE_ABSENT && range.start == 0x400000 && range.bytes == 0x200000);
    EXPECT_EQ(ranges_next(&ranges, &range), VMMU_X86_SCAN_END);
    stage_free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_joined_that_agree_in_what_is_asked_for),
        cmocka_unit_test(test_physical_ranges_end_where_memory_is_not_contiguous),
        cmocka_unit_test(test_a_range_counts_its_pages_of_each_size),
        cmocka_unit_test(test_page_sizes_of_every_mode_are_told_apart),
        cmocka_unit_test(test_malformed_entries_and_absent_tables_are_ranges_of_their_own),
        cmocka_unit_test(test_tables_without_end_are_told_at_the_budget),
        cmocka_unit_test(test_the_memory_type_is_the_pats_or_the_ept_entrys),
        cmocka_unit_test(test_tables_behind_a_second_stage_are_found_through_it),
    };
    return RUN_TESTS(tests);
}
