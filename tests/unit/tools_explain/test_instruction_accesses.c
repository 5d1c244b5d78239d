/*
 * What instructions access: places and sizes as SDM volume 2 describes each instruction.
 */
#include <string.h>

#include "tests/unit/test.h"
#include "tools/explain/access.h"

#define FLAT_DATA UINT16_C(0xc093)
#define RSP       UINT64_C(0x7000)

/* One access that is expected, the fetch left out. */
struct expected {
    enum vmmu_x86_access_kind kind;
    bool also_read;
    uint64_t linear;
    uint32_t bytes;
};

static struct vmmu_x86_state flat(void)
{
    struct vmmu_x86_state state = { .rip = 0x1000, .rflags = 2 };

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        state.segment[i] = (struct vmmu_x86_segment){ .limit = UINT32_MAX, .attributes = FLAT_DATA };
    }
    state.gpr[VMMU_X86_RSP] = RSP;
    state.gpr[VMMU_X86_RBP] = 0x6000;
    state.gpr[VMMU_X86_RBX] = 0x2000;
    state.gpr[VMMU_X86_RCX] = 3;
    state.gpr[VMMU_X86_RSI] = 0x3000;
    state.gpr[VMMU_X86_RDI] = 0x4000;
    return state;
}

static struct access_list list_of(enum vmmu_insn_width width, const char *text,
                                  const struct vmmu_x86_state *state, bool fetched)
{
    struct code code = { .width = width, .rip = state->rip };
    struct complaint complaint;
    struct access_list list;

    EXPECT(code_from_text(&code, text, &complaint));
    EXPECT(code_decode(&code, &complaint));
    access_list_make(&code, state, fetched, &list);
    return list;
}

static void expect_in(enum vmmu_insn_width width, const char *text, const struct expected *expected,
                      unsigned count)
{
    const struct vmmu_x86_state state = flat();
    const struct access_list list = list_of(width, text, &state, false);

    EXPECT_EQ(list.access_count, count);
    for (unsigned i = 0; i < count; i++) {
        EXPECT_EQ(list.accesses[i].kind, expected[i].kind);
        EXPECT_EQ(list.accesses[i].also_read, expected[i].also_read);
        EXPECT_EQ(list.accesses[i].linear, expected[i].linear);
        EXPECT_EQ(list.accesses[i].bytes, expected[i].bytes);
        EXPECT_EQ(list.accesses[i].refused, 0);
    }
}

#define EXPECT_IN(width, text, ...)                                                                          \
    expect_in(width, text, (const struct expected[]){ __VA_ARGS__ },                                         \
              sizeof((const struct expected[]){ __VA_ARGS__ }) / sizeof(struct expected))
#define EXPECT_64(text, ...) EXPECT_IN(VMMU_INSN_64, text, __VA_ARGS__)
#define EXPECT_32(text, ...) EXPECT_IN(VMMU_INSN_32, text, __VA_ARGS__)

static void test_operands_in_memory(void **state)
{
    (void)state;
    EXPECT_64("mov [0x1234], eax", { VMMU_X86_WRITE, false, 0x1234, 4 });
    EXPECT_64("mov rax, [rbx+rcx*8+4]", { VMMU_X86_READ, false, 0x201c, 8 });
    EXPECT_64("add [rbx], cx", { VMMU_X86_WRITE, true, 0x2000, 2 });
    EXPECT_64("cmp byte [rbx-1], 0", { VMMU_X86_READ, false, 0x1fff, 1 });
    EXPECT_64("mov eax, [rip+0x10]", { VMMU_X86_READ, false, 0x1016, 4 });
    EXPECT_64("cmpxchg16b xmmword ptr [rbx]", { VMMU_X86_WRITE, true, 0x2000, 16 });
}

static void test_addresses_alone_and_hints_access_nothing(void **state)
{
    static const char *const texts[] = { "lea rax, [rbx]", "nop dword [rbx]", "prefetchnta byte [rbx]",
                                         "0f 01 3b" /* invlpg [rbx] */ };
    const struct vmmu_x86_state registers = flat();

    (void)state;
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        EXPECT_EQ(list_of(VMMU_INSN_64, texts[i], &registers, false).access_count, 0);
    }
}

