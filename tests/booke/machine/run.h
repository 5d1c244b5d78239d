/*
 * Runs: worlds one after the other, each with a setting of its own, until the operations are used up or something is found; and the
 * shrinking of what was found.
 */
#ifndef TESTS_BOOKE_MACHINE_RUN_H
#define TESTS_BOOKE_MACHINE_RUN_H

#include "tests/booke/machine/generate.h"

#define RUN_ALL_CHECKS ((UINT32_C(1) << CHECKS) - 1)

/* Operations of one world. */
#define RUN_WORLD_OPS  2000U

struct run {
    uint64_t seed;
    uint64_t ops;
    bool small; /* worlds with small geometries */
    bool whole; /* worlds with the e500v2's */
    uint32_t checks;
};

/* What a run came to. `script` holds the operations up to the finding, to be freed; NULL if nothing was found. */
struct run_result {
    struct finding finding;
    struct setting setting;
    struct op *script;
    long script_ops;
    uint64_t ops;
    uint64_t worlds;
    struct world_counters counters;
};

/* VMMU_OK, found or not; VMMU_NO_MEMORY: also where a setting cannot be. */
VMMU_MUST_USE
enum vmmu_status run_random(const struct run *run, struct run_result *result);

VMMU_MUST_USE
enum vmmu_status run_script(const struct setting *setting, const struct op *ops, long count, uint32_t checks,
                            struct finding *finding);

/* Take operations out of @result's script as long as the same check still fails; at most @most_runs times. */
void run_shrink(struct run_result *result, uint32_t checks, unsigned most_runs);

#endif
