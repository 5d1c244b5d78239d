/*
 * One walk as a person wants to see it: every entry with what it refuses, where the walk came to, and if it came to a
 * fault, which bits of which entry caused it.
 */
#ifndef TOOLS_WALK_MODEL_H
#define TOOLS_WALK_MODEL_H

#include <vmmu/walk.h>

#include "tools/machine/machine.h"

/* One entry that the walk used. */
struct walk_entry {
    struct vmmu_x86_step step;
    enum vmmu_x86_format_name format;
    unsigned number; /* of the memory reference, from 1; 0 for a PDPTE register */
    unsigned row;    /* level of the guest's table that the reference is made for; 0: the final access */
    bool present;
    bool leaf;
    uint64_t reserved; /* bits that are set and must not be */
    uint64_t target;   /* if present: the next table, or the page */
    uint8_t refuses;   /* VMMU_X86_RIGHT_* that this entry alone withholds */
};

/* Why an access is refused. */
enum walk_reason {
    WALK_NOT_CANONICAL, /* bits of the address */
    WALK_NOT_PRESENT,   /* an entry's bits that are all zero */
    WALK_RESERVED,      /* an entry's bits that must be zero */
    WALK_MISCONFIGURED, /* an EPT entry's rights or memory type that cannot be */
    WALK_USER,          /* U/S is zero */
    WALK_WRITE,         /* R/W is zero */
    WALK_READ,          /* R is zero (EPT) */
    WALK_EXECUTE,       /* XD is one, or X is zero */
    WALK_SMEP,          /* U/S is one in every entry */
    WALK_SMAP,          /* U/S is one in every entry */
    WALK_KEY,           /* the leaf's protection key, in PKRU or PKRS */
    WALK_ABSENT,        /* the image has no memory there */
    WALK_TOO_WIDE,      /* a guest-physical address that the second stage does not reach */
};

struct walk_cause {
    enum walk_reason reason;
    int entry;        /* index into entries; -1: none of them */
    uint64_t bits;    /* of the entry, or of the address */
    uint64_t address; /* WALK_ABSENT: where the entry would be; WALK_TOO_WIDE: the address */
};

/* Each entry may refuse a user, and the kind of access; SMEP or SMAP, and a key, come once. */
#define WALK_CAUSES_MOST (2 * VMMU_X86_MAX_LEVELS + 3)

/* Who accesses, in the table of rights. */
enum walk_subject {
    WALK_AS_USER,
    WALK_AS_SUPERVISOR,
    WALK_AS_SUPERVISOR_AC, /* EFLAGS.AC is set */
    WALK_AS_IMPLICIT,      /* an implicit supervisor access */
    WALK_SUBJECTS,
};

#define WALK_KINDS     3 /* by enum vmmu_x86_access_kind */

/* The second stage's type is not WB, and AMD's rules for that are not known here. */
#define WALK_TYPE_OPEN 255

struct walk_model {
    uint64_t va;
    struct vmmu_x86_access access;
    struct vmmu_x86_mode mode;
    struct vmmu_x86_stage2 second; /* two-dimensional */
    enum vmmu_status status;
    bool two_dimensional;

    struct walk_entry entries[VMMU_X86_NESTED_STEPS];
    unsigned entry_count;
    unsigned loads; /* memory references */

    bool translates; /* @guest is meant: a leaf was found, whether or not the access is allowed */
    struct vmmu_x86_translation guest;
    struct vmmu_x86_stage2_translation host;   /* two-dimensional and VMMU_OK */
    struct vmmu_x86_fault fault;               /* VMMU_GUEST_FAULT */
    struct vmmu_x86_stage2_fault stage2_fault; /* VMMU_STAGE2 */

    struct walk_cause causes[WALK_CAUSES_MOST];
    unsigned cause_count;

    /* If @translates: the error code that each access gets by the guest's own tables; 0 if it is allowed. */
    uint32_t errors[WALK_SUBJECTS][WALK_KINDS];

    bool pat_known;       /* else the PAT is taken to be as processors reset it */
    bool uncached;        /* CR0.CD is set: UC, whatever else */
    unsigned guest_type;  /* enum vmmu_x86_memory_type by the guest's PAT */
    unsigned second_type; /* by the leaf of the second stage */
    unsigned type;        /* of both together, or WALK_TYPE_OPEN */
};

/* Walk @va on @machine: through its second stage if it has one. */
void walk_make(const struct machine *machine, uint64_t va, struct vmmu_x86_access access,
               struct walk_model *model);

/*
 * Two-dimensional: the guest-physical address that the second stage is asked for in @row: where the guest's entry of that
 * level is, or, in row 0, what the address translates to. False if the walk did not come there.
 */
bool walk_row_address(const struct walk_model *model, unsigned row, uint64_t *gpa);

/* Most bytes of a sentence about a walk. */
#define WALK_SENTENCE_BYTES 200

/*
 * What an entry takes from whom: "user", "write", "execute", and at the leaf what SMEP, SMAP and protection keys add, with
 * commas between. Empty if it takes nothing. Returns @to.
 */
const char *walk_refusal_text(const struct walk_model *model, const struct walk_entry *entry,
                              char to[WALK_SENTENCE_BYTES]);

/* "PTE", "EPT PDE", "NPT PML4E": whose entry it is, too. Returns @to. */
const char *walk_entry_name(const struct walk_entry *entry, char to[WALK_SENTENCE_BYTES]);

/* A cause as a sentence, without full stop. Returns @to. */
const char *walk_cause_text(const struct walk_model *model, const struct walk_cause *cause,
                            char to[WALK_SENTENCE_BYTES]);

/* Effective memory type: the PAT's of a page with the MTRRs' or an EPT leaf's. Both enum vmmu_x86_memory_type. */
unsigned walk_combined_type(unsigned pat_type, unsigned range_type);

#endif
