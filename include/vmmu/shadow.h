/*
 * Shadow paging: tables of ours, which the processor walks in place of the guest's, kept in step with them.
 *
 * The guest's tables say where a linear address goes in guest-physical memory; the embedder's backing says where
 * that is in the machine; an entry of a shadow says both at once. A guest frame that holds a table with a
 * shadow is write-protected in every shadow entry that maps it, so that each change of a guest table comes
 * here before it can matter.
 *
 *   what happens                                   what is called
 *   paging registers changed (MOV CR, EFER)        vmmu_shadow_enter: the root to run on
 *   the hardware raises a page fault               vmmu_shadow_fault: retry, inject, a device, emulate a write
 *   guest memory was written by the embedder       vmmu_shadow_wrote (an emulated write, a device's)
 *   a write that cannot be emulated                vmmu_shadow_drop, then let the guest run again
 *   INVLPG                                         nothing: the hardware executes it
 *   the backing changed: unmapped, moved           vmmu_shadow_forget
 *   the backing lost rights: a dirty log, ROM      vmmu_shadow_protect
 *
 * Invariants
 * - An entry's rights are within what the guest's tables and the backing allow, both, after every store.
 * - No entry that allows writing maps a guest frame that has a shadow.
 * - An entry is made only when the guest's entries on the way are accessed, and writable only when its leaf is dirty.
 * - A store that takes something away, or that changes what a guest page is made of, asks for a flush of every tag and VP
 *   that may have it: so INVLPG may go to the hardware, which knows one linear page only.
 *
 * The hardware runs with CR0.PG and WP set, CR4.PAE set, EFER.NXE set, no PCIDs, and the guest's own SMEP, SMAP and
 * PKE. The depth follows the guest: five levels or four in long mode, else PAE, whose root lies below 4 GiB.
 *
 * All calls on one object, and all on its table memory, are made under the caller's one lock for the
 * partition. An operation returns a status with a plan (plan.h), to be applied whatever the status; on
 * VMMU_FLUSH_RETRY apply, report the epoch, and call again with the same arguments.
 *
 * Spec: SDM 3A "Paging", "Caching Translation Information"; SDM 3C "Virtualizing Virtual Memory"; APM 2 "Page
 * Translation and Protection", "Shadow Page Tables" of "Nested Paging".
 */
#ifndef VMMU_SHADOW_H
#define VMMU_SHADOW_H

#include <vmmu/base.h>
#include <vmmu/format.h>
#include <vmmu/host.h>
#include <vmmu/mode.h>
#include <vmmu/plan.h>
#include <vmmu/table.h>

#define VMMU_SHADOW_VPS         64
/* The fewest shadow pages with which any guest instruction makes progress. */
#define VMMU_SHADOW_FLOOR_PAGES 96

/* Where guest-physical memory is in the machine, around one address. */
struct vmmu_shadow_backing {
    vmmu_hpa frame; /* of the first byte of the piece */
    uint64_t
        size_bytes; /* of a piece around the address, a power of two from 4 KiB, aligned in both spaces, that is contiguous
                            and alike */
    uint8_t rights; /* VMMU_X86_RIGHT_READ, _WRITE, _EXECUTE */
    enum vmmu_x86_memory_type type;
};

struct vmmu_shadow_config {
    const struct vmmu_ram *ram; /* guest memory by guest-physical address, borrowed */
    void *context;
    /*
     * VMMU_OK and *out, or VMMU_ABSENT where there is no memory. Pure; must not call back. A page's backing may
     * change only together with a call of forget or protect.
     */
    enum vmmu_status (*backing)(void *context, vmmu_gpa gpa, struct vmmu_shadow_backing *out);
    uint32_t pool_pages;   /* shadow pages at most, VMMU_SHADOW_FLOOR_PAGES or more */
    uint8_t maxphyaddr;    /* the processor's physical-address width in bits, 32 to 52 */
    uint8_t largest_level; /* the largest leaf that may be made: 1, 2, 3 */
    uint64_t pat;          /* the PAT MSR under which the shadows are walked */
    uint64_t guest_pat;    /* the guest's, at first: see vmmu_shadow_set_guest_pat */
    uint64_t vps;          /* the virtual processors, one bit each */
};

