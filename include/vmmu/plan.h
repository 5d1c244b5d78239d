/*
 * One way to invalidate: what an operation on live tables asks its caller to do before its
 * effect may be relied on.
 *
 * A plan is plain data, returned by value. At most eight ranges; more than that means the whole tag. The
 * caller applies it to every processor in `vps` (flush, then have them leave guest mode once), then reports
 * `epoch` to the table memory, which may use the pages retired under it again.
 */
#ifndef VMMU_PLAN_H
#define VMMU_PLAN_H

#include <vmmu/base.h>

#define VMMU_PLAN_RANGES 8

/* `base` is guest-physical for nested tables, guest-virtual for shadow tables; whole 4 KiB pages. */
struct vmmu_range {
    uint64_t base;
    uint64_t pages;
};

struct vmmu_plan {
    bool whole_tag; /* everything under the tag; `ranges` is then empty */
    uint8_t count;
    struct vmmu_range ranges[VMMU_PLAN_RANGES];
    uint64_t vps;   /* bit N: virtual processor N must flush before the effect may be relied on */
    uint64_t epoch; /* what to tell vmmu_table_flushed() afterwards; 0: nothing was retired */
};

/* What an operation on live tables returns. The plan must be applied whatever the status says. */
struct vmmu_outcome {
    enum vmmu_status status;
    struct vmmu_plan plan;
};

static inline bool vmmu_plan_is_empty(const struct vmmu_plan *plan)
{
    return !plan->whole_tag && plan->count == 0;
}

/*
 * Add [base, base + pages * 4096) to @plan: joins a neighbour where it can, falls back to
 * the whole tag when full.
 */
void vmmu_plan_add(struct vmmu_plan *plan, uint64_t base, uint64_t pages);

#endif
