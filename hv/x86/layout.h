/*
 * Where things lie: addresses that the linker script, the assembly and the C code must agree on.
 *
 *   virtual                                   what
 *   0 .. 0xffff7fffffffffff                   nothing, so that a null or non-canonical pointer faults
 *                                             (identity-mapped up to 4 GiB only between the loader's jump
 *                                             and paging_init)
 *   LAYOUT_DIRECT_MAP ..                      all physical memory, never executable
 *   LAYOUT_WINDOW ..                          the hypervisor's image: code, constants, data, stacks
 *   LAYOUT_DEVICES .. + 16 pages              local and I/O APIC, uncached
 *
 * The image's window is the topmost 2 MiB, one page table: Linux leaves exactly these unused, so an address
 * tells the hypervisor's code from a guest's in any trace of instructions.
 */
#ifndef HV_X86_LAYOUT_H
#define HV_X86_LAYOUT_H

/* Physical: where the image is linked to lie, and where it lies unless a multiboot 2 loader moved it. */
#define LAYOUT_LOAD_BASE       0x200000

#define LAYOUT_WINDOW          0xffffffffffe00000
#define LAYOUT_WINDOW_BYTES    0x200000
#define LAYOUT_DEVICES         0xfffffffffffe0000
#define LAYOUT_DIRECT_MAP      0xffff800000000000

/* The most that the image may take of its window, uninitialized data included, and of a file. */
#define LAYOUT_IMAGE_BYTES_MAX 0x1e0000
#define LAYOUT_FILE_BYTES_MAX  0x60000

#define LAYOUT_STACK_BYTES     0x8000

/* Selectors of the hypervisor's own segments. */
#define SELECTOR_CODE          0x08
#define SELECTOR_DATA          0x10
#define SELECTOR_TSS           0x18

#endif
