/*
 * One processor with one guest, for tests of the processor: four-level tables of the guest's, made by hand,
 * alone or under a second stage of four levels that maps tables and RIG_PAGE(0) to RIG_PAGE(7) at first.
 */
#ifndef TESTS_MODEL_PROCESSOR_RIG_H
#define TESTS_MODEL_PROCESSOR_RIG_H

#include "tests/model/machine/processor.h"

enum rig_kind {
    RIG_LINEAR,    /* Intel, no second stage */
    RIG_EPT,       /* without accessed and dirty flags */
    RIG_EPT_MARKS, /* with them */
    RIG_AMD_LINEAR,
    RIG_NPT,
};

/* What the witness saw since rig_forget_witness(). */
struct rig_witness {
    unsigned marked;
    uint64_t marked_hpa;   /* the last one */
    uint64_t marked_value; /* the last one */
    unsigned used;
    uint64_t read[16]; /* pages, each once, in the order of first use */
    unsigned reads;
    uint64_t written[16];
    unsigned writes;
};

struct rig {
    enum rig_kind kind;
    struct memory *memory;
    struct processor *processor;
    struct guest_state state;
    struct luck luck;
    uint64_t
        base; /* where the guest's physical memory begins in the machine's, while the host moves nothing */
    uint64_t next_second_table;
    struct rig_witness witness;
};

/* The guest's memory: this many bytes from gpa 0. */
#define RIG_GUEST_BYTES  UINT64_C(0x400000)

#define RIG_ENTRY_P      BIT64(0)
#define RIG_ENTRY_W      BIT64(1)
#define RIG_ENTRY_U      BIT64(2)
#define RIG_ENTRY_A      BIT64(5)
#define RIG_ENTRY_D      BIT64(6)
#define RIG_ENTRY_PS     BIT64(7)
#define RIG_ENTRY_G      BIT64(8)
#define RIG_ENTRY_XD     BIT64(63)
#define RIG_ENTRY_USUAL  (RIG_ENTRY_P | RIG_ENTRY_W | RIG_ENTRY_U)

/* Guest tables stand here: the table of level N that serves every address of the tests, and a spare one. */
#define RIG_TABLE(level) ((uint64_t)(level)*VMMU_PAGE_BYTES)
#define RIG_SPARE        RIG_TABLE(6)
/* Linear address of page @n of 512 that the table of level 1 maps; and guest-physical pages for them. */
#define RIG_VA(n)        (UINT64_C(0x40000000) + (uint64_t)(n)*VMMU_PAGE_BYTES)
#define RIG_PAGE(n)      (UINT64_C(0x200000) + (uint64_t)(n)*VMMU_PAGE_BYTES)

/*
 * A rig of @kind whose luck begins at @seed. Links lead from RIG_TABLE(4) to RIG_TABLE(1), which is empty.
 * Global pages, WP, NXE and PCIDs are on; VPID or ASID is 1.
 */
struct rig *rig_create(enum rig_kind kind, uint64_t seed);
void rig_destroy(struct rig *rig);

/* An entry of a guest table: of the table at @table, number @index. */
void rig_put(struct rig *rig, uint64_t table, unsigned index, uint64_t entry);
uint64_t rig_entry(const struct rig *rig, uint64_t table, unsigned index);
/* Page @n of RIG_VA to RIG_PAGE(@page). */
void hardware_map(struct rig *rig, unsigned n, unsigned page, uint64_t flags);

/*
 * The second stage's leaf of @level for @gpa, with @rights, and marked as a processor would have it if
 * @marks.
 */
void rig_put_second(struct rig *rig, unsigned level, uint64_t gpa, uint64_t hpa, uint8_t rights);
uint64_t rig_second_entry(const struct rig *rig, unsigned level, uint64_t gpa);
/* Where the second stage's entry of @level for @gpa stands. */
uint64_t rig_second_at(const struct rig *rig, unsigned level, uint64_t gpa);

void rig_forget_witness(struct rig *rig);
bool rig_saw_written(const struct rig *rig, uint64_t gpa);
bool rig_saw_read(const struct rig *rig, uint64_t gpa);

/* Accesses in supervisor mode. */
struct processor_result rig_access(struct rig *rig, uint64_t va, enum vmmu_x86_access_kind kind);
void rig_speculate(struct rig *rig, uint64_t va);

/* What the guest executes. */
struct vmmu_x86_paging_registers rig_registers(const struct rig *rig);
void rig_invlpg(struct rig *rig, uint64_t va, uint64_t page_bytes);
void rig_load_cr3(struct rig *rig, uint16_t pcid, bool keep);

/* Which of its ends an access came to over many runs, as bits. */
#define RIG_OLD     1U /* reached the page that was there at first */
#define RIG_NEW     2U /* reached the other one */
#define RIG_FAULTED 4U
#define RIG_EXITED  8U
#define RIG_STRAYED 16U

/*
 * The end of @result, as one of the bits: old is RIG_PAGE(0), new RIG_PAGE(1), at the host's first place for
 * them.
 */
unsigned rig_end(const struct rig *rig, const struct processor_result *result);

/* All ends of @scenario over many rigs of @kind, each with another luck. */
unsigned rig_ends(enum rig_kind kind, unsigned (*scenario)(struct rig *rig));

#endif
