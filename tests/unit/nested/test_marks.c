/* Accessed and dirty bits, and the dirty log in both its ways. */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/test.h"

#include <string.h>

static struct space space;

#define WRITE_PROTECT VMMU_NESTED_LOG_WRITE_PROTECT
#define DIRTY_BITS    VMMU_NESTED_LOG_DIRTY_BITS

/* --- harvest --- */

static struct vmmu_nested_mark marks[16];
static unsigned mark_count;

static void keep_mark(void *context, const struct vmmu_nested_mark *mark)
{
    EXPECT(context == &space);
    EXPECT(mark_count < 16);
    marks[mark_count++] = *mark;
}

static struct vmmu_outcome harvest(uint64_t gpa, uint64_t size_bytes, bool clear_accessed, bool clear_dirty)
{
    const struct vmmu_nested_harvester harvester = {
        .context = &space,
        .clear_accessed = clear_accessed,
        .clear_dirty = clear_dirty,
        .report = keep_mark,
    };

    mark_count = 0;
    return vmmu_nested_harvest(&space.nested, (vmmu_gpa){ gpa }, size_bytes, &harvester);
}

static void test_fresh_pages_are_neither_accessed_nor_dirty(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, 2 * LARGE, R | W);
        if (!config.accessed_dirty) {
            EXPECT_EQ(harvest(GPA, LARGE, false, false).status, VMMU_UNSUPPORTED);
            continue;
        }
        EXPECT_EQ(space_apply(&space, harvest(0, 2 * HUGE, true, true)), VMMU_OK);
        EXPECT_EQ(mark_count, 0);
    }
}

static void test_marked_pages_are_reported_in_order_with_their_size(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        if (!config.accessed_dirty) {
            continue;
        }
        space_map(&space, GPA - PAGE, HPA - PAGE, HUGE + 2 * PAGE, R | W);
        space_touch(&space, GPA + HUGE, true);
        space_touch(&space, GPA - PAGE, false);
        space_touch(&space, GPA + 5 * PAGE, true);
        const struct vmmu_outcome outcome = harvest(0, 4 * HUGE, false, false);

        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT(vmmu_plan_is_empty(&outcome.plan));
        EXPECT_EQ(mark_count, 3);
        EXPECT_EQ(marks[0].base.v, GPA - PAGE);
        EXPECT_EQ(marks[0].size_bytes, PAGE);
        EXPECT(marks[0].accessed && !marks[0].dirty);
        EXPECT_EQ(marks[1].base.v, GPA);
        EXPECT_EQ(marks[1].size_bytes, HUGE);
        EXPECT(marks[1].accessed && marks[1].dirty);
        EXPECT_EQ(marks[2].base.v, GPA + HUGE);
        /* Nothing was cleared. */
        EXPECT_EQ(space_apply(&space, harvest(GPA + PAGE, PAGE, false, false)), VMMU_OK);
        EXPECT_EQ(mark_count, 1);
        EXPECT_EQ(marks[0].base.v, GPA);
    }
}

/* SDM 3C "Guidelines for Use of the INVEPT Instruction": clearing an accessed or dirty flag needs INVEPT. */
static void test_cleared_marks_are_flushed_and_only_those_asked_for(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;

        if (!config.accessed_dirty) {
            continue;
        }
        space_map(&space, GPA, HPA, 2 * PAGE, R | W);
        space_touch(&space, GPA, true);
        space_touch(&space, GPA + PAGE, false);
        outcome = harvest(GPA, 2 * PAGE, false, true);
        EXPECT_EQ(mark_count, 2);
        EXPECT_EQ(outcome.plan.count, 1);
        EXPECT_EQ(outcome.plan.ranges[0].base, GPA);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 1);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT(!space_walk(&space, GPA).dirty && space_walk(&space, GPA).accessed);
        outcome = harvest(GPA, 2 * PAGE, true, true);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 2);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_apply(&space, harvest(GPA, 2 * PAGE, true, true)), VMMU_OK);
        EXPECT_EQ(mark_count, 0);
    }
}

/* --- the dirty log --- */

static struct vmmu_outcome start(enum vmmu_nested_log log)
{
    return vmmu_nested_log_start(&space.nested, log);
}

static struct vmmu_outcome fault(uint64_t gpa, bool whole_page)
{
    return vmmu_nested_log_fault(&space.nested, (vmmu_gpa){ gpa }, whole_page);
}

