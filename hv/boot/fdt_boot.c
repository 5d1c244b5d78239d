/*
 * One pass over the tree's structure. Which node it is in is a stack of places; nodes that nobody asks about, and all that is in
 * them, are places of no interest. Every read is checked against the block that it belongs to.
 */
#include "hv/boot/fdt_boot.h"
#include "hv/boot/collect.h"

#define TREE_MAGIC            0xd00dfeed
#define HEADER_BYTES          40
#define HEADER_TOTAL          4
#define HEADER_STRUCTURE      8
#define HEADER_STRINGS        12
#define HEADER_RESERVED       16
#define HEADER_COMPATIBLE     24
#define HEADER_STRINGS_SIZE   32
#define HEADER_STRUCTURE_SIZE 36
#define VERSION               17
#define RESERVED_BYTES        16 /* one entry: address and size */
#define CELL_BYTES            UINT64_C(4)
#define DEPTH_MAX             16

enum token {
    TOKEN_BEGIN = 1,
    TOKEN_END = 2,
    TOKEN_PROPERTY = 3,
    TOKEN_NOTHING = 4,
    TOKEN_LAST = 9,
};

enum place {
    PLACE_OUTSIDE,
    PLACE_ROOT,
    PLACE_MEMORY,
    PLACE_CHOSEN,
    PLACE_CPUS,
    PLACE_CPU,
    PLACE_DEVICES,
    PLACE_SERIAL,
    PLACE_OTHER,
};

/* Bytes of the tree. */
struct block {
    const uint8_t *bytes;
    uint64_t size_bytes;
};

struct property {
    const char *name;
    struct block value;
};

struct reader {
    struct block tree, structure, strings;
    uint64_t at; /* in the structure */
    struct boot_info *info;
    struct fdt_boot *out;
    uint32_t address_cells, size_cells; /* of the root */
    uint64_t bundle_end;
    bool has_bundle_start, has_bundle_end;
    enum place places[DEPTH_MAX];
    unsigned depth;
};

static const char malformed[] = "the device tree contradicts itself";
static const char too_much[] = "the device tree tells of more than the hypervisor has room for";

static bool block_of(const struct block *from, uint64_t offset, uint64_t size_bytes, struct block *out)
{
    if (offset > from->size_bytes || size_bytes > from->size_bytes - offset) {
        return false;
    }
    *out = (struct block){ from->bytes + offset, size_bytes };
    return true;
}

/* The big-endian number of @count bytes. */
static uint64_t number_at(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)number_at(bytes, CELL_BYTES);
}

/* The bytes of the string at @offset of @block, its NUL included; 0 if it does not end in it. */
static uint64_t string_bytes(const struct block *block, uint64_t offset)
{
    for (uint64_t end = offset; end < block->size_bytes; end++) {
        if (block->bytes[end] == '\0') {
            return end - offset + 1;
        }
    }
    return 0;
}

static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Whether a node is called @name, with or without an address behind it. */
static bool called(const char *node, const char *name)
{
    while (*name != '\0' && *node == *name) {
        node++;
        name++;
    }
    return *name == '\0' && (*node == '\0' || *node == '@');
}

static enum place place_of(enum place parent, const char *name)
{
    switch (parent) {
    case PLACE_OUTSIDE: return PLACE_ROOT;
    case PLACE_ROOT:
        return called(name, "memory")   ? PLACE_MEMORY
               : called(name, "chosen") ? PLACE_CHOSEN
               : called(name, "cpus")   ? PLACE_CPUS
               : called(name, "soc")    ? PLACE_DEVICES
                                        : PLACE_OTHER;
    case PLACE_CPUS: return PLACE_CPU;
    case PLACE_DEVICES: return called(name, "serial") ? PLACE_SERIAL : PLACE_OTHER;
    case PLACE_MEMORY:
    case PLACE_CHOSEN:
    case PLACE_CPU:
    case PLACE_SERIAL:
    case PLACE_OTHER: break;
    }
    return PLACE_OTHER;
}

/* --- properties --- */

/* A number of one cell or of two. */
static bool read_number(const struct property *property, uint64_t *out)
{
    const uint64_t size = property->value.size_bytes;
    if (size != CELL_BYTES && size != 2 * CELL_BYTES) {
        return false;
    }
    *out = number_at(property->value.bytes, (unsigned)size);
    return true;
}

