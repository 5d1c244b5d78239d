/*
 * Debug interrupts: single steps, through instructions that trap as through others, trap instructions, interrupts and returns.
 *
 * Spec: EREF "Debug Interrupt", "Debug Control Register 0 (DBCR0)", "Debug Status Register (DBSR)".
 */
#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/board.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define MSR_DE     BIT(9)
#define SPR_DBSR   304
#define SPR_DBCR0  308
#define DBCR0_IDM  BIT(30)
#define DBCR0_ICMP BIT(27)
#define DBCR0_IRPT BIT(25)
#define DBCR0_TRAP BIT(24)
#define DBCR0_RET  BIT(15)
#define DBSR_IDE   BIT(31)
#define EVENTS     8
#define STEPS      8 /* of check_steps(): what is behind the write of MSR[DE], up to the write that clears it */

static struct {
    uint32_t pc;
    uint32_t events;
} seen[EVENTS];
static unsigned count;
static uint32_t traps_seen;

/* Note where each debug interrupt came; what else traps is stepped over. */
static bool note(struct trap_frame *frame)
{
    if (frame->number == TRAP_PROGRAM) {
        traps_seen++;
        frame->pc += 4;
        return true;
    }
    if (frame->number != TRAP_DEBUG) {
        return frame->number == TRAP_SYSTEM_CALL;
    }
    if (count < EVENTS) {
        seen[count].pc = frame->pc;
        seen[count].events = read_spr(SPR_DBSR);
    }
    count++;
    frame->pc += read_spr(SPR_DBSR) & DBCR0_TRAP ? 4 : 0; /* it stands at the trap instruction */
    write_spr(SPR_DBSR, UINT32_MAX);
    return true;
}

static void begin(uint32_t events)
{
    count = 0;
    write_spr(SPR_DBSR, UINT32_MAX);
    write_spr(SPR_DBCR0, DBCR0_IDM | events);
}

static void end(void)
{
    write_spr(SPR_DBCR0, 0);
}

/* Steps from the instruction behind the one that sets MSR[DE] to the one that clears it. */
static void check_steps(void)
{
    const uint32_t off = read_msr();
    const uint32_t on = off | MSR_DE;
    bool in_order = true;
    uint32_t first;

    begin(DBCR0_ICMP);
    __asm__ volatile("lis %0, 1f@ha\n\t"
                     "addi %0, %0, 1f@l\n\t"
                     "mtmsr %1\n\t"
                     "isync\n\t"
                     "1: nop\n\t"
                     "mfmsr 6\n\t"
                     "mtspr 272, 6\n\t"
                     "lbz 6, 0(%3)\n\t"
                     "mtspr 22, 6\n\t"
                     "nop\n\t"
                     "mtmsr %2\n\t"
                     "isync"
                     : "=&b"(first)
                     : "r"(on), "r"(off), "b"(BOARD_AT + BOARD_UART + 7)
                     : "r6", "memory");
    end();
    for (unsigned i = 0; i < STEPS; i++) {
        in_order &= seen[i].pc == first + 4 * i;
    }
    detail("%u steps, from %x on; the first instruction at %x\n", count, seen[0].pc, first);
    report(count == STEPS && in_order,
           "each instruction that completes is a debug interrupt, whatever it traps for");
    report(seen[0].events & DBCR0_ICMP, "DBSR[ICMP] says so");
}

static void check_events(void)
{
    const uint32_t off = read_msr();

    begin(DBCR0_TRAP);
    write_msr(off | MSR_DE);
    __asm__ volatile("twi 31, 0, 0" : : : "memory");
    write_msr(off);
    end();
    report_inside(count == 1 && seen[0].events & DBCR0_TRAP && traps_seen == 0,
                  "a trap instruction is a debug interrupt in place of the other");
    begin(DBCR0_TRAP);
    __asm__ volatile("twi 31, 0, 0" : : : "memory");
    end();
    report_inside(count == 0 && traps_seen == 1 && read_spr(SPR_DBSR) & DBSR_IDE,
                  "unless MSR[DE] is clear: the other comes, and DBSR[IDE] tells of it");
    begin(DBCR0_IRPT);
    write_msr(off | MSR_DE);
    __asm__ volatile("sc" : : : "memory");
    write_msr(off);
    end();
    report_inside(count == 1 && seen[0].events & DBCR0_IRPT, "an interrupt is a debug event");
    begin(DBCR0_RET);
    write_msr(off | MSR_DE);
    __asm__ volatile("sc" : : : "memory");
    write_msr(off);
    end();
    report_inside(count == 1 && seen[0].events & DBCR0_RET, "a return from one is a debug event");
}

/* An event while MSR[DE] is clear waits. */
static void check_imprecise(void)
{
    const uint32_t off = read_msr();

    begin(DBCR0_RET);
    __asm__ volatile("sc" : : : "memory");
    report_inside(count == 0 && read_spr(SPR_DBSR) & DBSR_IDE,
                  "without MSR[DE] an event waits, with DBSR[IDE]");
    write_msr(off | MSR_DE);
    write_msr(off);
    end();
    report_inside(count == 1, "and interrupts when MSR[DE] is set");
}

void guest_main(void)
{
    trap_hook = note;
    check_steps();
    check_events();
    check_imprecise();
}
