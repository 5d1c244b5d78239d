/*
 * What instructions do, one sentence of the manuals each. Spec: SDM 2 "Instruction Set
 * Reference", SDM 1 "Status Flags", "General-Purpose Registers in 64-Bit Mode"; AMD APM 3
 * "General-Purpose Instruction Reference".
 */
#include "tests/unit/insn/rig.h"

#include "tests/unit/test.h"

#define AT RIG_DATA

#define CF 0x001U
#define PF 0x004U
#define AF 0x010U
#define ZF 0x040U
#define SF 0x080U
#define TF 0x100U
#define OF 0x800U
#define RF 0x10000U

static struct rig rig;

/* A fresh rig of which RAX points to @value in memory. */
static void given(enum rig_mode mode, uint64_t value)
{
    rig_init(&rig, mode);
    rig.state.gpr[VMMU_X86_RAX] = AT;
    rig_poke(&rig, AT, 8, value);
}

static uint64_t *gpr(enum vmmu_x86_register number)
{
    return &rig.state.gpr[number];
}

#define EXPECT_RUN(...)     EXPECT_EQ(RUN(&rig, __VA_ARGS__), VMMU_OK)
#define EXPECT_FLAGS(flags) EXPECT_EQ(rig.state.rflags, 2 | (flags))

static void test_a_32_bit_load_clears_the_upper_half(void **state)
{
    (void)state;
    given(RIG_LONG, 0x1122334455667788);
    *gpr(VMMU_X86_RCX) = UINT64_MAX;
    EXPECT_RUN(0x8B, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x55667788);
}

static void test_8_and_16_bit_loads_leave_the_rest(void **state)
{
    (void)state;
    given(RIG_LONG, 0x1122334455667788);
    *gpr(VMMU_X86_RCX) = UINT64_MAX;
    EXPECT_RUN(0x66, 0x8B, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0xFFFFFFFFFFFF7788);
    *gpr(VMMU_X86_RCX) = UINT64_MAX;
    EXPECT_RUN(0x8A, 0x28); /* CH */
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0xFFFFFFFFFFFF88FF);
    EXPECT_RUN(0x40, 0x8A, 0x28); /* BPL */
    EXPECT_EQ(*gpr(VMMU_X86_RBP), 0x88);
}

static void test_a_store_writes_its_size_only(void **state)
{
    (void)state;
    given(RIG_LONG, UINT64_MAX);
    EXPECT_RUN(0xC7, 0x00, 0x78, 0x56, 0x34, 0x12);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0xFFFFFFFF12345678);
    EXPECT_EQ(rig.writes, 1);
    EXPECT_EQ(rig.reads, 0);
}

static void test_a_64_bit_store_of_imm32_is_sign_extended(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    EXPECT_RUN(0x48, 0xC7, 0x00, 0x00, 0x00, 0x00, 0x80);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0xFFFFFFFF80000000);
}

static void test_a_segment_register_is_stored_as_16_bits(void **state)
{
    (void)state;
    given(RIG_LONG, UINT64_MAX);
    rig.state.segment[VMMU_X86_DS].selector = 0x2B;
    EXPECT_RUN(0x48, 0x8C, 0x18);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0xFFFFFFFFFFFF002B);
    EXPECT_RUN(0x8C, 0xD9);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x2B);
}

static void test_movzx_and_movsx_extend(void **state)
{
    (void)state;
    given(RIG_LONG, 0x80F0);
    EXPECT_RUN(0x0F, 0xB6, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0xF0);
    EXPECT_RUN(0x0F, 0xBE, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0xFFFFFFF0);
    EXPECT_RUN(0x48, 0x0F, 0xBF, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0xFFFFFFFFFFFF80F0);
    rig_poke(&rig, AT, 4, 0x80000000);
    EXPECT_RUN(0x48, 0x63, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0xFFFFFFFF80000000);
}

static void test_movbe_swaps_bytes(void **state)
{
    (void)state;
    given(RIG_LONG, 0x1122334455667788);
    EXPECT_RUN(0x48, 0x0F, 0x38, 0xF0, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x8877665544332211);
    EXPECT_RUN(0x66, 0x0F, 0x38, 0xF1, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0x1122334455661122);
    EXPECT_RUN(0x0F, 0x38, 0xF0, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x22116655);
}

