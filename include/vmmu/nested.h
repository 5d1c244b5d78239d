/*
 * Nested page tables, AMD's NPT and Intel's EPT: build them and edit them while processors walk them.
 *
 * One `struct vmmu_nested` is one guest-physical address space. It lives in memory of the caller's and keeps
 * its tables in a `struct vmmu_table_memory`. Promises:
 *
 * - No entry is ever made that maps a frame which `vmmu_host.owns` has not approved, or that
 *   allows more than was asked.
 * - A page that is present before and after an operation is present after every store in between, and each
 *   store leaves it as it was or as it shall be. Frame, rights and type never change in a store that changes
 *   the size of a page, nor until what was cached of the other size is flushed.
 * - An operation reserves the pages that it needs before it changes anything. If it fails, guest
 *   accesses translate as before.
 *
 * An operation returns a status with a plan (plan.h). The plan must be applied, whatever the status, and its
 * epoch reported by vmmu_table_flushed() on the memory, before the effect may be relied on. On
 * VMMU_FLUSH_RETRY apply, report, and call again with the same arguments: after a few turns the operation is
 * done. An empty plan asks for nothing.
 *
 * All calls on one object, and all on its table memory, are made under the caller's one lock for the
 * partition. Processors walk the tables and set accessed and dirty bits at any time, without it. Nothing here
 * allocates but from the table memory, and nothing is kept of the arguments.
 *
 * Ranges are whole 4 KiB pages, not empty, within the width of the format (48 bits with
 * four levels, 57 with five).
 *
 * Spec: SDM 3C "The Extended Page Table Mechanism (EPT)", "Caching Translation Information"; APM 2 "Nested
 * Paging", "Translation-Lookaside Buffer (TLB)".
 */
#ifndef VMMU_NESTED_H
#define VMMU_NESTED_H

#include <vmmu/base.h>
#include <vmmu/format.h>
#include <vmmu/host.h>
#include <vmmu/mode.h>
#include <vmmu/plan.h>
#include <vmmu/table.h>

enum vmmu_nested_format { VMMU_NESTED_NPT, VMMU_NESTED_EPT };

/*
 * The rights of a page are VMMU_X86_RIGHT_READ, _WRITE and _EXECUTE in any combination, but writing needs
 * reading, and so does executing unless the format has execute-only. VMMU_X86_RIGHT_USER may be given and
 * changes nothing: second-stage pages are open to both of the guest's modes.
 */

/* How large a page may be: the level of its entry. */
enum { VMMU_NESTED_LEVEL_4K = 1, VMMU_NESTED_LEVEL_2M = 2, VMMU_NESTED_LEVEL_1G = 3 };

/* What the format and the processor offer, and who walks. Copied at init. */
struct vmmu_nested_config {
    enum vmmu_nested_format format;
    uint8_t levels;        /* 4 or 5. NPT: as many as the hypervisor's own paging has */
    uint8_t maxphyaddr;    /* the processor's physical-address width in bits, 32 to 52 */
    uint8_t largest_level; /* the largest leaf that may be made, VMMU_NESTED_LEVEL_... */
    /*
     * The same for executable pages; 0: no different. VMMU_NESTED_LEVEL_4K keeps a guest from machine checks
     * by instruction fetches on processors where a page-size change of its own can cause them.
     */
    uint8_t largest_execute_level;
    bool execute_only; /* EPT, as IA32_VMX_EPT_VPID_CAP says; false for NPT */
    /*
     * Keep accessed and dirty bits. EPT: as IA32_VMX_EPT_VPID_CAP says; NPT: true works always. If false,
     * entries are born with both set, which saves the processor the work.
     */
    bool accessed_dirty;
    uint64_t pat; /* NPT: the PAT MSR under which the tables are walked (the hypervisor's own) */
    uint64_t vps; /* the virtual processors that run on these tables; vmmu_nested_set_vps changes it */
};

enum vmmu_nested_log {
    VMMU_NESTED_LOG_OFF,
    VMMU_NESTED_LOG_WRITE_PROTECT, /* writable pages are kept read-only until the first write, which faults */
    VMMU_NESTED_LOG_DIRTY_BITS,    /* the processor's dirty bits; needs accessed_dirty */
};

/* Counts of what was done, ever. */
struct vmmu_nested_counters {
    uint64_t stores;    /* to live tables */
    uint64_t leaves[3]; /* leaves made, by level: [0] 4 KiB, [1] 2 MiB, [2] 1 GiB */
    uint64_t splits;
    uint64_t merges;
    uint64_t retries; /* VMMU_FLUSH_RETRY returned */
    uint64_t log_faults;
    uint64_t violations;
};

/* Caller-owned. `counters` is for reading; the rest is the library's. */
struct vmmu_nested {
    struct vmmu_nested_config config;
    struct vmmu_table_memory *memory;
    const struct vmmu_x86_format *format;
    vmmu_hpa root;
    void *root_page;
    enum vmmu_nested_log log;
    uint8_t pat_index[8]; /* NPT: a PAT index that has memory type N, or 0xFF */
    struct vmmu_nested_counters counters;
};

