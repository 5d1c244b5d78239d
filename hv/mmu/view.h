/*
 * How a partition's memory is made, for people to look at: nothing here changes anything.
 *
 * Every call is made under the partition's lock (see hv/vp/vp.h).
 */
#ifndef HV_MMU_VIEW_H
#define HV_MMU_VIEW_H

#include <vmmu/shadow_view.h>

#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

/*
 * The guest's entries for @va beside ours, as vmmu_shadow_view() gives them; VMMU_UNSUPPORTED where the processor walks the
 * guest's own tables.
 */
VMMU_MUST_USE
enum vmmu_status mmu_view(const struct vp *vp, vmmu_gva va, struct vmmu_shadow_view *view);

/* The counters of the tables that are walked in place of the guest's, or NULL where there are none. */
const struct vmmu_shadow_counters *mmu_shadow_counters(const struct partition *partition);

/*
 * Our pointer to the machine's memory at @at, up to the end of its page; NULL unless that page is memory of the partition's or
 * holds one of its tables.
 */
const void *mmu_machine_at(const struct partition *partition, vmmu_hpa at);

/* Of the state document: where the partition's memory is, and what its processors walk. */
void mmu_state(const struct partition *partition, struct json *json);

#endif
