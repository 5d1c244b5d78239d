/*
 * A host for tests of live tables: pages with invented host-physical addresses, allocations that fail on
 * demand, frames that are owned or not, and a hook that runs around every store to a live table.
 *
 * Pages above 4 GiB and below it come from two stretches of addresses. A page is poisoned when it is given
 * out, and when it comes back it is freed, so that a later touch is an error of the sanitizer's.
 */
#ifndef TESTS_UNIT_TABLE_HOST_H
#define TESTS_UNIT_TABLE_HOST_H

#include <vmmu/host.h>

#define TABLE_HOST_PAGES 4096U

/* A store to a live table. */
struct table_host_store {
    uint64_t *entry;
    uint64_t desired;
};

struct table_host {
    struct vmmu_host seam;
    void *pages[2][TABLE_HOST_PAGES]; /* by zone; NULL: not given out */
    uint32_t next[2];
    uint32_t held;
    uint64_t takes;
    int64_t takes_left; /* negative: no limit; else this many pages are given, and then none */
    uint64_t own_first; /* the partition owns [own_first, own_end) */
    uint64_t own_end;
    unsigned violations;
    unsigned owner_questions;
    uint64_t exchanges;

    void *hook_context;
    /* Before a store, with the entry in its old state; a test may mark it as a processor would. */
    void (*before_store)(void *context, const struct table_host_store *store);
    /* After a store that happened. */
    void (*after_store)(void *context, const struct table_host_store *store);
};

/* A host that owns [0, 2^52), gives pages without end, and hooks nothing. */
void table_host_init(struct table_host *host);

/* Free what is still held; the test fails if something is and @expect_none. */
void table_host_finish(struct table_host *host, bool expect_none);

/* The page at @at, which must be one that was given out and not come back. */
uint64_t *table_host_page(struct table_host *host, uint64_t at);

#endif
