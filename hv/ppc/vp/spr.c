/*
 * Moves to and from special purpose registers: the table says where each lives; here is what writing some of them does.
 */
#include "hv/ppc/core/sprs.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/vp/ppc.h"

static uint32_t *word_at(void *base, unsigned offset)
{
    return (uint32_t *)(void *)((uint8_t *)base + offset);
}

static uint32_t read_tsr(struct vp_arch *arch)
{
    ppc_look_at_timers(arch);
    return arch->core.timers.tsr;
}

static uint32_t read_decrementer(struct vp_arch *arch)
{
    ppc_look_at_timers(arch);
    return ppc_decrementer(&arch->core.timers, timebase());
}

bool ppc_move_from(struct vp_arch *arch, unsigned number, uint32_t *value)
{
    const struct ppc_spr *spr = ppc_spr(number);

    if (!(spr->rights & PPC_SPR_READ)) {
        return ppc_die(arch, "the guest reads special purpose register %u at %08x: it is not known", number,
                       arch->core.pc);
    }
    switch ((enum ppc_spr_home)spr->home) {
    case PPC_SPR_WORD:
    case PPC_SPR_OWN: *value = *word_at(&arch->core, spr->offset) & spr->mask; break;
    case PPC_SPR_MMU: *value = *word_at(arch->booke, spr->offset); break;
    case PPC_SPR_DECREMENTER: *value = read_decrementer(arch); break;
    case PPC_SPR_TCR: *value = arch->core.timers.tcr; break;
    case PPC_SPR_TSR: *value = read_tsr(arch); break;
    case PPC_SPR_DBCR0: *value = arch->core.dbcr0; break;
    case PPC_SPR_HID0: *value = arch->core.hid0; break;
    case PPC_SPR_DBSR: *value = arch->core.dbsr; break;
    case PPC_SPR_MCSR: *value = arch->core.mcsr; break;
    case PPC_SPR_ZERO:
    case PPC_SPR_FLUSH: *value = 0; break;
    case PPC_SPR_TIME:
    case PPC_SPR_ABSENT: break;
    }
    return true;
}

/* The PIDs decide by which shadow PIDs the guest runs. */
static bool write_mmu(struct vp_arch *arch, const struct ppc_spr *spr, uint32_t value)
{
    const bool is_kept = spr->home == PPC_SPR_MMU;
    const uint32_t old = is_kept ? *word_at(arch->booke, spr->offset) : 0;

    vmmu_booke_set(arch->booke, (enum vmmu_booke_register)spr->which, value);
    if (!spr->changes_spaces || (is_kept && *word_at(arch->booke, spr->offset) == old)) {
        return true;
    }
    e500_forget_spaces(arch);
    e500_settle_spaces(arch);
    return !arch->vp->attention || ppc_leave(arch, EXIT_HOST_INTERRUPT);
}

/* The neutral loop arms the host's timer, and finds what is due already. */
static bool timers_changed(struct vp_arch *arch)
{
    ppc_look_at_timers(arch);
    return ppc_settle(arch) && ppc_leave(arch, EXIT_PPC_TIMER);
}

static bool write_dbcr0(struct vp_arch *arch, const struct ppc_spr *spr, uint32_t value)
{
    arch->core.dbcr0 = value & spr->mask & ~(uint32_t)PPC_DBCR0_RST;
    if (value & PPC_DBCR0_RST) {
        lock_take(&arch->vp->partition->lock);
        partition_end(arch->vp->partition, PARTITION_RESET, 0, "its own debug control");
        lock_release(&arch->vp->partition->lock);
        return ppc_leave(arch, EXIT_HOST_INTERRUPT);
    }
    e500_run_msr_changes(arch);
    ppc_look(&arch->core);
    return ppc_settle(arch);
}

static bool write_dbsr(struct vp_arch *arch, uint32_t value)
{
    arch->core.dbsr &= ~value;
    ppc_look(&arch->core);
    return true;
}

bool ppc_move_to(struct vp_arch *arch, unsigned number, uint32_t value)
{
    const struct ppc_spr *spr = ppc_spr(number);
    struct ppc_timers *timers = &arch->core.timers;

    if (!(spr->rights & PPC_SPR_WRITE)) {
        return ppc_die(arch, "the guest writes special purpose register %u at %08x: it is not known", number,
                       arch->core.pc - 4);
    }
    switch ((enum ppc_spr_home)spr->home) {
    case PPC_SPR_WORD: *word_at(&arch->core, spr->offset) = value; return true;
    case PPC_SPR_MMU:
    case PPC_SPR_FLUSH: return write_mmu(arch, spr, value);
    case PPC_SPR_OWN:
        *word_at(&arch->core, spr->offset) = value;
        e500_set_own_register(number, value);
        return true;
    case PPC_SPR_DECREMENTER: ppc_decrementer_write(timers, timebase(), value); return timers_changed(arch);
    case PPC_SPR_TCR: ppc_tcr_write(timers, timebase(), value); return timers_changed(arch);
    case PPC_SPR_TSR: ppc_tsr_clear(timers, timebase(), value); return timers_changed(arch);
    case PPC_SPR_DBCR0: return write_dbcr0(arch, spr, value);
    case PPC_SPR_HID0:
        arch->core.hid0 = value & spr->mask;
        vmmu_booke_set(arch->booke, VMMU_BOOKE_HID0, value);
        return true;
    case PPC_SPR_DBSR: return write_dbsr(arch, value);
    case PPC_SPR_MCSR: arch->core.mcsr &= ~value; return true;
    case PPC_SPR_ZERO:
    case PPC_SPR_TIME:
    case PPC_SPR_ABSENT: return true;
    }
    __builtin_unreachable();
}
