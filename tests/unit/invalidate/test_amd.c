/* What instructions, faults and VMRUN remove on AMD's processors, in a guest with ASID 1, PCID 5 and NPT. */
#include "tests/unit/test.h"

#include "intel.h"

/* Row names read kind_asid_pcid. Whether an ASID had nested paging then is all that tells kinds apart. */
enum amd_row {
    LINEAR_ASID0_5,
    LINEAR_ASID1_5,
    COMBINED_ASID1_0,
    COMBINED_ASID1_5,
    COMBINED_ASID1_6,
    COMBINED_ASID2_5,
    PHYSICAL_ASID1,
    PHYSICAL_ASID2,
    AMD_ROWS,
};

static const struct tag_row amd_rows[AMD_ROWS] = {
    [LINEAR_ASID0_5] = { "linear, ASID 0, PCID 5", { VMMU_TLB_LINEAR, { 0, 0, 5 } } },
    [LINEAR_ASID1_5] = { "linear, ASID 1, PCID 5", { VMMU_TLB_LINEAR, { 0, 1, 5 } } },
    [COMBINED_ASID1_0] = { "combined, ASID 1, PCID 0", { VMMU_TLB_COMBINED, { 0, 1, 0 } } },
    [COMBINED_ASID1_5] = { "combined, ASID 1, PCID 5", { VMMU_TLB_COMBINED, { 0, 1, 5 } } },
    [COMBINED_ASID1_6] = { "combined, ASID 1, PCID 6", { VMMU_TLB_COMBINED, { 0, 1, 6 } } },
    [COMBINED_ASID2_5] = { "combined, ASID 2, PCID 5", { VMMU_TLB_COMBINED, { 0, 2, 5 } } },
    [PHYSICAL_ASID1] = { "guest-physical, ASID 1", { VMMU_TLB_GUEST_PHYSICAL, { 0, 1, 0 } } },
    [PHYSICAL_ASID2] = { "guest-physical, ASID 2", { VMMU_TLB_GUEST_PHYSICAL, { 0, 2, 0 } } },
};

#define EXPECT_GONE_AMD(scopes, ...)                                                                         \
    expect_gone(amd_rows, AMD_ROWS, (scopes), (const char *const[AMD_ROWS]){ __VA_ARGS__ })

#define EXPECT_NOTHING_GONE_AMD(scopes) EXPECT_GONE_AMD((scopes), [LINEAR_ASID0_5] = NOTHING)

/* The rows of linear addresses in ASID 1, each with the same picture. */
#define ROWS_OF_ASID_1(picture)                                                                              \
    [LINEAR_ASID1_5] = (picture), [COMBINED_ASID1_0] = (picture), [COMBINED_ASID1_5] = (picture),            \
    [COMBINED_ASID1_6] = (picture)

static const struct vmmu_x86_tags amd_guest = {
    .vendor = VMMU_X86_AMD, .tagged = true, .nested = true, .space = 1
};

static const struct vmmu_x86_tags amd_host = { .vendor = VMMU_X86_AMD };

static struct vmmu_tlb_scopes cr4_change(uint64_t set, uint64_t clear)
{
    struct vmmu_x86_paging_registers now = long_mode_without_pcids;

    now.cr4 = (now.cr4 & ~set) | clear;
    return vmmu_invalidate_cr4(&amd_guest, &now, (now.cr4 | set) & ~clear);
}

static struct vmmu_tlb_scopes vmrun(uint8_t control)
{
    struct vmmu_tlb_scopes scopes;

    EXPECT_EQ(vmmu_invalidate_vmrun(1, control, &scopes), VMMU_OK);
    return scopes;
}

static void test_invlpg_removes_the_page_and_all_upper_level_entries(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(vmmu_invalidate_invlpg(&amd_guest, &long_mode, (vmmu_gva){ HERE }, VMMU_PAGE_BYTES),
                    [LINEAR_ASID1_5] = "T.SsG.", [COMBINED_ASID1_0] = "....G.", [COMBINED_ASID1_5] = "T.SsG.",
                    [COMBINED_ASID1_6] = "....G.");
}

