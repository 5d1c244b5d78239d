/*
 * The processor's own instructions and registers, as far as the ground uses them: one function for each, with no
 * policy.
 *
 * Spec: "EREF: A Programmer's Reference Manual for Freescale Power Architecture Processors", Register Model;
 * "PowerPC e500 Core Family Reference Manual", Register Model.
 */
#ifndef HV_PPC_CPU_H
#define HV_PPC_CPU_H

#include <vmmu/base.h>

#include "hv/ppc/spr.h"

#define SPR_READ(number)                                                                                     \
    __extension__({                                                                                          \
        uint32_t spr_value_;                                                                                 \
        __asm__ volatile("mfspr %0, %1" : "=r"(spr_value_) : "i"(number) : "memory");                        \
        spr_value_;                                                                                          \
    })

#define SPR_WRITE(number, value)                                                                             \
    __asm__ volatile("mtspr %0, %1" : : "i"(number), "r"((uint32_t)(value)) : "memory")

static inline uint32_t msr_read(void)
{
    uint32_t value;
    __asm__ volatile("mfmsr %0" : "=r"(value) : : "memory");
    return value;
}

/* Interrupts come in from here on, and do not. */
static inline void interrupts_enable(void)
{
    __asm__ volatile("wrteei 1" : : : "memory");
}

static inline void interrupts_disable(void)
{
    __asm__ volatile("wrteei 0" : : : "memory");
}

static inline void isync(void)
{
    __asm__ volatile("isync" : : : "memory");
}

/* The time base, all 64 bits of one moment. */
static inline uint64_t timebase(void)
{
    uint32_t high, low, again;
    __asm__ volatile("1: mftbu %0\n\tmftb %1\n\tmftbu %2\n\tcmplw %0, %2\n\tbne- 1b"
                     : "=&r"(high), "=&r"(low), "=&r"(again)
                     :
                     : "cr0");
    return (uint64_t)high << 32 | low;
}

/*
 * Inside inline assembly: an interrupt of the instruction at label @from goes on at label @to instead of being the
 * hypervisor's defect. The instruction has had no effect then.
 */
#define PPC_FIXUP(from, to)                                                                                  \
    ".pushsection .fixup, \"a\"\n\t.balign 4\n\t.long " from ", " to "\n\t.popsection\n\t"

/* Device registers: in the order of the program, each once. */
static inline uint8_t device_read8(uint32_t address)
{
    uint8_t value;
    __asm__ volatile("lbz%U1%X1 %0, %1\n\tmbar 1"
                     : "=r"(value)
                     : "m"(*(const volatile uint8_t *)(uintptr_t)address)
                     : "memory");
    return value;
}

static inline void device_write8(uint32_t address, uint8_t value)
{
    __asm__ volatile("stb%U0%X0 %1, %0\n\tmbar 1"
                     : "=m"(*(volatile uint8_t *)(uintptr_t)address)
                     : "r"(value)
                     : "memory");
}

static inline uint32_t device_read32(uint32_t address)
{
    uint32_t value;
    __asm__ volatile("lwz%U1%X1 %0, %1\n\tmbar 1"
                     : "=r"(value)
                     : "m"(*(const volatile uint32_t *)(uintptr_t)address)
                     : "memory");
    return value;
}

static inline void device_write32(uint32_t address, uint32_t value)
{
    __asm__ volatile("stw%U0%X0 %1, %0\n\tmbar 1"
                     : "=m"(*(volatile uint32_t *)(uintptr_t)address)
                     : "r"(value)
                     : "memory");
}

#endif
