/*
 * Multiboot 1 images: ELF files, and flat ones that carry their addresses in the header.
 *
 * Invariant: all that the image asks for is checked before the guest is told of it in
 * the information structure.
 *
 * Spec: Multiboot Specification "OS image format", "Machine state", "Boot information format".
 */
#include "hv/guest/bytes.h"
#include "hv/guest/elf.h"
#include "hv/guest/loaders.h"

#define HEADER_MAGIC      0x1BADB002u
#define LOADER_MAGIC      0x2BADB002u
#define SEARCH_BYTES      8192u
#define HEADER_BYTES      12u
#define HEADER_BYTES_FLAT 32u
#define BELOW_4G          UINT64_C(0x100000000)

#define WANTS_ALIGNED     0x00000001u
#define WANTS_MEMORY      0x00000002u
#define WANTS_MUST_KNOW   0x0000FFFFu
#define HAS_ADDRESSES     0x00010000u

/* The information structure. */
enum {
    INFO_FLAGS = 0,
    INFO_LOWER_KIB = 4,
    INFO_UPPER_KIB = 8,
    INFO_COMMAND_LINE = 16,
    INFO_MODULES = 20,
    INFO_MODULES_AT = 24,
    INFO_MAP_BYTES = 44,
    INFO_MAP_AT = 48,
    INFO_LOADER_NAME = 64,
    INFO_BYTES = 116,

    MODULE_BYTES = 16,
    MAP_ENTRY_BYTES = 24,

    /* Within the loader's page. */
    MAP_OFFSET = 0x80,
    MODULES_OFFSET = 0x200,
    TEXT_OFFSET = 0x400,
    AREA_BYTES = PLACE_MULTIBOOT_END - PLACE_MULTIBOOT,
};

_Static_assert(MODULES_OFFSET + GUEST_MODULES * MODULE_BYTES <= TEXT_OFFSET,
               "module records end before texts");

#define INFO_HAS_MEMORY  0x001u
#define INFO_HAS_COMMAND 0x004u
#define INFO_HAS_MODULES 0x008u
#define INFO_HAS_MAP     0x040u
#define INFO_HAS_LOADER  0x200u

static const char loader_name[] = "vmmu";

/* The header's offset, or false. */
static bool find_header(const struct guest_blob *image, uint64_t *offset)
{
    const uint64_t limit = image->size < SEARCH_BYTES ? image->size : SEARCH_BYTES;

    for (uint64_t i = 0; i + HEADER_BYTES <= limit; i += 4) {
        const uint8_t *at = image->bytes + i;

        if (get32(at) == HEADER_MAGIC && get32(at) + get32(at + 4) + get32(at + 8) == 0) {
            *offset = i;
            return true;
        }
    }
    return false;
}

bool multiboot_is_image(const struct guest_blob *kernel)
{
    uint64_t offset;

    return find_header(kernel, &offset);
}

/*
 * A flat image: the header says which bytes go where. Zero for the end of the data
 * means to the end of the file.
 */
static enum vmmu_status load_flat(const struct guest_blob *image, uint64_t header, struct pieces *pieces,
                                  struct elf_loaded *loaded, const char **error)
{
    const uint8_t *at = image->bytes + header;
    const uint64_t header_at = get32(at + 12);
    const uint64_t load = get32(at + 16);
    const uint64_t offset = header - (header_at - load);
    const uint64_t file_bytes = get32(at + 20) != 0 ? get32(at + 20) - load : image->size - offset;
    const uint64_t end = get32(at + 24) != 0 ? get32(at + 24) : load + file_bytes;
    uint8_t *memory;

