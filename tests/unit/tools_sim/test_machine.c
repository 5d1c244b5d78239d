/*
 * Machines: what walks cost, what survives exits and switches, and what exits. Expected values are the manuals': SDM 3A "Paging",
 * "Caching Translation Information"; SDM 3C "EPT Translation Mechanism", "Operations that Invalidate Cached Mappings".
 */
#include "tests/unit/test.h"

#include <string.h>

#include "machine_rig.h"

#define PAGE UINT64_C(0x400)

/* Pages far from each other: no upper level but the root is common. */
static void touch_far_pages(struct sim_machine *machine)
{
    for (unsigned i = 1; i <= 4; i++) {
        sim_rig_touch(machine, SIM_READ, (uint64_t)i << 27, 1);
    }
}

static void touch_eight_pages(struct sim_machine *machine)
{
    sim_rig_touch(machine, SIM_READ, PAGE, 8);
}

/* --- what a walk costs --- */

static struct sim_config cold(enum sim_technique technique)
{
    struct sim_config config = sim_rig_config(technique);

    config.upper_levels = false;
    return config;
}

static void expect_cold_references(const struct sim_config *config, unsigned expected)
{
    const struct sim_counts counts = sim_rig_count(config, touch_far_pages);

    EXPECT_EQ(counts.walks[SIM_USER], 4);
    EXPECT_EQ(counts.references[SIM_USER], 4 * expected);
}

static void test_a_cold_walk_takes_4_references_natively_and_24_through_two_stages(void **state)
{
    struct sim_config config = cold(SIM_NATIVE);

    (void)state;
    expect_cold_references(&config, 4);
    config = cold(SIM_NESTED);
    expect_cold_references(&config, 24);
    config = cold(SIM_SHADOW);
    expect_cold_references(&config, 4);
}

static void test_with_five_levels_it_takes_5_and_35(void **state)
{
    struct sim_config config = cold(SIM_NATIVE);

    (void)state;
    config.levels = 5;
    expect_cold_references(&config, 5);
    config = cold(SIM_NESTED);
    config.levels = 5;
    config.nested_levels = 5;
    expect_cold_references(&config, 35);
    config.levels = 4;
    expect_cold_references(&config, 29); /* 4 of the guest's and 5 times 5 */
}

static void test_large_pages_take_a_reference_less_for_each_level(void **state)
{
    struct sim_config config = cold(SIM_NATIVE);

    (void)state;
    config.page_level = 2;
    expect_cold_references(&config, 3);
    config = cold(SIM_NESTED);
    config.page_level = 2;
    config.host_page_level = 2;
    expect_cold_references(&config, 15); /* 3 of the guest's and 4 times 3 */
    config.page_level = 1;
    expect_cold_references(&config, 19); /* 4 and 5 times 3 */
}

static void test_cached_upper_levels_leave_one_reference(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NATIVE);
    struct sim_counts counts = sim_rig_count(&config, touch_eight_pages);

    (void)state;
    EXPECT_EQ(counts.walks[SIM_USER], 8);
    EXPECT_EQ(counts.references[SIM_USER], 4 + 7);
    config = sim_rig_config(SIM_NESTED);
    counts = sim_rig_count(&config, touch_eight_pages);
    EXPECT_EQ(counts.walks[SIM_USER], 8);
    /* The entry, whose table is known, and at most the second stage's for the page: its kernel has just cleared that. */
    EXPECT(counts.references[SIM_USER] <= 24 + 7 * 2);
    EXPECT(counts.references[SIM_USER] >= 8);
}

/* --- what is cached --- */

static void touch_twice(struct sim_machine *machine)
{
    touch_eight_pages(machine);
    touch_eight_pages(machine);
}

static void test_what_is_cached_is_not_walked_for(void **state)
{
    (void)state;
    for (unsigned technique = 0; technique < SIM_TECHNIQUES; technique++) {
        struct sim_config config = sim_rig_config((enum sim_technique)technique);
        struct sim_counts counts;

        config.vpid = technique == SIM_NATIVE ? SIM_VPID_OFF : SIM_VPID_ON;
        counts = sim_rig_count(&config, touch_twice);
        EXPECT_EQ(counts.accesses[SIM_USER], 16);
        EXPECT_EQ(counts.walks[SIM_USER], 8);
        EXPECT_EQ(counts.page_faults, 8);
    }
}

