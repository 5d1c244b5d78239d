/*
 * Time: the time-stamp counter as a clock, and one interrupt from the local APIC's timer.
 *
 * Both counters are measured against the 8254, whose frequency the PC's architecture fixes: channel 2 is the
 * reference, channel 0 ends the wait, so that the processor sleeps meanwhile. What CPUID says of frequencies
 * is believed only where the measurement agrees.
 *
 * Spec: Intel 8254 data sheet, "Mode Definitions", "Counter Latch Command"; SDM 3A "APIC Timer"; SDM 3B
 * "Determining the Processor Base Frequency".
 */
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define NS_PER_S           UINT64_C(1000000000)
#define FRACTION_BITS      32

#define PIT_HZ             UINT64_C(1193182)
#define PIT_CHANNEL0       0x40
#define PIT_CHANNEL2       0x42
#define PIT_COMMAND        0x43
#define PIT_ONE_SHOT0      0x30
#define PIT_ONE_SHOT2      0xb0
#define PIT_LATCH2         0x80
#define PIT_FULL           0xffff
#define PORT_B             0x61
#define PORT_B_GATE2       0x01
#define PORT_B_SPEAKER     0x02
#define PORT_B_OUT2        0x20

#define WAIT_PIT_TICKS     14318 /* 12 ms */
#define TRIES_PER_POINT    8
#define MEASUREMENTS       6
#define AGREE_DIVISOR      2000 /* two measurements agree if they differ by less than 1/2000 */
#define BELIEVE_DIVISOR    500  /* CPUID is believed if it differs by less than 1/500 */
#define WATCHDOG_TICKS     100000000

#define LVT_ONE_SHOT       0x00000
#define LVT_TSC_DEADLINE   0x40000
#define LVT_MASKED         0x10000
#define MSR_TSC_DEADLINE   0x6e0
#define CPUID_TSC_DEADLINE BIT64(24)
#define CPUID_HYPERVISOR   BIT64(31)

/* One look at all three counters at (nearly) the same moment. */
struct point {
    uint64_t tsc;
    uint32_t apic;
    uint32_t pit;
};

struct frequencies {
    uint64_t tsc_hz, apic_hz;
};

static struct frequencies found;
static uint64_t origin;
static uint64_t ns_per_tick, ticks_per_ns, apic_per_ns; /* with FRACTION_BITS of fraction */
static bool by_deadline;
static uint64_t armed = HOST_TIMER_OFF;
static bool fired;

/* a * b / c, whose result fits 64 bits. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t quotient, rest, low, high;
    __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "rm"(b) : "cc");
    __asm__("divq %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(high), "rm"(c) : "cc");
    return quotient;
}

static uint64_t multiply(uint64_t value, uint64_t fraction)
{
    return (uint64_t)((unsigned __int128)value * fraction >> FRACTION_BITS);
}

/* --- measuring --- */

static uint32_t pit_latch(void)
{
    outb(PIT_COMMAND, PIT_LATCH2);
    const uint32_t low = inb(PIT_CHANNEL2);
    return low | (uint32_t)inb(PIT_CHANNEL2) << 8;
}

static void pit_start(uint16_t channel, uint8_t mode, uint16_t count)
{
    outb(PIT_COMMAND, mode);
    outb(channel, (uint8_t)count);
    outb(channel, (uint8_t)(count >> 8));
}

/* The least disturbed of several looks: the one in which least time passed around the latch. */
static struct point look(void)
{
    struct point best = { 0 };
    uint64_t best_width = UINT64_MAX;
    for (unsigned i = 0; i < TRIES_PER_POINT; i++) {
        const uint64_t before = rdtsc();
        outb(PIT_COMMAND, PIT_LATCH2);
        const uint32_t apic = apic_read(APIC_TIMER_CURRENT);
        const uint64_t after = rdtsc();
        const uint32_t low = inb(PIT_CHANNEL2);
        const uint32_t pit = low | (uint32_t)inb(PIT_CHANNEL2) << 8;
        if (after - before < best_width) {
            best_width = after - before;
            best = (struct point){ before + (after - before) / 2, apic, pit };
        }
    }
    return best;
}

/*
 * Wait until channel 2 has counted enough since @start. Asleep, if @asleep; false if nothing woke us in time.
 */
static bool wait_from(uint32_t start, bool asleep)
{
    if (asleep) {
        pit_start(PIT_CHANNEL0, PIT_ONE_SHOT0, WAIT_PIT_TICKS);
    }
    while (((start - pit_latch()) & PIT_FULL) < WAIT_PIT_TICKS) {
        if (apic_read(APIC_TIMER_CURRENT) == 0) {
            return false;
        }
        if (asleep) {
            host_wait();
        } else {
            cpu_pause();
        }
    }
    return true;
}

/* One measurement; false if the counters did not run, or ran so long unobserved that channel 2 went round. */
static bool measure(bool asleep, struct frequencies *out)
{
    outb(PORT_B, (inb(PORT_B) & (uint8_t)~PORT_B_SPEAKER) | PORT_B_GATE2);
    pit_start(PIT_CHANNEL2, PIT_ONE_SHOT2, PIT_FULL);
    // The APIC's timer is measured, and ends a wait that the 8254 does not end.
    apic_write(APIC_LVT_TIMER, LVT_ONE_SHOT | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, WATCHDOG_TICKS);

    const struct point first = look();
    const bool waited = wait_from(first.pit, asleep);
    const struct point last = look();
    const bool went_round = inb(PORT_B) & PORT_B_OUT2;
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, 0);

    const uint64_t pit_ticks = (first.pit - last.pit) & PIT_FULL;
    if (!waited || went_round || pit_ticks == 0 || last.apic == 0) {
        return false;
    }
    out->tsc_hz = scale(last.tsc - first.tsc, PIT_HZ, pit_ticks);
    out->apic_hz = scale(first.apic - last.apic, PIT_HZ, pit_ticks);
    return out->tsc_hz != 0 && out->apic_hz != 0;
}

