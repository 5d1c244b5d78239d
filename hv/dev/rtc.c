/*
 * The MC146818A.
 *
 * The divider chain counts 32768 to the second; the registers are brought up to it by sync(), which every
 * access begins with. Invariant after sync(): flags, registers and line are what the chip would show now.
 */
#include "hv/dev/rtc.h"

#include "hv/dev/bits.h"
#include "hv/dev/calendar.h"

/* Register A. */
#define A_UPDATE_IN_PROGRESS BIT32(7)
#define A_DIVIDER_RUNS       2 /* bits 6:4 for a 32.768 kHz crystal */
#define A_DIVIDER_RESET      6 /* and 7 */

/* Register B. */
#define B_SET                BIT32(7)
#define B_PERIODIC           BIT32(6)
#define B_ALARM              BIT32(5)
#define B_UPDATE             BIT32(4)
#define B_BINARY             BIT32(2)
#define B_24_HOURS           BIT32(1)

/* Register C. */
#define C_REQUEST            BIT32(7)
#define C_PERIODIC           B_PERIODIC
#define C_ALARM              B_ALARM
#define C_UPDATE             B_UPDATE
#define C_FLAGS              (C_PERIODIC | C_ALARM | C_UPDATE)

#define D_VALID              BIT32(7)

#define HOUR_PM              0x80
#define DONT_CARE            0xC0 /* both bits set in an alarm byte: any value matches */
#define NO_MATCH             60   /* past every second, minute and hour */

/* An update cycle is announced 244 microseconds before, and takes 1984: ticks before the second rolls. */
#define UPDATE_TICKS         73

/* After the divider is released, the first update comes half a second later. */
#define HALF_SECOND          (RTC_HZ / 2)

static uint8_t *reg(struct rtc *rtc, enum rtc_address address)
{
    return &rtc->bytes[address];
}

static unsigned divider_of(uint8_t a)
{
    return bits_get(a, 6, 4);
}

static bool divider_runs(const struct rtc *rtc)
{
    return divider_of(rtc->bytes[RTC_A]) == A_DIVIDER_RUNS;
}

/* Whether the second rolls: the chain runs and the program does not hold the registers. */
static bool updates(const struct rtc *rtc)
{
    return divider_runs(rtc) && (rtc->bytes[RTC_B] & B_SET) == 0;
}

static uint64_t chain_now(const struct rtc *rtc)
{
    return divider_runs(rtc) ? clock_ticks(clock_now(&rtc->clock), RTC_HZ) + rtc->chain_offset : rtc->seen;
}

/* --- the registers' encoding --- */

static uint8_t encode(const struct rtc *rtc, uint32_t value)
{
    if ((rtc->bytes[RTC_B] & B_BINARY) != 0)
        return (uint8_t)value;
    return (uint8_t)(bits_put(value / 10, 4) | value % 10);
}

static uint32_t decode(const struct rtc *rtc, uint8_t byte)
{
    if ((rtc->bytes[RTC_B] & B_BINARY) != 0)
        return byte;
    return bits_get(byte, 7, 4) * 10 + bits_get(byte, 3, 0);
}

static uint8_t encode_hour(const struct rtc *rtc, uint32_t hour)
{
    if ((rtc->bytes[RTC_B] & B_24_HOURS) != 0)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0));
}

static uint32_t decode_hour(const struct rtc *rtc, uint8_t byte)
{
    if ((rtc->bytes[RTC_B] & B_24_HOURS) != 0)
        return decode(rtc, byte) % 24;
    return decode(rtc, byte & ~HOUR_PM) % 12 + ((byte & HOUR_PM) != 0 ? 12 : 0);
}

/* @value made to lie in 1 to @last. */
static uint32_t within(uint32_t value, uint32_t last)
{
    return value == 0 ? 1 : value > last ? last : value;
}

/* What the registers say. Values that no clock shows are taken for ones that it does. */
static struct calendar_time read_time(const struct rtc *rtc)
{
    const uint8_t *bytes = rtc->bytes;
    struct calendar_time time;

