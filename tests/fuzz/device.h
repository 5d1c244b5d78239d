/*
 * What the target of single devices is made of: a clock that it turns, and one run for each device.
 *
 * Timed devices run twice: one is woken at each of its deadlines and looked at whenever the input says, the other
 * only when an operation needs it. Nobody who reads them may see a difference.
 */
#ifndef TESTS_FUZZ_DEVICE_H
#define TESTS_FUZZ_DEVICE_H

#include "hv/dev/bits.h"
#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include "tests/fuzz/input.h"

#define DEVICE_NS_LIMIT BIT64(58)
#define DEVICE_OPS      2000
#define DEVICE_WAKES    40

/* Nanoseconds since the run began. */
extern uint64_t device_ns;

/* The clock that shows them. */
struct dev_clock device_clock(void);

/* A line that is checked to tell changes only. */
struct dev_line device_line(void);

/* When a step of time that the input gives (a mantissa, a shift) ends. */
uint64_t device_step(struct input *input);

/* One run of one device, until the input ends. */
void device_run_pit(struct input *input);
void device_run_rtc(struct input *input);
void device_run_acpi(struct input *input);
void device_run_apic_timer(struct input *input);
void device_run_pic(struct input *input);
void device_run_ioapic(struct input *input);
void device_run_uart(struct input *input);
void device_run_mpic_timers(struct input *input);

#endif
