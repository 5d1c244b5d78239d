/*
 * What a processor's VT-x offers, and the values of controls that follow from it. capabilities.c is pure: no
 * instruction, no state; the registers are read by a callback. start.c asks the processor.
 *
 * No control is taken for granted: each that a guest of a technique cannot do without is looked for by name.
 *
 * Spec: SDM 3D "VMX Capability Reporting Facility".
 */
#ifndef HV_X86_VMX_CAPABILITIES_H
#define HV_X86_VMX_CAPABILITIES_H

#include "hv/x86/vmx/vmcs.h"

/* What controls are for. */
enum vmx_use {
    VMX_DIRECT, /* the processor walks the guest's tables and a second stage; any mode of the guest's runs */
    VMX_INDIRECT, /* the processor walks tables of ours; protected mode with paging only */
    VMX_USES
};

enum vmx_control_group {
    VMX_GROUP_PIN,
    VMX_GROUP_PROCESSOR,
    VMX_GROUP_PROCESSOR2,
    VMX_GROUP_EXIT,
    VMX_GROUP_ENTRY,
    VMX_CONTROL_GROUPS
};

/* Values of the controls, by group. */
struct vmx_controls {
    uint32_t value[VMX_CONTROL_GROUPS];
};

/* Bits of a control or register that must be set, and those that may be. */
struct vmx_bits {
    uint64_t must, may;
};

struct vmx_capabilities {
    struct vmx_bits controls[VMX_CONTROL_GROUPS]; /* of the secondary controls none, where there are none */
    struct vmx_bits cr0, cr4;             /* in VMX operation; unrestricted guests are free of PE and PG */
    uint64_t ept_vpid;                    /* IA32_VMX_EPT_VPID_CAP; 0 where there is neither EPT nor VPID */
    uint32_t revision;                    /* the first word of VMXON regions and VMCSs */
    bool write_back;                      /* VMCSs and what they point to may be cached */
    bool vpid;                            /* VPIDs, and INVVPID of everything */
    bool invvpid_address, invvpid_single; /* narrower types of INVVPID; a wider one will do in their place */
    bool invvpid_single_but_globals;
    bool invept_single;    /* narrower than all; see `invvpid_address` */
    bool accessed_dirty;   /* in EPT entries */
    bool execute_only;     /* EPT entries that allow nothing else */
    bool uncached_tables;  /* EPT tables may be uncached */
    uint8_t largest_level; /* of an EPT leaf: 1 to 3 */
    bool preemption_timer; /* it counts at the TSC's rate shifted right by: */
    uint8_t preemption_shift;
    uint16_t cr3_targets;
    bool port_details; /* exits of INS and OUTS tell of the instruction */
};

/* Read @msr, which the processor has. */
typedef uint64_t vmx_read_msr_function(void *context, uint32_t msr);

/**
 * Read what the processor offers. Only registers that the ones before them announce are read.
 *
 * Spec: SDM 3D "Basic VMX Information", "Algorithms for Determining VMX Capabilities", "VPID and EPT Capabilities".
 */
void vmx_read_capabilities(vmx_read_msr_function *read, void *context, struct vmx_capabilities *out);

/*
 * The first thing that guests of @use need and the processor lacks, to follow "the processor's VT-x lacks"; NULL
 * if there is none.
 */
const char *vmx_missing(const struct vmx_capabilities *capabilities, enum vmx_use use);

/*
 * The controls of a guest of @use, for which nothing is missing: what it needs and what is worth having where it is
 * offered. Windows for events, INVLPG exiting, and GUEST_64 are offered but clear. With a TPR shadow
 * CR8 does not exit; without one it does.
 */
struct vmx_controls vmx_controls_of(const struct vmx_capabilities *capabilities, enum vmx_use use);

/* Whether @value is allowed of a register. */
static inline bool vmx_allows(const struct vmx_bits *bits, uint64_t value)
{
    return (value & bits->must) == bits->must && !(value & ~bits->may);
}

/**
 * What to make of IA32_FEATURE_CONTROL as it stands in *value. NULL: VMXON works once *value, which may have changed,
 * has been written to it. Else why it cannot.
 *
 * Spec: SDM 3C "Enabling and Entering VMX Operation".
 */
const char *vmx_unlock(uint64_t *value);

/**
 * Make the MSR bitmap, a page, at @bitmap: every access exits but those of registers that are switched with the guest
 * or that stay its own in the processor.
 *
 * Spec: SDM 3C "MSR-Bitmap Address".
 */
void vmx_fill_msr_bitmap(uint8_t *bitmap);

/* --- start.c --- */

/* This processor, and what all its guests share. */
struct vmx_processor {
    struct vmx_capabilities capabilities;
    vmmu_hpa region; /* that VMXON was given: the processor's own */
    vmmu_hpa msr_bitmap;
    vmmu_hpa port_bitmaps; /* A and B: every access exits */
    uint32_t last_vpid;    /* the last that was given to a guest */
};

extern struct vmx_processor vmx_processor;

/* Enter VMX operation, with nothing cached under any tag. NULL, or what is missing. */
const char *vmx_start(void);

/* NULL if this processor runs guests of @use. Else the sentence that says what it lacks, which stands until the next call. */
const char *vmx_refusal(enum vmx_use use);

/*
 * Write to the current VMCS what is the same for every guest and never changes: the host's state but for RSP and RIP,
 * the bitmaps that @controls use, the link pointer.
 */
void vmx_write_shared(const struct vmx_controls *controls);

#endif
