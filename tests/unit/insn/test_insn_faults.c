/*
 * Segment, canonical and alignment checks, and that whatever fails leaves the processor as it was. Spec:
 * SDM 3A "Limit Checking", "Type Checking", "Null Segment Selector Checking", "Interrupt 12-Stack Fault
 * Exception", "Interrupt 17-Alignment Check Exception"; SDM 1 "Canonical Addressing"; AMD APM 2
 * "Segment-Limit Checks in Legacy Mode".
 */
#include "tests/unit/insn/rig.h"

#include <string.h>

#include "tests/unit/insn/describe.h"
#include "tests/unit/test.h"

#define AT        RIG_DATA

#define RFLAGS_VM UINT64_C(0x20000)
#define RFLAGS_AC UINT64_C(0x40000)
#define CR0_AM    UINT64_C(0x40000)
#define CR4_LA57  UINT64_C(0x1000)

#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_AC 17

static struct rig rig;

static void given(enum rig_mode mode, uint64_t rax)
{
    rig_init(&rig, mode);
    rig.state.gpr[VMMU_X86_RAX] = rax;
    rig.state.gpr[VMMU_X86_RBX] = rax;
    rig.state.gpr[VMMU_X86_RBP] = rax;
}

static void expect_fault(unsigned line, enum vmmu_status status, unsigned vector,
                         const struct vmmu_x86_state *before)
{
    if (status != VMMU_GUEST_FAULT || rig.outcome.fault.vector != vector)
        fail_msg("line %u: status %d, vector %u", line, status, rig.outcome.fault.vector);
    EXPECT_EQ(rig.outcome.fault.error_code, 0);
    EXPECT_EQ(rig.outcome.fault.has_error_code, (rig.state.cr0 & 1) != 0);
    EXPECT(rig_state_equal(&rig.state, before));
    EXPECT_EQ(rig.calls, 0);
}

#define EXPECT_FAULT(fault_vector, ...)                                                                      \
    do {                                                                                                     \
        const struct vmmu_x86_state before = rig.state;                                                      \
        expect_fault(__LINE__, RUN(&rig, __VA_ARGS__), (fault_vector), &before);                             \
    } while (0)

#define EXPECT_RUN(...) EXPECT_EQ(RUN(&rig, __VA_ARGS__), VMMU_OK)

static void test_a_non_canonical_address_is_a_general_protection_fault(void **state)
{
    (void)state;
    given(RIG_LONG, 0x0000800000000000);
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    given(RIG_LONG, 0xFFFF7FFFFFFFFFFF);
    EXPECT_FAULT(VECTOR_GP, 0x89, 0x08);
    given(RIG_LONG, 0x00007FFFFFFFFFFD); /* the last byte is beyond */
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    rig_map(&rig, 0x00007FFFFFFFF000);
    rig.state.gpr[VMMU_X86_RAX] = 0x00007FFFFFFFFFFC; /* here it is not */
    EXPECT_RUN(0x8B, 0x08);
}

static void test_a_non_canonical_stack_address_is_a_stack_fault(void **state)
{
    (void)state;
    given(RIG_LONG, 0x0000800000000000);
    EXPECT_FAULT(VECTOR_SS, 0x8B, 0x4D, 0x00);
    EXPECT_FAULT(VECTOR_GP, 0x65, 0x8B, 0x4D, 0x00); /* not if the segment is overridden */
    rig.state.gpr[VMMU_X86_RSP] = 0x0000800000000000;
    EXPECT_FAULT(VECTOR_SS, 0x58);
    rig.state.gpr[VMMU_X86_RSP] = 0xFFFF800000000004;
    EXPECT_FAULT(VECTOR_SS, 0x50);
}

static void test_with_la57_57_bits_are_canonical(void **state)
{
    (void)state;
    given(RIG_LONG, 0x0000800000000000);
    rig.state.cr4 = CR4_LA57;
    rig_map(&rig, 0x0000800000000000);
    EXPECT_RUN(0x8B, 0x08);
    given(RIG_LONG, 0x0100000000000000);
    rig.state.cr4 = CR4_LA57;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    given(RIG_LONG, 0xFF00000000000000);
    rig.state.cr4 = CR4_LA57;
    rig_map(&rig, 0xFF00000000000000);
    EXPECT_RUN(0x8B, 0x08);
}

