/*
 * Entries, and the chains that find them again: every store to a table of this room is made here.
 *
 * Accessed and dirty bits are set when an entry is made, so that a processor has nothing to mark; one that
 * marks entries where the manuals say that there is nothing to mark is borne with, by exchanging until it holds.
 */
#include "lib/x86/shadow/internal.h"

/* --- chains --- */

static uint32_t *head_of(struct vmmu_shadow_state *state, uint32_t slot)
{
    const uint64_t target = state->slots[slot].target;

    if (target & SHADOW_LINK) {
        return &state->pages[target & ~SHADOW_LINK].parents;
    }
    return vmmu_shadow_leaf_head(state, target, state->pages[slot / ENTRIES].role.level);
}

static void attach(struct shadow_edit *edit, uint32_t slot, uint64_t target)
{
    struct shadow_slot *const slots = edit->state->slots;
    uint32_t *head;

    VMMU_ASSERT(slots[slot].target == SHADOW_NO_TARGET);
    slots[slot].target = target;
    head = head_of(edit->state, slot);
    slots[slot].previous = SHADOW_NONE;
    slots[slot].next = *head;
    if (*head != SHADOW_NONE) {
        slots[*head].previous = slot;
    }
    *head = slot;
    edit->state->pages[slot / ENTRIES].entries++;
}

static void detach(struct shadow_edit *edit, uint32_t slot)
{
    struct shadow_slot *const slots = edit->state->slots;
    const uint32_t next = slots[slot].next;
    const uint32_t previous = slots[slot].previous;

    if (previous == SHADOW_NONE) {
        *head_of(edit->state, slot) = next;
    } else {
        slots[previous].next = next;
    }
    if (next != SHADOW_NONE) {
        slots[next].previous = previous;
    }
    slots[slot].target = SHADOW_NO_TARGET;
    edit->state->pages[slot / ENTRIES].entries--;
}

/* --- stores --- */

static void *entry_at(const struct shadow_edit *edit, struct shadow_spot spot)
{
    return (uint64_t *)edit->state->pages[spot.page].table + spot.index;
}

uint64_t vmmu_shadow_entry(const struct shadow_edit *edit, struct shadow_spot spot)
{
    return vmmu_table_load(edit->shadow->memory, entry_at(edit, spot));
}

/* What stood there. */
static uint64_t store(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value)
{
    void *const entry = entry_at(edit, spot);
    uint64_t expected = vmmu_table_load(edit->shadow->memory, entry);

    while (!vmmu_table_exchange(edit->shadow->memory, entry, &expected, value)) {
    }
    edit->shadow->counters.stores++;
    return expected;
}

void vmmu_shadow_put_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint64_t frame, uint64_t value)
{
    attach(edit, shadow_slot_of(spot), frame);
    (void)store(edit, spot, value);
}

void vmmu_shadow_put_link(struct shadow_edit *edit, struct shadow_spot spot, uint32_t child)
{
    const struct shadow_page *const parent = &edit->state->pages[spot.page];
    struct shadow_page *const page = &edit->state->pages[child];
    const struct vmmu_x86_level *const level = shadow_level(parent);

    attach(edit, shadow_slot_of(spot), SHADOW_LINK | child);
    page->linked = true;
    page->pins += parent->role.kind == SHADOW_TOP;
    (void)store(edit, spot, vmmu_format_link(shadow_format(parent), level, page->at.v) | level->accessed);
}

void vmmu_shadow_change_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value)
{
    const struct vmmu_x86_format *const format = shadow_format(&edit->state->pages[spot.page]);
    const uint64_t old = store(edit, spot, value);
    const uint64_t lost = (old ^ format->inverted) & ~(value ^ format->inverted);

    if ((lost & vmmu_format_rights_mask(format)) != 0) {
        edit->flush_vps = edit->shadow->config.vps;
    }
}

/* A page has lost a parent. One that pieces a large page together is good for nothing without. */
static void orphan(struct shadow_edit *edit, uint32_t index, bool was_pinned)
{
    struct shadow_page *const page = &edit->state->pages[index];

    page->pins -= was_pinned;
    if (page->role.kind == SHADOW_DIRECT && page->parents == SHADOW_NONE && page->pins == 0) {
        vmmu_shadow_remove(edit, index);
    }
}

/* Who may have cached what is in @page. The topmost entries under PAE are one virtual processor's own. */
static uint64_t walkers_of(const struct shadow_edit *edit, uint32_t index)
{
    const struct shadow_page *const page = &edit->state->pages[index];

    return page->role.kind == SHADOW_TOP ? BIT64(page->frame / VMMU_PAGE_BYTES) : edit->shadow->config.vps;
}