static void test_the_stack(void **state)
{
    (void)state;
    EXPECT_64("push rax", { VMMU_X86_WRITE, false, RSP - 8, 8 });
    EXPECT_64("pop rax", { VMMU_X86_READ, false, RSP, 8 });
    EXPECT_64("call 0x5000", { VMMU_X86_WRITE, false, RSP - 8, 8 });
    EXPECT_64("ret", { VMMU_X86_READ, false, RSP, 8 });
    EXPECT_64("leave", { VMMU_X86_READ, false, 0x6000, 8 });
    EXPECT_64("push qword ptr [rbx]", { VMMU_X86_READ, false, 0x2000, 8 },
              { VMMU_X86_WRITE, false, RSP - 8, 8 });
    EXPECT_64("iretq", { VMMU_X86_READ, false, RSP, 40 });
    EXPECT_32("push eax", { VMMU_X86_WRITE, false, RSP - 4, 4 });
    EXPECT_32("pushad", { VMMU_X86_WRITE, false, RSP - 32, 32 });
    EXPECT_32("popad", { VMMU_X86_READ, false, RSP, 32 });
    EXPECT_32("iretd", { VMMU_X86_READ, false, RSP, 12 });
}

/* SDM 2 "POP": the address of the destination is computed after RSP was incremented; PUSH takes it before. */
static void test_the_stack_pointer_as_an_address(void **state)
{
    (void)state;
    EXPECT_64("pop qword ptr [rsp+8]", { VMMU_X86_READ, false, RSP, 8 },
              { VMMU_X86_WRITE, false, RSP + 16, 8 });
    EXPECT_64("push qword ptr [rsp+8]", { VMMU_X86_READ, false, RSP + 8, 8 },
              { VMMU_X86_WRITE, false, RSP - 8, 8 });
}

static void test_strings_are_read_before_they_are_written(void **state)
{
    const struct vmmu_x86_state registers = flat();

    (void)state;
    EXPECT_64("movsq", { VMMU_X86_READ, false, 0x3000, 8 }, { VMMU_X86_WRITE, false, 0x4000, 8 });
    EXPECT_64("rep stosb", { VMMU_X86_WRITE, false, 0x4000, 1 });
    EXPECT_64("lodsd", { VMMU_X86_READ, false, 0x3000, 4 });
    EXPECT_EQ(list_of(VMMU_INSN_64, "rep stosb", &registers, false).repeats, 3);
    EXPECT_EQ(list_of(VMMU_INSN_64, "stosb", &registers, false).repeats, 1);
}

static void test_a_string_that_repeats_no_time_accesses_nothing(void **state)
{
    struct vmmu_x86_state registers = flat();

    (void)state;
    registers.gpr[VMMU_X86_RCX] = 0;
    EXPECT_EQ(list_of(VMMU_INSN_64, "rep movsb", &registers, false).access_count, 0);
    /* The count has as many bits as addresses. */
    registers.gpr[VMMU_X86_RCX] = UINT64_C(0x500000000);
    EXPECT_EQ(list_of(VMMU_INSN_64, "67 f3 a4", &registers, false).access_count, 0);
}

static void test_bit_tests_reach_beyond_their_operand(void **state)
{
    struct vmmu_x86_state registers = flat();

    (void)state;
    registers.gpr[VMMU_X86_RAX] = 64 * 3 + 5;
    EXPECT_EQ(list_of(VMMU_INSN_64, "bts [rbx], rax", &registers, false).accesses[0].linear, 0x2018);
    registers.gpr[VMMU_X86_RAX] = UINT64_MAX;
    EXPECT_EQ(list_of(VMMU_INSN_64, "bt [rbx], eax", &registers, false).accesses[0].linear, 0x1ffc);
    EXPECT_EQ(list_of(VMMU_INSN_64, "bt [rbx], ax", &registers, false).accesses[0].linear, 0x1ffe);
    EXPECT_EQ(list_of(VMMU_INSN_64, "bt dword [rbx], 31", &registers, false).accesses[0].linear, 0x2000);
}

static void test_xlat_adds_al(void **state)
{
    struct vmmu_x86_state registers = flat();

    (void)state;
    registers.gpr[VMMU_X86_RAX] = 0x1280;
    EXPECT_EQ(list_of(VMMU_INSN_64, "xlat", &registers, false).accesses[0].linear, 0x2080);
}

