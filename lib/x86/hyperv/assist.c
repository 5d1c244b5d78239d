/*
 * Lazy end of interrupt, by the VP assist page.
 *
 * Invariant: vp->eoi_offered is true exactly from the moment in which we set "No EOI required" until the
 * local APIC has been given that EOI, or the bit has been cleared by us with the EOI still to come. Each
 * interrupt thus ends once.
 */
#include "lib/x86/hyperv/hyperv.h"

bool vmmu_hyperv_assist_page(const struct vmmu_hyperv_vp *vp, vmmu_gpa *at)
{
    *at = hv_page_address(vp->assist);
    return hv_page_enabled(vp->assist);
}

bool vmmu_hyperv_eoi_offer(struct vmmu_hyperv_vp *vp, uint32_t *word)
{
    if (!hv_page_enabled(vp->assist) || vp->eoi_offered) {
        return false;
    }
    vp->eoi_offered = true;
    *word |= VMMU_HYPERV_ASSIST_NO_EOI;
    return true;
}

bool vmmu_hyperv_eoi_settle(struct vmmu_hyperv_vp *vp, uint32_t word)
{
    if (!vp->eoi_offered || (word & VMMU_HYPERV_ASSIST_NO_EOI) != 0) {
        return false;
    }
    vp->eoi_offered = false;
    return true;
}

bool vmmu_hyperv_eoi_withdraw(struct vmmu_hyperv_vp *vp, uint32_t *word)
{
    if (!vp->eoi_offered) {
        return false;
    }
    vp->eoi_offered = false;
    *word &= ~VMMU_HYPERV_ASSIST_NO_EOI;
    return true;
}
