/*
 * The MC146818A, by the sentences of its datasheet.
 */
#include "hv/dev/rtc.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name)       cmocka_unit_test_setup(name, setup)

/* Register A: 32.768 kHz crystal; register B and C bits. */
#define DIVIDER_RUNS  0x20
#define DIVIDER_RESET 0x70
#define UIP           0x80
#define SET           0x80
#define PIE           0x40
#define AIE           0x20
#define UIE           0x10
#define BINARY        0x04
#define HOURS_24      0x02
#define IRQF          0x80
#define PF            0x40
#define AF            0x20
#define UF            0x10

/* Tuesday 14 November 2023, 22:13:20. */
#define START         UINT64_C(1700000000)

static struct rtc rtc;
static struct fixture_wire irq8;
static uint64_t ns;

static int setup(void **state)
{
    const struct dev_clock clock = fixture_clock(&ns);
    const struct dev_line line = fixture_line(&irq8);

    (void)state;
    ns = 5 * NS_PER_S + 12345;
    irq8 = (struct fixture_wire){ 0 };
    rtc_init(&rtc, &clock, &line, START);
    return 0;
}

static uint8_t get(uint8_t address)
{
    rtc_write(&rtc, 0, address);
    return rtc_read(&rtc, 1);
}

static void put(uint8_t address, uint8_t value)
{
    rtc_write(&rtc, 0, address);
    rtc_write(&rtc, 1, value);
}

/* Write a whole time with SET held, as programs do. */
static void set_time(uint8_t hour, uint8_t minute, uint8_t second)
{
    const uint8_t b = get(RTC_B);

    put(RTC_B, b | SET);
    put(RTC_HOURS, hour);
    put(RTC_MINUTES, minute);
    put(RTC_SECONDS, second);
    put(RTC_B, b & (uint8_t)~SET);
}

static void set_date(uint8_t century, uint8_t year, uint8_t month, uint8_t day)
{
    put(RTC_CENTURY, century);
    put(RTC_YEAR, year);
    put(RTC_MONTH, month);
    put(RTC_DAY, day);
}

static void expect_time(uint8_t hour, uint8_t minute, uint8_t second)
{
    EXPECT_EQ(get(RTC_HOURS), hour);
    EXPECT_EQ(get(RTC_MINUTES), minute);
    EXPECT_EQ(get(RTC_SECONDS), second);
}

static void expect_date(uint8_t century, uint8_t year, uint8_t month, uint8_t day)
{
    EXPECT_EQ(get(RTC_CENTURY), century);
    EXPECT_EQ(get(RTC_YEAR), year);
    EXPECT_EQ(get(RTC_MONTH), month);
    EXPECT_EQ(get(RTC_DAY), day);
}

static void test_it_starts_at_the_wall_clock_in_24_hour_bcd(void **state)
{
    (void)state;
    expect_time(0x22, 0x13, 0x20);
    expect_date(0x20, 0x23, 0x11, 0x14);
    EXPECT_EQ(get(RTC_WEEKDAY), 3);
    EXPECT_EQ(get(RTC_B), HOURS_24);
    EXPECT_EQ(get(RTC_A) & 0x7F, 0x26);
    EXPECT_EQ(get(RTC_D), 0x80);
}

static void test_seconds_roll_into_minutes_hours_days_and_years(void **state)
{
    (void)state;
    ns += NS_PER_S;
    expect_time(0x22, 0x13, 0x21);
    ns += 2 * NS_PER_S * 3600;
    expect_time(0x00, 0x13, 0x21);
    expect_date(0x20, 0x23, 0x11, 0x15);
    EXPECT_EQ(get(RTC_WEEKDAY), 4);
    set_date(0x19, 0x99, 0x12, 0x31);
    set_time(0x23, 0x59, 0x59);
    ns += NS_PER_S;
    expect_time(0x00, 0x00, 0x00);
    expect_date(0x20, 0x00, 0x01, 0x01);
}

static void test_february_29_is_in_leap_years_only(void **state)
{
    (void)state;
    set_date(0x20, 0x24, 0x02, 0x28);
    ns += 86400 * NS_PER_S;
    expect_date(0x20, 0x24, 0x02, 0x29);
    set_date(0x20, 0x23, 0x02, 0x28);
    ns += 86400 * NS_PER_S;
    expect_date(0x20, 0x23, 0x03, 0x01);
}

