/*
 * Guests of the e500 machine: their memory, how images come into it, and how the first VP starts.
 *
 * Trusts nothing in an image; on failure *error is a sentence, and guest memory may hold part of the image.
 *
 * Images are ELF (32 bits, big-endian: a Linux vmlinux, U-Boot, anything with fixed addresses), or a U-Boot legacy image
 * ("uImage") that is not compressed. A payload is left in memory for a boot loader that runs first, which is told by
 * /chosen/qemu,boot-kernel; modules are joined as the initrd.
 */
#ifndef HV_GUEST_E500_H
#define HV_GUEST_E500_H

#include "hv/guest/images.h"
#include "hv/guest/memory.h"

#define GUEST_E500_MAX_BYTES UINT64_C(0x80000000) /* 2 GiB */
#define GUEST_E500_MAP_BYTES UINT32_C(0x04000000) /* the initial mapping: 64 MiB at 0 */
#define GUEST_E500_MAGIC     UINT32_C(0x45504150) /* "EPAP" */

/*
 * Registers at the first instruction: MSR and all others are zero, and entry 0 of TLB1 maps `map_bytes` at 0 to physical
 * address 0, with all rights of a supervisor. Spec: ePAPR "Client Program Image Format", "Boot CPU Initial Register State".
 */
struct e500_start {
    uint32_t entry;       /* the program counter */
    uint32_t stack;       /* r1 */
    uint32_t device_tree; /* r3 */
    uint32_t magic;       /* r6 */
    uint32_t map_bytes;   /* r7 */
};

/* What the device tree is completed with. */
struct e500_machine {
    const uint8_t *device_tree; /* the compiled hv/guest/e500.dts */
    uint64_t device_tree_bytes;
    uint32_t timebase_hz;
    uint32_t clock_hz;    /* of the cores, for people */
    uint32_t platform_hz; /* of the bus: struct e500_config; also the UARTs' clock */
    unsigned vps;
    uint8_t serial_ports; /* bit n: COM(n+1) is there; the others leave the tree */
};

/* The compiled hv/guest/e500.dts, where the build has put it. */
extern const uint8_t e500_device_tree[];
extern const uint8_t e500_device_tree_end[];

/**
 * Lay out @bytes of memory, all from address 0.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  *error is a sentence: too little, too much, or not whole 2 MiB pages
 */
VMMU_MUST_USE
enum vmmu_status guest_layout_e500(uint64_t bytes, struct guest_layout *layout, const char **error);

/**
 * Load @boot's image, modules and command line, and write the device tree. @memory is as guest_layout_e500() lays it out.
 *
 * Returns
 *   VMMU_OK         done; *start says how the first VP starts
 *   VMMU_INVALID    *error is a sentence
 *   VMMU_NO_MEMORY  likewise: the guest is too small for it
 */
VMMU_MUST_USE
enum vmmu_status guest_load_e500(const struct guest_memory *memory, const struct guest_boot *boot,
                                 const struct e500_machine *machine, struct e500_start *start,
                                 const char **error);

#endif
