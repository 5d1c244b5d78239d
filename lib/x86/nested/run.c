/*
 * Visits of a range, and the passes of an operation.
 *
 * Invariant: from the first store of an operation to its end nothing can fail: pages are reserved, owners
 * asked, and a plan's place is free.
 */
#include "lib/x86/nested/internal.h"

bool vmmu_nested_is_range(const struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes)
{
    return vmmu_is_aligned(gpa.v, VMMU_PAGE_BYTES) && vmmu_is_aligned(size_bytes, VMMU_PAGE_BYTES) &&
           vmmu_range_fits(gpa.v, size_bytes, nested_limit(nested));
}

static bool is_present(const struct vmmu_nested *nested, uint64_t entry)
{
    return vmmu_format_is_present(nested->format, entry);
}

static void *child_table(const struct vmmu_nested *nested, uint8_t level, uint64_t entry)
{
    const vmmu_hpa at = { vmmu_format_table(nested_level(nested, level), entry) };

    return vmmu_table_page(nested->memory, at);
}

struct nested_spot vmmu_nested_find(const struct vmmu_nested *nested, vmmu_gpa gpa)
{
    const uint64_t page = gpa.v & ~(VMMU_PAGE_BYTES - 1);
    struct nested_spot spot = { .level = nested->format->levels, .from = page, .to = page + VMMU_PAGE_BYTES };
    uint64_t *table = nested->root_page;

    for (;; spot.level--) {
        const struct vmmu_x86_level *const level = nested_level(nested, spot.level);

        spot.entry = &table[vmmu_format_index(level, page)];
        spot.value = vmmu_table_load(nested->memory, spot.entry);
        spot.base = page & ~(vmmu_format_level_bytes(level) - 1);
        if (!is_present(nested, spot.value) || vmmu_format_is_leaf(level, spot.value)) {
            return spot;
        }
        table = child_table(nested, spot.level, spot.value);
    }
}

/* What of a table is in range: entries of @level that translate a part of [from, to). */
struct part {
    uint64_t *table;
    uint8_t level;
    uint64_t from;
    uint64_t to;
};

static void visit_table(struct nested_edit *edit, const struct nested_visitor *visitor,
                        const struct part *part);

static void visit_entry(struct nested_edit *edit, const struct nested_visitor *visitor,
                        const struct nested_spot *spot)
{
    const struct vmmu_nested *const nested = edit->nested;

    if (!is_present(nested, spot->value)) {
        if (visitor->absent != NULL) {
            visitor->absent(edit, spot);
        }
        return;
    }
    if (vmmu_format_is_leaf(nested_level(nested, spot->level), spot->value)) {
        if (visitor->leaf != NULL) {
            visitor->leaf(edit, spot);
        }
        return;
    }
    if (visitor->enter != NULL && !visitor->enter(edit, spot)) {
        return;
    }
    const struct part below = {
        .table = child_table(nested, spot->level, spot->value),
        .level = spot->level - 1,
        .from = spot->from,
        .to = spot->to,
    };

    visit_table(edit, visitor, &below);
    if (visitor->leave != NULL && edit->outcome.status == VMMU_OK) {
        visitor->leave(edit, spot);
    }
}

/* Five levels at most, so this recursion is five deep at most. */
static void visit_table(struct nested_edit *edit, const struct nested_visitor *visitor,
                        const struct part *part)
{
    const uint64_t bytes = nested_bytes(edit->nested, part->level);
    uint64_t base = part->from & ~(bytes - 1);
    uint64_t *entry = &part->table[vmmu_format_index(nested_level(edit->nested, part->level), base)];

    for (; base < part->to && edit->outcome.status == VMMU_OK; base += bytes, entry++) {
        const struct nested_spot spot = {
            .entry = entry,
            .value = vmmu_table_load(edit->nested->memory, entry),
            .level = part->level,
            .base = base,
            .from = base < part->from ? part->from : base,
            .to = part->to - base < bytes ? part->to : base + bytes,
        };

        visit_entry(edit, visitor, &spot);
    }
}

void vmmu_nested_visit(struct nested_edit *edit, const struct nested_visitor *visitor)
{
    const struct part all = {
        .table = edit->nested->root_page,
        .level = edit->nested->format->levels,
        .from = edit->from,
        .to = edit->to,
    };

    visit_table(edit, visitor, &all);
}

bool vmmu_nested_store(struct nested_edit *edit, const struct nested_spot *spot, uint64_t *expected,
                       uint64_t desired)
{
    if (!vmmu_table_exchange(edit->nested->memory, spot->entry, expected, desired)) {
        return false;
    }
    edit->nested->counters.stores++;
    return true;
}

