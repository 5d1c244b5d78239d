/* The memory of live tables: reservation, the limit, the cache, quarantine by epoch, plans under way. */
#include "lib/x86/table/memory.h"
#include "tests/unit/table/table_host.h"
#include "tests/unit/test.h"

#include <string.h>

#define LIMIT 8

struct fixture {
    struct table_host host;
    struct vmmu_table_retired quarantine[LIMIT];
    struct vmmu_table_memory memory;
};

static void start(struct fixture *f, uint32_t cache_pages)
{
    table_host_init(&f->host);
    vmmu_table_init(&f->memory, &f->host.seam, f->quarantine, LIMIT, cache_pages);
}

/* Take one page as an operation would. */
static vmmu_hpa take(struct fixture *f)
{
    vmmu_hpa at = { 0 };

    EXPECT_EQ(vmmu_table_reserve(&f->memory, 1, 0), VMMU_OK);
    EXPECT(vmmu_table_take(&f->memory, VMMU_PAGE_ANY, &at) != NULL);
    return at;
}

/* Retire @at in an operation of its own; its epoch. */
static uint64_t retire(struct fixture *f, vmmu_hpa at, uint64_t address)
{
    struct vmmu_plan plan = { 0 };

    vmmu_table_retire(&f->memory, at);
    vmmu_plan_add(&plan, address, 1);
    vmmu_table_close(&f->memory, &plan, true);
    return plan.epoch;
}

static void test_init_takes_nothing(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 4);
    EXPECT_EQ(f.host.takes, 0);
    EXPECT_EQ(f.memory.counters.held_pages, 0);
    table_host_finish(&f.host, true);
}

static void test_reserving_nothing_takes_nothing(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 4);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 0, 0), VMMU_OK);
    EXPECT_EQ(f.host.takes, 0);
    table_host_finish(&f.host, true);
}

static void test_unused_pages_stay_in_the_cache_up_to_its_size(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { 0 };

    (void)state;
    start(&f, 2);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 5, 0), VMMU_OK);
    EXPECT_EQ(f.memory.counters.held_pages, 5);
    vmmu_table_close(&f.memory, &plan, false);
    EXPECT_EQ(plan.epoch, 0);
    EXPECT_EQ(f.memory.counters.held_pages, 2);
    EXPECT_EQ(f.memory.counters.cached_pages, 2);
    EXPECT_EQ(f.memory.counters.peak_pages, 5);
    EXPECT_EQ(f.host.held, 2);
    /* The next operation is served from the cache. */
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 2, 0), VMMU_OK);
    EXPECT_EQ(f.host.takes, 5);
    vmmu_table_drain(&f.memory);
    EXPECT_EQ(f.memory.counters.given, 5);
    table_host_finish(&f.host, true);
}

static void test_a_reservation_that_fails_halfway_keeps_nothing_beyond_the_cache(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 1);
    f.host.takes_left = 3;
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 4, 0), VMMU_NO_MEMORY);
    EXPECT_EQ(f.memory.counters.held_pages, 1);
    EXPECT_EQ(f.memory.counters.refused, 1);
    vmmu_table_drain(&f.memory);
    table_host_finish(&f.host, true);
}

static void test_no_more_than_the_limit_is_ever_held(void **state)
{
    struct fixture f;
    vmmu_hpa at;

    (void)state;
    start(&f, 0);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, LIMIT + 1, 0), VMMU_NO_MEMORY);
    EXPECT_EQ(f.host.takes, 0);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, LIMIT), VMMU_NO_MEMORY);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, UINT32_MAX, 2), VMMU_NO_MEMORY);
    EXPECT_EQ(f.host.takes, 0);
    for (unsigned i = 0; i < LIMIT; i++) {
        at = take(&f);
    }
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_NO_MEMORY);
    EXPECT_EQ(f.host.held, LIMIT);
    vmmu_table_put(&f.memory, at);
    EXPECT_EQ(f.host.held, LIMIT - 1);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_OK);
    vmmu_table_drain(&f.memory);
    table_host_finish(&f.host, false);
}

