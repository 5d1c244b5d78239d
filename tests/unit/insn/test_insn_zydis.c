/*
 * The decoder against Zydis, an independent one: lengths, operations, sizes, operands and refusals of
 * random encodings.
 *
 * The seed is printed; VMMU_SEED repeats a run. What the two see differently is in the functions named
 * excused_, each with its reason; nothing else is passed over.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <Zydis/Zydis.h>

#include "tests/unit/insn/describe.h"
#include "tests/unit/test.h"

#define ENCODINGS 400000

static const ZydisMnemonic mnemonics[VMMU_INSN_OPERATIONS][8] = {
    [VMMU_INSN_ADD] = { ZYDIS_MNEMONIC_ADD },
    [VMMU_INSN_OR] = { ZYDIS_MNEMONIC_OR },
    [VMMU_INSN_ADC] = { ZYDIS_MNEMONIC_ADC },
    [VMMU_INSN_SBB] = { ZYDIS_MNEMONIC_SBB },
    [VMMU_INSN_AND] = { ZYDIS_MNEMONIC_AND },
    [VMMU_INSN_SUB] = { ZYDIS_MNEMONIC_SUB },
    [VMMU_INSN_XOR] = { ZYDIS_MNEMONIC_XOR },
    [VMMU_INSN_CMP] = { ZYDIS_MNEMONIC_CMP },
    [VMMU_INSN_TEST] = { ZYDIS_MNEMONIC_TEST },
    [VMMU_INSN_INC] = { ZYDIS_MNEMONIC_INC },
    [VMMU_INSN_DEC] = { ZYDIS_MNEMONIC_DEC },
    [VMMU_INSN_NEG] = { ZYDIS_MNEMONIC_NEG },
    [VMMU_INSN_NOT] = { ZYDIS_MNEMONIC_NOT },
    [VMMU_INSN_ROL] = { ZYDIS_MNEMONIC_ROL },
    [VMMU_INSN_ROR] = { ZYDIS_MNEMONIC_ROR },
    [VMMU_INSN_RCL] = { ZYDIS_MNEMONIC_RCL },
    [VMMU_INSN_RCR] = { ZYDIS_MNEMONIC_RCR },
    [VMMU_INSN_SHL] = { ZYDIS_MNEMONIC_SHL },
    [VMMU_INSN_SHR] = { ZYDIS_MNEMONIC_SHR },
    [VMMU_INSN_SAR] = { ZYDIS_MNEMONIC_SAR },
    [VMMU_INSN_BT] = { ZYDIS_MNEMONIC_BT },
    [VMMU_INSN_BTS] = { ZYDIS_MNEMONIC_BTS },
    [VMMU_INSN_BTR] = { ZYDIS_MNEMONIC_BTR },
    [VMMU_INSN_BTC] = { ZYDIS_MNEMONIC_BTC },
    [VMMU_INSN_MOV] = { ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_MOVNTI },
    [VMMU_INSN_MOVZX] = { ZYDIS_MNEMONIC_MOVZX },
    [VMMU_INSN_MOVSX] = { ZYDIS_MNEMONIC_MOVSX, ZYDIS_MNEMONIC_MOVSXD },
    [VMMU_INSN_MOVBE] = { ZYDIS_MNEMONIC_MOVBE },
    [VMMU_INSN_XCHG] = { ZYDIS_MNEMONIC_XCHG },
    [VMMU_INSN_XADD] = { ZYDIS_MNEMONIC_XADD },
    [VMMU_INSN_CMPXCHG] = { ZYDIS_MNEMONIC_CMPXCHG },
    [VMMU_INSN_CMPXCHG8B] = { ZYDIS_MNEMONIC_CMPXCHG8B, ZYDIS_MNEMONIC_CMPXCHG16B },
    [VMMU_INSN_PUSH] = { ZYDIS_MNEMONIC_PUSH },
    [VMMU_INSN_POP] = { ZYDIS_MNEMONIC_POP },
    [VMMU_INSN_NOP] = { ZYDIS_MNEMONIC_NOP },
    [VMMU_INSN_MOVS] = { ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD,
                         ZYDIS_MNEMONIC_MOVSQ },
    [VMMU_INSN_CMPS] = { ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD,
                         ZYDIS_MNEMONIC_CMPSQ },
    [VMMU_INSN_STOS] = { ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD,
                         ZYDIS_MNEMONIC_STOSQ },
    [VMMU_INSN_LODS] = { ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD,
                         ZYDIS_MNEMONIC_LODSQ },
    [VMMU_INSN_SCAS] = { ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD,
                         ZYDIS_MNEMONIC_SCASQ },
    [VMMU_INSN_INS] = { ZYDIS_MNEMONIC_INSB, ZYDIS_MNEMONIC_INSW, ZYDIS_MNEMONIC_INSD },
    [VMMU_INSN_OUTS] = { ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW, ZYDIS_MNEMONIC_OUTSD },
    [VMMU_INSN_IN] = { ZYDIS_MNEMONIC_IN },
    [VMMU_INSN_OUT] = { ZYDIS_MNEMONIC_OUT },
    [VMMU_INSN_MOV_CR] = { ZYDIS_MNEMONIC_MOV },
    [VMMU_INSN_MOV_DR] = { ZYDIS_MNEMONIC_MOV },
    [VMMU_INSN_CLTS] = { ZYDIS_MNEMONIC_CLTS },
    [VMMU_INSN_LMSW] = { ZYDIS_MNEMONIC_LMSW },
    [VMMU_INSN_SMSW] = { ZYDIS_MNEMONIC_SMSW },
    [VMMU_INSN_INVLPG] = { ZYDIS_MNEMONIC_INVLPG },
    [VMMU_INSN_INVLPGA] = { ZYDIS_MNEMONIC_INVLPGA },
    [VMMU_INSN_INVPCID] = { ZYDIS_MNEMONIC_INVPCID },
    [VMMU_INSN_INVD] = { ZYDIS_MNEMONIC_INVD },
    [VMMU_INSN_WBINVD] = { ZYDIS_MNEMONIC_WBINVD },
    [VMMU_INSN_CPUID] = { ZYDIS_MNEMONIC_CPUID },
    [VMMU_INSN_RDMSR] = { ZYDIS_MNEMONIC_RDMSR },
    [VMMU_INSN_WRMSR] = { ZYDIS_MNEMONIC_WRMSR },
    [VMMU_INSN_RDTSC] = { ZYDIS_MNEMONIC_RDTSC },
    [VMMU_INSN_RDTSCP] = { ZYDIS_MNEMONIC_RDTSCP },
    [VMMU_INSN_RDPMC] = { ZYDIS_MNEMONIC_RDPMC },
    [VMMU_INSN_XGETBV] = { ZYDIS_MNEMONIC_XGETBV },
    [VMMU_INSN_XSETBV] = { ZYDIS_MNEMONIC_XSETBV },
    [VMMU_INSN_HLT] = { ZYDIS_MNEMONIC_HLT },
    [VMMU_INSN_PAUSE] = { ZYDIS_MNEMONIC_PAUSE },
    [VMMU_INSN_MONITOR] = { ZYDIS_MNEMONIC_MONITOR },
    [VMMU_INSN_MWAIT] = { ZYDIS_MNEMONIC_MWAIT },
    [VMMU_INSN_VMCALL] = { ZYDIS_MNEMONIC_VMCALL },
    [VMMU_INSN_VMMCALL] = { ZYDIS_MNEMONIC_VMMCALL },
    [VMMU_INSN_VMRUN] = { ZYDIS_MNEMONIC_VMRUN },
    [VMMU_INSN_VMLOAD] = { ZYDIS_MNEMONIC_VMLOAD },
    [VMMU_INSN_VMSAVE] = { ZYDIS_MNEMONIC_VMSAVE },
    [VMMU_INSN_STGI] = { ZYDIS_MNEMONIC_STGI },
    [VMMU_INSN_CLGI] = { ZYDIS_MNEMONIC_CLGI },
    [VMMU_INSN_SKINIT] = { ZYDIS_MNEMONIC_SKINIT },
    [VMMU_INSN_INT] = { ZYDIS_MNEMONIC_INT },
    [VMMU_INSN_INT3] = { ZYDIS_MNEMONIC_INT3 },
    [VMMU_INSN_INTO] = { ZYDIS_MNEMONIC_INTO },
    [VMMU_INSN_ICEBP] = { ZYDIS_MNEMONIC_INT1 },
    [VMMU_INSN_IRET] = { ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ },
    [VMMU_INSN_PUSHF] = { ZYDIS_MNEMONIC_PUSHF, ZYDIS_MNEMONIC_PUSHFD, ZYDIS_MNEMONIC_PUSHFQ },
    [VMMU_INSN_POPF] = { ZYDIS_MNEMONIC_POPF, ZYDIS_MNEMONIC_POPFD, ZYDIS_MNEMONIC_POPFQ },
    [VMMU_INSN_RSM] = { ZYDIS_MNEMONIC_RSM },
    [VMMU_INSN_CALL_FAR] = { ZYDIS_MNEMONIC_CALL },
    [VMMU_INSN_JMP_FAR] = { ZYDIS_MNEMONIC_JMP },
};

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static unsigned random_below(unsigned limit)
{
    return (unsigned)(next_random() >> 16) % limit;
}

/* One encoding under both decoders. */
struct trial {
    enum vmmu_insn_width width;
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES];
    enum vmmu_status status;
    struct vmmu_insn insn;
    bool valid; /* for Zydis */
    ZydisDecodedInstruction other;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static void invent(struct trial *trial)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 };
    const unsigned prefix_count = random_below(4) == 0 ? random_below(5) : random_below(2);
    unsigned at = 0;

    trial->width = (enum vmmu_insn_width)random_below(3);
    for (unsigned i = 0; i < VMMU_X86_INSN_MAX_BYTES; i++)
        trial->bytes[i] = (uint8_t)(next_random() >> 24);
    for (unsigned i = 0; i < prefix_count; i++)
        trial->bytes[at++] = prefixes[random_below(sizeof(prefixes))];
    if (trial->width == VMMU_INSN_64 && random_below(3) == 0)
        trial->bytes[at++] = (uint8_t)(0x40 | random_below(16));
    if (random_below(3) == 0)
        trial->bytes[at++] = 0x0F;
    if (random_below(10) == 0) {
        static const uint8_t opcodes[][3] = { { 0x0F, 0x01, 0 },
                                              { 0x0F, 0x38, 0xF0 },
                                              { 0x0F, 0x38, 0xF1 },
                                              { 0x0F, 0x38, 0x82 },
                                              { 0x0F, 0xC7, 0x08 } };

        memcpy(&trial->bytes[at], opcodes[random_below(5)], 3);
        if (trial->bytes[at + 1] != 0x38)
            trial->bytes[at + 2] = (uint8_t)(next_random() >> 24);
    }
}

