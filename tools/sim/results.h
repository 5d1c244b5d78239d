/*
 * What the machines counted, as a model that is printed, written as JSON, or drawn.
 */
#ifndef TOOLS_SIM_RESULTS_H
#define TOOLS_SIM_RESULTS_H

#include "tools/sim/schedule.h"

#define SIM_LABEL_BYTES 128

/* Processor cycles that things take, for the overall cost. */
struct sim_weights {
    uint64_t second;    /* the second level has what the first has not */
    uint64_t reference; /* a memory reference of a walk */
    uint64_t fault;     /* a page fault of the guest's, in the guest */
    uint64_t exit;      /* an exit, with what the hypervisor does */
    uint64_t change;    /* of address space, in the guest */
};

/* One configuration. */
struct sim_result {
    struct sim_config config;
    struct sim_counts counts;
    char label[SIM_LABEL_BYTES]; /* what sets it apart from the others */
    uint64_t guest_walks;        /* of user and kernel */
    uint64_t guest_references;
    uint64_t exits;
    double misses_per_1000;     /* walks of the guest's for 1000 references of the trace */
    double references_per_walk; /* the guest's */
    double user_references_per_walk;
    double exits_per_million; /* references of the trace */
    double cost_per_1000;     /* cycles for 1000 references of the trace */
    /*
     * The same without PCIDs, or, if it has none, without VPIDs; NULL if there is none. Against it, what PCIDs save at each switch
     * of address space, VPIDs at each exit: of everybody's walks.
     */
    const struct sim_result *without;
    double saved_walks;
    double saved_references;
};

struct sim_results {
    struct sim_result *results;
    unsigned count;
    struct sim_weights weights;
    const struct sim_schedule *schedule;
    char same[512]; /* what all configurations have in common, in words */
};

/* Work out what @schedule's machines counted. */
struct sim_results sim_results_of(const struct sim_schedule *schedule, const struct sim_weights *weights);
void sim_results_free(struct sim_results *results);

/* Whether both say the same in every member. */
bool sim_config_is_same(const struct sim_config *one, const struct sim_config *other);

/* To standard output. */
void sim_results_print(const struct sim_results *results);
void sim_results_print_json(const struct sim_results *results);

/* What plots can show. */
extern const char *const sim_plot_names[];

/*
 * Draw one of sim_plot_names as a file. Where all configurations differ in groups by one interval alone, lines over it; bars
 * otherwise. False and *complaint if @path cannot be written.
 */
bool sim_results_plot(const struct sim_results *results, unsigned which, const char *path,
                      struct complaint *complaint);

/* Words for configurations. */
extern const char *const sim_technique_names[];
extern const char *const sim_vpid_names[];
extern const char *const sim_exit_names[];
extern const char *const sim_page_names[]; /* by level - 1 */

#endif