static void test_add_sets_carry_and_overflow(void **state)
{
    (void)state;
    given(RIG_LONG, 0x7F);
    EXPECT_RUN(0x80, 0x00, 0x01);
    EXPECT_EQ(rig_peek(&rig, AT, 1), 0x80);
    EXPECT_FLAGS(OF | SF | AF);
    rig_poke(&rig, AT, 1, 0xFF);
    EXPECT_RUN(0x80, 0x00, 0x01);
    EXPECT_FLAGS(CF | ZF | AF | PF);
}

static void test_adc_and_sbb_use_the_carry(void **state)
{
    (void)state;
    given(RIG_LONG, 0xFFFFFFFF);
    rig.state.rflags |= CF;
    EXPECT_RUN(0x83, 0x10, 0x00);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 0);
    EXPECT_FLAGS(CF | ZF | AF | PF);
    EXPECT_RUN(0x83, 0x18, 0x00);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 0xFFFFFFFF);
    EXPECT_FLAGS(CF | SF | AF | PF);
}

static void test_cmp_changes_flags_only(void **state)
{
    (void)state;
    given(RIG_LONG, 0x80000000);
    EXPECT_RUN(0x83, 0x38, 0x01);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 0x80000000);
    EXPECT_FLAGS(OF | AF | PF);
    EXPECT_EQ(rig.writes + rig.exchanges + rig.reads_to_write, 0);
}

static void test_logic_clears_carry_and_overflow(void **state)
{
    (void)state;
    given(RIG_LONG, 0xF0);
    rig.state.rflags |= CF | OF;
    EXPECT_RUN(0x80, 0x20, 0x0F);
    EXPECT_EQ(rig_peek(&rig, AT, 1), 0);
    EXPECT_FLAGS(ZF | PF);
}

static void test_inc_and_dec_leave_the_carry(void **state)
{
    (void)state;
    given(RIG_LONG, 0xFF);
    EXPECT_RUN(0xFE, 0x00);
    EXPECT_FLAGS(ZF | AF | PF);
    rig.state.rflags |= CF;
    EXPECT_RUN(0xFE, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 1), 0xFF);
    EXPECT_FLAGS(CF | SF | AF | PF);
}

static void test_neg_carries_unless_the_operand_is_zero_and_not_changes_no_flag(void **state)
{
    (void)state;
    given(RIG_LONG, 0x80);
    EXPECT_RUN(0xF6, 0x18);
    EXPECT_FLAGS(CF | OF | SF);
    rig_poke(&rig, AT, 1, 0);
    EXPECT_RUN(0xF6, 0x18);
    EXPECT_FLAGS(ZF | PF);
    EXPECT_RUN(0xF6, 0x10);
    EXPECT_EQ(rig_peek(&rig, AT, 1), 0xFF);
    EXPECT_FLAGS(ZF | PF);
}

static void test_a_shift_by_zero_changes_no_flag(void **state)
{
    (void)state;
    given(RIG_LONG, 0x81);
    rig.state.rflags |= CF | OF | ZF;
    EXPECT_RUN(0xC0, 0x20, 0x20); /* a count of 32 is cut to 0 */
    EXPECT_EQ(rig_peek(&rig, AT, 1), 0x81);
    EXPECT_FLAGS(CF | OF | ZF);
    EXPECT_RUN(0xD0, 0x20);
    EXPECT_EQ(rig_peek(&rig, AT, 1), 0x02);
    EXPECT_FLAGS(CF | OF);
}

static void test_a_bit_offset_in_a_register_reaches_beyond_the_operand(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    *gpr(VMMU_X86_RAX) = AT + 0x10;
    *gpr(VMMU_X86_RCX) = 100;
    EXPECT_RUN(0x0F, 0xAB, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT + 0x10 + 12, 4), 0x10);
    *gpr(VMMU_X86_RCX) = (uint64_t)-1;
    EXPECT_RUN(0x0F, 0xAB, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT + 0xC, 4), 0x80000000);
    *gpr(VMMU_X86_RCX) = 0xFFC0; /* -64 as 16 bits */
    EXPECT_RUN(0x66, 0x0F, 0xBB, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT + 8, 2), 1);
}

