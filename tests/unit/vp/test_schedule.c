/* Whose turn it is, on a machine whose clock and guests are played here. */
#include "tests/unit/test.h"

#include <setjmp.h>
#include <string.h>

#include "hv/boot/host.h"
#include "hv/vp/arch.h"
#include "hv/vp/lock.h"
#include "hv/vp/partitions.h"
#include "hv/vp/run.h"
#include "hv/vp/schedule.h"

#define MS       UINT64_C(1000000)
#define VPS      4
#define LOG_MOST 4096
#define STEP_NS  (100 * UINT64_C(1000)) /* between two exits */

/* What a VP does in its guest. */
enum habit { BUSY, SLEEPS_AT_ONCE, GIVES_WAY, SLEEPS_AFTER_1_MS };

static struct {
    struct partition partitions[2];
    struct vp vps[2][VPS];
    enum habit habits[2][VPS];
    unsigned count;
    bool wakes[2][VPS];
    uint64_t clock_ns;
    uint64_t end_ns; /* when all partitions end */
    uint64_t timer_ns;
    unsigned turns;
    struct vp *log[LOG_MOST]; /* whose turns they were */
    uint64_t ran_ns[2][VPS];
    void (*at_exit)(struct vp *vp);
    unsigned rests;
    unsigned ends;
    jmp_buf panic;
    bool panics;
} machine;

/* --- what the scheduler asks of others --- */

unsigned partition_count(void)
{
    return machine.count;
}

struct partition *partition_at(unsigned index)
{
    return index < machine.count ? &machine.partitions[index] : NULL;
}

uint64_t host_clock_ns(void)
{
    return machine.clock_ns;
}

void host_timer_arm(uint64_t deadline_ns)
{
    machine.timer_ns = deadline_ns;
}

bool arch_vp_wakes(struct vp *vp)
{
    return machine.wakes[vp->partition->index][vp->index];
}

uint64_t run_deadline_ns(void)
{
    return machine.end_ns;
}

static void end_if_it_is_time(void)
{
    if (machine.clock_ns >= machine.end_ns) {
        for (unsigned i = 0; i < machine.count; i++) {
            partition_end(&machine.partitions[i], PARTITION_POWER_OFF, 0, NULL);
        }
    }
}

void host_wait(void)
{
    machine.rests++;
    machine.clock_ns = machine.timer_ns;
}

void run_after_interrupts(void)
{
    end_if_it_is_time();
    schedule_look();
}

void partition_end(struct partition *partition, enum partition_outcome outcome, uint64_t value,
                   const char *message)
{
    if (partition->outcome == PARTITION_RUNNING) {
        partition->outcome = outcome;
        partition->value = value;
        partition->message = message;
        schedule_look();
    }
}

void host_panic(const char *format, ...)
{
    (void)format;
    machine.panics = true;
    longjmp(machine.panic, 1);
}

/* A guest that exits every now and then, as run.c has it. */
void run_vp(struct vp *vp)
{
    const unsigned partition = vp->partition->index;
    const uint64_t began_ns = machine.clock_ns;

    if (machine.turns < LOG_MOST) {
        machine.log[machine.turns] = vp;
    }
    machine.turns++;
    for (bool goes_on = true; goes_on && vp->partition->outcome == PARTITION_RUNNING;) {
        const enum habit habit = machine.habits[partition][vp->index];

        machine.clock_ns += STEP_NS;
        if (machine.at_exit) {
            machine.at_exit(vp);
        }
        if (machine.clock_ns >= schedule_slice_end_ns()) {
            schedule_look();
        }
        end_if_it_is_time();
        if (habit == SLEEPS_AT_ONCE || (habit == SLEEPS_AFTER_1_MS && machine.clock_ns - began_ns >= MS)) {
            vp->waits |= VP_WAIT_EVENT;
            vp->attention |= VP_ATTENTION_EVENT;
            goes_on = false;
        } else if (habit == GIVES_WAY && schedule_others_are_ready()) {
            schedule_give_way();
            goes_on = false;
        } else {
            goes_on = !schedule_turn_is_over();
        }
    }
    machine.ran_ns[partition][vp->index] += machine.clock_ns - began_ns;
}

/* --- set up --- */

static void ended(struct partition *partition)
{
    lock_assert(&partition->lock);
    machine.ends++;
}

