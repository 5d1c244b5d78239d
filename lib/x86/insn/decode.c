/*
 * Bytes to struct vmmu_insn: prefixes, opcode and sizes here, operands beside; then what makes the encoding
 * #UD.
 */
#include "cursor.h"
#include "registers.h"

static enum vmmu_status fault(struct vmmu_insn *insn, uint8_t vector)
{
    insn->fault = (struct vmmu_x86_fault){ .vector = vector, .has_error_code = vector == VECTOR_GP };
    return VMMU_GUEST_FAULT;
}

static enum vmmu_status out_of_bytes(const struct cursor *c, struct vmmu_insn *insn)
{
    return c->count == VMMU_X86_INSN_MAX_BYTES ? fault(insn, VECTOR_GP) : VMMU_ABSENT;
}

/* In 64-bit mode overrides of ES, CS, SS and DS are as if they were not there. */
static void override_segment(struct cursor *c, enum vmmu_insn_width width, uint8_t segment)
{
    if (width != VMMU_INSN_64 || segment >= VMMU_X86_FS)
        c->segment = segment;
}

static void note_prefix(struct cursor *c, struct vmmu_insn *insn, uint8_t prefix)
{
    switch (prefix) {
    case 0x26: override_segment(c, insn->width, VMMU_X86_ES); break;
    case 0x2E: override_segment(c, insn->width, VMMU_X86_CS); break;
    case 0x36: override_segment(c, insn->width, VMMU_X86_SS); break;
    case 0x3E: override_segment(c, insn->width, VMMU_X86_DS); break;
    case 0x64: override_segment(c, insn->width, VMMU_X86_FS); break;
    case 0x65: override_segment(c, insn->width, VMMU_X86_GS); break;
    case 0x66: c->operand_size = true; break;
    case 0x67: c->address_size = true; break;
    case 0xF0: c->lock = true; break;
    case 0xF2: insn->repeat = VMMU_INSN_REPEAT_F2; break;
    default: insn->repeat = VMMU_INSN_REPEAT_F3; break;
    }
}

/* Reads prefixes up to and with the first opcode byte. REX counts only if it is the last of them. */
static bool read_prefixes(struct cursor *c, struct vmmu_insn *insn)
{
    for (;;) {
        const uint8_t *byte = cursor_take(c, 1);

        if (!byte)
            return false;
        if (insn->width == VMMU_INSN_64 && (*byte & 0xF0) == 0x40) {
            c->rex = *byte;
        } else if (vmmu_insn_one_byte[*byte].flags & F_PREFIX) {
            c->rex = 0;
            note_prefix(c, insn, *byte);
        } else {
            c->opcode = *byte;
            return true;
        }
    }
}

/* The entry of the opcode map, ModR/M read where there is one; NULL if bytes are missing. */
static const struct opcode *read_opcode(struct cursor *c)
{
    const struct opcode *opcode = &vmmu_insn_one_byte[c->opcode];
    const uint8_t *byte;

    if (c->opcode == 0x0F) {
        byte = cursor_take(c, 1);
        if (!byte)
            return NULL;
        c->opcode = *byte;
        opcode = &vmmu_insn_two_byte[c->opcode];
        if (c->opcode == 0x38) {
            byte = cursor_take(c, 1);
            if (!byte)
                return NULL;
            c->opcode = *byte;
            opcode = vmmu_insn_three_byte(c->opcode);
        }
    }
    if (opcode->flags & F_MODRM) {
        byte = cursor_take(c, 1);
        if (!byte)
            return NULL;
        c->modrm = *byte;
    }
    return opcode;
}