/**
 * Make an empty address space. Takes the root page.
 *
 * @memory is borrowed until destroy. On failure @nested is not initialized and needs no destroy.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_INVALID      levels, widths or sizes are out of range
 *   VMMU_UNSUPPORTED  execute_only with NPT; a PAT without write-back
 *   VMMU_NO_MEMORY    the host gave no page for the root
 *   VMMU_FLUSH_RETRY  every page of the memory is held and some are in quarantine: report the plans that are
 *                     under way, then call again
 */
VMMU_MUST_USE
enum vmmu_status vmmu_nested_init(struct vmmu_nested *nested, const struct vmmu_nested_config *config,
                                  struct vmmu_table_memory *memory);

/**
 * Give back every table page, at once. Only when no processor can run on these tables any more, nor has
 * anything cached from them. Then the object is dead.
 */
void vmmu_nested_destroy(struct vmmu_nested *nested);

/**
 * What the processor is given: NPT: the value of the VMCB's nCR3. EPT: the EPTP, with write-back paging
 * structures, the number of levels, and accessed and dirty flags enabled if so configured.
 *
 * Spec: SDM 3C "Extended-Page-Table Pointer (EPTP)"; APM 2 "Enabling Nested Paging".
 */
uint64_t vmmu_nested_root(const struct vmmu_nested *nested);

/*
 * From now on plans name the virtual processors in @vps. Those that leave must flush before
 * they run on other tables.
 */
void vmmu_nested_set_vps(struct vmmu_nested *nested, uint64_t vps);

/* What map is asked for. */
struct vmmu_nested_mapping {
    vmmu_gpa gpa;
    vmmu_hpa hpa;
    uint64_t size_bytes;
    uint8_t rights;
    enum vmmu_x86_memory_type type;
    bool ignore_pat; /* EPT: the guest's PAT does not count. NPT has no such thing */
};

/**
 * Map [gpa, gpa + size) to [hpa, hpa + size) with the largest pages that fit. What was mapped there before is
 * replaced; a page that keeps its place keeps its size unless it must be split, and pages are never made
 * larger: see merge.
 *
 * While the dirty log runs, pages that are mapped count as clean. The plan is empty if nothing was present
 * before, and where only rights are added.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  pages had to be split first, or were and are not flushed yet
 *   VMMU_NO_MEMORY    the tables that it takes could not be had
 *   VMMU_INVALID      an argument is out of its range
 *   VMMU_UNSUPPORTED  execute-only, ignore_pat or memory type that the format has not
 *   VMMU_VIOLATED     a frame is not the partition's
 *
 * Spec: SDM 3C "EPT Translation Mechanism", "Guidelines for Use of the INVEPT
 * Instruction"; APM 2 "Nested Paging".
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_map(struct vmmu_nested *nested, const struct vmmu_nested_mapping *mapping);

/**
 * Make [gpa, gpa + size) absent; parts of it may be absent already. Tables that map nothing any
 * more are retired. The plan names what was present. The pages may be given to somebody else only
 * once it has been applied.
 *
 * Returns as map does, but never VMMU_UNSUPPORTED; VMMU_VIOLATED says that a page to split is not
 * the partition's any more.
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_unmap(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes);

/**
 * Give the pages that are present in [gpa, gpa + size) the rights @rights, which are not empty; absent pages
 * stay absent. The plan names the pages that lost a right. Added rights need no flush: a processor that still
 * has the old ones faults once, and vmmu_nested_resolve() calls that spurious.
 *
 * Returns as map does.
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_protect(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                        uint8_t rights);

/**
 * Split every page in [gpa, gpa + size) that is larger than @level's (4 KiB or 2 MiB), translations
 * unchanged; for a finer dirty log, say. A page that lies partly in the range is split too. The
 * plan names what was split.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  changes there are not flushed yet
 *   VMMU_NO_MEMORY    the tables that it takes could not be had
 *   VMMU_INVALID      an argument is out of its range
 *   VMMU_VIOLATED     a page to split is not the partition's any more
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_split(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                      uint8_t level);

/**
 * Replace each table in [gpa, gpa + size) whose 512 entries are contiguous, alike in rights and type, by one
 * larger page, and those again by larger ones. Only whole tables within the range. Merged pages count as
 * accessed, and as dirty if they can be written, for processors may be marking the old entries. Nothing is
 * merged while the dirty log runs. One call merges one size: VMMU_FLUSH_RETRY says that a larger one may be
 * possible after the flush.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_FLUSH_RETRY  something was merged and more may be possible, or changes there are not flushed yet
 *   VMMU_INVALID      an argument is out of its range
 *   VMMU_VIOLATED     a frame to merge is not the partition's any more
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_merge(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes);

/* One page as the tables have it. */
struct vmmu_nested_page {
    vmmu_gpa base;       /* of the whole page */
    vmmu_hpa frame;      /* its first byte; the address asked for is at the same offset */
    uint64_t size_bytes; /* 4 KiB, 2 MiB or 1 GiB */
    uint8_t rights;      /* as given, whether or not writing is withheld */
    enum vmmu_x86_memory_type type;
    bool ignore_pat;
    bool accessed;
    bool dirty;
    bool write_withheld; /* the dirty log waits for the first write */
};

