/*
 * Pages that were read, kept: where reading one costs more than a copy (compressed dumps, a hypervisor at the other end of a
 * line). Of bounded size; what was once read stays as it was while it is kept. Not for several threads at once.
 */
#ifndef TOOLS_IMAGE_PAGES_H
#define TOOLS_IMAGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_pages;

/* @fetch reads the 4096 bytes at @address, or answers false: there is no such page, which is remembered too. */
struct image_pages *image_pages_new(bool (*fetch)(void *context, uint64_t address, uint8_t *bytes),
                                    void *context);

/* Copy [address, address + size_bytes), which does not wrap around. False, and *to undefined, if any of it is not there. */
bool image_pages_read(struct image_pages *pages, uint64_t address, void *to, size_t size_bytes);

/* NULL is allowed. */
void image_pages_free(struct image_pages *pages);

#endif