static void test_an_immediate_bit_offset_stays_within_the_operand(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    EXPECT_RUN(0x0F, 0xBA, 0x28, 0x21); /* 33 modulo 32 */
    EXPECT_EQ(rig_peek(&rig, AT, 8), 2);
    EXPECT_FLAGS(0);
    EXPECT_RUN(0x0F, 0xBA, 0x20, 0x01);
    EXPECT_FLAGS(CF);
    EXPECT_RUN(0x0F, 0xBA, 0x30, 0x01);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0);
    EXPECT_FLAGS(CF);
}

static void test_xchg_with_memory_locks_without_the_prefix(void **state)
{
    (void)state;
    given(RIG_LONG, 0x1111);
    *gpr(VMMU_X86_RCX) = 0x2222;
    EXPECT_RUN(0x87, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 0x2222);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x1111);
    EXPECT_EQ(rig.exchanges, 1);
    EXPECT_EQ(rig.writes, 0);
}

static void test_xadd_of_a_register_with_itself_doubles_it(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    *gpr(VMMU_X86_RCX) = 5;
    EXPECT_RUN(0x0F, 0xC1, 0xC9);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 10);
}

static void test_xadd_gives_the_old_value_and_the_sum(void **state)
{
    (void)state;
    given(RIG_LONG, 7);
    *gpr(VMMU_X86_RCX) = 5;
    EXPECT_RUN(0xF0, 0x0F, 0xC1, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 12);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 7);
}

static void test_cmpxchg_stores_the_source_if_equal(void **state)
{
    (void)state;
    given(RIG_LONG, AT);
    *gpr(VMMU_X86_RCX) = 9;
    EXPECT_RUN(0xF0, 0x48, 0x0F, 0xB1, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 9);
    EXPECT_FLAGS(ZF | PF);
}

static void test_cmpxchg_loads_the_accumulator_and_writes_the_operand_back_if_not(void **state)
{
    (void)state;
    given(RIG_LONG, 0x77);
    EXPECT_RUN(0xF0, 0x0F, 0xB1, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0x77);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 0x77);
    EXPECT_EQ(rig.exchanges, 1);
    EXPECT((rig.state.rflags & ZF) == 0);
}

static void test_cmpxchg8b_compares_edx_eax_and_stores_ecx_ebx(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, UINT64_C(0x1234567800000000) | AT);
    *gpr(VMMU_X86_RDX) = 0x12345678;
    *gpr(VMMU_X86_RCX) = 0xCCCCCCCC;
    *gpr(VMMU_X86_RBX) = 0xBBBBBBBB;
    rig.state.rflags |= CF;
    EXPECT_RUN(0xF0, 0x0F, 0xC7, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0xCCCCCCCCBBBBBBBB);
    EXPECT_FLAGS(ZF | CF);
    EXPECT_RUN(0x0F, 0xC7, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0xBBBBBBBB);
    EXPECT_EQ(*gpr(VMMU_X86_RDX), 0xCCCCCCCC);
    EXPECT_FLAGS(CF);
}

static void test_cmpxchg16b_compares_128_bits(void **state)
{
    (void)state;
    given(RIG_LONG, AT);
    rig_poke(&rig, AT + 8, 8, 42);
    *gpr(VMMU_X86_RDX) = 42;
    *gpr(VMMU_X86_RCX) = 0xC;
    *gpr(VMMU_X86_RBX) = 0xB;
    EXPECT_RUN(0x48, 0x0F, 0xC7, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0xB);
    EXPECT_EQ(rig_peek(&rig, AT + 8, 8), 0xC);
    EXPECT_FLAGS(ZF);
    EXPECT_RUN(0xF0, 0x48, 0x0F, 0xC7, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0xB);
    EXPECT_EQ(*gpr(VMMU_X86_RDX), 0xC);
}

