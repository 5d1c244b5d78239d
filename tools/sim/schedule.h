/*
 * Which process runs when, and everything that a trace goes through: machines, or a file to be converted to.
 *
 * Several TRACE files are processes, each with an address space. One TRACE may be several processes, too: each slice of it is run
 * by one after the other, so that each is a slice behind the one before. A slice has as many references as the switch
 * interval.
 */
#ifndef TOOLS_SIM_SCHEDULE_H
#define TOOLS_SIM_SCHEDULE_H

#include "tools/sim/machine.h"

#define SIM_TRACES_MOST    64
#define SIM_PROCESSES_MOST 64
#define SIM_SWITCH_MOST    16777216 /* references of a slice: they are kept in memory */

struct sim_schedule {
    struct sim_trace *traces[SIM_TRACES_MOST];
    unsigned trace_count;
    unsigned processes; /* of one trace; 1 if there are several */
    uint64_t limit;     /* references of each trace at most; 0: all */
    struct sim_machine **machines;
    const struct sim_config *configs; /* of the machines */
    unsigned machine_count;
    uint64_t references[SIM_TRACES_MOST]; /* what each trace held, as far as it was read */
};

/* Run all of it. False and *complaint if a trace is not what it should be, or cannot be simulated. */
bool sim_schedule_run(struct sim_schedule *schedule, struct complaint *complaint);

/* Write the first trace to @to in the binary form. */
bool sim_schedule_convert(struct sim_schedule *schedule, FILE *to, struct complaint *complaint);

#endif
