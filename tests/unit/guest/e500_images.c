/* Images for e500 guests. */
#include "tests/unit/guest/e500_images.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_BYTES     0x1000
#define MUST(condition) ((condition) ? (void)0 : abort())

struct e500_room e500_room_open(uint64_t size)
{
    uint8_t *bytes = mmap(NULL, size + GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct guest_slot slot = { .size = size, .host = bytes, .hpa = { 0x40000000 } };
    struct e500_room room = { .bytes = bytes, .size = size };

    MUST(bytes != MAP_FAILED && mprotect(bytes, size, PROT_READ | PROT_WRITE) == 0);
    MUST(guest_memory_add(&room.memory, &slot) == VMMU_OK);
    return room;
}

void e500_room_close(struct e500_room *room)
{
    MUST(munmap(room->bytes, room->size + GUARD_BYTES) == 0);
    room->bytes = NULL;
}

void e500_image_free(struct e500_image *image)
{
    free(image->bytes);
    image->bytes = NULL;
}

void e500_put16(struct e500_image *image, uint64_t at, uint16_t value)
{
    image->bytes[at] = (uint8_t)(value >> 8);
    image->bytes[at + 1] = (uint8_t)value;
}

void e500_put32(struct e500_image *image, uint64_t at, uint32_t value)
{
    e500_put16(image, at, (uint16_t)(value >> 16));
    e500_put16(image, at + 2, (uint16_t)value);
}

static struct e500_image zeros(uint64_t size)
{
    const struct e500_image image = { calloc(1, size), size };

    MUST(image.bytes != NULL);
    return image;
}

struct e500_image e500_elf(uint32_t entry, const struct e500_segment *segments, unsigned count)
{
    uint32_t at = 52 + 32 * count;
    uint64_t size = at;
    struct e500_image image;

    for (unsigned i = 0; i < count; i++)
        size += segments[i].file_bytes;
    image = zeros(size);
    memcpy(image.bytes, "\177ELF\1\2\1", 7);
    e500_put16(&image, 16, 2);  /* ET_EXEC */
    e500_put16(&image, 18, 20); /* EM_PPC */
    e500_put32(&image, 20, 1);
    e500_put32(&image, 24, entry);
    e500_put32(&image, 28, 52);
    e500_put16(&image, 40, 52);
    e500_put16(&image, 42, 32);
    e500_put16(&image, 44, (uint16_t)count);
    for (unsigned i = 0; i < count; i++) {
        const uint64_t header = 52 + 32 * i;

        e500_put32(&image, header, 1); /* PT_LOAD */
        e500_put32(&image, header + 4, at);
        e500_put32(&image, header + 8, segments[i].vaddr);
        e500_put32(&image, header + 12, segments[i].paddr);
        e500_put32(&image, header + 16, segments[i].file_bytes);
        e500_put32(&image, header + 20, segments[i].memory_bytes);
        memset(image.bytes + at, (int)(i + 1), segments[i].file_bytes);
        at += segments[i].file_bytes;
    }
    return image;
}

/* By the table, unlike the loader's own. Spec: ISO 3309. */
static uint32_t crc(const uint8_t *bytes, uint64_t size)
{
    uint32_t table[256];
    uint32_t value = 0xFFFFFFFF;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t entry = i;

        for (unsigned bit = 0; bit < 8; bit++)
            entry = (entry & 1) != 0 ? entry >> 1 ^ 0xEDB88320 : entry >> 1;
        table[i] = entry;
    }
    for (uint64_t i = 0; i < size; i++)
        value = table[(value ^ bytes[i]) & 0xFF] ^ value >> 8;
    return value ^ 0xFFFFFFFF;
}

void e500_uimage_seal(struct e500_image *image)
{
    e500_put32(image, 24, crc(image->bytes + 64, image->size - 64));
    e500_put32(image, 4, 0);
    e500_put32(image, 4, crc(image->bytes, 64));
}

struct e500_image e500_uimage(uint32_t load, uint32_t entry, uint32_t size)
{
    struct e500_image image = zeros(64 + (uint64_t)size);

    e500_put32(&image, 0, 0x27051956);
    e500_put32(&image, 12, size);
    e500_put32(&image, 16, load);
    e500_put32(&image, 20, entry);
    image.bytes[28] = 5; /* Linux */
    image.bytes[29] = 7; /* PowerPC */
    image.bytes[30] = 2; /* kernel */
    memset(image.bytes + 64, 0x3C, size);
    e500_uimage_seal(&image);
    return image;
}
