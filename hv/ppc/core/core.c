/*
 * What the core does by rule: which interrupt comes first, what it saves, which of MSR it leaves.
 *
 * Spec: EREF "Interrupt Classification", "Interrupt Processing", "Interrupt Definitions".
 */
#include "hv/ppc/core/core.h"

/* DBSR[MRR] after a reset of the system. */
#define DBSR_MOST_RECENT_RESET 0x30000000u

/* Which of MSR an interrupt leaves as it was; the others are 0 in its handler. */
static const uint32_t msr_kept[PPC_CLASSES] = {
    [PPC_CLASS_BASE] = MSR_CE | MSR_ME | PPC_MSR_DE,
    [PPC_CLASS_CRITICAL] = MSR_ME,
    [PPC_CLASS_DEBUG] = MSR_ME,
    [PPC_CLASS_MACHINE_CHECK] = 0,
};

void ppc_core_reset(struct ppc_core *core)
{
    const struct ppc_core old = *core;

    __builtin_memset(core, 0, sizeof *core);
    core->mmu = old.mmu;
    core->pir = old.pir;
    core->pvr = old.pvr;
    core->svr = old.svr;
    core->mmucfg = old.mmucfg;
    core->tlb0cfg = old.tlb0cfg;
    core->tlb1cfg = old.tlb1cfg;
    core->l1cfg0 = old.l1cfg0;
    core->l1cfg1 = old.l1cfg1;
    core->dbsr = DBSR_MOST_RECENT_RESET;
}

/* An e500v2 takes debug interrupts through the registers of the critical ones. */
enum ppc_class ppc_class_of(unsigned vector)
{
    switch (vector) {
    case VECTOR_MACHINE_CHECK: return PPC_CLASS_MACHINE_CHECK;
    case VECTOR_CRITICAL:
    case VECTOR_WATCHDOG:
    case VECTOR_DEBUG: return PPC_CLASS_CRITICAL;
    default: return PPC_CLASS_BASE;
    }
}

uint32_t ppc_interrupt(struct ppc_core *core, unsigned vector, uint32_t back)
{
    const enum ppc_class class = ppc_class_of(vector);

    core->save[class] = (struct ppc_save){ .pc = back, .msr = core->msr };
    core->pc = (core->ivpr & PPC_IVPR_BITS) | (core->ivor[vector] & PPC_IVOR_BITS);
    return core->msr & msr_kept[class];
}

/* No return waits on, as the emulated machine has it; on others handlers clear SRR1[WE] themselves. */
uint32_t ppc_return(struct ppc_core *core, enum ppc_class class)
{
    core->pc = core->save[class].pc & ~UINT32_C(3);
    return core->save[class].msr & PPC_MSR_IMPLEMENTED & ~(uint32_t)MSR_WE;
}

int ppc_due_vector(const struct ppc_core *core)
{
    static const uint8_t vectors[] = { VECTOR_MACHINE_CHECK, VECTOR_DEBUG,    VECTOR_CRITICAL,
                                       VECTOR_WATCHDOG,      VECTOR_EXTERNAL, VECTOR_FIXED_INTERVAL,
                                       VECTOR_DECREMENTER };
    const uint32_t due = core->pending & ppc_enabled(core->msr);

    for (unsigned i = 0; i < sizeof vectors; i++) {
        if (due >> i & 1) {
            return vectors[i];
        }
    }
    return -1;
}

void ppc_look(struct ppc_core *core)
{
    const uint32_t tsr = core->timers.tsr;
    const uint32_t tcr = core->timers.tcr;
    uint32_t pending =
        core->pending & (PPC_PENDING_MACHINE_CHECK | PPC_PENDING_CRITICAL | PPC_PENDING_EXTERNAL);

    if (tsr & PPC_TSR_WIS && tcr & PPC_TCR_WIE) {
        pending |= PPC_PENDING_WATCHDOG;
    }
    if (tsr & PPC_TSR_FIS && tcr & PPC_TCR_FIE) {
        pending |= PPC_PENDING_FIXED_INTERVAL;
    }
    if (tsr & PPC_TSR_DIS && tcr & PPC_TCR_DIE) {
        pending |= PPC_PENDING_DECREMENTER;
    }
    if (core->dbsr & PPC_DBSR_EVENTS && core->dbcr0 & PPC_DBCR0_IDM) {
        pending |= PPC_PENDING_DEBUG;
    }
    core->pending = pending;
}

void ppc_debug_event(struct ppc_core *core, uint32_t event)
{
    if (!(core->dbcr0 & event) || !(core->dbcr0 & PPC_DBCR0_IDM)) {
        return;
    }
    core->dbsr |= event | (core->msr & PPC_MSR_DE ? 0 : PPC_DBSR_IDE);
    ppc_look(core);
}