static void test_a_locked_operation_that_loses_a_race_starts_over_from_the_new_value(void **state)
{
    (void)state;
    given(RIG_LONG, 10);
    rig.races = 3; /* each adds one to every byte */
    EXPECT_RUN(0xF0, 0x83, 0x00, 0x05);
    EXPECT_EQ(rig_peek(&rig, AT, 4), 0x0303030D + 5);
    EXPECT_EQ(rig.exchanges, 4);

    given(RIG_LONG, 1);
    rig_poke(&rig, AT + 8, 8, 2);
    rig.races = 1;
    EXPECT_RUN(0xF0, 0x48, 0x0F, 0xC7, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0x0101010101010102);
    EXPECT_EQ(*gpr(VMMU_X86_RDX), 0x0101010101010103);
}

static void test_a_locked_operation_that_never_wins_gives_up_unchanged(void **state)
{
    struct vmmu_x86_state before;

    (void)state;
    given(RIG_LONG, 10);
    before = rig.state;
    rig.races = UINT32_MAX;
    EXPECT_EQ(RUN(&rig, 0xF0, 0x83, 0x00, 0x05), VMMU_RACED);
    EXPECT(rig_state_equal(&rig.state, &before));
    EXPECT_EQ(rig.exchanges, VMMU_INSN_EXCHANGES);
    EXPECT_EQ(RUN(&rig, 0xF0, 0x0F, 0xC7, 0x08), VMMU_RACED);
    EXPECT_EQ(rig.exchanges, 2 * VMMU_INSN_EXCHANGES);
    EXPECT(rig_state_equal(&rig.state, &before));
}

static void test_push_of_rsp_stores_its_old_value(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    EXPECT_RUN(0x54);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), AT + 0x7F8);
    EXPECT_EQ(rig_peek(&rig, AT + 0x7F8, 8), AT + 0x800);
}

static void test_pop_of_rsp_keeps_what_was_popped(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    rig_poke(&rig, AT + 0x800, 8, 0x1234);
    EXPECT_RUN(0x5C);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), 0x1234);
}

static void test_push_from_memory_addresses_by_the_old_rsp_and_pop_by_the_new(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    rig_poke(&rig, AT + 0x800, 8, 0xABCD);
    EXPECT_RUN(0xFF, 0x34, 0x24);
    EXPECT_EQ(rig_peek(&rig, AT + 0x7F8, 8), 0xABCD);
    EXPECT_RUN(0x8F, 0x44, 0x24, 0x10);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), AT + 0x800);
    EXPECT_EQ(rig_peek(&rig, AT + 0x810, 8), 0xABCD);
}

static void test_the_stack_segment_decides_how_much_of_rsp_moves(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0);
    rig.state.segment[VMMU_X86_SS].attributes = RIG_DATA_16;
    *gpr(VMMU_X86_RSP) = 0xFFFF0000 | (AT + 0x800);
    EXPECT_RUN(0x6A, 0xFF);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), 0xFFFF0000 | (AT + 0x7FC));
    EXPECT_EQ(rig_peek(&rig, AT + 0x7FC, 4), 0xFFFFFFFF);
    EXPECT_RUN(0x66, 0x1E);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), 0xFFFF0000 | (AT + 0x7FA));
    EXPECT_EQ(rig_peek(&rig, AT + 0x7FA, 2), 0x10);
}

static void test_a_32_bit_stack_wraps_at_4_gib(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0);
    rig_map(&rig, 0xFFFFF000);
    *gpr(VMMU_X86_RSP) = 0;
    EXPECT_RUN(0x6A, 0x11);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), 0xFFFFFFFC);
    EXPECT_EQ(rig_peek(&rig, 0xFFFFFFFC, 4), 0x11);
    EXPECT_RUN(0x58);
    EXPECT_EQ(*gpr(VMMU_X86_RSP), 0);
    EXPECT_EQ(*gpr(VMMU_X86_RAX), 0x11);
}