static void fetch_and_read(struct sim_machine *machine)
{
    sim_rig_touch(machine, SIM_FETCH, PAGE, 1);
    sim_rig_touch(machine, SIM_READ, PAGE, 1);
    sim_rig_touch(machine, SIM_FETCH, PAGE, 1);
}

static void test_code_and_data_have_first_levels_of_their_own_and_share_the_second(void **state)
{
    const struct sim_config config = sim_rig_config(SIM_NATIVE);
    const struct sim_counts counts = sim_rig_count(&config, fetch_and_read);

    (void)state;
    EXPECT_EQ(counts.walks[SIM_USER], 1);
    EXPECT_EQ(counts.second[SIM_USER], 1);
}

static void read_then_write(struct sim_machine *machine)
{
    sim_rig_touch(machine, SIM_READ, PAGE, 1);
    sim_rig_touch(machine, SIM_WRITE, PAGE, 1);
    sim_rig_touch(machine, SIM_MODIFY, PAGE, 1);
}

static void test_the_first_write_of_a_clean_page_walks_again(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NATIVE);
    struct sim_counts counts = sim_rig_count(&config, read_then_write);

    (void)state;
    EXPECT_EQ(counts.walks[SIM_USER], 2);
    EXPECT_EQ(counts.page_faults, 1);
    /* Under shadow paging the mark is the hypervisor's to set: a fill more than for a page that is only read. */
    config = sim_rig_config(SIM_SHADOW);
    counts = sim_rig_count(&config, read_then_write);
    EXPECT_EQ(counts.walks[SIM_USER], 2);
    EXPECT(counts.exits[SIM_EXIT_FILL] >= 2);
}

static void cross_a_page(struct sim_machine *machine)
{
    const sim_record record = sim_record_of(SIM_READ, PAGE) | SIM_RECORD_CROSSES;

    sim_rig_run(machine, &record, 1);
}

static void test_a_reference_over_a_boundary_uses_both_pages(void **state)
{
    const struct sim_config config = sim_rig_config(SIM_NATIVE);
    const struct sim_counts counts = sim_rig_count(&config, cross_a_page);

    (void)state;
    EXPECT_EQ(counts.accesses[SIM_USER], 1);
    EXPECT_EQ(counts.walks[SIM_USER], 2);
}

static void touch_more_than_fits(struct sim_machine *machine)
{
    for (unsigned turn = 0; turn < 4; turn++) {
        sim_rig_touch(machine, SIM_READ, PAGE, 64);
    }
}

static void test_a_tlb_holds_as_much_as_its_geometry_says(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NATIVE);
    struct complaint complaint;

    (void)state;
    EXPECT(sim_geometry_find("code=64/4", &config.geometry, &complaint));
    /* One first level for both sides; the kernel's direct map has an entry in it, too, in one of its sets. */
    EXPECT(sim_rig_count(&config, touch_more_than_fits).walks[SIM_USER] <= 64 + 3 * 5);
    EXPECT(sim_geometry_find("code=32/4", &config.geometry, &complaint));
    EXPECT_EQ(sim_rig_count(&config, touch_more_than_fits).walks[SIM_USER], 4 * 64);
}

/* --- exits --- */

static struct sim_config with_exits(enum sim_technique technique, enum sim_vpid vpid)
{
    struct sim_config config = sim_rig_config(technique);

    config.vpid = vpid;
    config.exit_every = 8;
    return config;
}

static void test_without_vpid_an_exit_takes_every_translation(void **state)
{
    const struct sim_config config = with_exits(SIM_NESTED, SIM_VPID_OFF);
    const struct sim_counts counts = sim_rig_count(&config, touch_twice);

    (void)state;
    EXPECT_EQ(counts.exits[SIM_EXIT_OUTSIDE], 2);
    EXPECT_EQ(counts.walks[SIM_USER], 16);
}

