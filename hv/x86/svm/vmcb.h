/*
 * The virtual machine control block, and the names of its bits. Known in this folder only.
 *
 * Spec: AMD APM 2, "Layout of VMCB", "SVM Intercept Codes".
 */
#ifndef HV_X86_SVM_VMCB_H
#define HV_X86_SVM_VMCB_H

#include <vmmu/base.h>

/* Intercepts of the first vector: bit numbers. */
enum svm_intercept1 {
    SVM_I1_INTR = 0,
    SVM_I1_NMI = 1,
    SVM_I1_INIT = 3,
    SVM_I1_VINTR = 4,
    SVM_I1_CR0_SELECTIVE = 5,
    SVM_I1_RDPMC = 15,
    SVM_I1_CPUID = 18,
    SVM_I1_RSM = 19,
    SVM_I1_IRET = 20,
    SVM_I1_INVD = 22,
    SVM_I1_PAUSE = 23,
    SVM_I1_HLT = 24,
    SVM_I1_INVLPG = 25,
    SVM_I1_INVLPGA = 26,
    SVM_I1_PORTS = 27,
    SVM_I1_MSRS = 28,
    SVM_I1_TASK_SWITCH = 29,
    SVM_I1_FERR_FREEZE = 30,
    SVM_I1_SHUTDOWN = 31,
};

/* Intercepts of the second vector: bit numbers. */
enum svm_intercept2 {
    SVM_I2_VMRUN = 0,
    SVM_I2_VMMCALL = 1,
    SVM_I2_VMLOAD = 2,
    SVM_I2_VMSAVE = 3,
    SVM_I2_STGI = 4,
    SVM_I2_CLGI = 5,
    SVM_I2_SKINIT = 6,
    SVM_I2_MONITOR = 10,
    SVM_I2_MWAIT = 11,
    SVM_I2_MWAIT_ARMED = 12,
    SVM_I2_XSETBV = 13,
    SVM_I2_RDPRU = 14,
};

/* Intercepts of the third vector: bit numbers. */
enum svm_intercept3 {
    SVM_I3_INVPCID = 2,
};

enum svm_exit_code {
    SVM_EXIT_CR_READ = 0x00,   /* + register */
    SVM_EXIT_CR_WRITE = 0x10,  /* + register */
    SVM_EXIT_EXCEPTION = 0x40, /* + vector */
    SVM_EXIT_INTR = 0x60,
    SVM_EXIT_NMI = 0x61,
    SVM_EXIT_INIT = 0x63,
    SVM_EXIT_VINTR = 0x64,
    SVM_EXIT_CR0_SELECTIVE = 0x65,
    SVM_EXIT_RDPMC = 0x6F,
    SVM_EXIT_CPUID = 0x72,
    SVM_EXIT_RSM = 0x73,
    SVM_EXIT_IRET = 0x74,
    SVM_EXIT_INVD = 0x76,
    SVM_EXIT_PAUSE = 0x77,
    SVM_EXIT_HLT = 0x78,
    SVM_EXIT_INVLPG = 0x79,
    SVM_EXIT_INVLPGA = 0x7A,
    SVM_EXIT_PORT = 0x7B,
    SVM_EXIT_MSR = 0x7C,
    SVM_EXIT_TASK_SWITCH = 0x7D,
    SVM_EXIT_FERR_FREEZE = 0x7E,
    SVM_EXIT_SHUTDOWN = 0x7F,
    SVM_EXIT_VMRUN = 0x80,
    SVM_EXIT_VMMCALL = 0x81,
    SVM_EXIT_VMLOAD = 0x82,
    SVM_EXIT_VMSAVE = 0x83,
    SVM_EXIT_STGI = 0x84,
    SVM_EXIT_CLGI = 0x85,
    SVM_EXIT_SKINIT = 0x86,
    SVM_EXIT_MONITOR = 0x8A,
    SVM_EXIT_MWAIT = 0x8B,
    SVM_EXIT_MWAIT_ARMED = 0x8C,
    SVM_EXIT_XSETBV = 0x8D,
    SVM_EXIT_RDPRU = 0x8E,
    SVM_EXIT_INVPCID = 0xA2,
    SVM_EXIT_NPF = 0x400,
};

/* EVENTINJ and EXITINTINFO. */
#define SVM_EVENT_VALID      BIT64(31)
#define SVM_EVENT_HAS_ERROR  BIT64(11)
#define SVM_EVENT_TYPE_SHIFT 8
#define SVM_EVENT_TYPE(e)    (((e) >> SVM_EVENT_TYPE_SHIFT) & 7)
enum svm_event_type {
    SVM_EVENT_INTR = 0,
    SVM_EVENT_NMI = 2,
    SVM_EVENT_EXCEPTION = 3,
    SVM_EVENT_SOFTWARE = 4
};

