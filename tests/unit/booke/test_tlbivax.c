/* Invalidation: e500 Core Family Reference Manual, "TLB Invalidate (tlbivax) Instruction", "IPROT Invalidation Protection in TLB1". */
#include "tests/unit/booke/virtual.h"
#include "tests/unit/test.h"

/* Low bits of the effective address of `tlbivax`: bit 60 selects the array, bit 61 says all. */
#define IN_TLB1 UINT32_C(0x8)
#define INV_ALL UINT32_C(0x4)

/* MMUCSR0 */
#define TLB0_FI UINT32_C(0x4)
#define TLB1_FI UINT32_C(0x2)

static struct virtual_mmu mmu;

static int start(void **state)
{
    (void)state;
    virtual_start(&mmu);
    return 0;
}

/* Pages of 4 KiB at 0x5000: four ways of different TID and TS; TLB1: 1 MiB at 0, one protected, one not. */
static void fill(void)
{
    (void)virtual_write(&mmu, WAY(0, 0), V, 0x5000, ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(1, 0), V | TID(1), 0x5000, ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(2, 0), V | TID(2) | TS, 0x5000, ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(3, 0), V | TID(3), 0x85000, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(0), V | IPROT | TSIZE(5), 0, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(1), V | TID(1) | TSIZE(5), 0, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(2), V | TID(2) | TS | TSIZE(5), 0, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(3), V | TID(3) | TSIZE(5), 0x100000, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(15), V | IPROT | TID(1) | TSIZE(5), 0x100000, ALL_RIGHTS);
}

/* Which of these are valid: bits 0 to 3 the four ways, 4 to 7 entries 0 to 3 of TLB1, 8 its entry 15. */
static unsigned valid(void)
{
    unsigned found = 0;

    for (unsigned i = 0; i < 4; i++) {
        found |= (unsigned)virtual_is_valid(&mmu, TLB0_INDEX(0x5000U, i)) << i;
        found |= (unsigned)virtual_is_valid(&mmu, TLB1_INDEX(i)) << (4 + i);
    }
    return found | (unsigned)virtual_is_valid(&mmu, TLB1_INDEX(15)) << 8;
}

static void test_tlbivax_invalidates_all_ways_of_the_address_whatever_pid_and_space(void **state)
{
    (void)state;
    fill();
    EXPECT_EQ(valid(), 0x1ff);
    vmmu_booke_invalidate(&mmu.booke, 0x5000);
    EXPECT_EQ(valid(), 0x1f8);
}

static void test_tlbivax_of_another_set_or_page_leaves_entries_alone(void **state)
{
    (void)state;
    fill();
    vmmu_booke_invalidate(&mmu.booke, 0x6000);
    vmmu_booke_invalidate(&mmu.booke, 0x105000);
    vmmu_booke_invalidate(&mmu.booke, 0x200000 | IN_TLB1);
    EXPECT_EQ(valid(), 0x1ff);
}

static void
test_tlbivax_in_tlb1_invalidates_every_page_that_covers_the_address_but_protected_ones(void **state)
{
    (void)state;
    fill();
    vmmu_booke_invalidate(&mmu.booke, 0x000ff000 | IN_TLB1);
    EXPECT_EQ(valid(), 0x19f);
    vmmu_booke_invalidate(&mmu.booke, 0x00100000 | IN_TLB1);
    EXPECT_EQ(valid(), 0x11f);
}

static void test_inv_all_invalidates_the_whole_of_the_array_it_names(void **state)
{
    (void)state;
    fill();
    vmmu_booke_invalidate(&mmu.booke, 0x7000 | INV_ALL);
    EXPECT_EQ(valid(), 0x1f0);
}

static void test_inv_all_spares_protected_entries(void **state)
{
    (void)state;
    fill();
    vmmu_booke_invalidate(&mmu.booke, 0x7000 | INV_ALL | IN_TLB1);
    EXPECT_EQ(valid(), 0x11f);
}

static void test_a_flash_invalidation_is_of_the_array_whose_bit_is_written(void **state)
{
    (void)state;
    fill();
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, 0);
    EXPECT_EQ(valid(), 0x1ff);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, TLB0_FI);
    EXPECT_EQ(valid(), 0x1f0);
}

static void test_a_flash_invalidation_spares_protected_entries(void **state)
{
    (void)state;
    fill();
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, TLB1_FI);
    EXPECT_EQ(valid(), 0x11f);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, TLB0_FI | TLB1_FI);
    EXPECT_EQ(valid(), 0x110);
}

