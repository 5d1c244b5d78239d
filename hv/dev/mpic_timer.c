/*
 * The MPIC's global timers.
 *
 * Nothing happens at a tick: what ticks have passed since the last look is counted when somebody looks, and due_ns says
 * when a timer that may interrupt reaches zero. Each timer counts the group's clock, or how often the one before it reached zero
 * if they are cascaded.
 */
#include "hv/dev/mpic_internal.h"

#define BASE_INHIBIT    BIT32(31) /* GTBCR[CI] */
#define COUNT_TOGGLE    BIT32(31) /* GTCCR[TOG] */
#define COUNT_BITS      BITS32(30, 0)

#define CONTROL_ROVR    BITS32(26, 24)
#define CONTROL_RTM     BIT32(16)
#define CONTROL_CLKR    BITS32(9, 8)
#define CONTROL_CASC    BITS32(2, 0)
#define CONTROL_VALID   (CONTROL_ROVR | CONTROL_RTM | CONTROL_CLKR | CONTROL_CASC)

#define SLOWEST_RATIO   8 /* of the platform's clock to the group's, at CLKR 0; doubled by each step */

/* A guest that asks for more than that many interrupts is given fewer: it cannot keep the machine busy with them alone. */
#define LEAST_PERIOD_NS UINT64_C(20000)

/* Hertz of the group's clock; 0 if it stands, since the real-time clock's input is not wired. */
static uint64_t group_hz(const struct mpic *mpic, const struct mpic_timer_group *group)
{
    if ((group->control & CONTROL_RTM) != 0)
        return 0;
    return mpic->wires.clock_hz / ((uint64_t)SLOWEST_RATIO << bits_get(group->control, 9, 8));
}

static uint64_t ticks_now(const struct mpic *mpic, const struct mpic_timer_group *group)
{
    const uint64_t hz = group_hz(mpic, group);

    return hz == 0 ? group->seen_ticks : clock_ticks(clock_now(&mpic->wires.clock), hz);
}

/* Whether timer @index counts what the one before it does. */
static bool is_cascaded(const struct mpic_timer_group *group, unsigned index)
{
    return index > 0 && bit_is_set(group->control, index - 1);
}

static bool feeds_next(const struct mpic_timer_group *group, unsigned index)
{
    return index + 1 < MPIC_TIMERS && is_cascaded(group, index + 1);
}

/* Ticks from one zero to the next. A timer that feeds another may be told to go on from all ones. */
static uint32_t period(const struct mpic_timer_group *group, unsigned index)
{
    if (feeds_next(group, index) && bit_is_set(group->control, 24 + index))
        return COUNT_BITS + 1;
    return group->timers[index].base & COUNT_BITS;
}

static bool runs(const struct mpic_timer_group *group, unsigned index)
{
    const struct mpic_timer *timer = &group->timers[index];

    return (timer->base & BASE_INHIBIT) == 0 && timer->count != 0;
}

/* Count @steps. Returns how often the timer has reached zero. */
static uint64_t count_down(struct mpic_timer_group *group, unsigned index, uint64_t steps)
{
    struct mpic_timer *timer = &group->timers[index];
    const uint32_t full = period(group, index);
    uint64_t rest;

    if (!runs(group, index))
        return 0;
    if (steps < timer->count) {
        timer->count -= (uint32_t)steps;
        return 0;
    }
    rest = steps - timer->count;
    if (full == 0) {
        timer->count = 0;
        timer->toggle = !timer->toggle;
        return 1;
    }
    timer->count = full - (uint32_t)(rest % full);
    timer->toggle ^= (1 + rest / full) % 2 != 0;
    return 1 + rest / full;
}

static unsigned source_of(unsigned group, unsigned index)
{
    return MPIC_TIMER_0 + group * MPIC_TIMERS + index;
}

static void catch_up(struct mpic *mpic, unsigned number)
{
    struct mpic_timer_group *group = &mpic->groups[number];
    const uint64_t now = ticks_now(mpic, group);
    const uint64_t passed = now - group->seen_ticks;
    uint64_t zeros = 0;

    group->seen_ticks = now;
    for (unsigned i = 0; i < MPIC_TIMERS; i++) {
        const unsigned source = source_of(number, i);

        zeros = count_down(group, i, is_cascaded(group, i) ? zeros : passed);
        if (zeros != 0) {
            mpic->counters.timers += zeros;
            mpic_latch(mpic, source, mpic->sources[source].destination);
        }
    }
}

