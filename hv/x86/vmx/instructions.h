/*
 * VMX instructions, each as an inline function of the same name. For a processor that vmx_start() has put into VMX
 * operation.
 *
 * Each says by CF or ZF that it failed; these return whether it did not. Why it failed, where a VMCS is current,
 * is VMCS_INSTRUCTION_ERROR.
 *
 * Spec: SDM 3C "VMX Instruction Reference", "Conventions".
 */
#ifndef HV_X86_VMX_INSTRUCTIONS_H
#define HV_X86_VMX_INSTRUCTIONS_H

#include "hv/x86/cpu.h"
#include "hv/x86/vmx/vmcs.h"

/* Read a field that the processor may lack; *value is 0 if it does. */
VMMU_MUST_USE
static inline bool vmread_safe(enum vmcs_field field, uint64_t *value)
{
    uint64_t content = 0;
    bool failed;
    __asm__ volatile("vmread %2, %1" : "=@ccbe"(failed), "+r"(content) : "r"((uint64_t)field));
    *value = content;
    return !failed;
}

/* Write a field that the processor may lack, or make read-only. */
VMMU_MUST_USE
static inline bool vmwrite_safe(enum vmcs_field field, uint64_t value)
{
    bool failed;
    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"((uint64_t)field));
    return !failed;
}

/* Read a field of the current VMCS that must exist: a guest that runs on wrong state is worse than a stop. */
static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t value;
    if (!vmread_safe(field, &value)) {
        __builtin_trap();
    }
    return value;
}

/* Write a field that must exist. */
static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
    if (!vmwrite_safe(field, value)) {
        __builtin_trap();
    }
}

/*
 * Enter VMX operation with the region at @region, whose revision has been written. Fails also if the processor is in a mode
 * that does not allow it: CR0, CR4, IA32_FEATURE_CONTROL, A20M.
 */
VMMU_MUST_USE
static inline bool vmxon(vmmu_hpa region)
{
    bool ok = false;
    __asm__ volatile("1: vmxon %1\n\t"
                     "seta %0\n\t"
                     "2:\n\t" CPU_FIXUP("1b", "2b")
                     : "+r"(ok)
                     : "m"(region.v)
                     : "cc", "memory");
    return ok;
}

/* Write back and reset the VMCS at @vmcs: it is neither current nor active then, and must be launched again. */
VMMU_MUST_USE
static inline bool vmclear(vmmu_hpa vmcs)
{
    bool failed;
    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
    return !failed;
}

/* Make the VMCS at @vmcs the current one. */
VMMU_MUST_USE
static inline bool vmptrld(vmmu_hpa vmcs)
{
    bool failed;
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
    return !failed;
}

/* Forget translations made from EPT tables: those of @eptp, or all. Fails for a type that is not offered. */
VMMU_MUST_USE
static inline bool invept(enum vmx_invept_type type, uint64_t eptp)
{
    const uint64_t descriptor[2] = { eptp, 0 };
    bool failed;
    __asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"((uint64_t)type) : "memory");
    return !failed;
}

/* Forget translations of linear addresses that are tagged with @vpid, or all that are tagged with any but 0. */
VMMU_MUST_USE
static inline bool invvpid(enum vmx_invvpid_type type, uint16_t vpid, vmmu_gva address)
{
    const uint64_t descriptor[2] = { vpid, address.v };
    bool failed;
    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"((uint64_t)type) : "memory");
    return !failed;
}

#endif
