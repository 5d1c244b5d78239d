/*
 * Walks: an address, through the tables that stand in memory, to a translation or to the fault that a
 * processor raises.
 *
 * Three of them share one loop over level records: the guest's own walk (vmmu_x86_walk), the walk of a second
 * stage (vmmu_x86_walk_stage2), and both at once, where each access to a guest table and the final access go
 * through the second stage (vmmu_x86_walk_nested). Each entry is loaded once, decisions are made on the copy,
 * and accessed and dirty bits are set by compare-exchange.
 *
 * Nothing here allocates, locks or keeps state; every function may run at the same time as any
 * other, and as the guest.
 */
#ifndef VMMU_WALK_H
#define VMMU_WALK_H

#include <vmmu/base.h>
#include <vmmu/format.h>
#include <vmmu/host.h>
#include <vmmu/mode.h>

/* Whose table an entry stood in. */
enum vmmu_x86_stage {
    VMMU_X86_STAGE_GUEST,
    VMMU_X86_STAGE_SECOND,
    VMMU_X86_STAGE_REGISTER, /* a PDPTE register: not a memory reference */
};

/* One entry that a walk used, in the order of use. */
struct vmmu_x86_step {
    uint64_t address; /* as the table above says: guest-physical for a guest's entry, else host-physical */
    uint64_t place;   /* where vmmu_ram has it: differs from @address for a guest's entry in nested walks */
    uint64_t value;   /* as loaded, before any mark */
    uint64_t marks;   /* accessed and dirty bits that were missing from it and belong there */
    uint8_t level;
    uint8_t entry_bytes;
    uint8_t rights; /* what the second stage allows at @address; everything where there is none behind */
    enum vmmu_x86_stage stage;
};

/* Five guest tables and the final access, each behind five levels of the second stage. */
#define VMMU_X86_NESTED_STEPS (VMMU_X86_MAX_LEVELS + (VMMU_X86_MAX_LEVELS + 1) * VMMU_X86_MAX_LEVELS)

/*
 * A translation of the guest's own stage. @rights are what the entries allow together, whatever CR0 and CR4
 * make of it. With paging off: one page of 4 GiB at zero, level 0, every right, PAT index 0.
 */
struct vmmu_x86_translation {
    vmmu_gpa gpa;   /* what the address translates to */
    vmmu_gpa frame; /* base of the page around it */
    uint64_t page_bytes;
    uint8_t rights;    /* VMMU_X86_RIGHT_* */
    uint8_t level;     /* of the leaf */
    uint8_t pat_index; /* of the leaf, into the PAT */
    uint8_t key;       /* protection key of the leaf */
    bool global;       /* leaf's G, if CR4.PGE */
    bool dirty;        /* the leaf is dirty, by this walk or before */
};

/*
 * What vmmu_x86_walk found. The status says which of translation and fault is meant; steps are there always.
 */
struct vmmu_x86_walk_result {
    struct vmmu_x86_translation translation; /* VMMU_OK */
    struct vmmu_x86_fault fault;             /* VMMU_GUEST_FAULT */
    uint8_t loads;                           /* memory references made, marks not counted */
    uint8_t step_count;
    struct vmmu_x86_step steps[VMMU_X86_MAX_LEVELS];
};

/**
 * Translate @va as the guest's own MMU would, and say what it would have faulted with.
 *
 * Where linear addresses have 32 bits, higher bits of @va are not looked at. A walk with
 * VMMU_X86_MARKS_AS_IT_GOES marks an upper entry accessed as soon as it is found sound, and the leaf once
 * rights are granted. At most five loads of four or eight bytes.
 *
 * Returns
 *   VMMU_OK           out->translation
 *   VMMU_GUEST_FAULT  out->fault: #PF with its error code and CR2, or #GP(0) for an address that is not
 *                     canonical. For an access through the stack segment that fault is #SS(0): the caller,
 *                     who knows the segment, changes the vector
 *   VMMU_ABSENT       an entry lies outside @ram, or could not be marked there
 *   VMMU_RACED        the guest changed an entry that was being marked; call again
 *   VMMU_UNSUPPORTED  a shadow-stack access
 * Entries that were marked before anything but VMMU_OK came up stay marked.
 *
 * Spec: SDM 3A "Paging", "Determination of Access Rights", "Page-Fault Exceptions",
 * "Accessed and Dirty Flags".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_x86_walk(const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram, vmmu_gva va,
                               struct vmmu_x86_access access, struct vmmu_x86_walk_result *out);

/* What vmmu_x86_translate found. The status says which of the two is meant. */
struct vmmu_x86_translate_result {
    struct vmmu_x86_translation translation; /* VMMU_OK */
    struct vmmu_x86_fault fault;             /* VMMU_GUEST_FAULT */
};

