/*
 * The 8254, by the sentences and timing diagrams of its datasheet. CLK pulses are counted from the write of the control
 * word's count: a count written between two pulses is loaded by the next one.
 */
#include "hv/dev/pit.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name)             cmocka_unit_test_setup(name, setup)

#define CONTROL             3

/* Control words: counter, both bytes, mode. */
#define BOTH(counter, mode) ((uint8_t)((counter) << 6 | 0x30 | (mode) << 1))
#define LOW(counter, mode)  ((uint8_t)((counter) << 6 | 0x10 | (mode) << 1))
#define HIGH(counter, mode) ((uint8_t)((counter) << 6 | 0x20 | (mode) << 1))
#define BCD                 0x01
#define LATCH(counter)      ((uint8_t)((counter) << 6))

static struct pit pit;
static struct fixture_wire irq0;
static uint64_t ns;
static uint64_t start_tick;

/* Go to @pulses CLK pulses after the last begin(). */
static void at(uint64_t pulses)
{
    ns = clock_ns(start_tick + pulses, PIT_HZ);
}

/* What follows counts its pulses from here. */
static void begin(void)
{
    start_tick = clock_ticks(ns, PIT_HZ);
}

static int setup(void **state)
{
    const struct dev_clock clock = fixture_clock(&ns);
    const struct dev_line line = fixture_line(&irq0);

    (void)state;
    ns = 0;
    irq0 = (struct fixture_wire){ 0 };
    pit_init(&pit, &clock, &line);
    start_tick = 1000;
    at(0);
    pit_watch(&pit, true);
    return 0;
}

static void control(uint8_t value)
{
    pit_write(&pit, CONTROL, value);
}

/* Program @counter with @count in @mode, low byte first, at pulse 0. */
static void program(unsigned counter, unsigned mode, uint16_t count)
{
    begin();
    control(BOTH(counter, mode));
    pit_write(&pit, counter, (uint8_t)count);
    pit_write(&pit, counter, (uint8_t)(count >> 8));
}

/* The counter latch command, and both bytes. */
static uint16_t count_of(unsigned counter)
{
    uint8_t low;

    control(LATCH(counter));
    low = pit_read(&pit, counter);
    return (uint16_t)(low | pit_read(&pit, counter) << 8);
}

static uint8_t status_of(unsigned counter)
{
    control((uint8_t)(0xE0 | 2 << counter));
    return pit_read(&pit, counter);
}

static bool out_of(unsigned counter)
{
    return (status_of(counter) & 0x80) != 0;
}

/* --- mode 0 --------------------------------------------------------------------------------------------------------- */

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

static void
test_mode_0_count_written_while_gate_is_low_is_loaded_and_out_rises_n_pulses_after_the_gate(void **state)
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

/* --- mode 1 --------------------------------------------------------------------------------------------------------- */

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

/* --- mode 2 --------------------------------------------------------------------------------------------------------- */

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

/* --- mode 3 --------------------------------------------------------------------------------------------------------- */

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

/* --- modes 4 and 5 -------------------------------------------------------------------------------------------------- */

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

/* --- reading, latching, status -------------------------------------------------------------------------------------- */

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

/* --- the line, and who watches ---------------------------------------------------------------------------------------- */

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
        T(test_mode_0_out_goes_high_n_plus_1_pulses_after_the_count_is_written),
        T(test_mode_0_counts_down_from_the_pulse_that_loads_and_wraps_to_ffff),
        T(test_mode_0_control_word_takes_out_low_and_raises_irq_0_at_terminal_count),
        T(test_mode_0_first_byte_stops_counting_and_takes_out_low),
        T(test_mode_0_gate_low_stops_counting_and_the_count_goes_on_from_there),
        T(test_mode_0_count_written_while_gate_is_low_is_loaded_and_out_rises_n_pulses_after_the_gate),
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
        T(test_mode_4_a_new_count_starts_again),
        T(test_mode_4_gate_low_holds_the_count),
        T(test_mode_5_strobes_n_plus_1_pulses_after_the_trigger),
        T(test_modes_6_and_7_are_modes_2_and_3),
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
        T(test_a_late_vp_gets_one_tick_for_many),
        T(test_the_shortest_periods_leave_the_vp_time_between_edges),
        T(test_a_counter_that_was_never_programmed_does_nothing),
        T(test_refresh_toggles_every_18_pulses),
        T(test_counter_2_reaches_its_terminal_count_after_50_milliseconds),
    };

    return RUN_TESTS(tests);
}
