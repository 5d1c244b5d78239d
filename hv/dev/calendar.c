/*
 * Calendar arithmetic, by whole cycles of 400 years, then years, then months: at most 400 and 12 steps.
 */
#include "hv/dev/calendar.h"

#define YEARS        10000 /* a clock's years are 0 to 9999 */
#define CYCLE_YEARS  400
#define CYCLE_DAYS   UINT64_C(146097)
#define UNIX_YEAR    1970
#define UNIX_WEEKDAY 5 /* 1 January 1970 was a Thursday */
#define WEEK_DAYS    7

static bool is_leap(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

uint32_t calendar_month_days(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month - 1] + (month == 2 && is_leap(year));
}

static uint32_t year_days(uint32_t year)
{
    return is_leap(year) ? 366 : 365;
}

/* Let @days pass. Counts from the start of the month, then of the year, so that whole steps can be taken. */
static void advance_days(struct calendar_date *date, uint64_t days)
{
    uint64_t left = days + date->day - 1;

    date->weekday = (uint32_t)((date->weekday - 1 + days) % WEEK_DAYS) + 1;
    for (; date->month > 1; date->month--)
        left += calendar_month_days(date->year, date->month - 1);
    date->year = (uint32_t)((date->year + left / CYCLE_DAYS * CYCLE_YEARS) % YEARS);
    left %= CYCLE_DAYS;
    while (left >= year_days(date->year)) {
        left -= year_days(date->year);
        date->year = (date->year + 1) % YEARS;
    }
    while (left >= calendar_month_days(date->year, date->month)) {
        left -= calendar_month_days(date->year, date->month);
        date->month++;
    }
    date->day = (uint32_t)left + 1;
}

void calendar_advance(struct calendar_time *time, uint64_t seconds)
{
    const uint64_t days = seconds / CALENDAR_SECONDS_PER_DAY;
    const uint32_t second = time->second + (uint32_t)(seconds % CALENDAR_SECONDS_PER_DAY);
    const uint32_t carried = second / CALENDAR_SECONDS_PER_DAY;

    time->second = second % CALENDAR_SECONDS_PER_DAY;
    if (days + carried != 0)
        advance_days(&time->date, days + carried);
}

struct calendar_time calendar_from_unix(uint64_t seconds)
{
    struct calendar_time time = {
        .date = { .year = UNIX_YEAR, .month = 1, .day = 1, .weekday = UNIX_WEEKDAY },
        .second = 0,
    };

    calendar_advance(&time, seconds);
    return time;
}
