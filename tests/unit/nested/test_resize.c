/* Splitting and merging: sizes change, translations do not. */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/test.h"

static struct space space;

static struct vmmu_outcome merge(uint64_t gpa, uint64_t size_bytes)
{
    return vmmu_nested_merge(&space.nested, (vmmu_gpa){ gpa }, size_bytes);
}

static struct vmmu_outcome split(uint64_t gpa, uint64_t size_bytes, uint8_t level)
{
    return vmmu_nested_split(&space.nested, (vmmu_gpa){ gpa }, size_bytes, level);
}

/* The GiB at GPA still translates to HPA, with @rights and as write-protected memory. */
static void expect_unchanged(uint8_t rights)
{
    for (uint64_t offset = 0; offset < HUGE; offset += LARGE / 4 + PAGE) {
        const struct space_view view = space_walk(&space, GPA + offset);

        EXPECT(view.present);
        EXPECT_EQ(view.hpa, HPA + offset);
        EXPECT_EQ(view.rights, rights);
        EXPECT_EQ(view.type, VMMU_X86_TYPE_WP);
    }
}

static void map_huge(uint8_t rights)
{
    struct vmmu_nested_mapping mapping = space_mapping(GPA, HPA, HUGE, rights);

    /* A type whose NPT entries have the PAT bit, which stands elsewhere in small pages than in large ones. */
    mapping.type = VMMU_X86_TYPE_WP;
    SPACE_DO(&space, vmmu_nested_map(&space.nested, &mapping));
    EXPECT_EQ(space_walk(&space, GPA).page_bytes, HUGE);
}

static void test_a_gib_is_split_to_2_mib_by_one_store(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        map_huge(R | W);
        const uint64_t before = space.host.exchanges;
        const struct vmmu_outcome outcome = split(GPA + 5 * LARGE, PAGE, VMMU_NESTED_LEVEL_2M);

        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT_EQ(outcome.plan.ranges[0].base, GPA);
        EXPECT_EQ(outcome.plan.ranges[0].pages, HUGE / PAGE);
        EXPECT_EQ(space.host.exchanges, before + 1);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
        expect_unchanged(R | W);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        /* Once more is nothing. */
        EXPECT_EQ(space_apply(&space, split(GPA, HUGE, VMMU_NESTED_LEVEL_2M)), VMMU_OK);
        EXPECT_EQ(space.host.exchanges, before + 1);
    }
}

static void test_a_gib_is_split_to_4_kib_by_one_store_and_merges_back_in_two_turns(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        map_huge(R);
        const uint64_t before = space.host.exchanges;

        EXPECT_EQ(space_apply(&space, split(GPA, HUGE, VMMU_NESTED_LEVEL_4K)), VMMU_OK);
        EXPECT_EQ(space.host.exchanges, before + 1);
        EXPECT_EQ(space_walk(&space, GPA + HUGE - 1).page_bytes, PAGE);
        expect_unchanged(R);

        EXPECT_EQ(space_apply(&space, merge(GPA, HUGE)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space.nested.counters.merges, 512);
        EXPECT_EQ(space_walk(&space, GPA + HUGE - 1).page_bytes, LARGE);
        expect_unchanged(R);
        EXPECT_EQ(space_apply(&space, merge(GPA, HUGE)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, HUGE);
        EXPECT_EQ(space.memory.counters.quarantine_pages, 0);
        expect_unchanged(R);
        EXPECT_EQ(space_apply(&space, merge(GPA, HUGE)), VMMU_OK);
        EXPECT_EQ(space.nested.counters.merges, 513);
    }
}

static void test_only_the_part_in_range_is_split_to_small_pages(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        map_huge(R);
        SPACE_DO(&space, split(GPA + 3 * LARGE - PAGE, 2 * PAGE, VMMU_NESTED_LEVEL_4K));
        EXPECT_EQ(space_walk(&space, GPA + LARGE).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, GPA + 2 * LARGE).page_bytes, PAGE);
        EXPECT_EQ(space_walk(&space, GPA + 4 * LARGE - 1).page_bytes, PAGE);
        EXPECT_EQ(space_walk(&space, GPA + 4 * LARGE).page_bytes, LARGE);
        EXPECT_EQ(space.nested.counters.splits, 3);
        expect_unchanged(R);
    }
}

