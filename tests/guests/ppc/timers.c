/*
 * The timers of a Book-E processor: decrementer, auto-reload, fixed interval, watchdog's first stage; and that interrupts wait for
 * MSR[EE] and MSR[CE]. Nothing depends on how long anything takes, only on the order.
 * Spec: EREF "Timers"; e500 Core Family Reference Manual "Timer Facilities".
 */
#include <stddef.h>

#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define TCR_DIE BIT(26)
#define TCR_FIE BIT(23)
#define TCR_ARE BIT(22)
#define TCR_WIE BIT(27)
#define TSR_DIS BIT(27)
#define TSR_FIS BIT(26)
#define TSR_WIS BIT(30)
#define TSR_ENW BIT(31)
#define SOON    100000   /* ticks of the timebase */
#define LONG    40000000 /* none of these takes as many */

/* A bit of the timebase's low half that goes up every 2^16 ticks, as TCR's period fields with their extensions count it. */
#define TCR_FP  (UINT32_C(3) << 24 | UINT32_C(0xb) << 13)
#define TCR_WP  (UINT32_C(3) << 30 | UINT32_C(0xb) << 17)

static unsigned taken;

/* Count it, and take its cause away. */
static bool acknowledge(struct trap_frame *frame)
{
    switch (frame->number) {
    case TRAP_DECREMENTER: write_spr(SPR_TSR, TSR_DIS); break;
    case TRAP_FIXED_INTERVAL: write_spr(SPR_TSR, TSR_FIS); break;
    case TRAP_WATCHDOG: write_spr(SPR_TSR, TSR_WIS | TSR_ENW); break;
    default: return false;
    }
    frame->msr &= ~MSR_WE;
    taken++;
    return true;
}

static bool status_comes(uint32_t bit)
{
    const uint32_t began = timebase();

    while (timebase() - began < LONG) {
        if (read_spr(SPR_TSR) & bit) {
            return true;
        }
    }
    return false;
}

static bool is_taken(unsigned times)
{
    const uint32_t began = timebase();

    while (timebase() - began < LONG) {
        if (*(volatile unsigned *)&taken >= times) {
            return true;
        }
    }
    return false;
}

static void set_ee(bool on)
{
    if (on) {
        __asm__ volatile("wrteei 1" : : : "memory");
    } else {
        __asm__ volatile("wrteei 0" : : : "memory");
    }
}

static void quiet(void)
{
    write_spr(SPR_TCR, 0);
    write_spr(SPR_DECAR, 0);
    write_spr(SPR_DEC, 0);
    write_spr(SPR_TSR, ~UINT32_C(0));
    taken = 0;
}

static void check_decrementer(void)
{
    quiet();
    write_spr(SPR_DEC, SOON);
    report(status_comes(TSR_DIS), "TSR[DIS] comes when the decrementer reaches 0");
    report_inside(read_spr(SPR_DEC) == 0, "without auto-reload it stays there");
    set_ee(true);
    set_ee(false);
    report(taken == 0, "without TCR[DIE] there is no interrupt");
    write_spr(SPR_TCR, TCR_DIE);
    report(taken == 0, "nor while MSR[EE] is clear");
    set_ee(true);
    __asm__ volatile("nop; nop; nop");
    set_ee(false);
    report(taken == 1 && trap_last.number == TRAP_DECREMENTER, "with both it comes at once, and once");
    report((trap_last.msr & MSR_EE) && !(read_spr(SPR_TSR) & TSR_DIS),
           "SRR1 has MSR[EE]; writing 1 cleared TSR[DIS]");
    write_spr(SPR_DEC, SOON);
    set_ee(true);
    report(is_taken(2), "a decrementer that runs out interrupts a program");
    set_ee(false);
}

/* Whoever watches a timer's register go by is interrupted as soon as others. */
static void check_watched(uint32_t register_number)
{
    const uint32_t began = timebase();

    quiet();
    write_spr(SPR_TCR, TCR_DIE);
    write_spr(SPR_DEC, SOON);
    set_ee(true);
    while (*(volatile unsigned *)&taken == 0 && timebase() - began < LONG) {
        if (register_number == SPR_TSR) {
            (void)read_spr(SPR_TSR);
        } else {
            (void)read_spr(SPR_DEC);
        }
    }
    set_ee(false);
    report(taken == 1 && timebase() - began < LONG, "a program that does nothing but read %s is interrupted",
           register_number == SPR_TSR ? "TSR" : "DEC");
    quiet();
}

static void check_reload(void)
{
    quiet();
    write_spr(SPR_DECAR, SOON);
    write_spr(SPR_TCR, TCR_DIE | TCR_ARE);
    write_spr(SPR_DEC, SOON);
    set_ee(true);
    report(is_taken(3), "with auto-reload it comes again and again");
    set_ee(false);
    quiet();
}

static void check_fixed_interval(void)
{
    quiet();
    write_spr(SPR_TCR, TCR_FP);
    report_inside(status_comes(TSR_FIS), "TSR[FIS] comes when its bit of the timebase goes up");
    write_spr(SPR_TCR, TCR_FP | TCR_FIE);
    set_ee(true);
    report_inside(is_taken(2) && trap_counts[TRAP_FIXED_INTERVAL] >= 2, "fixed-interval interrupts come");
    set_ee(false);
    quiet();
}

static void check_watchdog(void)
{
    quiet();
    write_spr(SPR_TCR, TCR_WP | TCR_WIE);
    report_inside(status_comes(TSR_ENW), "the watchdog's first time-out sets TSR[ENW]");
    report_inside(status_comes(TSR_WIS) && taken == 0, "its second sets TSR[WIS], which waits for MSR[CE]");
    write_msr(read_msr() | MSR_CE);
    report_inside(is_taken(1) && trap_last.number == TRAP_WATCHDOG, "then it is a critical interrupt");
    write_msr(read_msr() & ~MSR_CE);
    quiet();
}

/* Waiting with MSR[WE] ends with an interrupt. */
static void check_wait(void)
{
    quiet();
    write_spr(SPR_TCR, TCR_DIE);
    write_spr(SPR_HID0, read_spr(SPR_HID0) | HID0_DOZE);
    write_spr(SPR_DEC, SOON);
    /* Interrupts come with the wait, and not before it; an interrupt's return does not wait on. */
    while (*(volatile unsigned *)&taken == 0) {
        __asm__ volatile("msync; mtmsr %0; isync" : : "r"(read_msr() | MSR_WE | MSR_EE) : "memory");
        set_ee(false);
    }
    report(taken == 1, "a wait by MSR[WE] ends with an interrupt");
    quiet();
}

void guest_main(void)
{
    trap_hook = acknowledge;
    check_decrementer();
    check_watched(SPR_DEC);
    check_watched(SPR_TSR);
    check_reload();
    check_fixed_interval();
    check_watchdog();
    check_wait();
}
