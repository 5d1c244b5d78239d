/* System V ABI "ELF Header", "Program Header"; Multiboot Specification 0.6.96. */
#include "tests/unit/guest/room.h"
#include "tests/unit/test.h"

#include <string.h>

struct loaded {
    struct room room;
    struct image image;
    struct guest_boot boot;
    struct guest_start start;
    const char *error;
};

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
}

/* Text at 2 MiB, data with bss at 3 MiB; linked high, as a kernel is. */
static const struct segment_spec kernel_segments[2] = {
    { UINT64_C(0xFFFFFFFF80200000), 0x200000, 0x1000, 0x1000 },
    { UINT64_C(0xFFFFFFFF80300000), 0x300000, 0x800, 0x3000 },
};

static struct loaded vmlinux(void)
{
    return (struct loaded){ .room = room_open(8 * MIB),
                            .image = elf_image(true, 0x200040, kernel_segments, 2) };
}

/* The same for a 32-bit multiboot kernel: the header comes first in the text segment. */
static const struct segment_spec multiboot_segments[2] = {
    { 0x400000, 0x400000, 0x1000, 0x1000 },
    { 0x402000, 0x402000, 0x400, 0x2000 },
};

static struct loaded multiboot(uint32_t flags)
{
    struct loaded l = { .room = room_open(8 * MIB),
                        .image = elf_image(false, 0x400010, multiboot_segments, 2) };

    set_multiboot(&l.image, elf_header_at(false, 2), flags, NULL);
    l.boot.command_line = "first second";
    return l;
}

/* --- vmlinux --- */

static void test_segments_go_to_their_physical_addresses_and_bss_is_zero(void **state)
{
    struct loaded l = vmlinux();

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.room.bytes[0x200000], 1);
    EXPECT_EQ(l.room.bytes[0x200FFF], 1);
    EXPECT_EQ(l.room.bytes[0x3007FF], 2);
    for (unsigned i = 0x300800; i < 0x303000; i++) {
        EXPECT_EQ(l.room.bytes[i], 0);
    }
    EXPECT_EQ(l.room.bytes[0x303000], 0xA5);
    finish(&l);
}

static void test_a_vmlinux_is_entered_in_64_bit_mode_with_boot_parameters(void **state)
{
    struct loaded l = vmlinux();
    const uint8_t disk[3] = { 7, 8, 9 };

    (void)state;
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ .bytes = disk, .size = sizeof(disk) };
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_LONG64);
    EXPECT_EQ(l.start.rip, 0x200040);
    EXPECT_EQ(at32(&l.room, l.start.rsi + 0x202), 0x53726448);
    EXPECT_EQ(at16(&l.room, l.start.rsi + 0x1FE), 0xAA55);
    EXPECT_EQ(l.room.bytes[l.start.rsi + 0x210], 0xFF);
    EXPECT_EQ(at32(&l.room, l.start.rsi + 0x21C), 3);
    EXPECT_EQ(l.room.bytes[at32(&l.room, l.start.rsi + 0x218)], 7);
    EXPECT(l.room.bytes[l.start.rsi + 0x1E8] >= 3);
    finish(&l);
}

static void test_a_virtual_entry_point_is_translated_through_its_segment(void **state)
{
    struct loaded l = vmlinux();

    (void)state;
    set64(&l.image, 24, UINT64_C(0xFFFFFFFF80200123));
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.rip, 0x200123);
    finish(&l);
}

static void test_an_entry_point_outside_the_segments_is_refused(void **state)
{
    static const uint64_t entries[] = { 0, 0x201000, 0x300900, UINT64_C(0xFFFFFFFF80300800), UINT64_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        struct loaded l = vmlinux();

        set64(&l.image, 24, entries[i]);
        expect_refused(&l);
        finish(&l);
    }
}

static void test_segments_that_overlap_or_are_not_in_memory_are_refused(void **state)
{
    static const uint64_t addresses[] = {
        0x200800,                     /* over the first segment */
        0x1FE000,                     /* its bss over the first segment */
        0x9F000,                      /* into the hole below 1 MiB */
        0xB8000,                      /* in the hole */
        0x1000,                       /* on the loader's own tables */
        0,                            /* likewise */
        0x7FE000,                     /* across the end of memory */
        0x800000,                     /* beyond it */
        UINT64_C(0x100000000),        /* far beyond */
        UINT64_C(0xFFFFFFFFFFFFE000), /* around the end of the address space */
        UINT64_MAX,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct loaded l = vmlinux();

        set64(&l.image, elf_header_at(true, 1) + 24, addresses[i]);
        expect_refused(&l);
        finish(&l);
    }
}