static void test_invlpg_under_tce_spares_upper_level_entries_that_do_not_lead_to_the_page(void **state)
{
    struct vmmu_x86_paging_registers tce = long_mode;

    (void)state;
    tce.efer |= VMMU_X86_EFER_TCE;
    EXPECT_GONE_AMD(vmmu_invalidate_invlpg(&amd_guest, &tce, (vmmu_gva){ HERE }, VMMU_PAGE_BYTES),
                    [LINEAR_ASID1_5] = "T.S.G.", [COMBINED_ASID1_0] = "....G.", [COMBINED_ASID1_5] = "T.S.G.",
                    [COMBINED_ASID1_6] = "....G.");
}

static void test_intel_has_no_tce(void **state)
{
    struct vmmu_x86_paging_registers tce = long_mode;

    (void)state;
    tce.efer |= VMMU_X86_EFER_TCE;
    EXPECT_GONE(vmmu_invalidate_invlpg(&intel_guest_without_ept, &tce, (vmmu_gva){ HERE }, VMMU_PAGE_BYTES),
                [LINEAR_1_0] = "....G.", [LINEAR_1_5] = "T.SsG.", [LINEAR_1_6] = "....G.",
                [COMBINED_1_0_A] = "....G.", [COMBINED_1_5_A] = "T.SsG.", [COMBINED_1_6_A] = "....G.",
                [COMBINED_1_5_B] = "T.SsG.");
}

static void
test_invpcid_of_an_address_removes_upper_level_entries_of_the_pcid_all_unless_under_tce(void **state)
{
    const struct vmmu_x86_invalidation operands = { VMMU_X86_INVPCID_ADDRESS, { 6, HERE }, 0 };
    struct vmmu_x86_paging_registers now = long_mode;
    struct vmmu_tlb_scopes scopes;

    (void)state;
    EXPECT_EQ(vmmu_invalidate_invpcid(&amd_guest, &intel_cpu, &now, &operands, &scopes), VMMU_OK);
    EXPECT_GONE_AMD(scopes, [COMBINED_ASID1_6] = "T.Ss..");
    now.efer |= VMMU_X86_EFER_TCE;
    EXPECT_EQ(vmmu_invalidate_invpcid(&amd_guest, &intel_cpu, &now, &operands, &scopes), VMMU_OK);
    EXPECT_GONE_AMD(scopes, [COMBINED_ASID1_6] = "T.S...");
}

static void test_mov_to_cr3_removes_the_new_pcid_of_the_asid_and_spares_globals(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(vmmu_invalidate_mov_cr3(&amd_guest, &long_mode, 0x99006), [COMBINED_ASID1_6] =
                                                                                  NON_GLOBALS);
    EXPECT_GONE_AMD(
        vmmu_invalidate_mov_cr3(&amd_guest, &long_mode_without_pcids, 0x99006), [COMBINED_ASID1_0] =
                                                                                    NON_GLOBALS);
    EXPECT_GONE_AMD(vmmu_invalidate_mov_cr3(&amd_host, &long_mode, 0x99005), [LINEAR_ASID0_5] = NON_GLOBALS);
}

static void test_changing_pg_removes_everything_of_the_asid(void **state)
{
    struct vmmu_x86_paging_registers off = long_mode_without_pcids;

    (void)state;
    off.cr0 &= ~VMMU_X86_CR0_PG;
    EXPECT_GONE_AMD(vmmu_invalidate_cr0(&amd_guest, &long_mode_without_pcids, off.cr0),
                    ROWS_OF_ASID_1(EVERYTHING));
    EXPECT_GONE_AMD(vmmu_invalidate_cr0(&amd_guest, &off, long_mode_without_pcids.cr0),
                    ROWS_OF_ASID_1(EVERYTHING));
}

