/*
 * What counts come to: rates, labels, and comparisons with and without tags.
 */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "machine_rig.h"
#include "tools/sim/results.h"

#define MACHINES 4

static const struct sim_weights weights = {
    .second = 1, .reference = 10, .fault = 100, .exit = 1000, .change = 10000
};

struct rig {
    struct sim_schedule schedule;
    struct sim_config configs[MACHINES];
    struct sim_machine *machines[MACHINES];
    struct sim_results results;
};

static void add(struct rig *rig, const struct sim_config *config,
                void (*scenario)(struct sim_machine *machine))
{
    const unsigned index = rig->schedule.machine_count++;

    rig->configs[index] = *config;
    rig->machines[index] = sim_rig_open(config);
    scenario(rig->machines[index]);
}

static void start(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->schedule.processes = 1;
    rig->schedule.machines = rig->machines;
    rig->schedule.configs = rig->configs;
}

static void finish(struct rig *rig)
{
    sim_results_free(&rig->results);
    for (unsigned i = 0; i < rig->schedule.machine_count; i++) {
        sim_machine_close(rig->machines[i]);
    }
}

/* Eight pages, eight times each. */
static void touch(struct sim_machine *machine)
{
    for (unsigned turn = 0; turn < 8; turn++) {
        sim_rig_touch(machine, SIM_READ, 0x400, 8);
    }
}

static void nothing(struct sim_machine *machine)
{
    (void)machine;
}

static void expect_near(double seen, double wanted)
{
    EXPECT(seen > wanted - 1e-6 && seen < wanted + 1e-6);
}

static void test_rates_are_for_references_of_the_trace(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NESTED);
    const struct sim_result *result;
    struct rig rig;

    (void)state;
    start(&rig);
    config.upper_levels = false;
    config.exit_every = 16;
    config.vpid = SIM_VPID_ON;
    add(&rig, &config, touch);
    rig.results = sim_results_of(&rig.schedule, &weights);
    result = &rig.results.results[0];
    EXPECT_EQ(result->counts.walks[SIM_USER], 8);
    expect_near(result->user_references_per_walk, 24);
    expect_near(result->misses_per_1000, (double)result->guest_walks * 1000 / 64);
    EXPECT_EQ(result->exits, 4);
    expect_near(result->exits_per_million, 4e6 / 64);
    finish(&rig);
}

static void test_the_cost_is_the_sum_of_what_happened_by_weights(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NATIVE);
    const struct sim_counts *counts;
    struct rig rig;

    (void)state;
    start(&rig);
    config.upper_levels = false;
    add(&rig, &config, touch);
    rig.results = sim_results_of(&rig.schedule, &weights);
    counts = &rig.results.results[0].counts;
    EXPECT_EQ(counts->references[SIM_USER], 32);
    EXPECT_EQ(counts->references[SIM_KERNEL], 2); /* the direct map of 1 GiB pages */
    EXPECT_EQ(counts->page_faults, 8);
    /* Faults by the level that ended them: the first three levels down, the others at the fourth. */
    EXPECT_EQ(counts->faulting_references, 1 + 7 * 4);
    expect_near(rig.results.results[0].cost_per_1000, (10.0 * (32 + 2 + 29) + 100 * 8) * 1000 / 64);
    finish(&rig);
}

static void test_labels_tell_configurations_apart_and_leave_out_what_is_common(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NATIVE);
    struct rig rig;

    (void)state;
    start(&rig);
    add(&rig, &config, nothing);
    config = sim_rig_config(SIM_NESTED);
    config.vpid = SIM_VPID_ON;
    config.pcids = true;
    add(&rig, &config, nothing);
    config = sim_rig_config(SIM_SHADOW);
    config.vpid = SIM_VPID_ROOTS;
    config.silent = true;
    add(&rig, &config, nothing);
    rig.results = sim_results_of(&rig.schedule, &weights);
    EXPECT(strcmp(rig.results.results[0].label, "native") == 0);
    EXPECT(strcmp(rig.results.results[1].label, "nested vpid pcid") == 0);
    EXPECT(strcmp(rig.results.results[2].label, "shadow vpid a root silent faults") == 0);
    EXPECT(strstr(rig.results.same, "4k pages") != NULL && strstr(rig.results.same, "skylake") != NULL);
    finish(&rig);
}

static void test_vpid_is_compared_at_exits_with_the_same_without(void **state)
{
    struct sim_config config = sim_rig_config(SIM_NESTED);
    struct rig rig;

    (void)state;
    start(&rig);
    config.exit_every = 8;
    add(&rig, &config, touch);
    config.vpid = SIM_VPID_ON;
    add(&rig, &config, touch);
    config.host_page_level = 2; /* compared with nothing */
    add(&rig, &config, touch);
    rig.results = sim_results_of(&rig.schedule, &weights);
    EXPECT(rig.results.results[0].without == NULL);
    EXPECT(rig.results.results[1].without == &rig.results.results[0]);
    EXPECT(rig.results.results[2].without == NULL);
    /* Eight exits; each of the first seven takes eight translations that are used again. */
    expect_near(rig.results.results[1].saved_walks * 8,
                (double)(rig.results.results[0].guest_walks - rig.results.results[1].guest_walks));
    EXPECT(rig.results.results[1].saved_walks >= 7);
    finish(&rig);
}

static void test_nothing_divides_by_nothing(void **state)
{
    const struct sim_config config = sim_rig_config(SIM_NESTED);
    struct rig rig;

    (void)state;
    start(&rig);
    add(&rig, &config, nothing);
    rig.results = sim_results_of(&rig.schedule, &weights);
    expect_near(rig.results.results[0].misses_per_1000, 0);
    expect_near(rig.results.results[0].references_per_walk, 0);
    expect_near(rig.results.results[0].cost_per_1000, 0);
    finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_for_references_of_the_trace),
        cmocka_unit_test(test_the_cost_is_the_sum_of_what_happened_by_weights),
        cmocka_unit_test(test_labels_tell_configurations_apart_and_leave_out_what_is_common),
        cmocka_unit_test(test_vpid_is_compared_at_exits_with_the_same_without),
        cmocka_unit_test(test_nothing_divides_by_nothing),
    };

    return RUN_TESTS(tests);
}
