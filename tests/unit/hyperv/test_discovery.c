/* TLFS "Feature and Interface Discovery". */
#include "tests/unit/hyperv/partition.h"
#include "tests/unit/test.h"

#include <string.h>

static struct vmmu_hyperv_cpuid leaf_of(const struct vmmu_hyperv_config *config, uint32_t leaf)
{
    const struct fixture f = fixture_of(config);

    return vmmu_hyperv_cpuid_leaf(&f.partition, leaf);
}

static void test_vendor_leaf_names_microsoft_hv_and_the_highest_leaf(void **state)
{
    const struct vmmu_hyperv_config config = full_config();
    const struct vmmu_hyperv_cpuid leaf = leaf_of(&config, 0x40000000);
    char name[13] = { 0 };

    (void)state;
    memcpy(name, &leaf.ebx, 4);
    memcpy(name + 4, &leaf.ecx, 4);
    memcpy(name + 8, &leaf.edx, 4);
    assert_string_equal(name, "Microsoft Hv");
    EXPECT(leaf.eax >= 0x40000005);
    EXPECT_EQ(leaf.eax, VMMU_HYPERV_CPUID_LAST);
}

static void test_interface_leaf_says_hv_1(void **state)
{
    const struct vmmu_hyperv_config config = full_config();
    const struct vmmu_hyperv_cpuid leaf = leaf_of(&config, 0x40000001);

    (void)state;
    assert_memory_equal(&leaf.eax, "Hv#1", 4);
}

static void test_version_is_zero_until_the_guest_has_named_itself(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    EXPECT_EQ(vmmu_hyperv_cpuid_leaf(&f.partition, 0x40000002).ebx, 0);
    vmmu_hyperv_msr_write(&f.partition, &f.vp, 0x40000000, 0x8100000600010000);
    EXPECT_EQ(vmmu_hyperv_cpuid_leaf(&f.partition, 0x40000002).ebx, 0x00060001);
}

/* The bits by which Linux 6.1 takes clock, TSC and APIC timer frequency from us, and calibrates nothing. */
static void test_features_are_what_a_kernel_needs_to_calibrate_nothing(void **state)
{
    const struct vmmu_hyperv_config config = full_config();
    const struct vmmu_hyperv_cpuid leaf = leaf_of(&config, 0x40000003);

    (void)state;
    EXPECT(leaf.eax & 1u << 1);  /* TIME_REF_COUNT */
    EXPECT(leaf.eax & 1u << 4);  /* EOI, ICR, TPR, VP_ASSIST_PAGE */
    EXPECT(leaf.eax & 1u << 5);  /* GUEST_OS_ID, HYPERCALL */
    EXPECT(leaf.eax & 1u << 6);  /* VP_INDEX */
    EXPECT(leaf.eax & 1u << 9);  /* REFERENCE_TSC */
    EXPECT(leaf.eax & 1u << 11); /* TSC_FREQUENCY, APIC_FREQUENCY */
    EXPECT(leaf.eax & 1u << 15); /* TSC_INVARIANT_CONTROL */
    EXPECT(leaf.edx & 1u << 8);  /* the frequency MSRs stand */
}

static void test_nothing_is_announced_that_does_not_stand(void **state)
{
    const struct vmmu_hyperv_config config = full_config();
    const struct vmmu_hyperv_cpuid leaf = leaf_of(&config, 0x40000003);
    const uint32_t stands = 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 9 | 1u << 11 | 1u << 15;

    (void)state;
    EXPECT_EQ(leaf.eax, stands); /* no VP runtime, SynIC, stimers, reset, statistics, idle, reenlightenment */
    EXPECT_EQ(leaf.ebx, 0);      /* nobody's parent */
    EXPECT_EQ(leaf.edx, 1u << 8 | 1u << 10); /* frequency MSRs, crash MSRs; no XMM input, no direct stimers */
}

static void test_a_parent_has_the_synic_and_the_calls_about_its_children(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    config.privileges = BIT64(2) | BIT64(32) | BIT64(49);
    EXPECT(leaf_of(&config, 0x40000003).eax & 1u << 2);
    EXPECT_EQ(leaf_of(&config, 0x40000003).ebx, 1u << 0 | 1u << 17);
    EXPECT_EQ(vmmu_hyperv_privileges(&config) >> 32, 1u << 0 | 1u << 17);
}

