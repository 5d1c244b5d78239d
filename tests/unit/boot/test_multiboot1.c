/*
 * Multiboot 1 boot information: what the specification lays down, and what a hostile loader could make of it.
 */
#include "tests/unit/boot/loader.h"
#include "tests/unit/test.h"

#include <string.h>

/* "Boot information format": offsets and flags. */
enum {
    FLAGS = 0,
    LOWER = 4,
    UPPER = 8,
    COMMAND = 16,
    MODULE_COUNT = 20,
    MODULES = 24,
    MAP_BYTES = 44,
    MAP = 48
};
enum { LOADER_NAME = 64 };
enum { HAS_SIZES = 1 << 0, HAS_COMMAND = 1 << 2, HAS_MODULES = 1 << 3, HAS_MAP = 1 << 6, HAS_NAME = 1 << 9 };

#define MAGIC    0x2badb002
#define MAP_AT   (LOADER_BASE + 0x400)
#define TABLE_AT (LOADER_BASE + 0x2000)

static struct loader loader;
static struct boot_info info;

static int set_up(void **state)
{
    (void)state;
    loader_open(&loader);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loader_close(&loader);
    return 0;
}

static void set(uint32_t offset, uint32_t value)
{
    loader_put32(&loader, LOADER_BASE + offset, value);
}

static enum boot_outcome read_info(void)
{
    const struct boot_window window = loader_window(&loader);
    return boot_read(MAGIC, LOADER_BASE, &window, &info);
}

static void put_module(unsigned index, uint32_t start, uint32_t end, uint32_t text)
{
    const uint32_t at = TABLE_AT + index * 16;
    loader_put32(&loader, at, start);
    loader_put32(&loader, at + 4, end);
    loader_put32(&loader, at + 8, text);
}

static void use_map(uint32_t count)
{
    set(MAP, MAP_AT);
    set(MAP_BYTES, count * 24);
}

static void test_another_magic_number_is_no_multiboot(void **state)
{
    (void)state;
    const struct boot_window window = loader_window(&loader);
    EXPECT_EQ(boot_read(0x2badb001, LOADER_BASE, &window, &info), BOOT_UNKNOWN_LOADER);
    EXPECT_EQ(boot_read(0, LOADER_BASE, &window, &info), BOOT_UNKNOWN_LOADER);
}

static void test_types_of_the_memory_map_become_kinds(void **state)
{
    (void)state;
    set(FLAGS, HAS_MAP);
    use_map(7);
    for (uint32_t type = 0; type < 7; type++) {
        loader_put_map1(&loader, MAP_AT + type * 24, UINT64_C(0x100000000) * (type + 1), 0x1000, type);
    }
    EXPECT_EQ(read_info(), BOOT_FOUND);
    static const enum boot_region_kind kinds[7] = {
        BOOT_REGION_RESERVED, BOOT_REGION_USABLE, BOOT_REGION_RESERVED, BOOT_REGION_ACPI_TABLES,
        BOOT_REGION_ACPI_NVS, BOOT_REGION_BAD,    BOOT_REGION_RESERVED,
    };
    EXPECT_EQ(info.region_count, 7);
    for (unsigned i = 0; i < 7; i++) {
        EXPECT_EQ(info.regions[i].base.v, UINT64_C(0x100000000) * (i + 1));
        EXPECT_EQ(info.regions[i].size_bytes, 0x1000);
        EXPECT_EQ(info.regions[i].kind, kinds[i]);
    }
}

static void test_an_entry_of_the_map_may_be_longer_than_it_need_be(void **state)
{
    (void)state;
    set(FLAGS, HAS_MAP);
    loader_put_map1(&loader, MAP_AT, 0x100000, 0x1000, 1);
    loader_put32(&loader, MAP_AT, 28);
    loader_put_map1(&loader, MAP_AT + 32, 0x200000, 0x2000, 1);
    set(MAP, MAP_AT);
    set(MAP_BYTES, 32 + 24);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, 2);
    EXPECT_EQ(info.regions[1].base.v, 0x200000);
}

static void test_a_region_never_reaches_over_the_end_of_the_address_space(void **state)
{
    (void)state;
    set(FLAGS, HAS_MAP);
    use_map(2);
    loader_put_map1(&loader, MAP_AT, UINT64_MAX - 0xfff, UINT64_MAX, 1);
    loader_put_map1(&loader, MAP_AT + 24, 0x5000, 0, 1);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, 1);
    EXPECT(info.regions[0].base.v + info.regions[0].size_bytes >= info.regions[0].base.v);
}

