/*
 * What the guest's flushes bring in step: open pages are compared with their tables, and what does not agree goes.
 *
 * A processor may keep what it has cached until it is told to invalidate it, and open pages make use of that: so this
 * is done where the guest tells, for all pages at once. Those that stay as they are get closed.
 */
#include "lib/x86/shadow/internal.h"

/* A page that agreed so many times in a row is closed: its table is not being worked on. By level. */
static const uint8_t calm_enough[SHADOW_LEVELS + 1] = { 0, 5, 2, 2, 2, 2 };

/* A page with so many entries is cheaper given up than emptied one by one. */
#define MANY_ENTRIES 16U

/* A time to compare pages. */
struct sync {
    unsigned level;                /* from which upwards */
    bool counts;                   /* as a flush of the guest's */
    struct shadow_prefill *refill; /* NULL: what is removed stays away */
};

/*
 * Remove the entry there if it does not agree. With @refill, what the guest has ready in its place takes it: if that is a
 * leaf like it, what is cached of the old one is as stale as the guest has it.
 */
static void check_entry(struct shadow_edit *edit, struct shadow_spot spot, struct shadow_prefill *refill)
{
    struct shadow_page *const page = &edit->state->pages[spot.page];
    const bool was_leaf = shadow_is_leaf(shadow_slot_at(edit, spot));

    if (vmmu_shadow_still_agrees(edit, spot)) {
        return;
    }
    vmmu_shadow_zap(edit, spot);
    page->emptied = spot.index;
    if (was_leaf && page->role.level == 1 && vmmu_shadow_may_refill(refill, page)) {
        (void)vmmu_shadow_prefill_entry(refill, spot);
    }
}

/* Whether all entries agreed, and none was wanted. */
static bool check_page(struct shadow_edit *edit, uint32_t index, struct shadow_prefill *refill)
{
    struct shadow_page *const page = &edit->state->pages[index];
    const uint64_t stores = edit->shadow->counters.stores;

    /* Windows of a kernel's come and go in one place. */
    if (page->role.level == 1 && page->emptied != ENTRIES && vmmu_shadow_may_refill(refill, page) &&
        vmmu_shadow_watch(edit)) {
        const uint32_t emptied = page->emptied;

        page->emptied = ENTRIES;
        if (!vmmu_shadow_prefill_entry(refill, (struct shadow_spot){ index, emptied })) {
            page->emptied = emptied;
        }
    }
    for (uint32_t i = shadow_next_present(page, 0); i < ENTRIES; i = shadow_next_present(page, i + 1)) {
        check_entry(edit, (struct shadow_spot){ index, i }, refill);
    }
    edit->shadow->counters.syncs++;
    return edit->shadow->counters.stores == stores;
}

void vmmu_shadow_close_at_once(struct shadow_edit *edit, uint32_t index)
{
    (void)check_page(edit, index, NULL);
    vmmu_shadow_close(edit, index);
}

static void calm_down(struct shadow_edit *edit, uint32_t index)
{
    struct shadow_page *const page = &edit->state->pages[index];

    if (++page->calm < calm_enough[page->role.level]) {
        return;
    }
    if (page->parents == SHADOW_NONE && page->pins == 0) {
        vmmu_shadow_remove(edit, index);
    } else {
        vmmu_shadow_close(edit, index);
    }
}

/* Whether the guest seems to have emptied the last table that it is: the first entries of ours have nothing behind them. */
static bool is_emptied(const struct shadow_edit *edit, uint32_t index)
{
    const struct shadow_page *const page = &edit->state->pages[index];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    uint32_t i = shadow_next_present(page, 0);
    uint64_t entry;

    if (page->role.level > 1 || page->entries < MANY_ENTRIES) {
        return false;
    }
    for (uint32_t seen = 0; seen < MANY_ENTRIES; seen++) {
        if (!vmmu_shadow_load(edit, (struct shadow_spot){ index, i }, &entry) ||
            vmmu_format_is_present(format, entry)) {
            return false;
        }
        i = shadow_next_present(page, i + 1);
    }
    return true;
}

