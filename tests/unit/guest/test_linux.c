/* Linux "The Linux/x86 Boot Protocol", "Zero Page". */
#include "tests/unit/guest/room.h"
#include "tests/unit/test.h"

#include <string.h>

/* A loaded guest and what the loader said. */
struct loaded {
    struct room room;
    struct image image;
    struct guest_boot boot;
    struct guest_start start;
    const char *error;
};

static struct loaded prepare(uint64_t memory)
{
    struct loaded loaded = { .room = room_open(memory), .image = bzimage() };

    loaded.boot.command_line = "console=ttyS0 quiet";
    return loaded;
}

static enum vmmu_status load(struct loaded *loaded)
{
    loaded->error = NULL;
    loaded->boot.kernel = blob_of(&loaded->image);
    return guest_load(&loaded->room.memory, &loaded->room.layout, &loaded->boot, &loaded->start,
                      &loaded->error);
}

static void finish(struct loaded *loaded)
{
    room_close(&loaded->room);
    image_free(&loaded->image);
}

static void expect_refused(struct loaded *loaded)
{
    const enum vmmu_status status = load(loaded);

    EXPECT(status == VMMU_INVALID || status == VMMU_NO_MEMORY);
    EXPECT(loaded->error != NULL);
    finish(loaded);
}

static uint64_t params(const struct loaded *loaded)
{
    return loaded->start.rsi;
}

static void test_a_64_bit_kernel_starts_at_its_second_entry_point(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_LONG64);
    EXPECT_EQ(l.start.rip, 0x200000 + 0x200);
    EXPECT_EQ(l.room.bytes[0x200000], 0x90);
    EXPECT_EQ(l.room.bytes[0x200000 + 8191], 0x90);
    EXPECT_EQ(at32(&l.room, params(&l) + 0x214), 0x200000); /* code32_start */
    finish(&l);
}

static void test_long_mode_is_on_with_flat_segments_from_the_gdt(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.cr0 & 0x80000001, 0x80000001); /* PG, PE */
    EXPECT_EQ(l.start.cr4, 0x20);                    /* PAE */
    EXPECT_EQ(l.start.efer, 0x500);                  /* LME, LMA */
    EXPECT_EQ(l.start.code_selector, 0x10);          /* __BOOT_CS */
    EXPECT_EQ(l.start.data_selector, 0x18);          /* __BOOT_DS */
    EXPECT(l.start.gdt_limit >= 0x1F);
    EXPECT_EQ(at64(&l.room, l.start.gdt_base + 0x10), UINT64_C(0x00AF9B000000FFFF)); /* L, present, code */
    EXPECT_EQ(at64(&l.room, l.start.gdt_base + 0x18), UINT64_C(0x00CF93000000FFFF));
    EXPECT(l.start.rsp != 0 && l.start.rsp < GUEST_EBDA);
    finish(&l);
}

/* Walk the four-level tables as the processor would. */
static uint64_t translate(const struct loaded *l, uint64_t va)
{
    uint64_t table = l->start.cr3;

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        const uint64_t entry = at64(&l->room, table + (va >> shift & 511) * 8);

        EXPECT_EQ(entry & 3, 3);
        if (shift < 39 && entry & 0x80) {
            return (entry & ~((UINT64_C(1) << shift) - 1) & UINT64_C(0xFFFFFFFFFF000)) |
                   (va & ((UINT64_C(1) << shift) - 1));
        }
        table = entry & UINT64_C(0xFFFFFFFFFF000);
    }
    fail();
    return 0;
}

static void test_the_first_4_gib_are_mapped_to_themselves(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    for (uint64_t va = 0; va < UINT64_C(1) << 32; va += UINT64_C(0x1234567)) {
        EXPECT_EQ(translate(&l, va), va);
    }
    EXPECT_EQ(translate(&l, 0xFFFFFFFF), 0xFFFFFFFF);
    finish(&l);
}

static void test_the_32_bit_entry_is_in_protected_mode_without_paging(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    l.boot.linux_entry = GUEST_LINUX_32BIT;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_PROTECTED32);
    EXPECT_EQ(l.start.rip, 0x200000);
    EXPECT_EQ(l.start.cr0 & 0x80000001, 1);
    EXPECT_EQ(l.start.cr4 | l.start.efer | l.start.cr3, 0);
    EXPECT_EQ(l.start.rbx, 0);
    EXPECT_EQ(at64(&l.room, l.start.gdt_base + 0x10), UINT64_C(0x00CF9B000000FFFF));
    finish(&l);
}

