/*
 * Guest memory behind one interface: a technique is a value, chosen per partition at run time. Nothing
 * outside this folder asks which it is, but the architecture whose techniques these are (hv/mmu/x86.h, hv/mmu/booke.h).
 *
 * Every call is made under the partition's lock (see hv/vp/vp.h).
 */
#ifndef HV_MMU_MMU_H
#define HV_MMU_MMU_H

#include "hv/boot/format.h"
#include "hv/guest/memory.h"
#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

enum mmu_verdict {
    MMU_RETRY, /* mapped, or never missing: enter the guest again */
    MMU_DEVICE, /* memory does not serve it: perform the instruction on devices, or tell who withholds the memory */
    MMU_STOP, /* partition_end() has been called */
};

/* One way to make guest memory. What may be NULL says so. */
struct mmu_technique {
    const char *name;
    size_t state_bytes; /* of what begins with its struct mmu, zeroed but for that when it is created */

    /* NULL, or why not. */
    const char *(*create)(struct partition *partition);
    enum mmu_verdict (*fault)(struct vp *vp, const struct exit_memory *memory);

    /* What shows at a page has changed. */
    bool (*map)(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights);
    bool (*unmap)(struct partition *partition, vmmu_gpa gpa);

    /* Whether it can translate such an address. */
    bool (*reaches)(const struct mmu *mmu, vmmu_gpa gpa);

    /* The hypervisor has written there. May be NULL. */
    void (*wrote)(struct partition *partition, vmmu_gpa gpa, uint32_t bytes);

    /* Drop what has been made for the guest, and can be made again. NULL: there is nothing of the kind. */
    void (*drop_all)(struct partition *partition);

    /* For people: members of the object "mmu" and of the partition's state; text; a document, or an element of a list. */
    void (*report)(const struct partition *partition, struct json *json);
    void (*state)(const struct partition *partition, struct json *json);
    void (*walk)(const struct vp *vp, vmmu_gva va, const struct format_sink *sink);
    void (*counters)(const struct partition *partition, const struct format_sink *sink);
    void (*tlb)(const struct vp *vp, struct json *json); /* may be NULL */

    /* Whether one of its tables is in that page of the machine's. */
    bool (*has_table)(const struct mmu *mmu, vmmu_hpa page);
};

/* The technique of that name, which is @length characters long (0: the first that there is), or NULL. */
const struct mmu_technique *mmu_find(const char *name, unsigned length);

/* The name of the technique by which @partition's memory is made. */
const char *mmu_name(const struct partition *partition);

/* Take whole pages of the machine's memory, zeroed, while guests run. Whoever takes them has a partition's lock, or none. */
VMMU_MUST_USE
bool mmu_memory_take(uint64_t size_bytes, vmmu_hpa *at);

/* Map the partition's memory by @technique. NULL, or why not. */
const char *mmu_create(struct partition *partition, const struct mmu_technique *technique);

/* Decide what a refused guest-physical access means. */
enum mmu_verdict mmu_fault(struct vp *vp, const struct exit_memory *memory);

/* To be called before each entry to a guest: a test drops all that has been made for it now and then. */
void mmu_upset(struct partition *partition);

/* The guest has run while nobody looked at what it did to its tables: what was made from them is forgotten. */
void mmu_forget_all(struct partition *partition);

/* The hypervisor has written to guest memory, within one page, on a running guest's behalf. */
void mmu_wrote(struct partition *partition, vmmu_gpa gpa, uint32_t bytes);

/**
 * Lay @page, which belongs to the partition from now on, over the guest page at @gpa, with @rights,
 * GUEST_RIGHT_*. What stood there keeps its content; @gpa need not be memory. False if another overlay is
 * there or there is no room.
 */
VMMU_MUST_USE
bool mmu_overlay(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights);

/*
 * Take the overlay at @gpa away: what stood there shows again. False if there is none, or no room to split.
 */
VMMU_MUST_USE
bool mmu_overlay_remove(struct partition *partition, vmmu_gpa gpa);

/* --- what the parent does to its child's memory; the callers hold the locks of both --- */

/**
 * The page at @source of @owner's own memory stands at @gpa of @partition from now on, over whatever is there but overlays,
 * with @rights, GUEST_RIGHT_*. Overlays over @source do not count.
 *
 * Returns
 *   VMMU_OK         done
 *   VMMU_ABSENT     @owner has no memory at @source
 *   VMMU_INVALID    @gpa is beyond what the partition's tables translate
 *   VMMU_NO_MEMORY  there is no room to keep account of it, or none for tables
 */
VMMU_MUST_USE
enum vmmu_status mmu_lend(struct partition *partition, vmmu_gpa gpa, const struct partition *owner,
                          vmmu_gpa source, uint8_t rights);

/* Have a hole at the page of @gpa, whatever stands there but overlays. Returns as mmu_lend(), but never VMMU_ABSENT. */
VMMU_MUST_USE
enum vmmu_status mmu_withhold(struct partition *partition, vmmu_gpa gpa);

/* Whether others than this partition's processors may write its memory: some is lent to it, or it has lent some. */
bool mmu_is_shared(const struct partition *partition);

enum mmu_grant {
    MMU_GRANTED,
    MMU_UNMAPPED, /* a hole */
    MMU_REFUSED,  /* lent without the right */
};

/* Whether the parent lets @partition access @gpa so. What is no patch of the parent's is granted, memory or not. */
enum mmu_grant mmu_grant(const struct partition *partition, vmmu_gpa gpa, enum guest_access access);

/* What stands at @gpa. */
struct mmu_place {
    bool memory;
    bool overlay;
    uint8_t rights;
};
struct mmu_place mmu_place(const struct partition *partition, vmmu_gpa gpa);

/* --- access to it by the hypervisor --- */

/*
 * Our pointer to what the guest sees at @gpa, overlays and what is lent included; NULL where it can read no memory. Stay
 * within one page.
 */
const void *mmu_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes);

/* The same for writing: NULL also where the guest may not write. */
void *mmu_writable_at(const struct partition *partition, vmmu_gpa gpa, uint64_t size_bytes);

void mmu_report(const struct partition *partition, struct json *json);

#endif
