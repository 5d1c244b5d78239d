/*
 * Instructions by hand: bytes and lines of a listing come to the encodings that the manuals give.
 */
#include <string.h>

#include "tests/unit/test.h"
#include "tools/explain/code.h"

static struct code code_of(enum vmmu_insn_width width, const char *text)
{
    struct code code = { .width = width, .rip = 0x1000 };
    struct complaint complaint;

    EXPECT(code_from_text(&code, text, &complaint));
    EXPECT(code_decode(&code, &complaint));
    EXPECT_EQ(code.insn.length, code.count);
    return code;
}

static void expect_bytes(enum vmmu_insn_width width, const char *text, const char *bytes, unsigned count)
{
    const struct code code = code_of(width, text);

    EXPECT_EQ(code.count, count);
    assert_memory_equal(code.bytes, bytes, count);
}

static void test_hexadecimal_digits_are_bytes(void **state)
{
    (void)state;
    expect_bytes(VMMU_INSN_32, "a3 34 12 00 00", "\xa3\x34\x12\x00\x00", 5);
    expect_bytes(VMMU_INSN_32, "A334120000", "\xa3\x34\x12\x00\x00", 5);
    EXPECT(strcmp(code_of(VMMU_INSN_32, "a334120000").text, "mov [0x1234], eax") == 0);
}

static void test_lines_assemble_to_what_the_manuals_encode(void **state)
{
    (void)state;
    expect_bytes(VMMU_INSN_32, "mov [0x1234], eax", "\xa3\x34\x12\x00\x00", 5);
    expect_bytes(VMMU_INSN_16, "mov [0x1234], ax", "\xa3\x34\x12", 3);
    expect_bytes(VMMU_INSN_64, "mov [0x1234], eax", "\x89\x04\x25\x34\x12\x00\x00", 7);
    expect_bytes(VMMU_INSN_64, "mov eax, [0xffffffff81000000]", "\x8b\x04\x25\x00\x00\x00\x81", 7);
    expect_bytes(VMMU_INSN_64, "mov [0xffff888000001000], al", "\xa2\x00\x10\x00\x00\x80\x88\xff\xff", 9);
    expect_bytes(VMMU_INSN_64, "push [0x10]", "\xff\x34\x25\x10\x00\x00\x00", 7);
    expect_bytes(VMMU_INSN_32, "call [0x10]", "\xff\x15\x10\x00\x00\x00", 6);
    expect_bytes(VMMU_INSN_64, "push rax", "\x50", 1);
    expect_bytes(VMMU_INSN_64, "ret", "\xc3", 1);
    expect_bytes(VMMU_INSN_64, "mov rax, [rbx+rcx*8-0x10]", "\x48\x8b\x44\xcb\xf0", 5);
    expect_bytes(VMMU_INSN_64, "MOV RAX, QWORD PTR [ RBX + RCX * 8 - 16 ]", "\x48\x8b\x44\xcb\xf0", 5);
    expect_bytes(VMMU_INSN_64, "lea rdi, [rip+0x10]", "\x48\x8d\x3d\x10\x00\x00\x00", 7);
    expect_bytes(VMMU_INSN_64, "inc dword [rax]", "\xff\x00", 2);
    expect_bytes(VMMU_INSN_64, "mov byte ptr fs:[rdx], 7", "\x64\xc6\x02\x07", 4);
    expect_bytes(VMMU_INSN_64, "lock xadd [rsi], ecx", "\xf0\x0f\xc1\x0e", 4);
    expect_bytes(VMMU_INSN_64, "rep movsb", "\xf3\xa4", 2);
    expect_bytes(VMMU_INSN_64, "je 0x1010", "\x74\x0e", 2);
    expect_bytes(VMMU_INSN_64, "call 0x2000", "\xe8\xfb\x0f\x00\x00", 5);
    expect_bytes(VMMU_INSN_32, "add ecx, -1", "\x83\xc1\xff", 3);
}

