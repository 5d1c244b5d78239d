/* `tlbwe` and `tlbre`: e500 Core Family Reference Manual, "TLB Instructions - Implementation", "Round-Robin Replacement for TLB0". */
#include "tests/unit/booke/virtual.h"
#include "tests/unit/test.h"

static struct virtual_mmu mmu;

static int start(void **state)
{
    (void)state;
    virtual_start(&mmu);
    return 0;
}

static void test_tlbre_gives_back_what_tlbwe_wrote_into_tlb1(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    EXPECT_EQ(virtual_write(&mmu, ENTRY(5), V | IPROT | TID(0x42) | TS | TSIZE(7), 0xd000007f,
                            UINT64_C(0xae00003ff)),
              TLB1_INDEX(5));
    mas = virtual_read(&mmu, ENTRY(5), 0);
    EXPECT_EQ(mas->mas0, ENTRY(5));
    EXPECT_EQ(mas->mas1, V | IPROT | TID(0x42) | TS | TSIZE(7));
    EXPECT_EQ(mas->mas2, 0xd000007f);
    EXPECT_EQ(mas->mas3, 0xe00003ff);
    EXPECT_EQ(mas->mas7, 0xa);
}

static void test_tlbre_gives_back_what_tlbwe_wrote_into_tlb0(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    EXPECT_EQ(virtual_write(&mmu, WAY(2, 3), V | TID(0x11) | TSIZE(1), 0x12345014, UINT64_C(0x3abcde2d5)),
              TLB0_INDEX(0x12345000, 2));
    mas = virtual_read(&mmu, WAY(2, 0), 0x12345000);
    EXPECT_EQ(mas->mas1, V | TID(0x11) | TSIZE(1));
    EXPECT_EQ(mas->mas2, 0x12345014);
    EXPECT_EQ(mas->mas3, 0xabcde2d5);
    EXPECT_EQ(mas->mas7, 3);
}

static void test_bits_45_to_51_of_epn_choose_the_set_of_tlb0_and_no_others_do(void **state)
{
    (void)state;
    for (unsigned bit = 12; bit < 32; bit++) {
        const int set = bit < 19 ? 1 << (bit - 12) : 0;

        EXPECT_EQ(virtual_write(&mmu, WAY(1, 0), V, UINT32_C(1) << bit, ALL_RIGHTS), 4 * set + 1);
    }
}

static void test_epn_does_not_choose_an_entry_of_tlb1(void **state)
{
    (void)state;
    EXPECT_EQ(virtual_write(&mmu, ENTRY(9), V | TSIZE(1), 0xfffff000, ALL_RIGHTS), TLB1_INDEX(9));
    EXPECT_EQ(virtual_read(&mmu, ENTRY(9), 0x00001000)->mas2, 0xfffff000);
}

static void test_of_esel_only_bits_46_and_47_choose_a_way_of_tlb0(void **state)
{
    (void)state;
    EXPECT_EQ(virtual_write(&mmu, WAY(0xe, 0), V, 0, ALL_RIGHTS), 2);
    EXPECT_EQ(virtual_read(&mmu, WAY(6, 0), 0)->mas1, V | TSIZE(1));
}

static void test_each_of_the_16_entries_of_tlb1_is_written_by_its_number(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        EXPECT_EQ(virtual_write(&mmu, ENTRY(i), V | TSIZE(1), i << 12, ALL_RIGHTS), TLB1_INDEX(i));
    }
    for (uint32_t i = 0; i < 16; i++) {
        EXPECT_EQ(virtual_read(&mmu, ENTRY(i), 0)->mas2, i << 12);
    }
}

static void test_tlb0_ignores_tsize_and_has_pages_of_4k(void **state)
{
    (void)state;
    for (uint32_t size = 0; size < 16; size++) {
        (void)virtual_write(&mmu, WAY(0, 0), V | TSIZE(size), 0x5000, ALL_RIGHTS);
        EXPECT_EQ(virtual_read(&mmu, WAY(0, 0), 0x5000)->mas1, V | TSIZE(1));
        EXPECT_EQ(virtual_load(&mmu, false, 0x5fff), 0xfff);
        EXPECT_EQ(virtual_load(&mmu, false, 0x6000), MISSED);
    }
}

static void test_entries_of_tlb0_cannot_be_protected(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 0), V | IPROT, 0x5000, ALL_RIGHTS);
    EXPECT_EQ(virtual_read(&mmu, WAY(0, 0), 0x5000)->mas1, V | TSIZE(1));
}

static void test_iprot_does_not_protect_against_tlbwe(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | IPROT | TSIZE(5), 0x100000, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(0), 0, 0, 0);
    EXPECT(!virtual_is_valid(&mmu, TLB1_INDEX(0)));
    EXPECT_EQ(virtual_load(&mmu, false, 0x100000), MISSED);
}

static void test_writing_v_0_is_a_precise_invalidation(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 0), V, 0x5000, 0x1000 | ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(1, 0), V, 0x85000, 0x2000 | ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(0, 0), 0, 0x5000, 0x1000 | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0x5000), MISSED);
    EXPECT_EQ(virtual_load(&mmu, false, 0x85000), 0x2000);
}

