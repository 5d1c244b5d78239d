/*
 * Map, protect and unmap: the operations that change what guest-physical addresses mean.
 *
 * A page keeps its size in each of them, or is split first, in a turn of its own with a flush after it.
 */
#include "lib/x86/nested/internal.h"

/* --- giving a leaf another meaning --- */

/* What the leaf @old becomes: @wanted, with the marks and the state of the log that belong to the frame. */
static struct nested_leaf successor(const struct vmmu_nested *nested, const struct nested_leaf *old,
                                    const struct nested_leaf *wanted)
{
    const bool same_frame = old->frame == wanted->frame;
    struct nested_leaf new = *wanted;

    new.accessed = same_frame && old->accessed;
    new.dirty = same_frame && old->dirty;
    new.written = same_frame && old->written;
    new.withheld =
        nested->log == VMMU_NESTED_LOG_WRITE_PROTECT && (new.rights &VMMU_X86_RIGHT_WRITE) && !new.written;
    return new;
}

/* What a processor may do with the leaf as it stands. */
static uint8_t effective_rights(const struct nested_leaf *leaf)
{
    return leaf->withheld ? leaf->rights & (uint8_t)~VMMU_X86_RIGHT_WRITE : leaf->rights;
}

/*
 * Whether a processor that still has @old cached could do what @new does not allow, or find something else.
 */
static bool must_flush(const struct nested_leaf *old, const struct nested_leaf *new)
{
    return old->frame != new->frame || old->type != new->type || old->ignore_pat != new->ignore_pat ||
           (effective_rights(old) & ~effective_rights(new)) != 0;
}

/* Replace the leaf by a page of the same size, @wanted. */
static void replace(struct nested_edit *edit, const struct nested_spot *spot,
                    const struct nested_leaf *wanted)
{
    uint64_t seen = spot->value;
    uint64_t desired;
    struct nested_leaf old;
    struct nested_leaf new;

    do {
        old = vmmu_nested_parse(edit->nested, spot->level, seen);
        new = successor(edit->nested, &old, wanted);
        desired = vmmu_nested_leaf(edit->nested, spot->level, &new);
    } while (desired != seen && !vmmu_nested_store(edit, spot, &seen, desired));
    if (must_flush(&old, &new)) {
        vmmu_nested_plan_spot(edit, spot);
    }
}

/* --- map --- */

static bool same_kind(const struct nested_leaf *a, const struct nested_leaf *b)
{
    return a->rights == b->rights && a->type == b->type && a->ignore_pat == b->ignore_pat;
}

static enum nested_verdict judge_map(const struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct nested_leaf old = vmmu_nested_parse(edit->nested, spot->level, spot->value);
    const uint64_t frame = nested_wanted_frame(edit, spot->from);

    if (same_kind(&old, &edit->wanted) && old.frame + (spot->from - spot->base) == frame) {
        return NESTED_KEEP;
    }
    if (spot->level == VMMU_NESTED_LEVEL_4K || vmmu_nested_fits(edit, spot->level, spot->from, spot->to)) {
        return NESTED_CHANGE;
    }
    return NESTED_SPLIT;
}

static void map_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    struct nested_leaf wanted = edit->wanted;

    if (judge_map(edit, spot) == NESTED_CHANGE) {
        wanted.frame = nested_wanted_frame(edit, spot->from);
        replace(edit, spot, &wanted);
    }
}

static const struct nested_operation map = {
    .survey = &vmmu_nested_survey,
    .judge = judge_map,
    .apply = { .leaf = map_leaf, .absent = vmmu_nested_fill },
    .fills = true,
};

static enum vmmu_status check_type(const struct vmmu_nested *nested,
                                   const struct vmmu_nested_mapping *mapping)
{
    static const uint8_t known = (1U << VMMU_X86_TYPE_UC) | (1U << VMMU_X86_TYPE_WC) |
                                 (1U << VMMU_X86_TYPE_WT) | (1U << VMMU_X86_TYPE_WP) |
                                 (1U << VMMU_X86_TYPE_WB) | (1U << VMMU_X86_TYPE_UC_MINUS);
    const unsigned type = mapping->type;

    if (type > VMMU_X86_TYPE_UC_MINUS || ((known >> type) & 1) == 0) {
        return VMMU_INVALID;
    }
    if (nested->config.format == VMMU_NESTED_EPT) {
        return ((nested->format->types_refused >> type) & 1) ? VMMU_UNSUPPORTED : VMMU_OK;
    }
    return mapping->ignore_pat || nested->pat_index[type] == NESTED_NO_PAT_INDEX ? VMMU_UNSUPPORTED : VMMU_OK;
}

static enum vmmu_status check_mapping(const struct vmmu_nested *nested,
                                      const struct vmmu_nested_mapping *mapping)
{
    enum vmmu_status status;

    if (!vmmu_nested_is_range(nested, mapping->gpa, mapping->size_bytes) ||
        !vmmu_is_aligned(mapping->hpa.v, VMMU_PAGE_BYTES) ||
        !vmmu_range_fits(mapping->hpa.v, mapping->size_bytes, BIT64(nested->config.maxphyaddr))) {
        return VMMU_INVALID;
    }
    status = vmmu_nested_check_rights(nested, mapping->rights);
    return status != VMMU_OK ? status : check_type(nested, mapping);
}

