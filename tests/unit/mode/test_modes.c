/* Which paging the control registers select, and which states cannot be. */
#include "tests/unit/test.h"
#include "tests/unit/walk/world.h"

static enum vmmu_status make(const struct vmmu_x86_cpu *cpu,
                             const struct vmmu_x86_paging_registers *registers)
{
    struct vmmu_x86_mode mode;

    return vmmu_mode_make(cpu, registers, &mode);
}

static void test_pg_pae_lme_and_la57_select_the_paging_mode(void **state)
{
    (void)state;
    for (unsigned paging = VMMU_X86_PAGING_NONE; paging <= VMMU_X86_PAGING_5LEVEL; paging++) {
        const struct vmmu_x86_paging_registers registers = registers_for((enum vmmu_x86_paging)paging);

        EXPECT_EQ(mode_of(&registers).paging, paging);
    }
}

static void test_linear_addresses_have_32_48_or_57_bits(void **state)
{
    static const unsigned bits[] = { 32, 32, 32, 48, 57 };

    (void)state;
    for (unsigned paging = VMMU_X86_PAGING_NONE; paging <= VMMU_X86_PAGING_5LEVEL; paging++) {
        const struct vmmu_x86_paging_registers registers = registers_for((enum vmmu_x86_paging)paging);

        EXPECT_EQ(mode_of(&registers).address_bits, bits[paging]);
    }
}

static void test_la57_counts_in_long_mode_only(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_LA57;
    EXPECT_EQ(mode_of(&registers).paging, VMMU_X86_PAGING_PAE);
}

static void test_cr3_names_the_root_by_the_bits_of_each_mode(void **state)
{
    const uint64_t cr3 = UINT64_C(0x000fedcba9876fff);
    static const uint64_t root[] = { 0, 0xa9876000, 0xa9876fe0, UINT64_C(0x000fedcba9876000),
                                     UINT64_C(0x000fedcba9876000) };

    (void)state;
    for (unsigned paging = VMMU_X86_PAGING_NONE; paging <= VMMU_X86_PAGING_5LEVEL; paging++) {
        struct vmmu_x86_paging_registers registers = registers_for((enum vmmu_x86_paging)paging);

        registers.cr3 = cr3;
        EXPECT_EQ(mode_of(&registers).root.v, root[paging]);
    }
}

static void test_the_pcid_is_cr3s_low_twelve_bits_under_pcide(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    registers.cr3 = 0x5abc;
    EXPECT_EQ(mode_of(&registers).pcid, 0);
    registers.cr4 |= VMMU_X86_CR4_PCIDE;
    EXPECT_EQ(mode_of(&registers).pcid, 0xabc);
    EXPECT_EQ(mode_of(&registers).root.v, 0x5000);
}

static void test_32_bit_paging_has_large_leaves_only_under_pse(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_32BIT);

    (void)state;
    EXPECT_EQ(mode_of(&registers).layout.format, VMMU_X86_FORMAT_32BIT_PSE);
    registers.cr4 &= ~VMMU_X86_CR4_PSE;
    EXPECT_EQ(mode_of(&registers).layout.format, VMMU_X86_FORMAT_32BIT);
}

static void test_error_codes_tell_fetches_under_smep_or_under_nxe_with_pae(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_32BIT);

    (void)state;
    registers.efer = VMMU_X86_EFER_NXE;
    EXPECT(!mode_of(&registers).fetch_code);
    EXPECT(!mode_of(&registers).nx);
    registers.cr4 |= VMMU_X86_CR4_SMEP;
    EXPECT(mode_of(&registers).fetch_code);
    registers.cr4 = VMMU_X86_CR4_PAE;
    EXPECT(mode_of(&registers).fetch_code);
    EXPECT(mode_of(&registers).nx);
    registers.efer = 0;
    EXPECT(!mode_of(&registers).fetch_code);
}

static void test_protection_keys_exist_in_long_mode_only(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS;
    EXPECT(!mode_of(&registers).user_keys && !mode_of(&registers).system_keys);
    registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    registers.cr4 |= VMMU_X86_CR4_PKE;
    EXPECT(mode_of(&registers).user_keys && !mode_of(&registers).system_keys);
    registers.cr4 ^= VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS;
    EXPECT(!mode_of(&registers).user_keys && mode_of(&registers).system_keys);
}

static void test_nothing_but_entries_stops_the_reads_of_an_open_mode(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS;

    const struct vmmu_x86_mode mode = mode_of(&registers);
    const struct vmmu_x86_mode open = vmmu_mode_open(&mode);

    EXPECT(mode.smap && mode.user_keys && mode.system_keys);
    EXPECT(!open.smap && !open.user_keys && !open.system_keys);
    EXPECT(open.smep);
    EXPECT_EQ(open.root.v, mode.root.v);
}

struct impossible {
    const char *why;
    enum vmmu_x86_paging paging;
    uint64_t cr0_flip, cr4_flip, efer_flip, cr3;
};