/* What ModR/M, REX and REP make of opcodes that have several meanings. */
static const struct opcode *choose(const struct cursor *c, const struct vmmu_insn *insn,
                                   const struct opcode *opcode)
{
    static const struct opcode nop = { VMMU_INSN_NOP, OP_NONE, OP_NONE, 0 };
    static const struct opcode pause = { VMMU_INSN_PAUSE, OP_NONE, OP_NONE, 0 };

    if (opcode == &vmmu_insn_one_byte[0x90] && !(c->rex & REX_B))
        return insn->repeat == VMMU_INSN_REPEAT_F3 ? &pause : &nop;
    if (!(opcode->flags & F_GROUP))
        return opcode;
    if ((opcode->flags & F_GROUP_SYSTEM) && modrm_mod(c->modrm) == 3)
        return &vmmu_insn_system[c->modrm & 0x3F];
    return &vmmu_insn_groups[opcode->operation][modrm_reg(c->modrm)];
}

static uint8_t operand_size(const struct cursor *c, enum vmmu_insn_width width, uint32_t flags)
{
    static const uint8_t sizes[][2] = {
        [VMMU_INSN_16] = { 2, 4 },
        [VMMU_INSN_32] = { 4, 2 },
        [VMMU_INSN_64] = { 4, 2 },
    };
    uint8_t size = sizes[width][c->operand_size];

    if (flags & F_BYTE)
        return 1;
    if (flags & F_MODE_SIZE)
        return width == VMMU_INSN_64 ? 8 : 4;
    if (flags & F_PAIR)
        return (c->rex & REX_W) ? 16 : 8;
    if ((flags & F_MEMORY_WORD) && cursor_rm_is_memory(c, F_MODRM))
        return 2;
    if ((c->rex & REX_W) || ((flags & F_DEFAULT64) && width == VMMU_INSN_64 && size == 4))
        size = 8;
    if ((flags & F_MAX32) && size == 8)
        return 4;
    if ((flags & F_MIN32) && size == 2)
        return 4;
    return size;
}

static uint8_t source_size(uint8_t operand_bytes, uint32_t flags)
{
    if (flags & F_SOURCE_BYTE)
        return 1;
    if (flags & F_SOURCE_WORD)
        return 2;
    if (flags & F_SOURCE_WIDE)
        return 16;
    if ((flags & F_SOURCE_DWORD) && operand_bytes == 8)
        return 4;
    return operand_bytes;
}

static uint8_t address_size(const struct cursor *c, enum vmmu_insn_width width)
{
    static const uint8_t sizes[][2] = {
        [VMMU_INSN_16] = { 2, 4 },
        [VMMU_INSN_32] = { 4, 2 },
        [VMMU_INSN_64] = { 8, 4 },
    };

    return sizes[width][c->address_size];
}

static bool control_register_exists(uint8_t number, enum vmmu_insn_width width)
{
    return number == 0 || number == 2 || number == 3 || number == 4 || (number == 8 && width == VMMU_INSN_64);
}

static bool operand_exists(struct vmmu_insn_operand operand, enum vmmu_insn_width width)
{
    switch ((enum vmmu_insn_operand_kind)operand.kind) {
    case VMMU_INSN_OPERAND_SEGMENT: return operand.number < VMMU_X86_SEGMENTS;
    case VMMU_INSN_OPERAND_CONTROL: return control_register_exists(operand.number, width);
    case VMMU_INSN_OPERAND_DEBUG: return operand.number < 8;
    case VMMU_INSN_OPERAND_NONE:
    case VMMU_INSN_OPERAND_REGISTER:
    case VMMU_INSN_OPERAND_HIGH_BYTE:
    case VMMU_INSN_OPERAND_MEMORY:
    case VMMU_INSN_OPERAND_IMMEDIATE: break;
    }
    return true;
}

/* Whether the encoding, all of it read, is one that processors refuse. */
static bool is_undefined(const struct cursor *c, const struct vmmu_insn *insn, uint32_t flags)
{
    const bool locks_memory = (flags & F_LOCKABLE) && insn->destination.kind == VMMU_INSN_OPERAND_MEMORY;
    const bool loads_cs =
        insn->destination.kind == VMMU_INSN_OPERAND_SEGMENT && insn->destination.number == VMMU_X86_CS;

    return (c->lock && !locks_memory) || loads_cs || ((flags & F_NOT_64) && insn->width == VMMU_INSN_64) ||
           ((flags & F_MEMORY_ONLY) && modrm_mod(c->modrm) == 3) ||
           !operand_exists(insn->destination, insn->width) || !operand_exists(insn->source, insn->width);
}

