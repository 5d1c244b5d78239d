/* Loading guests of the e500 machine: where everything comes to lie, and what is refused. */
#include "tests/unit/guest/e500_images.h"
#include "tests/unit/guest/trees.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define MIB E500_MIB

static struct tree source;

/* One load, and what came of it. */
struct loaded {
    struct e500_room room;
    struct e500_image kernel;
    struct guest_boot boot;
    struct e500_machine machine;
    struct e500_start start;
    enum vmmu_status status;
    const char *error;
};

static int open_source(void **state)
{
    (void)state;
    source = tree_compile("hv/guest/e500.dts");
    return 0;
}

static int close_source(void **state)
{
    (void)state;
    tree_free(&source);
    return 0;
}

static struct loaded prepare(uint64_t memory_bytes, struct e500_image kernel)
{
    return (struct loaded){
        .room = e500_room_open(memory_bytes),
        .kernel = kernel,
        .boot = { .kernel = { kernel.bytes, kernel.size, NULL }, .command_line = "console=ttyS0" },
        .machine = { .device_tree = source.bytes,
                     .device_tree_bytes = source.size,
                     .timebase_hz = 400000000,
                     .clock_hz = 400000000,
                     .platform_hz = 400000000,
                     .vps = 1,
                     .serial_ports = 0xF },
    };
}

static void load(struct loaded *l)
{
    l->status = guest_load_e500(&l->room.memory, &l->boot, &l->machine, &l->start, &l->error);
    if (l->status != VMMU_OK)
        EXPECT(l->error != NULL);
}

static void load_well(struct loaded *l)
{
    load(l);
    if (l->status != VMMU_OK)
        fail_msg("%s", l->error);
}

static void finish(struct loaded *l)
{
    e500_room_close(&l->room);
    e500_image_free(&l->kernel);
}

/* A Linux kernel: linked at 0xC0000000, loaded at 0. */
static struct e500_image linux_image(void)
{
    static const struct e500_segment segments[] = { { 0xC0000000, 0, 0x3000, 0x5000 } };

    return e500_elf(0xC0000000, segments, 1);
}

/* The tree in the guest's memory. */
static struct fdt tree_at(const struct loaded *l)
{
    struct fdt fdt;
    const char *error = NULL;

    if (fdt_open(l->room.bytes + l->start.device_tree, GUEST_E500_MAP_BYTES - l->start.device_tree, &fdt,
                 &error) != VMMU_OK)
        fail_msg("%s", error);
    return fdt;
}

static uint64_t chosen(const struct loaded *l, const char *name)
{
    const struct fdt fdt = tree_at(l);
    struct fdt_node node;
    uint64_t number;

    EXPECT(fdt_find(&fdt, "/chosen", &node));
    if (!fdt_number(&fdt, node, name, &number))
        fail_msg("no %s", name);
    return number;
}

/* --- memory --- */

static void test_memory_is_one_piece_from_0(void **state)
{
    struct guest_layout layout;
    const char *error;

    (void)state;
    EXPECT_EQ(guest_layout_e500(256 * MIB, &layout, &error), VMMU_OK);
    EXPECT_EQ(layout.ranges, 1);
    EXPECT_EQ(layout.range[0].gpa.v, 0);
    EXPECT_EQ(layout.range[0].size, 256 * MIB);
    EXPECT_EQ(layout.entries, 1);
    EXPECT_EQ(guest_layout_e500(2048 * MIB, &layout, &error), VMMU_OK);
}

static void test_sizes_that_cannot_be_are_refused(void **state)
{
    static const uint64_t sizes[] = { 0, 6 * MIB, 2050 * MIB, 9 * MIB, 16 * MIB + 4096, UINT64_MAX };
    struct guest_layout layout;

    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *error = NULL;

        EXPECT_EQ(guest_layout_e500(sizes[i], &layout, &error), VMMU_INVALID);
        EXPECT(error != NULL);
    }
}

/* --- starting --- */