void vmmu_shadow_zap(struct shadow_edit *edit, struct shadow_spot spot)
{
    const uint32_t slot = shadow_slot_of(spot);
    const struct shadow_slot was = edit->state->slots[slot];

    if (was.target == SHADOW_NO_TARGET) {
        return;
    }
    (void)store(edit, spot, 0);
    detach(edit, slot);
    edit->flush_vps |= walkers_of(edit, spot.page);
    edit->shadow->counters.zapped++;
    if (shadow_is_link(&was)) {
        orphan(edit, (uint32_t)was.target, edit->state->pages[spot.page].role.kind == SHADOW_TOP);
    }
}

/* --- pages --- */

void vmmu_shadow_clear(struct shadow_edit *edit, uint32_t page)
{
    for (uint32_t i = 0; edit->state->pages[page].entries != 0 && i < ENTRIES; i++) {
        vmmu_shadow_zap(edit, (struct shadow_spot){ page, i });
    }
}

/*
 * The same for a page that is unlinked: its table is left as it stands, for processors
 * may be walking through it until they flush.
 */
static void abandon_entries(struct shadow_edit *edit, uint32_t page)
{
    for (uint32_t i = 0; edit->state->pages[page].entries != 0 && i < ENTRIES; i++) {
        const uint32_t slot = page * ENTRIES + i;
        const struct shadow_slot was = edit->state->slots[slot];

        if (was.target == SHADOW_NO_TARGET) {
            continue;
        }
        detach(edit, slot);
        if (shadow_is_link(&was)) {
            orphan(edit, (uint32_t)was.target, false);
        }
    }
}

/* Pages of a lower level only are removed from within: five deep at most. */
void vmmu_shadow_remove(struct shadow_edit *edit, uint32_t index)
{
    struct shadow_page *const page = &edit->state->pages[index];
    const struct vmmu_table_memory *const memory = edit->shadow->memory;
    bool reachable;

    VMMU_ASSERT(page->pins == 0);
    while (page->parents != SHADOW_NONE) {
        const uint32_t parent = page->parents;

        (void)store(edit, shadow_spot_of(parent), 0);
        detach(edit, parent);
        edit->shadow->counters.zapped++;
        edit->flush_vps = edit->shadow->config.vps;
    }
    /* A page that was unlinked before is cached nowhere, once all plans since have been carried out. */
    reachable = edit->flush_vps != 0 || vmmu_table_is_unflushed(memory, 0, UINT64_MAX, false);
    if (reachable) {
        edit->flush_vps = edit->shadow->config.vps;
    }
    abandon_entries(edit, index);
    vmmu_shadow_give(edit, index, reachable);
}

/* --- by guest frame --- */

/* Whether the leaf at @spot, of guest frame @frame, has rights beyond @rights; and take them. */
static void narrow_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint8_t rights)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_x86_format *const format = shadow_format(page);
    const struct vmmu_x86_level *const level = shadow_level(page);
    const uint64_t entry = vmmu_shadow_entry(edit, spot);
    const uint8_t has = vmmu_format_rights(format, vmmu_format_grants(format, level, entry));
    const uint8_t lost = has & (uint8_t) ~(rights | VMMU_X86_RIGHT_USER);

    if (lost == 0) {
        return;
    }
    if ((lost & VMMU_X86_RIGHT_READ) || page->role.level > 1) {
        vmmu_shadow_zap(edit, spot);
        return;
    }
    vmmu_shadow_change_leaf(edit, spot,
                            (entry & ~vmmu_format_rights_mask(format)) |
                                vmmu_format_rights_bits(format, has & (uint8_t)~lost));
}

void vmmu_shadow_narrow(struct shadow_edit *edit, uint64_t gpa, uint8_t rights)
{
    const struct vmmu_shadow_state *const state = edit->state;

    for (unsigned level = 1; level <= 3; level++) {
        const uint64_t frame = gpa & ~(shadow_bytes(level) - 1);
        uint32_t slot = *vmmu_shadow_leaf_head(state, frame, level);

        while (slot != SHADOW_NONE) {
            const uint32_t next = state->slots[slot].next;

            if (state->slots[slot].target == frame && state->pages[slot / ENTRIES].role.level == level) {
                narrow_leaf(edit, shadow_spot_of(slot), rights);
            }
            slot = next;
        }
    }
}
