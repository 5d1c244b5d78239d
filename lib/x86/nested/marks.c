/*
 * Accessed and dirty bits, and the dirty log that is made of them or of withheld write rights.
 *
 * Under write protection a writable leaf is in one of two states: writing withheld, and not written since
 * it was; or writing allowed, and counted as written. With dirty bits the processor's bit is the state.
 */
#include "lib/x86/nested/internal.h"

/*
 * --- harvest
 * ------------------------------------------------------------------------------------------------------
 */

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

/*
 * --- the state of one leaf in the dirty log
 * -----------------------------------------------------------------------
 */

/* Whether the log counts the leaf as written. */
static bool is_written(const struct vmmu_nested *nested, uint8_t level, uint64_t entry)
{
    const struct nested_leaf leaf = vmmu_nested_parse(nested, level, entry);

    if (nested->log == VMMU_NESTED_LOG_DIRTY_BITS) {
        return leaf.dirty;
    }
    return (leaf.rights & VMMU_X86_RIGHT_WRITE) != 0 && !leaf.withheld;
}

/* Count the leaf as not written from now on: take the write right, or the dirty bit. What it was. */
static uint64_t mark_clean(struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct vmmu_nested *const nested = edit->nested;
    const bool protects = nested->log == VMMU_NESTED_LOG_WRITE_PROTECT;
    const uint64_t takes = protects ? nested->format->write : nested_level(nested, spot->level)->dirty;
    const uint64_t adds = protects ? NESTED_WITHHELD : 0;
    uint64_t seen = spot->value;

    while (!vmmu_nested_store(edit, spot, &seen, (seen & ~takes) | adds)) {
    }
    vmmu_nested_plan_spot(edit, spot);
    return seen;
}

/* Let the leaf be written again. */
static void restore(struct nested_edit *edit, const struct nested_spot *spot)
{
    const uint64_t write = edit->nested->format->write;
    uint64_t seen = spot->value;

    while (!vmmu_nested_store(edit, spot, &seen, (seen & ~NESTED_WITHHELD) | write)) {
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

/*
 * --- start
 * --------------------------------------------------------------------------------------------------------
 */

static void start_survey(struct nested_edit *edit, const struct nested_spot *spot)
{
    edit->blocked = edit->blocked || vmmu_nested_is_stale(edit, spot->from, spot->to, true);
}

static void start_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (is_written(edit->nested, spot->level, spot->value)) {
        mark_clean(edit, spot);
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

/*
 * --- a write
 * ------------------------------------------------------------------------------------------------------
 */

static enum nested_verdict judge_fault(const struct nested_edit *edit, const struct nested_spot *spot)
{
    if (!is_withheld(spot)) {
        return NESTED_KEEP;
    }
    return spot->level <= edit->level ? NESTED_CHANGE : NESTED_SPLIT;
}

static void allow_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (is_withheld(spot)) {
        restore(edit, spot);
    }
}

static const struct nested_operation fault = {
    .survey = &vmmu_nested_survey,
    .judge = judge_fault,
    .apply = { .leaf = allow_leaf },
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

/*
 * --- collect
 * ------------------------------------------------------------------------------------------------------
 */

static void collect_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (!is_written(edit->nested, spot->level, spot->value)) {
        return;
    }
    for (uint64_t at = spot->from; at < spot->to; at += VMMU_PAGE_BYTES) {
        const uint64_t page = (at - edit->from) >> VMMU_PAGE_SHIFT;

        edit->bitmap[page / 8] |= (uint8_t)(1U << (page % 8));
    }
    /* The part of a large page that nobody has collected yet keeps the whole marked. */
    if (nested_is_whole(edit, spot)) {
        mark_clean(edit, spot);
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
        .bitmap = bitmap,
    };

    if (nested->log == VMMU_NESTED_LOG_OFF || !vmmu_nested_is_range(nested, gpa, size_bytes)) {
        return nested_refuse(VMMU_INVALID);
    }
    return vmmu_nested_run(&edit);
}

/*
 * --- stop
 * ---------------------------------------------------------------------------------------------------------
 */

static enum nested_verdict judge_stop(const struct nested_edit *edit, const struct nested_spot *spot)
{
    (void)edit;
    return is_withheld(spot) ? NESTED_CHANGE : NESTED_KEEP;
}

static const struct nested_operation stop = {
    .survey = &vmmu_nested_survey,
    .judge = judge_stop,
    .apply = { .leaf = allow_leaf },
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
