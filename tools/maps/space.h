/*
 * One address space that is looked at: how it translates, which part of it, and how much work that may be.
 */
#ifndef TOOLS_MAPS_SPACE_H
#define TOOLS_MAPS_SPACE_H

#include <vmmu/scan.h>

#include "tools/machine/machine.h"

/*
 * Entries that are read before tables are given up as endless: as many as the tables of a machine of 100 GiB have that is
 * mapped by pages of 4 KiB, and read in a second or two.
 */
#define SPACE_BUDGET UINT64_C(30000000)

struct space {
    uint64_t cr3;
    struct vmmu_x86_mode mode; /* unless @second */
    const struct vmmu_ram *ram;
    const struct vmmu_x86_stage2
        *second; /* the second stage itself is looked at; NULL for linear addresses */
    uint64_t pat;
    bool pat_known;
    bool mode_known; /* else the paging mode is assumed */
    bool uncached;   /* CR0.CD: whatever the PAT says */
    uint64_t first;  /* addresses looked at, both ends included */
    uint64_t last;
    uint64_t budget; /* entries that may be read */
};

/* Guest-physical memory as a second stage in an image has it. */
struct space_memory {
    struct vmmu_ram ram;
    const struct vmmu_x86_stage2 *second;
    uint64_t page;  /* the page that was come to last */
    uint64_t frame; /* and where it is; odd if it is nowhere */
};

/*
 * The address space that @machine is in, all of it. *memory is used if its tables lie behind a second stage, and stays
 * where it is as long as any space of @machine is looked at.
 */
struct space space_of(const struct machine *machine, struct space_memory *memory);

/* The second stage of @machine, which has one. */
struct space space_of_second(const struct machine *machine);

/* @space with the tables of another CR3. False and *complaint if no processor accepts that. */
bool space_with_root(const struct machine *machine, uint64_t cr3, struct space *space,
                     struct complaint *complaint);

/* Set *scan to the beginning of @space, which is borrowed. */
void space_scan(const struct space *space, struct vmmu_x86_scan *scan);

enum vmmu_x86_format_name space_format(const struct space *space);

/* Hexadecimal digits that any address of @space has. */
int space_digits(const struct space *space);

/*
 * Memory type of a leaf, enum vmmu_x86_memory_type: of the PAT, or of the EPT entry. What MTRRs and a second stage make of
 * it is not in it.
 */
unsigned space_type(const struct space *space, const struct vmmu_x86_scan_item *leaf);

/* "tables at CR3 0x1234000, 4-level paging"; false for @second. Returns @to. */
#define SPACE_TEXT_BYTES 160
const char *space_text(const struct space *space, char to[SPACE_TEXT_BYTES]);

/* Print a line that says so if the paging mode of @space is only assumed. */
void space_print_doubt(const struct space *space);

/* Set *complaint to why a scan that was VMMU_X86_SCAN_SPENT came to no end, and be false. */
bool space_spent(const struct space *space, const struct vmmu_x86_scan *scan, struct complaint *complaint);

#endif
