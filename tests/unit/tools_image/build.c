#include "tests/unit/tools_image/build.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Room for @size more. */
static uint8_t *room_for(struct bytes *bytes, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * bytes->room + size;
        bytes->data = realloc(bytes->data, bytes->room);
        assert_non_null(bytes->data);
    }
    bytes->size += size;
    return bytes->data + bytes->size - size;
}

void put(struct bytes *bytes, const void *from, size_t size)
{
    if (size != 0)
        memcpy(room_for(bytes, size), from, size);
}

void put_u32(struct bytes *bytes, uint32_t value)
{
    put(bytes, &value, sizeof(value));
}

void put_u64(struct bytes *bytes, uint64_t value)
{
    put(bytes, &value, sizeof(value));
}

void put_fill(struct bytes *bytes, uint8_t value, size_t size)
{
    if (size != 0)
        memset(room_for(bytes, size), value, size);
}

void put_zeros_to(struct bytes *bytes, size_t size)
{
    if (size > bytes->size)
        put_fill(bytes, 0, size - bytes->size);
}

void drop(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){ 0 };
}

static void patch(struct bytes *bytes, size_t at, const void *from, size_t size)
{
    EXPECT(at + size <= bytes->size);
    memcpy(bytes->data + at, from, size);
}

void patch_u16(struct bytes *bytes, size_t at, uint16_t value)
{
    patch(bytes, at, &value, sizeof(value));
}

void patch_u32(struct bytes *bytes, size_t at, uint32_t value)
{
    patch(bytes, at, &value, sizeof(value));
}

void patch_u64(struct bytes *bytes, size_t at, uint64_t value)
{
    patch(bytes, at, &value, sizeof(value));
}

void put_note(struct bytes *bytes, const char *name, uint32_t type, const struct bytes *content)
{
    const size_t name_bytes = strlen(name) + 1;

    put_u32(bytes, (uint32_t)name_bytes);
    put_u32(bytes, (uint32_t)content->size);
    put_u32(bytes, type);
    put(bytes, name, name_bytes);
    put_zeros_to(bytes, (bytes->size + 3) & ~(size_t)3);
    put(bytes, content->data, content->size);
    put_zeros_to(bytes, (bytes->size + 3) & ~(size_t)3);
}

size_t header_of(unsigned index)
{
    return sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr);
}

static void put_contents(struct bytes *core, const struct segment *segments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(core, segments[i].content.data, segments[i].content.size);
}

void put_core64(struct bytes *core, uint16_t machine, const struct segment *segments, size_t count)
{
    const Elf64_Ehdr header = { .e_ident = { 0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                                .e_type = ET_CORE,
                                .e_machine = machine,
                                .e_version = EV_CURRENT,
                                .e_phoff = sizeof(header),
                                .e_ehsize = sizeof(header),
                                .e_phentsize = sizeof(Elf64_Phdr),
                                .e_phnum = (uint16_t)count };
    uint64_t offset = sizeof(header) + count * sizeof(Elf64_Phdr);

    put(core, &header, sizeof(header));
    for (size_t i = 0; i < count; i++) {
        const Elf64_Phdr segment = { .p_type = segments[i].type,
                                     .p_offset = offset,
                                     .p_paddr = segments[i].physical,
                                     .p_filesz = segments[i].content.size,
                                     .p_memsz = segments[i].content.size + segments[i].more_bytes };

        put(core, &segment, sizeof(segment));
        offset += segments[i].content.size;
    }
    put_contents(core, segments, count);
}

void put_core32(struct bytes *core, uint16_t machine, const struct segment *segments, size_t count)
{
    const Elf32_Ehdr header = { .e_ident = { 0x7F, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
                                .e_type = ET_CORE,
                                .e_machine = machine,
                                .e_version = EV_CURRENT,
                                .e_phoff = sizeof(header),
                                .e_ehsize = sizeof(header),
                                .e_phentsize = sizeof(Elf32_Phdr),
                                .e_phnum = (uint16_t)count };
    uint32_t offset = (uint32_t)(sizeof(header) + count * sizeof(Elf32_Phdr));

    put(core, &header, sizeof(header));
    for (size_t i = 0; i < count; i++) {
        const Elf32_Phdr segment = { .p_type = segments[i].type,
                                     .p_offset = offset,
                                     .p_paddr = (uint32_t)segments[i].physical,
                                     .p_filesz = (uint32_t)segments[i].content.size,
                                     .p_memsz =
                                         (uint32_t)(segments[i].content.size + segments[i].more_bytes) };

        put(core, &segment, sizeof(segment));
        offset += (uint32_t)segments[i].content.size;
    }
    put_contents(core, segments, count);
}

int file_of(const struct bytes *bytes)
{
    char path[] = "/tmp/vmmu-unit-XXXXXX";
    const int descriptor = mkstemp(path);

    EXPECT(descriptor >= 0);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(pwrite(descriptor, bytes->data, bytes->size, 0), bytes->size);
    return descriptor;
}

/* Complaints and images keep the path: one for each number of a file. */
static const char *path_of(int descriptor)
{
    static char paths[64][64];

    EXPECT(descriptor < 64);
    (void)snprintf(paths[descriptor], sizeof(paths[descriptor]), "/proc/self/fd/%d", descriptor);
    return paths[descriptor];
}

struct image *open_bytes(const struct bytes *bytes, enum image_format format, struct complaint *complaint)
{
    const struct image_options options = { .format = format };
    const int descriptor = file_of(bytes);
    struct image *const image = image_open(path_of(descriptor), &options, complaint);

    EXPECT_EQ(close(descriptor), 0);
    return image;
}

void *there(void *pointer)
{
    assert_non_null(pointer);
    return pointer;
}

struct image *open_sound_bytes(const struct bytes *bytes)
{
    struct complaint complaint = { .text = "" };
    struct image *const image = open_bytes(bytes, IMAGE_GUESS, &complaint);

    if (image == NULL)
        fail_msg("it was refused: %s", complaint.text);
    return image;
}

void expect_refused(const struct bytes *bytes, enum image_format format, const char *words)
{
    struct complaint complaint = { .text = "" };
    struct image *const image = open_bytes(bytes, format, &complaint);

    if (image != NULL)
        fail_msg("it was opened, and not refused with '%s'", words);
    if (strstr(complaint.text, words) == NULL || strncmp(complaint.text, "/proc/self/fd/", 14) != 0)
        fail_msg("'%s' is not about '%s'", complaint.text, words);
    EXPECT(strchr(complaint.text, '\n') == NULL);
}

void expect_byte(const struct image *image, uint64_t address, int value)
{
    uint8_t byte = 0;
    const bool there = image_read(image, address, &byte, 1);

    if (there != (value >= 0) || (there && byte != value))
        fail_msg("at 0x%llx there is %d, not %d", (unsigned long long)address, there ? byte : -1, value);
}
