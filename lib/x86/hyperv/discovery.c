/*
 * The CPUID leaves by which a guest finds the interface.
 *
 * Invariant: a privilege or feature is announced only if its registers and calls stand in this room.
 */
#include "lib/x86/hyperv/hyperv.h"

#define LEAF_VENDOR         0x40000000u
#define LEAF_INTERFACE      0x40000001u
#define LEAF_VERSION        0x40000002u
#define LEAF_FEATURES       0x40000003u
#define LEAF_RECOMMENDED    0x40000004u
#define LEAF_LIMITS         0x40000005u
#define LEAF_HARDWARE       0x40000006u

#define INTERFACE_SIGNATURE 0x31237648u /* "Hv#1" */

/* EBX of the version leaf: the TLFS 2.0a, which this room follows first, describes version 6.1. */
#define VERSION_6_1         0x00060001u

enum privilege {
    PRIVILEGE_REFERENCE_COUNTER = 1 << 1,
    PRIVILEGE_INTERRUPT_CONTROL = 1 << 4,
    PRIVILEGE_HYPERCALL = 1 << 5,
    PRIVILEGE_VP_INDEX = 1 << 6,
    PRIVILEGE_REFERENCE_TSC = 1 << 9,
    PRIVILEGE_FREQUENCIES = 1 << 11,
    PRIVILEGE_TSC_INVARIANT = 1 << 15,
};

enum feature {
    FEATURE_FREQUENCIES = 1 << 8,
    FEATURE_CRASH = 1 << 10,
};

enum recommendation {
    RECOMMEND_REMOTE_FLUSH = 1 << 2,
    RECOMMEND_APIC_MSRS = 1 << 3,
    RECOMMEND_RELAXED_TIMING = 1 << 5,
};

/* How often to try a spinlock before HvCallNotifyLongSpinWait: never, unless somebody else could run. */
#define SPIN_FOREVER          0xFFFFFFFFu
#define SPIN_TRIES            0xFFFu

#define HARDWARE_SECOND_LEVEL (1u << 3)

static struct vmmu_hyperv_cpuid features(const struct vmmu_hyperv_config *config)
{
    struct vmmu_hyperv_cpuid leaf = {
        .eax = PRIVILEGE_REFERENCE_COUNTER | PRIVILEGE_HYPERCALL | PRIVILEGE_VP_INDEX |
               PRIVILEGE_REFERENCE_TSC | PRIVILEGE_FREQUENCIES,
        .edx = FEATURE_FREQUENCIES | FEATURE_CRASH,
    };

    if (config->apic_msrs) {
        leaf.eax |= PRIVILEGE_INTERRUPT_CONTROL;
    }
    if (config->tsc_is_invariant) {
        leaf.eax |= PRIVILEGE_TSC_INVARIANT;
    }
    return leaf;
}

static struct vmmu_hyperv_cpuid recommended(const struct vmmu_hyperv_config *config)
{
    const bool alone = config->vp_count == 1;
    struct vmmu_hyperv_cpuid leaf = { .eax = RECOMMEND_RELAXED_TIMING,
                                      .ebx = alone ? SPIN_FOREVER : SPIN_TRIES };

    if (config->apic_msrs) {
        leaf.eax |= RECOMMEND_APIC_MSRS;
    }
    if (!alone) {
        leaf.eax |= RECOMMEND_REMOTE_FLUSH;
    }
    return leaf;
}

struct vmmu_hyperv_cpuid vmmu_hyperv_cpuid_leaf(const struct vmmu_hyperv_partition *partition, uint32_t leaf)
{
    const struct vmmu_hyperv_config *config = &partition->config;

    switch (leaf) {
    case LEAF_VENDOR: /* "Microsoft Hv" */
        return (struct vmmu_hyperv_cpuid){ VMMU_HYPERV_CPUID_LAST, 0x7263694Du, 0x666F736Fu, 0x76482074u };
    case LEAF_INTERFACE: return (struct vmmu_hyperv_cpuid){ .eax = INTERFACE_SIGNATURE };
    case LEAF_VERSION:
        return (struct vmmu_hyperv_cpuid){ .ebx = partition->guest_os_id != 0 ? VERSION_6_1 : 0 };
    case LEAF_FEATURES: return features(config);
    case LEAF_RECOMMENDED: return recommended(config);
    case LEAF_LIMITS: return (struct vmmu_hyperv_cpuid){ .eax = VMMU_HYPERV_VPS, .ebx = VMMU_HYPERV_VPS };
    case LEAF_HARDWARE:
        return (struct vmmu_hyperv_cpuid){ .eax = config->second_level ? HARDWARE_SECOND_LEVEL : 0 };
    default: return (struct vmmu_hyperv_cpuid){ 0 };
    }
}