static void test_binary_mode_keeps_binary_numbers(void **state)
{
    (void)state;
    put(RTC_B, SET | BINARY | HOURS_24);
    put(RTC_HOURS, 23);
    put(RTC_MINUTES, 59);
    put(RTC_SECONDS, 58);
    set_date(20, 23, 12, 31);
    put(RTC_B, BINARY | HOURS_24);
    ns += NS_PER_S;
    expect_time(23, 59, 59);
    ns += NS_PER_S;
    expect_time(0, 0, 0);
    expect_date(20, 24, 1, 1);
}

static void test_12_hour_mode_marks_the_afternoon_with_bit_7(void **state)
{
    (void)state;
    put(RTC_B, SET);
    put(RTC_HOURS, 0x11);
    put(RTC_MINUTES, 0x59);
    put(RTC_SECONDS, 0x59);
    put(RTC_B, 0);
    ns += NS_PER_S;
    expect_time(0x92, 0x00, 0x00); /* 12 PM: noon */
    ns += 3600 * NS_PER_S;
    expect_time(0x81, 0x00, 0x00);
    ns += 11 * NS_PER_S * 3600;
    expect_time(0x12, 0x00, 0x00); /* 12 AM: midnight */
    ns += 3600 * NS_PER_S;
    expect_time(0x01, 0x00, 0x00);
}

static void test_set_stops_updates_and_nothing_is_made_up_for(void **state)
{
    (void)state;
    put(RTC_B, SET | HOURS_24);
    ns += 10 * NS_PER_S;
    expect_time(0x22, 0x13, 0x20);
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    put(RTC_B, HOURS_24);
    expect_time(0x22, 0x13, 0x20);
    ns += NS_PER_S;
    expect_time(0x22, 0x13, 0x21);
}

static void test_set_clears_the_update_interrupt_enable(void **state)
{
    (void)state;
    put(RTC_B, SET | UIE | PIE | HOURS_24);
    EXPECT_EQ(get(RTC_B), SET | PIE | HOURS_24);
}

static void test_update_in_progress_is_set_244_microseconds_before_the_update_and_clear_after_it(void **state)
{
    const uint64_t start = ns;

    (void)state;
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    ns = start + 500 * NS_PER_MS;
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    ns = start + NS_PER_S - 2300 * NS_PER_US;
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    ns = start + NS_PER_S - clock_ns(74, RTC_HZ);
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    ns = start + NS_PER_S - 2190 * NS_PER_US; /* 244 + 1984 microseconds before the new second shows */
    EXPECT_EQ(get(RTC_A) & UIP, UIP);
    EXPECT_EQ(get(RTC_SECONDS), 0x20);
    ns = start + NS_PER_S - 31 * NS_PER_US;
    EXPECT_EQ(get(RTC_A) & UIP, UIP);
    ns = start + NS_PER_S + 31 * NS_PER_US;
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    EXPECT_EQ(get(RTC_SECONDS), 0x21);
}

static void test_with_uip_clear_at_least_244_microseconds_are_left_to_read_the_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t second;

        ns += 7919 * NS_PER_US / 3;
        if ((get(RTC_A) & UIP) != 0)
            continue;
        second = get(RTC_SECONDS);
        ns += 244 * NS_PER_US;
        EXPECT_EQ(get(RTC_SECONDS), second);
    }
}

static void test_releasing_the_divider_makes_the_first_update_half_a_second_later(void **state)
{
    (void)state;
    put(RTC_A, DIVIDER_RESET);
    ns += 77 * NS_PER_S + 777;
    expect_time(0x22, 0x13, 0x20);
    EXPECT_EQ(get(RTC_A) & UIP, 0);
    put(RTC_A, DIVIDER_RUNS);
    ns += 499 * NS_PER_MS;
    EXPECT_EQ(get(RTC_SECONDS), 0x20);
    ns += 2 * NS_PER_MS;
    EXPECT_EQ(get(RTC_SECONDS), 0x21);
    ns += NS_PER_S;
    EXPECT_EQ(get(RTC_SECONDS), 0x22);
}

