/*
 * One stub for each vector, and the way into user mode and back.
 */
#include "tests/guests/common/layout.h"

        .text
        .altmacro
        .macro stub vector
        .balign 16
stub_\vector:
        .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30)
        push $0
        .endif
        push $\vector
        jmp trap_common
        .pushsection .rodata
#ifdef __x86_64__
        .quad stub_\vector
#else
        .long stub_\vector
#endif
        .popsection
        .endm

        .section .rodata
        .balign 16
        .globl trap_stubs
trap_stubs:
        .text
        .set number, 0
        .rept 256
        stub %number
        .set number, number + 1
        .endr

/* Save in the order of struct trap_frame, let C decide, and return to where the frame then says. */
trap_common:
#ifdef __x86_64__
        push %r15
        push %r14
        push %r13
        push %r12
        push %r11
        push %r10
        push %r9
        push %r8
#else
        push %ds
        push %es
#endif
        push AX
        push CX
        push DX
        push BX
        push BP
        push SI
        push DI
        cld
#ifdef __x86_64__
        mov %rsp, %rdi
        call trap_handle
#else
        mov $KERNEL_DATA, %eax
        mov %eax, %ds
        mov %eax, %es
        push %esp
        call trap_handle
        add $4, %esp
#endif
        pop DI
        pop SI
        pop BP
        pop BX
        pop DX
        pop CX
        pop AX
#ifdef __x86_64__
        pop %r8
        pop %r9
        pop %r10
        pop %r11
        pop %r12
        pop %r13
        pop %r14
        pop %r15
        add $16, %rsp
        iretq
#else
        pop %es
        pop %ds
        add $8, %esp
        iret
#endif

/*
 * void user_enter(uintptr_t ip, uintptr_t flags, uintptr_t address): run user code at ip, with @address in AX, until it
 * traps; trap_handle() then leaves by user_leave, and user_enter returns.
 */
        .globl user_enter
user_enter:
        pushf
        push BX
        push BP
        push SI
        push DI
#ifdef __x86_64__
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, user_kernel_stack
        mov %rsp, %rax
        and $-16, %rax
        mov %rax, task_state + 4
        push $USER_DATA
        push $0
        push %rsi
        push $USER_CODE
        push %rdi
        mov %rdx, %rax
        iretq
#else
        mov %esp, user_kernel_stack
        mov %esp, task_state + 4
        mov 24(%esp), %ecx
        mov 28(%esp), %edx
        mov 32(%esp), %eax
        mov $USER_DATA, %ebx
        mov %ebx, %ds
        mov %ebx, %es
        push $USER_DATA
        push $0
        push %edx
        push $USER_CODE
        push %ecx
        iret
#endif

        .globl user_leave
user_leave:
        mov user_kernel_stack, SP
#ifdef __x86_64__
        pop %r15
        pop %r14
        pop %r13
        pop %r12
#endif
        pop DI
        pop SI
        pop BP
        pop BX
        popf
        ret

        .bss
        .balign 16
        .globl user_kernel_stack
user_kernel_stack:
        .skip WORD
        .balign 16
        .globl task_state
task_state:
        .skip 128

/* What user mode executes; mapped at USER_VA, so free of absolute addresses. AX holds an address. */
        .section .user, "ax"
        .globl user_read
user_read:
        mov (AX), %cl
        int $VECTOR_DONE
        .globl user_write
user_write:
        movb $0xcd, (AX)
        int $VECTOR_DONE
        .globl user_load_segment
user_load_segment:
        mov %ax, %fs
        int $VECTOR_DONE
        .globl user_cpuid
user_cpuid:
        cpuid
        int $VECTOR_DONE
        .globl user_store_gdt
user_store_gdt:
        sub $16, SP
        sgdt (SP)
        int $VECTOR_DONE
        .globl user_read_time
user_read_time:
        rdtsc
        int $VECTOR_DONE
        .globl user_interrupt
user_interrupt:
        int $0x81
        int $VECTOR_DONE
        .globl user_in
user_in:
        inb $0x80, %al
        int $VECTOR_DONE
        .globl user_vmmcall
user_vmmcall:
        .byte 0x0f, 0x01, 0xd9
        int $VECTOR_DONE
        .globl user_vmcall
user_vmcall:
        .byte 0x0f, 0x01, 0xc1
        int $VECTOR_DONE
        .globl user_spin
user_spin:
        pause
        jmp user_spin

        .section .note.GNU-stack, "", @progbits
