/* Unmapping, protecting, remapping: what changes, in which steps, and what must be flushed. */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/test.h"

static struct space space;

static struct vmmu_outcome unmap(uint64_t gpa, uint64_t size_bytes)
{
    return vmmu_nested_unmap(&space.nested, (vmmu_gpa){ gpa }, size_bytes);
}

static struct vmmu_outcome protect(uint64_t gpa, uint64_t size_bytes, uint8_t rights)
{
    return vmmu_nested_protect(&space.nested, (vmmu_gpa){ gpa }, size_bytes, rights);
}

static struct vmmu_outcome map(uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights)
{
    const struct vmmu_nested_mapping mapping = space_mapping(gpa, hpa, size_bytes, rights);

    return vmmu_nested_map(&space.nested, &mapping);
}

/* Whether @plan names the page at @gpa. */
static bool names(const struct vmmu_plan *plan, uint64_t gpa)
{
    bool named = plan->whole_tag;

    for (unsigned i = 0; i < plan->count; i++) {
        named = named ||
                (gpa >= plan->ranges[i].base && (gpa - plan->ranges[i].base) / PAGE < plan->ranges[i].pages);
    }
    return named;
}

static void test_unmapping_what_is_absent_does_nothing(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const struct vmmu_outcome outcome = unmap(0, 512 * HUGE);

        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT(vmmu_plan_is_empty(&outcome.plan));
        EXPECT_EQ(space.host.exchanges, 0);
        EXPECT_EQ(space.host.takes, 1);
    }
}

static void test_an_unmapped_page_is_absent_and_named_by_the_plan(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, 4 * PAGE, R | W | X);
        const struct vmmu_outcome outcome = unmap(GPA + PAGE, 2 * PAGE);

        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(outcome.plan.count, 1);
        EXPECT_EQ(outcome.plan.ranges[0].base, GPA + PAGE);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 2);
        EXPECT(space_walk(&space, GPA).present);
        EXPECT(!space_walk(&space, GPA + PAGE).present);
        EXPECT(!space_walk(&space, GPA + 2 * PAGE).present);
        EXPECT(space_walk(&space, GPA + 3 * PAGE).present);
    }
}

static void test_a_whole_table_is_unlinked_by_one_store_and_waits_for_its_flush(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA + PAGE, HUGE, R | W);
        const uint64_t before = space.host.exchanges;
        const uint32_t held = space.memory.counters.held_pages;
        const struct vmmu_outcome outcome = unmap(GPA, HUGE);

        EXPECT_EQ(outcome.status, VMMU_OK);
        /* The GiB, and then the upper tables that are empty without it. */
        EXPECT_EQ(space.host.exchanges - before, config.levels - 2U);
        EXPECT_EQ(space.memory.counters.quarantine_pages, 513U + config.levels - 3U);
        EXPECT_EQ(space.memory.counters.held_pages, held);
        EXPECT(names(&outcome.plan, GPA) && names(&outcome.plan, GPA + HUGE - PAGE));
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space.memory.counters.quarantine_pages, 0);
        EXPECT_EQ(space.memory.counters.held_pages, 1 + 4); /* the root, and the cache */
    }
}

static void test_unmapping_page_by_page_gives_all_tables_back(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA - 3 * PAGE, HPA, 6 * PAGE, R);
        for (unsigned i = 0; i < 6; i++) {
            EXPECT_EQ(space_apply(&space, unmap(GPA - 3 * PAGE + i * PAGE, PAGE)), VMMU_OK);
        }
        EXPECT_EQ(space.memory.counters.held_pages - space.memory.counters.cached_pages, 1);
        EXPECT_EQ(*table_host_page(&space.host, space.nested.root.v), 0);
    }
}

static void test_a_part_of_a_large_page_is_split_then_flushed_then_changed(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, HUGE, R | W | X);
        struct vmmu_outcome outcome = unmap(GPA + LARGE + PAGE, PAGE);

        EXPECT_EQ(outcome.status, VMMU_FLUSH_RETRY);
        EXPECT(names(&outcome.plan, GPA) && names(&outcome.plan, GPA + HUGE - PAGE));
        /* As yet only sizes have changed, and only where they must. */
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, GPA + LARGE + PAGE).page_bytes, PAGE);
        EXPECT_EQ(space_walk(&space, GPA + LARGE + PAGE).hpa, HPA + LARGE + PAGE);
        EXPECT_EQ(space_walk(&space, GPA + LARGE + PAGE).rights, R | W | X);
        EXPECT_EQ(space_walk(&space, GPA + HUGE - 1).hpa, HPA + HUGE - 1);
        /* Without the report nothing goes on. */
        const uint64_t before = space.host.exchanges;

        outcome = unmap(GPA + LARGE + PAGE, PAGE);
        EXPECT_EQ(outcome.status, VMMU_FLUSH_RETRY);
        EXPECT(outcome.plan.whole_tag);
        EXPECT_EQ(space.host.exchanges, before);
        vmmu_table_flushed(&space.memory, outcome.plan.epoch);
        EXPECT_EQ(space_apply(&space, unmap(GPA + LARGE + PAGE, PAGE)), VMMU_OK);
        EXPECT(!space_walk(&space, GPA + LARGE + PAGE).present);
        EXPECT(space_walk(&space, GPA + LARGE).present && space_walk(&space, GPA + LARGE + 2 * PAGE).present);
    }
}

