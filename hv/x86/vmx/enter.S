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

    .text
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi

    mov $ENTER_HOST_RSP, %edx
    vmwrite %rsp, %rdx
    cmp $0, %sil
    mov 0x00(%rdi), %rax
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
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, 0x00(%rdi)
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
    xor %eax, %eax

4:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size vmx_enter, . - vmx_enter
    .section .note.GNU-stack, "", @progbits
