/*
 * What a simulated processor caches of walks: its TLBs, and the caches of upper levels.
 */
#ifndef TOOLS_SIM_GEOMETRY_H
#define TOOLS_SIM_GEOMETRY_H

#include <stdbool.h>
#include <vmmu/tlb.h>

#include "tools/ui/complain.h"

struct sim_geometry {
    const char *name;
    const char *words;             /* where its figures are from */
    struct vmmu_tlb_config code;   /* first level */
    struct vmmu_tlb_config data;   /* first level; without arrays: the first one serves both */
    struct vmmu_tlb_config second; /* second level; without arrays: there is none */
    struct vmmu_tlb_config upper;  /* entries that lead to tables: of linear addresses */
    struct vmmu_tlb_config
        nested; /* what the second stage said of guest-physical addresses: translations, upper levels */
};

/*
 * The geometry that @text names, or describes: `code=128/8,data=64/4,second=1536/12,upper=32/4,nested=16/16`, entries and
 * ways; each array holds every page size. What is left out is not there, but for code. False and *complaint if it cannot be.
 */
bool sim_geometry_find(const char *text, struct sim_geometry *geometry, struct complaint *complaint);

/* The named ones, in order; NULL after the last. */
const struct sim_geometry *sim_geometry_named(unsigned index);

#endif
