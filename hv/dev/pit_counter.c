/*
 * One counter of the 8254.
 *
 * A count that is written, or a trigger, is taken at the next clock: @origin is one tick later. From there
 * the counting element and OUT follow from the ticks elapsed; nothing is stepped.
 */
#include "hv/dev/pit_counter.h"

#include "hv/dev/bits.h"

enum {
    ON_TERMINAL_COUNT = 0,
    ONE_SHOT = 1,
    RATE = 2,
    SQUARE_WAVE = 3,
    SOFTWARE_STROBE = 4,
    HARDWARE_STROBE = 5,
};

enum {
    RW_LOW = 1,
    RW_HIGH = 2,
    RW_BOTH = 3,
};

#define STATUS_OUT  0x80
#define STATUS_NULL 0x40

static bool is_periodic(const struct pit_counter *counter)
{
    return counter->mode == RATE || counter->mode == SQUARE_WAVE;
}

static bool is_triggered_by_gate(const struct pit_counter *counter)
{
    return counter->mode == ONE_SHOT || counter->mode == HARDWARE_STROBE;
}

static bool is_bcd(const struct pit_counter *counter)
{
    return (counter->control & 1) != 0;
}

static unsigned rw_of(const struct pit_counter *counter)
{
    return bits_get(counter->control, 5, 4);
}

static uint32_t modulus(const struct pit_counter *counter)
{
    return is_bcd(counter) ? 10000 : 65536;
}

/* Ticks that a square wave of @count stays high: one more than low if @count is odd. */
static uint32_t high_ticks(uint32_t count)
{
    return (count + 1) / 2;
}

/* Whether the counting element has been loaded at @tick. */
static bool is_counting(const struct pit_counter *counter, uint64_t tick)
{
    return counter->loaded && (counter->triggered || !is_triggered_by_gate(counter)) &&
           tick >= counter->origin;
}

static uint64_t elapsed(const struct pit_counter *counter, uint64_t tick)
{
    return counter->held ? counter->held_elapsed : tick - counter->origin;
}

/* Put a pending count into force if its moment has come: the end of a period, or of half a square wave. */
static void settle(struct pit_counter *counter, uint64_t tick)
{
    bool ends_high;

    if (!counter->pending || tick < counter->loads_at)
        return;
    ends_high = (counter->loads_at - counter->origin) % counter->count != 0;
    counter->pending = false;
    counter->count = counter->next_count;
    counter->origin = counter->loads_at - (ends_high ? high_ticks(counter->count) : 0);
}

/* What the counting element holds, in binary. */
static uint32_t element(const struct pit_counter *counter, uint64_t tick)
{
    const uint32_t count = counter->count;
    uint64_t position;

    if (!is_counting(counter, tick))
        return counter->before;
    position = elapsed(counter, tick);
    if (!is_periodic(counter))
        return (uint32_t)(count + modulus(counter) - position % modulus(counter)) % modulus(counter);
    position %= count;
    if (counter->mode == RATE)
        return (count - (uint32_t)position) % modulus(counter);
    if (position >= high_ticks(count))
        position -= high_ticks(count);
    return ((count & ~UINT32_C(1)) - 2 * (uint32_t)position) % modulus(counter);
}

static uint16_t to_bcd(uint32_t value)
{
    return (uint16_t)(bits_put(value / 1000, 12) | bits_put(value / 100 % 10, 8) |
                      bits_put(value / 10 % 10, 4) | value % 10);
}

static uint32_t from_bcd(uint16_t value)
{
    return bits_get(value, 15, 12) * 1000 + bits_get(value, 11, 8) * 100 + bits_get(value, 7, 4) * 10 +
           bits_get(value, 3, 0);
}

static uint16_t shown(const struct pit_counter *counter, uint64_t tick)
{
    const uint32_t value = element(counter, tick);

    return is_bcd(counter) ? to_bcd(value) : (uint16_t)value;
}

