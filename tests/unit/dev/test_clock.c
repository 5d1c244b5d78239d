/*
 * Device clocks and the calendar.
 */
#include "hv/dev/calendar.h"
#include "hv/dev/clock.h"

#include "tests/unit/test.h"

static void test_a_tick_is_done_at_the_nanosecond_that_clock_ns_gives_and_not_before(void **state)
{
    static const uint64_t rates[] = { 1,         3,          32768,      1193182,         3579545,
                                      999999999, 1000000000, 2893203000, CLOCK_HZ_MAXIMUM };
    static const uint64_t ticks[] = { 1, 2, 17, 65535, 65536, 1193182, 123456789, UINT64_C(1) << 40 };

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        for (unsigned j = 0; j < sizeof(ticks) / sizeof(ticks[0]); j++) {
            const uint64_t ns = clock_ns(ticks[j], rates[i]);

            if (ns == CLOCK_NEVER)
                continue;
            /* At rates above 1 GHz several ticks share a nanosecond. */
            EXPECT(clock_ticks(ns, rates[i]) >= ticks[j]);
            EXPECT(clock_ticks(ns - 1, rates[i]) < ticks[j]);
        }
    }
}

static void test_the_8254_clock_makes_1193182_ticks_in_every_second(void **state)
{
    (void)state;
    for (uint64_t second = 0; second < 100000; second += 999)
        EXPECT_EQ(clock_ticks(second * CLOCK_NS_PER_S, 1193182), second * 1193182);
}

static void test_a_moment_past_64_bits_is_never(void **state)
{
    (void)state;
    EXPECT_EQ(clock_ns(UINT64_MAX, 1), CLOCK_NEVER);
    EXPECT_EQ(clock_ns(UINT64_MAX, 32768), CLOCK_NEVER);
    EXPECT_EQ(clock_add(UINT64_MAX - 1, 2), CLOCK_NEVER);
    EXPECT_EQ(clock_add(5, CLOCK_NEVER), CLOCK_NEVER);
    EXPECT_EQ(clock_add(5, 6), 11);
}

static void expect_date(uint64_t unix_seconds, uint32_t year, uint32_t month, uint32_t day, uint32_t weekday)
{
    const struct calendar_time time = calendar_from_unix(unix_seconds);

    EXPECT_EQ(time.date.year, year);
    EXPECT_EQ(time.date.month, month);
    EXPECT_EQ(time.date.day, day);
    EXPECT_EQ(time.date.weekday, weekday);
    EXPECT_EQ(time.second, unix_seconds % 86400);
}

/* Dates as `date -u -d @N` gives them; 1 is Sunday. */
static void test_dates_are_those_of_the_gregorian_calendar(void **state)
{
    (void)state;
    expect_date(0, 1970, 1, 1, 5);
    expect_date(86399, 1970, 1, 1, 5);
    expect_date(86400, 1970, 1, 2, 6);
    expect_date(951782400, 2000, 2, 29, 3);
    expect_date(951868800, 2000, 3, 1, 4);
    expect_date(1700000000, 2023, 11, 14, 3);
    expect_date(1709164800, 2024, 2, 29, 5);
    expect_date(2147483647, 2038, 1, 19, 3);
    expect_date(4107456000, 2100, 2, 28, 1);
    expect_date(4107542400, 2100, 3, 1, 2); /* 2100 is no leap year */
    expect_date(253402300799, 9999, 12, 31, 6);
}

static void test_february_has_29_days_in_years_divisible_by_4_but_by_100_only_if_by_400(void **state)
{
    (void)state;
    EXPECT_EQ(calendar_month_days(1900, 2), 28);
    EXPECT_EQ(calendar_month_days(2000, 2), 29);
    EXPECT_EQ(calendar_month_days(2023, 2), 28);
    EXPECT_EQ(calendar_month_days(2024, 2), 29);
    EXPECT_EQ(calendar_month_days(2024, 12), 31);
    EXPECT_EQ(calendar_month_days(2024, 4), 30);
}

static void test_advancing_in_steps_ends_where_one_stride_does(void **state)
{
    struct calendar_time steps = calendar_from_unix(1700000000);
    struct calendar_time stride = steps;
    uint64_t total = 0;

    (void)state;
    for (uint64_t i = 1; i < 3000; i++) {
        const uint64_t step = i * i * 37 % 200000;

        calendar_advance(&steps, step);
        total += step;
    }
    calendar_advance(&stride, total);
    EXPECT_EQ(steps.second, stride.second);
    EXPECT_EQ(steps.date.year, stride.date.year);
    EXPECT_EQ(steps.date.month, stride.date.month);
    EXPECT_EQ(steps.date.day, stride.date.day);
    EXPECT_EQ(steps.date.weekday, stride.date.weekday);
}

static void test_years_past_9999_begin_again_at_0_and_any_stride_ends(void **state)
{
    struct calendar_time time = calendar_from_unix(253402300799);

    (void)state;
    calendar_advance(&time, 1);
    EXPECT_EQ(time.date.year, 0);
    EXPECT_EQ(time.date.month, 1);
    EXPECT_EQ(time.date.day, 1);
    calendar_advance(&time, UINT64_MAX);
    EXPECT(time.date.year <= 9999 && time.date.month >= 1 && time.date.month <= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tick_is_done_at_the_nanosecond_that_clock_ns_gives_and_not_before),
        cmocka_unit_test(test_the_8254_clock_makes_1193182_ticks_in_every_second),
        cmocka_unit_test(test_a_moment_past_64_bits_is_never),
        cmocka_unit_test(test_dates_are_those_of_the_gregorian_calendar),
        cmocka_unit_test(test_february_has_29_days_in_years_divisible_by_4_but_by_100_only_if_by_400),
        cmocka_unit_test(test_advancing_in_steps_ends_where_one_stride_does),
        cmocka_unit_test(test_years_past_9999_begin_again_at_0_and_any_stride_ends),
    };

    return RUN_TESTS(tests);
}
