/*
 * Interrupts of the host: when they are let in, and who handles which.
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

static uint64_t taken, stray;

void host_interrupts_take(void)
{
    interrupts_enable();
    interrupts_disable();
}

/*
 * Waiting and letting interrupts in are one write of MSR, so none is slept through. The handler takes MSR[WE] out of what
 * it goes back to (below).
 */
void host_wait(void)
{
    __asm__ volatile("msync\n\tmtmsr %0\n\tisync" : : "r"(MSR_WE | MSR_EE | MSR_ME) : "memory");
    interrupts_disable();
}

void interrupt_handle(struct ppc_frame *frame)
{
    frame->srr1 &= ~(uint32_t)MSR_WE;
    taken++;
    if (frame->vector == VECTOR_DECREMENTER) {
        timer_interrupt();
    } else {
        stray += !host_mpic_interrupt();
    }
}

uint64_t host_interrupt_count(void)
{
    return taken;
}

uint64_t host_interrupt_spurious_count(void)
{
    return stray;
}

/* The processor has none. */
uint64_t host_nmi_count(void)
{
    return 0;
}