static void test_divider_settings_for_other_crystals_keep_no_time(void **state)
{
    (void)state;
    put(RTC_A, 0x00);
    ns += 10 * NS_PER_S;
    EXPECT_EQ(get(RTC_SECONDS), 0x20);
    put(RTC_A, DIVIDER_RUNS);
    ns += NS_PER_S;
    EXPECT_EQ(get(RTC_SECONDS), 0x21);
}

static void test_bit_7_of_register_a_and_of_seconds_and_registers_c_and_d_are_read_only(void **state)
{
    (void)state;
    put(RTC_A, 0x80 | DIVIDER_RUNS | 6);
    EXPECT_EQ(get(RTC_A), DIVIDER_RUNS | 6);
    put(RTC_C, 0xFF);
    EXPECT_EQ(get(RTC_C), 0);
    put(RTC_D, 0);
    EXPECT_EQ(get(RTC_D), 0x80);
    put(RTC_B, SET | HOURS_24);
    put(RTC_SECONDS, 0x80 | 0x15);
    EXPECT_EQ(get(RTC_SECONDS), 0x15);
}

/* --- interrupts --- */

static void test_the_update_ended_interrupt_comes_each_second_and_reading_c_clears_it(void **state)
{
    const uint64_t start = ns;

    (void)state;
    put(RTC_A, DIVIDER_RUNS);
    put(RTC_B, HOURS_24 | UIE);
    EXPECT(!irq8.high);
    EXPECT_EQ((rtc.due_ns - start + NS_PER_MS / 2) / NS_PER_MS, 1000);
    ns = rtc.due_ns;
    rtc_advance(&rtc);
    EXPECT(irq8.high);
    EXPECT_EQ(rtc.due_ns, CLOCK_NEVER);
    EXPECT_EQ(get(RTC_C), IRQF | UF);
    EXPECT(!irq8.high);
    EXPECT_EQ(get(RTC_C), 0);
    EXPECT_EQ((rtc.due_ns - start + NS_PER_MS / 2) / NS_PER_MS, 2000);
}

static void test_flags_are_set_without_their_enable_but_request_nothing(void **state)
{
    (void)state;
    ns += NS_PER_S;
    EXPECT_EQ(get(RTC_C), UF | PF);
    EXPECT_EQ(irq8.rises, 0);
    EXPECT_EQ(rtc.due_ns, CLOCK_NEVER);
}

static void test_enabling_an_interrupt_whose_flag_is_set_requests_at_once(void **state)
{
    (void)state;
    ns += NS_PER_S;
    put(RTC_B, HOURS_24 | UIE);
    EXPECT(irq8.high);
    put(RTC_B, HOURS_24);
    EXPECT(!irq8.high);
}

static void test_periodic_rates_are_those_of_the_table(void **state)
{
    static const uint32_t hz[16] = {
        0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2
    };

    (void)state;
    for (uint8_t rate = 1; rate < 16; rate++) {
        const uint64_t end = ns + 2 * NS_PER_S;
        unsigned interrupts = 0;

        put(RTC_A, DIVIDER_RUNS | rate);
        (void)get(RTC_C);
        put(RTC_B, HOURS_24 | PIE);
        while (rtc.due_ns <= end) {
            ns = rtc.due_ns;
            rtc_advance(&rtc);
            EXPECT(irq8.high);
            EXPECT_EQ(get(RTC_C) & (IRQF | PF), IRQF | PF);
            interrupts++;
        }
        ns = end;
        EXPECT_EQ(interrupts, 2 * hz[rate]);
    }
}

static void test_rate_0_gives_no_periodic_interrupt(void **state)
{
    (void)state;
    put(RTC_A, DIVIDER_RUNS);
    put(RTC_B, HOURS_24 | PIE);
    EXPECT_EQ(rtc.due_ns, CLOCK_NEVER);
    ns += 10 * NS_PER_S;
    EXPECT_EQ(get(RTC_C) & PF, 0);
}

static void test_periodic_interrupts_go_on_while_set_holds_the_time(void **state)
{
    (void)state;
    put(RTC_B, SET | HOURS_24 | PIE);
    EXPECT(rtc.due_ns != CLOCK_NEVER);
    ns = rtc.due_ns;
    rtc_advance(&rtc);
    EXPECT(irq8.high);
}

