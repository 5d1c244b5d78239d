/*
 * The architected state of one virtual e500 core, but for its MMU, and what happens to it by rule: interrupts and returns from
 * them. Pure: nothing here touches the processor that it runs on.
 *
 * Invariant: `pending` holds each interrupt whose source asks for it now, so that whatever enables interrupts needs to look at
 * nothing else. It may hold more: what a device has taken back is found out when it is about to be delivered.
 *
 * Spec: EREF "Register Model", "Interrupts and Exceptions"; PowerPC e500 Core Family Reference Manual, the chapters of these names.
 */
#ifndef HV_PPC_CORE_CORE_H
#define HV_PPC_CORE_CORE_H

#include "hv/ppc/frame.h"
#include "hv/ppc/spr.h"

/* Offsets in struct ppc_core, for the assembly. */
#define CORE_GPR         0
#define CORE_CR          128
#define CORE_LR          132
#define CORE_CTR         136
#define CORE_XER         140
#define CORE_PC          144
#define CORE_RUN_MSR     148
#define CORE_HOST_STACK  152
#define CORE_MSR         156
#define CORE_PENDING     160
#define CORE_MMU         164
#define CORE_QUICK       168

/* In struct vmmu_booke, from a register of `mas` to the bits of it that there are. */
#define CORE_MAS_TO_KEPT 44

/* What is counted at CORE_QUICK: instructions that quick.S has performed. */
#define QUICK_WRTEEI     0
#define QUICK_MFMSR      1
#define QUICK_WRTEE      2
#define QUICK_MFSPR      3
#define QUICK_MTSPR      4
#define QUICK_KINDS      5

/* Bits of MSR that spr.h has not. */
#define PPC_MSR_UCLE     0x04000000
#define PPC_MSR_SPE      0x02000000
#define PPC_MSR_FP       0x00002000
#define PPC_MSR_FE0      0x00000800
#define PPC_MSR_UBLE     0x00000400
#define PPC_MSR_DE       0x00000200
#define PPC_MSR_FE1      0x00000100
#define PPC_MSR_PMM      0x00000004

/* What an e500v2 has of MSR. */
#define PPC_MSR_IMPLEMENTED                                                                                  \
    (PPC_MSR_UCLE | PPC_MSR_SPE | MSR_WE | MSR_CE | MSR_EE | MSR_PR | PPC_MSR_FP | MSR_ME | PPC_MSR_FE0 |    \
     PPC_MSR_UBLE | PPC_MSR_DE | PPC_MSR_FE1 | MSR_IS | MSR_DS | PPC_MSR_PMM)

/* Exception syndromes. */
#define PPC_ESR_PIL     0x08000000 /* illegal instruction */
#define PPC_ESR_PPR     0x04000000 /* privileged instruction */
#define PPC_ESR_PTR     0x02000000 /* trap instruction */
#define PPC_ESR_ST      0x00800000
#define PPC_ESR_DLK     0x00200000 /* locking data, instructions, in a cache */
#define PPC_ESR_ILK     0x00100000

/* Debug: control register 0, and the same bits of the status register. */
#define PPC_DBCR0_IDM   0x40000000
#define PPC_DBCR0_RST   0x30000000
#define PPC_DBCR0_ICMP  0x08000000
#define PPC_DBCR0_BRT   0x04000000
#define PPC_DBCR0_IRPT  0x02000000
#define PPC_DBCR0_TRAP  0x01000000
#define PPC_DBCR0_RET   0x00008000
#define PPC_DBSR_IDE    0x80000000 /* the event came while MSR[DE] was clear */
#define PPC_DBSR_EVENTS 0x0fff8000 /* what may interrupt, with IDM and MSR[DE] */

#define PPC_L1CSR0_CUL  0x00000400 /* a lock could not be had */

#define PPC_IVPR_BITS   0xffff0000
#define PPC_IVOR_BITS   0x0000fff0

#ifndef __ASSEMBLER__

#include "hv/ppc/core/timers.h"

#include <vmmu/base.h>

/* Asynchronous interrupts, the most urgent one the lowest bit. Spec: EREF "Interrupt Priorities". */
enum ppc_pending {
    PPC_PENDING_MACHINE_CHECK = 0x01,
    PPC_PENDING_DEBUG = 0x02,
    PPC_PENDING_CRITICAL = 0x04,
    PPC_PENDING_WATCHDOG = 0x08,
    PPC_PENDING_EXTERNAL = 0x10,
    PPC_PENDING_FIXED_INTERVAL = 0x20,
    PPC_PENDING_DECREMENTER = 0x40,
};

