/*
 * The processor's privileged instructions, each as an inline function of the same name.
 *
 * What the hypervisor keeps in the processor, and so what a backend must put back after a guest has run:
 *
 *   GDTR, IDTR, CS, SS, DS, ES    the ground's own; #VMEXIT and a VM exit restore them by themselves
 *   CR0, CR3, CR4, EFER           likewise. CR4.OSXSAVE is on, so XGETBV and XSETBV work in the host
 *   TR                            used by #DF alone (its stack is the task-state segment's IST1). NMI and #MC
 *                                 run on the stack that they interrupt. A backend that leaves a guest's TR
 *                                 loaded loses the report of an overflown stack, and nothing else: it should
 *                                 be put back before GIF is set
 *   FS, GS, LDTR,                 never used by the hypervisor: they may stay the guest's
 *   KERNEL_GS_BASE, STAR, LSTAR,
 *   CSTAR, SFMASK, SYSENTER_*
 *   XCR0, x87, SSE and above      never used by the hypervisor (it is compiled for general registers only):
 *                                 they may stay the guest's. After the start XCR0 holds every component that
 *                                 the processor has
 *   DR0-DR3, DR7                  never used by the hypervisor. DR7 must be 0x400 in the host (#VMEXIT and a
 *                                 VM exit see to it), else a guest's breakpoints would fire in it
 *   CR2, PKRU, PAT                CR2 is reported by a page fault of the hypervisor only; PKRU does not
 *                                 govern supervisor pages; IA32_PAT must keep its value at reset in the low
 *                                 four entries (WB, WT, UC-, UC)
 */
#ifndef HV_X86_CPU_H
#define HV_X86_CPU_H

#include <vmmu/base.h>

/* --- ports --- */

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* --- identification and time --- */

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/* Width of physical addresses, in bits. */
static inline uint8_t cpu_maxphyaddr(void)
{
    return (uint8_t)cpuid(0x80000008u, 0).eax;
}

static inline bool cpu_has_gib_pages(void)
{
    return cpuid(0x80000001u, 0).edx & (1u << 26);
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* --- model-specific registers --- */

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/*
 * If the instruction at @from raises an exception, go on at @to instead. The pairs are gathered in a section
 * of their own, as distances from themselves; the exception handler looks there before it gives up.
 */
#define CPU_FIXUP(from, to)                                                                                  \
    ".pushsection .fixup, \"a\"\n\t"                                                                         \
    ".balign 4\n\t"                                                                                          \
    ".long " from " - .\n\t"                                                                                 \
    ".long " to " - .\n\t"                                                                                   \
    ".popsection\n\t"

/* Read a register that the processor may lack. Whether it has it; *value is 0 if not. */
VMMU_MUST_USE
static inline bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    bool ok = false;
    __asm__ volatile("1: rdmsr\n\t"
                     "movb $1, %2\n\t"
                     "2:\n\t" CPU_FIXUP("1b", "2b")
                     : "+a"(low), "+d"(high), "+r"(ok)
                     : "c"(msr));
    *value = ok ? (uint64_t)high << 32 | low : 0;
    return ok;
}

/* Write a register that the processor may lack, or a value that it may refuse. Whether it was written. */
VMMU_MUST_USE
static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
    bool ok = false;
    __asm__ volatile("1: wrmsr\n\t"
                     "movb $1, %0\n\t"
                     "2:\n\t" CPU_FIXUP("1b", "2b")
                     : "+r"(ok)
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return ok;
}

/* --- control, debug and extended control registers --- */

#define CPU_REGISTER(name)                                                                                   \
    static inline uint64_t read_##name(void)                                                                 \
    {                                                                                                        \
        uint64_t value;                                                                                      \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");                                  \
        return value;                                                                                        \
    }                                                                                                        \
    static inline void write_##name(uint64_t value)                                                          \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                                      \
    }

CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(cr8)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
CPU_REGISTER(dr7)

static inline uint64_t xgetbv(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* Protection-key rights of user pages: needs CR4.PKE. */
static inline uint32_t rdpkru(void)
{
    uint32_t value, zero;
    __asm__ volatile("rdpkru" : "=a"(value), "=d"(zero) : "c"(0));
    return value;
}

static inline void wrpkru(uint32_t value)
{
    __asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory");
}

/* --- descriptor tables --- */

/* The operand of LGDT, LIDT, SGDT and SIDT. */
struct __attribute__((packed)) descriptor_table {
    uint16_t limit;
    uint64_t base;
};

static inline void lgdt(const struct descriptor_table *table)
{
    __asm__ volatile("lgdt %0" : : "m"(*table) : "memory");
}

static inline void lidt(const struct descriptor_table *table)
{
    __asm__ volatile("lidt %0" : : "m"(*table) : "memory");
}

static inline void sgdt(struct descriptor_table *table)
{
    __asm__ volatile("sgdt %0" : "=m"(*table));
}

static inline void sidt(struct descriptor_table *table)
{
    __asm__ volatile("sidt %0" : "=m"(*table));
}

static inline void ltr(uint16_t selector)
{
    __asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

static inline uint16_t str(void)
{
    uint16_t selector;
    __asm__ volatile("str %0" : "=r"(selector));
    return selector;
}

/* --- caches and interrupts --- */

static inline void invlpg(const void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" : : : "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause");
}

static inline void cli(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline void sti(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void hlt(void)
{
    __asm__ volatile("hlt" : : : "memory");
}

#endif
