/*
 * A guest's memory: where each part of it is, for the guest, for us and for the machine.
 */
#ifndef HV_GUEST_MEMORY_H
#define HV_GUEST_MEMORY_H

#include <vmmu/base.h>

#define GUEST_SLOTS         8

/* What may be done with memory. */
#define GUEST_RIGHT_READ    UINT8_C(1)
#define GUEST_RIGHT_WRITE   UINT8_C(2)
#define GUEST_RIGHT_EXECUTE UINT8_C(8)
#define GUEST_RIGHTS_ALL    (GUEST_RIGHT_READ | GUEST_RIGHT_WRITE | GUEST_RIGHT_EXECUTE)

enum guest_access { GUEST_READ, GUEST_WRITE, GUEST_EXECUTE };

/* [gpa, gpa + size) is backed by our memory at `host`, which is contiguous at `hpa`. Whole pages. */
struct guest_slot {
    vmmu_gpa gpa;
    uint64_t size;
    uint8_t *host;
    vmmu_hpa hpa;
};

/* Slots do not overlap; ascending by gpa. */
struct guest_memory {
    unsigned count;
    struct guest_slot slot[GUEST_SLOTS];
};

/**
 * Add [gpa, gpa + size), in ascending order.
 *
 * Returns
 *   VMMU_OK         done
 *   VMMU_INVALID    it is empty, unaligned, wraps around, or does not lie above the last slot
 *   VMMU_NO_MEMORY  all slots are taken
 */
VMMU_MUST_USE
enum vmmu_status guest_memory_add(struct guest_memory *memory, const struct guest_slot *slot);

/* The slot that @gpa lies in, or NULL. */
const struct guest_slot *guest_memory_slot(const struct guest_memory *memory, vmmu_gpa gpa);

/* Our pointer to [gpa, gpa + size), or NULL unless one slot holds all of it and @size is not zero. */
void *guest_memory_at(const struct guest_memory *memory, vmmu_gpa gpa, uint64_t size);

/* The machine's address of @gpa in *hpa; false if there is no memory. */
bool guest_memory_hpa(const struct guest_memory *memory, vmmu_gpa gpa, vmmu_hpa *hpa);

/* Bytes in all slots. */
uint64_t guest_memory_bytes(const struct guest_memory *memory);

/* --- layout --- */

#define GUEST_MIN_BYTES UINT64_C(0x00800000)    /* 8 MiB */
#define GUEST_MAX_BYTES UINT64_C(0x10000000000) /* 1 TiB */
#define GUEST_LOW_LIMIT UINT64_C(0xC0000000)    /* devices live between here and 4 GiB */
#define GUEST_HIGH_BASE UINT64_C(0x100000000)
#define GUEST_EBDA      UINT64_C(0x9FC00) /* 639 KiB: the extended BIOS data area, 1 KiB */
#define GUEST_TEXT_PAGE UINT64_C(0xB8000)
#define GUEST_EXTENDED  UINT64_C(0x100000)

enum guest_e820_type {
    GUEST_E820_RAM = 1,
    GUEST_E820_RESERVED = 2,
    GUEST_E820_ACPI = 3,
};

struct guest_e820 {
    uint64_t base;
    uint64_t size;
    enum guest_e820_type type;
};

struct guest_range {
    vmmu_gpa gpa;
    uint64_t size;
};

/*
 * What a guest with so much memory looks like. Memory is backed through the hole below 1 MiB,
 * for text page and tables.
 */
struct guest_layout {
    unsigned ranges;
    /* what to back: [0, low), and what does not fit below GUEST_LOW_LIMIT from 4 GiB on */
    struct guest_range range[2];
    unsigned entries;
    struct guest_e820 e820[8];
};

/**
 * Lay out @bytes of memory.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  *error is a sentence: too little, too much, or not whole 2 MiB pages
 */
VMMU_MUST_USE
enum vmmu_status guest_layout_make(uint64_t bytes, struct guest_layout *layout, const char **error);

#endif
