/*
 * Inside the local APIC: register numbers and fields, and what its three files call in one another.
 *
 * Spec: Intel SDM "Local APIC Register Address Map", "x2APIC Register Address Space".
 */
#ifndef HV_DEV_LAPIC_REGISTERS_H
#define HV_DEV_LAPIC_REGISTERS_H

#include "hv/dev/bits.h"
#include "hv/dev/lapic.h"

/* Register numbers: the memory offset over 16, and the MSR less 0x800. */
enum lapic_register {
    LAPIC_ID = 0x02,
    LAPIC_VERSION_REGISTER = 0x03,
    LAPIC_TPR = 0x08,
    LAPIC_PPR = 0x0A,
    LAPIC_EOI = 0x0B,
    LAPIC_LDR = 0x0D,
    LAPIC_DFR = 0x0E,
    LAPIC_SVR = 0x0F,
    LAPIC_ISR = 0x10,
    LAPIC_TMR = 0x18,
    LAPIC_IRR = 0x20,
    LAPIC_ESR = 0x28,
    LAPIC_ICR = 0x30,
    LAPIC_ICR_HIGH = 0x31,
    LAPIC_LVT_TIMER_REGISTER = 0x32,
    LAPIC_LVT_ERROR_REGISTER = 0x37,
    LAPIC_INITIAL_COUNT = 0x38,
    LAPIC_CURRENT_COUNT = 0x39,
    LAPIC_DIVIDE = 0x3E,
    LAPIC_SELF_IPI = 0x3F,
    LAPIC_REGISTERS = 0x40,
};

#define SVR_FOCUS                  BIT32(9)
#define SVR_NO_EOI_BROADCAST       BIT32(12)

#define LVT_VECTOR                 BITS32(7, 0)
#define LVT_DELIVERY               BITS32(10, 8)
#define LVT_STATUS                 BIT32(12)
#define LVT_ACTIVE_LOW             BIT32(13)
#define LVT_REMOTE_IRR             BIT32(14)
#define LVT_LEVEL                  BIT32(15)
#define LVT_MASKED                 BIT32(16)
#define LVT_TIMER_MODE             BITS32(18, 17)
#define LVT_TIMER_DEADLINE         BIT32(18)

#define ICR_LOGICAL                BIT32(11)
#define ICR_STATUS                 BIT32(12)
#define ICR_ASSERT                 BIT32(14)
#define ICR_LEVEL                  BIT32(15)
#define ICR_SHORTHAND              BITS32(19, 18)

#define ESR_SEND_ILLEGAL_VECTOR    BIT32(5)
#define ESR_RECEIVE_ILLEGAL_VECTOR BIT32(6)
#define ESR_ILLEGAL_REGISTER       BIT32(7)

/* The lowest vector that an APIC delivers. */
#define LAPIC_FIRST_VECTOR         16

enum lapic_timer_mode {
    LAPIC_TIMER_ONE_SHOT = 0,
    LAPIC_TIMER_PERIODIC = 1,
    LAPIC_TIMER_DEADLINE = 2,
    LAPIC_TIMER_RESERVED = 3,
};

static inline enum lapic_timer_mode lapic_timer_mode_of(uint32_t lvt)
{
    return (enum lapic_timer_mode)bits_get(lvt, 18, 17);
}

/* Compute @ready anew; tells the board when it becomes something. */
void lapic_evaluate(struct lapic *lapic);

/* Set errors in ESR's hidden half; the first since the last write of ESR interrupts. */
void lapic_error(struct lapic *lapic, uint32_t errors);

/* Take @vector into IRR; or, if it is illegal, the error: false. */
bool lapic_request(struct lapic *lapic, uint8_t vector, bool level);

/* Deliver as entry @lvt says, unless it is masked. */
void lapic_deliver_local(struct lapic *lapic, enum lapic_lvt lvt);

/* An entry of the vector table was written: levels that it lets through now come through. */
void lapic_lvt_changed(struct lapic *lapic, enum lapic_lvt lvt);

/* Set page, enabled and x2apic_mode by IA32_APIC_BASE. */
void lapic_base_changed(struct lapic *lapic);

/* The timer: stop it, and its registers. */
void lapic_timer_stop(struct lapic *lapic);
void lapic_timer_lvt_write(struct lapic *lapic, uint32_t value);
void lapic_timer_initial_write(struct lapic *lapic, uint32_t count);
void lapic_timer_divide_write(struct lapic *lapic, uint32_t value);
uint32_t lapic_timer_current(struct lapic *lapic);
uint64_t lapic_timer_deadline_read(struct lapic *lapic);

#endif
