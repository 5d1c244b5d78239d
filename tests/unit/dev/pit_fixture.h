/*
 * What the tests of the 8254 share: one timer on a clock that is told in CLK pulses. A count written between
 * two pulses is loaded by the next one.
 *
 * One program includes this once; the timer is the program's own.
 */
#ifndef TESTS_UNIT_DEV_PIT_FIXTURE_H
#define TESTS_UNIT_DEV_PIT_FIXTURE_H

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
static inline void at(uint64_t pulses)
{
    ns = clock_ns(start_tick + pulses, PIT_HZ);
}

/* What follows counts its pulses from here. */
static inline void begin(void)
{
    start_tick = clock_ticks(ns, PIT_HZ);
}

static inline int setup(void **state)
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

static inline void control(uint8_t value)
{
    pit_write(&pit, CONTROL, value);
}

/* Program @counter with @count in @mode, low byte first, at pulse 0. */
static inline void program(unsigned counter, unsigned mode, uint16_t count)
{
    begin();
    control(BOTH(counter, mode));
    pit_write(&pit, counter, (uint8_t)count);
    pit_write(&pit, counter, (uint8_t)(count >> 8));
}

/* The counter latch command, and both bytes. */
static inline uint16_t count_of(unsigned counter)
{
    uint8_t low;

    control(LATCH(counter));
    low = pit_read(&pit, counter);
    return (uint16_t)(low | pit_read(&pit, counter) << 8);
}

static inline uint8_t status_of(unsigned counter)
{
    control((uint8_t)(0xE0 | 2 << counter));
    return pit_read(&pit, counter);
}

static inline bool out_of(unsigned counter)
{
    return (status_of(counter) & 0x80) != 0;
}

#endif
