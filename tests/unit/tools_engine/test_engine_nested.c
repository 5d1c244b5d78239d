/*
 * Second stages: the references of two-dimensional walks, as the manuals' structure of tables makes them, and where they lead.
 */
#include "tests/unit/test.h"
#include "tests/unit/tools_engine/engine_guest.h"
#include "tools/engine/nested.h"

#define VA UINT64_C(0x12345678)

static const struct vmmu_x86_access reads = { .kind = VMMU_X86_READ };

/* References of a walk with nothing cached: each guest entry behind the second stage, and the final address. */
static unsigned references(enum vmmu_x86_paging paging, unsigned guest_level,
                           const struct engine_nested_options *options)
{
    struct engine_guest guest;
    struct complaint complaint;
    struct engine_nested *nested;
    struct vmmu_x86_nested_result result;

    engine_guest_open(&guest, paging);
    engine_guest_map(&guest, VA, guest_level, GUEST_DATA | (guest_level > 1 ? GUEST_LARGE : GUEST_LEAF));
    nested = engine_nested_open(guest.memory, options, &complaint);
    EXPECT(nested != NULL);
    EXPECT_EQ(
        vmmu_x86_walk_nested(&guest.mode, engine_nested_second(nested), (vmmu_gva){ VA }, reads, &result),
        VMMU_OK);
    EXPECT_EQ(result.host.hpa.v, ENGINE_GUEST_AT + result.guest.gpa.v);
    engine_nested_close(nested);
    engine_guest_close(&guest);
    return result.loads;
}

static void test_four_by_four_levels_take_24_references(void **state)
{
    const struct engine_nested_options npt = { .format = VMMU_NESTED_NPT, .largest_level = 1 };
    const struct engine_nested_options ept = { .format = VMMU_NESTED_EPT, .largest_level = 1 };

    (void)state;
    EXPECT_EQ(references(VMMU_X86_PAGING_4LEVEL, 1, &npt), 24);
    EXPECT_EQ(references(VMMU_X86_PAGING_4LEVEL, 1, &ept), 24);
}

static void test_five_by_five_levels_take_35_references(void **state)
{
    const struct engine_nested_options npt = { .format = VMMU_NESTED_NPT, .levels = 5, .largest_level = 1 };
    const struct engine_nested_options ept = { .format = VMMU_NESTED_EPT, .levels = 5, .largest_level = 1 };

    (void)state;
    EXPECT_EQ(references(VMMU_X86_PAGING_5LEVEL, 1, &npt), 35);
    EXPECT_EQ(references(VMMU_X86_PAGING_5LEVEL, 1, &ept), 35);
}

static void test_larger_pages_of_the_second_stage_take_fewer(void **state)
{
    const struct engine_nested_options two = { .format = VMMU_NESTED_EPT, .largest_level = 2 };
    const struct engine_nested_options three = { .format = VMMU_NESTED_EPT };

    (void)state;
    EXPECT_EQ(references(VMMU_X86_PAGING_4LEVEL, 1, &two), 4 * (3 + 1) + 3);
    EXPECT_EQ(references(VMMU_X86_PAGING_4LEVEL, 1, &three), 4 * (2 + 1) + 2);
}

static void test_larger_pages_of_the_guest_take_fewer(void **state)
{
    const struct engine_nested_options ept = { .format = VMMU_NESTED_EPT, .largest_level = 1 };

    (void)state;
    EXPECT_EQ(references(VMMU_X86_PAGING_4LEVEL, 2, &ept), 3 * (4 + 1) + 4);
    EXPECT_EQ(references(VMMU_X86_PAGING_32BIT, 1, &ept), 2 * (4 + 1) + 4);
    EXPECT_EQ(references(VMMU_X86_PAGING_32BIT, 2, &ept), 1 * (4 + 1) + 4);
}

/* 2 GiB: a root, a table of the level below, and for each GiB a directory, which has 512 tables if no page is large. */
static void test_table_pages_are_those_that_the_memory_takes(void **state)
{
    static const uint32_t pages[] = { [1] = 1 + 1 + 2 + 1024, [2] = 1 + 1 + 2, [3] = 1 + 1 };
    struct engine_guest guest;

    (void)state;
    engine_guest_open(&guest, VMMU_X86_PAGING_4LEVEL);
    for (uint8_t largest = 1; largest <= 3; largest++) {
        const struct engine_nested_options options = { .format = VMMU_NESTED_NPT, .largest_level = largest };
        struct complaint complaint;
        struct engine_nested *nested = engine_nested_open(guest.memory, &options, &complaint);

        EXPECT_EQ(engine_nested_table_pages(nested), pages[largest]);
        EXPECT_EQ(engine_nested_counters(nested)->leaves[largest - 1], GUEST_BYTES >> (3 + 9 * largest));
        engine_nested_close(nested);
    }
    engine_guest_close(&guest);
}