static void test_64_bit_mode_has_no_limits(void **state)
{
    (void)state;
    given(RIG_LONG, AT);
    rig.state.segment[VMMU_X86_DS] = (struct vmmu_x86_segment){ 0 };
    EXPECT_RUN(0x8B, 0x08);
}

static void test_the_last_byte_must_be_within_the_limit(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, AT);
    rig.state.segment[VMMU_X86_DS].limit = AT + 3;
    EXPECT_RUN(0x8B, 0x08);
    rig.calls = 0;
    rig.state.segment[VMMU_X86_DS].limit = AT + 2;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    EXPECT_FAULT(VECTOR_GP, 0xC7, 0x00, 0, 0, 0, 0);
    rig.state.segment[VMMU_X86_SS].limit = AT + 2;
    EXPECT_FAULT(VECTOR_SS, 0x8B, 0x4D, 0x00);
    EXPECT_FAULT(VECTOR_SS, 0x50);
    EXPECT_FAULT(VECTOR_SS, 0x36, 0x8B, 0x08);
}

static void test_an_offset_past_4_gib_does_not_wrap_into_a_smaller_limit(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0xFFFFFFFE);
    rig.state.segment[VMMU_X86_DS].limit = 0xFFFFEFFF;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
}

static void test_an_expand_down_segment_begins_above_its_limit(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, AT);
    rig.state.segment[VMMU_X86_DS].attributes = 0xC097;
    rig.state.segment[VMMU_X86_DS].limit = AT;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    rig.state.segment[VMMU_X86_DS].limit = AT - 1;
    EXPECT_RUN(0x8B, 0x08);
    rig.calls = 0;
    rig.state.gpr[VMMU_X86_RAX] = 0xFFFFFFFE;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
}

static void test_an_expand_down_segment_ends_at_64_kib_if_b_is_clear(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, 0xFFFD);
    rig.state.segment[VMMU_X86_DS].attributes = 0x0097;
    rig.state.segment[VMMU_X86_DS].limit = AT;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    rig_map(&rig, 0xF000);
    rig.state.gpr[VMMU_X86_RAX] = 0xFFFC;
    EXPECT_RUN(0x8B, 0x08);
}

static void test_types_permit_reading_and_writing(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, AT);
    rig.state.segment[VMMU_X86_DS].attributes = 0xC091; /* data, read-only */
    EXPECT_RUN(0x8B, 0x08);
    rig.calls = 0;
    EXPECT_FAULT(VECTOR_GP, 0x89, 0x08);
    EXPECT_FAULT(VECTOR_GP, 0xFF, 0x00);
    rig.state.segment[VMMU_X86_DS].attributes = 0xC09B; /* code, readable */
    EXPECT_RUN(0x8B, 0x08);
    rig.calls = 0;
    EXPECT_FAULT(VECTOR_GP, 0x89, 0x08);
    rig.state.segment[VMMU_X86_DS].attributes = 0xC099; /* code, execute-only */
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x08);
    EXPECT_FAULT(VECTOR_GP, 0x2E, 0x89, 0x08);
}

static void test_a_null_selector_cannot_be_used(void **state)
{
    (void)state;
    given(RIG_PROTECTED_32, AT);
    rig.state.segment[VMMU_X86_ES] = (struct vmmu_x86_segment){ .limit = UINT32_MAX };
    EXPECT_FAULT(VECTOR_GP, 0x26, 0x8B, 0x08);
    EXPECT_FAULT(VECTOR_GP, 0xAA);
}

static void test_real_mode_has_limits_but_no_types_and_no_error_codes(void **state)
{
    (void)state;
    given(RIG_REAL, 0);
    rig.state.gpr[VMMU_X86_RBX] = AT;
    EXPECT_RUN(0x2E, 0x88, 0x07); /* CS is writable */
    rig.calls = 0;
    rig.state.gpr[VMMU_X86_RBX] = 0xFFFF;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x07);
    rig.state.gpr[VMMU_X86_RBP] = 0xFFFF;
    EXPECT_FAULT(VECTOR_SS, 0x8B, 0x46, 0x00);
}

static void test_virtual_8086_mode_has_no_types_but_error_codes(void **state)
{
    (void)state;
    given(RIG_PROTECTED_16, AT);
    rig.state.rflags |= RFLAGS_VM;
    rig.state.cpl = 3;
    rig.state.segment[VMMU_X86_CS].attributes = 0x00F3;
    EXPECT_RUN(0x2E, 0x88, 0x07);
    rig.calls = 0;
    rig.state.gpr[VMMU_X86_RBX] = 0xFFFF;
    EXPECT_FAULT(VECTOR_GP, 0x8B, 0x07);
    EXPECT(rig.outcome.fault.has_error_code);
}

