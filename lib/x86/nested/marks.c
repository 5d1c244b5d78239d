/*
 * Accessed and dirty bits, and the dirty log that is made of them or of withheld write rights.
 *
 * Under write protection a writable leaf is in one of two states: writing withheld, and not written since
 * it was; or writing allowed, and counted as written. With dirty bits the processor's bit is the state.
 */
#include "lib/x86/nested/internal.h"

/* --- harvest --- */

static void harvest_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct vmmu_x86_level *const level = nested_level(edit->nested, spot->level);
    const struct vmmu_nested_harvester *const harvester = edit->harvester;
    const uint64_t clears =
        (harvester->clear_accessed ? level->accessed : 0) | (harvester->clear_dirty ? level->dirty : 0);
    uint64_t seen = spot->value;

    if ((seen & (level->accessed | level->dirty)) == 0) {
        return;
    }
    while ((seen & clears) != 0 && !vmmu_nested_store(edit, spot, &seen, seen & ~clears)) {
    }
    if ((seen & clears) != 0) {
        vmmu_nested_plan_spot(edit, spot);
    }
    const struct vmmu_nested_mark mark = {
        .base = { spot->base },
        .size_bytes = vmmu_format_level_bytes(level),
        .accessed = (seen & level->accessed) != 0,
        .dirty = (seen & level->dirty) != 0,
    };

    harvester->report(harvester->context, &mark);
}

static const struct nested_operation harvest = { .apply = { .leaf = harvest_leaf } };

struct vmmu_outcome vmmu_nested_harvest(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                        const struct vmmu_nested_harvester *harvester)
{
    struct nested_edit edit = {
        .nested = nested,
        .operation = &harvest,
        .from = gpa.v,
        .to = gpa.v + size_bytes,
        .harvester = harvester,
    };

    if (!nested->config.accessed_dirty) {
        return nested_refuse(VMMU_UNSUPPORTED);
    }
    if (!vmmu_nested_is_range(nested, gpa, size_bytes) ||
        (harvester->clear_dirty && nested->log == VMMU_NESTED_LOG_DIRTY_BITS)) {
        return nested_refuse(VMMU_INVALID);
    }
    return vmmu_nested_run(&edit);
}

/* --- the state of one leaf in the dirty log --- */

/* The mark of a leaf that was written. */
static uint64_t written_mark(const struct vmmu_nested *nested, uint8_t level)
{
    return nested->log == VMMU_NESTED_LOG_DIRTY_BITS ? nested_level(nested, level)->dirty : NESTED_WRITTEN;
}

/*
 * What a leaf is when it counts as not written: without the mark, and under write
 * protection without the right.
 */
static uint64_t cleaned(const struct vmmu_nested *nested, uint8_t level, uint64_t entry)
{
    const uint64_t write = nested->format->write;

    entry &= ~written_mark(nested, level);
    if (nested->log == VMMU_NESTED_LOG_WRITE_PROTECT && (entry & write) != 0) {
        entry = (entry & ~write) | NESTED_WITHHELD;
    }
    return entry;
}

static void clean(struct nested_edit *edit, const struct nested_spot *spot)
{
    uint64_t seen = spot->value;

    while (!vmmu_nested_store(edit, spot, &seen, cleaned(edit->nested, spot->level, seen))) {
    }
    vmmu_nested_plan_spot(edit, spot);
}

/* Let the leaf be written again, if writing was withheld, and set its mark to @mark. */
static void restore(struct nested_edit *edit, const struct nested_spot *spot, uint64_t mark)
{
    const uint64_t adds = mark | ((spot->value & NESTED_WITHHELD) != 0 ? edit->nested->format->write : 0);
    const uint64_t takes = NESTED_WITHHELD | NESTED_WRITTEN;
    uint64_t seen = spot->value;

    while (!vmmu_nested_store(edit, spot, &seen, (seen & ~takes) | adds)) {
    }
}

static bool is_withheld(const struct nested_spot *spot)
{
    return (spot->value & NESTED_WITHHELD) != 0;
}

/* The whole address space, for @operation. */
static struct nested_edit everywhere(struct vmmu_nested *nested, const struct nested_operation *operation)
{
    return (struct nested_edit){
        .nested = nested,
        .operation = operation,
        .from = 0,
        .to = nested_limit(nested),
    };
}

/* --- start --- */

static void start_survey(struct nested_edit *edit, const struct nested_spot *spot)
{
    edit->blocked = edit->blocked || vmmu_nested_is_stale(edit, spot->from, spot->to, true);
}

static void start_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (cleaned(edit->nested, spot->level, spot->value) != spot->value) {
        clean(edit, spot);
    }
}

