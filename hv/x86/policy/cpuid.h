/*
 * What CPUID tells the guest: only what is virtualized, computed once into a table
 * and looked up at each exit.
 */
#ifndef HV_X86_POLICY_CPUID_H
#define HV_X86_POLICY_CPUID_H

#include <vmmu/base.h>
#include <vmmu/hyperv.h>
#include <vmmu/mode.h>

struct x86_cpuid_regs {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

/* What the host's own CPUID says. A function, so that tests have hosts of their own. */
struct x86_cpuid_host {
    void *context;
    struct x86_cpuid_regs (*read)(void *context, uint32_t leaf, uint32_t subleaf);
};

/* Features that the caller withholds from this guest though the host has them. */
#define X86_WITHHOLD_LA57      0x01u
#define X86_WITHHOLD_PCID      0x02u /* and INVPCID */
#define X86_WITHHOLD_GIB_PAGES 0x04u
#define X86_WITHHOLD_X2APIC    0x08u
#define X86_WITHHOLD_PKU       0x10u /* and PKS */
#define X86_WITHHOLD_XSAVE     0x20u /* and AVX and all that needs it */
#define X86_WITHHOLD_DEADLINE  0x40u /* the local APIC timer's TSC-deadline mode */

struct x86_cpuid_config {
    struct x86_cpuid_host host;
    const struct vmmu_hyperv_partition *hyperv; /* NULL: no enlightenments */
    uint32_t apic_id;                           /* of this VP */
    uint32_t vp_count;                          /* VPs of the partition: cores of one package */
    uint32_t withhold;                          /* X86_WITHHOLD_* */
};

/* State of the VP that CPUID shows. */
struct x86_cpuid_state {
    uint64_t cr4;
    uint64_t xcr0;
};

#define X86_CPUID_BASIC    0x20u
#define X86_CPUID_EXTENDED 0x22u
#define X86_CPUID_CACHES   8u
#define X86_CPUID_TOPOLOGY 3u
#define X86_CPUID_XSAVE    20u

/* One VP's answers. Built once; read by the thread that runs the VP. */
struct x86_cpuid {
    uint32_t max_basic;
    uint32_t max_extended;
    uint32_t max_hypervisor; /* 0: no such leaves */
    uint64_t xcr0_allowed;   /* bits that XSETBV may set; 0: no XSAVE */
    uint64_t cr4_allowed;    /* bits that MOV to CR4 may set */
    uint64_t efer_allowed;   /* bits that WRMSR to EFER may set */
    bool caches_by_extended; /* caches[] is leaf 0x8000001D, else leaf 4 */
    const struct vmmu_hyperv_partition *hyperv;
    struct x86_cpuid_regs basic[X86_CPUID_BASIC];
    struct x86_cpuid_regs extended[X86_CPUID_EXTENDED];
    struct x86_cpuid_regs features_1;               /* leaf 7 subleaf 1 */
    struct x86_cpuid_regs caches[X86_CPUID_CACHES]; /* leaf 4, or 0x8000001D */
    struct x86_cpuid_regs topology[X86_CPUID_TOPOLOGY];
    struct x86_cpuid_regs xsave[X86_CPUID_XSAVE];
};

/* Compute @table for one VP. Reads the host's CPUID some hundred times. */
void x86_cpuid_build(struct x86_cpuid *table, const struct x86_cpuid_config *config);

/* What CPUID with @leaf in EAX and @subleaf in ECX returns. Some tens of instructions. */
struct x86_cpuid_regs x86_cpuid_lookup(const struct x86_cpuid *table, uint32_t leaf, uint32_t subleaf,
                                       const struct x86_cpuid_state *state);

/* The part of it that decides about paging, for vmmu_x86_mode. */
void x86_cpuid_paging(const struct x86_cpuid *table, struct vmmu_x86_cpu *cpu);

/* Bytes of an XSAVE area that holds @components of XCR0, in the standard or the compacted format. */
uint32_t x86_xsave_bytes(const struct x86_cpuid *table, uint64_t components, bool compacted);

/**
 * Whether XSETBV may put @value into XCR0; otherwise it raises #GP(0).
 *
 * Spec: SDM 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features".
 */
bool x86_xcr0_is_valid(const struct x86_cpuid *table, uint64_t value);

#endif
