#include "hv/x86/vp/wall_clock.h"

#include <stdbool.h>

#include "hv/x86/cpu.h"

enum {
    CMOS_SECONDS = 0,
    CMOS_MINUTES = 2,
    CMOS_HOURS = 4,
    CMOS_DAY = 7,
    CMOS_MONTH = 8,
    CMOS_YEAR = 9,
    CMOS_A = 10,
    CMOS_B = 11
};

#define A_UPDATING 0x80
#define B_24_HOURS 0x02
#define B_BINARY   0x04
#define HOURS_PM   0x80
#define READ_TRIES 100000

struct reading {
    uint8_t fields[6]; /* seconds, minutes, hours, day, month, year */
};

static uint8_t cmos(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static struct reading read_fields(void)
{
    static const uint8_t order[6] = {
        CMOS_SECONDS, CMOS_MINUTES, CMOS_HOURS, CMOS_DAY, CMOS_MONTH, CMOS_YEAR
    };
    struct reading reading;

    for (unsigned tries = 0; tries < READ_TRIES && cmos(CMOS_A) & A_UPDATING; tries++) {
    }
    for (unsigned i = 0; i < 6; i++) {
        reading.fields[i] = cmos(order[i]);
    }
    return reading;
}

static unsigned decode(uint8_t value, bool binary)
{
    return binary ? value : (value >> 4) * 10u + (value & 15);
}

/* Days from 1970-01-01 to a date of the years 2000 to 2099, where every fourth year is a leap year. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    const unsigned leap_days = (year + 3) / 4 + (year % 4 == 0 && month > 2);

    return 10957 + year * 365u + leap_days + before[(month - 1) % 12] + day - 1;
}

uint64_t x86_wall_clock_s(void)
{
    struct reading reading = read_fields();
    struct reading again = read_fields();
    const uint8_t control = cmos(CMOS_B);
    const bool binary = control & B_BINARY;
    unsigned hours;

    /* Two readings alike did not straddle an update. */
    for (unsigned tries = 0; tries < 8 && __builtin_memcmp(&reading, &again, sizeof reading) != 0; tries++) {
        reading = again;
        again = read_fields();
    }
    hours = decode(reading.fields[2] & (uint8_t)~HOURS_PM, binary);
    if (!(control & B_24_HOURS)) {
        hours = hours % 12 + (reading.fields[2] & HOURS_PM ? 12 : 0);
    }
    return days_since_1970(decode(reading.fields[5], binary) % 100, decode(reading.fields[4], binary),
                           decode(reading.fields[3], binary)) *
               86400 +
           hours * 3600ull + decode(reading.fields[1], binary) * 60ull + decode(reading.fields[0], binary);
}
