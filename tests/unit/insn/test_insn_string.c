/*
 * String instructions and REP, ports included. Spec: SDM 2 "REP/REPE/REPZ/REPNE/REPNZ-Repeat String Operation
 * Prefix", "INS/INSB/INSW/INSD", "OUTS/OUTSB/OUTSW/OUTSD"; SDM 3A "Single-Step Exception Condition".
 */
#include "tests/unit/insn/rig.h"

#include "tests/unit/test.h"

#define AT RIG_DATA

#define ZF 0x040U
#define TF 0x100U
#define DF 0x400U
#define RF 0x10000U

static struct rig rig;

static uint64_t *gpr(enum vmmu_x86_register number)
{
    return &rig.state.gpr[number];
}

static void given(enum rig_mode mode, uint64_t source, uint64_t destination, uint64_t count)
{
    rig_init(&rig, mode);
    *gpr(VMMU_X86_RSI) = source;
    *gpr(VMMU_X86_RDI) = destination;
    *gpr(VMMU_X86_RCX) = count;
    for (unsigned i = 0; i < 64; i++)
        rig_poke(&rig, AT + i, 1, i + 1);
}

#define EXPECT_RUN(...) EXPECT_EQ(RUN(&rig, __VA_ARGS__), VMMU_OK)

static void test_movs_advances_by_the_operand_size(void **state)
{
    (void)state;
    given(RIG_LONG, AT, AT + 0x100, 7);
    EXPECT_RUN(0x48, 0xA5);
    EXPECT_EQ(rig_peek(&rig, AT + 0x100, 8), 0x0807060504030201);
    EXPECT(*gpr(VMMU_X86_RSI) == AT + 8 && *gpr(VMMU_X86_RDI) == AT + 0x108 && *gpr(VMMU_X86_RCX) == 7);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 2);
}

static void test_df_makes_strings_go_down(void **state)
{
    (void)state;
    given(RIG_LONG, AT + 8, AT + 0x108, 3);
    rig.state.rflags |= DF;
    EXPECT_RUN(0xF3, 0x66, 0xA5);
    EXPECT_EQ(rig_peek(&rig, AT + 0x104, 6), 0x0A0908070605);
    EXPECT(*gpr(VMMU_X86_RSI) == AT + 2 && *gpr(VMMU_X86_RDI) == AT + 0x102 && *gpr(VMMU_X86_RCX) == 0);
}

static void test_rep_with_a_count_of_zero_does_nothing(void **state)
{
    (void)state;
    given(RIG_LONG, 0xDEAD000, 0xBEEF000, 0);
    EXPECT_RUN(0xF3, 0xA4);
    EXPECT_EQ(rig.calls, 0);
    EXPECT_EQ(*gpr(VMMU_X86_RSI), 0xDEAD000);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 2);
}

static void test_movs_of_overlapping_strings_goes_element_by_element(void **state)
{
    (void)state;
    given(RIG_LONG, AT, AT + 1, 5);
    EXPECT_RUN(0xF3, 0xA4);
    EXPECT_EQ(rig_peek(&rig, AT, 7), 0x07010101010101);
}

static void test_the_address_size_decides_which_registers_count(void **state)
{
    (void)state;
    given(RIG_REAL, 0xABCD0000 | AT, 0x12340000 | (AT + 0x100), 0x10002);
    EXPECT_RUN(0xF3, 0xA4);
    EXPECT_EQ(rig_peek(&rig, AT + 0x100, 3), 0x0201);
    EXPECT_EQ(*gpr(VMMU_X86_RSI), 0xABCD0002 | AT);
    EXPECT_EQ(*gpr(VMMU_X86_RDI), 0x12340002 | (AT + 0x100));
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x10000);

    given(RIG_LONG, 0xFFFFFFFF00000000 | AT, AT + 0x100, 0xFFFFFFFF00000002);
    EXPECT_RUN(0xF3, 0x67, 0xA4);
    EXPECT_EQ(rig_peek(&rig, AT + 0x100, 3), 0x0201);
    EXPECT_EQ(*gpr(VMMU_X86_RSI), AT + 2);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0);
}