static void decode_both(struct trial *trial)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth stack;
    } modes[] = {
        [VMMU_INSN_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
        [VMMU_INSN_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
        [VMMU_INSN_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
    };
    ZydisDecoder decoder;

    EXPECT(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[trial->width].mode, modes[trial->width].stack)));
    trial->valid = ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder, trial->bytes, sizeof(trial->bytes), &trial->other, trial->operands));
    trial->status = vmmu_insn_decode(trial->bytes, sizeof(trial->bytes), trial->width, &trial->insn);
}

static void disagree(const struct trial *trial, const char *about)
{
    char bytes[3 * VMMU_X86_INSN_MAX_BYTES + 1];
    struct insn_text ours = { "nothing" };
    char theirs[128] = "nothing";
    ZydisFormatter formatter;

    for (unsigned i = 0; i < VMMU_X86_INSN_MAX_BYTES; i++)
        snprintf(&bytes[3 * (size_t)i], 4, "%02X ", trial->bytes[i]);
    if (trial->status == VMMU_OK)
        ours = insn_describe(&trial->insn);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    if (trial->valid) {
        ZydisFormatterFormatInstruction(&formatter, &trial->other, trial->operands,
                                        trial->other.operand_count_visible, theirs, sizeof(theirs), 0, NULL);
    }
    fail_msg("%s: width %d, %s: status %d \"%s\" of %u, Zydis \"%s\" of %u", about, trial->width, bytes,
             trial->status, ours.text, trial->insn.length, theirs, trial->valid ? trial->other.length : 0);
}

