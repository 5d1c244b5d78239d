/* Faults, and the very bits that caused them. */
#include "tests/unit/test.h"
#include "walked.h"

#define VA UINT64_C(0x5000)

static struct world world;
static struct walk_model model;

static struct machine with_cr4(uint64_t bits)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    registers.cr4 |= bits;
    world_init(&world);
    return machine_on(&world, &registers);
}

/* The access is refused with @error_code by @bits of entry @index. */
static void expect_refusal(uint32_t error_code, enum walk_reason reason, int index, uint64_t bits)
{
    const struct walk_cause *cause = only_cause(&model);

    EXPECT_EQ(model.status, VMMU_GUEST_FAULT);
    EXPECT_EQ(model.fault.vector, VMMU_X86_VECTOR_PF);
    EXPECT_EQ(model.fault.error_code, error_code);
    EXPECT_EQ(cause->reason, reason);
    EXPECT_EQ(cause->entry, index);
    EXPECT_EQ(cause->bits, bits);
}

static void test_an_address_that_is_not_canonical_is_blamed_itself(void **state)
{
    const struct machine machine = with_cr4(0);

    (void)state;
    walk_in_words(&machine, UINT64_C(0x800000000000), "r", &model);
    EXPECT_EQ(model.status, VMMU_GUEST_FAULT);
    EXPECT_EQ(model.fault.vector, VMMU_X86_VECTOR_GP);
    EXPECT_EQ(only_cause(&model)->reason, WALK_NOT_CANONICAL);
    EXPECT_EQ(only_cause(&model)->bits, BITS64(63, 47));
    expect_sentence(&model, 0, "bits 63:47 of the address are not all the same");
    EXPECT(!model.translates);
}

static void test_an_entry_that_is_not_present_is_blamed_for_p(void **state)
{
    const struct machine machine = with_cr4(0);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    put_entry(&world, &machine.mode, 2, VA, 0x1234 & ~E_P);
    walk_in_words(&machine, VA, "w,user", &model);
    expect_refusal(VMMU_X86_PF_WRITE | VMMU_X86_PF_USER, WALK_NOT_PRESENT, 2, E_P);
    expect_sentence(&model, 0, "PDE at 0x102000: P is 0: not present");
    EXPECT(!model.translates);
}

static void test_each_reserved_bit_is_named_with_its_reason(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_cpu narrow = full_cpu;
    struct machine machine;

    (void)state;
    narrow.maxphyaddr = 40;
    narrow.gib_pages = false;
    registers.efer &= ~VMMU_X86_EFER_NXE;
    world_init(&world);
    machine = machine_on(&world, &registers);
    EXPECT_EQ(vmmu_mode_make(&narrow, &registers, &machine.mode), VMMU_OK);

    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL | BIT64(51) | BIT64(41) | BIT64(40));
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(9, WALK_RESERVED, 3, BIT64(51) | BIT64(41) | BIT64(40));
    expect_sentence(&model, 0, "bits 51 41:40 must be 0 (address bits that the processor does not have)");

    put_entry(&world, &machine.mode, 1, VA, 0x7000 | E_ALL | E_NX);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(9, WALK_RESERVED, 3, E_NX);
    expect_sentence(&model, 0, "bit 63 must be 0 (XD without EFER.NXE)");

    put_chain(&world, &machine.mode, 2, VA, 0x200000 | BIT64(13) | E_ALL | E_PS);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(9, WALK_RESERVED, 2, BIT64(13));
    expect_sentence(&model, 0, "bit 13 must be 0 (the page is not aligned to its size)");

    put_chain(&world, &machine.mode, 3, VA, E_ALL | E_PS);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(9, WALK_RESERVED, 1, E_PS);
    expect_sentence(&model, 0, "bit 7 must be 0 (no page of this size here)");
}

static void test_a_pdpte_of_pae_paging_has_no_rights(void **state)
{
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);

    (void)state;
    world_init(&world);
    const struct machine machine = machine_on(&world, &registers);

    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    put_entry(&world, &machine.mode, 3, VA, table_at(&machine.mode, 2) | E_P | E_RW);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(9, WALK_RESERVED, 0, E_RW);
    expect_sentence(&model, 0, "a PDPTE of PAE paging has no rights");
}

static void test_a_user_is_refused_by_every_entry_without_us(void **state)
{
    const struct machine machine = with_cr4(0);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_P | E_RW);
    put_entry(&world, &machine.mode, 3, VA, table_at(&machine.mode, 2) | E_P | E_RW);
    walk_in_words(&machine, VA, "r,user", &model);
    EXPECT_EQ(model.fault.error_code, 5);
    EXPECT_EQ(model.cause_count, 2);
    EXPECT_EQ(model.causes[0].reason, WALK_USER);
    EXPECT_EQ(model.causes[0].entry, 1);
    EXPECT_EQ(model.causes[0].bits, E_US);
    EXPECT_EQ(model.causes[1].entry, 3);
    expect_sentence(&model, 0, "PDPTE at 0x103000: U/S is 0");
    EXPECT(model.translates);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
}

static void test_a_write_is_refused_by_rw_and_for_the_supervisor_only_with_wp(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct machine machine = with_cr4(0);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_P | E_US);
    walk_in_words(&machine, VA, "w", &model);
    expect_refusal(3, WALK_WRITE, 3, E_RW);
    expect_sentence(&model, 0, "PTE at 0x101028: R/W is 0: writes are not allowed");
    registers.cr0 &= ~VMMU_X86_CR0_WP;
    machine.mode = mode_of(&registers);
    walk_in_words(&machine, VA, "w", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    EXPECT_EQ(model.cause_count, 0);
    walk_in_words(&machine, VA, "w,user", &model);
    expect_refusal(7, WALK_WRITE, 3, E_RW);
}

