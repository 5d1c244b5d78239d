/*
 * What of a machine's memory a dump holds, where it is not all of it.
 */
#ifndef TOOLS_LIVE_RANGES_H
#define TOOLS_LIVE_RANGES_H

#include "tools/image/memory.h"

/* Add the memory of every partition of @image, and the tables that the hypervisor made for it: whole pages, none of it mapped. */
bool ranges_of_partitions(struct image_memory *memory, const struct image *image,
                          struct complaint *complaint);

#endif