static void test_lines_are_read_as_disassemblers_print_them(void **state)
{
    (void)state;
    expect_bytes(VMMU_INSN_64, "mov    DWORD PTR ds:0x1234,eax", "\x89\x04\x25\x34\x12\x00\x00", 7);
    expect_bytes(VMMU_INSN_64, "mov    DWORD PTR ds:[0x1234],eax", "\x89\x04\x25\x34\x12\x00\x00", 7);
    expect_bytes(VMMU_INSN_64, "mov rax,QWORD PTR gs:0x28", "\x65\x48\x8b\x04\x25\x28\x00\x00\x00", 9);
    expect_bytes(VMMU_INSN_64, "mov rax, fs:0x28", "\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9);
    expect_bytes(VMMU_INSN_64, "mov DWORD PTR ds:[rax],ebx", "\x89\x18", 2);
    expect_bytes(VMMU_INSN_64, "movabs al,ds:0xffff888000001000", "\xa0\x00\x10\x00\x00\x80\x88\xff\xff", 9);
    expect_bytes(VMMU_INSN_64, "push   QWORD PTR [rip+0x10]        # 404008", "\xff\x35\x10\x00\x00\x00", 6);
    expect_bytes(VMMU_INSN_64, "rep stos QWORD PTR es:[rdi],rax", "\xf3\x48\xab", 3);
    expect_bytes(VMMU_INSN_64, "movs   DWORD PTR es:[rdi],DWORD PTR ds:[rsi]", "\xa5", 1);
    expect_bytes(VMMU_INSN_64, "movs   DWORD PTR es:[rdi],DWORD PTR gs:[rsi]", "\x65\xa5", 2);
    expect_bytes(VMMU_INSN_64, "lods   al,BYTE PTR ds:[rsi]", "\xac", 1);
    expect_bytes(VMMU_INSN_32, "mov    ds:0x1234,eax", "\xa3\x34\x12\x00\x00", 5);
    expect_bytes(VMMU_INSN_32, "mov    eax,gs:0x14", "\x65\xa1\x14\x00\x00\x00", 6);
    expect_bytes(VMMU_INSN_32, "call   DWORD PTR ds:0x10", "\xff\x15\x10\x00\x00\x00", 6);
    expect_bytes(VMMU_INSN_32, "mov    eax,DWORD PTR ss:[ebp+8]", "\x8b\x45\x08", 3);
    expect_bytes(VMMU_INSN_32, "mov    eax,DWORD PTR ds:[ebp+8]", "\x3e\x8b\x45\x08", 4);
    expect_bytes(VMMU_INSN_32, "mov    eax,es:[edi]", "\x26\x8b\x07", 3);
}

static void test_an_operand_whose_size_nobody_says_is_asked_for(void **state)
{
    struct code code = { .width = VMMU_INSN_64 };
    struct complaint complaint = { .text = "" };

    (void)state;
    EXPECT(!code_assemble(&code, "inc [rax]", &complaint));
    EXPECT(strstr(complaint.text, "dword") != NULL);
}

static void test_what_is_no_instruction_is_refused_with_a_sentence(void **state)
{
    static const char *const lines[] = {
        "",
        "   ",
        "frobnicate eax",
        "mov",
        "mov eax",
        "mov [eax",
        "mov eax, [ebx*3]",
        "mov eax, [ebx+ecx+edx]",
        "mov eax, [ebx-ecx]",
        "mov eax, 0xg",
        "mov eax, 99999999999999999999999",
        "mov eax, ebx extra",
        "mov eax, ebx,",
        "mov , eax",
        "mov al, rax",
        "push [0xffffffffffffffff], 1, 2, 3, 4, 5, 6, 7",
        "lock lock lock",
        "mov eax, [",
        "mov eax, []",
        "mov eax, fs:",
        "mov eax, ds:zz",
        "movs",
        "movs [rdi], [rsi]",
        "movs xmmword ptr [rdi], xmmword ptr [rsi]",
        "mov eax, dword ptr",
        "qword ptr",
        "zz 12",
        "a",
        "00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff",
        "movmovmovmovmovmovmovmovmovmovmovmovmovmovmovmovmovmov eax, ebx",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct code code = { .width = VMMU_INSN_64 };
        struct complaint complaint = { .text = "" };

        EXPECT(!code_from_text(&code, lines[i], &complaint));
        EXPECT(complaint.text[0] != '\0');
    }
}

/* As many as there are: sixteen bytes are none. */
static void test_an_instruction_has_fifteen_bytes_at_most(void **state)
{
    struct code code = { .width = VMMU_INSN_64 };
    struct complaint complaint = { .text = "" };

    (void)state;
    EXPECT(code_from_text(&code, "2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", &complaint));
    EXPECT_EQ(code.count, 15);
    EXPECT(code_decode(&code, &complaint));
    EXPECT(!code_from_text(&code, "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", &complaint));
    EXPECT(complaint.usage);
    EXPECT(strstr(complaint.text, "these are 16 bytes") != NULL);
}

static void test_bytes_that_are_cut_or_undefined_do_not_decode(void **state)
{
    struct code cut = { .bytes = { 0xe8, 0 }, .count = 2, .width = VMMU_INSN_64 };
    struct code undefined = { .bytes = { 0x06 }, .count = 1, .width = VMMU_INSN_64 };
    struct complaint complaint;

    (void)state;
    EXPECT(!code_decode(&cut, &complaint));
    EXPECT(!code_decode(&undefined, &complaint));
    undefined.width = VMMU_INSN_32;
    EXPECT(code_decode(&undefined, &complaint));
}

static void test_registers_are_numbered_in_encoding_order(void **state)
{
    static const struct {
        const char *name;
        struct code_register expected;
    } cases[] = {
        { "rax", { 0, 64, 0 } }, { "ECX", { 1, 32, 0 } },   { "dx", { 2, 16, 0 } }, { "bl", { 3, 8, 0 } },
        { "spl", { 4, 8, 0 } },  { "ah", { 0, 8, 8 } },     { "bh", { 3, 8, 8 } },  { "rdi", { 7, 64, 0 } },
        { "r8", { 8, 64, 0 } },  { "r15d", { 15, 32, 0 } },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct code_register found;

        EXPECT(code_register_of(code_register_named(cases[i].name, (unsigned)strlen(cases[i].name)), &found));
        EXPECT_EQ(found.number, cases[i].expected.number);
        EXPECT_EQ(found.bits, cases[i].expected.bits);
        EXPECT_EQ(found.shift, cases[i].expected.shift);
    }
    EXPECT_EQ(code_register_named("rax", 2), ZYDIS_REGISTER_NONE);
    EXPECT_EQ(code_register_named("", 0), ZYDIS_REGISTER_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hexadecimal_digits_are_bytes),
        cmocka_unit_test(test_lines_assemble_to_what_the_manuals_encode),
        cmocka_unit_test(test_lines_are_read_as_disassemblers_print_them),
        cmocka_unit_test(test_an_instruction_has_fifteen_bytes_at_most),
        cmocka_unit_test(test_an_operand_whose_size_nobody_says_is_asked_for),
        cmocka_unit_test(test_what_is_no_instruction_is_refused_with_a_sentence),
        cmocka_unit_test(test_bytes_that_are_cut_or_undefined_do_not_decode),
        cmocka_unit_test(test_registers_are_numbered_in_encoding_order),
    };

    return RUN_TESTS(tests);
}
