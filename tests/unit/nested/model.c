#include "tests/unit/nested/model.h"

#include "tests/unit/test.h"

#include <string.h>

#define PAGE VMMU_PAGE_BYTES

unsigned model_random(struct model *model, unsigned limit)
{
    /* Of xorshift's kind: enough to choose among operations, and the same everywhere. */
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (unsigned)((model->random >> 16) % limit);
}

uint64_t model_probe(const struct model *model, unsigned index)
{
    const unsigned stretch = index / 2;

    return index % 2 == 0 ? model->cuts[stretch] : model->cuts[stretch + 1] - PAGE;
}

static void make_cuts(struct model *model)
{
    static const uint64_t large_pages[] = { 0, 1, 2, 511 };
    static const uint64_t pages[] = { 0, 1, 511 };
    unsigned count = 0;

    for (unsigned huge = 0; huge < 3; huge++) {
        for (unsigned large = 0; large < 4; large++) {
            for (unsigned page = 0; page < 3; page++) {
                model->cuts[count++] = MODEL_BASE + huge * VMMU_1G_BYTES +
                                       large_pages[large] * VMMU_2M_BYTES + pages[page] * PAGE;
            }
        }
    }
    EXPECT_EQ(count, MODEL_STRETCHES);
    model->cuts[count] = MODEL_BASE + MODEL_BYTES;
}

/* --- what a page may mean --- */

/* Whether the walk found what @meaning says; under write protection writing may be withheld. */
static bool agrees(const struct model *model, unsigned probe, const struct space_view *view,
                   const struct model_meaning *meaning)
{
    const bool withholds = model->log_changes || model->space.nested.log == VMMU_NESTED_LOG_WRITE_PROTECT;
    const uint64_t offset = model_probe(model, probe) - model->cuts[probe / 2];

    if (!meaning->present || !view->present) {
        return meaning->present == view->present;
    }
    return view->hpa == meaning->hpa + offset && view->type == meaning->type &&
           view->ignore_pat == meaning->ignore_pat &&
           (view->rights == meaning->rights || (withholds && view->rights == (meaning->rights & ~W)));
}

/*
 * Two sizes of one page may be cached at once only if nothing else differs, but for rights that were added.
 */
static void expect_compatible(const struct model_cached *older, const struct model_cached *newer)
{
    if (older->page_bytes != newer->page_bytes) {
        EXPECT_EQ(older->hpa, newer->hpa);
        EXPECT_EQ(older->type, newer->type);
        EXPECT_EQ(older->ignore_pat, newer->ignore_pat);
        EXPECT_EQ(older->rights & ~newer->rights, 0);
    }
}

/* A processor caches what it finds, and keeps what it has. */
static void cache(struct model *model, unsigned probe, const struct space_view *view)
{
    const struct model_cached found = {
        .hpa = view->hpa,
        .page_bytes = view->page_bytes,
        .rights = view->rights,
        .type = view->type,
        .ignore_pat = view->ignore_pat,
    };
    struct model_cached *const entries = model->cached[probe];
    unsigned *const count = &model->cached_count[probe];

    if (!view->present) {
        return;
    }
    for (unsigned i = 0; i < *count; i++) {
        if (entries[i].hpa == found.hpa && entries[i].page_bytes == found.page_bytes &&
            entries[i].rights == found.rights && entries[i].type == found.type &&
            entries[i].ignore_pat == found.ignore_pat) {
            return;
        }
        expect_compatible(&entries[i], &found);
    }
    EXPECT(*count < MODEL_CACHED);
    entries[(*count)++] = found;
}

static void look(struct model *model)
{
    for (unsigned probe = 0; probe < MODEL_PROBES; probe++) {
        const struct space_view view = space_walk(&model->space, model_probe(model, probe));

        EXPECT(agrees(model, probe, &view, &model->now[probe / 2]) ||
               agrees(model, probe, &view, &model->next[probe / 2]));
        cache(model, probe, &view);
    }
}

/* --- around every store --- */

static void after_store(void *context, const struct table_host_store *store)
{
    struct model *const model = context;

    (void)store;
    /*
     * Operations on many small pages make many stores alike: look at all of the first,
     * and at some of the rest.
     */
    if (model->stores++ < 100 || model->stores % 4099 == 0) {
        look(model);
    }
}

static void before_store(void *context, const struct table_host_store *store)
{
    struct model *const model = context;

    (void)store;
    if (model->stores < 100 && model_random(model, 2) == 0) {
        model_touch(model, model_random(model, MODEL_PROBES), model_random(model, 2) == 0);
    }
}

