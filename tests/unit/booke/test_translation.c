/* Translation: e500 Core Family Reference Manual, "Effective-to-Real Address Translation"; Power ISA Book III-E, "Storage Control". */
#include "tests/unit/booke/virtual.h"
#include "tests/unit/test.h"

/* MAS3 */
#define UX UINT32_C(0x20)
#define SX UINT32_C(0x10)
#define UW UINT32_C(0x08)
#define SW UINT32_C(0x04)
#define UR UINT32_C(0x02)
#define SR UINT32_C(0x01)

/* ESR bit 40 */
#define ST UINT32_C(0x00800000)

static struct virtual_mmu mmu;

static int start(void **state)
{
    (void)state;
    virtual_start(&mmu);
    return 0;
}

static struct vmmu_booke_result translate(uint32_t ea, enum vmmu_booke_kind kind, bool problem)
{
    return vmmu_booke_translate(&mmu.booke, ea,
                                (struct vmmu_booke_access){ .kind = kind, .problem = problem });
}

static void test_a_page_of_each_size_maps_its_bytes_and_no_others(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 10; size++) {
        const uint32_t bytes = UINT32_C(1024) << 2 * size;
        const uint64_t rpn = UINT64_C(0x380000000) & ~(uint64_t)(bytes - 1);

        (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(size), 0x40000000, rpn | ALL_RIGHTS);
        EXPECT_EQ(virtual_load(&mmu, false, 0x40000000), rpn);
        EXPECT_EQ(virtual_load(&mmu, false, 0x40000000 + bytes - 1), rpn + bytes - 1);
        EXPECT_EQ(virtual_load(&mmu, false, 0x40000000 + bytes), MISSED);
        EXPECT_EQ(virtual_load(&mmu, false, 0x3fffffff), MISSED);
        EXPECT_EQ(translate(0x40000000, VMMU_BOOKE_LOAD, false).page_bytes, bytes);
    }
}

static void test_a_page_of_4g_maps_every_effective_address(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(11), 0x12345000, UINT64_C(0x789abc000) | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0), UINT64_C(0x700000000));
    EXPECT_EQ(virtual_load(&mmu, false, UINT32_MAX), UINT64_C(0x7ffffffff));
    EXPECT_EQ(translate(0, VMMU_BOOKE_LOAD, false).page_bytes, UINT64_C(0x100000000));
}

static void test_a_page_of_more_than_4g_ignores_rpn_bits_of_mas7_too(void **state)
{
    const struct vmmu_booke_config config = { { 0x04110200, 0x101dc010 }, 3, 8, 36 };

    (void)state;
    virtual_start_as(&mmu, &config);
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(12), 0x12345000, UINT64_C(0x789abc000) | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0xfedcba98), UINT64_C(0x4fedcba98));
    EXPECT_EQ(translate(0, VMMU_BOOKE_LOAD, false).page_bytes, UINT64_C(0x400000000));
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(13), 0x12345000, UINT64_C(0xf89abc000) | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0xfedcba98), UINT64_C(0x0fedcba98));
    EXPECT_EQ(translate(0, VMMU_BOOKE_LOAD, false).page_bytes, UINT64_C(0x1000000000));
}

static void test_a_page_of_tlb0_maps_4k_anywhere_in_36_bits(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(3, 0), V, 0xfffff000, UINT64_C(0xfffff5000) | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0xffffffff), UINT64_C(0xfffff5fff));
    EXPECT_EQ(virtual_load(&mmu, false, 0x7ffff000), MISSED); /* the same set, another page */
}

static void test_an_entry_that_is_not_valid_does_not_match(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, WAY(0, 0), TSIZE(1), 0x1000, ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(0), TSIZE(1), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0x1000), MISSED);
}

static void test_ts_is_compared_with_the_address_space_of_the_access(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(1), 0x1000, 0x10000 | ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(1), V | TS | TSIZE(1), 0x1000, 0x20000 | ALL_RIGHTS);
    (void)virtual_write(&mmu, WAY(0, 0), V | TS, 0x2000, 0x30000 | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0x1000), 0x10000);
    EXPECT_EQ(virtual_load(&mmu, true, 0x1000), 0x20000);
    EXPECT_EQ(virtual_load(&mmu, false, 0x2000), MISSED);
    EXPECT_EQ(virtual_load(&mmu, true, 0x2000), 0x30000);
}

