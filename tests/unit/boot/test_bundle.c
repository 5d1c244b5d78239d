/*
 * The bundle of modules: a cpio archive of the new ASCII format, and everything that may be wrong with one.
 */
#include "tests/unit/test.h"

#include "hv/boot/bundle.h"

#include <stdlib.h>
#include <string.h>

#define ARCHIVE_BYTES 65536
#define BASE          UINT64_C(0x2300000)
#define REGULAR       0100644
#define DIRECTORY     0040755
#define LINK          0120777
#define HEADER_BYTES  110

static const char no_archive[] = "the bundle is no cpio archive of the new ASCII format, or is cut short";

/* An archive as a person makes one. */
struct archive {
    uint8_t bytes[ARCHIVE_BYTES];
    size_t used;
};

static struct archive archive;
static struct boot_info info;

static int set_up(void **state)
{
    (void)state;
    memset(&archive, 0, sizeof(archive));
    memset(&info, 0, sizeof(info));
    return 0;
}

static void pad(void)
{
    archive.used = (archive.used + 3) & ~(size_t)3;
}

/* Where the member's header lies. */
static size_t add(const char *name, unsigned mode, const void *content, size_t size_bytes)
{
    const size_t at = archive.used;
    char *const text = (char *)archive.bytes;
    archive.used += (size_t)sprintf(text + at, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X",
                                    1, mode, 0, 0, 1, 0, size_bytes, 8, 1, 0, 0, strlen(name) + 1, 0);
    memcpy(archive.bytes + archive.used, name, strlen(name) + 1);
    archive.used += strlen(name) + 1;
    pad();
    if (size_bytes != 0) {
        memcpy(archive.bytes + archive.used, content, size_bytes);
    }
    archive.used += size_bytes;
    pad();
    return at;
}

static void end(void)
{
    (void)add("TRAILER!!!", 0, NULL, 0);
}

/* Read the first @size_bytes of the archive, from a block in which a step beyond is seen. */
static const char *read_part(size_t size_bytes)
{
    uint8_t *const bytes = malloc(size_bytes != 0 ? size_bytes : 1);
    memcpy(bytes, archive.bytes, size_bytes);
    memset(&info, 0, sizeof(info));
    const char *const error = bundle_read(bytes, size_bytes, (vmmu_hpa){ BASE }, &info);
    free(bytes);
    return error;
}

static const char *read_all(void)
{
    return read_part(archive.used);
}

static void expect_error(const char *error, const char *expected)
{
    EXPECT(error != NULL);
    assert_string_equal(error, expected);
}

static void test_each_file_is_a_module_named_by_its_words_in_order(void **state)
{
    (void)state;
    (void)add("kernel partition=0 -- console=ttyS0", REGULAR, "abcde", 5);
    const size_t second = add("initrd", REGULAR, "xyz", 3);
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.module_count, 2);
    assert_string_equal(info.modules[0].words, "kernel partition=0 -- console=ttyS0");
    EXPECT_EQ(info.modules[0].size_bytes, 5);
    EXPECT_EQ(info.modules[0].base.v, BASE + 148); // 110 and 36 bytes of name, to a multiple of four
    assert_string_equal(info.modules[1].words, "initrd");
    EXPECT_EQ(info.modules[1].size_bytes, 3);
    EXPECT_EQ(info.modules[1].base.v, BASE + second + 120);
    EXPECT(memcmp(archive.bytes + (info.modules[1].base.v - BASE), "xyz", 3) == 0);
}

static void test_words_are_copied_out_of_the_archive(void **state)
{
    (void)state;
    (void)add("kernel", REGULAR, "k", 1);
    end();
    EXPECT(bundle_read(archive.bytes, archive.used, (vmmu_hpa){ BASE }, &info) == NULL);
    memset(archive.bytes, 0xff, sizeof(archive.bytes));
    assert_string_equal(info.modules[0].words, "kernel");
    EXPECT(info.modules[0].words == info.text);
}

static void test_an_empty_file_is_a_module_of_no_bytes(void **state)
{
    (void)state;
    (void)add("initrd", REGULAR, NULL, 0);
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.module_count, 1);
    EXPECT_EQ(info.modules[0].size_bytes, 0);
}

static void test_an_empty_archive_has_no_modules(void **state)
{
    (void)state;
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.module_count, 0);
}

static void test_folders_and_links_are_no_modules(void **state)
{
    (void)state;
    (void)add(".", DIRECTORY, NULL, 0);
    (void)add("kernel", REGULAR, "k", 1);
    (void)add("elsewhere", LINK, "kernel", 6);
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.module_count, 1);
    assert_string_equal(info.modules[0].words, "kernel");
}

static void test_what_follows_the_trailer_is_not_looked_at(void **state)
{
    (void)state;
    (void)add("kernel", REGULAR, "k", 1);
    end();
    memset(archive.bytes + archive.used, 0xee, 512);
    archive.used += 512;
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.module_count, 1);
}

static void test_the_format_with_checksums_will_do(void **state)
{
    (void)state;
    const size_t at = add("kernel", REGULAR, "k", 1);
    archive.bytes[at + 5] = '2';
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.module_count, 1);
}