/*
 * Two callers interleave: what the first has split is not changed by the second before the first has flushed.
 */
static void test_another_operation_waits_for_the_flush_of_a_split(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, 2 * LARGE, R | W);
        const struct vmmu_outcome split = protect(GPA, PAGE, R);
        struct vmmu_outcome other;

        EXPECT_EQ(split.status, VMMU_FLUSH_RETRY);
        /* Processors that left meanwhile were named by the plan that is taken over. */
        vmmu_nested_set_vps(&space.nested, 8);
        other = protect(GPA + 9 * PAGE, PAGE, R);
        EXPECT_EQ(other.status, VMMU_FLUSH_RETRY);
        EXPECT_EQ(other.plan.vps, split.plan.vps);
        vmmu_nested_set_vps(&space.nested, split.plan.vps);
        /* The other's flush covers the first one's too, whose own report no longer counts. */
        vmmu_table_flushed(&space.memory, split.plan.epoch);
        EXPECT_EQ(space_apply(&space, protect(GPA + 9 * PAGE, PAGE, R)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_apply(&space, protect(GPA + 9 * PAGE, PAGE, R)), VMMU_OK);
        EXPECT_EQ(space_apply(&space, protect(GPA, PAGE, R)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA + 9 * PAGE).rights, R);
        EXPECT_EQ(space_walk(&space, GPA + 8 * PAGE).rights, R | W);
        vmmu_table_flushed(&space.memory, other.plan.epoch);
        /* Elsewhere nobody waits. */
        EXPECT_EQ(vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA + LARGE }, PAGE, 1).status, VMMU_OK);
        EXPECT_EQ(protect(GPA, PAGE, R | W).status, VMMU_OK);
    }
}

/*
 * A split while an older meaning of the page may be cached would put two sizes with
 * two meanings side by side.
 */
static void test_a_size_changes_only_when_nothing_older_is_cached(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, LARGE, R | W);
        const struct vmmu_outcome narrowed = protect(GPA, LARGE, R);
        struct vmmu_outcome split;

        EXPECT_EQ(narrowed.status, VMMU_OK);
        split = vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, LARGE, VMMU_NESTED_LEVEL_4K);
        EXPECT_EQ(split.status, VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
        EXPECT_EQ(space_apply(&space, split), VMMU_FLUSH_RETRY);
        split = vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, LARGE, VMMU_NESTED_LEVEL_4K);
        EXPECT_EQ(space_apply(&space, split), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, PAGE);
    }
}

static void test_memory_of_another_size_waits_for_the_flush_of_what_went(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        /* A neighbour keeps the table, so that only the size of the page tells. */
        space_map(&space, GPA, HPA, 2 * LARGE, R | W);
        const struct vmmu_outcome gone = unmap(GPA, LARGE);

        EXPECT_EQ(gone.status, VMMU_OK);
        EXPECT_EQ(map(GPA + PAGE, 2 * HPA, PAGE, R).status, VMMU_FLUSH_RETRY);
        EXPECT(!space_walk(&space, GPA + PAGE).present);
        EXPECT_EQ(space_apply(&space, map(GPA + PAGE, 2 * HPA, PAGE, R)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_apply(&space, map(GPA + PAGE, 2 * HPA, PAGE, R)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA + PAGE).hpa, 2 * HPA);
    }
}

static void test_unmapping_a_table_waits_for_the_flush_of_the_split_that_made_it(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, LARGE, R | W);
        EXPECT_EQ(vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, LARGE, 1).status, VMMU_OK);
        EXPECT_EQ(space_apply(&space, unmap(GPA, LARGE)), VMMU_FLUSH_RETRY);
        EXPECT(space_walk(&space, GPA).present);
        EXPECT_EQ(space_apply(&space, unmap(GPA, LARGE)), VMMU_OK);
        EXPECT(!space_walk(&space, GPA).present);
    }
}

