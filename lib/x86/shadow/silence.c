/*
 * Faults that go to the guest without an exit, where the processor tells by P of the error code (config.silent_absent).
 *
 * Entries of nothing are traps: present, with reserved bits. One is silent, which is to say not present, only where
 * the guest's own entry is known not to be, and nobody else has to look at the fault:
 *
 * Invariants
 * - A page with silent entries is SHADOW_CLOSED, and the guest's entry is not present wherever ours is silent.
 * - So is each page on each way to it that a processor walks: the guest may count on a fault to make processors forget what led
 *   there, and what is closed is as it was. Such pages are `firm`.
 * - Before the guest may write a table, or another way leads there, what was silent are traps again. A processor caches neither: no flush
 *   goes with it.
 *
 * A register that says that an entry is not present is as good as a closed table: of SHADOW_TOP all entries of nothing are so.
 *
 * Entries become silent where the guest has faults of its own, and only around those: to look at its table costs as much as it saves
 * where no more come.
 */
#include "lib/x86/shadow/internal.h"

/* Entries that are looked at before and after one that a fault was reflected for. */
#define SILENT_BEFORE 16U
#define SILENT_AFTER  64U

/* A table of the last level is closed after so many such faults: others will follow. */
#define ABSENT_ENOUGH 4U

/* Pages that are closed for that at most. */
#define WAYS_MOST     16U

uint64_t vmmu_shadow_nothing(const struct shadow_edit *edit, uint32_t page)
{
    return edit->state->pages[page].role.kind == SHADOW_TOP ? 0 : edit->state->trap;
}

void vmmu_shadow_set_traps(struct shadow_edit *edit, uint32_t page)
{
    uint64_t *const table = edit->state->pages[page].table;
    const uint64_t nothing = vmmu_shadow_nothing(edit, page);

    vmmu_table_fill(&table[0], nothing);
    for (uint32_t filled = 1; filled < ENTRIES; filled *= 2) {
        __builtin_memcpy(&table[filled], &table[0], filled * sizeof(table[0]));
    }
}

/* --- silent no more --- */

static void set_trap(struct shadow_edit *edit, struct shadow_spot spot)
{
    edit->state->pages[spot.page].silent[spot.index / 32] &= ~(uint32_t)BIT64(spot.index % 32);
    vmmu_shadow_put_nothing(edit, spot, edit->state->trap);
}

void vmmu_shadow_speak_at(struct shadow_edit *edit, struct shadow_spot spot)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    uint64_t entry;

    if (shadow_is_silent(edit, spot) &&
        (!vmmu_shadow_load(edit, spot, &entry) ||
         vmmu_format_is_present(&vmmu_x86_formats[page->role.format], entry))) {
        set_trap(edit, spot);
    }
}

/* Pages of a lower level only are below: five deep at most. */
void vmmu_shadow_speak(struct shadow_edit *edit, uint32_t index, bool below)
{
    struct shadow_page *const page = &edit->state->pages[index];

    if (!page->firm) {
        return;
    }
    for (uint32_t i = 0; i < ENTRIES; i++) {
        const struct shadow_spot spot = { index, i };

        if (shadow_is_silent(edit, spot)) {
            set_trap(edit, spot);
        } else if (below && shadow_is_link(shadow_slot_at(edit, spot))) {
            vmmu_shadow_speak(edit, shadow_linked_page(shadow_slot_at(edit, spot)), true);
        }
    }
    page->firm = false;
}

/* --- silent --- */

/*
 * Whether @index and all that leads to it is closed, or walked by nobody: what is parked may lead anywhere until it is used again. It is
 * remembered. Pages of a higher level lead there: five deep at most.
 */
static bool make_firm(struct shadow_edit *edit, uint32_t index)
{
    struct shadow_page *const page = &edit->state->pages[index];

    if (page->firm) {
        return true;
    }
    if (page->life != SHADOW_CLOSED && page->life != SHADOW_PARKED) {
        return false;
    }
    for (uint32_t slot = page->parents; slot != SHADOW_NONE; slot = edit->state->slots[slot].next) {
        if (!make_firm(edit, slot / ENTRIES)) {
            return false;
        }
    }
    page->firm = true;
    return true;
}

