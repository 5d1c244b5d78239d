/*
 * Where things lie on PowerPC: addresses that the linker script, the assembly and the C code must agree on.
 *
 *   virtual (address space 0)                 what
 *   0 .. 0x3fffffff                           nothing, so that a null pointer faults (the loader's own map of the
 *                                             first MiB only until tlb_init)
 *   LAYOUT_DIRECT_MAP .. LAYOUT_DEVICES       physical memory from 0 on, never executable
 *   LAYOUT_DEVICES .. + 1 MiB                 the machine's configuration and devices (CCSR), uncached and guarded
 *   LAYOUT_WINDOW + LAYOUT_LOAD_BASE ..       the hypervisor's image: code and constants, read and executed only
 *   LAYOUT_WINDOW + LAYOUT_DATA_BASE ..       its stacks, data and uninitialized data, never executed
 *
 * Guests run in address space 1: all of these addresses are theirs there. Each line above costs entries of TLB1,
 * which guests' large pages want, too; so there are as few as rights allow. The fault stack comes first in the data,
 * then the stack: one that overflows meets code, which cannot be written.
 */
#ifndef HV_PPC_LAYOUT_H
#define HV_PPC_LAYOUT_H

/* Physical: where the image lies, and its data. Each is aligned to the page of TLB1 that maps it. */
#define LAYOUT_LOAD_BASE         0x300000
#define LAYOUT_TEXT_BYTES        0x100000
#define LAYOUT_DATA_BASE         0x400000
#define LAYOUT_DATA_BYTES        0x400000

#define LAYOUT_WINDOW            0xf0000000
#define LAYOUT_DEVICES           0xe0000000
#define LAYOUT_DEVICES_BYTES     0x100000
#define LAYOUT_DIRECT_MAP        0x40000000

/* Physical: the devices' 36-bit address, in the two parts that MAS3 and MAS7 hold. */
#define LAYOUT_CCSR_LOW          0xe0000000
#define LAYOUT_CCSR_HIGH         0xf

/* Entries of TLB1: the hypervisor's are the last ones. The direct map's are next below, the first of them here. */
#define TLB1_ENTRIES             16
#define TLB1_TEXT                15
#define TLB1_DATA                14
#define TLB1_DEVICES             13
#define TLB1_DIRECT_MAP          12

#define LAYOUT_STACK_BYTES       0x8000
#define LAYOUT_FAULT_STACK_BYTES 0x2000

#endif
