/*
 * Runs: worlds one after the other, each with a setting of its own, until the operations are used up or
 * something is found; and the shrinking of what was found.
 */
#ifndef TESTS_MODEL_MACHINE_RUN_H
#define TESTS_MODEL_MACHINE_RUN_H

#include "tests/model/machine/script.h"
#include "tests/model/machine/world.h"

/* Every check switched on. */
#define RUN_ALL_CHECKS ((UINT32_C(1) << CHECKS) - 1)

/* Operations of one world: enough for histories to grow, few enough to meet many settings. */
#define RUN_WORLD_OPS  4000U

struct run {
    uint64_t seed;
    uint64_t ops;
    int engine; /* index into engines[], or -1: all of them in turn */
    uint32_t checks;
    /* told after each world, with operations done so far; may be NULL */
    void (*progress)(uint64_t ops);
};

/* What a run came to. `script` holds the operations up to the finding, to be freed; NULL if nothing was found. */
struct run_result {
    struct finding finding;
    struct setting setting;
    struct op *script;
    long script_ops;
    uint64_t ops;
    uint64_t worlds;
    uint64_t given_up;
    struct world_counters counters;
};

/* VMMU_OK, found or not; VMMU_NO_MEMORY. */
VMMU_MUST_USE
enum vmmu_status run_random(const struct run *run, struct run_result *result);

/* Run a script once. VMMU_OK, found or not; VMMU_INVALID: the setting cannot be; VMMU_NO_MEMORY. */
VMMU_MUST_USE
enum vmmu_status run_script(const struct setting *setting, const struct op *ops, long count, uint32_t checks,
                            struct finding *finding);

/*
 * Take operations out of @result's script, and make those that stay simpler, as long as the same check still fails. The
 * finding is then that of the short script. Runs the script at most @most_runs times.
 */
void run_shrink(struct run_result *result, uint32_t checks, unsigned most_runs);

#endif
