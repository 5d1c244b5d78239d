/*
 * Memory for tests of scans: the first pages of the physical address space, as an array, and nothing above. The root
 * tables that registers_for() names stand at 0x1000.
 */
#ifndef TESTS_UNIT_SCAN_ROOM_H
#define TESTS_UNIT_SCAN_ROOM_H

#include <vmmu/scan.h>

#include "tests/unit/walk/second.h"
#include "tests/unit/walk/world.h"

#define ROOM_PAGES 64

struct room {
    uint64_t words[ROOM_PAGES * 512];
    unsigned loads;
    struct vmmu_ram ram;
};

/* A room of zeros; freed by free(). */
struct room *room_new(void);

/* Write entry @index of the table at @table. */
void room_put(struct room *room, uint64_t table, unsigned index, unsigned entry_bytes, uint64_t entry);

/* The next thing that the cursor tells must be of this kind. */
void expect_next(struct vmmu_x86_scan *scan, enum vmmu_x86_scan_found found, struct vmmu_x86_scan_item *item);

#endif
