/*
 * The 8254: reading, latching and status by the sentences of its datasheet; and when it wakes the board.
 */
#include "tests/unit/dev/pit_fixture.h"

/* --- reading, latching, status --- */

static void test_the_element_shows_the_old_count_until_the_pulse_that_loads_the_new(void **state)
{
    (void)state;
    begin();
    control(LOW(0, 0));
    pit_write(&pit, 0, 200);
    at(101);
    pit_write(&pit, 0, 50);
    EXPECT_EQ(pit_read(&pit, 0), 100);
    at(102);
    EXPECT_EQ(pit_read(&pit, 0), 50);
}

static void test_a_count_that_came_into_force_unwatched_reads_without_a_latch(void **state)
{
    (void)state;
    begin();
    control(LOW(0, 2));
    pit_write(&pit, 0, 200);
    at(10);
    pit_write(&pit, 0, 50);
    at(201 + 50 + 20);
    EXPECT_EQ(pit_read(&pit, 0), 30);
}

static void test_a_latched_count_stands_until_it_is_read(void **state)
{
    (void)state;
    program(0, 2, 1000);
    at(101);
    control(LATCH(0));
    at(301);
    control(LATCH(0)); /* ignored: the first is not read yet */
    EXPECT_EQ(pit_read(&pit, 0), (uint8_t)900);
    EXPECT_EQ(pit_read(&pit, 0), 900 >> 8);
    EXPECT_EQ(pit_read(&pit, 0), (uint8_t)700); /* the counting element again */
    EXPECT_EQ(pit_read(&pit, 0), 700 >> 8);
}

static void test_low_byte_only_counts_are_written_and_read_in_one_byte(void **state)
{
    (void)state;
    begin();
    control(LOW(0, 2));
    pit_write(&pit, 0, 100);
    at(11);
    EXPECT_EQ(pit_read(&pit, 0), 90);
    EXPECT_EQ(pit_read(&pit, 0), 90);
    control(LATCH(0));
    at(21);
    EXPECT_EQ(pit_read(&pit, 0), 90);
    EXPECT_EQ(pit_read(&pit, 0), 80);
}

static void test_high_byte_only_counts_have_a_low_byte_of_zero(void **state)
{
    (void)state;
    begin();
    control(HIGH(0, 2));
    pit_write(&pit, 0, 0x02);
    at(1);
    EXPECT_EQ(pit_read(&pit, 0), 0x02);
    at(2);
    EXPECT_EQ(pit_read(&pit, 0), 0x01);
    at(0x200);
    EXPECT(!out_of(0));
}

static void test_the_status_byte_shows_out_null_count_and_the_programmed_mode(void **state)
{
    (void)state;
    control(BOTH(0, 3));
    EXPECT_EQ(status_of(0), 0x80 | 0x40 | 0x30 | 0x06);
    program(0, 3, 4);
    EXPECT_EQ(status_of(0) & 0x40, 0x40);
    at(1);
    EXPECT_EQ(status_of(0), 0x80 | 0x36);
    at(3);
    EXPECT_EQ(status_of(0), 0x36);
    control(LOW(1, 0) | BCD);
    EXPECT_EQ(status_of(1), 0x40 | 0x11);
}

static void test_read_back_latches_status_and_count_of_several_counters_and_status_reads_first(void **state)
{
    (void)state;
    program(0, 2, 1000);
    control(BOTH(1, 2));
    pit_write(&pit, 1, 0xF4);
    pit_write(&pit, 1, 0x01);
    at(101);
    control(0xC6); /* both, counters 0 and 1 */
    at(201);
    EXPECT_EQ(pit_read(&pit, 0), 0x80 | 0x34);
    EXPECT_EQ(pit_read(&pit, 0), (uint8_t)900);
    EXPECT_EQ(pit_read(&pit, 0), 900 >> 8);
    EXPECT_EQ(pit_read(&pit, 1), 0x80 | 0x34);
    EXPECT_EQ(pit_read(&pit, 1), (uint8_t)400);
    EXPECT_EQ(pit_read(&pit, 1), 400 >> 8);
}