static bool same_operation(const struct trial *trial)
{
    for (unsigned i = 0; i < 8; i++) {
        if (mnemonics[trial->insn.operation][i] == trial->other.mnemonic)
            return true;
    }
    return false;
}

static uint8_t register_number(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE)
        return VMMU_INSN_NO_REGISTER;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return VMMU_INSN_RIP;
    return (uint8_t)ZydisRegisterGetId(reg);
}

/*
 * Without a base and with disp32 in a SIB byte, REX.B is not decoded (SDM 2 "Special Cases of REX
 * Encodings"). Zydis 4.0 reads the displacement, and then reports R13 and no displacement.
 */
static bool excused_base(const struct trial *trial)
{
    return trial->other.raw.modrm.mod == 0 && trial->other.raw.modrm.rm == 4 &&
           trial->other.raw.sib.base == 5 && trial->other.raw.rex.B &&
           trial->insn.address.base == VMMU_INSN_NO_REGISTER;
}

/* MOVSXD to 16 bits reads 16 bits for Intel, 32 for AMD and Zydis; the value is the same. */
static bool excused_size(const struct trial *trial)
{
    return trial->other.mnemonic == ZYDIS_MNEMONIC_MOVSXD && trial->insn.operand_bytes == 2;
}

static bool same_base(const struct trial *trial, const ZydisDecodedOperand *operand)
{
    const struct vmmu_insn_address *address = &trial->insn.address;
    const uint64_t mask = UINT64_MAX >> (64 - trial->insn.address_bytes * 8);

    if (excused_base(trial))
        return true;
    return register_number(operand->mem.base) == address->base &&
           (((uint64_t)operand->mem.disp.value ^ (uint64_t)address->displacement) & mask) == 0;
}