    if (header_at < load || header_at - load > header || !vmmu_range_fits(offset, file_bytes, image->size)) {
        *error = "the multiboot header's load addresses do not fit the file";
        return VMMU_INVALID;
    }
    if (end < load + file_bytes) {
        *error = "the multiboot header ends the image's memory before its data";
        return VMMU_INVALID;
    }
    *loaded = (struct elf_loaded){ .low = load, .high = end, .entry = get32(at + 28) };
    if (loaded->entry < load || loaded->entry >= load + file_bytes) {
        *error = "the multiboot header's entry point is outside the image";
        return VMMU_INVALID;
    }
    memory = pieces_claim(pieces, load, end - load, error);
    if (memory == NULL) {
        return VMMU_INVALID;
    }
    __builtin_memcpy(memory, image->bytes + offset, file_bytes);
    __builtin_memset(memory + file_bytes, 0, end - load - file_bytes);
    return VMMU_OK;
}

static enum vmmu_status load_elf(const struct guest_blob *image, struct pieces *pieces,
                                 struct elf_loaded *loaded, const char **error)
{
    struct elf elf;
    enum vmmu_status status = elf_open(image, &elf, error);

    if (status == VMMU_OK && elf.machine != (elf.is64 ? ELF_MACHINE_X86_64 : ELF_MACHINE_386)) {
        *error = "the ELF file is not for x86 processors";
        status = VMMU_INVALID;
    }
    return status != VMMU_OK ? status : elf_load(&elf, pieces, loaded, error);
}

static enum vmmu_status load_image(const struct guest_blob *image, struct pieces *pieces,
                                   struct elf_loaded *loaded, const char **error)
{
    uint64_t header;
    uint32_t flags;
    enum vmmu_status status;

    if (!find_header(image, &header)) {
        *error = "the image has no multiboot 1 header in its first 8 KiB";
        return VMMU_INVALID;
    }
    flags = get32(image->bytes + header + 4);
    if ((flags & WANTS_MUST_KNOW & ~(WANTS_ALIGNED | WANTS_MEMORY)) != 0) {
        *error = "the multiboot header asks for a video mode or another thing that is not provided";
        return VMMU_INVALID;
    }
    if ((flags & HAS_ADDRESSES) == 0) {
        status = load_elf(image, pieces, loaded, error);
    } else if (header + HEADER_BYTES_FLAT > image->size) {
        *error = "the multiboot header's addresses lie beyond the file's end";
        return VMMU_INVALID;
    } else {
        status = load_flat(image, header, pieces, loaded, error);
    }
    if (status == VMMU_OK && loaded->high > BELOW_4G) {
        *error = "the image must be loaded below 4 GiB";
        return VMMU_INVALID;
    }
    return status;
}

/* The information area while it is filled: texts are appended. */
struct area {
    uint8_t *at;
    uint32_t text_next;
};

static bool append_text(struct area *area, const char *text, uint32_t *address)
{
    const uint64_t length = text_length(text);

    if (length >= AREA_BYTES - area->text_next) {
        return false;
    }
    if (length != 0) {
        __builtin_memcpy(area->at + area->text_next, text, length);
    }
    area->at[area->text_next + length] = 0;
    *address = PLACE_MULTIBOOT + area->text_next;
    area->text_next += (uint32_t)length + 1;
    return true;
}

/* Modules follow the image, each on pages of its own. */
static enum vmmu_status place_module(const struct guest_blob *module, struct pieces *pieces, uint64_t from,
                                     uint8_t *record, const char **error)
{
    const struct place place = { module->size, VMMU_PAGE_BYTES, from, BELOW_4G };
    uint64_t base = from;
    uint8_t *at;

    if (module->size != 0) {
        if (!pieces_lowest(pieces, &place, &base)) {
            *error = "the guest has too little memory for its modules";
            return VMMU_NO_MEMORY;
        }
        at = pieces_claim(pieces, base, module->size, error);
        if (at == NULL) {
            return VMMU_NO_MEMORY;
        }
        __builtin_memcpy(at, module->bytes, module->size);
    }
    put32(record, (uint32_t)base);
    put32(record + 4, (uint32_t)(base + module->size));
    return VMMU_OK;
}

