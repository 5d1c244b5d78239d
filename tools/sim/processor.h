/*
 * What one simulated processor has cached of walks, and what of a walk's memory references its caches save.
 *
 * Walks are the library's, over tables that stand in memory: whole ones, from the root. A processor with caches makes only the
 * references below the lowest entry that it has cached; the others are left out of the count.
 *
 * Rules of tags and invalidations are Intel's, from vmmu/invalidate.h.
 */
#ifndef TOOLS_SIM_PROCESSOR_H
#define TOOLS_SIM_PROCESSOR_H

#include <vmmu/invalidate.h>
#include <vmmu/tlb.h>
#include <vmmu/walk.h>

#include "tools/sim/geometry.h"

enum sim_side { SIM_CODE, SIM_DATA, SIM_SIDES_OF_TLB };

enum sim_cache {
    SIM_CACHE_CODE,
    SIM_CACHE_DATA,
    SIM_CACHE_SECOND,
    SIM_CACHE_UPPER,
    SIM_CACHE_NESTED,
    SIM_CACHES,
};

/* The translation that a side used last: what is in it again needs no look into the TLB, and changes nothing there. */
struct sim_last {
    uint64_t base;
    uint64_t mask; /* of the bits that must agree with @base; a record that crosses pages never does */
    bool write;
};

struct sim_processor {
    struct vmmu_tlb cache[SIM_CACHES];
    bool has[SIM_CACHES];
    uint64_t shifts[SIM_CACHES]; /* page sizes that its translations may have */
    void *memory[SIM_CACHES];
    uint8_t first[SIM_SIDES_OF_TLB]; /* which cache is a side's first level */
    uint8_t side[SIM_SIDES_OF_TLB];  /* the same if both have one cache: then they have one `last` */
    struct sim_last last[SIM_SIDES_OF_TLB];
    struct vmmu_x86_cache_key linear;   /* what is cached now belongs to this */
    struct vmmu_x86_cache_key physical; /* guest-physical mappings; only under a second stage */
};

/* False and *complaint if there is no memory or the geometry cannot be. Without @upper_levels only translations are cached. */
bool sim_processor_open(struct sim_processor *processor, const struct sim_geometry *geometry,
                        bool upper_levels, struct complaint *complaint);
void sim_processor_close(struct sim_processor *processor);

/* It is in the address space of @pcid, and in a guest if @tags say so, from now on. Invalidates nothing. */
void sim_processor_enter(struct sim_processor *processor, const struct vmmu_x86_tags *tags, uint16_t pcid);

void sim_processor_invalidate(struct sim_processor *processor, const struct vmmu_tlb_scopes *scopes);

enum sim_found {
    SIM_FOUND_FIRST,
    SIM_FOUND_SECOND,
    SIM_FOUND_NOWHERE, /* or a write found a page that is not writable yet, or not dirty */
};

enum sim_found sim_processor_find(struct sim_processor *processor, enum sim_side side, uint64_t address,
                                  bool write);

/* A translation to be remembered. */
struct sim_translation {
    uint64_t address;    /* any that it translates */
    uint64_t page_bytes; /* of both stages the smaller */
    bool global;
    bool write; /* may be written without another walk */
};

void sim_processor_remember(struct sim_processor *processor, enum sim_side side,
                            const struct sim_translation *translation);

/*
 * A walk of one stage succeeded, or found a fault at its last step: how many of its references this processor makes. What it
 * found of upper levels is remembered.
 */
unsigned sim_processor_references(struct sim_processor *processor, uint64_t address,
                                  const struct vmmu_x86_step *steps, unsigned count);

/* The same of a walk through both stages. */
unsigned sim_processor_nested_references(struct sim_processor *processor, uint64_t address,
                                         const struct vmmu_x86_nested_result *walk);

#endif
