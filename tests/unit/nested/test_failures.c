/* Memory that fails, and memory that is bounded: every operation either happens or leaves all as it was. */
#include "tests/unit/nested/kinds.h"
#include "tests/unit/test.h"

static struct space space;

static struct vmmu_outcome map(uint64_t gpa, uint64_t hpa, uint64_t size_bytes, uint8_t rights)
{
    const struct vmmu_nested_mapping mapping = space_mapping(gpa, hpa, size_bytes, rights);

    return vmmu_nested_map(&space.nested, &mapping);
}

/* --- every allocation fails once --- */

/* Where translations are compared: around every boundary that the operations below have. */
static const uint64_t probes[] = {
    0,
    GPA - PAGE,
    GPA,
    GPA + PAGE,
    GPA + LARGE - PAGE,
    GPA + LARGE,
    GPA + LARGE + PAGE,
    GPA + 2 * LARGE,
    GPA + HUGE - PAGE,
    GPA + HUGE,
    GPA + HUGE + LARGE,
    3 * GPA,
    5 * GPA,
    600 * HUGE,
    BIT64(48) - PAGE,
};

#define PROBES (sizeof probes / sizeof probes[0])

static struct vmmu_outcome map_fresh(void)
{
    return map(600 * HUGE - PAGE, HPA - PAGE, HUGE + LARGE + 2 * PAGE, R | W);
}

static struct vmmu_outcome map_misaligned_over_large(void)
{
    return map(GPA, HPA + PAGE, 2 * LARGE, R);
}

static struct vmmu_outcome map_between(void)
{
    return map(GPA + PAGE, 5 * HPA, HUGE, R);
}

static struct vmmu_outcome unmap_inside(void)
{
    return vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA + LARGE + PAGE }, HUGE);
}

static struct vmmu_outcome protect_inside(void)
{
    return vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA + PAGE }, 2 * LARGE, R);
}

static struct vmmu_outcome split_all(void)
{
    return vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, HUGE, VMMU_NESTED_LEVEL_4K);
}

static struct vmmu_outcome log_a_write(void)
{
    return vmmu_nested_log_fault(&space.nested, (vmmu_gpa){ 3 * GPA + PAGE }, false);
}

static const struct {
    struct vmmu_outcome (*run)(void);
    bool needs_memory;
} operations[] = {
    { map_fresh, true },      { map_misaligned_over_large, true },
    { map_between, true },    { unmap_inside, true },
    { protect_inside, true }, { split_all, true },
    { log_a_write, true },
};

static void prepare(const struct vmmu_nested_config *config)
{
    space_start(&space, config);
    space.memory.cache_pages = 0;
    space_map(&space, GPA, HPA, 2 * HUGE, R | W | X);
    space_map(&space, 5 * GPA, HPA, LARGE, R | W);
    SPACE_DO(&space, vmmu_nested_log_start(&space.nested, VMMU_NESTED_LOG_WRITE_PROTECT));
    space_map(&space, 3 * GPA, 2 * HPA, HUGE, R | W);
}

static void view_all(struct space_view *views)
{
    for (unsigned i = 0; i < PROBES; i++) {
        views[i] = space_walk(&space, probes[i]);
    }
}

static void expect_same(const struct space_view *views)
{
    for (unsigned i = 0; i < PROBES; i++) {
        const struct space_view now = space_walk(&space, probes[i]);

        EXPECT_EQ(now.present, views[i].present);
        EXPECT_EQ(now.hpa, views[i].hpa);
        EXPECT_EQ(now.rights, views[i].rights);
        EXPECT_EQ(now.type, views[i].type);
        EXPECT_EQ(now.page_bytes, views[i].page_bytes);
        EXPECT_EQ(now.raw, views[i].raw);
    }
}

/*
 * Run with memory for @pages only, from a fresh space. Whether it failed, and then left everything as it was.
 */
static bool fails_with(unsigned which, unsigned pages)
{
    struct space_view before[PROBES];
    struct vmmu_outcome outcome = { .status = VMMU_OK };

    space.host.takes_left = pages;
    for (unsigned turn = 0; turn < 4; turn++) {
        const uint64_t stores = space.host.exchanges;
        const uint32_t held = space.memory.counters.held_pages;

        view_all(before);
        outcome = operations[which].run();
        if (outcome.status == VMMU_NO_MEMORY) {
            EXPECT(vmmu_plan_is_empty(&outcome.plan));
            EXPECT_EQ(space.host.exchanges, stores);
            EXPECT_EQ(space.memory.counters.held_pages, held);
            expect_same(before);
            return true;
        }
        if (space_apply(&space, outcome) != VMMU_FLUSH_RETRY) {
            break;
        }
    }
    EXPECT_EQ(outcome.status, VMMU_OK);
    return false;
}

static void test_an_operation_whose_nth_page_fails_leaves_the_tables_as_they_were(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < SPACE_KINDS; kind++) {
        const struct vmmu_nested_config config = space_config(kind);

        for (unsigned which = 0; which < sizeof operations / sizeof operations[0]; which++) {
            unsigned pages = 0;

            for (bool failed = true; failed; pages += pages < 8 ? 1 : 97) {
                prepare(&config);
                failed = fails_with(which, pages);
                EXPECT_EQ(failed && pages == 0, operations[which].needs_memory && pages == 0);
                space_finish(&space);
            }
            EXPECT(pages > 1);
        }
    }
}

