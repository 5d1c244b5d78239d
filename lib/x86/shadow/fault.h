/*
 * A fault under way: what its files share.
 */
#ifndef LIB_X86_SHADOW_FAULT_H
#define LIB_X86_SHADOW_FAULT_H

#include "lib/x86/shadow/internal.h"

/* What the backing must allow. Entries of ours cannot allow less than reading. */
static inline uint8_t shadow_needed_right(enum vmmu_x86_access_kind kind)
{
    static const uint8_t needs[] = {
        [VMMU_X86_READ] = VMMU_X86_RIGHT_READ,
        [VMMU_X86_WRITE] = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE,
        [VMMU_X86_EXECUTE] = VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE,
    };

    return needs[kind];
}

struct shadow_fault {
    struct shadow_edit *edit;
    const struct vmmu_x86_mode *mode;
    uint32_t root;
    uint64_t address; /* as wide as the guest's linear addresses are */
    struct vmmu_x86_access access;
    struct vmmu_x86_walk_result walk;
    struct vmmu_shadow_backing backing; /* of the page */
    struct vmmu_shadow_verdict *verdict;
    uint8_t top;         /* level of the root */
    uint8_t table_level; /* of the guest's leaf: shadow pages below are direct. Unpaged: `top` */
    uint64_t entries[SHADOW_LEVELS + 1];        /* of the guest, by level, as the walk left them */
    struct shadow_leaf guest_leaf;              /* as the guest has it */
    struct shadow_leaf leaf;                    /* as it is to be */
    struct shadow_stop path[SHADOW_LEVELS + 1]; /* by level, from `top` - 1 to `leaf.level` */
};

/* --- quick.c --- */

/* Settle the fault by what stands already. False: nothing is decided. */
bool vmmu_shadow_fault_quickly(struct shadow_edit *edit, struct shadow_vp *vp, uint64_t address,
                               struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict);

/* --- path.c: which entries there must be --- */

/* The shadow pages of the guest's tables that the walk used, below the root. */
void vmmu_shadow_plan_tables(struct shadow_fault *fault);

/*
 * The leaf that the access needs: its size, and rights within those of the guest and of the backing. False if no leaf can let
 * the access through, for CR0.WP is clear.
 */
bool vmmu_shadow_plan_leaf(struct shadow_fault *fault);

/* The pages between the guest's leaf and a smaller one of ours. */
void vmmu_shadow_plan_direct(struct shadow_fault *fault);

/* --- fill.c --- */

/* Find or make the planned pages of levels @from down to @to. As vmmu_shadow_obtain. */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_obtain_path(struct shadow_fault *fault, unsigned from, unsigned to);

/**
 * Make the leaf, and the links that lead to it.
 *
 * Returns
 *   VMMU_OK           they stand
 *   VMMU_FLUSH_RETRY  something else stood there, which is gone now; or pages were removed
 *   VMMU_VIOLATED     the backing gave a frame that is not the partition's
 */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_fill(struct shadow_fault *fault);

#endif
