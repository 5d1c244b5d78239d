/* Which values MOV to CR0, CR3 and CR4 and WRMSR to EFER refuse. */
#include "tests/unit/test.h"
#include "tests/unit/walk/world.h"

static enum vmmu_status cr0(const struct vmmu_x86_paging_registers *now, uint64_t value, bool cs_long)
{
    return vmmu_mode_check_cr0(now, value, cs_long);
}

static enum vmmu_status cr4(const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    return vmmu_mode_check_cr4(&full_cpu, now, value);
}

static enum vmmu_status efer(const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    return vmmu_mode_check_efer(&full_cpu, now, value);
}

static void test_cr0_refuses_bits_63_to_32(void **state)
{
    const struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    for (unsigned bit = 32; bit < 64; bit++) {
        EXPECT_EQ(cr0(&now, now.cr0 | BIT64(bit), true), VMMU_GUEST_FAULT);
    }
    EXPECT_EQ(cr0(&now, now.cr0, true), VMMU_OK);
}

static void test_cr0_ignores_reserved_bits_below_32_and_keeps_et(void **state)
{
    const struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);
    const uint64_t reserved = BITS64(28, 19) | BIT64(17) | BITS64(15, 6);

    (void)state;
    EXPECT_EQ(cr0(&now, now.cr0 | reserved, true), VMMU_OK);
    EXPECT_EQ(vmmu_mode_cr0_stored(now.cr0 | reserved), now.cr0 | VMMU_X86_CR0_ET);
}

static void test_cr0_refuses_pg_without_pe_and_nw_without_cd(void **state)
{
    const struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_NONE);

    (void)state;
    EXPECT_EQ(cr0(&now, VMMU_X86_CR0_PG, false), VMMU_GUEST_FAULT);
    EXPECT_EQ(cr0(&now, VMMU_X86_CR0_PG | VMMU_X86_CR0_PE, false), VMMU_OK);
    EXPECT_EQ(cr0(&now, VMMU_X86_CR0_NW, false), VMMU_GUEST_FAULT);
    EXPECT_EQ(cr0(&now, VMMU_X86_CR0_NW | VMMU_X86_CR0_CD, false), VMMU_OK);
}

static void test_cr0_refuses_to_enter_long_mode_without_pae_or_with_a_long_code_segment(void **state)
{
    struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_NONE);
    const uint64_t value = now.cr0 | VMMU_X86_CR0_PG;

    (void)state;
    now.efer = VMMU_X86_EFER_LME;
    EXPECT_EQ(cr0(&now, value, false), VMMU_GUEST_FAULT);
    now.cr4 |= VMMU_X86_CR4_PAE;
    EXPECT_EQ(cr0(&now, value, false), VMMU_OK);
    EXPECT_EQ(cr0(&now, value, true), VMMU_GUEST_FAULT);
}

static void test_cr0_refuses_to_leave_paging_in_64_bit_mode_or_under_pcide(void **state)
{
    struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);
    const uint64_t value = now.cr0 & ~VMMU_X86_CR0_PG;

    (void)state;
    EXPECT_EQ(cr0(&now, value, true), VMMU_GUEST_FAULT);
    EXPECT_EQ(cr0(&now, value, false), VMMU_OK);
    now.cr4 |= VMMU_X86_CR4_PCIDE;
    EXPECT_EQ(cr0(&now, value, false), VMMU_GUEST_FAULT);
}

static void test_cr0_refuses_to_clear_wp_under_cet(void **state)
{
    struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    EXPECT_EQ(cr0(&now, now.cr0 & ~VMMU_X86_CR0_WP, true), VMMU_OK);
    now.cr4 |= VMMU_X86_CR4_CET;
    EXPECT_EQ(cr0(&now, now.cr0 & ~VMMU_X86_CR0_WP, true), VMMU_GUEST_FAULT);
}

static void test_cr3_refuses_bits_from_the_width_up_and_takes_bit_63_under_pcide_only(void **state)
{
    struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_cpu cpu = full_cpu;

    (void)state;
    for (unsigned width = 32; width <= 52; width++) {
        cpu.maxphyaddr = (uint8_t)width;
        EXPECT_EQ(vmmu_mode_check_cr3(&cpu, &now, BITS64(width - 1, 0)), VMMU_OK);
        for (unsigned bit = width; bit < 64; bit++) {
            EXPECT_EQ(vmmu_mode_check_cr3(&cpu, &now, BIT64(bit)), VMMU_GUEST_FAULT);
        }
    }
    now.cr4 |= VMMU_X86_CR4_PCIDE;
    EXPECT_EQ(vmmu_mode_check_cr3(&cpu, &now, BIT64(63) | 0x1005), VMMU_OK);
    EXPECT_EQ(vmmu_mode_check_cr3(&cpu, &now, BIT64(62)), VMMU_GUEST_FAULT);
    EXPECT_EQ(vmmu_mode_cr3_stored(BIT64(63) | 0x1005), 0x1005);
}

