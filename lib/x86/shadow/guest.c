/*
 * The guest's entries as shadow pages see them: where they are, what of them counts, and whether an entry of ours
 * still is what a walk would make of one.
 */
#include "lib/x86/shadow/internal.h"

uint64_t vmmu_shadow_entry_address(const struct shadow_page *page, uint32_t index)
{
    const uint32_t bytes = vmmu_x86_formats[page->role.format].entry_bytes;

    if (bytes == 4) {
        index += page->role.quadrant * ENTRIES;
        /* At level 2 an entry of 4 MiB is two of ours. */
        index /= page->role.level == 2 ? 2 : 1;
    }
    return page->frame + (uint64_t)index * bytes;
}

uint64_t vmmu_shadow_piece_offset(const struct shadow_page *page, uint32_t index)
{
    const bool is_half = vmmu_x86_formats[page->role.format].entry_bytes == 4 && page->role.level == 2;

    return is_half ? (index & 1) * shadow_bytes(2) : 0;
}

static const struct vmmu_x86_format *guest_format(const struct shadow_page *page)
{
    return &vmmu_x86_formats[page->role.format];
}

uint64_t vmmu_shadow_flags(const struct shadow_page *page, uint64_t entry)
{
    const struct vmmu_x86_format *const format = guest_format(page);
    const struct vmmu_x86_level *const level = &format->level[page->role.level];
    const uint64_t flags = entry & SHADOW_FLAG_BITS;

    /* Bit 12 of a large page selects its type. The bit that makes it a large one says nothing beside that. */
    if (page->role.level > 1 && vmmu_format_is_leaf(level, entry)) {
        return (flags & ~format->large) | ((entry & level->pat) ? format->large : 0);
    }
    return flags;
}

/* The entry that what stands at @spot was made from, where it is one of a small page or of a table; else none that there is. */
static uint64_t plain_entry(const struct shadow_edit *edit, struct shadow_spot spot)
{
    const struct shadow_slot *const slot = shadow_slot_at(edit, spot);
    const struct shadow_page *child;

    if (!shadow_is_link(slot)) {
        return edit->state->pages[spot.page].role.level == 1 ? slot->target : SHADOW_NO_TARGET;
    }
    child = &edit->state->pages[shadow_linked_page(slot)];
    return child->role.kind == SHADOW_TABLE ? child->frame | (slot->target & SHADOW_FLAG_BITS)
                                            : SHADOW_NO_TARGET;
}

bool vmmu_shadow_agrees(const struct shadow_edit *edit, struct shadow_spot spot, uint64_t entry)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct shadow_slot *const slot = shadow_slot_at(edit, spot);
    const struct vmmu_x86_level *const level = &guest_format(page)->level[page->role.level];
    const uint64_t made_from = slot->target & SHADOW_FLAG_BITS;

    /* Most entries are what they were. */
    if ((entry & (SHADOW_FRAME_BITS | SHADOW_FLAG_BITS)) == plain_entry(edit, spot) &&
        (entry & (page->role.level == 1 ? level->leaf_reserved : level->table_reserved)) == 0) {
        return true;
    }
    const uint64_t now = vmmu_shadow_flags(page, entry);
    const bool is_leaf = vmmu_format_is_leaf(level, entry);
    uint64_t base;

    /* A dirty bit that was set since makes nothing wrong. What is reserved now may not have been set when it was made. */
    if ((made_from != now && made_from != (now & ~level->dirty)) ||
        (entry & (is_leaf ? level->leaf_reserved : level->table_reserved)) != 0) {
        return false;
    }
    base = is_leaf ? vmmu_format_frame(level, entry) + vmmu_shadow_piece_offset(page, spot.index)
                   : vmmu_format_table(level, entry);
    if (shadow_is_leaf(slot)) {
        return is_leaf && base == shadow_leaf_frame(slot);
    }
    const struct shadow_page *const child = &edit->state->pages[shadow_linked_page(slot)];

    return child->frame == base && child->role.kind == (is_leaf ? SHADOW_DIRECT : SHADOW_TABLE);
}

bool vmmu_shadow_load(const struct shadow_edit *edit, struct shadow_spot spot, uint64_t *entry)
{
    const struct shadow_page *const page = &edit->state->pages[spot.page];
    const struct vmmu_ram *const ram = edit->shadow->config.ram;

    return ram->load(ram->context, vmmu_shadow_entry_address(page, spot.index),
                     guest_format(page)->entry_bytes, entry) == VMMU_OK;
}

bool vmmu_shadow_still_agrees(const struct shadow_edit *edit, struct shadow_spot spot)
{
    uint64_t entry;

    return vmmu_shadow_load(edit, spot, &entry) && vmmu_shadow_agrees(edit, spot, entry);
}

struct shadow_open_link vmmu_shadow_open_link(const struct shadow_edit *edit, struct shadow_spot link)
{
    const struct shadow_page *const page = &edit->state->pages[link.page];
    const struct vmmu_x86_level *const level = &guest_format(page)->level[page->role.level];

    return (struct shadow_open_link){
        .address = vmmu_shadow_entry_address(page, link.index),
        .mask = SHADOW_FRAME_BITS | SHADOW_FLAG_BITS | level->table_reserved,
        .expected = plain_entry(edit, link),
    };
}
