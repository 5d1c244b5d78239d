/*
 * Physical memory as ranges: order, overlaps, neighbours, and accesses across them.
 */
#include <stdlib.h>

#include "tests/unit/test.h"
#include "tools/image/memory.h"

static uint8_t low[0x1000];
static uint8_t high[0x1000];

static void fill(void)
{
    for (unsigned i = 0; i < sizeof(low); i++) {
        low[i] = (uint8_t)(i & 0x7F);
        high[i] = (uint8_t)(0x80 | i);
    }
}

static void expect_range(const struct image_memory *memory, unsigned index, uint64_t base,
                         uint64_t size_bytes)
{
    EXPECT(index < memory->count);
    EXPECT_EQ(memory->ranges[index].base, base);
    EXPECT_EQ(memory->ranges[index].size_bytes, size_bytes);
}

static uint8_t byte_at(const struct image_memory *memory, uint64_t address)
{
    uint8_t byte = 0;

    EXPECT(image_memory_read(memory, address, &byte, 1));
    return byte;
}

static void test_ranges_ascend_whatever_order_they_came_in(void **state)
{
    struct image_memory memory = { 0 };

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        image_memory_add(&memory, 0x10000 * (uint64_t)(i * 37 % 100), 0x1000, low);
    image_memory_settle(&memory);
    EXPECT_EQ(memory.count, 100);
    for (unsigned i = 0; i < 100; i++) {
        expect_range(&memory, i, 0x10000 * (uint64_t)i, 0x1000);
        EXPECT(image_memory_find(&memory, 0x10000 * (uint64_t)i + 0xFFF) == &memory.ranges[i]);
        EXPECT(image_memory_find(&memory, 0x10000 * (uint64_t)i + 0x1000) == NULL);
    }
    image_memory_free(&memory);
}

static void test_of_two_that_overlap_the_lower_counts(void **state)
{
    struct image_memory memory = { 0 };

    (void)state;
    fill();
    image_memory_add(&memory, 0x1800, 0x1000, high);
    image_memory_add(&memory, 0x1000, 0x1000, low);
    image_memory_settle(&memory);
    EXPECT_EQ(memory.count, 2);
    expect_range(&memory, 0, 0x1000, 0x1000);
    expect_range(&memory, 1, 0x2000, 0x800);
    EXPECT_EQ(byte_at(&memory, 0x1FFF), low[0xFFF]);
    EXPECT_EQ(byte_at(&memory, 0x2000), high[0x800]);
    image_memory_free(&memory);
}

static void test_of_two_that_begin_at_one_address_the_longer_counts_then_the_first(void **state)
{
    struct image_memory memory = { 0 };

    (void)state;
    fill();
    image_memory_add(&memory, 0x1000, 0x800, high);
    image_memory_add(&memory, 0x1000, 0x1000, low);
    image_memory_add(&memory, 0x1000, 0x1000, high);
    image_memory_settle(&memory);
    EXPECT_EQ(memory.count, 1);
    expect_range(&memory, 0, 0x1000, 0x1000);
    EXPECT_EQ(byte_at(&memory, 0x1001), low[1]);
    image_memory_free(&memory);
}

static void test_one_within_another_and_one_of_no_bytes_are_nothing(void **state)
{
    struct image_memory memory = { 0 };

    (void)state;
    image_memory_add(&memory, 0x1000, 0x1000, low);
    image_memory_add(&memory, 0x1400, 0x400, high);
    image_memory_add(&memory, 0x9000, 0, high);
    image_memory_settle(&memory);
    EXPECT_EQ(memory.count, 1);
    image_memory_free(&memory);
}

static void test_neighbours_join_if_their_bytes_do(void **state)
{
    struct image_memory memory = { 0 };

    (void)state;
    image_memory_add(&memory, 0x1400, 0x400, low + 0x400);
    image_memory_add(&memory, 0x1000, 0x400, low);
    image_memory_add(&memory, 0x1800, 0x400, high);
    image_memory_add(&memory, 0x1C00, 0x400, NULL);
    image_memory_add(&memory, 0x2000, 0x400, NULL);
    image_memory_settle(&memory);
    EXPECT_EQ(memory.count, 3);
    expect_range(&memory, 0, 0x1000, 0x800);
    expect_range(&memory, 1, 0x1800, 0x400);
    expect_range(&memory, 2, 0x1C00, 0x800);
    image_memory_free(&memory);
}

static void test_ranges_that_are_not_mapped_become_one_if_they_touch_or_overlap(void **state)
{
    struct image_memory memory = { 0 };

    (void)state;
    image_memory_add(&memory, 0x5000, 0x1000, NULL);
    image_memory_add(&memory, 0x1000, 0x2000, NULL);
    image_memory_add(&memory, 0x3000, 0x1000, NULL);
    image_memory_add(&memory, 0x1000, 0x1000, NULL);
    image_memory_add(&memory, 0x8000, 0x4000, NULL);
    image_memory_add(&memory, 0x9000, 0x1000, NULL);
    image_memory_settle(&memory);
    EXPECT_EQ(memory.count, 3);
    expect_range(&memory, 0, 0x1000, 0x3000);
    expect_range(&memory, 1, 0x5000, 0x1000);
    expect_range(&memory, 2, 0x8000, 0x4000);
    image_memory_free(&memory);
}

