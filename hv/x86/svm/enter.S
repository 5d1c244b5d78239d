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
    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi

    mov %rsi, %rax
    clgi
    sti
    vmload %rax
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

    vmrun %rax
    vmsave %rax

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

    pop %rdi
    pop %rax
    vmload %rax
    cli
    stgi

    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size svm_enter, . - svm_enter
    .section .note.GNU-stack, "", @progbits
