/*
 * Which model-specific registers a guest has.
 *
 * Invariant: ascending by index. What is not here raises #GP, as on a processor that lacks it.
 * Kernels read some registers without a way to survive that: those of AMD's older families, SYSCFG,
 * HWCR, MTRRs, the APIC's base.
 *
 * Spec: SDM 4 "Model-Specific Registers"; APM 2 "Model-Specific Registers (MSRs)".
 */
#include "hv/x86/policy/msr_table.h"

#define AT(field)        (uint16_t) offsetof(struct x86_msrs, field)
#define ALL              (~UINT64_C(0))

/* MTRRCAP: eight variable ranges, fixed ranges, write-combining. */
#define MTRR_CAPABILITY  UINT64_C(0x508)

/* MCG_CAP: the banks, and MCG_CTL. */
#define MC_CAPABILITY    (X86_MC_BANKS | BIT64(8))

/* FEATURE_CONTROL: locked, nothing enabled. VM_CR: SVM disabled, and locked so. */
#define FEATURES_LOCKED  BIT64(0)
#define SVM_LOCKED_OFF   (BIT64(3) | BIT64(4))

/* MISC_ENABLE: only fast strings may change. DEBUGCTL: last branch, branch step. */
#define MISC_FAST_STRING BIT64(0)
#define DEBUG_CTL_BITS   BITS64(1, 0)

/* HWCR: TLB cache off, flush filter off, IGNNE emulation, machine-check status writes. */
#define HWCR_BITS        (BIT64(3) | BIT64(6) | BIT64(8) | BIT64(18))

/* SYSCFG: fixed MTRRs to DRAM, their modification, variable MTRRs to DRAM, TOM2, TOM2 forces write-back. */
#define SYSCFG_BITS      BITS64(22, 18)

#define LFENCE_SERIALIZE BIT64(1)

