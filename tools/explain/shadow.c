/*
 * Shadow paging over the image's memory, from nothing: the first time, the second time, and what becomes of the guest's tables
 * when they stay as they are.
 */
#include "tools/explain/story.h"

/* Address-space switches after which a table that did not change should be write-protected. */
#define SWITCHES_TRIED 16

static enum story_end end_of(enum engine_shadow_answer answer)
{
    switch (answer) {
    case ENGINE_SHADOW_DONE: return STORY_GOES_ON;
    case ENGINE_SHADOW_FAULT: return STORY_FAULT;
    case ENGINE_SHADOW_DEVICE: return STORY_DEVICE;
    case ENGINE_SHADOW_EMULATED: return STORY_EMULATED;
    }
    __builtin_unreachable();
}

/* All accesses in order, up to the one at which the instruction ends. */
static bool run_accesses(struct story *story, struct engine_shadow *engine,
                         struct engine_shadow_result *results)
{
    for (unsigned i = 0; i < story->reached; i++) {
        if (access_of(story, i)->refused != 0) {
            story->shadow.ends[i] = STORY_FAULT;
            return true;
        }
        if (!engine_shadow_access(engine, (vmmu_gva){ story->list.pieces[i].linear }, story_access(story, i),
                                  &results[i], &story->shadow.why_not)) {
            return false;
        }
        story->shadow.ends[i] = end_of(results[i].answer);
        if (results[i].answer == ENGINE_SHADOW_FAULT || results[i].answer == ENGINE_SHADOW_DEVICE) {
            return true;
        }
    }
    return true;
}

/* The same; *cost is of all of them together. */
static bool run_once(struct story *story, struct engine_shadow *engine, struct engine_shadow_result *results,
                     struct engine_shadow_cost *cost)
{
    const struct engine_shadow_cost before = *engine_shadow_total(engine);
    const bool told = run_accesses(story, engine, results);

    *cost = engine_shadow_cost_since(engine_shadow_total(engine), &before);
    return told;
}

/* --- the guest's tables on the way --- */

static void add_table(struct story_shadow *shadow, uint64_t gpa, unsigned level, bool closed)
{
    for (unsigned i = 0; i < shadow->table_count; i++) {
        if (shadow->tables[i].gpa == gpa && shadow->tables[i].level == level) {
            shadow->tables[i].closed = shadow->tables[i].closed || closed;
            return;
        }
    }
    if (shadow->table_count < STORY_TABLES_MOST) {
        shadow->tables[shadow->table_count++] =
            (struct story_table){ .gpa = gpa, .level = level, .closed = closed };
    }
}

/* True if each of them is write-protected. */
static bool look_at_tables(struct story *story, struct engine_shadow *engine)
{
    bool all = story->reached != 0;

    for (unsigned i = 0; i < story->reached; i++) {
        struct vmmu_shadow_view view;

        if (engine_shadow_view(engine, (vmmu_gva){ story->list.pieces[i].linear }, &view) != VMMU_OK) {
            continue;
        }
        for (unsigned row = 0; row < view.rows; row++) {
            const struct vmmu_shadow_view_row *at = &view.row[row];
            const bool closed = at->table == VMMU_SHADOW_TABLE_CLOSED;

            if (at->guest.there && !at->in_register) {
                add_table(&story->shadow, at->guest.address & ~(VMMU_PAGE_BYTES - 1), at->level, closed);
                all = all && closed;
            }
        }
    }
    return all;
}

/* With all of them protected, a switch finds nothing to compare. */
static void count_flushes(struct story *story, struct engine_shadow *engine)
{
    const uint64_t before = engine_shadow_total(engine)->flushes;
    struct complaint complaint;

    if (engine_shadow_enter(engine, &story->machine->mode, &complaint)) {
        story->shadow.switch_flushes = engine_shadow_total(engine)->flushes - before;
    }
}

/* The guest goes on switching to the same tables, and doing the same. */
static void switch_until_closed(struct story *story, struct engine_shadow *engine)
{
    struct engine_shadow_result ignored;
    struct complaint complaint;

    look_at_tables(story, engine);
    for (unsigned turn = 1; turn <= SWITCHES_TRIED; turn++) {
        if (!engine_shadow_enter(engine, &story->machine->mode, &complaint)) {
            return;
        }
        for (unsigned i = 0; i < story->reached; i++) {
            if (!engine_shadow_access(engine, (vmmu_gva){ story->list.pieces[i].linear },
                                      story_access(story, i), &ignored, &complaint)) {
                return;
            }
        }
        if (look_at_tables(story, engine)) {
            story->shadow.switches = turn;
            count_flushes(story, engine);
            return;
        }
    }
}

void story_tell_shadow(struct story *story)
{
    const struct machine *machine = story->machine;
    const struct engine_shadow_options options = {
        .intel = !story->amd,
        .silent_absent = !story->amd,
        .tagged_roots = true,
    };
    struct story_shadow *shadow = &story->shadow;
    struct engine_memory *memory = engine_memory_over(machine->ram, machine->ranges, machine->range_count);
    struct engine_shadow *engine = engine_shadow_open(memory, &options, &shadow->why_not);

    if (engine && engine_shadow_enter(engine, &machine->mode, &shadow->why_not)) {
        shadow->there = run_once(story, engine, shadow->first, &shadow->cost) &&
                        run_once(story, engine, shadow->again, &shadow->cost_again);
        shadow->hardware = *engine_shadow_hardware(engine);
        shadow->pages = engine_shadow_counters(engine)->pages;
    }
    if (shadow->there) {
        switch_until_closed(story, engine);
    }
    engine_shadow_close(engine);
    engine_memory_free(memory);
}
