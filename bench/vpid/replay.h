/*
 * A trace (trace.h) replayed on models of a processor's TLB: the same accesses, world switches and invalidations, each model with
 * its own way to tag translations. What a model does not find it walks for, by the trace's word of what that takes.
 *
 * The rules are VT-x's, as lib/x86/invalidate has them: without VPID a world switch invalidates all linear and combined
 * mappings; with it none. A first level for code and one for data stand before a second for both (struct replay_geometry).
 */
#ifndef BENCH_VPID_REPLAY_H
#define BENCH_VPID_REPLAY_H

#include <vmmu/tlb.h>

#include "trace.h"

/* How a model tags what it caches. */
enum replay_tags {
    REPLAY_UNTAGGED, /* no VPID: every entry and every exit empties the TLB */
    REPLAY_TAG_A_VP, /* one VPID: a change of root flushes it, and what the hypervisor asks for */
    REPLAY_TAG_A_ROOT, /* a VPID for each of the latest roots (hv/x86/vp/tags.h); what is asked for flushes them all */
    REPLAY_UNFLUSHED, /* the same, but what is asked for is left undone: what a hypervisor with that mistake would use */
    REPLAY_TAGS_AS_TOLD, /* the tags and flushes that the hypervisor gave to the processor, be they few */
    REPLAY_MODELS,
};

extern const char *const replay_names[REPLAY_MODELS];

/* A processor's TLB: each level has arrays by page size. */
struct replay_geometry {
    const char *name;
    struct vmmu_tlb_config code;
    struct vmmu_tlb_config data;
    struct vmmu_tlb_config second;
};

/* The geometry of that name, or NULL. */
const struct replay_geometry *replay_find_geometry(const char *name);

#define REPLAY_WORLDS 2 /* the hypervisor, the guest */

/* What happened from the beginning on. Pairs: in the hypervisor, in the guest. */
struct replay_counts {
    uint64_t walks[REPLAY_WORLDS];
    uint64_t loads[REPLAY_WORLDS];  /* memory references of those walks */
    uint64_t second[REPLAY_WORLDS]; /* first-level misses that the second level had */
    uint64_t
        alive[REPLAY_WORLDS]; /* the world's translations in the second level when it was left, summed up */
    uint64_t
        survived[REPLAY_WORLDS];   /* of those made in an earlier stay of its, the ones used in a later one */
    uint64_t stale[REPLAY_WORLDS]; /* uses of a translation that leads elsewhere than the tables do now */
};

/* What is the same for every model. */
struct replay_common {
    uint64_t accesses[REPLAY_WORLDS]; /* those that the trace left out among them */
    uint64_t entries;
    uint64_t roots; /* changes of the guest's root, by itself or not */
    uint64_t asked; /* entries with a flush that was asked for */
};

struct replay;

/* All models, empty. NULL: no memory. */
struct replay *replay_create(const struct replay_geometry *geometry);

void replay_destroy(struct replay *replay);

/* Take one record. False: it cannot stand there, and the trace is damaged. */
bool replay_record(struct replay *replay, const struct trace_record *record);

const struct replay_common *replay_common(const struct replay *replay);
const struct replay_counts *replay_counts(const struct replay *replay, enum replay_tags tags);

#endif