static void test_read_back_of_the_count_alone_latches_no_status(void **state)
{
    (void)state;
    program(0, 2, 0x1234);
    at(1);
    control(0xD2);
    EXPECT_EQ(pit_read(&pit, 0), 0x34);
    EXPECT_EQ(pit_read(&pit, 0), 0x12);
}

static void test_a_second_status_latch_is_ignored_until_the_first_is_read(void **state)
{
    (void)state;
    program(0, 0, 10);
    at(1);
    control(0xE2);
    at(100);
    control(0xE2);
    EXPECT_EQ(pit_read(&pit, 0), 0x30);
    EXPECT_EQ(status_of(0), 0x80 | 0x30);
}

static void test_a_control_word_drops_what_was_latched_and_half_written(void **state)
{
    (void)state;
    program(0, 2, 1000);
    control(LATCH(0));
    pit_write(&pit, 0, 0x55);
    begin();
    control(BOTH(0, 2));
    pit_write(&pit, 0, 0x10);
    pit_write(&pit, 0, 0x00);
    at(1);
    EXPECT_EQ(pit_read(&pit, 0), 0x10);
    EXPECT_EQ(pit_read(&pit, 0), 0x00);
}

static void test_bcd_counts_have_four_decimal_digits(void **state)
{
    (void)state;
    begin();
    control(BOTH(0, 0) | BCD);
    pit_write(&pit, 0, 0x00);
    pit_write(&pit, 0, 0x10); /* one thousand */
    at(2);
    EXPECT_EQ(count_of(0), 0x0999);
    at(1001);
    EXPECT_EQ(count_of(0), 0);
    EXPECT(out_of(0));
    at(1002);
    EXPECT_EQ(count_of(0), 0x9999);
}

static void test_bcd_counts_are_read_by_their_digits(void **state)
{
    (void)state;
    begin();
    control(BOTH(0, 0) | BCD);
    pit_write(&pit, 0, 0x34);
    pit_write(&pit, 0, 0x12);
    at(1);
    EXPECT_EQ(count_of(0), 0x1234);
    at(1234);
    EXPECT(!out_of(0));
    at(1235);
    EXPECT(out_of(0));
}

static void test_bcd_count_0_is_ten_thousand(void **state)
{
    (void)state;
    begin();
    control(BOTH(0, 2) | BCD);
    pit_write(&pit, 0, 0);
    pit_write(&pit, 0, 0);
    at(1);
    EXPECT_EQ(count_of(0), 0);
    at(2);
    EXPECT_EQ(count_of(0), 0x9999);
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 10001, PIT_HZ));
}

static void test_the_control_port_does_not_read(void **state)
{
    (void)state;
    EXPECT_EQ(pit_read(&pit, CONTROL), 0xFF);
}

/* --- the line, and who watches --- */

static void test_nothing_is_due_while_nobody_watches_irq_0(void **state)
{
    (void)state;
    program(0, 2, 1000);
    pit_watch(&pit, false);
    EXPECT_EQ(pit.due_ns, CLOCK_NEVER);
}

static void test_an_edge_that_nobody_watched_for_is_given_when_somebody_looks(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 2, 1000);
    pit_watch(&pit, false);
    rises = irq0.rises;
    at(5500);
    pit_watch(&pit, true);
    EXPECT_EQ(irq0.rises, rises + 1);
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 6001, PIT_HZ));
    pit_watch(&pit, false);
    at(5600);
    pit_watch(&pit, true);
    EXPECT_EQ(irq0.rises, rises + 1); /* none passed since */
}

static void test_an_edge_that_is_due_is_given_before_the_counter_is_written(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 2, 1000);
    rises = irq0.rises;
    at(1500);
    pit_write(&pit, 0, 0x10);
    EXPECT_EQ(irq0.rises, rises + 1);
}

