/*
 * Worlds one after the other; a script again.
 */
#include "tests/model/machine/run.h"

#include <stdlib.h>

#include "tests/model/machine/generate.h"

static unsigned engine_count(void)
{
    unsigned count = 1; /* there is one at least */

    while (engines[count]) {
        count++;
    }
    return count;
}

static void add_counters(struct world_counters *sum, const struct world_counters *one)
{
    for (unsigned i = 0; i < OP_KINDS; i++) {
        sum->ops[i] += one->ops[i];
    }
    sum->idle += one->idle;
    sum->reached += one->reached;
    sum->guest_faults += one->guest_faults;
    sum->silent_faults += one->silent_faults;
    sum->exits += one->exits;
    sum->devices += one->devices;
    sum->stale += one->stale;
    sum->between_stores += one->between_stores;
    sum->switches += one->switches;
    sum->goes += one->goes;
    sum->ordered += one->ordered;
}

/* One world to its end: @ops operations, or the finding. Its script is in result->script. */
static enum vmmu_status run_world(const struct run *run, uint64_t ops, struct run_result *result)
{
    struct world *world = world_create(&result->setting, run->checks);
    struct generator *generator = world ? generator_create(world) : NULL;
    bool going = generator != NULL;

    result->script_ops = 0;
    while (going && (uint64_t)result->script_ops < ops) {
        result->script[result->script_ops] = generator_next(generator);
        going = world_step(world, &result->script[result->script_ops++]);
    }
    if (generator) {
        result->ops += (uint64_t)result->script_ops;
        result->given_up += reference_given_up(world_reference(world));
        add_counters(&result->counters, world_counters(world));
        result->finding = *world_finding(world);
        generator_destroy(generator);
    }
    if (world) {
        world_destroy(world, generator ? &result->finding : NULL);
    }
    return generator ? VMMU_OK : VMMU_NO_MEMORY;
}

enum vmmu_status run_random(const struct run *run, struct run_result *result)
{
    const unsigned count = engine_count();
    enum vmmu_status status = VMMU_OK;

    *result = (struct run_result){ .script = calloc(RUN_WORLD_OPS, sizeof(struct op)) };
    if (!result->script) {
        return VMMU_NO_MEMORY;
    }
    while (status == VMMU_OK && !result->finding.found && result->ops < run->ops) {
        const uint64_t left = run->ops - result->ops;
        const unsigned engine = run->engine < 0 ? (unsigned)(result->worlds % count) : (unsigned)run->engine;

        generate_setting(run->seed * UINT64_C(1000003) + result->worlds, engine, &result->setting);
        status = run_world(run, left < RUN_WORLD_OPS ? left : RUN_WORLD_OPS, result);
        result->worlds++;
        if (run->progress) {
            run->progress(result->ops);
        }
    }
    if (status != VMMU_OK || !result->finding.found) {
        free(result->script);
        result->script = NULL;
    }
    return status;
}

enum vmmu_status run_script(const struct setting *setting, const struct op *ops, long count, uint32_t checks,
                            struct finding *finding)
{
    struct world *world = world_create(setting, checks);

    *finding = (struct finding){ .found = false };
    if (!world) {
        return VMMU_INVALID;
    }
    for (long i = 0; i < count && world_step(world, &ops[i]); i++) {
    }
    *finding = *world_finding(world);
    world_destroy(world, finding);
    return VMMU_OK;
}
