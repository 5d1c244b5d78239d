/*
 * Shadow pages when they are needed: found, or made; room for them; and their guest tables write-protected.
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
    const enum vmmu_status status = vmmu_table_reserve(edit->shadow->memory, any, below_4g);

    if (status == VMMU_NO_MEMORY && evict(edit, wanted + eviction_batch(edit))) {
        return VMMU_FLUSH_RETRY;
    }
    return status;
}

/* Whether @page may get entries: no processor can write its table unseen. */
static bool is_ready(struct shadow_edit *edit, struct shadow_page *page)
{
    if (page->life == SHADOW_FRESH && page->role.kind == SHADOW_TABLE &&
        (edit->flush_vps != 0 || vmmu_table_is_unflushed(edit->shadow->memory, 0, UINT64_MAX, false))) {
        return false;
    }
    page->life = SHADOW_LIVE;
    return true;
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
    if (stop->role.kind == SHADOW_TABLE) {
        vmmu_shadow_narrow(edit, stop->frame, VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_WRITE);
    }
}

enum vmmu_status vmmu_shadow_obtain(struct shadow_edit *edit, struct shadow_stop *stops, unsigned count,
                                    uint32_t below_4g)
{
    const uint32_t missing = find_all(edit, stops, count);
    bool ready = true;

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
        ready = (!stops[i].wanted || is_ready(edit, &edit->state->pages[stops[i].page])) && ready;
    }
    return ready ? VMMU_OK : VMMU_FLUSH_RETRY;
}
