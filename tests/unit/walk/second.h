/*
 * Second stages for tests: tables in a world's memory, grown on demand, so that any
 * page can be mapped anywhere.
 */
#ifndef TESTS_UNIT_WALK_SECOND_H
#define TESTS_UNIT_WALK_SECOND_H

#include "world.h"

struct second {
    struct world *world;
    struct vmmu_x86_stage2 stage2;
    uint64_t next_table; /* where the next table is made */
};

#define SECOND_ROOT UINT64_C(0x80000000)

/* What the widest processor allows: 52 bits, NX, 1 GiB leaves, execute-only. */
extern const struct vmmu_x86_limits full_limits;

/* An empty NPT of @format. */
struct second second_npt(struct world *world, enum vmmu_x86_format_name format);

/* An empty EPT of @levels, with A/D flags or without. */
struct second second_ept(struct world *world, unsigned levels, bool accessed_dirty);

/* Map the page around @gpa to @frame by a leaf of @level with @rights, write-back. */
void second_map(struct second *second, unsigned level, uint64_t gpa, uint64_t frame, uint8_t rights);

/* Where the entry of @level stands on the way to @gpa; tables above must exist. */
uint64_t second_entry_at(const struct second *second, unsigned level, uint64_t gpa);

uint64_t second_entry(const struct second *second, unsigned level, uint64_t gpa);
void second_put(const struct second *second, unsigned level, uint64_t gpa, uint64_t entry);

#endif
