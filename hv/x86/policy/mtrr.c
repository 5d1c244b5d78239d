/* Types by ranges: fixed ones below 1 MiB come before variable ones, and these before the default. */
#include "hv/x86/policy/mtrr.h"

#define DEFAULT_ENABLE       BIT64(11)
#define DEFAULT_ENABLE_FIXED BIT64(10)
#define MASK_VALID           BIT64(11)
#define TYPE                 7u
#define ADDRESS              BITS64(63, 12)

#define FIXED_END            0x100000u
#define RANGES_IN_A_REGISTER 8u

/* Fixed registers: from where on, of so many bytes each range, from which register on. */
static const struct fixed {
    uint32_t base;
    uint32_t bytes;
    unsigned first;
} fixed[] = { { 0xC0000, 0x1000, 3 }, { 0x80000, 0x4000, 1 }, { 0, 0x10000, 0 } };

static enum vmmu_x86_memory_type fixed_type(const struct x86_msrs *msrs, uint32_t gpa)
{
    const struct fixed *kind = fixed;
    uint32_t range;

    while (gpa < kind->base) {
        kind++;
    }
    range = (gpa - kind->base) / kind->bytes;
    return (enum vmmu_x86_memory_type)(msrs->mtrr_fixed[kind->first + range / RANGES_IN_A_REGISTER] >>
                                           8 * (range % RANGES_IN_A_REGISTER) &
                                       TYPE);
}

/* Of two types of one page. */
static enum vmmu_x86_memory_type combine(enum vmmu_x86_memory_type a, enum vmmu_x86_memory_type b)
{
    if (a == b) {
        return a;
    }
    return (a == VMMU_X86_TYPE_WT && b == VMMU_X86_TYPE_WB) ||
                   (a == VMMU_X86_TYPE_WB && b == VMMU_X86_TYPE_WT)
               ? VMMU_X86_TYPE_WT
               : VMMU_X86_TYPE_UC;
}

enum vmmu_x86_memory_type x86_mtrr_type(const struct x86_msrs *msrs, vmmu_gpa gpa)
{
    enum vmmu_x86_memory_type type = VMMU_X86_TYPE_UC;
    bool found = false;

    if (!(msrs->mtrr_default & DEFAULT_ENABLE)) {
        return VMMU_X86_TYPE_UC;
    }
    if (gpa.v < FIXED_END && msrs->mtrr_default & DEFAULT_ENABLE_FIXED) {
        return fixed_type(msrs, (uint32_t)gpa.v);
    }
    for (unsigned i = 0; i < X86_MTRR_VARIABLE; i++) {
        const uint64_t mask = msrs->mtrr_mask[i] & ADDRESS;
        const enum vmmu_x86_memory_type other = (enum vmmu_x86_memory_type)(msrs->mtrr_base[i] & TYPE);

        if (msrs->mtrr_mask[i] & MASK_VALID && !((gpa.v ^ msrs->mtrr_base[i]) & mask)) {
            type = found ? combine(type, other) : other;
            found = true;
        }
    }
    return found ? type : (enum vmmu_x86_memory_type)(msrs->mtrr_default & TYPE);
}
