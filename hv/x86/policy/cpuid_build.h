/* What the files that compute the CPUID table share. */
#ifndef HV_X86_POLICY_CPUID_BUILD_H
#define HV_X86_POLICY_CPUID_BUILD_H

#include "hv/x86/policy/cpuid.h"

struct cpuid_builder {
    struct x86_cpuid *table;
    const struct x86_cpuid_config *config;
    uint32_t host_basic;    /* the host's highest leaves */
    uint32_t host_extended; /* 0: none */
    bool is_amd;
};

/*
 * The host's answer, or zeros beyond its highest leaf: what some processors answer there is not that leaf's.
 */
struct x86_cpuid_regs cpuid_host(const struct cpuid_builder *builder, uint32_t leaf, uint32_t subleaf);

/* Leaf 0xD, and the bits of XCR0 that the guest may set. */
void cpuid_build_xsave(struct cpuid_builder *builder);

/* Family, APIC IDs, counts of cores, address widths. */
void cpuid_build_processor(struct cpuid_builder *builder);

/* Leaves 4 and 0x8000001D. */
void cpuid_build_caches(struct cpuid_builder *builder);

#endif
