/*
 * Who runs when: slices, processes, passes, limits.
 */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "machine_rig.h"
#include "tools/sim/schedule.h"

#define MACHINES 2

static struct complaint complaint;

/* A trace of @count reads, of the pages from @first on in turn, as text. */
static char *text_of(unsigned first, unsigned count)
{
    char *const text = malloc((size_t)count * 16 + 1);
    size_t size = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        size += (size_t)sprintf(text + size, " L %x000,4\n", first + i % 16);
    }
    return text;
}

struct rig {
    struct sim_schedule schedule;
    struct sim_config configs[MACHINES];
    struct sim_machine *machines[MACHINES];
    char *texts[2];
};

static void open_schedule(struct rig *rig, unsigned traces, unsigned processes, const uint64_t *intervals,
                          unsigned machines)
{
    memset(rig, 0, sizeof *rig);
    for (unsigned i = 0; i < traces; i++) {
        rig->texts[i] = text_of(0x400, 100);
        rig->schedule.traces[i] = sim_trace_over(rig->texts[i], strlen(rig->texts[i]), SIM_TRACE_GUESS);
    }
    for (unsigned i = 0; i < machines; i++) {
        rig->configs[i] = sim_rig_config(SIM_NATIVE);
        rig->configs[i].switch_every = intervals[i];
        rig->machines[i] = sim_rig_open(&rig->configs[i]);
    }
    rig->schedule.trace_count = traces;
    rig->schedule.processes = processes;
    rig->schedule.machines = rig->machines;
    rig->schedule.configs = rig->configs;
    rig->schedule.machine_count = machines;
}

static void close_schedule(struct rig *rig)
{
    for (unsigned i = 0; i < rig->schedule.machine_count; i++) {
        sim_machine_close(rig->machines[i]);
    }
    for (unsigned i = 0; i < rig->schedule.trace_count; i++) {
        sim_trace_close(rig->schedule.traces[i]);
        free(rig->texts[i]);
    }
}

static void run(struct rig *rig)
{
    if (!sim_schedule_run(&rig->schedule, &complaint)) {
        fail_msg("%s", complaint.text);
    }
}

static void test_one_process_runs_the_trace_and_never_switches(void **state)
{
    const uint64_t interval = 10;
    struct sim_counts counts;
    struct rig rig;

    (void)state;
    open_schedule(&rig, 1, 1, &interval, 1);
    run(&rig);
    counts = sim_machine_counts(rig.machines[0]);
    EXPECT_EQ(counts.accesses[SIM_USER], 100);
    EXPECT_EQ(counts.switches, 0);
    EXPECT_EQ(rig.schedule.references[0], 100);
    close_schedule(&rig);
}

static void test_processes_of_one_trace_run_each_slice_one_after_the_other(void **state)
{
    const uint64_t interval = 10;
    struct sim_counts counts;
    struct rig rig;

    (void)state;
    open_schedule(&rig, 1, 3, &interval, 1);
    run(&rig);
    counts = sim_machine_counts(rig.machines[0]);
    EXPECT_EQ(counts.accesses[SIM_USER], 300);
    EXPECT_EQ(counts.switches, 10 * 3 - 1);
    EXPECT_EQ(counts.page_faults, 3 * 16); /* 16 pages in each address space */
    EXPECT_EQ(rig.schedule.references[0], 100);
    close_schedule(&rig);
}

static void test_several_traces_are_processes_in_turn(void **state)
{
    const uint64_t interval = 25;
    struct sim_counts counts;
    struct rig rig;

    (void)state;
    open_schedule(&rig, 2, 1, &interval, 1);
    run(&rig);
    counts = sim_machine_counts(rig.machines[0]);
    EXPECT_EQ(counts.accesses[SIM_USER], 200);
    EXPECT_EQ(counts.switches, 7);
    EXPECT_EQ(counts.page_faults, 2 * 16);
    close_schedule(&rig);
}

static void test_a_slice_longer_than_the_trace_is_the_whole_trace(void **state)
{
    const uint64_t interval = 1000000;
    struct rig rig;

    (void)state;
    open_schedule(&rig, 1, 2, &interval, 1);
    run(&rig);
    EXPECT_EQ(sim_machine_counts(rig.machines[0]).switches, 1);
    EXPECT_EQ(sim_machine_counts(rig.machines[0]).accesses[SIM_USER], 200);
    close_schedule(&rig);
}

static void test_each_interval_has_a_pass_of_its_own(void **state)
{
    const uint64_t intervals[] = { 10, 50 };
    struct rig rig;

    (void)state;
    open_schedule(&rig, 1, 2, intervals, 2);
    run(&rig);
    EXPECT_EQ(sim_machine_counts(rig.machines[0]).switches, 19);
    EXPECT_EQ(sim_machine_counts(rig.machines[1]).switches, 3);
    EXPECT_EQ(sim_machine_counts(rig.machines[1]).accesses[SIM_USER], 200);
    EXPECT_EQ(rig.schedule.references[0], 100);
    close_schedule(&rig);
}

static void test_a_limit_ends_a_trace(void **state)
{
    const uint64_t interval = 10;
    struct rig rig;

    (void)state;
    open_schedule(&rig, 1, 2, &interval, 1);
    rig.schedule.limit = 35;
    run(&rig);
    EXPECT_EQ(sim_machine_counts(rig.machines[0]).accesses[SIM_USER], 70);
    EXPECT_EQ(sim_machine_counts(rig.machines[0]).switches, 7);
    close_schedule(&rig);
}

static void test_a_bad_line_ends_the_run(void **state)
{
    const uint64_t interval = 10;
    struct rig rig;

    (void)state;
    open_schedule(&rig, 1, 1, &interval, 1);
    rig.texts[0][600] = 'X'; /* lines have twelve bytes */
    EXPECT(!sim_schedule_run(&rig.schedule, &complaint));
    EXPECT(strstr(complaint.text, "line 51 ") != NULL);
    close_schedule(&rig);
}

static void test_converting_writes_what_was_read(void **state)
{
    const uint64_t interval = 10;
    struct rig rig;
    char *bytes;
    size_t size;
    FILE *const to = open_memstream(&bytes, &size);

    (void)state;
    open_schedule(&rig, 1, 1, &interval, 1);
    EXPECT(sim_schedule_convert(&rig.schedule, to, &complaint));
    EXPECT(fclose(to) == 0);
    EXPECT_EQ(size, 16 + 8 * 100);
    EXPECT_EQ((uint8_t)bytes[16], SIM_READ);
    free(bytes);
    close_schedule(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_process_runs_the_trace_and_never_switches),
        cmocka_unit_test(test_processes_of_one_trace_run_each_slice_one_after_the_other),
        cmocka_unit_test(test_several_traces_are_processes_in_turn),
        cmocka_unit_test(test_a_slice_longer_than_the_trace_is_the_whole_trace),
        cmocka_unit_test(test_each_interval_has_a_pass_of_its_own),
        cmocka_unit_test(test_a_limit_ends_a_trace),
        cmocka_unit_test(test_a_bad_line_ends_the_run),
        cmocka_unit_test(test_converting_writes_what_was_read),
    };

    return RUN_TESTS(tests);
}
