/*
 * What the boot loader handed over, as plain data: the one thing that every backend's start makes, and that
 * the hypervisor's main reads.
 *
 * Everything is copied out of the loader's own structures, so nothing here points into memory that may be
 * given to a partition. Strings end in NUL.
 */
#ifndef HV_BOOT_BOOT_H
#define HV_BOOT_BOOT_H

#include <vmmu/base.h>

#define BOOT_REGIONS_MAX    256
#define BOOT_MODULES_MAX    32
#define BOOT_TEXT_BYTES     16384
#define BOOT_RSDP_BYTES_MAX 36

/*
 * What the firmware says about one range of addresses. Addresses in no region are no
 * memory (devices, or nothing).
 */
enum boot_region_kind {
    BOOT_REGION_USABLE,
    BOOT_REGION_RESERVED,
    BOOT_REGION_ACPI_TABLES, /* ordinary memory once the tables have been read; memory_init leaves it alone */
    BOOT_REGION_ACPI_NVS,
    BOOT_REGION_BAD,
};

struct boot_region {
    vmmu_hpa base;
    uint64_t size_bytes; /* never 0; base + size_bytes never overflows */
    enum boot_region_kind kind;
};

/* A file that the loader put into memory. */
struct boot_module {
    vmmu_hpa base;
    uint64_t size_bytes; /* may be 0 */
    const char *words;   /* the words behind it on the loader's line, as the loader gave them; never NULL */
};

struct boot_info {
    const char *loader;  /* the loader's name, "" if it gave none */
    const char *command; /* the hypervisor's command line, "" if there is none */

    /* As the firmware gave them: in any order, and they may overlap; memory_init lets the unusable win. */
    struct boot_region regions[BOOT_REGIONS_MAX];
    unsigned region_count;

    struct boot_module modules[BOOT_MODULES_MAX];
    unsigned module_count;

    /* Where the hypervisor's own image lies, its uninitialized data included. */
    vmmu_hpa image_base;
    uint64_t image_bytes;

    /* A copy of ACPI's Root System Description Pointer; rsdp_bytes is 0 if none was found, else 20 or 36. */
    uint8_t rsdp[BOOT_RSDP_BYTES_MAX];
    unsigned rsdp_bytes;

    /* What the strings above point into. */
    char text[BOOT_TEXT_BYTES];
    unsigned text_used_bytes;
};

/**
 * The hypervisor proper. Called once, on the boot processor, with every service of host.h and
 * memory.h ready and interrupts disabled (they run inside host_interrupts_take and host_wait only).
 * @info stays valid for ever.
 */
_Noreturn void hv_main(const struct boot_info *info);

#endif