static void test_states_that_no_processor_can_be_in_are_invalid(void **state)
{
    static const struct impossible cases[] = {
        { "PG without PE", VMMU_X86_PAGING_32BIT, VMMU_X86_CR0_PE, 0, 0, 0 },
        { "NW without CD", VMMU_X86_PAGING_32BIT, VMMU_X86_CR0_NW, 0, 0, 0 },
        { "CR0 beyond 32 bits", VMMU_X86_PAGING_32BIT, BIT64(32), 0, 0, 0 },
        { "LMA without LME", VMMU_X86_PAGING_4LEVEL, 0, 0, VMMU_X86_EFER_LME, 0 },
        { "LMA without PG", VMMU_X86_PAGING_4LEVEL, VMMU_X86_CR0_PG, 0, 0, 0 },
        { "LME and PG without LMA", VMMU_X86_PAGING_4LEVEL, 0, 0, VMMU_X86_EFER_LMA, 0 },
        { "long mode without PAE", VMMU_X86_PAGING_4LEVEL, 0, VMMU_X86_CR4_PAE, 0, 0 },
        { "PCIDE outside long mode", VMMU_X86_PAGING_PAE, 0, VMMU_X86_CR4_PCIDE, 0, 0 },
        { "CET without WP", VMMU_X86_PAGING_4LEVEL, VMMU_X86_CR0_WP, VMMU_X86_CR4_CET, 0, 0 },
        { "CR4 bit that is not offered", VMMU_X86_PAGING_4LEVEL, 0, VMMU_X86_CR4_VMXE, 0, 0 },
        { "EFER bit that is not offered", VMMU_X86_PAGING_4LEVEL, 0, 0, VMMU_X86_EFER_SVME, 0 },
        { "CR3 beyond the width", VMMU_X86_PAGING_4LEVEL, 0, 0, 0, BIT64(52) },
        { "CR3 bit 63", VMMU_X86_PAGING_4LEVEL, 0, 0, 0, BIT64(63) },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vmmu_x86_paging_registers registers = registers_for(cases[i].paging);

        EXPECT_EQ(make(&full_cpu, &registers), VMMU_OK);
        registers.cr0 ^= cases[i].cr0_flip;
        registers.cr4 ^= cases[i].cr4_flip;
        registers.efer ^= cases[i].efer_flip;
        registers.cr3 |= cases[i].cr3;
        if (make(&full_cpu, &registers) != VMMU_INVALID) {
            fail_msg("accepted: %s", cases[i].why);
        }
    }
}

static void test_a_width_out_of_range_is_invalid(void **state)
{
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_32BIT);
    struct vmmu_x86_cpu cpu = full_cpu;

    (void)state;
    cpu.maxphyaddr = 31;
    EXPECT_EQ(make(&cpu, &registers), VMMU_INVALID);
    cpu.maxphyaddr = 53;
    EXPECT_EQ(make(&cpu, &registers), VMMU_INVALID);
    cpu.maxphyaddr = 32;
    EXPECT_EQ(make(&cpu, &registers), VMMU_OK);
}

static void test_an_invalid_state_leaves_the_mode_unchanged(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_5LEVEL);
    struct vmmu_x86_mode mode = mode_of(&registers);

    (void)state;
    registers.cr0 &= ~VMMU_X86_CR0_PE;
    EXPECT_EQ(vmmu_mode_make(&full_cpu, &registers, &mode), VMMU_INVALID);
    EXPECT_EQ(mode.paging, VMMU_X86_PAGING_5LEVEL);
}

static void test_a_present_pdpte_register_with_a_reserved_bit_is_invalid(void **state)
{
    static const uint64_t bits[] = { BIT64(1), BIT64(2), BIT64(5), BIT64(8), BIT64(52), BIT64(63) };

    (void)state;
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        for (unsigned which = 0; which < 4; which++) {
            struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);

            registers.pdpte_in_memory = false;
            registers.pdpte[which] = 0x2000 | bits[i];
            EXPECT_EQ(make(&full_cpu, &registers), VMMU_OK); /* not present: ignored */
            registers.pdpte[which] |= 1;
            EXPECT_EQ(make(&full_cpu, &registers), VMMU_INVALID);
            registers.pdpte_in_memory = true; /* then the registers do not exist */
            EXPECT_EQ(make(&full_cpu, &registers), VMMU_OK);
        }
    }
}

static void test_pdptes_are_loaded_from_where_cr3_points_32_bytes_aligned(void **state)
{
    static struct world world;
    uint64_t pdpte[4] = { 0 };

    (void)state;
    world_init(&world);
    for (unsigned i = 0; i < 4; i++) {
        world_write(&world, 0x3fe0 + 8 * i, 8, (0x10000 + 0x1000 * i) | E_P | E_PCD);
    }
    EXPECT_EQ(vmmu_mode_load_pdptes(&full_cpu, &world.ram, UINT64_C(0x500003fff), pdpte), VMMU_OK);
    EXPECT_EQ(pdpte[0], 0x10000 | E_P | E_PCD);
    EXPECT_EQ(pdpte[3], 0x13000 | E_P | E_PCD);
    EXPECT_EQ(world.loads, 4);
}