static void test_sizes_and_offsets_that_lie_are_refused(void **state)
{
    static const struct {
        unsigned at; /* in the second program header */
        uint64_t value;
    } lies[] = {
        { 8, UINT64_MAX },                                 /* p_offset */
        { 8, 0x7FFFFFFF },      { 8, UINT64_MAX - 0x7FF }, /* p_offset + p_filesz wraps */
        { 32, 0x3001 },                                    /* p_filesz above p_memsz */
        { 32, 0x2000 },                                    /* p_filesz beyond the file */
        { 40, UINT64_MAX },                                /* p_memsz */
        { 40, 0x400000000000 }, { 40, 0x7FF },             /* p_memsz below p_filesz */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct loaded l = vmlinux();

        set64(&l.image, elf_header_at(true, 1) + lies[i].at, lies[i].value);
        expect_refused(&l);
        finish(&l);
    }
}

static void test_elf_headers_that_lie_are_refused(void **state)
{
    static const struct {
        unsigned at;
        unsigned bytes;
        uint64_t value;
    } lies[] = {
        { 4, 1, 3 },                /* class */
        { 5, 1, 2 },                /* big-endian */
        { 16, 2, 1 },               /* relocatable object */
        { 16, 2, 3 },               /* shared object */
        { 18, 2, 3 },               /* machine: i386 in the wide class */
        { 18, 2, 183 },             /* another processor */
        { 32, 8, UINT64_MAX },      /* e_phoff */
        { 32, 8, UINT64_MAX - 55 }, /* e_phoff that wraps with its size */
        { 32, 8, 0x100000 },
        { 54, 2, 55 },     /* e_phentsize too small */
        { 54, 2, 0xFFFF }, /* e_phentsize beyond the file */
        { 56, 2, 0 },      /* no program headers */
        { 56, 2, 0xFFFF }, /* too many */
        { 64, 4, 2 },      /* first segment not to be loaded: the entry is nowhere */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct loaded l = vmlinux();

        set_bytes(&l.image, lies[i].at, lies[i].value, lies[i].bytes);
        expect_refused(&l);
        finish(&l);
    }
}

static void test_an_elf_without_loadable_segments_is_refused(void **state)
{
    struct loaded l = vmlinux();

    (void)state;
    set32(&l.image, elf_header_at(true, 0), 4);
    set32(&l.image, elf_header_at(true, 1), 4);
    expect_refused(&l);
    EXPECT(l.error != NULL && strstr(l.error, "nothing to load") != NULL);
    finish(&l);
}

static void test_truncated_elf_files_are_refused(void **state)
{
    struct loaded whole = vmlinux();

    (void)state;
    for (uint64_t size = 0; size < whole.image.size; size += size < 200 ? 1 : 97) {
        struct loaded l = { .room = whole.room, .image = image_cut(&whole.image, size) };

        expect_refused(&l);
        image_free(&l.image);
    }
    finish(&whole);
}

/* --- multiboot --- */

static void test_a_multiboot_kernel_starts_in_protected_mode_with_the_magic(void **state)
{
    struct loaded l = multiboot(0);

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_PROTECTED32);
    EXPECT_EQ(l.start.rax, 0x2BADB002);
    EXPECT_EQ(l.start.rip, 0x400010);
    EXPECT_EQ(l.start.cr0 & 0x80000001, 1);
    EXPECT_EQ(at64(&l.room, l.start.gdt_base + l.start.code_selector), UINT64_C(0x00CF9B000000FFFF));
    EXPECT_EQ(at64(&l.room, l.start.gdt_base + l.start.data_selector), UINT64_C(0x00CF93000000FFFF));
    EXPECT_EQ(l.room.bytes[0x402000], 2);
    EXPECT_EQ(l.room.bytes[0x402400], 0);
    finish(&l);
}

