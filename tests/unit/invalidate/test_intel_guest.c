/* What instructions and page faults remove on Intel's processors, in a guest with VPID 1, PCID 5 and EPT. */
#include "tests/unit/test.h"

#include "intel.h"

static struct vmmu_tlb_scopes invlpg(uint64_t address, uint64_t page_bytes)
{
    return vmmu_invalidate_invlpg(&intel_guest, &long_mode, (vmmu_gva){ address }, page_bytes);
}

static struct vmmu_tlb_scopes page_fault(uint64_t address, uint64_t page_bytes)
{
    return vmmu_invalidate_page_fault(&intel_guest, &long_mode, (vmmu_gva){ address }, page_bytes);
}

static struct vmmu_tlb_scopes mov_cr3(uint64_t value)
{
    return vmmu_invalidate_mov_cr3(&intel_guest, &long_mode, value);
}

static struct vmmu_tlb_scopes cr4_without_pcids(uint64_t set, uint64_t clear)
{
    struct vmmu_x86_paging_registers now = long_mode_without_pcids;

    now.cr4 = (now.cr4 & ~set) | clear;
    return vmmu_invalidate_cr4(&intel_guest, &now, (now.cr4 | set) & ~clear);
}

static struct vmmu_tlb_scopes invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
    const struct vmmu_x86_invalidation operands = { .type = type, .descriptor = { pcid, address } };
    struct vmmu_tlb_scopes scopes;

    EXPECT_EQ(vmmu_invalidate_invpcid(&intel_guest, &intel_cpu, &long_mode, &operands, &scopes), VMMU_OK);
    return scopes;
}

static void test_invlpg_removes_the_page_of_this_pcid_and_global_ones_of_any_and_all_structures(void **state)
{
    (void)state;
    EXPECT_GONE(invlpg(HERE, VMMU_PAGE_BYTES), [LINEAR_1_0] = "....G.", [LINEAR_1_5] = "T.SsG.",
                [LINEAR_1_6] = "....G.", [COMBINED_1_0_A] = "....G.", [COMBINED_1_5_A] = "T.SsG.",
                [COMBINED_1_6_A] = "....G.", [COMBINED_1_5_B] = "T.SsG.");
}

static void test_invlpg_ignores_the_offset_in_the_page(void **state)
{
    (void)state;
    EXPECT(
        removes_translation(invlpg(HERE + 0xfff, VMMU_PAGE_BYTES), intel_rows[COMBINED_1_5_A].key, HERE, 12));
    EXPECT(!removes_translation(invlpg(HERE + 0x1000, VMMU_PAGE_BYTES), intel_rows[COMBINED_1_5_A].key, HERE,
                                12));
}

static void test_invlpg_removes_larger_translations_that_cover_the_address(void **state)
{
    const struct vmmu_tlb_scopes scopes = invlpg(HERE, VMMU_PAGE_BYTES);

    (void)state;
    for (unsigned shift = 12; shift <= 30; shift++) {
        const uint64_t base = HERE & ~(BIT64(shift) - 1);

        EXPECT(removes_translation(scopes, intel_rows[COMBINED_1_5_A].key, base, shift));
        EXPECT(!removes_translation(scopes, intel_rows[COMBINED_1_5_A].key, base ^ BIT64(shift), shift));
    }
}

static void test_invlpg_and_page_faults_remove_every_fragment_of_a_large_page(void **state)
{
    static const unsigned page_shifts[] = { 21, 22, 30 };

    (void)state;
    for (unsigned i = 0; i < sizeof(page_shifts) / sizeof(page_shifts[0]); i++) {
        const uint64_t bytes = BIT64(page_shifts[i]);
        const uint64_t first = HERE & ~(bytes - 1);
        const struct vmmu_tlb_scopes both[] = { invlpg(HERE, bytes), page_fault(HERE, bytes) };

        for (unsigned j = 0; j < 2; j++) {
            const struct vmmu_x86_cache_key key = intel_rows[COMBINED_1_5_A].key;

            EXPECT(removes_translation(both[j], key, first, 12));
            EXPECT(removes_translation(both[j], key, first + bytes - VMMU_PAGE_BYTES, 12));
            EXPECT(!removes_translation(both[j], key, first - VMMU_PAGE_BYTES, 12));
            EXPECT(!removes_translation(both[j], key, first + bytes, 12));
        }
    }
}