static void test_a_retired_page_is_kept_as_it_is_until_its_epoch_is_reported(void **state)
{
    struct fixture f;
    uint8_t content[4096];

    (void)state;
    start(&f, 0);
    const vmmu_hpa at = take(&f);
    uint64_t *const page = table_host_page(&f.host, at.v);

    memset(page, 0x37, sizeof content);
    memset(content, 0x37, sizeof content);
    const uint64_t epoch = retire(&f, at, 0x5000);

    EXPECT(epoch != 0);
    EXPECT_EQ(f.memory.counters.quarantine_pages, 1);
    EXPECT_EQ(f.memory.counters.held_pages, 1);
    /* Another page must be another page. */
    const vmmu_hpa other = take(&f);

    EXPECT(other.v != at.v);
    EXPECT(memcmp(page, content, sizeof content) == 0);
    vmmu_table_flushed(&f.memory, epoch);
    EXPECT_EQ(f.memory.counters.quarantine_pages, 0);
    EXPECT_EQ(f.host.held, 1);
    vmmu_table_put(&f.memory, other);
    table_host_finish(&f.host, true);
}

static void test_a_flushed_page_serves_again_from_the_cache(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 1);
    const vmmu_hpa at = take(&f);

    vmmu_table_flushed(&f.memory, retire(&f, at, 0));
    EXPECT_EQ(take(&f).v, at.v);
    EXPECT_EQ(f.host.takes, 1);
    table_host_finish(&f.host, false);
}

static void test_epochs_may_be_reported_in_any_order_and_free_only_their_own_pages(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    const vmmu_hpa first = take(&f);
    const vmmu_hpa second = take(&f);
    const uint64_t first_epoch = retire(&f, first, 0);
    const uint64_t second_epoch = retire(&f, second, 0x1000);

    EXPECT(first_epoch != second_epoch);
    vmmu_table_flushed(&f.memory, second_epoch);
    EXPECT_EQ(f.memory.counters.quarantine_pages, 1);
    EXPECT(table_host_page(&f.host, first.v) != NULL);
    vmmu_table_flushed(&f.memory, second_epoch);
    vmmu_table_flushed(&f.memory, 0);
    vmmu_table_flushed(&f.memory, first_epoch + 100);
    EXPECT_EQ(f.memory.counters.quarantine_pages, 1);
    vmmu_table_flushed(&f.memory, first_epoch);
    EXPECT_EQ(f.memory.counters.quarantine_pages, 0);
    table_host_finish(&f.host, true);
}

static void test_an_epoch_that_was_not_given_out_yet_frees_nothing(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { 0 };

    (void)state;
    start(&f, 0);
    const vmmu_hpa at = take(&f);

    vmmu_table_retire(&f.memory, at);
    vmmu_table_flushed(&f.memory, f.memory.epoch);
    EXPECT_EQ(f.memory.counters.quarantine_pages, 1);
    vmmu_plan_add(&plan, 0, 1);
    vmmu_table_close(&f.memory, &plan, false);
    vmmu_table_flushed(&f.memory, plan.epoch);
    table_host_finish(&f.host, true);
}

static void test_a_full_memory_with_pages_in_quarantine_asks_for_a_flush(void **state)
{
    struct fixture f;
    struct vmmu_plan plan;
    vmmu_hpa at = { 0 };

    (void)state;
    start(&f, 0);
    for (unsigned i = 0; i < LIMIT; i++) {
        at = take(&f);
    }
    const uint64_t epoch = retire(&f, at, 0x3000);

    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_FLUSH_RETRY);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, LIMIT + 1, 0), VMMU_NO_MEMORY);
    vmmu_table_take_over(&f.memory, &plan);
    EXPECT(plan.whole_tag);
    EXPECT(plan.epoch != epoch);
    /* The earlier plan is only a part of the flush that frees the page now. */
    vmmu_table_flushed(&f.memory, epoch);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_FLUSH_RETRY);
    vmmu_table_flushed(&f.memory, plan.epoch);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_OK);
    vmmu_table_drain(&f.memory);
    table_host_finish(&f.host, false);
}

static void test_a_host_without_pages_and_an_empty_quarantine_is_no_memory(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    const vmmu_hpa at = take(&f);

    f.host.takes_left = 0;
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_NO_MEMORY);
    const uint64_t epoch = retire(&f, at, 0);

    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 0), VMMU_FLUSH_RETRY);
    vmmu_table_flushed(&f.memory, epoch);
    table_host_finish(&f.host, true);
}