static bool same_memory(const struct trial *trial, const ZydisDecodedOperand *operand)
{
    const struct vmmu_insn_address *address = &trial->insn.address;
    const unsigned bits = trial->insn.address_bytes * 8;
    const bool has_index = operand->mem.index != ZYDIS_REGISTER_NONE;

    return operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           register_number(operand->mem.segment) == address->segment && same_base(trial, operand) &&
           register_number(operand->mem.index) == address->index &&
           (!has_index || (operand->mem.scale ? operand->mem.scale : 1) == 1 << address->scale_shift) &&
           trial->other.address_width == bits;
}

/* Zydis numbers the byte registers with AH to BH between BL and SPL. */
static bool same_register(struct vmmu_insn_operand ours, const ZydisDecodedOperand *operand)
{
    const ZydisRegister reg = operand->reg.value;

    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
        return ours.kind == VMMU_INSN_OPERAND_HIGH_BYTE && ours.number == reg - ZYDIS_REGISTER_AH;
    if (ours.kind != VMMU_INSN_OPERAND_REGISTER)
        return false;
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
        return ours.number == 4 + (reg - ZYDIS_REGISTER_SPL);
    return ours.number == register_number(reg);
}

static bool same_operand(const struct trial *trial, struct vmmu_insn_operand ours, unsigned size_bytes,
                         const ZydisDecodedOperand *operand)
{
    switch ((enum vmmu_insn_operand_kind)ours.kind) {
    case VMMU_INSN_OPERAND_MEMORY:
        return same_memory(trial, operand) &&
               (operand->size == size_bytes * 8 || trial->insn.operation == VMMU_INSN_INVLPG ||
                excused_size(trial));
    case VMMU_INSN_OPERAND_IMMEDIATE:
        return operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
               ((operand->imm.value.u ^ trial->insn.immediate) & (UINT64_MAX >> (64 - 8 * size_bytes))) == 0;
    case VMMU_INSN_OPERAND_SEGMENT:
    case VMMU_INSN_OPERAND_CONTROL:
    case VMMU_INSN_OPERAND_DEBUG:
        return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
               ZydisRegisterGetClass(operand->reg.value) >= ZYDIS_REGCLASS_SEGMENT &&
               register_number(operand->reg.value) == ours.number;
    case VMMU_INSN_OPERAND_REGISTER:
    case VMMU_INSN_OPERAND_HIGH_BYTE: return same_register(ours, operand);
    case VMMU_INSN_OPERAND_NONE: break;
    }
    return false;
}

/* The segment of rSI, where the instruction has one. */
static bool same_string(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->other.operand_count; i++) {
        const ZydisDecodedOperand *operand = &trial->operands[i];

        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        if (operand->size != 8U * trial->insn.operand_bytes ||
            trial->other.address_width != 8U * trial->insn.address_bytes)
            return false;
        if (register_number(operand->mem.base) == VMMU_X86_RSI &&
            register_number(operand->mem.segment) != trial->insn.address.segment)
            return false;
    }
    return true;
}

static bool is_far(const struct vmmu_insn *insn)
{
    return insn->operation == VMMU_INSN_CALL_FAR || insn->operation == VMMU_INSN_JMP_FAR;
}