static void test_cr4_takes_exactly_the_bits_that_the_processor_offers(void **state)
{
    const struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_NONE);
    const struct vmmu_x86_cpu none = { .maxphyaddr = 32, .cr4_others = VMMU_X86_CR4_DE | VMMU_X86_CR4_SMEP };
    const uint64_t all = VMMU_X86_CR4_PSE | VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_LA57 |
                         VMMU_X86_CR4_PCIDE | VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE |
                         VMMU_X86_CR4_PKS | VMMU_X86_CR4_OSFXSR | VMMU_X86_CR4_CET;

    (void)state;
    EXPECT_EQ(vmmu_mode_cr4_offered(&full_cpu), all);
    EXPECT_EQ(vmmu_mode_cr4_offered(&none), VMMU_X86_CR4_DE);
    for (unsigned bit = 0; bit < 64; bit++) {
        const bool offered = (BIT64(bit) & all) != 0 && BIT64(bit) != VMMU_X86_CR4_PCIDE;

        EXPECT_EQ(cr4(&now, BIT64(bit)), offered ? VMMU_OK : VMMU_GUEST_FAULT);
        EXPECT_EQ(vmmu_mode_check_cr4(&none, &now, BIT64(bit)),
                  BIT64(bit) == VMMU_X86_CR4_DE ? VMMU_OK : VMMU_GUEST_FAULT);
    }
}

static void test_cr4_refuses_to_clear_pae_or_to_change_la57_in_long_mode(void **state)
{
    const struct vmmu_x86_paging_registers four = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_paging_registers five = registers_for(VMMU_X86_PAGING_5LEVEL);
    const struct vmmu_x86_paging_registers pae = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    EXPECT_EQ(cr4(&four, four.cr4 & ~VMMU_X86_CR4_PAE), VMMU_GUEST_FAULT);
    EXPECT_EQ(cr4(&four, four.cr4 | VMMU_X86_CR4_LA57), VMMU_GUEST_FAULT);
    EXPECT_EQ(cr4(&five, five.cr4 & ~VMMU_X86_CR4_LA57), VMMU_GUEST_FAULT);
    EXPECT_EQ(cr4(&five, five.cr4), VMMU_OK);
    EXPECT_EQ(cr4(&pae, pae.cr4 & ~VMMU_X86_CR4_PAE), VMMU_OK);
    EXPECT_EQ(cr4(&pae, pae.cr4 | VMMU_X86_CR4_LA57), VMMU_OK);
}

static void test_cr4_takes_pcide_in_long_mode_with_pcid_zero_only(void **state)
{
    struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_paging_registers pae = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    EXPECT_EQ(cr4(&now, now.cr4 | VMMU_X86_CR4_PCIDE), VMMU_OK);
    EXPECT_EQ(cr4(&pae, pae.cr4 | VMMU_X86_CR4_PCIDE), VMMU_GUEST_FAULT);
    now.cr3 |= 1;
    EXPECT_EQ(cr4(&now, now.cr4 | VMMU_X86_CR4_PCIDE), VMMU_GUEST_FAULT);
    now.cr4 |= VMMU_X86_CR4_PCIDE; /* once set, it may stay set */
    EXPECT_EQ(cr4(&now, now.cr4 | VMMU_X86_CR4_SMEP), VMMU_OK);
    EXPECT_EQ(cr4(&now, now.cr4 & ~VMMU_X86_CR4_PCIDE), VMMU_OK);
}

static void test_cr4_refuses_cet_without_wp(void **state)
{
    struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    EXPECT_EQ(cr4(&now, now.cr4 | VMMU_X86_CR4_CET), VMMU_OK);
    now.cr0 &= ~VMMU_X86_CR0_WP;
    EXPECT_EQ(cr4(&now, now.cr4 | VMMU_X86_CR4_CET), VMMU_GUEST_FAULT);
}

static void test_efer_refuses_what_is_not_offered_and_lme_changes_under_paging(void **state)
{
    const struct vmmu_x86_paging_registers off = registers_for(VMMU_X86_PAGING_NONE);
    const struct vmmu_x86_paging_registers on = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_paging_registers pae = registers_for(VMMU_X86_PAGING_PAE);
    const struct vmmu_x86_cpu none = { .maxphyaddr = 32 };

    (void)state;
    EXPECT_EQ(efer(&off, VMMU_X86_EFER_LME | VMMU_X86_EFER_NXE | VMMU_X86_EFER_SCE), VMMU_OK);
    EXPECT_EQ(efer(&off, VMMU_X86_EFER_SVME), VMMU_GUEST_FAULT);
    EXPECT_EQ(efer(&off, BIT64(63)), VMMU_GUEST_FAULT);
    EXPECT_EQ(efer(&on, on.efer & ~VMMU_X86_EFER_LME), VMMU_GUEST_FAULT);
    EXPECT_EQ(efer(&pae, pae.efer | VMMU_X86_EFER_LME), VMMU_GUEST_FAULT);
    EXPECT_EQ(efer(&on, on.efer & ~VMMU_X86_EFER_NXE), VMMU_OK);
    EXPECT_EQ(vmmu_mode_check_efer(&none, &off, VMMU_X86_EFER_NXE), VMMU_GUEST_FAULT);
    EXPECT_EQ(vmmu_mode_check_efer(&none, &off, VMMU_X86_EFER_LME), VMMU_GUEST_FAULT);
    EXPECT_EQ(vmmu_mode_check_efer(&none, &off, 0), VMMU_OK);
}

