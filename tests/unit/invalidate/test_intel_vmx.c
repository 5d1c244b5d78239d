/* What INVVPID, INVEPT, EPT violations and VM transitions remove; under which tags mappings are cached. */
#include "tests/unit/test.h"

#include "intel.h"

/* EPTP of stage A: write-back, four levels. */
#define EPTP_A (EP4TA_A | UINT64_C(0x1e))

static struct vmmu_tlb_scopes invvpid(uint64_t type, uint64_t vpid, uint64_t address)
{
    const struct vmmu_x86_invalidation operands = { .type = type, .descriptor = { vpid, address } };
    struct vmmu_tlb_scopes scopes;

    EXPECT_EQ(vmmu_invalidate_invvpid(&intel_cpu, &operands, &scopes), VMMU_OK);
    return scopes;
}

static struct vmmu_tlb_scopes invept(uint64_t type, uint64_t eptp)
{
    const struct vmmu_x86_invalidation operands = { .type = type, .descriptor = { eptp, 0 } };
    struct vmmu_tlb_scopes scopes;

    EXPECT_EQ(vmmu_invalidate_invept(&intel_cpu, &operands, &scopes), VMMU_OK);
    return scopes;
}

static void test_invvpid_of_an_address_removes_it_for_every_pcid_and_ep4ta_globals_too(void **state)
{
    (void)state;
    EXPECT_GONE(invvpid(VMMU_X86_INVVPID_ADDRESS, 1, HERE), ROWS_OF_VPID_1("T.S.G."));
}

static void test_invvpid_of_a_context_removes_all_of_the_vpid(void **state)
{
    (void)state;
    EXPECT_GONE(invvpid(VMMU_X86_INVVPID_CONTEXT, 1, 0), ROWS_OF_VPID_1(EVERYTHING));
    EXPECT_GONE(
        invvpid(VMMU_X86_INVVPID_CONTEXT, 2, 0), [LINEAR_2_5] = EVERYTHING, [COMBINED_2_5_A] = EVERYTHING);
}

static void test_invvpid_of_all_contexts_spares_vpid_0(void **state)
{
    (void)state;
    EXPECT_GONE(invvpid(VMMU_X86_INVVPID_ALL, 0, 0),
                ROWS_OF_VPID_1(EVERYTHING), [LINEAR_2_5] = EVERYTHING, [COMBINED_2_5_A] = EVERYTHING);
}

static void test_invvpid_retaining_globals_removes_the_rest_of_the_vpid(void **state)
{
    (void)state;
    EXPECT_GONE(invvpid(VMMU_X86_INVVPID_CONTEXT_RETAINING_GLOBALS, 1, 0), ROWS_OF_VPID_1(NON_GLOBALS));
}

static void test_invept_of_a_context_removes_guest_physical_and_combined_mappings_of_its_ep4ta(void **state)
{
    (void)state;
    EXPECT_GONE(invept(VMMU_X86_INVEPT_CONTEXT, EPTP_A), [COMBINED_0_5_A] = EVERYTHING,
                [COMBINED_1_0_A] = EVERYTHING, [COMBINED_1_5_A] = EVERYTHING, [COMBINED_1_6_A] = EVERYTHING,
                [COMBINED_2_5_A] = EVERYTHING, [PHYSICAL_A] = NON_GLOBALS);
}

static void test_eptps_that_differ_only_in_type_length_and_flags_share_their_mappings(void **state)
{
    const uint64_t five_levels_uncached_with_flags = EP4TA_A | BIT64(6) | UINT64_C(0x20);

    (void)state;
    EXPECT_EQ(vmmu_invalidate_ep4ta(five_levels_uncached_with_flags), EP4TA_A);
    EXPECT_GONE(invept(VMMU_X86_INVEPT_CONTEXT, five_levels_uncached_with_flags),
                [COMBINED_0_5_A] = EVERYTHING, [COMBINED_1_0_A] = EVERYTHING, [COMBINED_1_5_A] = EVERYTHING,
                [COMBINED_1_6_A] = EVERYTHING, [COMBINED_2_5_A] = EVERYTHING, [PHYSICAL_A] = NON_GLOBALS);
}

static void test_invept_of_all_contexts_removes_all_but_linear_mappings(void **state)
{
    (void)state;
    EXPECT_GONE(invept(VMMU_X86_INVEPT_ALL, 0), [COMBINED_0_5_A] = EVERYTHING, [COMBINED_1_0_A] = EVERYTHING,
                [COMBINED_1_5_A] = EVERYTHING, [COMBINED_1_6_A] = EVERYTHING, [COMBINED_1_5_B] = EVERYTHING,
                [COMBINED_2_5_A] = EVERYTHING, [PHYSICAL_A] = NON_GLOBALS, [PHYSICAL_B] = NON_GLOBALS);
}

