/*
 * The local APIC's timer, by the SDM's "APIC Timer". The board's timer clock is 1 GHz:
 * one tick is one nanosecond.
 */
#include "hv/dev/lapic.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name)  cmocka_unit_test_setup(name, setup)

#define EOI      0xB0
#define SVR      0xF0
#define TIMER    0x320
#define INITIAL  0x380
#define CURRENT  0x390
#define DIVIDE   0x3E0

#define BY_1     0xB
#define BY_2     0x0

#define VECTOR   0x40
#define MASKED   0x10000
#define PERIODIC 0x20000
#define DEADLINE 0x40000

static struct fixture_board board;
static struct lapic *lapic;

static uint32_t get(uint32_t offset)
{
    return fixture_lapic_read(&board, 0, offset);
}

static void put(uint32_t offset, uint32_t value)
{
    fixture_lapic_write(&board, 0, offset, value);
}

static int setup(void **state)
{
    (void)state;
    fixture_board_init(&board, 1);
    lapic = pc_lapic(&board.pc, 0);
    board.ns = 7 * NS_PER_S + 77;
    put(DIVIDE, BY_1);
    return 0;
}

/* Take the timer's interrupt and end it; false if there is none. */
static bool ticked(void)
{
    const int vector = pc_interrupt_accept(&board.pc, 0);

    if (vector < 0)
        return false;
    EXPECT_EQ(vector, VECTOR);
    put(EOI, 0);
    return true;
}

static uint64_t tsc(void)
{
    return 2 * board.ns + board.tsc_offset;
}

static void arm(uint64_t value)
{
    EXPECT(lapic_msr_write(lapic, MSR_IA32_TSC_DEADLINE, value));
}

static uint64_t armed(void)
{
    uint64_t value = 1;

    EXPECT(lapic_msr_read(lapic, MSR_IA32_TSC_DEADLINE, &value));
    return value;
}

/* --- one-shot --- */

static void test_one_shot_counts_down_once_and_interrupts_at_zero(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    put(INITIAL, 1000);
    EXPECT_EQ(get(CURRENT), 1000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 1000);
    fixture_pass(&board, 400);
    EXPECT_EQ(get(CURRENT), 600);
    fixture_pass(&board, 599);
    EXPECT_EQ(get(CURRENT), 1);
    EXPECT(!ticked());
    fixture_pass(&board, 1);
    EXPECT(ticked());
    EXPECT_EQ(get(CURRENT), 0);
    EXPECT_EQ(get(INITIAL), 1000);
    fixture_pass(&board, 10000);
    EXPECT(!ticked());
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_writing_the_initial_count_starts_anew_and_zero_stops(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    put(INITIAL, 1000);
    fixture_pass(&board, 900);
    put(INITIAL, 500);
    EXPECT_EQ(get(CURRENT), 500);
    fixture_pass(&board, 499);
    EXPECT(!ticked());
    put(INITIAL, 0);
    EXPECT_EQ(get(CURRENT), 0);
    fixture_pass(&board, 10000);
    EXPECT(!ticked());
}

static void test_the_divide_configuration_divides_by_1_to_128(void **state)
{
    static const struct {
        uint32_t encoding;
        uint32_t divisor;
    } rates[] = { { 0x0, 2 },  { 0x1, 4 },  { 0x2, 8 },   { 0x3, 16 },
                  { 0x8, 32 }, { 0x9, 64 }, { 0xA, 128 }, { 0xB, 1 } };

    (void)state;
    put(TIMER, VECTOR);
    for (unsigned i = 0; i < 8; i++) {
        put(DIVIDE, rates[i].encoding);
        put(INITIAL, 100);
        EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + UINT64_C(100) * rates[i].divisor);
        fixture_pass(&board, UINT64_C(100) * rates[i].divisor - 1);
        EXPECT(!ticked());
        fixture_pass(&board, 1);
        EXPECT(ticked());
    }
}

static void test_a_new_divider_goes_on_from_the_current_count(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    put(INITIAL, 1000);
    fixture_pass(&board, 400);
    put(DIVIDE, BY_2);
    EXPECT_EQ(get(CURRENT), 600);
    fixture_pass(&board, 1199);
    EXPECT(!ticked());
    fixture_pass(&board, 1);
    EXPECT(ticked());
}

static void test_the_largest_count_at_the_slowest_rate_ends_when_it_should(void **state)
{
    (void)state;
    put(DIVIDE, 0xA);
    put(TIMER, VECTOR);
    put(INITIAL, UINT32_MAX);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + UINT64_C(128) * UINT32_MAX);
    fixture_pass(&board, UINT64_C(128) * UINT32_MAX);
    EXPECT(ticked());
}

/* --- periodic --- */

