/*
 * Roots of page tables, found in memory by what they look like.
 *
 * A page (for PAE 32 bytes) is taken for a root if its entries are zero or present and sound, if at least one lies in the
 * upper half of linear addresses, where kernels live, and all of them point to tables in memory; and if below it nothing is
 * malformed or missing as far as a bounded look goes, and something is mapped in the upper half. What this cannot know: a
 * root that was freed and not overwritten looks like one in use.
 */
#ifndef TOOLS_MAPS_ROOTS_H
#define TOOLS_MAPS_ROOTS_H

#include "tools/maps/space.h"

/* More than this many are not kept. */
#define ROOTS_MOST   65536U

/* Entries that are read of all that looks like a root, together: two seconds' work. */
#define ROOTS_BUDGET UINT64_C(200000000)

struct roots_wanted {
    bool any;        /* also such as have nothing of the machine's own root */
    uint64_t budget; /* entries that may be read */
};

struct root {
    uint64_t cr3;
    unsigned present; /* entries */
    unsigned upper;   /* of these in the upper half */
    unsigned
        shared; /* upper entries that are those of the machine's own CR3, too; with PAE, of the level below */
};

struct roots {
    struct root *found; /* ascending */
    unsigned count;
    bool more; /* the search was ended: more than ROOTS_MOST, or too much to look at */
    uint64_t bytes_read;
};

/*
 * Look through all memory of @machine for roots of the paging mode that it is in. Unless @wanted.any, and if the machine's own root
 * is known, only for such as share an upper entry with it: all address spaces of one kernel do. *complaint and false if paging
 * is off.
 */
bool roots_scan(const struct machine *machine, struct roots_wanted wanted, struct roots *roots,
                struct complaint *complaint);
void roots_free(struct roots *roots);

/* Print them; @space is any of @machine. An enum command_status. */
int roots_show(const struct machine *machine, const struct space *space, const struct roots *roots,
               bool json);

#endif
