/*
 * What a boot loader left for a guest: its kernel, what goes with it, and how it wants to be started.
 */
#ifndef HV_GUEST_IMAGES_H
#define HV_GUEST_IMAGES_H

#include <vmmu/base.h>

/* By which rules a kernel is loaded and entered. */
enum config_protocol {
    CONFIG_PROTOCOL_ANY, /* as its image looks */
    CONFIG_PROTOCOL_LINUX,
    CONFIG_PROTOCOL_MULTIBOOT,
    CONFIG_PROTOCOL_EPAPR,
};

/* Bytes that the boot loader of the hypervisor left for us. Borrowed while a loader runs. */
struct guest_blob {
    const uint8_t *bytes;
    uint64_t size;
    const char *command_line; /* of a module; may be NULL */
};

#define GUEST_MODULES 16

enum guest_linux_entry {
    GUEST_LINUX_64BIT_OR_32, /* by the 64-bit protocol if the kernel has it, else by the 32-bit one */
    GUEST_LINUX_64BIT,
    GUEST_LINUX_32BIT,
};

/* What to load. */
struct guest_boot {
    enum config_protocol protocol;
    struct guest_blob kernel;
    const char *command_line; /* may be NULL */
    unsigned modules;         /* initrds, joined in order; or multiboot modules */
    struct guest_blob module[GUEST_MODULES];
    struct guest_blob payload; /* left in memory for a boot loader that is the kernel; size 0: none */
    enum guest_linux_entry linux_entry; /* of a PC's Linux */
    uint64_t rsdp; /* where a PC's firmware tables have the RSDP, for boot_params; 0: none */
};

#endif