static void test_an_ept_violation_removes_what_translates_the_guest_physical_address(void **state)
{
    (void)state;
    EXPECT_GONE(
        vmmu_invalidate_stage2_fault(&intel_guest, &long_mode, (vmmu_gpa){ HERE }, NULL), [PHYSICAL_A] =
                                                                                              "T.S...");
}

static void test_an_ept_violation_of_a_linear_address_removes_its_combined_mappings_too(void **state)
{
    const vmmu_gva linear = { ELSEWHERE };

    (void)state;
    EXPECT_GONE(vmmu_invalidate_stage2_fault(&intel_guest, &long_mode, (vmmu_gpa){ HERE }, &linear),
                [PHYSICAL_A] = "T.S...", [COMBINED_1_0_A] = ".....g", [COMBINED_1_5_A] = ".t.s.g",
                [COMBINED_1_6_A] = ".....g");
}

static void test_vm_transitions_without_vpid_remove_everything_of_vpid_0(void **state)
{
    const struct vmmu_x86_tags guest = { .vendor = VMMU_X86_INTEL, .nested = true, .stage2 = EP4TA_A };

    (void)state;
    EXPECT_GONE(vmmu_invalidate_vm_transition(&guest), [LINEAR_0_0] = EVERYTHING, [LINEAR_0_5] = EVERYTHING,
                [COMBINED_0_5_A] = EVERYTHING);
}

static void test_vm_transitions_with_vpid_remove_nothing(void **state)
{
    (void)state;
    EXPECT(removes_nothing(vmmu_invalidate_vm_transition(&intel_guest)));
    EXPECT(removes_nothing(vmmu_invalidate_vm_transition(&intel_guest_without_ept)));
}

static void expect_key(struct vmmu_x86_cache_key actual, enum intel_row row)
{
    EXPECT_EQ(actual.kind, intel_rows[row].key.kind);
    EXPECT_EQ(actual.tag.stage2, intel_rows[row].key.tag.stage2);
    EXPECT_EQ(actual.tag.space, intel_rows[row].key.tag.space);
    EXPECT_EQ(actual.tag.context, intel_rows[row].key.tag.context);
}

static void test_under_ept_linear_addresses_have_combined_mappings_of_vpid_pcid_and_ep4ta(void **state)
{
    (void)state;
    expect_key(vmmu_invalidate_linear_key(&intel_guest, 5), COMBINED_1_5_A);
    expect_key(vmmu_invalidate_linear_key(&intel_guest, 6), COMBINED_1_6_A);
}

static void test_without_ept_linear_addresses_have_linear_mappings_of_vpid_and_pcid(void **state)
{
    (void)state;
    expect_key(vmmu_invalidate_linear_key(&intel_guest_without_ept, 5), LINEAR_1_5);
    expect_key(vmmu_invalidate_linear_key(&intel_host, 5), LINEAR_0_5);
}

static void test_guest_physical_mappings_have_no_tag_but_the_ep4ta(void **state)
{
    (void)state;
    expect_key(vmmu_invalidate_guest_physical_key(&intel_guest), PHYSICAL_A);
}

static void test_the_current_pcid_is_cr3s_low_bits_under_pcide_and_else_0(void **state)
{
    (void)state;
    EXPECT_EQ(vmmu_invalidate_pcid(&long_mode), 5);
    EXPECT_EQ(vmmu_invalidate_pcid(&long_mode_without_pcids), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invvpid_of_an_address_removes_it_for_every_pcid_and_ep4ta_globals_too),
        cmocka_unit_test(test_invvpid_of_a_context_removes_all_of_the_vpid),
        cmocka_unit_test(test_invvpid_of_all_contexts_spares_vpid_0),
        cmocka_unit_test(test_invvpid_retaining_globals_removes_the_rest_of_the_vpid),
        cmocka_unit_test(test_invept_of_a_context_removes_guest_physical_and_combined_mappings_of_its_ep4ta),
        cmocka_unit_test(test_eptps_that_differ_only_in_type_length_and_flags_share_their_mappings),
        cmocka_unit_test(test_invept_of_all_contexts_removes_all_but_linear_mappings),
        cmocka_unit_test(test_an_ept_violation_removes_what_translates_the_guest_physical_address),
        cmocka_unit_test(test_an_ept_violation_of_a_linear_address_removes_its_combined_mappings_too),
        cmocka_unit_test(test_vm_transitions_without_vpid_remove_everything_of_vpid_0),
        cmocka_unit_test(test_vm_transitions_with_vpid_remove_nothing),
        cmocka_unit_test(test_under_ept_linear_addresses_have_combined_mappings_of_vpid_pcid_and_ep4ta),
        cmocka_unit_test(test_without_ept_linear_addresses_have_linear_mappings_of_vpid_and_pcid),
        cmocka_unit_test(test_guest_physical_mappings_have_no_tag_but_the_ep4ta),
        cmocka_unit_test(test_the_current_pcid_is_cr3s_low_bits_under_pcide_and_else_0),
    };

    return RUN_TESTS(tests);
}
