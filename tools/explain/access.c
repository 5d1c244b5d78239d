/*
 * From Zydis' operands to linear addresses. Where Zydis names an address as the manuals do, before the instruction moves the
 * stack pointer or adds a bit offset, the difference is made good here.
 *
 * Spec: SDM 1 "Operand Addressing", "Address Calculations in 64-Bit Mode"; SDM 3A "Limit Checking".
 */
#include "tools/explain/access.h"

#include <stdio.h>
#include <string.h>

#define REAL_WIDTH_MASK UINT64_C(0xffffffff)

/* Attributes of a segment: type, and the bits beside it. */
#define TYPE_CODE       UINT16_C(0x0008)
#define TYPE_SECOND     UINT16_C(0x0002) /* data that may be written, code that may be read */
#define TYPE_DOWN       UINT16_C(0x0004) /* of data: expands down */
#define IS_PRESENT      UINT16_C(0x0080)
#define IS_BIG          UINT16_C(0x4000)

#define VIRTUAL_8086    BIT64(17) /* of RFLAGS */

static void note(struct access_list *list, const char *words)
{
    if (list->note_count < ACCESS_NOTES_MOST) {
        list->notes[list->note_count++] = words;
    }
}

/* --- registers --- */

static uint64_t low_bits(uint64_t value, unsigned bits)
{
    return bits >= 64 ? value : value & (BIT64(bits) - 1);
}

static uint64_t sign_extended(uint64_t value, unsigned bits)
{
    return bits < 64 && (value & BIT64(bits - 1)) ? value | ~(BIT64(bits) - 1) : low_bits(value, bits);
}

/* False for what is no general register and no instruction pointer. */
static bool read_register(const struct code *code, const struct vmmu_x86_state *state, ZydisRegister name,
                          uint64_t *value)
{
    struct code_register found;

    if (name == ZYDIS_REGISTER_NONE) {
        *value = 0;
        return true;
    }
    if (name == ZYDIS_REGISTER_RIP || name == ZYDIS_REGISTER_EIP || name == ZYDIS_REGISTER_IP) {
        *value = code->rip + code->insn.length;
        return true;
    }
    if (!code_register_of(name, &found)) {
        return false;
    }
    *value = low_bits(state->gpr[found.number] >> found.shift, found.bits);
    return true;
}

static enum vmmu_x86_segment_name segment_of(ZydisRegister name)
{
    static const struct {
        ZydisRegister name;
        enum vmmu_x86_segment_name segment;
    } names[] = {
        { ZYDIS_REGISTER_ES, VMMU_X86_ES }, { ZYDIS_REGISTER_CS, VMMU_X86_CS },
        { ZYDIS_REGISTER_SS, VMMU_X86_SS }, { ZYDIS_REGISTER_FS, VMMU_X86_FS },
        { ZYDIS_REGISTER_GS, VMMU_X86_GS },
    };

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].name == name) {
            return names[i].segment;
        }
    }
    return VMMU_X86_DS;
}

/* --- segments --- */

/* Whether the limit lets [effective, effective + bytes) through. In 64-bit mode there is none. */
static bool is_within_limit(const struct vmmu_x86_segment *segment, uint64_t effective, uint32_t bytes)
{
    const uint64_t last = effective + bytes - 1;
    const bool down = (segment->attributes & (TYPE_CODE | TYPE_DOWN)) == TYPE_DOWN;

    if (!(segment->attributes & IS_PRESENT)) {
        return false;
    }
    if (down) {
        return effective > segment->limit &&
               last <= ((segment->attributes & IS_BIG) ? UINT32_MAX : UINT16_MAX);
    }
    return last <= segment->limit;
}

/* Whether code and data of its type may be accessed so. Outside protected mode types do not count. */
static bool is_of_type(const struct vmmu_x86_state *state, const struct vmmu_x86_segment *segment,
                       const struct access *access)
{
    const bool is_protected = (state->cr0 & VMMU_X86_CR0_PE) != 0 && (state->rflags & VIRTUAL_8086) == 0;
    const bool is_code = (segment->attributes & TYPE_CODE) != 0;
    const bool second = (segment->attributes & TYPE_SECOND) != 0;

    if (!is_protected || access->kind == VMMU_X86_EXECUTE) {
        return true;
    }
    return access->kind == VMMU_X86_WRITE ? !is_code && second : !is_code || second;
}