static void test_a_kernel_without_64_bit_entry_is_entered_by_32(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    set16(&l.image, 0x236, 0x003E);
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_PROTECTED32);
    l.boot.linux_entry = GUEST_LINUX_64BIT;
    expect_refused(&l);
}

static void test_before_version_2_12_there_is_no_64_bit_entry(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    set16(&l.image, 0x206, 0x020B);
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_PROTECTED32);
    finish(&l);
}

static void test_the_setup_header_is_copied_and_completed(void **state)
{
    struct loaded l = prepare(16 * MIB);
    uint64_t page;

    (void)state;
    set64(&l.image, 0x250,
          UINT64_C(0x4141414141414141)); /* setup_data: a pointer that is not the image's to set */
    EXPECT_EQ(load(&l), VMMU_OK);
    page = params(&l);
    EXPECT_EQ(at32(&l.room, page + 0x202), 0x53726448);
    EXPECT_EQ(at16(&l.room, page + 0x206), 0x020F);
    EXPECT_EQ(l.room.bytes[page + 0x210], 0xFF); /* a loader without a number */
    EXPECT_EQ(l.room.bytes[page + 0x211], 0x01); /* loaded high; no heap */
    EXPECT_EQ(at32(&l.room, page + 0x260), 0x100000);
    EXPECT_EQ(at64(&l.room, page + 0x250), 0);
    EXPECT_EQ(at32(&l.room, page + 0x218) | at32(&l.room, page + 0x21C), 0); /* no initrd */
    EXPECT_EQ(l.room.bytes[page + 0x1EF], 0);                                /* sentinel */
    EXPECT_EQ(l.room.bytes[page], 0);
    finish(&l);
}

static void test_the_memory_map_is_in_the_boot_parameters(void **state)
{
    struct loaded l = prepare(16 * MIB);
    uint64_t page;

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    page = params(&l);
    EXPECT_EQ(l.room.bytes[page + 0x1E8], l.room.layout.entries);
    for (unsigned i = 0; i < l.room.layout.entries; i++) {
        EXPECT_EQ(at64(&l.room, page + 0x2D0 + UINT64_C(20) * i), l.room.layout.e820[i].base);
        EXPECT_EQ(at64(&l.room, page + 0x2D8 + UINT64_C(20) * i), l.room.layout.e820[i].size);
        EXPECT_EQ(at32(&l.room, page + 0x2E0 + UINT64_C(20) * i), l.room.layout.e820[i].type);
    }
    EXPECT_EQ(at32(&l.room, page + 0x1E0), 15 * 1024); /* alt_mem_k */
    EXPECT_EQ(at16(&l.room, page + 0x002), 15 * 1024); /* ext_mem_k */
    finish(&l);
}

static void test_the_rsdp_is_named_in_the_boot_parameters(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    l.boot.rsdp = 0xF0000;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(at64(&l.room, params(&l) + 0x70), 0xF0000);
    finish(&l);
}

static void test_the_command_line_ends_in_zero_below_640_kib(void **state)
{
    struct loaded l = prepare(16 * MIB);
    uint32_t at;

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    at = at32(&l.room, params(&l) + 0x228);
    EXPECT(at < 0xA0000);
    assert_string_equal((const char *)l.room.bytes + at, "console=ttyS0 quiet");
    l.boot.command_line = NULL;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.room.bytes[at32(&l.room, params(&l) + 0x228)], 0);
    finish(&l);
}

static void test_the_command_line_may_be_as_long_as_the_kernel_says(void **state)
{
    struct loaded l = prepare(16 * MIB);
    char text[2050];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[2047] = '\0';
    l.boot.command_line = text;
    EXPECT_EQ(load(&l), VMMU_OK);
    text[2047] = 'a';
    text[2048] = '\0';
    expect_refused(&l);
}

static void test_a_command_line_for_an_old_kernel_has_255_characters(void **state)
{
    struct loaded l = prepare(16 * MIB);
    char text[257];

    (void)state;
    set16(&l.image, 0x206, 0x0205);
    memset(text, 'a', sizeof(text));
    text[255] = '\0';
    l.boot.command_line = text;
    EXPECT_EQ(load(&l), VMMU_OK);
    text[255] = 'a';
    text[256] = '\0';
    expect_refused(&l);
}