static void test_a_reserved_size_of_a_valid_entry_of_tlb1_becomes_the_nearest(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(0), 0x5000, ALL_RIGHTS);
    EXPECT_EQ(virtual_read(&mmu, ENTRY(0), 0)->mas1, V | TSIZE(1));
    EXPECT_EQ(virtual_load(&mmu, false, 0x5fff), 0xfff);
    for (uint32_t size = 12; size < 16; size++) {
        (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(size), 0, ALL_RIGHTS);
        EXPECT_EQ(virtual_read(&mmu, ENTRY(0), 0)->mas1, V | TSIZE(11));
        EXPECT_EQ(virtual_load(&mmu, false, 0xffffffff), 0xffffffff);
    }
}

static void test_an_invalid_entry_of_tlb1_keeps_all_that_was_written(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    for (uint32_t size = 0; size < 16; size++) {
        (void)virtual_write(&mmu, ENTRY(3), IPROT | TID(9) | TS | TSIZE(size), 0xabcde01f,
                            UINT64_C(0xf12345fff));
        mas = virtual_read(&mmu, ENTRY(3), 0);
        EXPECT_EQ(mas->mas1, IPROT | TID(9) | TS | TSIZE(size));
        EXPECT_EQ(mas->mas2, 0xabcde01f);
        EXPECT_EQ(mas->mas3, 0x123453ff);
        EXPECT_EQ(mas->mas7, 0xf);
    }
}

static void test_address_bits_within_a_large_page_are_kept_and_ignored(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    (void)virtual_write(&mmu, ENTRY(1), V | TSIZE(5), 0x401ff000, 0x00aff000 | ALL_RIGHTS);
    mas = virtual_read(&mmu, ENTRY(1), 0);
    EXPECT_EQ(mas->mas2, 0x401ff000);
    EXPECT_EQ(mas->mas3, 0x00aff000 | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0x40100000), 0x00a00000);
    EXPECT_EQ(virtual_load(&mmu, false, 0x401fffff), 0x00afffff);
    EXPECT_EQ(virtual_load(&mmu, false, 0x400fffff), MISSED);
    EXPECT_EQ(virtual_load(&mmu, false, 0x40200000), MISSED);
}

static void test_mas7_is_read_only_where_hid0_says_so(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(1), V | TSIZE(1), 0x4000, UINT64_C(0xa00000000) | ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(0, 0), V, 0x5000, UINT64_C(0x500000000) | ALL_RIGHTS);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_HID0, ~UINT32_C(0x80));
    EXPECT_EQ(virtual_read(&mmu, ENTRY(1), 0)->mas7, 5);
    EXPECT_EQ(virtual_search(&mmu, 0, 0x4000)->mas7, 5);
    EXPECT_EQ(virtual_search(&mmu, 0, 0x9000)->mas7, 5);
    vmmu_booke_miss(&mmu.booke, 0x9000, (struct vmmu_booke_access){ .kind = VMMU_BOOKE_LOAD });
    EXPECT_EQ(mmu.booke.mas.mas7, 5);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_HID0, 0x80);
    EXPECT_EQ(virtual_read(&mmu, ENTRY(1), 0)->mas7, 0xa);
}

static void test_tlbwe_into_tlb0_writes_the_next_victim_of_the_set_and_tlbre_reads_it(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 2), V, 0x5000, ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(3, 1), V, 0x6000, ALL_RIGHTS);
    EXPECT_EQ(virtual_read(&mmu, WAY(1, 3), 0x5000)->mas0, WAY(1, 2));
    EXPECT_EQ(virtual_read(&mmu, WAY(1, 3), 0x6000)->mas0, WAY(1, 1));
    EXPECT_EQ(virtual_read(&mmu, WAY(1, 3), 0x7000)->mas0, WAY(1, 0));
}

static void test_tlbwe_into_tlb1_writes_no_next_victim_and_tlbre_leaves_mas0(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 2), V, 0x5000, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(3) | 1, V | TSIZE(1), 0x5000, ALL_RIGHTS);
    EXPECT_EQ(virtual_read(&mmu, ENTRY(3) | 1, 0x5000)->mas0, ENTRY(3) | 1);
    EXPECT_EQ(virtual_read(&mmu, WAY(0, 0), 0x5000)->mas0, WAY(0, 2));
}

static void test_three_ways_of_which_a_fourth_is_named_write_nothing_and_read_as_0(void **state)
{
    const struct vmmu_booke_config config = { { 0x03110006, 0x051bc005 }, 3, 8, 36 };
    const struct vmmu_booke_mas *mas;

    (void)state;
    virtual_start_as(&mmu, &config);
    EXPECT_EQ(virtual_write(&mmu, WAY(3, 3), V, 0x1000, ALL_RIGHTS), -1);
    EXPECT_EQ(virtual_write(&mmu, ENTRY(5), V | TSIZE(1), 0x1000, ALL_RIGHTS), -1);
    EXPECT_EQ(virtual_load(&mmu, false, 0x1000), MISSED);
    mas = virtual_read(&mmu, ENTRY(5), 0x1000);
    EXPECT_EQ(mas->mas1 | mas->mas2 | mas->mas3 | mas->mas7, 0);
    EXPECT_EQ(virtual_write(&mmu, WAY(2, 3), V, 0x1000, ALL_RIGHTS), 5);
    EXPECT_EQ(virtual_read(&mmu, WAY(2, 1), 0x1000)->mas0, WAY(2, 0)); /* no victim that is not there */
    EXPECT_EQ(virtual_write(&mmu, ENTRY(4), V | TSIZE(1), 0x1000, ALL_RIGHTS), 10);
}

