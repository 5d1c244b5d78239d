/*
 * The MC146818A real-time clock with 128 bytes of CMOS memory, on a 32.768 kHz crystal; interrupt on IRQ 8.
 *
 * Time stands in the registers as the guest wrote it and is brought forward when somebody looks, or when an
 * enabled interrupt falls due. The century at 0x32 counts along, as in the DS12C887.
 *
 * Spec: Motorola MC146818A datasheet.
 */
#ifndef HV_DEV_RTC_H
#define HV_DEV_RTC_H

#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include <stdbool.h>
#include <stdint.h>

#define RTC_HZ    UINT64_C(32768)
#define RTC_BYTES 128

/* CMOS addresses, as PC firmware uses them. */
enum rtc_address {
    RTC_SECONDS = 0,
    RTC_SECONDS_ALARM = 1,
    RTC_MINUTES = 2,
    RTC_MINUTES_ALARM = 3,
    RTC_HOURS = 4,
    RTC_HOURS_ALARM = 5,
    RTC_WEEKDAY = 6,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_A = 10,
    RTC_B = 11,
    RTC_C = 12,
    RTC_D = 13,
    RTC_EQUIPMENT = 0x14,
    RTC_BASE_KIB_LOW = 0x15,
    RTC_EXTENDED_KIB_LOW = 0x17,
    RTC_CHECKSUM_HIGH = 0x2E,
    RTC_CHECKSUM_LOW = 0x2F,
    RTC_EXTENDED_KIB_LOW_POST = 0x30,
    RTC_CENTURY = 0x32,
    RTC_ABOVE_16M_LOW = 0x34,
    RTC_ABOVE_4G_LOW = 0x5B,
};

struct rtc {
    uint8_t bytes[RTC_BYTES];
    uint8_t index; /* as last written to port 0x70, bit 7 included */
    struct dev_line irq8;
    struct dev_clock clock;
    uint64_t chain_offset; /* added to the crystal's ticks gives the divider chain; wraps */
    uint64_t seen;         /* chain value up to which everything has happened */
    uint64_t due_ns;       /* when rtc_advance() is needed, or CLOCK_NEVER */
    struct dev_counters registers;
};

/*
 * @clock and @irq8 are copied. Starts at @wall_clock_s seconds since 1970, 24-hour BCD, no interrupt enabled.
 */
void rtc_init(struct rtc *rtc, const struct dev_clock *clock, const struct dev_line *irq8,
              uint64_t wall_clock_s);

/* RESET pin: interrupts disabled, flags cleared; time and memory stay, as the battery keeps them. */
void rtc_reset(struct rtc *rtc);

/* Memory sizes where PC firmware leaves them, and the checksum over 0x10-0x2D. */
void rtc_set_memory(struct rtc *rtc, uint64_t below_4g_bytes, uint64_t above_4g_bytes);

/* @port 0: the index (0x70), 1: the data (0x71). The index reads as 0xFF. */
uint8_t rtc_read(struct rtc *rtc, unsigned port);
void rtc_write(struct rtc *rtc, unsigned port, uint8_t value);

/* Bit 7 of the index port: NMI is held off. */
static inline bool rtc_masks_nmi(const struct rtc *rtc)
{
    return (rtc->index & 0x80) != 0;
}

/* Raise what is due, and compute due_ns anew. */
void rtc_advance(struct rtc *rtc);

#endif