static void test_pages_below_4_gib_are_below_4_gib_and_are_spared(void **state)
{
    struct fixture f;
    vmmu_hpa low;
    vmmu_hpa high;

    (void)state;
    start(&f, LIMIT);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 1, 2), VMMU_OK);
    EXPECT(vmmu_table_take(&f.memory, VMMU_PAGE_ANY, &high) != NULL);
    EXPECT(high.v >= BIT64(32));
    EXPECT(vmmu_table_take(&f.memory, VMMU_PAGE_BELOW_4G, &low) != NULL);
    EXPECT(low.v < BIT64(32));
    /* One is left, below 4 GiB: it also serves where any will do. */
    EXPECT(vmmu_table_take(&f.memory, VMMU_PAGE_ANY, &low) != NULL);
    EXPECT(low.v < BIT64(32));
    EXPECT_EQ(f.memory.counters.cached_pages, 0);
    table_host_finish(&f.host, false);
}

static void test_a_page_above_makes_room_for_one_below_under_the_limit(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { 0 };

    (void)state;
    start(&f, LIMIT);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, LIMIT, 0), VMMU_OK);
    vmmu_table_close(&f.memory, &plan, false);
    EXPECT_EQ(f.memory.counters.cached_pages, LIMIT);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, LIMIT - 2, 2), VMMU_OK);
    EXPECT_EQ(f.memory.counters.held_pages, LIMIT);
    EXPECT_EQ(f.memory.cache_count[VMMU_PAGE_BELOW_4G], 2);
    f.host.takes_left = 0;
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 0, 3), VMMU_NO_MEMORY);
    vmmu_table_drain(&f.memory);
    table_host_finish(&f.host, true);
}

static void test_an_empty_plan_has_no_epoch_and_is_not_remembered(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { 0 };

    (void)state;
    start(&f, 0);
    vmmu_table_close(&f.memory, &plan, false);
    EXPECT_EQ(plan.epoch, 0);
    EXPECT_EQ(f.memory.counters.plans, 0);
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, UINT64_MAX, false));
    table_host_finish(&f.host, true);
}

static void test_what_a_plan_names_counts_as_unflushed_until_it_is_reported(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { 0 };

    (void)state;
    start(&f, 0);
    vmmu_plan_add(&plan, 0x4000, 2);
    vmmu_plan_add(&plan, 0x9000, 1);
    vmmu_table_close(&f.memory, &plan, false);
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, 0x3FFF, false));
    EXPECT(vmmu_table_is_unflushed(&f.memory, 0, 0x4000, false));
    EXPECT(vmmu_table_is_unflushed(&f.memory, 0x9FFF, 0x10000, false));
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0xA000, UINT64_MAX, false));
    /* Nothing changed its size. */
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, UINT64_MAX, true));
    vmmu_table_flushed(&f.memory, plan.epoch);
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, UINT64_MAX, false));
    /* In whatever order the ranges came. */
    plan = (struct vmmu_plan){ 0 };
    vmmu_plan_add(&plan, 0x9000, 1);
    vmmu_plan_add(&plan, 0x4000, 1);
    vmmu_plan_add(&plan, 0x6000, 1);
    vmmu_table_close(&f.memory, &plan, false);
    EXPECT(vmmu_table_is_unflushed(&f.memory, 0x9000, 0x9FFF, false));
    EXPECT(vmmu_table_is_unflushed(&f.memory, 0x4000, 0x4FFF, false));
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0xA000, UINT64_MAX, false));
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, 0x3FFF, false));
    table_host_finish(&f.host, true);
}

static void test_a_changed_size_is_remembered_apart_and_through_a_take_over(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { .whole_tag = true };

    (void)state;
    start(&f, 0);
    vmmu_table_close(&f.memory, &plan, true);
    EXPECT(vmmu_table_is_unflushed(&f.memory, 0x1234000, 0x1234FFF, true));
    vmmu_table_take_over(&f.memory, &plan);
    EXPECT(vmmu_table_is_unflushed(&f.memory, 0x1234000, 0x1234FFF, true));
    vmmu_table_flushed(&f.memory, plan.epoch);
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, UINT64_MAX, true));
    table_host_finish(&f.host, true);
}

static void test_plans_under_way_are_bounded_and_a_take_over_makes_room(void **state)
{
    struct fixture f;
    struct vmmu_plan plan;

    (void)state;
    start(&f, 0);
    for (unsigned i = 0; i < VMMU_TABLE_PLANS; i++) {
        EXPECT(vmmu_table_ready(&f.memory));
        plan = (struct vmmu_plan){ 0 };
        vmmu_plan_add(&plan, i * UINT64_C(0x100000), 1);
        vmmu_table_close(&f.memory, &plan, false);
    }
    EXPECT(!vmmu_table_ready(&f.memory));
    vmmu_table_take_over(&f.memory, &plan);
    EXPECT(vmmu_table_ready(&f.memory));
    EXPECT(plan.whole_tag);
    EXPECT_EQ(f.memory.counters.plans, VMMU_TABLE_PLANS + 1);
    table_host_finish(&f.host, true);
}