static void test_where_there_is_no_memory_the_second_stage_refuses(void **state)
{
    const struct engine_nested_options options = { .format = VMMU_NESTED_EPT };
    struct engine_guest guest;
    struct complaint complaint;
    struct vmmu_x86_nested_result result;

    (void)state;
    engine_guest_open(&guest, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&guest, VA, 1, GUEST_BYTES | GUEST_LEAF);
    struct engine_nested *nested = engine_nested_open(guest.memory, &options, &complaint);

    EXPECT_EQ(
        vmmu_x86_walk_nested(&guest.mode, engine_nested_second(nested), (vmmu_gva){ VA }, reads, &result),
        VMMU_STAGE2);
    EXPECT_EQ(result.stage2_fault.gpa.v, GUEST_BYTES + VA % 4096);
    engine_nested_close(nested);
    engine_guest_close(&guest);
}

static void test_a_walk_marks_entries_of_both_stages_where_it_is_asked_to(void **state)
{
    const struct engine_nested_options options = { .format = VMMU_NESTED_EPT, .accessed_dirty = true };
    const struct vmmu_x86_access writes = { .kind = VMMU_X86_WRITE, .marks = VMMU_X86_MARKS_AS_IT_GOES };
    struct engine_guest guest;
    struct complaint complaint;
    struct vmmu_x86_nested_result result;

    (void)state;
    engine_guest_open(&guest, VMMU_X86_PAGING_4LEVEL);
    engine_guest_map(&guest, VA, 1, GUEST_DATA | GUEST_CLEAN_LEAF);
    struct engine_nested *nested = engine_nested_open(guest.memory, &options, &complaint);
    const struct vmmu_x86_stage2 *second = engine_nested_second(nested);

    EXPECT_EQ(vmmu_x86_walk_nested(&guest.mode, second, (vmmu_gva){ VA }, writes, &result), VMMU_OK);
    EXPECT_EQ(vmmu_x86_walk_nested(&guest.mode, second, (vmmu_gva){ VA }, writes, &result), VMMU_OK);
    for (unsigned i = 0; i < result.step_count; i++) {
        EXPECT_EQ(result.steps[i].marks, 0);
    }
    engine_nested_close(nested);
    engine_guest_close(&guest);
}

static void test_memory_out_of_reach_is_refused(void **state)
{
    static const struct image_range ranges[] = { { .base = UINT64_C(1) << 48, .size_bytes = 4096 } };
    static const struct vmmu_ram nothing = { 0 };
    const struct engine_nested_options options = { .format = VMMU_NESTED_EPT };
    struct complaint complaint = { .text = "" };
    struct engine_memory *far = engine_memory_over(&nothing, ranges, 1);
    struct engine_memory *none = engine_memory_over(&nothing, ranges, 0);

    (void)state;
    EXPECT(engine_nested_open(far, &options, &complaint) == NULL);
    EXPECT(complaint.text[0] != '\0');
    EXPECT(engine_nested_open(none, &options, &complaint) == NULL);
    engine_memory_free(far);
    engine_memory_free(none);
}

static void test_a_range_that_claims_more_than_can_be_mapped_page_by_page_is_refused(void **state)
{
    static const struct image_range ranges[] = { { .base = 0, .size_bytes = UINT64_C(1) << 46 } };
    static const struct vmmu_ram nothing = { 0 };
    const struct engine_nested_options options = { .format = VMMU_NESTED_EPT, .largest_level = 1 };
    struct complaint complaint = { .text = "" };
    struct engine_memory *memory = engine_memory_over(&nothing, ranges, 1);

    (void)state;
    EXPECT(engine_nested_open(memory, &options, &complaint) == NULL);
    EXPECT(complaint.text[0] != '\0');
    engine_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_by_four_levels_take_24_references),
        cmocka_unit_test(test_five_by_five_levels_take_35_references),
        cmocka_unit_test(test_larger_pages_of_the_second_stage_take_fewer),
        cmocka_unit_test(test_larger_pages_of_the_guest_take_fewer),
        cmocka_unit_test(test_table_pages_are_those_that_the_memory_takes),
        cmocka_unit_test(test_where_there_is_no_memory_the_second_stage_refuses),
        cmocka_unit_test(test_a_walk_marks_entries_of_both_stages_where_it_is_asked_to),
        cmocka_unit_test(test_memory_out_of_reach_is_refused),
        cmocka_unit_test(test_a_range_that_claims_more_than_can_be_mapped_page_by_page_is_refused),
    };

    return RUN_TESTS(tests);
}
