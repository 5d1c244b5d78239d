/*
 * Interrupt controllers: the local APIC by memory or by registers, the pair of 8259s,
 * and counting what arrives.
 *
 * SDM 3A "Advanced Programmable Interrupt Controller (APIC)"; Intel 8259A, 8254.
 */
#ifndef TESTS_GUESTS_IRQ_H
#define TESTS_GUESTS_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/* Register offsets of the memory interface; the x2APIC's MSR is 0x800 + offset / 16. */
#define APIC_ID         0x020
#define APIC_VERSION    0x030
#define APIC_TPR        0x080
#define APIC_PPR        0x0a0
#define APIC_EOI        0x0b0
#define APIC_LDR        0x0d0
#define APIC_DFR        0x0e0
#define APIC_SPURIOUS   0x0f0
#define APIC_ISR        0x100
#define APIC_IRR        0x200
#define APIC_ICR        0x300
#define APIC_ICR_HIGH   0x310
#define APIC_LVT_TIMER  0x320
#define APIC_LVT_LINT0  0x350
#define APIC_LVT_LINT1  0x360
#define APIC_LVT_ERROR  0x370
#define APIC_INITIAL    0x380
#define APIC_CURRENT    0x390
#define APIC_DIVIDE     0x3e0

#define LVT_MASKED      0x10000
#define LVT_PERIODIC    0x20000
#define LVT_DEADLINE    0x40000
#define LVT_EXTINT      0x700

#define ICR_LOWEST      0x100
#define ICR_NMI         0x400
#define ICR_INIT        0x500
#define ICR_START       0x600 /* the vector is the page at which the processor starts */
#define ICR_LOGICAL     0x800
#define ICR_PENDING     0x1000
#define ICR_ASSERT      0x4000
#define ICR_SELF        0x40000
#define ICR_ALL         0x80000
#define ICR_OTHERS      0xc0000

#define APIC_PAGE       0xfee00000

/* Vectors that the guests use. */
#define VECTOR_PIC      0x20
#define VECTOR_TIMER    0x50
#define VECTOR_LOW      0x61
#define VECTOR_HIGH     0x71
#define VECTOR_SPURIOUS 0xff

/* Enable the local APIC, by MSRs if @x2, with everything masked; mask both 8259s and give them VECTOR_PIC. */
void irq_start(bool x2);

/* Back to plain xAPIC, everything masked. */
void irq_stop(void);

uint32_t apic_read(uint32_t offset);
void apic_write(uint32_t offset, uint32_t value);

/* This processor's local APIC, as irq_start() made that of the processor which called it. */
void irq_join(void);

/* Interrupt command, to this processor. */
void apic_send(uint32_t command);

/* Interrupt command, to the local APIC whose identity is @id (or, with ICR_LOGICAL, to that set). */
void apic_send_to(uint32_t id, uint32_t command);

/* The identity of this processor's local APIC. */
uint32_t apic_identity(void);

/* Whether @vector's bit is set in the 256 bits from @offset. */
bool apic_bit(uint32_t offset, unsigned vector);

/* Unmask these lines of the 8259 pair, bit 2 being the cascade's. */
void pic_unmask(uint16_t lines);

/* Count arrivals of @vector: the hook counts, remembers, and ends the interrupt. */
void irq_count(unsigned vector);

extern volatile unsigned irq_counts[256];

/* Arrivals of any counted vector since irq_order_reset(), the first eight. */
extern volatile uint8_t irq_order[8];
extern volatile unsigned irq_ordered;
void irq_order_reset(void);

/* Where the last counted interrupt came from. */
extern volatile uintptr_t irq_ip;

/*
 * With interrupts on, spin or halt until irq_counts[vector] reaches @count. False if it
 * takes about @spins rounds.
 */
bool irq_wait(unsigned vector, unsigned count, bool halting);

#endif
