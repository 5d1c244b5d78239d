/*
 * One world switch: unsigned vmx_enter(uint64_t gpr[16], bool launched)
 *
 * Loads the guest's general registers (all but RSP, which the VMCS holds), runs it until the VM exit, which comes to
 * vmx_exit_point, and stores them back. IF is clear throughout: an interrupt of the machine's makes the guest exit
 * whatever IF says here, and waits until the hypervisor takes it.
 *
 * An entry that fails early goes on behind the instruction, with the guest's registers loaded and nothing else changed:
 * CF (there is no current VMCS) becomes 1, ZF (the VMCS's instruction error says why) becomes 2.
 *
 * Spec: SDM 3C "VM Entries", "Loading Host State".
 */
/* VMCS_HOST_RSP, whose name the assembler cannot read: vmx.c compares. */
#define ENTER_HOST_RSP 0x6c14

#include "hv/x86/vp/gpr.inc"

    .text
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    gpr_keep
    push %rdi

    mov $ENTER_HOST_RSP, %edx
    vmwrite %rsp, %rdx
    cmp $0, %sil
    mov 0x00(%rdi), %rax
    gpr_load
    jne 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  mov $1, %eax
    jc 3f
    mov $2, %eax
3:  pop %rdi
    jmp 4f

    .globl vmx_exit_point
vmx_exit_point:
    gpr_store
    mov %rax, 0x00(%rdi)
    pop %rdi
    xor %eax, %eax

4:  gpr_restore
    ret
    .size vmx_enter, . - vmx_enter
    .section .note.GNU-stack, "", @progbits