void vmmu_nested_plan_spot(struct nested_edit *edit, const struct nested_spot *spot)
{
    vmmu_plan_add(&edit->outcome.plan, spot->base,
                  nested_bytes(edit->nested, spot->level) >> VMMU_PAGE_SHIFT);
}

bool vmmu_nested_is_owned(struct nested_edit *edit, uint64_t frame, uint64_t size_bytes)
{
    const struct vmmu_host *const host = edit->nested->memory->host;

    if (host->owns(host->context, (vmmu_hpa){ frame }, size_bytes)) {
        return true;
    }
    edit->nested->counters.violations++;
    host->violated(host->context, "a nested page would map memory that the partition does not own");
    edit->outcome.status = VMMU_VIOLATED;
    return false;
}

bool vmmu_nested_is_stale(const struct nested_edit *edit, uint64_t from, uint64_t to, bool resized_only)
{
    return vmmu_table_is_unflushed(edit->nested->memory, from, to - 1, resized_only);
}

/* Need @pages more; more than may ever be held is not counted on. */
static void need(struct nested_edit *edit, uint32_t pages)
{
    const uint32_t limit = edit->nested->memory->limit_pages;

    if (pages > limit || edit->need_pages > limit - pages) {
        edit->outcome.status = VMMU_NO_MEMORY;
        return;
    }
    edit->need_pages += pages;
}

static bool survey_enter(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (!edit->operation->cuts || !nested_is_whole(edit, spot)) {
        return true;
    }
    edit->blocked = edit->blocked || vmmu_nested_is_stale(edit, spot->from, spot->to, true);
    return false;
}

static void survey_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    const enum nested_verdict verdict = edit->operation->judge(edit, spot);
    const uint64_t bytes = nested_bytes(edit->nested, spot->level);

    if (verdict == NESTED_KEEP) {
        return;
    }
    if (verdict == NESTED_SPLIT || edit->operation->grants) {
        const uint64_t frame = vmmu_format_frame(nested_level(edit->nested, spot->level), spot->value);

        if (!vmmu_nested_is_owned(edit, frame, bytes)) {
            return;
        }
    }
    if (verdict == NESTED_SPLIT) {
        edit->splits = true;
        need(edit, vmmu_nested_count_split(edit, spot));
    }
    /* A change waits for what is cached of another size, a change of size for whatever is cached. */
    edit->blocked =
        edit->blocked || vmmu_nested_is_stale(edit, spot->base, spot->base + bytes, verdict == NESTED_CHANGE);
}

static void survey_absent(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (edit->operation->fills) {
        edit->blocked = edit->blocked || vmmu_nested_is_stale(edit, spot->from, spot->to, true);
        need(edit, vmmu_nested_count_fill(edit, spot));
    }
}

static void split_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (edit->operation->judge(edit, spot) == NESTED_SPLIT) {
        vmmu_nested_split_leaf(edit, spot);
    }
}

const struct nested_visitor vmmu_nested_survey = { .enter = survey_enter,
                                                   .leaf = survey_leaf,
                                                   .absent = survey_absent };
static const struct nested_visitor splitter = { .leaf = split_leaf };

/* Everything must be flushed before the operation can go on. */
static struct vmmu_outcome retry(struct nested_edit *edit)
{
    struct vmmu_outcome outcome = { .status = VMMU_FLUSH_RETRY };

    vmmu_table_take_over(edit->nested->memory, &outcome.plan);
    edit->nested->counters.retries++;
    return outcome;
}

static void change(struct nested_edit *edit)
{
    if (edit->splits) {
        vmmu_nested_visit(edit, &splitter);
        if (!edit->operation->only_splits) {
            edit->outcome.status = VMMU_FLUSH_RETRY;
            edit->nested->counters.retries++;
        }
        return;
    }
    vmmu_nested_visit(edit, &edit->operation->apply);
}

struct vmmu_outcome vmmu_nested_run(struct nested_edit *edit)
{
    struct vmmu_table_memory *const memory = edit->nested->memory;

    if (!vmmu_table_ready(memory)) {
        return retry(edit);
    }
    if (edit->operation->survey != NULL) {
        vmmu_nested_visit(edit, edit->operation->survey);
    }
    if (edit->outcome.status != VMMU_OK) {
        return edit->outcome;
    }
    if (edit->blocked) {
        return retry(edit);
    }
    edit->outcome.status = vmmu_table_reserve(memory, edit->need_pages, 0);
    if (edit->outcome.status == VMMU_FLUSH_RETRY) {
        return retry(edit);
    }
    if (edit->outcome.status != VMMU_OK) {
        return edit->outcome;
    }
    change(edit);
    if (!vmmu_plan_is_empty(&edit->outcome.plan)) {
        edit->outcome.plan.vps = edit->nested->config.vps;
    }
    vmmu_table_close(memory, &edit->outcome.plan, edit->resized);
    return edit->outcome;
}
