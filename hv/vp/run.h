/* What the scheduler and the loop of one VP ask of each other. */
#ifndef HV_VP_RUN_H
#define HV_VP_RUN_H

#include "hv/vp/vp.h"

/* Let @vp, which is ready, run until it waits, its partition ends or is held, or its turn is over. No lock is held. */
void run_vp(struct vp *vp);

/*
 * After interrupts of the machine's have run: timers of partitions that are due, bytes that came in, requests of the
 * monitor's. No lock is held.
 */
void run_after_interrupts(void);

/* When some partition's devices next want to be called, in nanoseconds of host_clock_ns(). */
uint64_t run_deadline_ns(void);

#endif