static void test_neighbours_of_one_kind_become_one_region(void **state)
{
    (void)state;
    set(FLAGS, HAS_MAP);
    use_map(3);
    loader_put_map1(&loader, MAP_AT, 0x100000, 0x1000, 1);
    loader_put_map1(&loader, MAP_AT + 24, 0x101000, 0x1000, 1);
    loader_put_map1(&loader, MAP_AT + 48, 0x102000, 0x1000, 2);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, 2);
    EXPECT_EQ(info.regions[0].size_bytes, 0x2000);
}

static void test_without_a_map_the_sizes_of_memory_count(void **state)
{
    (void)state;
    set(FLAGS, HAS_SIZES);
    set(LOWER, 639);
    set(UPPER, 64 * 1024);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, 2);
    EXPECT_EQ(info.regions[0].size_bytes, 639 * 1024);
    EXPECT_EQ(info.regions[1].base.v, 0x100000);
    EXPECT_EQ(info.regions[1].size_bytes, 64 << 20);
}

static void test_without_any_word_of_memory_there_is_no_start(void **state)
{
    (void)state;
    EXPECT_EQ(read_info(), BOOT_NO_MEMORY_MAP);
}

static void test_sizes_of_the_map_that_contradict_each_other_are_malformed(void **state)
{
    (void)state;
    static const struct {
        uint32_t entry_bytes, map_bytes;
    } cases[] = { { 20, 23 },         { 19, 24 },         { 0, 24 }, { 21, 24 },
                  { 0xfffffffc, 24 }, { 0xffffffff, 24 }, { 20, 47 } };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set(FLAGS, HAS_MAP);
        use_map(1);
        loader_put_map1(&loader, MAP_AT, 0x100000, 0x1000, 1);
        loader_put32(&loader, MAP_AT, cases[i].entry_bytes);
        set(MAP_BYTES, cases[i].map_bytes);
        EXPECT_EQ(read_info(), BOOT_MALFORMED);
    }
}

static void test_a_map_of_more_regions_than_fit_is_refused(void **state)
{
    (void)state;
    set(FLAGS, HAS_MAP);
    use_map(BOOT_REGIONS_MAX + 1);
    for (uint32_t i = 0; i <= BOOT_REGIONS_MAX; i++) {
        loader_put_map1(&loader, MAP_AT + i * 24, (uint64_t)i * 0x2000, 0x1000, 1);
    }
    EXPECT_EQ(read_info(), BOOT_TOO_MUCH);
    use_map(BOOT_REGIONS_MAX);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, BOOT_REGIONS_MAX);
}

static void test_what_lies_outside_of_memory_is_unreadable(void **state)
{
    (void)state;
    static const uint32_t outside[] = { 0, LOADER_BASE - 1, LOADER_BASE + LOADER_BYTES - 1, 0xfffffff0 };
    static const struct {
        uint32_t flags, pointer, count, value;
    } cases[] = {
        { HAS_MAP, MAP, MAP_BYTES, 24 },
        { HAS_MODULES, MODULES, MODULE_COUNT, 1 },
    };
    for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
            set(FLAGS, cases[c].flags);
            set(cases[c].pointer, outside[i]);
            set(cases[c].count, cases[c].value);
            EXPECT_EQ(read_info(), BOOT_UNREADABLE);
        }
    }
    const struct boot_window window = loader_window(&loader);
    EXPECT_EQ(boot_read(MAGIC, 0xffffff00, &window, &info), BOOT_UNREADABLE);
    EXPECT_EQ(boot_read(MAGIC, LOADER_BASE + LOADER_BYTES - 10, &window, &info), BOOT_UNREADABLE);
}

static void test_a_string_that_never_ends_is_refused(void **state)
{
    (void)state;
    const uint32_t at = LOADER_BASE + LOADER_BYTES - 100;
    for (uint32_t i = 0; i < 100; i++) {
        loader_put8(&loader, at + i, 'x');
    }
    set(FLAGS, HAS_COMMAND | HAS_SIZES);
    set(COMMAND, at);
    EXPECT_EQ(read_info(), BOOT_UNREADABLE);

    for (uint32_t i = 0; i < BOOT_TEXT_BYTES; i++) {
        loader_put8(&loader, TEXT_BASE + i, 'x');
    }
    set(COMMAND, TEXT_BASE);
    EXPECT_EQ(read_info(), BOOT_TOO_MUCH);
    loader_put8(&loader, TEXT_BASE + BOOT_TEXT_BYTES - 1, 0);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(strlen(info.command), BOOT_TEXT_BYTES - 1);
}

