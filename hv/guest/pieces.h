/*
 * What a loader has put where: every piece of an image claims its place before a byte of it is written.
 *
 * Invariant: claimed pieces lie in memory that the layout calls RAM, and no two overlap.
 */
#ifndef HV_GUEST_PIECES_H
#define HV_GUEST_PIECES_H

#include "hv/guest/memory.h"

#define PIECES 112

struct piece {
    uint64_t base;
    uint64_t end;
};

struct pieces {
    const struct guest_memory *memory;
    const struct guest_layout *layout;
    unsigned count;
    struct piece piece[PIECES];
};

/* Where what every loader writes is: all in the first PLACE_END bytes, which no image may use. */
enum {
    PLACE_GDT = 0x1000,
    PLACE_STACK_TOP = 0x7000,
    PLACE_BOOT_PARAMS = 0x7000,
    PLACE_PAGE_TABLES = 0x8000,
    PLACE_MULTIBOOT = 0x10000,
    PLACE_MULTIBOOT_END = 0x20000,
    PLACE_COMMAND_LINE = 0x20000,
    PLACE_END = 0x30000,
};

/* Nothing claimed yet but the loaders' own places. */
void pieces_start(struct pieces *pieces, const struct guest_memory *memory,
                  const struct guest_layout *layout);

/* Nothing claimed at all: for loaders without places of their own. */
void pieces_start_empty(struct pieces *pieces, const struct guest_memory *memory,
                        const struct guest_layout *layout);

/**
 * Claim [base, base + size). Returns our pointer to it, or NULL with *error a sentence: not all of it is
 * RAM, or something is there.
 */
uint8_t *pieces_claim(struct pieces *pieces, uint64_t base, uint64_t size, const char **error);

/* Where @size bytes are free, and how they must lie. */
struct place {
    uint64_t size;
    uint64_t alignment; /* a power of two */
    uint64_t from;      /* nothing below */
    uint64_t limit;     /* nothing at or above */
};

/* The lowest such place in *base; false if there is none. Claims nothing. */
bool pieces_lowest(const struct pieces *pieces, const struct place *place, uint64_t *base);

/* The highest such place. */
bool pieces_highest(const struct pieces *pieces, const struct place *place, uint64_t *base);

#endif