/**
 * Translate @va for somebody who only looks on: what vmmu_x86_walk says with VMMU_X86_MARKS_LEAVE, without the
 * steps, and faster. @access.marks is not looked at; nothing is ever stored.
 *
 * Returns
 *   VMMU_OK           out->translation; its dirty is the leaf's own bit
 *   VMMU_GUEST_FAULT  out->fault, as for vmmu_x86_walk
 *   VMMU_ABSENT       an entry lies outside @ram
 *   VMMU_UNSUPPORTED  a shadow-stack access
 *
 * Spec: as for vmmu_x86_walk.
 */
VMMU_MUST_USE
enum vmmu_status vmmu_x86_translate(const struct vmmu_x86_mode *mode, const struct vmmu_ram *ram, vmmu_gva va,
                                    struct vmmu_x86_access access, struct vmmu_x86_translate_result *out);

/**
 * Whether @mode lets @access through to a page with @rights and protection key @key; the rule behind every
 * walk, for those who keep translations. Returns zero, which it always is with paging off, or the error code
 * of the page fault.
 *
 * Spec: SDM 3A "Determination of Access Rights", "Protection Keys", "Page-Fault Exceptions".
 */
uint32_t vmmu_walk_judge(const struct vmmu_x86_mode *mode, struct vmmu_x86_access access, uint8_t rights,
                         unsigned key);

/* Whether @va is canonical under @mode: always, where linear addresses have 32 bits. */
bool vmmu_walk_is_canonical(const struct vmmu_x86_mode *mode, vmmu_gva va);

/* Which processor's rules the second stage has. */
enum vmmu_x86_stage2_kind {
    VMMU_X86_STAGE2_NPT,
    VMMU_X86_STAGE2_EPT,
};

/*
 * A second stage. Fill it with vmmu_stage2_npt or vmmu_stage2_ept. @ram is borrowed, and reaches
 * host-physical memory. @tables_as_written: an access to a guest table counts as a write; NPT always, EPT if
 * A/D flags are enabled.
 */
struct vmmu_x86_stage2 {
    enum vmmu_x86_stage2_kind kind;
    bool tables_as_written;
    bool accessed_dirty; /* entries have accessed and dirty bits in use */
    bool fetch_code;     /* NPT: EXITINFO1 tells instruction fetches: host EFER.NXE */
    vmmu_hpa root;
    const struct vmmu_ram *ram;
    struct vmmu_x86_layout layout;
};

/**
 * A second stage of AMD's: nested page tables at @root, in the format of the host's own paging mode.
 *
 * @format is one of the ordinary formats (32-bit, PAE, 4-level, 5-level); @limits.nx is the host's EFER.NXE.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  an EPT format, a width out of range, a root that is misaligned or beyond the width
 *
 * Spec: APM 2 "Nested Paging".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_stage2_npt(enum vmmu_x86_format_name format, const struct vmmu_x86_limits *limits,
                                 const struct vmmu_ram *ram, vmmu_hpa root, struct vmmu_x86_stage2 *out);

/**
 * A second stage of Intel's, as @eptp says: walk length 4 or 5, A/D flags, root.
 *
 * Returns
 *   VMMU_OK       *out
 *   VMMU_INVALID  VM entry would refuse the EPTP: memory type neither UC nor WB, another walk length, a
 *                 reserved bit, a root beyond the width
 *
 * Spec: SDM 3C "Extended-Page-Table Pointer (EPTP)", "EPT Translation Mechanism".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_stage2_ept(uint64_t eptp, const struct vmmu_x86_limits *limits,
                                 const struct vmmu_ram *ram, struct vmmu_x86_stage2 *out);

enum vmmu_x86_stage2_reason {
    VMMU_X86_STAGE2_NOT_PRESENT,   /* an entry is not present, or the address is wider than the format */
    VMMU_X86_STAGE2_RIGHTS,        /* a leaf was found, and refuses the access */
    VMMU_X86_STAGE2_RESERVED,      /* NPT: a reserved bit is set */
    VMMU_X86_STAGE2_MISCONFIGURED, /* EPT misconfiguration */
};

/* Which access the second stage was asked for. */
struct vmmu_x86_stage2_access {
    enum vmmu_x86_access_kind kind;
    enum vmmu_x86_marks marks;
    bool guest_table; /* an entry of the guest's own tables, not the final access */
};