static void test_privileges_that_nothing_stands_for_cannot_be_given(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    config.privileges = UINT64_MAX;
    EXPECT_EQ(leaf_of(&config, 0x40000003).eax & (1u << 0 | 1u << 3 | 1u << 7 | 1u << 8), 0);
    EXPECT_EQ(leaf_of(&config, 0x40000003).ebx, 1u << 0 | 1u << 17);
}

static void test_an_apic_without_msrs_is_neither_offered_nor_recommended(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    config.apic_msrs = false;
    EXPECT_EQ(leaf_of(&config, 0x40000003).eax & 1u << 4, 0);
    EXPECT_EQ(leaf_of(&config, 0x40000004).eax & 1u << 3, 0);
}

static void test_a_tsc_that_may_change_is_not_called_invariant(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    config.tsc_is_invariant = false;
    EXPECT_EQ(leaf_of(&config, 0x40000003).eax & 1u << 15, 0);
}

static void test_recommendations_are_apic_msrs_and_relaxed_timing(void **state)
{
    struct vmmu_hyperv_config config = full_config();
    struct vmmu_hyperv_cpuid leaf;

    (void)state;
    config.second_level = true;
    leaf = leaf_of(&config, 0x40000004);
    EXPECT_EQ(leaf.eax, 1u << 3 | 1u << 5);
    EXPECT_EQ(leaf.ebx, 0xFFFFFFFF); /* a VP that is alone need never tell of a long spin */
}

static void test_without_second_level_paging_switches_and_local_flushes_are_better_calls(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    EXPECT_EQ(leaf_of(&config, 0x40000004).eax & 3, 3);
    config.second_level = true;
    EXPECT_EQ(leaf_of(&config, 0x40000004).eax & 3, 0);
}

static void test_several_processors_are_told_to_flush_remotely_by_hypercall(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    config.vp_count = 4;
    EXPECT(leaf_of(&config, 0x40000004).eax & 1u << 2);
    EXPECT(leaf_of(&config, 0x40000004).ebx != 0xFFFFFFFF);
}

static void test_limits_and_hardware_leaves(void **state)
{
    struct vmmu_hyperv_config config = full_config();

    (void)state;
    EXPECT_EQ(leaf_of(&config, 0x40000005).eax, VMMU_HYPERV_VPS);
    EXPECT_EQ(leaf_of(&config, 0x40000006).eax, 0);
    config.second_level = true;
    EXPECT_EQ(leaf_of(&config, 0x40000006).eax, 1u << 3);
}

static void test_other_leaves_are_zero(void **state)
{
    static const uint32_t leaves[] = { 0x3FFFFFFF, 0x40000007, 0x40000082, 0x400000FF, 0 };
    const struct vmmu_hyperv_config config = full_config();

    (void)state;
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        const struct vmmu_hyperv_cpuid leaf = leaf_of(&config, leaves[i]);

        EXPECT_EQ(leaf.eax | leaf.ebx | leaf.ecx | leaf.edx, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vendor_leaf_names_microsoft_hv_and_the_highest_leaf),
        cmocka_unit_test(test_interface_leaf_says_hv_1),
        cmocka_unit_test(test_version_is_zero_until_the_guest_has_named_itself),
        cmocka_unit_test(test_features_are_what_a_kernel_needs_to_calibrate_nothing),
        cmocka_unit_test(test_nothing_is_announced_that_does_not_stand),
        cmocka_unit_test(test_a_parent_has_the_synic_and_the_calls_about_its_children),
        cmocka_unit_test(test_privileges_that_nothing_stands_for_cannot_be_given),
        cmocka_unit_test(test_without_second_level_paging_switches_and_local_flushes_are_better_calls),
        cmocka_unit_test(test_an_apic_without_msrs_is_neither_offered_nor_recommended),
        cmocka_unit_test(test_a_tsc_that_may_change_is_not_called_invariant),
        cmocka_unit_test(test_recommendations_are_apic_msrs_and_relaxed_timing),
        cmocka_unit_test(test_several_processors_are_told_to_flush_remotely_by_hypercall),
        cmocka_unit_test(test_limits_and_hardware_leaves),
        cmocka_unit_test(test_other_leaves_are_zero),
    };

    return RUN_TESTS(tests);
}
