/* Broken tables and addresses: which fault, with which error code, and what comes first. */
#include "tests/unit/test.h"
#include "world.h"

static struct world world;
static struct vmmu_x86_walk_result out;

#define P    VMMU_X86_PF_PRESENT
#define W    VMMU_X86_PF_WRITE
#define U    VMMU_X86_PF_USER
#define RSVD VMMU_X86_PF_RESERVED
#define ID   VMMU_X86_PF_FETCH

static const struct vmmu_x86_access reading = { .kind = VMMU_X86_READ };
static const struct vmmu_x86_access user_writing = { .kind = VMMU_X86_WRITE, .user = true };
static const struct vmmu_x86_access fetching = { .kind = VMMU_X86_EXECUTE };

static struct vmmu_x86_mode fresh(enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    world_init(&world);
    return mode_of(&registers);
}

/* The error code of the page fault that @access to @va raises; the test fails if it raises none. */
static uint32_t fault_of(const struct vmmu_x86_mode *mode, uint64_t va, struct vmmu_x86_access access)
{
    EXPECT_EQ(vmmu_x86_walk(mode, &world.ram, (vmmu_gva){ va }, access, &out), VMMU_GUEST_FAULT);
    EXPECT_EQ(out.fault.vector, VMMU_X86_VECTOR_PF);
    EXPECT(out.fault.has_error_code);
    EXPECT_EQ(out.fault.cr2, va);
    return out.fault.error_code;
}

static enum vmmu_status status_of(const struct vmmu_x86_mode *mode, uint64_t va)
{
    return vmmu_x86_walk(mode, &world.ram, (vmmu_gva){ va }, reading, &out);
}

static void test_an_entry_that_is_not_present_faults_without_p_at_every_level(void **state)
{
    (void)state;
    for (unsigned paging = VMMU_X86_PAGING_32BIT; paging <= VMMU_X86_PAGING_5LEVEL; paging++) {
        const unsigned levels[] = { 0, 2, 3, 4, 5 };

        for (unsigned level = 1; level <= levels[paging]; level++) {
            const struct vmmu_x86_mode mode = fresh((enum vmmu_x86_paging)paging);
            const bool long_format = paging >= VMMU_X86_PAGING_PAE;

            put_chain(&world, &mode, 1, 0x1000, 0x7000 | E_ALL);
            put_entry(&world, &mode, level, 0x1000, long_format ? ~E_P : BITS64(31, 1));
            EXPECT_EQ(fault_of(&mode, 0x1000, reading), 0);
            EXPECT_EQ(fault_of(&mode, 0x1000, user_writing), W | U);
            EXPECT_EQ(fault_of(&mode, 0x1000, fetching), long_format ? ID : 0);
            EXPECT_EQ(out.loads, levels[paging] - level + 1);
        }
    }
}

static void test_a_fetch_is_told_under_smep_or_under_nxe_with_pae_and_else_not(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_PAE);

    (void)state;
    EXPECT_EQ(fault_of(&mode, 0x1000, fetching), ID);
    registers.efer = 0;
    mode = mode_of(&registers);
    EXPECT_EQ(fault_of(&mode, 0x1000, fetching), 0);
    registers.cr4 |= VMMU_X86_CR4_SMEP;
    mode = mode_of(&registers);
    EXPECT_EQ(fault_of(&mode, 0x1000, fetching), ID);
    registers = registers_for(VMMU_X86_PAGING_32BIT);
    registers.efer = VMMU_X86_EFER_NXE;
    mode = mode_of(&registers);
    EXPECT_EQ(fault_of(&mode, 0x1000, fetching), 0);
}

static void test_an_implicit_access_is_a_supervisors_whatever_the_cpl(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ, .user = true, .implicit = true };

    (void)state;
    EXPECT_EQ(fault_of(&mode, 0x1000, access), 0);
    put_chain(&world, &mode, 1, 0x1000, 0x7000 | E_P);
    EXPECT_EQ(vmmu_x86_walk(&mode, &world.ram, (vmmu_gva){ 0x1000 }, access, &out), VMMU_OK);
}