static enum vmmu_nested_cause cause_of_write(uint64_t gpa)
{
    return vmmu_nested_resolve(&space.nested, (vmmu_gpa){ gpa }, VMMU_X86_WRITE);
}

/* Collect @pages from @gpa; the bits as one number. */
static uint64_t collect(uint64_t gpa, unsigned pages)
{
    uint8_t bitmap[8] = { 0 };
    uint64_t bits = 0;

    EXPECT_EQ(
        space_apply(&space, vmmu_nested_log_collect(&space.nested, (vmmu_gpa){ gpa }, pages * PAGE, bitmap)),
        VMMU_OK);
    for (unsigned i = 0; i < 8; i++) {
        bits |= (uint64_t)bitmap[i] << (8 * i);
    }
    return bits;
}

static void test_the_log_starts_and_stops_once(void **state)
{
    uint8_t bitmap[8];

    (void)state;
    FOR_EACH_KIND(space)
    {
        EXPECT_EQ(vmmu_nested_log_stop(&space.nested).status, VMMU_INVALID);
        EXPECT_EQ(vmmu_nested_log_collect(&space.nested, (vmmu_gpa){ GPA }, PAGE, bitmap).status,
                  VMMU_INVALID);
        EXPECT_EQ(start(VMMU_NESTED_LOG_OFF).status, VMMU_INVALID);
        EXPECT_EQ(start((enum vmmu_nested_log)3).status, VMMU_INVALID);
        EXPECT_EQ(start(DIRTY_BITS).status, config.accessed_dirty ? VMMU_OK : VMMU_UNSUPPORTED);
        if (config.accessed_dirty) {
            EXPECT_EQ(start(WRITE_PROTECT).status, VMMU_INVALID);
            EXPECT_EQ(harvest(GPA, PAGE, true, true).status, VMMU_INVALID);
            EXPECT_EQ(harvest(GPA, PAGE, true, false).status, VMMU_OK);
            SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
        }
        EXPECT_EQ(start(WRITE_PROTECT).status, VMMU_OK);
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
    }
}

static void test_write_protection_withholds_writing_from_all_that_may_be_written(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;
        struct vmmu_nested_page page;

        space_map(&space, GPA, HPA, LARGE + PAGE, R | W | X);
        space_map(&space, 2 * GPA, HPA, PAGE, R | X);
        outcome = start(WRITE_PROTECT);
        EXPECT_EQ(outcome.plan.ranges[0].base, GPA);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 513);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).rights, R | X);
        EXPECT_EQ(space_walk(&space, GPA + LARGE).rights, R | X);
        EXPECT_EQ(cause_of_write(GPA), VMMU_NESTED_LOGGED);
        EXPECT_EQ(cause_of_write(2 * GPA), VMMU_NESTED_DENIED);
        EXPECT_EQ(cause_of_write(3 * GPA), VMMU_NESTED_ABSENT);
        EXPECT_EQ(vmmu_nested_resolve(&space.nested, (vmmu_gpa){ GPA }, VMMU_X86_READ), VMMU_NESTED_SPURIOUS);
        /* What was given is still told. */
        EXPECT_EQ(vmmu_nested_lookup(&space.nested, (vmmu_gpa){ GPA }, &page), VMMU_OK);
        EXPECT_EQ(page.rights, R | W | X);
        EXPECT(page.write_withheld);
        outcome = vmmu_nested_log_stop(&space.nested);
        EXPECT(vmmu_plan_is_empty(&outcome.plan));
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W | X);
        EXPECT_EQ(space_walk(&space, 2 * GPA).rights, R | X);
        EXPECT_EQ(space_walk(&space, GPA).raw & BIT64(52), 0);
    }
}

static void test_a_write_is_logged_once_and_again_after_it_was_collected(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, 64 * PAGE, R | W);
        SPACE_DO(&space, start(WRITE_PROTECT));
        EXPECT_EQ(collect(GPA, 64), 0);
        for (unsigned i = 3; i < 64; i += 20) {
            struct vmmu_outcome outcome = fault(GPA + i * PAGE + 9, false);

            EXPECT_EQ(outcome.status, VMMU_OK);
            EXPECT(vmmu_plan_is_empty(&outcome.plan));
            EXPECT_EQ(space_walk(&space, GPA + i * PAGE).rights, R | W);
            EXPECT_EQ(cause_of_write(GPA + i * PAGE), VMMU_NESTED_SPURIOUS);
        }
        EXPECT_EQ(collect(GPA, 64), BIT64(3) | BIT64(23) | BIT64(43) | BIT64(63));
        EXPECT_EQ(collect(GPA, 64), 0);
        EXPECT_EQ(cause_of_write(GPA + 3 * PAGE), VMMU_NESTED_LOGGED);
        SPACE_DO(&space, fault(GPA + 3 * PAGE, false));
        EXPECT_EQ(collect(GPA + 2 * PAGE, 3), BIT64(1));
        EXPECT_EQ(space.nested.counters.log_faults, 5);
    }
}

