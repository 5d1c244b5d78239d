/*
 * A nested address space under fuzz: its host, the processors that walk it, and a model that says what each
 * page means.
 *
 * Guest-physical memory is cut into stretches at a few addresses, and operations work on runs of stretches;
 * each is probed at its first and at its last page.
 */
#ifndef TESTS_FUZZ_SPACE_H
#define TESTS_FUZZ_SPACE_H

#include <vmmu/nested.h>
#include <vmmu/walk.h>

#include "input.h"

#define SPACE_PAGES     48U
#define SPACE_STRETCHES 19U
#define SPACE_PROBES    38U /* two in each */
#define SPACE_PENDING   8U

/* Host memory that is never the partition's: 2 MiB in the midst of what mappings may name. */
#define SPACE_FOREIGN   UINT64_C(0x40200000)

/* What a stretch is mapped to. */
struct space_meaning {
    bool present;
    uint64_t hpa; /* of its first byte */
    uint8_t rights;
    enum vmmu_x86_memory_type type;
    bool ignore_pat;
};

/* What a processor finds at one probe. */
struct space_view {
    bool present;
    uint64_t hpa;
    uint64_t page_bytes;
    uint8_t rights; /* read, write, execute */
    uint8_t type;   /* EPT: memory type. NPT: PAT index */
    bool ignore_pat;
};

struct space {
    struct input *input;
    struct vmmu_host host;
    struct vmmu_ram ram;
    struct vmmu_table_memory memory;
    struct vmmu_nested nested;
    struct vmmu_x86_stage2 stage2;

    void *pages[SPACE_PAGES]; /* by number: the table pages that were given */
    uint32_t takes_failing;   /* bit N: the Nth asking for a page fails, counted modulo 32 */
    uint32_t takes;
    uint64_t owned_to; /* the partition owns what lies below, but for the foreign window */
    unsigned violations;

    struct space_meaning now[SPACE_STRETCHES];
    struct space_view before[SPACE_PROBES]; /* when the operation under way began */
    bool named[SPACE_PROBES];               /* in a plan of the operation under way */
    bool keeps;                             /* the operation under way leaves every page where it is */
    bool written[SPACE_PROBES];             /* while the dirty log runs, and not collected since */
    uint64_t races;                         /* bit N: a processor writes somewhere just before store N */
    uint64_t stores;                        /* of the operation under way */

    uint64_t pending[SPACE_PENDING]; /* epochs that are not reported yet */
    unsigned pending_count;
};

uint64_t space_cut(unsigned index);
uint64_t space_probe(unsigned probe);

/* A space as the input says; whether it could be made. If not there is nothing to finish. */
bool space_start(struct space *space, struct input *input);

/* Destroy it. Every page must have come back. */
void space_finish(struct space *space);

struct space_view space_look(struct space *space, uint64_t gpa);

/* A processor reads or writes; whether the tables let it. Marks are set as by the processor. */
bool space_touch(struct space *space, unsigned probe, bool write);

/* An operation begins: remember what is there. @keeps: it leaves every page where it is. */
void space_begin(struct space *space, bool keeps);

/*
 * Apply one outcome; whether the operation is to be called again. With some of them the report of the flush
 * waits for a later operation.
 */
bool space_again(struct space *space, const struct vmmu_outcome *outcome, unsigned *turns);

/* The operation has ended: tables, lookups and plans must agree with the model as it is now. */
void space_end(struct space *space);

#endif
