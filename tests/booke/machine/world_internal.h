/*
 * What the parts of a world share: see world.h.
 */
#ifndef TESTS_BOOKE_MACHINE_WORLD_INTERNAL_H
#define TESTS_BOOKE_MACHINE_WORLD_INTERNAL_H

#include "tests/booke/machine/world.h"

/* Entries that are made after a large one was evicted, until the next large one is. */
#define PATIENCE  8

/* Real entries that went in the operation under way. */
#define MOST_GONE 1024

struct vp {
    struct vmmu_booke booke;
    struct reference reference;
    struct vmmu_booke_state state;
    struct vmmu_booke_attempt missed; /* the last miss that the guest was told of */
    bool has_missed;
    void *memory;
    void *spaces;
    size_t spaces_bytes;
    unsigned partition;
    unsigned processor;
};

struct cpu {
    struct world *world;
    struct vmmu_booke_real real;
    struct processor model;
    void *memory;
    struct vp *loaded; /* whose PIDs the processor holds */
    struct vmmu_booke_state loaded_state;
    uint32_t loaded_pid[VMMU_BOOKE_PIDS]; /* the guest's, when it was asked */
    uint32_t generation;
    unsigned made_since;      /* entries, since one of a large page may have been evicted */
    unsigned made_since_sure; /* ... since one was, for sure */
};

struct world {
    struct setting setting;
    uint32_t checks;
    struct finding finding;
    struct world_counters counters;
    struct geometry guest, host;
    unsigned vps, cpus, partitions;
    struct vp vp[WORLD_VPS];
    struct cpu cpu[WORLD_PROCESSORS];
    struct host_memory memory[WORLD_PARTITIONS];

    /* Of the operation under way. */
    const struct vp *filling; /* for whom entries may be made */
    bool filling_mixed;       /* ... where IS is not DS */
    unsigned made;            /* entries */
    bool violated;            /* the library said so */
    uint32_t writes;          /* of real entries */
    struct real_entry gone[MOST_GONE];
    unsigned gone_count;
    uint64_t ops;
};

__attribute__((format(printf, 3, 4))) void world_report(struct world *world, enum check check,
                                                        const char *format, ...);

/* The processor holds @vp's PIDs as it is now. */
void world_load(struct world *world, struct vp *vp);

/* An access that a real entry lets through. */
struct passage {
    enum access_kind kind;
    uint32_t ea;
    uint64_t hpa;
    uint32_t attributes; /* of the entry: X0 X1 W I M G E */
};

/* Whether the reference permits it to @vp as it is now: by any of the guest's entries that match, if there are several. */
bool world_permits(const struct world *world, const struct vp *vp, const struct passage *passage);

struct reference_access world_access_of(const struct vp *vp, enum access_kind kind);

/* One instruction's accesses, until they are through or end otherwise. */
void world_access(struct world *world, struct vp *vp, const struct op *op);

/* tlbwe. @answers bit 0: what was written answers the last miss at once; bit 1: and that is tried at once. */
void world_write_entry(struct world *world, struct vp *vp, uint32_t answers);

/* The callbacks of the library, for a processor of which the hypervisor keeps some entries. */
struct vmmu_booke_host world_host(struct cpu *cpu, unsigned kept);

/* All that must hold between two operations; and what of it depends on the operation. */
void world_look(struct world *world);
void world_look_at_thrift(struct world *world, const struct op *op);

/* What is visible under the loaded PIDs matches no access twice. */
void world_look_for_doubles(struct world *world, const struct cpu *cpu);

#endif