static void test_changing_pge_pae_or_pse_removes_everything_of_the_asid(void **state)
{
    static const uint64_t bits[] = { VMMU_X86_CR4_PGE, VMMU_X86_CR4_PAE, VMMU_X86_CR4_PSE };

    (void)state;
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        EXPECT_GONE_AMD(cr4_change(bits[i], 0), ROWS_OF_ASID_1(EVERYTHING));
        EXPECT_GONE_AMD(cr4_change(0, bits[i]), ROWS_OF_ASID_1(EVERYTHING));
    }
}

static void test_clearing_pcide_and_setting_pke_remove_everything_and_their_contrary_nothing(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(cr4_change(0, VMMU_X86_CR4_PCIDE), ROWS_OF_ASID_1(EVERYTHING));
    EXPECT_NOTHING_GONE_AMD(cr4_change(VMMU_X86_CR4_PCIDE, 0));
    EXPECT_GONE_AMD(cr4_change(VMMU_X86_CR4_PKE, 0), ROWS_OF_ASID_1(EVERYTHING));
    EXPECT_NOTHING_GONE_AMD(cr4_change(0, VMMU_X86_CR4_PKE));
}

static void test_no_other_bit_of_cr4_needs_to_remove_anything(void **state)
{
    static const uint64_t causes =
        VMMU_X86_CR4_PGE | VMMU_X86_CR4_PAE | VMMU_X86_CR4_PSE | VMMU_X86_CR4_PCIDE | VMMU_X86_CR4_PKE;

    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(causes & BIT64(bit))) {
            EXPECT_NOTHING_GONE_AMD(cr4_change(BIT64(bit), 0));
            EXPECT_NOTHING_GONE_AMD(cr4_change(0, BIT64(bit)));
        }
    }
}

static void test_a_page_fault_removes_the_page_and_the_entries_that_led_to_it(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(vmmu_invalidate_page_fault(&amd_guest, &long_mode, (vmmu_gva){ HERE }, VMMU_PAGE_BYTES),
                    [LINEAR_ASID1_5] = "T.S.G.", [COMBINED_ASID1_0] = "....G.", [COMBINED_ASID1_5] = "T.S.G.",
                    [COMBINED_ASID1_6] = "....G.");
}

static void test_a_nested_page_fault_removes_what_translates_both_addresses_in_the_asid(void **state)
{
    const vmmu_gva linear = { HERE };

    (void)state;
    EXPECT_GONE_AMD(vmmu_invalidate_stage2_fault(&amd_guest, &long_mode, (vmmu_gpa){ ELSEWHERE }, &linear),
                    [PHYSICAL_ASID1] = ".t.s..", [COMBINED_ASID1_0] = "....G.", [COMBINED_ASID1_5] = "T.S.G.",
                    [COMBINED_ASID1_6] = "....G.");
}

static void test_tlb_control_0_removes_nothing(void **state)
{
    (void)state;
    EXPECT_NOTHING_GONE_AMD(vmrun(VMMU_X86_TLB_CONTROL_NOTHING));
}

static void test_tlb_control_1_removes_everything_of_every_asid_the_hosts_too(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(
        vmrun(VMMU_X86_TLB_CONTROL_ALL), ROWS_OF_ASID_1(EVERYTHING), [LINEAR_ASID0_5] = EVERYTHING,
        [COMBINED_ASID2_5] = EVERYTHING, [PHYSICAL_ASID1] = NON_GLOBALS, [PHYSICAL_ASID2] = NON_GLOBALS);
}

static void test_tlb_control_3_removes_all_of_the_asid_guest_physical_mappings_too(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(vmrun(VMMU_X86_TLB_CONTROL_ASID),
                    ROWS_OF_ASID_1(EVERYTHING), [PHYSICAL_ASID1] = NON_GLOBALS);
}

static void test_tlb_control_7_spares_globals_and_guest_physical_mappings(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(vmrun(VMMU_X86_TLB_CONTROL_ASID_RETAINING_GLOBALS), ROWS_OF_ASID_1(NON_GLOBALS));
}

