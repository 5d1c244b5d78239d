/* See intel.h. */
#include "intel.h"
#include "tests/unit/modern_cpu.h"

#define LINEAR(vpid, pcid)                                                                                   \
    {                                                                                                        \
        VMMU_TLB_LINEAR,                                                                                     \
        {                                                                                                    \
            0, vpid, pcid                                                                                    \
        }                                                                                                    \
    }
#define COMBINED(vpid, pcid, ep4ta)                                                                          \
    {                                                                                                        \
        VMMU_TLB_COMBINED,                                                                                   \
        {                                                                                                    \
            ep4ta, vpid, pcid                                                                                \
        }                                                                                                    \
    }
#define PHYSICAL(ep4ta)                                                                                      \
    {                                                                                                        \
        VMMU_TLB_GUEST_PHYSICAL,                                                                             \
        {                                                                                                    \
            ep4ta, 0, 0                                                                                      \
        }                                                                                                    \
    }

const struct tag_row intel_rows[INTEL_ROWS] = {
    [LINEAR_0_0] = { "linear, VPID 0, PCID 0", LINEAR(0, 0) },
    [LINEAR_0_5] = { "linear, VPID 0, PCID 5", LINEAR(0, 5) },
    [LINEAR_1_0] = { "linear, VPID 1, PCID 0", LINEAR(1, 0) },
    [LINEAR_1_5] = { "linear, VPID 1, PCID 5", LINEAR(1, 5) },
    [LINEAR_1_6] = { "linear, VPID 1, PCID 6", LINEAR(1, 6) },
    [LINEAR_2_5] = { "linear, VPID 2, PCID 5", LINEAR(2, 5) },
    [COMBINED_0_5_A] = { "combined, VPID 0, PCID 5, EP4TA A", COMBINED(0, 5, EP4TA_A) },
    [COMBINED_1_0_A] = { "combined, VPID 1, PCID 0, EP4TA A", COMBINED(1, 0, EP4TA_A) },
    [COMBINED_1_5_A] = { "combined, VPID 1, PCID 5, EP4TA A", COMBINED(1, 5, EP4TA_A) },
    [COMBINED_1_6_A] = { "combined, VPID 1, PCID 6, EP4TA A", COMBINED(1, 6, EP4TA_A) },
    [COMBINED_1_5_B] = { "combined, VPID 1, PCID 5, EP4TA B", COMBINED(1, 5, EP4TA_B) },
    [COMBINED_2_5_A] = { "combined, VPID 2, PCID 5, EP4TA A", COMBINED(2, 5, EP4TA_A) },
    [PHYSICAL_A] = { "guest-physical, EP4TA A", PHYSICAL(EP4TA_A) },
    [PHYSICAL_B] = { "guest-physical, EP4TA B", PHYSICAL(EP4TA_B) },
};

const struct vmmu_x86_tags intel_guest = {
    .vendor = VMMU_X86_INTEL, .tagged = true, .nested = true, .space = 1, .stage2 = EP4TA_A
};

const struct vmmu_x86_tags intel_guest_without_ept = { .vendor = VMMU_X86_INTEL, .tagged = true, .space = 1 };

const struct vmmu_x86_tags intel_host = { .vendor = VMMU_X86_INTEL };

const struct vmmu_x86_cpu intel_cpu = {
    .maxphyaddr = 46,
    MODERN_PAGING,
    .pcid = true,
};

#define LONG_MODE_CR0  (VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | VMMU_X86_CR0_WP | VMMU_X86_CR0_ET)
#define LONG_MODE_CR4  (VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE)
#define LONG_MODE_EFER (VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE)

const struct vmmu_x86_paging_registers long_mode = {
    .cr0 = LONG_MODE_CR0,
    .cr3 = 0x77005,
    .cr4 = LONG_MODE_CR4 | VMMU_X86_CR4_PCIDE,
    .efer = LONG_MODE_EFER,
};

const struct vmmu_x86_paging_registers long_mode_without_pcids = {
    .cr0 = LONG_MODE_CR0,
    .cr3 = 0x77005, /* its low bits are PWT and PCD here, no PCID */
    .cr4 = LONG_MODE_CR4,
    .efer = LONG_MODE_EFER,
};
