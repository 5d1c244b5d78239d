#include "tools/maps/find.h"

#include <stdlib.h>

#include "tools/ui/complain.h"

/* Tables are aligned: the lowest bits are free for the level, which is never zero. */
static uint64_t slot_value(uint64_t table, unsigned level)
{
    return table | level;
}

static unsigned slot_of(const struct table_set *set, uint64_t value)
{
    unsigned slot = (unsigned)((value * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (set->room - 1);

    while (set->slots[slot] != 0 && set->slots[slot] != value) {
        slot = (slot + 1) & (set->room - 1);
    }
    return slot;
}

bool table_set_holds(const struct table_set *set, uint64_t table, unsigned level)
{
    return set->room != 0 && set->slots[slot_of(set, slot_value(table, level))] != 0;
}

static void grow(struct table_set *set)
{
    const struct table_set old = *set;

    set->room = old.room ? old.room * 2 : 1024;
    set->slots = take_memory(set->room, sizeof(*set->slots));
    for (unsigned i = 0; i < old.room; i++) {
        if (old.slots[i]) {
            set->slots[slot_of(set, old.slots[i])] = old.slots[i];
        }
    }
    free(old.slots);
}

void table_set_add(struct table_set *set, uint64_t table, unsigned level)
{
    const uint64_t value = slot_value(table, level);

    if (2 * (set->count + 1) > set->room) {
        grow(set);
    }
    const unsigned slot = slot_of(set, value);

    set->count += set->slots[slot] == 0;
    set->slots[slot] = value;
}

void table_set_free(struct table_set *set)
{
    free(set->slots);
    *set = (struct table_set){ 0 };
}

void find_begin(struct find *find, const struct space *space, uint64_t address, struct table_set *barren)
{
    *find = (struct find){
        .space = space,
        .address = address,
        .barren = barren,
        .depth_level = VMMU_X86_MAX_LEVELS + 1,
    };
    space_scan(space, &find->scan);
    find->scan.tables = true;
}

/* The cursor has left all tables below @level: those behind which nothing was found are remembered. */
static void close_below(struct find *find, unsigned level)
{
    while (find->depth_level < level) {
        if (!find->open[find->depth_level].fruitful) {
            table_set_add(find->barren, find->open[find->depth_level].table, find->depth_level);
        }
        find->depth_level++;
    }
}

/* Every table that is open leads to what was found. */
static void mark_fruitful(struct find *find)
{
    for (unsigned level = find->depth_level; level <= VMMU_X86_MAX_LEVELS; level++) {
        find->open[level].fruitful = true;
    }
}

/* Whether the page or table that @item leads to is asked for. */
static bool holds(const struct find *find, enum vmmu_x86_scan_found found,
                  const struct vmmu_x86_scan_item *item)
{
    if (found == VMMU_X86_SCAN_LEAF) {
        return find->address >= item->frame && find->address - item->frame < item->bytes;
    }
    return found == VMMU_X86_SCAN_TABLE && (find->address ^ item->frame) < VMMU_PAGE_BYTES;
}

/* The cursor is about to go down by @item: shall it? */
static void enter(struct find *find, const struct vmmu_x86_scan_item *item)
{
    const unsigned level = item->level - 1U;

    if (table_set_holds(find->barren, item->frame, level)) {
        vmmu_scan_skip(&find->scan);
        return;
    }
    find->depth_level = level;
    find->open[level].table = item->frame;
    find->open[level].fruitful = false;
}

/* CR3 itself points to a table. */
static bool tell_root(struct find *find, struct vmmu_x86_scan_item *item)
{
    const uint64_t root = find->space->second ? find->space->second->root.v : find->space->mode.root.v;

    find->root_told = true;
    if (find->scan.levels == 0 || (find->address ^ root) >= VMMU_PAGE_BYTES) {
        return false;
    }
    *item = (struct vmmu_x86_scan_item){
        .frame = root,
        .level = (uint8_t)(find->scan.levels + 1),
        .rights = VMMU_X86_RIGHTS_ALL,
    };
    return true;
}

enum vmmu_x86_scan_found find_next(struct find *find, struct vmmu_x86_scan_item *item)
{
    if (!find->root_told && tell_root(find, item)) {
        return VMMU_X86_SCAN_TABLE;
    }
    for (;;) {
        const enum vmmu_x86_scan_found found = vmmu_scan_next(&find->scan, item);

        if (found == VMMU_X86_SCAN_SPENT) {
            return found;
        }
        close_below(find, found == VMMU_X86_SCAN_END ? VMMU_X86_MAX_LEVELS + 1 : item->level);
        if (found == VMMU_X86_SCAN_END) {
            return found;
        }
        const bool asked = holds(find, found, item);

        if (asked) {
            mark_fruitful(find);
        }
        if (found == VMMU_X86_SCAN_TABLE) {
            enter(find, item);
        }
        if (asked) {
            return found;
        }
    }
}