static void test_periodic_reloads_and_interrupts_at_each_zero_without_drift(void **state)
{
    const uint64_t start = board.ns;

    (void)state;
    put(TIMER, PERIODIC | VECTOR);
    put(INITIAL, 1000003);
    for (unsigned i = 1; i <= 500; i++) {
        EXPECT_EQ(pc_deadline(&board.pc, 0), start + i * UINT64_C(1000003));
        fixture_pass(&board, pc_deadline(&board.pc, 0) - board.ns);
        EXPECT(ticked());
        EXPECT_EQ(get(CURRENT), 1000003);
        fixture_pass(&board, 77);
        EXPECT_EQ(get(CURRENT), 1000003 - 77);
    }
}

static void test_periods_that_a_late_vp_missed_give_one_interrupt_and_the_phase_stays(void **state)
{
    const uint64_t start = board.ns;

    (void)state;
    put(TIMER, PERIODIC | VECTOR);
    put(INITIAL, 100000);
    board.ns += 1050000;
    pc_advance(&board.pc, 0, board.ns);
    EXPECT(ticked());
    EXPECT(!ticked());
    EXPECT_EQ(get(CURRENT), 50000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), start + 1100000);
}

static void test_the_shortest_period_leaves_the_vp_time_between_interrupts(void **state)
{
    (void)state;
    put(TIMER, PERIODIC | VECTOR);
    put(INITIAL, 1);
    for (unsigned i = 0; i < 100; i++) {
        const uint64_t due = pc_deadline(&board.pc, 0);

        board.ns = due;
        pc_advance(&board.pc, 0, board.ns);
        EXPECT(pc_deadline(&board.pc, 0) >= due + 2000);
    }
}

static void test_a_count_goes_on_when_one_shot_becomes_periodic(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    put(INITIAL, 1000000);
    fixture_pass(&board, 400000);
    put(TIMER, PERIODIC | VECTOR);
    EXPECT_EQ(get(CURRENT), 600000);
    fixture_pass(&board, 600000);
    EXPECT(ticked());
    fixture_pass(&board, 1000000);
    EXPECT(ticked());
}

/* --- masks --- */

static void test_a_masked_timer_counts_and_nothing_is_due(void **state)
{
    (void)state;
    put(TIMER, MASKED | PERIODIC | VECTOR);
    put(INITIAL, 1000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    board.ns += 10300;
    EXPECT_EQ(get(CURRENT), 700);
    EXPECT(!ticked());
}

static void test_what_ended_while_masked_is_lost(void **state)
{
    (void)state;
    put(TIMER, MASKED | VECTOR);
    put(INITIAL, 1000);
    board.ns += 2000;
    put(TIMER, VECTOR);
    EXPECT(!ticked());
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    EXPECT_EQ(get(CURRENT), 0);
}

static void test_unmasking_before_the_end_lets_the_interrupt_come(void **state)
{
    (void)state;
    put(TIMER, MASKED | VECTOR);
    put(INITIAL, 1000);
    board.ns += 600;
    put(TIMER, VECTOR);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 400);
    fixture_pass(&board, 400);
    EXPECT(ticked());
}

static void test_software_disabling_masks_the_timer(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    put(INITIAL, 1000);
    put(SVR, 0xFF);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    fixture_pass(&board, 2000);
    EXPECT(!ticked());
}

static void test_reset_stops_the_timer(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    put(INITIAL, 1000);
    lapic_reset(lapic);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    EXPECT_EQ(get(CURRENT), 0);
}

/* How kernels measure the timer: from all ones, masked, against another clock. */
static void test_a_kernel_measures_the_configured_rate(void **state)
{
    (void)state;
    put(DIVIDE, 0x3);
    put(TIMER, MASKED | VECTOR);
    put(INITIAL, UINT32_MAX);
    board.ns += 100 * NS_PER_MS;
    EXPECT_EQ(UINT32_MAX - get(CURRENT), 100000000 / 16);
}

/* --- TSC-deadline --- */

static void test_the_deadline_interrupts_when_the_tsc_reaches_it_and_disarms(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 10000);
    EXPECT_EQ(armed(), tsc() + 10000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 5000);
    fixture_pass(&board, 4999);
    EXPECT(!ticked());
    fixture_pass(&board, 1);
    EXPECT(ticked());
    EXPECT_EQ(armed(), 0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_a_deadline_in_the_past_interrupts_at_once(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(1);
    EXPECT(ticked());
    EXPECT_EQ(armed(), 0);
    arm(tsc());
    EXPECT(ticked());
}

static void test_writing_zero_disarms(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 10000);
    arm(0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    fixture_pass(&board, 10000);
    EXPECT(!ticked());
}

static void test_a_new_deadline_replaces_the_old_be_it_earlier_or_later(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 10000);
    arm(tsc() + 4000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 2000);
    arm(tsc() + 20000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 10000);
}

static void
test_a_deadline_that_was_met_interrupts_though_a_new_one_is_written_before_anybody_looked(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 4000);
    board.ns += 3000;
    arm(tsc() + 20000);
    EXPECT(ticked());
    EXPECT_EQ(armed(), tsc() + 20000);
    board.ns += 11000;
    arm(0);
    EXPECT(ticked());
    EXPECT_EQ(armed(), 0);
}

