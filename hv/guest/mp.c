/*
 * The MP table: processors, the ISA bus, the I/O APIC and how interrupts reach them.
 *
 * Spec: MultiProcessor Specification 1.4 "MP Configuration Table".
 */
#include "hv/dev/pc.h"
#include "hv/guest/bytes.h"
#include "hv/guest/tables.h"

enum entry_type {
    MP_PROCESSOR = 0,
    MP_BUS = 1,
    MP_IOAPIC = 2,
    MP_INTERRUPT = 3,
    MP_LOCAL_INTERRUPT = 4,
};

enum interrupt_type {
    MP_INT = 0,
    MP_NMI = 1,
    MP_EXTINT = 3,
};

#define PROCESSOR_ENABLED 0x01u
#define PROCESSOR_BOOT    0x02u
#define IOAPIC_ENABLED    0x01u
#define EVERY_APIC        0xFFu
#define ISA_BUS           0
#define REVISION_1_4      4

/* Offsets in the configuration table's header. */
enum {
    MP_LENGTH = 4,
    MP_REVISION = 6,
    MP_CHECKSUM = 7,
    MP_OEM = 8, /* 8 bytes, then 12 of the product's name */
    MP_COUNT = 34,
    MP_APIC_ADDRESS = 36,
    MP_HEADER_BYTES = 44,

    PROCESSOR_BYTES = 20,
    OTHER_BYTES = 8,
    FLOATING_BYTES = 16,
};

struct mp {
    uint8_t *at;
    uint32_t bytes;
    uint16_t count;
};

static uint8_t *add_entry(struct mp *mp, enum entry_type type, uint32_t bytes)
{
    uint8_t *entry = mp->at + mp->bytes;

    mp->bytes += bytes;
    mp->count++;
    entry[0] = (uint8_t)type;
    return entry;
}

static void add_processor(struct mp *mp, const struct guest_firmware *firmware, unsigned id)
{
    uint8_t *entry = add_entry(mp, MP_PROCESSOR, PROCESSOR_BYTES);

    entry[1] = (uint8_t)id;
    entry[2] = PC_LAPIC_MP_VERSION;
    entry[3] = PROCESSOR_ENABLED | (id == 0 ? PROCESSOR_BOOT : 0);
    put32(entry + 4, firmware->cpu_signature);
    put32(entry + 8, firmware->cpu_features);
}

/* Flags zero: polarity and trigger as the bus has them, edge and active high for ISA. */
static void add_interrupt(struct mp *mp, enum interrupt_type type, uint8_t irq, uint8_t ioapic, uint8_t pin)
{
    uint8_t *entry = add_entry(mp, MP_INTERRUPT, OTHER_BYTES);

    entry[1] = (uint8_t)type;
    entry[4] = ISA_BUS;
    entry[5] = irq;
    entry[6] = ioapic;
    entry[7] = pin;
}

static void add_local_interrupt(struct mp *mp, enum interrupt_type type, uint8_t lint)
{
    uint8_t *entry = add_entry(mp, MP_LOCAL_INTERRUPT, OTHER_BYTES);

    entry[1] = (uint8_t)type;
    entry[4] = ISA_BUS;
    entry[6] = EVERY_APIC;
    entry[7] = lint;
}

static void add_devices(struct mp *mp, uint8_t ioapic_id)
{
    uint8_t *bus = add_entry(mp, MP_BUS, OTHER_BYTES);
    uint8_t *ioapic = add_entry(mp, MP_IOAPIC, OTHER_BYTES);

    bus[1] = ISA_BUS;
    __builtin_memcpy(bus + 2, "ISA   ", 6);
    ioapic[1] = ioapic_id;
    ioapic[2] = PC_IOAPIC_MP_VERSION;
    ioapic[3] = IOAPIC_ENABLED;
    put32(ioapic + 4, PC_IOAPIC_ADDRESS);
}

/* The SCI is level-triggered where the bus's interrupts are not. */
#define FLAGS_LEVEL_HIGH 0x000Du

static void add_interrupts(struct mp *mp, uint8_t ioapic_id)
{
    for (uint8_t irq = 0; irq < PC_IRQS; irq++) {
        if (irq == PC_PIN_TIMER) {
            continue; /* the cascade of the 8259s; its pin carries the timer */
        }
        add_interrupt(mp, MP_INT, irq, ioapic_id, irq == PC_IRQ_TIMER ? PC_PIN_TIMER : irq);
        if (irq == PC_IRQ_SCI) {
            put16(mp->at + mp->bytes - OTHER_BYTES + 2, FLAGS_LEVEL_HIGH);
        }
    }
    add_local_interrupt(mp, MP_EXTINT, 0);
    add_local_interrupt(mp, MP_NMI, 1);
}

static uint32_t table_bytes(unsigned vp_count)
{
    return MP_HEADER_BYTES + vp_count * PROCESSOR_BYTES + (2 + PC_IRQS - 1 + 2) * OTHER_BYTES;
}

bool mp_write(const struct guest_memory *memory, const struct guest_firmware *firmware)
{
    const uint32_t bytes = table_bytes(firmware->vp_count);
    const uint32_t place = bytes <= TABLES_MP_END - TABLES_MP ? TABLES_MP : TABLES_MP_LARGE;
    uint8_t *floating = guest_memory_at(memory, (vmmu_gpa){ TABLES_MP_FLOATING }, FLOATING_BYTES);
    struct mp mp = { guest_memory_at(memory, (vmmu_gpa){ place }, bytes), MP_HEADER_BYTES, 0 };

    if (floating == NULL || mp.at == NULL) {
        return false;
    }
    __builtin_memset(floating, 0, FLOATING_BYTES);
    __builtin_memset(mp.at, 0, bytes);
    for (unsigned id = 0; id < firmware->vp_count; id++) {
        add_processor(&mp, firmware, id);
    }
    add_devices(&mp, (uint8_t)firmware->vp_count);
    add_interrupts(&mp, (uint8_t)firmware->vp_count);
    VMMU_ASSERT(mp.bytes == bytes);

    __builtin_memcpy(mp.at, "PCMP", 4);
    put16(mp.at + MP_LENGTH, (uint16_t)mp.bytes);
    mp.at[MP_REVISION] = REVISION_1_4;
    __builtin_memcpy(mp.at + MP_OEM, "VMMU    VMMU        ", 20);
    put16(mp.at + MP_COUNT, mp.count);
    put32(mp.at + MP_APIC_ADDRESS, PC_LAPIC_ADDRESS);
    mp.at[MP_CHECKSUM] = checksum(mp.at, mp.bytes);

    __builtin_memcpy(floating, "_MP_", 4);
    put32(floating + 4, place);
    floating[8] = FLOATING_BYTES / 16;
    floating[9] = REVISION_1_4;
    floating[10] = checksum(floating, FLOATING_BYTES);
    return true;
}

_Static_assert(MP_HEADER_BYTES + GUEST_FIRMWARE_VPS * PROCESSOR_BYTES + (2 + PC_IRQS + 1) * OTHER_BYTES <=
                   TABLES_MP_LARGE_END - TABLES_MP_LARGE,
               "the largest MP table fits its place");
