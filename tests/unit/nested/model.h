/*
 * A flat model of a nested address space, and a processor that caches what it sees for as long as it may.
 *
 * The model cuts three GiB into stretches at addresses around the boundaries of pages; an operation begins
 * and ends at a cut, so all pages of a stretch mean the same and its first and last page stand for it.
 * After every store to a live table each of these pages is walked: it must mean what it meant before the
 * operation or what it shall mean after it; and what a processor may have cached of it, since the last
 * flush that named it, must agree but for its size, where the size differs.
 */
#ifndef TESTS_UNIT_NESTED_MODEL_H
#define TESTS_UNIT_NESTED_MODEL_H

#include "tests/unit/nested/space.h"

#define MODEL_BASE       (UINT64_C(511) * VMMU_1G_BYTES)
#define MODEL_BYTES      (3 * VMMU_1G_BYTES)
#define MODEL_STRETCHES  36U
#define MODEL_PROBES     (2 * MODEL_STRETCHES)
#define MODEL_CACHED     24U
#define MODEL_PLANS      4U
#define MODEL_PLAN_SLOTS 32U

/* What a stretch means. */
struct model_meaning {
    uint64_t hpa; /* of its first byte */
    enum vmmu_x86_memory_type type;
    uint8_t rights;
    bool present;
    bool ignore_pat;
};

/* One translation that a processor may hold. */
struct model_cached {
    uint64_t hpa;
    uint64_t page_bytes;
    enum vmmu_x86_memory_type type;
    uint8_t rights;
    bool ignore_pat;
};

struct model {
    struct space space;
    uint64_t cuts[MODEL_STRETCHES + 1];
    struct model_meaning now[MODEL_STRETCHES];
    struct model_meaning next[MODEL_STRETCHES]; /* once the operation under way is done */
    struct model_cached cached[MODEL_PROBES][MODEL_CACHED];
    unsigned cached_count[MODEL_PROBES];
    bool written[MODEL_PROBES]; /* since the log last told */
    struct vmmu_plan plans[MODEL_PLAN_SLOTS];
    unsigned plan_count;
    uint64_t stores;  /* of the operation under way */
    bool log_changes; /* the operation under way starts or stops the log */
    uint64_t random;
};

/* An empty model of a space of this kind. */
void model_start(struct model *model, unsigned kind, uint64_t seed);
void model_finish(struct model *model);

/* A number below @limit. */
unsigned model_random(struct model *model, unsigned limit);

/* The address of probe @index: the first and the last page of each stretch. */
uint64_t model_probe(const struct model *model, unsigned index);

/* Before each operation: what is to come is what is now; the caller then changes `next`. */
void model_prepare(struct model *model);

/*
 * After each turn of an operation: its outcome is judged, and its plan kept to be applied sooner or later.
 * Whether another turn must follow. If the operation failed, nothing may have changed.
 */
bool model_conclude(struct model *model, struct vmmu_outcome outcome);

/* Flush what plan @index names, and report it. */
void model_flush(struct model *model, unsigned index);
void model_flush_all(struct model *model);

/* The guest reads or writes a page through what the tables say now. Whether it could. */
bool model_touch(struct model *model, unsigned probe, bool write);

#endif