static void test_segments(void **state)
{
    struct vmmu_x86_state registers = flat();

    (void)state;
    registers.segment[VMMU_X86_FS].base = UINT64_C(0xffff800000000000);
    registers.segment[VMMU_X86_DS].base = 0x10000;
    EXPECT_EQ(list_of(VMMU_INSN_64, "mov rax, fs:[rbx]", &registers, false).accesses[0].linear,
              UINT64_C(0xffff800000002000));
    /* In 64-bit mode DS has no base; in 32-bit mode addresses wrap at 4 GiB. */
    EXPECT_EQ(list_of(VMMU_INSN_64, "mov rax, [rbx]", &registers, false).accesses[0].linear, 0x2000);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, [ebx]", &registers, false).accesses[0].linear, 0x12000);
    registers.segment[VMMU_X86_DS].base = 0xfffff000;
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, [ebx]", &registers, false).accesses[0].linear, 0x1000);
}

static void test_limits_refuse(void **state)
{
    struct vmmu_x86_state registers = flat();

    (void)state;
    registers.segment[VMMU_X86_DS].limit = 0x2002;
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, [ebx]", &registers, false).accesses[0].refused, 13);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov al, [ebx]", &registers, false).accesses[0].refused, 0);
    registers.segment[VMMU_X86_SS].limit = 0x6fff;
    EXPECT_EQ(list_of(VMMU_INSN_32, "pop eax", &registers, false).accesses[0].refused, 12);
    /* A segment that expands down holds what is above its limit. */
    registers.segment[VMMU_X86_DS].attributes |= 4;
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, [ebx]", &registers, false).accesses[0].refused, 13);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, [ebx+3]", &registers, false).accesses[0].refused, 0);
    /* Of a null selector nothing may be read. */
    registers.segment[VMMU_X86_ES].attributes = 0;
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, es:[ebx]", &registers, false).accesses[0].refused, 13);
    EXPECT_EQ(list_of(VMMU_INSN_64, "mov eax, [rbx]", &registers, false).accesses[0].refused, 0);
}

/* SDM 3A "Type Checking": only in protected mode. */
static void test_types_of_segments_refuse(void **state)
{
    struct vmmu_x86_state registers = flat();

    (void)state;
    registers.segment[VMMU_X86_CS].attributes = 0xc09b; /* code that may be read */
    registers.segment[VMMU_X86_DS].attributes = 0xc091; /* data that may not be written */
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov cs:[ebx], eax", &registers, false).accesses[0].refused, 0);
    registers.cr0 = VMMU_X86_CR0_PE;
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov cs:[ebx], eax", &registers, false).accesses[0].refused, 13);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, cs:[ebx]", &registers, false).accesses[0].refused, 0);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov [ebx], eax", &registers, false).accesses[0].refused, 13);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, [ebx]", &registers, false).accesses[0].refused, 0);
    registers.segment[VMMU_X86_CS].attributes = 0xc099; /* code that may only run */
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, cs:[ebx]", &registers, true).accesses[0].refused, 0);
    EXPECT_EQ(list_of(VMMU_INSN_32, "mov eax, cs:[ebx]", &registers, true).accesses[1].refused, 13);
    EXPECT_EQ(list_of(VMMU_INSN_64, "mov [rbx], eax", &registers, false).accesses[0].refused, 0);
    registers.rflags |= BIT64(17); /* virtual-8086 mode */
    EXPECT_EQ(list_of(VMMU_INSN_16, "mov [bx], ax", &registers, false).accesses[0].refused, 0);
}

static void test_a_cache_line_is_checked_by_one_byte(void **state)
{
    static const char *const texts[] = { "0f ae 3b", "66 0f ae 3b", "66 0f ae 33" }; /* CLFLUSH, -OPT, CLWB */
    const struct vmmu_x86_state registers = flat();

    (void)state;
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct access_list list = list_of(VMMU_INSN_64, texts[i], &registers, false);

        EXPECT_EQ(list.access_count, 1);
        EXPECT_EQ(list.accesses[0].kind, VMMU_X86_READ);
        EXPECT_EQ(list.accesses[0].bytes, 1);
    }
}

static void test_the_fetch_comes_first(void **state)
{
    const struct vmmu_x86_state registers = flat();
    const struct access_list list = list_of(VMMU_INSN_64, "mov [0x1234], eax", &registers, true);

    (void)state;
    EXPECT_EQ(list.accesses[0].kind, VMMU_X86_EXECUTE);
    EXPECT_EQ(list.accesses[0].linear, 0x1000);
    EXPECT_EQ(list.access_count, 2);
}

