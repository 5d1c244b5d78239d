/* `tlbsx`, and what a TLB error leaves: e500 Core Family Reference Manual, "MAS Register Updates"; Power ISA Book III-E. */
#include "tests/unit/booke/virtual.h"
#include "tests/unit/test.h"

#define SAS        UINT32_C(1)
#define SPID(n)    ((uint32_t)(n) << 16)

/* MAS4: TLBSELD, TIDSELD, TSIZED, attributes. */
#define TLBSELD(n) ((uint32_t)(n) << 28)
#define TIDSELD(n) ((uint32_t)(n) << 16)

static struct virtual_mmu mmu;

static int start(void **state)
{
    (void)state;
    virtual_start(&mmu);
    return 0;
}

static void set(enum vmmu_booke_register which, uint32_t value)
{
    vmmu_booke_set(&mmu.booke, which, value);
}

static void miss(uint32_t ea, enum vmmu_booke_kind kind, bool space)
{
    vmmu_booke_miss(&mmu.booke, ea, (struct vmmu_booke_access){ .kind = kind, .space = space });
}

static void test_a_search_that_hits_in_tlb1_loads_the_entry_and_its_place(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    (void)virtual_write(&mmu, ENTRY(11), V | IPROT | TID(7) | TS | TSIZE(5), 0x40100015,
                        UINT64_C(0x92345638a));
    set(VMMU_BOOKE_MAS0, 0x00000003);
    mas = virtual_search(&mmu, SPID(7) | SAS, 0x401fabcd);
    EXPECT_EQ(mas->mas0, ENTRY(11));
    EXPECT_EQ(mas->mas1, V | IPROT | TID(7) | TS | TSIZE(5));
    EXPECT_EQ(mas->mas2, 0x40100015);
    EXPECT_EQ(mas->mas3, 0x2345638a & 0xfffff3ff);
    EXPECT_EQ(mas->mas7, 9);
    EXPECT_EQ(mas->mas6, SPID(7) | SAS);
}

static void test_a_search_that_hits_in_tlb0_loads_way_and_next_victim(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    (void)virtual_write(&mmu, WAY(2, 1), V | TID(7), 0x12345001, 0x00765000 | ALL_RIGHTS);
    mas = virtual_search(&mmu, SPID(7), 0x12345fff);
    EXPECT_EQ(mas->mas0, WAY(2, 1));
    EXPECT_EQ(mas->mas1, V | TID(7) | TSIZE(1));
    EXPECT_EQ(mas->mas2, 0x12345001);
    EXPECT_EQ(mas->mas3, 0x00765000 | ALL_RIGHTS);
}

static void test_tlbwe_after_a_search_writes_the_entry_that_was_found(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(2, 1), V | TID(7), 0x12345001, 0x00765000 | ALL_RIGHTS);
    (void)virtual_search(&mmu, SPID(7), 0x12345fff);
    set(VMMU_BOOKE_MAS1, mmu.booke.mas.mas1 & ~V);
    EXPECT_EQ(vmmu_booke_write(&mmu.booke), TLB0_INDEX(0x12345000, 2));
    EXPECT(!virtual_is_valid(&mmu, TLB0_INDEX(0x12345000, 2)));
    EXPECT_EQ(virtual_read(&mmu, WAY(0, 0), 0x12345000)->mas0, WAY(0, 1)); /* the victim is as before */
}

static void test_a_search_compares_spid0_and_sas_and_not_the_pid_registers(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TID(7) | TS | TSIZE(1), 0x1000, ALL_RIGHTS);
    set(VMMU_BOOKE_PID0, 7);
    EXPECT_EQ(virtual_search(&mmu, SPID(8) | SAS, 0x1000)->mas1 & V, 0);
    EXPECT_EQ(virtual_search(&mmu, SPID(0) | SAS, 0x1000)->mas1 & V, 0);
    EXPECT_EQ(virtual_search(&mmu, SPID(7), 0x1000)->mas1 & V, 0);
    set(VMMU_BOOKE_PID0, 0);
    EXPECT_EQ(virtual_search(&mmu, SPID(7) | SAS, 0x1000)->mas1 & V, V);
}