/* --- when the next one is due --- */

static uint64_t product(uint64_t a, uint64_t b)
{
    return b != 0 && a > CLOCK_NEVER / b ? CLOCK_NEVER : a * b;
}

/* Ticks of the group's clock until timer @index next reaches zero, and from then on from one zero to the next. */
struct distance {
    uint64_t first;
    uint64_t period;
};

static struct distance distance_of(const struct mpic_timer_group *group, unsigned index)
{
    struct distance below = { 1, 1 };

    for (unsigned i = 0; i <= index; i++) {
        if (!is_cascaded(group, i))
            below = (struct distance){ 1, 1 };
        if (!runs(group, i) || below.first == CLOCK_NEVER) {
            below = (struct distance){ CLOCK_NEVER, CLOCK_NEVER };
        } else {
            below = (struct distance){
                clock_add(below.first, product(below.period, group->timers[i].count - 1)),
                period(group, i) == 0 ? CLOCK_NEVER : product(below.period, period(group, i)),
            };
        }
    }
    return below;
}

static bool may_interrupt(const struct mpic_source *source)
{
    return (source->vector_priority & IVPR_MASKED) == 0 && mpic_priority(source) != 0;
}

static uint64_t group_due_ns(const struct mpic *mpic, unsigned number)
{
    const struct mpic_timer_group *group = &mpic->groups[number];
    const uint64_t hz = group_hz(mpic, group);
    uint64_t ticks = CLOCK_NEVER;

    for (unsigned i = 0; i < MPIC_TIMERS; i++) {
        if (may_interrupt(&mpic->sources[source_of(number, i)]))
            ticks = clock_earlier(ticks, distance_of(group, i).first);
    }
    ticks = clock_add(ticks, group->seen_ticks);
    return ticks == CLOCK_NEVER || hz == 0 ? CLOCK_NEVER : clock_ns(ticks, hz);
}

void mpic_timers_schedule(struct mpic *mpic)
{
    const uint64_t due = clock_earlier(group_due_ns(mpic, 0), group_due_ns(mpic, 1));

    mpic->due_ns = due;
    if (due != CLOCK_NEVER) {
        const uint64_t least = clock_add(clock_now(&mpic->wires.clock), LEAST_PERIOD_NS);

        mpic->due_ns = due < least ? least : due;
    }
}

void mpic_advance(struct mpic *mpic)
{
    for (unsigned i = 0; i < MPIC_GROUPS; i++)
        catch_up(mpic, i);
    mpic_timers_schedule(mpic);
}

/* --- registers --- */

uint32_t mpic_timer_read(struct mpic *mpic, unsigned group, unsigned timer)
{
    const struct mpic_timer *at = &mpic->groups[group].timers[timer];

    mpic_advance(mpic);
    return (at->count & COUNT_BITS) | (at->toggle ? COUNT_TOGGLE : 0);
}

/* Counting starts with the base count when the inhibition ends; a timer that runs takes a new base at its next zero. */
void mpic_timer_write_base(struct mpic *mpic, unsigned group, unsigned timer, uint32_t value)
{
    struct mpic_timer *at = &mpic->groups[group].timers[timer];

    mpic_advance(mpic);
    if ((at->base & BASE_INHIBIT) != 0 && (value & BASE_INHIBIT) == 0) {
        at->count = value & COUNT_BITS;
        at->toggle = false;
    }
    at->base = value;
    mpic_timers_schedule(mpic);
}

void mpic_timer_write_control(struct mpic *mpic, unsigned group, uint32_t value)
{
    struct mpic_timer_group *at = &mpic->groups[group];

    mpic_advance(mpic);
    at->control = value & CONTROL_VALID;
    at->seen_ticks = ticks_now(mpic, at);
    mpic_timers_schedule(mpic);
}

void mpic_timers_reset(struct mpic *mpic)
{
    for (unsigned i = 0; i < MPIC_GROUPS; i++) {
        struct mpic_timer_group *group = &mpic->groups[i];

        *group = (struct mpic_timer_group){ 0 };
        for (unsigned t = 0; t < MPIC_TIMERS; t++)
            group->timers[t].base = BASE_INHIBIT;
        group->seen_ticks = ticks_now(mpic, group);
    }
    mpic->due_ns = CLOCK_NEVER;
}