static void test_the_information_tells_of_memory_command_line_and_loader(void **state)
{
    struct loaded l = multiboot(3);
    uint64_t info;
    uint64_t entry;

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    info = l.start.rbx;
    EXPECT_EQ(at32(&l.room, info) & 0x24D, 0x24D); /* memory, command line, modules, map, loader's name */
    EXPECT_EQ(at32(&l.room, info) & ~0x24Du, 0);
    EXPECT_EQ(at32(&l.room, info + 4), 639);
    EXPECT_EQ(at32(&l.room, info + 8), 7 * 1024);
    assert_string_equal((const char *)l.room.bytes + at32(&l.room, info + 16), "first second");
    EXPECT(strlen((const char *)l.room.bytes + at32(&l.room, info + 64)) > 0);
    EXPECT_EQ(at32(&l.room, info + 20), 0); /* no modules */
    entry = at32(&l.room, info + 48);
    EXPECT_EQ(at32(&l.room, info + 44), 24 * l.room.layout.entries);
    for (unsigned i = 0; i < l.room.layout.entries; i++, entry += 24) {
        EXPECT_EQ(at32(&l.room, entry), 20); /* the size field does not count itself */
        EXPECT_EQ(at64(&l.room, entry + 4), l.room.layout.e820[i].base);
        EXPECT_EQ(at64(&l.room, entry + 12), l.room.layout.e820[i].size);
        EXPECT_EQ(at32(&l.room, entry + 20), l.room.layout.e820[i].type);
    }
    finish(&l);
}

static void test_modules_follow_the_image_on_pages_of_their_own(void **state)
{
    struct loaded l = multiboot(1);
    static uint8_t one[5000];
    static const uint8_t two[3] = { 2, 2, 2 };
    uint64_t record;

    (void)state;
    memset(one, 1, sizeof(one));
    l.boot.modules = 3;
    l.boot.module[0] = (struct guest_blob){ .bytes = one, .size = sizeof(one), .command_line = "one 1" };
    l.boot.module[1] = (struct guest_blob){ .bytes = NULL, .size = 0, .command_line = NULL };
    l.boot.module[2] = (struct guest_blob){ .bytes = two, .size = sizeof(two), .command_line = "two" };
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(at32(&l.room, l.start.rbx + 20), 3);
    record = at32(&l.room, l.start.rbx + 24);
    EXPECT_EQ(at32(&l.room, record), 0x404000);
    EXPECT_EQ(at32(&l.room, record + 4), 0x404000 + sizeof(one));
    assert_string_equal((const char *)l.room.bytes + at32(&l.room, record + 8), "one 1");
    assert_memory_equal(l.room.bytes + 0x404000, one, sizeof(one));
    EXPECT_EQ(at32(&l.room, record + 16), at32(&l.room, record + 20)); /* an empty module */
    EXPECT_EQ(l.room.bytes[at32(&l.room, record + 24)], 0);
    EXPECT_EQ(at32(&l.room, record + 32), 0x406000);
    EXPECT_EQ(at32(&l.room, record + 36), 0x406003);
    EXPECT_EQ(at32(&l.room, record + 12) | at32(&l.room, record + 28), 0);
    finish(&l);
}

static void test_modules_that_do_not_fit_are_refused(void **state)
{
    struct loaded l = multiboot(0);
    static uint8_t big[4 << 20];

    (void)state;
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ .bytes = big, .size = sizeof(big) };
    expect_refused(&l);
    l.boot.module[0].size = UINT64_MAX;
    expect_refused(&l);
    l.boot.modules = GUEST_MODULES + 1;
    expect_refused(&l);
    finish(&l);
}

static void test_command_lines_that_do_not_fit_are_refused(void **state)
{
    struct loaded l = multiboot(0);
    static char text[70000];
    static const uint8_t byte = 1;

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    l.boot.command_line = text;
    expect_refused(&l);
    l.boot.command_line = "";
    l.boot.modules = 1;
    l.boot.module[0] = (struct guest_blob){ .bytes = &byte, .size = 1, .command_line = text };
    expect_refused(&l);
    finish(&l);
}

