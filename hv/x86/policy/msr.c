/*
 * RDMSR and WRMSR: who answers, and what the registers that are held here accept.
 *
 * Invariant: a value that a processor would refuse is never stored.
 *
 * Spec: SDM 3A "Memory Type Range Registers (MTRRs)", "Page Attribute Table (PAT)",
 * "Machine-Check Architecture".
 */
#include <vmmu/format.h>
#include <vmmu/hyperv.h>

#include "hv/x86/policy/msr_table.h"

#define X2APIC_FIRST        0x800u
#define X2APIC_LAST         0x8FFu
#define TSC_DEADLINE        0x6E0u

#define MTRR_WRITE_BACK     6u
#define MTRR_ENABLE         BIT64(11)
#define MTRR_ENABLE_FIXED   BIT64(10)
#define FIXED_WRITE_BACK    UINT64_C(0x0606060606060606)

/* Fast strings; neither branch trace store nor precise event sampling. */
#define MISC_ENABLE_RESET   (BIT64(0) | BIT64(11) | BIT64(12))

/* INVD acts as WBINVD; the TSC counts at the frequency of P-state 0. */
#define HWCR_RESET          (BIT64(4) | BIT64(24))
#define HWCR_STATUS_WRITES  BIT64(18)

#define SYSCFG_FIXED_MODIFY BIT64(19)
#define FIXED_DRAM_BITS     0x18u /* RdMem and WrMem of one fixed range */

/* Above any revision that a kernel may look for: microcode is the host's affair. */
#define PATCH_LEVEL_AMD     UINT64_C(0x00000000FFFFFFFF)
#define PATCH_LEVEL_INTEL   UINT64_C(0xFFFFFFFF00000000)

/* Bit n: memory type n exists. UC, WC, WT, WP, WB. */
#define MTRR_TYPES          ((1u << 0) | (1u << 1) | (1u << 4) | (1u << 5) | (1u << 6))

static bool is_type(unsigned type, unsigned types)
{
    return type < 8 && (types >> type & 1) != 0;
}

/* Eight memory types, one a byte; bits of @extra are allowed beside each. */
static bool are_types(uint64_t value, unsigned types, unsigned extra)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!is_type((unsigned)(value >> (8 * i) & 0xFF & ~(uint64_t)extra), types)) {
            return false;
        }
    }
    return true;
}

void x86_msrs_reset(struct x86_msrs *msrs, const struct x86_msrs_config *config)
{
    *msrs = (struct x86_msrs){
        .config = *config,
        .pat = VMMU_X86_PAT_AT_RESET,
        .mtrr_default = MTRR_ENABLE | MTRR_ENABLE_FIXED | MTRR_WRITE_BACK,
        .misc_enable = MISC_ENABLE_RESET,
        .hwcr = HWCR_RESET,
        .patch_level = config->is_amd ? PATCH_LEVEL_AMD : PATCH_LEVEL_INTEL,
    };
    for (unsigned i = 0; i < X86_MTRR_FIXED; i++) {
        msrs->mtrr_fixed[i] = FIXED_WRITE_BACK;
    }
}

static bool exists(const struct x86_msrs *msrs, const struct msr_row *row)
{
    switch ((enum msr_condition)row->when) {
    case MSR_ALWAYS: return true;
    case MSR_AMD: return msrs->config.is_amd;
    case MSR_INTEL: return !msrs->config.is_amd;
    case MSR_RDTSCP: return msrs->config.rdtscp;
    }
    return false;
}

/*
 * Registers that another room knows one by one, decided before the table is searched: interrupts and timers,
 * which guests reach thousands of times a second, are among them. False: it is in none of the ranges.
 */
static bool in_range(const struct x86_msrs *msrs, uint32_t index, enum x86_msr_outcome *outcome)
{
    if (index >= X2APIC_FIRST && index <= X2APIC_LAST) {
        *outcome = msrs->config.x2apic ? X86_MSR_APIC : X86_MSR_FAULT;
        return true;
    }
    if (index == TSC_DEADLINE) {
        *outcome = msrs->config.no_deadline ? X86_MSR_FAULT : X86_MSR_APIC;
        return true;
    }
    if (index >= VMMU_HYPERV_MSR_FIRST && index <= VMMU_HYPERV_MSR_LAST) {
        *outcome = msrs->config.hyperv ? X86_MSR_HYPERV : X86_MSR_FAULT;
        return true;
    }
    return false;
}

static uint64_t held(const struct x86_msrs *msrs, const struct msr_row *row)
{
    uint64_t value;

    __builtin_memcpy(&value, (const uint8_t *)msrs + row->offset, sizeof(value));
    return value;
}

static void hold(struct x86_msrs *msrs, const struct msr_row *row, uint64_t value)
{
    __builtin_memcpy((uint8_t *)msrs + row->offset, &value, sizeof(value));
}

enum x86_msr_outcome x86_msr_read(const struct x86_msrs *msrs, uint32_t index, uint64_t *value)
{
    enum x86_msr_outcome outcome;
    const struct msr_row *row;

