/*
 * The six modes of the 8254, by the sentences and timing diagrams of its datasheet.
 */
#include "tests/unit/dev/pit_fixture.h"

/* --- mode 0 --- */

static void test_mode_0_out_goes_high_n_plus_1_pulses_after_the_count_is_written(void **state)
{
    (void)state;
    program(0, 0, 4);
    for (unsigned pulse = 0; pulse < 5; pulse++) {
        at(pulse);
        EXPECT(!out_of(0));
    }
    at(5);
    EXPECT(out_of(0));
    at(70000);
    EXPECT(out_of(0));
}

static void test_mode_0_counts_down_from_the_pulse_that_loads_and_wraps_to_ffff(void **state)
{
    (void)state;
    program(0, 0, 4);
    at(1);
    EXPECT_EQ(count_of(0), 4);
    at(4);
    EXPECT_EQ(count_of(0), 1);
    at(5);
    EXPECT_EQ(count_of(0), 0);
    at(6);
    EXPECT_EQ(count_of(0), 0xFFFF);
}

static void test_mode_0_control_word_takes_out_low_and_raises_irq_0_at_terminal_count(void **state)
{
    (void)state;
    control(BOTH(0, 2));
    EXPECT(irq0.high);
    program(0, 0, 100);
    EXPECT(!irq0.high);
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 101, PIT_HZ));
    at(101);
    pit_advance(&pit);
    EXPECT(irq0.high);
    EXPECT_EQ(pit.due_ns, CLOCK_NEVER);
}

static void test_mode_0_first_byte_stops_counting_and_takes_out_low(void **state)
{
    (void)state;
    program(2, 0, 0);
    pit_gate2(&pit, true);
    begin();
    at(70000);
    EXPECT(out_of(2));
    pit_write(&pit, 2, 0x10);
    EXPECT(!out_of(2));
    {
        const uint16_t stopped = count_of(2);

        at(70100);
        EXPECT_EQ(count_of(2), stopped);
    }
    pit_write(&pit, 2, 0x00);
    begin();
    at(1);
    EXPECT_EQ(count_of(2), 0x10);
    at(0x11);
    EXPECT(out_of(2));
}

static void test_mode_0_gate_low_stops_counting_and_the_count_goes_on_from_there(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 0, 10);
    at(4);
    EXPECT_EQ(count_of(2), 7);
    pit_gate2(&pit, false);
    at(50);
    EXPECT_EQ(count_of(2), 7);
    EXPECT(!out_of(2));
    pit_gate2(&pit, true);
    at(51);
    EXPECT_EQ(count_of(2), 6);
    at(56);
    EXPECT(!out_of(2));
    at(57);
    EXPECT(out_of(2));
}

static void test_mode_0_count_written_while_gate_is_low_is_loaded_and_counted_from_its_rise(void **state)
{
    (void)state;
    program(2, 0, 3);
    at(1);
    EXPECT_EQ(count_of(2), 3);
    EXPECT_EQ(status_of(2) & 0x40, 0); /* no null count: it has been loaded */
    at(20);
    EXPECT_EQ(count_of(2), 3);
    pit_gate2(&pit, true);
    at(22);
    EXPECT(!out_of(2));
    at(23);
    EXPECT(out_of(2));
}

static void test_mode_0_new_count_is_loaded_by_the_next_pulse_and_counted_from(void **state)
{
    (void)state;
    program(0, 0, 1000);
    at(500);
    begin();
    pit_write(&pit, 0, 5);
    pit_write(&pit, 0, 0);
    at(5);
    EXPECT(!out_of(0));
    at(6);
    EXPECT(out_of(0));
}

/* --- mode 1 --- */

static void test_mode_1_out_is_low_for_n_pulses_from_the_pulse_after_the_trigger(void **state)
{
    (void)state;
    program(2, 1, 3);
    at(10);
    EXPECT(out_of(2));
    begin();
    pit_gate2(&pit, true);
    EXPECT(out_of(2));
    at(1);
    EXPECT(!out_of(2));
    EXPECT_EQ(count_of(2), 3);
    at(3);
    EXPECT(!out_of(2));
    at(4);
    EXPECT(out_of(2));
    EXPECT_EQ(count_of(2), 0);
}