static void test_rip_relative_is_from_the_next_instruction(void **state)
{
    (void)state;
    given(RIG_LONG, 0x55);
    EXPECT_RUN(0x8A, 0x0D, 0xFA, 0x2F, 0x00, 0x00); /* 1000 + 6 + 2FFA */
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x55);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 6);
    rig.state.rip = 0xFFFFFFFF00001000;
    EXPECT_RUN(0x67, 0x8A, 0x15, 0xF9, 0x2F, 0x00, 0x00);
    EXPECT_EQ(*gpr(VMMU_X86_RDX), 0x55);
}

static void test_an_address_is_cut_to_its_size(void **state)
{
    (void)state;
    given(RIG_LONG, 0x66);
    *gpr(VMMU_X86_RAX) = 0xFFFFFFFF00000000 | AT;
    EXPECT_RUN(0x67, 0x8A, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x66);
    given(RIG_REAL, 0x66);
    *gpr(VMMU_X86_RBX) = 0xFFFF;
    *gpr(VMMU_X86_RSI) = AT + 1;
    EXPECT_RUN(0x8A, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x66);
}

static void test_fs_and_gs_have_bases_in_64_bit_mode_and_ds_has_none(void **state)
{
    (void)state;
    given(RIG_LONG, 0x77);
    rig.state.segment[VMMU_X86_DS].base = 0x10000;
    rig.state.segment[VMMU_X86_GS].base = 0xFFFFFFFFFFFFFFF0;
    EXPECT_RUN(0x8A, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x77);
    *gpr(VMMU_X86_RAX) = AT + 0x10;
    EXPECT_RUN(0x65, 0x8A, 0x10);
    EXPECT_EQ(*gpr(VMMU_X86_RDX), 0x77);
    EXPECT_EQ(vmmu_insn_address(&rig.insn, &rig.state).v, AT);
}

static void test_linear_addresses_wrap_at_4_gib_outside_64_bit_mode(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0x88);
    rig.state.segment[VMMU_X86_DS].base = 0xFFFFF000;
    *gpr(VMMU_X86_RAX) = AT + 0x1000;
    EXPECT_RUN(0x8A, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x88);
}

static void test_an_operand_across_pages_is_read_and_written_in_two_parts(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    *gpr(VMMU_X86_RAX) = AT + 0xFFD;
    *gpr(VMMU_X86_RCX) = 0x1122334455667788;
    EXPECT_RUN(0x48, 0x89, 0x08);
    EXPECT_EQ(rig_peek(&rig, AT + 0xFFD, 8), 0x1122334455667788);
    EXPECT_EQ(rig.writes, 2);
    EXPECT_EQ(rig.probes, 2);
    EXPECT_RUN(0x48, 0x03, 0x08);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x22446688AACCEF10);
    EXPECT_EQ(rig.reads, 2);
}

static void test_an_operand_wraps_from_the_last_byte_of_4_gib_to_the_first(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0);
    rig_map(&rig, 0xFFFFF000);
    rig_map(&rig, 0);
    *gpr(VMMU_X86_RAX) = 0xFFFFFFFE;
    EXPECT_RUN(0xC7, 0x00, 0x44, 0x33, 0x22, 0x11);
    EXPECT_EQ(rig_peek(&rig, 0xFFFFFFFE, 2), 0x3344);
    EXPECT_EQ(rig_peek(&rig, 0, 2), 0x1122);
}

static void test_rip_is_cut_to_32_bits_outside_64_bit_mode(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0);
    rig.state.rip = 0xFFFFFFFF;
    EXPECT_RUN(0x8A, 0x08);
    EXPECT_EQ(rig.state.rip, 1);
}

static void test_completion_clears_rf_and_the_interrupt_shadow(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    rig.state.rflags |= RF;
    rig.state.interrupt_shadow = true;
    EXPECT_RUN(0x8A, 0x08);
    EXPECT_FLAGS(0);
    EXPECT(!rig.state.interrupt_shadow);
    EXPECT(!rig.outcome.single_step);
}

static void test_tf_makes_a_single_step_trap_due(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    rig.state.rflags |= TF;
    EXPECT_RUN(0x90);
    EXPECT(rig.outcome.single_step);
    EXPECT_FLAGS(TF);
    EXPECT_EQ(rig.state.rip, RIG_CODE + 1);
}

