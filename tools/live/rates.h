/*
 * How fast counters grew between two looks at them.
 */
#ifndef TOOLS_LIVE_RATES_H
#define TOOLS_LIVE_RATES_H

#include "tools/live/counters.h"

struct rate {
    const struct counter *counter; /* of the later look */
    double per_second;             /* meaningless for levels */
};

enum rates_order { RATES_BY_SPEED, RATES_BY_TOTAL };

struct rates {
    double seconds; /* of the guest's host between the two looks */
    double exits_per_second;
    double entries_per_second;
    unsigned count[COUNTER_GROUPS];
    struct rate all[COUNTER_GROUPS][COUNTERS_MOST]; /* levels last; those that are zero in all not at all */
};

/*
 * Compare @now with @before, which is borrowed no further, and borrow @now. A counter that was not there before began at zero.
 * Time is the hypervisor's own.
 */
void rates_make(struct rates *rates, const struct counters *before, const struct counters *now,
                enum rates_order order);

#endif
