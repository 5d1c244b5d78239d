/* The Hyper-V interface, applied: what its files have in common. Private to hv/x86/vp. */
#ifndef HV_X86_VP_HYPERV_H
#define HV_X86_VP_HYPERV_H

#include "hv/x86/vp/x86.h"

/* --- hyperv_registers.c --- */

/* All of a VP, which is not inside its guest, that calls may name. Its state is in the registers afterwards. */
void x86_registers_read(struct vp *vp, struct vmmu_hyperv_registers *registers);

/*
 * Store what @changed, of enum vmmu_hyperv_changed, names of @registers, and let the VP see to it. To be called after
 * x86_registers_read() of the same VP.
 */
void x86_registers_write(struct vp *vp, const struct vmmu_hyperv_registers *registers, uint32_t changed);

/* HvSwitchVirtualAddressSpace: @vp goes on in the space of @cr3. */
enum vmmu_hyperv_result x86_switch_space(struct vp *vp, uint64_t cr3);

/* --- hyperv_flush.c --- */

/* Whether one of @vps, a bit for each VP of @partition, has TlbFlushInhibit set. */
bool x86_flush_is_inhibited(const struct partition *partition, uint64_t vps);

/* No VP of @partition has to wait for @vp's TlbFlushInhibit any more. */
void x86_flush_allowed(struct partition *partition);

/* Have the plan's VPs forget what it names, before the next entry of each. */
void x86_perform_flush(struct partition *partition, const struct vmmu_hyperv_flush_plan *plan);

/* --- hyperv_parent.c --- */

/* Messages to @partition, a parent whose lock is held, that could not be delivered may be deliverable now. */
void x86_post_waiting(struct partition *partition);

#endif
