/*
 * Two address spaces side by side: where they map the same, and where not.
 */
#ifndef TOOLS_MAPS_DIFF_H
#define TOOLS_MAPS_DIFF_H

#include "tools/maps/space.h"

enum diff_kind {
    DIFF_SAME,
    DIFF_ONLY_FIRST,
    DIFF_ONLY_SECOND,
    DIFF_RIGHTS, /* the same memory with other rights */
    DIFF_MEMORY, /* other memory */
    DIFF_TYPE,   /* another memory type */
    DIFF_KINDS,
};

extern const char *const diff_words[DIFF_KINDS];

/* Addresses about which the same is to be said. */
struct diff_piece {
    enum diff_kind kind;
    uint64_t start;
    uint64_t bytes;
    uint8_t first_rights; /* VMMU_X86_RIGHT_*; 0 if it does not map it */
    uint8_t second_rights;
};

/* One of the two, and the page that it is at. */
struct diff_side {
    const struct space *space;
    struct vmmu_x86_scan scan;
    enum vmmu_x86_scan_found found; /* LEAF: @page is meant */
    struct vmmu_x86_scan_item page;
    uint64_t at; /* the first address of @page that was not looked at */
};

struct diff {
    struct diff_side first;
    struct diff_side second;
    struct diff_piece ahead;
    enum vmmu_x86_scan_found found; /* LEAF: @ahead is meant */
};

/* Begin; both spaces are borrowed. What is malformed or has no memory maps nothing. */
void diff_begin(struct diff *diff, const struct space *first, const struct space *second);

/* The next piece, as long as can be: VMMU_X86_SCAN_LEAF, _END, or _SPENT if one has no end. */
enum vmmu_x86_scan_found diff_next(struct diff *diff, struct diff_piece *piece);

/* Print the differences. An enum command_status; COMMAND_INPUT with *complaint. */
int diff_show(const struct space *first, const struct space *second, bool json, struct complaint *complaint);

#endif