static void test_collecting_takes_writing_away_again_and_names_it(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        uint8_t bitmap[8] = { 0x80 };
        struct vmmu_outcome outcome;

        space_map(&space, GPA, HPA, 8 * PAGE, R | W);
        SPACE_DO(&space, start(WRITE_PROTECT));
        SPACE_DO(&space, fault(GPA + PAGE, false));
        outcome = vmmu_nested_log_collect(&space.nested, (vmmu_gpa){ GPA }, 8 * PAGE, bitmap);
        EXPECT_EQ(outcome.plan.ranges[0].base, GPA + PAGE);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 1);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(bitmap[0], 0x82); /* bits that stood there stay */
    }
}

static void test_a_write_to_a_large_page_splits_it_or_logs_it_whole(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, HUGE, R | W | X);
        SPACE_DO(&space, start(WRITE_PROTECT));
        /* Split, flush, and only then written. */
        EXPECT_EQ(space_apply(&space, fault(GPA + 5 * PAGE, false)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(cause_of_write(GPA + 5 * PAGE), VMMU_NESTED_LOGGED);
        EXPECT_EQ(space_apply(&space, fault(GPA + 5 * PAGE, false)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA + 5 * PAGE).rights, R | W | X);
        EXPECT_EQ(space_walk(&space, GPA + 6 * PAGE).rights, R | X);
        EXPECT_EQ(cause_of_write(GPA + 6 * PAGE), VMMU_NESTED_LOGGED);
        EXPECT_EQ(space_walk(&space, GPA + LARGE).page_bytes, LARGE);
        EXPECT_EQ(collect(GPA, 64), BIT64(5));
        /* Whole: no memory, no split. */
        space.host.takes_left = 0;
        EXPECT_EQ(space_apply(&space, fault(GPA + LARGE + PAGE, true)), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA + LARGE).page_bytes, LARGE);
        /* A part of it was collected: the whole stays marked. */
        EXPECT_EQ(collect(GPA + LARGE, 64), UINT64_MAX);
        EXPECT_EQ(collect(GPA + LARGE + 100 * PAGE, 2), 3);
        EXPECT_EQ(space_walk(&space, GPA + LARGE).rights, R | W | X);
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
        EXPECT_EQ(space_walk(&space, GPA + 6 * PAGE).rights, R | W | X);
        EXPECT_EQ(space_walk(&space, GPA + 5 * LARGE).rights, R | W | X);
    }
}

static void test_a_large_page_collected_whole_is_clean_again(void **state)
{
    static uint8_t bitmap[64];

    (void)state;
    FOR_EACH_KIND(space)
    {
        memset(bitmap, 0, sizeof bitmap);
        space_map(&space, GPA, HPA, LARGE, R | W);
        SPACE_DO(&space, start(WRITE_PROTECT));
        SPACE_DO(&space, fault(GPA, true));
        SPACE_DO(&space, vmmu_nested_log_collect(&space.nested, (vmmu_gpa){ GPA }, LARGE, bitmap));
        for (unsigned i = 0; i < 64; i++) {
            EXPECT_EQ(bitmap[i], 0xFF);
        }
        EXPECT_EQ(space_walk(&space, GPA).rights, R);
    }
}

static void test_a_fault_where_nothing_is_withheld_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;

        space_map(&space, GPA, HPA, LARGE, R | W);
        space_map(&space, 2 * GPA, HPA, LARGE, R);
        for (unsigned i = 1; i <= 3; i++) {
            const uint64_t before = space.host.exchanges;

            outcome = fault(i * GPA, false);
            EXPECT_EQ(outcome.status, VMMU_OK);
            EXPECT(vmmu_plan_is_empty(&outcome.plan));
            EXPECT_EQ(space.host.exchanges, before);
        }
    }
}

