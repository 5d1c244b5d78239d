/*
 * Machines to be tried: a configuration as most tests want it, and runs over a few pages.
 */
#ifndef TESTS_UNIT_TOOLS_SIM_MACHINE_RIG_H
#define TESTS_UNIT_TOOLS_SIM_MACHINE_RIG_H

#include "tools/sim/machine.h"

/* 4 KiB pages everywhere, Skylake's TLBs, no exits but those of shadow paging, no pages touched at exits, 1 GiB of memory. */
struct sim_config sim_rig_config(enum sim_technique technique);

/* Opens or fails the test. */
struct sim_machine *sim_rig_open(const struct sim_config *config);

/* Refer to @count pages from the page number @first on, each once. Fails the test if it cannot be simulated. */
void sim_rig_touch(struct sim_machine *machine, enum sim_record_kind kind, uint64_t first, unsigned count);

void sim_rig_run(struct sim_machine *machine, const sim_record *records, size_t count);
void sim_rig_switch(struct sim_machine *machine, uint64_t name);

/* The counts of a machine that is opened for it, given to @scenario, and closed. */
struct sim_counts sim_rig_count(const struct sim_config *config,
                                void (*scenario)(struct sim_machine *machine));

uint64_t sim_rig_exits(const struct sim_counts *counts);

#endif