static void test_initrds_are_joined_at_multiples_of_four(void **state)
{
    struct loaded l = prepare(16 * MIB);
    const uint8_t one[5] = { 1, 1, 1, 1, 1 };
    const uint8_t two[3] = { 2, 2, 2 };
    const uint8_t expected[11] = { 1, 1, 1, 1, 1, 0, 0, 0, 2, 2, 2 };
    uint64_t base;

    (void)state;
    l.boot.modules = 3;
    l.boot.module[0] = (struct guest_blob){ .bytes = one, .size = sizeof(one) };
    l.boot.module[1] = (struct guest_blob){ .bytes = NULL, .size = 0 };
    l.boot.module[2] = (struct guest_blob){ .bytes = two, .size = sizeof(two) };
    EXPECT_EQ(load(&l), VMMU_OK);
    base = at32(&l.room, params(&l) + 0x218);
    EXPECT_EQ(at32(&l.room, params(&l) + 0x21C), sizeof(expected));
    EXPECT_EQ(base & 0xFFF, 0);
    EXPECT(base >= 0x300000 && base + sizeof(expected) <= 16 * MIB);
    assert_memory_equal(l.room.bytes + base, expected, sizeof(expected));
    finish(&l);
}

static void test_the_initrd_stays_below_the_kernels_limit(void **state)
{
    struct loaded l = prepare(16 * MIB);
    static uint8_t disk[0x5000];
    uint64_t base;

    (void)state;
    set32(&l.image, 0x22C, 0x7FFFFF);
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ .bytes = disk, .size = sizeof(disk) };
    EXPECT_EQ(load(&l), VMMU_OK);
    base = at32(&l.room, params(&l) + 0x218);
    EXPECT_EQ(base, 0x7FB000);
    set32(&l.image, 0x22C, 0x302000);
    expect_refused(&l);
}

static void test_an_initrd_that_does_not_fit_is_refused(void **state)
{
    struct loaded l = prepare(8 * MIB);
    static uint8_t disk[6 << 20];

    (void)state;
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ .bytes = disk, .size = sizeof(disk) };
    expect_refused(&l);
}

static void test_sizes_of_initrds_that_wrap_around_are_refused(void **state)
{
    struct loaded l = prepare(16 * MIB);
    const uint8_t byte = 0;

    (void)state;
    l.boot.modules = 2;
    l.boot.module[0] = (struct guest_blob){ .bytes = &byte, .size = UINT64_MAX - 2 };
    l.boot.module[1] = (struct guest_blob){ .bytes = &byte, .size = 8 };
    EXPECT_EQ(load(&l), VMMU_INVALID);
    l.boot.modules = GUEST_MODULES + 1;
    expect_refused(&l);
}

static void test_a_relocatable_kernel_moves_when_its_place_is_not_memory(void **state)
{
    struct loaded l = prepare(8 * MIB);

    (void)state;
    set64(&l.image, 0x258, 0x1000000);
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.rip, 0x200200); /* the lowest multiple of its alignment above 1 MiB */
    finish(&l);
}

static void test_a_fixed_kernel_must_have_its_place(void **state)
{
    struct loaded l = prepare(8 * MIB);

    (void)state;
    l.image.bytes[0x234] = 0;
    EXPECT_EQ(load(&l), VMMU_OK);
    set64(&l.image, 0x258, 0x1000000);
    expect_refused(&l);
}

static void test_a_kernel_before_2_10_goes_to_1_mib(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    set16(&l.image, 0x206, 0x0204);
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.rip, 0x100000);
    finish(&l);
}

static void test_fields_beyond_the_headers_end_read_as_zero(void **state)
{
    struct loaded l = prepare(16 * MIB);

    (void)state;
    l.image.bytes[0x201] = 0x230 - 0x202; /* ends before kernel_alignment, whatever the version says */
    expect_refused(&l);
}

static void test_truncated_images_are_refused(void **state)
{
    struct image whole = bzimage();

    (void)state;
    for (uint64_t size = 0; size < whole.size; size += size < 0x300 ? 1 : 509) {
        struct loaded l = prepare(8 * MIB);

        image_free(&l.image);
        l.image = image_cut(&whole, size);
        if (size + 15 < whole.size) {
            expect_refused(&l);
        } else {
            finish(&l);
        }
    }
    image_free(&whole);
}

static void test_headers_that_lie_are_refused(void **state)
{
    static const struct {
        unsigned at;
        unsigned bytes;
        uint64_t value;
    } lies[] = {
        { 0x1F1, 1, 255 },        /* setup_sects: beyond the file */
        { 0x1F4, 4, 0xFFFFFFFF }, /* syssize: more than the file */
        { 0x1FE, 2, 0 },          /* boot flag */
        { 0x201, 1, 0xFF },       /* header's end: into e820 */
        { 0x201, 1, 0x02 },       /* header's end: before loadflags */
        { 0x202, 4, 0 },          /* magic */
        { 0x206, 2, 0x01FF },     /* version */
        { 0x211, 1, 0 },          /* a zImage */
        { 0x230, 4, 0 },          /* alignment: none */
        { 0x230, 4, 3 },          /* alignment: no power of two */
        { 0x230, 4, 0x40000001 }, /* alignment: no power of two */
        { 0x230, 4, 0x10 },       /* alignment: less than a page */
        { 0x260, 4, 0xFFFFFFFF }, /* init_size: more than any memory */
        { 0x238, 4, 3 },          /* cmdline_size: less than the command line */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct loaded l = prepare(8 * MIB);

        set_bytes(&l.image, lies[i].at, lies[i].value, lies[i].bytes);
        expect_refused(&l);
    }
}

