/*
 * Device clocks: a counter of any frequency seen from the nanosecond clock of the
 * host, exactly, without drift.
 *
 * A counter of @hz shows floor(ns * hz / 10^9) at nanosecond ns. The two conversions are inverse:
 * clock_ns() gives the first nanosecond at which clock_ticks() has reached a value, so a timer that wakes
 * then finds its tick done.
 */
#ifndef HV_DEV_CLOCK_H
#define HV_DEV_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_S   UINT64_C(1000000000)
#define CLOCK_NEVER      UINT64_MAX
#define CLOCK_HZ_MAXIMUM UINT64_C(16000000000) /* a remainder below it times 10^9 fits in 64 bits */

/* Where a device reads the time: nanoseconds that never go backwards. Borrowed for the device's life. */
struct dev_clock {
    uint64_t (*now_ns)(void *context);
    void *context;
};

static inline uint64_t clock_now(const struct dev_clock *clock)
{
    return clock->now_ns(clock->context);
}

/* Ticks of a counter of @hz (1 to CLOCK_HZ_MAXIMUM) that are done @ns nanoseconds after it was zero. */
static inline uint64_t clock_ticks(uint64_t ns, uint64_t hz)
{
    return ns / CLOCK_NS_PER_S * hz + ns % CLOCK_NS_PER_S * hz / CLOCK_NS_PER_S;
}

/* The first nanosecond at which @ticks ticks are done; CLOCK_NEVER if that is past the end of 64 bits. */
static inline uint64_t clock_ns(uint64_t ticks, uint64_t hz)
{
    const uint64_t seconds = ticks / hz;
    const uint64_t rest = (ticks % hz * CLOCK_NS_PER_S + hz - 1) / hz;

    if (seconds >= UINT64_MAX / CLOCK_NS_PER_S - 1)
        return CLOCK_NEVER;
    return seconds * CLOCK_NS_PER_S + rest;
}

/* @a + @b, held at CLOCK_NEVER. */
static inline uint64_t clock_add(uint64_t a, uint64_t b)
{
    return a > CLOCK_NEVER - b ? CLOCK_NEVER : a + b;
}

static inline uint64_t clock_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
