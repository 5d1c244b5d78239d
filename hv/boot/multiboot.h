/*
 * The multiboot specifications' boot information, versions 1 and 2, turned into boot_info. Pure: it reads the
 * loader's memory through a window, trusts no size or address in it, and copies what it keeps.
 *
 * Spec: "Multiboot Specification version 0.6.96", Boot information format; "Multiboot2 Specification
 * version 2.0", Boot information.
 */
#ifndef HV_BOOT_MULTIBOOT_H
#define HV_BOOT_MULTIBOOT_H

#include "hv/boot/boot.h"

/* What the loader leaves in EAX. */
#define MULTIBOOT1_BOOTED 0x2badb002
#define MULTIBOOT2_BOOTED 0x36d76289

/* The loader's address space. */
struct boot_window {
    void *context;

    /* The bytes [address, address + size_bytes), any alignment, or NULL if they cannot all be read. */
    const void *(*reach)(void *context, uint64_t address, uint64_t size_bytes);
};

enum boot_outcome {
    BOOT_FOUND,
    BOOT_UNKNOWN_LOADER, /* the magic number is neither specification's */
    BOOT_UNREADABLE,     /* something lies where there is no memory */
    BOOT_MALFORMED,      /* sizes that contradict each other, or modules not on pages as our header asks */
    BOOT_NO_MEMORY_MAP,  /* neither a memory map nor the sizes of memory */
    BOOT_TOO_MUCH,       /* more regions, modules or text than boot_info holds */
};

/**
 * Read the boot information at @address into @info, which is cleared first; image_base
 * and image_bytes are left 0.
 *
 * QEMU puts the file's name in front of a command line and of a module's words, GRUB does not: it is taken
 * away, so that words are arguments only.
 */
VMMU_MUST_USE
enum boot_outcome boot_read(uint32_t magic, uint32_t address, const struct boot_window *window,
                            struct boot_info *info);

/* The outcome as a sentence for a person. */
const char *boot_outcome_sentence(enum boot_outcome outcome);

#endif
