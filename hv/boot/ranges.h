/*
 * Sets of address ranges: sorted, disjoint, never touching each other. Pure arithmetic
 * over an array of fixed size.
 */
#ifndef HV_BOOT_RANGES_H
#define HV_BOOT_RANGES_H

#include <vmmu/base.h>

/* [base, end), never empty in a set. */
struct range {
    uint64_t base;
    uint64_t end;
};

struct range_set {
    struct range *ranges; /* the caller's array, of @capacity */
    unsigned count;
    unsigned capacity;
};

/**
 * Put [base, end) into the set, joined with whatever it overlaps or touches. An empty or inverted range adds
 * nothing. False if the array is full; the set is unchanged then.
 */
VMMU_MUST_USE
bool range_set_add(struct range_set *set, uint64_t base, uint64_t end);

/**
 * Take [base, end) out of the set, whatever of it is in there. Never fails: where the hole would leave two
 * pieces and the array is full, the smaller piece leaves the set too.
 */
void range_set_remove(struct range_set *set, uint64_t base, uint64_t end);

/**
 * Take the lowest @size_bytes aligned to @align_bytes, a power of two, that end at or below @limit out of the
 * set. Whether there is such a place; *base is changed only if so. Takes nothing for a size of 0. A place
 * whose removal would leave two pieces does not count while the array is full.
 */
VMMU_MUST_USE
bool range_set_take(struct range_set *set, uint64_t size_bytes, uint64_t align_bytes, uint64_t limit,
                    uint64_t *base);

/* The bytes in the set. */
uint64_t range_set_total(const struct range_set *set);

#endif
