/*
 * The table of CPUID answers: the host's, cut down to what is virtualized.
 *
 * Invariant: a bit reaches the guest only if it is named in `offered` below, or belongs to a device that
 * is ours (local APIC, timer) rather than the host's. A feature whose MSR, control bit or state the guest
 * may not use is not offered.
 */
#include "hv/x86/policy/cpuid.h"

#include "hv/x86/policy/cpuid_build.h"
#include "hv/x86/policy/features.h"

#define MAX_BASIC    0x16u /* the last is zero, so leaves above answer zero by either maker's rule */
#define MAX_EXTENDED 0x80000021u
#define MIN_EXTENDED 0x80000008u

#define F1D_REPEATED                                                                                         \
    (F1D_FPU | F1D_VME | F1D_DE | F1D_PSE | F1D_TSC | F1D_MSR | F1D_PAE | F1D_MCE | F1D_CX8 | F1D_APIC |     \
     F1D_MTRR | F1D_PGE | F1D_MCA | F1D_CMOV | F1D_PAT | F1D_PSE36 | F1D_MMX | F1D_FXSR)

/* What passes through if the host has it. PKS, XSAVES, IBRS and the like are absent with their MSRs. */
static const struct offered {
    uint32_t leaf;
    uint32_t subleaf;
    struct x86_cpuid_regs mask;
} offered[] = {
    { 1,
      0,
      { .ecx = F1C_SSE3 | F1C_PCLMULQDQ | F1C_SSSE3 | F1C_FMA | F1C_CX16 | F1C_PCID | F1C_SSE41 | F1C_SSE42 |
               F1C_MOVBE | F1C_POPCNT | F1C_AES | F1C_XSAVE | F1C_AVX | F1C_F16C | F1C_RDRAND,
        .edx = F1D_REPEATED | F1D_SEP | F1D_CLFLUSH | F1D_SSE | F1D_SSE2 | F1D_SELF_SNOOP } },
    { 7,
      0,
      { .ebx = F7B_FSGSBASE | F7B_BMI1 | F7B_AVX2 | F7B_FDP_ONLY | F7B_SMEP | F7B_BMI2 | F7B_ERMS |
               F7B_INVPCID | F7B_FCS_FDS | F7B_AVX512F | F7B_AVX512DQ | F7B_RDSEED | F7B_ADX | F7B_SMAP |
               F7B_AVX512IFMA | F7B_CLFLUSHOPT | F7B_CLWB | F7B_AVX512PF | F7B_AVX512ER | F7B_AVX512CD |
               F7B_SHA | F7B_AVX512BW | F7B_AVX512VL,
        .ecx = F7C_AVX512VBMI | F7C_UMIP | F7C_PKU | F7C_AVX512VBMI2 | F7C_GFNI | F7C_VAES | F7C_VPCLMULQDQ |
               F7C_AVX512VNNI | F7C_AVX512BITALG | F7C_AVX512POPCNT | F7C_LA57 | F7C_RDPID | F7C_CLDEMOTE |
               F7C_MOVDIRI | F7C_MOVDIR64B,
        .edx = F7D_AVX512_4VNNIW | F7D_AVX512_4FMAPS | F7D_FSRM | F7D_AVX512VP2INT | F7D_MD_CLEAR |
               F7D_SERIALIZE | F7D_AVX512FP16 } },
    { 7, 1, { .eax = F71A_AVX_VNNI | F71A_AVX512BF16 | F71A_FZRM | F71A_FSRS | F71A_FSRC | F71A_AVX_IFMA } },
    { 0x80000001,
      0,
      { .ecx = FXC_LAHF | FXC_ABM | FXC_SSE4A | FXC_MISALIGN_SSE | FXC_PREFETCH | FXC_XOP | FXC_FMA4 |
               FXC_TBM | FXC_TOPOLOGY,
        .edx = F1D_REPEATED | FXD_SYSCALL | FXD_NX | FXD_MMXEXT | FXD_GIB_PAGES | FXD_RDTSCP | FXD_LONG_MODE |
               FXD_3DNOWEXT | FXD_3DNOW } },
    { 0x80000007, 0, { .edx = FX7D_INVARIANT } },
    { 0x80000008,
      0,
      { .eax = ~0u, .ebx = FX8B_CLZERO | FX8B_XSAVE_ERRPTR | FX8B_WBNOINVD | FX8B_SSB_NO | FX8B_BTC_NO } },
    { 0x80000021, 0, { .eax = FX21A_NO_NESTED | FX21A_LFENCE | FX21A_NULL_SEL } },
};

/* Leaves of text, caches and TLBs that pass through as they are. */
static const uint32_t passed[] = { 0x80000002, 0x80000003, 0x80000004, 0x80000005,
                                   0x80000006, 0x80000019, 0x8000001A };

