/* What the techniques and their common ground share; private to hv/mmu. */
#ifndef HV_MMU_STATE_H
#define HV_MMU_STATE_H

#include "hv/guest/patches.h"
#include "hv/mmu/mmu.h"

/* Two for a partition, three for each of its VPs. */
#define MMU_OVERLAYS (2 + 3 * PARTITION_VPS)

struct mmu_overlay {
    vmmu_gpa gpa;
    vmmu_hpa page;
    uint8_t rights; /* GUEST_RIGHT_* */
};

/* What all techniques need; a technique's own state begins with it. */
struct mmu {
    const struct mmu_technique *technique;
    unsigned overlay_count; /* the first so many of `overlays` are in place */
    struct mmu_overlay overlays[MMU_OVERLAYS];
    struct guest_patches
        patches;     /* where the parent has lent or withheld memory; no room until it first does */
    bool lends;      /* memory of this partition's stands in another */
    uint64_t filter; /* a bit for each page number modulo 64 where an overlay or a patch stands */
    const struct guest_slot *near; /* the slot that was last asked for; nearly always the next one, too */
    uint64_t upset_state;          /* of the generator of intervals */
    uint32_t upset_in;             /* exits until all that has been made is dropped */
    uint64_t upsets;
    uint64_t faults;
    uint64_t device_faults;
    uint64_t spurious_faults;
    uint64_t intercepts;
};

/* What stands over a partition's own memory at @gpa: an overlay, or else a patch; NULL: there is none. */
struct mmu_cover {
    const struct mmu_overlay *overlay;
    const struct guest_patch *patch;
};

/* Where mmu_may_be_covered() says that there may be one. */
struct mmu_cover mmu_cover_find(const struct mmu *mmu, vmmu_gpa gpa);

static inline bool mmu_may_be_covered(const struct mmu *mmu, vmmu_gpa gpa)
{
    return mmu->filter >> (gpa.v >> VMMU_PAGE_SHIFT & 63) & 1;
}

static inline struct mmu_cover mmu_cover_over(const struct mmu *mmu, vmmu_gpa gpa)
{
    return mmu_may_be_covered(mmu, gpa) ? mmu_cover_find(mmu, gpa) : (struct mmu_cover){ NULL, NULL };
}

/* Where byte @gpa of what is lent lies in the machine. */
static inline vmmu_hpa mmu_lent_at(const struct guest_patch *patch, vmmu_gpa gpa)
{
    return (vmmu_hpa){ patch->hpa.v + (gpa.v - patch->gpa.v) };
}

/* Have the technique map what the page of @gpa shows now. False: no memory, or the partition has been stopped. */
bool mmu_show(struct partition *partition, vmmu_gpa gpa);

/* One page of the machine's memory, its content undefined; and back. As mmu_memory_take(). */
VMMU_MUST_USE
bool mmu_page_take(bool below_4g, vmmu_hpa *at);
void mmu_page_give(vmmu_hpa at);

/* Whether @partition owns every byte of [at, at + size_bytes), or has been lent it. */
bool mmu_owns(const struct partition *partition, vmmu_hpa at, uint64_t size_bytes);

/* What is covered has changed. */
void mmu_cover_changed(struct mmu *mmu);

/* Whether some of what is lent to @partition is all of [at, at + size). */
bool mmu_is_lent(const struct partition *partition, vmmu_hpa at, uint64_t size_bytes);

/* The slot that @gpa lies in, or NULL. */
const struct guest_slot *mmu_slot_find(const struct partition *partition, vmmu_gpa gpa);

static inline const struct guest_slot *mmu_slot_of(const struct partition *partition, vmmu_gpa gpa)
{
    const struct guest_slot *near = partition->mmu->near;

    return gpa.v - near->gpa.v < near->size ? near : mmu_slot_find(partition, gpa);
}

#endif
