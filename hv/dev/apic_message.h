/*
 * Interrupt messages between APICs: what an I/O APIC or a local APIC sends, and how a
 * local APIC is addressed.
 *
 * Spec: Intel SDM "Advanced Programmable Interrupt Controller (APIC)": "Issuing Interprocessor Interrupts",
 * "Determining IPI Destination"; 82093AA datasheet "I/O Redirection Table Registers".
 */
#ifndef HV_DEV_APIC_MESSAGE_H
#define HV_DEV_APIC_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

/* The delivery-mode field, as ICR, LVT and redirection entries encode it. */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST_PRIORITY = 1,
    APIC_SMI = 2,
    APIC_DELIVERY_RESERVED = 3,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7,
};

/* The destination-shorthand field of the ICR. */
enum apic_shorthand {
    APIC_TO_DESTINATION = 0,
    APIC_TO_SELF = 1,
    APIC_TO_ALL = 2,
    APIC_TO_OTHERS = 3,
};

struct apic_message {
    uint32_t destination;
    uint8_t vector;
    enum apic_delivery delivery;
    enum apic_shorthand shorthand;
    bool logical; /* the destination is a logical one */
    bool level;   /* level-triggered: the acceptor's EOI is told to the I/O APICs */
    bool wide;    /* the destination has 32 bits, as x2APIC sends them; else 8 */
};

/* The all-ones destination, which every local APIC accepts. */
static inline bool apic_message_is_broadcast(const struct apic_message *message)
{
    return message->destination == (message->wide ? UINT32_MAX : UINT32_C(0xFF));
}

#endif
