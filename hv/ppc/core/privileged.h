/*
 * Privileged instructions, which trap where a guest runs: which one a word is, and its operands.
 *
 * Spec: EREF "Instruction Set"; Power ISA Book III-E.
 */
#ifndef HV_PPC_CORE_PRIVILEGED_H
#define HV_PPC_CORE_PRIVILEGED_H

#include <stdint.h>

enum ppc_privileged {
    PPC_OTHER, /* none of these */
    PPC_MFMSR,
    PPC_MTMSR,
    PPC_WRTEE,
    PPC_WRTEEI,
    PPC_MFSPR,
    PPC_MTSPR,
    PPC_RFI,
    PPC_RFCI,
    PPC_RFDI,
    PPC_RFMCI,
    PPC_TLBWE,
    PPC_TLBRE,
    PPC_TLBSX,
    PPC_TLBIVAX,
    PPC_TLBILX,
    PPC_TLBSYNC,
    PPC_DCBI,
    PPC_PRIVILEGED_KINDS
};

/* By extended opcode (bits 21 to 30 of the word), of primary opcodes 19 and 31. */
extern const uint8_t ppc_privileged_19[1024];
extern const uint8_t ppc_privileged_31[1024];

/* Which privileged instruction @word is. Reserved bits are ignored, as e500 cores do. */
static inline enum ppc_privileged ppc_privileged_of(uint32_t word)
{
    const uint32_t extended = word >> 1 & 0x3ff;

    switch (word >> 26) {
    case 31: return (enum ppc_privileged)ppc_privileged_31[extended];
    case 19: return (enum ppc_privileged)ppc_privileged_19[extended];
    default: return PPC_OTHER;
    }
}

/* Operands: RT or RS, RA, RB; the number of a special purpose register, whose halves stand in the other order; E of wrteei; T. */
static inline unsigned ppc_field_t(uint32_t word)
{
    return word >> 21 & 31;
}

static inline unsigned ppc_field_a(uint32_t word)
{
    return word >> 16 & 31;
}

static inline unsigned ppc_field_b(uint32_t word)
{
    return word >> 11 & 31;
}

static inline unsigned ppc_field_spr(uint32_t word)
{
    return (word >> 16 & 0x1f) | (word >> 6 & 0x3e0);
}

#define PPC_WRTEEI_E     UINT32_C(0x8000) /* the bit of the word, and of MSR */
#define PPC_TLBILX_TYPES 3u

/* The effective address of an indexed form: (RA|0) + (RB). @gpr has 32 elements. */
static inline uint32_t ppc_indexed(uint32_t word, const uint32_t *gpr)
{
    const unsigned a = ppc_field_a(word);

    return (a ? gpr[a] : 0) + gpr[ppc_field_b(word)];
}

#endif