static void test_the_segment_of_the_source_can_be_overridden_and_that_of_the_destination_not(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0, 0x100, 0);
    rig.state.segment[VMMU_X86_FS].base = AT;
    rig.state.segment[VMMU_X86_ES].base = AT + 0x200;
    EXPECT_RUN(0x64, 0xA4);
    EXPECT_EQ(rig_peek(&rig, AT + 0x300, 1), 1);
}

static void test_stos_and_lods_use_the_accumulator(void **state)
{
    (void)state;
    given(RIG_LONG, AT, AT + 0x100, 2);
    *gpr(VMMU_X86_RAX) = 0x1122334455667788;
    EXPECT_RUN(0xF3, 0xAB);
    EXPECT_EQ(rig_peek(&rig, AT + 0x100, 8), 0x5566778855667788);
    EXPECT_RUN(0xAD);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0x04030201);
    EXPECT_RUN(0x66, 0xAD);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0x04030605);
}

static void test_repe_cmps_stops_at_the_first_difference(void **state)
{
    (void)state;
    given(RIG_LONG, AT, AT + 0x100, 10);
    for (unsigned i = 0; i < 4; i++)
        rig_poke(&rig, AT + 0x100 + i, 1, i + 1);
    EXPECT_RUN(0xF3, 0xA6);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 5);
    EXPECT_EQ(*gpr(VMMU_X86_RSI), AT + 5);
    EXPECT((rig.state.rflags & ZF) == 0);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 2);
}

static void test_repne_scas_stops_at_the_first_match(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT, 100);
    *gpr(VMMU_X86_RAX) = 9;
    EXPECT_RUN(0xF2, 0xAE);
    EXPECT_EQ(*gpr(VMMU_X86_RDI), AT + 9);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 91);
    EXPECT(rig.state.rflags & ZF);
}

static void test_rep_yields_after_a_bounded_number_of_iterations_with_rip_on_the_instruction(void **state)
{
    unsigned calls = 1;

    (void)state;
    given(RIG_LONG, 0, AT, 1000);
    rig.state.interrupt_shadow = true;
    *gpr(VMMU_X86_RAX) = 0x5A;
    EXPECT_RUN(0xF3, 0xAA);
    EXPECT(rig.outcome.again && !rig.outcome.single_step);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 1000 - VMMU_INSN_ITERATIONS);
    EXPECT_EQ(rig.state.rip, RIG_CODE);
    EXPECT(rig.state.rflags & RF);
    EXPECT(!rig.state.interrupt_shadow);
    while (rig.outcome.again) {
        EXPECT_RUN(0xF3, 0xAA);
        calls++;
    }
    EXPECT_EQ(calls, (1000 + VMMU_INSN_ITERATIONS - 1) / VMMU_INSN_ITERATIONS);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 2);
    EXPECT((rig.state.rflags & RF) == 0);
    EXPECT_EQ(rig_peek(&rig, AT + 998, 4), 0x5A5A);
}

static void test_rep_of_just_the_bound_completes(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT, VMMU_INSN_ITERATIONS);
    EXPECT_RUN(0xF3, 0xAA);
    EXPECT(!rig.outcome.again);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 2);
}

static void test_a_single_step_trap_comes_after_each_iteration(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT, 2);
    rig.state.rflags |= TF;
    EXPECT_RUN(0xF3, 0xAA);
    EXPECT(rig.outcome.again && rig.outcome.single_step);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 1);
    EXPECT(rig.state.rflags & RF);
    EXPECT_RUN(0xF3, 0xAA);
    EXPECT(!rig.outcome.again && rig.outcome.single_step);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 2);
    EXPECT((rig.state.rflags & RF) == 0);
}

static void test_a_fault_in_the_middle_keeps_the_iterations_that_were_complete(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT + 0x1FFC, 8);
    EXPECT_EQ(RUN(&rig, 0xF3, 0xAA), VMMU_GUEST_FAULT);
    EXPECT(rig.outcome.fault.vector == 14 && rig.outcome.fault.cr2 == AT + 0x2000);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 4);
    EXPECT_EQ(*gpr(VMMU_X86_RDI), AT + 0x2000);
    EXPECT_EQ(rig.state.rip, RIG_CODE);
    EXPECT(!rig.outcome.again);
}

