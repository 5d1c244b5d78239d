/*
 * The CPUID leaves by which a guest finds the interface.
 *
 * Invariant: a privilege or feature is announced only if its registers and calls stand in this room; of CreatePartitions
 * those on children that there are.
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

enum feature {
    FEATURE_FREQUENCIES = 1 << 8,
    FEATURE_CRASH = 1 << 10,
};

enum recommendation {
    RECOMMEND_SWITCH = 1 << 0,
    RECOMMEND_LOCAL_FLUSH = 1 << 1,
    RECOMMEND_REMOTE_FLUSH = 1 << 2,
    RECOMMEND_APIC_MSRS = 1 << 3,
    RECOMMEND_RELAXED_TIMING = 1 << 5,
};

/* How often to try a spinlock before HvCallNotifyLongSpinWait: never, unless somebody else could run. */
#define SPIN_FOREVER          0xFFFFFFFFu
#define SPIN_TRIES            0xFFFu

#define HARDWARE_SECOND_LEVEL (1u << 3)

/* What the embedder may give or keep. */
#define GIVEN_PRIVILEGES                                                                                     \
    (VMMU_HYPERV_PRIVILEGE_SYNIC | VMMU_HYPERV_PRIVILEGE_CHILDREN | VMMU_HYPERV_PRIVILEGE_VP_REGISTERS)

uint64_t vmmu_hyperv_privileges(const struct vmmu_hyperv_config *config)
{
    uint64_t privileges = VMMU_HYPERV_PRIVILEGE_REFERENCE_COUNTER | VMMU_HYPERV_PRIVILEGE_HYPERCALL |
                          VMMU_HYPERV_PRIVILEGE_VP_INDEX | VMMU_HYPERV_PRIVILEGE_REFERENCE_TSC |
                          VMMU_HYPERV_PRIVILEGE_FREQUENCIES;

    if (config->apic_msrs) {
        privileges |= VMMU_HYPERV_PRIVILEGE_INTERRUPT_CONTROL;
    }
    if (config->tsc_is_invariant) {
        privileges |= VMMU_HYPERV_PRIVILEGE_TSC_INVARIANT;
    }
    return privileges | (config->privileges & GIVEN_PRIVILEGES);
}

static struct vmmu_hyperv_cpuid features(const struct vmmu_hyperv_config *config)
{
    const uint64_t privileges = vmmu_hyperv_privileges(config);

    return (struct vmmu_hyperv_cpuid){
        .eax = (uint32_t)privileges,
        .ebx = (uint32_t)(privileges >> 32),
        .edx = FEATURE_FREQUENCIES | FEATURE_CRASH,
    };
}

/*
 * Where the processor walks the guest's own tables, MOV to CR3 and INVLPG do not exit: a call in their place costs more than
 * it saves. Where it walks ours MOV to CR3 exits, and brings tables up to date that a switch by the call leaves as they
 * are; and one call flushes a list of pages that may take an exit each.
 */
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
    if (!config->second_level) {
        leaf.eax |= RECOMMEND_SWITCH | RECOMMEND_LOCAL_FLUSH;
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