static void test_a_page_fault_in_a_large_page_spares_structures_that_lead_elsewhere_in_it(void **state)
{
    const struct vmmu_x86_cache_key key = intel_rows[COMBINED_1_5_A].key;
    const uint64_t region = HERE & ~(VMMU_2M_BYTES - 1);
    const struct vmmu_tlb_scopes scopes = page_fault(HERE, VMMU_1G_BYTES);

    (void)state;
    EXPECT(removes_structure(scopes, key, region, 21));
    EXPECT(!removes_structure(scopes, key, region ^ VMMU_2M_BYTES, 21));
    EXPECT(removes_structure(scopes, key, HERE & ~(VMMU_1G_BYTES - 1), 30));
}

static void test_invlpg_of_an_address_that_is_not_canonical_does_nothing(void **state)
{
    struct vmmu_x86_paging_registers five_levels = long_mode;
    const vmmu_gva beyond_48 = { BIT64(47) };
    const vmmu_gva beyond_57 = { BIT64(56) };

    (void)state;
    five_levels.cr4 |= VMMU_X86_CR4_LA57;
    EXPECT(removes_nothing(vmmu_invalidate_invlpg(&intel_guest, &long_mode, beyond_48, VMMU_PAGE_BYTES)));
    EXPECT(!removes_nothing(vmmu_invalidate_invlpg(&intel_guest, &five_levels, beyond_48, VMMU_PAGE_BYTES)));
    EXPECT(removes_nothing(vmmu_invalidate_invlpg(&intel_guest, &five_levels, beyond_57, VMMU_PAGE_BYTES)));
}

static void test_outside_long_mode_every_address_is_canonical(void **state)
{
    const struct vmmu_x86_paging_registers pae = { .cr0 = VMMU_X86_CR0_PG | VMMU_X86_CR0_PE,
                                                   .cr4 = VMMU_X86_CR4_PAE };
    const struct vmmu_tlb_scopes scopes =
        vmmu_invalidate_invlpg(&intel_guest, &pae, (vmmu_gva){ 0xfffff000 }, VMMU_PAGE_BYTES);

    (void)state;
    EXPECT(removes_translation(scopes, intel_rows[COMBINED_1_0_A].key, 0xfffff000, 12));
}

static void test_a_page_fault_removes_the_page_and_the_structures_that_led_to_it(void **state)
{
    (void)state;
    EXPECT_GONE(page_fault(HERE, VMMU_PAGE_BYTES), [LINEAR_1_0] = "....G.", [LINEAR_1_5] = "T.S.G.",
                [LINEAR_1_6] = "....G.", [COMBINED_1_0_A] = "....G.", [COMBINED_1_5_A] = "T.S.G.",
                [COMBINED_1_6_A] = "....G.", [COMBINED_1_5_B] = "T.S.G.");
}

static void test_mov_to_cr3_removes_the_new_pcid_and_spares_globals(void **state)
{
    (void)state;
    EXPECT_GONE(mov_cr3(0x99006), [LINEAR_1_6] = NON_GLOBALS, [COMBINED_1_6_A] = NON_GLOBALS);
    EXPECT_GONE(mov_cr3(0x99005), [LINEAR_1_5] = NON_GLOBALS, [COMBINED_1_5_A] = NON_GLOBALS,
                [COMBINED_1_5_B] = NON_GLOBALS);
}

static void test_mov_to_cr3_with_bit_63_under_pcide_removes_nothing(void **state)
{
    (void)state;
    EXPECT_NOTHING_GONE(mov_cr3(UINT64_C(0x99006) | VMMU_X86_CR3_NO_FLUSH));
    EXPECT_NOTHING_GONE(mov_cr3(UINT64_C(0x77005) | VMMU_X86_CR3_NO_FLUSH));
}

static void test_mov_to_cr3_without_pcide_removes_pcid_0_whatever_the_low_bits(void **state)
{
    (void)state;
    EXPECT_GONE(vmmu_invalidate_mov_cr3(&intel_guest, &long_mode_without_pcids, 0x99006),
                [LINEAR_1_0] = NON_GLOBALS, [COMBINED_1_0_A] = NON_GLOBALS);
}

static void test_bit_63_is_no_order_without_pcide(void **state)
{
    (void)state;
    EXPECT_GONE(vmmu_invalidate_mov_cr3(&intel_guest, &long_mode_without_pcids, VMMU_X86_CR3_NO_FLUSH),
                [LINEAR_1_0] = NON_GLOBALS, [COMBINED_1_0_A] = NON_GLOBALS);
}