static void test_a_wish_for_a_video_mode_or_something_unknown_is_refused(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        struct loaded l = multiboot(UINT32_C(1) << bit);
        const bool mandatory_and_unknown = bit >= 2 && bit <= 15;

        if (mandatory_and_unknown) {
            expect_refused(&l);
        } else if (bit != 16) {
            EXPECT_EQ(load(&l), VMMU_OK);
        }
        finish(&l);
    }
}

static void test_a_header_with_a_wrong_checksum_or_too_late_is_no_header(void **state)
{
    struct loaded l = multiboot(0);

    (void)state;
    set32(&l.image, elf_header_at(false, 2) + 8, 1);
    EXPECT_EQ(guest_format_of(&(struct guest_blob){ .bytes = l.image.bytes, .size = l.image.size }),
              GUEST_FORMAT_UNKNOWN);
    l.boot.kernel = blob_of(&l.image);
    EXPECT_EQ(guest_load_multiboot(&l.room.memory, &l.room.layout, &l.boot, &l.start, &l.error),
              VMMU_INVALID);
    finish(&l);

    static uint8_t late[16384];
    struct image image = { late, sizeof(late) };

    set_multiboot(&image, 8192 - 12, 0, NULL);
    EXPECT_EQ(guest_format_of(&(struct guest_blob){ .bytes = late, .size = sizeof(late) }),
              GUEST_FORMAT_MULTIBOOT);
    memset(late, 0, sizeof(late));
    set_multiboot(&image, 8192 - 8, 0, NULL);
    EXPECT_EQ(guest_format_of(&(struct guest_blob){ .bytes = late, .size = sizeof(late) }),
              GUEST_FORMAT_UNKNOWN);
    memset(late, 0, sizeof(late));
    set_multiboot(&image, 6, 0, NULL); /* headers are 4-byte aligned */
    EXPECT_EQ(guest_format_of(&(struct guest_blob){ .bytes = late, .size = sizeof(late) }),
              GUEST_FORMAT_UNKNOWN);
}

static void test_a_32_bit_elf_for_another_processor_is_refused(void **state)
{
    struct loaded l = multiboot(0);

    (void)state;
    set16(&l.image, 18, 20);
    expect_refused(&l);
    finish(&l);
}

/* A flat image of 0x600 bytes whose header at 0x40 loads the file from 0x20 on to 0x300020. */
static struct loaded flat(const uint32_t addresses[5])
{
    static const struct segment_spec filler = { 0, 0, 0x600 - 84, 0x600 };
    struct loaded l = { .room = room_open(8 * MIB), .image = elf_image(false, 0, &filler, 1) };

    memset(l.image.bytes, 0x77, l.image.size);
    set_multiboot(&l.image, 0x40, 0x10000, addresses);
    return l;
}

static void test_a_flat_image_is_loaded_by_its_address_fields(void **state)
{
    /* header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr */
    static const uint32_t addresses[5] = { 0x300040, 0x300020, 0x300500, 0x300700, 0x300100 };
    struct loaded l = flat(addresses);

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.rip, 0x300100);
    EXPECT_EQ(at32(&l.room, 0x300040), 0x1BADB002);
    EXPECT_EQ(l.room.bytes[0x30001F], 0xA5);
    EXPECT_EQ(l.room.bytes[0x3004FF], 0x77);
    EXPECT_EQ(l.room.bytes[0x300500], 0);
    EXPECT_EQ(l.room.bytes[0x3006FF], 0);
    EXPECT_EQ(l.room.bytes[0x300700], 0xA5);
    finish(&l);
}

static void test_a_flat_image_without_ends_is_the_whole_file(void **state)
{
    static const uint32_t addresses[5] = { 0x300040, 0x300000, 0, 0, 0x300100 };
    struct loaded l = flat(addresses);

    (void)state;
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.room.bytes[0x3005FF], 0x77);
    EXPECT_EQ(l.room.bytes[0x300600], 0xA5);
    finish(&l);
}