    time.second = decode_hour(rtc, bytes[RTC_HOURS]) * 3600 + decode(rtc, bytes[RTC_MINUTES]) % 60 * 60 +
                  decode(rtc, bytes[RTC_SECONDS]) % 60;
    time.date.year = decode(rtc, bytes[RTC_CENTURY]) % 100 * 100 + decode(rtc, bytes[RTC_YEAR]) % 100;
    time.date.month = within(decode(rtc, bytes[RTC_MONTH]), 12);
    time.date.day = within(decode(rtc, bytes[RTC_DAY]), calendar_month_days(time.date.year, time.date.month));
    time.date.weekday = within(bytes[RTC_WEEKDAY], 7);
    return time;
}

static void write_time(struct rtc *rtc, const struct calendar_time *time)
{
    *reg(rtc, RTC_SECONDS) = encode(rtc, time->second % 60);
    *reg(rtc, RTC_MINUTES) = encode(rtc, time->second / 60 % 60);
    *reg(rtc, RTC_HOURS) = encode_hour(rtc, time->second / 3600);
    *reg(rtc, RTC_WEEKDAY) = encode(rtc, time->date.weekday);
    *reg(rtc, RTC_DAY) = encode(rtc, time->date.day);
    *reg(rtc, RTC_MONTH) = encode(rtc, time->date.month);
    *reg(rtc, RTC_YEAR) = encode(rtc, time->date.year % 100);
    *reg(rtc, RTC_CENTURY) = encode(rtc, time->date.year / 100);
}

/* --- the alarm --- */

/* The first value from @first on that the alarm byte @alarm matches, or NO_MATCH if there is none. */
static uint32_t first_match(const struct rtc *rtc, enum rtc_address alarm, uint32_t first)
{
    const bool is_hour = alarm == RTC_HOURS_ALARM;
    const uint8_t wanted = rtc->bytes[alarm];

    for (uint32_t value = first; value < (is_hour ? 24U : 60U); value++) {
        if ((wanted & DONT_CARE) == DONT_CARE ||
            wanted == (is_hour ? encode_hour(rtc, value) : encode(rtc, value)))
            return value;
    }
    return NO_MATCH;
}

/*
 * The first second of the day from @from on at which the alarm matches, or the length of the day if none is
 * left. A part that moves on resets those below it; one that finds nothing more moves the one above.
 */
static uint32_t alarm_from(const struct rtc *rtc, uint32_t from)
{
    uint32_t hour = first_match(rtc, RTC_HOURS_ALARM, from / 3600);
    const bool same_hour = hour == from / 3600;
    uint32_t minute = first_match(rtc, RTC_MINUTES_ALARM, same_hour ? from / 60 % 60 : 0);
    const bool same_minute = same_hour && minute == from / 60 % 60;
    uint32_t second = first_match(rtc, RTC_SECONDS_ALARM, same_minute ? from % 60 : 0);

    if (second == NO_MATCH) {
        minute = first_match(rtc, RTC_MINUTES_ALARM, minute + 1);
        second = first_match(rtc, RTC_SECONDS_ALARM, 0);
    }
    if (minute == NO_MATCH) {
        hour = first_match(rtc, RTC_HOURS_ALARM, hour + 1);
        minute = first_match(rtc, RTC_MINUTES_ALARM, 0);
        second = first_match(rtc, RTC_SECONDS_ALARM, 0);
    }
    if (hour == NO_MATCH || minute == NO_MATCH || second == NO_MATCH)
        return CALENDAR_SECONDS_PER_DAY;
    return hour * 3600 + minute * 60 + second;
}

/* Seconds until the alarm matches next, 1 to 86400; or 0 if it never does. */
static uint32_t alarm_wait(const struct rtc *rtc)
{
    const uint32_t now = read_time(rtc).second;
    uint32_t match = alarm_from(rtc, now + 1);

    if (match < CALENDAR_SECONDS_PER_DAY)
        return match - now;
    match = alarm_from(rtc, 0);
    return match < CALENDAR_SECONDS_PER_DAY ? match + CALENDAR_SECONDS_PER_DAY - now : 0;
}

/* --- time passes --- */

/*
 * Chain ticks between two periodic interrupts, or 0. Spec: "Periodic Interrupt Rate and
 * Square-Wave Output Frequency".
 */