static void test_pages_are_not_split_to_sizes_that_there_are_not(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        EXPECT_EQ(split(GPA, HUGE, 0).status, VMMU_INVALID);
        EXPECT_EQ(split(GPA, HUGE, VMMU_NESTED_LEVEL_1G).status, VMMU_INVALID);
    }
}

/* One entry that differs in anything keeps its 511 neighbours small. */
static void test_tables_whose_entries_differ_are_not_merged(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const uint64_t odd[] = { 0, 1, 511 };

        for (unsigned i = 0; i < 3; i++) {
            const uint64_t at = GPA + odd[i] * PAGE;
            struct vmmu_nested_mapping mapping = space_mapping(at, HPA + odd[i] * PAGE, PAGE, R | W);

            space_map(&space, GPA, HPA, LARGE, R | W);
            SPACE_DO(&space, split(GPA, LARGE, VMMU_NESTED_LEVEL_4K));
            /* Rights. */
            SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ at }, PAGE, R));
            EXPECT_EQ(space_apply(&space, merge(GPA, LARGE)), VMMU_OK);
            EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
            /* Type. */
            mapping.type = VMMU_X86_TYPE_UC;
            SPACE_DO(&space, vmmu_nested_map(&space.nested, &mapping));
            EXPECT_EQ(space_apply(&space, merge(GPA, LARGE)), VMMU_OK);
            EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
            /* Frame. */
            mapping.type = VMMU_X86_TYPE_WB;
            mapping.hpa.v += LARGE;
            SPACE_DO(&space, vmmu_nested_map(&space.nested, &mapping));
            EXPECT_EQ(space_apply(&space, merge(GPA, LARGE)), VMMU_OK);
            EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
            /* Absent. */
            SPACE_DO(&space, vmmu_nested_unmap(&space.nested, (vmmu_gpa){ at }, PAGE));
            EXPECT_EQ(space_apply(&space, merge(GPA, LARGE)), VMMU_OK);
            EXPECT_EQ(space_walk(&space, GPA + 5 * PAGE).page_bytes, PAGE);
            /* And alike again. */
            mapping.hpa.v -= LARGE;
            SPACE_DO(&space, vmmu_nested_map(&space.nested, &mapping));
            SPACE_DO(&space, merge(GPA, LARGE));
            EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
        }
    }
}

static void test_contiguous_frames_that_are_not_aligned_are_not_merged(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA + PAGE, LARGE, R | W);
        EXPECT_EQ(space_apply(&space, merge(GPA, LARGE)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
    }
}

static void test_a_table_that_lies_partly_in_range_is_not_merged(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        map_huge(R);
        SPACE_DO(&space, split(GPA, HUGE, VMMU_NESTED_LEVEL_4K));
        SPACE_DO(&space, merge(GPA + PAGE, 2 * LARGE - 2 * PAGE));
        EXPECT_EQ(space.nested.counters.merges, 0);
        SPACE_DO(&space, merge(GPA + PAGE, 2 * LARGE - PAGE));
        EXPECT_EQ(space.nested.counters.merges, 1);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
        EXPECT_EQ(space_walk(&space, GPA + LARGE).page_bytes, LARGE);
        expect_unchanged(R);
    }
}

static void test_pages_are_not_merged_beyond_the_configured_size(void **state)
{
    struct vmmu_nested_config config = space_config(3);

    (void)state;
    config.largest_level = VMMU_NESTED_LEVEL_2M;
    config.largest_execute_level = VMMU_NESTED_LEVEL_4K;
    space_start(&space, &config);
    space_map(&space, 0, 0, HUGE, R | W);
    space_map(&space, HUGE, HUGE, LARGE, R | X);
    EXPECT_EQ(space_apply(&space, merge(0, 2 * HUGE)), VMMU_OK);
    EXPECT_EQ(space.nested.counters.merges, 0);
    SPACE_DO(&space, split(0, PAGE, VMMU_NESTED_LEVEL_4K));
    /* The largest size: nothing larger is left to try. */
    EXPECT_EQ(space_apply(&space, merge(0, HUGE)), VMMU_OK);
    EXPECT_EQ(space.nested.counters.merges, 1);
    space_finish(&space);
}