static void test_a_search_finds_an_entry_of_tid_0_by_any_spid0(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(virtual_search(&mmu, SPID(0), 0x1000)->mas1, V | TSIZE(1));
    EXPECT_EQ(virtual_search(&mmu, SPID(200), 0x1000)->mas1, V | TSIZE(1));
}

static void test_a_search_does_not_find_what_is_invalid(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), TSIZE(1), 0x1000, ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(0, 0), 0, 0x1000, ALL_RIGHTS);
    EXPECT_EQ(virtual_search(&mmu, 0, 0x1000)->mas1 & V, 0);
}

static void test_a_search_that_misses_loads_the_defaults_with_v_0(void **state)
{
    const struct vmmu_booke_mas *mas;

    (void)state;
    (void)virtual_write(&mmu, WAY(0, 2), V, 0x5000, UINT64_C(0xf00000000) | ALL_RIGHTS);
    set(VMMU_BOOKE_MAS2, 0xabcde013);
    set(VMMU_BOOKE_MAS3, UINT32_MAX);
    set(VMMU_BOOKE_MAS4, TLBSELD(0) | TIDSELD(1) | TSIZE(4) | 0x64);
    mas = virtual_search(&mmu, SPID(9) | SAS, 0x85123);
    EXPECT_EQ(mas->mas0, WAY(2, 3)); /* that set's next victim, and the one after it */
    EXPECT_EQ(mas->mas1, TID(9) | TS | TSIZE(4));
    EXPECT_EQ(mas->mas2, 0xabcde064); /* EPN stays */
    EXPECT_EQ(mas->mas3, 0x000003c0); /* U0 to U3 stay */
    EXPECT_EQ(mas->mas7, 0);
    EXPECT_EQ(mas->mas6, SPID(9) | SAS);
}

static void test_a_search_that_misses_by_default_in_tlb1_proposes_no_victim(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 2), V, 0x5000, ALL_RIGHTS);
    set(VMMU_BOOKE_MAS4, TLBSELD(1));
    set(VMMU_BOOKE_MAS0, WAY(3, 3));
    EXPECT_EQ(virtual_search(&mmu, 0, 0x85000)->mas0, ENTRY(0));
}

static void test_of_several_entries_that_match_the_lowest_index_is_found(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(4), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(2), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(virtual_search(&mmu, 0, 0x1000)->mas0, ENTRY(2));
    (void)virtual_write(&mmu, WAY(3, 0), V, 0x1000, ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(1, 0), V, 0x1000, ALL_RIGHTS);
    EXPECT_EQ(virtual_search(&mmu, 0, 0x1000)->mas0, WAY(1, 0));
}

static void test_a_tlb_error_loads_the_defaults_and_what_was_accessed(void **state)
{
    (void)state;
    set(VMMU_BOOKE_MAS4, TLBSELD(0) | TIDSELD(0) | TSIZE(1) | 0x04);
    set(VMMU_BOOKE_MAS0, UINT32_MAX);
    set(VMMU_BOOKE_MAS1, UINT32_MAX);
    set(VMMU_BOOKE_MAS2, UINT32_MAX);
    set(VMMU_BOOKE_MAS3, UINT32_MAX);
    set(VMMU_BOOKE_MAS6, UINT32_MAX);
    set(VMMU_BOOKE_MAS7, UINT32_MAX);
    set(VMMU_BOOKE_PID0, 0x21);
    miss(0xc0123456, VMMU_BOOKE_STORE, false);
    EXPECT_EQ(mmu.booke.mas.mas0, WAY(0, 1));
    EXPECT_EQ(mmu.booke.mas.mas1, V | TID(0x21) | TSIZE(1));
    EXPECT_EQ(mmu.booke.mas.mas2, 0xc0123004);
    EXPECT_EQ(mmu.booke.mas.mas3, 0x000003c0);
    EXPECT_EQ(mmu.booke.mas.mas6, SPID(0x21));
    EXPECT_EQ(mmu.booke.mas.mas7, 0);
}

static void test_a_tlb_error_in_address_space_1_sets_ts_and_sas(void **state)
{
    (void)state;
    miss(0x1000, VMMU_BOOKE_FETCH, true);
    EXPECT_EQ(mmu.booke.mas.mas1, V | TS);
    EXPECT_EQ(mmu.booke.mas.mas6, SAS);
}

