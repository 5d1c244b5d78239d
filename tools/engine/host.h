/*
 * This room's own: the library's host seam over an arena of pages, and the machine's memory, where that arena and the guest's
 * memory both are.
 */
#ifndef TOOLS_ENGINE_HOST_H
#define TOOLS_ENGINE_HOST_H

#include <vmmu/table.h>

#include "tools/engine/memory.h"

/* Below 4 GiB from ENGINE_TABLES_AT on. */
#define ENGINE_TABLE_PAGES_MOST ((uint32_t)((ENGINE_GUEST_AT - ENGINE_TABLES_AT) / VMMU_PAGE_BYTES))

/* At a fixed place: callbacks hold its address. */
struct engine_host {
    const struct engine_memory *memory;
    uint8_t *arena;
    uint32_t limit_pages;
    uint32_t fresh; /* pages from this one on were never given */
    uint32_t *returned;
    uint32_t returned_count;
    struct vmmu_host host;
    struct vmmu_ram machine; /* by host-physical address */
    struct vmmu_table_memory tables;
    struct vmmu_table_retired *quarantine;
    const char *violated; /* what the library said of its own bug; NULL */
};

/* False and *complaint if there are not so many pages. */
bool engine_host_open(struct engine_host *host, const struct engine_memory *memory, uint64_t limit_pages,
                      struct complaint *complaint);

/* When everything that drew from it is destroyed. */
void engine_host_close(struct engine_host *host);

/* The piece of guest memory around @gpa: false if there is none. */
bool engine_memory_find(const struct engine_memory *memory, uint64_t gpa, struct image_range *range);

#endif
