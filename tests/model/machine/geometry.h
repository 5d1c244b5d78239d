/*
 * Where things are in the model: guest-physical and host-physical addresses.
 *
 * Guest-physical memory is small where tables and small pages live, and wide where large pages do:
 *
 *   0        .. 8 MiB    4 KiB pages in the host's eyes, or 2 MiB pages where they are contiguous and alike
 *   8 MiB    .. 1 GiB    nothing: a device hole
 *   1 GiB    .. 2 GiB    one gigabyte that can be a single page, for guest and host
 *   above                nothing
 *
 * Each guest page can stand in one of two frames, on side A or side B; the host moves it from one to the
 * other. So every host-physical address tells which guest-physical address it was made for, and a
 * translation that lands on the wrong side is seen at once.
 */
#ifndef TESTS_MODEL_MACHINE_GEOMETRY_H
#define TESTS_MODEL_MACHINE_GEOMETRY_H

#include <vmmu/base.h>

#define MODEL_VPS        4
#define MODEL_PROCESSORS 2

#define GUEST_LOW_BYTES  UINT64_C(0x800000)
#define GUEST_HIGH_BASE  VMMU_1G_BYTES
#define GUEST_HIGH_BYTES VMMU_1G_BYTES

/* Host-physical: the engine's table pages, then the two sides. */
#define HOST_TABLES_BASE UINT64_C(0x1000000)
#define HOST_TABLE_PAGES 4096U
#define HOST_SIDE_A      UINT64_C(0x100000000)
#define HOST_SIDE_B      UINT64_C(0x200000000)
#define HOST_SIDE_BYTES  UINT64_C(0x80000000)
#define HOST_LIMIT       (HOST_SIDE_B + HOST_SIDE_BYTES)

/* Whether the guest has memory at @gpa when the host maps everything. */
static inline bool guest_has_memory(uint64_t gpa)
{
    return gpa < GUEST_LOW_BYTES || (gpa >= GUEST_HIGH_BASE && gpa - GUEST_HIGH_BASE < GUEST_HIGH_BYTES);
}

#endif
