/*
 * The loaders of guests and their images: bzImage, ELF, Multiboot, flat and plain bytes.
 *
 * Input: a byte that says which image, a byte of options, what the image is made of, then changes of its fields
 * (offset, width, value) until the count is reached, then command line and modules. The image is right but for
 * the changes; what is left of the input follows its last byte.
 *
 * A loader fails with a sentence, or leaves what its protocol promises: everything inside memory that the map
 * calls RAM, nothing over another thing, nothing written where the firmware's tables are.
 */
#include "hv/guest/linux.h"
#include "hv/guest/pieces.h"

#include "tests/fuzz/input.h"
#include "tests/unit/guest/room.h"

#define MEMORY_BYTES  (16 * MIB)
#define LOW_BYTES     UINT64_C(0x1000)
#define TEXT_LONGEST  70000u
#define MODULE_BYTES  0x10000u
#define MODULE_HUGE   UINT64_C(0x1000000)
#define SEGMENTS_MOST 70u
#define UNTOUCHED     0xA5

enum image_kind {
    IMAGE_BZIMAGE,
    IMAGE_VMLINUX,
    IMAGE_MULTIBOOT_ELF32,
    IMAGE_MULTIBOOT_ELF64,
    IMAGE_FLAT,
    IMAGE_PLAIN,
    IMAGE_KINDS,
};

struct scene {
    struct room room;
    struct image image;
    struct guest_boot boot;
    struct guest_start start;
    unsigned options;
};

static char text[TEXT_LONGEST + 1];
static uint8_t module_bytes[MODULE_BYTES];
static struct room kept_room;

/* --- making the image --- */

static struct image make_elf(struct input *input, bool is64)
{
    struct segment_spec segments[SEGMENTS_MOST];
    const unsigned count = 1 + input_below(input, SEGMENTS_MOST);
    const uint32_t entry = input_u32(input);

    for (unsigned i = 0; i < count; i++) {
        const uint32_t at = input_u32(input);

        segments[i] = (struct segment_spec){ .vaddr = at + (uint64_t)input_u8(input) * MIB,
                                             .paddr = at,
                                             .file_bytes = input_u16(input) & 0x7FF,
                                             .memory_bytes = input_u32(input) & 0xFFFFFF };
    }
    return elf_image(is64, entry, segments, count);
}

static struct image make_multiboot_elf(struct input *input, bool is64)
{
    const uint32_t flags = input_u32(input);
    struct image elf = make_elf(input, is64);
    struct image image = { .bytes = calloc(1, elf.size + 36), .size = elf.size + 36 };

    FUZZ_CHECK(image.bytes != NULL);
    memcpy(image.bytes, elf.bytes, elf.size);
    set_multiboot(&image, elf.size & ~UINT64_C(3), flags, NULL);
    image_free(&elf);
    return image;
}

static struct image make_flat(struct input *input)
{
    struct image image = { .bytes = calloc(1, 0x600), .size = 0x600 };
    uint32_t addresses[5];
    const uint32_t flags = input_u32(input) ^ 0x10000;
    const uint64_t at = input_u16(input) % 0x5E0 & ~3u;

    FUZZ_CHECK(image.bytes != NULL);
    for (unsigned i = 0; i < 5; i++)
        addresses[i] = input_u32(input);
    set_multiboot(&image, at, flags, addresses);
    return image;
}

static struct image make_image(struct input *input, enum image_kind kind)
{
    switch (kind) {
    case IMAGE_BZIMAGE: return bzimage();
    case IMAGE_VMLINUX: return make_elf(input, true);
    case IMAGE_MULTIBOOT_ELF32: return make_multiboot_elf(input, false);
    case IMAGE_MULTIBOOT_ELF64: return make_multiboot_elf(input, true);
    case IMAGE_FLAT: return make_flat(input);
    case IMAGE_PLAIN:
    case IMAGE_KINDS: break;
    }
    return (struct image){ .bytes = calloc(1, 1), .size = 0 };
}

