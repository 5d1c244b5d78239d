/*
 * The BIOS data area, and the choice of tables.
 *
 * Spec: "BIOS data area" of the IBM Personal System/2 and Personal Computer BIOS
 * Interface Technical Reference.
 */
#include "hv/guest/firmware.h"

#include "hv/guest/bytes.h"
#include "hv/guest/tables.h"

enum bios_data {
    BDA_COM1 = 0x400,
    BDA_EBDA_SEGMENT = 0x40E,
    BDA_EQUIPMENT = 0x410,
    BDA_MEMORY_KIB = 0x413,
    BDA_END = 0x500,
};

#define COM1_PORT        0x3F8
#define EQUIPMENT_SERIAL 0x0202u /* one serial port; a floating-point unit */

static bool write_bios_data(const struct guest_memory *memory)
{
    uint8_t *first = guest_memory_at(memory, (vmmu_gpa){ 0 }, BDA_END);
    uint8_t *ebda = guest_memory_at(memory, (vmmu_gpa){ GUEST_EBDA }, 1024);

    if (first == NULL || ebda == NULL) {
        return false;
    }
    __builtin_memset(first, 0, BDA_END);
    __builtin_memset(ebda, 0, 1024);
    put16(first + BDA_COM1, COM1_PORT);
    put16(first + BDA_EBDA_SEGMENT, GUEST_EBDA / 16);
    put16(first + BDA_EQUIPMENT, EQUIPMENT_SERIAL);
    put16(first + BDA_MEMORY_KIB, GUEST_EBDA / 1024);
    ebda[0] = 1; /* its size in KiB */
    return true;
}

enum vmmu_status guest_firmware_write(const struct guest_memory *memory,
                                      const struct guest_firmware *firmware, vmmu_gpa *rsdp)
{
    const bool mp = firmware->tables != GUEST_FIRMWARE_ACPI;
    const bool acpi = firmware->tables != GUEST_FIRMWARE_MP;

    *rsdp = (vmmu_gpa){ acpi ? TABLES_RSDP : 0 };
    if (firmware->vp_count == 0 || firmware->vp_count > GUEST_FIRMWARE_VPS) {
        return VMMU_INVALID;
    }
    if (!write_bios_data(memory) || (mp && !mp_write(memory, firmware)) ||
        (acpi && !acpi_write(memory, firmware))) {
        return VMMU_ABSENT;
    }
    return VMMU_OK;
}
