/*
 * Compressed kdump files, made here page by page as makedumpfile's "IMPLEMENTATION" describes them, flattened or not; and
 * those that lie.
 */
#include <endian.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/tools_image/registers.h"
#include "tools/image/kdump_child.h"

#define BLOCK            0x1000
#define PAGES            0x100 /* that the machine has */
#define BITMAP_BLOCKS    2     /* one for each of two maps */
#define DESCRIPTORS_AT   ((2 + BITMAP_BLOCKS) * (size_t)BLOCK)

/* Fields of the header, and of the one behind it, of 64-bit machines. */
#define VERSION_AT       8
#define MACHINE_AT       272
#define BLOCK_SIZE_AT    428
#define SUB_HEADER_AT    432
#define BITMAP_BLOCKS_AT 436
#define MAX_MAPNR_AT     440
#define CPUS_AT          460
#define KERNEL_AT        (BLOCK + 32)
#define NOTES_AT         (BLOCK + 48)
#define MAX_MAPNR_64_AT  (BLOCK + 96)

/* A page that the dump has. */
static const struct page {
    unsigned number;
    uint8_t value;
    bool compressed;
} pages[] = { { 0, 0x10, false }, { 1, 0x11, true }, { 7, 0x77, true }, { PAGES - 1, 0xFF, false } };

#define PAGE_COUNT (sizeof(pages) / sizeof(pages[0]))

static void put_bitmaps(struct bytes *dump)
{
    for (unsigned map = 0; map < BITMAP_BLOCKS; map++) {
        const size_t at = dump->size;

        put_fill(dump, 0, BLOCK);
        for (unsigned i = 0; i < PAGE_COUNT; i++)
            dump->data[at + pages[i].number / 8] |= (uint8_t)(1 << pages[i].number % 8);
    }
}

static void put_pages(struct bytes *dump)
{
    struct bytes content = { 0 };

    for (unsigned i = 0; i < PAGE_COUNT; i++) {
        const size_t at = DESCRIPTORS_AT + PAGE_COUNT * (size_t)24 + content.size;
        uint8_t page[BLOCK];
        uint8_t small[2 * (size_t)BLOCK];
        uLongf small_bytes = sizeof(small);

        memset(page, pages[i].value, sizeof(page));
        EXPECT_EQ(compress(small, &small_bytes, page, sizeof(page)), Z_OK);
        put_u64(dump, at);
        put_u32(dump, pages[i].compressed ? (uint32_t)small_bytes : BLOCK);
        put_u32(dump, pages[i].compressed ? 1 : 0);
        put_u64(dump, 0);
        put(&content, pages[i].compressed ? small : page, pages[i].compressed ? small_bytes : BLOCK);
    }
    put(dump, content.data, content.size);
    drop(&content);
}

/* A dump of a machine of 1 MiB with one processor of Linux, as QEMU would write it but not flattened. */
static struct bytes sound_dump(void)
{
    const struct qemu_state qemu = qemu_in_linux();
    struct bytes notes = { 0 };
    struct bytes dump = { 0 };

    put(&dump, "KDUMP   ", 8);
    put_zeros_to(&dump, 2 * (size_t)BLOCK);
    patch_u32(&dump, VERSION_AT, 6);
    memcpy(dump.data + MACHINE_AT, "x86_64", 6);
    patch_u32(&dump, BLOCK_SIZE_AT, BLOCK);
    patch_u32(&dump, SUB_HEADER_AT, 1);
    patch_u32(&dump, BITMAP_BLOCKS_AT, BITMAP_BLOCKS);
    patch_u32(&dump, MAX_MAPNR_AT, PAGES);
    patch_u32(&dump, CPUS_AT, 1);
    patch_u64(&dump, MAX_MAPNR_64_AT, PAGES);
    put_bitmaps(&dump);
    put_pages(&dump);
    put_qemu(&notes, &qemu);
    patch_u64(&dump, NOTES_AT, dump.size);
    patch_u64(&dump, NOTES_AT + 8, notes.size);
    put(&dump, notes.data, notes.size);
    drop(&notes);
    return dump;
}

static void put_big(struct bytes *bytes, uint64_t value)
{
    put_u64(bytes, htobe64(value));
}

/* @dump, which is dropped, in pieces of @piece bytes, the last first. */
static struct bytes flattened(struct bytes *dump, size_t piece)
{
    struct bytes flat = { 0 };

    put(&flat, "makedumpfile\0\0\0\0", 16);
    put_big(&flat, 1);
    put_big(&flat, 1);
    put_zeros_to(&flat, BLOCK);
    for (size_t at = (dump->size - 1) / piece * piece;; at -= piece) {
        const size_t size = dump->size - at < piece ? dump->size - at : piece;

        put_big(&flat, at);
        put_big(&flat, size);
        put(&flat, dump->data + at, size);
        if (at == 0)
            break;
    }
    put_big(&flat, UINT64_MAX);
    put_big(&flat, UINT64_MAX);
    drop(dump);
    return flat;
}