static void test_pages_mapped_while_the_log_runs_are_clean_and_watched(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        SPACE_DO(&space, start(WRITE_PROTECT));
        space_map(&space, GPA, HPA, LARGE + 2 * PAGE, R | W);
        EXPECT_EQ(cause_of_write(GPA), VMMU_NESTED_LOGGED);
        EXPECT_EQ(cause_of_write(GPA + LARGE), VMMU_NESTED_LOGGED);
        EXPECT_EQ(collect(GPA + LARGE, 2), 0);
        SPACE_DO(&space, fault(GPA + LARGE, false));
        EXPECT_EQ(collect(GPA + LARGE, 2), 1);
    }
}

static void test_protecting_while_the_log_runs_neither_forgets_nor_bypasses_it(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, 4 * PAGE, R | W);
        SPACE_DO(&space, start(WRITE_PROTECT));
        SPACE_DO(&space, fault(GPA, false));
        /* Written before and still writable: still written. */
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, 2 * PAGE, R | W | X));
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W | X);
        EXPECT_EQ(space_walk(&space, GPA + PAGE).rights, R | X);
        EXPECT_EQ(collect(GPA, 4), 1);
        /* A right that is taken does not take the mark along. */
        SPACE_DO(&space, fault(GPA + 2 * PAGE, false));
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA + 2 * PAGE }, PAGE, R));
        EXPECT_EQ(collect(GPA, 4), BIT64(2));
        EXPECT_EQ(space_walk(&space, GPA + 2 * PAGE).rights, R);
        EXPECT_EQ(cause_of_write(GPA + 2 * PAGE), VMMU_NESTED_DENIED);
        EXPECT_EQ(collect(GPA, 4), 0);
        /* What may not be written is not withheld either; what may again is. */
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, PAGE, R));
        EXPECT_EQ(cause_of_write(GPA), VMMU_NESTED_DENIED);
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, PAGE, R | W));
        EXPECT_EQ(cause_of_write(GPA), VMMU_NESTED_LOGGED);
        EXPECT_EQ(collect(GPA, 4), 0);
        /* Another frame is another page: not written yet. */
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA + 2 * PAGE }, PAGE, R | W));
        SPACE_DO(&space, fault(GPA + 2 * PAGE, false));
        space_map(&space, GPA + 2 * PAGE, 2 * HPA, PAGE, R | W);
        EXPECT_EQ(cause_of_write(GPA + 2 * PAGE), VMMU_NESTED_LOGGED);
        EXPECT_EQ(collect(GPA, 4), 0);
        /* No trace is left of the log when it stops. */
        SPACE_DO(&space, fault(GPA, false));
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, PAGE, R));
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
        EXPECT_EQ(space_walk(&space, GPA).raw & BITS64(58, 52), 0);
        EXPECT_EQ(space_walk(&space, GPA).rights, R);
        EXPECT_EQ(space_walk(&space, GPA + PAGE).rights, R | W | X);
    }
}

static void test_with_dirty_bits_the_processor_keeps_the_log(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome outcome;

        if (!config.accessed_dirty) {
            continue;
        }
        space_map(&space, GPA, HPA, 64 * PAGE, R | W);
        space_touch(&space, GPA + 2 * PAGE, true);
        outcome = start(DIRTY_BITS);
        EXPECT_EQ(outcome.plan.ranges[0].base, GPA + 2 * PAGE);
        EXPECT_EQ(outcome.plan.ranges[0].pages, 1);
        EXPECT_EQ(space_apply(&space, outcome), VMMU_OK);
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W);
        space_touch(&space, GPA + 7 * PAGE, true);
        space_touch(&space, GPA + 9 * PAGE, false);
        EXPECT_EQ(collect(GPA, 64), BIT64(7));
        EXPECT(!space_walk(&space, GPA + 7 * PAGE).dirty);
        EXPECT(space_walk(&space, GPA + 7 * PAGE).accessed);
        EXPECT_EQ(collect(GPA, 64), 0);
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
    }
}