    if (in_range(msrs, index, &outcome)) {
        return outcome;
    }
    row = msr_row_of(index);
    if (row == NULL || !exists(msrs, row)) {
        return X86_MSR_FAULT;
    }
    switch ((enum msr_class)row->kind) {
    case MSR_CONSTANT:
    case MSR_IGNORED: *value = row->value; return X86_MSR_DONE;
    case MSR_HELD:
    case MSR_LENIENT:
    case MSR_APPLIED:
    case MSR_PAT:
    case MSR_FIXED:
    case MSR_BASE:
    case MSR_MASK:
    case MSR_DEFAULT:
    case MSR_BANK: *value = held(msrs, row); return X86_MSR_DONE;
    case MSR_BACKEND: return X86_MSR_BACKEND;
    case MSR_APIC_BASE: return X86_MSR_APIC_BASE;
    }
    return X86_MSR_FAULT;
}

static uint64_t beyond_address(const struct x86_msrs *msrs)
{
    return BITS64(63, msrs->config.maxphyaddr);
}

static bool is_mtrr_default(uint64_t value)
{
    return (value & ~(MTRR_ENABLE | MTRR_ENABLE_FIXED | 0xFF)) == 0 && is_type(value & 0xFF, MTRR_TYPES);
}

static bool is_mtrr_base(const struct x86_msrs *msrs, uint64_t value)
{
    return (value & (beyond_address(msrs) | BITS64(11, 8))) == 0 && is_type(value & 0xFF, MTRR_TYPES);
}

static bool is_mtrr_mask(const struct x86_msrs *msrs, uint64_t value)
{
    return (value & (beyond_address(msrs) | BITS64(10, 0))) == 0;
}

/* AMD's RdMem and WrMem may be written only while SYSCFG opens them. */
static bool is_mtrr_fixed(const struct x86_msrs *msrs, uint64_t value)
{
    return are_types(value, MTRR_TYPES, (msrs->syscfg & SYSCFG_FIXED_MODIFY) != 0 ? FIXED_DRAM_BITS : 0);
}

/* A bank's record may be cleared; written only where AMD's HWCR allows it. */
static bool is_bank(const struct x86_msrs *msrs, uint64_t value)
{
    return value == 0 || (msrs->config.is_amd && (msrs->hwcr & HWCR_STATUS_WRITES) != 0);
}

static enum x86_msr_outcome hold_if(struct x86_msrs *msrs, const struct msr_row *row, uint64_t value,
                                    bool valid)
{
    if (!valid) {
        return X86_MSR_FAULT;
    }
    hold(msrs, row, value);
    return X86_MSR_DONE;
}

static enum x86_msr_outcome apply_if(struct x86_msrs *msrs, const struct msr_row *row, uint64_t value,
                                     bool valid)
{
    return hold_if(msrs, row, value, valid) == X86_MSR_DONE ? X86_MSR_APPLY : X86_MSR_FAULT;
}

static enum x86_msr_outcome write_row(struct x86_msrs *msrs, const struct msr_row *row, uint64_t value)
{
    switch ((enum msr_class)row->kind) {
    case MSR_CONSTANT: return X86_MSR_FAULT;
    case MSR_IGNORED: return X86_MSR_DONE;
    case MSR_HELD: return hold_if(msrs, row, value, (value & ~row->value) == 0);
    case MSR_LENIENT:
        hold(msrs, row, (held(msrs, row) & ~row->value) | (value & row->value));
        return X86_MSR_DONE;
    case MSR_APPLIED: return apply_if(msrs, row, value, (value & ~row->value) == 0);
    case MSR_PAT: return apply_if(msrs, row, value, vmmu_x86_pat_is_sound(value));
    case MSR_FIXED: return hold_if(msrs, row, value, is_mtrr_fixed(msrs, value));
    case MSR_BASE: return hold_if(msrs, row, value, is_mtrr_base(msrs, value));
    case MSR_MASK: return hold_if(msrs, row, value, is_mtrr_mask(msrs, value));
    case MSR_DEFAULT: return hold_if(msrs, row, value, is_mtrr_default(value));
    case MSR_BANK: return hold_if(msrs, row, value, is_bank(msrs, value));
    case MSR_BACKEND: return X86_MSR_BACKEND;
    case MSR_APIC_BASE: return X86_MSR_APIC_BASE;
    }
    return X86_MSR_FAULT;
}

enum x86_msr_outcome x86_msr_write(struct x86_msrs *msrs, uint32_t index, uint64_t value)
{
    enum x86_msr_outcome outcome;
    const struct msr_row *row;

    if (in_range(msrs, index, &outcome)) {
        return outcome;
    }
    row = msr_row_of(index);
    return row != NULL && exists(msrs, row) ? write_row(msrs, row, value) : X86_MSR_FAULT;
}

const char *x86_msr_name(uint32_t index)
{
    const struct msr_row *row = msr_row_of(index);

    return row != NULL ? row->name : NULL;
}