static void test_alignment_is_checked_at_cpl_3_with_am_and_ac(void **state)
{
    (void)state;
    given(RIG_LONG, AT + 1);
    rig.state.cpl = 3;
    rig.state.cr0 |= CR0_AM;
    rig.state.rflags |= RFLAGS_AC;
    EXPECT_FAULT(VECTOR_AC, 0x8B, 0x08);
    EXPECT_FAULT(VECTOR_AC, 0x66, 0x89, 0x08);
    EXPECT_RUN(0x8A, 0x08);
    rig.state.cpl = 0;
    EXPECT_RUN(0x8B, 0x08);
    rig.state.cpl = 3;
    rig.state.rflags &= ~RFLAGS_AC;
    EXPECT_RUN(0x8B, 0x08);
    rig.state.rflags |= RFLAGS_AC;
    rig.state.cr0 &= ~CR0_AM;
    EXPECT_RUN(0x8B, 0x08);
}

static void test_cmpxchg16b_of_a_misaligned_operand_is_a_general_protection_fault(void **state)
{
    (void)state;
    given(RIG_LONG, AT + 8);
    EXPECT_FAULT(VECTOR_GP, 0x48, 0x0F, 0xC7, 0x08);
    EXPECT_FAULT(VECTOR_GP, 0xF0, 0x48, 0x0F, 0xC7, 0x08);
    rig.state.cpl = 3; /* also where alignment is checked */
    rig.state.cr0 |= CR0_AM;
    rig.state.rflags |= RFLAGS_AC;
    EXPECT_FAULT(VECTOR_GP, 0x48, 0x0F, 0xC7, 0x08);
    rig.state.gpr[VMMU_X86_RAX] = AT + 4;
    EXPECT_FAULT(VECTOR_AC, 0x0F, 0xC7, 0x08);
}

static void test_a_locked_access_across_pages_is_unsupported_and_touches_nothing(void **state)
{
    struct vmmu_x86_state before;

    (void)state;
    given(RIG_LONG, AT + 0xFFE);
    before = rig.state;
    EXPECT_EQ(RUN(&rig, 0xF0, 0xFF, 0x00), VMMU_UNSUPPORTED);
    EXPECT_EQ(RUN(&rig, 0xF0, 0x0F, 0xC7, 0x08), VMMU_UNSUPPORTED);
    EXPECT_EQ(rig.calls, 0);
    EXPECT(rig_state_equal(&rig.state, &before));
}

static void test_a_write_across_pages_of_which_the_second_is_absent_writes_nothing(void **state)
{
    (void)state;
    given(RIG_LONG, AT + 0x1FFE);
    EXPECT_EQ(RUN(&rig, 0xC7, 0x00, 0x44, 0x33, 0x22, 0x11), VMMU_GUEST_FAULT);
    EXPECT(rig.outcome.fault.vector == 14 && rig.outcome.fault.cr2 == AT + 0x2000);
    EXPECT_EQ(rig_peek(&rig, AT + 0x1FFE, 2), 0);
}

static void test_a_modification_of_a_read_only_page_faults_as_a_write(void **state)
{
    (void)state;
    given(RIG_LONG, AT);
    rig.pages[0].read_only = true;
    EXPECT_EQ(RUN(&rig, 0xFF, 0x00), VMMU_GUEST_FAULT);
    EXPECT_EQ(rig.outcome.fault.error_code, 3);
    EXPECT_EQ(rig.calls, 1);
    EXPECT_EQ(RUN(&rig, 0x83, 0x38, 0x00), VMMU_OK); /* CMP only reads */
}

/* One of each way through memory, at a page boundary where that is allowed, without REP. */
static const char *const ways[] = {
    "8B 08",       "48 89 08",    "A1 FE 4F 00 00 00 00 00 00",
    "C6 00 05",    "0F B6 08",    "0F BF 08",
    "0F 38 F0 08", "0F 38 F1 08", "01 08",
    "48 13 08",    "83 38 01",    "84 08",
    "F0 01 08",    "F7 18",       "48 C1 20 03",
    "0F A3 08",    "F0 0F AB 08", "0F BA 38 02",
    "87 08",       "0F C1 08",    "F0 0F B1 08",
    "0F B1 08",    "0F C7 08",    "F0 0F C7 08",
    "48 0F C7 08", "50",          "FF 30",
    "58",          "8F 00",       "A5",
    "48 A7",       "AB",          "AD",
    "AF",          "6D",          "6F",
};