static void test_the_callers_own_instructions_are_unsupported_and_retired_by_it(void **state)
{
    (void)state;
    given(RIG_LONG, 0);
    rig.state.rflags |= TF | RF;
    EXPECT_EQ(RUN(&rig, 0x66, 0x0F, 0xA2), VMMU_UNSUPPORTED);
    EXPECT_EQ(rig.state.rip, RIG_CODE);
    EXPECT(vmmu_insn_retire(&rig.insn, &rig.state));
    EXPECT_EQ(rig.state.rip, RIG_CODE + 3);
    EXPECT_FLAGS(TF);
}

static void test_operands_of_the_callers_own_instructions_can_be_loaded_and_stored(void **state)
{
    struct vmmu_x86_fault fault;
    uint64_t value[2];

    (void)state;
    given(RIG_LONG, 0x1234567890ABCDEF);
    rig_poke(&rig, AT + 8, 8, 0xFEDC);
    EXPECT_EQ(RUN(&rig, 0x0F, 0x01, 0x30), VMMU_UNSUPPORTED); /* LMSW [RAX] */
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_OK);
    EXPECT_EQ(value[0], 0xCDEF);
    EXPECT_EQ(RUN(&rig, 0x0F, 0x01, 0x20), VMMU_UNSUPPORTED); /* SMSW [RAX] */
    EXPECT_EQ(vmmu_insn_store_destination(&rig.insn, &rig.state, &rig.memory, 0x80050033, &fault), VMMU_OK);
    EXPECT_EQ(rig_peek(&rig, AT, 8), 0x1234567890AB0033);
    EXPECT_EQ(RUN(&rig, 0x66, 0x0F, 0x38, 0x82, 0x08), VMMU_UNSUPPORTED); /* INVPCID RCX, [RAX] */
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_OK);
    EXPECT(value[0] == 0x1234567890AB0033 && value[1] == 0xFEDC);
    EXPECT_EQ(RUN(&rig, 0x0F, 0x20, 0xC1), VMMU_UNSUPPORTED); /* MOV RCX, CR0 */
    EXPECT_EQ(vmmu_insn_store_destination(&rig.insn, &rig.state, &rig.memory, 0x80050033, &fault), VMMU_OK);
    EXPECT_EQ(*gpr(VMMU_X86_RCX), 0x80050033);
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_INVALID);
    EXPECT_EQ(RUN(&rig, 0x48, 0x0F, 0xC7, 0x08), VMMU_OK);
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_INVALID);
    EXPECT_EQ(vmmu_insn_store_destination(&rig.insn, &rig.state, &rig.memory, 0, &fault), VMMU_INVALID);
    EXPECT_EQ(RUN(&rig, 0x0F, 0xA2), VMMU_UNSUPPORTED);
    EXPECT_EQ(vmmu_insn_store_destination(&rig.insn, &rig.state, &rig.memory, 0, &fault), VMMU_INVALID);
}

