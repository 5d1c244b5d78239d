/*
 * The machine's memory: sparse, with an owner for each page.
 */
#include "tests/model/machine/memory.h"
#include "tests/unit/test.h"

#define PAGE(n) (HOST_SIDE_A + (uint64_t)(n)*VMMU_PAGE_BYTES)

static void test_memory_reads_as_zeros_until_it_is_written(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    EXPECT_EQ(memory_load(memory, PAGE(0), 8), 0);
    memory_store(memory, PAGE(0) + 8, 8, UINT64_C(0x1122334455667788));
    EXPECT_EQ(memory_load(memory, PAGE(0), 8), 0);
    EXPECT_EQ(memory_load(memory, PAGE(0) + 8, 8), UINT64_C(0x1122334455667788));
    EXPECT_EQ(memory_load(memory, PAGE(1) + 8, 8), 0);
    memory_destroy(memory);
}

static void test_narrow_accesses_are_little_endian(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    memory_store(memory, PAGE(0), 8, UINT64_C(0x1122334455667788));
    EXPECT_EQ(memory_load(memory, PAGE(0), 1), 0x88);
    EXPECT_EQ(memory_load(memory, PAGE(0) + 2, 2), 0x5566);
    EXPECT_EQ(memory_load(memory, PAGE(0) + 4, 4), 0x11223344);
    memory_store(memory, PAGE(0) + 4, 4, 0xAABBCCDD);
    EXPECT_EQ(memory_load(memory, PAGE(0), 8), UINT64_C(0xAABBCCDD55667788));
    memory_destroy(memory);
}

static void test_beyond_the_limit_there_is_nothing(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    memory_store(memory, HOST_LIMIT, 8, 1);
    memory_store(memory, UINT64_C(0xFFFFFFFFFFFFF000), 8, 1);
    EXPECT_EQ(memory_load(memory, HOST_LIMIT, 8), 0);
    EXPECT_EQ(memory_owner_of(memory, HOST_LIMIT), OWNER_FOREIGN);
    EXPECT(!memory_is_owned(memory, HOST_LIMIT - VMMU_PAGE_BYTES, 2 * VMMU_PAGE_BYTES, OWNER_FOREIGN));
    memory_destroy(memory);
}

static void test_a_page_has_one_owner_nobody_at_first(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    EXPECT_EQ(memory_owner_of(memory, PAGE(3)), OWNER_FOREIGN);
    memory_assign(memory, PAGE(3), 2 * VMMU_PAGE_BYTES, OWNER_GUEST);
    EXPECT_EQ(memory_owner_of(memory, PAGE(3)), OWNER_GUEST);
    EXPECT_EQ(memory_owner_of(memory, PAGE(4) + 4095), OWNER_GUEST);
    EXPECT_EQ(memory_owner_of(memory, PAGE(5)), OWNER_FOREIGN);
    EXPECT(memory_is_owned(memory, PAGE(3), 2 * VMMU_PAGE_BYTES, OWNER_GUEST));
    EXPECT(!memory_is_owned(memory, PAGE(3), 2 * VMMU_PAGE_BYTES + 1, OWNER_GUEST));
    EXPECT(!memory_is_owned(memory, PAGE(2), 2 * VMMU_PAGE_BYTES, OWNER_GUEST));
    EXPECT(!memory_is_owned(memory, PAGE(3), 0, OWNER_GUEST));
    memory_destroy(memory);
}

static void test_large_ranges_are_owned_if_every_page_is(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    memory_assign(memory, HOST_SIDE_A, VMMU_1G_BYTES, OWNER_GUEST);
    EXPECT(memory_is_owned(memory, HOST_SIDE_A, VMMU_1G_BYTES, OWNER_GUEST));
    EXPECT(!memory_is_owned(memory, HOST_SIDE_A, VMMU_1G_BYTES + 1, OWNER_GUEST));
    for (uint64_t page = 1; page < VMMU_1G_BYTES / VMMU_PAGE_BYTES; page *= 7) {
        memory_assign(memory, PAGE(page), VMMU_PAGE_BYTES, OWNER_FOREIGN);
        EXPECT(!memory_is_owned(memory, HOST_SIDE_A, VMMU_1G_BYTES, OWNER_GUEST));
        EXPECT(memory_is_owned(memory, HOST_SIDE_A, page * VMMU_PAGE_BYTES, OWNER_GUEST));
        memory_assign(memory, PAGE(page), VMMU_PAGE_BYTES, OWNER_GUEST);
    }
    memory_destroy(memory);
}

