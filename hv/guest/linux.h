/*
 * Offsets of the setup header, the same in a bzImage and in struct boot_params.
 *
 * Spec: Linux "The Linux/x86 Boot Protocol", "The Real-Mode Kernel Header".
 */
#ifndef HV_GUEST_LINUX_H
#define HV_GUEST_LINUX_H

enum linux_header {
    HEADER_START = 0x1F1, /* setup_sects */
    HEADER_PAYLOAD_PARAGRAPHS = 0x1F4,
    HEADER_BOOT_FLAG = 0x1FE,
    HEADER_JUMP = 0x200, /* a short jump over the header: its second byte is the header's length from 0x202 */
    HEADER_MAGIC = 0x202,
    HEADER_VERSION = 0x206,
    HEADER_LOADER = 0x210,
    HEADER_LOADFLAGS = 0x211,
    HEADER_CODE32_START = 0x214,
    HEADER_INITRD = 0x218,
    HEADER_INITRD_BYTES = 0x21C,
    HEADER_HEAP_END = 0x224,
    HEADER_COMMAND_LINE = 0x228,
    HEADER_INITRD_MAXIMUM = 0x22C,
    HEADER_ALIGNMENT = 0x230,
    HEADER_RELOCATABLE = 0x234,
    HEADER_XLOADFLAGS = 0x236,
    HEADER_COMMAND_BYTES = 0x238,
    HEADER_SETUP_DATA = 0x250,
    HEADER_PREFERRED = 0x258,
    HEADER_INIT_BYTES = 0x260,
    HEADER_END = 0x290, /* where struct boot_params has other fields again */
};

#endif