static void sync_page(struct shadow_edit *edit, uint32_t index, const struct sync *sync)
{
    struct shadow_page *const page = &edit->state->pages[index];

    page->checked = edit->state->turn;
    if (page->pins == 0 && is_emptied(edit, index)) {
        vmmu_shadow_remove(edit, index);
        return;
    }
    if (page->life == SHADOW_CLOSING) {
        /* As long as some processor can write the table, to have compared it says nothing. */
        const bool settled = !vmmu_shadow_is_unsettled(edit);

        (void)check_page(edit, index, sync->refill);
        if (settled) {
            vmmu_shadow_set_life(edit->state, index, SHADOW_CLOSED);
        }
    } else if (!check_page(edit, index, sync->refill)) {
        page->calm = 0;
    } else if (sync->counts) {
        calm_down(edit, index);
    }
}

/* Pages that live so, whatever happens to others meanwhile. */
static void sync_life(struct shadow_edit *edit, enum shadow_life life, const struct sync *sync)
{
    struct vmmu_shadow_state *const state = edit->state;
    uint32_t page = state->first[life];

    while (page != SHADOW_NONE) {
        /* It moves on by itself if that page goes. */
        state->cursor = state->pages[page].after;
        if (state->pages[page].checked != state->turn && state->pages[page].role.level >= sync->level) {
            sync_page(edit, page, sync);
        }
        page = state->cursor;
    }
}

/* From above: what is unlinked there needs no comparing. */
static void sync_pages(struct shadow_edit *edit, const struct sync *sync)
{
    struct sync uppers = *sync;

    uppers.level = 2;
    shadow_lose_ways(edit->state);
    sync_life(edit, SHADOW_CLOSING, &uppers);
    sync_life(edit, SHADOW_OPEN, &uppers);
    if (sync->level < 2) {
        sync_life(edit, SHADOW_CLOSING, sync);
        sync_life(edit, SHADOW_OPEN, sync);
    }
}

void vmmu_shadow_sync_all(struct shadow_edit *edit, const struct vmmu_x86_mode *mode)
{
    struct shadow_prefill refill = { .edit = edit, .mode = mode };
    const struct sync sync = { .level = 1, .counts = true, .refill = &refill };

    sync_pages(edit, &sync);
    vmmu_shadow_relax(edit);
}

void vmmu_shadow_refresh(struct shadow_edit *edit)
{
    static const struct sync sync = { .level = 1 };

    sync_pages(edit, &sync);
}

void vmmu_shadow_sync_path(struct shadow_edit *edit, uint32_t root, uint64_t address)
{
    const struct vmmu_shadow_state *const state = edit->state;
    struct shadow_spot spot = { .page = root };

    for (;;) {
        const struct shadow_page *const page = &state->pages[spot.page];

        spot.index = vmmu_format_index(shadow_level(page), address);
        if (shadow_slot_at(edit, spot)->target != SHADOW_NO_TARGET && page->life != SHADOW_CLOSED) {
            check_entry(edit, spot, NULL);
        }
        if (!shadow_is_link(shadow_slot_at(edit, spot))) {
            return;
        }
        spot.page = shadow_linked_page(shadow_slot_at(edit, spot));
    }
}

struct vmmu_outcome vmmu_shadow_invlpg(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va)
{
    static const struct sync uppers = { .level = 2, .counts = true };
    struct shadow_edit edit;
    const struct shadow_vp *now;

    if (vp >= VMMU_SHADOW_VPS || shadow->state->vps[vp].root == SHADOW_NONE) {
        return (struct vmmu_outcome){ .status = VMMU_INVALID };
    }
    if (!vmmu_shadow_begin(&edit, shadow)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    now = &shadow->state->vps[vp];
    shadow->counters.invlpgs++;
    /* Of tables above the last no processor keeps anything, whatever the address. */
    sync_pages(&edit, &uppers);
    vmmu_shadow_sync_path(&edit, now->root, now->mode.address_bits == 32 ? va.v & BITS64(31, 0) : va.v);
    vmmu_shadow_relax(&edit);
    vmmu_shadow_settle(&edit, shadow->config.vps);
    return vmmu_shadow_end(&edit, VMMU_OK);
}
