/*
 * The processor's modes while the hypervisor runs.
 */
#include <vmmu/format.h>

#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define CR0_MP         BIT64(1)
#define CR0_EM         BIT64(2)
#define CR0_TS         BIT64(3)
#define CR0_NE         BIT64(5)
#define CR0_WP         BIT64(16)
#define CR0_NW         BIT64(29)
#define CR0_CD         BIT64(30)

#define CR4_DE         BIT64(3)
#define CR4_MCE        BIT64(6)
#define CR4_PGE        BIT64(7)
#define CR4_OSFXSR     BIT64(9)
#define CR4_OSXMMEXCPT BIT64(10)
#define CR4_OSXSAVE    BIT64(18)
#define CR4_SMEP       BIT64(20)
#define CR4_PKE        BIT64(22)

#define MSR_PAT        0x277

/* A feature of CPUID, and the bit of CR4 that turns it on. */
struct feature {
    uint32_t leaf, subleaf;
    enum { IN_EBX, IN_ECX, IN_EDX } where;
    uint64_t cpuid_bit;
    uint64_t cr4;
};

/*
 * What is worth having in the host; all else stays off, LA57 above all: the NPT's depth is the hypervisor's
 * own, and four levels reach 256 TiB.
 */
static const struct feature features[] = {
    { 1, 0, IN_EDX, BIT64(2), CR4_DE },       { 1, 0, IN_EDX, BIT64(7), CR4_MCE },
    { 1, 0, IN_EDX, BIT64(13), CR4_PGE },     { 1, 0, IN_EDX, BIT64(24), CR4_OSFXSR | CR4_OSXMMEXCPT },
    { 1, 0, IN_ECX, BIT64(26), CR4_OSXSAVE }, { 7, 0, IN_EBX, BIT64(7), CR4_SMEP },
    { 7, 0, IN_ECX, BIT64(3), CR4_PKE }, /* lets the hypervisor read a guest's PKRU */
};

static bool offered(const struct feature *feature)
{
    if (feature->leaf > cpuid(0, 0).eax) {
        return false;
    }
    const struct cpuid_result result = cpuid(feature->leaf, feature->subleaf);
    switch (feature->where) {
    case IN_EBX: return result.ebx & feature->cpuid_bit;
    case IN_ECX: return result.ecx & feature->cpuid_bit;
    case IN_EDX: return result.edx & feature->cpuid_bit;
    }
    return false;
}

void processor_init(void)
{
    write_cr0((read_cr0() & ~(CR0_EM | CR0_TS | CR0_NW | CR0_CD)) | CR0_MP | CR0_NE | CR0_WP);
    uint64_t cr4 = read_cr4();
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        cr4 |= offered(&features[i]) ? features[i].cr4 : 0;
    }
    write_cr4(cr4);
    if (cr4 & CR4_OSXSAVE) {
        const struct cpuid_result components = cpuid(0xd, 0);
        xsetbv(0, (uint64_t)components.edx << 32 | components.eax);
    }
    if (!wrmsr_safe(MSR_PAT, VMMU_X86_PAT_AT_RESET)) {
        host_print("vmmu: the processor has no page attribute table\n");
    }
}

void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct cpuid_result result = cpuid(leaf, subleaf);
    out[0] = result.eax;
    out[1] = result.ebx;
    out[2] = result.ecx;
    out[3] = result.edx;
}
