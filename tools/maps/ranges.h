/*
 * Mappings of an address space, joined to ranges: neighbours by address that agree in what one cares for.
 *
 * What no walk gets through (a malformed entry, a table where no memory is) is a range of its own kind.
 */
#ifndef TOOLS_MAPS_RANGES_H
#define TOOLS_MAPS_RANGES_H

#include "tools/maps/space.h"

/* What pages of one range agree in; each word adds to those before it. */
enum ranges_join {
    RANGES_PROTECTION, /* user or not, writable or not: as QEMU's `info mem` */
    RANGES_RIGHTS,     /* executable or not, too */
    RANGES_TYPE,       /* memory type */
    RANGES_SIZE,       /* page size */
    RANGES_ALL,        /* global or not, protection key */
};

enum range_kind {
    RANGE_MAPPED,
    RANGE_MALFORMED, /* present entries with reserved bits, or misconfigured */
    RANGE_ABSENT,    /* entries that lie where no memory is */
};

/* Page sizes that there are. */
enum page_size {
    PAGES_4K,
    PAGES_2M,
    PAGES_4M,
    PAGES_1G,
    PAGES_4G, /* with paging off */
    PAGE_SIZES,
};

extern const char *const page_size_words[PAGE_SIZES]; /* "4K" ... */

enum page_size page_size_of(uint64_t page_bytes);

struct range {
    enum range_kind kind;
    uint64_t start;
    uint64_t bytes;
    uint64_t pages[PAGE_SIZES];      /* RANGE_MAPPED: how many of each size */
    uint64_t entries;                /* the others: how many there are */
    unsigned type;                   /* of the first page */
    struct vmmu_x86_scan_item first; /* the first page or entry */
};

struct ranges {
    const struct space *space;
    enum ranges_join join;
    bool physical; /* pages of one range are neighbours in physical memory, too */
    struct vmmu_x86_scan scan;
    enum vmmu_x86_scan_found found; /* what @ahead is */
    struct vmmu_x86_scan_item ahead;
};

/* Begin at the first range of @space, which is borrowed. */
void ranges_begin(struct ranges *ranges, const struct space *space, enum ranges_join join, bool physical);

/*
 * The next range in *range. VMMU_X86_SCAN_LEAF if there is one, of whichever kind; _END and _SPENT else.
 */
enum vmmu_x86_scan_found ranges_next(struct ranges *ranges, struct range *range);

#endif