/* Addresses on both sides of each edge of the canonical range of @bits bits. */
static void expect_canonical_range(const struct vmmu_x86_mode *mode, unsigned bits)
{
    const uint64_t low_end = BITS64(bits - 2, 0);
    const uint64_t good[] = { 0, low_end, ~low_end, ~UINT64_C(0) };
    const uint64_t bad[] = { low_end + 1, ~low_end - 1, BIT64(63), BIT64(bits), BITS64(62, bits - 1) };

    for (unsigned i = 0; i < 4; i++) {
        EXPECT(vmmu_walk_is_canonical(mode, (vmmu_gva){ good[i] }));
        EXPECT_EQ(fault_of(mode, good[i], reading), 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(!vmmu_walk_is_canonical(mode, (vmmu_gva){ bad[i] }));
        EXPECT_EQ(status_of(mode, bad[i]), VMMU_GUEST_FAULT);
        EXPECT_EQ(out.fault.vector, VMMU_X86_VECTOR_GP);
        EXPECT(out.fault.has_error_code);
        EXPECT_EQ(out.fault.error_code, 0);
        EXPECT_EQ(out.loads, 0);
    }
}

static void test_an_address_that_is_not_canonical_for_48_bits_raises_gp_before_any_load(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    expect_canonical_range(&mode, 48);
}

static void test_an_address_that_is_not_canonical_for_57_bits_raises_gp_before_any_load(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_5LEVEL);

    (void)state;
    expect_canonical_range(&mode, 57);
}

static void test_a_reserved_bit_faults_with_p_and_rsvd_at_every_level_and_width(void **state)
{
    static const enum vmmu_x86_paging wide[] = { VMMU_X86_PAGING_PAE, VMMU_X86_PAGING_4LEVEL,
                                                 VMMU_X86_PAGING_5LEVEL };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned width = 32; width < 52; width++) {
            const struct vmmu_x86_paging_registers registers = registers_for(wide[i]);
            struct vmmu_x86_cpu cpu = full_cpu;
            struct vmmu_x86_mode mode;

            cpu.maxphyaddr = (uint8_t)width;
            EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
            for (unsigned level = 1; level <= vmmu_format_of(&mode.layout)->levels; level++) {
                world_init(&world);
                put_chain(&world, &mode, 1, 0x1000, 0x7000 | E_ALL);
                const uint64_t entry = world_read(&world, entry_at(&mode, level, 0x1000), 8);

                EXPECT_EQ(status_of(&mode, 0x1000), VMMU_OK);
                put_entry(&world, &mode, level, 0x1000, entry | BIT64(width));
                EXPECT_EQ(fault_of(&mode, 0x1000, reading), P | RSVD);
                put_entry(&world, &mode, level, 0x1000, entry | BIT64(51));
                EXPECT_EQ(fault_of(&mode, 0x1000, user_writing), P | RSVD | W | U);
                EXPECT_EQ(fault_of(&mode, 0x1000, fetching), P | RSVD | ID);
            }
        }
    }
}

static void test_each_reserved_bit_of_a_large_leaf_faults(void **state)
{
    static const struct {
        enum vmmu_x86_paging paging;
        unsigned level;
        uint64_t reserved;
    } cases[] = {
        { VMMU_X86_PAGING_32BIT, 2, BIT64(21) },
        { VMMU_X86_PAGING_PAE, 2, BITS64(20, 13) | BITS64(62, 52) },
        { VMMU_X86_PAGING_4LEVEL, 2, BITS64(20, 13) },
        { VMMU_X86_PAGING_4LEVEL, 3, BITS64(29, 13) },
        { VMMU_X86_PAGING_5LEVEL, 3, BITS64(29, 13) },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned bit = 13; bit < (cases[i].paging == VMMU_X86_PAGING_32BIT ? 32 : 63); bit++) {
            const struct vmmu_x86_mode mode = fresh(cases[i].paging);

            put_chain(&world, &mode, cases[i].level, 0, E_PS | E_ALL | BIT64(bit));
            if (BIT64(bit) & cases[i].reserved) {
                EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
            } else {
                EXPECT_EQ(status_of(&mode, 0), VMMU_OK);
            }
        }
    }
}

static void test_each_reserved_bit_of_a_pdpte_in_memory_faults(void **state)
{
    const uint64_t reserved = BITS64(2, 1) | BITS64(8, 5) | BITS64(63, 52);

    (void)state;
    for (unsigned bit = 1; bit < 64; bit++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_PAE);

        put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL);
        put_entry(&world, &mode, 3, 0, table_at(&mode, 2) | E_P | BIT64(bit));
        if (BIT64(bit) & reserved) {
            EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
        } else if (bit < 12) {
            EXPECT_EQ(status_of(&mode, 0), VMMU_OK);
        }
    }
}

static void test_ps_is_reserved_in_pml4_and_pml5_entries(void **state)
{
    (void)state;
    for (unsigned level = 4; level <= 5; level++) {
        const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_5LEVEL);

        put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL);
        put_entry(&world, &mode, level, 0, table_at(&mode, level - 1) | E_ALL | E_PS);
        EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
    }
}

static void test_a_1_gib_leaf_is_a_reserved_bit_where_it_is_not_offered(void **state)
{
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_cpu cpu = full_cpu;
    struct vmmu_x86_mode mode;

    (void)state;
    cpu.gib_pages = false;
    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
    world_init(&world);
    put_chain(&world, &mode, 3, 0, 0x40000000 | E_ALL | E_PS);
    EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
}

