/*
 * What a PC's firmware leaves in memory: BIOS data area, MP table, ACPI tables.
 */
#ifndef HV_GUEST_FIRMWARE_H
#define HV_GUEST_FIRMWARE_H

#include <vmmu/base.h>

#include "hv/guest/memory.h"

enum guest_firmware_tables {
    GUEST_FIRMWARE_MP,
    GUEST_FIRMWARE_ACPI,
    GUEST_FIRMWARE_BOTH,
};

#define GUEST_FIRMWARE_VPS 64

struct guest_firmware {
    enum guest_firmware_tables tables;
    unsigned vp_count;       /* 1 to GUEST_FIRMWARE_VPS; local APIC ids 0 to vp_count - 1 */
    uint32_t cpu_signature;  /* CPUID leaf 1 EAX, as the guest sees it */
    uint32_t cpu_features;   /* CPUID leaf 1 EDX, as the guest sees it */
    bool pm_timer_is_24_bit; /* as the board has it; else 32 */
};

/**
 * Write the BIOS data area and the tables asked for, all below 1 MiB. *rsdp is where the RSDP is, or 0.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  the number of VPs is out of range
 *   VMMU_ABSENT   the guest has no memory there
 *
 * Spec: Intel MultiProcessor Specification 1.4; ACPI Specification "ACPI Software Programming Model".
 */
VMMU_MUST_USE
enum vmmu_status guest_firmware_write(const struct guest_memory *memory,
                                      const struct guest_firmware *firmware, vmmu_gpa *rsdp);

#endif