static void prepare(unsigned partitions, unsigned vps, uint64_t end_ns)
{
    memset(&machine, 0, sizeof machine);
    machine.count = partitions;
    machine.end_ns = end_ns;
    for (unsigned i = 0; i < partitions; i++) {
        struct partition *partition = &machine.partitions[i];

        partition->index = i;
        partition->vp_count = vps;
        partition->lock = (struct lock){ .name = "a partition", .rank = LOCK_RANK_PARTITION + i };
        for (unsigned j = 0; j < vps; j++) {
            machine.vps[i][j] = (struct vp){ .partition = partition, .index = j };
            partition->vps[j] = &machine.vps[i][j];
        }
    }
}

static void assert_share(uint64_t ran_ns, uint64_t of_ns, unsigned percent)
{
    assert_in_range(ran_ns * 100, of_ns * (percent - 5), of_ns * (percent + 5));
}

/* --- tests --- */

static void test_busy_vps_share_the_processor_evenly_whatever_their_partition(void **state)
{
    (void)state;
    prepare(2, 2, 1000 * MS);
    schedule_run(ended);
    for (unsigned i = 0; i < 4; i++) {
        assert_share(machine.ran_ns[i / 2][i % 2], 1000 * MS, 25);
    }
    assert_in_range(machine.turns, 150, 250); /* 5 ms each */
    assert_int_equal(machine.ends, 2);
}

static void test_a_vp_that_is_alone_is_not_interrupted(void **state)
{
    (void)state;
    prepare(1, 1, 1000 * MS);
    schedule_run(ended);
    assert_int_equal(machine.turns, 1);
}

static void test_nobody_who_waits_for_its_start_runs(void **state)
{
    (void)state;
    prepare(1, 4, 100 * MS);
    for (unsigned i = 1; i < 4; i++) {
        machine.vps[0][i].waits = VP_WAIT_START;
    }
    schedule_run(ended);
    assert_int_equal(machine.turns, 1);
    assert_int_equal(machine.ran_ns[0][1] + machine.ran_ns[0][2] + machine.ran_ns[0][3], 0);
}

static void test_the_machine_rests_while_all_sleep(void **state)
{
    (void)state;
    prepare(2, 2, 100 * MS);
    for (unsigned i = 0; i < 4; i++) {
        machine.habits[i / 2][i % 2] = SLEEPS_AT_ONCE;
    }
    schedule_run(ended);
    assert_int_equal(machine.turns, 4);
    assert_int_equal(machine.rests, 1);
}

/* VP 1 sleeps; VP 0, in the middle of its slice, wakes it up. */
static void wake_vp1_at_20_ms(struct vp *vp)
{
    if (vp->index == 0 && machine.clock_ns >= 20 * MS && !machine.wakes[0][1]) {
        machine.wakes[0][1] = true;
        machine.habits[0][1] = BUSY;
        machine.vps[0][1].attention |= VP_ATTENTION_EVENT;
        schedule_notice(&machine.vps[0][1]);
    }
}

static void test_who_is_woken_runs_at_once(void **state)
{
    (void)state;
    prepare(1, 2, 30 * MS);
    machine.habits[0][1] = SLEEPS_AT_ONCE;
    machine.at_exit = wake_vp1_at_20_ms;
    schedule_run(ended);
    assert_ptr_equal(machine.log[0], &machine.vps[0][0]);
    assert_ptr_equal(machine.log[1], &machine.vps[0][1]); /* to sleep */
    assert_ptr_equal(machine.log[2], &machine.vps[0][0]);
    assert_ptr_equal(machine.log[3],
                     &machine.vps[0][1]); /* woken: the processor is its own within one exit */
    assert_in_range(machine.ran_ns[0][0], 20 * MS - STEP_NS, 26 * MS);
}

/* Sleeping for long saves up no more than about a slice. */
static void test_sleep_saves_nothing_up(void **state)
{
    (void)state;
    prepare(1, 2, 1020 * MS);
    machine.habits[0][1] = SLEEPS_AT_ONCE;
    machine.at_exit = wake_vp1_at_20_ms;
    schedule_run(ended);
    assert_share(machine.ran_ns[0][1], 1000 * MS, 50);
}

static void wake_each_other(struct vp *vp)
{
    for (unsigned i = 0; i < 2; i++) {
        if (vp->index != i) {
            machine.wakes[0][i] = true;
            machine.vps[0][i].attention |= VP_ATTENTION_EVENT;
            schedule_notice(&machine.vps[0][i]);
        }
    }
}

