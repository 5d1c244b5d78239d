/*
 * Split and merge: pages change their size, and nothing else.
 *
 * Frame, rights and type of every address stay as they are in the one store that changes the size,
 * and what was cached of any earlier meaning has been flushed before it: a processor that holds both
 * sizes finds the same in both.
 */
#include "lib/x86/nested/internal.h"

/* --- split --- */

static enum nested_verdict judge_split(const struct nested_edit *edit, const struct nested_spot *spot)
{
    return spot->level > edit->level ? NESTED_SPLIT : NESTED_KEEP;
}

static const struct nested_operation split = {
    .survey = &vmmu_nested_survey,
    .judge = judge_split,
    .only_splits = true,
};

struct vmmu_outcome vmmu_nested_split(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                      uint8_t level)
{
    struct nested_edit edit = {
        .nested = nested,
        .operation = &split,
        .from = gpa.v,
        .to = gpa.v + size_bytes,
        .level = level,
    };

    if (!vmmu_nested_is_range(nested, gpa, size_bytes) ||
        (level != VMMU_NESTED_LEVEL_4K && level != VMMU_NESTED_LEVEL_2M)) {
        return nested_refuse(VMMU_INVALID);
    }
    return vmmu_nested_run(&edit);
}

/* --- merge --- */

/* Whether the table's entries are leaves that continue each other, and *leaf the page that they make. */
static bool is_one_page(const struct vmmu_nested *nested, uint8_t level, const uint64_t *table,
                        struct nested_leaf *leaf)
{
    const struct vmmu_x86_level *const record = nested_level(nested, level);
    const uint64_t bytes = vmmu_format_level_bytes(record);
    const uint64_t marks = record->accessed | record->dirty;
    const uint64_t first = vmmu_table_load(nested->memory, table) & ~marks;

    if (!vmmu_format_is_present(nested->format, first) || !vmmu_format_is_leaf(record, first) ||
        !vmmu_is_aligned(vmmu_format_frame(record, first), bytes * ENTRIES)) {
        return false;
    }
    *leaf = vmmu_nested_parse(nested, level, first);
    for (unsigned i = 0; i < ENTRIES; i++) {
        const uint64_t entry = vmmu_table_load(nested->memory, &table[i]);

        if ((entry & ~marks) != first + i * bytes) {
            return false;
        }
        leaf->dirty = leaf->dirty || (entry & record->dirty) != 0;
    }
    return true;
}

static vmmu_hpa table_of(const struct nested_edit *edit, const struct nested_spot *spot)
{
    return (vmmu_hpa){ vmmu_format_table(nested_level(edit->nested, spot->level), spot->value) };
}

/* Whether the table that the entry points to can be one page of the size under way, and *leaf that page. */
static bool may_merge(const struct nested_edit *edit, const struct nested_spot *spot,
                      struct nested_leaf *leaf)
{
    const struct vmmu_nested *const nested = edit->nested;

    return spot->level == edit->level && nested_is_whole(edit, spot) &&
           is_one_page(nested, spot->level - 1, vmmu_table_page(nested->memory, table_of(edit, spot)),
                       leaf) &&
           spot->level <= vmmu_nested_largest(nested, leaf->rights);
}

/* Tables below the size under way are left alone. */
static bool merge_enter(struct nested_edit *edit, const struct nested_spot *spot)
{
    return spot->level >= edit->level;
}

static void survey_merge(struct nested_edit *edit, const struct nested_spot *spot)
{
    struct nested_leaf leaf;

    if (may_merge(edit, spot, &leaf) &&
        vmmu_nested_is_owned(edit, leaf.frame, nested_bytes(edit->nested, spot->level))) {
        edit->blocked = edit->blocked || vmmu_nested_is_stale(edit, spot->from, spot->to, false);
    }
}

static void merge_table(struct nested_edit *edit, const struct nested_spot *spot)
{
    uint64_t seen = spot->value;
    uint64_t desired;
    struct nested_leaf leaf;

    if (!may_merge(edit, spot, &leaf)) {
        return;
    }
    /* A processor may still mark an entry of the old table until the flush; nobody would look there. */
    leaf.accessed = true;
    leaf.dirty = leaf.dirty || (leaf.rights & VMMU_X86_RIGHT_WRITE);
    desired = vmmu_nested_leaf(edit->nested, spot->level, &leaf);
    while (!vmmu_nested_store(edit, spot, &seen, desired)) {
    }
    edit->nested->counters.merges++;
    edit->nested->counters.leaves[spot->level - 1]++;
    vmmu_nested_plan_spot(edit, spot);
    vmmu_nested_retire(edit, spot->level - 1, table_of(edit, spot));
}

static const struct nested_visitor merge_survey = { .enter = merge_enter, .leave = survey_merge };
static const struct nested_operation merge = {
    .survey = &merge_survey,
    .apply = { .enter = merge_enter, .leave = merge_table },
};

struct vmmu_outcome vmmu_nested_merge(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes)
{
    struct vmmu_outcome outcome = { .status = VMMU_OK };

    if (!vmmu_nested_is_range(nested, gpa, size_bytes)) {
        return nested_refuse(VMMU_INVALID);
    }
    if (nested->log != VMMU_NESTED_LOG_OFF) {
        return outcome;
    }
    for (uint8_t level = VMMU_NESTED_LEVEL_2M; level <= nested->config.largest_level; level++) {
        struct nested_edit edit = {
            .nested = nested,
            .operation = &merge,
            .from = gpa.v,
            .to = gpa.v + size_bytes,
            .level = level,
        };

        outcome = vmmu_nested_run(&edit);
        if (outcome.status != VMMU_OK) {
            return outcome;
        }
        if (edit.resized) {
            /* The next size needs the flush of this one. */
            if (level < nested->config.largest_level) {
                outcome.status = VMMU_FLUSH_RETRY;
                nested->counters.retries++;
            }
            return outcome;
        }
    }
    return outcome;
}