/* Where a return instruction finds what an interrupt saved. */
struct ppc_save {
    uint32_t pc;
    uint32_t msr;
};

/* The kinds of interrupts that differ in what they save and which of MSR they leave. */
enum ppc_class { PPC_CLASS_BASE, PPC_CLASS_CRITICAL, PPC_CLASS_DEBUG, PPC_CLASS_MACHINE_CHECK, PPC_CLASSES };

struct ppc_core {
    /* What vectors.S knows. */
    uint32_t gpr[32];
    uint32_t cr, lr, ctr, xer, pc;
    uint32_t run_msr;    /* of the processor while the guest runs; the backend's */
    uint32_t host_stack; /* of the hypervisor while the guest runs; the backend's */
    uint32_t msr;
    uint32_t pending;            /* enum ppc_pending */
    uint32_t mmu;                /* address of its struct vmmu_booke; the backend's */
    uint32_t quick[QUICK_KINDS]; /* counts that have not been added to others yet; the backend's */

    struct ppc_save save[PPC_CLASSES]; /* SRR, CSRR, DSRR, MCSRR */
    uint32_t esr, dear, mcsr, mcar, epr;
    uint32_t ivpr;
    uint32_t ivor[VECTOR_LIMIT];
    uint32_t sprg[8]; /* the processor's own SPRG3 to SPRG7 are the same, for user code to read */
    struct ppc_timers timers;
    uint32_t dbcr0, dbcr1, dbcr2, dbsr, iac1, iac2, dac1, dac2;
    uint32_t hid0, hid1, l1csr0, l1csr1, bucsr;
    uint32_t bbear, bbtar;
    uint32_t pir, pvr, svr, mmucfg, tlb0cfg, tlb1cfg, l1cfg0, l1cfg1;
};

_Static_assert(offsetof(struct ppc_core, cr) == CORE_CR, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, lr) == CORE_LR, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, ctr) == CORE_CTR, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, xer) == CORE_XER, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, pc) == CORE_PC, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, run_msr) == CORE_RUN_MSR, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, host_stack) == CORE_HOST_STACK, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, msr) == CORE_MSR, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, pending) == CORE_PENDING, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, mmu) == CORE_MMU, "the assembly's offset");
_Static_assert(offsetof(struct ppc_core, quick) == CORE_QUICK, "the assembly's offset");

/* All registers as after a reset; what says which processor it is stays. */
void ppc_core_reset(struct ppc_core *core);

/* --- interrupts --- */

/* The class of the interrupt with that vector. */
enum ppc_class ppc_class_of(unsigned vector);

/**
 * The core takes interrupt @vector, whose handler is to return to @back: saves it and MSR, and stands at the handler. The
 * caller sets ESR, DEAR and EPR. Returns the MSR from now on, which it has not written to core->msr: translations depend on it.
 */
VMMU_MUST_USE
uint32_t ppc_interrupt(struct ppc_core *core, unsigned vector, uint32_t back);

/* A return of that class: the core stands where the interrupt came. Returns the MSR from now on, as above. */
VMMU_MUST_USE
uint32_t ppc_return(struct ppc_core *core, enum ppc_class class);

/* Which of `pending` MSR lets through. */
static inline uint32_t ppc_enabled(uint32_t msr)
{
    return (msr & MSR_ME ? PPC_PENDING_MACHINE_CHECK : 0) | (msr & PPC_MSR_DE ? PPC_PENDING_DEBUG : 0) |
           (msr & MSR_CE ? PPC_PENDING_CRITICAL | PPC_PENDING_WATCHDOG : 0) |
           (msr & MSR_EE ? PPC_PENDING_EXTERNAL | PPC_PENDING_FIXED_INTERVAL | PPC_PENDING_DECREMENTER : 0);
}

/* Whether an interrupt can be taken at once. */
static inline bool ppc_is_due(const struct ppc_core *core)
{
    return core->pending && core->pending & ppc_enabled(core->msr);
}

/* The vector of the most urgent interrupt that is pending and let through; -1: there is none. */
int ppc_due_vector(const struct ppc_core *core);

/* Find anew what the timers and the debug facility have pending. */
void ppc_look(struct ppc_core *core);

/*
 * A debug event, by its bit in DBCR0 and DBSR, has happened, if the guest asks for it: recorded, and pending where debug
 * interrupts are on.
 */
void ppc_debug_event(struct ppc_core *core, uint32_t event);

#endif

#endif
