/*
 * The I/O APIC: 24 pins, version 0x20 (the 82093AA's registers, and the EOI register of its successors).
 *
 * Invariant: an asserted, unmasked, level-triggered pin either has its remote IRR set (a local APIC holds its
 * interrupt and will end it) or no local APIC would accept it. Every change that may break this evaluates the
 * pin again, so a level interrupt is never lost.
 *
 * Spec: Intel 82093AA datasheet.
 */
#ifndef HV_DEV_IOAPIC_H
#define HV_DEV_IOAPIC_H

#include "hv/dev/apic_message.h"
#include "hv/dev/line.h"

#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_PINS       24
#define IOAPIC_VERSION    UINT32_C(0x00170020)
#define IOAPIC_PAGE_BYTES UINT64_C(4096)

struct ioapic_counters {
    struct dev_counters registers;
    uint64_t sent;      /* messages that a local APIC accepted */
    uint64_t unclaimed; /* messages that none accepted */
    uint64_t ended;     /* level interrupts ended */
};

struct ioapic {
    uint8_t index; /* IOREGSEL */
    uint32_t id;
    uint32_t levels; /* electrical level of each pin */
    uint64_t entries[IOAPIC_PINS];
    /* Hand a message to the local APICs; true if one accepted it. */
    bool (*send)(void *context, const struct apic_message *message);
    void *context;
    struct ioapic_counters counters;
};

/* All pins masked, ID 0. */
void ioapic_init(struct ioapic *ioapic,
                 bool (*send_message)(void *context, const struct apic_message *message), void *context);
void ioapic_reset(struct ioapic *ioapic);

/*
 * Read or write at @offset (below 4096) of its page, @width_bytes 1, 2, 4 or 8. Spec: "I/O APIC Registers".
 */
uint64_t ioapic_mmio_read(struct ioapic *ioapic, uint32_t offset, unsigned width_bytes);
void ioapic_mmio_write(struct ioapic *ioapic, uint32_t offset, unsigned width_bytes, uint64_t value);

/* Pin @pin (below IOAPIC_PINS) is now electrically @high. */
void ioapic_set_pin(struct ioapic *ioapic, unsigned pin, bool high);

/* A local APIC, or the EOI register, ended the level interrupt @vector. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

/* Local APICs have changed: send again what none had accepted. */
void ioapic_evaluate(struct ioapic *ioapic);

bool ioapic_pin_is_masked(const struct ioapic *ioapic, unsigned pin);

#endif