static void test_mode_1_is_retriggered_so_out_stays_low_until_n_pulses_after_the_last_trigger(void **state)
{
    (void)state;
    program(2, 1, 10);
    pit_gate2(&pit, true);
    at(5);
    pit_gate2(&pit, false);
    EXPECT(!out_of(2)); /* the gate's fall has no effect */
    begin();
    pit_gate2(&pit, true);
    EXPECT(!out_of(2));
    at(10);
    EXPECT(!out_of(2));
    at(11);
    EXPECT(out_of(2));
}

static void test_mode_1_new_count_waits_for_the_next_trigger(void **state)
{
    (void)state;
    program(2, 1, 10);
    pit_gate2(&pit, true);
    at(2);
    pit_write(&pit, 2, 3);
    pit_write(&pit, 2, 0);
    EXPECT_EQ(status_of(2) & 0x40, 0x40);
    at(10);
    EXPECT(!out_of(2));
    at(11);
    EXPECT(out_of(2));
    pit_gate2(&pit, false);
    begin();
    pit_gate2(&pit, true);
    at(3);
    EXPECT(!out_of(2));
    EXPECT_EQ(status_of(2) & 0x40, 0);
    at(4);
    EXPECT(out_of(2));
}

static void test_mode_1_counter_0_has_its_gate_tied_high_and_never_triggers(void **state)
{
    (void)state;
    program(0, 1, 10);
    EXPECT_EQ(pit.due_ns, CLOCK_NEVER);
    at(1000);
    EXPECT(out_of(0));
}

/* --- mode 2 --- */

static void test_mode_2_out_is_low_for_the_one_pulse_in_which_the_count_is_1(void **state)
{
    (void)state;
    program(0, 2, 3);
    for (unsigned pulse = 0; pulse < 30; pulse++) {
        at(pulse);
        EXPECT_EQ(out_of(0), pulse == 0 || (pulse - 1) % 3 != 2);
        if (pulse >= 1)
            EXPECT_EQ(count_of(0), 3 - (pulse - 1) % 3);
    }
}

static void test_mode_2_gives_irq_0_every_n_pulses(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 2, 1193);
    rises = irq0.rises;
    for (unsigned i = 1; i <= 1000; i++) {
        EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 1 + i * UINT64_C(1193), PIT_HZ));
        ns = pit.due_ns;
        pit_advance(&pit);
        EXPECT_EQ(irq0.rises, rises + i);
        EXPECT(irq0.high);
    }
}

static void test_mode_2_new_count_is_taken_at_the_end_of_the_period(void **state)
{
    (void)state;
    program(0, 2, 100);
    at(50);
    pit_write(&pit, 0, 10);
    pit_write(&pit, 0, 0);
    EXPECT_EQ(status_of(0) & 0x40, 0x40);
    at(100);
    EXPECT_EQ(count_of(0), 1);
    at(101);
    EXPECT_EQ(count_of(0), 10);
    EXPECT_EQ(status_of(0) & 0x40, 0);
    at(110);
    EXPECT(!out_of(0));
    at(111);
    EXPECT(out_of(0));
}

static void test_mode_2_edges_follow_a_new_count_without_anybody_reading(void **state)
{
    (void)state;
    program(0, 2, 10000);
    at(50);
    pit_write(&pit, 0, 0x88);
    pit_write(&pit, 0, 0x13); /* 5000 */
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 10001 + i * UINT64_C(5000), PIT_HZ));
        ns = pit.due_ns;
        pit_advance(&pit);
    }
}

