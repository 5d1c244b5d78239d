/*
 * The device tree that a Book-E loader hands over, turned into boot_info. Pure: it trusts no size, offset or number in the tree,
 * and copies what it keeps.
 *
 * Spec: "Devicetree Specification", "Flattened Devicetree (DTB) Format", "Device Node Requirements"; ePAPR "Boot CPU Initial
 * Register State".
 */
#ifndef HV_BOOT_FDT_BOOT_H
#define HV_BOOT_FDT_BOOT_H

#include "hv/boot/boot.h"

/* What the loader leaves in r6. */
#define EPAPR_MAGIC 0x45504150

/* What the tree says beside boot_info. */
struct fdt_boot {
    const char *model; /* of the machine, "" if it has none; in boot_info's text */
    uint32_t timebase_hz;
    uint32_t serial_clock_hz; /* 0: the first serial port does not say */
    uint64_t memory_bytes;    /* from address 0 to the end of the last memory, holes included */

    /* The bundle of modules: 0 bytes if the loader put none into memory. */
    uint64_t bundle_base;
    uint64_t bundle_bytes;
};

/**
 * Read the tree of at most @size_bytes at @tree into @info, which is cleared first (image_base and image_bytes are left 0, and
 * there are no modules), and into @out. A region of @info for each range of memory, a reserved one for each that the
 * tree keeps and for the bundle; not for the tree itself, which nobody needs afterwards.
 *
 * NULL, or what is wrong with it as a sentence.
 */
VMMU_MUST_USE
const char *fdt_boot_read(const void *tree, uint64_t size_bytes, struct boot_info *info,
                          struct fdt_boot *out);

#endif
