/*
 * A guest of a few megabytes on shadow tables, and a processor without caches that walks those as the manuals say.
 */
#ifndef TESTS_UNIT_SHADOW_RIG_H
#define TESTS_UNIT_SHADOW_RIG_H

#include "tests/unit/table/table_host.h"
#include <vmmu/shadow.h>
#include <vmmu/walk.h>

#define RIG_PAGES      4096U /* of guest memory: 16 MiB */
#define RIG_HIGH_PAGES 16U   /* and more above 4 GiB */
#define RIG_HIGH       BIT64(32)
#define RIG_HPA        UINT64_C(0x400000000)
#define RIG_LIMIT      1024U
#define RIG_PAT        UINT64_C(0x0407050600070106) /* the host's: WB, WC, UC-, UC, WB, WP, UC-, WT */
#define RIG_GUEST      UINT64_C(0x0007040600070406) /* the guest's, as after reset */

/* Bits of the guest's entries. */
#define G_PRESENT      BIT64(0)
#define G_WRITE        BIT64(1)
#define G_USER         BIT64(2)
#define G_ACCESSED     BIT64(5)
#define G_DIRTY        BIT64(6)
#define G_LARGE        BIT64(7)
#define G_GLOBAL       BIT64(8)
#define G_NX           BIT64(63)
#define G_ALL          (G_PRESENT | G_WRITE | G_USER)

struct rig {
    struct table_host host;
    struct vmmu_table_retired quarantine[RIG_LIMIT];
    struct vmmu_table_memory memory;
    struct vmmu_shadow shadow;
    struct vmmu_ram ram;     /* the guest's */
    struct vmmu_ram machine; /* all of it, by host-physical address */
    void *account;
    uint8_t *guest;
    uint8_t rights[RIG_PAGES + RIG_HIGH_PAGES]; /* of the backing; 0: no memory */
    enum vmmu_x86_memory_type type;             /* of the backing */
    uint64_t piece_bytes; /* contiguous pieces that the backing speaks of: 4 KiB, or 2 MiB */
    struct vmmu_x86_cpu cpu;
    struct vmmu_x86_paging_registers registers[2];
    struct vmmu_shadow_root root[2];
    uint64_t next_table; /* where the guest puts its next table */
    unsigned flushes;    /* plans that asked for one */
    unsigned turns;      /* calls that the last operation took */
};

/* A shadow of @pool_pages pages for the VPs 0 and 1, which have paging off. */
void rig_start(struct rig *rig, uint32_t pool_pages);

/* The configuration that rig_start uses. */
struct vmmu_shadow_config rig_config(struct rig *rig, uint32_t pool_pages);

/* Destroy it; every page must have come back. */
void rig_finish(struct rig *rig);

/* Turn on @paging for @vp, on an empty root table at @root, with CR0.WP, CR4.PGE and EFER.NXE. */
void rig_page(struct rig *rig, unsigned vp, enum vmmu_x86_paging paging, uint64_t root);

/* Tell the engine of @vp's registers. */
void rig_enter(struct rig *rig, unsigned vp);

/* The guest maps the page of @va at @level to @gpa by a leaf with @bits; tables on the way grant everything. */
void rig_map(struct rig *rig, unsigned vp, uint64_t va, unsigned level, uint64_t leaf);

/* Where the entry of @level for @va stands, in guest memory; the tables above must exist. */
uint64_t rig_entry_at(struct rig *rig, unsigned vp, uint64_t va, unsigned level);

/* The guest's memory, and a write to it that the engine is told of. */
uint64_t rig_get(struct rig *rig, uint64_t gpa);
void rig_write(struct rig *rig, uint64_t gpa, uint64_t value);

struct rig_result {
    enum vmmu_shadow_answer answer; /* VMMU_SHADOW_RETRY: the access succeeded */
    uint64_t gpa;                   /* where it went, or what the verdict named */
    struct vmmu_x86_fault fault;
    unsigned faults;                  /* exits that it took */
    struct vmmu_x86_translation leaf; /* of ours */
};

/* An access of the guest's, through the shadow, with as many exits as it takes. */
struct rig_result rig_access(struct rig *rig, unsigned vp, uint64_t va, struct vmmu_x86_access access);

/* The same for the commonest. */
struct rig_result rig_read(struct rig *rig, unsigned vp, uint64_t va);
struct rig_result rig_store(struct rig *rig, unsigned vp, uint64_t va);

/* Do what a caller does with an outcome. Its status. */
enum vmmu_status rig_apply(struct rig *rig, struct vmmu_outcome outcome);

/* Call until it is done. The last status. */
#define RIG_DO(rig, status, call)                                                                            \
    do {                                                                                                     \
        (rig)->turns = 0;                                                                                    \
        do {                                                                                                 \
            (status) = rig_apply((rig), (call));                                                             \
        } while ((status) == VMMU_FLUSH_RETRY && ++(rig)->turns < 64);                                       \
    } while (0)

#endif
