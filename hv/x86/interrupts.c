/*
 * Interrupts of the host: when they are let in, and who handles which.
 */
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define PIC_INPUTS 16

static uint64_t taken, stray;

void host_interrupts_take(void)
{
    // The instruction behind STI still runs with interrupts held back; they come in before the CLI.
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

void host_wait(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

/* Whether anything had asked for it. */
static bool handle_pic(enum irq irq)
{
    if (!pic_accept(irq)) {
        return false;
    }
    if (irq == IRQ_COM1_COM3 || irq == IRQ_COM2_COM4) {
        serial_interrupt();
        return true;
    }
    return irq == IRQ_TIMER;
}

/* The APIC's spurious vector is the one that wants no end of interrupt. */
static void handle_stray(uint32_t vector)
{
    if (vector == VECTOR_APIC_ERROR) {
        apic_write(APIC_ERROR_STATUS, 0);
    }
    if (vector != VECTOR_APIC_SPURIOUS) {
        apic_write(APIC_EOI, 0);
    }
    stray++;
}

void interrupt_handle(uint32_t vector)
{
    taken++;
    if (vector == VECTOR_TIMER) {
        timer_interrupt();
    } else if (vector - VECTOR_PIC < PIC_INPUTS) {
        stray += !handle_pic(vector - VECTOR_PIC);
    } else {
        handle_stray(vector);
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