static void test_any_of_the_three_pids_matches_and_no_other(void **state)
{
    (void)state;
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID0, 1);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID1, 2);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID2, 255);
    for (uint32_t tid = 1; tid < 256; tid++) {
        const bool matches = tid == 1 || tid == 2 || tid == 255;

        (void)virtual_write(&mmu, ENTRY(15), V | TID(tid) | TSIZE(1), 0x1000, ALL_RIGHTS);
        (void)virtual_write(&mmu, WAY(2, 0), V | TID(tid), 0x2000, ALL_RIGHTS);
        EXPECT_EQ(virtual_load(&mmu, false, 0x1000), matches ? 0 : MISSED);
        EXPECT_EQ(virtual_load(&mmu, false, 0x2000), matches ? 0 : MISSED);
    }
}

static void test_tid_0_matches_whatever_the_pids_are(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(1), 0x1000, ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0x1000), 0);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID0, 1);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID1, 2);
    vmmu_booke_set(&mmu.booke, VMMU_BOOKE_PID2, 3);
    EXPECT_EQ(virtual_load(&mmu, false, 0x1000), 0);
}

static void test_each_kind_of_access_needs_its_own_right_of_its_own_state(void **state)
{
    static const struct {
        enum vmmu_booke_kind kind;
        bool problem;
        uint32_t right;
    } needs[] = {
        { VMMU_BOOKE_LOAD, false, SR }, { VMMU_BOOKE_LOAD, true, UR },   { VMMU_BOOKE_STORE, false, SW },
        { VMMU_BOOKE_STORE, true, UW }, { VMMU_BOOKE_FETCH, false, SX }, { VMMU_BOOKE_FETCH, true, UX },
    };

    (void)state;
    for (uint32_t rights = 0; rights < 64; rights++) {
        (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(1), 0x1000, rights);
        for (unsigned i = 0; i < 6; i++) {
            const struct vmmu_booke_result result = translate(0x1000, needs[i].kind, needs[i].problem);

            EXPECT_EQ(result.verdict, rights & needs[i].right ? VMMU_BOOKE_HIT : VMMU_BOOKE_REFUSED);
            EXPECT_EQ(result.index, TLB1_INDEX(0));
        }
    }
}

static void test_a_refused_or_missing_store_sets_st_and_loads_and_fetches_do_not(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(0), V | TSIZE(1), 0x1000, 0);
    for (uint32_t ea = 0x1000; ea <= 0x2000; ea += 0x1000) {
        EXPECT_EQ(translate(ea, VMMU_BOOKE_STORE, false).esr, ST);
        EXPECT_EQ(translate(ea, VMMU_BOOKE_LOAD, false).esr, 0);
        EXPECT_EQ(translate(ea, VMMU_BOOKE_FETCH, true).esr, 0);
    }
    EXPECT_EQ(translate(0x1000, VMMU_BOOKE_STORE, false).verdict, VMMU_BOOKE_REFUSED);
    EXPECT_EQ(translate(0x2000, VMMU_BOOKE_STORE, false).verdict, VMMU_BOOKE_MISS);
}

static void test_a_hit_tells_the_entry_and_its_attributes(void **state)
{
    struct vmmu_booke_result result;

    (void)state;
    (void)virtual_write(&mmu, WAY(2, 0), V, 0x00003075, 0x9000 | ALL_RIGHTS);
    result = translate(0x3abc, VMMU_BOOKE_STORE, true);
    EXPECT_EQ(result.verdict, VMMU_BOOKE_HIT);
    EXPECT_EQ(result.index, TLB0_INDEX(0x3000U, 2));
    EXPECT_EQ(result.gpa.v, 0x9abc);
    EXPECT_EQ(result.page_bytes, 4096);
    EXPECT_EQ(result.attributes, 0x75);
    EXPECT_EQ(result.esr, 0);
}

