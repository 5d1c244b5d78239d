/*
 * Guest memory behind one interface: a technique is a value, chosen per partition at run time. Nothing
 * outside this folder asks which it is.
 *
 * Every call is made under the partition's lock (see hv/vp/vp.h).
 */
#ifndef HV_MMU_MMU_H
#define HV_MMU_MMU_H

#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

enum mmu_verdict {
    MMU_RETRY,  /* mapped, or never missing: enter the guest again */
    MMU_DEVICE, /* no memory stands there: perform the instruction on devices */
    MMU_STOP,   /* partition_end() has been called */
};

/* What a backend must put into its control structure. */
struct mmu_root {
    bool nested; /* the processor walks the guest's tables, and `value` translates guest-physical addresses */
    uint64_t value; /* as vmmu_nested_root() gives it */
};

struct mmu_technique {
    const char *name;
    const char *(*create)(struct partition *partition); /* NULL, or why not */
    enum mmu_verdict (*fault)(struct vp *vp, const struct exit_memory *memory);
    struct mmu_root (*root)(const struct vp *vp);
    bool (*map)(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights); /* one page */
    bool (*unmap)(struct partition *partition, vmmu_gpa gpa);                              /* one page */
    void (*report)(const struct partition *partition, struct json *json);
};

/* The technique of that name, which is @length characters long, or NULL. */
const struct mmu_technique *mmu_find(const char *name, unsigned length);

/* Map the partition's memory by @technique. NULL, or why not. */
const char *mmu_create(struct partition *partition, const struct mmu_technique *technique);

/* Decide what a refused guest-physical access means. */
enum mmu_verdict mmu_fault(struct vp *vp, const struct exit_memory *memory);

/* What the VP's processor must walk now. */
struct mmu_root mmu_root(const struct vp *vp);

/**
 * Lay @page, which belongs to the partition from now on, over the guest page at @gpa, with @rights of
 * nested.h. What stood there keeps its content; @gpa need not be memory. False if another overlay is
 * there or there is no room.
 */
VMMU_MUST_USE
bool mmu_overlay(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights);

/*
 * Take the overlay at @gpa away: what stood there shows again. False if there is none, or no room to split.
 */
VMMU_MUST_USE
bool mmu_overlay_remove(struct partition *partition, vmmu_gpa gpa);

/*
 * Our pointer to what the guest sees at @gpa, overlays included; NULL where no memory
 * is. Stay within one page.
 */
const void *mmu_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes);

/* The same for writing: NULL also where the guest may not write. */
void *mmu_writable_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes);

void mmu_report(const struct partition *partition, struct json *json);

#endif
