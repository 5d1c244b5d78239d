/*
 * Pages that were read are kept, up to a number.
 */
#include <string.h>
#include <vmmu/base.h>

#include "tests/unit/test.h"
#include "tools/image/pages.h"

/* Counts what it is asked for; every fourth page is not there; each byte is the page's number. */
static bool fetch(void *context, uint64_t address, uint8_t *bytes)
{
    unsigned *const asked = context;

    EXPECT(vmmu_is_aligned(address, VMMU_PAGE_BYTES));
    (*asked)++;
    memset(bytes, (int)(address >> VMMU_PAGE_SHIFT), VMMU_PAGE_BYTES);
    return (address >> VMMU_PAGE_SHIFT) % 4 != 3;
}

static void test_a_page_is_fetched_once_even_if_it_is_not_there(void **state)
{
    unsigned asked = 0;
    struct image_pages *const pages = image_pages_new(fetch, &asked);
    uint8_t bytes[16];

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        EXPECT(image_pages_read(pages, 0x1010, bytes, sizeof(bytes)));
        EXPECT_EQ(bytes[15], 1);
        EXPECT(!image_pages_read(pages, 0x3010, bytes, sizeof(bytes)));
    }
    EXPECT_EQ(asked, 2);
    image_pages_free(pages);
}

static void test_a_read_goes_across_pages_and_fails_if_one_is_not_there(void **state)
{
    unsigned asked = 0;
    struct image_pages *const pages = image_pages_new(fetch, &asked);
    uint8_t bytes[0x2000];

    (void)state;
    EXPECT(image_pages_read(pages, 0xFFF, bytes, sizeof(bytes)));
    EXPECT_EQ(bytes[0], 0);
    EXPECT_EQ(bytes[1], 1);
    EXPECT_EQ(bytes[0x1000], 1);
    EXPECT_EQ(bytes[0x1001], 2);
    EXPECT(!image_pages_read(pages, 0x2000, bytes, 0x1001));
    EXPECT(image_pages_read(pages, 0x3000, bytes, 0));
    image_pages_free(pages);
}

static void test_more_pages_than_are_kept_stay_right(void **state)
{
    enum { PAGES = 20000 };
    unsigned asked = 0;
    struct image_pages *const pages = image_pages_new(fetch, &asked);
    uint8_t byte;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            EXPECT_EQ(image_pages_read(pages, page * VMMU_PAGE_BYTES + 7, &byte, 1), page % 4 != 3);
            EXPECT(page % 4 == 3 || byte == (uint8_t)page);
        }
    }
    EXPECT(asked > PAGES);
    image_pages_free(pages);
}

static void test_a_thousand_pages_in_a_row_are_all_kept(void **state)
{
    unsigned asked = 0;
    struct image_pages *const pages = image_pages_new(fetch, &asked);
    uint8_t byte;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t page = 0x40000; page < 0x40000 + 1000; page++)
            (void)image_pages_read(pages, page * VMMU_PAGE_BYTES, &byte, 1);
    }
    EXPECT_EQ(asked, 1000);
    image_pages_free(pages);
    image_pages_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_fetched_once_even_if_it_is_not_there),
        cmocka_unit_test(test_a_read_goes_across_pages_and_fails_if_one_is_not_there),
        cmocka_unit_test(test_more_pages_than_are_kept_stay_right),
        cmocka_unit_test(test_a_thousand_pages_in_a_row_are_all_kept),
    };

    return RUN_TESTS(tests);
}
