/*
 * How the guest's accesses are cached: its PATs and, where that is honoured, CR0.CD. The library decides (hyperv.h, "What a
 * guest may notice"); this file has processors and tables translate by it.
 *
 * Invariant: what a virtual processor reads back of its PAT is in arch->msrs; what the backend and the tables hold is what
 * vmmu_hyperv_pat_of_vp() and vmmu_hyperv_pat_of_tables() say.
 */
#include "hv/mmu/x86.h"
#include "hv/x86/vp/x86.h"

/* In order with the accesses before and behind it. */
void arch_evict(const void *at)
{
    __asm__ volatile("mfence\n\tclflush %0\n\tmfence" : : "m"(*(const char *)at) : "memory");
}

static struct vmmu_hyperv_pats *pats_of(const struct vp *vp)
{
    return &vp->partition->arch->hyperv.pats;
}

/* Without paging the type is in the pages that stand for the guest's memory, which a root may have to begin with. */
static void renew_unpaged(struct vp *vp)
{
    if (!(vp->waits & VP_WAIT_START) && !(vp->arch->backend->read_control(vp, 0) & VMMU_X86_CR0_PG)) {
        x86_paging_changed(vp);
    }
}

/* Tables of ours serve all virtual processors. */
static void load_tables(struct partition *partition, uint64_t before)
{
    const uint64_t now = vmmu_hyperv_pat_of_tables(&partition->arch->hyperv.pats);

    if (now == before || partition->vps[0]->arch->walks_guest) {
        return;
    }
    mmu_set_guest_pat(partition, now);
    for (unsigned i = 0; i < partition->vp_count; i++) {
        renew_unpaged(partition->vps[i]);
    }
}

void x86_write_pat(struct vp *vp, uint64_t value)
{
    struct partition *partition = vp->partition;
    struct vmmu_hyperv_pats *pats = pats_of(vp);
    const uint64_t before = vmmu_hyperv_pat_of_tables(pats);
    const uint64_t changed =
        vmmu_hyperv_pat_write(pats, x86_policy(vp), partition->vp_count, vp->index, value);

    for (unsigned i = 0; i < partition->vp_count; i++) {
        if (changed & BIT64(i)) {
            partition->vps[i]->arch->msrs.pat = value;
            (void)vp->arch->backend->write_msr(partition->vps[i], X86_MSR_PAT,
                                               vmmu_hyperv_pat_of_vp(pats, i));
        }
    }
    load_tables(partition, before);
}

/* The guest does not know that a PAT has changed, and flushes nothing. */
void x86_follow_cr0(struct vp *vp, uint64_t cr0)
{
    struct vmmu_hyperv_pats *pats = pats_of(vp);
    const uint64_t before = vmmu_hyperv_pat_of_tables(pats);

    if (!vmmu_hyperv_pat_follow_cr0(pats, x86_policy(vp), vp->index, cr0)) {
        return;
    }
    (void)vp->arch->backend->write_msr(vp, X86_MSR_PAT, vmmu_hyperv_pat_of_vp(pats, vp->index));
    vp->arch->backend->flush(vp);
    load_tables(vp->partition, before);
}
