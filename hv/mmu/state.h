/* What the techniques and their common ground share; private to hv/mmu. */
#ifndef HV_MMU_STATE_H
#define HV_MMU_STATE_H

#include <vmmu/host.h>
#include <vmmu/nested.h>
#include <vmmu/shadow.h>
#include <vmmu/table.h>

#include "hv/mmu/mmu.h"

#define MMU_OVERLAYS 16

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
    uint64_t overlay_filter;       /* a bit for each page number modulo 64 that an overlay stands over */
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

/* The overlay at @gpa, or NULL; where mmu_overlay_may_be() says that there may be one. */
const struct mmu_overlay *mmu_overlay_find(const struct mmu *mmu, vmmu_gpa gpa);

static inline bool mmu_overlay_may_be(const struct mmu *mmu, vmmu_gpa gpa)
{
    return mmu->overlay_filter >> (gpa.v >> VMMU_PAGE_SHIFT & 63) & 1;
}

/* The overlay at @gpa, or NULL. */
static inline const struct mmu_overlay *mmu_overlay_over(const struct mmu *mmu, vmmu_gpa gpa)
{
    return mmu_overlay_may_be(mmu, gpa) ? mmu_overlay_find(mmu, gpa) : NULL;
}

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

    if (offset < mmu->near->size && !mmu_overlay_may_be(mmu, gpa)) {
        return mmu->near->host + offset;
    }
    return mmu_at(partition, gpa, width_bytes);
}

/* Have the plan's VPs flush before they enter their guest again, and report its epoch. */
void mmu_apply(struct partition *partition, const struct vmmu_plan *plan);

#endif
