/*
 * Enumeration: every mapping of an address space, in ascending order, without asking for each address.
 *
 * A cursor of the caller's stands between two entries and knows the tables on the way down to it. Each call goes on to
 * the next thing there is to tell: a leaf, and also what no walk could use (a reserved bit, a table where no memory
 * is). Subtrees that are not present cost one load; each entry of a table is loaded once each time that the table is
 * come to, so that the work is that of reading the tables.
 *
 * Tables may link to each other and to themselves: few pages can describe 2^36 mappings. The caller's budget counts
 * the entries that may be read; when it is used up the cursor says so, and goes on from there if given more.
 *
 * Nothing here allocates, locks, marks an entry or keeps state; distinct cursors may be used at the same time, and
 * while the tables change.
 */
#ifndef VMMU_SCAN_H
#define VMMU_SCAN_H

#include <vmmu/base.h>
#include <vmmu/format.h>
#include <vmmu/host.h>
#include <vmmu/mode.h>
#include <vmmu/walk.h>

/* What a cursor came to. */
enum vmmu_x86_scan_found {
    VMMU_X86_SCAN_END,   /* there is nothing more */
    VMMU_X86_SCAN_SPENT, /* the budget is used up: raise it and call again */
    VMMU_X86_SCAN_LEAF,  /* a mapping */
    VMMU_X86_SCAN_TABLE, /* an entry that points to a table; only if the cursor is to tell those */
    VMMU_X86_SCAN_REFUSED, /* a present entry with a reserved bit, or misconfigured (EPT): all behind it faults */
    VMMU_X86_SCAN_ABSENT, /* one or more entries of one table, in one half, that lie where no memory is */
};

/*
 * One thing that a cursor came to. @address is canonical, where linear addresses are. @rights are those of
 * all entries from the root to this one, of VMMU_X86_SCAN_REFUSED and _ABSENT those above it; what CR0 and CR4 make of
 * them is not in it. What follows @rights is of leaves only, zero for the others; @accessed is of tables, too.
 */
struct vmmu_x86_scan_item {
    uint64_t address;    /* the first that the entry translates */
    uint64_t bytes;      /* how many it translates; VMMU_X86_SCAN_ABSENT: all of the run */
    uint64_t frame;      /* leaf: base of the page. Table: its address. Zero for the others */
    uint64_t place;      /* where the entry stands; its index if @in_register */
    uint64_t entry;      /* as loaded; zero if it could not be */
    uint64_t reserved;   /* VMMU_X86_SCAN_REFUSED: reserved bits that are set; zero: a misconfiguration */
    uint8_t level;       /* of the table that holds the entry; 0 with paging off */
    bool in_register;    /* a PDPTE register: there is no @place in memory */
    uint8_t rights;      /* VMMU_X86_RIGHT_* */
    uint8_t pat_index;   /* into the PAT */
    uint8_t key;         /* protection key */
    uint8_t memory_type; /* EPT: enum vmmu_x86_memory_type */
    bool ignore_pat;     /* EPT */
    bool global;         /* G, if CR4.PGE */
    bool accessed;
    bool dirty;
};

/* A cursor. The first two members are the caller's to change at any time; the rest is the room's own. */
struct vmmu_x86_scan {
    uint64_t budget; /* entries that may still be read */
    bool tables;     /* tell entries that point to tables, before what is in them */

    bool global_pages;
    bool sign_extended;  /* addresses are canonical linear ones */
    uint8_t levels;      /* of the format; 0 with paging off */
    uint8_t level;       /* of the table that the cursor stands in */
    uint64_t next;       /* the entry to read next translates this address, its upper bits cut off */
    uint64_t last;       /* the scan ends behind it */
    uint64_t space_last; /* the last address that the format translates */
    const struct vmmu_x86_layout *layout;
    const struct vmmu_ram *ram;
    const uint64_t *registers; /* the PDPTEs, if they are not in memory; NULL otherwise */
    struct {
        uint64_t table;
        uint64_t grants;             /* of the entries above, together */
    } path[VMMU_X86_MAX_LEVELS + 1]; /* by level, from the root's down to @level */
};

/**
 * Set *scan to the beginning of the address space that @mode describes, with @budget entries to read. Tables are not
 * told. @mode and @ram are borrowed for as long as the cursor is used. With paging off there is one mapping: 4 GiB at
 * zero, of level 0, as for vmmu_x86_walk.
 *
 * Spec: SDM 3A "Paging", "Hierarchical Paging Structures: an Overview".
 */
void vmmu_scan_begin(struct vmmu_x86_scan *scan, const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram,
                     uint64_t budget);

/**
 * The same for the guest-physical addresses that @stage2 translates, which is borrowed with its memory.
 *
 * Spec: SDM 3C "EPT Translation Mechanism"; APM 2 "Nested Paging".
 */
void vmmu_scan_begin_stage2(struct vmmu_x86_scan *scan, const struct vmmu_x86_stage2 *stage2,
                            uint64_t budget);

/**
 * Go to @first, and end behind @last; both may be any number. The entry that translates @first is told, too, if it
 * begins below, and the one that translates @last if it ends above. Addresses that are not canonical, or wider than
 * the format, are never come to.
 */
void vmmu_scan_seek(struct vmmu_x86_scan *scan, uint64_t first, uint64_t last);

/**
 * Go on to the next thing there is. All that is told of an entry is of one copy of it.
 *
 * Returns
 *   VMMU_X86_SCAN_END, _SPENT   *item is undefined; the cursor stays where it is
 *   the others                  *item
 *
 * Spec: as for vmmu_x86_walk and vmmu_x86_walk_stage2.
 */
VMMU_MUST_USE
enum vmmu_x86_scan_found vmmu_scan_next(struct vmmu_x86_scan *scan, struct vmmu_x86_scan_item *item);

/**
 * Leave the table that the cursor stands in, with what is left of it: straight after VMMU_X86_SCAN_TABLE, all that lies
 * behind the entry that was told. To leave the root is to end the scan.
 */
void vmmu_scan_skip(struct vmmu_x86_scan *scan);

#endif
