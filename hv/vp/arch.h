/*
 * What a processor architecture gives the neutral rooms. hv/x86/vp and hv/ppc/vp implement it; an image links exactly one.
 * What the techniques of one architecture ask of it besides is in a header of theirs (hv/mmu/x86.h, hv/mmu/booke.h).
 */
#ifndef HV_VP_ARCH_H
#define HV_VP_ARCH_H

#include "hv/guest/config.h"
#include "hv/guest/images.h"
#include "hv/mmu/mmu.h"
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

/* The ways to make guest memory that there are, the default first; NULL behind the last. */
extern const struct mmu_technique *const arch_techniques[];

/* What a partition's words may be besides those that every architecture knows. */
extern const struct config_arch *const arch_config;

/* The name of the backend that runs guests, for people. */
const char *arch_backend_name(void);

/* What memory a partition as @config asks for it has, and how it is told. NULL, or why it cannot be. */
const char *arch_partition_layout(const struct config *config, struct guest_layout *layout);

/* Make what a partition has once; its memory stands. NULL, or why not. */
const char *arch_partition_create(struct partition *partition);

/* Make a VP's state; the partition's MMU stands. NULL, or why not. */
const char *arch_vp_create(struct vp *vp);

/*
 * All VPs stand: make the devices, load what @boot has into memory, with whatever a guest expects to find beside it, and put VP 0
 * where that wants to start. NULL, or why not. @layout is arch_partition_layout()'s; both are borrowed for the call.
 */
const char *arch_partition_load(struct partition *partition, const struct guest_layout *layout,
                                const struct guest_boot *boot);

/*
 * Deliver what is pending and can be taken, arm a window for what cannot. Called when attention asks for it.
 */
void arch_vp_events(struct vp *vp);

/* Run the guest until its next exit, of which all of *exit is written. No lock is held. */
void arch_vp_enter(struct vp *vp, struct exit *exit);

/* Deal with an exit that is the architecture's own, or one of EXIT_IDLE and EXIT_HYPERCALL. */
enum vp_next arch_vp_exit(struct vp *vp, const struct exit *exit);

/*
 * Perform the instruction at hand, which accesses memory that does not serve it: devices answer, or nobody; or the parent withholds
 * that memory, and is told.
 */
enum vp_next arch_vp_emulate(struct vp *vp, const struct exit *exit);

/*
 * VP_WAIT_INTERCEPT is set, which only the architecture does: have the message about the VP delivered to the parent if that can be.
 * No partition's lock is held.
 */
void arch_vp_post(struct vp *vp);

/* Whether an idle VP has something to wake up for. */
bool arch_vp_wakes(struct vp *vp);

/* The partition is held, or goes on: its VPs' clocks stand in between. Each is called once for each time. */
void arch_partition_hold(struct partition *partition);
void arch_partition_release(struct partition *partition);

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