static void test_two_that_wake_each_other_do_not_starve_a_third(void **state)
{
    (void)state;
    prepare(1, 3, 1000 * MS);
    machine.habits[0][0] = SLEEPS_AFTER_1_MS;
    machine.habits[0][1] = SLEEPS_AFTER_1_MS;
    machine.at_exit = wake_each_other;
    schedule_run(ended);
    assert_in_range(machine.ran_ns[0][2], 300 * MS, 400 * MS);
}

/* A VP that spins leaves the processor to whom it waits for. */
static void test_who_gives_way_runs_no_more_than_an_exit_at_a_time(void **state)
{
    (void)state;
    prepare(1, 2, 100 * MS);
    machine.habits[0][0] = GIVES_WAY;
    schedule_run(ended);
    assert_in_range(machine.ran_ns[0][1], 90 * MS, 100 * MS);
}

static void test_who_gives_way_to_nobody_goes_on(void **state)
{
    (void)state;
    prepare(1, 1, 100 * MS);
    machine.habits[0][0] = GIVES_WAY;
    schedule_run(ended);
    assert_int_equal(machine.turns, 1);
}

static void test_a_held_partition_does_not_run_and_others_do(void **state)
{
    (void)state;
    prepare(2, 1, 100 * MS);
    machine.partitions[0].held = true;
    schedule_run(ended);
    assert_int_equal(machine.ran_ns[0][0], 0);
    assert_int_equal(machine.ran_ns[1][0], 100 * MS);
}

static void release_partition_0_at_500_ms(struct vp *vp)
{
    (void)vp;
    if (machine.partitions[0].held && machine.clock_ns >= 500 * MS) {
        machine.partitions[0].held = false;
        schedule_look();
    }
}

static void test_a_partition_that_was_held_gets_no_more_than_its_share_when_it_is_released(void **state)
{
    (void)state;
    prepare(2, 1, 1000 * MS);
    machine.partitions[0].held = true;
    machine.at_exit = release_partition_0_at_500_ms;
    schedule_run(ended);
    assert_share(machine.ran_ns[0][0], 500 * MS, 50);
}

static void stand_still_for_500_ms_in_a_turn_of_vp0(struct vp *vp)
{
    if (vp->index == 0 && machine.clock_ns >= 100 * MS && machine.clock_ns < 500 * MS) {
        machine.clock_ns += 500 * MS;
    }
}

static void test_a_vp_does_not_wait_for_as_long_as_the_machine_stood_still_in_its_turn(void **state)
{
    (void)state;
    prepare(1, 2, 1100 * MS);
    machine.at_exit = stand_still_for_500_ms_in_a_turn_of_vp0;
    schedule_run(ended);
    assert_in_range(machine.ran_ns[0][1], 270 * MS, 330 * MS);
}

static void end_partition_1_at_20_ms(struct vp *vp)
{
    (void)vp;
    if (machine.clock_ns >= 20 * MS) {
        partition_end(&machine.partitions[1], PARTITION_STOPPED, 0, "triple fault");
    }
}

static void test_a_partition_that_ends_leaves_the_others_running(void **state)
{
    (void)state;
    prepare(2, 1, 100 * MS);
    machine.at_exit = end_partition_1_at_20_ms;
    schedule_run(ended);
    assert_in_range(machine.ran_ns[1][0], 8 * MS, 12 * MS);
    assert_in_range(machine.ran_ns[0][0], 88 * MS, 92 * MS);
    assert_int_equal(machine.ends, 2);
}

static void end_partition_0_at_20_ms(struct vp *vp)
{
    (void)vp;
    if (machine.clock_ns >= 20 * MS) {
        partition_end(&machine.partitions[0], PARTITION_RESET, 0, NULL);
    }
}

static void test_children_end_with_their_parent(void **state)
{
    (void)state;
    prepare(2, 1, 100 * MS);
    machine.partitions[1].parent = &machine.partitions[0];
    machine.at_exit = end_partition_0_at_20_ms;
    schedule_run(ended);
    assert_in_range(machine.clock_ns, 20 * MS, 26 * MS);
    assert_int_equal(machine.partitions[1].outcome, PARTITION_STOPPED);
    assert_string_equal(machine.partitions[1].message, "its parent has ended");
}