static uint64_t periodic_ticks(const struct rtc *rtc)
{
    const unsigned rate = bits_get(rtc->bytes[RTC_A], 3, 0);

    if (rate == 0)
        return 0;
    return BIT64(rate <= 2 ? rate + 6 : rate - 1);
}

static void update_line(struct rtc *rtc)
{
    uint8_t *c = reg(rtc, RTC_C);

    *c &= C_FLAGS;
    if ((*c & *reg(rtc, RTC_B) & C_FLAGS) != 0)
        *c |= C_REQUEST;
    dev_line_set(&rtc->irq8, (*c & C_REQUEST) != 0);
}

static void roll_seconds(struct rtc *rtc, uint64_t seconds)
{
    const uint32_t wait = alarm_wait(rtc);
    struct calendar_time time = read_time(rtc);

    calendar_advance(&time, seconds);
    write_time(rtc, &time);
    *reg(rtc, RTC_C) |= C_UPDATE;
    if (wait != 0 && wait <= seconds)
        *reg(rtc, RTC_C) |= C_ALARM;
}

static void sync(struct rtc *rtc)
{
    const uint64_t chain = chain_now(rtc);
    const uint64_t seconds = chain / RTC_HZ - rtc->seen / RTC_HZ;
    const uint64_t period = periodic_ticks(rtc);

    if (period != 0 && chain / period != rtc->seen / period)
        *reg(rtc, RTC_C) |= C_PERIODIC;
    if (seconds != 0 && updates(rtc))
        roll_seconds(rtc, seconds);
    rtc->seen = chain;
    update_line(rtc);
}

/*
 * When the line will rise by itself: never while it is high, for then the guest has to read register C first.
 */
static void schedule(struct rtc *rtc)
{
    const uint8_t b = *reg(rtc, RTC_B);
    const uint64_t period = periodic_ticks(rtc);
    const uint64_t second = rtc->seen / RTC_HZ;
    uint64_t next = CLOCK_NEVER;

    rtc->due_ns = CLOCK_NEVER;
    if (rtc->irq8.high || !divider_runs(rtc))
        return;
    if ((b & B_PERIODIC) != 0 && period != 0)
        next = (rtc->seen / period + 1) * period;
    if ((b & B_UPDATE) != 0 && updates(rtc))
        next = clock_earlier(next, (second + 1) * RTC_HZ);
    if ((b & B_ALARM) != 0 && updates(rtc) && alarm_wait(rtc) != 0)
        next = clock_earlier(next, (second + alarm_wait(rtc)) * RTC_HZ);
    if (next != CLOCK_NEVER)
        rtc->due_ns = clock_ns(next - rtc->chain_offset, RTC_HZ);
}

void rtc_advance(struct rtc *rtc)
{
    sync(rtc);
    schedule(rtc);
}

/* --- access --- */

/*
 * The chain goes on from where it stood; from a reset it starts so that the first second
 * ends half a second later.
 */
static void write_a(struct rtc *rtc, uint8_t value)
{
    const bool ran = divider_runs(rtc);
    const bool was_reset = divider_of(*reg(rtc, RTC_A)) >= A_DIVIDER_RESET;

    *reg(rtc, RTC_A) = value & ~A_UPDATE_IN_PROGRESS;
    if (ran || !divider_runs(rtc))
        return;
    if (was_reset)
        rtc->seen = rtc->seen / RTC_HZ * RTC_HZ + HALF_SECOND;
    rtc->chain_offset = rtc->seen - clock_ticks(clock_now(&rtc->clock), RTC_HZ);
}

static void write_data(struct rtc *rtc, unsigned address, uint8_t value)
{
    switch (address) {
    case RTC_SECONDS: rtc->bytes[address] = value & 0x7F; break; /* bit 7 is read-only */
    case RTC_A: write_a(rtc, value); break;
    case RTC_B: rtc->bytes[address] = (value & B_SET) != 0 ? value & ~B_UPDATE : value; break;
    case RTC_C:
    case RTC_D: break;
    default: rtc->bytes[address] = value; break;
    }
}