static void test_what_was_invalidated_reads_back_with_v_0_alone(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(3), V | TID(3) | TSIZE(5), 0x100015, 0x00456000 | ALL_RIGHTS);
    vmmu_booke_invalidate(&mmu.booke, 0x00100000 | IN_TLB1);
    EXPECT_EQ(virtual_read(&mmu, ENTRY(3), 0)->mas1, TID(3) | TSIZE(5));
    EXPECT_EQ(mmu.booke.mas.mas2, 0x100015);
    EXPECT_EQ(mmu.booke.mas.mas3, 0x00456000 | ALL_RIGHTS);
}

static void test_an_invalidation_leaves_the_next_victim(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 3), V, 0x5000, ALL_RIGHTS);
    vmmu_booke_invalidate(&mmu.booke, 0x5000 | INV_ALL);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, TLB0_FI);
    EXPECT_EQ(virtual_read(&mmu, WAY(0, 0), 0x5000)->mas0, WAY(0, 3));
}

static void test_the_watch_hears_of_each_entry_that_an_invalidation_takes(void **state)
{
    (void)state;
    fill();
    mmu.booke.entries[TLB0_INDEX(0x5000U, 1)].made = 1;
    mmu.booke.entries[TLB0_INDEX(0x5000U, 2)].made = 2;
    mmu.booke.entries[TLB1_INDEX(0)].made = 1;
    mmu.booke.entries[TLB1_INDEX(1)].made = 1;
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, TLB0_FI | TLB1_FI);
    EXPECT_EQ(mmu.changes, 3);
    EXPECT_EQ(mmu.changed_index, TLB1_INDEX(1));
    EXPECT_EQ(mmu.changed_mas1, V | TID(1) | TSIZE(5));
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MMUCSR0, TLB0_FI | TLB1_FI);
    EXPECT_EQ(mmu.changes, 3);
}

static void test_tlbilx_of_type_0_takes_all_that_is_not_protected(void **state)
{
    (void)state;
    fill();
    vmmu_booke_invalidate_local(&mmu.booke, 0, 0);
    EXPECT_EQ(valid(), 0x110);
}

static void test_tlbilx_of_type_1_takes_the_entries_of_spid(void **state)
{
    (void)state;
    fill();
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MAS6, 0x00010000);
    vmmu_booke_invalidate_local(&mmu.booke, 1, 0);
    EXPECT_EQ(valid(), 0x1dd);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MAS6, 0);
    vmmu_booke_invalidate_local(&mmu.booke, 1, 0);
    EXPECT_EQ(valid(), 0x1dc);
}

static void test_tlbilx_of_type_3_takes_what_a_search_would_find(void **state)
{
    (void)state;
    fill();
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MAS6, 0x00020001);
    vmmu_booke_invalidate_local(&mmu.booke, 3, 0x5000);
    EXPECT_EQ(valid(), 0x1bb);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_MAS6, 0x00010000);
    vmmu_booke_invalidate_local(&mmu.booke, 3, 0x100000);
    EXPECT_EQ(valid(), 0x1bb);
}

static void test_tlbilx_of_other_types_takes_nothing(void **state)
{
    (void)state;
    fill();
    vmmu_booke_invalidate_local(&mmu.booke, 2, 0x5000);
    vmmu_booke_invalidate_local(&mmu.booke, 7, 0x5000);
    EXPECT_EQ(valid(), 0x1ff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_tlbivax_invalidates_all_ways_of_the_address_whatever_pid_and_space,
                               start),
        cmocka_unit_test_setup(test_tlbivax_of_another_set_or_page_leaves_entries_alone, start),
        cmocka_unit_test_setup(
            test_tlbivax_in_tlb1_invalidates_every_page_that_covers_the_address_but_protected_ones, start),
        cmocka_unit_test_setup(test_inv_all_invalidates_the_whole_of_the_array_it_names, start),
        cmocka_unit_test_setup(test_inv_all_spares_protected_entries, start),
        cmocka_unit_test_setup(test_a_flash_invalidation_is_of_the_array_whose_bit_is_written, start),
        cmocka_unit_test_setup(test_a_flash_invalidation_spares_protected_entries, start),
        cmocka_unit_test_setup(test_what_was_invalidated_reads_back_with_v_0_alone, start),
        cmocka_unit_test_setup(test_an_invalidation_leaves_the_next_victim, start),
        cmocka_unit_test_setup(test_the_watch_hears_of_each_entry_that_an_invalidation_takes, start),
        cmocka_unit_test_setup(test_tlbilx_of_type_0_takes_all_that_is_not_protected, start),
        cmocka_unit_test_setup(test_tlbilx_of_type_1_takes_the_entries_of_spid, start),
        cmocka_unit_test_setup(test_tlbilx_of_type_3_takes_what_a_search_would_find, start),
        cmocka_unit_test_setup(test_tlbilx_of_other_types_takes_nothing, start),
    };

    return RUN_TESTS(tests);
}
