/*
 * Multiboot 2 boot information: its tags, and hostile ones.
 */
#include "tests/unit/boot/loader.h"
#include "tests/unit/test.h"

#include <string.h>

#define MAGIC        0x36d76289
#define TAG_COMMAND  1
#define TAG_LOADER   2
#define TAG_MODULE   3
#define TAG_SIZES    4
#define TAG_MAP      6
#define TAG_OLD_RSDP 14
#define TAG_NEW_RSDP 15

static struct loader loader;
static struct boot_info info;

static int set_up(void **state)
{
    (void)state;
    loader_open(&loader);
    loader_begin2(&loader);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loader_close(&loader);
    return 0;
}

static enum boot_outcome read_info(void)
{
    const struct boot_window window = loader_window(&loader);
    return boot_read(MAGIC, LOADER_BASE, &window, &info);
}

static void put_module(uint32_t start, uint32_t end, const char *words)
{
    const uint32_t at = loader_tag(&loader, TAG_MODULE, 8 + (uint32_t)strlen(words) + 1);
    loader_put32(&loader, at, start);
    loader_put32(&loader, at + 4, end);
    for (uint32_t i = 0; words[i] != '\0'; i++) {
        loader_put8(&loader, at + 8 + i, (uint8_t)words[i]);
    }
}

static void put_sizes(void)
{
    const uint32_t at = loader_tag(&loader, TAG_SIZES, 8);
    loader_put32(&loader, at, 640);
    loader_put32(&loader, at + 4, 1024);
}

/* What GRUB gives, with a tag in between that nobody knows. */
static void put_all(void)
{
    loader_tag_text(&loader, TAG_COMMAND, "memory=1G x");
    loader_tag_text(&loader, TAG_LOADER, "GRUB 2.06");
    put_module(0x101000, 0x101005, "kernel protocol=linux -- console=ttyS0");
    loader_tag(&loader, 0x1234, 13);
    put_module(0x102000, 0x104000, "initrd");
    put_sizes();
    const uint32_t map = loader_tag_map(&loader, 2, 24);
    loader_put_map2(&loader, map, 0x100000, 0x700000, 1);
    loader_put_map2(&loader, map + 24, 0x800000, 0x1000, 4);
    loader_put_rsdp(&loader, loader_tag(&loader, TAG_OLD_RSDP, 20), 0);
    loader_put_rsdp(&loader, loader_tag(&loader, TAG_NEW_RSDP, 36), 2);
    loader_end2(&loader);
}

static void test_every_tag_that_matters_is_read(void **state)
{
    (void)state;
    put_all();
    EXPECT_EQ(read_info(), BOOT_FOUND);
    assert_string_equal(info.command, "memory=1G x");
    assert_string_equal(info.loader, "GRUB 2.06");
    EXPECT_EQ(info.module_count, 2);
    EXPECT_EQ(info.modules[0].base.v, 0x101000);
    EXPECT_EQ(info.modules[0].size_bytes, 5);
    assert_string_equal(info.modules[0].words, "kernel protocol=linux -- console=ttyS0");
    EXPECT_EQ(info.modules[1].size_bytes, 0x2000);
    assert_string_equal(info.modules[1].words, "initrd");
    EXPECT_EQ(info.region_count, 2);
    EXPECT_EQ(info.regions[0].kind, BOOT_REGION_USABLE);
    EXPECT_EQ(info.regions[1].base.v, 0x800000);
    EXPECT_EQ(info.regions[1].kind, BOOT_REGION_ACPI_NVS);
    EXPECT_EQ(info.rsdp_bytes, 36);
}

static void test_the_newer_acpi_pointer_wins_in_either_order(void **state)
{
    (void)state;
    put_sizes();
    loader_put_rsdp(&loader, loader_tag(&loader, TAG_NEW_RSDP, 36), 2);
    loader_put_rsdp(&loader, loader_tag(&loader, TAG_OLD_RSDP, 20), 0);
    loader_end2(&loader);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.rsdp_bytes, 36);
}

