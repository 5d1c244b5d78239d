/*
 * Shadow pages when they are needed: found, or made; and room for them.
 *
 * Invariant: a page that this operation uses is not evicted by it, nor is one that is pinned. An operation that evicted ends
 * there and is called again, so that it never holds on to what is gone.
 */
#include "lib/x86/shadow/internal.h"

/* One page in so many is evicted at once, so that few operations have to. */
#define EVICTION_SHARE 32U
#define EVICTION_MOST  64U

static bool may_evict(const struct shadow_edit *edit, const struct shadow_page *page)
{
    return page->pins == 0 && page->turn != edit->state->turn;
}

/* Evict @count pages, the oldest first. Whether there was one. */
static bool evict(struct shadow_edit *edit, uint32_t count)
{
    struct vmmu_shadow_state *const state = edit->state;
    struct vmmu_shadow_counters *const counters = &edit->shadow->counters;
    uint32_t page = state->oldest;
    uint32_t evicted = 0;

    while (page != SHADOW_NONE && evicted < count) {
        const uint32_t newer = state->pages[page].newer;

        if (may_evict(edit, &state->pages[page])) {
            vmmu_shadow_remove(edit, page);
            counters->evicted++;
            evicted++;
            /* Direct pages went with it, the next one perhaps among them. */
            page = state->oldest;
        } else {
            page = newer;
        }
    }
    return evicted != 0;
}

static uint32_t eviction_batch(const struct shadow_edit *edit)
{
    const uint32_t share = edit->shadow->config.pool_pages / EVICTION_SHARE;

    return share < EVICTION_MOST ? share : EVICTION_MOST;
}

/* Have @any pages and @below_4g more below 4 GiB to take. */
static enum vmmu_status make_room(struct shadow_edit *edit, uint32_t any, uint32_t below_4g)
{
    const uint32_t wanted = any + below_4g;
    const uint32_t unused = edit->shadow->config.pool_pages - (uint32_t)edit->shadow->counters.pages;

    if (unused < wanted) {
        return evict(edit, wanted - unused + eviction_batch(edit)) ? VMMU_FLUSH_RETRY : VMMU_NO_MEMORY;
    }
    edit->reserved = true;
    const enum vmmu_status status = vmmu_table_reserve(edit->shadow->memory, any, below_4g);

    if (status == VMMU_NO_MEMORY && evict(edit, wanted + eviction_batch(edit))) {
        return VMMU_FLUSH_RETRY;
    }
    return status;
}

/* Find those of @stops that there are, and count the others. */
static uint32_t find_all(struct shadow_edit *edit, struct shadow_stop *stops, unsigned count)
{
    uint32_t missing = 0;

    for (unsigned i = 0; i < count; i++) {
        stops[i].page = SHADOW_NONE;
        if (!stops[i].wanted) {
            continue;
        }
        stops[i].page = vmmu_shadow_find(edit, stops[i].frame, &stops[i].role);
        if (stops[i].page == SHADOW_NONE) {
            missing++;
        } else {
            vmmu_shadow_touch(edit, stops[i].page);
        }
    }
    return missing;
}

static void make_page(struct shadow_edit *edit, struct shadow_stop *stop)
{
    /* Two stops may be the same page. */
    stop->page = vmmu_shadow_find(edit, stop->frame, &stop->role);
    if (stop->page != SHADOW_NONE) {
        return;
    }
    stop->page = vmmu_shadow_take(edit, stop->frame, &stop->role);
}

enum vmmu_status vmmu_shadow_obtain(struct shadow_edit *edit, struct shadow_stop *stops, unsigned count,
                                    uint32_t below_4g)
{
    const uint32_t missing = find_all(edit, stops, count);
    bool stale = false;

    if (missing + below_4g != 0) {
        const enum vmmu_status status = make_room(edit, missing, below_4g);

        if (status != VMMU_OK) {
            return status;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (stops[i].wanted && stops[i].page == SHADOW_NONE) {
            make_page(edit, &stops[i]);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        stale = stale || (stops[i].wanted && edit->state->pages[stops[i].page].life != SHADOW_CLOSED);
    }
    return stale && !vmmu_shadow_watch(edit) ? VMMU_FLUSH_RETRY : VMMU_OK;
}
