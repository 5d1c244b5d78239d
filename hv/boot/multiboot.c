/*
 * Multiboot boot information. Every read goes through `copy`, which asks the window for exactly the bytes it
 * needs; the layouts are therefore lists of offsets and not structures laid over the loader's memory.
 */
#include "hv/boot/multiboot.h"
#include "hv/boot/collect.h"
#include "hv/boot/rsdp.h"

#define KIB                UINT64_C(1024)
#define MIB                UINT64_C(0x100000)

/* Version 1: offsets in the information structure, and the flags that say which are valid. */
#define INFO1_BYTES        116
#define INFO1_FLAGS        0
#define INFO1_MEMORY_LOWER 4
#define INFO1_MEMORY_UPPER 8
#define INFO1_COMMAND      16
#define INFO1_MODULE_COUNT 20
#define INFO1_MODULES      24
#define INFO1_MAP_BYTES    44
#define INFO1_MAP          48
#define INFO1_LOADER       64
#define FLAG1_MEMORY       BIT64(0)
#define FLAG1_COMMAND      BIT64(2)
#define FLAG1_MODULES      BIT64(3)
#define FLAG1_MAP          BIT64(6)
#define FLAG1_LOADER       BIT64(9)
#define MODULE1_BYTES      16
#define MAP1_ENTRY_BYTES   24 /* with its size, which does not count itself */
#define MAP1_SIZE_BYTES    4

/* Version 2: a header of 8 bytes, then tags of type, size and content, each on 8 bytes. */
#define INFO2_HEADER_BYTES 8
#define TAG_BYTES          8
#define TAG_ALIGNMENT      8
#define MAP2_HEADER_BYTES  8
#define MAP2_ENTRY_BYTES   20

enum tag_kind {
    TAG_END = 0,
    TAG_COMMAND = 1,
    TAG_LOADER = 2,
    TAG_MODULE = 3,
    TAG_MEMORY_SIZES = 4,
    TAG_MEMORY_MAP = 6,
    TAG_RSDP_1 = 14,
    TAG_RSDP_2 = 15,
};

/* What is being read, and where it goes. */
struct reader {
    const struct boot_window *window;
    struct boot_info *info;
    uint64_t lower_kib, upper_kib; /* the sizes of memory, for want of a map */
    bool has_sizes;
};

/* One tag's content. */
struct tag {
    uint32_t kind;
    uint64_t address;
    uint64_t size_bytes;
};

const char *boot_outcome_sentence(enum boot_outcome outcome)
{
    switch (outcome) {
    case BOOT_FOUND: return "the boot loader's information was read";
    case BOOT_UNKNOWN_LOADER: return "the boot loader speaks neither multiboot 1 nor multiboot 2";
    case BOOT_UNREADABLE: return "the boot loader's information points to where there is no memory";
    case BOOT_MALFORMED: return "the boot loader's information contradicts itself";
    case BOOT_NO_MEMORY_MAP: return "the boot loader does not say what memory there is";
    case BOOT_TOO_MUCH: return "the boot loader's information is larger than the hypervisor has room for";
    }
    return "";
}

static bool copy(const struct reader *reader, uint64_t address, void *out, uint64_t size_bytes)
{
    const void *bytes = reader->window->reach(reader->window->context, address, size_bytes);
    if (bytes == NULL) {
        return false;
    }
    __builtin_memcpy(out, bytes, size_bytes);
    return true;
}

static uint32_t word_at(const uint8_t *bytes, unsigned offset)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes + offset, sizeof(word));
    return word;
}

static uint64_t quad_at(const uint8_t *bytes, unsigned offset)
{
    uint64_t quad;
    __builtin_memcpy(&quad, bytes + offset, sizeof(quad));
    return quad;
}