static enum vmmu_status write_modules(const struct guest_boot *boot, struct pieces *pieces, uint64_t from,
                                      struct area *area, const char **error)
{
    if (boot->modules > GUEST_MODULES) {
        *error = "there are too many modules";
        return VMMU_INVALID;
    }
    for (unsigned i = 0; i < boot->modules; i++) {
        uint8_t *record = area->at + MODULES_OFFSET + (uint64_t)i * MODULE_BYTES;
        const enum vmmu_status status = place_module(&boot->module[i], pieces, from, record, error);
        uint32_t text;

        if (status != VMMU_OK) {
            return status;
        }
        if (!append_text(area, boot->module[i].command_line, &text)) {
            *error = "the command lines are too long";
            return VMMU_INVALID;
        }
        put32(record + 8, text);
    }
    put32(area->at + INFO_MODULES, boot->modules);
    put32(area->at + INFO_MODULES_AT, PLACE_MULTIBOOT + MODULES_OFFSET);
    return VMMU_OK;
}

static void write_memory_map(const struct guest_layout *layout, uint8_t *info)
{
    for (unsigned i = 0; i < layout->entries; i++) {
        uint8_t *at = info + MAP_OFFSET + (uint64_t)i * MAP_ENTRY_BYTES;

        put32(at, MAP_ENTRY_BYTES - 4);
        put64(at + 4, layout->e820[i].base);
        put64(at + 12, layout->e820[i].size);
        put32(at + 20, layout->e820[i].type);
        if (layout->e820[i].base == GUEST_EXTENDED) {
            put32(info + INFO_UPPER_KIB, (uint32_t)(layout->e820[i].size / 1024));
        }
    }
    put32(info + INFO_LOWER_KIB, GUEST_EBDA / 1024);
    put32(info + INFO_MAP_BYTES, layout->entries * MAP_ENTRY_BYTES);
    put32(info + INFO_MAP_AT, PLACE_MULTIBOOT + MAP_OFFSET);
}

static enum vmmu_status write_info(const struct guest_boot *boot, struct pieces *pieces, uint64_t image_end,
                                   const char **error)
{
    struct area area = { guest_memory_at(pieces->memory, (vmmu_gpa){ PLACE_MULTIBOOT }, AREA_BYTES),
                         TEXT_OFFSET };
    uint32_t command_line;
    uint32_t name;

    if (area.at == NULL) {
        *error = "the guest has no memory below 192 KiB";
        return VMMU_NO_MEMORY;
    }
    __builtin_memset(area.at, 0, TEXT_OFFSET);
    if (!append_text(&area, loader_name, &name) || !append_text(&area, boot->command_line, &command_line)) {
        *error = "the command line is too long";
        return VMMU_INVALID;
    }
    put32(area.at + INFO_LOADER_NAME, name);
    put32(area.at + INFO_COMMAND_LINE, command_line);
    write_memory_map(pieces->layout, area.at);
    put32(area.at + INFO_FLAGS,
          INFO_HAS_MEMORY | INFO_HAS_COMMAND | INFO_HAS_MODULES | INFO_HAS_MAP | INFO_HAS_LOADER);
    return write_modules(boot, pieces, image_end, &area, error);
}

enum vmmu_status guest_load_multiboot(const struct guest_memory *memory, const struct guest_layout *layout,
                                      const struct guest_boot *boot, struct guest_start *start,
                                      const char **error)
{
    struct elf_loaded loaded;
    struct pieces pieces;
    enum vmmu_status status;

    pieces_start(&pieces, memory, layout);
    status = load_image(&boot->kernel, &pieces, &loaded, error);
    status = status != VMMU_OK ? status : write_info(boot, &pieces, loaded.high, error);
    status = status != VMMU_OK ? status : guest_start_make(memory, start, GUEST_START_PROTECTED32, error);
    if (status == VMMU_OK) {
        start->rip = loaded.entry;
        start->rax = LOADER_MAGIC;
        start->rbx = PLACE_MULTIBOOT;
    }
    return status;
}
