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

/* --- repeats --- */

/* Traces of one page each: a read, so many more like it, and a write of the page behind. */
#define REPEATED 97
#define IN_ALL   (1 + REPEATED + 1)

struct repeating {
    struct rig rig;
    char *bytes[2];
};

static void repeat_traces(struct repeating *repeating, unsigned traces, unsigned processes, uint64_t interval)
{
    struct rig *const rig = &repeating->rig;

    open_schedule(rig, traces, processes, &interval, 1);
    for (unsigned i = 0; i < traces; i++) {
        const uint64_t page = 0x1000 + i * UINT64_C(0x100);
        const sim_record records[] = { sim_record_of(SIM_READ, page), sim_record_of(SIM_REPEAT, REPEATED),
                                       sim_record_of(SIM_WRITE, page + 1) };
        size_t size;
        FILE *const to = open_memstream(&repeating->bytes[i], &size);

        EXPECT(sim_trace_write_head(to) && sim_trace_write(to, records, 3));
        EXPECT(fclose(to) == 0);
        sim_trace_close(rig->schedule.traces[i]);
        rig->schedule.traces[i] = sim_trace_over(repeating->bytes[i], size, SIM_TRACE_GUESS);
    }
}

static struct sim_counts run_repeating(struct repeating *repeating, uint64_t limit)
{
    repeating->rig.schedule.limit = limit;
    run(&repeating->rig);
    return sim_machine_counts(repeating->rig.machines[0]);
}

static void end_repeating(struct repeating *repeating)
{
    for (unsigned i = 0; i < repeating->rig.schedule.trace_count; i++) {
        free(repeating->bytes[i]);
    }
    close_schedule(&repeating->rig);
}

static void test_repeats_are_references(void **state)
{
    struct repeating repeating;

    (void)state;
    repeat_traces(&repeating, 1, 1, 10);
    EXPECT_EQ(run_repeating(&repeating, 0).accesses[SIM_USER], IN_ALL);
    EXPECT_EQ(repeating.rig.schedule.references[0], IN_ALL);
    end_repeating(&repeating);
}

static void test_a_limit_ends_a_trace_within_a_repeat(void **state)
{
    struct repeating repeating;
    struct sim_counts counts;

    (void)state;
    repeat_traces(&repeating, 1, 1, 10);
    counts = run_repeating(&repeating, 50);
    EXPECT_EQ(counts.accesses[SIM_USER], 50);
    EXPECT_EQ(counts.page_faults, 1);
    EXPECT_EQ(repeating.rig.schedule.references[0], 50);
    end_repeating(&repeating);
}

static void test_slices_cut_a_repeat(void **state)
{
    struct repeating repeating;
    struct sim_counts counts;

    (void)state;
    repeat_traces(&repeating, 1, 2, 10);
    counts = run_repeating(&repeating, 0);
    EXPECT_EQ(counts.accesses[SIM_USER], 2 * IN_ALL);
    EXPECT_EQ(counts.switches, 2 * 10 - 1);
    EXPECT_EQ(repeating.rig.schedule.references[0], IN_ALL);
    end_repeating(&repeating);
}

static void test_what_a_process_repeats_is_its_own(void **state)
{
    struct repeating repeating;
    struct sim_counts counts;

    (void)state;
    repeat_traces(&repeating, 2, 1, 10);
    counts = run_repeating(&repeating, 0);
    EXPECT_EQ(counts.accesses[SIM_USER], 2 * IN_ALL);
    EXPECT_EQ(counts.switches, 2 * 10 - 1);
    EXPECT_EQ(counts.page_faults, 2 * 2);
    /* Each slice finds nothing of its page, and the last one nothing of the page behind. */
    EXPECT_EQ(counts.walks[SIM_USER], 2 * (10 + 1));
    end_repeating(&repeating);
}

static void test_converting_keeps_repeats_up_to_the_limit(void **state)
{
    struct repeating repeating;
    char *bytes;
    size_t size;
    FILE *to = open_memstream(&bytes, &size);

    (void)state;
    repeat_traces(&repeating, 1, 1, 10);
    EXPECT(sim_schedule_convert(&repeating.rig.schedule, to, &complaint));
    EXPECT(fclose(to) == 0);
    EXPECT_EQ(size, 16 + 8 * 3);
    assert_memory_equal(bytes, repeating.bytes[0], size);
    free(bytes);
    to = open_memstream(&bytes, &size);
    EXPECT(sim_trace_rewind(repeating.rig.schedule.traces[0]));
    repeating.rig.schedule.limit = 6;
    EXPECT(sim_schedule_convert(&repeating.rig.schedule, to, &complaint));
    EXPECT(fclose(to) == 0);
    EXPECT_EQ(size, 16 + 8 * 2);
    EXPECT_EQ((uint8_t)bytes[24], SIM_REPEAT);
    EXPECT_EQ((uint8_t)bytes[25], 5 << 4);
    free(bytes);
    end_repeating(&repeating);
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
        cmocka_unit_test(test_repeats_are_references),
        cmocka_unit_test(test_a_limit_ends_a_trace_within_a_repeat),
        cmocka_unit_test(test_slices_cut_a_repeat),
        cmocka_unit_test(test_what_a_process_repeats_is_its_own),
        cmocka_unit_test(test_converting_keeps_repeats_up_to_the_limit),
    };

    return RUN_TESTS(tests);
}
