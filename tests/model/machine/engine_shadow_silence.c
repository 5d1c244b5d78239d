/*
 * Entries that are not present: a fault that one raises goes to the guest, and the library does not hear of it.
 *
 * So one may stand only where the guest's own entry is not present, and cannot come to be present unseen: in the page of a table that
 * is closed. And what leads there must be in step for as long as it may be walked, for a processor that raises a page
 * fault forgets what led to it, and the guest may count on that.
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches".
 */
#include "tests/model/machine/engine_shadow_internal.h"

#include <inttypes.h>

#include "lib/x86/shadow/internal.h"

/* Pages that are looked at after each operation. */
#define PAGES_AT_A_TIME 2U

static void complain(struct engine *engine, uint32_t page, uint32_t index, const char *what)
{
    world_report(engine->world, CHECK_SILENCE, "shadow page %u, entry %u is not present: %s", page, index,
                 what);
}

/* One of the four topmost entries under PAE: while somebody walks it, it is as the register of the guest's is. */
static const char *look_at_top(const struct vmmu_shadow_state *state, uint32_t page, uint32_t index)
{
    const struct shadow_vp *vp = &state->vps[state->pages[page].frame / VMMU_PAGE_BYTES];
    const struct vmmu_x86_mode *mode = &vp->mode;

    if (vp->root != page) {
        return NULL;
    }
    if (mode->paging != VMMU_X86_PAGING_PAE) {
        return "the guest has no such entry";
    }
    return mode->pdpte[index] & 1 ? "the guest's register is" : NULL;
}

static const char *look_at_entry(struct engine *engine, const struct shadow_page *page, uint32_t index)
{
    const uint64_t place = vmmu_shadow_entry_address(page, index);
    const unsigned width_bytes = vmmu_x86_formats[page->role.format].entry_bytes;

    if (page->role.kind != SHADOW_TABLE) {
        return "it stands for no entry of the guest's";
    }
    if (page->life != SHADOW_CLOSED) {
        return "the guest can write its table";
    }
    if (!guest_has_memory(place) || !world_host_maps(engine->world, place, &(uint8_t){ 0 })) {
        return "the guest's table is in no memory";
    }
    return reference_load(world_reference(engine->world), place, width_bytes) & 1 ? "the guest's is" : NULL;
}

/* Whether a processor may come to @page by a table that the guest can write. */
static bool is_below_open(const struct vmmu_shadow_state *state, uint32_t page)
{
    for (uint32_t slot = state->pages[page].parents; slot != SHADOW_NONE; slot = state->slots[slot].next) {
        const uint32_t parent = slot / ENTRIES;

        /* Nobody walks what is parked. */
        if (state->pages[parent].life == SHADOW_OPEN || state->pages[parent].life == SHADOW_CLOSING ||
            is_below_open(state, parent)) {
            return true;
        }
    }
    return false;
}

static void look_at_page(struct engine *engine, uint32_t number)
{
    const struct vmmu_shadow_state *state = engine->shadow.state;
    const struct shadow_page *page = &state->pages[number];
    const uint32_t count = page->role.kind == SHADOW_TOP ? SHADOW_PAE_ROOTS : ENTRIES;
    const uint64_t *entries = page->table;
    bool silent = false;

    for (uint32_t i = 0; i < count; i++) {
        if (entries[i] & 1) {
            continue;
        }
        const char *what =
            page->role.kind == SHADOW_TOP ? look_at_top(state, number, i) : look_at_entry(engine, page, i);

        if (what) {
            complain(engine, number, i, what);
            return;
        }
        silent = page->role.kind != SHADOW_TOP;
    }
    if (silent && is_below_open(state, number)) {
        complain(engine, number, 0, "a table that leads there can be written");
    }
}

void shadow_check_silence(struct engine *engine, bool all)
{
    const uint32_t pool = engine->shadow.config.pool_pages;
    const uint32_t first = all ? 0 : world_below(engine->world, pool);
    uint32_t left = all ? pool : PAGES_AT_A_TIME;

    for (uint32_t i = 0; i < pool && left != 0; i++) {
        const uint32_t number = first + i < pool ? first + i : first + i - pool;

        if (engine->shadow.state->pages[number].life != SHADOW_FREE) {
            look_at_page(engine, number);
            left--;
        }
    }
}
