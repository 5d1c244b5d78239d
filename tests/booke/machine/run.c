/*
 * Runs and their shrinking: see run.h.
 */
#include "tests/booke/machine/run.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* --- what ends a program otherwise --- */

static sigjmp_buf crashed;

static void on_crash(int number)
{
    siglongjmp(crashed, number);
}

static void catch_crashes(void)
{
    static const int signals[] = { SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT };

    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        signal(signals[i], on_crash);
    }
}

/* One step, in which the library may trip over an assertion. */
static bool step(struct world *world, const struct op *op, uint32_t checks, struct finding *finding)
{
    const int number = sigsetjmp(crashed, 1);
    bool fine;

    if (number != 0) {
        if (checks & UINT32_C(1) << CHECK_CRASH) {
            finding->found = true;
            finding->check = CHECK_CRASH;
            snprintf(finding->sentence, sizeof(finding->sentence), "%s: signal %d", op_names[op->kind],
                     number);
        }
        return false;
    }
    fine = world_step(world, op);
    *finding = *world_finding(world);
    return fine;
}

/* --- runs --- */

/* Chance of its own for each seed and purpose: neighbours among seeds are no neighbours in what is drawn. */
static struct luck stream(uint64_t seed, uint64_t purpose)
{
    struct luck luck = luck_from(seed);

    luck.state = luck_next(&luck) + purpose;
    return luck_from(luck_next(&luck));
}

static void add_counters(struct world_counters *sum, const struct world_counters *counters)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counters;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}

static enum vmmu_status run_world(const struct run *run, struct run_result *result)
{
    struct world *world = world_create(&result->setting, run->checks);
    struct generator generator;
    bool fine = true;

    if (!world) {
        return VMMU_NO_MEMORY;
    }
    generator_init(&generator, stream(result->setting.seed, 2).state);
    for (result->script_ops = 0;
         fine && result->script_ops < (long)RUN_WORLD_OPS && result->ops < run->ops;) {
        struct op *op = &result->script[result->script_ops++];

        generate(&generator, world, op);
        fine = step(world, op, run->checks, &result->finding);
        result->ops++;
    }
    add_counters(&result->counters, world_counters(world));
    result->worlds++;
    world_destroy(world);
    return VMMU_OK;
}

enum vmmu_status run_random(const struct run *run, struct run_result *result)
{
    struct luck luck = stream(run->seed, 1);
    enum vmmu_status status = VMMU_OK;

    catch_crashes();
    memset(result, 0, sizeof(*result));
    result->script = calloc(RUN_WORLD_OPS, sizeof(struct op));
    if (!result->script) {
        return VMMU_NO_MEMORY;
    }
    while (status == VMMU_OK && result->ops < run->ops && !result->finding.found) {
        const bool small = run->small && (!run->whole || result->worlds % 4 != 3);

        result->setting = (struct setting){ small, luck_next(&luck) >> 16 };
        status = run_world(run, result);
    }
    if (!result->finding.found) {
        free(result->script);
        result->script = NULL;
    }
    return status;
}

enum vmmu_status run_script(const struct setting *setting, const struct op *ops, long count, uint32_t checks,
                            struct finding *finding)
{
    struct world *world = world_create(setting, checks);
    bool fine = true;

    catch_crashes();
    memset(finding, 0, sizeof(*finding));
    if (!world) {
        return VMMU_NO_MEMORY;
    }
    for (long i = 0; fine && i < count; i++) {
        fine = step(world, &ops[i], checks, finding);
    }
    world_destroy(world);
    return VMMU_OK;
}

/* --- shrinking --- */

struct shrinking {
    struct run_result *result;
    uint32_t checks;
    unsigned runs_left;
    struct op *trial;
};

/* Whether the first @count operations of the trial fail the same check; if so they are the script from now on. */
static bool still_fails(struct shrinking *shrinking, long count)
{
    struct run_result *result = shrinking->result;
    struct finding finding;

    if (shrinking->runs_left == 0) {
        return false;
    }
    shrinking->runs_left--;
    if (run_script(&result->setting, shrinking->trial, count, shrinking->checks, &finding) != VMMU_OK ||
        !finding.found || finding.check != result->finding.check) {
        return false;
    }
    memcpy(result->script, shrinking->trial, (size_t)count * sizeof(struct op));
    result->script_ops = count;
    result->finding = finding;
    return true;
}

/* One pass from the end to the beginning, with pieces of @length. Whether anything went. */
static bool remove_pieces(struct shrinking *shrinking, long length)
{
    struct run_result *result = shrinking->result;
    bool removed = false;

    for (long end = result->script_ops; end > 0; end -= length) {
        const long first = end > length ? end - length : 0;
        const long rest = result->script_ops - end;

        if (rest < 0) {
            continue;
        }
        memcpy(shrinking->trial, result->script, (size_t)first * sizeof(struct op));
        memcpy(shrinking->trial + first, result->script + end, (size_t)rest * sizeof(struct op));
        removed |= still_fails(shrinking, first + rest);
    }
    return removed;
}

void run_shrink(struct run_result *result, uint32_t checks, unsigned most_runs)
{
    struct shrinking shrinking = {
        .result = result,
        .checks = checks,
        .runs_left = most_runs,
        .trial = calloc((size_t)result->script_ops + 1, sizeof(struct op)),
    };

    if (!shrinking.trial) {
        return;
    }
    for (long length = result->script_ops / 2; length > 0; length /= 2) {
        while (remove_pieces(&shrinking, length) && shrinking.runs_left > 0) {
        }
    }
    free(shrinking.trial);
}
