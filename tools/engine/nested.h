/*
 * A second stage that the library builds for a guest's memory, all of it mapped at once with the largest pages that fit.
 */
#ifndef TOOLS_ENGINE_NESTED_H
#define TOOLS_ENGINE_NESTED_H

#include <vmmu/nested.h>
#include <vmmu/walk.h>

#include "tools/engine/memory.h"

struct engine_nested_options {
    enum vmmu_nested_format format;
    uint8_t levels;        /* 4 or 5; 0: 4 */
    uint8_t largest_level; /* VMMU_NESTED_LEVEL_...: the largest page that may be used; 0: 1 GiB */
    bool accessed_dirty;
};

struct engine_nested;

/* @memory is borrowed. NULL and *complaint if there is more of it than tables can map, or no page for them. */
struct engine_nested *engine_nested_open(struct engine_memory *memory,
                                         const struct engine_nested_options *options,
                                         struct complaint *complaint);

/*
 * For vmmu_x86_walk_nested and vmmu_x86_walk_stage2: entries of both stages are reached through it. Valid as long as @nested.
 */
const struct vmmu_x86_stage2 *engine_nested_second(const struct engine_nested *nested);

/* Pages of 4096 bytes that its tables take. */
uint32_t engine_nested_table_pages(const struct engine_nested *nested);

/* What the library counted: leaves by size. */
const struct vmmu_nested_counters *engine_nested_counters(const struct engine_nested *nested);

void engine_nested_close(struct engine_nested *nested);

#endif
