/* Instruction words by their fields, and a bus that remembers. */
#ifndef TESTS_UNIT_PPC_INSN_RIG_H
#define TESTS_UNIT_PPC_INSN_RIG_H

#include "hv/ppc/insn/insn.h"

/* D form: primary opcode, RT or RS, RA, displacement. */
static inline uint32_t d_form(unsigned opcode, unsigned target, unsigned base, int displacement)
{
    return (uint32_t)opcode << 26 | (uint32_t)target << 21 | (uint32_t)base << 16 |
           ((uint32_t)displacement & 0xFFFF);
}

/* X form under primary opcode 31. */
static inline uint32_t x_form(unsigned extended, unsigned target, unsigned base, unsigned index)
{
    return UINT32_C(31) << 26 | (uint32_t)target << 21 | (uint32_t)base << 16 | (uint32_t)index << 11 |
           (uint32_t)extended << 1;
}

#define RIG_MEMORY_BYTES 256
#define RIG_BASE         UINT32_C(0xE0004500)
#define RIG_ACCESSES     64

struct rig_access {
    uint32_t address;
    uint32_t value;
    uint8_t width_bytes;
    bool write;
};

/* Big-endian memory at RIG_BASE, and every access that came. */
struct rig {
    uint32_t gpr[32];
    uint8_t memory[RIG_MEMORY_BYTES];
    bool little_endian;
    unsigned accesses;
    struct rig_access access[RIG_ACCESSES];
    unsigned refuse_at; /* which access is refused, from 1; 0: none */
    enum vmmu_status status;
};

/* Registers hold 0x01010101 times their number, memory bytes 0x80 plus their offset. */
void rig_open(struct rig *rig);

/* Decode and perform, which must both succeed in so far as @rig does not refuse. */
enum ppc_insn_outcome rig_perform(struct rig *rig, uint32_t word);

#endif
