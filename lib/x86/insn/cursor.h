/*
 * What the decoder's two files share: the bytes being read, and the fields that they hold.
 *
 * No byte is read at or behind `count`: whatever reads bytes checks first, by cursor_take().
 */
#ifndef VMMU_INSN_CURSOR_H
#define VMMU_INSN_CURSOR_H

#include "opcodes.h"

#define REX_W       8
#define REX_R       4
#define REX_X       2
#define REX_B       1

#define NO_OVERRIDE VMMU_X86_SEGMENTS

/* The instruction being read, and the prefixes that it was found to have. */
struct cursor {
    const uint8_t *bytes;
    uint8_t count;
    uint8_t at;
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

static inline bool cursor_rm_is_memory(const struct cursor *c, uint32_t flags)
{
    return (flags & F_MODRM) && !(flags & F_RM_REGISTER) && modrm_mod(c->modrm) != 3;
}

/* The next @size bytes, or NULL if they are not there. */
static inline const uint8_t *cursor_take(struct cursor *c, unsigned size)
{
    const uint8_t *bytes = c->bytes + c->at;

    if (size > (unsigned)(c->count - c->at))
        return NULL;
    c->at = (uint8_t)(c->at + size);
    return bytes;
}

static inline uint64_t little_endian(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static inline int64_t little_endian_signed(const uint8_t *bytes, unsigned size)
{
    switch (size) {
    case 1: return (int8_t)bytes[0];
    case 2: return (int16_t)little_endian(bytes, 2);
    case 4: return (int32_t)little_endian(bytes, 4);
    default: return (int64_t)little_endian(bytes, size);
    }
}

/* Read what follows the opcode and fill in the operands; false if bytes are missing. */
bool vmmu_insn_read_operands(struct cursor *c, struct vmmu_insn *insn, const struct opcode *opcode,
                             uint32_t flags);

#endif