static void test_a_damaged_or_short_acpi_pointer_is_none(void **state)
{
    (void)state;
    put_sizes();
    const uint32_t at = loader_tag(&loader, TAG_OLD_RSDP, 20);
    loader_put_rsdp(&loader, at, 0);
    loader_put8(&loader, at + 16, 0);
    loader_tag(&loader, TAG_NEW_RSDP, 3);
    loader_end2(&loader);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.rsdp_bytes, 0);
}

static void test_entries_of_the_map_have_the_size_that_the_tag_says(void **state)
{
    (void)state;
    const uint32_t map = loader_tag_map(&loader, 2, 40);
    loader_put_map2(&loader, map, 0x100000, 0x1000, 1);
    loader_put_map2(&loader, map + 40, 0x300000, 0x1000, 1);
    loader_end2(&loader);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, 2);
    EXPECT_EQ(info.regions[1].base.v, 0x300000);
}

static void test_a_rest_of_the_map_shorter_than_an_entry_is_ignored(void **state)
{
    (void)state;
    const uint32_t at = loader_tag(&loader, TAG_MAP, 8 + 24 + 23);
    loader_put32(&loader, at, 24);
    loader_put_map2(&loader, at + 8, 0x100000, 0x1000, 1);
    loader_end2(&loader);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    EXPECT_EQ(info.region_count, 1);
}

static void test_entries_too_small_to_be_any_are_malformed(void **state)
{
    (void)state;
    static const uint32_t steps[] = { 0, 1, 19 };
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        loader_begin2(&loader);
        const uint32_t at = loader_tag(&loader, TAG_MAP, 8 + 24);
        loader_put32(&loader, at, steps[i]);
        loader_end2(&loader);
        EXPECT_EQ(read_info(), BOOT_MALFORMED);
    }
}

static void test_an_entry_size_beyond_the_tag_gives_no_region(void **state)
{
    (void)state;
    const uint32_t at = loader_tag(&loader, TAG_MAP, 8 + 24);
    loader_put32(&loader, at, 0xffffffff);
    loader_end2(&loader);
    EXPECT_EQ(read_info(), BOOT_NO_MEMORY_MAP);
}

static void test_tags_too_short_for_their_content_are_malformed(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind, size_bytes;
    } cases[] = { { TAG_MODULE, 7 }, { TAG_SIZES, 7 }, { TAG_MAP, 7 }, { TAG_MODULE, 0 }, { TAG_MAP, 0 } };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        loader_begin2(&loader);
        loader_tag(&loader, cases[i].kind, cases[i].size_bytes);
        loader_end2(&loader);
        EXPECT_EQ(read_info(), BOOT_MALFORMED);
    }
}

static void test_a_tag_smaller_than_its_head_or_larger_than_the_rest_is_malformed(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 0, 1, 7, 1000, 0x7fffffff, 0xfffffff8, 0xffffffff };
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        loader_begin2(&loader);
        const uint32_t at = loader_tag(&loader, TAG_COMMAND, 8);
        loader_put32(&loader, at - 4, sizes[i]);
        loader_end2(&loader);
        EXPECT_EQ(read_info(), BOOT_MALFORMED);
    }
}

static void test_nothing_behind_the_total_size_is_read(void **state)
{
    (void)state;
    const uint32_t at = loader_tag(&loader, TAG_COMMAND, 8);
    loader_end2(&loader);
    loader_put32(&loader, at - 4, LOADER_BYTES);
    // A reader that believed the tag would look for the string's end until there is no memory.
    for (uint32_t i = at; i < LOADER_BASE + LOADER_BYTES; i++) {
        loader_put8(&loader, i, 'x');
    }
    EXPECT_EQ(read_info(), BOOT_MALFORMED);
}

