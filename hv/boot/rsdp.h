/*
 * ACPI's Root System Description Pointer: recognizing it, and finding it where a BIOS leaves it.
 */
#ifndef HV_BOOT_RSDP_H
#define HV_BOOT_RSDP_H

#include "hv/boot/multiboot.h"

/**
 * The length of the pointer structure at @bytes, of which @size_bytes may be read: 20 for ACPI 1.0, 36 for
 * later, or 0 if the signature or a checksum is wrong or it is cut short.
 *
 * Spec: ACPI "Root System Description Pointer (RSDP) Structure".
 */
unsigned rsdp_check(const uint8_t *bytes, uint64_t size_bytes);

/**
 * Look for the structure in the first KiB of the extended BIOS data area and in the BIOS's read-only memory,
 * and copy it into @info if it is there.
 *
 * Spec: ACPI "Finding the RSDP on IA-PC Systems".
 */
void rsdp_search(const struct boot_window *window, struct boot_info *info);

#endif
