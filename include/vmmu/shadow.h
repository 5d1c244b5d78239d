/*
 * Shadow paging: tables of ours, which the processor walks in place of the guest's, kept in step with them.
 *
 * The guest's tables say where a linear address goes in guest-physical memory; the embedder's backing says where
 * that is in the machine; an entry of a shadow says both at once.
 *
 * A table of the guest's is open at first: the guest writes it as it likes, and what was made from it is as stale
 * as a TLB may be. Where the guest does what invalidates a TLB, open tables are compared with their shadows. A table
 * that stays as it is over some of these is closed: write-protected in every entry that maps it, and in step.
 *
 *   what happens                                   what is called
 *   MOV CR, EFER, task switch, INVPCID             vmmu_shadow_enter: the root to run on
 *   INVLPG, while `watches_invlpg` is set          vmmu_shadow_invlpg; else the hardware executes it
 *   the hardware raises a page fault               vmmu_shadow_fault: retry, inject, a device, emulate a write
 *   guest memory was written by the embedder       vmmu_shadow_wrote (an emulated write, a device's)
 *   a write that cannot be emulated                vmmu_shadow_drop, then let the guest run again
 *   the backing changed: unmapped, moved           vmmu_shadow_forget
 *   the backing lost rights: a dirty log, ROM      vmmu_shadow_protect
 *
 * Invariants
 * - An entry's rights are within what the backing allows, and within what the guest's tables allow, or allowed when the
 *   virtual processor last invalidated what it has cached, after every store.
 * - No entry that allows writing maps a closed table.
 * - An entry is made only when the guest's entries on the way are accessed, and writable only when its leaf is dirty.
 * - While no open table has entries, INVLPG may go to the hardware, which knows one linear page only: a store that takes
 *   something away asks for a flush of every tag and VP that may have it.
 *
 * The hardware runs with CR0.PG and WP set, CR4.PAE set, EFER.NXE set, no PCIDs, and the guest's own PGE, SMEP, SMAP,
 * PKE and PKS; of those none but PGE while the guest's paging is off. The depth follows the guest: five levels or four in
 * long mode, else PAE, whose root lies below 4 GiB.
 *
 * What the guest's processors offer (struct vmmu_x86_cpu) is the same for all of them and does not change.
 *
 * All calls on one object, and all on its table memory, are made under the caller's one lock for the
 * partition. An operation returns a status with a plan (plan.h), to be applied whatever the status, before the virtual
 * processor that it was made for runs again; on VMMU_FLUSH_RETRY apply, report the epoch, and call again with the same
 * arguments: it was not done. Every plan is of a whole tag.
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

#define VMMU_SHADOW_VPS            64

/*
 * The fewest shadow pages with which any guest instruction makes progress: the widest reach of one, with the delivery of an
 * exception in the middle, is less than twenty pages of linear addresses, each with up to four tables below the root.
 */
#define VMMU_SHADOW_FLOOR_PAGES    96
/* And so many for each virtual processor, of which five at most are its own. */
#define VMMU_SHADOW_FLOOR_FOR_A_VP 16

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
    uint32_t pool_pages;   /* shadow pages at most: see VMMU_SHADOW_FLOOR_PAGES */
    uint8_t maxphyaddr;    /* the processor's physical-address width in bits, 32 to 52 */
    uint8_t largest_level; /* the largest leaf that may be made: 1, 2, 3 */
    uint64_t pat;          /* the PAT MSR under which the shadows are walked */
    uint64_t guest_pat;    /* the guest's, at first: see vmmu_shadow_set_guest_pat */
    uint64_t vps;          /* the virtual processors, one bit each */
    /*
     * Page faults whose error code has P clear go to the guest without an exit: the mask and match of VT-x say so. Then an entry
     * of ours that is merely not made is present with reserved bits of the address set, which faults with P set; it is
     * not present only where the guest's own entry is known not to be, and so is whatever leads to it. Needs maxphyaddr below
     * 52. EFER.NXE of the hardware is always set: if the guest's processor would not tell fetches in the error code
     * (neither NXE with PAE nor SMEP), faults with I/D set have to exit. Off: no entry of ours differs from what it was.
     */
    bool silent_absent;
    /*
     * The processor keeps translations under a tag for each root of a virtual processor, so that loading another root flushes
     * nothing: see struct vmmu_shadow_root.
     */
    bool tagged_roots;
    /* A shadow page serves one virtual processor only: no other ever uses an entry that was made for it. */
    bool private_vps;
    /* Faults say whether an entry of the guest's that leads to a table has PWT or PCD set: vmmu_shadow_verdict.table_cache. */
    bool heeds_table_cache;
};

