/* Hypercalls as 64-bit code makes them, for the tests of this folder. */
#ifndef TESTS_UNIT_HYPERV_CALLING_H
#define TESTS_UNIT_HYPERV_CALLING_H

#include "tests/unit/hyperv/partition.h"

/* Spec: TLFS "Hypercall Status Codes". */
enum {
    SUCCESS = 0,
    INVALID_CODE = 2,
    INVALID_INPUT = 3,
    INVALID_ALIGNMENT = 4,
    INVALID_PARAMETER = 5,
    ACCESS_DENIED = 6,
    INVALID_PARTITION_STATE = 7,
    INVALID_PARTITION_ID = 0xD,
    INVALID_VP_INDEX = 0xE,
};

/* Fields of the input value. */
#define FAST        (UINT64_C(1) << 16)
#define HEADER(n)   ((uint64_t)(n) << 17)
#define COUNT(n)    ((uint64_t)(n) << 32)
#define START(n)    ((uint64_t)(n) << 48)

#define INPUT_PAGE  UINT64_C(0x5000)
#define OUTPUT_PAGE UINT64_C(0x6000)

#define OWN_ID      UINT64_C(1)
#define CHILD_ID    UINT64_C(2)
#define STRANGER_ID UINT64_C(3)
#define ENDED_ID    UINT64_C(4)
#define CHILD_VPS   2

/* A call that was made: what it came to, and what was decoded for it. */
struct made {
    struct vmmu_hyperv_call call;
    struct vmmu_hyperv_call_outcome outcome;
};

struct vmmu_hyperv_caller caller_of(uint64_t input, uint64_t rdx, uint64_t r8);

/* What is known of partition @id: of the four above, of which two are the caller's children, and of no other. */
struct vmmu_hyperv_target_facts facts_of(uint64_t id);

/* Make a call with @words at INPUT_PAGE, which lie in a block of just the size that is asked for, and output to OUTPUT_PAGE. */
struct made make_call(const struct fixture *f, uint64_t input, const void *words);
struct vmmu_hyperv_call_outcome call_at(const struct fixture *f, uint64_t input, const void *words);

/* The status of one that ends at once. */
uint64_t status_at(const struct fixture *f, uint64_t input, const void *words);

/* A partition of ID OWN_ID with @privileges, ready to call. */
struct fixture privileged_fixture(uint64_t privileges);

/* As above, with all that a parent has. */
struct fixture parent_fixture(void);

#endif