static void test_an_elf_kernel_starts_as_epapr_says(void **state)
{
    struct loaded l = prepare(256 * MIB, linux_image());

    (void)state;
    load_well(&l);
    EXPECT_EQ(l.start.entry, 0);
    EXPECT_EQ(l.start.magic, 0x45504150);
    EXPECT_EQ(l.start.map_bytes, 0x4000000);
    EXPECT_EQ(l.start.stack, 0xFFFFF8);
    EXPECT_EQ(l.start.device_tree % 8, 0);
    EXPECT(l.start.device_tree >= 24 * MIB && l.start.device_tree < 64 * MIB);
    EXPECT_EQ(l.room.bytes[0], 1);
    EXPECT_EQ(l.room.bytes[0x2FFF], 1);
    EXPECT_EQ(l.room.bytes[0x3000], 0);
    finish(&l);
}

static void test_a_boot_loader_starts_at_its_physical_entry(void **state)
{
    static const struct e500_segment segments[] = { { 0xF00000, 0xF00000, 0x5EFF8, 0x65E74 } };
    struct loaded l = prepare(64 * MIB, e500_elf(0xF00000, segments, 1));

    (void)state;
    load_well(&l);
    EXPECT_EQ(l.start.entry, 0xF00000);
    EXPECT_EQ(l.room.bytes[0xF00000], 1);
    finish(&l);
}

static void test_a_small_guest_has_its_stack_at_the_end_of_memory(void **state)
{
    struct loaded l = prepare(8 * MIB, linux_image());

    (void)state;
    load_well(&l);
    EXPECT_EQ(l.start.stack, 8 * MIB - 8); /* memory ends below the usual stack */
    finish(&l);
}

static void test_a_uimage_goes_to_its_load_address(void **state)
{
    struct loaded l = prepare(64 * MIB, e500_uimage(0x400000, 0x400010, 0x1000));

    (void)state;
    load_well(&l);
    EXPECT_EQ(l.start.entry, 0x400010);
    EXPECT_EQ(l.room.bytes[0x400000], 0x3C);
    EXPECT_EQ(l.room.bytes[0x400FFF], 0x3C);
    EXPECT_EQ(l.room.bytes[0x401000], 0);
    finish(&l);
}

/* --- what goes with it --- */

static void test_initrds_are_joined(void **state)
{
    struct loaded l = prepare(256 * MIB, linux_image());

    (void)state;
    l.boot.modules = 3;
    l.boot.module[0] = (struct guest_blob){ (const uint8_t *)"first", 5, NULL };
    l.boot.module[1] = (struct guest_blob){ NULL, 0, NULL };
    l.boot.module[2] = (struct guest_blob){ (const uint8_t *)"second", 6, NULL };
    load_well(&l);
    EXPECT_EQ(chosen(&l, "linux,initrd-start"), 32 * MIB);
    EXPECT_EQ(chosen(&l, "linux,initrd-end"), 32 * MIB + 11);
    EXPECT(memcmp(l.room.bytes + 32 * MIB, "firstsecond", 11) == 0);
    finish(&l);
}

static void test_a_payload_lies_apart_from_everything(void **state)
{
    struct loaded l = prepare(256 * MIB, linux_image());
    const struct e500_image payload = e500_uimage(0, 0, 0x2000);

    (void)state;
    l.boot.payload = (struct guest_blob){ payload.bytes, payload.size, NULL };
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ (const uint8_t *)"initrd", 6, NULL };
    load_well(&l);
    EXPECT(memcmp(l.room.bytes + 32 * MIB, payload.bytes, payload.size) == 0); /* header and all */
    EXPECT_EQ(chosen(&l, "linux,initrd-start"), 32 * MIB + 0x3000);
    e500_image_free((struct e500_image *)&payload);
    finish(&l);
}

static void test_in_little_memory_everything_finds_another_place(void **state)
{
    struct loaded l = prepare(8 * MIB, linux_image());

    (void)state;
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ (const uint8_t *)"initrd", 6, NULL };
    load_well(&l);
    EXPECT(chosen(&l, "linux,initrd-start") >= 0x10000);
    EXPECT(memcmp(l.room.bytes + chosen(&l, "linux,initrd-start"), "initrd", 6) == 0);
    EXPECT(l.start.device_tree >= 0x10000 && l.start.device_tree < 8 * MIB);
    finish(&l);
}

