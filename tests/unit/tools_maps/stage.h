/*
 * A machine that is made by hand, for tests of maps and check: the memory of tests/unit/scan/room.h, a root at 0x1000, and
 * what standard output was given.
 */
#ifndef TESTS_UNIT_TOOLS_MAPS_STAGE_H
#define TESTS_UNIT_TOOLS_MAPS_STAGE_H

#include "tests/unit/scan/room.h"
#include "tools/image/source.h"
#include "tools/machine/machine.h"
#include "tools/maps/space.h"

struct stage {
    struct room *room;
    struct image_opened opened; /* what image_read reads */
    struct image image;
    struct image_processor processor;
    struct image_range range; /* all of the room */
    struct machine machine;
    struct space_memory memory;
};

/* A machine of one processor that translates by @paging. */
struct stage *stage_new(enum vmmu_x86_paging paging);
void stage_free(struct stage *stage);

/* Its address space. */
struct space stage_space(struct stage *stage);

/* Tables for 4-level paging at 0x1000 (level 4), 0x2000, 0x3000, 0x4000 (level 1), linked by their entries @index. */
void stage_chain(struct stage *stage, unsigned index);

/* Collect what is printed from here on, and give it: text that ends in zero, freed by the next call. */
void capture_begin(void);
const char *capture_end(void);

#endif
