/*
 * The 8254's ports, and counter 0's line to IRQ 0.
 *
 * A free-running counter's falling edges are not given: the line stays high from one rise to just before the
 * next, so a tick lives until it is acknowledged, however late the VP comes. A control word, or a count in
 * mode 0, sets the true level.
 */
#include "hv/dev/pit.h"

#include "hv/dev/bits.h"
#include "hv/dev/pit_counter.h"

#define CONTROL_PORT        3

/* The read-back command; its two bits are active low. */
#define SELECT_READ_BACK    3
#define READ_BACK_NO_COUNT  BIT32(5)
#define READ_BACK_NO_STATUS BIT32(4)

/* Ticks start here, so that a period that began before the first nanosecond has a tick to begin at. */
#define TICK_BIAS           UINT64_C(65536)

/* The refresh request comes every 18 ticks of counter 1, as firmware programs it. */
#define REFRESH_TICKS       18

/* The shortest time between two edges that are given apart: a VP that is woken more often gets nowhere. */
#define EDGE_FLOOR_NS       UINT64_C(2000)

static uint64_t tick_now(const struct pit *pit)
{
    return clock_ticks(clock_now(&pit->clock), PIT_HZ) + TICK_BIAS;
}

static void schedule(struct pit *pit)
{
    uint64_t rise = CLOCK_NEVER;

    if (pit->watched)
        rise = pit_counter_next_rise(&pit->counters[0], pit->seen_tick);
    pit->due_ns = rise == CLOCK_NEVER ? CLOCK_NEVER : clock_ns(rise - TICK_BIAS, PIT_HZ);
}

/* Give the edges of counter 0 up to now as one. */
static void catch_up(struct pit *pit, uint64_t tick)
{
    if (pit_counter_next_rise(&pit->counters[0], pit->seen_tick) <= tick) {
        dev_line_set(&pit->irq0, false);
        dev_line_set(&pit->irq0, true);
    }
    pit->seen_tick = tick;
}

void pit_advance(struct pit *pit)
{
    const uint64_t edges = pit->irq0.raised;
    const uint64_t now = clock_now(&pit->clock);

    catch_up(pit, clock_ticks(now, PIT_HZ) + TICK_BIAS);
    schedule(pit);
    if (edges != pit->irq0.raised && pit->due_ns < now + EDGE_FLOOR_NS)
        pit->due_ns = now + EDGE_FLOOR_NS;
}

void pit_watch(struct pit *pit, bool watched)
{
    if (pit->watched == watched)
        return;
    catch_up(pit, tick_now(pit));
    pit->watched = watched;
    schedule(pit);
}

uint8_t pit_read(struct pit *pit, unsigned port)
{
    pit->registers.reads++;
    if (port == CONTROL_PORT)
        return 0xFF;
    return pit_counter_read(&pit->counters[port], tick_now(pit));
}

static void read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
    for (unsigned i = 0; i < PIT_COUNTERS; i++) {
        if (!bit_is_set(value, i + 1))
            continue;
        if ((value & READ_BACK_NO_COUNT) == 0)
            pit_counter_latch_count(&pit->counters[i], tick);
        if ((value & READ_BACK_NO_STATUS) == 0)
            pit_counter_latch_status(&pit->counters[i], tick);
    }
}

static void write_control(struct pit *pit, uint8_t value, uint64_t tick)
{
    const unsigned select = bits_get(value, 7, 6);

    if (select == SELECT_READ_BACK) {
        read_back(pit, value, tick);
    } else if (bits_get(value, 5, 4) == 0) {
        pit_counter_latch_count(&pit->counters[select], tick);
    } else {
        pit_counter_control(&pit->counters[select], value, tick);
    }
}

void pit_write(struct pit *pit, unsigned port, uint8_t value)
{
    const uint64_t tick = tick_now(pit);
    const bool programs = port == CONTROL_PORT && bits_get(value, 7, 6) == 0 && bits_get(value, 5, 4) != 0;

    pit->registers.writes++;
    catch_up(pit, tick);
    if (port == CONTROL_PORT) {
        write_control(pit, value, tick);
    } else {
        pit_counter_write(&pit->counters[port], value, tick);
    }
    if (programs || (port == 0 && pit->counters[0].mode == 0))
        dev_line_set(&pit->irq0, pit_counter_out(&pit->counters[0], tick));
    schedule(pit);
}

void pit_gate2(struct pit *pit, bool high)
{
    pit_counter_gate(&pit->counters[2], high, tick_now(pit));
}

bool pit_out2(const struct pit *pit)
{
    return pit_counter_out(&pit->counters[2], tick_now(pit));
}

bool pit_refresh(const struct pit *pit)
{
    return (tick_now(pit) / REFRESH_TICKS & 1) != 0;
}

void pit_reset(struct pit *pit)
{
    for (unsigned i = 0; i < PIT_COUNTERS; i++)
        pit->counters[i] = (struct pit_counter){ .gate = i != 2, .loads_at = CLOCK_NEVER };
    pit->seen_tick = tick_now(pit);
    dev_line_set(&pit->irq0, false);
    schedule(pit);
}

void pit_init(struct pit *pit, const struct dev_clock *clock, const struct dev_line *irq0)
{
    *pit = (struct pit){ .clock = *clock, .irq0 = *irq0 };
    pit_reset(pit);
}