static void test_the_watch_hears_before_an_entry_changes_that_was_made_something_of(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(2), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(mmu.changes, 0);
    mmu.booke.entries[TLB1_INDEX(2)].made = 1;
    (void)virtual_write(&mmu, ENTRY(2), V | TSIZE(2), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(mmu.changes, 1);
    EXPECT_EQ(mmu.changed_index, TLB1_INDEX(2));
    EXPECT_EQ(mmu.changed_mas1, V | TSIZE(1));
    EXPECT_EQ(mmu.booke.entries[TLB1_INDEX(2)].made, 0);
}

static void test_the_watch_hears_of_a_change_of_any_of_the_four_registers(void **state)
{
    static const struct {
        uint32_t mas1;
        uint32_t mas2;
        uint64_t rpn_rights;
    } other[] = {
        { V | TSIZE(1) | TS, 0x1000, ALL_RIGHTS },
        { V | TSIZE(1), 0x1004, ALL_RIGHTS },
        { V | TSIZE(1), 0x1000, 0x3e },
        { V | TSIZE(1), 0x1000, UINT64_C(0x100000000) | ALL_RIGHTS },
    };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        (void)virtual_write(&mmu, ENTRY(2), V | TSIZE(1), 0x1000, ALL_RIGHTS);
        mmu.changes = 0;
        mmu.booke.entries[TLB1_INDEX(2)].made = 1;
        (void)virtual_write(&mmu, ENTRY(2), other[i].mas1, other[i].mas2, other[i].rpn_rights);
        EXPECT_EQ(mmu.changes, 1);
    }
}

static void test_the_watch_does_not_hear_of_what_changes_nothing(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(2), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    mmu.booke.entries[TLB1_INDEX(2)].made = 1;
    (void)virtual_write(&mmu, ENTRY(2), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(mmu.changes, 0);
    EXPECT_EQ(mmu.booke.entries[TLB1_INDEX(2)].made, 1);
    vmmu_booke_invalidate(&mmu.booke, 0x2000 | 8);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, 4);
    EXPECT_EQ(mmu.changes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_tlbre_gives_back_what_tlbwe_wrote_into_tlb1, start),
        cmocka_unit_test_setup(test_tlbre_gives_back_what_tlbwe_wrote_into_tlb0, start),
        cmocka_unit_test_setup(test_bits_45_to_51_of_epn_choose_the_set_of_tlb0_and_no_others_do, start),
        cmocka_unit_test_setup(test_epn_does_not_choose_an_entry_of_tlb1, start),
        cmocka_unit_test_setup(test_of_esel_only_bits_46_and_47_choose_a_way_of_tlb0, start),
        cmocka_unit_test_setup(test_each_of_the_16_entries_of_tlb1_is_written_by_its_number, start),
        cmocka_unit_test_setup(test_tlb0_ignores_tsize_and_has_pages_of_4k, start),
        cmocka_unit_test_setup(test_entries_of_tlb0_cannot_be_protected, start),
        cmocka_unit_test_setup(test_iprot_does_not_protect_against_tlbwe, start),
        cmocka_unit_test_setup(test_writing_v_0_is_a_precise_invalidation, start),
        cmocka_unit_test_setup(test_a_reserved_size_of_a_valid_entry_of_tlb1_becomes_the_nearest, start),
        cmocka_unit_test_setup(test_an_invalid_entry_of_tlb1_keeps_all_that_was_written, start),
        cmocka_unit_test_setup(test_address_bits_within_a_large_page_are_kept_and_ignored, start),
        cmocka_unit_test_setup(test_mas7_is_read_only_where_hid0_says_so, start),
        cmocka_unit_test_setup(test_tlbwe_into_tlb0_writes_the_next_victim_of_the_set_and_tlbre_reads_it,
                               start),
        cmocka_unit_test_setup(test_tlbwe_into_tlb1_writes_no_next_victim_and_tlbre_leaves_mas0, start),
        cmocka_unit_test_setup(test_three_ways_of_which_a_fourth_is_named_write_nothing_and_read_as_0, start),
        cmocka_unit_test_setup(test_the_watch_hears_before_an_entry_changes_that_was_made_something_of,
                               start),
        cmocka_unit_test_setup(test_the_watch_hears_of_a_change_of_any_of_the_four_registers, start),
        cmocka_unit_test_setup(test_the_watch_does_not_hear_of_what_changes_nothing, start),
    };

    return RUN_TESTS(tests);
}
