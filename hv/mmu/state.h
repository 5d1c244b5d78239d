/* What the techniques and their common ground share; private to hv/mmu. */
#ifndef HV_MMU_STATE_H
#define HV_MMU_STATE_H

#include <vmmu/host.h>
#include <vmmu/nested.h>
#include <vmmu/table.h>

#include "hv/mmu/mmu.h"

#define MMU_OVERLAYS 16

struct mmu_overlay {
    vmmu_gpa gpa;
    vmmu_hpa page;
    bool writable;
};

struct mmu {
    const struct mmu_technique *technique;
    struct vmmu_host host;
    struct vmmu_table_memory memory;
    unsigned overlay_count; /* the first so many of `overlays` are in place */
    struct mmu_overlay overlays[MMU_OVERLAYS];
    struct vmmu_nested nested;
    uint64_t faults;
    uint64_t device_faults;
    uint64_t spurious_faults;
};

extern const struct mmu_technique mmu_nested;

/* Have the plan's VPs flush before they enter their guest again, and report its epoch. */
void mmu_apply(struct partition *partition, const struct vmmu_plan *plan);

#endif
