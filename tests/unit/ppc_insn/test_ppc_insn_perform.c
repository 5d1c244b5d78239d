/* What performing does to registers and to the bus. Expected values by hand, from the Power ISA's pages. */
#include "tests/unit/ppc_insn/rig.h"
#include "tests/unit/test.h"

enum { LWZ = 32, LWZU, LBZ, LBZU, STW, STWU, STB, STBU, LHZ, LHZU, LHA, LHAU, STH, STHU, LMW, STMW };
enum {
    LWZX = 23,
    LWZUX = 55,
    STWUX = 183,
    LWBRX = 534,
    STWBRX = 662,
    LHBRX = 790,
    STHBRX = 918,
    DCBF = 86,
    DCBZ = 1014
};

static struct rig rig;

static void open(void)
{
    rig_open(&rig);
    rig.gpr[4] = RIG_BASE;
}

static void perform(uint32_t word)
{
    EXPECT_EQ(rig_perform(&rig, word), PPC_INSN_DONE);
}

static void test_loads_extend_with_zeros(void **state)
{
    (void)state;
    open();
    perform(d_form(LBZ, 3, 4, 1));
    EXPECT_EQ(rig.gpr[3], 0x81);
    perform(d_form(LHZ, 3, 4, 2));
    EXPECT_EQ(rig.gpr[3], 0x8283);
    perform(d_form(LWZ, 3, 4, 4));
    EXPECT_EQ(rig.gpr[3], 0x84858687);
    EXPECT_EQ(rig.accesses, 3);
}

static void test_algebraic_loads_extend_the_sign(void **state)
{
    (void)state;
    open();
    perform(d_form(LHA, 3, 4, 2));
    EXPECT_EQ(rig.gpr[3], 0xFFFF8283);
    rig.memory[2] = 0x7F;
    perform(d_form(LHA, 3, 4, 2));
    EXPECT_EQ(rig.gpr[3], 0x7F83);
}

static void test_stores_write_the_low_bytes(void **state)
{
    (void)state;
    open();
    rig.gpr[3] = 0x11223344;
    perform(d_form(STB, 3, 4, 0));
    EXPECT_EQ(rig.memory[0], 0x44);
    perform(d_form(STH, 3, 4, 2));
    EXPECT_EQ(rig.memory[2] << 8 | rig.memory[3], 0x3344);
    perform(d_form(STW, 3, 4, 4));
    EXPECT_EQ(rig.access[2].value, 0x11223344);
    EXPECT_EQ(rig.memory[1], 0x81);
}

static void test_a_base_of_0_is_the_number_zero(void **state)
{
    (void)state;
    open();
    rig.gpr[0] = 0x12345678;
    rig.gpr[5] = RIG_BASE + 8;
    perform(x_form(LWZX, 3, 0, 5));
    EXPECT_EQ(rig.gpr[3], 0x88898A8B);
}

static void test_gpr_0_can_be_target_and_index(void **state)
{
    (void)state;
    open();
    rig.gpr[0] = 12;
    perform(x_form(LWZX, 0, 4, 0));
    EXPECT_EQ(rig.gpr[0], 0x8C8D8E8F);
}

static void test_displacements_are_signed_and_addresses_wrap(void **state)
{
    (void)state;
    open();
    rig.gpr[4] = RIG_BASE + 0x8000;
    perform(d_form(LBZ, 3, 4, -0x8000));
    EXPECT_EQ(rig.gpr[3], 0x80);
    rig.gpr[4] = 0xFFFFFFF0;
    rig.gpr[5] = RIG_BASE + 0x14;
    perform(x_form(LWZX, 3, 4, 5));
    EXPECT_EQ(rig.gpr[3], 0x84858687);
}

static void test_updates_leave_the_address_in_the_base(void **state)
{
    (void)state;
    open();
    perform(d_form(LWZU, 3, 4, 8));
    EXPECT_EQ(rig.gpr[4], RIG_BASE + 8);
    EXPECT_EQ(rig.gpr[3], 0x88898A8B);
    rig.gpr[5] = 4;
    perform(x_form(LWZUX, 3, 4, 5));
    EXPECT_EQ(rig.gpr[4], RIG_BASE + 12);
}