/* Bits of the exit qualification of an EPT violation. */
#define VMMU_X86_EPT_VIOLATION_READ       BIT64(0)
#define VMMU_X86_EPT_VIOLATION_WRITE      BIT64(1)
#define VMMU_X86_EPT_VIOLATION_FETCH      BIT64(2)
#define VMMU_X86_EPT_VIOLATION_READABLE   BIT64(3)
#define VMMU_X86_EPT_VIOLATION_WRITABLE   BIT64(4)
#define VMMU_X86_EPT_VIOLATION_EXECUTABLE BIT64(5)
#define VMMU_X86_EPT_VIOLATION_LINEAR     BIT64(7) /* the guest linear address is valid */
#define VMMU_X86_EPT_VIOLATION_FINAL      BIT64(8) /* the access was to the translation of a linear address */

/* Bits of EXITINFO1 of a nested page fault, beside those of a page-fault error code. */
#define VMMU_X86_NPF_FINAL                BIT64(32) /* the guest's final physical address */
#define VMMU_X86_NPF_GUEST_TABLE          BIT64(33) /* an access to a guest page table */

/*
 * A refusal of the second stage, as data: for a hypervisor to mend its tables by, or
 * to hand to its own guest.
 */
struct vmmu_x86_stage2_fault {
    vmmu_gpa gpa;
    enum vmmu_x86_stage2_reason reason;
    struct vmmu_x86_stage2_access access;
    uint8_t level;  /* of the entry that refused, or of the leaf */
    uint8_t rights; /* what the entries above and the leaf allow together; 0 if one was not present */

    /* NPT: EXITINFO1 of #VMEXIT(NPF); EXITINFO2 is @gpa. */
    uint64_t exitinfo1;

    /*
     * EPT violations: the exit qualification, but for NMI unblocking and the advanced information; 0 for
     * misconfigurations, which leave it undefined.
     */
    uint64_t qualification;
};

/* What the second stage makes of one guest-physical address. */
struct vmmu_x86_stage2_translation {
    vmmu_hpa hpa;
    vmmu_hpa frame;
    uint64_t page_bytes;
    uint8_t rights;
    uint8_t level;
    uint8_t pat_index;   /* NPT: into the host's PAT */
    uint8_t memory_type; /* EPT: enum vmmu_x86_memory_type */
    bool ignore_pat;     /* EPT */
    bool dirty;
};

struct vmmu_x86_stage2_result {
    struct vmmu_x86_stage2_translation translation; /* VMMU_OK */
    struct vmmu_x86_stage2_fault fault;             /* VMMU_STAGE2 */
    uint8_t loads;
    uint8_t step_count;
    struct vmmu_x86_step steps[VMMU_X86_MAX_LEVELS];
};

/**
 * Translate @gpa by the second stage alone.
 *
 * A @gpa wider than the format translates is not present.
 *
 * Returns
 *   VMMU_OK      out->translation
 *   VMMU_STAGE2  out->fault, whose qualification says that no linear address is known
 *   VMMU_ABSENT  as for vmmu_x86_walk
 *   VMMU_RACED   as for vmmu_x86_walk
 *
 * Spec: SDM 3C "EPT Translation Mechanism", "EPT Violations", "EPT Misconfigurations"; APM 2 "Nested Paging".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_x86_walk_stage2(const struct vmmu_x86_stage2 *stage2, vmmu_gpa gpa,
                                      struct vmmu_x86_stage2_access access,
                                      struct vmmu_x86_stage2_result *out);

/* What a two-dimensional walk found. */
struct vmmu_x86_nested_result {
    struct vmmu_x86_translation guest;         /* VMMU_OK, and VMMU_STAGE2 of the final access */
    struct vmmu_x86_stage2_translation host;   /* VMMU_OK */
    struct vmmu_x86_fault fault;               /* VMMU_GUEST_FAULT */
    struct vmmu_x86_stage2_fault stage2_fault; /* VMMU_STAGE2 */
    uint8_t loads;                             /* memory references: 24 for 4x4 levels, 35 for 5x5 */
    uint8_t step_count;
    struct vmmu_x86_step steps[VMMU_X86_NESTED_STEPS];
};

/**
 * Translate @va by the guest's tables and @stage2 together, as a processor with nested paging
 * does with nothing cached.
 *
 * Entries of both stages are reached through @stage2's memory. A guest entry that has to be marked while the
 * second stage forbids to write it is a stage-2 fault, a write of that table.
 *
 * Returns what vmmu_x86_walk does, or VMMU_STAGE2 with out->stage2_fault.
 *
 * Spec: APM 2 "Nested Paging"; SDM 3C "EPT Translation Mechanism", "Accessed and Dirty Flags for EPT".
 */
VMMU_MUST_USE
enum vmmu_status vmmu_x86_walk_nested(const struct vmmu_x86_mode *mode, const struct vmmu_x86_stage2 *stage2,
                                      vmmu_gva va, struct vmmu_x86_access access,
                                      struct vmmu_x86_nested_result *out);

#endif