static void test_nx_is_a_reserved_bit_while_nxe_is_clear(void **state)
{
    static const enum vmmu_x86_paging wide[] = { VMMU_X86_PAGING_PAE, VMMU_X86_PAGING_4LEVEL };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned level = 1; level <= 2; level++) {
            struct vmmu_x86_paging_registers registers = registers_for(wide[i]);
            struct vmmu_x86_mode mode = fresh(wide[i]);

            put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL);
            put_entry(&world, &mode, level, 0, (level == 1 ? 0x7000 : table_at(&mode, 1)) | E_ALL | E_NX);
            EXPECT_EQ(status_of(&mode, 0), VMMU_OK);
            EXPECT_EQ(fault_of(&mode, 0, fetching), P | ID);
            registers.efer &= ~VMMU_X86_EFER_NXE;
            mode = mode_of(&registers);
            EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
            EXPECT_EQ(fault_of(&mode, 0, fetching), P | RSVD);
        }
    }
}

static void test_pse36_reserves_by_the_width_and_by_what_is_offered(void **state)
{
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_32BIT);
    struct vmmu_x86_cpu cpu = full_cpu;
    struct vmmu_x86_mode mode;

    (void)state;
    world_init(&world);
    cpu.maxphyaddr = 36;
    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
    put_entry(&world, &mode, 2, 0, E_ALL | E_PS | BIT64(16));
    EXPECT_EQ(status_of(&mode, 0x123), VMMU_OK);
    EXPECT_EQ(out.translation.gpa.v, BIT64(35) | 0x123);
    put_entry(&world, &mode, 2, 0, E_ALL | E_PS | BIT64(17));
    EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
    cpu.pse36 = false;
    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &mode), VMMU_OK);
    put_entry(&world, &mode, 2, 0, E_ALL | E_PS | BIT64(13));
    EXPECT_EQ(fault_of(&mode, 0, reading), P | RSVD);
}

static void test_a_reserved_bit_outranks_rights_and_lower_levels(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, 0, 0x7000 | E_P); /* a supervisor's read-only page ... */
    put_entry(&world, &mode, 4, 0, table_at(&mode, 3) | E_ALL | E_PS);
    put_entry(&world, &mode, 2, 0, 0); /* ... and below, an absent table */
    EXPECT_EQ(fault_of(&mode, 0, user_writing), P | RSVD | W | U);
}

static void test_an_absent_table_outranks_reserved_bits_below_and_rights_above(void **state)
{
    const struct vmmu_x86_mode mode = fresh(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    put_chain(&world, &mode, 1, 0, 0x7000 | E_ALL | BIT64(7));
    put_entry(&world, &mode, 4, 0, table_at(&mode, 3) | E_P);
    put_entry(&world, &mode, 3, 0, 0);
    EXPECT_EQ(fault_of(&mode, 0, user_writing), W | U);
}

static void test_reserved_bits_of_an_entry_that_is_not_present_do_not_count(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    (void)state;
    registers.efer &= ~VMMU_X86_EFER_NXE;
    const struct vmmu_x86_mode mode = mode_of(&registers);

    world_init(&world);
    put_chain(&world, &mode, 1, 0, E_NX | BITS64(51, 12));
    EXPECT_EQ(fault_of(&mode, 0, reading), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_that_is_not_present_faults_without_p_at_every_level),
        cmocka_unit_test(test_a_fetch_is_told_under_smep_or_under_nxe_with_pae_and_else_not),
        cmocka_unit_test(test_an_implicit_access_is_a_supervisors_whatever_the_cpl),
        cmocka_unit_test(test_an_address_that_is_not_canonical_for_48_bits_raises_gp_before_any_load),
        cmocka_unit_test(test_an_address_that_is_not_canonical_for_57_bits_raises_gp_before_any_load),
        cmocka_unit_test(test_a_reserved_bit_faults_with_p_and_rsvd_at_every_level_and_width),
        cmocka_unit_test(test_each_reserved_bit_of_a_large_leaf_faults),
        cmocka_unit_test(test_each_reserved_bit_of_a_pdpte_in_memory_faults),
        cmocka_unit_test(test_ps_is_reserved_in_pml4_and_pml5_entries),
        cmocka_unit_test(test_a_1_gib_leaf_is_a_reserved_bit_where_it_is_not_offered),
        cmocka_unit_test(test_nx_is_a_reserved_bit_while_nxe_is_clear),
        cmocka_unit_test(test_pse36_reserves_by_the_width_and_by_what_is_offered),
        cmocka_unit_test(test_a_reserved_bit_outranks_rights_and_lower_levels),
        cmocka_unit_test(test_an_absent_table_outranks_reserved_bits_below_and_rights_above),
        cmocka_unit_test(test_reserved_bits_of_an_entry_that_is_not_present_do_not_count),
    };

    return RUN_TESTS(tests);
}
