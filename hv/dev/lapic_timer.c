/*
 * The local APIC's timer: one-shot, periodic, TSC-deadline.
 *
 * Nothing ticks: counts are computed from when the lap began. While the entry is masked nothing is due; what
 * passed meanwhile is lost, as on a processor, but the count goes on.
 *
 * Spec: Intel SDM "APIC Timer", "TSC-Deadline Mode".
 */
#include "hv/dev/lapic.h"
#include "hv/dev/lapic_registers.h"

/*
 * The shortest time between two ends of a lap that are given apart: a VP that is woken
 * more often gets nowhere.
 */
#define LAP_FLOOR_NS UINT64_C(2000)

static enum lapic_timer_mode mode(const struct lapic *lapic)
{
    return lapic_timer_mode_of(lapic->lvt[LAPIC_LVT_TIMER]);
}

/* Encodings 0 to 6 divide by 2 to 128, 7 by 1. */
static unsigned divide_shift(const struct lapic *lapic)
{
    const uint32_t value = lapic->timer.divide_configuration;

    return (((value >> 1 & 4) | (value & 3)) + 1) & 7;
}

static uint64_t now_ns(const struct lapic *lapic)
{
    return lapic->config.wires->now_ns(lapic->config.wires->vp_context);
}

static uint64_t tsc_now(const struct lapic *lapic)
{
    return lapic->config.wires->tsc_now(lapic->config.wires->vp_context, lapic->config.vp);
}

static uint64_t lap_end(const struct lapic *lapic)
{
    return lapic->timer.lap_start + ((uint64_t)lapic->timer.lap << divide_shift(lapic));
}

static void schedule(struct lapic *lapic, uint64_t now)
{
    const struct lapic_timer *timer = &lapic->timer;

    lapic->due_ns = CLOCK_NEVER;
    if ((lapic->lvt[LAPIC_LVT_TIMER] & LVT_MASKED) != 0)
        return;
    if (timer->running) {
        lapic->due_ns = clock_ns(lap_end(lapic), lapic->config.apic_hz);
    } else if (timer->deadline != 0) {
        const uint64_t tsc = tsc_now(lapic);
        const uint64_t left = timer->deadline > tsc ? timer->deadline - tsc : 0;

        lapic->due_ns = clock_add(now, clock_ns(left, lapic->config.tsc_hz));
    }
}

static void fire(struct lapic *lapic)
{
    lapic->counters.timer_fired++;
    lapic_deliver_local(lapic, LAPIC_LVT_TIMER);
}

/* End every lap that is over at @now; they give one interrupt together. */
static void run_laps(struct lapic *lapic, uint64_t now)
{
    struct lapic_timer *timer = &lapic->timer;
    const uint64_t ticks = clock_ticks(now, lapic->config.apic_hz);
    const uint64_t end = lap_end(lapic);

    if (ticks < end)
        return;
    if (mode(lapic) == LAPIC_TIMER_PERIODIC) {
        const uint64_t period = (uint64_t)timer->initial_count << divide_shift(lapic);

        timer->lap = timer->initial_count;
        timer->lap_start = end + (ticks - end) / period * period;
    } else {
        timer->running = false;
    }
    fire(lapic);
}

/* Whether the TSC has reached the deadline; also if it has turned over since the moment came. */
static bool deadline_is_met(const struct lapic *lapic, uint64_t now)
{
    const uint64_t deadline = lapic->timer.deadline;
    const uint64_t tsc = tsc_now(lapic);

    return tsc >= deadline || (lapic->due_ns <= now && !bit_is_set(tsc - deadline, 63));
}

/* Bring the timer to @now. */
static void settle(struct lapic *lapic, uint64_t now)
{
    if (lapic->timer.running) {
        run_laps(lapic, now);
    } else if (lapic->timer.deadline != 0 && deadline_is_met(lapic, now)) {
        lapic->timer.deadline = 0;
        fire(lapic);
    }
}

void lapic_advance(struct lapic *lapic, uint64_t now)
{
    const uint64_t fired = lapic->counters.timer_fired;

    settle(lapic, now);
    schedule(lapic, now);
    if (fired != lapic->counters.timer_fired && lapic->due_ns < now + LAP_FLOOR_NS)
        lapic->due_ns = now + LAP_FLOOR_NS;
}

void lapic_tsc_changed(struct lapic *lapic)
{
    if (lapic->timer.deadline != 0)
        lapic_advance(lapic, now_ns(lapic));
}

void lapic_timer_stop(struct lapic *lapic)
{
    lapic->timer.running = false;
    lapic->timer.deadline = 0;
    lapic->due_ns = CLOCK_NEVER;
}

/* Going to or from TSC-deadline mode disarms; between the other two the count goes on. */
void lapic_timer_lvt_write(struct lapic *lapic, uint32_t value)
{
    const uint64_t now = now_ns(lapic);
    const enum lapic_timer_mode before = mode(lapic);
    const enum lapic_timer_mode after = lapic_timer_mode_of(value);

    settle(lapic, now);
    lapic->lvt[LAPIC_LVT_TIMER] = value;
    if (before != after && (before >= LAPIC_TIMER_DEADLINE || after >= LAPIC_TIMER_DEADLINE)) {
        lapic_timer_stop(lapic);
        lapic->timer.initial_count = 0;
    }
    schedule(lapic, now);
}

void lapic_timer_initial_write(struct lapic *lapic, uint32_t count)
{
    struct lapic_timer *timer = &lapic->timer;
    const uint64_t now = now_ns(lapic);

    if (mode(lapic) >= LAPIC_TIMER_DEADLINE)
        return;
    settle(lapic, now);
    timer->initial_count = count;
    timer->lap = count;
    timer->lap_start = clock_ticks(now, lapic->config.apic_hz);
    timer->running = count != 0;
    lapic->counters.timer_armed += timer->running;
    schedule(lapic, now);
}

/* The current count stays, and goes on at the new rate. */
void lapic_timer_divide_write(struct lapic *lapic, uint32_t value)
{
    struct lapic_timer *timer = &lapic->timer;
    const uint64_t now = now_ns(lapic);
    const uint32_t left = lapic_timer_current(lapic);

    timer->divide_configuration = value;
    if (!timer->running)
        return;
    timer->lap = left;
    timer->lap_start = clock_ticks(now, lapic->config.apic_hz);
    schedule(lapic, now);
}

uint32_t lapic_timer_current(struct lapic *lapic)
{
    const struct lapic_timer *timer = &lapic->timer;
    const uint64_t now = now_ns(lapic);

    if (!timer->running)
        return 0;
    settle(lapic, now);
    schedule(lapic, now);
    if (!timer->running)
        return 0;
    return timer->lap -
           (uint32_t)((clock_ticks(now, lapic->config.apic_hz) - timer->lap_start) >> divide_shift(lapic));
}

uint64_t lapic_timer_deadline_read(struct lapic *lapic)
{
    if (lapic->timer.deadline != 0)
        lapic_advance(lapic, now_ns(lapic));
    return lapic->timer.deadline;
}

void lapic_deadline_write(struct lapic *lapic, uint64_t tsc)
{
    uint64_t now;

    if (mode(lapic) != LAPIC_TIMER_DEADLINE)
        return;
    now = now_ns(lapic);
    settle(lapic, now);
    lapic->timer.deadline = tsc;
    lapic->counters.timer_armed += tsc != 0;
    if (tsc != 0 && tsc_now(lapic) >= tsc) {
        lapic->timer.deadline = 0;
        fire(lapic);
    }
    schedule(lapic, now);
}
