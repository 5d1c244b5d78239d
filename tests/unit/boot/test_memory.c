/*
 * The machine's memory: what is free at the start, and that no page is ever given twice or lost.
 */
#include "tests/unit/test.h"

#include "hv/boot/memory.h"

#include <stdlib.h>
#include <string.h>

#define MIB       UINT64_C(0x100000)
#define RAM_BYTES (8 * MIB)
#define RAM_BASE  MIB
#define PAGES     (RAM_BYTES / VMMU_PAGE_BYTES)

uintptr_t test_direct_map;

static struct boot_info info;

static void add_region(uint64_t base, uint64_t size_bytes, enum boot_region_kind kind)
{
    info.regions[info.region_count++] = (struct boot_region){ { base }, size_bytes, kind };
}

/* A machine with real memory behind 1 MiB to 9 MiB, and nothing else yet. */
static int set_up(void **state)
{
    uint8_t *ram = aligned_alloc(VMMU_PAGE_BYTES, RAM_BYTES);
    if (ram == NULL) {
        return 1;
    }
    memset(ram, 0xa5, RAM_BYTES);
    test_direct_map = (uintptr_t)ram - RAM_BASE;
    memset(&info, 0, sizeof(info));
    *state = ram;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void start_with_all_ram(void)
{
    add_region(RAM_BASE, RAM_BYTES, BOOT_REGION_USABLE);
    memory_init(&info);
}

static bool can_take_at(uint64_t address)
{
    vmmu_hpa at;
    while (memory_take(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, false, &at)) {
        if (at.v == address) {
            return true;
        }
    }
    return false;
}

static void test_the_first_mib_is_never_free(void **state)
{
    (void)state;
    add_region(0, RAM_BASE + RAM_BYTES, BOOT_REGION_USABLE);
    memory_init(&info);
    vmmu_hpa at;
    EXPECT(memory_take(VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, false, &at));
    EXPECT_EQ(at.v, MIB);
    EXPECT_EQ(memory_total_bytes(), RAM_BYTES);
}

static void test_image_and_modules_are_taken_with_every_page_they_touch(void **state)
{
    (void)state;
    info.image_base = (vmmu_hpa){ 2 * MIB };
    info.image_bytes = VMMU_PAGE_BYTES + 1;
    info.modules[0] = (struct boot_module){ { 3 * MIB }, 1, "" };
    info.modules[1] = (struct boot_module){ { 4 * MIB }, 0, "" };
    info.module_count = 2;
    start_with_all_ram();
    EXPECT_EQ(memory_total_bytes(), RAM_BYTES);
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES - 3 * VMMU_PAGE_BYTES);
    EXPECT(!can_take_at(2 * MIB));

    memory_init(&info);
    EXPECT(!can_take_at(3 * MIB));
}

static void test_a_module_that_was_given_back_is_free(void **state)
{
    (void)state;
    info.modules[0] = (struct boot_module){ { 3 * MIB }, VMMU_PAGE_BYTES + 5, "" };
    info.module_count = 1;
    start_with_all_ram();
    memory_give(info.modules[0].base, info.modules[0].size_bytes);
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES);
    vmmu_hpa at;
    EXPECT(memory_take(RAM_BYTES, VMMU_PAGE_BYTES, false, &at));
}

static void test_what_is_not_usable_wins_over_what_is(void **state)
{
    (void)state;
    add_region(3 * MIB + 1, 1, BOOT_REGION_BAD);
    add_region(RAM_BASE, RAM_BYTES, BOOT_REGION_USABLE);
    add_region(4 * MIB, MIB, BOOT_REGION_ACPI_TABLES);
    memory_init(&info);
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES - MIB - VMMU_PAGE_BYTES);
    EXPECT(!can_take_at(3 * MIB));
}

static void test_usable_memory_shrinks_to_whole_pages(void **state)
{
    (void)state;
    add_region(RAM_BASE + 1, 3 * VMMU_PAGE_BYTES, BOOT_REGION_USABLE);
    memory_init(&info);
    EXPECT_EQ(memory_total_bytes(), 2 * VMMU_PAGE_BYTES);
}

static void test_memory_at_the_end_of_the_address_space_is_left_alone(void **state)
{
    (void)state;
    add_region(UINT64_MAX - 2 * MIB, 2 * MIB, BOOT_REGION_USABLE);
    add_region(UINT64_MAX - 5, 5, BOOT_REGION_RESERVED);
    start_with_all_ram();
    EXPECT_EQ(memory_total_bytes(), RAM_BYTES);
}

static void test_below_4_gib_means_the_whole_piece(void **state)
{
    (void)state;
    add_region(UINT64_C(0xfff00000), 4 * MIB, BOOT_REGION_USABLE);
    memory_init(&info);
    vmmu_hpa at = { 7 };
    EXPECT(!memory_take(2 * MIB, VMMU_PAGE_BYTES, true, &at));
    EXPECT_EQ(at.v, 7);
    EXPECT(memory_take(MIB, VMMU_PAGE_BYTES, true, &at));
    EXPECT_EQ(at.v, UINT64_C(0xfff00000));
    EXPECT(memory_take(2 * MIB, VMMU_PAGE_BYTES, false, &at));
    EXPECT_EQ(at.v, UINT64_C(0x100000000));
}