bool model_touch(struct model *model, unsigned probe, bool write)
{
    const uint64_t gpa = model_probe(model, probe);
    const struct space_view view = space_walk(&model->space, gpa);

    if (!view.present || (view.rights & (write ? W : R)) == 0) {
        return false;
    }
    if (model->space.nested.config.accessed_dirty) {
        space_touch(&model->space, gpa, write);
    }
    model->written[probe] =
        model->written[probe] || (write && model->space.nested.log != VMMU_NESTED_LOG_OFF);
    return true;
}

/* --- flushes --- */

static bool names(const struct vmmu_plan *plan, uint64_t gpa)
{
    for (unsigned i = 0; i < plan->count; i++) {
        if (gpa >= plan->ranges[i].base && (gpa - plan->ranges[i].base) / PAGE < plan->ranges[i].pages) {
            return true;
        }
    }
    return plan->whole_tag;
}

void model_flush(struct model *model, unsigned index)
{
    const struct vmmu_plan plan = model->plans[index];

    for (unsigned probe = 0; probe < MODEL_PROBES; probe++) {
        if (names(&plan, model_probe(model, probe))) {
            model->cached_count[probe] = 0;
        }
    }
    model->plans[index] = model->plans[--model->plan_count];
    vmmu_table_flushed(&model->space.memory, plan.epoch);
    model_prepare(model);
    look(model);
}

void model_flush_all(struct model *model)
{
    while (model->plan_count > 0) {
        model_flush(model, model->plan_count - 1);
    }
}

/* Whatever is cached and not allowed any more is named by a plan that is not applied yet. */
static void expect_stale_is_planned(const struct model *model, unsigned probe)
{
    const uint64_t gpa = model_probe(model, probe);
    struct model *const writable = (struct model *)model;
    const struct space_view view = space_walk(&writable->space, gpa);

    for (unsigned i = 0; i < model->cached_count[probe]; i++) {
        const struct model_cached *const cached = &model->cached[probe][i];
        bool planned = false;

        if (view.present && cached->hpa == view.hpa && cached->type == view.type &&
            cached->ignore_pat == view.ignore_pat && (cached->rights & ~view.rights) == 0) {
            continue;
        }
        for (unsigned plan = 0; plan < model->plan_count; plan++) {
            planned = planned || names(&model->plans[plan], gpa);
        }
        EXPECT(planned);
    }
}

/* --- operations --- */

void model_prepare(struct model *model)
{
    memcpy(model->next, model->now, sizeof model->next);
    model->stores = 0;
}

bool model_conclude(struct model *model, struct vmmu_outcome outcome)
{
    if (outcome.status == VMMU_OK) {
        memcpy(model->now, model->next, sizeof model->now);
    } else if (outcome.status == VMMU_FLUSH_RETRY) {
        /* Only sizes may have changed so far; the model knows none. */
        EXPECT(!vmmu_plan_is_empty(&outcome.plan));
    } else {
        EXPECT_EQ(outcome.status, VMMU_NO_MEMORY);
        EXPECT_EQ(model->stores, 0);
    }
    const bool again = outcome.status == VMMU_FLUSH_RETRY;
    struct model_meaning goal[MODEL_STRETCHES];

    memcpy(goal, model->next, sizeof goal);
    model_prepare(model);
    look(model);
    if (!vmmu_plan_is_empty(&outcome.plan)) {
        EXPECT(model->plan_count < MODEL_PLAN_SLOTS);
        model->plans[model->plan_count++] = outcome.plan;
    }
    for (unsigned probe = 0; probe < MODEL_PROBES; probe++) {
        expect_stale_is_planned(model, probe);
    }
    if (again) {
        model_flush_all(model);
        memcpy(model->next, goal, sizeof goal);
    } else if (model->plan_count > MODEL_PLANS) {
        model_flush(model, model_random(model, model->plan_count));
    }
    return again;
}

void model_start(struct model *model, unsigned kind, uint64_t seed)
{
    const struct vmmu_nested_config config = space_config(kind);

    memset(model, 0, sizeof *model);
    model->random = seed * UINT64_C(0x9E3779B97F4A7C15) + kind + 1;
    make_cuts(model);
    space_start(&model->space, &config);
    model->space.host.hook_context = model;
    model->space.host.before_store = before_store;
    model->space.host.after_store = after_store;
}

void model_finish(struct model *model)
{
    model->space.host.before_store = NULL;
    model->space.host.after_store = NULL;
    space_finish(&model->space);
}
