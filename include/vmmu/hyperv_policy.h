/*
 * What Hyper-V's specification leaves open about the virtual MMU: policies, chosen for each partition, and what each
 * decides of an event.
 *
 * Pure: a decision says what is stored, what reads back and who is told; whoever asks does it. Only calls that take
 * a `struct vmmu_hyperv_pats` change something, which is that; they must not run at the same time as others on it.
 */
#ifndef VMMU_HYPERV_POLICY_H
#define VMMU_HYPERV_POLICY_H

#include <vmmu/format.h>

/* Most virtual processors that one partition may have here: one bit each in a flush request. */
#define VMMU_HYPERV_VPS 64

/* What becomes of a cache control that the virtual MMU may support or not. */
enum vmmu_hyperv_cache_policy {
    VMMU_HYPERV_CACHE_IGNORE,  /* it has no effect; where it is a register's bit, this reads as zero */
    VMMU_HYPERV_CACHE_MESSAGE, /* the parent is told of an unsupported feature, the processor suspended */
    VMMU_HYPERV_CACHE_HONOR,
};

/* Spec: TLFS "Virtual MMU and Caching". */
struct vmmu_hyperv_policy {
    enum vmmu_hyperv_cache_policy cr3_cache;   /* CR3.PWT and PCD, by MOV and by task switch: ignore, honor */
    enum vmmu_hyperv_cache_policy table_cache; /* PWT, PCD and PAT of entries that lead to tables */
    enum vmmu_hyperv_cache_policy cr0_cd;
    bool pat_of_partition; /* IA32_PAT is one register for all virtual processors; else each has its own */
    bool shadow_sharing;   /* a shadow page may serve several virtual processors */
    /* A flush of no processor is an error (TLFS 2.0a), not one of all (what guests expect). The Ex forms may name nobody. */
    bool empty_set_is_error;
};

/**
 * The policies unless others are asked for. @second_level: the processor walks the guest's own tables and honours what they
 * and CR3 say of caches by itself, so that ignoring it would take work.
 */
struct vmmu_hyperv_policy vmmu_hyperv_policy_default(bool second_level);

/* What keeps a partition from having the policies that are asked for. */
enum vmmu_hyperv_policy_refusal {
    VMMU_HYPERV_POLICY_GOOD,
    VMMU_HYPERV_POLICY_NO_PARENT,    /* `message`, and there is nobody to be told */
    VMMU_HYPERV_POLICY_UNSEEN_WALKS, /* table.cache other than honor: the processor walks the tables unseen */
    VMMU_HYPERV_POLICY_CR3_MESSAGE,  /* cr3.cache has no `message` */
};

/* Whether @policy can be had by a partition under nested paging (@second_level) or shadow paging, with a parent or without. */
enum vmmu_hyperv_policy_refusal vmmu_hyperv_policy_check(const struct vmmu_hyperv_policy *policy,
                                                         bool second_level, bool has_parent);

/* --- what they decide --- */

/* Who writes a register: an instruction (a task switch is one), or HvSetVpRegisters and HvSwitchVirtualAddressSpace. */
enum vmmu_hyperv_writer {
    VMMU_HYPERV_BY_INSTRUCTION,
    VMMU_HYPERV_BY_CALL,
};

enum vmmu_hyperv_verdict {
    VMMU_HYPERV_STORE,   /* `stored` is the register's value from now on, and what reads back */
    VMMU_HYPERV_REFUSE,  /* HV_STATUS_INVALID_PARAMETER; only for a call */
    VMMU_HYPERV_MESSAGE, /* nothing is stored: the parent is told, and RIP stays; only for an instruction */
};

struct vmmu_hyperv_ruling {
    enum vmmu_hyperv_verdict verdict;
    uint64_t stored;
};

/**
 * @value is written to CR3 while CR4 is @cr4 (of a set of registers written together: what they make of it), and was found
 * to be one that the processor has. While CR4.PCIDE is set, PWT and PCD are none.
 *
 * Spec: TLFS "Virtual MMU", "Memory Cache Type"; SDM 3A "Process-Context Identifiers".
 */
struct vmmu_hyperv_ruling vmmu_hyperv_rule_cr3(const struct vmmu_hyperv_policy *policy,
                                               enum vmmu_hyperv_writer writer, uint64_t cr4, uint64_t value);

/**
 * @value is written to CR0, and was found to be one that the processor has. CD and NW go together: under `ignore` both read
 * as zero.
 */
struct vmmu_hyperv_ruling vmmu_hyperv_rule_cr0(const struct vmmu_hyperv_policy *policy,
                                               enum vmmu_hyperv_writer writer, uint64_t value);

/* Whether every access of a virtual processor whose CR0 is @cr0 goes uncached: CR0.CD, honoured. */
bool vmmu_hyperv_is_uncached(const struct vmmu_hyperv_policy *policy, uint64_t cr0);

/* A PAT of eight entries UC. */
#define VMMU_HYPERV_PAT_UNCACHED UINT64_C(0)

/*
 * The PAT registers of a partition. `of_vp` is what each virtual processor reads back. `agreed` is what the partition sees
 * where only one can be for all, as in shadow tables: the value that all had when they were last alike.
 */
struct vmmu_hyperv_pats {
    uint64_t of_vp[VMMU_HYPERV_VPS];
    uint64_t agreed;
    uint64_t uncached; /* bit N: CR0.CD of virtual processor N is set, and honoured */
};

/* As after reset: every register VMMU_X86_PAT_AT_RESET. */
void vmmu_hyperv_pats_init(struct vmmu_hyperv_pats *pats);

/**
 * Virtual processor @vp, of @vp_count, writes @value, which is one that the register takes. Returns whose registers
 * changed, one bit each: all may, under pat_of_partition.
 */
uint64_t vmmu_hyperv_pat_write(struct vmmu_hyperv_pats *pats, const struct vmmu_hyperv_policy *policy,
                               unsigned vp_count, unsigned vp, uint64_t value);

/* CR0 of @vp is @cr0 from now on. Returns whether its accesses have become cached or uncached by that. */
bool vmmu_hyperv_pat_follow_cr0(struct vmmu_hyperv_pats *pats, const struct vmmu_hyperv_policy *policy,
                                unsigned vp, uint64_t cr0);

/* The PAT by which the processor is to translate for @vp, where it walks the guest's tables: its own, or all UC. */
uint64_t vmmu_hyperv_pat_of_vp(const struct vmmu_hyperv_pats *pats, unsigned vp);

/* The PAT by which tables that all virtual processors share are to be made: the agreed one, or all UC while one is uncached. */
uint64_t vmmu_hyperv_pat_of_tables(const struct vmmu_hyperv_pats *pats);

/* The memory type, UC- among them, that @vp gives to a page whose leaf selects entry @index of the PAT. */
enum vmmu_x86_memory_type vmmu_hyperv_pat_type(const struct vmmu_hyperv_pats *pats, bool second_level,
                                               unsigned vp, unsigned index);

/* A feature of the processor that is not there. Told to the parent in a message: see vmmu_hyperv_message_unsupported(). */
enum vmmu_hyperv_feature {
    VMMU_HYPERV_FEATURE_CACHE_DISABLE = 1, /* an instruction sets CR0.CD; RIP is on it */
    VMMU_HYPERV_FEATURE_TABLE_CACHE = 2,   /* `detail`: an address reached through a table with cache bits */
    VMMU_HYPERV_FEATURE_TASK_SWITCH = 3,   /* `detail`: the TSS selector of one that is not performed here */
};

#endif