static void test_with_vpid_translations_survive_an_exit(void **state)
{
    const struct sim_config config = with_exits(SIM_NESTED, SIM_VPID_ON);
    const struct sim_counts counts = sim_rig_count(&config, touch_twice);

    (void)state;
    EXPECT_EQ(counts.exits[SIM_EXIT_OUTSIDE], 2);
    EXPECT_EQ(counts.walks[SIM_USER], 8);
}

static void test_the_hypervisors_own_translations_survive_with_vpid_only(void **state)
{
    struct sim_config config = with_exits(SIM_NESTED, SIM_VPID_OFF);
    struct sim_counts counts;

    (void)state;
    config.exit_pages = 10;
    counts = sim_rig_count(&config, touch_twice);
    EXPECT_EQ(counts.accesses[SIM_HOST], 20);
    EXPECT_EQ(counts.walks[SIM_HOST], 20);
    config.vpid = SIM_VPID_ON;
    counts = sim_rig_count(&config, touch_twice);
    EXPECT_EQ(counts.walks[SIM_HOST], 10);
}

static void test_a_native_machine_has_no_exits(void **state)
{
    const struct sim_config config = with_exits(SIM_NATIVE, SIM_VPID_OFF);
    const struct sim_counts counts = sim_rig_count(&config, touch_twice);

    (void)state;
    EXPECT_EQ(sim_rig_exits(&counts), 0);
    EXPECT_EQ(counts.engine_tables, 0);
}

static void test_guest_physical_mappings_survive_exits_without_vpid(void **state)
{
    struct sim_config config = with_exits(SIM_NESTED, SIM_VPID_OFF);
    struct sim_counts kept, lost;

    (void)state;
    kept = sim_rig_count(&config, touch_twice);
    config.upper_levels = false;
    lost = sim_rig_count(&config, touch_twice);
    EXPECT_EQ(lost.references[SIM_USER], 16 * 24);
    /* The second turn: four entries of the guest's for the first page, whose places in the machine are still known. */
    EXPECT(kept.references[SIM_USER] < lost.references[SIM_USER] / 4);
}

/* --- shadow paging --- */

static void test_shadow_paging_exits_for_each_new_page_and_nested_never(void **state)
{
    struct sim_config config = sim_rig_config(SIM_SHADOW);
    struct sim_counts counts = sim_rig_count(&config, touch_eight_pages);

    (void)state;
    EXPECT_EQ(counts.page_faults, 8);
    EXPECT_EQ(counts.exits[SIM_EXIT_FAULT], 8);
    EXPECT(counts.exits[SIM_EXIT_FILL] >= 1);
    EXPECT_EQ(counts.exits[SIM_EXIT_OUTSIDE], 0);
    EXPECT(counts.engine_tables >= 4);
    config = sim_rig_config(SIM_NESTED);
    counts = sim_rig_count(&config, touch_eight_pages);
    EXPECT_EQ(sim_rig_exits(&counts), 0);
    EXPECT_EQ(counts.page_faults, 8);
    /* 1 GiB by pages of 4 KiB: 512 tables, and three above. */
    EXPECT_EQ(counts.engine_tables, 515);
}

static void test_silent_faults_of_the_guests_own_do_not_exit(void **state)
{
    struct sim_config config = sim_rig_config(SIM_SHADOW);
    struct sim_counts loud, silent;

    (void)state;
    loud = sim_rig_count(&config, touch_eight_pages);
    config.silent = true;
    silent = sim_rig_count(&config, touch_eight_pages);
    EXPECT_EQ(silent.page_faults, 8);
    EXPECT(silent.exits[SIM_EXIT_FAULT] < loud.exits[SIM_EXIT_FAULT]);
    EXPECT(sim_rig_exits(&silent) < sim_rig_exits(&loud));
}

static void take_turns(struct sim_machine *machine, unsigned turns)
{
    for (unsigned turn = 0; turn < turns; turn++) {
        sim_rig_switch(machine, turn % 2);
        sim_rig_touch(machine, SIM_READ, PAGE, 8);
    }
}

static void two_processes(struct sim_machine *machine)
{
    take_turns(machine, 8);
}

static void two_processes_for_long(struct sim_machine *machine)
{
    take_turns(machine, 80);
}

