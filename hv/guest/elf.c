/*
 * ELF images.
 *
 * Invariant: no offset of the image is used before it has been compared with the
 * image's size, without overflow.
 */
#include "hv/guest/elf.h"

#include "hv/guest/bytes.h"

#define ELF_CLASS32      1
#define ELF_CLASS64      2
#define ELF_LITTLE       1
#define ELF_BIG          2
#define ELF_EXECUTABLE   2
#define SEGMENT_LOAD     1
#define SEGMENTS_MAXIMUM 64

/* Field offsets that differ between the classes. */
static const struct elf_class {
    uint8_t header_bytes;
    uint8_t entry;
    uint8_t segments_at;
    uint8_t segment_bytes_at;
    uint8_t segments;
    uint8_t segment_bytes;
    uint8_t offset, vaddr, paddr, filesz, memsz; /* in a program header */
} classes[2] = {
    { 52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20 },
    { 64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40 },
};

struct segment {
    uint64_t offset;
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t file_bytes;
    uint64_t memory_bytes;
};

static uint16_t half(const struct elf *elf, const uint8_t *at)
{
    return elf->is_big_endian ? get_big16(at) : get16(at);
}

static uint32_t word(const struct elf *elf, const uint8_t *at)
{
    return elf->is_big_endian ? get_big32(at) : get32(at);
}

/* As wide as the class has addresses. */
static uint64_t address(const struct elf *elf, const uint8_t *at)
{
    if (!elf->is64) {
        return word(elf, at);
    }
    return elf->is_big_endian ? get_big64(at) : get64(at);
}

bool elf_is_image(const struct guest_blob *blob)
{
    static const uint8_t magic[4] = { 0x7F, 'E', 'L', 'F' };

    return blob->size >= classes[0].header_bytes && __builtin_memcmp(blob->bytes, magic, sizeof(magic)) == 0;
}

bool elf_is_64bit(const struct guest_blob *blob)
{
    return elf_is_image(blob) && blob->bytes[4] == ELF_CLASS64 && blob->size >= classes[1].header_bytes;
}

enum vmmu_status elf_open(const struct guest_blob *blob, struct elf *elf, const char **error)
{
    const uint8_t *bytes = blob->bytes;
    const struct elf_class *class;

    *elf = (struct elf){ .blob = blob, .is64 = elf_is_64bit(blob) };
    class = &classes[elf->is64];
    if (!elf_is_image(blob) || (bytes[5] != ELF_LITTLE && bytes[5] != ELF_BIG) ||
        (!elf->is64 && bytes[4] != ELF_CLASS32)) {
        *error = "the image is not an ELF file";
        return VMMU_INVALID;
    }
    elf->is_big_endian = bytes[5] == ELF_BIG;
    elf->machine = half(elf, bytes + 18);
    if (elf->is_big_endian != (elf->machine == ELF_MACHINE_PPC)) {
        *error = "the ELF file's byte order is not that of its processor";
        return VMMU_INVALID;
    }
    elf->entry = address(elf, bytes + class->entry);
    elf->segments_at = address(elf, bytes + class->segments_at);
    elf->segment_bytes = half(elf, bytes + class->segment_bytes_at);
    elf->segments = half(elf, bytes + class->segments);
    if (half(elf, bytes + 16) != ELF_EXECUTABLE) {
        *error = "the ELF file is not an executable with fixed addresses";
        return VMMU_INVALID;
    }
    if (elf->segments == 0 || elf->segments > SEGMENTS_MAXIMUM || elf->segment_bytes < class->segment_bytes) {
        *error = "the ELF file has no program headers, too many, or too small ones";
        return VMMU_INVALID;
    }
    if (!vmmu_range_fits(elf->segments_at, (uint64_t)elf->segments * elf->segment_bytes, blob->size)) {
        *error = "the ELF file's program headers lie outside the file";
        return VMMU_INVALID;
    }
    return VMMU_OK;
}

/* Whether program header @index is to be loaded; its fields then. */
static bool loadable(const struct elf *elf, unsigned index, struct segment *segment)
{
    const struct elf_class *class = &classes[elf->is64];
    const uint8_t *at = elf->blob->bytes + elf->segments_at + (uint64_t)index * elf->segment_bytes;

    *segment = (struct segment){
        .offset = address(elf, at + class->offset),
        .vaddr = address(elf, at + class->vaddr),
        .paddr = address(elf, at + class->paddr),
        .file_bytes = address(elf, at + class->filesz),
        .memory_bytes = address(elf, at + class->memsz),
    };
    return word(elf, at) == SEGMENT_LOAD && segment->memory_bytes != 0;
}

static enum vmmu_status load_segment(const struct elf *elf, const struct segment *segment,
                                     struct pieces *pieces, const char **error)
{
    uint8_t *at;

    if (segment->file_bytes > segment->memory_bytes) {
        *error = "a segment of the ELF file is larger in the file than in memory";
        return VMMU_INVALID;
    }
    if (segment->file_bytes != 0 && !vmmu_range_fits(segment->offset, segment->file_bytes, elf->blob->size)) {
        *error = "a segment of the ELF file lies outside the file: is it truncated?";
        return VMMU_INVALID;
    }
    at = pieces_claim(pieces, segment->paddr, segment->memory_bytes, error);
    if (at == NULL) {
        return VMMU_INVALID;
    }
    if (segment->file_bytes != 0) {
        __builtin_memcpy(at, elf->blob->bytes + segment->offset, segment->file_bytes);
    }
    __builtin_memset(at + segment->file_bytes, 0, segment->memory_bytes - segment->file_bytes);
    return VMMU_OK;
}

/*
 * e_entry as a physical address: as it stands if a segment is loaded there, else through
 * the segment linked there.
 */
static bool find_entry(const struct elf *elf, uint64_t *entry)
{
    struct segment segment;

    for (unsigned i = 0; i < elf->segments; i++) {
        if (loadable(elf, i, &segment) && elf->entry - segment.paddr < segment.file_bytes) {
            *entry = elf->entry;
            return true;
        }
    }
    for (unsigned i = 0; i < elf->segments; i++) {
        if (loadable(elf, i, &segment) && elf->entry - segment.vaddr < segment.file_bytes) {
            *entry = segment.paddr + (elf->entry - segment.vaddr);
            return true;
        }
    }
    return false;
}

enum vmmu_status elf_load(const struct elf *elf, struct pieces *pieces, struct elf_loaded *loaded,
                          const char **error)
{
    struct segment segment;

    *loaded = (struct elf_loaded){ .low = UINT64_MAX };
    for (unsigned i = 0; i < elf->segments; i++) {
        if (!loadable(elf, i, &segment)) {
            continue;
        }
        const enum vmmu_status status = load_segment(elf, &segment, pieces, error);

        if (status != VMMU_OK) {
            return status;
        }
        loaded->low = segment.paddr < loaded->low ? segment.paddr : loaded->low;
        if (segment.paddr + segment.memory_bytes > loaded->high) {
            loaded->high = segment.paddr + segment.memory_bytes;
        }
    }
    if (loaded->high == 0) {
        *error = "the ELF file has nothing to load";
        return VMMU_INVALID;
    }
    if (!find_entry(elf, &loaded->entry)) {
        *error = "the ELF file's entry point is in none of its segments";
        return VMMU_INVALID;
    }
    return VMMU_OK;
}
