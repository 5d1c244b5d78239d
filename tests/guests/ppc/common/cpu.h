/* What a guest uses of an e500: registers by number, and the instructions of its TLB. */
#ifndef TESTS_GUESTS_PPC_CPU_H
#define TESTS_GUESTS_PPC_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define BIT(n)              (UINT32_C(1) << (n))

#define MSR_WE              BIT(18)
#define MSR_CE              BIT(17)
#define MSR_EE              BIT(15)
#define MSR_PR              BIT(14)
#define MSR_IS              BIT(5)
#define MSR_DS              BIT(4)

#define SPR_DEC             22
#define SPR_SRR0            26
#define SPR_SRR1            27
#define SPR_PID0            48
#define SPR_DECAR           54
#define SPR_DEAR            61
#define SPR_ESR             62
#define SPR_PVR             287
#define SPR_TSR             336
#define SPR_TCR             340
#define SPR_IVOR0           400
#define SPR_IVOR32          528
#define SPR_MAS0            624
#define SPR_MAS1            625
#define SPR_MAS2            626
#define SPR_MAS3            627
#define SPR_MAS4            628
#define SPR_MAS6            630
#define SPR_PID1            633
#define SPR_PID2            634
#define SPR_TLB0CFG         688
#define SPR_TLB1CFG         689
#define SPR_EPR             702
#define SPR_MAS7            944
#define SPR_HID0            1008
#define HID0_DOZE           BIT(23)
#define HID0_EN_MAS7_UPDATE BIT(7)
#define SPR_MMUCSR0         1012
#define SPR_MMUCFG          1015

#define MAS0_TLB1           BIT(28)
#define MAS0_ESEL(n)        ((uint32_t)(n) << 16)
#define MAS1_V              BIT(31)
#define MAS1_IPROT          BIT(30)
#define MAS1_TID(n)         ((uint32_t)(n) << 16)
#define MAS1_TS             BIT(12)
#define MAS1_SIZE(n)        ((uint32_t)(n) << 8) /* 4^n KiB */
#define SIZE_4K             1
#define SIZE_16K            2
#define SIZE_64K            3
#define SIZE_256K           4
#define SIZE_1M             5
#define MAS2_I              BIT(3)
#define MAS2_G              BIT(1)
#define MAS2_E              BIT(0)
#define MAS3_UX             BIT(5)
#define MAS3_SX             BIT(4)
#define MAS3_UW             BIT(3)
#define MAS3_SW             BIT(2)
#define MAS3_UR             BIT(1)
#define MAS3_SR             BIT(0)
#define MAS3_ALL            0x3fu
#define ESR_PIL             BIT(27)
#define ESR_PPR             BIT(26)
#define ESR_PTR             BIT(25)
#define ESR_ST              BIT(23)

/* The number of a register is part of the instruction. */
#define read_spr(number)                                                                                     \
    __extension__({                                                                                          \
        uint32_t value_;                                                                                     \
        __asm__ volatile("mfspr %0, %1" : "=r"(value_) : "i"(number));                                       \
        value_;                                                                                              \
    })
#define write_spr(number, value) __asm__ volatile("mtspr %0, %1" : : "i"(number), "r"(value) : "memory")

static inline uint32_t read_msr(void)
{
    uint32_t value;
    __asm__ volatile("mfmsr %0" : "=r"(value));
    return value;
}

static inline void write_msr(uint32_t value)
{
    __asm__ volatile("mtmsr %0; isync" : : "r"(value) : "memory");
}

/* The timebase's low half. */
static inline uint32_t timebase(void)
{
    return read_spr(268);
}

static inline void tlbwe(void)
{
    __asm__ volatile("isync; tlbwe; isync; msync" : : : "memory");
}

static inline void tlbre(void)
{
    __asm__ volatile("tlbre; isync" : : : "memory");
}

static inline void tlbsx(uint32_t ea)
{
    __asm__ volatile("tlbsx 0, %0; isync" : : "r"(ea) : "memory");
}

static inline void tlbivax(uint32_t ea)
{
    __asm__ volatile("tlbivax 0, %0; tlbsync; msync; isync" : : "r"(ea) : "memory");
}

/* One entry as its registers. */
struct entry {
    uint32_t mas0, mas1, mas2, mas3, mas7;
};

void entry_write(const struct entry *entry);

/* What stands at mas0 of the entry that is wanted. */
struct entry entry_read(uint32_t mas0);

/* What the registers hold now. */
struct entry entry_registers(void);

/* An entry of TLB1: @gpa at @ea, @size of SIZE_4K..., all rights. */
struct entry entry_large(unsigned index, uint32_t ea, uint64_t gpa, unsigned size);

#endif
