/*
 * What the embedder does underneath: memory that is not there any more, or lost rights, or
 * types that mean something else.
 *
 * A small range is looked up page by page, a large one by going through all entries that there are.
 */
#include "lib/x86/shadow/internal.h"

bool vmmu_shadow_is_owned(const struct shadow_edit *edit, uint64_t hpa, uint64_t bytes)
{
    const struct vmmu_host *const host = edit->shadow->memory->host;

    return vmmu_range_fits(hpa, bytes, BIT64(edit->shadow->config.maxphyaddr)) &&
           host->owns(host->context, (vmmu_hpa){ hpa }, bytes);
}

enum vmmu_status vmmu_shadow_back(const struct shadow_edit *edit, uint64_t gpa, uint8_t needed,
                                  struct vmmu_shadow_backing *out)
{
    const struct vmmu_shadow_config *const config = &edit->shadow->config;
    struct vmmu_shadow_state *const state = edit->state;
    enum vmmu_status status;

    if (((gpa ^ state->backed) & ~(state->backing.size_bytes - 1)) == 0 && state->backing.size_bytes != 0 &&
        (state->backing.rights & needed) == needed) {
        *out = state->backing;
        return VMMU_OK;
    }
    status = config->backing(config->context, (vmmu_gpa){ gpa }, out);
    /* Nothing that is wrong is believed for longer. */
    if (status == VMMU_OK && vmmu_shadow_is_owned(edit, out->frame.v, out->size_bytes)) {
        state->backed = gpa;
        state->backing = *out;
    }
    return status;
}

struct range {
    uint64_t first;
    uint64_t last;
    uint8_t rights;   /* what stays */
    bool tables_stay; /* the content is what it was */
};

static bool meets(const struct range *range, uint64_t base, uint64_t bytes)
{
    return base <= range->last && base + (bytes - 1) >= range->first;
}

static void change_page(struct shadow_edit *edit, const struct range *range, uint64_t frame)
{
    vmmu_shadow_narrow(edit, frame, range->rights, false);
    if (!range->tables_stay) {
        vmmu_shadow_remove_tables(edit, frame);
    }
}

static void change_each(struct shadow_edit *edit, const struct range *range)
{
    uint64_t frame = shadow_frame_of(range->first);

    for (;; frame += VMMU_PAGE_BYTES) {
        change_page(edit, range, frame);
        if (range->last - frame < VMMU_PAGE_BYTES) {
            return;
        }
    }
}

/* The same for what one shadow page holds and stands for. */
static void change_of(struct shadow_edit *edit, const struct range *range, uint32_t index)
{
    const struct shadow_page *const page = &edit->state->pages[index];
    const uint64_t bytes = shadow_bytes(page->role.level);

    for (uint32_t i = 0; page->entries != 0 && i < ENTRIES; i++) {
        const struct shadow_slot *const slot = shadow_slot_at(edit, (struct shadow_spot){ index, i });

        if (shadow_is_leaf(slot) && meets(range, shadow_leaf_frame(slot), bytes)) {
            vmmu_shadow_narrow(edit, shadow_leaf_frame(slot), range->rights, false);
        }
    }
    if (!range->tables_stay && page->role.kind == SHADOW_TABLE &&
        meets(range, page->frame, VMMU_PAGE_BYTES)) {
        vmmu_shadow_remove_tables(edit, page->frame);
    }
}

static void change_all(struct shadow_edit *edit, const struct range *range)
{
    for (uint32_t i = 0; i < edit->shadow->config.pool_pages; i++) {
        if (edit->state->pages[i].life != SHADOW_FREE) {
            change_of(edit, range, i);
        }
    }
}

static struct vmmu_outcome change(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes,
                                  struct range range)
{
    struct shadow_edit edit;

    if (!vmmu_is_aligned(gpa.v | size_bytes, VMMU_PAGE_BYTES) ||
        !vmmu_range_fits(gpa.v, size_bytes, BIT64(VMMU_PAGE_SHIFT + 40))) {
        return (struct vmmu_outcome){ .status = VMMU_INVALID };
    }
    shadow->state->backing.size_bytes = 0;
    if (!vmmu_shadow_begin(&edit, shadow)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    range.first = gpa.v;
    range.last = gpa.v + size_bytes - 1;
    if (size_bytes / VMMU_PAGE_BYTES < (uint64_t)shadow->counters.pages * ENTRIES / 8) {
        change_each(&edit, &range);
    } else {
        change_all(&edit, &range);
    }
    /* What is gone from the tables already may still be cached. */
    vmmu_shadow_settle(&edit, shadow->config.vps);
    return vmmu_shadow_end(&edit, VMMU_OK);
}

struct vmmu_outcome vmmu_shadow_forget(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes)
{
    return change(shadow, gpa, size_bytes, (struct range){ .rights = 0 });
}

struct vmmu_outcome vmmu_shadow_protect(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes,
                                        uint8_t rights)
{
    return change(shadow, gpa, size_bytes, (struct range){ .rights = rights, .tables_stay = true });
}

/* Pages that piece a large one together are told apart by its type, which is another now. */
static void remove_direct(struct shadow_edit *edit)
{
    const struct shadow_page *const pages = edit->state->pages;

    for (uint32_t i = 0; i < edit->shadow->config.pool_pages; i++) {
        if (pages[i].life != SHADOW_FREE && pages[i].role.kind == SHADOW_DIRECT && pages[i].pins == 0) {
            vmmu_shadow_remove(edit, i);
        }
    }
}

struct vmmu_outcome vmmu_shadow_set_guest_pat(struct vmmu_shadow *shadow, uint64_t pat)
{
    static const struct range all = { .last = UINT64_MAX, .tables_stay = true };
    struct shadow_edit edit;

    if (pat == shadow->config.guest_pat) {
        return (struct vmmu_outcome){ .status = VMMU_OK };
    }
    if (!vmmu_shadow_begin(&edit, shadow)) {
        return vmmu_shadow_end(&edit, VMMU_FLUSH_RETRY);
    }
    shadow->config.guest_pat = pat;
    shadow_lose_ways(shadow->state);
    remove_direct(&edit);
    change_all(&edit, &all);
    vmmu_shadow_settle(&edit, shadow->config.vps);
    return vmmu_shadow_end(&edit, VMMU_OK);
}
