/*
 * The SPE: the upper halves of the general registers, the accumulator and SPEFSCR are a guest's own, whatever it traps for and
 * whoever else uses the processor meanwhile. Two of these side by side must not see each other's.
 *
 * Spec: "Signal Processing Engine (SPE) Programming Environments Manual".
 */
#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"
#include "tests/guests/ppc/common/traps.h"

#define MSR_SPE     BIT(25)
#define ESR_SPE     BIT(7)
#define SPR_SPEFSCR 512
#define ROUNDS      40
#define SPINS       20000

/* What a round has left of the two words that it put into the SPE's state. */
struct left {
    uint32_t upper;
    uint32_t accumulator;
};

/* The SPE is switched on when it is first asked for, as an operating system does. */
static bool switch_on(struct trap_frame *frame)
{
    if (frame->number != TRAP_SPE) {
        return false;
    }
    frame->msr |= MSR_SPE;
    return true;
}

/* Put @value into the upper half of r20 and, inverted, into the accumulator; trap many times; look again. */
static struct left round_of(uint32_t value)
{
    struct left left;

    __asm__ volatile("evmergelo 20, %2, 20\n\t"
                     "nor 6, %2, %2\n\t"
                     "evmergelo 6, 6, 6\n\t"
                     "evmra 6, 6\n\t"
                     "mtctr %3\n\t"
                     "1: mfmsr 6\n\t"
                     "bdnz 1b\n\t"
                     "evmergehi 6, 20, 20\n\t"
                     "mr %0, 6\n\t"
                     "evxor 6, 6, 6\n\t"
                     "evmwumiaa 6, 6, 6\n\t"
                     "mr %1, 6"
                     : "=&r"(left.upper), "=&r"(left.accumulator)
                     : "r"(value), "r"(SPINS)
                     : "r6", "r20", "ctr", "memory");
    return left;
}

static void check_unavailable(void)
{
    trap_last.number = TRAP_NONE;
    __asm__ volatile("evxor 6, 6, 6" : : : "r6", "memory");
    report(trap_last.number == TRAP_SPE && (trap_last.esr & ESR_SPE) && !(trap_last.msr & MSR_SPE),
           "without MSR[SPE] it is unavailable, and ESR[SPE] says so");
    report(read_msr() & MSR_SPE, "the handler has switched it on");
}

static void check_status(void)
{
    static const uint32_t values[] = { 0x00000001, 0x00000003, 0x00000000 };
    bool holds = true;

    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
        write_spr(SPR_SPEFSCR, values[i]);
        holds &= (read_spr(SPR_SPEFSCR) & 3) == values[i];
    }
    report(holds, "SPEFSCR keeps its rounding mode");
}

void guest_main(void)
{
    bool upper = true;
    bool accumulator = true;

    trap_hook = switch_on;
    check_unavailable();
    check_status();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const uint32_t value = read_spr(268) * UINT32_C(2654435761) + i;
        const struct left left = round_of(value);

        upper &= left.upper == value;
        accumulator &= left.accumulator == ~value;
    }
    report(upper, "upper halves of registers stay");
    report(accumulator, "the accumulator stays");
}