static void test_information_without_an_end_tag_is_malformed(void **state)
{
    (void)state;
    put_all();
    static const uint32_t totals[] = { 0, 7, 8, 15 };
    for (unsigned i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
        loader_put32(&loader, LOADER_BASE, totals[i]);
        EXPECT_EQ(read_info(), BOOT_MALFORMED);
    }
    loader_put32(&loader, LOADER_BASE, loader.used - 8);
    EXPECT_EQ(read_info(), BOOT_MALFORMED);
}

static void test_information_that_claims_more_than_there_is_is_unreadable(void **state)
{
    (void)state;
    loader_tag(&loader, 0x1234, LOADER_BYTES - 40);
    loader_put32(&loader, LOADER_BASE, 0xffffffff);
    loader_tag(&loader, 0x1234, 16);
    EXPECT_EQ(loader.used, LOADER_BYTES);
    EXPECT_EQ(read_info(), BOOT_UNREADABLE);
}

static void test_a_string_ends_with_its_tag(void **state)
{
    (void)state;
    const uint32_t at = loader_tag(&loader, TAG_COMMAND, 4);
    for (uint32_t i = 0; i < 4; i++) {
        loader_put8(&loader, at + i, 'a');
    }
    loader_tag(&loader, TAG_LOADER, 0);
    put_sizes();
    loader_end2(&loader);
    EXPECT_EQ(read_info(), BOOT_FOUND);
    assert_string_equal(info.command, "aaaa");
    assert_string_equal(info.loader, "");
}

static bool inside_text(const char *string)
{
    return string >= info.text && string < info.text + info.text_used_bytes;
}

/* What every reader of boot_info may rely on, whatever the loader wrote. */
static void expect_sound(void)
{
    EXPECT(info.region_count <= BOOT_REGIONS_MAX && info.module_count <= BOOT_MODULES_MAX);
    EXPECT(info.text_used_bytes <= BOOT_TEXT_BYTES);
    for (unsigned i = 0; i < info.region_count; i++) {
        const struct boot_region *region = &info.regions[i];
        EXPECT(region->size_bytes != 0 && region->base.v + region->size_bytes > region->base.v);
    }
    for (unsigned i = 0; i < info.module_count; i++) {
        EXPECT(inside_text(info.modules[i].words));
        EXPECT(memchr(info.modules[i].words, 0, BOOT_TEXT_BYTES) != NULL);
        EXPECT(vmmu_is_aligned(info.modules[i].base.v, VMMU_PAGE_BYTES));
    }
}

static void test_information_with_bytes_changed_at_random_is_read_soundly_or_refused(void **state)
{
    (void)state;
    uint64_t seed = 0x9e3779b97f4a7c15;
    unsigned found = 0, refused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        loader_begin2(&loader);
        put_all();
        for (unsigned change = 0; change < 1 + i % 4; change++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            loader_put8(&loader, LOADER_BASE + (uint32_t)(seed >> 33) % loader.used, (uint8_t)(seed >> 56));
        }
        if (read_info() == BOOT_FOUND) {
            expect_sound();
            found++;
        } else {
            refused++;
        }
    }
    EXPECT(found > 100 && refused > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_tag_that_matters_is_read),
        TEST(test_the_newer_acpi_pointer_wins_in_either_order),
        TEST(test_a_damaged_or_short_acpi_pointer_is_none),
        TEST(test_entries_of_the_map_have_the_size_that_the_tag_says),
        TEST(test_a_rest_of_the_map_shorter_than_an_entry_is_ignored),
        TEST(test_entries_too_small_to_be_any_are_malformed),
        TEST(test_an_entry_size_beyond_the_tag_gives_no_region),
        TEST(test_tags_too_short_for_their_content_are_malformed),
        TEST(test_a_tag_smaller_than_its_head_or_larger_than_the_rest_is_malformed),
        TEST(test_nothing_behind_the_total_size_is_read),
        TEST(test_information_without_an_end_tag_is_malformed),
        TEST(test_information_that_claims_more_than_there_is_is_unreadable),
        TEST(test_a_string_ends_with_its_tag),
        TEST(test_information_with_bytes_changed_at_random_is_read_soundly_or_refused),
    };
    return RUN_TESTS(tests);
}
