/*
 * A triple fault: whoever runs this must report that the guest stopped, and go on.
 *
 * Guest: expects triple-fault
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/report.h"

void guest_main(void)
{
    static const struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) nothing = { 0, 0 };
    report(true, "the guest comes as far as its triple fault");
    __asm__ volatile("lidt %0; int3" ::"m"(nothing) : "memory");
    report(false, "the guest does not come back from it");
}
