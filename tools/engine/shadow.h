/*
 * Shadow paging of a guest's memory by the library, with one virtual processor: what an access costs, in the order in which a
 * hypervisor would see it.
 *
 *   the guest loads CR0, CR3, CR4...   engine_shadow_enter     an exit, but for the first
 *   an access that no TLB answers      engine_shadow_access    walks our tables; an exit for each fault, until it is done
 *   the guest writes an entry          engine_shadow_store     the same, and the write
 *   INVLPG                             engine_shadow_invlpg    an exit while the library watches it
 *
 * Who keeps a TLB looks into it before, inserts what `walk` found after, and is told of flushes by the hook.
 */
#ifndef TOOLS_ENGINE_SHADOW_H
#define TOOLS_ENGINE_SHADOW_H

#include <vmmu/mode.h>
#include <vmmu/shadow.h>
#include <vmmu/shadow_view.h>
#include <vmmu/walk.h>

#include "tools/engine/memory.h"

struct engine_shadow_options {
    uint32_t pool_pages;   /* shadow pages at most; 0: 4096 */
    uint8_t largest_level; /* the largest leaf that may be made; 0: 3 */
    uint8_t
        largest_piece_level; /* the largest piece of host memory that is contiguous; 0: as large as the guest's memory */
    bool
        intel; /* PDPTEs of PAE roots are held in registers, as VT-x has it; else read from memory at each walk */
    bool silent_absent; /* VT-x: faults for want of presence go to the guest without an exit */
    bool tagged_roots;  /* a tag for each root: loading another one flushes nothing */
    void *context;
    /*
     * Flush every tag of the virtual processor: the library's plan says so, or another root was loaded without tagged roots.
     * May be NULL.
     */
    void (*flush)(void *context);
};

struct engine_shadow;

/* What something cost, or everything did. Walks are the processor's, over our tables. */
struct engine_shadow_cost {
    uint64_t walks;
    uint64_t loads;             /* memory references of those walks */
    uint64_t page_fault_exits;  /* page faults that came to the hypervisor */
    uint64_t instruction_exits; /* MOV CR and INVLPG that did */
    uint64_t silent_faults;     /* page faults that went to the guest without an exit */
    uint64_t fills;             /* leaves made for a fault */
    uint64_t prefills;          /* leaves made beside it */
    uint64_t write_traps;       /* writes to protected tables, emulated */
    uint64_t reflected;         /* faults that were the guest's own */
    uint64_t closed;            /* tables that were write-protected */
    uint64_t opened;            /* tables that the guest may write again */
    uint64_t flushes;           /* whole-tag flushes that were asked for */
    uint64_t new_pages;         /* shadow pages made */
};

enum engine_shadow_answer {
    ENGINE_SHADOW_DONE,     /* `walk` has the translation, by our tables: host-physical */
    ENGINE_SHADOW_FAULT,    /* `fault` is the guest's own */
    ENGINE_SHADOW_DEVICE,   /* no memory backs `gpa` */
    ENGINE_SHADOW_EMULATED, /* a write to a protected table at `gpa`: the hypervisor performs it */
};

struct engine_shadow_result {
    enum engine_shadow_answer answer;
    struct vmmu_x86_walk_result walk; /* ENGINE_SHADOW_DONE: the last one, of our tables */
    struct vmmu_x86_fault fault;
    vmmu_gpa gpa;
    struct engine_shadow_cost cost; /* of this access alone */
};

/* @memory is borrowed. NULL and *complaint if @options are out of range or no memory is left. */
struct engine_shadow *engine_shadow_open(struct engine_memory *memory,
                                         const struct engine_shadow_options *options,
                                         struct complaint *complaint);

/* The guest translates by @mode from now on. False and *complaint if the library refuses. */
bool engine_shadow_enter(struct engine_shadow *shadow, const struct vmmu_x86_mode *mode,
                         struct complaint *complaint);

/*
 * The guest accesses @va, and nothing that is cached answers. @access: kind, user, implicit, eflags_ac. False and *complaint
 * if the library cannot say.
 */
bool engine_shadow_access(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_x86_access access,
                          struct engine_shadow_result *result, struct complaint *complaint);

/*
 * A store that the guest makes to memory that may hold its tables. The store happens too, unless the answer is a fault or a
 * device. It lies in one page.
 */
struct engine_shadow_store {
    vmmu_gva va;
    struct vmmu_x86_access access; /* its kind is a write */
    unsigned width_bytes;          /* 4 or 8 */
    uint64_t value;
};

bool engine_shadow_store(struct engine_shadow *shadow, const struct engine_shadow_store *store,
                         struct engine_shadow_result *result, struct complaint *complaint);

/* INVLPG of @va. The caller removes it from its own TLB. */
bool engine_shadow_invlpg(struct engine_shadow *shadow, vmmu_gva va, struct complaint *complaint);

/* How the hardware translates while the guest runs: our root, by host-physical address. Changes with enter. */
const struct vmmu_x86_mode *engine_shadow_hardware(const struct engine_shadow *shadow);

/*
 * The same for any hypervisor's: how a processor of @physical_bits translates by @root while a guest runs that translates by
 * @guest. PDPTEs of a PAE root are read from memory at each walk. VMMU_OK, or VMMU_INVALID if no processor accepts @root.
 */
VMMU_MUST_USE
enum vmmu_status engine_shadow_hardware_of(const struct vmmu_x86_mode *guest,
                                           const struct vmmu_shadow_root *root, unsigned physical_bits,
                                           struct vmmu_x86_mode *out);

/* What CR3 holds then: names the tag with tagged roots. */
uint64_t engine_shadow_root(const struct engine_shadow *shadow);

/* Everything since open. */
const struct engine_shadow_cost *engine_shadow_total(const struct engine_shadow *shadow);

/* What came to @before until it was @now. */
struct engine_shadow_cost engine_shadow_cost_since(const struct engine_shadow_cost *now,
                                                   const struct engine_shadow_cost *before);

/*
 * Whether VT-x hands a page fault to the guest unseen if it goes by error codes: without P they are the guest's, if the guest's
 * own processor, which translates by @guest, would say the same.
 */
bool engine_shadow_is_silent(const struct vmmu_x86_mode *guest, uint32_t error_code);

/* The library's own counters, with `pages` and `peak_pages`. */
const struct vmmu_shadow_counters *engine_shadow_counters(const struct engine_shadow *shadow);

/* The guest's entries beside ours: vmmu_shadow_view of the one virtual processor. */
enum vmmu_status engine_shadow_view(struct engine_shadow *shadow, vmmu_gva va, struct vmmu_shadow_view *view);

void engine_shadow_close(struct engine_shadow *shadow);

#endif
