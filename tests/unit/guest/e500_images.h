/* Memory of an e500 guest on the host, and images for it, field by field. */
#ifndef TESTS_UNIT_GUEST_E500_IMAGES_H
#define TESTS_UNIT_GUEST_E500_IMAGES_H

#include "hv/guest/e500.h"

#define E500_MIB UINT64_C(0x100000)

struct e500_room {
    struct guest_memory memory;
    uint8_t *bytes; /* zero at first; nothing may be touched behind them */
    uint64_t size;
};

/* Freed by e500_room_close(). */
struct e500_room e500_room_open(uint64_t size);
void e500_room_close(struct e500_room *room);

/* An image of exactly `size` bytes, so that a read beyond them is seen. Freed by e500_image_free(). */
struct e500_image {
    uint8_t *bytes;
    uint64_t size;
};

void e500_image_free(struct e500_image *image);
void e500_put16(struct e500_image *image, uint64_t at, uint16_t value);
void e500_put32(struct e500_image *image, uint64_t at, uint32_t value);

struct e500_segment {
    uint32_t vaddr;
    uint32_t paddr;
    uint32_t file_bytes; /* filled with the segment's index plus one */
    uint32_t memory_bytes;
};

/* An ELF32 executable for PowerPC, big-endian. Program header n is 32 bytes, from 52 on. */
struct e500_image e500_elf(uint32_t entry, const struct e500_segment *segments, unsigned count);

/* An uncompressed uImage of a PowerPC kernel, @size bytes of 0x3C, with right checksums. */
struct e500_image e500_uimage(uint32_t load, uint32_t entry, uint32_t size);

/* Make both checksums of a changed uImage right again. */
void e500_uimage_seal(struct e500_image *image);

#endif