static bool near(uint64_t a, uint64_t b, uint64_t divisor)
{
    return (a > b ? a - b : b - a) <= a / divisor;
}

/* Measure until two measurements in a row agree. */
static bool measure_well(bool asleep)
{
    struct frequencies now, before = { 0, 0 };
    bool measured = false;
    for (unsigned i = 0; i < MEASUREMENTS; i++) {
        if (!measure(asleep, &now)) {
            continue;
        }
        measured = true;
        found.tsc_hz = before.tsc_hz != 0 ? before.tsc_hz / 2 + now.tsc_hz / 2 : now.tsc_hz;
        found.apic_hz = before.apic_hz != 0 ? before.apic_hz / 2 + now.apic_hz / 2 : now.apic_hz;
        if (near(now.tsc_hz, before.tsc_hz, AGREE_DIVISOR) &&
            near(now.apic_hz, before.apic_hz, AGREE_DIVISOR)) {
            return true;
        }
        before = now;
    }
    return measured;
}

/* What CPUID says of the time-stamp counter's frequency, or 0. */
static uint64_t stated_tsc_hz(void)
{
    if (cpuid(0, 0).eax >= 0x15) {
        const struct cpuid_result ratio = cpuid(0x15, 0);
        if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0) {
            return scale(ratio.ecx, ratio.ebx, ratio.eax);
        }
    }
    if ((cpuid(1, 0).ecx & CPUID_HYPERVISOR) && cpuid(0x40000000, 0).eax >= 0x40000010) {
        return (uint64_t)cpuid(0x40000010, 0).eax * 1000;
    }
    return 0;
}

static void heed_cpuid(void)
{
    const uint64_t stated = stated_tsc_hz();
    if (stated == 0) {
        return;
    }
    if (near(found.tsc_hz, stated, BELIEVE_DIVISOR)) {
        found.tsc_hz = stated;
    } else {
        host_print("vmmu: CPUID says that the time-stamp counter runs at %lu kHz, the 8254 says %lu kHz: it "
                   "is right\n",
                   stated / 1000, found.tsc_hz / 1000);
    }
}

void clock_init(void)
{
    pic_unmask(IRQ_TIMER);
    const bool asleep = measure_well(true);
    pic_mask(IRQ_TIMER);
    if (!asleep && !measure_well(false)) {
        ground_refuse("the 8254 timer does not count, so there is nothing to measure time by");
    }
    heed_cpuid();
    ns_per_tick = scale(NS_PER_S, UINT64_C(1) << FRACTION_BITS, found.tsc_hz);
    ticks_per_ns = scale(found.tsc_hz, UINT64_C(1) << FRACTION_BITS, NS_PER_S);
    apic_per_ns = scale(found.apic_hz, UINT64_C(1) << FRACTION_BITS, NS_PER_S);
    by_deadline = cpuid(1, 0).ecx & CPUID_TSC_DEADLINE;
    apic_write(APIC_LVT_TIMER, (by_deadline ? LVT_TSC_DEADLINE : LVT_ONE_SHOT) | VECTOR_TIMER);
    // In xAPIC mode the register is memory: it must have been written before the deadline is.
    __asm__ volatile("mfence" : : : "memory");
    origin = rdtsc();
}

/* --- the clock and the timer --- */

uint64_t host_clock_ns(void)
{
    return multiply(rdtsc() - origin, ns_per_tick);
}

uint64_t host_tsc_hz(void)
{
    return found.tsc_hz;
}

uint64_t host_apic_hz(void)
{
    return found.apic_hz;
}

uint64_t host_tsc_origin(void)
{
    return origin;
}

/* Make the hardware interrupt at @deadline_ns, or when its counter has run out if that is sooner. */
static void program(uint64_t deadline_ns)
{
    if (by_deadline) {
        wrmsr(MSR_TSC_DEADLINE, origin + multiply(deadline_ns, ticks_per_ns) + 1);
        return;
    }
    const uint64_t now = host_clock_ns();
    const uint64_t ticks = deadline_ns > now ? multiply(deadline_ns - now, apic_per_ns) + 1 : 1;
    apic_write(APIC_TIMER_INITIAL, ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
}

static void stop(void)
{
    if (by_deadline) {
        wrmsr(MSR_TSC_DEADLINE, 0);
    } else {
        apic_write(APIC_TIMER_INITIAL, 0);
    }
}

void host_timer_arm(uint64_t deadline_ns)
{
    if (deadline_ns == armed) {
        return;
    }
    armed = deadline_ns;
    fired = false;
    if (deadline_ns == HOST_TIMER_OFF) {
        stop();
    } else {
        program(deadline_ns);
    }
}

bool host_timer_fired(void)
{
    return fired;
}

void timer_interrupt(void)
{
    apic_write(APIC_EOI, 0);
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
