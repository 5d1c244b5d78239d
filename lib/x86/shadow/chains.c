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
    const struct shadow_slot *const at = &state->slots[slot];

    if (shadow_is_link(at)) {
        return &state->pages[shadow_linked_page(at)].parents;
    }
    return vmmu_shadow_leaf_head(state, shadow_leaf_frame(at), state->pages[slot / ENTRIES].role.level);
}

/* An entry of the page there has come, or gone. */
static void count_entry(struct vmmu_shadow_state *state, uint32_t slot, uint32_t by)
{
    struct shadow_page *const page = &state->pages[slot / ENTRIES];

    page->entries += by;
    page->present[slot % ENTRIES / 32] ^= (uint32_t)BIT64(slot % 32);
    if (page->life == SHADOW_OPEN || page->life == SHADOW_CLOSING) {
        state->stale_entries += by;
    }
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
    edit->state->pages[slot / ENTRIES].silent[slot % ENTRIES / 32] &= ~(uint32_t)BIT64(slot % 32);
    count_entry(edit->state, slot, 1);
}

static void detach(struct shadow_edit *edit, uint32_t slot)
{
    struct shadow_slot *const slots = edit->state->slots;
    const uint32_t next = slots[slot].next;
    const uint32_t previous = slots[slot].previous;

    if (shadow_is_link(&slots[slot])) {
        shadow_lose_ways(edit->state);
    }
    if (previous == SHADOW_NONE) {
        *head_of(edit->state, slot) = next;
    } else {
        slots[previous].next = next;
    }
    if (next != SHADOW_NONE) {
        slots[next].previous = previous;
    }
    slots[slot].target = SHADOW_NO_TARGET;
    count_entry(edit->state, slot, UINT32_MAX);
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

void vmmu_shadow_put_nothing(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value)
{
    VMMU_ASSERT(shadow_slot_at(edit, spot)->target == SHADOW_NO_TARGET);
    (void)store(edit, spot, value);
}

void vmmu_shadow_put_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint64_t target, uint64_t value)
{
    uint64_t expected = vmmu_shadow_nothing(edit, spot.page);

    attach(edit, shadow_slot_of(spot), target);
    while (!vmmu_table_exchange(edit->shadow->memory, entry_at(edit, spot), &expected, value)) {
    }
    edit->shadow->counters.stores++;
}

/* The topmost entries under PAE have no bits for rights. */
static uint64_t link_value(const struct shadow_edit *edit, struct shadow_spot spot, uint32_t child,
                           uint8_t rights)
{
    const struct shadow_page *const parent = &edit->state->pages[spot.page];
    const struct vmmu_x86_format *const format = shadow_format(parent);
    const struct vmmu_x86_level *const level = shadow_level(parent);
    const uint64_t link = vmmu_format_link(format, level, edit->state->pages[child].at.v) | level->accessed;
    const uint64_t mask = vmmu_format_rights_mask(format) & ~level->implied & ~format->present;

    return (link & ~mask) | (vmmu_format_rights_bits(format, rights) & mask);
}

void vmmu_shadow_put_link(struct shadow_edit *edit, struct shadow_spot spot, uint32_t child, uint64_t flags,
                          uint8_t rights)
{
    struct shadow_page *const page = &edit->state->pages[child];

    vmmu_shadow_join(edit, spot, child);
    attach(edit, shadow_slot_of(spot), shadow_link_to(child) | flags);
    page->linked = true;
    if (edit->state->pages[spot.page].role.kind == SHADOW_TOP) {
        vmmu_shadow_pin(edit, child);
    }
    (void)store(edit, spot, link_value(edit, spot, child, rights));
}

void vmmu_shadow_change_link(struct shadow_edit *edit, struct shadow_spot spot, uint64_t flags,
                             uint8_t rights)
{
    struct shadow_slot *const slot = shadow_slot_at(edit, spot);
    const uint32_t child = shadow_linked_page(slot);

    shadow_lose_ways(edit->state);
    slot->target = shadow_link_to(child) | flags;
    vmmu_shadow_change(edit, spot, link_value(edit, spot, child, rights));
}

void vmmu_shadow_change(struct shadow_edit *edit, struct shadow_spot spot, uint64_t value)
{
    const struct vmmu_x86_format *const format = shadow_format(&edit->state->pages[spot.page]);

    if (vmmu_shadow_entry(edit, spot) == value) {
        return;
    }
    const uint64_t old = store(edit, spot, value);
    const uint64_t lost = (old ^ format->inverted) & ~(value ^ format->inverted);

    if ((lost & vmmu_format_rights_mask(format)) != 0) {
        edit->flush_vps = edit->shadow->config.vps;
    }
}

void vmmu_shadow_pin(struct shadow_edit *edit, uint32_t index)
{
    struct shadow_page *const page = &edit->state->pages[index];

    page->pins++;
    if (page->life == SHADOW_PARKED) {
        vmmu_shadow_speak(edit, index, true);
        vmmu_shadow_set_life(edit->state, index, SHADOW_OPEN);
    }
}

