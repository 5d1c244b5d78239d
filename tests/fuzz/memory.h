/*
 * Physical memory for fuzz targets of walks: every eight bytes of it hold one of 32 entries that the input
 * gives, and entries lead to a few pages, so that any walk goes deep and tables link to each other and to
 * themselves.
 *
 * In pages with address bit 20 clear stand the first 16 entries, which are a guest's; else the others, which
 * are a second stage's. Which of the 16 is the page number and the index in the page, added.
 */
#ifndef TESTS_FUZZ_MEMORY_H
#define TESTS_FUZZ_MEMORY_H

#include <vmmu/walk.h>

#include "input.h"

#define MEMORY_ENTRIES 16
#define MEMORY_CELLS   192

/* Pages of this address and those behind it hold entries of a second stage. */
#define MEMORY_SECOND  UINT64_C(0x100000)

/* Eight bytes that were written. */
struct memory_cell {
    uint64_t address;
    uint64_t value;
};

struct memory {
    uint64_t entries[2][MEMORY_ENTRIES];
    uint64_t absent_from; /* there is no memory from this address on */
    uint64_t races;       /* bit N: another processor writes the entry just after load N, counted from zero */
    uint64_t race_bits;   /* what it inverts */
    unsigned cell_count;
    struct memory_cell cells[MEMORY_CELLS];
    unsigned loads;     /* that found memory */
    unsigned absent;    /* loads that did not */
    unsigned exchanges; /* that stored */
};

/* Draw the entries, and where memory ends. No races yet. */
void memory_draw(struct memory *memory, struct input *input);

/* @memory as the library reaches it. */
struct vmmu_ram memory_ram(struct memory *memory);

uint64_t memory_read(const struct memory *memory, uint64_t address, unsigned width_bytes);

/* Whether @marked is @clean with nothing changed but accessed and dirty bits set, and those only if @may. */
bool memory_is_marked(const struct memory *clean, const struct memory *marked, bool may);

/* Whether both read the same everywhere. */
bool memory_same(const struct memory *one, const struct memory *other);

/* An address in one of the few pages, the first of them most of all; one page of 4 KiB. */
uint64_t memory_draw_page(struct input *input);

/* A linear address; most are canonical for @address_bits. */
vmmu_gva memory_draw_va(struct input *input, unsigned address_bits);

/* Paging registers whose root and PDPTEs lie in the few pages, mostly. */
struct vmmu_x86_paging_registers memory_draw_registers(struct input *input, const struct vmmu_x86_cpu *cpu);

struct vmmu_x86_access memory_draw_access(struct input *input);

#endif