static void test_vmexit_removes_nothing(void **state)
{
    (void)state;
    EXPECT(removes_nothing(vmmu_invalidate_vm_transition(&amd_guest)));
    EXPECT(removes_nothing(vmmu_invalidate_vm_transition(&amd_host)));
}

static void test_invlpga_removes_the_page_in_the_asid_that_it_names_but_never_guest_physical(void **state)
{
    (void)state;
    EXPECT_GONE_AMD(vmmu_invalidate_invlpga((vmmu_gva){ HERE }, 2, VMMU_PAGE_BYTES), [COMBINED_ASID2_5] =
                                                                                         "T.S.G.");
    EXPECT_GONE_AMD(vmmu_invalidate_invlpga((vmmu_gva){ HERE }, 1, VMMU_PAGE_BYTES),
                    ROWS_OF_ASID_1("T.S.G."));
    EXPECT_GONE_AMD(vmmu_invalidate_invlpga((vmmu_gva){ HERE }, 0, VMMU_PAGE_BYTES), [LINEAR_ASID0_5] =
                                                                                         "T.S.G.");
}

static void expect_key(struct vmmu_x86_cache_key actual, enum amd_row row)
{
    EXPECT_EQ(actual.kind, amd_rows[row].key.kind);
    EXPECT_EQ(actual.tag.stage2, 0);
    EXPECT_EQ(actual.tag.space, amd_rows[row].key.tag.space);
    EXPECT_EQ(actual.tag.context, amd_rows[row].key.tag.context);
}

static void test_asid_and_pcid_are_the_tag_and_the_asid_alone_that_of_guest_physical_mappings(void **state)
{
    (void)state;
    expect_key(vmmu_invalidate_linear_key(&amd_guest, 5), COMBINED_ASID1_5);
    expect_key(vmmu_invalidate_linear_key(&amd_host, 5), LINEAR_ASID0_5);
    expect_key(vmmu_invalidate_guest_physical_key(&amd_guest), PHYSICAL_ASID1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invlpg_removes_the_page_and_all_upper_level_entries),
        cmocka_unit_test(test_invlpg_under_tce_spares_upper_level_entries_that_do_not_lead_to_the_page),
        cmocka_unit_test(test_intel_has_no_tce),
        cmocka_unit_test(
            test_invpcid_of_an_address_removes_upper_level_entries_of_the_pcid_all_unless_under_tce),
        cmocka_unit_test(test_mov_to_cr3_removes_the_new_pcid_of_the_asid_and_spares_globals),
        cmocka_unit_test(test_changing_pg_removes_everything_of_the_asid),
        cmocka_unit_test(test_changing_pge_pae_or_pse_removes_everything_of_the_asid),
        cmocka_unit_test(test_clearing_pcide_and_setting_pke_remove_everything_and_their_contrary_nothing),
        cmocka_unit_test(test_no_other_bit_of_cr4_needs_to_remove_anything),
        cmocka_unit_test(test_a_page_fault_removes_the_page_and_the_entries_that_led_to_it),
        cmocka_unit_test(test_a_nested_page_fault_removes_what_translates_both_addresses_in_the_asid),
        cmocka_unit_test(test_tlb_control_0_removes_nothing),
        cmocka_unit_test(test_tlb_control_1_removes_everything_of_every_asid_the_hosts_too),
        cmocka_unit_test(test_tlb_control_3_removes_all_of_the_asid_guest_physical_mappings_too),
        cmocka_unit_test(test_tlb_control_7_spares_globals_and_guest_physical_mappings),
        cmocka_unit_test(test_vmexit_removes_nothing),
        cmocka_unit_test(test_invlpga_removes_the_page_in_the_asid_that_it_names_but_never_guest_physical),
        cmocka_unit_test(test_asid_and_pcid_are_the_tag_and_the_asid_alone_that_of_guest_physical_mappings),
    };

    return RUN_TESTS(tests);
}