static void test_narrowing_needs_a_flush_and_widening_does_not(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;

        space_map(&space, GPA, HPA, LARGE, R);
        outcome = protect(GPA, LARGE, R | W | X);
        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT(vmmu_plan_is_empty(&outcome.plan));
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W | X);
        outcome = protect(GPA, LARGE, R | X);
        EXPECT_EQ(outcome.plan.count, 1);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 512);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).rights, R | X);
        /* One right more and one less is narrowing too. */
        outcome = protect(GPA, LARGE, R | W);
        EXPECT(names(&outcome.plan, GPA));
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
    }
}

static void test_protect_leaves_absent_pages_absent_and_others_alone(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, 2 * PAGE, R | W);
        space_map(&space, GPA + 5 * PAGE, HPA, 2 * PAGE, R | W);
        SPACE_DO(&space, protect(GPA + PAGE, 5 * PAGE, R));
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W);
        EXPECT_EQ(space_walk(&space, GPA + PAGE).rights, R);
        EXPECT(!space_walk(&space, GPA + 3 * PAGE).present);
        EXPECT_EQ(space_walk(&space, GPA + 5 * PAGE).rights, R);
        EXPECT_EQ(space_walk(&space, GPA + 6 * PAGE).rights, R | W);
    }
}

static void test_protect_refuses_rights_that_the_format_has_not(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, PAGE, R | W);
        EXPECT_EQ(protect(GPA, PAGE, 0).status, VMMU_INVALID);
        EXPECT_EQ(protect(GPA, PAGE, W | X).status, VMMU_INVALID);
        EXPECT_EQ(protect(GPA, PAGE, 0x11).status, VMMU_INVALID);
        EXPECT_EQ(space_apply(&space, protect(GPA, PAGE, X)),
                  config.execute_only ? VMMU_OK : VMMU_UNSUPPORTED);
        EXPECT_EQ(space_walk(&space, GPA).rights, config.execute_only ? X : (R | W));
        EXPECT_EQ(vmmu_nested_resolve(&space.nested, (vmmu_gpa){ GPA }, VMMU_X86_READ),
                  config.execute_only ? VMMU_NESTED_DENIED : VMMU_NESTED_SPURIOUS);
    }
}

static void test_protecting_keeps_accessed_and_dirty_and_another_frame_starts_clean(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        if (!config.accessed_dirty) {
            continue;
        }
        space_map(&space, GPA, HPA, PAGE, R | W);
        space_touch(&space, GPA, true);
        SPACE_DO(&space, protect(GPA, PAGE, R));
        EXPECT(space_walk(&space, GPA).dirty && space_walk(&space, GPA).accessed);
        SPACE_DO(&space, map(GPA, 2 * HPA, PAGE, R));
        EXPECT(!space_walk(&space, GPA).dirty && !space_walk(&space, GPA).accessed);
    }
}

static void test_a_page_remapped_in_place_keeps_its_size_and_is_flushed(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, HUGE, R | W);
        struct vmmu_outcome outcome = map(GPA, 4 * HPA, HUGE, R | W);

        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT(names(&outcome.plan, GPA) && names(&outcome.plan, GPA + HUGE - PAGE));
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, HUGE);
        EXPECT_EQ(space_walk(&space, GPA).hpa, 4 * HPA);
        /* A frame that is not aligned like the page needs smaller ones first. */
        outcome = map(GPA, HPA + LARGE, HUGE, R | W);
        EXPECT_EQ(outcome.status, VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_walk(&space, GPA).hpa, 4 * HPA);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_apply(&space, map(GPA, HPA + LARGE, HUGE, R | W)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).page_bytes, LARGE);
        EXPECT_EQ(space_walk(&space, GPA + 7 * LARGE + 3).hpa, HPA + 8 * LARGE + 3);
    }
}

static void test_a_type_that_changes_is_flushed(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_nested_mapping mapping = space_mapping(GPA, HPA, PAGE, R | W);
        struct vmmu_outcome outcome;

        space_map(&space, GPA, HPA, PAGE, R | W);
        mapping.type = VMMU_X86_TYPE_UC;
        outcome = vmmu_nested_map(&space.nested, &mapping);
        EXPECT(names(&outcome.plan, GPA));
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).type, VMMU_X86_TYPE_UC);
        if (config.format == VMMU_NESTED_EPT) {
            mapping.ignore_pat = true;
            outcome = vmmu_nested_map(&space.nested, &mapping);
            EXPECT(names(&outcome.plan, GPA));
            EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        }
    }
}

static void test_more_than_eight_places_mean_the_whole_tag(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;

        for (uint64_t i = 0; i < 9; i++) {
            space_map(&space, GPA + 2 * i * PAGE, HPA, PAGE, R | W);
        }
        outcome = protect(GPA, 32 * PAGE, R);
        EXPECT(outcome.plan.whole_tag);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
    }
}

