/*
 * Fills: a leaf and the links that lead to it, made from the leaf upwards, so that nothing is linked before
 * it is whole.
 *
 * Invariant: what a processor may have cached of an entry is at all times as the entry is, or has less rights. Anything else
 * than more rights is therefore made in two steps, with a flush between.
 */
#include "lib/x86/shadow/fault.h"

enum vmmu_status vmmu_shadow_obtain_path(struct shadow_fault *fault, unsigned from, unsigned to)
{
    if (from < to) {
        return VMMU_OK;
    }
    return vmmu_shadow_obtain(fault->edit, &fault->path[to], from - to + 1, 0);
}

static struct shadow_spot spot_at(const struct shadow_fault *fault, unsigned level)
{
    const uint32_t page = level == fault->top ? fault->root : fault->path[level].page;
    const struct vmmu_x86_level *const format = shadow_level(&fault->edit->state->pages[page]);

    return (struct shadow_spot){ page, vmmu_format_index(format, fault->address) };
}

static uint64_t frame_of(const struct shadow_fault *fault)
{
    return fault->walk.translation.gpa.v & ~(shadow_bytes(fault->leaf.level) - 1);
}

/* What of the guest's entry at @level our entry is made from, beside the address. */
static uint64_t flags_at(const struct shadow_fault *fault, unsigned level)
{
    const struct shadow_page *const page = &fault->edit->state->pages[spot_at(fault, level).page];

    return page->role.kind == SHADOW_TABLE ? vmmu_shadow_flags(page, fault->entries[level]) : 0;
}

/* What a link at @level, in a page of the path, grants. */
static uint8_t rights_at(const struct shadow_fault *fault, unsigned level)
{
    const struct shadow_page *const page = &fault->edit->state->pages[spot_at(fault, level).page];

    /* The rights of a large page stand in the leaves that piece it together. */
    if (page->role.kind != SHADOW_TABLE || level <= fault->table_level) {
        return VMMU_X86_RIGHTS_ALL;
    }
    return vmmu_shadow_link_rights(&page->role, fault->entries[level]);
}

/* Bits in which a leaf may change while processors have it cached. */
static uint64_t changeable(const struct shadow_fault *fault)
{
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[VMMU_X86_FORMAT_5LEVEL];
    const struct vmmu_x86_level *const level = &format->level[fault->leaf.level];

    return vmmu_format_rights_mask(format) | format->software | level->accessed | level->dirty;
}

/* Whether all that stands on the way is what shall stand there, or nothing; if not, one thing more is removed. */
static bool clear_the_way(struct shadow_fault *fault, uint64_t value)
{
    struct shadow_edit *const edit = fault->edit;
    const struct shadow_spot leaf = spot_at(fault, fault->leaf.level);
    const struct shadow_slot *const slot = shadow_slot_at(edit, leaf);

    for (unsigned level = fault->top; level > fault->leaf.level; level--) {
        const struct shadow_spot spot = spot_at(fault, level);
        const struct shadow_slot *const here = shadow_slot_at(edit, spot);

        if (here->target != SHADOW_NO_TARGET &&
            !(shadow_is_link(here) && shadow_linked_page(here) == fault->path[level - 1].page)) {
            vmmu_shadow_zap(edit, spot);
            return false;
        }
    }
    if (slot->target != SHADOW_NO_TARGET &&
        (shadow_is_link(slot) || shadow_leaf_frame(slot) != frame_of(fault) ||
         ((vmmu_shadow_entry(edit, leaf) ^ value) & ~changeable(fault)) != 0)) {
        vmmu_shadow_zap(edit, leaf);
        return false;
    }
    return true;
}

static void put_leaf(struct shadow_fault *fault, uint64_t value)
{
    struct shadow_edit *const edit = fault->edit;
    const struct shadow_spot spot = spot_at(fault, fault->leaf.level);
    struct shadow_slot *const slot = shadow_slot_at(edit, spot);
    const uint64_t target = frame_of(fault) | flags_at(fault, fault->leaf.level);

    edit->shadow->counters.fills++;
    if (slot->target == SHADOW_NO_TARGET) {
        vmmu_shadow_put_leaf(edit, spot, target, value);
        return;
    }
    edit->shadow->counters.spurious += vmmu_shadow_entry(edit, spot) == value;
    slot->target = target;
    vmmu_shadow_change(edit, spot, value);
}

static void put_link(struct shadow_fault *fault, unsigned level)
{
    struct shadow_edit *const edit = fault->edit;
    const struct shadow_spot spot = spot_at(fault, level);
    const uint64_t flags = flags_at(fault, level);
    const struct shadow_slot *const slot = shadow_slot_at(edit, spot);

    if (slot->target == SHADOW_NO_TARGET) {
        vmmu_shadow_put_link(edit, spot, fault->path[level - 1].page, flags, rights_at(fault, level));
    } else if ((slot->target & SHADOW_FLAG_BITS) != flags) {
        vmmu_shadow_change_link(edit, spot, flags, rights_at(fault, level));
    }
}

/*
 * Where a link is made to a page that is in use already, or becomes another: by it nobody can have cached what is stale in
 * the page, or in what lies below. Whether the path stands as it was.
 */
static bool refresh_what_joins(struct shadow_fault *fault)
{
    struct shadow_edit *const edit = fault->edit;
    const uint32_t removals = edit->state->removals;

    for (unsigned level = fault->leaf.level + 1; level <= fault->top; level++) {
        const struct shadow_slot *const slot = shadow_slot_at(edit, spot_at(fault, level));

        if (edit->state->stale_entries != 0 && (slot->target & SHADOW_FLAG_BITS) != flags_at(fault, level) &&
            edit->state->pages[fault->path[level - 1].page].entries != 0) {
            vmmu_shadow_refresh(edit);
            return edit->state->removals == removals;
        }
    }
    return true;
}

/* What is likely to be wanted next. */
static void prefill(struct shadow_fault *fault)
{
    const struct shadow_spot spot = spot_at(fault, fault->leaf.level);
    const struct shadow_page *const page = &fault->edit->state->pages[spot.page];
    struct shadow_prefill more = { .edit = fault->edit, .mode = fault->mode };

    if (page->role.kind == SHADOW_TABLE) {
        vmmu_shadow_prefill_around(&more, spot);
    } else if (page->role.level == 1 && page->entries == 1) {
        vmmu_shadow_prefill_direct(&more, spot.page, &fault->guest_leaf);
    }
}

enum vmmu_status vmmu_shadow_fill(struct shadow_fault *fault)
{
    struct shadow_edit *const edit = fault->edit;
    const struct vmmu_host *const host = edit->shadow->memory->host;
    const uint64_t value = vmmu_shadow_leaf(edit->state, &fault->leaf);

    if (!vmmu_shadow_is_owned(edit, fault->leaf.hpa, shadow_bytes(fault->leaf.level))) {
        edit->shadow->counters.violations++;
        host->violated(host->context, "a shadow entry for memory that is not the partition's");
        return VMMU_VIOLATED;
    }
    /* Two sizes of a page are not to be cached at once. */
    if (vmmu_table_is_unflushed(edit->shadow->memory, 0, UINT64_MAX, true)) {
        return VMMU_FLUSH_RETRY;
    }
    if (!clear_the_way(fault, value) || !refresh_what_joins(fault)) {
        return VMMU_FLUSH_RETRY;
    }
    put_leaf(fault, value);
    for (unsigned level = fault->leaf.level + 1; level <= fault->top; level++) {
        put_link(fault, level);
    }
    prefill(fault);
    vmmu_shadow_touch(edit, fault->root);
    return VMMU_OK;
}
