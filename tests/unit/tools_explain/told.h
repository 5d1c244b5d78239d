/*
 * Stories of guests that tests make: a struct machine over memory of the tool's own, without an image.
 */
#ifndef TESTS_UNIT_TOOLS_EXPLAIN_TOLD_H
#define TESTS_UNIT_TOOLS_EXPLAIN_TOLD_H

#include "tests/unit/tools_engine/engine_guest.h"
#include "tools/explain/story.h"

#define TOLD_VA UINT64_C(0x12345678)

struct told {
    struct engine_guest guest;
    struct machine machine;
};

/* Tables of @paging, with TOLD_VA mapped to GUEST_DATA by a 4 KiB page. */
void told_open(struct told *told, enum vmmu_x86_paging paging);
void told_close(struct told *told);

/* The story of @code, which stands nowhere: it is not fetched. Free it. */
struct story *told_story(const struct told *told, const char *code, bool amd);

#endif
