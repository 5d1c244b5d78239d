/*
 * The 256 ways into the hypervisor by an exception or an interrupt: stubs of 16 bytes, one per vector, and the two
 * paths behind them. Exceptions save every register, because they are reported or mended; interrupts save what a C
 * function may change. None uses FS, GS or the task register (cpu.h says why).
 */
    .section .text.vectors, "ax"
    .code64
    .balign 16
    .globl vector_stubs
vector_stubs:
    vector = 0
    .rept 256
    .balign 16
    .if vector >= 32
        push $vector
        jmp interrupt_entry
    .else
        /* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC and #SX push an error code themselves. */
        .ifeq (vector == 8) | (vector == 17) | (vector == 21) | (vector == 29) | (vector == 30) | ((vector >= 10) & (vector <= 14))
            push $0
        .endif
        push $vector
        jmp exception_entry
    .endif
    vector = vector + 1
    .endr

    .balign 16
interrupt_entry:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov 72(%rsp), %edi
    sub $8, %rsp
    cld
    call interrupt_handle
    add $8, %rsp
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $8, %rsp
    iretq

    /* struct exception_frame, from its last member down. */
    .balign 16
exception_entry:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    cld
    call exception_handle
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