/* An offset of an image counts from its start; for a bzImage most fall into the setup header. */
static void change_fields(struct input *input, struct image *image, enum image_kind kind)
{
    const unsigned count = input_below(input, 32);

    for (unsigned i = 0; i < count; i++) {
        const uint16_t offset = input_u16(input);
        const unsigned bytes = 1U << (offset >> 14);
        uint64_t at = offset & 0x3FFF;
        const uint64_t value = input_number(input, bytes);

        if (kind == IMAGE_BZIMAGE && at >= 0x1000)
            at = HEADER_START + at % (HEADER_END - HEADER_START);
        if (at < image->size && bytes <= image->size - at)
            set_bytes(image, at, value, bytes);
    }
}

/* Cut the image, or let what is left of the input follow it. */
static struct image resized(struct input *input, struct image *image)
{
    const uint64_t cut = input_u16(input);
    const uint64_t kept = cut < image->size ? image->size - cut : 0;
    const uint64_t size = kept + input->left;
    struct image out = { .bytes = malloc(size + (size == 0)), .size = size };

    FUZZ_CHECK(out.bytes != NULL);
    memcpy(out.bytes, image->bytes, kept);
    input_copy(input, out.bytes + kept, input->left);
    image_free(image);
    return out;
}

/* --- making the rest --- */

static void add_words(struct input *input, struct guest_boot *boot)
{
    const uint32_t code = input_u16(input);
    const uint32_t length = (code & 0x8000) != 0 ? TEXT_LONGEST - (code & 0x7FFF) : code & 0xFFF;

    boot->command_line = code == 0 ? NULL : text + (TEXT_LONGEST - length);
    boot->modules = input_below(input, GUEST_MODULES + 2);
    for (unsigned i = 0; i < boot->modules && i < GUEST_MODULES; i++) {
        const uint16_t size = input_u16(input);

        boot->module[i] = (struct guest_blob){
            .bytes = module_bytes + (MODULE_BYTES - size),
            .size = size == 0xFFFF ? MODULE_HUGE + ((uint64_t)input_u32(input) << 8) : size,
            .command_line = (size & 3) == 3 ? text + (TEXT_LONGEST - (size & 0xFF)) : NULL,
        };
    }
}

static void make_room_once(void)
{
    if (kept_room.bytes != NULL)
        return;
    memset(text, 'x', TEXT_LONGEST);
    for (unsigned i = 0; i < MODULE_BYTES; i++)
        module_bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    kept_room = room_open(MEMORY_BYTES);
}

/* --- what must hold --- */

static bool is_ram(const struct scene *scene, uint64_t base, uint64_t size)
{
    const struct guest_layout *layout = &scene->room.layout;

    for (unsigned i = 0; i < layout->entries; i++) {
        const struct guest_e820 *entry = &layout->e820[i];

        if (entry->type == GUEST_E820_RAM && base >= entry->base &&
            vmmu_range_fits(base - entry->base, size, entry->size))
            return true;
    }
    return false;
}

