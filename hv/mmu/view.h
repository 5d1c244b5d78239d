/*
 * How a partition's memory is made, for people to look at: nothing here changes anything.
 *
 * Every call is made under the partition's lock (see hv/vp/vp.h).
 */
#ifndef HV_MMU_VIEW_H
#define HV_MMU_VIEW_H

#include "hv/boot/format.h"
#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

/* What the guest's own translation of @va says beside ours, as text. */
void mmu_walk(const struct vp *vp, vmmu_gva va, const struct format_sink *sink);

/* What the technique counts of what it makes, as text. */
void mmu_counters(const struct partition *partition, const struct format_sink *sink);

/* A document, or an element of a list: the VP's TLB, as the guest wrote it and as the processor has it. False: the technique keeps none. */
bool mmu_tlb(const struct vp *vp, struct json *json);

/*
 * Our pointer to the machine's memory at @at, up to the end of its page; NULL unless that page is memory of the partition's or
 * holds one of its tables.
 */
const void *mmu_machine_at(const struct partition *partition, vmmu_hpa at);

/* Of the state document: where the partition's memory is, and what its processors walk. */
void mmu_state(const struct partition *partition, struct json *json);

#endif
