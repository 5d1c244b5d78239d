/*
 * The reference: what the architecture permits, computed from the guest's own tables and their history, with
 * no host, no second stage and no TLB.
 *
 * It keeps every value that a word of guest memory had, with the time, and every state of a virtual
 * processor's paging registers. A processor may use a translation if each entry on its path held that
 * value at some time since the guest last invalidated what could be cached of it, in an order in which a walk and
 * the paging-structure caches could have met them. The set of all such paths gives the set of permitted
 * results: see docs/staleness.md.
 *
 * It shares no rule of invalidation with lib/x86/invalidate, on purpose.
 */
#ifndef TESTS_MODEL_MACHINE_REFERENCE_H
#define TESTS_MODEL_MACHINE_REFERENCE_H

#include "tests/model/machine/geometry.h"
#include <vmmu/mode.h>
#include <vmmu/walk.h>

struct reference;

/* @intel chooses whose rules count. Every VP starts at reset: paging off. */
struct reference *reference_create(const struct vmmu_x86_cpu *cpu, bool intel, unsigned vps);
void reference_destroy(struct reference *reference);

/*
 * Have the PDPTEs of PAE paging held in registers whoever made the processor: as AMD has it without a second stage. At
 * reset only.
 *
 * Spec: APM 2 "Page-Translation-Table Entry Fields", SDM 3A "PDPTE Registers".
 */
void reference_hold_pdptes(struct reference *reference);

/* Guest memory now. Width 1, 2, 4 or 8, aligned. Where guest_has_memory() says no: zero, and stores vanish. */
uint64_t reference_load(const struct reference *reference, uint64_t gpa, unsigned width_bytes);
/* A store by anybody: a guest's write, or accessed and dirty bits that a processor set. A moment of its own. */
void reference_store(struct reference *reference, uint64_t gpa, unsigned width_bytes, uint64_t value);

/* The registers of a VP as the guest would read them, and what they mean. */
const struct vmmu_x86_paging_registers *reference_registers(const struct reference *reference, unsigned vp);
const struct vmmu_x86_mode *reference_mode(const struct reference *reference, unsigned vp);

/*
 * Guest instructions. Each changes registers and what may be cached, as the manuals say it must, or does nothing and returns
 * VMMU_GUEST_FAULT where the instruction raises a fault. Loads PDPTEs where the instruction does.
 */
enum vmmu_status reference_cr0(struct reference *reference, unsigned vp, uint64_t value);
enum vmmu_status reference_cr3(struct reference *reference, unsigned vp, uint64_t value);
/*
 * HvSwitchVirtualAddressSpace: CR3 becomes @value, and nothing is forgotten. What was made in another address space is of no use
 * meanwhile, and may be used again after the way back. VMMU_UNSUPPORTED, with nothing changed: with PCIDs, or too
 * many spaces.
 *
 * Spec: TLFS "HvSwitchVirtualAddressSpace".
 */
enum vmmu_status reference_switch(struct reference *reference, unsigned vp, uint64_t value);
/* Whether the VP has switched since it last wrote CR3 by itself. */
bool reference_is_switched(const struct reference *reference, unsigned vp);
enum vmmu_status reference_cr4(struct reference *reference, unsigned vp, uint64_t value);
enum vmmu_status reference_efer(struct reference *reference, unsigned vp, uint64_t value);
enum vmmu_status reference_pkru(struct reference *reference, unsigned vp, uint32_t value);
enum vmmu_status reference_invpcid(struct reference *reference, unsigned vp, unsigned type, uint64_t pcid,
                                   uint64_t address);
void reference_invlpg(struct reference *reference, unsigned vp, uint64_t address);

/* What a flush hypercall promises of one VP. */
struct reference_flush {
    bool every_space;
    bool globals_stay;
    bool list; /* only the pages that [first, last] touches, and what leads to them */
    uint64_t
        space; /* unless every_space: what was read while CR3 was this, but for bits below the table's address */
    uint64_t first;
    uint64_t last;
};

/*
 * The call has returned: what it names is gone. Of a large page that is touched all goes, as far as the address space is
 * the present one: what other tables map cannot be known.
 *
 * Spec: TLFS "HvCallFlushVirtualAddressSpace", "HvCallFlushVirtualAddressList".
 */
void reference_flush(struct reference *reference, unsigned vp, const struct reference_flush *flush);

/* A page fault was delivered to the guest: the processor has forgotten what it had cached for the address. */
void reference_page_fault(struct reference *reference, unsigned vp, uint64_t address);

/* One access of a guest, of 1, 2, 4 or 8 bytes, aligned. */
struct reference_access {
    uint8_t vp;
    uint64_t address;
    struct vmmu_x86_access access; /* marks do not count */
};

/* How an access ended, or may end. */
enum reference_end {
    END_REACHES, /* guest-physical memory or a device at `gpa` */
    END_FAULTS,  /* `fault` */
};

struct reference_result {
    enum reference_end end;
    uint64_t gpa;
    struct vmmu_x86_fault fault;
};

enum reference_answer {
    PERMITTED,
    /* the translation is permitted, but accessed or dirty bits that the access must have set are not set */
    PERMITTED_BUT_FOR_MARKS,
    FORBIDDEN,
};

/* Whether @result is permitted now. Ask after the access: what it marked counts. */
enum reference_answer reference_judge(struct reference *reference, const struct reference_access *access,
                                      const struct reference_result *result);

/* What a walk gives with nothing cached, by memory and registers as they are now; nothing is marked. */
struct reference_result reference_fresh(const struct reference *reference,
                                        const struct reference_access *access);

/*
 * Whether the reference's own search finds @result, with nothing of lib/x86/walk in it. For results of that walker, which
 * reference_judge() itself goes by where nothing is stale.
 */
bool reference_finds(struct reference *reference, const struct reference_access *access,
                     const struct reference_result *result);

/* Whether the access may, on some permitted path, read a guest table's entry at @gpa (of any bytes of the 4 KiB page). */
bool reference_may_walk(struct reference *reference, const struct reference_access *access, uint64_t gpa);

#define REFERENCE_RESULTS 64
/* All permitted results, none twice; at most REFERENCE_RESULTS of them. For reports and for tests of the reference. */
unsigned reference_permitted(struct reference *reference, const struct reference_access *access,
                             struct reference_result results[REFERENCE_RESULTS]);

/*
 * How much history a VP drags along: versions of words, states, invalidations. A guest brings it down by invalidating
 * all that its VP may have cached, global translations too.
 */
unsigned reference_burden_of(const struct reference *reference, unsigned vp);
/* The same of the most burdened VP. Above a few thousand the reference gives up what it cannot compute. */
unsigned reference_burden(const struct reference *reference);

/* Moments so far: each store to guest memory, each change of a register, each invalidation. */
uint64_t reference_time(const struct reference *reference);

/*
 * How many answers were PERMITTED only because too much history was dragged along to tell. Each is a check that did not
 * take place.
 */
uint64_t reference_given_up(const struct reference *reference);

/*
 * Bytes of the page that the tables as they stand now map at @address for the VP, 4 KiB if they map none: the fragments
 * that INVLPG and page faults take along.
 */
uint64_t reference_page_bytes(const struct reference *reference, unsigned vp, uint64_t address);

#endif
