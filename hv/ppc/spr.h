/*
 * Numbers and bits of the processor's registers, for the assembly and for C, as far as the ground uses them.
 *
 * Spec: "EREF: A Programmer's Reference Manual for Freescale Power Architecture Processors", Register Model;
 * "PowerPC e500 Core Family Reference Manual", Register Model.
 */
#ifndef HV_PPC_SPR_H
#define HV_PPC_SPR_H

/* Special purpose registers. */
#define SPR_SRR0           26
#define SPR_SRR1           27
#define SPR_DEC            22
#define SPR_PID0           48
#define SPR_CSRR0          58
#define SPR_CSRR1          59
#define SPR_DEAR           61
#define SPR_ESR            62
#define SPR_IVPR           63
#define SPR_TBL            268
#define SPR_TBU            269
#define SPR_SPRG0          272
#define SPR_SPRG1          273
#define SPR_SPRG2          274
#define SPR_PVR            287
#define SPR_TSR            336
#define SPR_TCR            340
#define SPR_IVOR0          400
#define SPR_IVOR32         528
#define SPR_MCSRR0         570
#define SPR_MCSRR1         571
#define SPR_MCSR           572
#define SPR_MAS0           624
#define SPR_MAS1           625
#define SPR_MAS2           626
#define SPR_MAS3           627
#define SPR_MAS6           630
#define SPR_PID1           633
#define SPR_PID2           634
#define SPR_TLB1CFG        689
#define SPR_MAS7           944
#define SPR_HID0           1008
#define SPR_MMUCSR0        1012

/* The machine state register. */
#define MSR_WE             0x00040000 /* wait: asleep until an interrupt */
#define MSR_CE             0x00020000
#define MSR_EE             0x00008000
#define MSR_PR             0x00004000
#define MSR_ME             0x00001000
#define MSR_IS             0x00000020
#define MSR_DS             0x00000010

/* Timers: the decrementer's interrupt is enabled; it is pending, and written to be taken back. */
#define TCR_DIE            0x04000000
#define TSR_DIS            0x08000000

/* What MSR[WE] does: stops the core's clock, but neither its timers nor its snooping. */
#define HID0_DOZE          0x00800000

/* Flushes of the unified array 0. */
#define MMUCSR0_TLB0_FLUSH 0x00000004

/* An entry of TLB1. Sizes are powers of four KiB. */
#define MAS0_TLB1(entry)   (0x10000000 | (entry) << 16)
#define MAS1_VALID         0x80000000
#define MAS1_PROTECTED     0x40000000 /* flushes of all leave it alone */
#define MAS1_SIZE(size)    ((size) << 8)
#define MAS1_1M            5
#define MAS1_4M            6
#define MAS1_256M          9
#define MAS1_1G            10
#define MAS1_OWN(size)     (MAS1_VALID | MAS1_PROTECTED | MAS1_SIZE(size))
#define MAS2_I             0x08
#define MAS2_M             0x04
#define MAS2_G             0x02
#define MAS3_SX            0x10
#define MAS3_SW            0x04
#define MAS3_SR            0x01

#endif