static void test_shadow_paging_exits_at_each_switch(void **state)
{
    struct sim_config config = sim_rig_config(SIM_SHADOW);
    struct sim_counts counts = sim_rig_count(&config, two_processes);

    (void)state;
    EXPECT_EQ(counts.switches, 7);
    EXPECT_EQ(counts.exits[SIM_EXIT_ROOT], 7);
    config = sim_rig_config(SIM_NESTED);
    counts = sim_rig_count(&config, two_processes);
    EXPECT_EQ(counts.switches, 7);
    EXPECT_EQ(sim_rig_exits(&counts), 0);
}

static void test_a_vpid_a_root_keeps_what_a_switch_of_roots_would_take(void **state)
{
    struct sim_config config = sim_rig_config(SIM_SHADOW);
    struct sim_counts one, each;

    (void)state;
    config.vpid = SIM_VPID_ON;
    one = sim_rig_count(&config, two_processes_for_long);
    config.vpid = SIM_VPID_ROOTS;
    each = sim_rig_count(&config, two_processes_for_long);
    EXPECT_EQ(one.walks[SIM_USER], 640);
    EXPECT(each.walks[SIM_USER] < 100);
}

/* --- address spaces --- */

static void test_a_switch_takes_translations_and_a_pcid_keeps_them(void **state)
{
    static const enum sim_technique techniques[] = { SIM_NATIVE, SIM_NESTED };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct sim_config config = sim_rig_config(techniques[i]);

        config.vpid = techniques[i] == SIM_NESTED ? SIM_VPID_ON : SIM_VPID_OFF;
        EXPECT_EQ(sim_rig_count(&config, two_processes).walks[SIM_USER], 64);
        config.pcids = true;
        EXPECT_EQ(sim_rig_count(&config, two_processes).walks[SIM_USER], 16);
    }
}

static void kernel_in_two_processes(struct sim_machine *machine)
{
    for (unsigned turn = 0; turn < 4; turn++) {
        sim_rig_switch(machine, turn % 2);
        sim_rig_touch(machine, SIM_READ, UINT64_C(0xfffff81000000), 4);
    }
}

static void test_global_pages_survive_a_switch(void **state)
{
    const struct sim_config config = sim_rig_config(SIM_NATIVE);
    const struct sim_counts counts = sim_rig_count(&config, kernel_in_two_processes);

    (void)state;
    EXPECT_EQ(counts.walks[SIM_USER], 4);
    EXPECT_EQ(counts.page_faults, 4);
}

/* --- events of a trace --- */

static void invalidate_one(struct sim_machine *machine)
{
    const sim_record invlpg = sim_record_of(SIM_INVLPG, PAGE);

    touch_eight_pages(machine);
    sim_rig_run(machine, &invlpg, 1);
    touch_eight_pages(machine);
}

static void test_invlpg_takes_its_page(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NATIVE);

    (void)state;
    EXPECT_EQ(sim_rig_count(&config, invalidate_one).walks[SIM_USER], 9);
    config = sim_rig_config(SIM_NESTED);
    EXPECT_EQ(sim_rig_count(&config, invalidate_one).walks[SIM_USER], 9);
}

static void exit_and_enter(struct sim_machine *machine)
{
    const sim_record records[] = { sim_record_of(SIM_READ, PAGE), sim_record_of(SIM_EXIT, 0x61),
                                   sim_record_of(SIM_READ, 3),    sim_record_of(SIM_REPEAT, 5),
                                   sim_record_of(SIM_ENTER, 0),   sim_record_of(SIM_READ, PAGE),
                                   sim_record_of(SIM_REPEAT, 2) };

    sim_rig_run(machine, records, sizeof(records) / sizeof(records[0]));
}

static void test_a_traces_own_exits_replace_those_that_are_added(void **state)
{
    struct sim_config config = with_exits(SIM_NESTED, SIM_VPID_OFF);
    struct sim_counts counts;

    (void)state;
    config.exit_every = 1;
    config.exit_pages = 3;
    counts = sim_rig_count(&config, exit_and_enter);
    EXPECT_EQ(counts.exits[SIM_EXIT_OUTSIDE],
              2); /* the added one after the first reference, and the trace's */
    EXPECT_EQ(counts.accesses[SIM_USER], 4);
    EXPECT_EQ(counts.accesses[SIM_HOST], 3 + 6);
    EXPECT_EQ(counts.walks[SIM_USER], 2);
}

