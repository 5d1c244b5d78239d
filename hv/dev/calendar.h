/*
 * Dates of the Gregorian calendar, as a clock chip keeps them.
 */
#ifndef HV_DEV_CALENDAR_H
#define HV_DEV_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_SECONDS_PER_DAY 86400

struct calendar_date {
    uint32_t year;    /* 0 to 9999 */
    uint32_t month;   /* 1 to 12 */
    uint32_t day;     /* 1 to 31 */
    uint32_t weekday; /* 1 to 7, 1 being Sunday on a clock that was set right */
};

struct calendar_time {
    struct calendar_date date;
    uint32_t second; /* of the day: 0 to 86399 */
};

/* Days of @month (1 to 12) in @year. */
uint32_t calendar_month_days(uint32_t year, uint32_t month);

/* @seconds since the start of 1970. Years past 9999 begin again at 0. */
struct calendar_time calendar_from_unix(uint64_t seconds);

/* Let @seconds pass: the weekday counts along, whatever it was. */
void calendar_advance(struct calendar_time *time, uint64_t seconds);

#endif
