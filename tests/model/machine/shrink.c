/*
 * Shrinking: smaller and smaller pieces are taken out of a script, as long as what is left still fails the same
 * check; then what is left is made simpler, field by field.
 *
 * Every operation carries its own luck, so those that stay behave much as they did.
 */
#include "tests/model/machine/run.h"

#include <stdlib.h>
#include <string.h>

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

/* Try without the @length operations from @first. */
static bool without(struct shrinking *shrinking, long first, long length)
{
    const struct run_result *result = shrinking->result;
    const long rest = result->script_ops - first - length;

    memcpy(shrinking->trial, result->script, (size_t)first * sizeof(struct op));
    memcpy(shrinking->trial + first, result->script + first + length, (size_t)rest * sizeof(struct op));
    return still_fails(shrinking, first + rest);
}

/* One pass from the end to the beginning, with pieces of @length. Whether anything went. */
static bool remove_pieces(struct shrinking *shrinking, long length)
{
    bool removed = false;

    for (long end = shrinking->result->script_ops; end > 0; end -= length) {
        const long first = end > length ? end - length : 0;

        if (end <= shrinking->result->script_ops && without(shrinking, first, end - first)) {
            removed = true;
        }
    }
    return removed;
}

static bool is_same(const struct op *a, const struct op *b)
{
    return a->luck == b->luck && a->flags == b->flags && a->value == b->value;
}

/* Try operation @index with one thing simpler, which @simplify makes so. */
static void simplify_op(struct shrinking *shrinking, long index, void (*simplify)(struct op *op))
{
    const struct run_result *result = shrinking->result;

    memcpy(shrinking->trial, result->script, (size_t)result->script_ops * sizeof(struct op));
    simplify(&shrinking->trial[index]);
    if (!is_same(&shrinking->trial[index], &result->script[index])) {
        (void)still_fails(shrinking, result->script_ops);
    }
}

static void no_luck(struct op *op)
{
    op->luck = 0;
}

static void no_flags(struct op *op)
{
    op->flags = 0;
}

static void no_value(struct op *op)
{
    op->value = 0;
}

void run_shrink(struct run_result *result, uint32_t checks, unsigned most_runs)
{
    static void (*const simplifications[])(struct op * op) = { no_luck, no_flags, no_value };
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
    for (unsigned i = 0; i < sizeof(simplifications) / sizeof(simplifications[0]); i++) {
        for (long index = 0; index < result->script_ops; index++) {
            simplify_op(&shrinking, index, simplifications[i]);
        }
    }
    free(shrinking.trial);
}
