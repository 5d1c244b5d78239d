/*
 * Numbers of the Hyper-V specification that several files of this room need.
 *
 * Spec: TLFS "Synthetic MSRs", "Feature and Interface Discovery".
 */
#ifndef LIB_X86_HYPERV_H
#define LIB_X86_HYPERV_H

#include <vmmu/hyperv.h>

#define HV_MSR_GUEST_OS_ID           0x40000000u
#define HV_MSR_HYPERCALL             0x40000001u
#define HV_MSR_VP_INDEX              0x40000002u
#define HV_MSR_TIME_REF_COUNT        0x40000020u
#define HV_MSR_REFERENCE_TSC         0x40000021u
#define HV_MSR_TSC_FREQUENCY         0x40000022u
#define HV_MSR_APIC_FREQUENCY        0x40000023u
#define HV_MSR_EOI                   0x40000070u
#define HV_MSR_ICR                   0x40000071u
#define HV_MSR_TPR                   0x40000072u
#define HV_MSR_VP_ASSIST_PAGE        0x40000073u
#define HV_MSR_SCONTROL              0x40000080u
#define HV_MSR_SVERSION              0x40000081u
#define HV_MSR_SIEFP                 0x40000082u
#define HV_MSR_SIMP                  0x40000083u
#define HV_MSR_EOM                   0x40000084u
#define HV_MSR_SINT0                 0x40000090u
#define HV_MSR_SINT15                0x4000009Fu
#define HV_MSR_CRASH_P0              0x40000100u
#define HV_MSR_CRASH_P4              0x40000104u
#define HV_MSR_CRASH_CTL             0x40000105u
#define HV_MSR_TSC_INVARIANT_CONTROL 0x40000118u

/*
 * The layout that the hypercall, reference TSC and VP assist MSRs share: enable, reserved
 * and preserved, page number.
 */
#define HV_PAGE_ENABLE               BIT64(0)
#define HV_PAGE_ADDRESS              BITS64(63, 12)
#define HV_HYPERCALL_LOCKED          BIT64(1)

#define HV_CRASH_NOTIFY              BIT64(63)
#define HV_TSC_INVARIANT_EXPOSED     BIT64(0)

/* Reference time counts units of 100 ns. */
#define HV_TIME_HZ                   UINT64_C(10000000)

/* Bits 127 to 64 of @a * @b. */
uint64_t vmmu_hyperv_multiply_high(uint64_t a, uint64_t b);

/* As after reset: off, every SINT masked. Spec: TLFS "SynIC MSRs". */
void vmmu_hyperv_synic_init(struct vmmu_hyperv_synic *synic);

/* RDMSR and WRMSR of @msr, HV_MSR_SCONTROL to HV_MSR_SINT15, of a partition that has these. */
struct vmmu_hyperv_msr_outcome vmmu_hyperv_synic_read(const struct vmmu_hyperv_vp *vp, uint32_t msr);
struct vmmu_hyperv_msr_outcome vmmu_hyperv_synic_write(const struct vmmu_hyperv_partition *partition,
                                                       struct vmmu_hyperv_vp *vp, uint32_t msr,
                                                       uint64_t value);

/* Store the low @bytes bytes of @value at @at, in the order of x86. */
static inline void hv_put_bytes(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline bool hv_page_enabled(uint64_t msr)
{
    return (msr & HV_PAGE_ENABLE) != 0;
}

static inline vmmu_gpa hv_page_address(uint64_t msr)
{
    return (vmmu_gpa){ msr & HV_PAGE_ADDRESS };
}

/* Whether the page that @msr places, if it places one, has an address that the guest's processors have. */
static inline bool hv_page_is_addressable(const struct vmmu_hyperv_partition *partition, uint64_t msr)
{
    return !hv_page_enabled(msr) || (hv_page_address(msr).v & BITS64(63, partition->config.maxphyaddr)) == 0;
}

/* Store @value to an overlay's register @msr; what must happen to the page follows from both values. */
struct vmmu_hyperv_msr_outcome vmmu_hyperv_move_overlay(enum vmmu_hyperv_overlay_kind kind, uint64_t *msr,
                                                        uint64_t value);

#endif
