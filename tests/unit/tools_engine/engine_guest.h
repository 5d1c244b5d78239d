/*
 * A guest for the tool's engines: memory of the tool's own, and page tables of any mode in it.
 */
#ifndef TESTS_UNIT_TOOLS_ENGINE_ENGINE_GUEST_H
#define TESTS_UNIT_TOOLS_ENGINE_ENGINE_GUEST_H

#include <vmmu/mode.h>

#include "tools/engine/memory.h"

#define GUEST_ROOT       UINT64_C(0x1000)
#define GUEST_TABLES     UINT64_C(0x100000) /* the others, one after the other */
#define GUEST_DATA       UINT64_C(0x40000000)
#define GUEST_BYTES      UINT64_C(0x80000000)

/* P, R/W, U/S, A, D and PS of an entry. */
#define GUEST_LINK       UINT64_C(0x27)
#define GUEST_LEAF       UINT64_C(0x67)
#define GUEST_LARGE      UINT64_C(0xe7)
#define GUEST_CLEAN_LEAF UINT64_C(0x07)

struct engine_guest {
    struct engine_memory *memory;
    enum vmmu_x86_paging paging;
    struct vmmu_x86_mode mode;
    uint64_t next_table;
};

/* Empty tables of @paging, CR3 at GUEST_ROOT. */
void engine_guest_open(struct engine_guest *guest, enum vmmu_x86_paging paging);
void engine_guest_close(struct engine_guest *guest);

/* The mode with another root. */
struct vmmu_x86_mode engine_guest_mode(const struct engine_guest *guest, uint64_t cr3);

/* Where the entry of @level for @va stands; tables above it are made. */
uint64_t engine_guest_entry(struct engine_guest *guest, uint64_t va, unsigned level);

/* Put @entry there. */
void engine_guest_map(struct engine_guest *guest, uint64_t va, unsigned level, uint64_t entry);

#endif