static void clear_inhibit_at_50_ms(struct vp *vp)
{
    if (machine.clock_ns >= 50 * MS && machine.vps[0][1].waits) {
        lock_take(&vp->partition->lock);
        schedule_wake(&machine.vps[0][1], VP_WAIT_FLUSH);
        lock_release(&vp->partition->lock);
    }
}

static void test_whose_hypercall_waits_goes_on_when_it_is_told_to(void **state)
{
    (void)state;
    prepare(1, 2, 100 * MS);
    machine.vps[0][1].waits = VP_WAIT_FLUSH;
    machine.at_exit = clear_inhibit_at_50_ms;
    schedule_run(ended);
    assert_in_range(machine.ran_ns[0][1], 20 * MS, 35 * MS);
}

static void test_one_reason_to_wait_of_two_is_enough(void **state)
{
    struct vp *vp = &machine.vps[0][0];

    (void)state;
    prepare(1, 1, 100 * MS);
    vp->waits = VP_WAIT_FLUSH | VP_WAIT_INTERCEPT;
    lock_take(&vp->partition->lock);
    schedule_wake(vp, VP_WAIT_FLUSH);
    lock_release(&vp->partition->lock);
    assert_false(schedule_is_ready(vp));
    lock_take(&vp->partition->lock);
    schedule_wake(vp, VP_WAIT_INTERCEPT);
    lock_release(&vp->partition->lock);
    assert_true(schedule_is_ready(vp));
}

/* --- locks --- */

static void test_locks_are_taken_in_order(void **state)
{
    static struct lock low = { .name = "low", .rank = 1 };
    static struct lock high = { .name = "high", .rank = 2 };

    (void)state;
    lock_take(&low);
    lock_take(&high);
    lock_release(&high);
    lock_release(&low);
    machine.panics = false;
    lock_take(&high);
    if (!setjmp(machine.panic)) {
        lock_take(&low);
    }
    assert_true(machine.panics);
    lock_release(&high);
}

static void test_a_lock_is_released_in_the_order_that_undoes_the_taking(void **state)
{
    static struct lock low = { .name = "low", .rank = 1 };
    static struct lock high = { .name = "high", .rank = 2 };

    (void)state;
    lock_take(&low);
    lock_take(&high);
    machine.panics = false;
    if (!setjmp(machine.panic)) {
        lock_release(&low);
    }
    assert_true(machine.panics);
    lock_release(&high);
    lock_release(&low);
}

static void test_what_a_lock_guards_is_not_touched_without_it(void **state)
{
    static struct lock lock = { .name = "it", .rank = 1 };

    (void)state;
    machine.panics = false;
    if (!setjmp(machine.panic)) {
        lock_assert(&lock);
    }
    assert_true(machine.panics);
    lock_take(&lock);
    lock_assert(&lock);
    lock_release(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy_vps_share_the_processor_evenly_whatever_their_partition),
        cmocka_unit_test(test_a_vp_that_is_alone_is_not_interrupted),
        cmocka_unit_test(test_nobody_who_waits_for_its_start_runs),
        cmocka_unit_test(test_the_machine_rests_while_all_sleep),
        cmocka_unit_test(test_who_is_woken_runs_at_once),
        cmocka_unit_test(test_sleep_saves_nothing_up),
        cmocka_unit_test(test_two_that_wake_each_other_do_not_starve_a_third),
        cmocka_unit_test(test_who_gives_way_runs_no_more_than_an_exit_at_a_time),
        cmocka_unit_test(test_who_gives_way_to_nobody_goes_on),
        cmocka_unit_test(test_a_held_partition_does_not_run_and_others_do),
        cmocka_unit_test(test_a_partition_that_was_held_gets_no_more_than_its_share_when_it_is_released),
        cmocka_unit_test(test_a_vp_does_not_wait_for_as_long_as_the_machine_stood_still_in_its_turn),
        cmocka_unit_test(test_a_partition_that_ends_leaves_the_others_running),
        cmocka_unit_test(test_children_end_with_their_parent),
        cmocka_unit_test(test_whose_hypercall_waits_goes_on_when_it_is_told_to),
        cmocka_unit_test(test_one_reason_to_wait_of_two_is_enough),
        cmocka_unit_test(test_locks_are_taken_in_order),
        cmocka_unit_test(test_a_lock_is_released_in_the_order_that_undoes_the_taking),
        cmocka_unit_test(test_what_a_lock_guards_is_not_touched_without_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
