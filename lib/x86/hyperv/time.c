/*
 * Partition reference time: 100 ns units counted from the guest's time-stamp counter.
 *
 * Invariant: the MSR, the reference TSC page and vmmu_hyperv_reference_time() are one function of the TSC, so
 * a guest may mix them and never sees time go back.
 */
#include "lib/x86/hyperv/hyperv.h"

/* Field offsets of the reference TSC page. */
enum {
    TSC_PAGE_SEQUENCE = 0,
    TSC_PAGE_SCALE = 8,
    TSC_PAGE_OFFSET = 16,
};

#define LOW_HALF  UINT64_C(0xFFFFFFFF)
#define HALF_BITS 32

uint64_t vmmu_hyperv_multiply_high(uint64_t a, uint64_t b)
{
    const uint64_t a_low = a & LOW_HALF;
    const uint64_t a_high = a >> HALF_BITS;
    const uint64_t b_low = b & LOW_HALF;
    const uint64_t b_high = b >> HALF_BITS;
    const uint64_t low = a_low * b_low;
    const uint64_t cross = a_high * b_low + (low >> HALF_BITS);
    const uint64_t middle = a_low * b_high + (cross & LOW_HALF);

    return a_high * b_high + (cross >> HALF_BITS) + (middle >> HALF_BITS);
}

/*
 * floor(2^64 * HV_TIME_HZ / @tsc_hz) by long division, because 128 by 64 bits is no operation of C.
 * Needs HV_TIME_HZ < @tsc_hz, so that the quotient has 64 bits, and @tsc_hz < 2^63, so that the
 * remainder never overflows.
 */
static uint64_t scale_of(uint64_t tsc_hz)
{
    uint64_t remainder = HV_TIME_HZ;
    uint64_t quotient = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        remainder += remainder;
        quotient += quotient;
        if (remainder >= tsc_hz) {
            remainder -= tsc_hz;
            quotient++;
        }
    }
    return quotient;
}

enum vmmu_status vmmu_hyperv_partition_init(struct vmmu_hyperv_partition *partition,
                                            const struct vmmu_hyperv_config *config, uint64_t tsc_now)
{
    const bool tsc_fits = config->tsc_hz > HV_TIME_HZ && config->tsc_hz < BIT64(63);
    const bool vps_fit = config->vp_count >= 1 && config->vp_count <= VMMU_HYPERV_VPS;
    const bool width_fits = config->maxphyaddr >= 32 && config->maxphyaddr <= 52;

    if (!tsc_fits || !vps_fit || !width_fits || config->apic_hz == 0) {
        return VMMU_INVALID;
    }
    *partition = (struct vmmu_hyperv_partition){ .config = *config };
    partition->tsc_scale = scale_of(config->tsc_hz);
    partition->tsc_offset = -(int64_t)vmmu_hyperv_multiply_high(tsc_now, partition->tsc_scale);
    partition->tsc_sequence = 1;
    vmmu_hyperv_pats_init(&partition->pats);
    return VMMU_OK;
}

void vmmu_hyperv_vp_init(struct vmmu_hyperv_vp *vp, uint32_t index)
{
    *vp = (struct vmmu_hyperv_vp){ .index = index };
    vmmu_hyperv_synic_init(&vp->synic);
}

uint64_t vmmu_hyperv_reference_time(const struct vmmu_hyperv_partition *partition, uint64_t tsc)
{
    return vmmu_hyperv_multiply_high(tsc, partition->tsc_scale) + (uint64_t)partition->tsc_offset;
}

void vmmu_hyperv_fill_tsc_page(const struct vmmu_hyperv_partition *partition, uint8_t *page)
{
    __builtin_memset(page, 0, VMMU_PAGE_BYTES);
    hv_put_bytes(page + TSC_PAGE_SEQUENCE, partition->tsc_sequence, 4);
    hv_put_bytes(page + TSC_PAGE_SCALE, partition->tsc_scale, 8);
    hv_put_bytes(page + TSC_PAGE_OFFSET, (uint64_t)partition->tsc_offset, 8);
}
