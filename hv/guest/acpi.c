/*
 * ACPI tables of a small PC: RSDP, RSDT, XSDT, FADT, FACS, MADT, DSDT.
 *
 * Invariant: every number that a device also knows comes from hv/dev/pc.h.
 *
 * Spec: ACPI Specification "ACPI Software Programming Model".
 */
#include "hv/dev/pc.h"
#include "hv/guest/aml.h"
#include "hv/guest/bytes.h"
#include "hv/guest/tables.h"

enum {
    TABLE_LENGTH = 4,
    TABLE_REVISION = 8,
    TABLE_CHECKSUM = 9,
    TABLE_OEM = 10,
    TABLE_HEADER_BYTES = 36,
    TABLE_ALIGNMENT = 64, /* the FACS needs it; the others do not mind */

    RSDP_BYTES = 36,
    RSDP_BYTES_FIRST = 20, /* what the first checksum covers */
    FACS_BYTES = 64,
    FADT_BYTES = 244,
    FADT_REVISION = 4,
    MADT_REVISION = 3,
};

/* Fields of the FADT. */
enum fadt {
    FADT_FACS = 36,
    FADT_DSDT = 40,
    FADT_PROFILE = 45,
    FADT_SCI = 46,
    FADT_SMI_COMMAND = 48,
    FADT_PM1A_EVENT = 56,
    FADT_PM1A_CONTROL = 64,
    FADT_PM_TIMER = 76,
    FADT_PM1_EVENT_BYTES = 88,
    FADT_PM1_CONTROL_BYTES = 89,
    FADT_PM_TIMER_BYTES = 91,
    FADT_C2_LATENCY = 96,
    FADT_C3_LATENCY = 98,
    FADT_CENTURY = 108,
    FADT_BOOT_ARCHITECTURE = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REGISTER = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_EVENT = 148,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM_TIMER = 208,
};

#define PROFILE_DESKTOP   1
#define LATENCY_NO_C2     101u
#define LATENCY_NO_C3     1001u

/* Legacy devices on ISA, no VGA; no 8042, so that nobody looks for one. */
#define BOOT_LEGACY       0x0001u
#define BOOT_NO_VGA       0x0004u

#define FLAG_WBINVD       BIT64(0)
#define FLAG_C1           BIT64(2)
#define FLAG_NO_SLEEP_KEY BIT64(5)
#define FLAG_RTC_NO_WAKE  BIT64(6)
#define FLAG_TIMER_32     BIT64(8)
#define FLAG_RESET        BIT64(10)

#define ADDRESS_IO        1
#define FLAGS_LEVEL_HIGH  0x000Du
#define EVERY_PROCESSOR   0xFFu
#define MADT_DUAL_8259    1u

/* Tables are taken one after the other. */
struct writer {
    const struct guest_memory *memory;
    uint32_t next;
};

static uint8_t *take(struct writer *writer, uint32_t bytes, uint32_t *address)
{
    uint8_t *at;

    *address = writer->next;
    writer->next += (bytes + TABLE_ALIGNMENT - 1) & ~(uint32_t)(TABLE_ALIGNMENT - 1);
    if (writer->next > TABLES_ACPI_END) {
        return NULL;
    }
    at = guest_memory_at(writer->memory, (vmmu_gpa){ *address }, bytes);
    if (at != NULL) {
        __builtin_memset(at, 0, bytes);
    }
    return at;
}

static void finish_table(uint8_t *at, const char *signature, uint8_t revision, uint32_t bytes)
{
    __builtin_memcpy(at, signature, 4);
    put32(at + TABLE_LENGTH, bytes);
    at[TABLE_REVISION] = revision;
    __builtin_memcpy(at + TABLE_OEM, "VMMU  VMMU    \1\0\0\0VMMU\1\0\0\0", 26);
    at[TABLE_CHECKSUM] = checksum(at, bytes);
}

static void put_io_register(uint8_t *at, uint16_t port, uint8_t bytes)
{
    at[0] = ADDRESS_IO;
    at[1] = (uint8_t)(bytes * 8);
    at[3] = bytes == 1 ? 1 : bytes == 2 ? 2 : 3; /* access size: byte, word, double word */
    put64(at + 4, port);
}

struct isa_device {
    const char *name;
    const char *id;
    uint16_t port;
    uint8_t ports;
    uint8_t irq;
};

static const struct isa_device isa_devices[] = {
    { "COM1", "PNP0501", 0x3F8, 8, PC_IRQ_COM1_COM3 },
    { "RTC0", "PNP0B00", 0x70, 2, PC_IRQ_RTC },
};

