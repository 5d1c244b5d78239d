/*
 * A nested address space under test, on the host of tests/unit/table/, and a walker that knows the formats
 * from the manuals alone.
 */
#ifndef TESTS_UNIT_NESTED_SPACE_H
#define TESTS_UNIT_NESTED_SPACE_H

#include "tests/unit/table/table_host.h"
#include <vmmu/nested.h>

#define SPACE_LIMIT 2048U

/* Rights in short. */
#define R           VMMU_X86_RIGHT_READ
#define W           VMMU_X86_RIGHT_WRITE
#define X           VMMU_X86_RIGHT_EXECUTE

/* The PAT of every NPT under test: WB, WC, UC-, UC, WB, WP, UC-, WT. */
#define SPACE_PAT   UINT64_C(0x0407050600070106)

struct space {
    struct table_host host;
    struct vmmu_table_retired quarantine[SPACE_LIMIT];
    struct vmmu_table_memory memory;
    struct vmmu_nested nested;
};

/* Every format and depth, with and without what is optional. */
#define SPACE_KINDS 6U
struct vmmu_nested_config space_config(unsigned kind);
const char *space_name(unsigned kind);

/* A space as @config says, empty. */
void space_start(struct space *space, const struct vmmu_nested_config *config);

/* Destroy it; every page must have come back. */
void space_finish(struct space *space);

/* Do what a caller does with an outcome: flush (there is nobody to flush) and report. Its status. */
enum vmmu_status space_apply(struct space *space, struct vmmu_outcome outcome);

/* Call until it is done, flushing in between, and give the last status: of an operation in a test. */
#define SPACE_DO(space, call)                                                                                \
    do {                                                                                                     \
        enum vmmu_status space_status_;                                                                      \
        unsigned space_turns_ = 0;                                                                           \
        do {                                                                                                 \
            space_status_ = space_apply((space), (call));                                                    \
        } while (space_status_ == VMMU_FLUSH_RETRY && ++space_turns_ < 8);                                   \
        EXPECT_EQ(space_status_, VMMU_OK);                                                                   \
    } while (0)

/* A write-back mapping. */
struct vmmu_nested_mapping space_mapping(uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights);

/* Map write-back memory; must succeed. */
void space_map(struct space *space, uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights);

/* What a processor finds at one address. */
struct space_view {
    uint64_t hpa;
    uint64_t page_bytes;
    uint64_t *entry; /* the leaf, or the entry that is not present */
    uint64_t raw;    /* its value */
    enum vmmu_x86_memory_type type;
    uint8_t rights;
    bool present;
    bool ignore_pat;
    bool accessed;
    bool dirty;
};

/* Walk as the manual says. A reserved bit or a misconfiguration on the way fails the test. */
struct space_view space_walk(struct space *space, uint64_t gpa);

/* Set accessed and, if @write, dirty in the leaf of @gpa, as a processor would. */
void space_touch(struct space *space, uint64_t gpa, bool write);

#endif