static void test_a_merge_waits_for_the_flush_of_what_changed_there(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_nested_mapping mapping = space_mapping(GPA, HPA, PAGE, R | W);

        space_map(&space, GPA, 2 * HPA, PAGE, R | W);
        space_map(&space, GPA + PAGE, HPA + PAGE, LARGE - PAGE, R | W);
        /* A processor may still have the old frame. */
        EXPECT_EQ(vmmu_nested_map(&space.nested, &mapping).status, VMMU_OK);
        EXPECT_EQ(space_apply(&space, merge(GPA, LARGE)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
        SPACE_DO(&space, merge(GPA, LARGE));
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, GPA + LARGE - 1).hpa, HPA + LARGE - 1);
    }
}

/*
 * Processors may mark an entry of the old table after it was looked at: a merged page
 * is never taken for clean.
 */
static void test_a_merged_page_counts_as_accessed_and_if_writable_as_dirty(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, LARGE, R | W);
        space_map(&space, GPA + LARGE, HPA + LARGE, LARGE, R);
        space_map(&space, GPA + 2 * LARGE, HPA + 2 * LARGE, LARGE, R);
        SPACE_DO(&space, split(GPA, 3 * LARGE, VMMU_NESTED_LEVEL_4K));
        space_touch(&space, GPA + 2 * LARGE + 7 * PAGE, true);
        SPACE_DO(&space, merge(GPA, 3 * LARGE));
        EXPECT(space_walk(&space, GPA).accessed && space_walk(&space, GPA).dirty);
        EXPECT(space_walk(&space, GPA + LARGE).accessed);
        EXPECT_EQ(space_walk(&space, GPA + LARGE).dirty, !config.accessed_dirty);
        EXPECT(space_walk(&space, GPA + 2 * LARGE).dirty);
    }
}

/* The page's marks, as a processor set them, hold for all that it is made of. */
static void test_the_pieces_of_a_split_page_inherit_its_marks(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        map_huge(R | W);
        space_touch(&space, GPA, false);
        SPACE_DO(&space, split(GPA, PAGE, VMMU_NESTED_LEVEL_4K));
        EXPECT(space_walk(&space, GPA).accessed && space_walk(&space, GPA + HUGE - 1).accessed);
        EXPECT_EQ(space_walk(&space, GPA).dirty, !config.accessed_dirty);
        space_touch(&space, GPA + HUGE - 1, true);
        SPACE_DO(&space, split(GPA + HUGE - PAGE, PAGE, VMMU_NESTED_LEVEL_4K));
        EXPECT(space_walk(&space, GPA + HUGE - LARGE).dirty);
        expect_unchanged(R | W);
    }
}

static void test_nothing_is_merged_while_the_log_runs(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        map_huge(R | W);
        SPACE_DO(&space, split(GPA, HUGE, VMMU_NESTED_LEVEL_2M));
        SPACE_DO(&space, vmmu_nested_log_start(&space.nested, VMMU_NESTED_LOG_WRITE_PROTECT));
        EXPECT_EQ(space_apply(&space, merge(GPA, HUGE)), VMMU_OK);
        EXPECT_EQ(space.nested.counters.merges, 0);
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
        SPACE_DO(&space, merge(GPA, HUGE));
        EXPECT_EQ(space.nested.counters.merges, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_gib_is_split_to_2_mib_by_one_store),
        cmocka_unit_test(test_a_gib_is_split_to_4_kib_by_one_store_and_merges_back_in_two_turns),
        cmocka_unit_test(test_only_the_part_in_range_is_split_to_small_pages),
        cmocka_unit_test(test_pages_are_not_split_to_sizes_that_there_are_not),
        cmocka_unit_test(test_tables_whose_entries_differ_are_not_merged),
        cmocka_unit_test(test_contiguous_frames_that_are_not_aligned_are_not_merged),
        cmocka_unit_test(test_a_table_that_lies_partly_in_range_is_not_merged),
        cmocka_unit_test(test_pages_are_not_merged_beyond_the_configured_size),
        cmocka_unit_test(test_a_merge_waits_for_the_flush_of_what_changed_there),
        cmocka_unit_test(test_a_merged_page_counts_as_accessed_and_if_writable_as_dirty),
        cmocka_unit_test(test_the_pieces_of_a_split_page_inherit_its_marks),
        cmocka_unit_test(test_nothing_is_merged_while_the_log_runs),
    };

    return RUN_TESTS(tests);
}
