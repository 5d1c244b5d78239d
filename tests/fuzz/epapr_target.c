/*
 * What a Book-E loader hands over: a device tree and a bundle of modules.
 *
 * Input: a byte that says which. A tree (0) is laid out right from what follows, a bundle (1) too; then bytes of it are changed
 * and its end is cut off, if the input says so, and it is read. What is read from one that was left as it was is known.
 */
#include "hv/boot/bundle.h"
#include "hv/boot/fdt_boot.h"

#include "tests/fuzz/input.h"

#define TREE_BYTES    8192UL
#define HEADER_BYTES  40
#define RESERVED_MAX  4
#define NODES_MAX     24
#define BASE          UINT64_C(0x2300000)
#define MEMBERS_MAX   40
#define ARCHIVE_BYTES 40960

/* Bytes that are being laid out. */
struct pen {
    uint8_t *bytes;
    size_t used, room;
};

static void put(struct pen *pen, const void *bytes, size_t count)
{
    if (count <= pen->room - pen->used) {
        memcpy(pen->bytes + pen->used, bytes, count);
        pen->used += count;
    }
}

static void put_word(struct pen *pen, uint32_t value)
{
    const uint8_t bytes[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value };
    put(pen, bytes, sizeof(bytes));
}

static void pad(struct pen *pen)
{
    static const uint8_t zeros[4];
    put(pen, zeros, -pen->used & 3);
}

/* Change bytes, and say whether there was any change. */
static bool spoil(struct pen *pen, struct input *input)
{
    const unsigned changes = input_below(input, 8);
    bool changed = false;
    for (unsigned i = 0; i < changes && pen->used != 0; i++) {
        const size_t at = input_u16(input) % pen->used;
        const uint8_t by = input_u8(input);
        pen->bytes[at] ^= by;
        changed |= by != 0;
    }
    const uint8_t cut = input_u8(input);
    if (cut != 0 && pen->used > cut) {
        pen->used -= cut;
        return true;
    }
    return changed;
}

/* Holds whatever was read. */
static void check_information(const struct boot_info *info)
{
    FUZZ_CHECK(info->region_count <= BOOT_REGIONS_MAX && info->module_count <= BOOT_MODULES_MAX);
    FUZZ_CHECK(info->text_used_bytes <= BOOT_TEXT_BYTES);
    FUZZ_CHECK(info->text_used_bytes == 0 || info->text[info->text_used_bytes - 1] == '\0');
    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *const region = &info->regions[i];
        FUZZ_CHECK(region->size_bytes != 0 && region->base.v + region->size_bytes > region->base.v);
    }
    for (unsigned i = 0; i < info->module_count; i++) {
        const char *const words = info->modules[i].words;
        FUZZ_CHECK(words >= info->text && words < info->text + info->text_used_bytes);
    }
}

/* --- trees --- */

static const char strings[] =
    "#address-cells\0#size-cells\0model\0reg\0bootargs\0linux,initrd-start\0linux,initrd-end\0"
    "timebase-frequency\0clock-frequency\0other";

static uint32_t string(const char *name)
{
    for (uint32_t at = 0; at < sizeof(strings); at += (uint32_t)strlen(strings + at) + 1) {
        if (strcmp(strings + at, name) == 0) {
            return at;
        }
    }
    abort();
}

static void put_property(struct pen *pen, const char *name, const void *value, uint32_t size_bytes)
{
    put_word(pen, 3);
    put_word(pen, size_bytes);
    put_word(pen, string(name));
    put(pen, value, size_bytes);
    pad(pen);
}

static void put_word_property(struct pen *pen, const char *name, uint32_t value)
{
    put_word(pen, 3);
    put_word(pen, 4);
    put_word(pen, string(name));
    put_word(pen, value);
}

static void put_begin(struct pen *pen, const char *name)
{
    put_word(pen, 1);
    put(pen, name, strlen(name) + 1);
    pad(pen);
}

/* What a sound tree says. */
struct said {
    char command[256];
    uint32_t memory_bytes, timebase_hz;
    uint32_t bundle_start, bundle_bytes;
};

static void put_nodes(struct pen *pen, struct input *input, const struct said *said)
{
    put_begin(pen, "memory@0");
    put_word(pen, 3);
    put_word(pen, 8);
    put_word(pen, string("reg"));
    put_word(pen, 0);
    put_word(pen, said->memory_bytes);
    put_word(pen, 2);
    put_begin(pen, "chosen");
    put_property(pen, "bootargs", said->command, (uint32_t)strlen(said->command) + 1);
    put_word_property(pen, "linux,initrd-start", said->bundle_start);
    put_word_property(pen, "linux,initrd-end", said->bundle_start + said->bundle_bytes);
    put_word(pen, 2);
    put_begin(pen, "cpus");
    put_begin(pen, "PowerPC,8544@0");
    put_word_property(pen, "timebase-frequency", said->timebase_hz);
    put_word(pen, 2);
    put_word(pen, 2);
    put_begin(pen, "soc@fe0000000");
    const unsigned nodes = input_below(input, NODES_MAX);
    for (unsigned i = 0; i < nodes; i++) {
        put_begin(pen, input_flag(input) ? "serial@4500" : "other");
        put_word_property(pen, input_flag(input) ? "clock-frequency" : "other", input_u32(input));
        put_word(pen, 2);
    }
    put_word(pen, 2);
}

