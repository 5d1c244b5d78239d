/* What a guest's memory type range registers say of an address. */
#ifndef HV_X86_POLICY_MTRR_H
#define HV_X86_POLICY_MTRR_H

#include <vmmu/format.h>

#include "hv/x86/policy/msr.h"

/**
 * The memory type of the page of @gpa. Where ranges overlap in a way that the manuals leave undefined it is uncached.
 *
 * Spec: SDM 3A "Memory Type Range Registers (MTRRs)", "MTRR Precedences".
 */
enum vmmu_x86_memory_type x86_mtrr_type(const struct x86_msrs *msrs, vmmu_gpa gpa);

#endif
