/*
 * Privileged instructions of a guest in supervisor state.
 *
 * Spec: EREF "Instruction Set"; PowerPC e500 Core Family Reference Manual "Instruction Model".
 */
#include "hv/ppc/vp/ppc.h"

/* With one of these, MSR[WE] makes the core sleep. */
#define HID0_SLEEPS UINT32_C(0x00e00000)

bool ppc_leave(struct vp_arch *arch, enum exit_kind kind)
{
    arch->exit->kind = kind;
    return false;
}

bool ppc_settle(struct vp_arch *arch)
{
    if (ppc_is_due(&arch->core) || arch->core.timers.reset) {
        lock_take(&arch->vp->partition->lock);
        ppc_deliver(arch);
        lock_release(&arch->vp->partition->lock);
    }
    return !arch->vp->attention || ppc_leave(arch, EXIT_HOST_INTERRUPT);
}

/* The same, where there is mostly nothing to do. */
static bool go_on(struct vp_arch *arch)
{
    return (!arch->vp->attention && !arch->core.timers.reset && !ppc_is_due(&arch->core)) || ppc_settle(arch);
}

bool ppc_is_asleep(const struct ppc_core *core)
{
    return core->msr & MSR_WE && core->hid0 & HID0_SLEEPS;
}

static bool write_msr(struct vp_arch *arch, uint32_t msr)
{
    e500_set_msr(arch, msr & PPC_MSR_IMPLEMENTED);
    if (!go_on(arch)) {
        return false;
    }
    return !ppc_is_asleep(&arch->core) || ppc_leave(arch, EXIT_IDLE);
}

/* MSR[EE] alone: no space depends on it. */
static bool write_ee(struct vp_arch *arch, uint32_t from)
{
    arch->core.msr = (arch->core.msr & ~(uint32_t)MSR_EE) | (from & MSR_EE);
    return !ppc_is_due(&arch->core) || ppc_settle(arch);
}

static bool return_from(struct vp_arch *arch, enum ppc_class class)
{
    const uint32_t msr = ppc_return(&arch->core, class);

    if (class == PPC_CLASS_BASE) {
        ppc_debug_event(&arch->core, PPC_DBCR0_RET);
    }
    return write_msr(arch, msr);
}

/* What the library did may have taken shadow PIDs from this guest, or ended the partition. */
static bool translations_changed(struct vp_arch *arch)
{
    e500_settle_spaces(arch);
    return !arch->vp->attention || ppc_leave(arch, EXIT_HOST_INTERRUPT);
}

static bool write_entry(struct vp_arch *arch)
{
    const int index = vmmu_booke_write(arch->booke);

    if (index >= 0 && arch->has_missed) {
        arch->has_missed = false;
        arch->counts[PPC_COUNT_ANSWERED] +=
            vmmu_booke_fill_written(arch->booke, arch->real, &arch->missed, (unsigned)index);
    }
    return translations_changed(arch);
}

/* Nothing is invalidated that others could read: it acts as dcbf. It is a store for the purposes of protection. */
static bool invalidate_block(struct vp_arch *arch, uint32_t word)
{
    const struct vmmu_booke_attempt attempt = { .state = ppc_space(&arch->core),
                                                .kind = VMMU_BOOKE_STORE,
                                                .ea = ppc_indexed(word, arch->core.gpr),
                                                .at = arch->core.pc };
    const struct vmmu_booke_access access = { .kind = VMMU_BOOKE_STORE, .space = attempt.state.data_space };
    const struct vmmu_booke_result result = vmmu_booke_translate(arch->booke, attempt.ea, access);

    if (result.verdict == VMMU_BOOKE_HIT) {
        arch->core.pc += 4;
    } else {
        ppc_translation_fault(arch, &attempt, &result);
    }
    return true;
}

/* --- one function for each; each steps over its instruction --- */

static bool step(struct vp_arch *arch)
{
    arch->core.pc += 4;
    return true;
}

static bool perform_other(struct vp_arch *arch, uint32_t word)
{
    return ppc_die(arch, "the guest's instruction %08x at %08x is not known", word, arch->core.pc);
}