static void test_no_interrupt_is_due_while_the_line_is_high_for_c_must_be_read_first(void **state)
{
    (void)state;
    put(RTC_B, HOURS_24 | PIE | UIE);
    ns = rtc.due_ns;
    rtc_advance(&rtc);
    EXPECT_EQ(rtc.due_ns, CLOCK_NEVER);
    ns += 10 * NS_PER_S;
    EXPECT_EQ(get(RTC_C), IRQF | PF | UF);
    EXPECT(rtc.due_ns != CLOCK_NEVER);
}

/* Set the alarm, and say after how many seconds it comes. */
static uint64_t seconds_to_alarm(uint8_t hour, uint8_t minute, uint8_t second)
{
    const uint64_t start = ns;

    put(RTC_HOURS_ALARM, hour);
    put(RTC_MINUTES_ALARM, minute);
    put(RTC_SECONDS_ALARM, second);
    (void)get(RTC_C);
    put(RTC_B, (get(RTC_B) & (BINARY | HOURS_24)) | AIE);
    if (rtc.due_ns == CLOCK_NEVER)
        return CLOCK_NEVER;
    ns = rtc.due_ns;
    rtc_advance(&rtc);
    EXPECT(irq8.high);
    EXPECT((get(RTC_C) & (IRQF | AF)) == (IRQF | AF));
    return (ns - start + NS_PER_S / 2) / NS_PER_S;
}

static void test_the_alarm_comes_when_hours_minutes_and_seconds_match(void **state)
{
    (void)state;
    EXPECT_EQ(seconds_to_alarm(0x22, 0x13, 0x25), 5);
    expect_time(0x22, 0x13, 0x25);
    EXPECT_EQ(seconds_to_alarm(0x22, 0x14, 0x00), 35);
    EXPECT_EQ(seconds_to_alarm(0x23, 0x00, 0x00), 46 * 60);
    EXPECT_EQ(seconds_to_alarm(0x01, 0x00, 0x00), 2 * 3600);
}

static void test_the_alarm_of_this_very_second_comes_tomorrow(void **state)
{
    (void)state;
    EXPECT_EQ(seconds_to_alarm(0x22, 0x13, 0x20), 86400);
    EXPECT_EQ(get(RTC_DAY), 0x15);
}

static void test_alarm_bytes_from_c0_match_anything(void **state)
{
    (void)state;
    EXPECT_EQ(seconds_to_alarm(0xC0, 0xFF, 0xC5), 1); /* each second */
    expect_time(0x22, 0x13, 0x21);
    EXPECT_EQ(seconds_to_alarm(0xFF, 0xFF, 0x20), 59);      /* each minute */
    EXPECT_EQ(seconds_to_alarm(0xFF, 0x10, 0x20), 56 * 60); /* each hour */
    expect_time(0x23, 0x10, 0x20);
    EXPECT_EQ(seconds_to_alarm(0xFF, 0x10, 0x20), 3600); /* over midnight */
    EXPECT_EQ(seconds_to_alarm(0x05, 0xFF, 0x00), 4 * 3600 + 49 * 60 + 40);
    EXPECT_EQ(seconds_to_alarm(0x05, 0xFF, 0xFF), 1);
    EXPECT_EQ(seconds_to_alarm(0x04, 0x00, 0xFF), 22 * 3600 + 59 * 60 + 59);
}

static void test_the_alarm_begins_a_later_hour_at_its_first_second(void **state)
{
    (void)state;
    set_time(0x22, 0x59, 0x30);
    EXPECT_EQ(seconds_to_alarm(0xFF, 0x10, 0xFF), 10 * 60 + 30);
    expect_time(0x23, 0x10, 0x00);
}

static void test_an_alarm_that_no_time_matches_never_comes(void **state)
{
    (void)state;
    EXPECT_EQ(seconds_to_alarm(0x22, 0x13, 0x60), CLOCK_NEVER);
    EXPECT_EQ(seconds_to_alarm(0x22, 0x7F, 0x00), CLOCK_NEVER);
    EXPECT_EQ(seconds_to_alarm(0x24, 0x00, 0x00), CLOCK_NEVER);
}

static void test_the_alarm_matches_in_12_hour_mode_too(void **state)
{
    (void)state;
    put(RTC_B, SET);
    put(RTC_HOURS, 0x91); /* 11 PM */
    put(RTC_B, 0);
    EXPECT_EQ(seconds_to_alarm(0x12, 0x00, 0x00), 46 * 60 + 40);
}