static void test_clearing_or_setting_pg_removes_everything_of_the_vpid(void **state)
{
    struct vmmu_x86_paging_registers off = long_mode_without_pcids;

    (void)state;
    off.cr0 &= ~VMMU_X86_CR0_PG;
    EXPECT_GONE(vmmu_invalidate_cr0(&intel_guest, &long_mode_without_pcids, off.cr0),
                ROWS_OF_VPID_1(EVERYTHING));
    EXPECT_GONE(vmmu_invalidate_cr0(&intel_guest, &off, long_mode_without_pcids.cr0),
                ROWS_OF_VPID_1(EVERYTHING));
}

static void test_no_other_bit_of_cr0_needs_to_remove_anything(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 31; bit++) {
        EXPECT_NOTHING_GONE(vmmu_invalidate_cr0(&intel_guest, &long_mode, long_mode.cr0 ^ BIT64(bit)));
    }
}

static void test_changing_pge_removes_everything_of_the_vpid_under_every_pcid(void **state)
{
    const struct vmmu_tlb_scopes both[] = {
        vmmu_invalidate_cr4(&intel_guest, &long_mode, long_mode.cr4 & ~VMMU_X86_CR4_PGE),
        cr4_without_pcids(VMMU_X86_CR4_PGE, 0),
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_GONE(both[i], ROWS_OF_VPID_1(EVERYTHING));
    }
}

static void test_clearing_pcide_removes_everything_of_the_vpid_and_setting_it_nothing(void **state)
{
    (void)state;
    EXPECT_GONE(vmmu_invalidate_cr4(&intel_guest, &long_mode, long_mode.cr4 & ~VMMU_X86_CR4_PCIDE),
                ROWS_OF_VPID_1(EVERYTHING));
    EXPECT_NOTHING_GONE(cr4_without_pcids(VMMU_X86_CR4_PCIDE, 0));
}

static void test_setting_smep_removes_all_of_the_current_pcid_its_globals_too(void **state)
{
    (void)state;
    EXPECT_GONE(vmmu_invalidate_cr4(&intel_guest, &long_mode, long_mode.cr4 | VMMU_X86_CR4_SMEP),
                [LINEAR_1_5] = EVERYTHING, [COMBINED_1_5_A] = EVERYTHING, [COMBINED_1_5_B] = EVERYTHING);
    EXPECT_NOTHING_GONE(cr4_without_pcids(0, VMMU_X86_CR4_SMEP));
}

static void test_changing_pae_removes_all_of_the_current_pcid(void **state)
{
    (void)state;
    EXPECT_GONE(
        cr4_without_pcids(VMMU_X86_CR4_PAE, 0), [LINEAR_1_0] = EVERYTHING, [COMBINED_1_0_A] = EVERYTHING);
    EXPECT_GONE(
        cr4_without_pcids(0, VMMU_X86_CR4_PAE), [LINEAR_1_0] = EVERYTHING, [COMBINED_1_0_A] = EVERYTHING);
}

static void test_no_other_bit_of_cr4_needs_to_remove_anything(void **state)
{
    static const uint64_t causes =
        VMMU_X86_CR4_PGE | VMMU_X86_CR4_PCIDE | VMMU_X86_CR4_PAE | VMMU_X86_CR4_SMEP;

    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(causes & BIT64(bit))) {
            EXPECT_NOTHING_GONE(cr4_without_pcids(BIT64(bit), 0));
            EXPECT_NOTHING_GONE(cr4_without_pcids(0, BIT64(bit)));
        }
    }
}

static void test_invpcid_of_an_address_removes_what_translates_it_but_no_global(void **state)
{
    (void)state;
    EXPECT_GONE(
        invpcid(VMMU_X86_INVPCID_ADDRESS, 6, HERE), [LINEAR_1_6] = "T.S...", [COMBINED_1_6_A] = "T.S...");
}

static void test_invpcid_of_an_address_removes_every_fragment_of_a_large_page(void **state)
{
    const struct vmmu_x86_invalidation operands = { VMMU_X86_INVPCID_ADDRESS, { 6, HERE }, VMMU_2M_BYTES };
    const uint64_t first = HERE & ~(VMMU_2M_BYTES - 1);
    const struct vmmu_x86_cache_key key = intel_rows[COMBINED_1_6_A].key;
    struct vmmu_tlb_scopes scopes;

    (void)state;
    EXPECT_EQ(vmmu_invalidate_invpcid(&intel_guest, &intel_cpu, &long_mode, &operands, &scopes), VMMU_OK);
    EXPECT(removes_translation(scopes, key, first, 12));
    EXPECT(removes_translation(scopes, key, first + VMMU_2M_BYTES - VMMU_PAGE_BYTES, 12));
    EXPECT(!removes_translation(scopes, key, first + VMMU_2M_BYTES, 12));
    EXPECT(!removes_translation(scopes, intel_rows[COMBINED_1_5_A].key, first, 12));
}

