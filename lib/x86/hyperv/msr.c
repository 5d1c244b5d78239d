/*
 * The synthetic MSRs.
 *
 * Invariant: a register that is not offered by discovery raises #GP, save VP_ASSIST_PAGE, which guests write
 * without asking. A fault changes nothing.
 */
#include "lib/x86/hyperv/hyperv.h"

enum {
    APIC_TPR = 0x80,
    APIC_EOI = 0xB0,
    APIC_ICR = 0x300,
};

#define TPR_BITS BITS64(7, 0)
#define EOI_BITS BITS64(31, 0)

static struct vmmu_hyperv_msr_outcome fault(void)
{
    return (struct vmmu_hyperv_msr_outcome){ .action = VMMU_HYPERV_MSR_FAULT };
}

static struct vmmu_hyperv_msr_outcome done(uint64_t value)
{
    return (struct vmmu_hyperv_msr_outcome){ .action = VMMU_HYPERV_MSR_DONE, .value = value };
}

static struct vmmu_hyperv_msr_outcome apic(const struct vmmu_hyperv_partition *partition, uint16_t offset,
                                           uint64_t value)
{
    if (!partition->config.apic_msrs) {
        return fault();
    }
    return (struct vmmu_hyperv_msr_outcome){ .action = VMMU_HYPERV_MSR_APIC,
                                             .apic_offset = offset,
                                             .value = value };
}

/* Whether @msr is one of the SynIC's, and @partition has it. */
static bool is_synic(const struct vmmu_hyperv_partition *partition, uint32_t msr)
{
    return msr >= HV_MSR_SCONTROL && msr <= HV_MSR_SINT15 &&
           (vmmu_hyperv_privileges(&partition->config) & VMMU_HYPERV_PRIVILEGE_SYNIC) != 0;
}

struct vmmu_hyperv_msr_outcome vmmu_hyperv_msr_read(const struct vmmu_hyperv_partition *partition,
                                                    const struct vmmu_hyperv_vp *vp, uint32_t msr,
                                                    uint64_t tsc_now)
{
    switch (msr) {
    case HV_MSR_GUEST_OS_ID: return done(partition->guest_os_id);
    case HV_MSR_HYPERCALL: return done(partition->hypercall);
    case HV_MSR_VP_INDEX: return done(vp->index);
    case HV_MSR_TIME_REF_COUNT: return done(vmmu_hyperv_reference_time(partition, tsc_now));
    case HV_MSR_REFERENCE_TSC: return done(partition->reference_tsc);
    case HV_MSR_TSC_FREQUENCY: return done(partition->config.tsc_hz);
    case HV_MSR_APIC_FREQUENCY: return done(partition->config.apic_hz);
    case HV_MSR_ICR: return apic(partition, APIC_ICR, 0);
    case HV_MSR_TPR: return apic(partition, APIC_TPR, 0);
    case HV_MSR_VP_ASSIST_PAGE: return done(vp->assist);
    case HV_MSR_CRASH_CTL: return done(HV_CRASH_NOTIFY);
    case HV_MSR_TSC_INVARIANT_CONTROL:
        return partition->config.tsc_is_invariant ? done(partition->tsc_invariant_control) : fault();
    default:
        if (msr >= HV_MSR_CRASH_P0 && msr <= HV_MSR_CRASH_P4) {
            return done(partition->crash[msr - HV_MSR_CRASH_P0]);
        }
        return is_synic(partition, msr) ? vmmu_hyperv_synic_read(vp, msr) : fault();
    }
}

struct vmmu_hyperv_msr_outcome vmmu_hyperv_move_overlay(enum vmmu_hyperv_overlay_kind kind, uint64_t *msr,
                                                        uint64_t value)
{
    const uint64_t old = *msr;
    const bool moves = ((old ^ value) & (HV_PAGE_ENABLE | HV_PAGE_ADDRESS)) != 0;
    struct vmmu_hyperv_msr_outcome outcome = { .action = VMMU_HYPERV_MSR_DONE };

    *msr = value;
    if (!moves || (!hv_page_enabled(old) && !hv_page_enabled(value))) {
        return outcome;
    }
    outcome.action = VMMU_HYPERV_MSR_OVERLAY;
    outcome.overlay = (struct vmmu_hyperv_overlay){
        .kind = kind,
        .remove = hv_page_enabled(old),
        .place = hv_page_enabled(value),
        .remove_at = hv_page_address(old),
        .place_at = hv_page_address(value),
    };
    return outcome;
}

