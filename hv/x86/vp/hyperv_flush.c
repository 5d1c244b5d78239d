/*
 * Flushes that guests ask for by hypercalls, and TlbFlushInhibit, which holds them up.
 *
 * No VP but the caller's is on the processor, and none is inside its guest: what is noted with a VP here is done before its
 * next entry, and is therefore complete when the call returns. With VPs on other processors this is where they are kicked.
 */
#include "hv/mmu/mmu.h"
#include "hv/vp/schedule.h"
#include "hv/x86/vp/hyperv.h"

/* More pages than these are not named one by one. */
#define PAGES_BY_NAME 32u

bool x86_flush_is_inhibited(const struct partition *partition, uint64_t vps)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        if (vps & BIT64(i) && partition->vps[i]->arch->flush_inhibited) {
            return true;
        }
    }
    return false;
}

/* Each makes its call again, and may find another that inhibits. */
void x86_flush_allowed(struct partition *partition)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        schedule_wake(partition->vps[i], VP_WAIT_FLUSH);
    }
}

static bool are_few(const struct vmmu_plan *plan)
{
    uint64_t pages = 0;

    if (plan->whole_tag) {
        return false;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        if (plan->ranges[i].pages > PAGES_BY_NAME) {
            return false;
        }
        pages += plan->ranges[i].pages;
    }
    return pages <= PAGES_BY_NAME;
}

/*
 * Tables that are walked in place of the guest's are brought up to date, as by a MOV to CR3, and translations go with global
 * ones. A space that is not the one in use is brought up to date when it is entered.
 */
static void flush_all(struct vp *vp)
{
    vp->arch->backend->flush(vp);
    x86_paging_changed(vp);
}

static void flush_pages(struct vp *vp, const struct vmmu_plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++) {
        for (uint64_t page = 0; page < plan->ranges[i].pages; page++) {
            x86_invalidate_page(vp, (vmmu_gva){ plan->ranges[i].base + page * VMMU_PAGE_BYTES });
        }
    }
}

/*
 * Where the processor walks the guest's own tables, it may hold a large page of theirs in pieces, of which naming one page may
 * leave some: all translations go. So they do, with global ones, where these could stay.
 */
static void flush_vp(struct vp *vp, const struct vmmu_hyperv_flush_plan *plan)
{
    if (plan->guest_physical) {
        vp->arch->backend->flush_stage2(vp);
    }
    if (!vp->arch->walks_guest && are_few(&plan->plan)) {
        flush_pages(vp, &plan->plan);
    } else {
        flush_all(vp);
    }
}

/*
 * What was never started has nothing cached. Where others write the partition's memory, too, nobody saw whether they wrote to
 * tables: what was made from these is made anew.
 */
void x86_perform_flush(struct partition *partition, const struct vmmu_hyperv_flush_plan *plan)
{
    if (vmmu_plan_is_empty(&plan->plan)) {
        return;
    }
    if (plan->guest_physical || mmu_is_shared(partition)) {
        mmu_forget_all(partition);
    }
    for (unsigned i = 0; i < partition->vp_count; i++) {
        if (plan->plan.vps & BIT64(i) && !(partition->vps[i]->waits & VP_WAIT_START)) {
            flush_vp(partition->vps[i], plan);
        }
    }
}
