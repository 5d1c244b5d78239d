/*
 * CPUID at an exit: one look into the table, and the few bits that follow the VP's registers.
 */
#include "hv/x86/policy/cpuid.h"
#include "hv/x86/policy/features.h"

#define CR4_OSXSAVE BIT64(18)
#define CR4_PKE     BIT64(22)

static const struct x86_cpuid_regs nothing;

static struct x86_cpuid_regs cache(const struct x86_cpuid *table, uint32_t subleaf)
{
    return subleaf < X86_CPUID_CACHES ? table->caches[subleaf] : nothing;
}

static struct x86_cpuid_regs topology(const struct x86_cpuid *table, uint32_t subleaf)
{
    struct x86_cpuid_regs regs =
        table->topology[subleaf < X86_CPUID_TOPOLOGY ? subleaf : X86_CPUID_TOPOLOGY - 1];

    regs.ecx = (regs.ecx & ~0xFFu) | (subleaf & 0xFF);
    return regs;
}

/* Sizes for what is enabled now. XSS is always zero here: XSAVES is not offered. */
static struct x86_cpuid_regs xsave(const struct x86_cpuid *table, uint32_t subleaf, uint64_t xcr0)
{
    struct x86_cpuid_regs regs;

    if (subleaf >= X86_CPUID_XSAVE || table->xcr0_allowed == 0) {
        return nothing;
    }
    regs = table->xsave[subleaf];
    if (subleaf == 0) {
        regs.ebx = x86_xsave_bytes(table, xcr0, false);
    } else if (subleaf == 1 && (regs.eax & FD1A_XSAVEC) != 0) {
        regs.ebx = x86_xsave_bytes(table, xcr0, true);
    }
    return regs;
}

static struct x86_cpuid_regs features_7(const struct x86_cpuid *table, uint32_t subleaf, uint64_t cr4)
{
    struct x86_cpuid_regs regs;

    if (subleaf > 1) {
        return nothing;
    }
    if (subleaf == 1) {
        return table->features_1;
    }
    regs = table->basic[7];
    regs.eax = 1;
    regs.ecx |= (cr4 & CR4_PKE) != 0 ? F7C_OSPKE : 0;
    return regs;
}

static struct x86_cpuid_regs basic(const struct x86_cpuid *table, uint32_t leaf, uint32_t subleaf,
                                   const struct x86_cpuid_state *state)
{
    struct x86_cpuid_regs regs = table->basic[leaf];

    switch (leaf) {
    case 1: regs.ecx |= (state->cr4 & CR4_OSXSAVE) != 0 ? F1C_OSXSAVE : 0; return regs;
    case 4: return table->caches_by_extended ? nothing : cache(table, subleaf);
    case 7: return features_7(table, subleaf, state->cr4);
    case 0xB: return topology(table, subleaf);
    case 0xD: return xsave(table, subleaf, state->xcr0);
    default: return regs;
    }
}

static struct x86_cpuid_regs hypervisor(const struct x86_cpuid *table, uint32_t leaf)
{
    struct vmmu_hyperv_cpuid regs;

    if (table->hyperv == NULL) {
        return nothing;
    }
    regs = vmmu_hyperv_cpuid_leaf(table->hyperv, leaf);
    return (struct x86_cpuid_regs){ regs.eax, regs.ebx, regs.ecx, regs.edx };
}

struct x86_cpuid_regs x86_cpuid_lookup(const struct x86_cpuid *table, uint32_t leaf, uint32_t subleaf,
                                       const struct x86_cpuid_state *state)
{
    if (leaf <= table->max_basic) {
        return basic(table, leaf, subleaf, state);
    }
    if (leaf >= VMMU_HYPERV_CPUID_FIRST && leaf <= VMMU_HYPERV_CPUID_LAST) {
        return hypervisor(table, leaf);
    }
    if (leaf < 0x80000000u || leaf > table->max_extended) {
        return nothing;
    }
    if (leaf == 0x8000001Du) {
        return table->caches_by_extended ? cache(table, subleaf) : nothing;
    }
    return table->extended[leaf - 0x80000000u];
}

void x86_cpuid_paging(const struct x86_cpuid *table, struct vmmu_x86_cpu *cpu)
{
    const struct x86_cpuid_regs *one = &table->basic[1];
    const struct x86_cpuid_regs *seven = &table->basic[7];
    const struct x86_cpuid_regs *extended = &table->extended[1];

    *cpu = (struct vmmu_x86_cpu){
        .maxphyaddr = (uint8_t)(table->extended[8].eax & 0xFF),
        .pse = (one->edx & F1D_PSE) != 0,
        .pse36 = (one->edx & F1D_PSE36) != 0,
        .pae = (one->edx & F1D_PAE) != 0,
        .nx = (extended->edx & FXD_NX) != 0,
        .gib_pages = (extended->edx & FXD_GIB_PAGES) != 0,
        .la57 = (seven->ecx & F7C_LA57) != 0,
        .smep = (seven->ebx & F7B_SMEP) != 0,
        .smap = (seven->ebx & F7B_SMAP) != 0,
        .pku = (seven->ecx & F7C_PKU) != 0,
        .pcid = (one->ecx & F1C_PCID) != 0,
        .pge = (one->edx & F1D_PGE) != 0,
        .long_mode = (extended->edx & FXD_LONG_MODE) != 0,
        .bit8_reserved = table->caches_by_extended,
        .cr4_others = table->cr4_allowed,
        .efer_others = table->efer_allowed,
    };
}