/**
 * What maps @gpa. Changes nothing.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_ABSENT   nothing maps it
 *   VMMU_INVALID  it is beyond the format's width
 */
VMMU_MUST_USE
enum vmmu_status vmmu_nested_lookup(const struct vmmu_nested *nested, vmmu_gpa gpa,
                                    struct vmmu_nested_page *out);

/* Whether one of the tables, the root among them, stands in the page of @at. Loads every entry that may lead to one. */
bool vmmu_nested_has_table(const struct vmmu_nested *nested, vmmu_hpa at);

/* Why an access faulted, judged by the tables as they are now. */
enum vmmu_nested_cause {
    VMMU_NESTED_ABSENT,   /* nothing is mapped: a device, or the caller's own demand paging */
    VMMU_NESTED_DENIED,   /* mapped, without the right */
    VMMU_NESTED_LOGGED,   /* writing is withheld for the dirty log: call vmmu_nested_log_fault */
    VMMU_NESTED_SPURIOUS, /* the access is allowed: the processor had something older. Let it run again */
};

/**
 * Say why an access of kind @access to @gpa faulted. Changes nothing.
 *
 * Spec: SDM 3C "EPT Violations", "Operations that Invalidate Cached Mappings"; APM 2 "Nested versus Guest
 * Page Faults, Fault Ordering".
 */
enum vmmu_nested_cause vmmu_nested_resolve(const struct vmmu_nested *nested, vmmu_gpa gpa,
                                           enum vmmu_x86_access_kind access);

/* What harvest reports of one page that was accessed or written. */
struct vmmu_nested_mark {
    vmmu_gpa base;
    uint64_t size_bytes;
    bool accessed;
    bool dirty;
};

struct vmmu_nested_harvester {
    void *context;
    /* clear what is reported; the plan then names it. Until the flush, new marks may be missed */
    bool clear_accessed;
    bool clear_dirty; /* VMMU_INVALID while the dirty log uses the dirty bits */
    void (*report)(void *context,
                   const struct vmmu_nested_mark *mark); /* must not call back into the library */
};

/**
 * Report every page in [gpa, gpa + size) that has its accessed or dirty bit set, in order; a page that lies
 * partly in the range is reported whole.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_INVALID      an argument is out of its range
 *   VMMU_UNSUPPORTED  accessed_dirty is off
 *   VMMU_FLUSH_RETRY  too many plans are under way
 *
 * Spec: SDM 3C "Accessed and Dirty Flags for EPT"; APM 2 "Accessed (A) Bit", "Dirty (D) Bit".
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_harvest(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                        const struct vmmu_nested_harvester *harvester);

/**
 * Start the dirty log for the whole address space: from the flush of the plan on, every page
 * that is written is logged.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_INVALID      it runs already, or @log is OFF
 *   VMMU_UNSUPPORTED  dirty bits without accessed_dirty
 *   VMMU_FLUSH_RETRY  page sizes changed and are not flushed yet
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_log_start(struct vmmu_nested *nested, enum vmmu_nested_log log);

/**
 * The guest wrote @gpa and vmmu_nested_resolve said VMMU_NESTED_LOGGED: log the page and let it be written.
 * If @whole_page is false, a large page is split to 4 KiB first and only the page written is logged; else it
 * is logged whole, which needs no memory. The plan names what was split.
 *
 * Returns
 *   VMMU_OK           also if nothing was withheld
 *   VMMU_FLUSH_RETRY  a large page was split first, or changes there are not flushed yet
 *   VMMU_NO_MEMORY    call again with @whole_page
 *   VMMU_INVALID      @gpa is beyond the format's width
 *   VMMU_VIOLATED     the page is not the partition's any more
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_log_fault(struct vmmu_nested *nested, vmmu_gpa gpa, bool whole_page);

/**
 * Set, in @bitmap, bit N % 8 of byte N / 8 for every 4 KiB page N of [gpa, gpa + size) that was written
 * since the log started or was last collected, and count those as clean again. Other bits stay. Copy
 * the pages only after the plan has been applied. Collect before unmapping or remapping: an entry that
 * goes takes its mark with it.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_INVALID      an argument is out of its range, or no log runs
 *   VMMU_FLUSH_RETRY  page sizes changed and are not flushed yet, or too many plans are under way
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_log_collect(struct vmmu_nested *nested, vmmu_gpa gpa, uint64_t size_bytes,
                                            uint8_t *bitmap);

/**
 * Stop the dirty log and let all pages be written again that may be. Marks not collected are
 * lost. The plan is empty.
 *
 * Returns
 *   VMMU_OK           done
 *   VMMU_INVALID      none runs
 *   VMMU_FLUSH_RETRY  page sizes changed and are not flushed yet
 *   VMMU_VIOLATED     a page that becomes writable is not the partition's any more
 */
VMMU_MUST_USE
struct vmmu_outcome vmmu_nested_log_stop(struct vmmu_nested *nested);

#endif