static bool read_word(const struct property *property, uint32_t *out)
{
    uint64_t value;
    if (!read_number(property, &value) || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static const char *read_text(struct reader *reader, const struct property *property, const char **out)
{
    const char *const text = collect_text(reader->info, property->value.bytes, property->value.size_bytes);
    if (text == NULL) {
        return too_much;
    }
    *out = text;
    return NULL;
}

static const char *read_root(struct reader *reader, const struct property *property)
{
    if (same(property->name, "model")) {
        return read_text(reader, property, &reader->out->model);
    }
    uint32_t *const cells = same(property->name, "#address-cells") ? &reader->address_cells
                            : same(property->name, "#size-cells")  ? &reader->size_cells
                                                                   : NULL;
    if (cells == NULL) {
        return NULL;
    }
    return read_word(property, cells) && *cells >= 1 && *cells <= 2 ? NULL : malformed;
}

static const char *read_memory(struct reader *reader, const struct property *property)
{
    if (!same(property->name, "reg")) {
        return NULL;
    }
    const unsigned address_bytes = reader->address_cells * CELL_BYTES,
                   size_bytes = reader->size_cells * CELL_BYTES;
    const uint64_t step = address_bytes + size_bytes;
    const struct block *const value = &property->value;
    for (uint64_t done = 0; done < value->size_bytes; done += step) {
        if (value->size_bytes - done < step) {
            return malformed;
        }
        const uint64_t base = number_at(value->bytes + done, address_bytes);
        const uint64_t size = number_at(value->bytes + done + address_bytes, size_bytes);
        if (size > UINT64_MAX - base) {
            return malformed;
        }
        if (!collect_region(reader->info, base, size, BOOT_REGION_USABLE)) {
            return too_much;
        }
        if (size != 0 && base + size > reader->out->memory_bytes) {
            reader->out->memory_bytes = base + size;
        }
    }
    return NULL;
}

static const char *read_chosen(struct reader *reader, const struct property *property)
{
    if (same(property->name, "bootargs")) {
        return read_text(reader, property, &reader->info->command);
    }
    if (same(property->name, "linux,initrd-start")) {
        reader->has_bundle_start = true;
        return read_number(property, &reader->out->bundle_base) ? NULL : malformed;
    }
    if (same(property->name, "linux,initrd-end")) {
        reader->has_bundle_end = true;
        return read_number(property, &reader->bundle_end) ? NULL : malformed;
    }
    return NULL;
}

/* Of all processors, or of each: the first that says so. */
static const char *read_processor(struct reader *reader, const struct property *property)
{
    if (same(property->name, "timebase-frequency") && reader->out->timebase_hz == 0) {
        return read_word(property, &reader->out->timebase_hz) ? NULL : malformed;
    }
    return NULL;
}

static const char *read_serial(struct reader *reader, const struct property *property)
{
    if (same(property->name, "clock-frequency") && reader->out->serial_clock_hz == 0) {
        return read_word(property, &reader->out->serial_clock_hz) ? NULL : malformed;
    }
    return NULL;
}

static const char *read_property(struct reader *reader, const struct property *property)
{
    switch (reader->places[reader->depth]) {
    case PLACE_ROOT: return read_root(reader, property);
    case PLACE_MEMORY: return read_memory(reader, property);
    case PLACE_CHOSEN: return read_chosen(reader, property);
    case PLACE_CPUS:
    case PLACE_CPU: return read_processor(reader, property);
    case PLACE_SERIAL: return read_serial(reader, property);
    case PLACE_OUTSIDE: return malformed;
    case PLACE_DEVICES:
    case PLACE_OTHER: break;
    }
    return NULL;
}

/* --- the structure --- */

/* The next @size_bytes of the structure, and what pads them to a cell. */
static bool take(struct reader *reader, uint64_t size_bytes, struct block *out)
{
    if (!block_of(&reader->structure, reader->at, size_bytes, out)) {
        return false;
    }
    reader->at += (size_bytes + CELL_BYTES - 1) & ~(uint64_t)(CELL_BYTES - 1);
    return true;
}

static const char *take_begin(struct reader *reader)
{
    const uint64_t size_bytes = string_bytes(&reader->structure, reader->at);
    struct block name;
    if (size_bytes == 0 || !take(reader, size_bytes, &name) || reader->depth == DEPTH_MAX - 1) {
        return malformed;
    }
    const enum place parent = reader->places[reader->depth++];
    reader->places[reader->depth] = place_of(parent, (const char *)name.bytes);
    return NULL;
}

static const char *take_property(struct reader *reader)
{
    struct block head;
    struct property property;
    if (!take(reader, 2 * CELL_BYTES, &head) || !take(reader, word_at(head.bytes), &property.value)) {
        return malformed;
    }
    const uint32_t name = word_at(head.bytes + CELL_BYTES);
    if (string_bytes(&reader->strings, name) == 0) {
        return malformed;
    }
    property.name = (const char *)reader->strings.bytes + name;
    return read_property(reader, &property);
}

static const char *read_structure(struct reader *reader)
{
    const char *error = NULL;
    while (error == NULL) {
        struct block token;
        if (!take(reader, CELL_BYTES, &token)) {
            return malformed;
        }
        switch (word_at(token.bytes)) {
        case TOKEN_BEGIN: error = take_begin(reader); break;
        case TOKEN_END:
            error = reader->depth != 0 ? NULL : malformed;
            reader->depth -= reader->depth != 0;
            break;
        case TOKEN_PROPERTY: error = take_property(reader); break;
        case TOKEN_NOTHING: break;
        case TOKEN_LAST: return reader->depth == 0 ? NULL : malformed;
        default: return malformed;
        }
    }
    return error;
}

/* --- all of it --- */

static const char *open_tree(struct reader *reader, const void *tree, uint64_t size_bytes)
{
    reader->tree = (struct block){ tree, size_bytes };
    if (size_bytes < HEADER_BYTES || word_at(reader->tree.bytes) != TREE_MAGIC) {
        return "the loader gave no device tree";
    }
    const uint8_t *const header = reader->tree.bytes;
    const uint32_t total = word_at(header + HEADER_TOTAL);
    if (word_at(header + HEADER_COMPATIBLE) > VERSION) {
        return "the device tree is of a version that the hypervisor does not know";
    }
    if (total < HEADER_BYTES || !block_of(&reader->tree, 0, total, &reader->tree) ||
        !block_of(&reader->tree, word_at(header + HEADER_STRUCTURE), word_at(header + HEADER_STRUCTURE_SIZE),
                  &reader->structure) ||
        !block_of(&reader->tree, word_at(header + HEADER_STRINGS), word_at(header + HEADER_STRINGS_SIZE),
                  &reader->strings)) {
        return malformed;
    }
    return NULL;
}

static const char *reserve(struct reader *reader, uint64_t base, uint64_t size_bytes)
{
    return collect_region(reader->info, base, size_bytes, BOOT_REGION_RESERVED) ? NULL : too_much;
}

/* The list of reserved memory ends with an entry of zeros. */
static const char *read_reserved(struct reader *reader)
{
    struct block entry;
    uint64_t at = word_at(reader->tree.bytes + HEADER_RESERVED);
    for (;; at += RESERVED_BYTES) {
        if (!block_of(&reader->tree, at, RESERVED_BYTES, &entry)) {
            return malformed;
        }
        const uint64_t base = number_at(entry.bytes, 8), size = number_at(entry.bytes + 8, 8);
        if (base == 0 && size == 0) {
            return NULL;
        }
        const char *const error = size <= UINT64_MAX - base ? reserve(reader, base, size) : malformed;
        if (error != NULL) {
            return error;
        }
    }
}

/* What must be there is, and what belongs together fits together. */
static const char *conclude(struct reader *reader)
{
    struct fdt_boot *const out = reader->out;
    if (reader->has_bundle_start != reader->has_bundle_end || reader->bundle_end < out->bundle_base) {
        return malformed;
    }
    out->bundle_bytes = reader->bundle_end - out->bundle_base;
    if (out->memory_bytes == 0) {
        return "the device tree does not say what memory there is";
    }
    if (out->timebase_hz == 0) {
        return "the device tree does not say how fast the time base counts";
    }
    return reserve(reader, out->bundle_base, out->bundle_bytes);
}

const char *fdt_boot_read(const void *tree, uint64_t size_bytes, struct boot_info *info, struct fdt_boot *out)
{
    struct reader reader = { .info = info, .out = out, .address_cells = 2, .size_cells = 1 };
    __builtin_memset(info, 0, sizeof(*info));
    info->loader = "";
    info->command = "";
    *out = (struct fdt_boot){ .model = "" };

    const char *error = open_tree(&reader, tree, size_bytes);
    if (error == NULL) {
        error = read_structure(&reader);
    }
    if (error == NULL) {
        error = read_reserved(&reader);
    }
    return error != NULL ? error : conclude(&reader);
}