static void test_a_deadline_that_was_met_interrupts_though_the_tsc_has_turned_over_since(void **state)
{
    (void)state;
    board.tsc_offset = UINT64_MAX - 5000 - 2 * board.ns;
    put(TIMER, DEADLINE | VECTOR);
    arm(UINT64_MAX - 1000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 2000);
    board.ns += 3000;
    pc_advance(&board.pc, 0, board.ns);
    EXPECT(ticked());
    EXPECT_EQ(armed(), 0);
}

static void test_outside_deadline_mode_the_msr_ignores_writes_and_reads_zero(void **state)
{
    (void)state;
    put(TIMER, VECTOR);
    arm(tsc() + 1000);
    EXPECT_EQ(armed(), 0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_in_deadline_mode_the_initial_count_is_ignored_and_the_current_count_is_zero(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    put(INITIAL, 1000);
    EXPECT_EQ(get(CURRENT), 0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_changing_to_or_from_deadline_mode_disarms(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 10000);
    put(TIMER, VECTOR);
    EXPECT_EQ(armed(), 0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    put(INITIAL, 1000);
    put(TIMER, DEADLINE | VECTOR);
    EXPECT_EQ(get(CURRENT), 0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    put(TIMER, PERIODIC | VECTOR);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_a_deadline_that_passes_while_masked_is_lost_and_disarmed(void **state)
{
    (void)state;
    put(TIMER, MASKED | DEADLINE | VECTOR);
    arm(tsc() + 1000);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    EXPECT(armed() != 0);
    board.ns += 1000;
    EXPECT_EQ(armed(), 0);
    put(TIMER, DEADLINE | VECTOR);
    EXPECT(!ticked());
}

static void test_a_tsc_that_jumps_takes_the_deadline_along(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 10000);
    board.tsc_offset += 4000;
    lapic_tsc_changed(lapic);
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 3000);
    board.tsc_offset += 100000;
    lapic_tsc_changed(lapic);
    EXPECT(ticked());
}

/* A host whose nanoseconds are rounded may wake a little early: the interrupt waits for the TSC itself. */
static void test_waking_before_the_tsc_is_there_gives_no_early_interrupt(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(tsc() + 10000);
    board.tsc_offset -= 10;
    board.ns = pc_deadline(&board.pc, 0);
    pc_advance(&board.pc, 0, board.ns);
    EXPECT(!ticked());
    EXPECT_EQ(pc_deadline(&board.pc, 0), board.ns + 5);
    fixture_pass(&board, 5);
    EXPECT(ticked());
}

static void test_a_deadline_past_all_time_is_never(void **state)
{
    (void)state;
    put(TIMER, DEADLINE | VECTOR);
    arm(UINT64_MAX);
    EXPECT_EQ(armed(), UINT64_MAX);
    EXPECT(pc_deadline(&board.pc, 0) > board.ns + UINT64_C(100) * 365 * 86400 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_one_shot_counts_down_once_and_interrupts_at_zero),
        T(test_writing_the_initial_count_starts_anew_and_zero_stops),
        T(test_the_divide_configuration_divides_by_1_to_128),
        T(test_a_new_divider_goes_on_from_the_current_count),
        T(test_the_largest_count_at_the_slowest_rate_ends_when_it_should),
        T(test_periodic_reloads_and_interrupts_at_each_zero_without_drift),
        T(test_periods_that_a_late_vp_missed_give_one_interrupt_and_the_phase_stays),
        T(test_the_shortest_period_leaves_the_vp_time_between_interrupts),
        T(test_a_count_goes_on_when_one_shot_becomes_periodic),
        T(test_a_masked_timer_counts_and_nothing_is_due),
        T(test_what_ended_while_masked_is_lost),
        T(test_unmasking_before_the_end_lets_the_interrupt_come),
        T(test_software_disabling_masks_the_timer),
        T(test_reset_stops_the_timer),
        T(test_a_kernel_measures_the_configured_rate),
        T(test_the_deadline_interrupts_when_the_tsc_reaches_it_and_disarms),
        T(test_a_deadline_in_the_past_interrupts_at_once),
        T(test_writing_zero_disarms),
        T(test_a_new_deadline_replaces_the_old_be_it_earlier_or_later),
        T(test_a_deadline_that_was_met_interrupts_though_a_new_one_is_written_before_anybody_looked),
        T(test_a_deadline_that_was_met_interrupts_though_the_tsc_has_turned_over_since),
        T(test_outside_deadline_mode_the_msr_ignores_writes_and_reads_zero),
        T(test_in_deadline_mode_the_initial_count_is_ignored_and_the_current_count_is_zero),
        T(test_changing_to_or_from_deadline_mode_disarms),
        T(test_a_deadline_that_passes_while_masked_is_lost_and_disarmed),
        T(test_a_tsc_that_jumps_takes_the_deadline_along),
        T(test_waking_before_the_tsc_is_there_gives_no_early_interrupt),
        T(test_a_deadline_past_all_time_is_never),
    };

    return RUN_TESTS(tests);
}
