/*
 * Inside the 8254: one counter as a function of time. Ticks are those of the input clock; all calls on one
 * counter must come with ticks that do not go backwards.
 *
 * Spec: Intel 8254 datasheet "Mode Definitions", "Read Operations".
 */
#ifndef HV_DEV_PIT_COUNTER_H
#define HV_DEV_PIT_COUNTER_H

#include "hv/dev/pit.h"

/* A control word that selects this counter, with RW bits other than zero. */
void pit_counter_control(struct pit_counter *counter, uint8_t value, uint64_t tick);

/* A byte of the count. */
void pit_counter_write(struct pit_counter *counter, uint8_t value, uint64_t tick);

/* The next byte: of the latched status, the latched count, or the counting element. */
uint8_t pit_counter_read(struct pit_counter *counter, uint64_t tick);

/* Latch count or status, unless one is latched already. */
void pit_counter_latch_count(struct pit_counter *counter, uint64_t tick);
void pit_counter_latch_status(struct pit_counter *counter, uint64_t tick);

/* The level at GATE. */
void pit_counter_gate(struct pit_counter *counter, bool high, uint64_t tick);

/* The level at OUT. */
bool pit_counter_out(const struct pit_counter *counter, uint64_t tick);

/* The first tick after @tick at which OUT rises by itself, or CLOCK_NEVER. */
uint64_t pit_counter_next_rise(const struct pit_counter *counter, uint64_t tick);

#endif