/* Small resource descriptors: ports decoded by 16 bits at a fixed place, and an edge-triggered interrupt. */
static void add_isa_device(struct aml *aml, const struct isa_device *device)
{
    const uint32_t block = aml_open_device(aml, device->name);
    uint8_t resources[11] = { [0] = 0x47, [1] = 1, [6] = 1, [7] = device->ports, [8] = 0x22 };

    put16(resources + 2, device->port);
    put16(resources + 4, device->port);
    put16(resources + 9, (uint16_t)BIT64(device->irq));
    aml_name(aml, "_HID");
    aml_eisa_id(aml, device->id);
    aml_name(aml, "_UID");
    aml_integer(aml, 1);
    aml_name(aml, "_CRS");
    aml_resources(aml, resources, sizeof(resources));
    aml_close(aml, block);
}

static bool write_dsdt(struct writer *writer, uint32_t *address)
{
    enum { ROOM = 512 };
    uint8_t *at = take(writer, ROOM, address);
    struct aml aml = { at, TABLE_HEADER_BYTES, ROOM, false };
    uint32_t block;

    if (at == NULL) {
        return false;
    }
    aml_name(&aml, "_S5_");
    block = aml_open_package(&aml, 4);
    aml_integer(&aml, PC_SLEEP_TYPE_S5);
    aml_integer(&aml, PC_SLEEP_TYPE_S5);
    aml_integer(&aml, 0);
    aml_integer(&aml, 0);
    aml_close(&aml, block);
    block = aml_open_scope(&aml, "\\_SB_");
    for (unsigned i = 0; i < sizeof(isa_devices) / sizeof(isa_devices[0]); i++) {
        add_isa_device(&aml, &isa_devices[i]);
    }
    aml_close(&aml, block);
    finish_table(at, "DSDT", 2, aml.bytes);
    return !aml.overflow;
}

static bool write_facs(struct writer *writer, uint32_t *address)
{
    uint8_t *at = take(writer, FACS_BYTES, address);

    if (at == NULL) {
        return false;
    }
    __builtin_memcpy(at, "FACS", 4);
    put32(at + TABLE_LENGTH, FACS_BYTES);
    at[32] = 2; /* version */
    return true;
}

static void write_fadt_registers(uint8_t *at)
{
    put16(at + FADT_SCI, PC_IRQ_SCI);
    put32(at + FADT_SMI_COMMAND, PC_PORT_SMI_COMMAND);
    put32(at + FADT_PM1A_EVENT, PC_PORT_PM1A_EVENT);
    put32(at + FADT_PM1A_CONTROL, PC_PORT_PM1A_CONTROL);
    put32(at + FADT_PM_TIMER, PC_PORT_PM_TIMER);
    at[FADT_PM1_EVENT_BYTES] = 4;
    at[FADT_PM1_CONTROL_BYTES] = 2;
    at[FADT_PM_TIMER_BYTES] = 4;
    put_io_register(at + FADT_X_PM1A_EVENT, PC_PORT_PM1A_EVENT, 4);
    at[FADT_X_PM1A_EVENT + 3] = 2; /* status and enable registers are words each */
    put_io_register(at + FADT_X_PM1A_CONTROL, PC_PORT_PM1A_CONTROL, 2);
    put_io_register(at + FADT_X_PM_TIMER, PC_PORT_PM_TIMER, 4);
    put_io_register(at + FADT_RESET_REGISTER, PC_PORT_RESET, 1);
    at[FADT_RESET_VALUE] = PC_RESET_VALUE;
}

static bool write_fadt(struct writer *writer, const struct guest_firmware *firmware, uint32_t *address)
{
    const uint64_t timer = firmware->pm_timer_is_24_bit ? 0 : FLAG_TIMER_32;
    uint32_t facs;
    uint32_t dsdt;
    const bool others = write_facs(writer, &facs) && write_dsdt(writer, &dsdt);
    uint8_t *at = take(writer, FADT_BYTES, address);

    if (!others || at == NULL) {
        return false;
    }
    put32(at + FADT_FACS, facs);
    put32(at + FADT_DSDT, dsdt);
    put64(at + FADT_X_DSDT, dsdt);
    at[FADT_PROFILE] = PROFILE_DESKTOP;
    write_fadt_registers(at);
    put16(at + FADT_C2_LATENCY, LATENCY_NO_C2);
    put16(at + FADT_C3_LATENCY, LATENCY_NO_C3);
    at[FADT_CENTURY] = PC_CMOS_CENTURY;
    put16(at + FADT_BOOT_ARCHITECTURE, BOOT_LEGACY | BOOT_NO_VGA);
    put32(at + FADT_FLAGS,
          (uint32_t)(FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_KEY | FLAG_RTC_NO_WAKE | FLAG_RESET | timer));
    finish_table(at, "FACP", FADT_REVISION, FADT_BYTES);
    return true;
}

