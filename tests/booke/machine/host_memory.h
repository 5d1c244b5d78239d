/*
 * The memory that the host gives to a partition: banks of guest-physical addresses, each of which may be there, be elsewhere, be
 * shorter, be read-only, be gone. There are no bytes behind it: where an access goes is all that matters.
 *
 * Invariants: no two banks, of whatever partition, have ever had a host-physical page in common; none lies at its own guest-physical
 * address.
 */
#ifndef TESTS_BOOKE_MACHINE_HOST_MEMORY_H
#define TESTS_BOOKE_MACHINE_HOST_MEMORY_H

#include <vmmu/booke.h>

#include "tests/model/machine/luck.h"

#define BANKS 8

struct bank {
    uint64_t gpa;
    uint64_t most_bytes; /* what it can have */
    uint64_t size_bytes; /* what it has; 0: it is not there */
    uint64_t told_bytes; /* what anybody who asked since something was forgotten has heard of at least */
    uint64_t hpa;
    uint64_t place[2]; /* where it may be */
    bool write, execute;
    bool lost; /* given, but not owned */
};

struct host_memory {
    struct bank bank[BANKS];
};

/* The memory of partition @number, in places that @luck says. */
void host_memory_init(struct host_memory *memory, unsigned number, struct luck *luck);

/*
 * A bank becomes what @how says: bit 0 where it is, bit 1 writable, bit 2 executable, bit 3 its end is missing, from where bits
 * 5 to 8 say. Returns what had
 * been there and is not as it was: what must be forgotten.
 */
struct bank host_memory_give(struct host_memory *memory, unsigned bank, uint32_t how);

/* The bank that @gpa lies in; NULL: there is no memory. */
const struct bank *host_memory_at(const struct host_memory *memory, uint64_t gpa);

/* The bank that all of [hpa, hpa + size_bytes) lies in, and that the partition owns; or NULL. */
const struct bank *host_memory_owner(const struct host_memory *memory, uint64_t hpa, uint64_t size_bytes);

#endif
