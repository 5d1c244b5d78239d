/*
 * The host seam over memory in one piece.
 */
#include "tests/unit/test.h"

#include <vmmu/flat.h>
#include <vmmu/nested.h>
#include <vmmu/walk.h>

#define PAGES 8

static _Alignas(VMMU_PAGE_BYTES) uint8_t bytes[PAGES * VMMU_PAGE_BYTES];

static struct vmmu_flat_host host_at(uint64_t base)
{
    return (struct vmmu_flat_host){ .pages = { bytes, base, sizeof(bytes), true },
                                    .owned_base = 0x100000000,
                                    .owned_bytes = 0x40000000 };
}

static void test_an_entry_is_little_endian_in_memory(void **state)
{
    const uint8_t entry[8] = { 0x67, 0x45, 0x23, 0x01, 0xEF, 0xCD, 0xAB, 0x80 };
    const struct vmmu_flat flat = { (void *)(uintptr_t)entry, 0x1000, sizeof(entry), false };
    const struct vmmu_ram ram = vmmu_flat_ram(&flat);
    uint64_t value = 0;
    (void)state;

    EXPECT_EQ(ram.load(ram.context, 0x1000, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x80ABCDEF01234567);
    EXPECT_EQ(ram.load(ram.context, 0x1004, 4, &value), VMMU_OK);
    EXPECT_EQ(value, 0x80ABCDEF);
}

static void test_there_is_no_memory_outside_the_piece(void **state)
{
    const struct vmmu_flat flat = { bytes, 0x1000, 16, true };
    const struct vmmu_ram ram = vmmu_flat_ram(&flat);
    uint64_t value = 0;
    (void)state;

    EXPECT_EQ(ram.load(ram.context, 0x1008, 8, &value), VMMU_OK);
    EXPECT_EQ(ram.load(ram.context, 0x0FF8, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(ram.load(ram.context, 0x1010, 4, &value), VMMU_ABSENT);
    EXPECT_EQ(ram.load(ram.context, 0x100C, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(ram.load(ram.context, UINT64_MAX - 7, 8, &value), VMMU_ABSENT);
    EXPECT_EQ(ram.exchange(ram.context, 0x1010, 8, 0, 1), VMMU_ABSENT);
}

static void test_an_exchange_stores_only_what_it_finds_as_expected(void **state)
{
    const struct vmmu_flat flat = { bytes, 0, sizeof(bytes), true };
    const struct vmmu_ram ram = vmmu_flat_ram(&flat);
    uint64_t value = 0;
    (void)state;

    bytes[0] = 5;
    EXPECT_EQ(ram.exchange(ram.context, 0, 8, 4, 0x20), VMMU_RACED);
    EXPECT_EQ(ram.exchange(ram.context, 0, 8, 5, 0x1122334455667788), VMMU_OK);
    EXPECT_EQ(ram.load(ram.context, 0, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x1122334455667788);
    EXPECT_EQ(ram.exchange(ram.context, 0, 4, 0x55667788, 0), VMMU_OK);
    EXPECT_EQ(ram.load(ram.context, 0, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x1122334400000000);
}

static void test_nothing_is_stored_where_memory_is_not_writable(void **state)
{
    const struct vmmu_flat flat = { bytes, 0, sizeof(bytes), false };
    const struct vmmu_ram ram = vmmu_flat_ram(&flat);
    (void)state;

    bytes[8] = 0;
    EXPECT_EQ(ram.exchange(ram.context, 8, 8, 0, 1), VMMU_ABSENT);
    EXPECT_EQ(bytes[8], 0);
}

static void test_every_page_is_given_once_and_again_when_it_came_back(void **state)
{
    struct vmmu_flat_host flat = host_at(0x1000000);
    const struct vmmu_host host = vmmu_flat_host(&flat);
    vmmu_hpa at = { 0 }, again = { 0 };
    void *page = NULL;
    (void)state;

    for (unsigned i = 0; i < PAGES; i++) {
        page = host.page_take(host.context, VMMU_PAGE_ANY, &at);
        EXPECT(page == bytes + i * VMMU_PAGE_BYTES);
        EXPECT_EQ(at.v, 0x1000000 + i * VMMU_PAGE_BYTES);
        EXPECT(host.page_at(host.context, at) == page);
    }
    EXPECT(host.page_take(host.context, VMMU_PAGE_ANY, &again) == NULL);
    host.page_give(host.context, at, page);
    EXPECT(host.page_take(host.context, VMMU_PAGE_ANY, &again) == page);
    EXPECT_EQ(again.v, at.v);
    EXPECT(host.page_take(host.context, VMMU_PAGE_ANY, &again) == NULL);
}

static void test_a_page_below_4g_is_given_only_if_all_lie_there(void **state)
{
    struct vmmu_flat_host below = host_at(0x100000000 - sizeof(bytes)),
                          above = host_at(0x100001000 - sizeof(bytes));
    const struct vmmu_host low = vmmu_flat_host(&below), high = vmmu_flat_host(&above);
    vmmu_hpa at;
    (void)state;

    EXPECT(low.page_take(low.context, VMMU_PAGE_BELOW_4G, &at) != NULL);
    EXPECT(high.page_take(high.context, VMMU_PAGE_BELOW_4G, &at) == NULL);
    EXPECT(high.page_take(high.context, VMMU_PAGE_ANY, &at) != NULL);
}

static void test_the_partition_owns_what_was_said_and_no_byte_more(void **state)
{
    struct vmmu_flat_host flat = host_at(0x1000000);
    const struct vmmu_host host = vmmu_flat_host(&flat);
    (void)state;

    EXPECT(host.owns(host.context, (vmmu_hpa){ 0x100000000 }, 0x40000000));
    EXPECT(host.owns(host.context, (vmmu_hpa){ 0x13FFFF000 }, VMMU_PAGE_BYTES));
    EXPECT(!host.owns(host.context, (vmmu_hpa){ 0x0FFFFF000 }, VMMU_PAGE_BYTES));
    EXPECT(!host.owns(host.context, (vmmu_hpa){ 0x13FFFF000 }, 2 * VMMU_PAGE_BYTES));
    EXPECT(!host.owns(host.context, (vmmu_hpa){ 0x100001000 }, UINT64_MAX));
}

/* A second stage whose tables are in the array. */
struct second {
    struct vmmu_flat_host flat;
    struct vmmu_host host;
    struct vmmu_table_retired quarantine[PAGES];
    struct vmmu_table_memory memory;
    struct vmmu_nested nested;
};

static void start_second(struct second *second)
{
    const struct vmmu_nested_config npt = { .format = VMMU_NESTED_NPT,
                                            .levels = 4,
                                            .maxphyaddr = 40,
                                            .largest_level = VMMU_NESTED_LEVEL_1G,
                                            .pat = 0x0007040600070406,
                                            .vps = 1 };

    second->flat = host_at(0x1000000);
    second->host = vmmu_flat_host(&second->flat);
    vmmu_table_init(&second->memory, &second->host, second->quarantine, PAGES, 0);
    EXPECT_EQ(vmmu_nested_init(&second->nested, &npt, &second->memory), VMMU_OK);
}

/* The second stage of an access to 0x7F234, built in the array and walked there. */
static void test_tables_that_were_built_in_it_can_be_walked_in_it(void **state)
{
    const struct vmmu_nested_mapping mapping = { .hpa = { 0x100000000 },
                                                 .size_bytes = VMMU_1G_BYTES,
                                                 .type = VMMU_X86_TYPE_WB,
                                                 .rights = VMMU_X86_RIGHTS_ALL };
    struct second second;
    struct vmmu_nested_page page;
    (void)state;

    start_second(&second);
    EXPECT_EQ(vmmu_nested_map(&second.nested, &mapping).status, VMMU_OK);
    EXPECT_EQ(vmmu_nested_lookup(&second.nested, (vmmu_gpa){ 0x7F234 }, &page), VMMU_OK);
    EXPECT_EQ(page.frame.v, 0x100000000);
    EXPECT_EQ(page.size_bytes, VMMU_1G_BYTES);
    EXPECT_EQ(vmmu_nested_lookup(&second.nested, (vmmu_gpa){ VMMU_1G_BYTES }, &page), VMMU_ABSENT);
    vmmu_nested_destroy(&second.nested);
    vmmu_table_drain(&second.memory);
    EXPECT_EQ(second.memory.counters.held_pages, 0);
}

static void test_what_is_not_owned_is_not_mapped_and_the_host_is_told(void **state)
{
    const struct vmmu_nested_mapping mapping = { .hpa = { 0x200000000 },
                                                 .size_bytes = VMMU_PAGE_BYTES,
                                                 .type = VMMU_X86_TYPE_WB,
                                                 .rights = VMMU_X86_RIGHTS_ALL };
    struct second second;
    (void)state;

    start_second(&second);
    EXPECT_EQ(vmmu_nested_map(&second.nested, &mapping).status, VMMU_VIOLATED);
    EXPECT(second.flat.violated != NULL);
    vmmu_nested_destroy(&second.nested);
    vmmu_table_drain(&second.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_little_endian_in_memory),
        cmocka_unit_test(test_there_is_no_memory_outside_the_piece),
        cmocka_unit_test(test_an_exchange_stores_only_what_it_finds_as_expected),
        cmocka_unit_test(test_nothing_is_stored_where_memory_is_not_writable),
        cmocka_unit_test(test_every_page_is_given_once_and_again_when_it_came_back),
        cmocka_unit_test(test_a_page_below_4g_is_given_only_if_all_lie_there),
        cmocka_unit_test(test_the_partition_owns_what_was_said_and_no_byte_more),
        cmocka_unit_test(test_tables_that_were_built_in_it_can_be_walked_in_it),
        cmocka_unit_test(test_what_is_not_owned_is_not_mapped_and_the_host_is_told),
    };
    return RUN_TESTS(tests);
}
