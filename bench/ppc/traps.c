/*
 * What one trap costs: each kind of privileged instruction many times between two marks, and a loop without any to compare with.
 * A test guest like those of tests/guests/ppc, and built as they are.
 */
#include "tests/guests/ppc/common/traps.h"
#include "bench/ppc/mark.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"
#include "tests/guests/ppc/common/cpu.h"

#define TIMES 1000

/* The order is that of bench/benchlib/booke.py. */
#define MEASURE(index, instructions)                                                                         \
    do {                                                                                                     \
        MARK(MARK_TRAPS + 2 * (index));                                                                      \
        __asm__ volatile("li 5, %0; mtctr 5; 1: " instructions "; bdnz 1b"                                   \
                         :                                                                                   \
                         : "i"(TIMES)                                                                        \
                         : "memory", "r5", "r6", "ctr");                                                     \
        MARK(MARK_TRAPS + 2 * (index) + 1);                                                                  \
    } while (0)

static bool skip(struct trap_frame *frame)
{
    return frame->number == TRAP_SYSTEM_CALL;
}

void guest_main(void)
{
    trap_hook = skip;
    MEASURE(0, "nop");
    MEASURE(1, "mfmsr 6");
    MEASURE(2, "wrteei 0");
    MEASURE(3, "mfmsr 6; wrtee 6");
    MEASURE(4, "mfmsr 6; mtmsr 6");
    MEASURE(5, "mfspr 6, 26");
    MEASURE(6, "mtspr 26, 6");
    MEASURE(7, "mfspr 6, 272");
    MEASURE(8, "mtspr 625, 6");
    MEASURE(9, "tlbsync");
    MEASURE(10, "mfspr 6, 48; mtspr 48, 6");
    MEASURE(11, "tlbre");
    MEASURE(12, "sc");
    report(true, "every kind of trap was measured");
}