static void test_the_log_waits_for_sizes_that_are_not_flushed(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        uint8_t bitmap[8];

        space_map(&space, GPA, HPA, 2 * LARGE, R | W);
        EXPECT_EQ(vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, PAGE, 1).status, VMMU_OK);
        EXPECT_EQ(space_apply(&space, start(WRITE_PROTECT)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W);
        EXPECT_EQ(space_apply(&space, start(WRITE_PROTECT)), VMMU_OK);
        EXPECT_EQ(vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA + LARGE }, PAGE, 1).status, VMMU_OK);
        EXPECT_EQ(space_apply(&space, vmmu_nested_log_collect(&space.nested, (vmmu_gpa){ GPA + LARGE }, PAGE,
                                                              bitmap)),
                  VMMU_FLUSH_RETRY);
        EXPECT_EQ(vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, PAGE, 1).status, VMMU_OK);
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
    }
}

static void test_a_page_that_is_not_owned_any_more_gets_no_write_right_back(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, PAGE, R | W);
        SPACE_DO(&space, start(WRITE_PROTECT));
        space.host.own_end = HPA;
        EXPECT_EQ(fault(GPA, false).status, VMMU_VIOLATED);
        EXPECT_EQ(vmmu_nested_log_stop(&space.nested).status, VMMU_VIOLATED);
        EXPECT_EQ(space_walk(&space, GPA).rights, R);
        EXPECT_EQ(space.host.violations, 2);
    }
}

/* A write comes between the look and the store that withholds: it is not lost. */
static uint64_t late_gpa;

static void write_late(void *context, const struct table_host_store *store)
{
    (void)context;
    if (late_gpa != 0 && store->entry == space_walk(&space, late_gpa).entry) {
        const uint64_t gpa = late_gpa;

        late_gpa = 0;
        space_touch(&space, gpa, true);
    }
}

static void test_a_mark_set_during_a_harvest_is_reported_or_kept(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        if (!config.accessed_dirty) {
            continue;
        }
        space_map(&space, GPA, HPA, PAGE, R | W);
        space_touch(&space, GPA, false);
        space.host.before_store = write_late;
        late_gpa = GPA;
        EXPECT_EQ(space_apply(&space, harvest(GPA, PAGE, true, false)), VMMU_OK);
        EXPECT_EQ(late_gpa, 0);
        EXPECT(!space_walk(&space, GPA).accessed && space_walk(&space, GPA).dirty);
        /* Likewise when write protection starts and ends. */
        space_touch(&space, GPA, true);
        EXPECT_EQ(space_apply(&space, harvest(GPA, PAGE, true, true)), VMMU_OK);
        late_gpa = GPA;
        SPACE_DO(&space, start(WRITE_PROTECT));
        EXPECT_EQ(late_gpa, 0);
        EXPECT(space_walk(&space, GPA).dirty);
        EXPECT_EQ(space_walk(&space, GPA).rights, R);
        *space_walk(&space, GPA).entry &= ~(config.format == VMMU_NESTED_EPT ? BIT64(9) : BIT64(6));
        late_gpa = GPA;
        SPACE_DO(&space, fault(GPA, false));
        EXPECT(space_walk(&space, GPA).dirty);
        EXPECT_EQ(space_walk(&space, GPA).rights, R | W);
        space.host.before_store = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_pages_are_neither_accessed_nor_dirty),
        cmocka_unit_test(test_marked_pages_are_reported_in_order_with_their_size),
        cmocka_unit_test(test_cleared_marks_are_flushed_and_only_those_asked_for),
        cmocka_unit_test(test_the_log_starts_and_stops_once),
        cmocka_unit_test(test_write_protection_withholds_writing_from_all_that_may_be_written),
        cmocka_unit_test(test_a_write_is_logged_once_and_again_after_it_was_collected),
        cmocka_unit_test(test_collecting_takes_writing_away_again_and_names_it),
        cmocka_unit_test(test_a_write_to_a_large_page_splits_it_or_logs_it_whole),
        cmocka_unit_test(test_a_large_page_collected_whole_is_clean_again),
        cmocka_unit_test(test_a_fault_where_nothing_is_withheld_changes_nothing),
        cmocka_unit_test(test_pages_mapped_while_the_log_runs_are_clean_and_watched),
        cmocka_unit_test(test_protecting_while_the_log_runs_neither_forgets_nor_bypasses_it),
        cmocka_unit_test(test_with_dirty_bits_the_processor_keeps_the_log),
        cmocka_unit_test(test_the_log_waits_for_sizes_that_are_not_flushed),
        cmocka_unit_test(test_a_page_that_is_not_owned_any_more_gets_no_write_right_back),
        cmocka_unit_test(test_a_mark_set_during_a_harvest_is_reported_or_kept),
    };

    return RUN_TESTS(tests);
}