static void test_a_fetch_is_refused_by_xd(void **state)
{
    const struct machine machine = with_cr4(0);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    put_entry(&world, &machine.mode, 3, VA, table_at(&machine.mode, 2) | E_ALL | E_NX);
    walk_in_words(&machine, VA, "x,user", &model);
    expect_refusal(0x15, WALK_EXECUTE, 1, E_NX);
    expect_sentence(&model, 0, "XD is 1: instruction fetches are not allowed");
}

static void test_smep_refuses_a_supervisors_fetch_of_a_user_page(void **state)
{
    const struct machine machine = with_cr4(VMMU_X86_CR4_SMEP);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    walk_in_words(&machine, VA, "x", &model);
    expect_refusal(0x11, WALK_SMEP, 3, E_US);
    expect_sentence(&model, 0, "CR4.SMEP");
    walk_in_words(&machine, VA, "x,user", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
}

static void test_smap_refuses_a_supervisors_data_access_unless_ac_is_set(void **state)
{
    const struct machine machine = with_cr4(VMMU_X86_CR4_SMAP);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    walk_in_words(&machine, VA, "r", &model);
    expect_refusal(1, WALK_SMAP, 3, E_US);
    expect_sentence(&model, 0, "CR4.SMAP");
    walk_in_words(&machine, VA, "r,ac", &model);
    EXPECT_EQ(model.status, VMMU_OK);
    walk_in_words(&machine, VA, "r,ac,implicit", &model);
    expect_refusal(1, WALK_SMAP, 3, E_US);
}

static void test_a_protection_key_is_named_with_the_bit_of_its_register(void **state)
{
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct machine machine;

    (void)state;
    registers.cr4 |= VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS;
    registers.pkru = VMMU_X86_KEY_NO_ACCESS << 6; /* AD3 */
    registers.pkrs = VMMU_X86_KEY_NO_WRITE << 4;  /* WD2 */
    world_init(&world);
    machine = machine_on(&world, &registers);
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL | UINT64_C(3) << 59);
    walk_in_words(&machine, VA, "r,user", &model);
    expect_refusal(0x25, WALK_KEY, 3, BITS64(62, 59));
    expect_sentence(&model, 0, "protection key is 3, and PKRU.AD3 is 1: no data access is allowed");
    put_entry(&world, &machine.mode, 1, VA, 0x7000 | E_P | E_RW | UINT64_C(2) << 59);
    walk_in_words(&machine, VA, "w", &model);
    expect_refusal(0x23, WALK_KEY, 3, BITS64(62, 59));
    expect_sentence(&model, 0, "protection key is 2, and PKRS.WD2 is 1: writes are not allowed");
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_OK);
}

static void test_several_causes_are_all_told(void **state)
{
    const struct machine machine = with_cr4(0);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_P);
    for (unsigned level = 2; level <= 4; level++) {
        put_entry(&world, &machine.mode, level, VA, table_at(&machine.mode, level - 1) | E_P);
    }
    walk_in_words(&machine, VA, "w,user", &model);
    EXPECT_EQ(model.cause_count, 8);
    EXPECT_EQ(model.causes[0].reason, WALK_USER);
    EXPECT_EQ(model.causes[4].reason, WALK_WRITE);
    EXPECT_EQ(model.causes[7].entry, 3);
}

static void test_a_table_outside_memory_is_told_with_the_entry_that_points_there(void **state)
{
    const struct machine machine = with_cr4(0);

    (void)state;
    put_chain(&world, &machine.mode, 1, VA, 0x7000 | E_ALL);
    world.absent_base = table_at(&machine.mode, 1);
    world.absent_bytes = 4096;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(model.status, VMMU_ABSENT);
    EXPECT_EQ(only_cause(&model)->reason, WALK_ABSENT);
    EXPECT_EQ(only_cause(&model)->entry, 2);
    EXPECT_EQ(only_cause(&model)->address, table_at(&machine.mode, 1) + UINT64_C(5) * 8);
    expect_sentence(&model, 0, "PDE at 0x102000 points out of the image: nothing at 0x101028");
    world.absent_base = 0x1000;
    walk_in_words(&machine, VA, "r", &model);
    EXPECT_EQ(only_cause(&model)->entry, -1);
    expect_sentence(&model, 0, "the root table is not in the image: nothing at 0x1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_that_is_not_canonical_is_blamed_itself),
        cmocka_unit_test(test_an_entry_that_is_not_present_is_blamed_for_p),
        cmocka_unit_test(test_each_reserved_bit_is_named_with_its_reason),
        cmocka_unit_test(test_a_pdpte_of_pae_paging_has_no_rights),
        cmocka_unit_test(test_a_user_is_refused_by_every_entry_without_us),
        cmocka_unit_test(test_a_write_is_refused_by_rw_and_for_the_supervisor_only_with_wp),
        cmocka_unit_test(test_a_fetch_is_refused_by_xd),
        cmocka_unit_test(test_smep_refuses_a_supervisors_fetch_of_a_user_page),
        cmocka_unit_test(test_smap_refuses_a_supervisors_data_access_unless_ac_is_set),
        cmocka_unit_test(test_a_protection_key_is_named_with_the_bit_of_its_register),
        cmocka_unit_test(test_several_causes_are_all_told),
        cmocka_unit_test(test_a_table_outside_memory_is_told_with_the_entry_that_points_there),
    };

    return RUN_TESTS(tests);
}