static bool same_pointer(const struct trial *trial)
{
    const struct vmmu_insn *insn = &trial->insn;
    const ZydisDecodedOperand *operand = &trial->operands[0];

    if (insn->source.kind == VMMU_INSN_OPERAND_MEMORY)
        return same_memory(trial, operand) && operand->size == (insn->operand_bytes + 2U) * 8;
    return operand->type == ZYDIS_OPERAND_TYPE_POINTER &&
           insn->immediate == ((uint64_t)operand->ptr.segment << insn->operand_bytes * 8 |
                               (operand->ptr.offset & (UINT64_MAX >> (64 - 8 * insn->operand_bytes))));
}

/*
 * Operands in their order; those of strings and of the instructions that the manuals write
 * with implied ones apart.
 */
static bool same_operands(const struct trial *trial)
{
    const struct vmmu_insn *insn = &trial->insn;
    const bool is_string = insn->operation >= VMMU_INSN_MOVS && insn->operation <= VMMU_INSN_OUTS;
    const bool has_implied = (insn->operation >= VMMU_INSN_MONITOR && insn->operation <= VMMU_INSN_SKINIT) ||
                             insn->operation == VMMU_INSN_INVLPGA;
    unsigned next = 0;

    if (is_string)
        return same_string(trial);
    if (is_far(insn))
        return trial->other.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR && same_pointer(trial);
    if (has_implied)
        return true;
    if (insn->destination.kind != VMMU_INSN_OPERAND_NONE &&
        !same_operand(trial, insn->destination, insn->operand_bytes, &trial->operands[next++]))
        return false;
    if (insn->source.kind != VMMU_INSN_OPERAND_NONE &&
        !same_operand(trial, insn->source, insn->source_bytes, &trial->operands[next++]))
        return false;
    /* Zydis prints ModR/M.reg of the long NOP, which the manuals' one operand does not have. */
    return next == trial->other.operand_count_visible || insn->operation == VMMU_INSN_NOP;
}

/*
 * What Zydis calls by a name that we know, and we do not take: segment loads, near transfers, hints that are NOPs for some
 * processors, SSE's MOVSD and CMPSD, and prefixes that the manuals leave open.
 */
static bool excused_unknown(const struct trial *trial)
{
    const ZydisDecodedOperand *first = &trial->operands[0];

    return (first->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(first->reg.value) == ZYDIS_REGCLASS_SEGMENT) ||
           (trial->other.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
            trial->other.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) ||
           trial->other.mnemonic == ZYDIS_MNEMONIC_NOP || trial->other.mnemonic == ZYDIS_MNEMONIC_PAUSE ||
           trial->other.meta.isa_set == ZYDIS_ISA_SET_SSE2;
}

/* Whether it is one of ours by name. */
static bool is_known_name(ZydisMnemonic mnemonic)
{
    for (unsigned operation = 0; operation < VMMU_INSN_OPERATIONS; operation++) {
        for (unsigned i = 0; i < 8 && mnemonics[operation][i] != ZYDIS_MNEMONIC_INVALID; i++) {
            if (mnemonics[operation][i] == mnemonic)
                return true;
        }
    }
    return false;
}

static void compare(const struct trial *trial)
{
    if (trial->status == VMMU_GUEST_FAULT) {
        if (trial->valid)
            disagree(trial, "refused");
        return;
    }
    if (trial->status != VMMU_OK) {
        if (trial->valid && is_known_name(trial->other.mnemonic) && !excused_unknown(trial))
            disagree(trial, "not known");
        return;
    }
    if (!trial->valid)
        disagree(trial, "accepted");
    if (trial->insn.length != trial->other.length)
        disagree(trial, "length");
    if (!same_operation(trial))
        disagree(trial, "operation");
    if (!same_operands(trial))
        disagree(trial, "operands");
}

static void test_decoding_agrees_with_zydis(void **state)
{
    const char *given = getenv("VMMU_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    unsigned decoded = 0;

    (void)state;
    print_message("seed %" PRIu64 " (VMMU_SEED)\n", seed);
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (unsigned i = 0; i < ENCODINGS; i++) {
        struct trial trial;

        invent(&trial);
        decode_both(&trial);
        compare(&trial);
        decoded += trial.status == VMMU_OK;
    }
    print_message("%u of %u encodings were ours to decode\n", decoded, ENCODINGS);
    EXPECT(decoded > ENCODINGS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_decoding_agrees_with_zydis) };

    return RUN_TESTS(tests);
}