static void test_a_table_that_is_given_away_leads_to_a_foreign_page_from_every_entry(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    memory_assign(memory, HOST_TABLES_BASE, VMMU_PAGE_BYTES, OWNER_TABLES);
    memory_store(memory, HOST_TABLES_BASE + 64, 8, PAGE(1) | 7);
    memory_assign(memory, HOST_TABLES_BASE, VMMU_PAGE_BYTES, OWNER_FOREIGN);
    for (uint64_t offset = 0; offset < VMMU_PAGE_BYTES; offset += 8) {
        const uint64_t entry = memory_load(memory, HOST_TABLES_BASE + offset, 8);

        EXPECT_EQ(entry & 7, 7);
        EXPECT_EQ(memory_owner_of(memory, entry & BITS64(51, 12)), OWNER_FOREIGN);
    }
    memory_destroy(memory);
}

static void test_guest_memory_that_is_given_away_keeps_its_content(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    memory_assign(memory, PAGE(0), VMMU_PAGE_BYTES, OWNER_GUEST);
    memory_store(memory, PAGE(0), 8, 42);
    memory_assign(memory, PAGE(0), VMMU_PAGE_BYTES, OWNER_FOREIGN);
    EXPECT_EQ(memory_load(memory, PAGE(0), 8), 42);
    memory_destroy(memory);
}

static void test_a_copied_page_is_equal_even_if_it_was_never_written(void **state)
{
    struct memory *memory = memory_create();

    (void)state;
    memory_store(memory, PAGE(0) + 4088, 8, 7);
    memory_store(memory, PAGE(1), 8, 9);
    memory_copy_page(memory, PAGE(1), PAGE(0));
    EXPECT_EQ(memory_load(memory, PAGE(1), 8), 0);
    EXPECT_EQ(memory_load(memory, PAGE(1) + 4088, 8), 7);
    memory_copy_page(memory, PAGE(1), PAGE(2));
    EXPECT_EQ(memory_load(memory, PAGE(1) + 4088, 8), 0);
    memory_destroy(memory);
}

struct words {
    unsigned count;
    uint64_t last_hpa;
    uint64_t sum;
};

static void add_word(void *context, uint64_t hpa, uint64_t value)
{
    struct words *words = context;

    words->count++;
    words->last_hpa = hpa;
    words->sum += value;
}

static void test_each_word_that_is_not_zero_is_visited_in_order(void **state)
{
    struct memory *memory = memory_create();
    struct words words = { 0 };

    (void)state;
    memory_store(memory, PAGE(0) + 16, 8, 5);
    memory_store(memory, PAGE(0) + 800, 8, 6);
    memory_store(memory, PAGE(0) + 1600, 8, 0);
    memory_store(memory, PAGE(1), 8, 100);
    memory_each_word(memory, PAGE(0), add_word, &words);
    EXPECT_EQ(words.count, 2);
    EXPECT_EQ(words.sum, 11);
    EXPECT_EQ(words.last_hpa, PAGE(0) + 800);
    memory_each_word(memory, PAGE(9), add_word, &words);
    EXPECT_EQ(words.count, 2);
    memory_destroy(memory);
}

static void test_the_pointer_of_a_page_stays_and_shows_what_is_stored(void **state)
{
    struct memory *memory = memory_create();
    uint64_t *page = memory_page(memory, PAGE(0));

    (void)state;
    page[1] = 77;
    EXPECT_EQ(memory_load(memory, PAGE(0) + 8, 8), 77);
    memory_store(memory, PAGE(0) + 8, 8, 78);
    EXPECT_EQ(page[1], 78);
    memory_assign(memory, PAGE(0), VMMU_PAGE_BYTES, OWNER_TABLES);
    EXPECT(memory_page(memory, PAGE(0)) == page);
    memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_reads_as_zeros_until_it_is_written),
        cmocka_unit_test(test_narrow_accesses_are_little_endian),
        cmocka_unit_test(test_beyond_the_limit_there_is_nothing),
        cmocka_unit_test(test_a_page_has_one_owner_nobody_at_first),
        cmocka_unit_test(test_large_ranges_are_owned_if_every_page_is),
        cmocka_unit_test(test_a_table_that_is_given_away_leads_to_a_foreign_page_from_every_entry),
        cmocka_unit_test(test_guest_memory_that_is_given_away_keeps_its_content),
        cmocka_unit_test(test_a_copied_page_is_equal_even_if_it_was_never_written),
        cmocka_unit_test(test_each_word_that_is_not_zero_is_visited_in_order),
        cmocka_unit_test(test_the_pointer_of_a_page_stays_and_shows_what_is_stored),
    };

    return RUN_TESTS(tests);
}
