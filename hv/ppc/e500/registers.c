/*
 * Registers of the processor's that guests reach without a trap, and the SPE, whose state follows the VP that uses it.
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/e500/e500.h"

#define SPR_USPRG0  256
#define SPR_SPRG3   275
#define SPR_SPRG4   276
#define SPR_SPRG5   277
#define SPR_SPRG6   278
#define SPR_SPRG7   279
#define SPR_DBSR    304
#define SPR_DBCR0   308
#define SPR_SPEFSCR 512
#define SPR_L1CFG0  515
#define SPR_L1CFG1  516
#define SPR_TLB0CFG 688
#define SPR_MMUCFG  1015
#define SPR_SVR     1023

#define STEPS       (PPC_DBCR0_ICMP | PPC_DBCR0_BRT)

/* This processor's: whose registers it holds. NULL: nobody's. */
static struct vp_arch *current;
static struct vp_arch *spe_user;

/* In vectors.S. */
extern const uint8_t vector_program_quick[], vector_program_stepping[];

void e500_describe(struct ppc_core *core)
{
    core->pvr = SPR_READ(SPR_PVR);
    core->svr = SPR_READ(SPR_SVR);
    core->mmucfg = SPR_READ(SPR_MMUCFG);
    core->tlb0cfg = SPR_READ(SPR_TLB0CFG);
    core->tlb1cfg = SPR_READ(SPR_TLB1CFG);
    core->l1cfg0 = SPR_READ(SPR_L1CFG0);
    core->l1cfg1 = SPR_READ(SPR_L1CFG1);
}

void e500_set_own_register(unsigned number, uint32_t value)
{
    switch (number) {
    case SPR_SPRG3: SPR_WRITE(SPR_SPRG3, value); break;
    case SPR_SPRG4: SPR_WRITE(SPR_SPRG4, value); break;
    case SPR_SPRG5: SPR_WRITE(SPR_SPRG5, value); break;
    case SPR_SPRG6: SPR_WRITE(SPR_SPRG6, value); break;
    default: SPR_WRITE(SPR_SPRG7, value); break;
    }
}

static void save(struct ppc_private *own)
{
    own->usprg0 = SPR_READ(SPR_USPRG0);
    own->spefscr = SPR_READ(SPR_SPEFSCR);
}

static void load(const struct vp_arch *arch)
{
    for (unsigned number = SPR_SPRG3; number <= SPR_SPRG7; number++) {
        e500_set_own_register(number, arch->core.sprg[number - SPR_SPRG0]);
    }
    SPR_WRITE(SPR_USPRG0, arch->own.usprg0);
    SPR_WRITE(SPR_SPEFSCR, arch->own.spefscr);
}

/* A reservation is the processor's, too: another VP's store must not succeed by it. */
static void drop_reservation(void)
{
    uint32_t word;

    __asm__ volatile("stwcx. %0, 0, %1" : : "r"(0), "r"(&word) : "cr0", "memory");
}

void e500_switch_to(struct vp_arch *arch)
{
    if (current == arch) {
        return;
    }
    if (current) {
        save(&current->own);
    }
    load(arch);
    drop_reservation();
    current = arch;
    e500_run_msr_changes(arch);
}

/* --- the SPE --- */

static void allow_spe(bool allow)
{
    const uint32_t msr = msr_read() & ~(uint32_t)PPC_MSR_SPE;

    __asm__ volatile("mtmsr %0\n\tisync" : : "r"(allow ? msr | PPC_MSR_SPE : msr) : "memory");
}

bool e500_has_spe(const struct vp_arch *arch)
{
    return spe_user == arch;
}

bool e500_bring_spe(struct vp_arch *arch)
{
    if (!(arch->core.msr & PPC_MSR_SPE)) {
        return false;
    }
    allow_spe(true);
    if (spe_user) {
        e500_spe_save(&spe_user->spe);
    }
    e500_spe_load(&arch->spe);
    allow_spe(false);
    spe_user = arch;
    arch->counts[PPC_COUNT_SPE]++;
    e500_run_msr_changes(arch);
    return true;
}

/*
 * --- debug events that the processor finds ---
 *
 * It does not see what is done for the guest: instructions that are performed for it complete here, never in quick.S.
 */

/* Whether the guest single-steps: the processor does it for us. */
bool e500_steps(const struct vp_arch *arch)
{
    return arch->core.msr & PPC_MSR_DE && arch->core.dbcr0 & PPC_DBCR0_IDM && arch->core.dbcr0 & STEPS;
}

void e500_run_msr_changes(struct vp_arch *arch)
{
    const bool steps = e500_steps(arch);

    arch->core.run_msr = e500_run_msr(arch);
    if (current != arch) {
        return;
    }
    SPR_WRITE(SPR_DBCR0, steps ? PPC_DBCR0_IDM | (arch->core.dbcr0 & STEPS) : 0);
    SPR_WRITE(SPR_IVOR0 + VECTOR_PROGRAM,
              (uintptr_t)(steps ? vector_program_stepping : vector_program_quick) & PPC_IVOR_BITS);
}

bool e500_debug_trap(struct vp_arch *arch)
{
    const uint32_t events = SPR_READ(SPR_DBSR) & STEPS;

    SPR_WRITE(SPR_DBSR, UINT32_MAX);
    ppc_debug_event(&arch->core, PPC_DBCR0_ICMP & events);
    ppc_debug_event(&arch->core, PPC_DBCR0_BRT & events);
    return ppc_settle(arch);
}