#define MTRR_PAIR(n)                                                                                         \
    { 0x200 + 2 * (n), AT(mtrr_base[n]), MSR_BASE, MSR_ALWAYS, 0, "MTRRphysBase" #n },                       \
    {                                                                                                        \
        0x201 + 2 * (n), AT(mtrr_mask[n]), MSR_MASK, MSR_ALWAYS, 0, "MTRRphysMask" #n                        \
    }

static const struct msr_row rows[] = {
    { 0x00000000, 0, MSR_IGNORED, MSR_ALWAYS, 0, "P5_MC_ADDR" },
    { 0x00000001, 0, MSR_IGNORED, MSR_ALWAYS, 0, "P5_MC_TYPE" },
    { 0x00000010, 0, MSR_BACKEND, MSR_ALWAYS, 0, "TSC" },
    { 0x00000017, 0, MSR_CONSTANT, MSR_INTEL, 0, "PLATFORM_ID" },
    { 0x0000001B, 0, MSR_APIC_BASE, MSR_ALWAYS, 0, "APIC_BASE" },
    { 0x0000002A, 0, MSR_IGNORED, MSR_ALWAYS, 0, "EBL_CR_POWERON" },
    { 0x0000003A, 0, MSR_CONSTANT, MSR_INTEL, FEATURES_LOCKED, "FEATURE_CONTROL" },
    { 0x0000008B, AT(patch_level), MSR_LENIENT, MSR_ALWAYS, 0, "PATCH_LEVEL" },
    { 0x000000FE, 0, MSR_CONSTANT, MSR_ALWAYS, MTRR_CAPABILITY, "MTRRcap" },
    { 0x00000174, 0, MSR_BACKEND, MSR_ALWAYS, 0, "SYSENTER_CS" },
    { 0x00000175, 0, MSR_BACKEND, MSR_ALWAYS, 0, "SYSENTER_ESP" },
    { 0x00000176, 0, MSR_BACKEND, MSR_ALWAYS, 0, "SYSENTER_EIP" },
    { 0x00000179, 0, MSR_CONSTANT, MSR_ALWAYS, MC_CAPABILITY, "MCG_CAP" },
    { 0x0000017A, AT(mcg_status), MSR_HELD, MSR_ALWAYS, BITS64(2, 0), "MCG_STATUS" },
    { 0x0000017B, AT(mcg_ctl), MSR_HELD, MSR_ALWAYS, ALL, "MCG_CTL" },
    { 0x000001A0, AT(misc_enable), MSR_LENIENT, MSR_ALWAYS, MISC_FAST_STRING, "MISC_ENABLE" },
    { 0x000001D9, AT(debug_ctl), MSR_HELD, MSR_ALWAYS, DEBUG_CTL_BITS, "DEBUGCTL" },
    { 0x000001DB, 0, MSR_CONSTANT, MSR_ALWAYS, 0, "LASTBRANCHFROMIP" },
    { 0x000001DC, 0, MSR_CONSTANT, MSR_ALWAYS, 0, "LASTBRANCHTOIP" },
    { 0x000001DD, 0, MSR_CONSTANT, MSR_ALWAYS, 0, "LASTINTFROMIP" },
    { 0x000001DE, 0, MSR_CONSTANT, MSR_ALWAYS, 0, "LASTINTTOIP" },
    MTRR_PAIR(0),
    MTRR_PAIR(1),
    MTRR_PAIR(2),
    MTRR_PAIR(3),
    MTRR_PAIR(4),
    MTRR_PAIR(5),
    MTRR_PAIR(6),
    MTRR_PAIR(7),
    { 0x00000250, AT(mtrr_fixed[0]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix64K_00000" },
    { 0x00000258, AT(mtrr_fixed[1]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix16K_80000" },
    { 0x00000259, AT(mtrr_fixed[2]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix16K_A0000" },
    { 0x00000268, AT(mtrr_fixed[3]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_C0000" },
    { 0x00000269, AT(mtrr_fixed[4]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_C8000" },
    { 0x0000026A, AT(mtrr_fixed[5]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_D0000" },
    { 0x0000026B, AT(mtrr_fixed[6]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_D8000" },
    { 0x0000026C, AT(mtrr_fixed[7]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_E0000" },
    { 0x0000026D, AT(mtrr_fixed[8]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_E8000" },
    { 0x0000026E, AT(mtrr_fixed[9]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_F0000" },
    { 0x0000026F, AT(mtrr_fixed[10]), MSR_FIXED, MSR_ALWAYS, 0, "MTRRfix4K_F8000" },
    { 0x00000277, AT(pat), MSR_PAT, MSR_ALWAYS, 0, "PAT" },
    { 0x000002FF, AT(mtrr_default), MSR_DEFAULT, MSR_ALWAYS, 0, "MTRRdefType" },
    { 0x00000400, AT(mc[0][0]), MSR_HELD, MSR_ALWAYS, ALL, "MC0_CTL" },
    { 0x00000401, AT(mc[0][1]), MSR_BANK, MSR_ALWAYS, 0, "MC0_STATUS" },
    { 0x00000402, AT(mc[0][2]), MSR_BANK, MSR_ALWAYS, 0, "MC0_ADDR" },
    { 0x00000403, AT(mc[0][3]), MSR_BANK, MSR_ALWAYS, 0, "MC0_MISC" },
    { 0xC0000080, 0, MSR_BACKEND, MSR_ALWAYS, 0, "EFER" },
    { 0xC0000081, 0, MSR_BACKEND, MSR_ALWAYS, 0, "STAR" },
    { 0xC0000082, 0, MSR_BACKEND, MSR_ALWAYS, 0, "LSTAR" },
    { 0xC0000083, 0, MSR_BACKEND, MSR_ALWAYS, 0, "CSTAR" },
    { 0xC0000084, 0, MSR_BACKEND, MSR_ALWAYS, 0, "SFMASK" },
    { 0xC0000100, 0, MSR_BACKEND, MSR_ALWAYS, 0, "FS_BASE" },
    { 0xC0000101, 0, MSR_BACKEND, MSR_ALWAYS, 0, "GS_BASE" },
    { 0xC0000102, 0, MSR_BACKEND, MSR_ALWAYS, 0, "KERNEL_GS_BASE" },
    { 0xC0000103, AT(tsc_aux), MSR_APPLIED, MSR_RDTSCP, BITS64(31, 0), "TSC_AUX" },
    { 0xC0010010, AT(syscfg), MSR_LENIENT, MSR_AMD, SYSCFG_BITS, "SYSCFG" },
    { 0xC0010015, AT(hwcr), MSR_LENIENT, MSR_AMD, HWCR_BITS, "HWCR" },
    { 0xC0010016, 0, MSR_IGNORED, MSR_AMD, 0, "IORRBase0" },
    { 0xC0010017, 0, MSR_IGNORED, MSR_AMD, 0, "IORRMask0" },
    { 0xC0010018, 0, MSR_IGNORED, MSR_AMD, 0, "IORRBase1" },
    { 0xC0010019, 0, MSR_IGNORED, MSR_AMD, 0, "IORRMask1" },
    { 0xC001001A, 0, MSR_IGNORED, MSR_AMD, 0, "TOP_MEM" },
    { 0xC001001D, 0, MSR_IGNORED, MSR_AMD, 0, "TOP_MEM2" },
    { 0xC001001F, 0, MSR_IGNORED, MSR_AMD, 0, "NB_CFG" },
    { 0xC0010055, AT(int_pending), MSR_HELD, MSR_AMD, ALL, "INT_PENDING" },
    { 0xC0010058, 0, MSR_IGNORED, MSR_AMD, 0, "MMIO_CONF_BASE" },
    { 0xC0010112, 0, MSR_IGNORED, MSR_AMD, 0, "TSEG_ADDR" },
    { 0xC0010113, 0, MSR_IGNORED, MSR_AMD, 0, "TSEG_MASK" },
    { 0xC0010114, 0, MSR_IGNORED, MSR_AMD, SVM_LOCKED_OFF, "VM_CR" },
    { 0xC0011022, 0, MSR_IGNORED, MSR_AMD, 0, "DC_CFG" },
    { 0xC0011023, 0, MSR_IGNORED, MSR_AMD, 0, "TW_CFG" },
    { 0xC0011029, AT(de_cfg), MSR_LENIENT, MSR_AMD, LFENCE_SERIALIZE, "DE_CFG" },
    { 0xC001102A, 0, MSR_IGNORED, MSR_AMD, 0, "BU_CFG2" },
};

_Static_assert(X86_MTRR_VARIABLE == 8 && X86_MC_BANKS == 1,
               "a row for each register that MTRRcap and MCG_CAP name");

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct msr_row *msr_rows(unsigned *count)
{
    *count = ROWS;
    return rows;
}

const struct msr_row *msr_row_of(uint32_t index)
{
    unsigned low = 0;
    unsigned high = ROWS;

    while (low < high) {
        const unsigned middle = (low + high) / 2;

        if (rows[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ROWS && rows[low].index == index ? &rows[low] : NULL;
}
