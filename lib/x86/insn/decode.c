/*
 * Bytes to struct vmmu_insn: prefixes, opcode, sizes, operands; then what makes the encoding #UD.
 *
 * No byte is read at or behind `end`: whatever reads bytes checks first, by take(). This runs on every
 * access to a device in memory; what is rare is therefore behind one test of a mask of flags.
 */
#include "opcodes.h"
#include "registers.h"

#define REX_W       8
#define REX_R       4
#define REX_X       2
#define REX_B       1

#define NO_OVERRIDE VMMU_X86_SEGMENTS

/* The instruction being read, and what was found of it. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t opcode;
    uint8_t modrm;
    uint8_t rex;
    uint8_t segment; /* the override, or NO_OVERRIDE */
    bool operand_size;
    bool address_size;
    bool lock;
};

static uint8_t modrm_mod(uint8_t modrm)
{
    return modrm >> 6;
}

static uint8_t modrm_reg(uint8_t modrm)
{
    return (modrm >> 3) & 7;
}

static uint8_t modrm_rm(uint8_t modrm)
{
    return modrm & 7;
}

/* ModR/M.reg or .rm or a SIB field, with the REX bit that extends it. */
static uint8_t extended(uint8_t field, uint8_t rex, uint8_t rex_bit)
{
    return field | ((rex & rex_bit) ? 8 : 0);
}

static bool rm_is_memory(const struct cursor *c, uint32_t flags)
{
    return (flags & (F_MODRM | F_RM_REGISTER)) == F_MODRM && modrm_mod(c->modrm) != 3;
}

/* The next @size bytes, or NULL if they are not there. */
static inline const uint8_t *take(struct cursor *c, unsigned size)
{
    const uint8_t *bytes = c->at;

    if ((size_t)(c->end - bytes) < size)
        return NULL;
    c->at = bytes + size;
    return bytes;
}

static int16_t little_endian16(const uint8_t *bytes)
{
    return (int16_t)(bytes[0] | bytes[1] << 8);
}

static int32_t little_endian32(const uint8_t *bytes)
{
    return (int32_t)(bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                     (uint32_t)bytes[3] << 24);
}

/* 1, 2, 4 or 8 bytes. */
static int64_t sign_extended(const uint8_t *bytes, unsigned size)
{
    switch (size) {
    case 1: return (int8_t)bytes[0];
    case 2: return little_endian16(bytes);
    case 4: return little_endian32(bytes);
    default: return (int64_t)((uint32_t)little_endian32(bytes) | (uint64_t)little_endian32(bytes + 4) << 32);
    }
}

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

static bool read_displacement(struct cursor *c, struct vmmu_insn_address *address, unsigned size)
{
    const uint8_t *bytes = take(c, size);

    if (bytes)
        address->displacement = sign_extended(bytes, size);
    return bytes;
}

/* 16-bit addressing: two registers by a table, and a displacement of 0, 1 or 2 bytes. */
static bool read_address16(struct cursor *c, struct vmmu_insn_address *address)
{
    static const uint8_t pairs[8][2] = {
        { VMMU_X86_RBX, VMMU_X86_RSI },          { VMMU_X86_RBX, VMMU_X86_RDI },
        { VMMU_X86_RBP, VMMU_X86_RSI },          { VMMU_X86_RBP, VMMU_X86_RDI },
        { VMMU_X86_RSI, VMMU_INSN_NO_REGISTER }, { VMMU_X86_RDI, VMMU_INSN_NO_REGISTER },
        { VMMU_X86_RBP, VMMU_INSN_NO_REGISTER }, { VMMU_X86_RBX, VMMU_INSN_NO_REGISTER },
    };
    const uint8_t mod = modrm_mod(c->modrm);
    const uint8_t rm = modrm_rm(c->modrm);

    if (mod == 0 && rm == 6)
        return read_displacement(c, address, 2);
    address->base = pairs[rm][0];
    address->index = pairs[rm][1];
    if (address->base == VMMU_X86_RBP)
        address->segment = VMMU_X86_SS;
    return mod == 0 || read_displacement(c, address, mod);
}

/* The index and scale of a SIB byte; its base field. */
static uint8_t read_index(const struct cursor *c, struct vmmu_insn_address *address, uint8_t sib)
{
    const uint8_t index = extended(modrm_reg(sib), c->rex, REX_X);

    if (index != VMMU_X86_RSP) {
        address->index = index;
        address->scale_shift = modrm_mod(sib);
    }
    return modrm_rm(sib);
}

/* 32 and 64-bit addressing: a register or a SIB byte, and a displacement of 0, 1 or 4 bytes. */
static bool read_address(struct cursor *c, struct vmmu_insn_address *address, enum vmmu_insn_width width)
{
    const uint8_t mod = modrm_mod(c->modrm);
    const bool has_sib = modrm_rm(c->modrm) == 4;
    uint8_t base = modrm_rm(c->modrm);

    if (has_sib) {
        const uint8_t *sib = take(c, 1);

        if (!sib)
            return false;
        base = read_index(c, address, *sib);
    }
    if (mod == 0 && base == 5) {
        if (!has_sib && width == VMMU_INSN_64)
            address->base = VMMU_INSN_RIP;
        return read_displacement(c, address, 4);
    }
    base = extended(base, c->rex, REX_B);
    address->base = base;
    if (base == VMMU_X86_RSP || base == VMMU_X86_RBP)
        address->segment = VMMU_X86_SS;
    return mod == 0 || read_displacement(c, address, mod == 1 ? 1 : 4);
}

