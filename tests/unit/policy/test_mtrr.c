/* Memory types by MTRRs. Expected values: SDM 3A "Memory Type Range Registers (MTRRs)". */
#include "hv/x86/policy/mtrr.h"
#include "tests/unit/test.h"

#define ENABLE       BIT64(11)
#define ENABLE_FIXED BIT64(10)
#define VALID        BIT64(11)

static struct x86_msrs reset(void)
{
    struct x86_msrs msrs;

    x86_msrs_reset(&msrs, &(struct x86_msrs_config){ .maxphyaddr = 40 });
    return msrs;
}

static void range(struct x86_msrs *msrs, unsigned i, uint64_t base, uint64_t bytes, unsigned type)
{
    msrs->mtrr_base[i] = base | type;
    msrs->mtrr_mask[i] = (BITS64(39, 0) & ~(bytes - 1)) | VALID;
}

static enum vmmu_x86_memory_type at(const struct x86_msrs *msrs, uint64_t gpa)
{
    return x86_mtrr_type(msrs, (vmmu_gpa){ gpa });
}

static void test_all_memory_is_write_back_after_reset(void **state)
{
    const struct x86_msrs msrs = reset();

    (void)state;
    EXPECT_EQ(at(&msrs, 0), VMMU_X86_TYPE_WB);
    EXPECT_EQ(at(&msrs, 0xFFFFF), VMMU_X86_TYPE_WB);
    EXPECT_EQ(at(&msrs, 0x100000), VMMU_X86_TYPE_WB);
    EXPECT_EQ(at(&msrs, BIT64(39)), VMMU_X86_TYPE_WB);
}

static void test_disabled_registers_make_all_memory_uncached(void **state)
{
    struct x86_msrs msrs = reset();

    (void)state;
    msrs.mtrr_default &= ~ENABLE;
    EXPECT_EQ(at(&msrs, 0), VMMU_X86_TYPE_UC);
    EXPECT_EQ(at(&msrs, 0x200000), VMMU_X86_TYPE_UC);
}

static void test_memory_in_no_range_has_the_default_type(void **state)
{
    struct x86_msrs msrs = reset();

    (void)state;
    msrs.mtrr_default = ENABLE | VMMU_X86_TYPE_WT;
    range(&msrs, 0, 0x200000, 0x100000, VMMU_X86_TYPE_WC);
    EXPECT_EQ(at(&msrs, 0x1FF000), VMMU_X86_TYPE_WT);
    EXPECT_EQ(at(&msrs, 0x200000), VMMU_X86_TYPE_WC);
    EXPECT_EQ(at(&msrs, 0x2FF000), VMMU_X86_TYPE_WC);
    EXPECT_EQ(at(&msrs, 0x300000), VMMU_X86_TYPE_WT);
}

static void test_a_range_that_is_not_valid_does_not_count(void **state)
{
    struct x86_msrs msrs = reset();

    (void)state;
    range(&msrs, 0, 0x200000, 0x100000, VMMU_X86_TYPE_WC);
    msrs.mtrr_mask[0] &= ~VALID;
    EXPECT_EQ(at(&msrs, 0x200000), VMMU_X86_TYPE_WB);
}

static void test_uncached_wins_where_ranges_overlap(void **state)
{
    struct x86_msrs msrs = reset();

    (void)state;
    range(&msrs, 0, 0x200000, 0x200000, VMMU_X86_TYPE_WB);
    range(&msrs, 3, 0x300000, 0x100000, VMMU_X86_TYPE_UC);
    EXPECT_EQ(at(&msrs, 0x2FF000), VMMU_X86_TYPE_WB);
    EXPECT_EQ(at(&msrs, 0x300000), VMMU_X86_TYPE_UC);
}

static void test_write_through_wins_over_write_back(void **state)
{
    struct x86_msrs msrs = reset();

    (void)state;
    range(&msrs, 0, 0x200000, 0x200000, VMMU_X86_TYPE_WB);
    range(&msrs, 1, 0x300000, 0x100000, VMMU_X86_TYPE_WT);
    EXPECT_EQ(at(&msrs, 0x300000), VMMU_X86_TYPE_WT);
    range(&msrs, 2, 0x300000, 0x100000, VMMU_X86_TYPE_WB);
    EXPECT_EQ(at(&msrs, 0x300000), VMMU_X86_TYPE_WT);
}

static void test_fixed_ranges_come_first_below_1_mib(void **state)
{
    struct x86_msrs msrs = reset();

    (void)state;
    range(&msrs, 0, 0, 0x200000, VMMU_X86_TYPE_WP);
    msrs.mtrr_fixed[0] = (uint64_t)VMMU_X86_TYPE_WC << 56;  /* 0x70000 to 0x7FFFF; others UC */
    msrs.mtrr_fixed[1] = (uint64_t)VMMU_X86_TYPE_WT;        /* 0x80000 to 0x83FFF */
    msrs.mtrr_fixed[2] = (uint64_t)VMMU_X86_TYPE_WP << 8;   /* 0xA4000 to 0xA7FFF */
    msrs.mtrr_fixed[10] = (uint64_t)VMMU_X86_TYPE_WC << 56; /* 0xFF000 */
    EXPECT_EQ(at(&msrs, 0x6F000), VMMU_X86_TYPE_UC);
    EXPECT_EQ(at(&msrs, 0x70000), VMMU_X86_TYPE_WC);
    EXPECT_EQ(at(&msrs, 0x7FFFF), VMMU_X86_TYPE_WC);
    EXPECT_EQ(at(&msrs, 0x80000), VMMU_X86_TYPE_WT);
    EXPECT_EQ(at(&msrs, 0x84000), VMMU_X86_TYPE_UC);
    EXPECT_EQ(at(&msrs, 0xA4000), VMMU_X86_TYPE_WP);
    EXPECT_EQ(at(&msrs, 0xFF000), VMMU_X86_TYPE_WC);
    EXPECT_EQ(at(&msrs, 0xFE000), VMMU_X86_TYPE_UC);
    EXPECT_EQ(at(&msrs, 0x100000), VMMU_X86_TYPE_WP);
    msrs.mtrr_default &= ~ENABLE_FIXED;
    EXPECT_EQ(at(&msrs, 0x70000), VMMU_X86_TYPE_WP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_memory_is_write_back_after_reset),
        cmocka_unit_test(test_disabled_registers_make_all_memory_uncached),
        cmocka_unit_test(test_memory_in_no_range_has_the_default_type),
        cmocka_unit_test(test_a_range_that_is_not_valid_does_not_count),
        cmocka_unit_test(test_uncached_wins_where_ranges_overlap),
        cmocka_unit_test(test_write_through_wins_over_write_back),
        cmocka_unit_test(test_fixed_ranges_come_first_below_1_mib),
    };

    return RUN_TESTS(tests);
}
