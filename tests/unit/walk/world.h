/*
 * Physical memory for tests of walks: every address holds a cell that reads as zero until it is written,
 * but for one window where there is no memory. A race can be laid: another processor's write, just
 * before the next exchange.
 */
#ifndef TESTS_UNIT_WALK_WORLD_H
#define TESTS_UNIT_WALK_WORLD_H

#include <vmmu/walk.h>

#define WORLD_CELLS 4096

struct world_cell {
    bool used;
    uint64_t address;
    uint64_t value;
};

struct world {
    struct world_cell cells[WORLD_CELLS]; /* of eight bytes each, hashed by address */
    uint64_t absent_base;                 /* no memory in [absent_base, absent_base + absent_bytes) */
    uint64_t absent_bytes;
    bool race; /* before the next exchange, @race_bits of what stands there are inverted */
    uint64_t race_bits;
    unsigned loads;
    unsigned exchanges;
    struct vmmu_ram ram;
};

/* An empty world. */
void world_init(struct world *world);

void world_write(struct world *world, uint64_t address, unsigned width_bytes, uint64_t value);
uint64_t world_read(struct world *world, uint64_t address, unsigned width_bytes);

/* A processor that offers everything, with 52 bits of physical address. */
extern const struct vmmu_x86_cpu full_cpu;

/*
 * Registers that turn on each kind of paging, WP and PSE and PGE set, NXE set where it counts, CR3 at 0x1000.
 */
struct vmmu_x86_paging_registers registers_for(enum vmmu_x86_paging paging);

/* The mode of @registers on full_cpu; the test fails if there is none. */
struct vmmu_x86_mode mode_of(const struct vmmu_x86_paging_registers *registers);

/*
 * One chain of tables in @world for @va: the table of level N stands at N * 0x1000 +
 * TABLES, the root at the mode's.
 */
#define TABLES UINT64_C(0x100000)

/* Where the entry of @level stands that translates @va. */
uint64_t entry_at(const struct vmmu_x86_mode *mode, unsigned level, uint64_t va);

/* Write one entry of the chain. */
void put_entry(struct world *world, const struct vmmu_x86_mode *mode, unsigned level, uint64_t va,
               uint64_t entry);

/*
 * Point every entry above @leaf_level to the next table (P, and RW and US where the level
 * has them), and put @leaf.
 */
void put_chain(struct world *world, const struct vmmu_x86_mode *mode, unsigned leaf_level, uint64_t va,
               uint64_t leaf);

/* Address of the table that stands at @level of the chain. */
uint64_t table_at(const struct vmmu_x86_mode *mode, unsigned level);

#define E_P   BIT64(0)
#define E_RW  BIT64(1)
#define E_US  BIT64(2)
#define E_PWT BIT64(3)
#define E_PCD BIT64(4)
#define E_A   BIT64(5)
#define E_D   BIT64(6)
#define E_PS  BIT64(7)
#define E_G   BIT64(8)
#define E_NX  BIT64(63)
#define E_ALL (E_P | E_RW | E_US)

#endif
