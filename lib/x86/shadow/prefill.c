/*
 * Entries that nobody has asked for yet: what the guest has made present and accessed a processor might have cached as well.
 *
 * Nothing is marked, evicted, made room for or flushed here: an entry is made only where nothing stands.
 */
#include "lib/x86/shadow/internal.h"

/* Entries looked at before and after one that was asked for. */
#define RUN_BEFORE 16U
#define RUN_AFTER  64U

/* Whether the backing around @gpa is known, and is the partition's. */
static bool find_backing(struct shadow_prefill *prefill, uint64_t gpa)
{
    struct vmmu_shadow_backing *const backing = &prefill->backing;

    if (backing->size_bytes != 0 && ((gpa ^ prefill->gpa) & ~(backing->size_bytes - 1)) == 0) {
        return true;
    }
    prefill->gpa = gpa;
    if (vmmu_shadow_back(prefill->edit, gpa, 0, backing) == VMMU_OK &&
        vmmu_shadow_is_owned(prefill->edit, backing->frame.v, backing->size_bytes)) {
        return true;
    }
    backing->size_bytes = 0;
    return false;
}

/* Complete @leaf for @frame at @level. False if there can be none. */
static bool place_leaf(struct shadow_prefill *prefill, struct shadow_leaf *leaf, unsigned level,
                       uint64_t frame)
{
    const struct shadow_edit *const edit = prefill->edit;
    const uint64_t bytes = shadow_bytes(level);
    const struct vmmu_shadow_backing *const backing = &prefill->backing;

    if (!find_backing(prefill, frame) || backing->size_bytes < bytes ||
        !(backing->rights & VMMU_X86_RIGHT_READ)) {
        return false;
    }
    leaf->level = (uint8_t)level;
    leaf->rights &= backing->rights | VMMU_X86_RIGHT_USER;
    leaf->type = vmmu_shadow_combine(leaf->type, backing->type);
    leaf->hpa = backing->frame.v + (frame & (backing->size_bytes - 1));
    if (!(leaf->rights & VMMU_X86_RIGHT_WRITE)) {
        return true;
    }
    if (level > 1) {
        return *vmmu_shadow_region_count(edit->state, frame, level) == 0;
    }
    if (vmmu_shadow_is_protected(edit, frame)) {
        leaf->rights &= (uint8_t)~VMMU_X86_RIGHT_WRITE;
        leaf->held = true;
    }
    return true;
}

/* A leaf for @entry, which is one. */
static void prefill_leaf(struct shadow_prefill *prefill, struct shadow_spot spot, uint64_t entry)
{
    struct shadow_edit *const edit = prefill->edit;
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_x86_level *const level = &vmmu_x86_formats[page->role.format].level[page->role.level];
    const uint64_t frame = vmmu_format_frame(level, entry) + vmmu_shadow_piece_offset(page, spot.index);
    struct shadow_leaf leaf = vmmu_shadow_guest_leaf(&edit->shadow->config, &page->role, entry);

    if (page->role.level <= edit->shadow->config.largest_level &&
        place_leaf(prefill, &leaf, page->role.level, frame)) {
        vmmu_shadow_put_leaf(edit, spot, frame | vmmu_shadow_flags(page, entry),
                             vmmu_shadow_leaf(edit->state, &leaf));
        edit->shadow->counters.prefills++;
    }
}

/* A link for @entry, if there is a page for its table in which nothing is stale. */
static void prefill_link(struct shadow_prefill *prefill, struct shadow_spot spot, uint64_t entry)
{
    struct shadow_edit *const edit = prefill->edit;
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct vmmu_x86_level *const level = &format->level[page->role.level];
    struct shadow_role role = page->role;
    uint32_t child;

    if (edit->shadow->config.heeds_table_cache &&
        (entry & (format->write_through | format->cache_disable)) != 0) {
        return; /* the first use is to be seen */
    }
    role.level--;
    role.access = vmmu_shadow_access_below(&page->role, entry);
    role.quadrant = vmmu_shadow_piece_offset(page, spot.index) != 0;
    child = vmmu_shadow_find(edit, vmmu_format_table(level, entry), &role);
    if (child != SHADOW_NONE &&
        (prefill->synced || (role.level == 1 && edit->state->pages[child].life == SHADOW_CLOSED))) {
        vmmu_shadow_put_link(edit, spot, child, vmmu_shadow_flags(page, entry),
                             vmmu_shadow_link_rights(&page->role, entry));
        edit->shadow->counters.prefills++;
    }
}

bool vmmu_shadow_may_refill(const struct shadow_prefill *prefill, const struct shadow_page *page)
{
    return prefill && prefill->mode->paging != VMMU_X86_PAGING_NONE &&
           page->role.format == (uint8_t)prefill->mode->layout.format && page->role.nx == prefill->mode->nx;
}

bool vmmu_shadow_prefill_entry(struct shadow_prefill *prefill, struct shadow_spot spot)
{
    const struct shadow_edit *const edit = prefill->edit;
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_x86_format *const format = &vmmu_x86_formats[page->role.format];
    const struct vmmu_x86_level *const level = &format->level[page->role.level];
    uint64_t entry;
    bool is_leaf;

    if (shadow_slot_at(edit, spot)->target != SHADOW_NO_TARGET || !vmmu_shadow_load(edit, spot, &entry)) {
        return false;
    }
    is_leaf = vmmu_format_is_leaf(level, entry);
    if (!vmmu_format_is_present(format, entry) || (entry & level->accessed) != level->accessed ||
        vmmu_format_is_refused(&prefill->mode->layout, page->role.level, is_leaf, entry)) {
        return false;
    }
    if (is_leaf) {
        prefill_leaf(prefill, spot, entry);
    } else {
        prefill_link(prefill, spot, entry);
    }
    return true;
}

void vmmu_shadow_prefill_around(struct shadow_prefill *prefill, struct shadow_spot spot)
{
    struct shadow_spot next = spot;

    for (uint32_t i = 0; i < RUN_AFTER && ++next.index < ENTRIES && vmmu_shadow_prefill_entry(prefill, next);
         i++) {
    }
    next = spot;
    for (uint32_t i = 0; i < RUN_BEFORE && next.index-- > 0 && vmmu_shadow_prefill_entry(prefill, next);
         i++) {
    }
}

void vmmu_shadow_prefill_root(struct shadow_prefill *prefill, uint32_t page)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        (void)vmmu_shadow_prefill_entry(prefill, (struct shadow_spot){ page, i });
    }
}

void vmmu_shadow_prefill_direct(struct shadow_prefill *prefill, uint32_t page, const struct shadow_leaf *leaf)
{
    struct shadow_edit *const edit = prefill->edit;
    const uint64_t base = edit->state->pages[page].frame;

    for (uint32_t i = 0; i < ENTRIES; i++) {
        const struct shadow_spot spot = { page, i };
        const uint64_t frame = base + i * VMMU_PAGE_BYTES;
        struct shadow_leaf piece = *leaf;

        if (shadow_slot_at(edit, spot)->target == SHADOW_NO_TARGET && place_leaf(prefill, &piece, 1, frame)) {
            vmmu_shadow_put_leaf(edit, spot, frame, vmmu_shadow_leaf(edit->state, &piece));
            edit->shadow->counters.prefills++;
        }
    }
}