struct vmmu_outcome vmmu_nested_map(struct vmmu_nested *nested, const struct vmmu_nested_mapping *mapping)
{
    const enum vmmu_status status = check_mapping(nested, mapping);
    const uint8_t rights = mapping->rights & NESTED_RIGHTS;
    struct nested_edit edit = {
        .nested = nested,
        .operation = &map,
        .from = mapping->gpa.v,
        .to = mapping->gpa.v + mapping->size_bytes,
        .wanted = { .frame = mapping->hpa.v,
                    .rights = rights,
                    .type = mapping->type,
                    .ignore_pat = mapping->ignore_pat,
                    .withheld =
                        nested->log == VMMU_NESTED_LOG_WRITE_PROTECT && (rights & VMMU_X86_RIGHT_WRITE) },
    };

    if (status != VMMU_OK) {
        return nested_refuse(status);
    }
    if (!vmmu_nested_is_owned(&edit, mapping->hpa.v, mapping->size_bytes)) {
        return edit.outcome;
    }
    return vmmu_nested_run(&edit);
}

/* --- protect --- */

static enum nested_verdict judge_protect(const struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct nested_leaf old = vmmu_nested_parse(edit->nested, spot->level, spot->value);

    if (old.rights == edit->wanted.rights) {
        return NESTED_KEEP;
    }
    if (nested_is_whole(edit, spot) &&
        spot->level <= vmmu_nested_largest(edit->nested, edit->wanted.rights)) {
        return NESTED_CHANGE;
    }
    return NESTED_SPLIT;
}

static void protect_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    struct nested_leaf wanted = vmmu_nested_parse(edit->nested, spot->level, spot->value);

    if (wanted.rights != edit->wanted.rights) {
        wanted.rights = edit->wanted.rights;
        replace(edit, spot, &wanted);
    }
}

static const struct nested_operation protect = {
    .survey = &vmmu_nested_survey,
    .judge = judge_protect,
    .apply = { .leaf = protect_leaf },
    .grants = true,
};

struct vmmu_outcome vmmu_nested_protect(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                        uint8_t rights)
{
    const enum vmmu_status status = vmmu_nested_check_rights(nested, rights);
    struct nested_edit edit = {
        .nested = nested,
        .operation = &protect,
        .from = gpa.v,
        .to = gpa.v + size_bytes,
        .wanted = { .rights = rights & NESTED_RIGHTS },
    };

    if (!vmmu_nested_is_range(nested, gpa, size_bytes)) {
        return nested_refuse(VMMU_INVALID);
    }
    return status != VMMU_OK ? nested_refuse(status) : vmmu_nested_run(&edit);
}

/* --- unmap --- */

static enum nested_verdict judge_unmap(const struct nested_edit *edit, const struct nested_spot *spot)
{
    return nested_is_whole(edit, spot) ? NESTED_CHANGE : NESTED_SPLIT;
}

/* Make the entry absent, whatever marks processors set meanwhile. What it was. */
static uint64_t clear(struct nested_edit *edit, const struct nested_spot *spot)
{
    uint64_t seen = spot->value;

    while (!vmmu_nested_store(edit, spot, &seen, 0)) {
    }
    return seen;
}

static void cut(struct nested_edit *edit, const struct nested_spot *spot)
{
    const uint64_t entry = clear(edit, spot);
    const vmmu_hpa table = { vmmu_format_table(nested_level(edit->nested, spot->level), entry) };

    vmmu_nested_retire(edit, spot->level - 1, table);
}

static bool unmap_enter(struct nested_edit *edit, const struct nested_spot *spot)
{
    if (!nested_is_whole(edit, spot)) {
        return true;
    }
    cut(edit, spot);
    vmmu_nested_plan_spot(edit, spot);
    return false;
}

static void unmap_leaf(struct nested_edit *edit, const struct nested_spot *spot)
{
    clear(edit, spot);
    edit->resized = edit->resized || spot->level > VMMU_NESTED_LEVEL_4K;
    vmmu_nested_plan_spot(edit, spot);
}

/* A table that maps nothing any more goes, so that unmapping page by page gives all back too. */
static void unmap_leave(struct nested_edit *edit, const struct nested_spot *spot)
{
    const struct vmmu_nested *const nested = edit->nested;
    const vmmu_hpa at = { vmmu_format_table(nested_level(nested, spot->level), spot->value) };
    const uint64_t *const table = vmmu_table_page(nested->memory, at);

    for (unsigned i = 0; i < ENTRIES; i++) {
        if (vmmu_format_is_present(nested->format, vmmu_table_load(nested->memory, &table[i]))) {
            return;
        }
    }
    cut(edit, spot);
}

static const struct nested_operation unmap = {
    .survey = &vmmu_nested_survey,
    .judge = judge_unmap,
    .apply = { .enter = unmap_enter, .leaf = unmap_leaf, .leave = unmap_leave },
    .cuts = true,
};

struct vmmu_outcome vmmu_nested_unmap(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes)
{
    struct nested_edit edit = {
        .nested = nested, .operation = &unmap, .from = gpa.v, .to = gpa.v + size_bytes
    };

    if (!vmmu_nested_is_range(nested, gpa, size_bytes)) {
        return nested_refuse(VMMU_INVALID);
    }
    return vmmu_nested_run(&edit);
}
