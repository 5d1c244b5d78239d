/* The table of model-specific registers, and the rules of those that hold state. */
#ifndef HV_X86_POLICY_MSR_TABLE_H
#define HV_X86_POLICY_MSR_TABLE_H

#include "hv/x86/policy/msr.h"

enum msr_class {
    MSR_CONSTANT, /* reads `value`; a write is a fault */
    MSR_IGNORED,  /* reads `value`; a write does nothing */
    MSR_HELD,     /* at `offset` of struct x86_msrs; bits of `value` may be written, another is a fault */
    MSR_LENIENT,  /* at `offset`; bits of `value` may be written, others stay as they are */
    MSR_APPLIED,  /* as MSR_HELD, and the backend loads it */
    MSR_PAT,      /* at `offset`: eight memory types, applied */
    MSR_FIXED,    /* at `offset`: a fixed-range MTRR */
    MSR_BASE,     /* at `offset`: a variable MTRR's base */
    MSR_MASK,     /* at `offset`: a variable MTRR's mask */
    MSR_DEFAULT,  /* MTRRdefType */
    MSR_BANK,     /* at `offset`: a machine-check bank's STATUS, ADDR or MISC */
    MSR_BACKEND,
    MSR_APIC_BASE,
};

/* Conditions under which the register exists. */
enum msr_condition {
    MSR_ALWAYS,
    MSR_AMD,
    MSR_INTEL,
    MSR_RDTSCP,
};

struct msr_row {
    uint32_t index;
    uint16_t offset; /* in struct x86_msrs */
    uint8_t kind;    /* enum msr_class */
    uint8_t when;    /* enum msr_condition */
    uint64_t value;
    const char *name;
};

/* The row of @index, or NULL. Rows are ascending; found by halving. */
const struct msr_row *msr_row_of(uint32_t index);

/* For tests: the whole table. */
const struct msr_row *msr_rows(unsigned *count);

#endif