/* Repeats, some of them longer than from an exit to the next, and of every kind of reference. */
static const sim_record repeats[] = {
    SIM_RECORD_CROSSES | (PAGE << SIM_RECORD_SHIFT) | SIM_READ,
    SIM_REPEAT | 3 << SIM_RECORD_SHIFT,
    (PAGE + 9) << SIM_RECORD_SHIFT | SIM_FETCH,
    SIM_REPEAT | 100 << SIM_RECORD_SHIFT,
    (PAGE + 2) << SIM_RECORD_SHIFT | SIM_WRITE,
    SIM_REPEAT | 7 << SIM_RECORD_SHIFT,
    SIM_REPEAT | 0 << SIM_RECORD_SHIFT,
    SIM_REPEAT | 24 << SIM_RECORD_SHIFT,
    (PAGE + 2) << SIM_RECORD_SHIFT | SIM_INVLPG,
    SIM_REPEAT | 2 << SIM_RECORD_SHIFT,
    1 << SIM_RECORD_SHIFT | SIM_SPACE,
    SIM_REPEAT | 20 << SIM_RECORD_SHIFT,
    (PAGE + 3) << SIM_RECORD_SHIFT | SIM_MODIFY,
};
#define REPEATS (sizeof(repeats) / sizeof(repeats[0]))

static void run_repeats(struct sim_machine *machine)
{
    sim_rig_run(machine, repeats, REPEATS);
}

/* The same, a record for each reference. */
static void run_each(struct sim_machine *machine)
{
    sim_record last = SIM_NO_REFERENCE;

    for (size_t i = 0; i < REPEATS; i++) {
        const bool again = sim_record_kind(repeats[i]) == SIM_REPEAT;
        const uint64_t times = again ? sim_record_value(repeats[i]) : 1;

        last = sim_record_is_reference(repeats[i]) ? repeats[i] : last;
        for (uint64_t time = 0; time < times; time++) {
            sim_rig_run(machine, again ? &last : &repeats[i], 1);
        }
    }
}

static void test_a_repeat_is_so_many_references_exits_among_them(void **state)
{
    (void)state;
    for (unsigned technique = SIM_NATIVE; technique < SIM_TECHNIQUES; technique++) {
        const enum sim_vpid vpid_most = technique == SIM_NATIVE ? SIM_VPID_OFF : SIM_VPID_ON;

        for (unsigned vpid = SIM_VPID_OFF; vpid <= (unsigned)vpid_most; vpid++) {
            struct sim_config config = with_exits((enum sim_technique)technique, (enum sim_vpid)vpid);
            struct sim_counts together, each;

            config.exit_pages = 2;
            together = sim_rig_count(&config, run_repeats);
            each = sim_rig_count(&config, run_each);
            EXPECT_EQ(together.accesses[SIM_USER], 4 + 3 + 100 + 7 + 24 + 2 + 20);
            EXPECT_EQ(together.exits[SIM_EXIT_OUTSIDE], technique == SIM_NATIVE ? 0 : 160 / 8);
            assert_memory_equal(&together, &each, sizeof(together));
        }
    }
}

static void repeat_and_go_on(struct sim_machine *machine)
{
    const sim_record records[] = { sim_record_of(SIM_READ, PAGE), sim_record_of(SIM_REPEAT, 799) };

    sim_rig_run(machine, records, 2);
}

static void test_an_exit_among_repeats_takes_what_they_found(void **state)
{
    struct sim_config config = with_exits(SIM_NESTED, SIM_VPID_OFF);
    struct sim_counts counts = sim_rig_count(&config, repeat_and_go_on);

    (void)state;
    EXPECT_EQ(counts.exits[SIM_EXIT_OUTSIDE], 100);
    EXPECT_EQ(counts.walks[SIM_USER], 100); /* of the 101 stretches the last is empty */
    config.vpid = SIM_VPID_ON;
    EXPECT_EQ(sim_rig_count(&config, repeat_and_go_on).walks[SIM_USER], 1);
}