static bool is_all(const uint8_t *bytes, uint64_t size, uint8_t value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* The BIOS data area and all that lies between the EBDA and 1 MiB belong to the firmware. */
static void check_untouched(const struct scene *scene)
{
    FUZZ_CHECK(is_all(scene->room.bytes, LOW_BYTES, UNTOUCHED));
    FUZZ_CHECK(is_all(scene->room.bytes + GUEST_EBDA, GUEST_EXTENDED - GUEST_EBDA, UNTOUCHED));
}

static void check_start(const struct scene *scene)
{
    const struct guest_start *start = &scene->start;
    const bool is64 = start->kind == GUEST_START_LONG64;

    FUZZ_CHECK(is_ram(scene, start->rip, 1) && start->rip >= PLACE_END);
    FUZZ_CHECK(is_ram(scene, start->gdt_base, start->gdt_limit + UINT64_C(1)));
    FUZZ_CHECK(start->code_selector < start->gdt_limit && start->data_selector < start->gdt_limit);
    FUZZ_CHECK((start->cr0 >> 31 & 1) == is64 && (start->efer != 0) == is64 && (start->cr4 != 0) == is64);
    if (is64) {
        FUZZ_CHECK(is_ram(scene, start->cr3, 6 * VMMU_PAGE_BYTES));
        FUZZ_CHECK((at64(&scene->room, start->cr3) & 3) == 3);
        FUZZ_CHECK(is_ram(scene, at64(&scene->room, start->cr3) & ~UINT64_C(0xFFF), VMMU_PAGE_BYTES));
    }
}

static void check_text(const struct scene *scene, uint64_t at, const char *wanted)
{
    const char *const line = wanted != NULL ? wanted : "";

    FUZZ_CHECK(is_ram(scene, at, strlen(line) + 1));
    FUZZ_CHECK(strcmp((const char *)scene->room.bytes + at, line) == 0);
}

/* Joined in their order, each at a multiple of four. Spec: Linux "The Linux/x86 Boot Protocol". */
static void check_initrd(const struct scene *scene, uint64_t base, uint64_t size)
{
    uint64_t offset = 0;

    for (unsigned i = 0; i < scene->boot.modules; i++) {
        const struct guest_blob *module = &scene->boot.module[i];

        offset = (offset + 3) & ~UINT64_C(3);
        if (module->size != 0)
            FUZZ_CHECK(memcmp(scene->room.bytes + base + offset, module->bytes, module->size) == 0);
        offset += module->size;
    }
    FUZZ_CHECK(offset == size);
}

static void check_linux(const struct scene *scene, bool is_bzimage)
{
    const struct room *room = &scene->room;
    const uint64_t page = scene->start.rsi;
    const uint64_t load = at32(room, page + HEADER_CODE32_START);
    const uint64_t initrd = at32(room, page + HEADER_INITRD);
    const uint64_t initrd_bytes = at32(room, page + HEADER_INITRD_BYTES);
    const unsigned version = at16(room, page + HEADER_VERSION);
    uint64_t init_bytes = version >= 0x020A ? at32(room, page + HEADER_INIT_BYTES) : 1;
    uint64_t limit = UINT64_C(0x38000000);

    FUZZ_CHECK(is_ram(scene, page, VMMU_PAGE_BYTES));
    init_bytes += init_bytes == 0;
    if (version >= 0x0203)
        limit = (uint64_t)at32(room, page + HEADER_INITRD_MAXIMUM) + 1;
    check_text(scene, at32(room, page + HEADER_COMMAND_LINE), scene->boot.command_line);
    FUZZ_CHECK(room->bytes[page + 0x1E8] == room->layout.entries);
    FUZZ_CHECK(at64(room, page + HEADER_SETUP_DATA) == 0);
    FUZZ_CHECK(is_ram(scene, load, is_bzimage ? init_bytes : 1));
    if (is_bzimage)
        FUZZ_CHECK(scene->start.rip == load + (scene->start.kind == GUEST_START_LONG64 ? 0x200 : 0));
    if (initrd_bytes != 0) {
        FUZZ_CHECK(is_ram(scene, initrd, initrd_bytes) && initrd + initrd_bytes <= limit);
        FUZZ_CHECK(initrd >= load + init_bytes || initrd + initrd_bytes <= load);
    }
    check_initrd(scene, initrd, initrd_bytes);
}

/* The payload stands at the load address, which is aligned as asked if it is not the preferred one. */
static void check_bzimage(const struct scene *scene)
{
    const struct room *room = &scene->room;
    const struct image *image = &scene->image;
    const uint64_t page = scene->start.rsi;
    const uint64_t load = at32(room, page + HEADER_CODE32_START);
    const unsigned sectors = image->bytes[HEADER_START] != 0 ? image->bytes[HEADER_START] : 4;
    const uint64_t at = UINT64_C(512) * (sectors + 1);
    const bool has_preference = at16(room, page + HEADER_VERSION) >= 0x020A;
    const uint64_t preferred = has_preference ? at64(room, page + HEADER_PREFERRED) : 0x100000;

    FUZZ_CHECK(at < image->size && is_ram(scene, load, image->size - at));
    FUZZ_CHECK(memcmp(room->bytes + load, image->bytes + at, image->size - at) == 0);
    if (load != preferred) {
        FUZZ_CHECK(room->bytes[page + HEADER_RELOCATABLE] != 0);
        FUZZ_CHECK(load % at32(room, page + HEADER_ALIGNMENT) == 0);
    }
}

/* Spec: Multiboot Specification "Boot information format". */
static void check_multiboot(const struct scene *scene)
{
    const struct room *room = &scene->room;
    const uint64_t info = scene->start.rbx;
    const uint64_t modules = at32(room, info + 24);

    FUZZ_CHECK(scene->start.rax == 0x2BADB002);
    FUZZ_CHECK(is_ram(scene, info, 116));
    check_text(scene, at32(room, info + 16), scene->boot.command_line);
    FUZZ_CHECK(is_ram(scene, at32(room, info + 48), at32(room, info + 44)));
    FUZZ_CHECK(at32(room, info + 20) == scene->boot.modules);
    for (unsigned i = 0; i < scene->boot.modules; i++) {
        const struct guest_blob *module = &scene->boot.module[i];
        const uint64_t base = at32(room, modules + UINT64_C(16) * i);
        const uint64_t end = at32(room, modules + UINT64_C(16) * i + 4);

        FUZZ_CHECK(end - base == module->size);
        check_text(scene, at32(room, modules + UINT64_C(16) * i + 8), module->command_line);
        if (module->size == 0)
            continue;
        FUZZ_CHECK(base % VMMU_PAGE_BYTES == 0 && is_ram(scene, base, module->size));
        FUZZ_CHECK(memcmp(room->bytes + base, module->bytes, module->size) == 0);
        FUZZ_CHECK(scene->start.rip < base || scene->start.rip >= end);
    }
}

static void check_loaded(const struct scene *scene)
{
    check_start(scene);
    switch (guest_format_of(&scene->boot.kernel)) {
    case GUEST_FORMAT_LINUX:
        check_linux(scene, true);
        check_bzimage(scene);
        break;
    case GUEST_FORMAT_VMLINUX: check_linux(scene, false); break;
    case GUEST_FORMAT_MULTIBOOT: check_multiboot(scene); break;
    case GUEST_FORMAT_UNKNOWN: FUZZ_CHECK(!"what has no format cannot be loaded");
    }
}

/* --- the whole --- */

/* By one loader whatever the image looks like: it must refuse what is not its own. */
static enum vmmu_status load_by_name(struct scene *scene, const char **error)
{
    const struct guest_memory *memory = &scene->room.memory;
    const struct guest_layout *layout = &scene->room.layout;

    switch (scene->options >> 4 & 3) {
    case 1: return guest_load_linux(memory, layout, &scene->boot, &scene->start, error);
    case 2: return guest_load_vmlinux(memory, layout, &scene->boot, &scene->start, error);
    case 3: return guest_load_multiboot(memory, layout, &scene->boot, &scene->start, error);
    default: return guest_load(memory, layout, &scene->boot, &scene->start, error);
    }
}

/* Memory from 4 GiB on too, which no protocol here may use. */
static void add_high_memory(struct room *room)
{
    static uint8_t high[0x10000];
    const struct guest_slot slot = { .gpa = { GUEST_HIGH_BASE }, .size = sizeof(high), .host = high };

    FUZZ_CHECK(guest_memory_add(&room->memory, &slot) == VMMU_OK);
    room->layout.e820[room->layout.entries++] =
        (struct guest_e820){ GUEST_HIGH_BASE, sizeof(high), GUEST_E820_RAM };
}

static void load(struct scene *scene)
{
    const bool by_name = (scene->options & 0x30) != 0;
    const char *error = NULL;
    enum vmmu_status status;

    if ((scene->options & 8) != 0) {
        scene->room.memory.slot[0].size =
            (scene->options & 4) != 0 ? LOW_BYTES << (scene->options >> 6) * 2 : 4 * MIB;
    }
    if ((scene->options & 0xC0) == 0x40)
        add_high_memory(&scene->room);
    status = load_by_name(scene, &error);
    if (status == VMMU_OK && !by_name) {
        check_loaded(scene);
    } else if (status == VMMU_OK) {
        check_start(scene);
    } else {
        FUZZ_CHECK(status == VMMU_INVALID || status == VMMU_NO_MEMORY);
        FUZZ_CHECK(error != NULL && strlen(error) > 10);
    }
    check_untouched(scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const enum image_kind kind = (enum image_kind)input_below(&input, IMAGE_KINDS);
    struct scene scene = { .options = input_u8(&input) };

    make_room_once();
    scene.room = kept_room;
    scene.image = make_image(&input, kind);
    change_fields(&input, &scene.image, kind);
    add_words(&input, &scene.boot);
    scene.image = resized(&input, &scene.image);
    scene.boot.kernel = blob_of(&scene.image);
    scene.boot.linux_entry = (enum guest_linux_entry)(scene.options % 3);
    load(&scene);
    image_free(&scene.image);
    return 0;
}