/* Every hour, minute and second, against counting them one by one. */
static void test_the_alarm_agrees_with_stepping_through_the_day(void **state)
{
    static const uint8_t patterns[][3] = { { 0xFF, 0x30, 0x15 }, { 0x07, 0xFF, 0x59 }, { 0x23, 0x59, 0xFF },
                                           { 0x00, 0x00, 0x00 }, { 0xFF, 0xFF, 0x00 }, { 0xFF, 0x59, 0xC0 } };

    (void)state;
    for (unsigned i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        for (uint64_t step = 0; step < 12; step++) {
            const uint64_t before = ns;
            uint64_t wait;

            ns += step * 7919 * NS_PER_S;
            wait = seconds_to_alarm(patterns[i][0], patterns[i][1], patterns[i][2]);
            EXPECT(wait >= 1 && wait <= 86400);
            EXPECT((patterns[i][0] & 0xC0) == 0xC0 || get(RTC_HOURS) == patterns[i][0]);
            EXPECT((patterns[i][1] & 0xC0) == 0xC0 || get(RTC_MINUTES) == patterns[i][1]);
            EXPECT((patterns[i][2] & 0xC0) == 0xC0 || get(RTC_SECONDS) == patterns[i][2]);
            EXPECT(ns > before);
        }
    }
}

static void test_an_alarm_that_passed_unwatched_is_seen_in_c(void **state)
{
    (void)state;
    put(RTC_HOURS_ALARM, 0x22);
    put(RTC_MINUTES_ALARM, 0x14);
    put(RTC_SECONDS_ALARM, 0x00);
    (void)get(RTC_C);
    ns += 39 * NS_PER_S;
    EXPECT_EQ(get(RTC_C) & AF, 0);
    ns += 2 * NS_PER_S;
    EXPECT_EQ(get(RTC_C) & AF, AF);
}

/* --- memory, index, reset --- */

static void test_bytes_from_0e_on_are_memory(void **state)
{
    (void)state;
    for (unsigned address = RTC_D + 1; address < RTC_BYTES; address++) {
        if (address != RTC_CENTURY)
            put((uint8_t)address, (uint8_t)(address * 3));
    }
    for (unsigned address = RTC_D + 1; address < RTC_BYTES; address++) {
        if (address != RTC_CENTURY)
            EXPECT_EQ(get((uint8_t)address), (uint8_t)(address * 3));
    }
}

static void test_bit_7_of_the_index_masks_nmi_and_the_index_does_not_read(void **state)
{
    (void)state;
    rtc_write(&rtc, 0, 0x80 | RTC_D);
    EXPECT(rtc_masks_nmi(&rtc));
    EXPECT_EQ(rtc_read(&rtc, 1), 0x80);
    EXPECT_EQ(rtc_read(&rtc, 0), 0xFF);
    rtc_write(&rtc, 0, RTC_D);
    EXPECT(!rtc_masks_nmi(&rtc));
}

static unsigned word(uint8_t address)
{
    return get(address) | (unsigned)get(address + 1) << 8;
}

static void test_memory_sizes_lie_where_firmware_leaves_them(void **state)
{
    unsigned sum = 0;

    (void)state;
    rtc_set_memory(&rtc, UINT64_C(512) << 20, UINT64_C(3) << 30);
    EXPECT_EQ(word(0x15), 640);
    EXPECT_EQ(word(0x17), 0xFFFF);
    EXPECT_EQ(word(0x30), 0xFFFF);
    EXPECT_EQ(word(0x34), (512 - 16) * 16);
    EXPECT_EQ(word(0x5B) | (unsigned)get(0x5D) << 16, 3 * 16384);
    for (uint8_t address = 0x10; address <= 0x2D; address++)
        sum += get(address);
    EXPECT_EQ(get(0x2E) << 8 | get(0x2F), sum);
    rtc_set_memory(&rtc, UINT64_C(3) << 30, UINT64_C(3) << 40);
    EXPECT_EQ(word(0x5B) | (unsigned)get(0x5D) << 16, 0xFFFFFF); /* more than the three bytes can say */
    rtc_set_memory(&rtc, UINT64_C(3) << 30, UINT64_C(5) << 37);
    EXPECT_EQ(word(0x5B) | (unsigned)get(0x5D) << 16, 5 << 21);
    rtc_set_memory(&rtc, UINT64_C(4) << 20, 0);
    EXPECT_EQ(word(0x17), 3072);
    EXPECT_EQ(word(0x34), 0);
    EXPECT_EQ(word(0x5B), 0);
}