static void test_address_fields_that_lie_are_refused(void **state)
{
    static const uint32_t lies[][5] = {
        { 0x300040, 0x300041, 0, 0, 0x300100 },                 /* loaded from behind the header */
        { 0x300040, 0x2FFFF0, 0, 0, 0x300100 },                 /* from before the file */
        { 0x300040, 0x300020, 0x300010, 0, 0x300100 },          /* ends before it begins */
        { 0x300040, 0x300020, 0x300020, 0x300700, 0x300020 },   /* nothing to load */
        { 0x300040, 0x300020, 0x300700, 0, 0x300100 },          /* beyond the file */
        { 0x300040, 0x300020, 0x300500, 0x300400, 0x300100 },   /* memory ends before data */
        { 0x300040, 0x300020, 0x300500, 0x300700, 0x300500 },   /* entry behind the data */
        { 0x300040, 0x300020, 0x300500, 0x300700, 0x30001F },   /* entry before it */
        { 0x300040, 0x300020, 0x300500, 0xFFFFFFFF, 0x300100 }, /* more memory than there is */
        { 0x0A0040, 0x0A0020, 0x0A0500, 0x0A0700, 0x0A0100 },   /* in the hole */
        { 0x001040, 0x001020, 0x001500, 0x001700, 0x001100 },   /* on the loader's tables */
        { 0xFFFFFFF0, 0xFFFFFFD0, 0, 0, 0xFFFFFFE0 },           /* around 4 GiB */
        { 0x20, 0x40, 0, 0, 0x100 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct loaded l = flat(lies[i]);

        expect_refused(&l);
        finish(&l);
    }
}

static void test_address_fields_beyond_the_file_are_refused(void **state)
{
    static const uint32_t addresses[5] = { 0x300040, 0x300020, 0, 0, 0x300100 };
    struct loaded l = flat(addresses);
    struct loaded cut = { .room = l.room, .image = image_cut(&l.image, 0x40 + 31) };

    (void)state;
    expect_refused(&cut);
    image_free(&cut.image);
    finish(&l);
}

static void test_a_64_bit_elf_with_a_multiboot_header_is_loaded_by_physical_address(void **state)
{
    struct loaded l = vmlinux();

    (void)state;
    set_multiboot(&l.image, elf_header_at(true, 2), 0, NULL);
    EXPECT_EQ(load(&l), VMMU_OK);
    EXPECT_EQ(l.start.kind, GUEST_START_PROTECTED32);
    EXPECT_EQ(l.start.rip, 0x200040);
    finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_go_to_their_physical_addresses_and_bss_is_zero),
        cmocka_unit_test(test_a_vmlinux_is_entered_in_64_bit_mode_with_boot_parameters),
        cmocka_unit_test(test_a_virtual_entry_point_is_translated_through_its_segment),
        cmocka_unit_test(test_an_entry_point_outside_the_segments_is_refused),
        cmocka_unit_test(test_segments_that_overlap_or_are_not_in_memory_are_refused),
        cmocka_unit_test(test_sizes_and_offsets_that_lie_are_refused),
        cmocka_unit_test(test_elf_headers_that_lie_are_refused),
        cmocka_unit_test(test_an_elf_without_loadable_segments_is_refused),
        cmocka_unit_test(test_truncated_elf_files_are_refused),
        cmocka_unit_test(test_a_multiboot_kernel_starts_in_protected_mode_with_the_magic),
        cmocka_unit_test(test_the_information_tells_of_memory_command_line_and_loader),
        cmocka_unit_test(test_modules_follow_the_image_on_pages_of_their_own),
        cmocka_unit_test(test_modules_that_do_not_fit_are_refused),
        cmocka_unit_test(test_command_lines_that_do_not_fit_are_refused),
        cmocka_unit_test(test_a_wish_for_a_video_mode_or_something_unknown_is_refused),
        cmocka_unit_test(test_a_header_with_a_wrong_checksum_or_too_late_is_no_header),
        cmocka_unit_test(test_a_32_bit_elf_for_another_processor_is_refused),
        cmocka_unit_test(test_a_flat_image_is_loaded_by_its_address_fields),
        cmocka_unit_test(test_a_flat_image_without_ends_is_the_whole_file),
        cmocka_unit_test(test_address_fields_that_lie_are_refused),
        cmocka_unit_test(test_address_fields_beyond_the_file_are_refused),
        cmocka_unit_test(test_a_64_bit_elf_with_a_multiboot_header_is_loaded_by_physical_address),
    };

    return RUN_TESTS(tests);
}