static void test_preferred_addresses_that_wrap_are_not_used(void **state)
{
    static const uint64_t addresses[] = {
        UINT64_C(0xFFFFFFFFFFE00000), UINT64_C(0xFFF00000), 0, 0x1000, UINT64_C(1) << 40, 0x200001
    };

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct loaded l = prepare(8 * MIB);

        set64(&l.image, 0x258, addresses[i]);
        EXPECT_EQ(load(&l), VMMU_OK); /* it is relocatable */
        EXPECT_EQ(l.start.rip, 0x200200);
        finish(&l);
    }
}

static void test_a_guest_without_low_memory_is_refused(void **state)
{
    struct loaded l = prepare(16 * MIB);
    struct guest_memory high = { 0 };

    (void)state;
    EXPECT_EQ(
        guest_memory_add(
            &high,
            &(struct guest_slot){ .gpa = { 2 * MIB }, .size = 14 * MIB, .host = l.room.bytes, .hpa = { 0 } }),
        VMMU_OK);
    l.boot.kernel = blob_of(&l.image);
    EXPECT_EQ(guest_load(&high, &l.room.layout, &l.boot, &l.start, &l.error), VMMU_NO_MEMORY);
    EXPECT(l.error != NULL);
    finish(&l);
}

static void test_an_unknown_image_is_refused_by_name(void **state)
{
    struct loaded l = prepare(8 * MIB);

    (void)state;
    memset(l.image.bytes, 0, l.image.size);
    EXPECT_EQ(load(&l), VMMU_INVALID);
    EXPECT(l.error != NULL && strstr(l.error, "multiboot") != NULL);
    l.boot.kernel = (struct guest_blob){ 0 };
    EXPECT_EQ(guest_format_of(&l.boot.kernel), GUEST_FORMAT_UNKNOWN);
    finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_64_bit_kernel_starts_at_its_second_entry_point),
        cmocka_unit_test(test_long_mode_is_on_with_flat_segments_from_the_gdt),
        cmocka_unit_test(test_the_first_4_gib_are_mapped_to_themselves),
        cmocka_unit_test(test_the_32_bit_entry_is_in_protected_mode_without_paging),
        cmocka_unit_test(test_a_kernel_without_64_bit_entry_is_entered_by_32),
        cmocka_unit_test(test_before_version_2_12_there_is_no_64_bit_entry),
        cmocka_unit_test(test_the_setup_header_is_copied_and_completed),
        cmocka_unit_test(test_the_memory_map_is_in_the_boot_parameters),
        cmocka_unit_test(test_the_rsdp_is_named_in_the_boot_parameters),
        cmocka_unit_test(test_the_command_line_ends_in_zero_below_640_kib),
        cmocka_unit_test(test_the_command_line_may_be_as_long_as_the_kernel_says),
        cmocka_unit_test(test_a_command_line_for_an_old_kernel_has_255_characters),
        cmocka_unit_test(test_initrds_are_joined_at_multiples_of_four),
        cmocka_unit_test(test_the_initrd_stays_below_the_kernels_limit),
        cmocka_unit_test(test_an_initrd_that_does_not_fit_is_refused),
        cmocka_unit_test(test_sizes_of_initrds_that_wrap_around_are_refused),
        cmocka_unit_test(test_a_relocatable_kernel_moves_when_its_place_is_not_memory),
        cmocka_unit_test(test_a_fixed_kernel_must_have_its_place),
        cmocka_unit_test(test_a_kernel_before_2_10_goes_to_1_mib),
        cmocka_unit_test(test_fields_beyond_the_headers_end_read_as_zero),
        cmocka_unit_test(test_truncated_images_are_refused),
        cmocka_unit_test(test_headers_that_lie_are_refused),
        cmocka_unit_test(test_preferred_addresses_that_wrap_are_not_used),
        cmocka_unit_test(test_a_guest_without_low_memory_is_refused),
        cmocka_unit_test(test_an_unknown_image_is_refused_by_name),
    };

    return RUN_TESTS(tests);
}
