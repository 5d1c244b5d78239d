/*
 * Physical memory as ranges, made once when an image is opened, and how it is read afterwards.
 *
 * Where two ranges overlap, the one that begins lower counts, and of two that begin at the same address the longer; of equal
 * ones the one that was added first. A kdump vmcore has the kernel's text twice, for one.
 */
#ifndef TOOLS_IMAGE_MEMORY_H
#define TOOLS_IMAGE_MEMORY_H

#include "tools/image/image.h"

/* x86 processors address no more. */
#define IMAGE_ADDRESS_LIMIT BIT64(52)

struct image_memory {
    struct image_range *ranges;
    unsigned count;
    unsigned room;
    const struct image_range *last; /* the range of the last access: most come in runs */

    /* Copy from within one range that is not mapped; if @open, from beside the ranges too. */
    bool (*read)(void *context, uint64_t address, void *to, size_t size_bytes);
    void *read_context;
    bool open; /* more may be there than the ranges say: @read knows */
};

void image_memory_add(struct image_memory *memory, uint64_t base, uint64_t size_bytes, const uint8_t *mapped);

/* After the last is added: put them in order, undo overlaps, join neighbours. */
void image_memory_settle(struct image_memory *memory);

/* The range that @address is in; NULL if none. Settled memory only, like all below. */
const struct image_range *image_memory_find(const struct image_memory *memory, uint64_t address);

bool image_memory_read(const struct image_memory *memory, uint64_t address, void *to, size_t size_bytes);

/* Whether [address, address + size_bytes) is all there. */
bool image_memory_holds(const struct image_memory *memory, uint64_t address, uint64_t size_bytes);

/* @memory as the library asks for it; it must stay where it is. Any number of threads may load at once if all is mapped. */
struct vmmu_ram image_memory_ram(struct image_memory *memory);

/* An exchange that changes nothing: images are read, never written. */
enum vmmu_status image_memory_refuse(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired);

void image_memory_free(struct image_memory *memory);

#endif