static void test_of_several_entries_that_match_the_lowest_index_counts(void **state)
{
    (void)state;
    (void)virtual_write(&mmu, ENTRY(3), V | TSIZE(5), 0, 0x300000 | ALL_RIGHTS);
    (void)virtual_write(&mmu, ENTRY(1), V | TSIZE(2), 0, 0x100000 | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0), 0x100000);
    EXPECT_EQ(virtual_load(&mmu, false, 0x4000), 0x304000);
    (void)virtual_write(&mmu, WAY(3, 0), V, 0, 0x500000 | ALL_RIGHTS);
    EXPECT_EQ(virtual_load(&mmu, false, 0), 0x500000);
    (void)virtual_write(&mmu, WAY(0, 0), V, 0, 0);
    EXPECT_EQ(virtual_load(&mmu, false, 0), REFUSED); /* it counts though it refuses */
}

static void test_any_entry_of_tlb1_is_found_whichever_others_come_and_go(void **state)
{
    (void)state;
    for (uint32_t last = 0; last < 16; last++) {
        for (uint32_t i = 0; i <= last; i++) {
            (void)virtual_write(&mmu, ENTRY(i), V | TSIZE(1), i << 12, i << 16 | ALL_RIGHTS);
        }
        EXPECT_EQ(virtual_load(&mmu, false, last << 12), last << 16);
        (void)virtual_write(&mmu, ENTRY(last), 0, 0, 0);
        vmmu_booke_invalidate(&mmu.booke, 0x0000 | 8);
        EXPECT_EQ(virtual_load(&mmu, false, last << 12), MISSED);
        EXPECT_EQ(virtual_load(&mmu, false, 0), MISSED);
        for (uint32_t i = 1; i < last; i++) {
            EXPECT_EQ(virtual_load(&mmu, false, i << 12), i << 16);
        }
        vmmu_booke_invalidate(&mmu.booke, 8 | 4);
    }
}

static void test_translation_changes_nothing(void **state)
{
    const struct vmmu_booke_mas before = {
        .mas0 = ENTRY(0), .mas1 = V | TSIZE(1), .mas2 = 0x1000, .mas3 = ALL_RIGHTS
    };

    (void)state;
    (void)virtual_write(&mmu, before.mas0, before.mas1, before.mas2, before.mas3);
    (void)translate(0x1000, VMMU_BOOKE_LOAD, false);
    (void)translate(0x2000, VMMU_BOOKE_STORE, true);
    EXPECT_EQ(mmu.booke.mas.mas0, before.mas0);
    EXPECT_EQ(mmu.booke.mas.mas1, before.mas1);
    EXPECT_EQ(mmu.booke.mas.mas2, before.mas2);
    EXPECT_EQ(mmu.booke.mas.mas3, before.mas3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_page_of_each_size_maps_its_bytes_and_no_others, start),
        cmocka_unit_test_setup(test_a_page_of_4g_maps_every_effective_address, start),
        cmocka_unit_test_setup(test_a_page_of_more_than_4g_ignores_rpn_bits_of_mas7_too, start),
        cmocka_unit_test_setup(test_a_page_of_tlb0_maps_4k_anywhere_in_36_bits, start),
        cmocka_unit_test_setup(test_an_entry_that_is_not_valid_does_not_match, start),
        cmocka_unit_test_setup(test_ts_is_compared_with_the_address_space_of_the_access, start),
        cmocka_unit_test_setup(test_any_of_the_three_pids_matches_and_no_other, start),
        cmocka_unit_test_setup(test_tid_0_matches_whatever_the_pids_are, start),
        cmocka_unit_test_setup(test_each_kind_of_access_needs_its_own_right_of_its_own_state, start),
        cmocka_unit_test_setup(test_a_refused_or_missing_store_sets_st_and_loads_and_fetches_do_not, start),
        cmocka_unit_test_setup(test_a_hit_tells_the_entry_and_its_attributes, start),
        cmocka_unit_test_setup(test_of_several_entries_that_match_the_lowest_index_counts, start),
        cmocka_unit_test_setup(test_any_entry_of_tlb1_is_found_whichever_others_come_and_go, start),
        cmocka_unit_test_setup(test_translation_changes_nothing, start),
    };

    return RUN_TESTS(tests);
}
