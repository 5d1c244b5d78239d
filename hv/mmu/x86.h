/*
 * The techniques of x86, and what hv/x86 and they ask of each other: `nested`, where the processor walks the guest's tables
 * and translates by ours behind them, and `shadow`, where it walks tables of ours in place of the guest's.
 *
 * Every call is made under the partition's lock (see hv/vp/vp.h).
 */
#ifndef HV_MMU_X86_H
#define HV_MMU_X86_H

#include <vmmu/nested.h>
#include <vmmu/shadow.h>

#include "hv/mmu/mmu.h"

_Static_assert(GUEST_RIGHT_READ == VMMU_X86_RIGHT_READ && GUEST_RIGHT_WRITE == VMMU_X86_RIGHT_WRITE &&
                   GUEST_RIGHT_EXECUTE == VMMU_X86_RIGHT_EXECUTE,
               "rights of memory are rights of entries");
_Static_assert((int)GUEST_READ == (int)VMMU_X86_READ && (int)GUEST_WRITE == (int)VMMU_X86_WRITE &&
                   (int)GUEST_EXECUTE == (int)VMMU_X86_EXECUTE,
               "so are accesses");

extern const struct mmu_technique mmu_nested;
extern const struct mmu_technique mmu_shadow;

/* --- what hv/x86 gives them --- */

/*
 * What the processor's second stage offers: fills everything but `vps`. NULL, or the sentence
 * that says what is missing.
 */
const char *arch_stage2(struct vmmu_nested_config *config);

/*
 * What tables walked in place of the guest's must know of the processor: fills what is its own. NULL, or the sentence
 * that says what is missing.
 */
const char *arch_shadow(struct vmmu_shadow_config *config);

/*
 * A second stage for the phases of a guest that tables of ours cannot serve: as arch_stage2(). False: the processor
 * knows no such phases, or has no second stage.
 */
bool arch_phase_stage2(struct vmmu_nested_config *config);

/* What is cached of the memory at @at goes there, and out of every cache. */
void arch_evict(const void *at);

/* Forget translations that @plan names before the next entry. */
void arch_vp_flush(struct vp *vp, const struct vmmu_plan *plan);

/* --- what they give hv/x86 --- */

/* How the processor translates for a partition: the same for all its life. */
struct mmu_root {
    bool
        nested; /* it walks the guest's tables, and `value` translates guest-physical addresses; else see mmu_enter() */
    /* As vmmu_nested_root() gives it. Where not `nested`: for phases that our own tables cannot serve; 0: not served. */
    uint64_t value;
    const bool *watches_invlpg; /* while it is set, INVLPG comes to mmu_invlpg(); NULL where `nested` */
    bool silent_absent;         /* as in struct vmmu_shadow_config */
    bool tagged_roots;
};

/* How the VP's processor translates. */
struct mmu_root mmu_root(const struct vp *vp);

/*
 * Store @desired in the table entry of 4 or 8 bytes at @gpa, by one atomic access, if @expected stands there: VMMU_OK. Else
 * VMMU_RACED. VMMU_ABSENT where the parent withholds it; what is stored elsewhere where nothing can be written is lost.
 */
VMMU_MUST_USE
enum vmmu_status mmu_exchange_entry(const struct partition *partition, vmmu_gpa gpa, unsigned width_bytes,
                                    uint64_t expected, uint64_t desired);

/* --- only of a partition whose mmu_root() is not `nested` --- */

/**
 * The VP translates by @mode from now on, which is borrowed for the call: *root is what the processor walks for it.
 * False: partition_end() has been called.
 */
VMMU_MUST_USE
bool mmu_enter(struct vp *vp, const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root);

/* Decide what a fault at a linear address means. False: partition_end() has been called. */
VMMU_MUST_USE
bool mmu_linear_fault(struct vp *vp, vmmu_gva va, struct vmmu_x86_access access,
                      struct vmmu_shadow_verdict *verdict);

/* The VP's protection keys, as they are now. To be told before mmu_linear_fault(), since they change without an exit. */
void mmu_set_keys(struct vp *vp, uint32_t pkru, uint32_t pkrs);

/* The VP has executed INVLPG of @va, which the processor's own TLB has been told of. */
void mmu_invlpg(struct vp *vp, vmmu_gva va);

/* Let the guest write the page of @gpa, which holds a table, by itself. */
void mmu_drop(struct partition *partition, vmmu_gpa gpa);

/* A VP's page attribute table has changed. */
void mmu_set_guest_pat(struct partition *partition, uint64_t pat);

#endif
