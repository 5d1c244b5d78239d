/*
 * The loaders of e500 guests: ELF, uImage and bytes of no format, with modules and a device tree.
 *
 * Input: a byte that says which image, a byte of options, what the image is made of, then changes of its bytes (offset, value)
 * until their count is reached, whether a uImage's checksums are made right again, then modules and payload. A loader fails with a
 * sentence, or all that it tells lies in the guest's memory, apart from one another.
 */
#include "hv/guest/e500.h"

#include "hv/guest/fdt.h"

#include "tests/fuzz/input.h"
#include "tests/unit/guest/e500_images.h"

#define MEMORY_BYTES  (8 * E500_MIB)
#define SEGMENTS_MOST 6u
#define MODULE_BYTES  0x8000u

/*
 * The least tree that can be completed: /memory, /cpus/PowerPC,8544@0, /soc with four serial ports, /chosen; strings empty. Words
 * are big-endian; texts are padded.
 */
static const char *const nodes[] = { "",
                                     "memory@0",
                                     ">",
                                     "cpus",
                                     "PowerPC,8544@0",
                                     ">",
                                     ">",
                                     "soc",
                                     "serial@4500",
                                     ">",
                                     "serial@4600",
                                     ">",
                                     "serial@4700",
                                     ">",
                                     "serial@4800",
                                     ">",
                                     ">",
                                     "chosen",
                                     ">",
                                     ">" };

static uint8_t tree[1024];
static uint32_t tree_bytes;

static void put_word(uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        tree[tree_bytes++] = (uint8_t)(value >> (24 - 8 * i));
}

static void make_tree(void)
{
    uint32_t structure;
    uint32_t end;

    tree_bytes = 40 + 16;
    structure = tree_bytes;
    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        const size_t padded = (strlen(nodes[i]) + 4) & ~(size_t)3;

        put_word(nodes[i][0] == '>' ? 2 : 1);
        if (nodes[i][0] != '>') {
            memcpy(tree + tree_bytes, nodes[i], strlen(nodes[i]));
            tree_bytes += (uint32_t)padded;
        }
    }
    put_word(9);
    end = tree_bytes;
    tree_bytes = 0;
    put_word(0xD00DFEED);
    put_word(end);
    put_word(structure);
    put_word(end);
    put_word(40);
    put_word(17);
    put_word(16);
    put_word(0);
    put_word(0);
    put_word(end - structure);
    tree_bytes = end;
}

/* --- making the image --- */

static struct e500_image make_elf(struct input *input)
{
    struct e500_segment segments[SEGMENTS_MOST];
    const unsigned count = 1 + input_below(input, SEGMENTS_MOST);
    const uint32_t entry = input_u32(input);

    for (unsigned i = 0; i < count; i++) {
        const uint32_t at = input_u32(input) & 0xFFFFFF;

        segments[i] = (struct e500_segment){ .vaddr = at + ((uint32_t)input_u8(input) << 24),
                                             .paddr = at,
                                             .file_bytes = input_u16(input) & 0x7FF,
                                             .memory_bytes = input_u32(input) & 0xFFFFFF };
    }
    return e500_elf(entry, segments, count);
}

static struct e500_image make_uimage(struct input *input)
{
    const uint32_t load = input_u32(input) & 0xFFFFFF;

    return e500_uimage(load, load + input_u8(input) * 4u, 1u + (input_u16(input) & 0xFFF));
}

static struct e500_image make_raw(struct input *input)
{
    struct e500_image image = { NULL, input_u16(input) };

    image.bytes = malloc(image.size != 0 ? image.size : 1);
    FUZZ_CHECK(image.bytes != NULL);
    input_copy(input, image.bytes, image.size);
    return image;
}

static struct e500_image make_image(struct input *input)
{
    const unsigned kind = input_below(input, 3);
    struct e500_image image = kind == 0 ? make_elf(input) : kind == 1 ? make_uimage(input) : make_raw(input);
    const unsigned changes = input_below(input, 16);

    for (unsigned i = 0; i < changes; i++) {
        const uint32_t at = input_u16(input);
        const uint8_t value = input_u8(input);

        if (at < image.size)
            image.bytes[at] = value;
    }
    if (kind == 1 && input_flag(input))
        e500_uimage_seal(&image);
    return image;
}

/* --- what holds --- */

static bool apart(uint64_t one, uint64_t bytes, uint64_t other, uint64_t other_bytes)
{
    return one + bytes <= other || other + other_bytes <= one;
}

static void check_start(const struct e500_room *room, const struct e500_start *start,
                        const struct guest_boot *boot)
{
    struct fdt fdt;
    struct fdt_node node;
    const char *error;
    uint64_t initrd = 0;
    uint64_t end = 0;

    FUZZ_CHECK(start->entry % 4 == 0 && start->entry < MEMORY_BYTES && start->stack < MEMORY_BYTES);
    FUZZ_CHECK(start->device_tree < MEMORY_BYTES && start->magic == GUEST_E500_MAGIC);
    FUZZ_CHECK(fdt_open(room->bytes + start->device_tree, MEMORY_BYTES - start->device_tree, &fdt, &error) ==
               VMMU_OK);
    FUZZ_CHECK(fdt_find(&fdt, "/chosen", &node));
    if (fdt_number(&fdt, node, "linux,initrd-start", &initrd)) {
        FUZZ_CHECK(fdt_number(&fdt, node, "linux,initrd-end", &end));
        FUZZ_CHECK(initrd < end && end <= MEMORY_BYTES);
        FUZZ_CHECK(apart(initrd, end - initrd, start->device_tree, fdt.total_bytes));
        FUZZ_CHECK(memcmp(room->bytes + initrd, boot->module[0].bytes, boot->module[0].size) == 0);
    }
    FUZZ_CHECK((end != 0) == (boot->modules != 0 && boot->module[0].size != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t module_bytes[MODULE_BYTES];
    struct input input = input_of(data, size);
    struct e500_room room = e500_room_open(MEMORY_BYTES);
    struct e500_image image = make_image(&input);
    const uint8_t options = input_u8(&input);
    struct guest_boot boot = { .kernel = { image.bytes, image.size, NULL } };
    struct e500_machine machine = { .device_tree = tree, .vps = 1u + (options >> 5), .serial_ports = 0xF };
    struct e500_start start;
    const char *error = NULL;

    make_tree();
    machine.device_tree_bytes = tree_bytes;
    boot.command_line = (options & 1) != 0 ? "console=ttyS0" : NULL;
    boot.modules = options >> 1 & 1;
    boot.module[0] = (struct guest_blob){ module_bytes, input_u16(&input) & 0x7FFF, NULL };
    if ((options & 4) != 0)
        boot.payload = (struct guest_blob){ module_bytes, (options & 8) != 0 ? 0x1000 : 0, NULL };
    memset(module_bytes, 0x77, sizeof(module_bytes));
    if (guest_load_e500(&room.memory, &boot, &machine, &start, &error) == VMMU_OK) {
        check_start(&room, &start, &boot);
    } else {
        FUZZ_CHECK(error != NULL);
    }
    e500_image_free(&image);
    e500_room_close(&room);
    return 0;
}