static void test_a_fault_in_a_comparison_leaves_the_flags_as_they_were(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT + 0x1FFC, 8);
    rig.state.rflags = 2 | 0x8D5;
    *gpr(VMMU_X86_RAX) = 1;
    EXPECT_EQ(RUN(&rig, 0xF2, 0xAE), VMMU_GUEST_FAULT);
    EXPECT_EQ(rig.state.rflags, 2 | 0x8D5);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 4);
}

static void test_ins_stores_what_the_port_gives(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT + 0x100, 3);
    *gpr(VMMU_X86_RDX) = 0xABCD01F0;
    rig.port_value = 0x1111;
    EXPECT_RUN(0xF3, 0x66, 0x6D);
    EXPECT_EQ(rig_peek(&rig, AT + 0x100, 6), 0x111311121111);
    EXPECT(rig.port == 0x1F0 && rig.port_size == 2);
    EXPECT_EQ(*gpr(VMMU_X86_RDI), AT + 0x106);
}

static void test_ins_does_not_touch_the_port_if_its_destination_faults(void **state)
{
    (void)state;
    given(RIG_LONG, 0, AT + 0x2000, 3);
    EXPECT_EQ(RUN(&rig, 0xF3, 0x6D), VMMU_GUEST_FAULT);
    EXPECT_EQ(rig.port_value, 0);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 3);
}

static void test_outs_gives_the_port_what_the_source_holds(void **state)
{
    (void)state;
    given(RIG_LONG, AT, 0, 2);
    *gpr(VMMU_X86_RDX) = 0x3F8;
    EXPECT_RUN(0xF3, 0x6F);
    EXPECT(rig.out_value == 0x08070605 && rig.port == 0x3F8 && rig.port_size == 4);
    EXPECT_EQ(*gpr(VMMU_X86_RSI), AT + 8);
}

static void test_ins_and_outs_without_ports_are_unsupported(void **state)
{
    (void)state;
    given(RIG_LONG, AT, AT, 2);
    rig.memory.port_in = NULL;
    rig.memory.port_out = NULL;
    EXPECT_EQ(RUN(&rig, 0x6C), VMMU_UNSUPPORTED);
    EXPECT_EQ(RUN(&rig, 0xF3, 0x6E), VMMU_UNSUPPORTED);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_movs_advances_by_the_operand_size),
        cmocka_unit_test(test_df_makes_strings_go_down),
        cmocka_unit_test(test_rep_with_a_count_of_zero_does_nothing),
        cmocka_unit_test(test_movs_of_overlapping_strings_goes_element_by_element),
        cmocka_unit_test(test_the_address_size_decides_which_registers_count),
        cmocka_unit_test(test_the_segment_of_the_source_can_be_overridden_and_that_of_the_destination_not),
        cmocka_unit_test(test_stos_and_lods_use_the_accumulator),
        cmocka_unit_test(test_repe_cmps_stops_at_the_first_difference),
        cmocka_unit_test(test_repne_scas_stops_at_the_first_match),
        cmocka_unit_test(test_rep_yields_after_a_bounded_number_of_iterations_with_rip_on_the_instruction),
        cmocka_unit_test(test_rep_of_just_the_bound_completes),
        cmocka_unit_test(test_a_single_step_trap_comes_after_each_iteration),
        cmocka_unit_test(test_a_fault_in_the_middle_keeps_the_iterations_that_were_complete),
        cmocka_unit_test(test_a_fault_in_a_comparison_leaves_the_flags_as_they_were),
        cmocka_unit_test(test_ins_stores_what_the_port_gives),
        cmocka_unit_test(test_ins_does_not_touch_the_port_if_its_destination_faults),
        cmocka_unit_test(test_outs_gives_the_port_what_the_source_holds),
        cmocka_unit_test(test_ins_and_outs_without_ports_are_unsupported),
    };

    return RUN_TESTS(tests);
}
