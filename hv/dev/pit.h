/*
 * The 8254 timer: three counters at 1.193182 MHz. Counter 0 drives IRQ 0; counter 2 belongs to port 0x61.
 *
 * Nothing ticks: a counter is a pure function of the time since it was loaded. Only rising edges
 * of counter 0 happen at moments of their own, and only while somebody watches IRQ 0;
 * pit_catch_up() gives what was skipped.
 *
 * Spec: Intel 8254 datasheet.
 */
#ifndef HV_DEV_PIT_H
#define HV_DEV_PIT_H

#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ       UINT64_C(1193182)
#define PIT_COUNTERS 3

struct pit_counter {
    uint8_t control; /* RW, M and BCD bits of the control word, as the status byte shows them */
    uint8_t mode;    /* 0 to 5 */
    bool gate;
    bool loaded;      /* a count was written since the control word */
    bool triggered;   /* modes 1 and 5: the gate rose after that */
    bool pending;     /* modes 2 and 3: @next_count comes into force at @loads_at */
    bool held;        /* the gate stops the counting element at @held_elapsed */
    bool out_before;  /* OUT until @origin */
    bool writes_high; /* the next write is the high byte */
    bool reads_high;  /* the next read is the high byte */
    bool count_latched;
    bool status_latched;
    uint8_t low_byte;
    uint8_t status;
    uint16_t latch;
    uint16_t before;       /* what the counting element shows until @origin */
    uint32_t count;        /* initial count in force: 1 to 65536, or to 10000 in BCD */
    uint32_t next_count;   /* as written last */
    uint64_t origin;       /* tick at which the counting element shows @count */
    uint64_t held_elapsed; /* ticks since @origin when it was held */
    uint64_t loads_at;     /* tick at which the last count written comes into force, or CLOCK_NEVER */
};

struct pit {
    struct pit_counter counters[PIT_COUNTERS];
    struct dev_line irq0;
    struct dev_clock clock;
    uint64_t seen_tick; /* counter 0's edges up to here have been given */
    uint64_t due_ns;    /* when pit_advance() is needed, or CLOCK_NEVER */
    bool watched;
    struct dev_counters registers;
};

/*
 * @clock and @irq0 are copied. Counters undefined until programmed: OUT low, gates 0 and 1 high, gate 2 low.
 */
void pit_init(struct pit *pit, const struct dev_clock *clock, const struct dev_line *irq0);
void pit_reset(struct pit *pit);

/* @port 0 to 2: the counters; 3: the control word (reads as 0xFF). */
uint8_t pit_read(struct pit *pit, unsigned port);
void pit_write(struct pit *pit, unsigned port, uint8_t value);

/*
 * Counter 2's gate and output, for port 0x61; and the refresh request, which toggles every 15 microseconds.
 */
void pit_gate2(struct pit *pit, bool high);
bool pit_out2(const struct pit *pit);
bool pit_refresh(const struct pit *pit);

/* Give the rising edge of counter 0 that is due, if any, and compute due_ns anew. */
void pit_advance(struct pit *pit);

/* Whether somebody can see edges of IRQ 0 as they come. Gives what is due before the change. */
void pit_watch(struct pit *pit, bool watched);

#endif
