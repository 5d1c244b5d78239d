#include "tests/unit/guest/room.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

struct room room_open(uint64_t size)
{
    struct room room = { .size = size };
    const char *error = NULL;

    assert_int_equal(guest_layout_make(size, &room.layout, &error), VMMU_OK);
    room.bytes = aligned_alloc(4096, size);
    assert_non_null(room.bytes);
    memset(room.bytes, 0xA5, size < 4 * MIB ? size : 4 * MIB);
    assert_int_equal(
        guest_memory_add(&room.memory,
                         &(struct guest_slot){ .size = size, .host = room.bytes, .hpa = { 4096 } }),
        VMMU_OK);
    return room;
}

void room_close(struct room *room)
{
    free(room->bytes);
    room->bytes = NULL;
}

static uint64_t load(const struct room *room, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;

    assert_true(gpa <= room->size && bytes <= room->size - gpa);
    memcpy(&value, room->bytes + gpa, bytes);
    return value;
}

uint16_t at16(const struct room *room, uint64_t gpa)
{
    return (uint16_t)load(room, gpa, 2);
}

uint32_t at32(const struct room *room, uint64_t gpa)
{
    return (uint32_t)load(room, gpa, 4);
}

uint64_t at64(const struct room *room, uint64_t gpa)
{
    return load(room, gpa, 8);
}

void image_free(struct image *image)
{
    free(image->bytes);
    image->bytes = NULL;
}

struct guest_blob blob_of(const struct image *image)
{
    return (struct guest_blob){ .bytes = image->bytes, .size = image->size };
}

void set_bytes(struct image *image, uint64_t at, uint64_t value, unsigned bytes)
{
    assert_true(at <= image->size && bytes <= image->size - at);
    memcpy(image->bytes + at, &value, bytes);
}

void set16(struct image *image, uint64_t at, uint16_t value)
{
    set_bytes(image, at, value, 2);
}

void set32(struct image *image, uint64_t at, uint32_t value)
{
    set_bytes(image, at, value, 4);
}

void set64(struct image *image, uint64_t at, uint64_t value)
{
    set_bytes(image, at, value, 8);
}

static struct image image_new(uint64_t size)
{
    struct image image = { malloc(size), size };

    assert_non_null(image.bytes);
    memset(image.bytes, 0, size);
    return image;
}

struct image image_cut(const struct image *image, uint64_t size)
{
    struct image cut = image_new(size + (size == 0));

    assert_true(size <= image->size);
    memcpy(cut.bytes, image->bytes, size);
    cut.size = size;
    return cut;
}

struct image bzimage(void)
{
    const uint64_t setup = UINT64_C(5) * 512;
    const uint64_t payload = 8192;
    struct image image = image_new(setup + payload);

    memset(image.bytes + setup, 0x90, payload);
    image.bytes[0x1F1] = 4;
    set32(&image, 0x1F4, (uint32_t)payload / 16);
    set16(&image, 0x1FE, 0xAA55);
    image.bytes[0x200] = 0xEB;
    image.bytes[0x201] = 0x6A; /* the header ends at 0x26C */
    memcpy(image.bytes + 0x202, "HdrS", 4);
    set16(&image, 0x206, 0x020F);
    image.bytes[0x211] = 0x01;        /* LOADED_HIGH */
    set32(&image, 0x214, 0x100000);   /* code32_start */
    set32(&image, 0x22C, 0x7FFFFFFF); /* initrd_addr_max */
    set32(&image, 0x230, 0x200000);   /* kernel_alignment */
    image.bytes[0x234] = 1;           /* relocatable_kernel */
    image.bytes[0x235] = 21;          /* min_alignment */
    set16(&image, 0x236, 0x003F);     /* xloadflags: 64-bit entry and others */
    set32(&image, 0x238, 2047);       /* cmdline_size */
    set64(&image, 0x258, 0x200000);   /* pref_address */
    set32(&image, 0x260, 0x100000);   /* init_size */
    return image;
}

uint64_t elf_header_at(bool is64, unsigned index)
{
    return is64 ? 64 + UINT64_C(56) * index : 52 + UINT64_C(32) * index;
}

static void set_word(struct image *image, bool is64, uint64_t at, uint64_t value)
{
    set_bytes(image, at, value, is64 ? 8 : 4);
}

static void set_segment(struct image *image, bool is64, unsigned index, const struct segment_spec *segment,
                        uint64_t offset)
{
    const uint64_t at = elf_header_at(is64, index);
    const unsigned step = is64 ? 8 : 4;
    const uint64_t first = at + step; /* p_offset: after p_type, and p_flags in the wide form */

    set32(image, at, 1);
    set_word(image, is64, first, offset);
    set_word(image, is64, first + step, segment->vaddr);
    set_word(image, is64, first + UINT64_C(2) * step, segment->paddr);
    set_word(image, is64, first + UINT64_C(3) * step, segment->file_bytes);
    set_word(image, is64, first + UINT64_C(4) * step, segment->memory_bytes);
    memset(image->bytes + offset, (int)index + 1, segment->file_bytes);
}

struct image elf_image(bool is64, uint64_t entry, const struct segment_spec *segments, unsigned count)
{
    uint64_t offset = elf_header_at(is64, count);
    struct image image;

    for (unsigned i = 0; i < count; i++) {
        offset += segments[i].file_bytes;
    }
    image = image_new(offset);
    memcpy(image.bytes,
           "\x7F"
           "ELF",
           4);
    image.bytes[4] = is64 ? 2 : 1;
    image.bytes[5] = 1;
    image.bytes[6] = 1;
    set16(&image, 16, 2);
    set16(&image, 18, is64 ? 62 : 3);
    set32(&image, 20, 1);
    set_word(&image, is64, 24, entry);
    set_word(&image, is64, is64 ? 32 : 28, elf_header_at(is64, 0));
    set16(&image, is64 ? 54 : 42, is64 ? 56 : 32);
    set16(&image, is64 ? 56 : 44, (uint16_t)count);
    offset = elf_header_at(is64, count);
    for (unsigned i = 0; i < count; i++) {
        set_segment(&image, is64, i, &segments[i], offset);
        offset += segments[i].file_bytes;
    }
    return image;
}

void set_multiboot(struct image *image, uint64_t at, uint32_t flags, const uint32_t addresses[5])
{
    set32(image, at, 0x1BADB002);
    set32(image, at + 4, flags);
    set32(image, at + 8, 0u - 0x1BADB002 - flags);
    for (unsigned i = 0; addresses != NULL && i < 5; i++) {
        set32(image, at + 12 + UINT64_C(4) * i, addresses[i]);
    }
}