/* An offset that is the whole address. */
static bool read_offset(struct cursor *c, struct vmmu_insn *insn)
{
    insn->memory_operands = 1;
    return read_displacement(c, &insn->address, insn->address_bytes);
}

/* An immediate of @size bytes in the instruction, sign-extended to @extend_to bytes. */
static bool read_immediate(struct cursor *c, struct vmmu_insn *insn, unsigned size, unsigned extend_to)
{
    const uint8_t *bytes = take(c, size);

    if (bytes)
        insn->immediate = (uint64_t)sign_extended(bytes, size) & BITS64(extend_to * 8 - 1, 0);
    return bytes;
}

/* A general register by number: SPL, BPL, SIL and DIL with any REX, AH, CH, DH and BH without. */
static struct vmmu_insn_operand general(const struct cursor *c, uint8_t number, uint8_t size)
{
    if (size == 1 && !c->rex && number >= 4)
        return (struct vmmu_insn_operand){ VMMU_INSN_OPERAND_HIGH_BYTE, number - 4 };
    return (struct vmmu_insn_operand){ VMMU_INSN_OPERAND_REGISTER, number };
}

static struct vmmu_insn_operand operand_of(uint8_t kind, uint8_t number)
{
    return (struct vmmu_insn_operand){ kind, number };
}

/* Fill in one operand, @size bytes wide; false if bytes are missing. */
static bool read_operand(struct cursor *c, struct vmmu_insn *insn, enum operand_code code, uint8_t size,
                         struct vmmu_insn_operand *operand)
{
    const uint8_t reg = extended(modrm_reg(c->modrm), c->rex, REX_R);

    switch (code) {
    case OP_NONE: return true;
    case OP_RM:
        /* Memory has been read before, and *operand says so. */
        if (operand->kind == VMMU_INSN_OPERAND_NONE)
            *operand = general(c, extended(modrm_rm(c->modrm), c->rex, REX_B), size);
        return true;
    case OP_REG: *operand = general(c, reg, size); return true;
    case OP_LOW: *operand = general(c, extended(modrm_rm(c->opcode), c->rex, REX_B), size); return true;
    case OP_RAX: *operand = operand_of(VMMU_INSN_OPERAND_REGISTER, VMMU_X86_RAX); return true;
    case OP_CL: *operand = operand_of(VMMU_INSN_OPERAND_REGISTER, VMMU_X86_RCX); return true;
    case OP_DX: *operand = operand_of(VMMU_INSN_OPERAND_REGISTER, VMMU_X86_RDX); return true;
    case OP_SEG: *operand = operand_of(VMMU_INSN_OPERAND_SEGMENT, modrm_reg(c->modrm)); return true;
    case OP_SEG_OPCODE: *operand = operand_of(VMMU_INSN_OPERAND_SEGMENT, modrm_reg(c->opcode)); return true;
    case OP_CONTROL: *operand = operand_of(VMMU_INSN_OPERAND_CONTROL, reg); return true;
    case OP_DEBUG: *operand = operand_of(VMMU_INSN_OPERAND_DEBUG, reg); return true;
    case OP_MOFFS: *operand = operand_of(VMMU_INSN_OPERAND_MEMORY, 0); return read_offset(c, insn);
    case OP_ONE:
        *operand = operand_of(VMMU_INSN_OPERAND_IMMEDIATE, 0);
        insn->immediate = 1;
        return true;
    case OP_IMM:
    case OP_IMM_FULL:
    case OP_IMM8_SIGNED:
    case OP_IMM8: break;
    }
    *operand = operand_of(VMMU_INSN_OPERAND_IMMEDIATE, 0);
    if (code == OP_IMM8)
        return read_immediate(c, insn, 1, 1);
    if (code == OP_IMM8_SIGNED)
        return read_immediate(c, insn, 1, size);
    return read_immediate(c, insn, code == OP_IMM && size == 8 ? 4 : size, size);
}

/* The memory operand that ModR/M describes, if it describes one. */
static bool read_memory_operand(struct cursor *c, struct vmmu_insn *insn, const struct opcode *opcode)
{
    if (opcode->destination == OP_RM) {
        insn->destination.kind = VMMU_INSN_OPERAND_MEMORY;
    } else {
        insn->source.kind = VMMU_INSN_OPERAND_MEMORY;
    }
    insn->memory_operands = 1;
    if (insn->address_bytes == 2)
        return read_address16(c, &insn->address);
    return read_address(c, &insn->address, insn->width);
}

static bool read_operands(struct cursor *c, struct vmmu_insn *insn, const struct opcode *opcode,
                          uint32_t flags)
{
    if (rm_is_memory(c, flags) && !read_memory_operand(c, insn, opcode))
        return false;
    if (!read_operand(c, insn, opcode->destination, insn->operand_bytes, &insn->destination) ||
        !read_operand(c, insn, opcode->source, insn->source_bytes, &insn->source))
        return false;
    if (c->segment != NO_OVERRIDE)
        insn->address.segment = c->segment;
    if (flags & F_ANY_PLACES) {
        if (flags & F_NO_ACCESS) {
            insn->memory_operands = 0;
        } else {
            insn->memory_operands += (flags & F_TWO_MORE) ? 2 : 1;
        }
    }
    return true;
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
    if (!read_operands(c, insn, opcode, flags))
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
    out->destination = out->source = operand_of(VMMU_INSN_OPERAND_NONE, 0);
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