/* Copy the string at @address, which ends at its NUL or after @limit_bytes, into the information's text. */
static enum boot_outcome copy_text(struct reader *reader, uint64_t address, uint64_t limit_bytes,
                                   const char **out)
{
    struct boot_info *info = reader->info;
    char *text = info->text + info->text_used_bytes;
    const uint64_t room = sizeof(info->text) - info->text_used_bytes;
    for (uint64_t i = 0; i < room; i++) {
        char character = '\0';
        if (i < limit_bytes && !copy(reader, address + i, &character, 1)) {
            return BOOT_UNREADABLE;
        }
        text[i] = character;
        if (character == '\0') {
            info->text_used_bytes += (unsigned)i + 1;
            *out = text;
            return BOOT_FOUND;
        }
    }
    return BOOT_TOO_MUCH;
}

static enum boot_region_kind kind_of(uint32_t type)
{
    static const enum boot_region_kind kinds[] = {
        [0] = BOOT_REGION_RESERVED,    [1] = BOOT_REGION_USABLE,   [2] = BOOT_REGION_RESERVED,
        [3] = BOOT_REGION_ACPI_TABLES, [4] = BOOT_REGION_ACPI_NVS, [5] = BOOT_REGION_BAD,
    };
    return type < sizeof(kinds) / sizeof(kinds[0]) ? kinds[type] : BOOT_REGION_RESERVED;
}

static enum boot_outcome add_region(struct boot_info *info, uint64_t base, uint64_t size_bytes, uint32_t type)
{
    return collect_region(info, base, size_bytes, kind_of(type)) ? BOOT_FOUND : BOOT_TOO_MUCH;
}

/* @words has room for the string at @text, which ends after @limit_bytes at the latest. */
static enum boot_outcome add_module(struct reader *reader, const uint32_t bounds[2], uint64_t text,
                                    uint64_t limit_bytes)
{
    struct boot_info *info = reader->info;
    if (bounds[1] < bounds[0] || !vmmu_is_aligned(bounds[0], VMMU_PAGE_BYTES)) {
        return BOOT_MALFORMED;
    }
    if (info->module_count == BOOT_MODULES_MAX) {
        return BOOT_TOO_MUCH;
    }
    struct boot_module *module = &info->modules[info->module_count];
    *module = (struct boot_module){ { bounds[0] }, bounds[1] - bounds[0], "" };
    const enum boot_outcome outcome = copy_text(reader, text, limit_bytes, &module->words);
    info->module_count += outcome == BOOT_FOUND;
    return outcome;
}

/* --- version 1 --- */

static enum boot_outcome read_map1(struct reader *reader, uint64_t address, uint64_t size_bytes)
{
    uint64_t done = 0;
    while (done < size_bytes) {
        uint8_t entry[MAP1_ENTRY_BYTES];
        if (size_bytes - done < sizeof(entry)) {
            return BOOT_MALFORMED;
        }
        if (!copy(reader, address + done, entry, sizeof(entry))) {
            return BOOT_UNREADABLE;
        }
        const uint64_t step = (uint64_t)word_at(entry, 0) + MAP1_SIZE_BYTES;
        if (step < sizeof(entry) || step > size_bytes - done) {
            return BOOT_MALFORMED;
        }
        const enum boot_outcome outcome =
            add_region(reader->info, quad_at(entry, 4), quad_at(entry, 12), word_at(entry, 20));
        if (outcome != BOOT_FOUND) {
            return outcome;
        }
        done += step;
    }
    return BOOT_FOUND;
}

static enum boot_outcome read_modules1(struct reader *reader, uint64_t address, uint32_t count)
{
    if (count > BOOT_MODULES_MAX) {
        return BOOT_TOO_MUCH;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t module[MODULE1_BYTES];
        if (!copy(reader, address + (uint64_t)i * MODULE1_BYTES, module, sizeof(module))) {
            return BOOT_UNREADABLE;
        }
        const uint32_t bounds[2] = { word_at(module, 0), word_at(module, 4) };
        const uint32_t text = word_at(module, 8);
        const enum boot_outcome outcome = add_module(reader, bounds, text, text != 0 ? UINT64_MAX : 0);
        if (outcome != BOOT_FOUND) {
            return outcome;
        }
    }
    return BOOT_FOUND;
}

/* The text without its first word, which is a file's name. */
static const char *after_first_word(const char *text)
{
    while (*text != '\0' && *text != ' ') {
        text++;
    }
    while (*text == ' ') {
        text++;
    }
    return text;
}

