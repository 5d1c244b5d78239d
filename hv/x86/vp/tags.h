/*
 * Tags of translations (VPIDs, ASIDs): which of a VP's tags stands for which root of tables, and under which of them something
 * is cached that must not be used. What number a tag has is the backend's affair.
 *
 * Invariant: a tag that is given to another root is stale.
 */
#ifndef HV_X86_VP_TAGS_H
#define HV_X86_VP_TAGS_H

#include <vmmu/base.h>

/* As many address spaces as a VP's TLB may hold at a time. */
#define X86_TAGS 8

struct x86_tags {
    unsigned count; /* 1 to X86_TAGS; the first so many are used */
    unsigned now;   /* in use */
    uint64_t turn;
    struct {
        uint64_t root;
        uint64_t last; /* the turn at which it was last chosen */
        bool stale;
    } tag[X86_TAGS];
};

/* @count tags, all of them stale. */
void x86_tags_init(struct x86_tags *tags, unsigned count);

/* Use the tag of @root from now on: its own, or that of the root that was not used for longest. */
void x86_tags_choose(struct x86_tags *tags, uint64_t root);

/* The tag in use is @from's, whatever it was chosen for; use that of @to from now on, as x86_tags_choose(). */
void x86_tags_switch(struct x86_tags *tags, uint64_t from, uint64_t to);

/* What is cached under any tag must not be used any more; under any but the one in use. */
void x86_tags_flush(struct x86_tags *tags);
void x86_tags_flush_others(struct x86_tags *tags);

#endif