static void test_the_tree_moves_out_of_the_kernels_way(void **state)
{
    static const struct e500_segment segments[] = { { 0, 0, 0x1000, 30 << 20 } };
    struct loaded l = prepare(256 * MIB, e500_elf(0, segments, 1));

    (void)state;
    load_well(&l);
    EXPECT(l.start.device_tree >= 30 * MIB);
    finish(&l);
}

/* --- refusals --- */

static void test_a_kernel_that_fills_the_first_mapping_leaves_no_room_for_the_tree(void **state)
{
    static const struct e500_segment segments[] = { { 0, 0, 0x1000, 64 << 20 } };
    struct loaded l = prepare(128 * MIB, e500_elf(0, segments, 1));

    (void)state;
    load(&l);
    EXPECT_EQ(l.status, VMMU_NO_MEMORY);
    finish(&l);
}

static void test_modules_that_do_not_fit_are_refused(void **state)
{
    struct loaded l = prepare(8 * MIB, linux_image());
    uint8_t *large = calloc(1, 8 * MIB);

    (void)state;
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ large, 8 * MIB, NULL };
    load(&l);
    EXPECT_EQ(l.status, VMMU_NO_MEMORY);
    l.boot.module[0].size = UINT64_MAX;
    load(&l);
    EXPECT_EQ(l.status, VMMU_NO_MEMORY);
    l.boot.modules = 0;
    l.boot.payload = (struct guest_blob){ large, 8 * MIB, NULL };
    load(&l);
    EXPECT_EQ(l.status, VMMU_NO_MEMORY);
    free(large);
    finish(&l);
}

static void expect_refused(struct e500_image image)
{
    struct loaded l = prepare(16 * MIB, image);

    load(&l);
    EXPECT_EQ(l.status, VMMU_INVALID);
    finish(&l);
}

static void test_an_empty_image_is_refused(void **state)
{
    (void)state;
    expect_refused((struct e500_image){ malloc(1), 0 });
}

static void test_bytes_of_no_format_are_refused(void **state)
{
    static const uint8_t code[5] = { 0x48, 0, 0, 0, 0x21 };
    struct e500_image image = linux_image();
    struct e500_image raw = { malloc(sizeof(code)), sizeof(code) };

    (void)state;
    memcpy(raw.bytes, code, sizeof(code));
    expect_refused(raw);
    image.size = 40; /* no whole header */
    expect_refused(image);
}

static void test_elf_files_of_other_machines_are_refused(void **state)
{
    struct e500_image image = linux_image();

    (void)state;
    image.bytes[5] = 1; /* little-endian: all fields read differently */
    expect_refused(image);
    image = linux_image();
    image.bytes[4] = 2; /* 64 bits */
    expect_refused(image);
    image = linux_image();
    e500_put16(&image, 18, 21); /* PowerPC of 64 bits */
    expect_refused(image);
    image = linux_image();
    e500_put16(&image, 16, 3); /* not at fixed addresses */
    expect_refused(image);
}

static void test_elf_segments_outside_memory_or_file_are_refused(void **state)
{
    static const struct e500_segment high[] = { { 0, 0x0FFF000, 0x1000, 0x2000 } };
    struct e500_image image = e500_elf(0x0FFF000, high, 1);

    (void)state;
    expect_refused(image);
    image = linux_image();
    e500_put32(&image, 52 + 4, 0xFFFFFF00); /* in the file */
    expect_refused(image);
    image = linux_image();
    e500_put32(&image, 52 + 16, 0x6000); /* larger in the file than in memory */
    expect_refused(image);
    image = linux_image();
    e500_put32(&image, 28, 0xFFFFFFF0); /* program headers */
    expect_refused(image);
}

static void test_entry_points_that_are_not_mapped_are_refused(void **state)
{
    static const struct e500_segment far[] = { { 0x5000000, 0x5000000, 0x1000, 0x1000 } };
    static const struct e500_segment odd[] = { { 0, 0, 0x1000, 0x1000 } };
    struct loaded l = prepare(128 * MIB, e500_elf(0x5000000, far, 1));

    (void)state;
    load(&l);
    EXPECT_EQ(l.status, VMMU_INVALID);
    finish(&l);
    expect_refused(e500_elf(2, odd, 1));
    expect_refused(e500_elf(0x2000, odd, 1));
}