void rtc_write(struct rtc *rtc, unsigned port, uint8_t value)
{
    rtc->registers.writes++;
    if (port == 0) {
        rtc->index = value;
        return;
    }
    sync(rtc);
    write_data(rtc, rtc->index % RTC_BYTES, value);
    update_line(rtc);
    schedule(rtc);
}

static uint8_t read_a(const struct rtc *rtc)
{
    const bool updating = updates(rtc) && rtc->seen % RTC_HZ >= RTC_HZ - UPDATE_TICKS;

    return rtc->bytes[RTC_A] | (updating ? A_UPDATE_IN_PROGRESS : 0);
}

/* Reading shows the flags and clears them all. */
static uint8_t read_c(struct rtc *rtc)
{
    const uint8_t flags = *reg(rtc, RTC_C);

    *reg(rtc, RTC_C) = 0;
    update_line(rtc);
    schedule(rtc);
    return flags;
}

uint8_t rtc_read(struct rtc *rtc, unsigned port)
{
    const unsigned address = rtc->index % RTC_BYTES;

    rtc->registers.reads++;
    if (port == 0)
        return 0xFF;
    if (address > RTC_D && address != RTC_CENTURY)
        return rtc->bytes[address];
    sync(rtc);
    switch (address) {
    case RTC_A: return read_a(rtc);
    case RTC_C: return read_c(rtc);
    case RTC_D: return D_VALID;
    default: return rtc->bytes[address];
    }
}

/* --- set-up --- */

static void put_word(struct rtc *rtc, unsigned address, uint64_t value)
{
    rtc->bytes[address] = byte_of(value, 0);
    rtc->bytes[address + 1] = byte_of(value, 1);
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

void rtc_set_memory(struct rtc *rtc, uint64_t below_4g_bytes, uint64_t above_4g_bytes)
{
    const uint64_t mib = UINT64_C(1) << 20;
    const uint64_t above_1m = below_4g_bytes > mib ? below_4g_bytes - mib : 0;
    const uint64_t above_16m = below_4g_bytes > 16 * mib ? below_4g_bytes - 16 * mib : 0;
    const uint64_t above_4g = at_most(above_4g_bytes / 65536, 0xFFFFFF);
    unsigned sum = 0;

    put_word(rtc, RTC_BASE_KIB_LOW, at_most(below_4g_bytes / 1024, 640));
    put_word(rtc, RTC_EXTENDED_KIB_LOW, at_most(above_1m / 1024, 0xFFFF));
    put_word(rtc, RTC_EXTENDED_KIB_LOW_POST, at_most(above_1m / 1024, 0xFFFF));
    put_word(rtc, RTC_ABOVE_16M_LOW, at_most(above_16m / 65536, 0xFFFF));
    put_word(rtc, RTC_ABOVE_4G_LOW, above_4g);
    rtc->bytes[RTC_ABOVE_4G_LOW + 2] = byte_of(above_4g, 2);
    for (unsigned i = 0x10; i < RTC_CHECKSUM_HIGH; i++)
        sum += rtc->bytes[i];
    rtc->bytes[RTC_CHECKSUM_HIGH] = byte_of(sum, 1);
    rtc->bytes[RTC_CHECKSUM_LOW] = byte_of(sum, 0);
}

void rtc_reset(struct rtc *rtc)
{
    sync(rtc);
    *reg(rtc, RTC_B) &= ~(B_PERIODIC | B_ALARM | B_UPDATE);
    *reg(rtc, RTC_C) = 0;
    rtc->index = 0;
    update_line(rtc);
    schedule(rtc);
}

void rtc_init(struct rtc *rtc, const struct dev_clock *clock, const struct dev_line *irq8,
              uint64_t wall_clock_s)
{
    const struct calendar_time time = calendar_from_unix(wall_clock_s);

    *rtc = (struct rtc){ .clock = *clock, .irq8 = *irq8 };
    *reg(rtc, RTC_A) = 0x26; /* 32.768 kHz, 1024 Hz, as firmware sets it */
    *reg(rtc, RTC_B) = B_24_HOURS;
    rtc->chain_offset = 0 - clock_ticks(clock_now(clock), RTC_HZ);
    write_time(rtc, &time);
    schedule(rtc);
}
