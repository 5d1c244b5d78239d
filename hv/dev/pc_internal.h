/*
 * Inside the board: what its files call in one another.
 */
#ifndef HV_DEV_PC_INTERNAL_H
#define HV_DEV_PC_INTERNAL_H

#include "hv/dev/pc.h"

/* A timed device has been touched: find the earliest due_ns again. */
void pc_schedule(struct pc *pc);

/* Before an access that shows or masks IRQ 0: give the edges that nobody was watching for. */
void pc_before_routing(struct pc *pc);

/* After an access that may have masked or unmasked IRQ 0: watch its edges, or stop. */
void pc_after_routing(struct pc *pc);

#endif