/* The virtual interrupt control word. */
#define SVM_VINTR_TPR        BITS64(7, 0)
#define SVM_VINTR_IRQ        BIT64(8)
#define SVM_VINTR_IGNORE_TPR BIT64(20)
#define SVM_VINTR_MASKING    BIT64(24)

enum svm_tlb_control { SVM_TLB_KEEP = 0, SVM_TLB_FLUSH_ALL = 1, SVM_TLB_FLUSH_ASID = 3 };

/* EXITINFO1 of an IOIO intercept. */
#define SVM_PORT_IN           BIT64(0)
#define SVM_PORT_STRING       BIT64(2)
#define SVM_PORT_WIDTH(info)  (((info) >> 4) & 7) /* 1, 2 or 4 bytes */
#define SVM_PORT_NUMBER(info) ((uint16_t)((info) >> 16))

/* EXITINFO1 of a nested page fault. */
#define SVM_NPF_WRITE         BIT64(1)
#define SVM_NPF_FETCH         BIT64(4)

/* EXITINFO2 of a task switch; 31:0 are the error code. */
#define SVM_TASK_IRET         BIT64(36)
#define SVM_TASK_JMP          BIT64(38)
#define SVM_TASK_HAS_ERROR    BIT64(44)
#define SVM_TASK_RF           BIT64(48)

struct svm_segment {
    uint16_t selector;
    uint16_t attributes; /* 7:0 as in a descriptor's access byte; 11:8 AVL, L, DB, G */
    uint32_t limit;
    uint64_t base;
};

struct svm_control {
    uint16_t cr_reads, cr_writes;
    uint16_t dr_reads, dr_writes;
    uint32_t exceptions;
    uint32_t intercepts1;
    uint32_t intercepts2;
    uint32_t intercepts3;
    uint8_t reserved_018[0x040 - 0x018];
    uint64_t port_bitmap;
    uint64_t msr_bitmap;
    uint64_t tsc_offset;
    uint32_t asid;
    uint8_t tlb_control;
    uint8_t reserved_05d[3];
    uint64_t virtual_interrupt;
    uint64_t interrupt_shadow;
    uint64_t exit_code;
    uint64_t exit_info1;
    uint64_t exit_info2;
    uint64_t exit_event;
    uint64_t nested_enable;
    uint8_t reserved_098[0x0A8 - 0x098];
    uint64_t inject_event;
    uint64_t nested_root;
    uint64_t lbr_control;
    uint32_t clean;
    uint32_t reserved_0c4;
    uint64_t next_rip;
    uint8_t insn_count;
    uint8_t insn_bytes[15];
    uint8_t reserved_0e0[0x400 - 0x0E0];
};

struct svm_save {
    struct svm_segment segments[6]; /* ES, CS, SS, DS, FS, GS: as enum vmmu_x86_segment_name has them */
    struct svm_segment gdtr, ldtr, idtr, tr;
    uint8_t reserved_0a0[0x0CB - 0x0A0];
    uint8_t cpl;
    uint32_t reserved_0cc;
    uint64_t efer;
    uint8_t reserved_0d8[0x148 - 0x0D8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved_180[0x1D8 - 0x180];
    uint64_t rsp;
    uint8_t reserved_1e0[0x1F8 - 0x1E0];
    uint64_t rax;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t cr2;
    uint8_t reserved_248[0x268 - 0x248];
    uint64_t pat;
    uint64_t debug_control;
    uint8_t reserved_278[0xC00 - 0x278];
};

struct svm_vmcb {
    struct svm_control control;
    struct svm_save save;
};

_Static_assert(offsetof(struct svm_control, port_bitmap) == 0x040, "VMCB layout");
_Static_assert(offsetof(struct svm_control, asid) == 0x058, "VMCB layout");
_Static_assert(offsetof(struct svm_control, exit_code) == 0x070, "VMCB layout");
_Static_assert(offsetof(struct svm_control, nested_enable) == 0x090, "VMCB layout");
_Static_assert(offsetof(struct svm_control, inject_event) == 0x0A8, "VMCB layout");
_Static_assert(offsetof(struct svm_control, next_rip) == 0x0C8, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, save) == 0x400, "VMCB layout");
_Static_assert(offsetof(struct svm_save, tr) == 0x090, "VMCB layout");
_Static_assert(offsetof(struct svm_save, efer) == 0x0D0, "VMCB layout");
_Static_assert(offsetof(struct svm_save, rip) == 0x178, "VMCB layout");
_Static_assert(offsetof(struct svm_save, rax) == 0x1F8, "VMCB layout");
_Static_assert(offsetof(struct svm_save, cr2) == 0x240, "VMCB layout");
_Static_assert(offsetof(struct svm_save, pat) == 0x268, "VMCB layout");
_Static_assert(sizeof(struct svm_vmcb) == VMMU_PAGE_BYTES, "a VMCB is one page");

#endif