static struct said lay_out_tree(struct pen *pen, struct input *input)
{
    struct said said = { .memory_bytes = 0x100000, .timebase_hz = 1000000 };
    const unsigned length = input_u8(input);
    for (unsigned i = 0; i < length; i++) {
        said.command[i] = (char)(input_u8(input) | 0x20);
    }
    said.memory_bytes += input_u16(input);
    said.timebase_hz += input_u16(input);
    said.bundle_start = input_u32(input) >> 1;
    said.bundle_bytes = input_u16(input);
    const unsigned reserved = input_below(input, RESERVED_MAX);
    struct pen structure = { calloc(1, TREE_BYTES), 0, TREE_BYTES };
    FUZZ_CHECK(structure.bytes != NULL);
    put_begin(&structure, "");
    put_word_property(&structure, "#address-cells", 1);
    put_word_property(&structure, "#size-cells", 1);
    put_nodes(&structure, input, &said);
    put_word(&structure, 2);
    put_word(&structure, 9);

    const uint32_t reserved_bytes = (reserved + 1) * 16;
    const uint32_t structure_at = HEADER_BYTES + reserved_bytes,
                   strings_at = structure_at + (uint32_t)structure.used;
    const uint32_t header[] = {
        0xd00dfeed,      strings_at + sizeof(strings), structure_at, strings_at, HEADER_BYTES, 17, 16, 0,
        sizeof(strings), (uint32_t)structure.used
    };
    for (unsigned i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        put_word(pen, header[i]);
    }
    for (unsigned i = 0; i < reserved * 4; i++) {
        put_word(pen, i % 2 != 0 ? 0x1000 + input_u8(input) : 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        put_word(pen, 0);
    }
    put(pen, structure.bytes, structure.used);
    put(pen, strings, sizeof(strings));
    free(structure.bytes);
    return said;
}

static void try_tree(struct input *input)
{
    static struct boot_info info;
    struct pen pen = { calloc(1, 2 * TREE_BYTES), 0, 2 * TREE_BYTES };
    FUZZ_CHECK(pen.bytes != NULL);
    const struct said said = lay_out_tree(&pen, input);
    const bool changed = spoil(&pen, input);
    uint8_t *const exact = malloc(pen.used);
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, pen.bytes, pen.used);

    struct fdt_boot boot;
    const char *const error = fdt_boot_read(exact, pen.used, &info, &boot);
    free(exact);
    free(pen.bytes);
    check_information(&info);
    FUZZ_CHECK(error != NULL || (boot.memory_bytes != 0 && boot.timebase_hz != 0 && info.region_count != 0));
    if (!changed) {
        FUZZ_CHECK(error == NULL && strcmp(info.command, said.command) == 0);
        FUZZ_CHECK(boot.memory_bytes == said.memory_bytes && boot.timebase_hz == said.timebase_hz);
        FUZZ_CHECK(boot.bundle_base == said.bundle_start && boot.bundle_bytes == said.bundle_bytes);
    }
}

/* --- bundles --- */

static void put_member(struct pen *pen, const char *name, unsigned mode, size_t size_bytes)
{
    char header[111];
    (void)snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1,
                   mode, 0, 0, 1, 0, (unsigned)size_bytes, 8, 1, 0, 0, (unsigned)strlen(name) + 1, 0);
    put(pen, header, 110);
    put(pen, name, strlen(name) + 1);
    pad(pen);
    for (size_t i = 0; i < size_bytes; i++) {
        put(pen, "x", 1);
    }
    pad(pen);
}

static void try_bundle(struct input *input)
{
    static struct boot_info info;
    const unsigned members = input_below(input, MEMBERS_MAX);
    struct pen pen = { calloc(1, ARCHIVE_BYTES), 0, ARCHIVE_BYTES };
    unsigned files = 0;
    FUZZ_CHECK(pen.bytes != NULL);
    for (unsigned i = 0; i < members; i++) {
        const bool folder = input_below(input, 8) == 7;
        char name[256] = "";
        memset(name, 'a' + (int)(i % 26), input_u8(input));
        put_member(&pen, name, folder ? 0040755 : 0100644, folder ? 0 : input_u8(input));
        files += !folder;
    }
    put_member(&pen, "TRAILER!!!", 0, 0);
    const bool changed = spoil(&pen, input);
    uint8_t *const exact = malloc(pen.used);
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, pen.bytes, pen.used);

    memset(&info, 0, sizeof(info));
    const char *const error = bundle_read(exact, pen.used, (vmmu_hpa){ BASE }, &info);
    check_information(&info);
    for (unsigned i = 0; i < info.module_count; i++) {
        const struct boot_module *const module = &info.modules[i];
        FUZZ_CHECK(module->base.v >= BASE && module->size_bytes <= pen.used &&
                   (module->size_bytes == 0 || module->base.v - BASE <= pen.used - module->size_bytes));
    }
    if (!changed) {
        FUZZ_CHECK((error == NULL) == (files <= BOOT_MODULES_MAX));
        FUZZ_CHECK(info.module_count == (files < BOOT_MODULES_MAX ? files : BOOT_MODULES_MAX));
    }
    free(exact);
    free(pen.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    if (input_flag(&input)) {
        try_bundle(&input);
    } else {
        try_tree(&input);
    }
    return 0;
}
