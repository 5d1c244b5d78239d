/*
 * Runs of equal ranges at equal distances, as one: kernels map one page tens of thousands of times (Linux its ESPFIX stacks,
 * every 64 KiB).
 */
#ifndef TOOLS_MAPS_FOLD_H
#define TOOLS_MAPS_FOLD_H

#include "tools/maps/ranges.h"

/* Runs of this many are worth one line. */
#define FOLD_LEAST 8

/* Equal ranges, @stride apart. */
struct fold {
    uint64_t count;
    uint64_t stride;
    struct range first;
};

/*
 * Add @range behind @fold. If it does not go on with it, *done is what was before (its count may be zero) and true is
 * returned; *fold then begins anew.
 */
bool fold_add(struct fold *fold, const struct range *range, struct fold *done);

/* Range @index of @fold, counted from zero. */
struct range fold_range(const struct fold *fold, uint64_t index);

#endif