/* What goes with a state component that XSAVE does not manage for this guest. */
static const struct dependent {
    uint64_t component;
    uint32_t leaf;
    uint32_t subleaf;
    struct x86_cpuid_regs needs;
} dependents[] = {
    { XCR0_AVX, 1, 0, { .ecx = F1C_FMA | F1C_AVX | F1C_F16C } },
    { XCR0_AVX, 7, 0, { .ebx = F7B_AVX2, .ecx = F7C_VAES | F7C_VPCLMULQDQ } },
    { XCR0_AVX, 7, 1, { .eax = F71A_AVX_VNNI | F71A_AVX_IFMA } },
    { XCR0_AVX, 0x80000001, 0, { .ecx = FXC_XOP | FXC_FMA4 } },
    { XCR0_AVX512,
      7,
      0,
      { .ebx = F7B_AVX512F | F7B_AVX512DQ | F7B_AVX512IFMA | F7B_AVX512PF | F7B_AVX512ER | F7B_AVX512CD |
               F7B_AVX512BW | F7B_AVX512VL,
        .ecx = F7C_AVX512VBMI | F7C_AVX512VBMI2 | F7C_AVX512VNNI | F7C_AVX512BITALG | F7C_AVX512POPCNT,
        .edx = F7D_AVX512_4VNNIW | F7D_AVX512_4FMAPS | F7D_AVX512VP2INT | F7D_AVX512FP16 } },
    { XCR0_AVX512, 7, 1, { .eax = F71A_AVX512BF16 } },
};

struct x86_cpuid_regs cpuid_host(const struct cpuid_builder *builder, uint32_t leaf, uint32_t subleaf)
{
    const bool extended = leaf >= 0x80000000u;
    const uint32_t last = extended ? builder->host_extended : builder->host_basic;

    if (leaf > last) {
        return (struct x86_cpuid_regs){ 0 };
    }
    return builder->config->host.read(builder->config->host.context, leaf, subleaf);
}

static struct x86_cpuid_regs *slot_of(struct x86_cpuid *table, uint32_t leaf, uint32_t subleaf)
{
    if (leaf == 7 && subleaf == 1) {
        return &table->features_1;
    }
    return leaf >= 0x80000000u ? &table->extended[leaf - 0x80000000u] : &table->basic[leaf];
}

static struct x86_cpuid_regs both(struct x86_cpuid_regs a, struct x86_cpuid_regs b)
{
    return (struct x86_cpuid_regs){ a.eax & b.eax, a.ebx & b.ebx, a.ecx & b.ecx, a.edx & b.edx };
}

static struct x86_cpuid_regs inverse(struct x86_cpuid_regs a)
{
    return (struct x86_cpuid_regs){ ~a.eax, ~a.ebx, ~a.ecx, ~a.edx };
}

/* Highest leaves and the maker, whose name guests choose their drivers by. */
static void build_identity(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const struct x86_cpuid_config *config = builder->config;
    const struct x86_cpuid_regs basic = config->host.read(config->host.context, 0, 0);
    const struct x86_cpuid_regs extended = config->host.read(config->host.context, 0x80000000u, 0);

    builder->host_basic = basic.eax;
    builder->host_extended = extended.eax >= 0x80000000u ? extended.eax : 0;
    builder->is_amd = (basic.ebx == 0x68747541u && basic.edx == 0x69746E65u && basic.ecx == 0x444D4163u) ||
                      (basic.ebx == 0x6F677948u && basic.edx == 0x6E65476Eu && basic.ecx == 0x656E6975u);
    table->max_basic = MAX_BASIC;
    table->max_extended = builder->host_extended < MAX_EXTENDED ? builder->host_extended : MAX_EXTENDED;
    if (table->max_extended < MIN_EXTENDED) {
        table->max_extended = MIN_EXTENDED;
    }
    table->basic[0] = basic;
    table->basic[0].eax = table->max_basic;
    table->extended[0] = extended;
    table->extended[0].eax = table->max_extended;
}

static void build_offered(struct cpuid_builder *builder)
{
    for (unsigned i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
        const struct x86_cpuid_regs host = cpuid_host(builder, offered[i].leaf, offered[i].subleaf);

        *slot_of(builder->table, offered[i].leaf, offered[i].subleaf) = both(host, offered[i].mask);
    }
    for (unsigned i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        *slot_of(builder->table, passed[i], 0) = cpuid_host(builder, passed[i], 0);
    }
    if (!builder->is_amd) {
        builder->table->basic[2] = cpuid_host(builder, 2, 0);
    }
}