static void test_sizes_are_rounded_up_and_absurd_ones_refused(void **state)
{
    (void)state;
    start_with_all_ram();
    vmmu_hpa at;
    EXPECT(memory_take(1, VMMU_PAGE_BYTES, false, &at));
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES - VMMU_PAGE_BYTES);
    EXPECT(!memory_take(0, VMMU_PAGE_BYTES, false, &at));
    EXPECT(!memory_take(RAM_BYTES, VMMU_PAGE_BYTES, false, &at));
    EXPECT(!memory_take(UINT64_MAX, VMMU_PAGE_BYTES, false, &at));
    EXPECT(!memory_take(RAM_BYTES - VMMU_PAGE_BYTES, 16 * MIB, false, &at));
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES - VMMU_PAGE_BYTES);
}

static void test_every_page_is_given_exactly_once(void **state)
{
    (void)state;
    static bool taken[PAGES];
    memset(taken, 0, sizeof(taken));
    start_with_all_ram();
    vmmu_hpa at;
    unsigned count = 0;
    while (page_take(false, &at)) {
        EXPECT(vmmu_is_aligned(at.v, VMMU_PAGE_BYTES) && at.v >= RAM_BASE && at.v < RAM_BASE + RAM_BYTES);
        EXPECT(!taken[(at.v - RAM_BASE) / VMMU_PAGE_BYTES]);
        taken[(at.v - RAM_BASE) / VMMU_PAGE_BYTES] = true;
        count++;
    }
    EXPECT_EQ(count, PAGES);
    EXPECT_EQ(memory_free_bytes(), 0);
    EXPECT(!memory_take(1, VMMU_PAGE_BYTES, false, &at));
}

static void test_a_page_asked_for_zeroed_is_zero_even_if_it_was_used(void **state)
{
    (void)state;
    static const uint8_t zeros[VMMU_PAGE_BYTES];
    start_with_all_ram();
    for (unsigned i = 0; i < 3; i++) {
        vmmu_hpa at;
        EXPECT(page_take(true, &at));
        EXPECT(memcmp(memory_at(at), zeros, sizeof(zeros)) == 0);
        memset(memory_at(at), 0xff, VMMU_PAGE_BYTES);
        page_give(at);
    }
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES);
}

static void test_pages_given_back_one_by_one_make_a_large_piece_again(void **state)
{
    (void)state;
    static vmmu_hpa pages[PAGES];
    start_with_all_ram();
    unsigned count = 0;
    while (page_take(false, &pages[count])) {
        count++;
    }
    // Every second page first, so that no two neighbours are free together for a while.
    for (unsigned first = 0; first < 2; first++) {
        for (unsigned i = first; i < count; i += 2) {
            page_give(pages[i]);
        }
    }
    vmmu_hpa at;
    EXPECT(memory_take(RAM_BYTES, MIB, false, &at));
    EXPECT_EQ(at.v, RAM_BASE);
    EXPECT_EQ(memory_free_bytes(), 0);
    memory_give(at, RAM_BYTES);
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES);
}

static void test_memory_in_more_pieces_than_there_are_ranges_is_not_lost(void **state)
{
    (void)state;
    start_with_all_ram();
    vmmu_hpa at;
    EXPECT(memory_take(RAM_BYTES, VMMU_PAGE_BYTES, false, &at));
    // A thousand pieces of a page, none of which touches another: the ranges run out, and the rest goes to the list.
    for (uint64_t offset = 0; offset < RAM_BYTES; offset += 2 * VMMU_PAGE_BYTES) {
        memory_give((vmmu_hpa){ at.v + offset }, VMMU_PAGE_BYTES);
    }
    EXPECT_EQ(memory_free_bytes(), RAM_BYTES / 2);
    vmmu_hpa piece;
    EXPECT(!memory_take(2 * VMMU_PAGE_BYTES, VMMU_PAGE_BYTES, false, &piece));
    unsigned count = 0;
    while (page_take(false, &piece)) {
        EXPECT_EQ((piece.v - at.v) % (2 * VMMU_PAGE_BYTES), 0);
        count++;
    }
    EXPECT_EQ(count, PAGES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_first_mib_is_never_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_image_and_modules_are_taken_with_every_page_they_touch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_module_that_was_given_back_is_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_usable_wins_over_what_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_usable_memory_shrinks_to_whole_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_at_the_end_of_the_address_space_is_left_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_below_4_gib_means_the_whole_piece, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes_are_rounded_up_and_absurd_ones_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_page_is_given_exactly_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_page_asked_for_zeroed_is_zero_even_if_it_was_used, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_pages_given_back_one_by_one_make_a_large_piece_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_memory_in_more_pieces_than_there_are_ranges_is_not_lost, set_up,
                                        tear_down),
    };
    return RUN_TESTS(tests);
}
