/*
 * Time: the time base as a clock, and the decrementer, which counts the time base's ticks, as the timer. How many there
 * are in a second is what the device tree says.
 *
 * Spec: Book E "Timer Facilities".
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define NS_PER_S  UINT64_C(1000000000)
#define TICKS_MAX UINT64_C(0x7fffffff)
/*
 * The emulator takes fewer than three as run out already, raises an interrupt without TSR[DIS], and forgets it at the next write of
 * TCR or TSR (docs/caveats.md).
 */
#define TICKS_MIN 4

/* A factor with 32 bits of fraction. */
struct factor {
    uint32_t whole, fraction;
};

static uint64_t frequency_hz;
static uint64_t origin;
static struct factor ns_per_tick, ticks_per_ns;
static uint64_t armed = HOST_TIMER_OFF;
static bool fired;

/* Rounded down to the last bit of the fraction. */
static struct factor factor_of(uint64_t dividend, uint64_t divisor)
{
    return (struct factor){ (uint32_t)(dividend / divisor),
                            (uint32_t)((dividend % divisor << 32) / divisor) };
}

static uint64_t multiply(uint64_t value, struct factor factor)
{
    const uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    return value * factor.whole + (uint64_t)high * factor.fraction + ((uint64_t)low * factor.fraction >> 32);
}

void clock_init(uint64_t hz)
{
    frequency_hz = hz;
    ns_per_tick = factor_of(NS_PER_S, hz);
    ticks_per_ns = factor_of(hz, NS_PER_S);
    SPR_WRITE(SPR_HID0, SPR_READ(SPR_HID0) | HID0_DOZE);
    SPR_WRITE(SPR_TSR, TSR_DIS);
    origin = timebase();
}

uint64_t host_timebase_hz(void)
{
    return frequency_hz;
}

uint64_t clock_origin(void)
{
    return origin;
}

uint64_t clock_ticks_of(uint64_t ns)
{
    return multiply(ns, ticks_per_ns);
}

uint64_t clock_ns_of(uint64_t ticks)
{
    return multiply(ticks, ns_per_tick);
}

uint64_t host_clock_ns(void)
{
    return clock_ns_of(timebase() - origin);
}

/* Make the decrementer interrupt at @deadline_ns, or when it has run out if that is sooner. */
static void program(uint64_t deadline_ns)
{
    const uint64_t now = host_clock_ns();
    const uint64_t ticks = deadline_ns > now ? clock_ticks_of(deadline_ns - now) + 1 : 0;

    SPR_WRITE(SPR_DEC, ticks < TICKS_MIN ? TICKS_MIN : ticks < TICKS_MAX ? ticks : TICKS_MAX);
}

/* Nothing is written to TSR or TCR behind DEC: the emulator could lose the interrupt that has come meanwhile. */
void host_timer_arm(uint64_t deadline_ns)
{
    if (deadline_ns == armed) {
        return;
    }
    armed = deadline_ns;
    fired = false;
    SPR_WRITE(SPR_TSR, TSR_DIS);
    if (deadline_ns == HOST_TIMER_OFF) {
        SPR_WRITE(SPR_TCR, 0);
    } else {
        if (SPR_READ(SPR_TCR) != TCR_DIE) {
            SPR_WRITE(SPR_TCR, TCR_DIE);
        }
        program(deadline_ns);
    }
}

bool host_timer_fired(void)
{
    return fired;
}

void timer_interrupt(void)
{
    SPR_WRITE(SPR_TSR, TSR_DIS);
    // One that was on its way when the timer was armed anew comes too early, or for nothing.
    if (armed == HOST_TIMER_OFF || fired) {
        return;
    }
    if (host_clock_ns() >= armed) {
        fired = true;
    } else {
        program(armed);
    }
}
