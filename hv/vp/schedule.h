/*
 * Whose turn it is: the VPs of all partitions share the processor.
 *
 * Of the VPs that are ready the one that has run for the shortest time is next. One that wakes up counts as if it had run for
 * nearly as long as the others, so that sleeping saves nothing up; it runs before them, and at once, if that is fair.
 *
 * What the scheduler knows is the processor's own. Whether a VP wakes up is asked under its partition's lock.
 */
#ifndef HV_VP_SCHEDULE_H
#define HV_VP_SCHEDULE_H

#include "hv/vp/vp.h"

/* For how long a VP runs while others are ready. */
#define SCHEDULE_SLICE_NS UINT64_C(5000000)

/**
 * Run guests until every partition has ended. @ended is told of each that has, once, while the others go on: under its lock.
 */
void schedule_run(void (*ended)(struct partition *partition));

/* @vp no longer waits for @waits, of enum vp_wait. Called under its partition's lock. */
void schedule_wake(struct vp *vp, unsigned waits);

/* Something that @vp may wait for has come: its attention has been set. */
void schedule_notice(struct vp *vp);

/* Whether @vp could enter its guest now, were it its turn. No lock is held. */
bool schedule_is_ready(struct vp *vp);

/* For the loop of the VP whose turn it is (run.c): another one should run now, or may now that this one would rather not. */
bool schedule_turn_is_over(void);
bool schedule_others_are_ready(void);

/* It would rather not run on: others that are ready go first. */
void schedule_give_way(void);

/* Until when it may run, in nanoseconds of host_clock_ns(), if it does not exit before. */
uint64_t schedule_slice_end_ns(void);

/* The timer has fired, or somebody might have become ready. */
void schedule_look(void);

#endif