static void put_two_modules(const char *name)
{
    set(FLAGS, HAS_COMMAND | HAS_MODULES | HAS_NAME | HAS_SIZES);
    set(LOADER_NAME, loader_text(&loader, name));
    set(COMMAND, loader_text(&loader, "build/vmmu.elf memory=1G  x"));
    put_module(0, 0x400000, 0x400123, loader_text(&loader, "path/kernel kernel -- a b"));
    put_module(1, 0x401000, 0x401000, 0);
    set(MODULES, TABLE_AT);
    set(MODULE_COUNT, 2);
}

static void test_file_names_are_taken_from_what_qemu_gives(void **state)
{
    (void)state;
    put_two_modules("qemu");
    EXPECT_EQ(read_info(), BOOT_FOUND);
    assert_string_equal(info.loader, "qemu");
    assert_string_equal(info.command, "memory=1G  x");
    EXPECT_EQ(info.module_count, 2);
    EXPECT_EQ(info.modules[0].base.v, 0x400000);
    EXPECT_EQ(info.modules[0].size_bytes, 0x123);
    assert_string_equal(info.modules[0].words, "kernel -- a b");
    EXPECT_EQ(info.modules[1].size_bytes, 0);
    assert_string_equal(info.modules[1].words, "");
}

static void test_other_loaders_words_are_left_as_they_are(void **state)
{
    (void)state;
    put_two_modules("qemu-like 1.0");
    EXPECT_EQ(read_info(), BOOT_FOUND);
    assert_string_equal(info.command, "build/vmmu.elf memory=1G  x");
    assert_string_equal(info.modules[0].words, "path/kernel kernel -- a b");
}

static void test_what_has_no_flag_is_not_there(void **state)
{
    (void)state;
    put_two_modules("qemu");
    set(FLAGS, HAS_SIZES);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    assert_string_equal(info.loader, "");
    assert_string_equal(info.command, "");
    EXPECT_EQ(info.module_count, 0);
}

static void test_modules_that_end_before_they_begin_or_share_a_page_are_malformed(void **state)
{
    (void)state;
    put_two_modules("qemu");
    put_module(1, 0x401000, 0x400fff, 0);
    EXPECT_EQ(read_info(), BOOT_MALFORMED);
    put_module(1, 0x400123, 0x400200, 0);
    EXPECT_EQ(read_info(), BOOT_MALFORMED);
}

static void test_more_modules_than_fit_are_refused(void **state)
{
    (void)state;
    put_two_modules("qemu");
    for (unsigned i = 0; i < BOOT_MODULES_MAX; i++) {
        put_module(i, 0x400000 + i * 0x1000, 0x400010 + i * 0x1000, 0);
    }
    set(MODULE_COUNT, BOOT_MODULES_MAX);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.module_count, BOOT_MODULES_MAX);
    set(MODULE_COUNT, BOOT_MODULES_MAX + 1);
    EXPECT_EQ(read_info(), BOOT_TOO_MUCH);
    set(MODULE_COUNT, 0xffffffff);
    EXPECT_EQ(read_info(), BOOT_TOO_MUCH);
}

static void test_every_outcome_has_its_own_sentence(void **state)
{
    (void)state;
    for (enum boot_outcome a = BOOT_FOUND; a <= BOOT_TOO_MUCH; a++) {
        EXPECT(strlen(boot_outcome_sentence(a)) > 10);
        for (enum boot_outcome b = BOOT_FOUND; b < a; b++) {
            EXPECT(strcmp(boot_outcome_sentence(a), boot_outcome_sentence(b)) != 0);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_another_magic_number_is_no_multiboot),
        TEST(test_types_of_the_memory_map_become_kinds),
        TEST(test_an_entry_of_the_map_may_be_longer_than_it_need_be),
        TEST(test_a_region_never_reaches_over_the_end_of_the_address_space),
        TEST(test_neighbours_of_one_kind_become_one_region),
        TEST(test_without_a_map_the_sizes_of_memory_count),
        TEST(test_without_any_word_of_memory_there_is_no_start),
        TEST(test_sizes_of_the_map_that_contradict_each_other_are_malformed),
        TEST(test_a_map_of_more_regions_than_fit_is_refused),
        TEST(test_what_lies_outside_of_memory_is_unreadable),
        TEST(test_a_string_that_never_ends_is_refused),
        TEST(test_file_names_are_taken_from_what_qemu_gives),
        TEST(test_other_loaders_words_are_left_as_they_are),
        TEST(test_what_has_no_flag_is_not_there),
        TEST(test_modules_that_end_before_they_begin_or_share_a_page_are_malformed),
        TEST(test_more_modules_than_fit_are_refused),
        TEST(test_every_outcome_has_its_own_sentence),
    };
    return RUN_TESTS(tests);
}
