/* The flush hypercalls' input, turned into a request. */
#ifndef LIB_X86_HYPERV_FLUSH_H
#define LIB_X86_HYPERV_FLUSH_H

#include <vmmu/hyperv.h>

/**
 * Decode the input of HvFlushVirtualAddressSpace, HvFlushVirtualAddressList, an Ex form of them, or a flush of
 * guest-physical addresses. call->input_bytes are at @input. Of a list, @reps are asked for. flush->vps is 0 where there
 * is nobody to flush.
 *
 * Returns VMMU_HYPERV_SUCCESS, _INVALID_PARAMETER or _INVALID_INPUT.
 *
 * Spec: TLFS "HvCallFlushVirtualAddressSpace", "HvCallFlushVirtualAddressList", "Virtual Processor Sets",
 * "HvCallFlushGuestPhysicalAddressSpace", "HvCallFlushGuestPhysicalAddressList".
 */
VMMU_MUST_USE
enum vmmu_hyperv_result vmmu_hyperv_flush_decode(const struct vmmu_hyperv_config *config,
                                                 const struct vmmu_hyperv_call *call,
                                                 const struct vmmu_hyperv_reps *reps, const uint8_t *input,
                                                 struct vmmu_hyperv_flush *flush);

#endif