/* A page has lost a parent, or is a root no more. One that leads nowhere is good for nothing, but for the guest's roots. */
static void orphan(struct shadow_edit *edit, uint32_t index)
{
    const struct shadow_page *const page = &edit->state->pages[index];

    if (page->parents != SHADOW_NONE || page->pins != 0) {
        return;
    }
    if (!shadow_is_root(page)) {
        vmmu_shadow_remove(edit, index);
    } else if (page->life == SHADOW_OPEN) {
        vmmu_shadow_park(edit, index);
    }
}

void vmmu_shadow_unpin(struct shadow_edit *edit, uint32_t index)
{
    edit->state->pages[index].pins--;
    if (edit->state->pages[index].role.kind != SHADOW_TOP) {
        orphan(edit, index);
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
    (void)store(edit, spot, vmmu_shadow_nothing(edit, spot.page));
    detach(edit, slot);
    edit->flush_vps |= walkers_of(edit, spot.page);
    edit->resized = edit->resized || edit->state->pages[spot.page].role.level > 1;
    edit->shadow->counters.zapped++;
    if (!shadow_is_link(&was)) {
        return;
    }
    if (edit->state->pages[spot.page].role.kind == SHADOW_TOP) {
        vmmu_shadow_unpin(edit, shadow_linked_page(&was));
    } else {
        orphan(edit, shadow_linked_page(&was));
    }
}

/* --- pages --- */

void vmmu_shadow_clear(struct shadow_edit *edit, uint32_t page)
{
    const struct shadow_page *const table = &edit->state->pages[page];

    for (uint32_t i = shadow_next_present(table, 0); i < ENTRIES; i = shadow_next_present(table, i + 1)) {
        vmmu_shadow_zap(edit, (struct shadow_spot){ page, i });
    }
}

/*
 * The same for a page that is unlinked: its table is left as it stands, for processors
 * may be walking through it until they flush.
 */
static void abandon_entries(struct shadow_edit *edit, uint32_t page)
{
    const struct shadow_page *const table = &edit->state->pages[page];

    for (uint32_t i = shadow_next_present(table, 0); i < ENTRIES; i = shadow_next_present(table, i + 1)) {
        const uint32_t slot = page * ENTRIES + i;
        const struct shadow_slot was = edit->state->slots[slot];

        detach(edit, slot);
        if (shadow_is_link(&was)) {
            orphan(edit, shadow_linked_page(&was));
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

        (void)store(edit, shadow_spot_of(parent), vmmu_shadow_nothing(edit, parent / ENTRIES));
        detach(edit, parent);
        edit->shadow->counters.zapped++;
        edit->flush_vps = edit->shadow->config.vps;
        edit->resized = true;
    }
    /*
     * A page that was unlinked before is cached nowhere, once all plans since have been carried out. A root of before may be: only
     * without tags of their own are those gone that are not in use.
     */
    reachable = edit->flush_vps != 0 || vmmu_table_is_unflushed(memory, 0, UINT64_MAX, false) ||
                (edit->shadow->config.tagged_roots && page->linked && shadow_is_root(page));
    if (reachable) {
        edit->flush_vps = edit->shadow->config.vps;
        vmmu_shadow_speak(edit, index, false);
    }
    abandon_entries(edit, index);
    vmmu_shadow_give(edit, index, reachable);
}

/* --- by guest frame --- */

/* Take from the leaf at @spot what @rights does not have; @held: to be given back. */
static void narrow_leaf(struct shadow_edit *edit, struct shadow_spot spot, uint8_t rights, bool held)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_x86_format *const format = shadow_format(page);
    const struct vmmu_x86_level *const level = shadow_level(page);
    const uint64_t entry = vmmu_shadow_entry(edit, spot);
    const uint8_t has = vmmu_format_rights(format, vmmu_format_grants(format, level, entry));
    const uint8_t lost = has & (uint8_t) ~(rights | VMMU_X86_RIGHT_USER);
    uint64_t keeps = entry & ~vmmu_format_rights_mask(format);

    if (!held && !(rights & VMMU_X86_RIGHT_WRITE)) {
        keeps &= ~format->software;
    } else if (lost & VMMU_X86_RIGHT_WRITE) {
        keeps |= format->software;
    }
    if (lost != 0 && ((lost & VMMU_X86_RIGHT_READ) || page->role.level > 1)) {
        vmmu_shadow_zap(edit, spot);
    } else {
        vmmu_shadow_change(edit, spot, keeps | vmmu_format_rights_bits(format, has & (uint8_t)~lost));
    }
}

void vmmu_shadow_narrow(struct shadow_edit *edit, uint64_t gpa, uint8_t rights, bool held)
{
    const struct vmmu_shadow_state *const state = edit->state;

    for (unsigned level = 1; level <= 3; level++) {
        const uint64_t frame = gpa & ~(shadow_bytes(level) - 1);
        uint32_t slot = *vmmu_shadow_leaf_head(state, frame, level);

        while (slot != SHADOW_NONE) {
            const uint32_t next = state->slots[slot].next;

            if (shadow_leaf_frame(&state->slots[slot]) == frame &&
                state->pages[slot / ENTRIES].role.level == level) {
                narrow_leaf(edit, shadow_spot_of(slot), rights, held);
            }
            slot = next;
        }
    }
}
