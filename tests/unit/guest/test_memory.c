/* Guest memory by slots; the layout of a PC's memory. */
#include "hv/guest/memory.h"
#include "tests/unit/test.h"

static uint8_t first[0x4000];
static uint8_t second[0x2000];

static struct guest_slot slot(uint64_t gpa, uint64_t size, uint8_t *host)
{
    return (struct guest_slot){ .gpa = { gpa }, .size = size, .host = host, .hpa = { 0x100000 + gpa } };
}

static struct guest_memory two_slots(void)
{
    struct guest_memory memory = { 0 };
    const struct guest_slot low = slot(0, sizeof(first), first);
    const struct guest_slot high = slot(UINT64_C(0x100000000), sizeof(second), second);

    EXPECT_EQ(guest_memory_add(&memory, &low), VMMU_OK);
    EXPECT_EQ(guest_memory_add(&memory, &high), VMMU_OK);
    return memory;
}

static void test_an_address_is_found_in_its_slot(void **state)
{
    const struct guest_memory memory = two_slots();
    vmmu_hpa hpa;

    (void)state;
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0 }, 1) == first);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0x3FFF }, 1) == first + 0x3FFF);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ UINT64_C(0x100000010) }, 16) == second + 16);
    EXPECT(guest_memory_hpa(&memory, (vmmu_gpa){ UINT64_C(0x100000010) }, &hpa));
    EXPECT_EQ(hpa.v, UINT64_C(0x100100010));
    EXPECT_EQ(guest_memory_bytes(&memory), sizeof(first) + sizeof(second));
}

static void test_a_range_that_leaves_its_slot_is_not_found(void **state)
{
    const struct guest_memory memory = two_slots();
    vmmu_hpa hpa;

    (void)state;
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0x3FFF }, 2) == NULL);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0 }, sizeof(first)) == first);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0 }, sizeof(first) + 1) == NULL);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0 }, 0) == NULL);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 0x4000 }, 1) == NULL);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ 8 }, UINT64_MAX) == NULL);
    EXPECT(guest_memory_at(&memory, (vmmu_gpa){ UINT64_MAX }, 2) == NULL);
    EXPECT(!guest_memory_hpa(&memory, (vmmu_gpa){ 0x4000 }, &hpa));
    EXPECT(!guest_memory_hpa(&memory, (vmmu_gpa){ UINT64_C(0xFFFFFFFF) }, &hpa));
}

static void test_slots_that_overlap_wrap_or_are_unaligned_are_refused(void **state)
{
    struct guest_memory memory = two_slots();
    const struct guest_slot bad[] = {
        slot(UINT64_C(0x100001000), 0x1000, second), slot(0x8000, 0x1000, second),
        slot(UINT64_C(0x200000800), 0x1000, second), slot(UINT64_C(0x200000000), 0x800, second),
        slot(UINT64_C(0x200000000), 0, second),      slot(UINT64_C(0xFFFFFFFFFFFFF000), 0x2000, second),
        slot(UINT64_C(1) << 52, 0x1000, second),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ(guest_memory_add(&memory, &bad[i]), VMMU_INVALID);
    }
    EXPECT_EQ(memory.count, 2);
}

static void test_there_are_only_so_many_slots(void **state)
{
    struct guest_memory memory = { 0 };

    (void)state;
    for (unsigned i = 0; i < GUEST_SLOTS; i++) {
        const struct guest_slot next = slot(i * UINT64_C(0x10000), 0x1000, first);

        EXPECT_EQ(guest_memory_add(&memory, &next), VMMU_OK);
    }
    const struct guest_slot last = slot(0x1000000, 0x1000, first);

    EXPECT_EQ(guest_memory_add(&memory, &last), VMMU_NO_MEMORY);
}

static void expect_entry(const struct guest_layout *layout, unsigned index, uint64_t base, uint64_t end,
                         enum guest_e820_type type)
{
    EXPECT_EQ(layout->e820[index].base, base);
    EXPECT_EQ(layout->e820[index].size, end - base);
    EXPECT_EQ(layout->e820[index].type, type);
}

static void test_a_small_guest_has_low_memory_a_hole_and_the_rest(void **state)
{
    struct guest_layout layout;
    const char *error = NULL;

    (void)state;
    EXPECT_EQ(guest_layout_make(UINT64_C(128) << 20, &layout, &error), VMMU_OK);
    EXPECT_EQ(layout.ranges, 1);
    EXPECT_EQ(layout.range[0].gpa.v, 0);
    EXPECT_EQ(layout.range[0].size, UINT64_C(128) << 20); /* the hole is backed, for text page and tables */
    EXPECT_EQ(layout.entries, 3);
    expect_entry(&layout, 0, 0, 0x9FC00, GUEST_E820_RAM);
    expect_entry(&layout, 1, 0x9FC00, 0x100000, GUEST_E820_RESERVED);
    expect_entry(&layout, 2, 0x100000, UINT64_C(128) << 20, GUEST_E820_RAM);
}

static void test_memory_beyond_3_gib_goes_above_4_gib(void **state)
{
    struct guest_layout layout;
    const char *error = NULL;

    (void)state;
    EXPECT_EQ(guest_layout_make(UINT64_C(3) << 30, &layout, &error), VMMU_OK);
    EXPECT_EQ(layout.ranges, 1);
    EXPECT_EQ(guest_layout_make(UINT64_C(40) << 30, &layout, &error), VMMU_OK);
    EXPECT_EQ(layout.ranges, 2);
    EXPECT_EQ(layout.range[0].size, UINT64_C(3) << 30);
    EXPECT_EQ(layout.range[1].gpa.v, UINT64_C(4) << 30);
    EXPECT_EQ(layout.range[1].size, UINT64_C(37) << 30);
    expect_entry(&layout, 2, 0x100000, UINT64_C(3) << 30, GUEST_E820_RAM);
    expect_entry(&layout, 3, UINT64_C(4) << 30, UINT64_C(41) << 30, GUEST_E820_RAM);
}

static void test_absurd_sizes_are_refused_with_a_sentence(void **state)
{
    static const uint64_t sizes[] = { 0, 1, 4096, 0x7FFFFF, 0x7E00000 + 4096, UINT64_MAX, UINT64_C(1) << 41 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct guest_layout layout;
        const char *error = NULL;

        EXPECT_EQ(guest_layout_make(sizes[i], &layout, &error), VMMU_INVALID);
        EXPECT(error != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_found_in_its_slot),
        cmocka_unit_test(test_a_range_that_leaves_its_slot_is_not_found),
        cmocka_unit_test(test_slots_that_overlap_wrap_or_are_unaligned_are_refused),
        cmocka_unit_test(test_there_are_only_so_many_slots),
        cmocka_unit_test(test_a_small_guest_has_low_memory_a_hole_and_the_rest),
        cmocka_unit_test(test_memory_beyond_3_gib_goes_above_4_gib),
        cmocka_unit_test(test_absurd_sizes_are_refused_with_a_sentence),
    };

    return RUN_TESTS(tests);
}