/* OUT, of a counter that is settled. */
static bool output(const struct pit_counter *counter, uint64_t tick)
{
    uint64_t position;

    if (!counter->loaded || (is_triggered_by_gate(counter) && !counter->triggered))
        return counter->mode != ON_TERMINAL_COUNT;
    if (tick < counter->origin)
        return counter->out_before;
    position = elapsed(counter, tick);
    switch (counter->mode) {
    case ON_TERMINAL_COUNT:
    case ONE_SHOT: return position >= counter->count;
    case RATE: return counter->held || position % counter->count != counter->count - 1;
    case SQUARE_WAVE: return counter->held || position % counter->count < high_ticks(counter->count);
    default: return counter->held || position != counter->count;
    }
}

bool pit_counter_out(const struct pit_counter *counter, uint64_t tick)
{
    struct pit_counter settled = *counter;

    settle(&settled, tick);
    return output(&settled, tick);
}

/* The next rise if no count is pending. */
static uint64_t free_rise(const struct pit_counter *counter, uint64_t tick)
{
    uint64_t rise = counter->origin + counter->count;

    if (is_periodic(counter)) {
        if (tick >= counter->origin)
            rise = tick + counter->count - (tick - counter->origin) % counter->count;
        return rise;
    }
    if (counter->mode == SOFTWARE_STROBE || counter->mode == HARDWARE_STROBE)
        rise++;
    return rise > tick ? rise : CLOCK_NEVER;
}

/* Whether a count that waits for its clock ends a strobe there: OUT is low until then, and high with it. */
static bool rises_at_origin(const struct pit_counter *counter, uint64_t tick)
{
    return tick < counter->origin && !counter->out_before && output(counter, counter->origin);
}

uint64_t pit_counter_next_rise(const struct pit_counter *counter, uint64_t tick)
{
    struct pit_counter settled = *counter;
    uint64_t rise;

    if (!counter->loaded || (is_triggered_by_gate(counter) && !counter->triggered))
        return CLOCK_NEVER;
    if (rises_at_origin(counter, tick))
        return counter->origin;
    if (counter->held)
        return CLOCK_NEVER;
    settle(&settled, tick);
    rise = free_rise(&settled, tick);
    if (!settled.pending || rise <= settled.loads_at)
        return rise;
    settle(&settled, settled.loads_at);
    return free_rise(&settled, counter->loads_at);
}

/* --- programming --- */

void pit_counter_control(struct pit_counter *counter, uint8_t value, uint64_t tick)
{
    const unsigned mode = bits_get(value, 3, 1);
    uint32_t before;

    settle(counter, tick);
    before = element(counter, tick);
    *counter = (struct pit_counter){
        .control = value & 0x3F,
        .mode = (uint8_t)(mode > HARDWARE_STROBE ? mode - 4 : mode), /* 6 and 7 are modes 2 and 3 */
        .gate = counter->gate,
        .before = (uint16_t)before,
        .loads_at = CLOCK_NEVER,
    };
}

/* Take @count at the clock after @tick; the element and OUT stay until then. */
static void load(struct pit_counter *counter, uint32_t count, uint64_t tick)
{
    counter->before = (uint16_t)element(counter, tick);
    counter->out_before = counter->mode != ON_TERMINAL_COUNT && output(counter, tick);
    counter->count = count;
    counter->origin = tick + 1;
    counter->loads_at = tick + 1;
    counter->held_elapsed = 0;
    counter->pending = false;
}

/* The end of the period, or of half a square wave, that @tick lies in. */
static uint64_t period_end(const struct pit_counter *counter, uint64_t tick)
{
    const uint64_t position = (tick - counter->origin) % counter->count;
    const uint64_t start = tick - position;

    if (counter->mode == SQUARE_WAVE && position < high_ticks(counter->count))
        return start + high_ticks(counter->count);
    return start + counter->count;
}

static void write_periodic(struct pit_counter *counter, uint64_t tick)
{
    if (!counter->loaded || tick < counter->origin) {
        load(counter, counter->next_count, tick);
        counter->held = !counter->gate;
    } else if (counter->held) {
        counter->loads_at = CLOCK_NEVER; /* taken when the gate rises */
    } else {
        counter->pending = true;
        counter->loads_at = period_end(counter, tick);
    }
}