static const struct nested_visitor stale_survey = { .leaf = start_survey };
static const struct nested_operation start = { .survey = &stale_survey, .apply = { .leaf = start_leaf } };

struct vmmu_outcome vmmu_nested_log_start(struct vmmu_nested *nested, enum vmmu_nested_log log)
{
    struct nested_edit edit = everywhere(nested, &start);
    struct vmmu_outcome outcome;

    if (nested->log != VMMU_NESTED_LOG_OFF ||
        (log != VMMU_NESTED_LOG_WRITE_PROTECT && log != VMMU_NESTED_LOG_DIRTY_BITS)) {
        return nested_refuse(VMMU_INVALID);
    }
    if (log == VMMU_NESTED_LOG_DIRTY_BITS && !nested->config.accessed_dirty) {
        return nested_refuse(VMMU_UNSUPPORTED);
    }
    nested->log = log;
    outcome = vmmu_nested_run(&edit);
    if (outcome.status != VMMU_OK) {
        nested->log = VMMU_NESTED_LOG_OFF;
    }
    return outcome;
}

/* --- a write --- */

static enum nested_verdict judge_fault(const struct nested_edit *edit, const struct nested_spot *spot)
{
    if (!is_withheld(spot)) {
        return NESTED_KEEP;
    }
    return spot->level <= edit->level ? NESTED_CHANGE : NESTED_SPLIT;
}

static void fault_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (is_withheld(spot)) {
        restore(edit, spot, NESTED_WRITTEN);
    }
}

static const struct nested_operation fault = {
    .survey = &vmmu_nested_survey,
    .judge = judge_fault,
    .apply = { .leaf = fault_leaf },
    .grants = true,
};

struct vmmu_outcome vmmu_nested_log_fault(struct vmmu_nested *nested, vmmu_gpa gpa, bool whole_page)
{
    const uint64_t page = gpa.v & ~(VMMU_PAGE_BYTES - 1);
    struct nested_edit edit = {
        .nested = nested,
        .operation = &fault,
        .from = page,
        .to = page + VMMU_PAGE_BYTES,
        .level = whole_page ? VMMU_NESTED_LEVEL_1G : VMMU_NESTED_LEVEL_4K,
    };

    if (gpa.v >= nested_limit(nested)) {
        return nested_refuse(VMMU_INVALID);
    }
    nested->counters.log_faults++;
    return vmmu_nested_run(&edit);
}

/* --- collect --- */

static void collect_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if ((spot->value & written_mark(edit->nested, spot->level)) == 0) {
        return;
    }
    for (uint64_t at = spot->from; at < spot->to; at += VMMU_PAGE_BYTES) {
        const uint64_t page = (at - edit->from) >> VMMU_PAGE_SHIFT;

        edit->bitmap[page / 8] |= (uint8_t)(1U << (page % 8));
    }
    /* The part of a large page that nobody has collected yet keeps the whole marked. */
    if (nested_is_whole(edit, spot)) {
        clean(edit, spot);
    }
}

static const struct nested_operation collect = { .survey = &stale_survey, .apply = { .leaf = collect_leaf } };

struct vmmu_outcome vmmu_nested_log_collect(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                            uint8_t *bitmap)
{
    struct nested_edit edit = {
        .nested = nested,
        .operation = &collect,
        .from = gpa.v,
        .to = gpa.v + size_bytes,
    };

    edit.bitmap = bitmap;
    if (nested->log == VMMU_NESTED_LOG_OFF || !vmmu_nested_is_range(nested, gpa, size_bytes)) {
        return nested_refuse(VMMU_INVALID);
    }
    return vmmu_nested_run(&edit);
}

/* --- stop --- */

static enum nested_verdict judge_stop(const struct nested_edit *edit, const struct nested_spot *spot)
{
    (void)edit;
    return (spot->value & (NESTED_WITHHELD | NESTED_WRITTEN)) != 0 ? NESTED_CHANGE : NESTED_KEEP;
}

static void stop_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (judge_stop(edit, spot) == NESTED_CHANGE) {
        restore(edit, spot, 0);
    }
}

static const struct nested_operation stop = {
    .survey = &vmmu_nested_survey,
    .judge = judge_stop,
    .apply = { .leaf = stop_leaf },
    .grants = true,
};

struct vmmu_outcome vmmu_nested_log_stop(struct vmmu_nested *nested)
{
    struct nested_edit edit = everywhere(nested, &stop);
    struct vmmu_outcome outcome;

    if (nested->log == VMMU_NESTED_LOG_OFF) {
        return nested_refuse(VMMU_INVALID);
    }
    outcome = vmmu_nested_run(&edit);
    if (outcome.status == VMMU_OK) {
        nested->log = VMMU_NESTED_LOG_OFF;
    }
    return outcome;
}