static bool perform_mfmsr(struct vp_arch *arch, uint32_t word)
{
    arch->core.gpr[ppc_field_t(word)] = arch->core.msr;
    return step(arch);
}

static bool perform_mtmsr(struct vp_arch *arch, uint32_t word)
{
    (void)step(arch);
    return write_msr(arch, arch->core.gpr[ppc_field_t(word)]);
}

static bool perform_wrtee(struct vp_arch *arch, uint32_t word)
{
    (void)step(arch);
    return write_ee(arch, arch->core.gpr[ppc_field_t(word)]);
}

static bool perform_wrteei(struct vp_arch *arch, uint32_t word)
{
    (void)step(arch);
    return write_ee(arch, word);
}

/* Looking at a timer may have found that it has run out. */
static bool perform_mfspr(struct vp_arch *arch, uint32_t word)
{
    return ppc_move_from(arch, ppc_field_spr(word), &arch->core.gpr[ppc_field_t(word)]) && step(arch) &&
           go_on(arch);
}

static bool perform_mtspr(struct vp_arch *arch, uint32_t word)
{
    (void)step(arch);
    return ppc_move_to(arch, ppc_field_spr(word), arch->core.gpr[ppc_field_t(word)]);
}

static bool perform_rfi(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    return return_from(arch, PPC_CLASS_BASE);
}

static bool perform_rfci(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    return return_from(arch, PPC_CLASS_CRITICAL);
}

static bool perform_rfdi(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    return return_from(arch, PPC_CLASS_DEBUG);
}

static bool perform_rfmci(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    return return_from(arch, PPC_CLASS_MACHINE_CHECK);
}

static bool perform_tlbwe(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    (void)step(arch);
    return write_entry(arch);
}

static bool perform_tlbre(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    vmmu_booke_read(arch->booke);
    return step(arch);
}

static bool perform_tlbsx(struct vp_arch *arch, uint32_t word)
{
    vmmu_booke_search(arch->booke, ppc_indexed(word, arch->core.gpr));
    return step(arch);
}

static bool perform_tlbivax(struct vp_arch *arch, uint32_t word)
{
    (void)step(arch);
    vmmu_booke_invalidate(arch->booke, ppc_indexed(word, arch->core.gpr));
    return translations_changed(arch);
}

static bool perform_tlbilx(struct vp_arch *arch, uint32_t word)
{
    (void)step(arch);
    vmmu_booke_invalidate_local(arch->booke, ppc_field_t(word) & PPC_TLBILX_TYPES,
                                ppc_indexed(word, arch->core.gpr));
    return translations_changed(arch);
}

/* What it waits for has always happened. */
static bool perform_tlbsync(struct vp_arch *arch, uint32_t word)
{
    (void)word;
    return step(arch);
}

bool ppc_perform(struct vp_arch *arch, uint32_t word)
{
    static bool (*const performs[PPC_PRIVILEGED_KINDS])(struct vp_arch *, uint32_t) = {
        [PPC_OTHER] = perform_other,   [PPC_MFMSR] = perform_mfmsr,     [PPC_MTMSR] = perform_mtmsr,
        [PPC_WRTEE] = perform_wrtee,   [PPC_WRTEEI] = perform_wrteei,   [PPC_MFSPR] = perform_mfspr,
        [PPC_MTSPR] = perform_mtspr,   [PPC_RFI] = perform_rfi,         [PPC_RFCI] = perform_rfci,
        [PPC_RFDI] = perform_rfdi,     [PPC_RFMCI] = perform_rfmci,     [PPC_TLBWE] = perform_tlbwe,
        [PPC_TLBRE] = perform_tlbre,   [PPC_TLBSX] = perform_tlbsx,     [PPC_TLBIVAX] = perform_tlbivax,
        [PPC_TLBILX] = perform_tlbilx, [PPC_TLBSYNC] = perform_tlbsync, [PPC_DCBI] = invalidate_block,
    };
    const enum ppc_privileged kind = ppc_privileged_of(word);

    arch->privileged[kind]++;
    return performs[kind](arch, word);
}