static void test_an_access_across_pages_is_one_for_each(void **state)
{
    const struct vmmu_x86_state registers = flat();
    const struct access_list list = list_of(VMMU_INSN_64, "mov [rbx+0xffe], eax", &registers, false);
    const struct access_list area =
        list_of(VMMU_INSN_64, "0f ae 83 f0 0f 00 00" /* fxsave [rbx+0xff0] */, &registers, false);
    const struct access_list wrapped = list_of(VMMU_INSN_32, "mov [0xfffffffe], eax", &registers, false);

    (void)state;
    EXPECT_EQ(list.piece_count, 2);
    EXPECT_EQ(list.pieces[0].linear, 0x2ffe);
    EXPECT_EQ(list.pieces[0].bytes, 2);
    EXPECT_EQ(list.pieces[1].linear, 0x3000);
    EXPECT_EQ(list.pieces[1].bytes, 2);
    EXPECT_EQ(area.piece_count, 2);
    EXPECT_EQ(area.pieces[1].bytes, 512 - 16);
    EXPECT_EQ(wrapped.pieces[1].linear, 0);
}

static void test_what_is_left_out_is_said(void **state)
{
    const struct vmmu_x86_state registers = flat();

    (void)state;
    EXPECT_EQ(list_of(VMMU_INSN_64, "mov rax, rbx", &registers, false).note_count, 0);
    EXPECT_EQ(list_of(VMMU_INSN_64, "iretq", &registers, false).note_count, 1);
    EXPECT_EQ(list_of(VMMU_INSN_64, "int3", &registers, false).note_count, 1);
    EXPECT(strstr(list_of(VMMU_INSN_64, "cd 80", &registers, false).notes[0], "pushes") != NULL);
    EXPECT_EQ(list_of(VMMU_INSN_64, "syscall", &registers, false).note_count, 0);
    EXPECT_EQ(list_of(VMMU_INSN_64, "48 0f 07" /* sysret */, &registers, false).note_count, 0);
    EXPECT_EQ(list_of(VMMU_INSN_64, "mov ds, ax", &registers, false).note_count, 1);
    /* vpgatherdd ymm0, [rax+ymm1*4], ymm2 */
    EXPECT_EQ(list_of(VMMU_INSN_64, "c4 e2 6d 90 04 88", &registers, false).note_count, 1);
}

static void test_every_encoding_is_taken_without_harm(void **state)
{
    const struct vmmu_x86_state registers = flat();
    uint64_t random = 88172645463325252;

    (void)state;
    for (unsigned turn = 0; turn < 100000; turn++) {
        struct code code = { .count = VMMU_X86_INSN_MAX_BYTES,
                             .width = (enum vmmu_insn_width)(turn % 3),
                             .rip = turn };
        struct complaint complaint;
        struct access_list list;

        for (unsigned i = 0; i < code.count; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            code.bytes[i] = (uint8_t)(random >> 32);
        }
        if (code_decode(&code, &complaint)) {
            access_list_make(&code, &registers, true, &list);
            EXPECT(list.piece_count >= 1 && list.piece_count <= PIECES_MOST);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands_in_memory),
        cmocka_unit_test(test_addresses_alone_and_hints_access_nothing),
        cmocka_unit_test(test_the_stack),
        cmocka_unit_test(test_the_stack_pointer_as_an_address),
        cmocka_unit_test(test_strings_are_read_before_they_are_written),
        cmocka_unit_test(test_a_string_that_repeats_no_time_accesses_nothing),
        cmocka_unit_test(test_bit_tests_reach_beyond_their_operand),
        cmocka_unit_test(test_xlat_adds_al),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_limits_refuse),
        cmocka_unit_test(test_types_of_segments_refuse),
        cmocka_unit_test(test_a_cache_line_is_checked_by_one_byte),
        cmocka_unit_test(test_the_fetch_comes_first),
        cmocka_unit_test(test_an_access_across_pages_is_one_for_each),
        cmocka_unit_test(test_what_is_left_out_is_said),
        cmocka_unit_test(test_every_encoding_is_taken_without_harm),
    };

    return RUN_TESTS(tests);
}
