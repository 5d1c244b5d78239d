/*
 * Where a guest's memory is not its own, because its parent says so: pages that are lent to it, and holes, which stand before
 * whatever memory of its own lies there.
 *
 * Kept as runs of pages that are alike, ascending by address, in room that the caller gives.
 */
#ifndef HV_GUEST_PATCHES_H
#define HV_GUEST_PATCHES_H

#include <vmmu/base.h>

/* [gpa, gpa + size), whole pages. */
struct guest_patch {
    vmmu_gpa gpa;
    uint64_t size;
    bool lent;      /* memory of somebody else's, contiguous at `hpa`; else a hole */
    uint8_t rights; /* GUEST_RIGHT_*, of what is lent */
    uint8_t owner;  /* of what is lent: index of the partition */
    vmmu_hpa hpa;
};

/* Runs do not overlap, and no two of them could be one. */
struct guest_patches {
    unsigned count;
    unsigned room;
    struct guest_patch *patch;
};

/* @room records at @patch, which is borrowed as long as @patches is used. Nothing is patched. */
void guest_patches_init(struct guest_patches *patches, struct guest_patch *patch, unsigned room);

/* The run that @gpa lies in, or NULL. By halving. */
const struct guest_patch *guest_patches_find(const struct guest_patches *patches, vmmu_gpa gpa);

/* The first run that reaches beyond @gpa, or NULL. */
const struct guest_patch *guest_patches_next(const struct guest_patches *patches, vmmu_gpa gpa);

/* Whether some page of [gpa, gpa + size) is patched. */
bool guest_patches_touch(const struct guest_patches *patches, vmmu_gpa gpa, uint64_t size);

/**
 * Have *patch stand at its pages, whatever patch stood there.
 *
 * Returns
 *   VMMU_OK         done
 *   VMMU_INVALID    it is empty, unaligned, or wraps around; nothing was changed
 *   VMMU_NO_MEMORY  there might be more runs than there is room for; nothing was changed
 */
VMMU_MUST_USE
enum vmmu_status guest_patches_set(struct guest_patches *patches, const struct guest_patch *patch);

/*
 * Take back the last guest_patches_set(), of *patch: what stood at its pages before is *before, one run that had just its
 * pages, or nothing if that is NULL.
 */
void guest_patches_undo(struct guest_patches *patches, const struct guest_patch *patch,
                        const struct guest_patch *before);

#endif