static void drop_file_names(struct boot_info *info)
{
    static const char qemu[] = "qemu";
    for (unsigned i = 0; i < sizeof(qemu); i++) {
        if (info->loader[i] != qemu[i]) {
            return;
        }
    }
    info->command = after_first_word(info->command);
    for (unsigned i = 0; i < info->module_count; i++) {
        info->modules[i].words = after_first_word(info->modules[i].words);
    }
}

static enum boot_outcome read_version1(struct reader *reader, uint64_t address)
{
    uint8_t info[INFO1_BYTES];
    if (!copy(reader, address, info, sizeof(info))) {
        return BOOT_UNREADABLE;
    }
    const uint32_t flags = word_at(info, INFO1_FLAGS);
    enum boot_outcome outcome = BOOT_FOUND;
    if (flags & FLAG1_LOADER) {
        outcome = copy_text(reader, word_at(info, INFO1_LOADER), UINT64_MAX, &reader->info->loader);
    }
    if (outcome == BOOT_FOUND && (flags & FLAG1_COMMAND)) {
        outcome = copy_text(reader, word_at(info, INFO1_COMMAND), UINT64_MAX, &reader->info->command);
    }
    if (outcome == BOOT_FOUND && (flags & FLAG1_MODULES)) {
        outcome = read_modules1(reader, word_at(info, INFO1_MODULES), word_at(info, INFO1_MODULE_COUNT));
    }
    if (outcome == BOOT_FOUND && (flags & FLAG1_MAP)) {
        outcome = read_map1(reader, word_at(info, INFO1_MAP), word_at(info, INFO1_MAP_BYTES));
    }
    if (outcome != BOOT_FOUND) {
        return outcome;
    }
    reader->has_sizes = flags & FLAG1_MEMORY;
    reader->lower_kib = word_at(info, INFO1_MEMORY_LOWER);
    reader->upper_kib = word_at(info, INFO1_MEMORY_UPPER);
    drop_file_names(reader->info);
    rsdp_search(reader->window, reader->info);
    return BOOT_FOUND;
}

/* --- version 2 --- */

static enum boot_outcome read_module2(struct reader *reader, const struct tag *tag)
{
    uint32_t bounds[2];
    if (tag->size_bytes < sizeof(bounds)) {
        return BOOT_MALFORMED;
    }
    if (!copy(reader, tag->address, bounds, sizeof(bounds))) {
        return BOOT_UNREADABLE;
    }
    return add_module(reader, bounds, tag->address + sizeof(bounds), tag->size_bytes - sizeof(bounds));
}

static enum boot_outcome read_map2(struct reader *reader, const struct tag *tag)
{
    uint8_t header[MAP2_HEADER_BYTES];
    if (tag->size_bytes < sizeof(header)) {
        return BOOT_MALFORMED;
    }
    if (!copy(reader, tag->address, header, sizeof(header))) {
        return BOOT_UNREADABLE;
    }
    const uint64_t step = word_at(header, 0);
    if (step < MAP2_ENTRY_BYTES) {
        return BOOT_MALFORMED;
    }
    for (uint64_t done = sizeof(header); tag->size_bytes - done >= step; done += step) {
        uint8_t entry[MAP2_ENTRY_BYTES];
        if (!copy(reader, tag->address + done, entry, sizeof(entry))) {
            return BOOT_UNREADABLE;
        }
        const enum boot_outcome outcome =
            add_region(reader->info, quad_at(entry, 0), quad_at(entry, 8), word_at(entry, 16));
        if (outcome != BOOT_FOUND) {
            return outcome;
        }
    }
    return BOOT_FOUND;
}

static enum boot_outcome read_sizes2(struct reader *reader, const struct tag *tag)
{
    uint32_t sizes[2];
    if (tag->size_bytes < sizeof(sizes)) {
        return BOOT_MALFORMED;
    }
    if (!copy(reader, tag->address, sizes, sizeof(sizes))) {
        return BOOT_UNREADABLE;
    }
    reader->has_sizes = true;
    reader->lower_kib = sizes[0];
    reader->upper_kib = sizes[1];
    return BOOT_FOUND;
}