static void test_mode_3_edges_follow_a_new_count_without_anybody_reading(void **state)
{
    (void)state;
    program(0, 3, 10000);
    at(50);
    pit_write(&pit, 0, 0x88);
    pit_write(&pit, 0, 0x13); /* 5000, from the end of the high half */
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 1 + 5000 + 2500 + i * UINT64_C(5000), PIT_HZ));
        ns = pit.due_ns;
        pit_advance(&pit);
    }
}

static void test_mode_3_out_2_follows_a_new_count_without_anybody_reading(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 3, 1000);
    at(10);
    pit_write(&pit, 2, 20);
    pit_write(&pit, 2, 0);
    at(505);
    EXPECT(!pit_out2(&pit));
    at(515);
    EXPECT(pit_out2(&pit));
    at(525);
    EXPECT(!pit_out2(&pit));
}

static void test_mode_2_new_count_written_as_the_first_is_loaded_waits_for_its_end(void **state)
{
    (void)state;
    program(0, 2, 100);
    at(1);
    pit_write(&pit, 0, 10);
    pit_write(&pit, 0, 0);
    at(3);
    EXPECT_EQ(count_of(0), 98);
    at(101);
    EXPECT_EQ(count_of(0), 10);
}

static void test_mode_2_gate_low_puts_off_a_new_count_to_its_rise(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 2, 100);
    at(10);
    pit_write(&pit, 2, 50);
    pit_write(&pit, 2, 0);
    pit_gate2(&pit, false);
    at(500);
    EXPECT_EQ(count_of(2), 91);
    EXPECT_EQ(status_of(2) & 0x40, 0x40);
    begin();
    pit_gate2(&pit, true);
    at(1);
    EXPECT_EQ(count_of(2), 50);
}

static void test_mode_2_gate_low_holds_the_count_in_force_not_the_one_before_it(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 2, 100);
    at(10);
    pit_write(&pit, 2, 50);
    pit_write(&pit, 2, 0);
    at(101 + 20);
    pit_gate2(&pit, false);
    EXPECT_EQ(count_of(2), 30);
    EXPECT_EQ(status_of(2) & 0x40, 0);
}

static void test_mode_2_gate_low_raises_out_and_its_rise_starts_the_count_anew(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 2, 10);
    at(10);
    EXPECT(!out_of(2));
    pit_gate2(&pit, false);
    EXPECT(out_of(2));
    at(100);
    EXPECT_EQ(count_of(2), 1);
    begin();
    pit_gate2(&pit, true);
    at(1);
    EXPECT_EQ(count_of(2), 10);
    at(10);
    EXPECT(!out_of(2));
    at(11);
    EXPECT(out_of(2));
}

static void test_mode_2_count_written_while_the_gate_is_low_is_counted_from_its_rise(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 2, 10);
    at(5);
    pit_gate2(&pit, false);
    pit_write(&pit, 2, 20);
    pit_write(&pit, 2, 0);
    EXPECT_EQ(status_of(2) & 0x40, 0x40);
    at(50);
    begin();
    pit_gate2(&pit, true);
    at(1);
    EXPECT_EQ(count_of(2), 20);
    EXPECT_EQ(status_of(2) & 0x40, 0);
}

/* --- mode 3 --- */

static void test_mode_3_even_count_is_high_for_half_and_low_for_half(void **state)
{
    (void)state;
    program(0, 3, 4);
    for (unsigned pulse = 1; pulse < 40; pulse++) {
        at(pulse);
        EXPECT_EQ(out_of(0), (pulse - 1) % 4 < 2);
        EXPECT_EQ(count_of(0), (pulse - 1) % 2 == 0 ? 4 : 2);
    }
}

static void test_mode_3_odd_count_is_high_for_one_pulse_more(void **state)
{
    static const uint16_t shown[] = { 4, 2, 0, 4, 2 };

    (void)state;
    program(0, 3, 5);
    for (unsigned pulse = 1; pulse < 50; pulse++) {
        at(pulse);
        EXPECT_EQ(out_of(0), (pulse - 1) % 5 < 3);
        EXPECT_EQ(count_of(0), shown[(pulse - 1) % 5]);
    }
}