static void test_a_descriptor_across_pages_is_loaded_whole_or_not_at_all(void **state)
{
    struct vmmu_x86_fault fault = { 0 };
    uint64_t value[2] = { 0, 0 };

    (void)state;
    given(RIG_PROTECTED_32, 0);
    rig_map(&rig, 0xFFFFF000);
    rig_map(&rig, 0);
    rig_poke(&rig, 0xFFFFFFF8, 8, 0x11);
    rig_poke(&rig, 0, 8, 0x22);
    *gpr(VMMU_X86_RAX) = 0xFFFFFFF8;
    EXPECT_EQ(RUN(&rig, 0x66, 0x0F, 0x38, 0x82, 0x08), VMMU_UNSUPPORTED);
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_OK);
    EXPECT(value[0] == 0x11 && value[1] == 0x22);

    *gpr(VMMU_X86_RAX) = AT + 0x1FF8;
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_GUEST_FAULT);
    EXPECT(fault.vector == 14 && fault.cr2 == AT + 0x2000);
    *gpr(VMMU_X86_RAX) = AT + 0x2000;
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_GUEST_FAULT);
    EXPECT_EQ(fault.cr2, AT + 0x2000);
    rig.state.segment[VMMU_X86_DS].limit = AT + 14;
    *gpr(VMMU_X86_RAX) = AT;
    EXPECT_EQ(vmmu_insn_load_source(&rig.insn, &rig.state, &rig.memory, value, &fault), VMMU_GUEST_FAULT);
    EXPECT_EQ(fault.vector, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_32_bit_load_clears_the_upper_half),
        cmocka_unit_test(test_8_and_16_bit_loads_leave_the_rest),
        cmocka_unit_test(test_a_store_writes_its_size_only),
        cmocka_unit_test(test_a_64_bit_store_of_imm32_is_sign_extended),
        cmocka_unit_test(test_a_segment_register_is_stored_as_16_bits),
        cmocka_unit_test(test_movzx_and_movsx_extend),
        cmocka_unit_test(test_movbe_swaps_bytes),
        cmocka_unit_test(test_add_sets_carry_and_overflow),
        cmocka_unit_test(test_adc_and_sbb_use_the_carry),
        cmocka_unit_test(test_cmp_changes_flags_only),
        cmocka_unit_test(test_logic_clears_carry_and_overflow),
        cmocka_unit_test(test_inc_and_dec_leave_the_carry),
        cmocka_unit_test(test_neg_carries_unless_the_operand_is_zero_and_not_changes_no_flag),
        cmocka_unit_test(test_a_shift_by_zero_changes_no_flag),
        cmocka_unit_test(test_a_bit_offset_in_a_register_reaches_beyond_the_operand),
        cmocka_unit_test(test_an_immediate_bit_offset_stays_within_the_operand),
        cmocka_unit_test(test_xchg_with_memory_locks_without_the_prefix),
        cmocka_unit_test(test_xadd_of_a_register_with_itself_doubles_it),
        cmocka_unit_test(test_xadd_gives_the_old_value_and_the_sum),
        cmocka_unit_test(test_cmpxchg_stores_the_source_if_equal),
        cmocka_unit_test(test_cmpxchg_loads_the_accumulator_and_writes_the_operand_back_if_not),
        cmocka_unit_test(test_cmpxchg8b_compares_edx_eax_and_stores_ecx_ebx),
        cmocka_unit_test(test_cmpxchg16b_compares_128_bits),
        cmocka_unit_test(test_a_locked_operation_that_loses_a_race_starts_over_from_the_new_value),
        cmocka_unit_test(test_a_locked_operation_that_never_wins_gives_up_unchanged),
        cmocka_unit_test(test_push_of_rsp_stores_its_old_value),
        cmocka_unit_test(test_pop_of_rsp_keeps_what_was_popped),
        cmocka_unit_test(test_push_from_memory_addresses_by_the_old_rsp_and_pop_by_the_new),
        cmocka_unit_test(test_the_stack_segment_decides_how_much_of_rsp_moves),
        cmocka_unit_test(test_a_32_bit_stack_wraps_at_4_gib),
        cmocka_unit_test(test_rip_relative_is_from_the_next_instruction),
        cmocka_unit_test(test_an_address_is_cut_to_its_size),
        cmocka_unit_test(test_fs_and_gs_have_bases_in_64_bit_mode_and_ds_has_none),
        cmocka_unit_test(test_linear_addresses_wrap_at_4_gib_outside_64_bit_mode),
        cmocka_unit_test(test_an_operand_across_pages_is_read_and_written_in_two_parts),
        cmocka_unit_test(test_an_operand_wraps_from_the_last_byte_of_4_gib_to_the_first),
        cmocka_unit_test(test_rip_is_cut_to_32_bits_outside_64_bit_mode),
        cmocka_unit_test(test_completion_clears_rf_and_the_interrupt_shadow),
        cmocka_unit_test(test_tf_makes_a_single_step_trap_due),
        cmocka_unit_test(test_the_callers_own_instructions_are_unsupported_and_retired_by_it),
        cmocka_unit_test(test_operands_of_the_callers_own_instructions_can_be_loaded_and_stored),
        cmocka_unit_test(test_a_descriptor_across_pages_is_loaded_whole_or_not_at_all),
    };

    return RUN_TESTS(tests);
}
