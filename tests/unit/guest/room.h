/* A guest's memory on the host, and images made for it field by field. */
#ifndef TESTS_UNIT_GUEST_ROOM_H
#define TESTS_UNIT_GUEST_ROOM_H

#include "hv/guest/memory.h"
#include "hv/guest/start.h"

#define MIB UINT64_C(0x100000)

struct room {
    struct guest_memory memory;
    struct guest_layout layout;
    uint8_t *bytes;
    uint64_t size;
};

/* Memory of @size bytes, filled with 0xA5, laid out as for a guest; 2 MiB to 3 GiB. Freed by room_close(). */
struct room room_open(uint64_t size);
void room_close(struct room *room);

uint16_t at16(const struct room *room, uint64_t gpa);
uint32_t at32(const struct room *room, uint64_t gpa);
uint64_t at64(const struct room *room, uint64_t gpa);

/*
 * An image under construction: exactly `size` bytes, so that a read beyond them is
 * seen. Freed by image_free().
 */
struct image {
    uint8_t *bytes;
    uint64_t size;
};

void image_free(struct image *image);
struct guest_blob blob_of(const struct image *image);
/* Little-endian fields. */
void set_bytes(struct image *image, uint64_t at, uint64_t value, unsigned bytes);
void set16(struct image *image, uint64_t at, uint16_t value);
void set32(struct image *image, uint64_t at, uint32_t value);
void set64(struct image *image, uint64_t at, uint64_t value);

/* The image's first @size bytes alone. */
struct image image_cut(const struct image *image, uint64_t size);

/*
 * A relocatable 64-bit bzImage of protocol 2.15 as Linux 6.1 makes it: 4 setup sectors, 8 KiB of 0x90,
 * init_size 1 MiB, pref_address 2 MiB, alignment 2 MiB.
 */
struct image bzimage(void);

struct segment_spec {
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t file_bytes; /* filled with the segment's index plus one */
    uint64_t memory_bytes;
};

/* An ELF executable with @count segments; @is64 chooses x86-64 or i386. */
struct image elf_image(bool is64, uint64_t entry, const struct segment_spec *segments, unsigned count);

/* Offsets in such an ELF image. */
uint64_t elf_header_at(bool is64, unsigned index);

/* Put a multiboot header with @flags and the five address fields at @at. */
void set_multiboot(struct image *image, uint64_t at, uint32_t flags, const uint32_t addresses[5]);

#endif