static void test_mode_3_new_count_is_taken_at_the_end_of_the_half_cycle(void **state)
{
    (void)state;
    program(0, 3, 100);
    at(20); /* in the high half, which ends at pulse 51 */
    pit_write(&pit, 0, 10);
    pit_write(&pit, 0, 0);
    at(50);
    EXPECT(out_of(0));
    at(51);
    EXPECT(!out_of(0));
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 56, PIT_HZ));
    at(55);
    EXPECT(!out_of(0));
    at(56);
    EXPECT(out_of(0));
    at(61);
    EXPECT(!out_of(0));
}

static void test_mode_3_new_count_in_the_low_half_is_taken_when_out_rises(void **state)
{
    (void)state;
    program(0, 3, 100);
    at(80);
    pit_write(&pit, 0, 10);
    pit_write(&pit, 0, 0);
    at(100);
    EXPECT(!out_of(0));
    at(101);
    EXPECT(out_of(0));
    at(106);
    EXPECT(!out_of(0));
    at(111);
    EXPECT(out_of(0));
}

static void test_mode_3_new_count_written_as_a_half_begins_is_taken_at_its_end(void **state)
{
    (void)state;
    program(0, 3, 100);
    at(51); /* the low half begins */
    pit_write(&pit, 0, 10);
    pit_write(&pit, 0, 0);
    at(100);
    EXPECT(!out_of(0));
    at(101);
    EXPECT(out_of(0));
    at(106);
    EXPECT(!out_of(0));
}

static void test_mode_3_count_0_is_65536_and_gives_18_2_interrupts_a_second(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 3, 0);
    rises = irq0.rises;
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 1 + 65536, PIT_HZ));
    for (const uint64_t end = ns + 10 * NS_PER_S; pit.due_ns <= end;) {
        ns = pit.due_ns;
        pit_advance(&pit);
    }
    EXPECT_EQ(irq0.rises - rises, 182);
}

/* --- modes 4 and 5 --- */

static void test_mode_4_strobes_for_one_pulse_n_plus_1_pulses_after_the_write(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 4, 3);
    rises = irq0.rises;
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 5, PIT_HZ));
    at(3);
    EXPECT(out_of(0));
    at(4);
    EXPECT(!out_of(0));
    at(5);
    EXPECT(out_of(0));
    pit_advance(&pit);
    EXPECT_EQ(irq0.rises, rises + 1);
    at(65536 + 4);
    EXPECT(out_of(0)); /* once only */
    EXPECT_EQ(pit.due_ns, CLOCK_NEVER);
}

static void test_mode_4_a_count_written_while_out_is_low_ends_the_strobe_with_an_edge(void **state)
{
    unsigned rises;

    (void)state;
    program(0, 4, 3);
    rises = irq0.rises;
    at(4);
    EXPECT(!out_of(0));
    pit_write(&pit, 0, 100);
    pit_write(&pit, 0, 0);
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 5, PIT_HZ));
    at(5);
    EXPECT(out_of(0));
    pit_advance(&pit);
    EXPECT_EQ(irq0.rises, rises + 1);
    EXPECT_EQ(pit.due_ns, clock_ns(start_tick + 4 + 102, PIT_HZ));
}

static void test_mode_4_a_new_count_starts_again(void **state)
{
    (void)state;
    program(0, 4, 100);
    at(50);
    begin();
    pit_write(&pit, 0, 7);
    pit_write(&pit, 0, 0);
    at(7);
    EXPECT(out_of(0));
    at(8);
    EXPECT(!out_of(0));
    at(9);
    EXPECT(out_of(0));
}

static void test_mode_4_gate_low_holds_the_count(void **state)
{
    (void)state;
    pit_gate2(&pit, true);
    program(2, 4, 10);
    at(6);
    pit_gate2(&pit, false);
    at(60);
    EXPECT_EQ(count_of(2), 5);
    EXPECT(out_of(2));
    begin();
    pit_gate2(&pit, true);
    at(5);
    EXPECT(!out_of(2));
    at(6);
    EXPECT(out_of(2));
}

