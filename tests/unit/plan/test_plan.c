/* Plans of invalidation: what plan.h promises of vmmu_plan_add. */
#include "tests/unit/test.h"
#include <vmmu/plan.h>

#define PAGE VMMU_PAGE_BYTES

static void test_a_new_plan_is_empty_and_an_added_range_is_in_it(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    EXPECT(vmmu_plan_is_empty(&plan));
    vmmu_plan_add(&plan, 7 * PAGE, 3);
    EXPECT(!vmmu_plan_is_empty(&plan));
    EXPECT_EQ(plan.count, 1);
    EXPECT_EQ(plan.ranges[0].base, 7 * PAGE);
    EXPECT_EQ(plan.ranges[0].pages, 3);
}

static void test_adding_no_pages_changes_nothing(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    vmmu_plan_add(&plan, PAGE, 0);
    EXPECT(vmmu_plan_is_empty(&plan));
}

static void test_a_range_that_follows_another_is_joined_to_it(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        vmmu_plan_add(&plan, i * PAGE, 1);
    }
    EXPECT_EQ(plan.count, 1);
    EXPECT_EQ(plan.ranges[0].base, 0);
    EXPECT_EQ(plan.ranges[0].pages, 1000);
}

static void test_a_range_that_precedes_another_is_joined_to_it(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    vmmu_plan_add(&plan, 8 * PAGE, 2);
    vmmu_plan_add(&plan, 5 * PAGE, 3);
    EXPECT_EQ(plan.count, 1);
    EXPECT_EQ(plan.ranges[0].base, 5 * PAGE);
    EXPECT_EQ(plan.ranges[0].pages, 5);
}

static void test_overlapping_ranges_become_their_union(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    vmmu_plan_add(&plan, 10 * PAGE, 10);
    vmmu_plan_add(&plan, 12 * PAGE, 2);
    EXPECT_EQ(plan.count, 1);
    EXPECT_EQ(plan.ranges[0].pages, 10);
    vmmu_plan_add(&plan, 15 * PAGE, 10);
    EXPECT_EQ(plan.count, 1);
    EXPECT_EQ(plan.ranges[0].base, 10 * PAGE);
    EXPECT_EQ(plan.ranges[0].pages, 15);
}

static void test_a_range_that_bridges_two_others_joins_all_three(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    vmmu_plan_add(&plan, 0, 1);
    vmmu_plan_add(&plan, 2 * PAGE, 1);
    vmmu_plan_add(&plan, 9 * PAGE, 1);
    vmmu_plan_add(&plan, PAGE, 1);
    EXPECT_EQ(plan.count, 2);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(plan.ranges[i].pages, plan.ranges[i].base == 0 ? 3 : 1);
    }
}

static void test_eight_ranges_fit_and_the_ninth_means_the_whole_tag(void **state)
{
    struct vmmu_plan plan = { .vps = 5 };

    (void)state;
    for (uint64_t i = 0; i < VMMU_PLAN_RANGES; i++) {
        vmmu_plan_add(&plan, 2 * i * PAGE, 1);
    }
    EXPECT_EQ(plan.count, 8);
    EXPECT(!plan.whole_tag);
    vmmu_plan_add(&plan, 100 * PAGE, 1);
    EXPECT(plan.whole_tag);
    EXPECT_EQ(plan.count, 0);
    EXPECT_EQ(plan.vps, 5);
    EXPECT(!vmmu_plan_is_empty(&plan));
}

static void test_a_full_plan_still_takes_a_range_that_touches_one_of_its_own(void **state)
{
    struct vmmu_plan plan = { 0 };

    (void)state;
    for (uint64_t i = 0; i < VMMU_PLAN_RANGES; i++) {
        vmmu_plan_add(&plan, 3 * i * PAGE, 1);
    }
    vmmu_plan_add(&plan, 4 * PAGE, 1);
    EXPECT_EQ(plan.count, 8);
    EXPECT(!plan.whole_tag);
}

static void test_the_whole_tag_stays_the_whole_tag(void **state)
{
    struct vmmu_plan plan = { .whole_tag = true };

    (void)state;
    vmmu_plan_add(&plan, 0, 1);
    EXPECT(plan.whole_tag);
    EXPECT_EQ(plan.count, 0);
}

static void test_a_range_beyond_the_last_address_ends_there(void **state)
{
    struct vmmu_plan plan = { 0 };
    const uint64_t last = ~UINT64_C(0) & ~(PAGE - 1);

    (void)state;
    vmmu_plan_add(&plan, last, UINT64_MAX);
    EXPECT_EQ(plan.ranges[0].base, last);
    EXPECT_EQ(plan.ranges[0].pages, 1);
    vmmu_plan_add(&plan, 0, UINT64_MAX);
    EXPECT_EQ(plan.count, 1);
    EXPECT_EQ(plan.ranges[0].base, 0);
    EXPECT_EQ(plan.ranges[0].pages, BIT64(52));
}

/*
 * Whatever is added in whatever order: every page that was added is named, and ranges never touch each other.
 */
static void test_a_plan_names_every_page_that_was_added(void **state)
{
    uint32_t random = 12345;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct vmmu_plan plan = { 0 };
        bool added[64] = { false };

        for (unsigned i = 0; i < 12; i++) {
            random = random * 1664525 + 1013904223;
            const unsigned first = (random >> 8) % 60;
            const unsigned pages = 1 + (random >> 20) % 4;

            vmmu_plan_add(&plan, first * PAGE, pages);
            for (unsigned page = first; page < first + pages; page++) {
                added[page] = true;
            }
        }
        if (plan.whole_tag) {
            continue;
        }
        for (unsigned page = 0; page < 64; page++) {
            unsigned named = 0;
            bool touched = false;

            for (unsigned i = 0; i < plan.count; i++) {
                const uint64_t first = plan.ranges[i].base / PAGE;

                named += page >= first && page < first + plan.ranges[i].pages;
                touched = touched || page + 1 == first;
            }
            EXPECT_EQ(named, added[page]);
            EXPECT(!(named != 0 && touched));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_plan_is_empty_and_an_added_range_is_in_it),
        cmocka_unit_test(test_adding_no_pages_changes_nothing),
        cmocka_unit_test(test_a_range_that_follows_another_is_joined_to_it),
        cmocka_unit_test(test_a_range_that_precedes_another_is_joined_to_it),
        cmocka_unit_test(test_overlapping_ranges_become_their_union),
        cmocka_unit_test(test_a_range_that_bridges_two_others_joins_all_three),
        cmocka_unit_test(test_eight_ranges_fit_and_the_ninth_means_the_whole_tag),
        cmocka_unit_test(test_a_full_plan_still_takes_a_range_that_touches_one_of_its_own),
        cmocka_unit_test(test_the_whole_tag_stays_the_whole_tag),
        cmocka_unit_test(test_a_range_beyond_the_last_address_ends_there),
        cmocka_unit_test(test_a_plan_names_every_page_that_was_added),
    };

    return RUN_TESTS(tests);
}