static void test_invpcid_of_a_context_removes_all_of_the_pcid_but_globals(void **state)
{
    (void)state;
    EXPECT_GONE(invpcid(VMMU_X86_INVPCID_CONTEXT, 5, 0), [LINEAR_1_5] = NON_GLOBALS,
                [COMBINED_1_5_A] = NON_GLOBALS, [COMBINED_1_5_B] = NON_GLOBALS);
}

static void test_invpcid_of_all_contexts_with_globals_removes_everything_of_the_vpid(void **state)
{
    (void)state;
    EXPECT_GONE(invpcid(VMMU_X86_INVPCID_ALL_WITH_GLOBALS, 5, 0), ROWS_OF_VPID_1(EVERYTHING));
}

static void test_invpcid_of_all_contexts_spares_globals(void **state)
{
    (void)state;
    EXPECT_GONE(invpcid(VMMU_X86_INVPCID_ALL, 5, 0), ROWS_OF_VPID_1(NON_GLOBALS));
}

static void test_the_host_and_a_guest_without_vpid_are_vpid_0(void **state)
{
    (void)state;
    EXPECT_GONE(vmmu_invalidate_mov_cr3(&intel_host, &long_mode, 0x77005), [LINEAR_0_5] = NON_GLOBALS,
                [COMBINED_0_5_A] = NON_GLOBALS);
}

static void
test_linear_mappings_go_even_while_a_second_stage_is_in_use_and_combined_ones_without(void **state)
{
    const struct vmmu_tlb_scopes both[] = {
        mov_cr3(0x77005),
        vmmu_invalidate_mov_cr3(&intel_guest_without_ept, &long_mode, 0x77005),
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_GONE(both[i], [LINEAR_1_5] = NON_GLOBALS, [COMBINED_1_5_A] = NON_GLOBALS,
                    [COMBINED_1_5_B] = NON_GLOBALS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invlpg_removes_the_page_of_this_pcid_and_global_ones_of_any_and_all_structures),
        cmocka_unit_test(test_invlpg_ignores_the_offset_in_the_page),
        cmocka_unit_test(test_invlpg_removes_larger_translations_that_cover_the_address),
        cmocka_unit_test(test_invlpg_and_page_faults_remove_every_fragment_of_a_large_page),
        cmocka_unit_test(test_a_page_fault_in_a_large_page_spares_structures_that_lead_elsewhere_in_it),
        cmocka_unit_test(test_invlpg_of_an_address_that_is_not_canonical_does_nothing),
        cmocka_unit_test(test_outside_long_mode_every_address_is_canonical),
        cmocka_unit_test(test_a_page_fault_removes_the_page_and_the_structures_that_led_to_it),
        cmocka_unit_test(test_mov_to_cr3_removes_the_new_pcid_and_spares_globals),
        cmocka_unit_test(test_mov_to_cr3_with_bit_63_under_pcide_removes_nothing),
        cmocka_unit_test(test_mov_to_cr3_without_pcide_removes_pcid_0_whatever_the_low_bits),
        cmocka_unit_test(test_bit_63_is_no_order_without_pcide),
        cmocka_unit_test(test_clearing_or_setting_pg_removes_everything_of_the_vpid),
        cmocka_unit_test(test_no_other_bit_of_cr0_needs_to_remove_anything),
        cmocka_unit_test(test_changing_pge_removes_everything_of_the_vpid_under_every_pcid),
        cmocka_unit_test(test_clearing_pcide_removes_everything_of_the_vpid_and_setting_it_nothing),
        cmocka_unit_test(test_setting_smep_removes_all_of_the_current_pcid_its_globals_too),
        cmocka_unit_test(test_changing_pae_removes_all_of_the_current_pcid),
        cmocka_unit_test(test_no_other_bit_of_cr4_needs_to_remove_anything),
        cmocka_unit_test(test_invpcid_of_an_address_removes_what_translates_it_but_no_global),
        cmocka_unit_test(test_invpcid_of_an_address_removes_every_fragment_of_a_large_page),
        cmocka_unit_test(test_invpcid_of_a_context_removes_all_of_the_pcid_but_globals),
        cmocka_unit_test(test_invpcid_of_all_contexts_with_globals_removes_everything_of_the_vpid),
        cmocka_unit_test(test_invpcid_of_all_contexts_spares_globals),
        cmocka_unit_test(test_the_host_and_a_guest_without_vpid_are_vpid_0),
        cmocka_unit_test(
            test_linear_mappings_go_even_while_a_second_stage_is_in_use_and_combined_ones_without),
    };

    return RUN_TESTS(tests);
}
