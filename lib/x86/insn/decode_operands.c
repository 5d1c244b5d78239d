/*
 * What follows the opcode: memory operands by ModR/M and SIB, offsets, immediates; and the
 * registers that fields name.
 */
#include "cursor.h"

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

static bool read_far(struct cursor *c, struct vmmu_insn *insn, unsigned offset_bytes)
{
    const uint8_t *bytes = take(c, offset_bytes + 2);

    if (bytes) {
        insn->immediate = (uint64_t)sign_extended(bytes, offset_bytes) & BITS64(offset_bytes * 8 - 1, 0);
        insn->immediate |= (uint64_t)(uint16_t)little_endian16(bytes + offset_bytes) << offset_bytes * 8;
    }
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
    case OP_FAR: *operand = operand_of(VMMU_INSN_OPERAND_IMMEDIATE, 0); return read_far(c, insn, size);
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

bool vmmu_insn_read_operands(struct cursor *c, struct vmmu_insn *insn, const struct opcode *opcode,
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