struct vmmu_shadow_counters {
    uint64_t fills;       /* leaves made for a fault */
    uint64_t prefills;    /* leaves made beside it */
    uint64_t reflected;   /* faults that were the guest's own */
    uint64_t spurious;    /* faults that the tables did not confirm */
    uint64_t write_traps; /* writes to tables that had a shadow */
    uint64_t dropped;     /* shadows given up because a write could not be followed */
    uint64_t evicted;     /* shadows given up for room */
    uint64_t pages;       /* shadow pages now */
    uint64_t peak_pages;
    uint64_t split_pages; /* of `pages`: those that split a large guest page */
    uint64_t zapped;      /* entries removed */
    uint64_t stores;      /* to live tables */
    uint64_t roots_found; /* enter() found the root ready */
    uint64_t roots_made;
    uint64_t violations;
};

struct vmmu_shadow_state; /* the library's own, in the caller's memory */

/* Caller-owned. `counters` is for reading; the rest is the library's. */
struct vmmu_shadow {
    struct vmmu_shadow_config config;
    struct vmmu_table_memory *memory;
    struct vmmu_shadow_state *state;
    struct vmmu_shadow_counters counters;
};

/* Bytes, aligned to 8, that shadows of @pool_pages pages are kept account of in; 0 if it is below the floor or beyond 2^20. */
size_t vmmu_shadow_memory_bytes(uint32_t pool_pages);

VMMU_MUST_USE
enum vmmu_status vmmu_shadow_init(struct vmmu_shadow *shadow, const struct vmmu_shadow_config *config,
                                  struct vmmu_table_memory *memory, void *account, size_t account_bytes);

/* Give back every table page, at once. Only when no processor can run on these tables any more. */
void vmmu_shadow_destroy(struct vmmu_shadow *shadow);

/* What the hardware is loaded with. */
struct vmmu_shadow_root {
    uint64_t cr3;
    enum vmmu_x86_format_name format; /* PAE, 4-level or 5-level: what CR4.LA57 and EFER.LMA must say */
};

/*
 * @vp translates by @mode from now on: find or make its root. Each MOV to CR3 and each change of another paging register comes here.
 * The plan flushes what @vp must not use any more.
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_enter(struct vmmu_shadow *shadow, unsigned vp,
                                      const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root);

enum vmmu_shadow_answer {
    VMMU_SHADOW_RETRY,   /* the tables allow it now, or did already: let the guest run again */
    VMMU_SHADOW_INJECT,  /* `fault` is the guest's own */
    VMMU_SHADOW_DEVICE,  /* no memory backs `gpa`: emulate the access */
    VMMU_SHADOW_DENIED,  /* the backing of `gpa` refuses the access: a dirty log, or ROM */
    VMMU_SHADOW_EMULATE, /* a write to `gpa`, which holds a table: perform it, then call wrote; or call drop */
};

struct vmmu_shadow_verdict {
    enum vmmu_shadow_answer answer;
    vmmu_gpa gpa;
    struct vmmu_x86_fault fault;
};

/* @access: kind, user, EFLAGS.AC, implicit; marks do not count. */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_fault(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va,
                                      struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict);

/* [gpa, gpa + bytes), within one page, has just been written by somebody else than the guest's processors. */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_wrote(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint32_t bytes);

/* Give up every shadow of tables in the page of @gpa, so that the guest can write it. */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_drop(struct vmmu_shadow *shadow, vmmu_gpa gpa);

/* The backing of [gpa, gpa + size) is not what it was: remove every entry that maps it. Call it after the backing says so. */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_forget(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes);

/* The backing of [gpa, gpa + size) has only @rights now: take the others from every entry that maps it. */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_protect(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes,
                                        uint8_t rights);

/*
 * The guest's PAT is @pat from now on, on all of its processors: entries made by another one are removed.
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_set_guest_pat(struct vmmu_shadow *shadow, uint64_t pat);

#endif
