/*
 * The special purpose registers of an e500v2 that trap when a guest moves to or from them, as data: number, name, rights, and where
 * each lives.
 *
 * What a guest's user code reads without a trap (XER, LR, CTR, USPRG0, SPEFSCR, SPRG3 to SPRG7 at their user numbers, the time
 * base, L1CFG0) is real, and is not here but for the numbers at which supervisors have it.
 *
 * Spec: PowerPC e500 Core Family Reference Manual "Register Model"; EREF "Special-Purpose Registers".
 */
#ifndef HV_PPC_CORE_SPRS_H
#define HV_PPC_CORE_SPRS_H

#include <stdbool.h>
#include <stdint.h>

#define PPC_SPRS           1024
#define PPC_SPR_SUPERVISOR 0x10 /* this bit of a number: not for user code */

enum ppc_spr_home {
    PPC_SPR_ABSENT,
    PPC_SPR_WORD, /* at `offset` of struct ppc_core; a read gives the bits of `mask` */
    PPC_SPR_MMU, /* at `offset` of struct vmmu_booke, to be written as register `which` of vmmu_booke_set() */
    PPC_SPR_FLUSH, /* the same, but not kept: what it starts is done at once, and it reads as 0 */
    PPC_SPR_ZERO,  /* reads as 0; writes are lost */
    PPC_SPR_OWN,   /* as PPC_SPR_WORD; the processor's own register of that number holds the same */
    PPC_SPR_DECREMENTER,
    PPC_SPR_TCR,
    PPC_SPR_TSR,
    PPC_SPR_DBCR0,
    PPC_SPR_HID0, /* EN_MAS7_UPDATE is the MMU's, too */
    PPC_SPR_DBSR, /* writes clear what they set */
    PPC_SPR_MCSR, /* likewise */
    PPC_SPR_TIME, /* writes are lost: the time base is everybody's */
};

#define PPC_SPR_READ  1
#define PPC_SPR_WRITE 2

struct ppc_spr {
    uint16_t number;
    uint8_t home; /* enum ppc_spr_home */
    uint8_t rights;
    uint16_t offset;
    uint8_t which;
    bool changes_spaces; /* translations, or the state that they depend on */
    uint32_t mask;
    const char *name;
};

/* Register @number; one whose home is PPC_SPR_ABSENT where there is none. ppc_sprs_init() has been called. */
extern uint8_t ppc_spr_index[PPC_SPRS];
extern const struct ppc_spr ppc_spr_table[];

static inline const struct ppc_spr *ppc_spr(unsigned number)
{
    return &ppc_spr_table[ppc_spr_index[number]];
}

/*
 * Registers that a move does no more to than read, or write, one word, by the number as instructions have it, its halves exchanged: at
 * which offset of struct ppc_core, or, negated, of struct vmmu_booke; 0: another. What is written to the latter is masked by the word
 * of `kept` that corresponds to the one of `mas`. For hv/ppc/e500/quick.S.
 */
extern int16_t ppc_spr_quick_read[PPC_SPRS];
extern int16_t ppc_spr_quick_write[PPC_SPRS];

/* Make the index. Once, before anything else of this file. */
void ppc_sprs_init(void);

#endif
