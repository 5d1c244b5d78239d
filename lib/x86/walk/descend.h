/*
 * What the walks share: the one loop over level records, and the trail that it leaves.
 */
#ifndef LIB_X86_WALK_DESCEND_H
#define LIB_X86_WALK_DESCEND_H

#include <vmmu/walk.h>

/* The entries that a walk used, of both stages, in the caller's array from @first up to @next. */
struct trail {
    struct vmmu_x86_step *first;
    struct vmmu_x86_step *next;
    const struct vmmu_x86_step *end; /* of the array */
    uint8_t registers;               /* how many of the steps made no memory reference */
};

/* One way down through the tables of one stage. */
struct descent {
    const struct vmmu_x86_layout *layout;
    const struct vmmu_ram *ram;
    struct trail *trail;
    enum vmmu_x86_marks marks;
    enum vmmu_x86_stage stage;
    bool unmarked;       /* the entries have no accessed bits in use */
    uint8_t entry_bytes; /* the descent's own copy */

    /*
     * The stage that table addresses must still go through, and where its refusal goes;
     * NULL if they are places.
     */
    const struct vmmu_x86_stage2 *behind;
    struct vmmu_x86_stage2_fault *refusal;

    uint64_t table;             /* the root of what is left to walk */
    uint64_t grants;            /* before: all ones. After: those of the entries that were sound, together */
    uint8_t level;              /* before: of the root. After: of the entry that ended it */
    bool refused;               /* VMMU_GUEST_FAULT: the last entry is present, and refused by the layout */
    struct vmmu_x86_step *last; /* VMMU_OK: the leaf */
};

/*
 * Go down to the leaf that maps @address, marking the tables' entries accessed as
 * descent->marks says, never the leaf.
 *
 * Returns
 *   VMMU_OK           descent->last is the leaf
 *   VMMU_GUEST_FAULT  an entry is not present, or refused
 *   VMMU_STAGE2       *descent->refusal
 *   VMMU_ABSENT       an entry lies where no memory is
 *   VMMU_RACED        an entry that was being marked changed
 */
VMMU_MUST_USE
enum vmmu_status vmmu_walk_descend(struct descent *descent, uint64_t address);

/*
 * Note which of @bits @step lacks; set them now if the walk marks as it goes. Returns as vmmu_walk_descend.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_walk_mark(const struct descent *descent, struct vmmu_x86_step *step, uint64_t bits);

static inline uint8_t trail_count(const struct trail *trail)
{
    return (uint8_t)(trail->next - trail->first);
}

/* Set what every step of @trail lacks. VMMU_OK, VMMU_ABSENT or VMMU_RACED. */
VMMU_MUST_USE
enum vmmu_status vmmu_walk_settle(const struct trail *trail, const struct vmmu_ram *ram);

/* A walk of the guest's own stage, over nothing or over a second stage. */
struct guest_walk {
    const struct vmmu_x86_mode *mode;
    const struct vmmu_ram *ram;
    const struct vmmu_x86_stage2 *behind;  /* NULL: guest-physical addresses are places in @ram */
    struct vmmu_x86_stage2_fault *refusal; /* with @behind */
    struct trail *trail;
    struct vmmu_x86_access access;
    struct vmmu_x86_translation *translation;
    struct vmmu_x86_fault *fault;
};

/* vmmu_x86_walk but for the marks that wait for success. */
VMMU_MUST_USE
enum vmmu_status vmmu_walk_guest(const struct guest_walk *walk, vmmu_gva va);

/* A walk of the second stage. */
struct second_walk {
    const struct vmmu_x86_stage2 *stage2;
    struct trail *trail;
    struct vmmu_x86_stage2_access access;
    bool linear; /* on behalf of a guest-virtual access */
    struct vmmu_x86_stage2_translation *translation;
    struct vmmu_x86_stage2_fault *fault;
};

/* vmmu_x86_walk_stage2 but for the marks that wait for success. */
VMMU_MUST_USE
enum vmmu_status vmmu_walk_second(const struct second_walk *walk, vmmu_gpa gpa);

/*
 * Describe the refusal of @gpa by the second stage; access, reason, level and rights of
 * *fault are filled in already.
 */
void vmmu_walk_refuse(const struct vmmu_x86_stage2 *stage2, vmmu_gpa gpa, bool linear,
                      struct vmmu_x86_stage2_fault *fault);

#endif
