/*
 * Modes of which only the kind of paging and CR3 are known, and registers that select a kind of paging.
 */
#include "tests/unit/test.h"

#include <vmmu/mode.h>

static struct vmmu_x86_mode assumed(enum vmmu_x86_paging paging, uint64_t cr3)
{
    struct vmmu_x86_mode mode = { .paging = VMMU_X86_PAGING_NONE };

    EXPECT_EQ(vmmu_mode_assume(paging, cr3, &mode), VMMU_OK);
    EXPECT_EQ(mode.paging, paging);
    return mode;
}

static void test_each_kind_of_paging_has_its_width_and_its_root(void **state)
{
    (void)state;
    EXPECT_EQ(assumed(VMMU_X86_PAGING_NONE, 0).address_bits, 32);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_32BIT, 0xFFFFF018).root.v, 0xFFFFF000);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_PAE, 0xFFFFFFE0).root.v, 0xFFFFFFE0);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_4LEVEL, 0xFFFFFFFFFF801).root.v, 0xFFFFFFFFFF000);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_4LEVEL, 0).address_bits, 48);
    EXPECT_EQ(assumed(VMMU_X86_PAGING_5LEVEL, 0).address_bits, 57);
}

static void test_rights_are_those_of_the_entries_alone_and_supervisors_respect_read_only_pages(void **state)
{
    static const enum vmmu_x86_paging kinds[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE,
                                                  VMMU_X86_PAGING_4LEVEL, VMMU_X86_PAGING_5LEVEL };
    (void)state;

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct vmmu_x86_mode mode = assumed(kinds[i], 0x1000);

        EXPECT(mode.write_protect);
        EXPECT(!mode.smep && !mode.smap && !mode.user_keys && !mode.system_keys);
        EXPECT_EQ(mode.nx, kinds[i] != VMMU_X86_PAGING_32BIT);
    }
}

static void test_pdptes_are_read_from_memory(void **state)
{
    (void)state;
    EXPECT(assumed(VMMU_X86_PAGING_PAE, 0x1000).pdpte_in_memory);
}

static void test_a_cr3_that_no_processor_has_is_refused(void **state)
{
    struct vmmu_x86_mode mode = { .address_bits = 1 };
    (void)state;

    EXPECT_EQ(vmmu_mode_assume(VMMU_X86_PAGING_4LEVEL, BIT64(52), &mode), VMMU_INVALID);
    EXPECT_EQ(vmmu_mode_assume(VMMU_X86_PAGING_PAE, BIT64(32), &mode), VMMU_INVALID);
    EXPECT_EQ(vmmu_mode_assume(VMMU_X86_PAGING_32BIT, BIT64(32), &mode), VMMU_INVALID);
    EXPECT_EQ(mode.address_bits, 1);
}

/* --- registers that select a kind of paging --- */

static struct vmmu_x86_mode selected(enum vmmu_x86_paging paging, struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_mode mode = { .paging = VMMU_X86_PAGING_NONE };

    vmmu_mode_select(paging, registers);
    EXPECT_EQ(vmmu_mode_make(&vmmu_x86_any_cpu, registers, &mode), VMMU_OK);
    EXPECT_EQ(mode.paging, paging);
    return mode;
}

static void test_registers_of_any_kind_of_paging_come_to_select_any_other(void **state)
{
    struct vmmu_x86_paging_registers registers = { .cr3 = 0x1000, .pdpte_in_memory = true };
    (void)state;

    for (unsigned from = VMMU_X86_PAGING_NONE; from <= VMMU_X86_PAGING_5LEVEL; from++) {
        for (unsigned to = VMMU_X86_PAGING_NONE; to <= VMMU_X86_PAGING_5LEVEL; to++) {
            (void)selected((enum vmmu_x86_paging)from, &registers);
            (void)selected((enum vmmu_x86_paging)to, &registers);
        }
    }
}

static void test_what_does_not_select_the_paging_stays(void **state)
{
    struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_WP,
        .cr3 = 0x5007,
        .cr4 = VMMU_X86_CR4_PGE | VMMU_X86_CR4_SMEP | VMMU_X86_CR4_PCIDE | VMMU_X86_CR4_PKE,
        .efer = VMMU_X86_EFER_SCE,
        .pkru = 4,
    };
    const struct vmmu_x86_mode mode = selected(VMMU_X86_PAGING_4LEVEL, &registers);
    (void)state;

    EXPECT(mode.write_protect && mode.global_pages && mode.smep && mode.user_keys);
    EXPECT_EQ(mode.pcid, 7);
    EXPECT_EQ(mode.pkru, 4);
    EXPECT_EQ(registers.efer, VMMU_X86_EFER_SCE | VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE);
}

static void test_what_only_long_mode_has_goes_outside_of_it(void **state)
{
    struct vmmu_x86_paging_registers registers = { .cr3 = BIT64(40) | 0x5007, .cr4 = VMMU_X86_CR4_PCIDE };
    (void)state;

    (void)selected(VMMU_X86_PAGING_4LEVEL, &registers);
    EXPECT_EQ(registers.cr3, BIT64(40) | 0x5007);
    registers.pdpte_in_memory = true;
    (void)selected(VMMU_X86_PAGING_PAE, &registers);
    EXPECT_EQ(registers.cr3, 0x5007);
    EXPECT_EQ(registers.cr4 & VMMU_X86_CR4_PCIDE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_paging_has_its_width_and_its_root),
        cmocka_unit_test(test_rights_are_those_of_the_entries_alone_and_supervisors_respect_read_only_pages),
        cmocka_unit_test(test_pdptes_are_read_from_memory),
        cmocka_unit_test(test_a_cr3_that_no_processor_has_is_refused),
        cmocka_unit_test(test_registers_of_any_kind_of_paging_come_to_select_any_other),
        cmocka_unit_test(test_what_does_not_select_the_paging_stays),
        cmocka_unit_test(test_what_only_long_mode_has_goes_outside_of_it),
    };
    return RUN_TESTS(tests);
}
