/*
 * Bytes to struct vmmu_insn: prefixes, opcode and sizes here, operands beside; then
 * what makes the encoding #UD.
 *
 * What is rare is behind one test of a mask of flags, since this runs for accesses to devices in memory.
 */
#include "cursor.h"
#include "registers.h"

static enum vmmu_status fault(struct vmmu_insn *insn, uint8_t vector)
{
    insn->fault = (struct vmmu_x86_fault){ .vector = vector, .has_error_code = vector == VECTOR_GP };
    return VMMU_GUEST_FAULT;
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
        const uint8_t *byte = take(c, 1);

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

/* The entry of a longer opcode's map; NULL if bytes are missing. */
static const struct opcode *read_escaped_opcode(struct cursor *c)
{
    const uint8_t *byte = take(c, 1);

    if (!byte)
        return NULL;
    c->opcode = *byte;
    if (c->opcode != 0x38)
        return &vmmu_insn_two_byte[c->opcode];
    byte = take(c, 1);
    if (!byte)
        return NULL;
    c->opcode = *byte;
    return vmmu_insn_three_byte(c->opcode);
}

/* The entry of the opcode map, ModR/M read where there is one; NULL if bytes are missing. */
static const struct opcode *read_opcode(struct cursor *c)
{
    const struct opcode *opcode = &vmmu_insn_one_byte[c->opcode];

    if (c->opcode == 0x0F)
        opcode = read_escaped_opcode(c);
    if (opcode && (opcode->flags & F_MODRM)) {
        const uint8_t *byte = take(c, 1);

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
    static const struct opcode unknown = { VMMU_INSN_NONE, OP_NONE, OP_NONE, 0 };

    if (opcode->flags & F_NOP) {
        const bool repeats = insn->repeat == VMMU_INSN_REPEAT_F3;

        if (c->rex & REX_B) /* with F3, the manuals leave open which of the two it is */
            return repeats ? &unknown : opcode;
        return repeats ? &pause : &nop;
    }
    if ((opcode->flags & F_GROUP_SYSTEM) && modrm_mod(c->modrm) == 3)
        return &vmmu_insn_system[c->modrm & 0x3F];
    return &vmmu_insn_groups[opcode->operation][modrm_reg(c->modrm)];
}

/* The operand size of instructions that do not just follow prefixes, given the size that these ask for. */
static uint8_t special_size(const struct cursor *c, enum vmmu_insn_width width, uint32_t flags, uint8_t size)
{
    if (flags & F_BYTE)
        return 1;
    if (flags & F_MODE_SIZE)
        return width == VMMU_INSN_64 ? 8 : 4;
    if (flags & F_PAIR)
        return (c->rex & REX_W) ? 16 : 8;
    if (flags & F_MEMORY_WORD)
        return rm_is_memory(c, flags) ? 2 : size;
    if ((flags & F_DEFAULT64) && width == VMMU_INSN_64 && size == 4)
        return 8;
    if ((flags & F_MAX32) && size == 8)
        return 4;
    if ((flags & F_MIN32) && size == 2)
        return 4;
    return size;
}

static uint8_t operand_size(const struct cursor *c, enum vmmu_insn_width width, uint32_t flags)
{
    static const uint8_t sizes[][2] = {
        [VMMU_INSN_16] = { 2, 4 },
        [VMMU_INSN_32] = { 4, 2 },
        [VMMU_INSN_64] = { 4, 2 },
    };
    const uint8_t size = (c->rex & REX_W) ? 8 : sizes[width][c->operand_size];

    return (flags & F_ANY_SIZE) ? special_size(c, width, flags, size) : size;
}

static uint8_t source_size(uint8_t operand_bytes, uint32_t flags)
{
    if (!(flags & F_ANY_SOURCE_SIZE))
        return operand_bytes;
    if (flags & F_SOURCE_BYTE)
        return 1;
    if (flags & F_SOURCE_WORD)
        return 2;
    if (flags & F_SOURCE_WIDE)
        return 16;
    return operand_bytes < 4 ? operand_bytes : 4;
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
    return number == 0 || (number >= 2 && number <= 4) || (number == 8 && width == VMMU_INSN_64);
}

/* Whether a segment, control or debug register that is named is one, and may be loaded. */
static bool names_no_register(const struct vmmu_insn *insn)
{
    const struct vmmu_insn_operand to = insn->destination;
    const struct vmmu_insn_operand from = insn->source;

    if (to.kind == VMMU_INSN_OPERAND_SEGMENT && to.number == VMMU_X86_CS)
        return true;
    if (to.kind == VMMU_INSN_OPERAND_SEGMENT || from.kind == VMMU_INSN_OPERAND_SEGMENT)
        return (to.kind == VMMU_INSN_OPERAND_SEGMENT ? to : from).number >= VMMU_X86_SEGMENTS;
    if (to.kind == VMMU_INSN_OPERAND_CONTROL || from.kind == VMMU_INSN_OPERAND_CONTROL) {
        return !control_register_exists((to.kind == VMMU_INSN_OPERAND_CONTROL ? to : from).number,
                                        insn->width);
    }
    return (to.kind == VMMU_INSN_OPERAND_DEBUG ? to : from).number >= 8;
}

/* Whether the encoding, all of it read, is one that processors refuse. */
static bool is_undefined(const struct cursor *c, const struct vmmu_insn *insn, uint32_t flags)
{
    if (c->lock && !((flags & F_LOCKABLE) && insn->destination.kind == VMMU_INSN_OPERAND_MEMORY))
        return true;
    if ((flags & F_MEMORY_ONLY) && modrm_mod(c->modrm) == 3)
        return true;
    return (flags & F_NAMES_REGISTER) && names_no_register(insn);
}

/* Whether a prefix, or its absence, makes of this opcode something that we do not know. */
static bool is_another_instruction(const struct cursor *c, const struct vmmu_insn *insn, uint32_t flags)
{
    const bool repeats = insn->repeat != VMMU_INSN_REPEAT_NONE;

    return ((flags & (F_NO_REPEAT | F_NO_PREFIX)) && repeats) || ((flags & F_NO_PREFIX) && c->operand_size) ||
           ((flags & F_NEEDS_66) && !c->operand_size) || ((flags & F_ONLY_64) && insn->width != VMMU_INSN_64);
}

/* After the prefixes. VMMU_ABSENT: bytes are missing. */
static enum vmmu_status decode_opcode(struct cursor *c, struct vmmu_insn *insn)
{
    const struct opcode *opcode = read_opcode(c);
    uint32_t flags;

    if (!opcode)
        return VMMU_ABSENT;
    flags = opcode->flags;
    if (flags & (F_GROUP | F_NOP)) {
        opcode = choose(c, insn, opcode);
        flags |= opcode->flags;
    }
    if ((flags & F_NOT_64) && insn->width == VMMU_INSN_64)
        return fault(insn, VECTOR_UD);
    if (opcode->operation == VMMU_INSN_NONE ||
        ((flags & F_ANY_CONDITION) && is_another_instruction(c, insn, flags)))
        return VMMU_UNSUPPORTED;
    insn->operation = (enum vmmu_insn_operation)opcode->operation;
    insn->address_bytes = address_size(c, insn->width);
    insn->operand_bytes = operand_size(c, insn->width, flags);
    insn->source_bytes = source_size(insn->operand_bytes, flags);
    if (!vmmu_insn_read_operands(c, insn, opcode, flags))
        return VMMU_ABSENT;
    if ((c->lock || (flags & F_ANY_REFUSAL)) && is_undefined(c, insn, flags))
        return fault(insn, VECTOR_UD);
    insn->lock = c->lock || ((flags & F_LOCKS) && insn->destination.kind == VMMU_INSN_OPERAND_MEMORY);
    /* MOV to a segment register reads descriptor tables, which this room does not know. */
    return insn->destination.kind == VMMU_INSN_OPERAND_SEGMENT ? VMMU_UNSUPPORTED : VMMU_OK;
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
    const unsigned limit = count < VMMU_X86_INSN_MAX_BYTES ? count : VMMU_X86_INSN_MAX_BYTES;
    struct cursor c = { .at = bytes, .end = bytes + limit, .segment = NO_OVERRIDE };
    enum vmmu_status status = VMMU_ABSENT;

    /* Field by field: `fault` is not touched unless there is one. */
    out->operation = VMMU_INSN_NONE;
    out->width = width;
    out->repeat = VMMU_INSN_REPEAT_NONE;
    out->lock = false;
    out->memory_operands = 0;
    out->destination = out->source = (struct vmmu_insn_operand){ VMMU_INSN_OPERAND_NONE, 0 };
    out->address =
        (struct vmmu_insn_address){ VMMU_X86_DS, VMMU_INSN_NO_REGISTER, VMMU_INSN_NO_REGISTER, 0, 0 };
    out->immediate = 0;
    if (read_prefixes(&c, out))
        status = decode_opcode(&c, out);
    out->length = (uint8_t)(c.at - bytes);
    if (status == VMMU_ABSENT && limit == VMMU_X86_INSN_MAX_BYTES)
        return fault(out, VECTOR_GP);
    return status;
}