void vmmu_shadow_join(struct shadow_edit *edit, struct shadow_spot spot, uint32_t child)
{
    if (edit->state->pages[child].firm && !make_firm(edit, spot.page)) {
        vmmu_shadow_speak(edit, child, true);
    }
}

/* Whether ours is a trap in a table's page, and the guest's is not present. */
static bool is_absent(const struct shadow_edit *edit, struct shadow_spot spot)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    uint64_t entry;

    return page->role.kind == SHADOW_TABLE && shadow_slot_at(edit, spot)->target == SHADOW_NO_TARGET &&
           !shadow_is_silent(edit, spot) && vmmu_shadow_load(edit, spot, &entry) &&
           !vmmu_format_is_present(&vmmu_x86_formats[page->role.format], entry);
}

static void silence(struct shadow_edit *edit, struct shadow_spot spot)
{
    if (is_absent(edit, spot)) {
        edit->state->pages[spot.page].silent[spot.index / 32] |= (uint32_t)BIT64(spot.index % 32);
        vmmu_shadow_put_nothing(edit, spot, 0);
    }
}

static void silence_around(struct shadow_edit *edit, struct shadow_spot spot)
{
    const uint32_t first = spot.index > SILENT_BEFORE ? spot.index - SILENT_BEFORE : 0;
    const uint32_t end = spot.index + SILENT_AFTER < ENTRIES ? spot.index + SILENT_AFTER : ENTRIES;

    for (uint32_t i = first; i < end; i++) {
        silence(edit, (struct shadow_spot){ spot.page, i });
    }
    edit->shadow->counters.silenced++;
}

/* --- what a fault of the guest's tells --- */

/* Where links from @root on the way to @address end. */
static struct shadow_spot follow_links(const struct shadow_edit *edit, uint32_t root, uint64_t address)
{
    struct shadow_spot spot = { .page = root };

    for (;;) {
        const struct shadow_slot *slot;

        spot.index = vmmu_format_index(shadow_level(&edit->state->pages[spot.page]), address);
        slot = shadow_slot_at(edit, spot);
        if (!shadow_is_link(slot)) {
            return spot;
        }
        spot.page = shadow_linked_page(slot);
    }
}

/* An open page on some way to @index, or that itself if there is no other; or SHADOW_NONE. */
static uint32_t find_open(const struct shadow_edit *edit, uint32_t index)
{
    const struct shadow_page *const page = &edit->state->pages[index];

    if (page->firm) {
        return SHADOW_NONE;
    }
    for (uint32_t slot = page->parents; slot != SHADOW_NONE; slot = edit->state->slots[slot].next) {
        const uint32_t open = find_open(edit, slot / ENTRIES);

        if (open != SHADOW_NONE) {
            return open;
        }
    }
    return page->life == SHADOW_OPEN ? index : SHADOW_NONE;
}

/*
 * Close the table of the last level that translates @address, after all that leads to it: closed alone it would be opened by the
 * next write, in vain. A page that is closed loses links that do not agree; what they led to may go.
 */
static struct shadow_spot close_ways(struct shadow_edit *edit, uint32_t root, uint64_t address)
{
    struct shadow_spot spot = follow_links(edit, root, address);

    for (unsigned i = 0; i < WAYS_MOST; i++) {
        const uint32_t open = find_open(edit, spot.page);

        if (open == SHADOW_NONE) {
            break;
        }
        vmmu_shadow_close_at_once(edit, open);
        spot = follow_links(edit, root, address);
    }
    return spot;
}

void vmmu_shadow_heed_absent(struct shadow_edit *edit, uint32_t root, uint64_t address)
{
    struct shadow_spot spot;
    struct shadow_page *page;

    if (edit->state->trap == 0) {
        return;
    }
    spot = follow_links(edit, root, address);
    page = &edit->state->pages[spot.page];
    if (!is_absent(edit, spot)) {
        return;
    }
    if (!make_firm(edit, spot.page)) {
        if (page->role.level > 1 || ++page->absent < ABSENT_ENOUGH) {
            return;
        }
        spot = close_ways(edit, root, address);
        if (!is_absent(edit, spot) || !make_firm(edit, spot.page)) {
            return;
        }
    }
    silence_around(edit, spot);
}
