/*
 * Guest memory behind one interface: a technique is a value, chosen per partition at run time. Nothing
 * outside this folder asks which it is.
 *
 * Every call is made under the partition's lock (see hv/vp/vp.h).
 */
#ifndef HV_MMU_MMU_H
#define HV_MMU_MMU_H

#include <vmmu/shadow.h>

#include "hv/monitor/json.h"
#include "hv/vp/vp.h"

enum mmu_verdict {
    MMU_RETRY,     /* mapped, or never missing: enter the guest again */
    MMU_DEVICE,    /* no memory stands there: perform the instruction on devices */
    MMU_INTERCEPT, /* memory that the parent withholds: it is to be told */
    MMU_STOP,      /* partition_end() has been called */
};

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

/*
 * One way to make guest memory. The last eight calls are for a processor that walks tables of ours in
 * place of the guest's; NULL where mmu_root() says `nested`.
 */
struct mmu_technique {
    const char *name;
    uint32_t (*table_pages)(const struct partition *partition); /* at most; asked once, before create() */
    const char *(*create)(struct partition *partition);         /* NULL, or why not */
    enum mmu_verdict (*fault)(struct vp *vp, const struct exit_memory *memory);
    struct mmu_root (*root)(const struct vp *vp);
    bool (*map)(struct partition *partition, vmmu_gpa gpa, vmmu_hpa page, uint8_t rights); /* one page */
    bool (*unmap)(struct partition *partition, vmmu_gpa gpa);                              /* one page */
    void (*report)(const struct partition *partition, struct json *json);

    bool (*enter)(struct vp *vp, const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root);
    bool (*linear_fault)(struct vp *vp, vmmu_gva va, struct vmmu_x86_access access,
                         struct vmmu_shadow_verdict *verdict);
    void (*set_keys)(struct vp *vp, uint32_t pkru, uint32_t pkrs);
    void (*invlpg)(struct vp *vp, vmmu_gva va);
    void (*wrote)(struct partition *partition, vmmu_gpa gpa, uint32_t bytes);
    void (*drop)(struct partition *partition, vmmu_gpa gpa);
    void (*set_guest_pat)(struct partition *partition, uint64_t pat);
    void (*drop_all)(struct partition *partition);
};

/* The technique of that name, which is @length characters long, or NULL. */
const struct mmu_technique *mmu_find(const char *name, unsigned length);

/* Take whole pages of the machine's memory, zeroed, while guests run. Whoever takes them has a partition's lock, or none. */
VMMU_MUST_USE
bool mmu_memory_take(uint64_t size_bytes, vmmu_hpa *at);

/* Map the partition's memory by @technique. NULL, or why not. */
const char *mmu_create(struct partition *partition, const struct mmu_technique *technique);

/* Decide what a refused guest-physical access means. */
enum mmu_verdict mmu_fault(struct vp *vp, const struct exit_memory *memory);

/* How the VP's processor translates. */
struct mmu_root mmu_root(const struct vp *vp);

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

/* To be called before each entry to a guest: a test drops every shadow page now and then. */
void mmu_upset(struct partition *partition);

/* The guest has run while nobody looked at what it did to its tables: what was made from them is forgotten. */
void mmu_forget_all(struct partition *partition);

/* The hypervisor has written to guest memory, within one page, on a running guest's behalf. */
void mmu_wrote(struct partition *partition, vmmu_gpa gpa, uint32_t bytes);

/* Let the guest write the page of @gpa, which holds a table, by itself. */
void mmu_drop(struct partition *partition, vmmu_gpa gpa);

/* A VP's page attribute table has changed. */
void mmu_set_guest_pat(struct partition *partition, uint64_t pat);

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

/* --- what the parent does to its child's memory; the callers hold the locks of both --- */

/**
 * The page at @source of @owner's own memory stands at @gpa of @partition from now on, over whatever is there but overlays,
 * with @rights of nested.h. Overlays over @source do not count.
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
enum mmu_grant mmu_grant(const struct partition *partition, vmmu_gpa gpa, enum vmmu_x86_access_kind access);

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

/*
 * Store @desired in the table entry of 4 or 8 bytes at @gpa, by one atomic access, if @expected stands there: VMMU_OK. Else
 * VMMU_RACED. VMMU_ABSENT where the parent withholds it; what is stored elsewhere where nothing can be written is lost.
 */
VMMU_MUST_USE
enum vmmu_status mmu_exchange_entry(const struct partition *partition, vmmu_gpa gpa, unsigned width_bytes,
                                    uint64_t expected, uint64_t desired);

void mmu_report(const struct partition *partition, struct json *json);

#endif
