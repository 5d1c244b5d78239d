/*
 * The small decoder: instructions whose memory accesses a hypervisor emulates, and those that exits leave undecoded.
 *
 * Decoding and performing are apart. What is not known is VMMU_UNSUPPORTED, never guessed.
 */
#ifndef VMMU_INSN_H
#define VMMU_INSN_H

#include <vmmu/base.h>
#include <vmmu/mode.h>

enum vmmu_x86_segment_name { VMMU_X86_ES, VMMU_X86_CS, VMMU_X86_SS, VMMU_X86_DS, VMMU_X86_FS, VMMU_X86_GS, VMMU_X86_SEGMENTS };

/* Attributes of a segment as in a descriptor's second word, shifted right by 8: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, DB 14, G 15. */
struct vmmu_x86_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, expanded */
    uint16_t selector;
    uint16_t attributes;
};

/* The register file that an emulated instruction reads and changes. gpr[] is in encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8.. */
struct vmmu_x86_state {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
    uint8_t cpl;
    struct vmmu_x86_segment segment[VMMU_X86_SEGMENTS];
};

#define VMMU_X86_INSN_MAX_BYTES 15

#endif
