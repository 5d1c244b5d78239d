/*
 * One configuration at work: a processor, a guest on it, and under it nothing, shadow paging or a second stage; fed with
 * records of a trace, and counting.
 */
#ifndef TOOLS_SIM_MACHINE_H
#define TOOLS_SIM_MACHINE_H

#include "tools/sim/geometry.h"
#include "tools/sim/trace.h"

enum sim_technique { SIM_NATIVE, SIM_SHADOW, SIM_NESTED, SIM_TECHNIQUES };

enum sim_vpid {
    SIM_VPID_OFF,
    SIM_VPID_ON,    /* one for the virtual processor */
    SIM_VPID_ROOTS, /* shadow paging: one for each root, eight at most */
    SIM_VPIDS,
};

struct sim_config {
    enum sim_technique technique;
    enum sim_vpid vpid;       /* off if native */
    bool pcids;               /* the guest uses them; not under shadow paging, where the hardware has none */
    bool upper_levels;        /* the processor caches upper levels and guest-physical mappings */
    bool silent;              /* shadow paging: faults for want of presence go to the guest without an exit */
    unsigned page_level;      /* of the guest's pages: 1, 2, 3 */
    unsigned host_page_level; /* of the machine's pages behind them */
    unsigned levels;          /* of the guest's tables: 4 or 5 */
    unsigned nested_levels;   /* of the second stage: 4 or 5 */
    uint64_t
        switch_every;    /* references until the next process runs; 0: never. The schedule is the caller's */
    uint64_t exit_every; /* references of the guest's until an exit that is none of its memory's; 0: never */
    unsigned exit_pages; /* pages that the hypervisor touches at an exit */
    uint64_t memory_bytes; /* of the guest: whole GiB */
    uint32_t pool_pages;   /* shadow pages at most */
    struct sim_geometry geometry;
};

/* Whose an access is. */
enum sim_world {
    SIM_USER,   /* the trace's, in the guest */
    SIM_KERNEL, /* of the guest's kernel, which the simulation adds: page faults */
    SIM_HOST,   /* the hypervisor's: those at an exit, or the trace's own */
    SIM_WORLDS,
};

enum sim_exit {
    SIM_EXIT_OUTSIDE, /* interrupts and the like: every so many references, or as the trace has it */
    SIM_EXIT_FILL,    /* shadow paging: an entry that could not be used yet */
    SIM_EXIT_FAULT,   /* shadow paging: a page fault of the guest's own */
    SIM_EXIT_TABLE,   /* shadow paging: a write to a table that is protected */
    SIM_EXIT_ROOT,    /* shadow paging: MOV to CR3 */
    SIM_EXIT_INVLPG,  /* shadow paging */
    SIM_EXITS,
};

struct sim_counts {
    uint64_t accesses[SIM_WORLDS];
    uint64_t second[SIM_WORLDS];     /* first level missed, second had it */
    uint64_t walks[SIM_WORLDS];      /* that found a translation */
    uint64_t references[SIM_WORLDS]; /* of those */
    uint64_t faulting_walks;         /* that ended in a fault */
    uint64_t faulting_references;
    uint64_t page_faults; /* the guest's own */
    uint64_t switches;    /* of address space */
    uint64_t exits[SIM_EXITS];
    uint64_t flushes;       /* shadow paging: of whole tags, that the library asked for */
    uint64_t mapped_bytes;  /* by the guest, of the trace's pages */
    uint64_t guest_tables;  /* pages of its tables */
    uint64_t engine_tables; /* pages of shadow tables, the most at a time; or of the second stage */
};

struct sim_machine;

/* NULL and *complaint if @config cannot be. */
struct sim_machine *sim_machine_open(const struct sim_config *config, struct complaint *complaint);

/* Feed it. False and *complaint if the trace cannot be simulated. */
bool sim_machine_run(struct sim_machine *machine, const sim_record *records, size_t count,
                     struct complaint *complaint);

/* The address space called @name is in use from now on, as by SIM_SPACE. */
bool sim_machine_switch(struct sim_machine *machine, uint64_t name, struct complaint *complaint);

struct sim_counts sim_machine_counts(const struct sim_machine *machine);

void sim_machine_close(struct sim_machine *machine);

#endif