static void test_more_references_than_can_be_counted_are_a_complaint(void **state)
{
    const sim_record most = sim_record_of(SIM_REPEAT, UINT64_MAX >> SIM_RECORD_SHIFT);
    const struct sim_config config = sim_rig_config(SIM_NATIVE);
    struct sim_machine *const machine = sim_rig_open(&config);
    struct complaint complaint = { .text = "" };
    unsigned times = 0;

    (void)state;
    while (times < 8192 && sim_machine_run(machine, &most, 1, &complaint)) {
        times++;
    }
    EXPECT(times > 0 && times < 4096);
    EXPECT(strstr(complaint.text, "more references than can be counted") != NULL);
    sim_machine_close(machine);
}

static void test_natively_the_hypervisors_references_are_passed_over(void **state)
{
    const struct sim_config config = sim_rig_config(SIM_NATIVE);
    const struct sim_counts counts = sim_rig_count(&config, exit_and_enter);

    (void)state;
    EXPECT_EQ(counts.accesses[SIM_USER], 4);
    EXPECT_EQ(counts.accesses[SIM_HOST], 0);
    EXPECT_EQ(counts.walks[SIM_USER], 1);
}

static void test_addresses_that_no_processor_translates_are_complaints(void **state)
{
    const sim_record beyond = sim_record_of(SIM_READ, UINT64_C(1) << 40);

    (void)state;
    for (unsigned technique = 0; technique < SIM_TECHNIQUES; technique++) {
        const struct sim_config config = sim_rig_config((enum sim_technique)technique);
        struct sim_machine *const machine = sim_rig_open(&config);
        struct complaint complaint;

        EXPECT(!sim_machine_run(machine, &beyond, 1, &complaint));
        EXPECT(strstr(complaint.text, "--levels") != NULL);
        sim_machine_close(machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cold_walk_takes_4_references_natively_and_24_through_two_stages),
        cmocka_unit_test(test_with_five_levels_it_takes_5_and_35),
        cmocka_unit_test(test_large_pages_take_a_reference_less_for_each_level),
        cmocka_unit_test(test_cached_upper_levels_leave_one_reference),
        cmocka_unit_test(test_what_is_cached_is_not_walked_for),
        cmocka_unit_test(test_code_and_data_have_first_levels_of_their_own_and_share_the_second),
        cmocka_unit_test(test_the_first_write_of_a_clean_page_walks_again),
        cmocka_unit_test(test_a_reference_over_a_boundary_uses_both_pages),
        cmocka_unit_test(test_a_tlb_holds_as_much_as_its_geometry_says),
        cmocka_unit_test(test_without_vpid_an_exit_takes_every_translation),
        cmocka_unit_test(test_with_vpid_translations_survive_an_exit),
        cmocka_unit_test(test_the_hypervisors_own_translations_survive_with_vpid_only),
        cmocka_unit_test(test_a_native_machine_has_no_exits),
        cmocka_unit_test(test_guest_physical_mappings_survive_exits_without_vpid),
        cmocka_unit_test(test_shadow_paging_exits_for_each_new_page_and_nested_never),
        cmocka_unit_test(test_silent_faults_of_the_guests_own_do_not_exit),
        cmocka_unit_test(test_shadow_paging_exits_at_each_switch),
        cmocka_unit_test(test_a_vpid_a_root_keeps_what_a_switch_of_roots_would_take),
        cmocka_unit_test(test_a_switch_takes_translations_and_a_pcid_keeps_them),
        cmocka_unit_test(test_global_pages_survive_a_switch),
        cmocka_unit_test(test_invlpg_takes_its_page),
        cmocka_unit_test(test_a_traces_own_exits_replace_those_that_are_added),
        cmocka_unit_test(test_a_repeat_is_so_many_references_exits_among_them),
        cmocka_unit_test(test_an_exit_among_repeats_takes_what_they_found),
        cmocka_unit_test(test_more_references_than_can_be_counted_are_a_complaint),
        cmocka_unit_test(test_natively_the_hypervisors_references_are_passed_over),
        cmocka_unit_test(test_addresses_that_no_processor_translates_are_complaints),
    };

    return RUN_TESTS(tests);
}