static void test_a_store_with_update_of_its_own_base_stores_the_old_value(void **state)
{
    (void)state;
    open();
    perform(d_form(STWU, 4, 4, 8));
    EXPECT_EQ(rig.access[0].value, RIG_BASE);
    EXPECT_EQ(rig.gpr[4], RIG_BASE + 8);
}

static void test_byte_reversed_forms_reverse_the_bytes(void **state)
{
    (void)state;
    open();
    rig.gpr[5] = 4;
    perform(x_form(LWBRX, 3, 4, 5));
    EXPECT_EQ(rig.gpr[3], 0x87868584);
    perform(x_form(LHBRX, 3, 4, 5));
    EXPECT_EQ(rig.gpr[3], 0x8584);
    rig.gpr[3] = 0x11223344;
    perform(x_form(STWBRX, 3, 4, 5));
    EXPECT_EQ(rig.access[2].value, 0x44332211);
    perform(x_form(STHBRX, 3, 4, 5));
    EXPECT_EQ(rig.access[3].value, 0x4433);
}

static void test_in_a_little_endian_page_it_is_the_other_way_round(void **state)
{
    (void)state;
    open();
    rig.little_endian = true;
    perform(d_form(LWZ, 3, 4, 4));
    EXPECT_EQ(rig.gpr[3], 0x87868584);
    rig.gpr[5] = 4;
    perform(x_form(LWBRX, 3, 4, 5));
    EXPECT_EQ(rig.gpr[3], 0x84858687);
    perform(d_form(LHA, 3, 4, 4));
    EXPECT_EQ(rig.gpr[3], 0xFFFF8584);
    rig.gpr[3] = 0x11223344;
    perform(d_form(STH, 3, 4, 4));
    EXPECT_EQ(rig.access[3].value, 0x4433);
    perform(d_form(STB, 3, 4, 4));
    EXPECT_EQ(rig.access[4].value, 0x44);
}

static void test_misaligned_operands_go_byte_by_byte(void **state)
{
    (void)state;
    open();
    perform(d_form(LWZ, 3, 4, 5));
    EXPECT_EQ(rig.gpr[3], 0x85868788);
    EXPECT_EQ(rig.accesses, 4);
    EXPECT_EQ(rig.access[3].address, RIG_BASE + 8);
    rig.gpr[3] = 0x11223344;
    perform(d_form(STH, 3, 4, 7));
    EXPECT_EQ(rig.accesses, 6);
    EXPECT_EQ(rig.memory[7] << 8 | rig.memory[8], 0x3344);
}

static void test_multiple_loads_and_stores_go_from_the_target_to_31(void **state)
{
    (void)state;
    open();
    perform(d_form(LMW, 29, 4, 16));
    EXPECT_EQ(rig.accesses, 3);
    EXPECT_EQ(rig.gpr[28], 0x1C1C1C1C);
    EXPECT_EQ(rig.gpr[29], 0x90919293);
    EXPECT_EQ(rig.gpr[31], 0x98999A9B);
    perform(d_form(STMW, 30, 4, 0));
    EXPECT_EQ(rig.accesses, 5);
    EXPECT_EQ(rig.access[4].value, 0x98999A9B);
    EXPECT_EQ(rig.access[4].address, RIG_BASE + 4);
}

static void test_misaligned_multiple_accesses_are_alignment_interrupts(void **state)
{
    (void)state;
    open();
    EXPECT_EQ(rig_perform(&rig, d_form(LMW, 29, 4, 2)), PPC_INSN_ALIGNMENT);
    EXPECT_EQ(rig_perform(&rig, d_form(STMW, 29, 4, 1)), PPC_INSN_ALIGNMENT);
    EXPECT_EQ(rig.accesses, 0);
    EXPECT_EQ(rig.gpr[29], 0x1D1D1D1D);
}