/* Expect the memory and the registers of sound_dump(). */
static void expect_sound(struct bytes *dump)
{
    struct image *const image = open_sound_bytes(dump);
    uint64_t value = 0;

    EXPECT_EQ(image->format, IMAGE_KDUMP);
    EXPECT_EQ(image->range_count, 3);
    EXPECT_EQ(image->ranges[0].size_bytes, 2 * (size_t)BLOCK);
    EXPECT(image->ranges[0].mapped == NULL);
    EXPECT_EQ(image->ranges[2].base, (PAGES - 1) * (uint64_t)BLOCK);
    for (unsigned i = 0; i < PAGE_COUNT; i++) {
        expect_byte(image, pages[i].number * (uint64_t)BLOCK, pages[i].value);
        expect_byte(image, pages[i].number * (uint64_t)BLOCK + BLOCK - 1, pages[i].value);
    }
    expect_byte(image, 2 * (size_t)BLOCK, -1);
    expect_byte(image, PAGES * (uint64_t)BLOCK, -1);
    EXPECT_EQ(image->ram.load(image->ram.context, BLOCK - 4, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x1111111110101010);
    EXPECT_EQ(image->ram.load(image->ram.context, 2 * (size_t)BLOCK - 4, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(image->processor_count, 1);
    EXPECT_EQ(image->processors[0].paging.cr3, 0x2C10000);
    EXPECT(image->processors[0].paging.efer & VMMU_X86_EFER_LMA);
    image_close(image);
    drop(dump);
}

static void test_pages_are_what_they_were_before_compression(void **state)
{
    struct bytes dump = sound_dump();

    (void)state;
    expect_sound(&dump);
}

static void test_a_flattened_dump_is_put_in_order(void **state)
{
    (void)state;
    for (size_t piece = 100; piece < 30000; piece *= 16) {
        struct bytes dump = sound_dump();
        struct bytes flat = flattened(&dump, piece);

        expect_sound(&flat);
    }
}

static void test_the_temporary_file_is_where_tmpdir_says(void **state)
{
    struct bytes dump = sound_dump();
    struct bytes flat = flattened(&dump, 1000);

    (void)state;
    EXPECT_EQ(setenv("TMPDIR", "/tmp/there/is/none", 1), 0);
    expect_refused(&flat, IMAGE_GUESS, "/tmp/there/is/none/vmmu-");
    EXPECT_EQ(unsetenv("TMPDIR"), 0);
    expect_sound(&flat);
}

static void test_a_flattened_dump_that_is_cut_off_or_lies_is_refused(void **state)
{
    struct bytes dump = sound_dump();
    struct bytes flat = flattened(&dump, 1000);

    (void)state;
    flat.size -= 16;
    expect_refused(&flat, IMAGE_GUESS, "without an end mark");
    flat.size += 8;
    expect_refused(&flat, IMAGE_GUESS, "without an end mark");
    flat.size = BLOCK;
    expect_refused(&flat, IMAGE_GUESS, "without an end mark");
    flat.size = BLOCK + 16 + 500;
    expect_refused(&flat, IMAGE_GUESS, "more than there are");
    drop(&flat);
    dump = sound_dump();
    flat = flattened(&dump, 1000);
    patch_u64(&flat, BLOCK, htobe64(INT64_MAX));
    expect_refused(&flat, IMAGE_GUESS, "where no file reaches");
    patch_u64(&flat, BLOCK, htobe64(0x7FFFFFFFFFFF0000));
    expect_refused(&flat, IMAGE_GUESS, "temporary file");
    patch_u64(&flat, BLOCK, htobe64(UINT64_MAX - 1));
    expect_refused(&flat, IMAGE_GUESS, "where no file reaches");
    drop(&flat);
}

static void test_a_flattened_file_of_something_else_is_refused(void **state)
{
    struct bytes dump = { 0 };
    struct bytes flat;

    (void)state;
    put_fill(&dump, 'x', 10000);
    flat = flattened(&dump, 4000);
    expect_refused(&flat, IMAGE_GUESS, "");
    drop(&flat);
}

static void test_headers_that_lie_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint64_t value;
        const char *words;
    } lies[] = {
        { BLOCK_SIZE_AT, 0x10000, "not x86, or its header lies" },
        { SUB_HEADER_AT, 0xFFFFFFFF, "2 blocks of maps of pages behind 4294967296 others" },
        { BITMAP_BLOCKS_AT, 0x7FFFFFFF, "2147483647 blocks of maps of pages behind 2 others" },
        { NOTES_AT, UINT64_MAX, "bytes of notes at" },
        { NOTES_AT + 8, UINT64_MAX, "bytes of notes at" },
        { NOTES_AT + 8, 0x100000, "bytes of notes at" },
        { KERNEL_AT, 0x10000000, "bytes of VMCOREINFO at" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct bytes dump = sound_dump();

        if (lies[i].at < BLOCK) {
            patch_u32(&dump, lies[i].at, (uint32_t)lies[i].value);
        } else {
            patch_u64(&dump, lies[i].at, lies[i].value);
        }
        expect_refused(&dump, IMAGE_GUESS, lies[i].words);
        drop(&dump);
    }
}

static void test_a_dump_that_ends_within_its_headers_is_refused(void **state)
{
    struct bytes dump = sound_dump();

    (void)state;
    dump.size = 8;
    expect_refused(&dump, IMAGE_GUESS, "ends within the headers");
    dump.size = 2 * (size_t)BLOCK - 1;
    expect_refused(&dump, IMAGE_GUESS, "ends within the headers");
    drop(&dump);
}

static void test_pages_that_cannot_be_read_are_absent(void **state)
{
    struct bytes dump = sound_dump();
    struct image *image;

    (void)state;
    /* page 1 is no zlib stream; page 7 is beyond the file */
    patch_u64(&dump, DESCRIPTORS_AT + 24, 0);
    patch_u64(&dump, DESCRIPTORS_AT + 48, UINT64_C(1) << 40);
    image = open_sound_bytes(&dump);
    expect_byte(image, 0, 0x10);
    expect_byte(image, BLOCK, -1);
    expect_byte(image, 7 * (uint64_t)BLOCK, -1);
    expect_byte(image, 7 * (uint64_t)BLOCK, -1);
    image_close(image);
    drop(&dump);
}

static void test_a_libkdumpfile_that_crashes_is_a_page_that_is_broken(void **state)
{
    struct bytes dump = sound_dump();
    const int file = file_of(&dump);
    struct kdump_child child = { .socket = -1 };
    struct image_memory memory = { 0 };
    struct complaint complaint = { .text = "" };
    uint8_t page[BLOCK];

    (void)state;
    EXPECT(kdump_child_start(&child, file, &memory, &complaint));
    EXPECT_EQ(memory.count, 3);
    EXPECT_EQ(kdump_child_read(&child, BLOCK, page, &complaint), KDUMP_PAGE_THERE);
    EXPECT_EQ(page[BLOCK - 1], 0x11);
    EXPECT_EQ(kdump_child_read(&child, 3 * (uint64_t)BLOCK, page, &complaint), KDUMP_PAGE_EXCLUDED);
    EXPECT_EQ(kill(child.pid, SIGSEGV), 0);
    EXPECT_EQ(kdump_child_read(&child, BLOCK, page, &complaint), KDUMP_PAGE_BROKEN);
    EXPECT(strstr(complaint.text, "crashes on it (Segmentation fault)") != NULL);
    EXPECT_EQ(kdump_child_read(&child, BLOCK, page, &complaint), KDUMP_PAGE_BROKEN);
    EXPECT(strstr(complaint.text, "given up before") != NULL);
    kdump_child_stop(&child);
    image_memory_free(&memory);
    EXPECT_EQ(close(file), 0);
    drop(&dump);
}

static void test_linux_tables_are_found_by_the_kernels_words_in_the_header(void **state)
{
    static const char words[] = "SYMBOL(swapper_pg_dir)=ffffffff82a10000\nNUMBER(phys_base)=0\n";
    struct bytes dump = sound_dump();
    struct image *image;

    (void)state;
    patch_u64(&dump, NOTES_AT + 8, 0);
    patch_u64(&dump, KERNEL_AT, dump.size);
    patch_u64(&dump, KERNEL_AT + 8, sizeof(words) - 1);
    put(&dump, words, sizeof(words) - 1);
    image = open_sound_bytes(&dump);
    EXPECT_EQ(image->processor_count, 1);
    EXPECT_EQ(image->processors[0].paging.cr3, 0x2A10000);
    image_close(image);
    drop(&dump);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_what_they_were_before_compression),
        cmocka_unit_test(test_a_flattened_dump_is_put_in_order),
        cmocka_unit_test(test_the_temporary_file_is_where_tmpdir_says),
        cmocka_unit_test(test_a_flattened_dump_that_is_cut_off_or_lies_is_refused),
        cmocka_unit_test(test_a_flattened_file_of_something_else_is_refused),
        cmocka_unit_test(test_headers_that_lie_are_refused),
        cmocka_unit_test(test_a_dump_that_ends_within_its_headers_is_refused),
        cmocka_unit_test(test_pages_that_cannot_be_read_are_absent),
        cmocka_unit_test(test_a_libkdumpfile_that_crashes_is_a_page_that_is_broken),
        cmocka_unit_test(test_linux_tables_are_found_by_the_kernels_words_in_the_header),
    };

    return RUN_TESTS(tests);
}
