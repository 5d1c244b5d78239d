/*
 * The machine that the library's engines run on inside the tool: memory of a guest, and pages for the tables that a hypervisor
 * would build for it.
 *
 * Host-physical addresses are of our own making. Pages for tables begin at ENGINE_TABLES_AT, below 4 GiB, where PAE needs its
 * root; guest-physical address A is at host-physical A + ENGINE_GUEST_AT, so that the largest pages that fit in the guest's
 * memory fit in the machine's.
 */
#ifndef TOOLS_ENGINE_MEMORY_H
#define TOOLS_ENGINE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmu/host.h>

#include "tools/image/image.h"
#include "tools/ui/complain.h"

#define ENGINE_TABLES_AT     UINT64_C(0x1000000)
#define ENGINE_GUEST_AT      UINT64_C(0x100000000)
#define ENGINE_PHYSICAL_BITS 48

/*
 * Memory of a guest by guest-physical address, where both loads and exchanges work. Either over an image, whose words are
 * copied where they are changed, or the tool's own, which begins as zeros and costs what is written.
 */
struct engine_memory;

/* Over @under, which is borrowed with @ranges; nothing of @under is ever changed. Ends the program when there is no memory. */
struct engine_memory *engine_memory_over(const struct vmmu_ram *under, const struct image_range *ranges,
                                         unsigned range_count);

/* The tool's own: [0, size_bytes), whole pages. NULL and *complaint if the system refuses to reserve that much. */
struct engine_memory *engine_memory_new(uint64_t size_bytes, struct complaint *complaint);

/* For walks, and for whoever writes tables: valid as long as @memory. */
const struct vmmu_ram *engine_memory_ram(const struct engine_memory *memory);

/* What is there, in order. */
const struct image_range *engine_memory_ranges(const struct engine_memory *memory, unsigned *count);

/* Store @value, 4 or 8 bytes at an address aligned to that. False where there is no memory. */
bool engine_memory_store(struct engine_memory *memory, uint64_t address, unsigned width_bytes,
                         uint64_t value);

/* Forget what was changed over an image: its own content shows again. Of the tool's own memory: all zeros again. */
void engine_memory_reset(struct engine_memory *memory);

void engine_memory_free(struct engine_memory *memory);

#endif
