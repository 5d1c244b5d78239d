/*
 * The I/O APIC's pins and registers.
 */
#include "hv/dev/ioapic.h"

#include "hv/dev/bits.h"

#include "vmmu/base.h"

/* Memory offsets, and numbers behind the index register. */
enum {
    OFFSET_INDEX = 0x00,
    OFFSET_WINDOW = 0x10,
    OFFSET_EOI = 0x40,

    REGISTER_ID = 0,
    REGISTER_VERSION = 1,
    REGISTER_ARBITRATION = 2,
    REGISTER_ENTRIES = 0x10,
};

#define ENTRY_DELIVERY   BITS64(10, 8)
#define ENTRY_LOGICAL    BIT64(11)
#define ENTRY_STATUS     BIT64(12)
#define ENTRY_ACTIVE_LOW BIT64(13)
#define ENTRY_REMOTE_IRR BIT64(14)
#define ENTRY_LEVEL      BIT64(15)
#define ENTRY_MASKED     BIT64(16)
#define ENTRY_LOW_VALID  BITS64(16, 0)
#define ENTRY_HIGH_VALID BITS64(63, 56)
#define ENTRY_READ_ONLY  (ENTRY_STATUS | ENTRY_REMOTE_IRR)

#define ID_VALID         BITS32(27, 24)

static enum apic_delivery delivery_of(uint64_t entry)
{
    return (enum apic_delivery)bits_get(entry, 10, 8);
}

/* SMI, NMI, INIT and ExtINT are edges whatever the trigger bit says. */
static bool is_level(uint64_t entry)
{
    return (entry & ENTRY_LEVEL) != 0 &&
           (delivery_of(entry) == APIC_FIXED || delivery_of(entry) == APIC_LOWEST_PRIORITY);
}

static bool is_asserted(const struct ioapic *ioapic, unsigned pin)
{
    return bit_is_set(ioapic->levels, pin) != ((ioapic->entries[pin] & ENTRY_ACTIVE_LOW) != 0);
}

static bool send(struct ioapic *ioapic, unsigned pin)
{
    const uint64_t entry = ioapic->entries[pin];
    const struct apic_message message = {
        .destination = bits_get(entry, 63, 56),
        .vector = byte_of(entry, 0),
        .delivery = delivery_of(entry),
        .shorthand = APIC_TO_DESTINATION,
        .logical = (entry & ENTRY_LOGICAL) != 0,
        .level = is_level(entry),
        .wide = false,
    };
    const bool accepted = ioapic->send(ioapic->context, &message);

    ioapic->counters.sent += accepted;
    ioapic->counters.unclaimed += !accepted;
    return accepted;
}

/* Send a level-triggered pin's interrupt if it wants one and none is under way. */
static void evaluate_level(struct ioapic *ioapic, unsigned pin)
{
    const uint64_t entry = ioapic->entries[pin];

    if (!is_level(entry) || (entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) != 0 || !is_asserted(ioapic, pin))
        return;
    if (send(ioapic, pin))
        ioapic->entries[pin] |= ENTRY_REMOTE_IRR;
}

void ioapic_evaluate(struct ioapic *ioapic)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        evaluate_level(ioapic, pin);
}

void ioapic_set_pin(struct ioapic *ioapic, unsigned pin, bool high)
{
    const uint64_t entry = ioapic->entries[pin];

    if (bit_is_set(ioapic->levels, pin) == high)
        return;
    ioapic->levels ^= BIT32(pin);
    if ((entry & ENTRY_MASKED) != 0 || !is_asserted(ioapic, pin))
        return;
    if (is_level(entry)) {
        evaluate_level(ioapic, pin);
    } else {
        (void)send(ioapic, pin);
    }
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *entry = &ioapic->entries[pin];

        if (byte_of(*entry, 0) != vector || (*entry & ENTRY_REMOTE_IRR) == 0)
            continue;
        *entry &= ~ENTRY_REMOTE_IRR;
        ioapic->counters.ended++;
        evaluate_level(ioapic, pin);
    }
}

bool ioapic_pin_is_masked(const struct ioapic *ioapic, unsigned pin)
{
    return (ioapic->entries[pin] & ENTRY_MASKED) != 0;
}

/* --- registers --- */

static uint32_t read_register(const struct ioapic *ioapic, unsigned number)
{
    const unsigned half = number - REGISTER_ENTRIES;

    switch (number) {
    case REGISTER_ID:
    case REGISTER_ARBITRATION: return ioapic->id;
    case REGISTER_VERSION: return IOAPIC_VERSION;
    default: break;
    }
    if (number < REGISTER_ENTRIES || half >= 2 * IOAPIC_PINS) {
        return UINT32_MAX;
    }
    return (uint32_t)(ioapic->entries[half / 2] >> (32 * (half % 2)));
}

/*
 * Leaving level mode clears the remote IRR: so do chips, and software without an EOI register relies on it.
 */
static void write_entry(struct ioapic *ioapic, unsigned half, uint32_t value)
{
    uint64_t *entry = &ioapic->entries[half / 2];

    if (half % 2 != 0) {
        *entry = (*entry & ~BITS64(63, 32)) | ((uint64_t)value << 32 & ENTRY_HIGH_VALID);
    } else {
        *entry = (*entry & (BITS64(63, 32) | ENTRY_READ_ONLY)) | (value & ENTRY_LOW_VALID & ~ENTRY_READ_ONLY);
        if (!is_level(*entry))
            *entry &= ~ENTRY_REMOTE_IRR;
    }
    evaluate_level(ioapic, half / 2);
}

static void write_register(struct ioapic *ioapic, unsigned number, uint32_t value)
{
    if (number == REGISTER_ID) {
        ioapic->id = value & ID_VALID;
    } else if (number >= REGISTER_ENTRIES && number - REGISTER_ENTRIES < 2 * IOAPIC_PINS) {
        write_entry(ioapic, number - REGISTER_ENTRIES, value);
    }
}

uint64_t ioapic_mmio_read(struct ioapic *ioapic, uint32_t offset, unsigned width_bytes)
{
    uint64_t value = 0;

    ioapic->counters.registers.reads++;
    switch (offset & ~UINT32_C(3)) {
    case OFFSET_INDEX: value = ioapic->index; break;
    case OFFSET_WINDOW: value = read_register(ioapic, ioapic->index); break;
    default: break;
    }
    return value >> (8 * (offset % 4)) & all_ones(width_bytes);
}

void ioapic_mmio_write(struct ioapic *ioapic, uint32_t offset, unsigned width_bytes, uint64_t value)
{
    ioapic->counters.registers.writes++;
    switch (offset) {
    case OFFSET_INDEX: ioapic->index = byte_of(value, 0); break;
    case OFFSET_WINDOW:
        if (width_bytes >= 4)
            write_register(ioapic, ioapic->index, (uint32_t)value);
        break;
    case OFFSET_EOI: ioapic_eoi(ioapic, byte_of(value, 0)); break;
    default: break;
    }
}

void ioapic_reset(struct ioapic *ioapic)
{
    ioapic->index = 0;
    ioapic->id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic->entries[pin] = ENTRY_MASKED;
}

void ioapic_init(struct ioapic *ioapic,
                 bool (*send_message)(void *context, const struct apic_message *message), void *context)
{
    *ioapic = (struct ioapic){ .send = send_message, .context = context };
    ioapic_reset(ioapic);
}