/* What needs no memory works when there is none. */
static void test_operations_that_need_no_page_work_without_memory(void **state)
{
    uint8_t bitmap[64] = { 0 };

    (void)state;
    FOR_EACH_KIND(space)
    {
        space_map(&space, GPA, HPA, LARGE + PAGE, R | W);
        SPACE_DO(&space, vmmu_nested_split(&space.nested, (vmmu_gpa){ GPA }, LARGE, VMMU_NESTED_LEVEL_4K));
        const uint64_t takes = space.host.takes;

        space.host.takes_left = 0;
        SPACE_DO(&space, map(GPA + LARGE, 3 * HPA, PAGE, R | W));
        SPACE_DO(&space, vmmu_nested_protect(&space.nested, (vmmu_gpa){ GPA }, LARGE, R));
        SPACE_DO(&space, vmmu_nested_merge(&space.nested, (vmmu_gpa){ GPA }, LARGE));
        SPACE_DO(&space, vmmu_nested_log_start(&space.nested, VMMU_NESTED_LOG_WRITE_PROTECT));
        SPACE_DO(&space, vmmu_nested_log_fault(&space.nested, (vmmu_gpa){ GPA + LARGE }, false));
        SPACE_DO(&space, vmmu_nested_log_collect(&space.nested, (vmmu_gpa){ GPA }, LARGE, bitmap));
        SPACE_DO(&space, vmmu_nested_log_stop(&space.nested));
        SPACE_DO(&space, vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA }, 2 * LARGE));
        EXPECT_EQ(space.host.takes, takes);
    }
}

/* --- bounded memory --- */

static void test_more_tables_than_the_limit_are_never_held(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        const uint32_t upper = config.levels - 2U;

        space.memory.limit_pages = 1 + upper + 3;
        EXPECT_EQ(map(GPA, HPA + PAGE, 4 * LARGE, R).status, VMMU_NO_MEMORY);
        EXPECT_EQ(map(0, 0, BIT64(47), R).status, VMMU_NO_MEMORY);
        EXPECT_EQ(space.host.held, space.memory.counters.held_pages);
        EXPECT(space.memory.counters.peak_pages <= space.memory.limit_pages);
        /* Absurdly much is refused at once, not counted out. */
        EXPECT_EQ(map(BIT64(47), PAGE, BIT64(46), R).status, VMMU_NO_MEMORY);
        EXPECT_EQ(space.host.takes, space.memory.counters.taken);
    }
}

static void test_an_operation_that_needs_pages_in_quarantine_asks_for_the_flush(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome gone;

        space.memory.limit_pages = config.levels;
        space_map(&space, GPA, HPA, PAGE, R);
        gone = vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA }, PAGE);
        EXPECT_EQ(gone.status, VMMU_OK);
        EXPECT_EQ(space.memory.counters.quarantine_pages, config.levels - 1U);
        EXPECT_EQ(space_apply(&space, map(3 * GPA, HPA, PAGE, R)), VMMU_FLUSH_RETRY);
        EXPECT_EQ(space_apply(&space, map(3 * GPA, HPA, PAGE, R)), VMMU_OK);
        EXPECT_EQ(space.memory.counters.peak_pages, config.levels);
        vmmu_table_flushed(&space.memory, gone.plan.epoch);
        EXPECT_EQ(space_walk(&space, 3 * GPA).hpa, HPA);
    }
}

static void test_a_second_space_shares_the_memory_and_waits_for_its_flushes(void **state)
{
    static struct vmmu_nested second;

    (void)state;
    FOR_EACH_KIND(space)
    {
        struct vmmu_outcome gone;

        space.memory.limit_pages = config.levels;
        space_map(&space, GPA, HPA, PAGE, R);
        EXPECT_EQ(vmmu_nested_init(&second, &config, &space.memory), VMMU_NO_MEMORY);
        gone = vmmu_nested_unmap(&space.nested, (vmmu_gpa){ GPA }, PAGE);
        EXPECT_EQ(vmmu_nested_init(&second, &config, &space.memory), VMMU_FLUSH_RETRY);
        vmmu_table_flushed(&space.memory, gone.plan.epoch);
        EXPECT_EQ(vmmu_nested_init(&second, &config, &space.memory), VMMU_OK);
        vmmu_nested_destroy(&second);
    }
}

static void test_destroy_gives_every_table_back(void **state)
{
    (void)state;
    FOR_EACH_KIND(space)
    {
        space.memory.cache_pages = 0;
        space_map(&space, GPA, HPA + PAGE, HUGE, R | W);
        space_map(&space, 600 * HUGE, HPA, 3 * HUGE, R | W);
        vmmu_nested_destroy(&space.nested);
        EXPECT_EQ(space.host.held, 0);
        EXPECT_EQ(space.memory.counters.held_pages, 0);
        EXPECT_EQ(vmmu_nested_init(&space.nested, &config, &space.memory), VMMU_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_operation_whose_nth_page_fails_leaves_the_tables_as_they_were),
        cmocka_unit_test(test_operations_that_need_no_page_work_without_memory),
        cmocka_unit_test(test_more_tables_than_the_limit_are_never_held),
        cmocka_unit_test(test_an_operation_that_needs_pages_in_quarantine_asks_for_the_flush),
        cmocka_unit_test(test_a_second_space_shares_the_memory_and_waits_for_its_flushes),
        cmocka_unit_test(test_destroy_gives_every_table_back),
    };

    return RUN_TESTS(tests);
}