static void test_reset_disables_interrupts_and_keeps_time_and_memory(void **state)
{
    (void)state;
    put(0x40, 0xAB);
    put(RTC_B, HOURS_24 | PIE | AIE | UIE);
    ns += NS_PER_S;
    rtc_advance(&rtc);
    EXPECT(irq8.high);
    rtc_reset(&rtc);
    EXPECT(!irq8.high);
    EXPECT_EQ(rtc.due_ns, CLOCK_NEVER);
    EXPECT_EQ(get(RTC_B), HOURS_24);
    EXPECT_EQ(get(RTC_C), 0);
    EXPECT_EQ(get(0x40), 0xAB);
    expect_time(0x22, 0x13, 0x21);
}

static void test_values_that_no_clock_shows_are_kept_until_the_next_second_and_harm_nothing(void **state)
{
    (void)state;
    for (unsigned address = 0; address < 10; address++)
        put((uint8_t)address, 0xFF);
    put(RTC_CENTURY, 0xFF);
    EXPECT_EQ(get(RTC_MONTH), 0xFF);
    ns += NS_PER_S;
    EXPECT(get(RTC_MONTH) <= 0x12);
    EXPECT(get(RTC_HOURS) <= 0x23);
    put(RTC_MONTH, 0);
    put(RTC_DAY, 0);
    ns += NS_PER_S;
    EXPECT(get(RTC_MONTH) == 0x01 && get(RTC_DAY) == 0x01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_it_starts_at_the_wall_clock_in_24_hour_bcd),
        T(test_seconds_roll_into_minutes_hours_days_and_years),
        T(test_february_29_is_in_leap_years_only),
        T(test_binary_mode_keeps_binary_numbers),
        T(test_12_hour_mode_marks_the_afternoon_with_bit_7),
        T(test_set_stops_updates_and_nothing_is_made_up_for),
        T(test_set_clears_the_update_interrupt_enable),
        T(test_update_in_progress_is_set_244_microseconds_before_the_update_and_clear_after_it),
        T(test_with_uip_clear_at_least_244_microseconds_are_left_to_read_the_time),
        T(test_releasing_the_divider_makes_the_first_update_half_a_second_later),
        T(test_divider_settings_for_other_crystals_keep_no_time),
        T(test_bit_7_of_register_a_and_of_seconds_and_registers_c_and_d_are_read_only),
        T(test_the_update_ended_interrupt_comes_each_second_and_reading_c_clears_it),
        T(test_flags_are_set_without_their_enable_but_request_nothing),
        T(test_enabling_an_interrupt_whose_flag_is_set_requests_at_once),
        T(test_periodic_rates_are_those_of_the_table),
        T(test_rate_0_gives_no_periodic_interrupt),
        T(test_periodic_interrupts_go_on_while_set_holds_the_time),
        T(test_no_interrupt_is_due_while_the_line_is_high_for_c_must_be_read_first),
        T(test_the_alarm_comes_when_hours_minutes_and_seconds_match),
        T(test_the_alarm_of_this_very_second_comes_tomorrow),
        T(test_alarm_bytes_from_c0_match_anything),
        T(test_the_alarm_begins_a_later_hour_at_its_first_second),
        T(test_an_alarm_that_no_time_matches_never_comes),
        T(test_the_alarm_matches_in_12_hour_mode_too),
        T(test_the_alarm_agrees_with_stepping_through_the_day),
        T(test_an_alarm_that_passed_unwatched_is_seen_in_c),
        T(test_bytes_from_0e_on_are_memory),
        T(test_bit_7_of_the_index_masks_nmi_and_the_index_does_not_read),
        T(test_memory_sizes_lie_where_firmware_leaves_them),
        T(test_reset_disables_interrupts_and_keeps_time_and_memory),
        T(test_values_that_no_clock_shows_are_kept_until_the_next_second_and_harm_nothing),
    };

    return RUN_TESTS(tests);
}
