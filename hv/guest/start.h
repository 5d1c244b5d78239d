/*
 * How the first virtual processor of a PC's guest starts, and the loaders that decide it.
 *
 * Loaders write guest memory and describe the start; they trust nothing in an image. On failure they return
 * VMMU_INVALID (or VMMU_NO_MEMORY where the guest is too small), *error is a sentence, and guest memory may
 * hold part of the image.
 */
#ifndef HV_GUEST_START_H
#define HV_GUEST_START_H

#include <vmmu/base.h>

#include "hv/guest/images.h"
#include "hv/guest/memory.h"

enum guest_start_kind {
    GUEST_START_LONG64,      /* 64-bit mode, paging on, identity tables in guest memory */
    GUEST_START_PROTECTED32, /* 32-bit protected mode, flat segments, paging off */
};

/*
 * Registers at the first instruction. Segments are flat: base 0, limit 4 GiB; code of 64 or 32 bits by kind.
 * All other registers are zero, RFLAGS is 2, interrupts are off, IDTR has limit 0.
 */
struct guest_start {
    enum guest_start_kind kind;
    uint64_t rip;
    uint64_t rsp;
    uint64_t rsi;
    uint64_t rax;
    uint64_t rbx;
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t gdt_base;
    uint16_t gdt_limit;
    uint16_t code_selector;
    uint16_t data_selector; /* DS, ES, SS, FS, GS */
};

/* Which loader takes an image. */
enum guest_format {
    GUEST_FORMAT_UNKNOWN,
    GUEST_FORMAT_LINUX,     /* bzImage: a setup header */
    GUEST_FORMAT_VMLINUX,   /* ELF64 for x86-64, without a multiboot header */
    GUEST_FORMAT_MULTIBOOT, /* a multiboot 1 header in the first 8 KiB */
};

/* What @kernel looks like; nothing more than its first bytes are checked. */
enum guest_format guest_format_of(const struct guest_blob *kernel);

/* Load by the protocol that @boot names, or else by the format found; VMMU_INVALID if there is none. */
VMMU_MUST_USE
enum vmmu_status guest_load(const struct guest_memory *memory, const struct guest_layout *layout,
                            const struct guest_boot *boot, struct guest_start *start, const char **error);

/* Load a bzImage. Spec: Linux "The Linux/x86 Boot Protocol". */
VMMU_MUST_USE
enum vmmu_status guest_load_linux(const struct guest_memory *memory, const struct guest_layout *layout,
                                  const struct guest_boot *boot, struct guest_start *start,
                                  const char **error);

/* Load a plain ELF64 vmlinux, entered as the 64-bit boot protocol does. */
VMMU_MUST_USE
enum vmmu_status guest_load_vmlinux(const struct guest_memory *memory, const struct guest_layout *layout,
                                    const struct guest_boot *boot, struct guest_start *start,
                                    const char **error);

/* Load a multiboot 1 image. Spec: Multiboot Specification 0.6.96. */
VMMU_MUST_USE
enum vmmu_status guest_load_multiboot(const struct guest_memory *memory, const struct guest_layout *layout,
                                      const struct guest_boot *boot, struct guest_start *start,
                                      const char **error);

#endif