static void test_programming_another_counter_leaves_irq_0_alone(void **state)
{
    (void)state;
    program(0, 2, 3);
    at(3); /* counter 0's output is low, its line has not been told of the fall */
    EXPECT(irq0.high);
    control(BOTH(2, 3));
    control(LATCH(0));
    EXPECT(irq0.high);
}

static void test_a_late_vp_gets_one_tick_for_many(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 2, 1000);
    rises = irq0.rises;
    at(10500);
    pit_advance(&pit);
    EXPECT_EQ(irq0.rises, rises + 1);
    EXPECT(irq0.high);
}

static void test_the_shortest_periods_leave_the_vp_time_between_edges(void **state)
{
    (void)state;
    program(0, 2, 1); /* not a count that mode 2 has: the least is 2 */
    for (unsigned i = 0; i < 100; i++) {
        const uint64_t before = ns;

        ns = pit.due_ns;
        pit_advance(&pit);
        EXPECT(pit.due_ns >= ns + 2000);
        EXPECT(ns > before);
    }
}

static void test_a_counter_that_was_never_programmed_does_nothing(void **state)
{
    (void)state;
    pit_write(&pit, 0, 0x12);
    pit_write(&pit, 0, 0x34);
    EXPECT_EQ(pit.due_ns, CLOCK_NEVER);
    EXPECT_EQ(pit_read(&pit, 0), 0);
}

static void test_refresh_toggles_every_18_pulses(void **state)
{
    bool before = pit_refresh(&pit);
    unsigned changes = 0;

    (void)state;
    for (unsigned pulse = 0; pulse < 1800; pulse++) {
        at(pulse);
        changes += pit_refresh(&pit) != before;
        before = pit_refresh(&pit);
    }
    EXPECT(changes == 99 || changes == 100);
}

/* How kernels measure the TSC: counter 2 in mode 0, polled through port 0x61. */
static void test_counter_2_reaches_its_terminal_count_after_50_milliseconds(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 0, 59659);
    EXPECT(!pit_out2(&pit));
    ns += 49 * NS_PER_MS;
    EXPECT(!pit_out2(&pit));
    ns += 2 * NS_PER_MS;
    EXPECT(pit_out2(&pit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_the_element_shows_the_old_count_until_the_pulse_that_loads_the_new),
        T(test_a_count_that_came_into_force_unwatched_reads_without_a_latch),
        T(test_a_latched_count_stands_until_it_is_read),
        T(test_low_byte_only_counts_are_written_and_read_in_one_byte),
        T(test_high_byte_only_counts_have_a_low_byte_of_zero),
        T(test_the_status_byte_shows_out_null_count_and_the_programmed_mode),
        T(test_read_back_latches_status_and_count_of_several_counters_and_status_reads_first),
        T(test_read_back_of_the_count_alone_latches_no_status),
        T(test_a_second_status_latch_is_ignored_until_the_first_is_read),
        T(test_a_control_word_drops_what_was_latched_and_half_written),
        T(test_bcd_counts_have_four_decimal_digits),
        T(test_bcd_counts_are_read_by_their_digits),
        T(test_bcd_count_0_is_ten_thousand),
        T(test_the_control_port_does_not_read),
        T(test_nothing_is_due_while_nobody_watches_irq_0),
        T(test_an_edge_that_nobody_watched_for_is_given_when_somebody_looks),
        T(test_an_edge_that_is_due_is_given_before_the_counter_is_written),
        T(test_programming_another_counter_leaves_irq_0_alone),
        T(test_a_late_vp_gets_one_tick_for_many),
        T(test_the_shortest_periods_leave_the_vp_time_between_edges),
        T(test_a_counter_that_was_never_programmed_does_nothing),
        T(test_refresh_toggles_every_18_pulses),
        T(test_counter_2_reaches_its_terminal_count_after_50_milliseconds),
    };

    return RUN_TESTS(tests);
}