static void test_mode_5_strobes_n_plus_1_pulses_after_the_trigger(void **state)
{
    (void)state;
    program(2, 5, 3);
    at(20);
    EXPECT(out_of(2));
    begin();
    pit_gate2(&pit, true);
    at(3);
    EXPECT(out_of(2));
    at(4);
    EXPECT(!out_of(2));
    at(5);
    EXPECT(out_of(2));
}

static void test_modes_6_and_7_are_modes_2_and_3(void **state)
{
    (void)state;
    program(0, 6, 3);
    at(3);
    EXPECT(!out_of(0));
    at(4);
    EXPECT(out_of(0));
    program(0, 7, 4);
    at(3);
    EXPECT(!out_of(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_mode_0_out_goes_high_n_plus_1_pulses_after_the_count_is_written),
        T(test_mode_0_counts_down_from_the_pulse_that_loads_and_wraps_to_ffff),
        T(test_mode_0_control_word_takes_out_low_and_raises_irq_0_at_terminal_count),
        T(test_mode_0_first_byte_stops_counting_and_takes_out_low),
        T(test_mode_0_gate_low_stops_counting_and_the_count_goes_on_from_there),
        T(test_mode_0_count_written_while_gate_is_low_is_loaded_and_counted_from_its_rise),
        T(test_mode_0_new_count_is_loaded_by_the_next_pulse_and_counted_from),
        T(test_mode_1_out_is_low_for_n_pulses_from_the_pulse_after_the_trigger),
        T(test_mode_1_is_retriggered_so_out_stays_low_until_n_pulses_after_the_last_trigger),
        T(test_mode_1_new_count_waits_for_the_next_trigger),
        T(test_mode_1_counter_0_has_its_gate_tied_high_and_never_triggers),
        T(test_mode_2_out_is_low_for_the_one_pulse_in_which_the_count_is_1),
        T(test_mode_2_gives_irq_0_every_n_pulses),
        T(test_mode_2_new_count_is_taken_at_the_end_of_the_period),
        T(test_mode_2_edges_follow_a_new_count_without_anybody_reading),
        T(test_mode_3_edges_follow_a_new_count_without_anybody_reading),
        T(test_mode_3_out_2_follows_a_new_count_without_anybody_reading),
        T(test_mode_2_new_count_written_as_the_first_is_loaded_waits_for_its_end),
        T(test_mode_2_gate_low_puts_off_a_new_count_to_its_rise),
        T(test_mode_2_gate_low_holds_the_count_in_force_not_the_one_before_it),
        T(test_mode_2_gate_low_raises_out_and_its_rise_starts_the_count_anew),
        T(test_mode_2_count_written_while_the_gate_is_low_is_counted_from_its_rise),
        T(test_mode_3_even_count_is_high_for_half_and_low_for_half),
        T(test_mode_3_odd_count_is_high_for_one_pulse_more),
        T(test_mode_3_new_count_is_taken_at_the_end_of_the_half_cycle),
        T(test_mode_3_new_count_in_the_low_half_is_taken_when_out_rises),
        T(test_mode_3_new_count_written_as_a_half_begins_is_taken_at_its_end),
        T(test_mode_3_count_0_is_65536_and_gives_18_2_interrupts_a_second),
        T(test_mode_4_strobes_for_one_pulse_n_plus_1_pulses_after_the_write),
        T(test_mode_4_a_count_written_while_out_is_low_ends_the_strobe_with_an_edge),
        T(test_mode_4_a_new_count_starts_again),
        T(test_mode_4_gate_low_holds_the_count),
        T(test_mode_5_strobes_n_plus_1_pulses_after_the_trigger),
        T(test_modes_6_and_7_are_modes_2_and_3),
    };

    return RUN_TESTS(tests);
}
