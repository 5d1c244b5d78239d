/*
 * The memory that engines work over: an image is never changed, and what is changed over it is seen.
 */
#include <string.h>

#include "tests/unit/test.h"
#include "tools/engine/memory.h"

#define IMAGE_BYTES 8196 /* ends in the middle of a word */

struct image_memory {
    uint8_t bytes[IMAGE_BYTES];
    struct vmmu_ram ram;
};

static enum vmmu_status image_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct image_memory *image = context;

    if (!vmmu_range_fits(address, width_bytes, IMAGE_BYTES)) {
        return VMMU_ABSENT;
    }
    *value = 0;
    memcpy(value, image->bytes + address, width_bytes);
    return VMMU_OK;
}

static const struct image_range whole_image = { .base = 0, .size_bytes = IMAGE_BYTES };

static struct engine_memory *over(struct image_memory *image)
{
    memset(image->bytes, 0x11, sizeof image->bytes);
    image->ram = (struct vmmu_ram){ .context = image, .load = image_load };
    return engine_memory_over(&image->ram, &whole_image, 1);
}

static uint64_t load(const struct engine_memory *memory, uint64_t address, unsigned width_bytes)
{
    const struct vmmu_ram *ram = engine_memory_ram(memory);
    uint64_t value;

    EXPECT_EQ(ram->load(ram->context, address, width_bytes, &value), VMMU_OK);
    return value;
}

static enum vmmu_status exchange(const struct engine_memory *memory, uint64_t address, uint64_t expected,
                                 uint64_t desired)
{
    const struct vmmu_ram *ram = engine_memory_ram(memory);

    return ram->exchange(ram->context, address, 8, expected, desired);
}

static void test_an_exchange_over_an_image_is_seen_and_the_image_stays(void **state)
{
    struct image_memory image;
    struct engine_memory *memory = over(&image);

    (void)state;
    EXPECT_EQ(exchange(memory, 0x10, UINT64_C(0x1111111111111111), 7), VMMU_OK);
    EXPECT_EQ(load(memory, 0x10, 8), 7);
    EXPECT_EQ(load(memory, 0x18, 8), UINT64_C(0x1111111111111111));
    EXPECT_EQ(image.bytes[0x10], 0x11);
    engine_memory_free(memory);
}

static void test_an_exchange_of_what_does_not_stand_there_is_a_race(void **state)
{
    struct image_memory image;
    struct engine_memory *memory = over(&image);

    (void)state;
    EXPECT_EQ(exchange(memory, 0x10, 5, 7), VMMU_RACED);
    EXPECT_EQ(load(memory, 0x10, 8), UINT64_C(0x1111111111111111));
    engine_memory_free(memory);
}

static void test_half_a_word_may_be_changed(void **state)
{
    struct image_memory image;
    struct engine_memory *memory = over(&image);

    (void)state;
    EXPECT(engine_memory_store(memory, 0x24, 4, 0xaabbccdd));
    EXPECT_EQ(load(memory, 0x20, 8), UINT64_C(0xaabbccdd11111111));
    EXPECT_EQ(load(memory, 0x24, 4), 0xaabbccdd);
    EXPECT_EQ(load(memory, 0x20, 4), 0x11111111);
    engine_memory_free(memory);
}

static void test_an_image_that_ends_within_a_word_can_be_changed_up_to_its_end(void **state)
{
    struct image_memory image;
    struct engine_memory *memory = over(&image);

    (void)state;
    EXPECT(engine_memory_store(memory, 8192, 4, 9));
    EXPECT_EQ(load(memory, 8192, 4), 9);
    EXPECT(!engine_memory_store(memory, 8200, 8, 9));
    engine_memory_free(memory);
}

static void test_many_changes_are_all_kept_and_all_forgotten(void **state)
{
    struct image_memory image;
    struct engine_memory *memory = over(&image);

    (void)state;
    for (uint64_t at = 0; at < 8192; at += 8) {
        EXPECT(engine_memory_store(memory, at, 8, at + 1));
    }
    for (uint64_t at = 0; at < 8192; at += 8) {
        EXPECT_EQ(load(memory, at, 8), at + 1);
    }
    engine_memory_reset(memory);
    for (uint64_t at = 0; at < 8192; at += 8) {
        EXPECT_EQ(load(memory, at, 8), UINT64_C(0x1111111111111111));
    }
    engine_memory_free(memory);
}

static void test_ranges_become_whole_pages_that_do_not_touch(void **state)
{
    static const struct image_range ranges[] = {
        { .base = 0x1800, .size_bytes = 0x100 },  { .base = 0x1f00, .size_bytes = 0x200 },
        { .base = 0x5000, .size_bytes = 0 },      { .base = 0x7000, .size_bytes = 0x1000 },
        { .base = 0x8000, .size_bytes = 0x1001 },
    };
    static const struct vmmu_ram nothing = { 0 };
    struct engine_memory *memory = engine_memory_over(&nothing, ranges, 5);
    unsigned count;
    const struct image_range *kept = engine_memory_ranges(memory, &count);

    (void)state;
    EXPECT_EQ(count, 2);
    EXPECT_EQ(kept[0].base, 0x1000);
    EXPECT_EQ(kept[0].size_bytes, 0x2000);
    EXPECT_EQ(kept[1].base, 0x7000);
    EXPECT_EQ(kept[1].size_bytes, 0x3000);
    engine_memory_free(memory);
}

static void test_memory_of_the_tools_own_is_zero_until_it_is_written(void **state)
{
    struct complaint complaint;
    struct engine_memory *memory = engine_memory_new(UINT64_C(1) << 40, &complaint);

    (void)state;
    EXPECT(memory != NULL);
    EXPECT_EQ(load(memory, (UINT64_C(1) << 40) - 8, 8), 0);
    EXPECT(engine_memory_store(memory, 0x123450, 4, UINT32_MAX));
    EXPECT_EQ(load(memory, 0x123450, 8), UINT32_MAX);
    EXPECT_EQ(exchange(memory, 0x123450, UINT32_MAX, 5), VMMU_OK);
    EXPECT_EQ(exchange(memory, 0x123450, UINT32_MAX, 6), VMMU_RACED);
    EXPECT_EQ(load(memory, 0x123450, 8), 5);
    EXPECT(!engine_memory_store(memory, UINT64_C(1) << 40, 8, 1));
    engine_memory_reset(memory);
    EXPECT_EQ(load(memory, 0x123450, 8), 0);
    engine_memory_free(memory);
}

static void test_memory_that_no_machine_has_is_refused(void **state)
{
    static const uint64_t sizes[] = { 0, 4097, UINT64_MAX - 4095, UINT64_C(1) << 52 };

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct complaint complaint = { .text = "" };

        EXPECT(engine_memory_new(sizes[i], &complaint) == NULL);
        EXPECT(complaint.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_exchange_over_an_image_is_seen_and_the_image_stays),
        cmocka_unit_test(test_an_exchange_of_what_does_not_stand_there_is_a_race),
        cmocka_unit_test(test_half_a_word_may_be_changed),
        cmocka_unit_test(test_an_image_that_ends_within_a_word_can_be_changed_up_to_its_end),
        cmocka_unit_test(test_many_changes_are_all_kept_and_all_forgotten),
        cmocka_unit_test(test_ranges_become_whole_pages_that_do_not_touch),
        cmocka_unit_test(test_memory_of_the_tools_own_is_zero_until_it_is_written),
        cmocka_unit_test(test_memory_that_no_machine_has_is_refused),
    };

    return RUN_TESTS(tests);
}