/* A guest that takes its identity back loses the hypercall page, locked or not. */
static struct vmmu_hyperv_msr_outcome write_guest_os_id(struct vmmu_hyperv_partition *partition,
                                                        uint64_t value)
{
    partition->guest_os_id = value;
    if (value != 0) {
        return done(0);
    }
    return vmmu_hyperv_move_overlay(VMMU_HYPERV_OVERLAY_HYPERCALL, &partition->hypercall,
                                    partition->hypercall & ~HV_PAGE_ENABLE);
}

static struct vmmu_hyperv_msr_outcome write_hypercall(struct vmmu_hyperv_partition *partition, uint64_t value)
{
    if (!hv_page_is_addressable(partition, value)) {
        return fault();
    }
    if ((partition->hypercall & HV_HYPERCALL_LOCKED) != 0) {
        return done(0);
    }
    if (partition->guest_os_id == 0) {
        value &= ~HV_PAGE_ENABLE;
    }
    return vmmu_hyperv_move_overlay(VMMU_HYPERV_OVERLAY_HYPERCALL, &partition->hypercall, value);
}

static struct vmmu_hyperv_msr_outcome write_assist(const struct vmmu_hyperv_partition *partition,
                                                   struct vmmu_hyperv_vp *vp, uint64_t value)
{
    if (!hv_page_is_addressable(partition, value)) {
        return fault();
    }
    return vmmu_hyperv_move_overlay(VMMU_HYPERV_OVERLAY_VP_ASSIST, &vp->assist, value);
}

static struct vmmu_hyperv_msr_outcome write_reference_tsc(struct vmmu_hyperv_partition *partition,
                                                          uint64_t value)
{
    if (!hv_page_is_addressable(partition, value)) {
        return fault();
    }
    return vmmu_hyperv_move_overlay(VMMU_HYPERV_OVERLAY_REFERENCE_TSC, &partition->reference_tsc, value);
}

static struct vmmu_hyperv_msr_outcome write_tsc_invariant(struct vmmu_hyperv_partition *partition,
                                                          uint64_t value)
{
    if (!partition->config.tsc_is_invariant || (value & ~HV_TSC_INVARIANT_EXPOSED) != 0) {
        return fault();
    }
    partition->tsc_invariant_control = value;
    return done(0);
}

struct vmmu_hyperv_msr_outcome vmmu_hyperv_msr_write(struct vmmu_hyperv_partition *partition,
                                                     struct vmmu_hyperv_vp *vp, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case HV_MSR_GUEST_OS_ID: return write_guest_os_id(partition, value);
    case HV_MSR_HYPERCALL: return write_hypercall(partition, value);
    case HV_MSR_REFERENCE_TSC: return write_reference_tsc(partition, value);
    case HV_MSR_VP_ASSIST_PAGE: return write_assist(partition, vp, value);
    case HV_MSR_TSC_INVARIANT_CONTROL: return write_tsc_invariant(partition, value);
    case HV_MSR_EOI: return apic(partition, APIC_EOI, value & EOI_BITS);
    case HV_MSR_ICR: return apic(partition, APIC_ICR, value);
    case HV_MSR_TPR: return (value & ~TPR_BITS) == 0 ? apic(partition, APIC_TPR, value) : fault();
    case HV_MSR_CRASH_CTL:
        return (struct vmmu_hyperv_msr_outcome){
            .action = (value & HV_CRASH_NOTIFY) != 0 ? VMMU_HYPERV_MSR_CRASH : VMMU_HYPERV_MSR_DONE,
        };
    default:
        if (msr >= HV_MSR_CRASH_P0 && msr <= HV_MSR_CRASH_P4) {
            partition->crash[msr - HV_MSR_CRASH_P0] = value;
            return done(0);
        }
        return is_synic(partition, msr) ? vmmu_hyperv_synic_write(partition, vp, msr, value) : fault();
    }
}
