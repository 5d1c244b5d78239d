/*
 * General registers at a world switch, for the backends' assembly: those of the hypervisor's that a function has to keep,
 * and the guest's, as struct vmmu_x86_state has them. RAX and RSP of the guest's are the backend's affair.
 */
#ifndef HV_X86_VP_GPR_H
#define HV_X86_VP_GPR_H

    .macro gpr_keep
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro gpr_restore
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    .endm

    /* Load the guest's from the array at RDI. No flag changes. */
    .macro gpr_load
    mov 0x08(%rdi), %rcx
    mov 0x10(%rdi), %rdx
    mov 0x18(%rdi), %rbx
    mov 0x28(%rdi), %rbp
    mov 0x30(%rdi), %rsi
    mov 0x40(%rdi), %r8
    mov 0x48(%rdi), %r9
    mov 0x50(%rdi), %r10
    mov 0x58(%rdi), %r11
    mov 0x60(%rdi), %r12
    mov 0x68(%rdi), %r13
    mov 0x70(%rdi), %r14
    mov 0x78(%rdi), %r15
    mov 0x38(%rdi), %rdi
    .endm

    /* Store them to the array whose address is on top of the stack; it stays there, and in RDI. RSI is lost. */
    .macro gpr_store
    push %rdi
    mov 8(%rsp), %rdi
    mov %rcx, 0x08(%rdi)
    mov %rdx, 0x10(%rdi)
    mov %rbx, 0x18(%rdi)
    mov %rbp, 0x28(%rdi)
    mov %rsi, 0x30(%rdi)
    pop %rsi
    mov %rsi, 0x38(%rdi)
    mov %r8, 0x40(%rdi)
    mov %r9, 0x48(%rdi)
    mov %r10, 0x50(%rdi)
    mov %r11, 0x58(%rdi)
    mov %r12, 0x60(%rdi)
    mov %r13, 0x68(%rdi)
    mov %r14, 0x70(%rdi)
    mov %r15, 0x78(%rdi)
    .endm

#endif
