/*
 * The translation state of the processor while a guest runs: MSR and the PID registers.
 *
 * The library gives each state of a guest its shadow PIDs; what it has answered is kept until the guest's PIDs change or shadow PIDs
 * are taken away, and the registers are written only when they differ. Spec: EREF "Process ID Registers", "Synchronization
 * Requirements".
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/e500/e500.h"

/* What every guest runs with: interrupts and machine checks come, problem state, address space 1. */
#define MSR_GUEST (MSR_EE | MSR_PR | MSR_ME | MSR_IS | MSR_DS)

/* This processor's: what its PID registers hold, packed. */
static uint32_t loaded;

static unsigned space_index(uint32_t msr)
{
    return (msr & MSR_PR ? 4 : 0) | (msr & (MSR_IS | MSR_DS)) >> 4;
}

static uint32_t pack(struct vmmu_booke_pids pids)
{
    return (uint32_t)pids.pid[0] | (uint32_t)pids.pid[1] << 8 | (uint32_t)pids.pid[2] << 16;
}

static void load(struct vp_arch *arch, uint32_t pids)
{
    loaded = pids;
    arch->counts[PPC_COUNT_SPACES]++;
    SPR_WRITE(SPR_PID0, pids & 0xff);
    SPR_WRITE(SPR_PID1, pids >> 8 & 0xff);
    SPR_WRITE(SPR_PID2, pids >> 16 & 0xff);
    isync();
}

void e500_forget_spaces(struct vp_arch *arch)
{
    __builtin_memset(arch->pids, 0, sizeof arch->pids);
}

/* Asking may take shadow PIDs from other states, perhaps of this VP's. */
static uint32_t ask(struct vp_arch *arch, unsigned index)
{
    const uint32_t pids = pack(vmmu_booke_enter(arch->booke, arch->real, ppc_space(&arch->core)));

    if (arch->generation != arch->real->generation) {
        e500_forget_spaces(arch);
        arch->generation = arch->real->generation;
    }
    arch->pids[index] = pids;
    return pids;
}

void e500_settle_spaces(struct vp_arch *arch)
{
    const unsigned index = space_index(arch->core.msr);
    uint32_t pids = arch->pids[index];

    if (!pids || arch->generation != arch->real->generation) {
        pids = ask(arch, index);
    }
    if (pids != loaded) {
        load(arch, pids);
    }
}

uint32_t e500_run_msr(const struct vp_arch *arch)
{
    return MSR_GUEST | (arch->core.msr & PPC_MSR_SPE && e500_has_spe(arch) ? PPC_MSR_SPE : 0) |
           (e500_steps(arch) ? PPC_MSR_DE : 0);
}

void e500_set_msr(struct vp_arch *arch, uint32_t msr)
{
    const uint32_t changed = arch->core.msr ^ msr;

    arch->core.msr = msr;
    if (changed & (MSR_IS | MSR_DS | MSR_PR)) {
        e500_settle_spaces(arch);
    }
    if (changed & (PPC_MSR_SPE | PPC_MSR_DE)) {
        e500_run_msr_changes(arch);
    }
}