/* A whole count has been written. Modes 2 and 3 cannot count from 1: the least that they can is 2. */
static void write_count(struct pit_counter *counter, uint16_t raw, uint64_t tick)
{
    uint32_t count = is_bcd(counter) ? from_bcd(raw) % 10000 : raw;

    if (count == 0)
        count = modulus(counter);
    if (count == 1 && is_periodic(counter))
        count = 2;
    counter->next_count = count;
    if (is_periodic(counter)) {
        write_periodic(counter, tick);
    } else if (is_triggered_by_gate(counter)) {
        counter->loads_at = CLOCK_NEVER; /* taken at the trigger */
    } else {
        load(counter, count, tick);
        counter->held = !counter->gate;
    }
    counter->loaded = true;
}

void pit_counter_write(struct pit_counter *counter, uint8_t value, uint64_t tick)
{
    settle(counter, tick);
    switch (rw_of(counter)) {
    case RW_LOW: write_count(counter, value, tick); break;
    case RW_HIGH: write_count(counter, (uint16_t)(value << 8), tick); break;
    case RW_BOTH:
        if (counter->writes_high) {
            write_count(counter, (uint16_t)(value << 8 | counter->low_byte), tick);
        } else if (counter->mode == ON_TERMINAL_COUNT) {
            /* The first byte stops counting and takes OUT low. */
            counter->before = (uint16_t)element(counter, tick);
            counter->loaded = false;
        }
        counter->low_byte = value;
        counter->writes_high = !counter->writes_high;
        break;
    default: break; /* no control word yet */
    }
}

static void gate_rises(struct pit_counter *counter, uint64_t tick)
{
    if (is_triggered_by_gate(counter) || is_periodic(counter)) {
        load(counter, counter->next_count, tick);
        counter->triggered = true;
    } else if (tick >= counter->origin) {
        counter->origin = tick - counter->held_elapsed;
    }
    counter->held = false;
}

static void gate_falls(struct pit_counter *counter, uint64_t tick)
{
    if (is_triggered_by_gate(counter))
        return;
    counter->held_elapsed = tick >= counter->origin ? tick - counter->origin : 0;
    counter->held = true;
    if (counter->pending) {
        counter->pending = false;
        counter->loads_at = CLOCK_NEVER;
    }
}

void pit_counter_gate(struct pit_counter *counter, bool high, uint64_t tick)
{
    if (counter->gate == high)
        return;
    settle(counter, tick);
    counter->gate = high;
    if (!counter->loaded)
        return;
    if (high) {
        gate_rises(counter, tick);
    } else {
        gate_falls(counter, tick);
    }
}

/* --- reading --- */

void pit_counter_latch_count(struct pit_counter *counter, uint64_t tick)
{
    if (counter->count_latched)
        return;
    settle(counter, tick);
    counter->latch = shown(counter, tick);
    counter->count_latched = true;
}

void pit_counter_latch_status(struct pit_counter *counter, uint64_t tick)
{
    if (counter->status_latched)
        return;
    settle(counter, tick);
    counter->status = (uint8_t)(counter->control | (output(counter, tick) ? STATUS_OUT : 0) |
                                (tick < counter->loads_at ? STATUS_NULL : 0));
    counter->status_latched = true;
}

uint8_t pit_counter_read(struct pit_counter *counter, uint64_t tick)
{
    const unsigned rw = rw_of(counter);
    uint16_t value;
    bool high;

    if (counter->status_latched) {
        counter->status_latched = false;
        return counter->status;
    }
    settle(counter, tick);
    value = counter->count_latched ? counter->latch : shown(counter, tick);
    high = rw == RW_HIGH || (rw == RW_BOTH && counter->reads_high);
    if (rw == RW_BOTH)
        counter->reads_high = !counter->reads_high;
    if (rw != RW_BOTH || high)
        counter->count_latched = false;
    return byte_of(value, high);
}
