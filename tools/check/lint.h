/*
 * The lints: each looks through tables for kinds of findings, and reports them.
 *
 * All return false and *complaint if tables have no end within the space's budget.
 */
#ifndef TOOLS_CHECK_LINT_H
#define TOOLS_CHECK_LINT_H

#include "tools/check/report.h"
#include "tools/maps/find.h"

/* Memory as one stretch, and what it is to whom. */
struct stretch {
    uint64_t base; /* physical */
    uint64_t bytes;
    uint64_t address; /* where it is mapped */
    uint8_t type;     /* enum vmmu_x86_memory_type */
    uint8_t rights;
    uint8_t level;  /* of a table */
    uint64_t reach; /* after sorting: the highest end of this one and those before it */
};

/* Stretches, as a list that grows. */
struct stretches {
    struct stretch *list;
    unsigned count;
    unsigned room;
};

void stretches_add(struct stretches *stretches, struct stretch stretch);

/* By base; then they can be found. */
void stretches_sort(struct stretches *stretches);

/* The first of sorted stretches that has a byte in [base, base + bytes); NULL if none has. They may overlap. */
const struct stretch *stretches_find(const struct stretches *stretches, uint64_t base, uint64_t bytes);

void stretches_free(struct stretches *stretches);

/* An address space, and what is known of it once its tables were looked through. */
struct lint {
    const struct machine *machine;
    struct space space;
    uint64_t upper_half; /* the kernel's half begins here */
    struct check_report *report;
    struct stretches tables; /* every table, once, after lint_tables */
};

/* The addresses that an entry translates. */
static inline struct check_place place_of(const struct vmmu_x86_scan_item *item)
{
    return (struct check_place){ item->address, item->bytes };
}

/* Entries: malformed, outside memory, self-maps, PS that is ignored. Fills lint->tables. */
bool lint_tables(struct lint *lint, struct complaint *complaint);

/* Ranges of pages: writable and executable, a user's in the upper half, global. */
bool lint_ranges(struct lint *lint, struct complaint *complaint);

/* What pages map: memory by several types, tables, what is no memory. */
bool lint_frames(struct lint *lint, struct complaint *complaint);

/* Whether the root of lint->space and its neighbour of 4 KiB look like KPTI's two roots of one process. */
bool lint_has_pair(const struct lint *lint);

/* The two roots, against each other. */
bool lint_pair(struct lint *lint, struct complaint *complaint);

/* Machine tables of our hypervisor, against what the dump says of its partition: of one virtual processor, or all. */
bool lint_shadow(const struct lint *lint, const struct partition_vp *vp, struct complaint *complaint);
bool lint_second(struct lint *lint, struct complaint *complaint);

#endif
