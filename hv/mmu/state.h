/* What the techniques and their common ground share; private to hv/mmu. */
#ifndef HV_MMU_STATE_H
#define HV_MMU_STATE_H

#include <vmmu/host.h>
#include <vmmu/nested.h>
#include <vmmu/shadow.h>
#include <vmmu/table.h>

#include "hv/guest/patches.h"
#include "hv/mmu/mmu.h"

/* Two for a partition, three for each of its VPs. */
#define MMU_OVERLAYS (2 + 3 * PARTITION_VPS)

struct mmu_overlay {
    vmmu_gpa gpa;
    vmmu_hpa page;
    uint8_t rights; /* VMMU_X86_RIGHT_* */
};

struct mmu {
    const struct mmu_technique *technique;
    struct vmmu_host host;
    struct vmmu_table_memory memory;
    unsigned overlay_count; /* the first so many of `overlays` are in place */
    struct mmu_overlay overlays[MMU_OVERLAYS];
    struct guest_patches
        patches;     /* where the parent has lent or withheld memory; no room until it first does */
    bool lends;      /* memory of this partition's stands in another */
    uint64_t filter; /* a bit for each page number modulo 64 where an overlay or a patch stands */
    const struct guest_slot *near; /* the slot that was last asked for; nearly always the next one, too */
    struct vmmu_nested nested;     /* of the technique `nested`; of `shadow`, for phases, if has_phases */
    bool has_phases;
    struct vmmu_shadow shadow;
    struct vmmu_ram ram;  /* the guest's memory, for `shadow` */
    uint64_t upset_state; /* of the generator of intervals */
    uint32_t upset_in;    /* exits until every shadow page is dropped */
    uint64_t upsets;
    uint64_t faults;
    uint64_t device_faults;
    uint64_t spurious_faults;
    uint64_t intercepts;
};

extern const struct mmu_technique mmu_nested;
extern const struct mmu_technique mmu_shadow;

/* --- nested.c, for a technique that needs a second stage in phases, too --- */

/* Start the second stage as @offered, and map all of the partition's memory. NULL, or why not. */
const char *mmu_stage2_create(struct partition *partition, const struct vmmu_nested_config *offered);

/* Pages of tables that it may need. */
uint32_t mmu_stage2_pages(const struct partition *partition);

enum mmu_verdict mmu_stage2_fault(struct vp *vp, const struct exit_memory *memory);
bool mmu_stage2_map(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights);
bool mmu_stage2_unmap(struct partition *partition, vmmu_gpa gpa);

/* Turns of flush and retry that any one operation of an engine may need. */
#define MMU_TURNS 64

/* Repeat an operation that returns an outcome until it asks for no more flushes. */
#define MMU_UNTIL_DONE(partition, status, call)                                                              \
    do {                                                                                                     \
        (status) = VMMU_FLUSH_RETRY;                                                                         \
        for (unsigned turn = 0; turn < MMU_TURNS && (status) == VMMU_FLUSH_RETRY; turn++) {                  \
            const struct vmmu_outcome outcome = (call);                                                      \
            mmu_apply((partition), &outcome.plan);                                                           \
            (status) = outcome.status;                                                                       \
        }                                                                                                    \
    } while (0)

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

/* As mmu_at() for an entry of a table, which does not cross pages. */
static inline const void *mmu_entry_at(const struct partition *partition, vmmu_gpa gpa, unsigned width_bytes)
{
    const struct mmu *mmu = partition->mmu;
    const uint64_t offset = gpa.v - mmu->near->gpa.v;

    if (offset < mmu->near->size && !mmu_may_be_covered(mmu, gpa)) {
        return mmu->near->host + offset;
    }
    return mmu_at(partition, gpa, width_bytes);
}

/* Have the plan's VPs flush before they enter their guest again, and report its epoch. */
void mmu_apply(struct partition *partition, const struct vmmu_plan *plan);

#endif