/* Who has the byte at @at by the rule, among @count ranges that were given. */
static const struct image_range *owner_of(const struct image_range *given, unsigned count, uint64_t at)
{
    const struct image_range *owner = NULL;

    for (unsigned i = 0; i < count; i++) {
        const bool in = at - given[i].base < given[i].size_bytes;

        if (in && (owner == NULL || given[i].base < owner->base ||
                   (given[i].base == owner->base && given[i].size_bytes > owner->size_bytes)))
            owner = &given[i];
    }
    return owner;
}

static void expect_owner(const struct image_memory *memory, const struct image_range *owner, uint64_t at)
{
    const struct image_range *const found = image_memory_find(memory, at);

    EXPECT_EQ(found != NULL, owner != NULL);
    if (owner != NULL && found != NULL)
        EXPECT(found->mapped + (at - found->base) == owner->mapped + (at - owner->base));
}

static void test_whatever_overlaps_each_address_has_one_owner_by_the_rule(void **state)
{
    enum { SPAN = 256, COUNT = 12 };
    uint64_t random = 1;

    (void)state;
    for (unsigned round = 0; round < 500; round++) {
        struct image_memory memory = { 0 };
        struct image_range given[COUNT];

        for (unsigned i = 0; i < COUNT; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            given[i] =
                (struct image_range){ (random >> 33) % 200, 1 + (random >> 45) % 55, low + 64 * (uint64_t)i };
            image_memory_add(&memory, given[i].base, given[i].size_bytes, given[i].mapped);
        }
        image_memory_settle(&memory);
        for (uint64_t at = 0; at < SPAN; at++)
            expect_owner(&memory, owner_of(given, COUNT, at), at);
        image_memory_free(&memory);
    }
}

static bool give_addresses(void *context, uint64_t address, void *to, size_t size_bytes)
{
    uint8_t *bytes = to;

    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(address + i);
    return context == NULL;
}

static void test_accesses_go_across_ranges_mapped_and_read(void **state)
{
    struct image_memory memory = { .read = give_addresses };
    struct vmmu_ram ram = image_memory_ram(&memory);
    uint8_t bytes[6];
    uint64_t value;

    (void)state;
    fill();
    image_memory_add(&memory, 0x1000, 4, low);
    image_memory_add(&memory, 0x1004, 4, NULL);
    image_memory_add(&memory, 0x1008, 8, high);
    image_memory_settle(&memory);
    EXPECT(image_memory_read(&memory, 0x1002, bytes, 6));
    assert_memory_equal(bytes, ((const uint8_t[]){ 2, 3, 4, 5, 6, 7 }), 6);
    EXPECT_EQ(ram.load(ram.context, 0x1000, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x0706050403020100);
    EXPECT_EQ(ram.load(ram.context, 0x1004, 4, &value), VMMU_OK);
    EXPECT_EQ(value, 0x07060504);
    EXPECT(image_memory_holds(&memory, 0x1000, 16));
    EXPECT(!image_memory_holds(&memory, 0x1000, 17));
    EXPECT(!image_memory_holds(&memory, 0xFFF, 2));
    memory.read_context = &memory;
    EXPECT_EQ(ram.load(ram.context, 0x1000, 8, &value), VMMU_ABSENT);
    image_memory_free(&memory);
}

static void test_what_is_beside_the_ranges_is_read_if_the_memory_is_open(void **state)
{
    struct image_memory memory = { .read = give_addresses, .open = true };
    struct vmmu_ram ram = image_memory_ram(&memory);
    uint8_t bytes[6];
    uint64_t value;

    (void)state;
    image_memory_add(&memory, 0x1000, 4, NULL);
    image_memory_settle(&memory);
    EXPECT(image_memory_read(&memory, 0x1002, bytes, 6));
    assert_memory_equal(bytes, ((const uint8_t[]){ 2, 3, 4, 5, 6, 7 }), 6);
    EXPECT(image_memory_find(&memory, 0x2000) == NULL);
    EXPECT_EQ(ram.load(ram.context, 0x2000, 8, &value), VMMU_OK);
    EXPECT_EQ(value, 0x0706050403020100);
    memory.read_context = &memory;
    EXPECT_EQ(ram.load(ram.context, 0x2000, 8, &value), VMMU_ABSENT);
    image_memory_free(&memory);
}

static void test_nothing_is_in_no_memory(void **state)
{
    struct image_memory memory = { 0 };
    struct vmmu_ram ram = image_memory_ram(&memory);
    uint64_t value;

    (void)state;
    image_memory_settle(&memory);
    EXPECT(image_memory_find(&memory, 0) == NULL);
    EXPECT_EQ(ram.load(ram.context, 0, 8, &value), VMMU_ABSENT);
    EXPECT(!image_memory_read(&memory, 0, &value, 1));
    image_memory_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_ascend_whatever_order_they_came_in),
        cmocka_unit_test(test_of_two_that_overlap_the_lower_counts),
        cmocka_unit_test(test_of_two_that_begin_at_one_address_the_longer_counts_then_the_first),
        cmocka_unit_test(test_one_within_another_and_one_of_no_bytes_are_nothing),
        cmocka_unit_test(test_neighbours_join_if_their_bytes_do),
        cmocka_unit_test(test_ranges_that_are_not_mapped_become_one_if_they_touch_or_overlap),
        cmocka_unit_test(test_whatever_overlaps_each_address_has_one_owner_by_the_rule),
        cmocka_unit_test(test_accesses_go_across_ranges_mapped_and_read),
        cmocka_unit_test(test_what_is_beside_the_ranges_is_read_if_the_memory_is_open),
        cmocka_unit_test(test_nothing_is_in_no_memory),
    };

    return RUN_TESTS(tests);
}
