/*
 * What the decoder's two files share: the bytes being read, and the fields that they hold.
 *
 * No byte is read at or behind `end`: whatever reads bytes checks first, by take().
 */
#ifndef VMMU_INSN_CURSOR_H
#define VMMU_INSN_CURSOR_H

#include "opcodes.h"

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

static inline uint8_t modrm_mod(uint8_t modrm)
{
    return modrm >> 6;
}

static inline uint8_t modrm_reg(uint8_t modrm)
{
    return (modrm >> 3) & 7;
}

static inline uint8_t modrm_rm(uint8_t modrm)
{
    return modrm & 7;
}

/* ModR/M.reg or .rm or a SIB field, with the REX bit that extends it. */
static inline uint8_t extended(uint8_t field, uint8_t rex, uint8_t rex_bit)
{
    return field | ((rex & rex_bit) ? 8 : 0);
}

static inline bool rm_is_memory(const struct cursor *c, uint32_t flags)
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

static inline int16_t little_endian16(const uint8_t *bytes)
{
    return (int16_t)(bytes[0] | bytes[1] << 8);
}

static inline int32_t little_endian32(const uint8_t *bytes)
{
    return (int32_t)(bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                     (uint32_t)bytes[3] << 24);
}

/* 1, 2, 4 or 8 bytes. */
static inline int64_t sign_extended(const uint8_t *bytes, unsigned size)
{
    switch (size) {
    case 1: return (int8_t)bytes[0];
    case 2: return little_endian16(bytes);
    case 4: return little_endian32(bytes);
    default: return (int64_t)((uint32_t)little_endian32(bytes) | (uint64_t)little_endian32(bytes + 4) << 32);
    }
}

/* decode_operands.c: read what follows the opcode and fill in the operands; false if bytes are missing. */
bool vmmu_insn_read_operands(struct cursor *c, struct vmmu_insn *insn, const struct opcode *opcode,
                             uint32_t flags);

#endif
