/*
 * The cursor: where it stands is an address and a level. The tables from the root down to that level are on its path;
 * going down puts one more there, and going on past the last entry of a table goes up again.
 *
 * Invariant between calls: path[] is right for @next from the top down to @level, and no entry of those above @level
 * that leads to @next is read again.
 */
#include <vmmu/scan.h>

static const struct vmmu_x86_level *level_of(const struct vmmu_x86_scan *scan)
{
    return &vmmu_format_of(scan->layout)->level[scan->level];
}

static void rewind_to(struct vmmu_x86_scan *scan, uint64_t first, uint64_t last)
{
    scan->level = scan->levels;
    scan->next = first;
    scan->last = last;
}

void vmmu_scan_begin(struct vmmu_x86_scan *scan, const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram,
                     uint64_t budget)
{
    const bool flat = mode->paging == VMMU_X86_PAGING_NONE;
    const bool from_register = mode->paging == VMMU_X86_PAGING_PAE && !mode->pdpte_in_memory;
    const unsigned bits = flat ? 32 : mode->address_bits;

    *scan = (struct vmmu_x86_scan){
        .budget = budget,
        .global_pages = mode->global_pages,
        .sign_extended = bits > 32,
        .levels = flat ? 0 : vmmu_format_of(&mode->layout)->levels,
        .space_last = BITS64(bits - 1, 0),
        .layout = &mode->layout,
        .ram = ram,
        .registers = from_register ? mode->pdpte : NULL,
    };
    scan->path[scan->levels].table = mode->root.v;
    scan->path[scan->levels].grants = ~UINT64_C(0);
    rewind_to(scan, 0, scan->space_last);
}

void vmmu_scan_begin_stage2(struct vmmu_x86_scan *scan, const struct vmmu_x86_stage2 *stage2, uint64_t budget)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&stage2->layout);

    *scan = (struct vmmu_x86_scan){
        .budget = budget,
        .levels = format->levels,
        .space_last = BITS64(vmmu_format_address_bits(format) - 1, 0),
        .layout = &stage2->layout,
        .ram = stage2->ram,
    };
    scan->path[scan->levels].table = stage2->root.v;
    scan->path[scan->levels].grants = ~UINT64_C(0);
    rewind_to(scan, 0, scan->space_last);
}

/* How many addresses lie below the first one at or above @address that is translated; none at all if that is beyond. */
static uint64_t rank(const struct vmmu_x86_scan *scan, uint64_t address)
{
    const uint64_t half = scan->space_last / 2 + 1;

    if (!scan->sign_extended) {
        return address <= scan->space_last ? address : scan->space_last + 1;
    }
    if (address < half) {
        return address;
    }
    return address < 0 - half ? half : address & scan->space_last;
}

void vmmu_scan_seek(struct vmmu_x86_scan *scan, uint64_t first, uint64_t last)
{
    const uint64_t behind = last == ~UINT64_C(0) ? scan->space_last + 1 : rank(scan, last + 1);

    if (first > last || behind == 0) {
        rewind_to(scan, 1, 0);
    } else {
        rewind_to(scan, rank(scan, first), behind - 1);
    }
}

/* Past @bytes from the cursor's entry on, and out of every table that ends there. */
static void advance(struct vmmu_x86_scan *scan, uint64_t bytes)
{
    scan->next = (scan->next & ~(vmmu_format_level_bytes(level_of(scan)) - 1)) + bytes;
    while (scan->level < scan->levels && vmmu_format_index(level_of(scan), scan->next) == 0) {
        scan->level++;
    }
}

void vmmu_scan_skip(struct vmmu_x86_scan *scan)
{
    if (scan->level == scan->levels) {
        rewind_to(scan, 1, 0);
        return;
    }
    scan->level++;
    advance(scan, vmmu_format_level_bytes(level_of(scan)));
}

/* The entry at the cursor, its place, and what is known of it before it is read. VMMU_OK or VMMU_ABSENT. */
static enum vmmu_status fetch(struct vmmu_x86_scan *scan, struct vmmu_x86_scan_item *item)
{
    const struct vmmu_x86_format *format = vmmu_format_of(scan->layout);
    const unsigned index = vmmu_format_index(level_of(scan), scan->next);

    scan->budget--;
    item->in_register = scan->registers && scan->level == scan->levels;
    if (item->in_register) {
        item->place = index;
        item->entry = scan->registers[index];
        return VMMU_OK;
    }
    item->place = scan->path[scan->level].table + (uint64_t)index * format->entry_bytes;
    return scan->ram->load(scan->ram->context, item->place, format->entry_bytes, &item->entry);
}

/* The first address of the cursor's entry, as a program names it. */
static uint64_t address_of(const struct vmmu_x86_scan *scan)
{
    const uint64_t first = scan->next & ~(vmmu_format_level_bytes(level_of(scan)) - 1);

    return scan->sign_extended && first > scan->space_last / 2 ? first | ~scan->space_last : first;
}

/* Say of @item what all kinds have; @grants are those that count for it. */
static void describe(const struct vmmu_x86_scan *scan, uint64_t grants, struct vmmu_x86_scan_item *item)
{
    *item = (struct vmmu_x86_scan_item){
        .address = address_of(scan),
        .bytes = vmmu_format_level_bytes(level_of(scan)),
        .place = item->place,
        .entry = item->entry,
        .level = scan->level,
        .in_register = item->in_register,
        .rights = vmmu_format_rights(vmmu_format_of(scan->layout), grants),
    };
}

