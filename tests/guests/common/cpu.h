/*
 * The processor's instructions as C functions, and the few bits of its registers that the guests speak of.
 *
 * Names and values: SDM volume 3A "Control Registers", volume 4 "Model-Specific Registers"; volume 2A CPUID.
 */
#ifndef TESTS_GUESTS_CPU_H
#define TESTS_GUESTS_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/guests/common/layout.h"

#define BIT(n)         ((uintptr_t)1 << (n))
#define BIT64(n)       ((uint64_t)1 << (n))

#define CR0_PE         BIT(0)
#define CR0_MP         BIT(1)
#define CR0_EM         BIT(2)
#define CR0_TS         BIT(3)
#define CR0_WP         BIT(16)
#define CR0_AM         BIT(18)
#define CR0_NW         BIT(29)
#define CR0_CD         BIT(30)
#define CR0_PG         BIT(31)

#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_PGE        BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)
#define CR4_PKS        BIT(24)

#define MSR_APIC_BASE  0x1b
#define MSR_TSC_ADJUST 0x3b
#define MSR_PAT        0x277
#define MSR_DEADLINE   0x6e0
#define MSR_PKRS       0x6e1
#define MSR_EFER       0xc0000080

#define EFER_SCE       BIT64(0)
#define EFER_LME       BIT64(8)
#define EFER_LMA       BIT64(10)
#define EFER_NXE       BIT64(11)
#define EFER_SVME      BIT64(12)

#define FLAGS_ONE      BIT(1)
#define FLAGS_TF       BIT(8)
#define FLAGS_IF       BIT(9)
#define FLAGS_AC       BIT(18)

#define MAKE_CONTROL_REGISTER(name)                                                                          \
    static inline uintptr_t name##_read(void)                                                                \
    {                                                                                                        \
        uintptr_t value;                                                                                     \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value)::"memory");                                     \
        return value;                                                                                        \
    }                                                                                                        \
    static inline void name##_write(uintptr_t value)                                                         \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%" #name ::"r"(value) : "memory");                                        \
    }

MAKE_CONTROL_REGISTER(cr0)
MAKE_CONTROL_REGISTER(cr2)
MAKE_CONTROL_REGISTER(cr3)
MAKE_CONTROL_REGISTER(cr4)
MAKE_CONTROL_REGISTER(dr0)
MAKE_CONTROL_REGISTER(dr1)
MAKE_CONTROL_REGISTER(dr2)
MAKE_CONTROL_REGISTER(dr3)
MAKE_CONTROL_REGISTER(dr6)
MAKE_CONTROL_REGISTER(dr7)

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out;
    __asm__ volatile("cpuid"
                     : "=a"(out.a), "=b"(out.b), "=c"(out.c), "=d"(out.d)
                     : "a"(leaf), "c"(subleaf)
                     : "memory");
    return out;
}

static inline uint64_t msr_read(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void invlpg(uintptr_t address)
{
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

static inline uintptr_t flags_read(void)
{
    uintptr_t value;
    __asm__ volatile("pushf; pop %0" : "=r"(value)::"memory");
    return value;
}

static inline void flags_write(uintptr_t value)
{
    __asm__ volatile("push %0; popf" ::"r"(value) : "memory", "cc");
}

static inline void interrupts_on(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}

/* What the processor offers; each asks CPUID. */
bool cpu_has_pse(void);
bool cpu_has_pae(void);
bool cpu_has_pge(void);
bool cpu_has_nx(void);
bool cpu_has_gib_pages(void);
bool cpu_has_la57(void);
bool cpu_has_smep(void);
bool cpu_has_smap(void);
bool cpu_has_pku(void);
bool cpu_has_pks(void);
bool cpu_has_pcid(void);
bool cpu_has_invpcid(void);
bool cpu_has_xsave(void);
bool cpu_has_avx(void);
bool cpu_has_x2apic(void);
bool cpu_has_deadline(void);
bool cpu_has_monitor(void);
bool cpu_has_hypervisor(void);

/* Physical-address width in bits. */
unsigned cpu_physical_bits(void);

#endif
