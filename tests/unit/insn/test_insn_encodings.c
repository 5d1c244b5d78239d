/*
 * Encodings and what they mean, by hand from the opcode tables of the manuals. Spec: SDM 2 "Instruction Set
 * Reference", "ModR/M and SIB Bytes", "REX Prefixes"; AMD APM 3 "General-Purpose Instruction Reference".
 */
#include <string.h>

#include "tests/unit/insn/describe.h"
#include "tests/unit/test.h"

struct encoding {
    const char *bytes;
    const char *meaning;
};

/* Decode with rubbish behind, compare, and see that every byte that is missing is missed. */
static void expect_meaning(enum vmmu_insn_width width, const struct encoding *encoding)
{
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES + 1];
    struct insn_text text;
    struct vmmu_insn insn;
    unsigned count;

    memset(bytes, 0xF1, sizeof(bytes));
    count = insn_parse_bytes(encoding->bytes, bytes, VMMU_X86_INSN_MAX_BYTES);
    if (vmmu_insn_decode(bytes, VMMU_X86_INSN_MAX_BYTES, width, &insn) != VMMU_OK)
        fail_msg("%s is not decoded", encoding->bytes);
    text = insn_describe(&insn);
    if (strcmp(text.text, encoding->meaning) != 0 || insn.length != count || insn.width != width) {
        fail_msg("%s is \"%s\" of %u bytes, not \"%s\"", encoding->bytes, text.text, insn.length,
                 encoding->meaning);
    }
    for (unsigned missing = 1; missing <= count; missing++)
        EXPECT_EQ(vmmu_insn_decode(bytes, count - missing, width, &insn), VMMU_ABSENT);
}

static void expect_meanings(enum vmmu_insn_width width, const struct encoding *encodings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_meaning(width, &encodings[i]);
}

#define EXPECT_MEANINGS(width, table) expect_meanings((width), (table), sizeof(table) / sizeof((table)[0]))