/*
 * A damaged pointer is as good as none: the hypervisor can do without. The later version
 * wins whichever comes first.
 */
static enum boot_outcome read_rsdp2(struct reader *reader, const struct tag *tag)
{
    uint8_t bytes[BOOT_RSDP_BYTES_MAX];
    const uint64_t size = tag->size_bytes < sizeof(bytes) ? tag->size_bytes : sizeof(bytes);
    if (!copy(reader, tag->address, bytes, size)) {
        return BOOT_UNREADABLE;
    }
    const unsigned length = rsdp_check(bytes, size);
    if (length > reader->info->rsdp_bytes) {
        __builtin_memcpy(reader->info->rsdp, bytes, length);
        reader->info->rsdp_bytes = length;
    }
    return BOOT_FOUND;
}

static enum boot_outcome read_tag(struct reader *reader, const struct tag *tag)
{
    switch ((enum tag_kind)tag->kind) {
    case TAG_COMMAND: return copy_text(reader, tag->address, tag->size_bytes, &reader->info->command);
    case TAG_LOADER: return copy_text(reader, tag->address, tag->size_bytes, &reader->info->loader);
    case TAG_MODULE: return read_module2(reader, tag);
    case TAG_MEMORY_SIZES: return read_sizes2(reader, tag);
    case TAG_MEMORY_MAP: return read_map2(reader, tag);
    case TAG_RSDP_1:
    case TAG_RSDP_2: return read_rsdp2(reader, tag);
    case TAG_END: break;
    }
    return BOOT_FOUND;
}

static enum boot_outcome read_version2(struct reader *reader, uint64_t address)
{
    uint32_t total;
    if (!copy(reader, address, &total, sizeof(total))) {
        return BOOT_UNREADABLE;
    }
    uint64_t done = INFO2_HEADER_BYTES;
    while (done < total && total - done >= TAG_BYTES) {
        uint32_t head[2];
        if (!copy(reader, address + done, head, sizeof(head))) {
            return BOOT_UNREADABLE;
        }
        if (head[0] == TAG_END) {
            return BOOT_FOUND;
        }
        if (head[1] < TAG_BYTES || head[1] > total - done) {
            return BOOT_MALFORMED;
        }
        const struct tag tag = { head[0], address + done + TAG_BYTES, head[1] - TAG_BYTES };
        const enum boot_outcome outcome = read_tag(reader, &tag);
        if (outcome != BOOT_FOUND) {
            return outcome;
        }
        done += ((uint64_t)head[1] + TAG_ALIGNMENT - 1) & ~(uint64_t)(TAG_ALIGNMENT - 1);
    }
    return BOOT_MALFORMED;
}

/* --- either --- */

/* A loader without a memory map says how much there is below 640 KiB and from 1 MiB on. */
static enum boot_outcome add_sizes(struct reader *reader)
{
    if (!reader->has_sizes) {
        return BOOT_NO_MEMORY_MAP;
    }
    const enum boot_outcome outcome = add_region(reader->info, 0, reader->lower_kib * KIB, 1);
    return outcome == BOOT_FOUND ? add_region(reader->info, MIB, reader->upper_kib * KIB, 1) : outcome;
}

enum boot_outcome boot_read(uint32_t magic, uint32_t address, const struct boot_window *window,
                            struct boot_info *info)
{
    struct reader reader = { .window = window, .info = info };
    __builtin_memset(info, 0, sizeof(*info));
    info->loader = "";
    info->command = "";

    enum boot_outcome outcome = BOOT_UNKNOWN_LOADER;
    if (magic == MULTIBOOT1_BOOTED) {
        outcome = read_version1(&reader, address);
    } else if (magic == MULTIBOOT2_BOOTED) {
        outcome = read_version2(&reader, address);
    }
    if (outcome == BOOT_FOUND && info->region_count == 0) {
        outcome = add_sizes(&reader);
    }
    return outcome;
}