static void add_access(struct access_list *list, const struct code *code, const struct vmmu_x86_state *state,
                       struct access access)
{
    const struct vmmu_x86_segment *segment = &state->segment[access.segment];
    const bool flat = code->width == VMMU_INSN_64;

    if (list->access_count == ACCESSES_MOST || access.bytes == 0) {
        return;
    }
    if (access.bytes > ACCESS_BYTES_MOST) {
        access.bytes = ACCESS_BYTES_MOST;
    }
    if (flat) {
        access.linear = access.effective +
                        (access.segment == VMMU_X86_FS || access.segment == VMMU_X86_GS ? segment->base : 0);
    } else {
        access.linear = (access.effective + segment->base) & REAL_WIDTH_MASK;
        if (!is_within_limit(segment, access.effective, access.bytes) ||
            !is_of_type(state, segment, &access)) {
            access.refused = access.segment == VMMU_X86_SS ? VMMU_X86_VECTOR_SS : VMMU_X86_VECTOR_GP;
        }
    }
    list->accesses[list->access_count++] = access;
}

/* --- operands --- */

static bool writes(const ZydisDecodedOperand *operand)
{
    return (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

static bool is_stack(const ZydisDecodedOperand *operand)
{
    return operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
           operand->mem.segment == ZYDIS_REGISTER_SS &&
           (operand->mem.base == ZYDIS_REGISTER_RSP || operand->mem.base == ZYDIS_REGISTER_ESP ||
            operand->mem.base == ZYDIS_REGISTER_SP);
}

/* A bit test with its offset in a register reaches beyond the operand: SDM 2 "BT". */
static int64_t bit_string_bytes(const struct code *code, const struct vmmu_x86_state *state,
                                const ZydisDecodedOperand *operand)
{
    const ZydisDecodedOperand *offset = &code->operands[1];
    const ZydisMnemonic mnemonic = code->insn.mnemonic;
    uint64_t value;

    if ((mnemonic != ZYDIS_MNEMONIC_BT && mnemonic != ZYDIS_MNEMONIC_BTS && mnemonic != ZYDIS_MNEMONIC_BTR &&
         mnemonic != ZYDIS_MNEMONIC_BTC) ||
        offset->type != ZYDIS_OPERAND_TYPE_REGISTER ||
        !read_register(code, state, offset->reg.value, &value)) {
        return 0;
    }
    value = sign_extended(value, operand->size);
    return ((int64_t)value >> (operand->size == 64 ? 6 : operand->size == 32 ? 5 : 4)) * (operand->size / 8);
}

/* What Zydis' address does not say yet. */
static int64_t correction(const struct code *code, const struct vmmu_x86_state *state,
                          const ZydisDecodedOperand *operand)
{
    if (is_stack(operand)) {
        return writes(operand) ? -(int64_t)(operand->size / 8) : 0;
    }
    if (code->insn.mnemonic == ZYDIS_MNEMONIC_POP &&
        code_register_named("rsp", 3) ==
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand->mem.base)) {
        return operand->size / 8; /* POP to memory counts from the stack pointer that it leaves */
    }
    if (code->insn.mnemonic == ZYDIS_MNEMONIC_XLAT) {
        return (int64_t)low_bits(state->gpr[VMMU_X86_RAX], 8);
    }
    return bit_string_bytes(code, state, operand);
}

/* The offset in the segment. False if it is in registers that the image does not hold. */
static bool effective_address(const struct code *code, const struct vmmu_x86_state *state,
                              const ZydisDecodedOperand *operand, uint64_t *effective)
{
    const unsigned bits = is_stack(operand) ? code->insn.stack_width : code->insn.address_width;
    uint64_t base;
    uint64_t index;

    if (operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB || !read_register(code, state, operand->mem.base, &base) ||
        !read_register(code, state, operand->mem.index, &index)) {
        return false;
    }
    *effective = low_bits(base + index * operand->mem.scale + (uint64_t)operand->mem.disp.value +
                              (uint64_t)correction(code, state, operand),
                          bits);
    return true;
}

static void name_operand(const struct code *code, const ZydisDecodedOperand *operand,
                         char words[ACCESS_WORDS_BYTES])
{
    const char *open = strchr(code->text, '[');
    const char *close = open ? strchr(open, ']') : NULL;

    if (is_stack(operand)) {
        snprintf(words, ACCESS_WORDS_BYTES, writes(operand) ? "onto the stack" : "from the stack");
    } else if (operand->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT && close) {
        snprintf(words, ACCESS_WORDS_BYTES, "%.*s", (int)(close + 1 - open), open);
    } else {
        snprintf(words, ACCESS_WORDS_BYTES, "[%s]", ZydisRegisterGetString(operand->mem.base));
    }
}

/* SDM 2 "CLFLUSH": checked like a load of one byte. */
static bool touches_one_byte(ZydisMnemonic mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_CLFLUSH || mnemonic == ZYDIS_MNEMONIC_CLFLUSHOPT ||
           mnemonic == ZYDIS_MNEMONIC_CLWB || mnemonic == ZYDIS_MNEMONIC_CLDEMOTE;
}

/* Spec: SDM 2 "IRET": within one privilege level of 32-bit code, SP and SS are not popped. */
static uint32_t operand_bytes(const struct code *code, const ZydisDecodedOperand *operand)
{
    const uint32_t bytes = operand->size / 8;
    if (touches_one_byte(code->insn.mnemonic)) {
        return 1;
    }
    const bool is_iret =
        code->insn.mnemonic == ZYDIS_MNEMONIC_IRET || code->insn.mnemonic == ZYDIS_MNEMONIC_IRETD;

    return is_iret && code->width != VMMU_INSN_64 ? bytes / 5 * 3 : bytes;
}

static void add_operand(struct access_list *list, const struct code *code, const struct vmmu_x86_state *state,
                        const ZydisDecodedOperand *operand)
{
    struct access access = {
        .kind = writes(operand) ? VMMU_X86_WRITE : VMMU_X86_READ,
        .also_read = writes(operand) && (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0,
        .segment = segment_of(operand->mem.segment),
        .bytes = operand_bytes(code, operand),
    };

    if (!effective_address(code, state, operand, &access.effective)) {
        note(list, "it also accesses memory at addresses in vector registers, which are not known here");
        return;
    }
    name_operand(code, operand, access.what);
    add_access(list, code, state, access);
}

/* Operands in memory by their form, which are only addresses, or hints that never fault. */
static bool touches_memory(const struct code *code, const ZydisDecodedOperand *operand)
{
    if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || operand->mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
        operand->mem.type == ZYDIS_MEMOP_TYPE_MIB) {
        return false;
    }
    return code->insn.mnemonic != ZYDIS_MNEMONIC_INVLPG && code->insn.meta.category != ZYDIS_CATEGORY_NOP &&
           code->insn.meta.category != ZYDIS_CATEGORY_WIDENOP &&
           code->insn.meta.category != ZYDIS_CATEGORY_PREFETCH;
}

/* Segment registers are loaded from descriptor tables, but by the system calls, which know what they load. */
static bool loads_descriptors(const struct code *code)
{
    const ZydisMnemonic mnemonic = code->insn.mnemonic;

    if (mnemonic == ZYDIS_MNEMONIC_SYSCALL || mnemonic == ZYDIS_MNEMONIC_SYSRET ||
        mnemonic == ZYDIS_MNEMONIC_SYSENTER || mnemonic == ZYDIS_MNEMONIC_SYSEXIT) {
        return false;
    }
    if (code->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || mnemonic == ZYDIS_MNEMONIC_IRET ||
        mnemonic == ZYDIS_MNEMONIC_IRETD || mnemonic == ZYDIS_MNEMONIC_IRETQ) {
        return true;
    }
    for (unsigned i = 0; i < code->insn.operand_count; i++) {
        if (code->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER && writes(&code->operands[i]) &&
            ZydisRegisterGetClass(code->operands[i].reg.value) == ZYDIS_REGCLASS_SEGMENT) {
            return true;
        }
    }
    return false;
}

static bool raises_interrupt(ZydisMnemonic mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_INT || mnemonic == ZYDIS_MNEMONIC_INT1 ||
           mnemonic == ZYDIS_MNEMONIC_INT3 || mnemonic == ZYDIS_MNEMONIC_INTO;
}

/* What goes on beyond the operands. */
static void note_the_rest(struct access_list *list, const struct code *code)
{
    const ZydisInstructionCategory category = code->insn.meta.category;

    if (raises_interrupt(code->insn.mnemonic)) {
        note(list, "it reads its gate, and pushes a frame where that says, which the image does not tell");
    } else if (loads_descriptors(code)) {
        note(list, "it also reads descriptor tables, whose places the image does not tell");
    }
    if (category == ZYDIS_CATEGORY_PREFETCH) {
        note(list, "a prefetch is a hint: it never faults, and may do nothing");
    }
    if (code->insn.mnemonic == ZYDIS_MNEMONIC_ENTER && (code->operands[1].imm.value.u & 31) != 0) {
        note(list, "ENTER with a nesting level also copies frame pointers, which are left out");
    }
}

/* --- strings --- */

static uint64_t repeats_of(const struct code *code, const struct vmmu_x86_state *state)
{
    const ZydisInstructionAttributes repeated =
        ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;

    if (!(code->insn.attributes & repeated)) {
        return 1;
    }
    return low_bits(state->gpr[VMMU_X86_RCX], code->insn.address_width);
}

/* --- pages --- */

static void cut_to_pages(struct access_list *list, unsigned access, unsigned address_bits)
{
    uint64_t at = list->accesses[access].linear;
    uint32_t left = list->accesses[access].bytes;

    while (left != 0 && list->piece_count < PIECES_MOST) {
        const uint64_t room = VMMU_PAGE_BYTES - at % VMMU_PAGE_BYTES;
        const uint32_t bytes = left < room ? left : (uint32_t)room;

        list->pieces[list->piece_count++] = (struct piece){ .access = access, .linear = at, .bytes = bytes };
        at = low_bits(at + bytes, address_bits);
        left -= bytes;
    }
}

void access_list_make(const struct code *code, const struct vmmu_x86_state *state, bool fetched,
                      struct access_list *list)
{
    *list = (struct access_list){ .repeats = repeats_of(code, state) };
    if (fetched) {
        add_access(list, code, state,
                   (struct access){ .what = "the instruction itself",
                                    .kind = VMMU_X86_EXECUTE,
                                    .segment = VMMU_X86_CS,
                                    .effective = code->rip,
                                    .bytes = code->insn.length });
    }
    /* What is read comes before what is written with it. */
    for (unsigned turn = 0; turn < 2 && list->repeats != 0; turn++) {
        for (unsigned i = 0; i < code->insn.operand_count; i++) {
            if (touches_memory(code, &code->operands[i]) && writes(&code->operands[i]) == (turn == 1)) {
                add_operand(list, code, state, &code->operands[i]);
            }
        }
    }
    note_the_rest(list, code);
    for (unsigned i = 0; i < list->access_count; i++) {
        cut_to_pages(list, i, code->width == VMMU_INSN_64 ? 64 : 32);
    }
}

const char *access_kind_words(const struct access *access)
{
    switch (access->kind) {
    case VMMU_X86_READ: return "read";
    case VMMU_X86_WRITE: return access->also_read ? "read and write" : "write";
    case VMMU_X86_EXECUTE: return "fetch";
    }
    __builtin_unreachable();
}

struct vmmu_x86_access access_for_walk(const struct access *access, const struct vmmu_x86_state *state)
{
    return (struct vmmu_x86_access){
        .kind = access->kind,
        .marks = VMMU_X86_MARKS_LEAVE,
        .user = state->cpl == 3,
        .eflags_ac = (state->rflags & BIT64(18)) != 0,
    };
}
