/*
 * Which tables the guest may write: the lives of pages, protection of their frames, and the watch over INVLPG that goes
 * with tables that may be stale.
 */
#include "lib/x86/shadow/internal.h"

/* So many roots that nobody uses are kept while their tables are the guest's: those of processes that have ended, mostly. */
#define PARKED_MOST 8U

/* Where processors must be kicked to change it, the watch stays over so many flushes in which nothing was stale. */
#define QUIET_MOST  64U

/* --- lives --- */

static bool may_be_stale(enum shadow_life life)
{
    return life == SHADOW_OPEN || life == SHADOW_CLOSING;
}

static void leave(struct vmmu_shadow_state *state, uint32_t index)
{
    const struct shadow_page *const page = &state->pages[index];

    if (state->cursor == index) {
        state->cursor = page->after;
    }
    if (page->before == SHADOW_NONE) {
        state->first[page->life] = page->after;
    } else {
        state->pages[page->before].after = page->after;
    }
    if (page->after != SHADOW_NONE) {
        state->pages[page->after].before = page->before;
    }
}

static void join(struct vmmu_shadow_state *state, uint32_t index)
{
    struct shadow_page *const page = &state->pages[index];
    uint32_t *const first = &state->first[page->life];

    page->before = SHADOW_NONE;
    page->after = *first;
    if (*first != SHADOW_NONE) {
        state->pages[*first].before = index;
    }
    *first = index;
}

static void count_protected(struct vmmu_shadow_state *state, uint64_t frame, uint32_t by)
{
    *vmmu_shadow_region_count(state, frame, 2) += by;
    *vmmu_shadow_region_count(state, frame, 3) += by;
}

void vmmu_shadow_set_life(struct vmmu_shadow_state *state, uint32_t index, enum shadow_life life)
{
    struct shadow_page *const page = &state->pages[index];
    const enum shadow_life was = (enum shadow_life)page->life;
    const bool protected_before = shadow_is_protecting(page);

    if (was != SHADOW_FREE) {
        leave(state, index);
    }
    page->life = (uint8_t)life;
    if (life != SHADOW_FREE) {
        join(state, index);
    }
    state->stale_entries -= may_be_stale(was) ? page->entries : 0;
    state->stale_entries += may_be_stale(life) ? page->entries : 0;
    state->parked -= was == SHADOW_PARKED;
    state->parked += life == SHADOW_PARKED;
    if (shadow_is_protecting(page) != protected_before) {
        count_protected(state, page->frame, protected_before ? UINT32_MAX : 1);
    }
}

/* --- protection --- */

bool vmmu_shadow_is_protected(const struct shadow_edit *edit, uint64_t frame)
{
    uint32_t page;

    if (*vmmu_shadow_region_count(edit->state, frame, 2) == 0) {
        return false;
    }
    page = vmmu_shadow_first_table(edit, frame);
    while (page != SHADOW_NONE && !shadow_is_protecting(&edit->state->pages[page])) {
        page = vmmu_shadow_next_table(edit, page);
    }
    return page != SHADOW_NONE;
}

static bool is_alone(const struct shadow_edit *edit)
{
    const uint64_t vps = edit->shadow->config.vps;

    return (vps & (vps - 1)) == 0;
}

void vmmu_shadow_close(struct shadow_edit *edit, uint32_t index)
{
    struct shadow_page *const page = &edit->state->pages[index];

    /* A single processor, which waits for this, writes nothing before it has flushed. */
    vmmu_shadow_set_life(edit->state, index, is_alone(edit) ? SHADOW_CLOSED : SHADOW_CLOSING);
    page->writes = 0;
    edit->shadow->counters.closed++;
    vmmu_shadow_narrow(edit, page->frame, VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_WRITE, true);
}

static void give_back(struct shadow_edit *edit, struct shadow_spot spot)
{
    const struct vmmu_x86_format *const format = shadow_format(&edit->state->pages[spot.page]);
    const uint64_t entry = vmmu_shadow_entry(edit, spot);

    if (entry & format->software) {
        vmmu_shadow_change(edit, spot, (entry & ~format->software) | format->write);
    }
}

void vmmu_shadow_unprotect(struct shadow_edit *edit, uint64_t frame)
{
    const struct vmmu_shadow_state *const state = edit->state;
    uint32_t slot = *vmmu_shadow_leaf_head(state, frame, 1);

    if (vmmu_shadow_is_protected(edit, frame)) {
        return;
    }
    for (; slot != SHADOW_NONE; slot = state->slots[slot].next) {
        if (shadow_leaf_frame(&state->slots[slot]) == frame && state->pages[slot / ENTRIES].role.level == 1) {
            give_back(edit, shadow_spot_of(slot));
        }
    }
}

void vmmu_shadow_open(struct shadow_edit *edit, uint64_t frame)
{
    uint32_t page = vmmu_shadow_first_table(edit, frame);

    shadow_lose_ways(edit->state);
    for (; page != SHADOW_NONE; page = vmmu_shadow_next_table(edit, page)) {
        struct shadow_page *const table = &edit->state->pages[page];

        if (shadow_is_protecting(table)) {
            vmmu_shadow_speak(edit, page, true);
            table->calm = 0;
            table->absent = 0;
            vmmu_shadow_set_life(edit->state, page, SHADOW_OPEN);
            edit->shadow->counters.opened++;
            if (shadow_is_root(table) && table->pins == 0) {
                vmmu_shadow_park(edit, page);
            }
        }
    }
    vmmu_shadow_unprotect(edit, frame);
}

/* --- roots that nobody uses --- */

static void remove_oldest_parked(struct shadow_edit *edit)
{
    const struct shadow_page *const pages = edit->state->pages;
    uint32_t page = edit->state->first[SHADOW_PARKED];

    while (pages[page].after != SHADOW_NONE) {
        page = pages[page].after;
    }
    /* What this operation uses may be about to be linked. */
    if (pages[page].turn != edit->state->turn) {
        vmmu_shadow_remove(edit, page);
    }
}

void vmmu_shadow_park(struct shadow_edit *edit, uint32_t index)
{
    vmmu_shadow_set_life(edit->state, index, SHADOW_PARKED);
    if (edit->state->parked > PARKED_MOST) {
        remove_oldest_parked(edit);
    }
}

/* --- the watch --- */

bool vmmu_shadow_watch(struct shadow_edit *edit)
{
    struct vmmu_shadow *const shadow = edit->shadow;

    edit->state->quiet = 0;
    if (!shadow->watches_invlpg) {
        shadow->watches_invlpg = true;
        edit->state->watch_is_known = is_alone(edit);
        if (!edit->state->watch_is_known) {
            edit->flush_vps = shadow->config.vps;
        }
    } else if (!edit->state->watch_is_known) {
        edit->state->watch_is_known = edit->flush_vps == 0 && !vmmu_shadow_is_unsettled(edit);
    }
    return edit->state->watch_is_known;
}

void vmmu_shadow_relax(struct shadow_edit *edit)
{
    if (edit->state->stale_entries != 0) {
        edit->state->quiet = 0;
    } else if (edit->shadow->watches_invlpg && (is_alone(edit) || ++edit->state->quiet > QUIET_MOST)) {
        edit->shadow->watches_invlpg = false;
    }
}
