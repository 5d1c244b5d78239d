/*
 * Loads and stores of 32-bit Power Architecture processors, for memory that no RAM backs: devices.
 *
 * Decoding and performing are apart: ppc_insn_decode() reads an instruction word only, ppc_insn_perform() does the whole
 * instruction on the general registers through a bus. What is not known is not guessed: strings, floating point, SPE and
 * reservations do not go to devices. Pure; nothing here allocates, locks or keeps anything.
 * Spec: Power ISA "Load and Store Instructions" (Book III-E processors); e500 Core Reference Manual "Instruction Model".
 */
#ifndef HV_PPC_INSN_H
#define HV_PPC_INSN_H

#include <vmmu/base.h>

enum ppc_operation {
    PPC_LOAD,
    PPC_STORE,
    PPC_LOAD_MULTIPLE,  /* lmw: registers from `target` to 31 */
    PPC_STORE_MULTIPLE, /* stmw */
    PPC_ZERO_BLOCK,     /* dcbz: an alignment fault where caching is inhibited */
    PPC_CACHE_HINT,     /* dcbt, dcbf, icbi and their like: no device sees them */
};

struct ppc_insn {
    uint8_t operation;   /* enum ppc_operation */
    uint8_t width_bytes; /* of one access: 1, 2 or 4 */
    uint8_t target;      /* RT or RS */
    uint8_t base;        /* RA; 0 is the number zero, not GPR0 */
    uint8_t index;       /* RB, if `indexed` */
    bool indexed;        /* else `displacement` counts */
    bool update;         /* RA becomes the effective address */
    bool algebraic;      /* what is loaded is sign-extended */
    bool reversed;       /* bytes change their order */
    int16_t displacement;
};

/* Decode @word into *insn. False: it is none of these instructions, or an invalid form of one. */
VMMU_MUST_USE
bool ppc_insn_decode(uint32_t word, struct ppc_insn *insn);

/* Whether it writes memory, as ESR[ST] has it. */
bool ppc_insn_is_store(const struct ppc_insn *insn);

/* The effective address of (the first byte of) the operand. @gpr has 32 elements. */
uint32_t ppc_insn_address(const struct ppc_insn *insn, const uint32_t *gpr);

/*
 * How instructions reach what they access. Each access is 1, 2 or 4 bytes, aligned, so that it never crosses a page; values
 * are big-endian as registers are. Anything but VMMU_OK ends the instruction, and is what ppc_insn_perform() returns.
 */
struct ppc_bus {
    void *context;
    bool little_endian; /* the page's E attribute */
    enum vmmu_status (*read)(void *context, uint32_t address, unsigned width_bytes, uint32_t *value);
    enum vmmu_status (*write)(void *context, uint32_t address, unsigned width_bytes, uint32_t value);
};

enum ppc_insn_outcome {
    PPC_INSN_DONE,      /* step over it */
    PPC_INSN_ALIGNMENT, /* nothing has been done: an alignment interrupt is due, DEAR is the effective address */
    PPC_INSN_STOPPED, /* the bus stopped it: *status. Registers are as before; accesses that were made, were made */
};

/**
 * Perform @insn on @gpr, 32 elements, through @bus. Operands that are not aligned go byte by byte; those of lmw and stmw must
 * be aligned.
 */
VMMU_MUST_USE
enum ppc_insn_outcome ppc_insn_perform(const struct ppc_insn *insn, uint32_t *gpr, const struct ppc_bus *bus,
                                       enum vmmu_status *status);

#endif
