/*
 * The bits of the register file that instructions are subject to.
 */
#ifndef VMMU_INSN_REGISTERS_H
#define VMMU_INSN_REGISTERS_H

#include <vmmu/insn.h>

#define RFLAGS_CF           BIT64(0)
#define RFLAGS_PF           BIT64(2)
#define RFLAGS_AF           BIT64(4)
#define RFLAGS_ZF           BIT64(6)
#define RFLAGS_SF           BIT64(7)
#define RFLAGS_TF           BIT64(8)
#define RFLAGS_DF           BIT64(10)
#define RFLAGS_OF           BIT64(11)
#define RFLAGS_RF           BIT64(16)
#define RFLAGS_VM           BIT64(17)
#define RFLAGS_AC           BIT64(18)

#define RFLAGS_STATUS       (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE              BIT64(0)
#define CR0_AM              BIT64(18)
#define CR4_LA57            BIT64(12)
#define EFER_LMA            BIT64(10)

/* In struct vmmu_x86_segment.attributes. */
#define SEGMENT_WRITABLE    (1U << 1) /* of data; of code it means readable */
#define SEGMENT_EXPAND_DOWN (1U << 2) /* of data */
#define SEGMENT_CODE        (1U << 3)
#define SEGMENT_PRESENT     (1U << 7)
#define SEGMENT_L           (1U << 13)
#define SEGMENT_DB          (1U << 14)

#define VECTOR_UD           6
#define VECTOR_SS           12
#define VECTOR_GP           13
#define VECTOR_AC           17

#endif