static void test_tidseld_says_which_pid_a_tlb_error_loads_and_3_says_0(void **state)
{
    static const uint32_t expected[4] = { 0x10, 0x20, 0x30, 0 };

    (void)state;
    set(VMMU_BOOKE_PID0, 0x10);
    set(VMMU_BOOKE_PID1, 0x20);
    set(VMMU_BOOKE_PID2, 0x30);
    for (uint32_t i = 0; i < 4; i++) {
        set(VMMU_BOOKE_MAS4, TIDSELD(i));
        miss(0x1000, VMMU_BOOKE_LOAD, false);
        EXPECT_EQ(mmu.booke.mas.mas1, V | TID(expected[i]));
        EXPECT_EQ(mmu.booke.mas.mas6, SPID(0x10)); /* SPID0 is PID0 always */
    }
}

static void test_a_tlb_error_by_default_in_tlb1_names_entry_0(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 2), V, 0x5000, ALL_RIGHTS);
    set(VMMU_BOOKE_MAS4, TLBSELD(1) | TSIZE(9));
    miss(0x85000, VMMU_BOOKE_LOAD, false);
    EXPECT_EQ(mmu.booke.mas.mas0, ENTRY(0));
    EXPECT_EQ(mmu.booke.mas.mas1, V | TSIZE(9));
}

static void test_misses_and_writes_go_round_the_ways_of_a_set(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 9; i++) {
        const uint32_t ea = 0x5000 + (i << 19);

        miss(ea, VMMU_BOOKE_LOAD, false);
        EXPECT_EQ(mmu.booke.mas.mas0, WAY(i % 4, (i + 1) % 4));
        set(VMMU_BOOKE_MAS3, ALL_RIGHTS);
        EXPECT_EQ(vmmu_booke_write(&mmu.booke), TLB0_INDEX(ea, i % 4));
    }
    miss(0x6000, VMMU_BOOKE_LOAD, false);
    EXPECT_EQ(mmu.booke.mas.mas0, WAY(0, 1)); /* another set has its own */
}

static void test_a_miss_without_a_write_proposes_the_same_victim_again(void **state)
{
    (void)state;
    miss(0x5000, VMMU_BOOKE_LOAD, false);
    miss(0x5000, VMMU_BOOKE_LOAD, false);
    EXPECT_EQ(mmu.booke.mas.mas0, WAY(0, 1));
    (void)virtual_search(&mmu, 0, 0x5000);
    EXPECT_EQ(mmu.booke.mas.mas0, WAY(0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_search_that_hits_in_tlb1_loads_the_entry_and_its_place, start),
        cmocka_unit_test_setup(test_a_search_that_hits_in_tlb0_loads_way_and_next_victim, start),
        cmocka_unit_test_setup(test_tlbwe_after_a_search_writes_the_entry_that_was_found, start),
        cmocka_unit_test_setup(test_a_search_compares_spid0_and_sas_and_not_the_pid_registers, start),
        cmocka_unit_test_setup(test_a_search_finds_an_entry_of_tid_0_by_any_spid0, start),
        cmocka_unit_test_setup(test_a_search_does_not_find_what_is_invalid, start),
        cmocka_unit_test_setup(test_a_search_that_misses_loads_the_defaults_with_v_0, start),
        cmocka_unit_test_setup(test_a_search_that_misses_by_default_in_tlb1_proposes_no_victim, start),
        cmocka_unit_test_setup(test_of_several_entries_that_match_the_lowest_index_is_found, start),
        cmocka_unit_test_setup(test_a_tlb_error_loads_the_defaults_and_what_was_accessed, start),
        cmocka_unit_test_setup(test_a_tlb_error_in_address_space_1_sets_ts_and_sas, start),
        cmocka_unit_test_setup(test_tidseld_says_which_pid_a_tlb_error_loads_and_3_says_0, start),
        cmocka_unit_test_setup(test_a_tlb_error_by_default_in_tlb1_names_entry_0, start),
        cmocka_unit_test_setup(test_misses_and_writes_go_round_the_ways_of_a_set, start),
        cmocka_unit_test_setup(test_a_miss_without_a_write_proposes_the_same_victim_again, start),
    };

    return RUN_TESTS(tests);
}
