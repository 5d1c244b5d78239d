#include "hv/mmu/view.h"

#include "hv/mmu/state.h"

enum vmmu_status mmu_view(const struct vp *vp, vmmu_gva va, struct vmmu_shadow_view *view)
{
    struct mmu *mmu = vp->partition->mmu;

    return mmu->technique == &mmu_shadow ? vmmu_shadow_view(&mmu->shadow, vp->index, va, view)
                                         : VMMU_UNSUPPORTED;
}

const struct vmmu_shadow_counters *mmu_shadow_counters(const struct partition *partition)
{
    const struct mmu *mmu = partition->mmu;

    return mmu->technique == &mmu_shadow ? &mmu->shadow.counters : NULL;
}