/*
 * Every call that the instruction makes fails once, with every kind of status; then it
 * is done without failure.
 */
static void fail_everywhere(const char *way, uint64_t address)
{
    static const enum vmmu_status failures[] = { VMMU_GUEST_FAULT, VMMU_ABSENT, VMMU_STAGE2,
                                                 VMMU_UNSUPPORTED };
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES];
    const unsigned count = insn_parse_bytes(way, bytes, sizeof(bytes));
    const bool crosses = address % 4096 > 4096 - 16;
    unsigned calls;

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned at = 1;; at++) {
            struct vmmu_x86_state before;
            enum vmmu_status status;

            given(RIG_LONG, address);
            rig.state.gpr[VMMU_X86_RSP] = AT + 0x14;
            rig.state.gpr[VMMU_X86_RSI] = rig.state.gpr[VMMU_X86_RDI] = address;
            before = rig.state;
            rig.fail_at = at;
            rig.fail_status = failures[i];
            status = rig_run(&rig, bytes, count);
            calls = rig.calls;
            if (calls < at) {
                EXPECT_EQ(status, VMMU_OK);
                break;
            }
            EXPECT_EQ(status, failures[i]);
            EXPECT(rig_state_equal(&rig.state, &before));
            /* A port has no fault to describe. */
            EXPECT(status != VMMU_GUEST_FAULT || rig.outcome.fault.cr2 == 0xFA11 ||
                   rig.insn.operation == VMMU_INSN_INS || rig.insn.operation == VMMU_INSN_OUTS);
            /* Of a write in two parts the second may fail although it was probed. */
            EXPECT(rig.exchanges == 0 && rig.writes <= (crosses ? 1 : 0));
        }
    }
    EXPECT(calls >= 1);
}

static void test_every_failure_of_every_callback_leaves_the_state_unchanged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        fail_everywhere(ways[i], AT + 0x10);
}

static void test_the_same_for_operands_across_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const bool locks = strncmp(ways[i], "F0", 2) == 0 || strncmp(ways[i], "87", 2) == 0;

        if (!locks && strcmp(ways[i], "48 0F C7 08") != 0)
            fail_everywhere(ways[i], AT + 0xFFF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_non_canonical_address_is_a_general_protection_fault),
        cmocka_unit_test(test_a_non_canonical_stack_address_is_a_stack_fault),
        cmocka_unit_test(test_with_la57_57_bits_are_canonical),
        cmocka_unit_test(test_64_bit_mode_has_no_limits),
        cmocka_unit_test(test_the_last_byte_must_be_within_the_limit),
        cmocka_unit_test(test_an_offset_past_4_gib_does_not_wrap_into_a_smaller_limit),
        cmocka_unit_test(test_an_expand_down_segment_begins_above_its_limit),
        cmocka_unit_test(test_an_expand_down_segment_ends_at_64_kib_if_b_is_clear),
        cmocka_unit_test(test_types_permit_reading_and_writing),
        cmocka_unit_test(test_a_null_selector_cannot_be_used),
        cmocka_unit_test(test_real_mode_has_limits_but_no_types_and_no_error_codes),
        cmocka_unit_test(test_virtual_8086_mode_has_no_types_but_error_codes),
        cmocka_unit_test(test_alignment_is_checked_at_cpl_3_with_am_and_ac),
        cmocka_unit_test(test_cmpxchg16b_of_a_misaligned_operand_is_a_general_protection_fault),
        cmocka_unit_test(test_a_locked_access_across_pages_is_unsupported_and_touches_nothing),
        cmocka_unit_test(test_a_write_across_pages_of_which_the_second_is_absent_writes_nothing),
        cmocka_unit_test(test_a_modification_of_a_read_only_page_faults_as_a_write),
        cmocka_unit_test(test_every_failure_of_every_callback_leaves_the_state_unchanged),
        cmocka_unit_test(test_the_same_for_operands_across_pages),
    };

    return RUN_TESTS(tests);
}