struct vmmu_shadow_counters {
    uint64_t fills;       /* leaves made for a fault */
    uint64_t prefills;    /* leaves made beside it */
    uint64_t reflected;   /* faults that were the guest's own */
    uint64_t spurious;    /* faults that the tables did not confirm */
    uint64_t write_traps; /* writes to closed tables */
    uint64_t dropped;     /* tables opened by vmmu_shadow_drop */
    uint64_t evicted;     /* shadows given up for room */
    uint64_t syncs;       /* tables compared with the guest's */
    uint64_t opened;      /* tables that the guest may write again */
    uint64_t closed;      /* tables that were write-protected */
    uint64_t invlpgs;     /* that came here */
    uint64_t pages;       /* shadow pages now */
    uint64_t peak_pages;
    uint64_t split_pages; /* of `pages`: those that split a large guest page */
    uint64_t silenced; /* tables whose absent entries came to fault without an exit: config.silent_absent */
    uint64_t zapped;   /* entries removed */
    uint64_t stores;   /* to live tables */
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
    /*
     * Read it before each entry to the guest, of any virtual processor: while it is set, INVLPG is intercepted, and comes to
     * vmmu_shadow_invlpg. It may change in every operation; where it is set for others' sake, the plan names them.
     */
    bool watches_invlpg;
};

/* Bytes, aligned to 8, that shadows of @pool_pages pages are kept account of in; 0 if it is below the floor or beyond 2^20. */
size_t vmmu_shadow_memory_bytes(uint32_t pool_pages);

/**
 * Set up @shadow, with nothing in it. @config is copied; what it points to, @memory and @account are borrowed until
 * vmmu_shadow_destroy. Takes no page: other tables may draw from @memory too.
 *
 * Returns
 *   VMMU_OK           *shadow
 *   VMMU_INVALID      a member of @config is out of its range, the pool is smaller than the floor or than its virtual
 *                     processors need, or @account is misaligned or too small
 *   VMMU_UNSUPPORTED  config->pat has no entry of write-back, or none of uncached memory; or no bit of an address is reserved
 *                     that config->silent_absent needs
 */
VMMU_MUST_USE
enum vmmu_status vmmu_shadow_init(struct vmmu_shadow *shadow, const struct vmmu_shadow_config *config,
                                  struct vmmu_table_memory *memory, void *account, size_t account_bytes);

/* Give back every table page, at once. Only when no processor can run on these tables any more. */
void vmmu_shadow_destroy(struct vmmu_shadow *shadow);

/*
 * What the hardware is loaded with. Who loads another `cr3` than before flushes the virtual processor's tag: no plan says so.
 *
 * With config.tagged_roots nothing is flushed for another `cr3`. Instead:
 * - a tag (VPID, ASID) belongs to one virtual processor and one `cr3`; it is clean when it is first used, and when it is given
 *   to another;
 * - a plan's whole tag means all tags of each virtual processor that it names, with global translations and cached upper levels;
 * - INVLPG, be it the hardware's own or the embedder's for one that came to vmmu_shadow_invlpg, has to reach the tag of the
 *   root in use only: what else there is to flush the plan says;
 * - who changes the hardware's CR4 or EFER flushes all tags of the virtual processor, where MOV to CR4 or WRMSR would flush.
 * A `cr3` may come back for other content, but not before a plan has had every tag flushed that may have cached anything of it.
 */
struct vmmu_shadow_root {
    uint64_t cr3;
    enum vmmu_x86_format_name format; /* PAE, 4-level or 5-level: what CR4.LA57 and EFER.LMA must say */
};

/**
 * @vp, which is not in guest mode, translates by @mode from now on: find its root or make it, and say in *root what to load.
 * Each MOV to CR3 and each change of another paging register comes here, whatever it changes, and so do the first
 * entry, a task switch and INVPCID: the guest may count on what it changed in its tables from now on. The
 * PDPTEs of PAE paging are those in @mode, until the next call.
 *
 * The plan flushes what processors must not use any more of what was removed. What the guest's own instruction promises to
 * flush needs nothing besides.
 *
 * Returns
 *   VMMU_OK           *root
 *   VMMU_FLUSH_RETRY  pages were evicted, or INVLPG is not intercepted yet by others that have to
 *   VMMU_NO_MEMORY    the host gave no page, and there was none to evict; @vp has the mode it had
 *   VMMU_INVALID      @vp is none of config.vps
 *   VMMU_UNSUPPORTED  PAE paging with mode->pdpte_in_memory
 *
 * Spec: SDM 3A "PDPTE Registers"; APM 2 "Handling of PDPT Entries in PAE Mode".
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_enter(struct vmmu_shadow *shadow, unsigned vp,
                                      const struct vmmu_x86_mode *mode, struct vmmu_shadow_root *root);

/**
 * @vp, which was entered before, executed INVLPG of @va. To be called while `watches_invlpg` is set; harmless otherwise.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  too many plans are under way
 *   VMMU_INVALID      @vp was never entered
 *
 * Spec: SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches".
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_invlpg(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va);

/* PKRU and IA32_PKRS of @vp, which was entered before, are these: they change without an exit, so tell before vmmu_shadow_fault. */
void vmmu_shadow_set_keys(struct vmmu_shadow *shadow, unsigned vp, uint32_t pkru, uint32_t pkrs);

