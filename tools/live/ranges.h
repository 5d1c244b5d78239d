/*
 * What of a machine's memory a dump holds, where it is not all of it.
 */
#ifndef TOOLS_LIVE_RANGES_H
#define TOOLS_LIVE_RANGES_H

#include "tools/image/image.h"

/* [base, base + bytes) of physical memory, whole pages. */
struct dump_range {
    uint64_t base;
    uint64_t bytes;
};

struct dump_ranges {
    struct dump_range *all; /* ascending, without overlap, once ranges_settle() was called */
    unsigned count;
    unsigned room;
};

void ranges_add(struct dump_ranges *ranges, uint64_t base, uint64_t bytes);

/* Put them in order, and together what touches. */
void ranges_settle(struct dump_ranges *ranges);

/* Add the memory of every partition of @image, and the tables that the hypervisor made for it. */
bool ranges_of_partitions(struct dump_ranges *ranges, const struct image *image, struct complaint *complaint);

void ranges_free(struct dump_ranges *ranges);

#endif
