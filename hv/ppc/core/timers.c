#include "hv/ppc/core/timers.h"

#define TCR_WRC_SHIFT   28
#define TCR_WP_SHIFT    30
#define TCR_FP_SHIFT    24
#define TCR_WPEXT_SHIFT 17
#define TCR_FPEXT_SHIFT 13
#define PERIOD_MASK     3u
#define EXTENSION_MASK  15u

/*
 * Which bit of the time base a period of TCR names, counted from the least significant one. Together the extension and the
 * period count from the most significant one.
 */
static unsigned selected_bit(uint32_t tcr, unsigned period_shift, unsigned extension_shift)
{
    const uint32_t extension = tcr >> extension_shift & EXTENSION_MASK;
    const uint32_t period = tcr >> period_shift & PERIOD_MASK;

    return 63 - (extension << 2 | period);
}

static unsigned interval_bit(uint32_t tcr)
{
    return selected_bit(tcr, TCR_FP_SHIFT, TCR_FPEXT_SHIFT);
}

static unsigned watchdog_bit(uint32_t tcr)
{
    return selected_bit(tcr, TCR_WP_SHIFT, TCR_WPEXT_SHIFT);
}

/* The first moment after @from at which bit @bit of the time base goes from 0 to 1. */
static uint64_t next_rise(uint64_t from, unsigned bit)
{
    const uint64_t half = UINT64_C(1) << bit;
    const uint64_t below = half - 1;

    if (!(from & half)) {
        return (from | below) + 1;
    }
    /* It falls at the end of this half, and rises half a period later, unless the time base ends first. */
    from |= half | below;
    return from > UINT64_MAX - half - 1 ? PPC_TIMERS_NEVER : from + 1 + half;
}

static void advance_decrementer(struct ppc_timers *timers, uint64_t now)
{
    uint64_t late;

    if (!timers->counting || now < timers->zero) {
        return;
    }
    timers->tsr |= PPC_TSR_DIS;
    if (!(timers->tcr & PPC_TCR_ARE) || !timers->decar) {
        timers->counting = false;
        return;
    }
    late = now - timers->zero;
    timers->zero += (late < timers->decar ? 1 : late / timers->decar + 1) * timers->decar;
}

/* One time-out: the next stage. Spec: "Watchdog Timer Operation". */
static void watchdog_stage(struct ppc_timers *timers)
{
    const uint32_t wrc = timers->tcr & PPC_TCR_WRC;

    if (!(timers->tsr & PPC_TSR_ENW)) {
        timers->tsr |= PPC_TSR_ENW;
    } else if (!(timers->tsr & PPC_TSR_WIS)) {
        timers->tsr |= PPC_TSR_WIS;
    } else if (wrc) {
        timers->tsr = (timers->tsr & ~PPC_TSR_WRS) | wrc;
        timers->tcr &= ~PPC_TCR_WRC;
        timers->reset = wrc >> TCR_WRC_SHIFT;
    }
}

static bool watchdog_is_done(const struct ppc_timers *timers)
{
    return timers->tsr & PPC_TSR_ENW && timers->tsr & PPC_TSR_WIS && !(timers->tcr & PPC_TCR_WRC);
}

static void advance_watchdog(struct ppc_timers *timers, uint64_t now)
{
    const unsigned bit = watchdog_bit(timers->tcr);
    uint64_t rise = next_rise(timers->seen, bit);

    while (rise <= now && rise != PPC_TIMERS_NEVER && !watchdog_is_done(timers)) {
        watchdog_stage(timers);
        rise = next_rise(rise, bit);
    }
}

void ppc_timers_advance(struct ppc_timers *timers, uint64_t now)
{
    advance_decrementer(timers, now);
    if (next_rise(timers->seen, interval_bit(timers->tcr)) <= now) {
        timers->tsr |= PPC_TSR_FIS;
    }
    advance_watchdog(timers, now);
    timers->seen = now;
}

uint64_t ppc_timers_deadline(const struct ppc_timers *timers)
{
    const uint32_t tcr = timers->tcr;
    const uint32_t tsr = timers->tsr;
    uint64_t earliest = PPC_TIMERS_NEVER;
    uint64_t rise;

    if (tcr & PPC_TCR_DIE && !(tsr & PPC_TSR_DIS) && timers->counting) {
        earliest = timers->zero;
    }
    if (tcr & PPC_TCR_FIE && !(tsr & PPC_TSR_FIS)) {
        rise = next_rise(timers->seen, interval_bit(tcr));
        earliest = rise < earliest ? rise : earliest;
    }
    if (tcr & (PPC_TCR_WIE | PPC_TCR_WRC) && !watchdog_is_done(timers)) {
        rise = next_rise(timers->seen, watchdog_bit(tcr));
        earliest = rise < earliest ? rise : earliest;
    }
    return earliest;
}

uint32_t ppc_decrementer(const struct ppc_timers *timers, uint64_t now)
{
    return timers->counting && timers->zero > now ? (uint32_t)(timers->zero - now) : 0;
}

/* Zero written is zero: only counting down to it interrupts. */
void ppc_decrementer_write(struct ppc_timers *timers, uint64_t now, uint32_t value)
{
    advance_decrementer(timers, now);
    timers->counting = value != 0;
    timers->zero = now + value;
}

/* Software cannot take back that the watchdog resets. */
void ppc_tcr_write(struct ppc_timers *timers, uint64_t now, uint32_t value)
{
    ppc_timers_advance(timers, now);
    timers->tcr = (value & PPC_TCR_BITS) | (timers->tcr & PPC_TCR_WRC);
}

void ppc_tsr_clear(struct ppc_timers *timers, uint64_t now, uint32_t value)
{
    ppc_timers_advance(timers, now);
    timers->tsr &= ~value;
}

void ppc_timers_delay(struct ppc_timers *timers, uint64_t ticks)
{
    timers->zero += ticks;
    timers->seen += ticks;
}
