/*
 * A processor that cheats wherever the manuals allow: every translation goes through the tagged TLB of
 * lib/tlb, which keeps all that a processor may keep.
 *
 * It walks by itself, in both dimensions, resuming from whatever the paging-structure caches have; where
 * several cached translations and a fresh walk could answer, luck chooses. Everything that a walk meets is
 * cached as the manuals let it be: linear or combined translations, guest-physical ones, and entries of the
 * paging-structure caches of both dimensions. It sets accessed and dirty bits as a processor does. Its walker
 * is written here, apart from lib/x86/walk.
 *
 * Knows nothing of engines: what it is given is what the hardware is loaded with.
 */
#ifndef TESTS_MODEL_MACHINE_PROCESSOR_H
#define TESTS_MODEL_MACHINE_PROCESSOR_H

#include "tests/model/machine/luck.h"
#include "tests/model/machine/memory.h"
#include <vmmu/invalidate.h>
#include <vmmu/mode.h>
#include <vmmu/plan.h>
#include <vmmu/tlb.h>
#include <vmmu/walk.h>

/* What the processor is loaded with while a guest runs on it. */
struct guest_state {
    struct vmmu_x86_mode mode; /* as the hardware has it: a technique without nesting puts its root here */
    struct vmmu_x86_tags tags;
    bool
        host_tables; /* not nested: the tables are the host's alone, and a walk through guest memory strays */
    bool nested;
    struct vmmu_x86_stage2 stage2; /* if nested; its `ram` is not used */
};

enum processor_end {
    PROCESSOR_REACHED,     /* `hpa` */
    PROCESSOR_GUEST_FAULT, /* `fault` */
    PROCESSOR_STAGE2,      /* `stage2`: an EPT violation or misconfiguration, or a nested page fault */
    /* touched memory at `hpa` that is not what it should be: the isolation invariant failed */
    PROCESSOR_STRAYED,
};

struct processor_result {
    enum processor_end end;
    uint64_t hpa;
    struct vmmu_x86_fault fault;
    struct vmmu_x86_stage2_fault stage2;
    bool fresh; /* nothing cached was used */
    /*
     * A translation was kept beside an older one, for another size of the same page, that leads elsewhere or
     * allows more; both from the host's tables. A processor may do anything.
     */
    bool mixed;
};

/* What the world wants to know while a processor works. Called at once, before the processor goes on. */
struct processor_witness {
    void *context;
    /*
     * An entry of a guest table, or of a table of a technique without nesting, was changed by an accessed or
     * dirty bit: what stands there now.
     */
    void (*marked)(void *context, uint64_t hpa, unsigned width_bytes, uint64_t value);
    /*
     * A guest-physical page was read or written through the second stage, walking (speculatively, too) or
     * accessing: for harvests and logs. Accesses to guest tables that count as writes are written.
     */
    void (*used)(void *context, uint64_t gpa, bool written);
};

struct processor;

/* NULL if there is no memory left on this computer. @memory and @witness are borrowed. */
struct processor *processor_create(struct memory *memory, const struct processor_witness *witness,
                                   uint32_t tlb_entries);
void processor_destroy(struct processor *processor);

/*
 * Translate @va as @state says, for @access (its marks do not count: a processor's own). Does not touch the
 * data.
 *
 * What a page fault, an EPT violation or a nested page fault removes is gone when this returns; of a large
 * page, the part of 4 KiB around the address only.
 */
struct processor_result processor_access(struct processor *processor, const struct guest_state *state,
                                         uint64_t va, struct vmmu_x86_access access, struct luck *luck);

/*
 * Fill the caches as an access that is thrown away would: no fault, no dirty bit; accessed bits may be set.
 * Part of the walk may be all it does.
 */
void processor_speculate(struct processor *processor, const struct guest_state *state, uint64_t va,
                         struct luck *luck);

/* What lib/x86/invalidate asks of the registers of the hardware in @mode: the PCID, and how wide linear addresses are. */
struct vmmu_x86_paging_registers processor_registers(const struct vmmu_x86_mode *mode);

/* Do what instructions say. */
void processor_invalidate(struct processor *processor, const struct vmmu_tlb_scopes *scopes);

/*
 * Do exactly what a plan names and nothing more, under the tags of @state: for a nested plan, everything
 * whose making used a guest-physical address in its ranges; for a linear plan (no second stage), every
 * translation of the linear addresses in its ranges.
 */
void processor_apply(struct processor *processor, const struct guest_state *state,
                     const struct vmmu_plan *plan);

/* Forget each entry with a chance of @of_256 in 256. */
void processor_evict(struct processor *processor, uint32_t of_256, struct luck *luck);

const struct vmmu_tlb_statistics *processor_statistics(const struct processor *processor);

#endif
