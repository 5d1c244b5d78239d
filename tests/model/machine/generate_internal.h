/*
 * What the files of the generator share: the pages that its guests use, the queue of operations to come, and
 * the verbs that append to it.
 */
#ifndef TESTS_MODEL_MACHINE_GENERATE_INTERNAL_H
#define TESTS_MODEL_MACHINE_GENERATE_INTERNAL_H

#include "tests/model/machine/generate.h"

#define QUEUE_OPS     1024U
#define RECENT        8U

/* Guest-physical pages of tables, by what they are made for; a random guest uses them for anything. */
#define POOL(page)    (UINT64_C(0x10000) + (uint64_t)(page)*VMMU_PAGE_BYTES)
#define POOL_PDPT     16U /* two PAE roots */
#define POOL_PD32     18U /* two roots of 32-bit paging, then four of its page tables */
#define POOL_PT32     20U
#define POOL_DIRECT3  24U
#define POOL_DIRECT2  25U
#define POOL_DIRECT32 26U /* two page tables of 32-bit paging */
#define POOL_PAGES    28U

#define DATA_BASE     UINT64_C(0x40000)
#define DATA_PAGES    12U
#define DEVICE_GPA    UINT64_C(0x1000000)

/*
 * Every root maps the low 8 MiB of guest-physical memory here, by pages that are seldom edited: how a guest
 * writes its tables.
 */
#define DIRECT_LONG   UINT64_C(0xFFFFFFFFC0000000)
#define DIRECT_32     UINT64_C(0xC0000000)

struct generator {
    struct world *world;
    bool
        shadowed; /* by a technique without second stage: tables have one shadow for each way of being reached */
    struct luck luck;
    uint32_t head;
    uint32_t tail;
    struct op queue[QUEUE_OPS];
    uint64_t recent[RECENT]; /* addresses accessed lately; the first is worth another look */
    uint64_t drawn;
};

/* --- generate.c --- */

/* Append to the queue; silently lost if the queue is full, which the longest activity does not make it. */
void generate_op(struct generator *generator, struct op op);

/* --- generate_walk.c --- */

/* What the guest's tables say of an access now, with nothing cached. False if it does not reach memory. */
bool generate_walk(struct generator *generator, unsigned vp, uint64_t address, struct vmmu_x86_access access,
                   struct vmmu_x86_walk_result *walk);

/*
 * Some address in a page of guest memory that an address in use is translated by, or to; that address is then
 * generator->recent[0]. False if there is none.
 */
bool generate_used_page(struct generator *generator, uint64_t *gpa);

/* --- generate_tables.c --- */

/* All that a world begins with: tables in guest memory, then paging on every virtual processor. */
void generate_setup(struct generator *generator);

/* The direct map in every root, written by @vp, whose paging is off. */
void generate_direct_map(struct generator *generator, unsigned vp);

/* Edit an entry, one that translates an address in use rather than another; flush after it, or not; look. */
void generate_edit(struct generator *generator, unsigned vp);
/* Edit an entry that translates @address, if one does, and nothing else. */
void generate_edit_of(struct generator *generator, unsigned vp, uint64_t address);

/* A page that another VP has been writing becomes a table, under its hands. */
void generate_adoption(struct generator *generator, unsigned vp);

/* A leaf for a table of @level, of eight bytes; its lower half does for one of four. */
uint64_t generate_leaf(struct generator *generator, unsigned level);

/* @vp writes guest-physical memory, by the direct map if it has paging. */
void generate_write(struct generator *generator, unsigned vp, uint64_t gpa, uint64_t value, uint8_t width);

/* An address that may be of interest on @vp. */
uint64_t generate_address(struct generator *generator, unsigned vp);

/* --- generate_guest.c --- */

void generate_access(struct generator *generator, unsigned vp);
void generate_flush(struct generator *generator, unsigned vp);

/* Accesses all over a gigabyte that the guest maps by one page, or has without paging. */
void generate_sweep(struct generator *generator, unsigned vp);

/* The same address space loaded some times in a row. */
void generate_calm(struct generator *generator, unsigned vp);
void generate_toggle(struct generator *generator, unsigned vp);

/* To another context and back, with an edit there and an invalidation of one kind or another. */
void generate_trip(struct generator *generator, unsigned vp);
void generate_mode_switch(struct generator *generator, unsigned vp);

/* The guest flushes all that can be flushed. */
void generate_relief(struct generator *generator, unsigned vp);

/* Make the direct map whole again, with paging off, and turn some paging on. */
void generate_repair(struct generator *generator, unsigned vp);

/* Whether the guest of @vp can still write its tables. */
bool generate_can_write(struct generator *generator, unsigned vp);

/* --- generate_demand.c --- */

/* Pages that are not present are run into, and come to be present. */
void generate_demand(struct generator *generator, unsigned vp);

/* --- generate_guest.c, again --- */

/* A root is left, so much else is used that it may be given up meanwhile, it is changed, and the VP comes back to it. */
void generate_churn(struct generator *generator, unsigned vp);

/* A value for CR3 that fits the paging of @vp, with or without the bit that spares what is cached. */
uint64_t generate_cr3(struct generator *generator, unsigned vp);

/* --- generate_call.c --- */

/* Tables are changed, and those who may have cached them are told by hypercall; or address spaces are switched by it. */
void generate_call(struct generator *generator, unsigned vp);

/* --- generate_host.c --- */

void generate_host(struct generator *generator);

#endif
