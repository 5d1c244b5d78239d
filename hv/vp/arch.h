/*
 * What a processor architecture gives the neutral loop. hv/x86/vp implements it; a build links exactly one.
 */
#ifndef HV_VP_ARCH_H
#define HV_VP_ARCH_H

#include <vmmu/nested.h>
#include <vmmu/shadow.h>

#include "hv/guest/start.h"
#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

/* What to do after an exit has been dealt with. */
enum vp_next {
    VP_RESUME,
    VP_IDLE,  /* wait until an event can be delivered */
    VP_YIELD, /* others that are ready go first */
    VP_WAIT,  /* vp->waits has been set */
    VP_STOP,  /* partition_end() has been called */
};

/* Find and start this processor's virtualization. NULL, or the sentence that says what is missing. */
const char *arch_host_start(void);

/*
 * What the processor's second stage offers: fills everything but `vps`. NULL, or the sentence
 * that says what is missing.
 */
const char *arch_stage2(struct vmmu_nested_config *config);

/*
 * What tables walked in place of the guest's must know of the processor: fills what is its own. NULL, or the sentence
 * that says what is missing.
 */
const char *arch_shadow(struct vmmu_shadow_config *config);

/*
 * A second stage for the phases of a guest that tables of ours cannot serve: as arch_stage2(). False: the processor
 * knows no such phases, or has no second stage.
 */
bool arch_phase_stage2(struct vmmu_nested_config *config);

/* The name of the backend that runs guests, for people. */
const char *arch_backend_name(void);

/* Make what a partition has once; its memory stands. NULL, or why not. */
const char *arch_partition_create(struct partition *partition);

/* Make a VP's state; the partition's MMU stands. NULL, or why not. */
const char *arch_vp_create(struct vp *vp);

/* Make the devices, once all VPs stand, and write the firmware's tables to memory. NULL, or why not. */
const char *arch_partition_start(struct partition *partition, vmmu_gpa *rsdp);

/* Put a VP where a loaded image wants to start. */
void arch_vp_start(struct vp *vp, const struct guest_start *start);

/*
 * Deliver what is pending and can be taken, arm a window for what cannot. Called when attention asks for it.
 */
void arch_vp_events(struct vp *vp);

/* Run the guest until its next exit. */
void arch_vp_enter(struct vp *vp, struct exit *exit);

/* Deal with an exit that is the architecture's own. */
enum vp_next arch_vp_exit(struct vp *vp, const struct exit *exit);

/* Perform the instruction at hand, which accesses memory that no RAM backs: devices answer, or nobody. */
enum vp_next arch_vp_emulate(struct vp *vp, const struct exit *exit);

/* The parent withholds the memory that the instruction at hand accesses: the VP waits for it. */
enum vp_next arch_vp_intercept(struct vp *vp, const struct exit *exit);

/* Have a message about the VP, if one waits, delivered to the parent if that can be. No partition's lock is held. */
void arch_vp_post(struct vp *vp);

/* Whether an idle VP has something to wake up for. */
bool arch_vp_wakes(struct vp *vp);

/* The partition is held, or goes on: its VPs' clocks stand in between. Each is called once for each time. */
void arch_partition_hold(struct partition *partition);
void arch_partition_release(struct partition *partition);

/* What is cached of the memory at @at goes there, and out of every cache. */
void arch_evict(const void *at);

/* Forget translations that @plan names before the next entry. */
void arch_vp_flush(struct vp *vp, const struct vmmu_plan *plan);

/* When the partition's devices next want to be called, in nanoseconds; UINT64_MAX for never. Cheap. */
uint64_t arch_partition_deadline(const struct partition *partition);

/* Run what is due at @now_ns. */
void arch_partition_advance(struct partition *partition, uint64_t now_ns);

/* A byte for the guest's serial port @port. False: it has no room now, offer it again later. */
bool arch_partition_receive(struct partition *partition, unsigned port, uint8_t byte);

/* What of a VP is counted that only the architecture has. */
void arch_vp_counters(const struct vp *vp, struct json *json);

/* Registers, the code around the instruction pointer, and counters of the devices. */
void arch_vp_report(struct vp *vp, struct json *json);
void arch_partition_report(struct partition *partition, struct json *json);

/* Of the state document: what the processors offer; and all of a VP that translations depend on. */
void arch_partition_state(struct partition *partition, struct json *json);
void arch_vp_state(struct vp *vp, struct json *json);

/* The guest's instruction pointer after the last exit. */
uint64_t arch_vp_ip(const struct vp *vp);

#endif
