/*
 * A boot loader for tests: memory in which boot information of either version is laid out byte by byte, and
 * the window through which the code under test sees it.
 */
#ifndef TESTS_UNIT_BOOT_LOADER_H
#define TESTS_UNIT_BOOT_LOADER_H

#include "hv/boot/multiboot.h"

#define LOADER_BASE  0x10000
#define LOADER_BYTES 0x10000
#define TEXT_BASE    (LOADER_BASE + 0x4000)

struct loader {
    uint8_t *memory; /* LOADER_BYTES from LOADER_BASE on, from malloc, so that a sanitizer sees its end */
    uint32_t used;   /* of version 2's information */
    uint32_t text;   /* of the strings */
};

void loader_open(struct loader *loader);
void loader_close(struct loader *loader);

/* The window: LOADER_BASE to its end, and nothing else. */
struct boot_window loader_window(struct loader *loader);

void loader_put8(struct loader *loader, uint32_t address, uint8_t value);
void loader_put32(struct loader *loader, uint32_t address, uint32_t value);
void loader_put64(struct loader *loader, uint32_t address, uint64_t value);

/* Lay down a string; its address. */
uint32_t loader_text(struct loader *loader, const char *text);

/*
 * Version 2: begin the information at LOADER_BASE; add a tag of @size_bytes content and give the content's
 * address, or one that holds a string; end it with the end tag and the total size.
 */
void loader_begin2(struct loader *loader);
uint32_t loader_tag(struct loader *loader, uint32_t kind, uint32_t size_bytes);
void loader_tag_text(struct loader *loader, uint32_t kind, const char *text);
void loader_end2(struct loader *loader);

/* A memory map tag of @count entries of @step bytes; the address of its first entry. */
uint32_t loader_tag_map(struct loader *loader, uint32_t count, uint32_t step);
void loader_put_map2(struct loader *loader, uint32_t entry, uint64_t base, uint64_t size_bytes,
                     uint32_t type);

/* Version 1: an entry of the memory map, 24 bytes with its size. */
void loader_put_map1(struct loader *loader, uint32_t entry, uint64_t base, uint64_t size_bytes,
                     uint32_t type);

/* Write a valid RSDP: of 20 bytes for revision 0, of 36 for others. */
void loader_put_rsdp(struct loader *loader, uint32_t address, uint8_t revision);

#endif