/* Whether the cursor stands at the first address of the upper half: what lies below is far away. */
static bool is_behind_gap(const struct vmmu_x86_scan *scan)
{
    return scan->sign_extended && scan->next == scan->space_last / 2 + 1;
}

/* The cursor's entry cannot be read: neither, most likely, can its neighbours, which are told with it. */
static enum vmmu_x86_scan_found tell_absent(struct vmmu_x86_scan *scan, struct vmmu_x86_scan_item *item)
{
    const uint64_t entry_bytes = vmmu_format_level_bytes(level_of(scan));
    const unsigned level = scan->level;
    struct vmmu_x86_scan_item neighbour;

    item->entry = 0;
    describe(scan, scan->path[level].grants, item);
    advance(scan, entry_bytes);
    while (scan->level == level && scan->next <= scan->last && scan->budget != 0 &&
           vmmu_format_index(level_of(scan), scan->next) != 0 && !is_behind_gap(scan)) {
        if (fetch(scan, &neighbour) == VMMU_OK) {
            scan->budget++; /* it is read again when the cursor comes to it */
            break;
        }
        item->bytes += entry_bytes;
        advance(scan, entry_bytes);
    }
    return VMMU_X86_SCAN_ABSENT;
}

static enum vmmu_x86_scan_found tell_refused(struct vmmu_x86_scan *scan, bool leaf,
                                             struct vmmu_x86_scan_item *item)
{
    describe(scan, scan->path[scan->level].grants, item);
    item->reserved = item->entry & scan->layout->reserved[scan->level][leaf];
    advance(scan, item->bytes);
    return VMMU_X86_SCAN_REFUSED;
}

static enum vmmu_x86_scan_found tell_leaf(struct vmmu_x86_scan *scan, uint64_t grants,
                                          struct vmmu_x86_scan_item *item)
{
    const struct vmmu_x86_format *format = vmmu_format_of(scan->layout);
    const struct vmmu_x86_level *level = level_of(scan);

    describe(scan, grants, item);
    item->frame = vmmu_format_frame(level, item->entry);
    item->pat_index = (uint8_t)vmmu_format_pat_index(format, level, item->entry);
    item->key = (uint8_t)vmmu_format_key(format, item->entry);
    item->memory_type = (uint8_t)vmmu_format_memory_type(format, item->entry);
    item->ignore_pat = (item->entry & format->ignore_pat) != 0;
    item->global = scan->global_pages && (item->entry & format->global) != 0;
    item->accessed = (item->entry & level->accessed) != 0;
    item->dirty = (item->entry & level->dirty) != 0;
    advance(scan, item->bytes);
    return VMMU_X86_SCAN_LEAF;
}

/* Go down into the table that the cursor's entry points to. */
static enum vmmu_x86_scan_found descend(struct vmmu_x86_scan *scan, uint64_t grants,
                                        struct vmmu_x86_scan_item *item)
{
    const struct vmmu_x86_level *level = level_of(scan);
    const uint64_t table = vmmu_format_table(level, item->entry);

    if (scan->tables) {
        describe(scan, grants, item);
        item->frame = table;
        item->accessed = (item->entry & level->accessed) != 0;
    }
    scan->level--;
    scan->path[scan->level].table = table;
    scan->path[scan->level].grants = grants;
    return VMMU_X86_SCAN_TABLE;
}

/* Paging is off: every linear address is a physical one. */
static enum vmmu_x86_scan_found tell_flat(struct vmmu_x86_scan *scan, struct vmmu_x86_scan_item *item)
{
    *item = (struct vmmu_x86_scan_item){ .bytes = BIT64(32), .rights = VMMU_X86_RIGHTS_ALL };
    scan->next = BIT64(32);
    return VMMU_X86_SCAN_LEAF;
}

/* A present entry, which the cursor stands at. */
static enum vmmu_x86_scan_found tell_present(struct vmmu_x86_scan *scan, struct vmmu_x86_scan_item *item)
{
    const struct vmmu_x86_level *level = level_of(scan);
    const bool leaf = vmmu_format_is_leaf(level, item->entry);

    /* PDPTE registers were checked when they were loaded; a walk does not look again. */
    if (!item->in_register && vmmu_format_is_refused(scan->layout, scan->level, leaf, item->entry)) {
        return tell_refused(scan, leaf, item);
    }
    const uint64_t grants =
        scan->path[scan->level].grants & vmmu_format_grants(vmmu_format_of(scan->layout), level, item->entry);

    return leaf ? tell_leaf(scan, grants, item) : descend(scan, grants, item);
}

enum vmmu_x86_scan_found vmmu_scan_next(struct vmmu_x86_scan *scan, struct vmmu_x86_scan_item *item)
{
    while (scan->next <= scan->last) {
        if (scan->budget == 0) {
            return VMMU_X86_SCAN_SPENT;
        }
        if (scan->levels == 0) {
            return tell_flat(scan, item);
        }
        if (fetch(scan, item) != VMMU_OK) {
            return tell_absent(scan, item);
        }
        if (!vmmu_format_is_present(vmmu_format_of(scan->layout), item->entry)) {
            advance(scan, vmmu_format_level_bytes(level_of(scan)));
            continue;
        }
        const enum vmmu_x86_scan_found found = tell_present(scan, item);

        if (found != VMMU_X86_SCAN_TABLE || scan->tables) {
            return found;
        }
    }
    return VMMU_X86_SCAN_END;
}