static void withhold(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const uint32_t flags = builder->config->withhold;

    if ((flags & X86_WITHHOLD_LA57) != 0) {
        table->basic[7].ecx &= ~F7C_LA57;
    }
    if ((flags & X86_WITHHOLD_PCID) != 0) {
        table->basic[1].ecx &= ~F1C_PCID;
        table->basic[7].ebx &= ~F7B_INVPCID;
    }
    if ((flags & X86_WITHHOLD_GIB_PAGES) != 0) {
        table->extended[1].edx &= ~FXD_GIB_PAGES;
    }
    if ((flags & X86_WITHHOLD_PKU) != 0) {
        table->basic[7].ecx &= ~F7C_PKU;
    }
    if ((flags & X86_WITHHOLD_XSAVE) != 0) {
        table->basic[1].ecx &= ~F1C_XSAVE;
    }
}

static void drop_dependents(struct x86_cpuid *table)
{
    for (unsigned i = 0; i < sizeof(dependents) / sizeof(dependents[0]); i++) {
        const struct dependent *dependent = &dependents[i];
        struct x86_cpuid_regs *slot = slot_of(table, dependent->leaf, dependent->subleaf);

        if ((table->xcr0_allowed & dependent->component) != dependent->component) {
            *slot = both(*slot, inverse(dependent->needs));
        }
    }
}

/* What is ours, whatever the host has: the local APIC, its timer, the invariant TSC of our clock. */
static void build_own(struct cpuid_builder *builder)
{
    struct x86_cpuid *table = builder->table;
    const struct x86_cpuid_config *config = builder->config;

    table->basic[1].ecx |= F1C_HYPERVISOR;
    if ((config->withhold & X86_WITHHOLD_X2APIC) == 0) {
        table->basic[1].ecx |= F1C_X2APIC;
    }
    if ((config->withhold & X86_WITHHOLD_DEADLINE) == 0) {
        table->basic[1].ecx |= F1C_TSC_DEADLINE;
    }
    table->basic[1].edx |= F1D_APIC | F1D_MTRR | F1D_PAT | F1D_MCE | F1D_MCA;
    table->basic[6].eax = F6A_ARAT;
    if (builder->is_amd) {
        table->extended[1].edx |= F1D_APIC | F1D_MTRR | F1D_PAT | F1D_MCE | F1D_MCA;
    }
    if (config->hyperv != NULL) {
        table->hyperv = config->hyperv;
        table->max_hypervisor = VMMU_HYPERV_CPUID_LAST;
        table->extended[7].edx |= config->hyperv->config.tsc_is_invariant ? FX7D_INVARIANT : 0;
    }
}

static uint64_t allowed(bool feature, uint64_t bits)
{
    return feature ? bits : 0;
}

/* The bits of CR4 and EFER that go with the features offered. */
static void build_controls(struct x86_cpuid *table)
{
    const struct x86_cpuid_regs *one = &table->basic[1];
    const struct x86_cpuid_regs *seven = &table->basic[7];
    const struct x86_cpuid_regs *extended = &table->extended[1];

    table->cr4_allowed =
        BIT64(2) | BIT64(8) /* TSD, PCE */
        | allowed(one->edx & F1D_VME, BIT64(0) | BIT64(1)) | allowed(one->edx & F1D_DE, BIT64(3)) |
        allowed(one->edx & F1D_PSE, BIT64(4)) | allowed(one->edx & F1D_PAE, BIT64(5)) |
        allowed(one->edx & F1D_MCE, BIT64(6)) | allowed(one->edx & F1D_PGE, BIT64(7)) |
        allowed(one->edx & F1D_FXSR, BIT64(9)) | allowed(one->edx & F1D_SSE, BIT64(10)) |
        allowed(seven->ecx & F7C_UMIP, BIT64(11)) | allowed(seven->ecx & F7C_LA57, BIT64(12)) |
        allowed(seven->ebx & F7B_FSGSBASE, BIT64(16)) | allowed(one->ecx & F1C_PCID, BIT64(17)) |
        allowed(one->ecx & F1C_XSAVE, BIT64(18)) | allowed(seven->ebx & F7B_SMEP, BIT64(20)) |
        allowed(seven->ebx & F7B_SMAP, BIT64(21)) | allowed(seven->ecx & F7C_PKU, BIT64(22));
    table->efer_allowed = allowed(extended->edx & FXD_SYSCALL, BIT64(0)) |
                          allowed(extended->edx & FXD_LONG_MODE, BIT64(8) | BIT64(10)) |
                          allowed(extended->edx & FXD_NX, BIT64(11));
}

void x86_cpuid_build(struct x86_cpuid *table, const struct x86_cpuid_config *config)
{
    struct cpuid_builder builder = { .table = table, .config = config };

    *table = (struct x86_cpuid){ 0 };
    build_identity(&builder);
    build_offered(&builder);
    withhold(&builder);
    cpuid_build_xsave(&builder);
    drop_dependents(table);
    build_own(&builder);
    cpuid_build_processor(&builder);
    cpuid_build_caches(&builder);
    build_controls(table);
}