enum {
    MADT_FIXED_BYTES = TABLE_HEADER_BYTES + 8,
    MADT_PROCESSOR_BYTES = 8,
    MADT_IOAPIC_BYTES = 12,
    MADT_OVERRIDE_BYTES = 10,
    MADT_NMI_BYTES = 6,
    MADT_OTHER_BYTES = MADT_IOAPIC_BYTES + 2 * MADT_OVERRIDE_BYTES + MADT_NMI_BYTES,
};

static uint8_t *put_override(uint8_t *at, uint8_t irq, uint32_t pin, uint16_t flags)
{
    at[0] = 2;
    at[1] = MADT_OVERRIDE_BYTES;
    at[3] = irq;
    put32(at + 4, PC_IOAPIC_GSI_BASE + pin);
    put16(at + 8, flags);
    return at + MADT_OVERRIDE_BYTES;
}

static uint8_t *put_processor(uint8_t *at, uint8_t id)
{
    at[0] = 0;
    at[1] = MADT_PROCESSOR_BYTES;
    at[2] = id;
    at[3] = id;
    put32(at + 4, 1); /* enabled */
    return at + MADT_PROCESSOR_BYTES;
}

static uint8_t *put_ioapic(uint8_t *at, uint8_t id)
{
    at[0] = 1;
    at[1] = MADT_IOAPIC_BYTES;
    at[2] = id;
    put32(at + 4, PC_IOAPIC_ADDRESS);
    put32(at + 8, PC_IOAPIC_GSI_BASE);
    return at + MADT_IOAPIC_BYTES;
}

static bool write_madt(struct writer *writer, const struct guest_firmware *firmware, uint32_t *address)
{
    const uint32_t bytes = MADT_FIXED_BYTES + firmware->vp_count * MADT_PROCESSOR_BYTES + MADT_OTHER_BYTES;
    uint8_t *at = take(writer, bytes, address);
    uint8_t *entry;

    if (at == NULL) {
        return false;
    }
    put32(at + TABLE_HEADER_BYTES, PC_LAPIC_ADDRESS);
    put32(at + TABLE_HEADER_BYTES + 4, MADT_DUAL_8259);
    entry = at + MADT_FIXED_BYTES;
    for (unsigned id = 0; id < firmware->vp_count; id++) {
        entry = put_processor(entry, (uint8_t)id);
    }
    entry = put_ioapic(entry, (uint8_t)firmware->vp_count);
    entry = put_override(entry, PC_IRQ_TIMER, PC_PIN_TIMER, 0);
    entry = put_override(entry, PC_IRQ_SCI, PC_IRQ_SCI, FLAGS_LEVEL_HIGH);
    entry[0] = 4; /* the NMI, on LINT1 of every processor; flags 0: as the bus */
    entry[1] = MADT_NMI_BYTES;
    entry[2] = EVERY_PROCESSOR;
    entry[5] = 1;
    finish_table(at, "APIC", MADT_REVISION, bytes);
    return true;
}

static bool write_roots(struct writer *writer, const uint32_t tables[2], uint32_t *rsdt, uint32_t *xsdt)
{
    enum { RSDT_BYTES = TABLE_HEADER_BYTES + 8, XSDT_BYTES = TABLE_HEADER_BYTES + 16 };
    uint8_t *narrow = take(writer, RSDT_BYTES, rsdt);
    uint8_t *wide = take(writer, XSDT_BYTES, xsdt);

    if (narrow == NULL || wide == NULL) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        put32(narrow + TABLE_HEADER_BYTES + (size_t)4 * i, tables[i]);
        put64(wide + TABLE_HEADER_BYTES + (size_t)8 * i, tables[i]);
    }
    finish_table(narrow, "RSDT", 1, RSDT_BYTES);
    finish_table(wide, "XSDT", 1, XSDT_BYTES);
    return true;
}

bool acpi_write(const struct guest_memory *memory, const struct guest_firmware *firmware)
{
    struct writer writer = { memory, TABLES_ACPI };
    uint8_t *rsdp = guest_memory_at(memory, (vmmu_gpa){ TABLES_RSDP }, RSDP_BYTES);
    uint32_t tables[2];
    uint32_t rsdt;
    uint32_t xsdt;

    if (rsdp == NULL || !write_fadt(&writer, firmware, &tables[0]) ||
        !write_madt(&writer, firmware, &tables[1]) || !write_roots(&writer, tables, &rsdt, &xsdt)) {
        return false;
    }
    __builtin_memset(rsdp, 0, RSDP_BYTES);
    __builtin_memcpy(rsdp, "RSD PTR ", 8);
    __builtin_memcpy(rsdp + 9, "VMMU  ", 6);
    rsdp[15] = 2; /* revision: there is an XSDT */
    put32(rsdp + 16, rsdt);
    put32(rsdp + 20, RSDP_BYTES);
    put64(rsdp + 24, xsdt);
    rsdp[8] = checksum(rsdp, RSDP_BYTES_FIRST);
    rsdp[32] = checksum(rsdp, RSDP_BYTES);
    return true;
}
