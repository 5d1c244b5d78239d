/*
 * Which model-specific registers a guest has, what they hold, and who answers for them.
 */
#ifndef HV_X86_POLICY_MSR_H
#define HV_X86_POLICY_MSR_H

#include <vmmu/base.h>

#define X86_MTRR_FIXED    11
#define X86_MTRR_VARIABLE 8
#define X86_MC_BANKS      1

/* What the registers depend on. */
struct x86_msrs_config {
    uint8_t maxphyaddr;
    bool is_amd;      /* AuthenticAMD or HygonGenuine, as the guest sees it */
    bool is_bsp;      /* the partition's first VP */
    bool hyperv;      /* enlightenments are on */
    bool x2apic;      /* x2APIC is offered */
    bool rdtscp;      /* TSC_AUX exists */
    bool no_deadline; /* TSC_DEADLINE is not offered */
    uint32_t apic_id;
};

/* One VP's registers that are no other room's. Owned by the thread that runs the VP. */
struct x86_msrs {
    struct x86_msrs_config config;
    uint64_t pat;
    uint64_t mtrr_default;
    uint64_t mtrr_fixed[X86_MTRR_FIXED];
    uint64_t mtrr_base[X86_MTRR_VARIABLE];
    uint64_t mtrr_mask[X86_MTRR_VARIABLE];
    uint64_t misc_enable;
    uint64_t mcg_status;
    uint64_t mcg_ctl;
    uint64_t mc[X86_MC_BANKS][4]; /* CTL, STATUS, ADDR, MISC */
    uint64_t tsc_aux;
    uint64_t hwcr;
    uint64_t syscfg;
    uint64_t int_pending;
    uint64_t patch_level;
    uint64_t debug_ctl;
    uint64_t de_cfg;
};

/* Who is to answer for an access. */
enum x86_msr_outcome {
    X86_MSR_DONE,  /* answered; *value is what was read */
    X86_MSR_FAULT, /* inject #GP(0); nothing was changed */
    /* a write, accepted and held here; the backend loads it (PAT, TSC_AUX) before the VP runs */
    X86_MSR_APPLY,
    /* the processor's virtualization holds it: EFER, STAR, FS and GS bases, SYSENTER, TSC... */
    X86_MSR_BACKEND,
    X86_MSR_APIC_BASE, /* the local APIC's base register */
    X86_MSR_APIC,      /* x2APIC register, or TSC_DEADLINE: the local APIC by MSR index */
    X86_MSR_HYPERV,    /* vmmu_hyperv_msr_read() or _write() */
};

/* Reset values: MTRRs on with default write-back, PAT as after reset. */
void x86_msrs_reset(struct x86_msrs *msrs, const struct x86_msrs_config *config);

/* RDMSR of @index. */
VMMU_MUST_USE
enum x86_msr_outcome x86_msr_read(const struct x86_msrs *msrs, uint32_t index, uint64_t *value);

/* WRMSR of @value to @index. */
VMMU_MUST_USE
enum x86_msr_outcome x86_msr_write(struct x86_msrs *msrs, uint32_t index, uint64_t value);

/* The manuals' name of a register that the table knows, or NULL. */
const char *x86_msr_name(uint32_t index);

#endif