static void test_zeroing_a_block_is_an_alignment_interrupt(void **state)
{
    (void)state;
    open();
    EXPECT_EQ(rig_perform(&rig, x_form(DCBZ, 0, 0, 4)), PPC_INSN_ALIGNMENT);
    EXPECT_EQ(rig.accesses, 0);
}

static void test_cache_hints_reach_nothing(void **state)
{
    (void)state;
    open();
    perform(x_form(DCBF, 0, 0, 4));
    EXPECT_EQ(rig.accesses, 0);
}

static void test_what_the_bus_refuses_leaves_registers_alone(void **state)
{
    (void)state;
    open();
    rig.refuse_at = 1;
    EXPECT_EQ(rig_perform(&rig, d_form(LWZU, 3, 4, 8)), PPC_INSN_STOPPED);
    EXPECT_EQ(rig.gpr[3], 0x03030303);
    EXPECT_EQ(rig.gpr[4], RIG_BASE);
    EXPECT_EQ(rig_perform(&rig, d_form(STWU, 3, 4, 8)), PPC_INSN_STOPPED);
    EXPECT_EQ(rig.gpr[4], RIG_BASE);
    rig.refuse_at = 3;
    EXPECT_EQ(rig_perform(&rig, d_form(LWZ, 3, 4, 1)), PPC_INSN_STOPPED); /* in its middle */
    EXPECT_EQ(rig.gpr[3], 0x03030303);
}

static void test_a_multiple_load_that_is_stopped_can_start_again(void **state)
{
    (void)state;
    open();
    rig.refuse_at = 2;
    EXPECT_EQ(rig_perform(&rig, d_form(LMW, 29, 4, 16)), PPC_INSN_STOPPED);
    EXPECT_EQ(rig.gpr[4], RIG_BASE);
    rig.refuse_at = 0;
    perform(d_form(LMW, 29, 4, 16));
    EXPECT_EQ(rig.gpr[30], 0x94959697);
}

static void test_the_address_is_told_without_performing(void **state)
{
    struct ppc_insn insn;

    (void)state;
    open();
    EXPECT(ppc_insn_decode(d_form(STW, 3, 4, -4), &insn));
    EXPECT_EQ(ppc_insn_address(&insn, rig.gpr), RIG_BASE - 4);
    EXPECT(ppc_insn_decode(x_form(STWUX, 3, 4, 5), &insn));
    EXPECT_EQ(ppc_insn_address(&insn, rig.gpr), RIG_BASE + 0x05050505);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_extend_with_zeros),
        cmocka_unit_test(test_algebraic_loads_extend_the_sign),
        cmocka_unit_test(test_stores_write_the_low_bytes),
        cmocka_unit_test(test_a_base_of_0_is_the_number_zero),
        cmocka_unit_test(test_gpr_0_can_be_target_and_index),
        cmocka_unit_test(test_displacements_are_signed_and_addresses_wrap),
        cmocka_unit_test(test_updates_leave_the_address_in_the_base),
        cmocka_unit_test(test_a_store_with_update_of_its_own_base_stores_the_old_value),
        cmocka_unit_test(test_byte_reversed_forms_reverse_the_bytes),
        cmocka_unit_test(test_in_a_little_endian_page_it_is_the_other_way_round),
        cmocka_unit_test(test_misaligned_operands_go_byte_by_byte),
        cmocka_unit_test(test_multiple_loads_and_stores_go_from_the_target_to_31),
        cmocka_unit_test(test_misaligned_multiple_accesses_are_alignment_interrupts),
        cmocka_unit_test(test_zeroing_a_block_is_an_alignment_interrupt),
        cmocka_unit_test(test_cache_hints_reach_nothing),
        cmocka_unit_test(test_what_the_bus_refuses_leaves_registers_alone),
        cmocka_unit_test(test_a_multiple_load_that_is_stopped_can_start_again),
        cmocka_unit_test(test_the_address_is_told_without_performing),
    };

    return RUN_TESTS(tests);
}
