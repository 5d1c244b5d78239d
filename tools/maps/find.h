/*
 * Who maps a page of memory: every page of the given address spaces that holds a physical address, and every entry that
 * points to it as to a table.
 *
 * Address spaces share most of their tables. A table behind which nothing was found is remembered, and left out when another
 * entry points to it.
 */
#ifndef TOOLS_MAPS_FIND_H
#define TOOLS_MAPS_FIND_H

#include "tools/maps/space.h"

/* A set of tables, each with its level. */
struct table_set {
    uint64_t *slots; /* 0: free */
    unsigned room;
    unsigned count;
};

bool table_set_holds(const struct table_set *set, uint64_t table, unsigned level);
void table_set_add(struct table_set *set, uint64_t table, unsigned level);
void table_set_free(struct table_set *set);

struct find {
    const struct space *space;
    uint64_t address;         /* physical */
    struct table_set *barren; /* of all spaces with the same address and format */
    struct vmmu_x86_scan scan;
    bool root_told;
    unsigned depth_level; /* of the lowest table that is open; above the root's if none */
    struct {
        uint64_t table;
        bool fruitful;
    } open[VMMU_X86_MAX_LEVELS + 1]; /* by level */
};

/* Begin; @space and @barren are borrowed. */
void find_begin(struct find *find, const struct space *space, uint64_t address, struct table_set *barren);

/*
 * The next page that holds the address (VMMU_X86_SCAN_LEAF), the next entry that points to it as to a table (_TABLE; of the
 * root, which CR3 points to, item->level is above the format's levels), or _END, or _SPENT.
 */
enum vmmu_x86_scan_found find_next(struct find *find, struct vmmu_x86_scan_item *item);

/* Print who maps @address in @count spaces. An enum command_status; COMMAND_INPUT with *complaint. */
int find_show(const struct space *spaces, unsigned count, uint64_t address, bool json,
              struct complaint *complaint);

#endif
