/*
 * A guest of a few megabytes on shadow tables, and a processor without caches that walks those as the manuals say.
 */
#ifndef TESTS_UNIT_SHADOW_MIRROR_H
#define TESTS_UNIT_SHADOW_MIRROR_H

#include "tests/unit/table/table_host.h"
#include <vmmu/shadow.h>
#include <vmmu/walk.h>

#define MIRROR_PAGES      4096U /* of guest memory: 16 MiB */
#define MIRROR_HIGH_PAGES 16U   /* and more above 4 GiB */
#define MIRROR_HIGH       BIT64(32)
#define MIRROR_HPA        UINT64_C(0x400000000)
#define MIRROR_LIMIT      1024U
#define MIRROR_PAT        UINT64_C(0x0407050600070106) /* the host's: WB, WC, UC-, UC, WB, WP, UC-, WT */
#define MIRROR_GUEST      UINT64_C(0x0007040600070406) /* the guest's, as after reset */

/* Bits of the guest's entries. */
#define G_PRESENT         BIT64(0)
#define G_WRITE           BIT64(1)
#define G_USER            BIT64(2)
#define G_ACCESSED        BIT64(5)
#define G_DIRTY           BIT64(6)
#define G_LARGE           BIT64(7)
#define G_GLOBAL          BIT64(8)
#define G_NX              BIT64(63)
#define G_ALL             (G_PRESENT | G_WRITE | G_USER)

struct mirror {
    struct table_host host;
    struct vmmu_table_retired quarantine[MIRROR_LIMIT];
    struct vmmu_table_memory memory;
    struct vmmu_shadow shadow;
    struct vmmu_ram ram;     /* the guest's */
    struct vmmu_ram machine; /* all of it, by host-physical address */
    void *account;
    uint8_t *guest;
    uint8_t rights[MIRROR_PAGES + MIRROR_HIGH_PAGES]; /* of the backing; 0: no memory */
    enum vmmu_x86_memory_type type;                   /* of the backing */
    uint64_t piece_bytes; /* contiguous pieces that the backing speaks of: 4 KiB, or 2 MiB */
    struct vmmu_x86_cpu cpu;
    struct vmmu_x86_paging_registers registers[2];
    struct vmmu_shadow_root root[2];
    uint64_t next_table; /* where the guest puts its next table */
    unsigned flushes;    /* plans that asked for one */
    unsigned turns;      /* calls that the last operation took */
};

/* A shadow of @pool_pages pages for the VPs 0 and 1, which have paging off. */
void mirror_start(struct mirror *mirror, uint32_t pool_pages);

/* The same for what a processor may offer beside, and one virtual processor or two. */
struct mirror_offer {
    unsigned vps;
    bool silent_absent; /* then a fault with P clear is the guest's, and takes no exit */
    bool tagged_roots;
    bool private_vps;
    bool heeds_table_cache;
};

void mirror_start_as(struct mirror *mirror, uint32_t pool_pages, struct mirror_offer offer);

/* The configuration that mirror_start uses. */
struct vmmu_shadow_config mirror_config(struct mirror *mirror, uint32_t pool_pages);

/* Destroy it; every page must have come back. */
void mirror_finish(struct mirror *mirror);

/* Turn on @paging for @vp, on an empty root table at @root, with CR0.WP, CR4.PGE and EFER.NXE. */
void mirror_page(struct mirror *mirror, unsigned vp, enum vmmu_x86_paging paging, uint64_t root);

/* Tell the engine of @vp's registers. */
void mirror_enter(struct mirror *mirror, unsigned vp);

/* @vp flushes, again and again, and leaves its tables alone: those that are open get closed. */
void mirror_settle(struct mirror *mirror, unsigned vp);

/* The guest maps the page of @va at @level to @gpa by a leaf with @bits; tables on the way grant everything. */
void mirror_map(struct mirror *mirror, unsigned vp, uint64_t va, unsigned level, uint64_t leaf);

/* Where the entry of @level for @va stands, in guest memory; the tables above must exist. */
uint64_t mirror_entry_at(struct mirror *mirror, unsigned vp, uint64_t va, unsigned level);

/* The guest's memory, and a write to it that the engine is told of. */
uint64_t mirror_get(struct mirror *mirror, uint64_t gpa);
void mirror_write(struct mirror *mirror, uint64_t gpa, uint64_t value);

struct mirror_result {
    enum vmmu_shadow_answer answer; /* VMMU_SHADOW_RETRY: the access succeeded */
    uint64_t gpa;                   /* where it went, or what the verdict named */
    struct vmmu_x86_fault fault;
    unsigned faults;                  /* exits that it took */
    bool table_cache;                 /* one of them told of a table with cache bits */
    struct vmmu_x86_translation leaf; /* of ours */
};

/* An access of the guest's, through the shadow, with as many exits as it takes. */
struct mirror_result mirror_access(struct mirror *mirror, unsigned vp, uint64_t va,
                                   struct vmmu_x86_access access);

/* The same for the commonest. */
struct mirror_result mirror_read(struct mirror *mirror, unsigned vp, uint64_t va);
struct mirror_result mirror_store(struct mirror *mirror, unsigned vp, uint64_t va);

/* Do what a caller does with an outcome. Its status. */
enum vmmu_status mirror_apply(struct mirror *mirror, struct vmmu_outcome outcome);

/* Call until it is done. The last status. */
#define MIRROR_DO(mirror, status, call)                                                                      \
    do {                                                                                                     \
        (mirror)->turns = 0;                                                                                 \
        do {                                                                                                 \
            (status) = mirror_apply((mirror), (call));                                                       \
        } while ((status) == VMMU_FLUSH_RETRY && ++(mirror)->turns < 64);                                    \
    } while (0)

#endif