/* Sixteen callers have not flushed yet: the next is asked to flush for all of them. */
static void test_too_many_plans_under_way_ask_for_a_flush_of_everything(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;

        space_map(&space, GPA, HPA, LARGE - PAGE, R | W);
        for (uint64_t i = 0; i < VMMU_TABLE_PLANS; i++) {
            EXPECT_EQ(protect(GPA + 2 * i * PAGE, PAGE, R).status, VMMU_OK);
        }
        outcome = protect(GPA + 100 * PAGE, PAGE, R);
        EXPECT_EQ(outcome.status, VMMU_FLUSH_RETRY);
        EXPECT(outcome.plan.whole_tag);
        EXPECT_EQ(space_walk(&space, GPA + 100 * PAGE).rights, R | W);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_apply(&space, protect(GPA + 100 * PAGE, PAGE, R)), VMMU_OK);
    }
}

/* --- a processor that marks entries at the worst moment --- */

static uint64_t marks_left;
static uint64_t marked_gpa;

/*
 * Before each of the first stores mark the entry, one bit at a time: the leaf of
 * marked_gpa, or a link on the way.
 */
static void mark_late(void *context, const struct table_host_store *store)
{
    const bool ept = space.nested.config.format == VMMU_NESTED_EPT;
    const uint64_t accessed = ept ? BIT64(8) : BIT64(5);
    const uint64_t dirty = ept ? BIT64(9) : BIT64(6);

    (void)context;
    if (*store->entry != 0 && marks_left > 0) {
        marks_left--;
        *store->entry |=
            store->entry == space_walk(&space, marked_gpa).entry && marks_left % 2 == 1 ? dirty : accessed;
    }
}

static void test_marks_that_processors_set_meanwhile_are_not_lost(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        if (!config.accessed_dirty) {
            continue;
        }
        /* Left to the entry that is split: the small pages have both. */
        space_map(&space, GPA, HPA, HUGE, R | W);
        space.host.before_store = mark_late;
        marked_gpa = GPA;
        marks_left = 2;
        EXPECT_EQ(space_apply(&space, protect(GPA + PAGE, PAGE, R)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(marks_left, 0);
        EXPECT(space_walk(&space, GPA + 5 * PAGE).accessed && space_walk(&space, GPA + 5 * PAGE).dirty);
        EXPECT(space_walk(&space, GPA + HUGE - 1).accessed && space_walk(&space, GPA + HUGE - 1).dirty);
        /* A page that loses a right. */
        space_map(&space, 3 * GPA, HPA, PAGE, R | W);
        marked_gpa = 3 * GPA;
        marks_left = 2;
        EXPECT_EQ(space_apply(&space, protect(3 * GPA, PAGE, R)), VMMU_OK);
        EXPECT_EQ(marks_left, 0);
        EXPECT(space_walk(&space, 3 * GPA).accessed && space_walk(&space, 3 * GPA).dirty);
        EXPECT_EQ(space_walk(&space, 3 * GPA).rights, R);
        /* And pages and tables that go are gone. */
        marks_left = 3;
        EXPECT_EQ(space_apply(&space, unmap(3 * GPA, PAGE)), VMMU_OK);
        EXPECT(!space_walk(&space, 3 * GPA).present);
        space.host.before_store = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unmapping_what_is_absent_does_nothing),
        cmocka_unit_test(test_an_unmapped_page_is_absent_and_named_by_the_plan),
        cmocka_unit_test(test_a_whole_table_is_unlinked_by_one_store_and_waits_for_its_flush),
        cmocka_unit_test(test_unmapping_page_by_page_gives_all_tables_back),
        cmocka_unit_test(test_a_part_of_a_large_page_is_split_then_flushed_then_changed),
        cmocka_unit_test(test_another_operation_waits_for_the_flush_of_a_split),
        cmocka_unit_test(test_a_size_changes_only_when_nothing_older_is_cached),
        cmocka_unit_test(test_memory_of_another_size_waits_for_the_flush_of_what_went),
        cmocka_unit_test(test_unmapping_a_table_waits_for_the_flush_of_the_split_that_made_it),
        cmocka_unit_test(test_narrowing_needs_a_flush_and_widening_does_not),
        cmocka_unit_test(test_protect_leaves_absent_pages_absent_and_others_alone),
        cmocka_unit_test(test_protect_refuses_rights_that_the_format_has_not),
        cmocka_unit_test(test_protecting_keeps_accessed_and_dirty_and_another_frame_starts_clean),
        cmocka_unit_test(test_a_page_remapped_in_place_keeps_its_size_and_is_flushed),
        cmocka_unit_test(test_a_type_that_changes_is_flushed),
        cmocka_unit_test(test_more_than_eight_places_mean_the_whole_tag),
        cmocka_unit_test(test_too_many_plans_under_way_ask_for_a_flush_of_everything),
        cmocka_unit_test(test_marks_that_processors_set_meanwhile_are_not_lost),
    };

    return RUN_TESTS(tests);
}