/* Whether a prefix, or its absence, makes of this opcode something that we do not know. */
static bool is_another_instruction(const struct cursor *c, const struct vmmu_insn *insn, uint32_t flags)
{
    const bool repeats = insn->repeat != VMMU_INSN_REPEAT_NONE;

    return ((flags & (F_NO_REPEAT | F_NO_PREFIX)) && repeats) || ((flags & F_NO_PREFIX) && c->operand_size) ||
           ((flags & F_NEEDS_66) && !c->operand_size) ||
           ((flags & F_ONLY_64) && insn->width != VMMU_INSN_64) || insn->operation == VMMU_INSN_NONE;
}

/* MOV to a segment register reads descriptor tables, which this room does not. */
static bool loads_segment(const struct vmmu_insn *insn)
{
    return insn->destination.kind == VMMU_INSN_OPERAND_SEGMENT;
}

/* Once operation, flags and ModR/M are known: sizes and operands. */
static enum vmmu_status decode_operands(struct cursor *c, struct vmmu_insn *insn, const struct opcode *opcode,
                                        uint32_t flags)
{
    if ((flags & F_NOT_64) && insn->width == VMMU_INSN_64)
        return fault(insn, VECTOR_UD);
    if (is_another_instruction(c, insn, flags))
        return VMMU_UNSUPPORTED;
    insn->operand_bytes = operand_size(c, insn->width, flags);
    insn->source_bytes = source_size(insn->operand_bytes, flags);
    if (!vmmu_insn_read_operands(c, insn, opcode, flags))
        return out_of_bytes(c, insn);
    if (is_undefined(c, insn, flags))
        return fault(insn, VECTOR_UD);
    insn->lock = c->lock || ((flags & F_LOCKS) && insn->destination.kind == VMMU_INSN_OPERAND_MEMORY);
    insn->length = c->at;
    return loads_segment(insn) ? VMMU_UNSUPPORTED : VMMU_OK;
}

enum vmmu_insn_width vmmu_insn_mode(const struct vmmu_x86_state *state)
{
    const uint16_t attributes = state->segment[VMMU_X86_CS].attributes;

    if ((state->efer & EFER_LMA) && (attributes & SEGMENT_L))
        return VMMU_INSN_64;
    return (attributes & SEGMENT_DB) ? VMMU_INSN_32 : VMMU_INSN_16;
}

enum vmmu_status vmmu_insn_decode(const uint8_t *bytes, unsigned count, enum vmmu_insn_width width,
                                  struct vmmu_insn *out)
{
    struct cursor c = {
        .bytes = bytes,
        .count = count < VMMU_X86_INSN_MAX_BYTES ? (uint8_t)count : VMMU_X86_INSN_MAX_BYTES,
        .segment = NO_OVERRIDE,
    };
    const struct opcode *opcode;
    uint32_t flags;

    *out = (struct vmmu_insn){
        .width = width,
        .address = { .segment = VMMU_X86_DS, .base = VMMU_INSN_NO_REGISTER, .index = VMMU_INSN_NO_REGISTER },
    };
    if (!read_prefixes(&c, out))
        return out_of_bytes(&c, out);
    opcode = read_opcode(&c);
    if (!opcode)
        return out_of_bytes(&c, out);
    flags = opcode->flags;
    opcode = choose(&c, out, opcode);
    flags |= opcode->flags;
    out->address_bytes = address_size(&c, width);
    out->operation = (enum vmmu_insn_operation)opcode->operation;
    return decode_operands(&c, out, opcode, flags);
}
