/*
 * This room's own: the library's host seam over an arena of pages, and the machine's memory, where that arena and the guest's
 * memory both are.
 */
#ifndef TOOLS_ENGINE_HOST_H
#define TOOLS_ENGINE_HOST_H

#include <vmmu/flat.h>
#include <vmmu/table.h>

#include "tools/engine/memory.h"

/* Below 4 GiB from ENGINE_TABLES_AT on. */
#define ENGINE_TABLE_PAGES_MOST ((uint32_t)((ENGINE_GUEST_AT - ENGINE_TABLES_AT) / VMMU_PAGE_BYTES))

/* At a fixed place: callbacks hold its address. */
struct engine_host {
    struct vmmu_flat_host flat; /* first: see host.c */
    struct vmmu_host host;
    struct vmmu_ram pages; /* of tables */
    const struct engine_memory *memory;
    struct vmmu_ram machine; /* by host-physical address */
    struct vmmu_table_memory tables;
    struct vmmu_table_retired *quarantine;
};

/* False and *complaint if there are not so many pages. */
bool engine_host_open(struct engine_host *host, const struct engine_memory *memory, uint64_t limit_pages,
                      struct complaint *complaint);

/* When everything that drew from it is destroyed. */
void engine_host_close(struct engine_host *host);

/* The piece of guest memory around @gpa; NULL if there is none. */
const struct image_range *engine_memory_find(const struct engine_memory *memory, uint64_t gpa);

#endif
