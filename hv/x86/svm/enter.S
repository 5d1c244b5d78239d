/*
 * One world switch: void svm_enter(uint64_t gpr[16], uint64_t guest_vmcb, uint64_t host_vmcb)
 *
 * Loads the guest's general registers (all but RAX and RSP, which the VMCB holds), runs it until #VMEXIT, and stores
 * them back. VMLOAD and VMSAVE carry what VMRUN leaves alone: FS, GS, TR, LDTR and the SYSCALL and SYSENTER registers.
 *
 * GIF is clear from before VMRUN, so that nothing of the host's is delivered between loading guest state and entering;
 * IF is set meanwhile, since under V_INTR_MASKING it is the host's IF that lets a physical interrupt cause an exit.
 *
 * Spec: AMD APM 2, "VMRUN Instruction", "Global Interrupt Flag, STGI and CLGI Instructions".
 */
#include "hv/x86/vp/gpr.inc"

    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    gpr_keep
    push %rdx
    push %rdi

    mov %rsi, %rax
    clgi
    sti
    vmload %rax
    gpr_load

    vmrun %rax
    vmsave %rax

    gpr_store

    pop %rdi
    pop %rax
    vmload %rax
    cli
    stgi

    gpr_restore
    ret
    .size svm_enter, . - svm_enter
    .section .note.GNU-stack, "", @progbits