static void test_loading_a_present_pdpte_with_a_reserved_bit_is_a_fault_and_changes_nothing(void **state)
{
    static struct world world;
    uint64_t pdpte[4] = { 7, 7, 7, 7 };
    struct vmmu_x86_cpu cpu = full_cpu;

    (void)state;
    world_init(&world);
    world_write(&world, 0x1000, 8, 0x10000 | E_P);
    world_write(&world, 0x1018, 8, BIT64(36) | E_P);
    cpu.maxphyaddr = 36;
    EXPECT_EQ(vmmu_mode_load_pdptes(&cpu, &world.ram, 0x1000, pdpte), VMMU_GUEST_FAULT);
    EXPECT_EQ(pdpte[0], 7);
    cpu.maxphyaddr = 37;
    EXPECT_EQ(vmmu_mode_load_pdptes(&cpu, &world.ram, 0x1000, pdpte), VMMU_OK);
    world_write(&world, 0x1018, 8, E_RW);
    EXPECT_EQ(vmmu_mode_load_pdptes(&cpu, &world.ram, 0x1000, pdpte), VMMU_OK);
}

static void test_pdptes_outside_memory_are_absent(void **state)
{
    static struct world world;
    uint64_t pdpte[4] = { 7, 7, 7, 7 };

    (void)state;
    world_init(&world);
    world.absent_base = 0x1008;
    world.absent_bytes = 8;
    EXPECT_EQ(vmmu_mode_load_pdptes(&full_cpu, &world.ram, 0x1000, pdpte), VMMU_ABSENT);
    EXPECT_EQ(pdpte[0], 7);
}

static void
test_moves_to_cr0_and_cr4_load_pdptes_when_pae_paging_results_and_a_listed_bit_changes(void **state)
{
    const struct vmmu_x86_paging_registers now = registers_for(VMMU_X86_PAGING_PAE);
    static const uint64_t cr4_bits[] = { VMMU_X86_CR4_PGE, VMMU_X86_CR4_PSE, VMMU_X86_CR4_SMEP };
    struct vmmu_x86_paging_registers next = now;

    (void)state;
    EXPECT(!vmmu_mode_loads_pdptes(&now, &next));
    for (unsigned i = 0; i < 3; i++) {
        next = now;
        next.cr4 ^= cr4_bits[i];
        EXPECT(vmmu_mode_loads_pdptes(&now, &next));
    }
    next = now;
    next.cr4 ^= VMMU_X86_CR4_SMAP;
    EXPECT(!vmmu_mode_loads_pdptes(&now, &next));
    next = now;
    next.cr0 ^= VMMU_X86_CR0_CD;
    EXPECT(vmmu_mode_loads_pdptes(&now, &next));
    next = now;
    next.cr0 ^= VMMU_X86_CR0_WP;
    EXPECT(!vmmu_mode_loads_pdptes(&now, &next));
    next = now;
    next.cr4 ^= VMMU_X86_CR4_PAE;
    EXPECT(!vmmu_mode_loads_pdptes(&now, &next));
    EXPECT(vmmu_mode_loads_pdptes(&next, &now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_pae_lme_and_la57_select_the_paging_mode),
        cmocka_unit_test(test_linear_addresses_have_32_48_or_57_bits),
        cmocka_unit_test(test_la57_counts_in_long_mode_only),
        cmocka_unit_test(test_cr3_names_the_root_by_the_bits_of_each_mode),
        cmocka_unit_test(test_the_pcid_is_cr3s_low_twelve_bits_under_pcide),
        cmocka_unit_test(test_32_bit_paging_has_large_leaves_only_under_pse),
        cmocka_unit_test(test_error_codes_tell_fetches_under_smep_or_under_nxe_with_pae),
        cmocka_unit_test(test_protection_keys_exist_in_long_mode_only),
        cmocka_unit_test(test_nothing_but_entries_stops_the_reads_of_an_open_mode),
        cmocka_unit_test(test_states_that_no_processor_can_be_in_are_invalid),
        cmocka_unit_test(test_a_width_out_of_range_is_invalid),
        cmocka_unit_test(test_an_invalid_state_leaves_the_mode_unchanged),
        cmocka_unit_test(test_a_present_pdpte_register_with_a_reserved_bit_is_invalid),
        cmocka_unit_test(test_pdptes_are_loaded_from_where_cr3_points_32_bytes_aligned),
        cmocka_unit_test(test_loading_a_present_pdpte_with_a_reserved_bit_is_a_fault_and_changes_nothing),
        cmocka_unit_test(test_pdptes_outside_memory_are_absent),
        cmocka_unit_test(
            test_moves_to_cr0_and_cr4_load_pdptes_when_pae_paging_results_and_a_listed_bit_changes),
    };

    return RUN_TESTS(tests);
}
