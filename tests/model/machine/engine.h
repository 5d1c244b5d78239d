/*
 * A technique under test, behind one interface: what the model's host asks of it, and nothing else. Nested
 * paging stands behind it in both formats; another technique is one more record in engines[].
 *
 * Every operation is complete when it returns: retries were done, after world_apply() of their plans, and the last
 * plan was given to world_hand_over(). While an engine stores to live tables, the store hook of its table memory lets
 * the world act: see world.h.
 */
#ifndef TESTS_MODEL_MACHINE_ENGINE_H
#define TESTS_MODEL_MACHINE_ENGINE_H

#include "tests/model/machine/processor.h"
#include "tests/model/machine/script.h"
#include <vmmu/nested.h>

struct world;
struct engine; /* the technique's own state */

/* What a technique makes of an exit. */
enum engine_answer {
    ENGINE_RETRY,   /* let the guest run again */
    ENGINE_INJECT,  /* `fault` is the guest's */
    ENGINE_DEVICE,  /* nothing is mapped at `gpa`, or it does not allow this: the embedder emulates */
    ENGINE_EMULATE, /* the embedder performs the guest's write to `gpa` itself, then tells by guest_wrote() */
    ENGINE_BROKEN,  /* it does not know what to do: a finding */
};

struct engine_verdict {
    enum engine_answer answer;
    uint64_t gpa;
    struct vmmu_x86_fault fault;
};

/* A guest instruction that changed how its VP translates, or what may be cached; already accepted. */
struct engine_event {
    enum op_kind kind; /* OP_INVLPG to OP_INVPCID, or OP_SWITCH */
    uint64_t address;  /* OP_INVLPG, OP_INVPCID */
    uint64_t value;    /* as the instruction had it */
    uint8_t type;      /* OP_INVPCID */
};

struct engine_class {
    const char *name;
    bool intel; /* whose second stage, or either */
    bool amd;
    uint16_t least_table_pages; /* with which it works; 0: with any number */

    /* NULL if the setting cannot be had with this technique. */
    struct engine *(*create)(struct world *world);
    void (*destroy)(struct engine *engine); /* gives every page back */

    /* What the processor is loaded with when @vp runs; tags are filled in by the caller. @mode is the guest's own. */
    void (*load)(struct engine *engine, unsigned vp, const struct vmmu_x86_mode *mode,
                 struct guest_state *state);

    /* The processor enters the guest: what it loads only then; NULL: nothing. */
    void (*enter)(struct engine *engine, unsigned vp);

    /* A page fault of the hardware that the technique intercepts; NULL: faults are the guest's own. */
    struct engine_verdict (*page_fault)(struct engine *engine, unsigned vp, uint64_t va,
                                        struct vmmu_x86_access access, const struct vmmu_x86_fault *fault);
    /* Whether the processor gives such a page fault to the guest, as @vp was entered last; NULL: it does not, if page_fault is there. */
    bool (*is_silent)(const struct engine *engine, unsigned vp, const struct vmmu_x86_fault *fault);
    /* A refusal of the second stage; NULL: there is none. */
    struct engine_verdict (*stage2_fault)(struct engine *engine, unsigned vp,
                                          const struct vmmu_x86_stage2_fault *fault);
    /*
     * Whether the technique intercepts this guest instruction, OP_INVLPG to OP_INVPCID, as @vp was entered last; the
     * processor executes the others. NULL: it intercepts none.
     */
    bool (*intercepts)(const struct engine *engine, unsigned vp, enum op_kind kind);
    /* One of those. What the processor remembers is untouched, but that it loses the page of an INVLPG afterwards. */
    void (*control)(struct engine *engine, unsigned vp, const struct engine_event *event);
    /* A hypercall's flush of linear addresses by @vp, which may be somebody else than the caller; NULL: processors do all. */
    void (*flush)(struct engine *engine, unsigned vp, const struct vmmu_plan *plan);
    /* After ENGINE_EMULATE: the store is done. */
    void (*guest_wrote)(struct engine *engine, unsigned vp, uint64_t gpa, unsigned width_bytes);

    /* The host's changes underneath. Statuses as in nested.h; VMMU_FLUSH_RETRY never comes out. */
    enum vmmu_status (*map)(struct engine *engine, const struct vmmu_nested_mapping *mapping);
    enum vmmu_status (*unmap)(struct engine *engine, uint64_t gpa, uint64_t size_bytes);
    enum vmmu_status (*protect)(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t rights);
    enum vmmu_status (*split)(struct engine *engine, uint64_t gpa, uint64_t size_bytes, uint8_t level);
    enum vmmu_status (*merge)(struct engine *engine, uint64_t gpa, uint64_t size_bytes);
    enum vmmu_status (*log_start)(struct engine *engine, enum vmmu_nested_log log);
    enum vmmu_status (*log_collect)(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                    uint8_t *bitmap);
    enum vmmu_status (*log_stop)(struct engine *engine);
    enum vmmu_status (*harvest)(struct engine *engine, uint64_t gpa, uint64_t size_bytes,
                                const struct vmmu_nested_harvester *harvester);
    /* What the technique itself says of a page; NULL if it cannot tell. */
    enum vmmu_status (*lookup)(const struct engine *engine, uint64_t gpa, struct vmmu_nested_page *out);
    /* Hold its tables, or @all of them, against those of guests and the host's map; NULL: there is nothing to compare. */
    void (*check)(struct engine *engine, bool all);
};

/* Ends with NULL. */
extern const struct engine_class *const engines[];

#endif
