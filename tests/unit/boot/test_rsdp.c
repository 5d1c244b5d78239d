/*
 * ACPI's root pointer: what makes it valid, and where a BIOS may have put it.
 */
#include "tests/unit/test.h"

#include "hv/boot/rsdp.h"

#include <stdlib.h>
#include <string.h>

#define LOW_BYTES 0x100000

static const char signature[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };

static uint8_t *low;
static struct boot_info info;

static const void *reach(void *context, uint64_t address, uint64_t size_bytes)
{
    (void)context;
    return vmmu_range_fits(address, size_bytes, LOW_BYTES) ? low + address : NULL;
}

static const void *reach_nothing(void *context, uint64_t address, uint64_t size_bytes)
{
    (void)context;
    (void)address;
    (void)size_bytes;
    return NULL;
}

static void put(uint8_t *at, uint8_t revision, uint8_t mark)
{
    memset(at, 0, 36);
    memcpy(at, signature, sizeof(signature));
    at[15] = revision;
    at[16] = mark;
    uint8_t sum = 0;
    for (unsigned i = 0; i < 20; i++) {
        sum = (uint8_t)(sum + at[i]);
    }
    at[8] = (uint8_t)(0U - sum);
    // The first twenty bytes now add up to nothing, so the second checksum covers what follows.
    at[20] = 36;
    at[32] = (uint8_t)(0U - 36U);
}

static int set_up(void **state)
{
    (void)state;
    low = calloc(1, LOW_BYTES);
    memset(&info, 0, sizeof(info));
    return low == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(low);
    return 0;
}

static void search(void)
{
    const struct boot_window window = { NULL, reach };
    rsdp_search(&window, &info);
}

static void test_the_revision_says_how_long_it_is(void **state)
{
    (void)state;
    put(low, 0, 1);
    EXPECT_EQ(rsdp_check(low, 36), 20);
    EXPECT_EQ(rsdp_check(low, 20), 20);
    put(low, 2, 1);
    EXPECT_EQ(rsdp_check(low, 36), 36);
}

static void test_a_wrong_byte_anywhere_makes_it_invalid(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 36; i++) {
        put(low, 2, 1);
        low[i] ^= 0x10;
        EXPECT_EQ(rsdp_check(low, 36), 0);
    }
}

static void test_one_that_is_cut_short_is_invalid(void **state)
{
    (void)state;
    put(low, 0, 1);
    EXPECT_EQ(rsdp_check(low, 19), 0);
    EXPECT_EQ(rsdp_check(low, 0), 0);
    put(low, 2, 1);
    EXPECT_EQ(rsdp_check(low, 35), 0);
}

static void test_it_is_found_in_the_bios_memory_on_sixteen_bytes(void **state)
{
    (void)state;
    put(low + 0xe0008, 0, 1);
    search();
    EXPECT_EQ(info.rsdp_bytes, 0);
    put(low + 0xfffd0, 2, 2);
    search();
    EXPECT_EQ(info.rsdp_bytes, 36);
    EXPECT_EQ(info.rsdp[16], 2);
}

static void test_the_first_kib_of_the_extended_data_area_comes_first(void **state)
{
    (void)state;
    low[0x40e] = 0xc0;
    low[0x40f] = 0x9f;
    put(low + 0xf0000, 0, 2);
    put(low + 0x9fc00 + 0x400, 0, 3);
    search();
    EXPECT_EQ(info.rsdp[16], 2);
    put(low + 0x9fc00 + 0x3e0, 0, 1);
    search();
    EXPECT_EQ(info.rsdp[16], 1);
}

static void test_one_that_would_reach_over_the_end_of_its_area_is_not_read(void **state)
{
    (void)state;
    put(low + 0xe0000, 0, 1);
    memmove(low + 0xffff0, low + 0xe0000, 16);
    memset(low + 0xe0000, 0, 36);
    search();
    EXPECT_EQ(info.rsdp_bytes, 0);
}

static void test_a_segment_of_nonsense_and_unreadable_memory_do_no_harm(void **state)
{
    (void)state;
    low[0x40e] = 0xff;
    low[0x40f] = 0xff;
    search();
    EXPECT_EQ(info.rsdp_bytes, 0);
    const struct boot_window nothing = { NULL, reach_nothing };
    rsdp_search(&nothing, &info);
    EXPECT_EQ(info.rsdp_bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_revision_says_how_long_it_is),
        TEST(test_a_wrong_byte_anywhere_makes_it_invalid),
        TEST(test_one_that_is_cut_short_is_invalid),
        TEST(test_it_is_found_in_the_bios_memory_on_sixteen_bytes),
        TEST(test_the_first_kib_of_the_extended_data_area_comes_first),
        TEST(test_one_that_would_reach_over_the_end_of_its_area_is_not_read),
        TEST(test_a_segment_of_nonsense_and_unreadable_memory_do_no_harm),
    };
    return RUN_TESTS(tests);
}