/* Plans of address spaces that run on different processors: who takes over flushes on all of them. */
static void test_a_take_over_names_every_processor_of_the_plans_under_way(void **state)
{
    struct fixture f;
    struct vmmu_plan plan = { .whole_tag = true, .vps = 1 };

    (void)state;
    start(&f, 0);
    vmmu_table_close(&f.memory, &plan, false);
    plan = (struct vmmu_plan){ .whole_tag = true, .vps = BIT64(63) };
    vmmu_table_close(&f.memory, &plan, false);
    vmmu_table_take_over(&f.memory, &plan);
    EXPECT_EQ(plan.vps, BIT64(63) | 1);
    /* And whoever takes over from it. */
    vmmu_table_take_over(&f.memory, &plan);
    EXPECT_EQ(plan.vps, BIT64(63) | 1);
    vmmu_table_flushed(&f.memory, plan.epoch);
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, UINT64_MAX, false));
    table_host_finish(&f.host, true);
}

static void test_drain_gives_back_cache_and_quarantine(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 4);
    EXPECT_EQ(vmmu_table_reserve(&f.memory, 3, 1), VMMU_OK);
    vmmu_hpa at;

    EXPECT(vmmu_table_take(&f.memory, VMMU_PAGE_ANY, &at) != NULL);
    retire(&f, at, 0);
    vmmu_table_drain(&f.memory);
    EXPECT_EQ(f.memory.counters.held_pages, 0);
    EXPECT_EQ(f.memory.counters.taken, f.memory.counters.given);
    EXPECT(!vmmu_table_is_unflushed(&f.memory, 0, UINT64_MAX, false));
    table_host_finish(&f.host, true);
}

static void test_an_entry_is_stored_by_the_hosts_exchange_only(void **state)
{
    struct fixture f;
    uint64_t entry = 5;
    uint64_t expected = 4;

    (void)state;
    start(&f, 0);
    EXPECT(!vmmu_table_exchange(&f.memory, &entry, &expected, 6));
    EXPECT_EQ(expected, 5);
    EXPECT(vmmu_table_exchange(&f.memory, &entry, &expected, 6));
    EXPECT_EQ(vmmu_table_load(&f.memory, &entry), 6);
    EXPECT_EQ(f.host.exchanges, 2);
    table_host_finish(&f.host, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_takes_nothing),
        cmocka_unit_test(test_reserving_nothing_takes_nothing),
        cmocka_unit_test(test_unused_pages_stay_in_the_cache_up_to_its_size),
        cmocka_unit_test(test_a_reservation_that_fails_halfway_keeps_nothing_beyond_the_cache),
        cmocka_unit_test(test_no_more_than_the_limit_is_ever_held),
        cmocka_unit_test(test_a_retired_page_is_kept_as_it_is_until_its_epoch_is_reported),
        cmocka_unit_test(test_a_flushed_page_serves_again_from_the_cache),
        cmocka_unit_test(test_epochs_may_be_reported_in_any_order_and_free_only_their_own_pages),
        cmocka_unit_test(test_an_epoch_that_was_not_given_out_yet_frees_nothing),
        cmocka_unit_test(test_a_full_memory_with_pages_in_quarantine_asks_for_a_flush),
        cmocka_unit_test(test_a_host_without_pages_and_an_empty_quarantine_is_no_memory),
        cmocka_unit_test(test_pages_below_4_gib_are_below_4_gib_and_are_spared),
        cmocka_unit_test(test_a_page_above_makes_room_for_one_below_under_the_limit),
        cmocka_unit_test(test_an_empty_plan_has_no_epoch_and_is_not_remembered),
        cmocka_unit_test(test_what_a_plan_names_counts_as_unflushed_until_it_is_reported),
        cmocka_unit_test(test_a_changed_size_is_remembered_apart_and_through_a_take_over),
        cmocka_unit_test(test_plans_under_way_are_bounded_and_a_take_over_makes_room),
        cmocka_unit_test(test_a_take_over_names_every_processor_of_the_plans_under_way),
        cmocka_unit_test(test_drain_gives_back_cache_and_quarantine),
        cmocka_unit_test(test_an_entry_is_stored_by_the_hosts_exchange_only),
    };

    return RUN_TESTS(tests);
}