static void test_mov_in_all_its_forms(void **state)
{
    static const struct encoding mov64[] = {
        { "88 08", "mov1 ds:[r0], r1 ~1" },
        { "89 08", "mov4 ds:[r0], r1 ~1" },
        { "8A 08", "mov1 r1, ds:[r0] ~1" },
        { "8B 08", "mov4 r1, ds:[r0] ~1" },
        { "66 8B 08", "mov2 r1, ds:[r0] ~1" },
        { "48 8B 08", "mov8 r1, ds:[r0] ~1" },
        { "66 48 8B 08", "mov8 r1, ds:[r0] ~1" },
        { "8B C8", "mov4 r1, r0" },
        { "4D 89 C8", "mov8 r8, r9" },
        { "C6 00 80", "mov1 ds:[r0], 0x80 ~1" },
        { "C7 00 78 56 34 82", "mov4 ds:[r0], 0x82345678 ~1" },
        { "66 C7 00 34 12", "mov2 ds:[r0], 0x1234 ~1" },
        { "48 C7 00 FF FF FF FF", "mov8 ds:[r0], 0xffffffffffffffff ~1" },
        { "B4 01", "mov1 h0, 0x1" },
        { "40 B4 01", "mov1 r4, 0x1" },
        { "41 B4 01", "mov1 r12, 0x1" },
        { "B9 04 03 02 01", "mov4 r1, 0x1020304" },
        { "49 B9 08 07 06 05 04 03 02 81", "mov8 r9, 0x8102030405060708" },
        { "A0 08 07 06 05 04 03 02 01", "mov1 r0, ds:[+0x102030405060708] ~1" },
        { "48 A3 08 07 06 05 04 03 02 01", "mov8 ds:[+0x102030405060708], r0 ~1" },
        { "67 A1 04 03 02 01", "mov4 a4 r0, ds:[+0x1020304] ~1" },
        { "65 A1 08 07 06 05 04 03 02 01", "mov4 r0, gs:[+0x102030405060708] ~1" },
        { "8C D8", "mov4 r0, ds" },
        { "48 8C E0", "mov8 r0, fs" },
        { "8C 18", "mov2 ds:[r0], ds ~1" },
        { "48 8C 28", "mov2 ds:[r0], gs ~1" },
        { "0F C3 08", "mov4 ds:[r0], r1 ~1" },
        { "48 0F C3 08", "mov8 ds:[r0], r1 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, mov64);
}

static void test_moves_that_change_size(void **state)
{
    static const struct encoding extending[] = {
        { "0F B6 08", "movzx4<1> r1, ds:[r0] ~1" },
        { "66 0F B6 08", "movzx2<1> r1, ds:[r0] ~1" },
        { "48 0F B7 08", "movzx8<2> r1, ds:[r0] ~1" },
        { "66 0F B7 08", "movzx2 r1, ds:[r0] ~1" },
        { "0F BE CC", "movsx4<1> r1, h0" },
        { "40 0F BE CC", "movsx4<1> r1, r4" },
        { "48 0F BF 08", "movsx8<2> r1, ds:[r0] ~1" },
        { "48 63 08", "movsx8<4> r1, ds:[r0] ~1" },
        { "63 08", "movsx4 r1, ds:[r0] ~1" },
        { "66 63 08", "movsx2 r1, ds:[r0] ~1" },
        { "0F 38 F0 08", "movbe4 r1, ds:[r0] ~1" },
        { "48 0F 38 F1 08", "movbe8 ds:[r0], r1 ~1" },
        { "66 0F 38 F1 08", "movbe2 ds:[r0], r1 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, extending);
}

static void test_16_bit_addressing(void **state)
{
    static const struct encoding modes[] = {
        { "8B 00", "mov2 r0, ds:[r3+r6*1] ~1" },
        { "8B 01", "mov2 r0, ds:[r3+r7*1] ~1" },
        { "8B 02", "mov2 r0, ss:[r5+r6*1] ~1" },
        { "8B 03", "mov2 r0, ss:[r5+r7*1] ~1" },
        { "8B 04", "mov2 r0, ds:[r6] ~1" },
        { "8B 05", "mov2 r0, ds:[r7] ~1" },
        { "8B 06 34 12", "mov2 r0, ds:[+0x1234] ~1" },
        { "8B 07", "mov2 r0, ds:[r3] ~1" },
        { "8B 46 80", "mov2 r0, ss:[r5-0x80] ~1" },
        { "8B 47 7F", "mov2 r0, ds:[r3+0x7f] ~1" },
        { "8B 86 00 80", "mov2 r0, ss:[r5-0x8000] ~1" },
        { "2E 8B 02", "mov2 r0, cs:[r5+r6*1] ~1" },
        { "66 8B 07", "mov4 r0, ds:[r3] ~1" },
        { "67 8B 00", "mov2 a4 r0, ds:[r0] ~1" },
        { "67 66 8B 04 24", "mov4 a4 r0, ss:[r4] ~1" },
        { "A1 34 12", "mov2 r0, ds:[+0x1234] ~1" },
        { "26 A2 34 12", "mov1 es:[+0x1234], r0 ~1" },
        { "C7 06 34 12 78 56", "mov2 ds:[+0x1234], 0x5678 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_16, modes);
}

static void test_32_bit_addressing(void **state)
{
    static const struct encoding modes[] = {
        { "8B 00", "mov4 r0, ds:[r0] ~1" },
        { "8B 05 78 56 34 12", "mov4 r0, ds:[+0x12345678] ~1" },
        { "8B 45 00", "mov4 r0, ss:[r5] ~1" },
        { "8B 85 00 00 00 80", "mov4 r0, ss:[r5-0x80000000] ~1" },
        { "8B 04 24", "mov4 r0, ss:[r4] ~1" },
        { "8B 44 24 FC", "mov4 r0, ss:[r4-0x4] ~1" },
        { "8B 04 88", "mov4 r0, ds:[r0+r1*4] ~1" },
        { "8B 04 CD 78 56 34 12", "mov4 r0, ds:[+r1*8+0x12345678] ~1" },
        { "8B 44 4D 10", "mov4 r0, ss:[r5+r1*2+0x10] ~1" },
        { "8B 04 25 78 56 34 12", "mov4 r0, ds:[+0x12345678] ~1" },
        { "8B 04 E0", "mov4 r0, ds:[r0] ~1" },
        { "67 8B 07", "mov4 a2 r0, ds:[r3] ~1" },
        { "36 8B 00", "mov4 r0, ss:[r0] ~1" },
        { "3E 8B 45 00", "mov4 r0, ds:[r5] ~1" },
        { "64 65 8B 00", "mov4 r0, gs:[r0] ~1" },
        { "A1 78 56 34 12", "mov4 r0, ds:[+0x12345678] ~1" },
        { "67 A3 34 12", "mov4 a2 ds:[+0x1234], r0 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_32, modes);
}

static void test_64_bit_addressing(void **state)
{
    static const struct encoding modes[] = {
        { "8B 05 00 00 00 80", "mov4 r0, ds:[rip-0x80000000] ~1" },
        { "67 8B 05 10 00 00 00", "mov4 a4 r0, ds:[rip+0x10] ~1" },
        { "8B 04 25 78 56 34 82", "mov4 r0, ds:[-0x7dcba988] ~1" },
        { "41 8B 04 24", "mov4 r0, ds:[r12] ~1" },
        { "41 8B 45 00", "mov4 r0, ds:[r13] ~1" },
        { "41 8B 04 E4", "mov4 r0, ds:[r12] ~1" },
        { "42 8B 04 A0", "mov4 r0, ds:[r0+r12*4] ~1" },
        { "43 8B 44 E5 08", "mov4 r0, ds:[r13+r12*8+0x8] ~1" },
        { "49 8B 04 05 10 00 00 00", "mov8 r0, ds:[+r0*1+0x10] ~1" },
        { "8B 45 08", "mov4 r0, ss:[r5+0x8] ~1" },
        { "67 8B 00", "mov4 a4 r0, ds:[r0] ~1" },
        { "4C 8B 3C 24", "mov8 r15, ss:[r4] ~1" },
        { "64 8B 04 25 10 00 00 00", "mov4 r0, fs:[+0x10] ~1" },
        { "65 48 89 5D 00", "mov8 gs:[r5], r3 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, modes);
}

static void test_es_cs_ss_ds_overrides_are_ignored_in_64_bit_mode(void **state)
{
    static const struct encoding overrides[] = {
        { "2E 8B 45 00", "mov4 r0, ss:[r5] ~1" }, { "36 8B 00", "mov4 r0, ds:[r0] ~1" },
        { "3E 8B 04 24", "mov4 r0, ss:[r4] ~1" }, { "26 A4", "movs1 ds ~2" },
        { "64 2E 8B 00", "mov4 r0, fs:[r0] ~1" }, { "64 A4", "movs1 fs ~2" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, overrides);
}

static void test_rex_counts_only_just_before_the_opcode(void **state)
{
    static const struct encoding prefixes[] = {
        { "48 66 8B 08", "mov2 r1, ds:[r0] ~1" },
        { "48 41 8B 08", "mov4 r1, ds:[r8] ~1" },
        { "41 F3 90", "rep pause4" },
        { "41 90", "xchg4 r8, r0" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, prefixes);
}

static void test_arithmetic_and_logic(void **state)
{
    static const struct encoding group[] = {
        { "00 08", "add1 ds:[r0], r1 ~1" },
        { "01 08", "add4 ds:[r0], r1 ~1" },
        { "0A 08", "or1 r1, ds:[r0] ~1" },
        { "13 08", "adc4 r1, ds:[r0] ~1" },
        { "1C 7F", "sbb1 r0, 0x7f" },
        { "48 25 00 00 00 80", "and8 r0, 0xffffffff80000000" },
        { "66 2D 34 12", "sub2 r0, 0x1234" },
        { "80 30 FF", "xor1 ds:[r0], 0xff ~1" },
        { "81 38 01 00 00 00", "cmp4 ds:[r0], 0x1 ~1" },
        { "83 08 FF", "or4 ds:[r0], 0xffffffff ~1" },
        { "48 83 20 F0", "and8 ds:[r0], 0xfffffffffffffff0 ~1" },
        { "3B 08", "cmp4 r1, ds:[r0] ~1" },
        { "84 08", "test1 ds:[r0], r1 ~1" },
        { "A9 04 03 02 01", "test4 r0, 0x1020304" },
        { "F6 00 01", "test1 ds:[r0], 0x1 ~1" },
        { "F6 08 01", "test1 ds:[r0], 0x1 ~1" },
        { "F7 00 01 00 00 00", "test4 ds:[r0], 0x1 ~1" },
        { "F7 10", "not4 ds:[r0] ~1" },
        { "F6 18", "neg1 ds:[r0] ~1" },
        { "FE 00", "inc1 ds:[r0] ~1" },
        { "48 FF 08", "dec8 ds:[r0] ~1" },
        { "C0 20 03", "shl1 ds:[r0], 0x3 ~1" },
        { "D1 38", "sar4 ds:[r0], 0x1 ~1" },
        { "48 D3 28", "shr8 ds:[r0], r1 ~1" },
        { "D3 30", "shl4 ds:[r0], r1 ~1" },
        { "C1 18 04", "rcr4 ds:[r0], 0x4 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, group);
}

static void test_40_to_4f_are_inc_and_dec_outside_64_bit_mode(void **state)
{
    static const struct encoding short_forms[] = {
        { "40", "inc4 r0" },
        { "47", "inc4 r7" },
        { "66 48", "dec2 r0" },
        { "4F", "dec4 r7" },
        { "82 00 FF", "add1 ds:[r0], 0xff ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_32, short_forms);
}

static void test_exchanges_and_bit_tests(void **state)
{
    static const struct encoding group[] = {
        { "86 08", "lock xchg1 ds:[r0], r1 ~1" },
        { "48 87 08", "lock xchg8 ds:[r0], r1 ~1" },
        { "87 C8", "xchg4 r0, r1" },
        { "91", "xchg4 r1, r0" },
        { "90", "nop4" },
        { "0F 1F 44 00 00", "nop4 ds:[r0+r0*1]" },
        { "F0 0F C0 08", "lock xadd1 ds:[r0], r1 ~1" },
        { "0F C1 C8", "xadd4 r0, r1" },
        { "F0 48 0F B1 11", "lock cmpxchg8 ds:[r1], r2 ~1" },
        { "0F B0 E1", "cmpxchg1 r1, h0" },
        { "0F C7 08", "cmpxchgb8 ds:[r0] ~1" },
        { "F0 48 0F C7 0E", "lock cmpxchgb16 ds:[r6] ~1" },
        { "0F A3 08", "bt4 ds:[r0], r1 ~1" },
        { "F0 48 0F AB 08", "lock bts8 ds:[r0], r1 ~1" },
        { "66 0F B3 08", "btr2 ds:[r0], r1 ~1" },
        { "0F BB C8", "btc4 r0, r1" },
        { "0F BA 20 1F", "bt4 ds:[r0], 0x1f ~1" },
        { "F0 0F BA 28 07", "lock bts4 ds:[r0], 0x7 ~1" },
        { "48 0F BA 30 3F", "btr8 ds:[r0], 0x3f ~1" },
        { "0F BA F8 FF", "btc4 r0, 0xff" },
        { "F0 01 08", "lock add4 ds:[r0], r1 ~1" },
        { "F2 F0 0F B1 0A", "lock repne cmpxchg4 ds:[r2], r1 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, group);
}

static void test_stack_instructions(void **state)
{
    static const struct encoding long_mode[] = {
        { "50", "push8, r0 ~1" },
        { "41 57", "push8, r15 ~1" },
        { "66 50", "push2, r0 ~1" },
        { "58", "pop8 r0 ~1" },
        { "6A 80", "push8, 0xffffffffffffff80 ~1" },
        { "68 00 00 00 80", "push8, 0xffffffff80000000 ~1" },
        { "66 68 34 12", "push2, 0x1234 ~1" },
        { "FF 30", "push8, ds:[r0] ~2" },
        { "66 FF 30", "push2, ds:[r0] ~2" },
        { "8F 00", "pop8 ds:[r0] ~2" },
        { "8F C1", "pop8 r1 ~1" },
        { "0F A0", "push8, fs ~1" },
        { "0F A8", "push8, gs ~1" },
        { "9C", "pushf8 ~1" },
        { "66 9D", "popf2 ~1" },
        { "9D", "popf8 ~1" },
    };
    static const struct encoding legacy[] = {
        { "06", "push4, es ~1" },          { "0E", "push4, cs ~1" },
        { "16", "push4, ss ~1" },          { "66 1E", "push2, ds ~1" },
        { "50", "push4, r0 ~1" },          { "FF 30", "push4, ds:[r0] ~2" },
        { "66 8F 00", "pop2 ds:[r0] ~2" }, { "6A FF", "push4, 0xffffffff ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, long_mode);
    EXPECT_MEANINGS(VMMU_INSN_32, legacy);
}

static void test_string_instructions(void **state)
{
    static const struct encoding long_mode[] = {
        { "A4", "movs1 ds ~2" },
        { "F3 48 A5", "rep movs8 ds ~2" },
        { "F3 AA", "rep stos1 ds, r0 ~1" },
        { "48 AB", "stos8 ds, r0 ~1" },
        { "AC", "lods1 ds r0 ~1" },
        { "67 AD", "lods4 a4 ds r0 ~1" },
        { "F2 AE", "repne scas1 ds r0 ~1" },
        { "F3 A6", "rep cmps1 ds ~2" },
        { "6C", "ins1 ds, r2 ~1" },
        { "F3 48 6D", "rep ins4 ds, r2 ~1" },
        { "F3 65 6E", "rep outs1 gs r2 ~1" },
        { "66 6F", "outs2 ds r2 ~1" },
    };
    static const struct encoding real_mode[] = {
        { "F3 67 66 A5", "rep movs4 a4 ds ~2" },
        { "2E 6F", "outs2 cs r2 ~1" },
        { "26 AC", "lods1 es r0 ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, long_mode);
    EXPECT_MEANINGS(VMMU_INSN_16, real_mode);
}

static void test_far_transfers(void **state)
{
    static const struct encoding legacy[] = {
        { "9A 78 56 34 12 28 00", "callf4, 0x2812345678 ~1" },
        { "EA 00 00 00 80 28 00", "jmpf4, 0x2880000000" },
        { "66 EA FF FF FE FF", "jmpf2, 0xfffeffff" },
        { "FF 1D 00 10 00 00", "callf4, ds:[+0x1000] ~2" },
        { "FF 6C 24 04", "jmpf4, ss:[r4+0x4] ~1" },
    };
    static const struct encoding real_mode[] = { { "9A 34 12 00 F0", "callf2, 0xf0001234 ~1" },
                                                 { "66 EA 00 00 01 00 08 00", "jmpf4, 0x800010000" } };
    static const struct encoding long_mode[] = { { "48 FF 28", "jmpf8, ds:[r0] ~1" } };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_32, legacy);
    EXPECT_MEANINGS(VMMU_INSN_16, real_mode);
    EXPECT_MEANINGS(VMMU_INSN_64, long_mode);
}

static void test_ports(void **state)
{
    static const struct encoding ports[] = {
        { "E4 60", "in1 r0, 0x60" },     { "E5 FF", "in4 r0, 0xff" }, { "66 ED", "in2 r0, r2" },
        { "48 ED", "in4 r0, r2" },       { "EC", "in1 r0, r2" },      { "E6 80", "out1 0x80, r0" },
        { "66 E7 80", "out2 0x80, r0" }, { "EE", "out1 r2, r0" },     { "EF", "out4 r2, r0" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, ports);
}

static void test_control_and_debug_registers(void **state)
{
    static const struct encoding long_mode[] = {
        { "0F 20 C0", "movcr8 r0, cr0" },     { "0F 22 D8", "movcr8 cr3, r0" },
        { "41 0F 22 E7", "movcr8 cr4, r15" }, { "44 0F 20 C1", "movcr8 r1, cr8" },
        { "66 0F 22 D0", "movcr8 cr2, r0" },  { "0F 21 FB", "movdr8 r3, dr7" },
        { "0F 23 E0", "movdr8 dr4, r0" },     { "41 0F 23 C4", "movdr8 dr0, r12" },
    };
    /* ModR/M.mod is ignored: these are registers, and no displacement follows. */
    static const struct encoding legacy[] = {
        { "0F 20 00", "movcr4 r0, cr0" },
        { "0F 22 85", "movcr4 cr0, r5" },
        { "66 0F 20 44", "movcr4 r4, cr0" },
        { "0F 21 35", "movdr4 r5, dr6" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, long_mode);
    EXPECT_MEANINGS(VMMU_INSN_32, legacy);
    EXPECT_MEANINGS(VMMU_INSN_16, legacy);
}

static void test_system_instructions(void **state)
{
    static const struct encoding system[] = {
        { "0F 06", "clts4" },
        { "0F 01 F0", "lmsw4<2>, r0" },
        { "0F 01 30", "lmsw4<2>, ds:[r0] ~1" },
        { "0F 01 E3", "smsw4 r3" },
        { "48 0F 01 E3", "smsw8 r3" },
        { "0F 01 20", "smsw2 ds:[r0] ~1" },
        { "48 0F 01 20", "smsw2 ds:[r0] ~1" },
        { "65 0F 01 3C 88", "invlpg4 gs:[r0+r1*4]" },
        { "0F 01 DF", "invlpga4" },
        { "67 0F 01 DF", "invlpga4 a4" },
        { "66 0F 38 82 08", "invpcid8<16> r1, ds:[r0] ~1" },
        { "0F 08", "invd4" },
        { "0F 09", "wbinvd4" },
        { "0F A2", "cpuid4" },
        { "66 67 F2 48 0F A2", "repne cpuid8 a4" },
        { "F3 2E 0F A2", "rep cpuid4" },
        { "0F 32", "rdmsr4" },
        { "0F 30", "wrmsr4" },
        { "0F 31", "rdtsc4" },
        { "0F 01 F9", "rdtscp4" },
        { "0F 33", "rdpmc4" },
        { "0F 01 D0", "xgetbv4" },
        { "0F 01 D1", "xsetbv4" },
        { "F4", "hlt4" },
        { "F3 90", "rep pause4" },
        { "0F 01 C8", "monitor4" },
        { "0F 01 C9", "mwait4" },
        { "0F 01 C1", "vmcall4" },
        { "0F 01 D9", "vmmcall4" },
        { "66 0F 01 D9", "vmmcall2" },
        { "0F 01 D8", "vmrun4" },
        { "0F 01 DA", "vmload4" },
        { "0F 01 DB", "vmsave4" },
        { "0F 01 DC", "stgi4" },
        { "0F 01 DD", "clgi4" },
        { "0F 01 DE", "skinit4" },
        { "CD 80", "int4, 0x80" },
        { "CC", "int34" },
        { "F1", "icebp4" },
        { "48 CF", "iret8" },
        { "CF", "iret4" },
        { "0F AA", "rsm4" },
    };
    static const struct encoding legacy[] = {
        { "CE", "into4" },
        { "66 CF", "iret2" },
        { "9C", "pushf4 ~1" },
        { "66 0F 38 82 08", "invpcid4<16> r1, ds:[r0] ~1" },
    };

    (void)state;
    EXPECT_MEANINGS(VMMU_INSN_64, system);
    EXPECT_MEANINGS(VMMU_INSN_32, legacy);
}

static void test_the_code_segment_decides_the_width(void **state)
{
    struct vmmu_x86_state cpu = { 0 };

    (void)state;
    EXPECT_EQ(vmmu_insn_mode(&cpu), VMMU_INSN_16);
    cpu.segment[VMMU_X86_CS].attributes = 0xC09B;
    EXPECT_EQ(vmmu_insn_mode(&cpu), VMMU_INSN_32);
    cpu.segment[VMMU_X86_CS].attributes = 0xA09B;
    EXPECT_EQ(vmmu_insn_mode(&cpu), VMMU_INSN_16);
    cpu.efer = 0x400;
    EXPECT_EQ(vmmu_insn_mode(&cpu), VMMU_INSN_64);
    cpu.segment[VMMU_X86_CS].attributes = 0xC09B;
    EXPECT_EQ(vmmu_insn_mode(&cpu), VMMU_INSN_32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mov_in_all_its_forms),
        cmocka_unit_test(test_moves_that_change_size),
        cmocka_unit_test(test_16_bit_addressing),
        cmocka_unit_test(test_32_bit_addressing),
        cmocka_unit_test(test_64_bit_addressing),
        cmocka_unit_test(test_es_cs_ss_ds_overrides_are_ignored_in_64_bit_mode),
        cmocka_unit_test(test_rex_counts_only_just_before_the_opcode),
        cmocka_unit_test(test_arithmetic_and_logic),
        cmocka_unit_test(test_40_to_4f_are_inc_and_dec_outside_64_bit_mode),
        cmocka_unit_test(test_exchanges_and_bit_tests),
        cmocka_unit_test(test_stack_instructions),
        cmocka_unit_test(test_string_instructions),
        cmocka_unit_test(test_far_transfers),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_control_and_debug_registers),
        cmocka_unit_test(test_system_instructions),
        cmocka_unit_test(test_the_code_segment_decides_the_width),
    };

    return RUN_TESTS(tests);
}