enum vmmu_shadow_answer {
    VMMU_SHADOW_RETRY,  /* the tables allow it now, or did already: let the guest run again */
    VMMU_SHADOW_INJECT, /* `fault` is the guest's own */
    VMMU_SHADOW_DEVICE, /* no memory backs `gpa`: emulate the access */
    VMMU_SHADOW_DENIED, /* the backing of `gpa` refuses the access: a dirty log, or ROM */
    /*
     * A write to `gpa` that no entry may allow: perform it, then call wrote; or call drop. No other virtual processor runs
     * between the write and what wrote() asks for. The page holds a table; or
     * CR0.WP is clear, a supervisor writes a user's read-only page, and SMAP or protection keys are in use.
     */
    VMMU_SHADOW_EMULATE,
};

struct vmmu_shadow_verdict {
    enum vmmu_shadow_answer answer;
    vmmu_gpa
        gpa; /* of the access; or of an entry of the guest's that lies in no memory, or that may not be marked */
    struct vmmu_x86_fault fault;
    bool
        table_cache; /* RETRY, by config.heeds_table_cache: the page was reached through an entry with PWT or PCD, and is mapped now */
};

/**
 * The hardware raised a page fault for @access of @va by @vp: say whose it is, and mend what is ours. @access: kind, user,
 * EFLAGS.AC, implicit; its marks do not count. The guest's entries are marked accessed and dirty as a
 * processor would.
 *
 * Returns
 *   VMMU_OK           *verdict
 *   VMMU_FLUSH_RETRY  entries were replaced, pages evicted, or INVLPG is not intercepted yet by others that have to
 *   VMMU_NO_MEMORY    the host gave too few pages, and there were none to evict
 *   VMMU_INVALID      @vp was never entered
 *   VMMU_UNSUPPORTED  a shadow-stack access
 *   VMMU_VIOLATED     the backing gave memory that is not the partition's; the host has been told
 *
 * Spec: SDM 3A "Page-Fault Exceptions", "Accessed and Dirty Flags".
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_fault(struct vmmu_shadow *shadow, unsigned vp, vmmu_gva va,
                                      struct vmmu_x86_access access, struct vmmu_shadow_verdict *verdict);

/**
 * [gpa, gpa + bytes), within one page, has just been written by somebody else than the guest's processors: what was made
 * from the entries there is removed.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  too many plans are under way
 *   VMMU_INVALID      nothing, or more than a page
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_wrote(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint32_t bytes);

/**
 * Open the table in the page of @gpa, whatever uses it, so that the guest can write it.
 *
 * If the page holds no closed table, the answer was VMMU_SHADOW_EMULATE for want of CR0.WP: then the next fault lends the page
 * to the supervisor, and SMAP and protection keys do not guard it from supervisors meanwhile.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  too many plans are under way, or INVLPG is not intercepted yet by others that have to
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_drop(struct vmmu_shadow *shadow, vmmu_gpa gpa);

/**
 * The backing of [gpa, gpa + size), whole pages, is not what it was: remove every entry that maps it, and every shadow of a
 * table in it. Call it after the backing says so.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  too many plans are under way
 *   VMMU_INVALID      the range is empty, misaligned or beyond 2^52
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_forget(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes);

/**
 * The backing of [gpa, gpa + size), whole pages, has only @rights now: take the others from every entry that maps it. Its
 * content is what it was: tables in it stay. Nothing is to be told when rights come back. Returns as vmmu_shadow_forget.
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_protect(struct vmmu_shadow *shadow, vmmu_gpa gpa, uint64_t size_bytes,
                                        uint8_t rights);

/**
 * The guest's PAT is @pat from now on, on all of its processors: entries made by another one are removed. One of
 * eight entries UC holds for unpaged accesses, too.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  too many plans are under way
 *
 * Spec: SDM 3A "Page Attribute Table (PAT)".
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_shadow_set_guest_pat(struct vmmu_shadow *shadow, uint64_t pat);

#endif