static void test_lma_is_read_only_and_follows_lme_and_pg(void **state)
{
    const struct vmmu_x86_paging_registers on = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    EXPECT_EQ(efer(&on, on.efer & ~VMMU_X86_EFER_LMA), VMMU_OK);
    EXPECT_EQ(vmmu_mode_efer_stored(on.efer, on.efer & ~VMMU_X86_EFER_LMA), on.efer);
    EXPECT_EQ(vmmu_mode_efer_stored(0, VMMU_X86_EFER_LMA), 0);
    EXPECT_EQ(vmmu_mode_efer_with_cr0(VMMU_X86_EFER_LME, VMMU_X86_CR0_PG),
              VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA);
    EXPECT_EQ(vmmu_mode_efer_with_cr0(VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA, 0), VMMU_X86_EFER_LME);
    EXPECT_EQ(vmmu_mode_efer_with_cr0(0, VMMU_X86_CR0_PG), 0);
}

/* Every accepted write leads to a state that vmmu_mode_make accepts: over all the bits that have a rule. */
static void test_what_the_checks_accept_is_always_a_possible_state(void **state)
{
    static const uint64_t cr0_bits[] = { VMMU_X86_CR0_PE, VMMU_X86_CR0_PG, VMMU_X86_CR0_WP, VMMU_X86_CR0_CD,
                                         VMMU_X86_CR0_NW };
    static const uint64_t cr4_bits[] = { VMMU_X86_CR4_PAE, VMMU_X86_CR4_LA57, VMMU_X86_CR4_PCIDE,
                                         VMMU_X86_CR4_CET, VMMU_X86_CR4_PSE };
    unsigned accepted = 0;

    (void)state;
    for (unsigned from = 0; from <= VMMU_X86_PAGING_5LEVEL; from++) {
        for (unsigned pick = 0; pick < 32 * 32 * 2; pick++) {
            const struct vmmu_x86_paging_registers now = registers_for((enum vmmu_x86_paging)from);
            struct vmmu_x86_paging_registers next = now;
            struct vmmu_x86_mode mode;
            uint64_t cr0_value = 0, cr4_value = 0;

            for (unsigned i = 0; i < 5; i++) {
                cr0_value |= (pick & (1U << i)) ? cr0_bits[i] : 0;
                cr4_value |= (pick & (32U << i)) ? cr4_bits[i] : 0;
            }
            if (vmmu_mode_check_cr0(&now, cr0_value, pick >= 1024) == VMMU_OK) {
                next.cr0 = vmmu_mode_cr0_stored(cr0_value);
                next.efer = vmmu_mode_efer_with_cr0(now.efer, next.cr0);
                EXPECT_EQ(vmmu_mode_make(&full_cpu, &next, &mode), VMMU_OK);
                accepted++;
            }
            next = now;
            if (vmmu_mode_check_cr4(&full_cpu, &now, cr4_value) == VMMU_OK) {
                next.cr4 = cr4_value;
                EXPECT_EQ(vmmu_mode_make(&full_cpu, &next, &mode), VMMU_OK);
                accepted++;
            }
        }
    }
    EXPECT(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cr0_refuses_bits_63_to_32),
        cmocka_unit_test(test_cr0_ignores_reserved_bits_below_32_and_keeps_et),
        cmocka_unit_test(test_cr0_refuses_pg_without_pe_and_nw_without_cd),
        cmocka_unit_test(test_cr0_refuses_to_enter_long_mode_without_pae_or_with_a_long_code_segment),
        cmocka_unit_test(test_cr0_refuses_to_leave_paging_in_64_bit_mode_or_under_pcide),
        cmocka_unit_test(test_cr0_refuses_to_clear_wp_under_cet),
        cmocka_unit_test(test_cr3_refuses_bits_from_the_width_up_and_takes_bit_63_under_pcide_only),
        cmocka_unit_test(test_cr4_takes_exactly_the_bits_that_the_processor_offers),
        cmocka_unit_test(test_cr4_refuses_to_clear_pae_or_to_change_la57_in_long_mode),
        cmocka_unit_test(test_cr4_takes_pcide_in_long_mode_with_pcid_zero_only),
        cmocka_unit_test(test_cr4_refuses_cet_without_wp),
        cmocka_unit_test(test_efer_refuses_what_is_not_offered_and_lme_changes_under_paging),
        cmocka_unit_test(test_lma_is_read_only_and_follows_lme_and_pg),
        cmocka_unit_test(test_what_the_checks_accept_is_always_a_possible_state),
    };

    return RUN_TESTS(tests);
}