static void test_damaged_uimages_are_refused(void **state)
{
    struct e500_image image = e500_uimage(0x400000, 0x400000, 0x1000);

    (void)state;
    image.bytes[100] ^= 1; /* its data */
    expect_refused(image);
    image = e500_uimage(0x400000, 0x400000, 0x1000);
    image.bytes[40] ^= 1; /* its header */
    expect_refused(image);
    image = e500_uimage(0x400000, 0x401000, 0x1000); /* enters behind its data */
    expect_refused(image);
    image = e500_uimage(0x400000, 0x3FFFFC, 0x1000);
    expect_refused(image);
    image = e500_uimage(0x400000, 0x400000, 0x1000);
    e500_put32(&image, 12, 0x1001); /* cut */
    e500_uimage_seal(&image);
    expect_refused(image);
    image = e500_uimage(0xFFF000, 0xFFF000, 0x2000); /* behind the end of memory */
    expect_refused(image);
}

static void test_uimages_of_other_kinds_are_refused(void **state)
{
    static const struct {
        uint8_t at;
        uint8_t value;
    } changes[] = { { 29, 2 }, { 30, 3 }, { 31, 1 } }; /* ARM, a RAM disk, gzip */

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct e500_image image = e500_uimage(0x400000, 0x400000, 0x1000);

        image.bytes[changes[i].at] = changes[i].value;
        e500_uimage_seal(&image);
        expect_refused(image);
    }
}

static void test_numbers_beyond_their_limits_are_refused(void **state)
{
    struct loaded l = prepare(16 * MIB, linux_image());

    (void)state;
    l.machine.vps = 9;
    load(&l);
    EXPECT_EQ(l.status, VMMU_INVALID);
    l.machine.vps = 0;
    load(&l);
    EXPECT_EQ(l.status, VMMU_INVALID);
    l.machine.vps = 1;
    l.boot.modules = GUEST_MODULES + 1;
    load(&l);
    EXPECT_EQ(l.status, VMMU_INVALID);
    finish(&l);
}

static void test_a_damaged_device_tree_is_refused(void **state)
{
    struct loaded l = prepare(16 * MIB, linux_image());

    (void)state;
    l.machine.device_tree_bytes = source.size - 1;
    load(&l);
    EXPECT_EQ(l.status, VMMU_INVALID);
    finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_one_piece_from_0),
        cmocka_unit_test(test_sizes_that_cannot_be_are_refused),
        cmocka_unit_test(test_an_elf_kernel_starts_as_epapr_says),
        cmocka_unit_test(test_a_boot_loader_starts_at_its_physical_entry),
        cmocka_unit_test(test_a_small_guest_has_its_stack_at_the_end_of_memory),
        cmocka_unit_test(test_a_uimage_goes_to_its_load_address),
        cmocka_unit_test(test_initrds_are_joined),
        cmocka_unit_test(test_a_payload_lies_apart_from_everything),
        cmocka_unit_test(test_in_little_memory_everything_finds_another_place),
        cmocka_unit_test(test_the_tree_moves_out_of_the_kernels_way),
        cmocka_unit_test(test_a_kernel_that_fills_the_first_mapping_leaves_no_room_for_the_tree),
        cmocka_unit_test(test_modules_that_do_not_fit_are_refused),
        cmocka_unit_test(test_an_empty_image_is_refused),
        cmocka_unit_test(test_bytes_of_no_format_are_refused),
        cmocka_unit_test(test_elf_files_of_other_machines_are_refused),
        cmocka_unit_test(test_elf_segments_outside_memory_or_file_are_refused),
        cmocka_unit_test(test_entry_points_that_are_not_mapped_are_refused),
        cmocka_unit_test(test_damaged_uimages_are_refused),
        cmocka_unit_test(test_uimages_of_other_kinds_are_refused),
        cmocka_unit_test(test_numbers_beyond_their_limits_are_refused),
        cmocka_unit_test(test_a_damaged_device_tree_is_refused),
    };

    return cmocka_run_group_tests(tests, open_source, close_source);
}