static void test_small_letters_are_digits_too(void **state)
{
    (void)state;
    static const uint8_t content[0xab] = { 1 };
    const size_t at = add("kernel", REGULAR, content, sizeof(content));
    memcpy(archive.bytes + at + 54, "000000ab", 8);
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.modules[0].size_bytes, 0xab);
}

static void test_other_formats_are_refused(void **state)
{
    (void)state;
    const size_t at = add("kernel", REGULAR, "k", 1);
    end();
    memcpy(archive.bytes + at, "070707", 6);
    expect_error(read_all(), no_archive);
    memset(archive.bytes + at, 0, 6);
    expect_error(read_all(), no_archive);
}

static void test_an_archive_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    (void)add("kernel -- a b c", REGULAR, "0123456789", 10);
    end();
    // The last name's NUL ends it; padding behind it may be missing.
    for (size_t size = 0; size < HEADER_BYTES + 16 + 2 + 12 + HEADER_BYTES + 11; size++) {
        expect_error(read_part(size), no_archive);
    }
    EXPECT(read_part(HEADER_BYTES + 16 + 2 + 12 + HEADER_BYTES + 11) == NULL);
}

static void test_an_archive_without_a_trailer_is_refused(void **state)
{
    (void)state;
    (void)add("kernel", REGULAR, "k", 1);
    expect_error(read_all(), no_archive);
}

static void test_a_number_that_is_none_is_refused(void **state)
{
    (void)state;
    static const unsigned numbers[] = { 14, 54, 94 }; // mode, content's size, name's size
    static const char wrong[] = { ' ', 'g', '/', ':', '@', '`', '\0', (char)0xff };
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < sizeof(wrong); j++) {
            (void)set_up(NULL);
            const size_t at = add("kernel", REGULAR, "k", 1);
            end();
            archive.bytes[at + numbers[i]] = (uint8_t)wrong[j];
            expect_error(read_all(), no_archive);
        }
    }
}

static void test_a_name_without_its_end_is_refused(void **state)
{
    (void)state;
    const size_t at = add("kernel", REGULAR, "k", 1);
    end();
    archive.bytes[at + HEADER_BYTES + 6] = 'x';
    expect_error(read_all(), no_archive);
    archive.bytes[at + HEADER_BYTES + 6] = '\0';
    memcpy(archive.bytes + at + 94, "00000000", 8);
    expect_error(read_all(), no_archive);
}

static void test_sizes_beyond_the_archive_are_refused(void **state)
{
    (void)state;
    static const char *const sizes[] = { "FFFFFFFF", "FFFFFFF0", "80000000", "00001000" };
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned field = 54; field <= 94; field += 40) {
            (void)set_up(NULL);
            const size_t at = add("kernel", REGULAR, "k", 1);
            end();
            memcpy(archive.bytes + at + field, sizes[i], 8);
            expect_error(read_all(), no_archive);
        }
    }
}

static void test_more_modules_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= BOOT_MODULES_MAX; i++) {
        (void)add("initrd", REGULAR, "x", 1);
    }
    end();
    expect_error(read_all(), "the bundle has more modules than the hypervisor takes");
    EXPECT_EQ(info.module_count, BOOT_MODULES_MAX);
}

static void test_names_longer_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    static char name[BOOT_TEXT_BYTES + 1];
    memset(name, 'n', sizeof(name) - 1);
    (void)add(name, REGULAR, "x", 1);
    end();
    expect_error(read_all(), "the names in the bundle are longer than the hypervisor has room for");
    EXPECT_EQ(info.module_count, 0);

    (void)set_up(NULL);
    name[BOOT_TEXT_BYTES - 1] = '\0';
    (void)add(name, REGULAR, "x", 1);
    end();
    EXPECT(read_all() == NULL);
    EXPECT_EQ(info.text_used_bytes, BOOT_TEXT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_file_is_a_module_named_by_its_words_in_order, set_up),
        cmocka_unit_test_setup(test_words_are_copied_out_of_the_archive, set_up),
        cmocka_unit_test_setup(test_an_empty_file_is_a_module_of_no_bytes, set_up),
        cmocka_unit_test_setup(test_an_empty_archive_has_no_modules, set_up),
        cmocka_unit_test_setup(test_folders_and_links_are_no_modules, set_up),
        cmocka_unit_test_setup(test_what_follows_the_trailer_is_not_looked_at, set_up),
        cmocka_unit_test_setup(test_the_format_with_checksums_will_do, set_up),
        cmocka_unit_test_setup(test_small_letters_are_digits_too, set_up),
        cmocka_unit_test_setup(test_other_formats_are_refused, set_up),
        cmocka_unit_test_setup(test_an_archive_cut_short_anywhere_is_refused, set_up),
        cmocka_unit_test_setup(test_an_archive_without_a_trailer_is_refused, set_up),
        cmocka_unit_test_setup(test_a_number_that_is_none_is_refused, set_up),
        cmocka_unit_test_setup(test_a_name_without_its_end_is_refused, set_up),
        cmocka_unit_test_setup(test_sizes_beyond_the_archive_are_refused, set_up),
        cmocka_unit_test_setup(test_more_modules_than_there_is_room_for_are_refused, set_up),
        cmocka_unit_test_setup(test_names_longer_than_there_is_room_for_are_refused, set_up),
    };
    return RUN_TESTS(tests);
}
