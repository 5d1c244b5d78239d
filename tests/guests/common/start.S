/*
 * Entry by multiboot 1: 32-bit, flat, unpaged. A 32-bit guest goes on so; a 64-bit one maps the first 4 GiB one to one by
 * four levels and enters long mode.
 */
#include "tests/guests/common/layout.h"

        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 2, -(0x1badb002 + 2)

        .section .text.start, "ax"
        .code32
        .globl start
start:
        cld
        movl $boot_stack_top, %esp
        movl %ebx, boot_information
        lgdt gdt_pointer
        ljmp $CODE32, $1f
1:      movw $KERNEL_DATA, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %fs
        movw %ax, %gs
        movw %ax, %ss

#ifdef __x86_64__
        movl $boot_level4, %eax
        movl %eax, %cr3
        movl $0x20, %eax                /* CR4.PAE */
        movl %eax, %cr4
        movl $0xc0000080, %ecx
        movl $0x100, %eax               /* EFER.LME */
        xorl %edx, %edx
        wrmsr
        movl $0x80010011, %eax          /* CR0: PG, WP, ET, PE */
        movl %eax, %cr0
        ljmp $KERNEL_CODE, $2f
        .code64
2:      call guest_start
3:      hlt
        jmp 3b
#else
        ljmp $KERNEL_CODE, $2f
2:      call guest_start
3:      hlt
        jmp 3b
#endif

#ifdef __x86_64__
/*
 * void switch_levels(uint64_t cr3, uint64_t cr4): CR4.LA57 changes only while paging is off, hence by way of 32-bit
 * code. CR3 and the stack lie below 4 GiB.
 */
        .text
        .globl switch_levels
switch_levels:
        pushq %rbx
        pushq %rbp
        movq %rdi, %rbx
        movq %rsi, %rbp
        pushq $CODE32
        pushq $1f
        lretq
        .code32
1:      movl %cr0, %eax
        andl $0x7fffffff, %eax
        movl %eax, %cr0
        movl %ebp, %cr4
        movl %ebx, %cr3
        orl $0x80000000, %eax
        movl %eax, %cr0
        ljmp $KERNEL_CODE, $2f
        .code64
2:      popq %rbp
        popq %rbx
        ret
#endif

        .data
        .balign 16
        .globl gdt
gdt:    .quad 0
#ifdef __x86_64__
        .quad 0x00af9b000000ffff        /* KERNEL_CODE */
        .quad 0x00cf93000000ffff        /* KERNEL_DATA */
        .quad 0x00affb000000ffff        /* USER_CODE */
#else
        .quad 0x00cf9b000000ffff
        .quad 0x00cf93000000ffff
        .quad 0x00cffb000000ffff
#endif
        .quad 0x00cff3000000ffff        /* USER_DATA */
        .quad 0, 0                      /* TASK_STATE: filled in by traps_start() */
        .quad 0x00cf9b000000ffff        /* CODE32 */
gdt_end:
        .globl gdt_pointer
gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt
        .long 0

#ifdef __x86_64__
        .balign 4096
        .globl boot_level4
boot_level4:
        .quad boot_level3 + 3
        .fill 511, 8, 0
boot_level3:
        .quad boot_level2 + 3, boot_level2 + 0x1003, boot_level2 + 0x2003, boot_level2 + 0x3003
        .fill 508, 8, 0
boot_level2:
        .set frame, 0
        .rept 2048
        .quad frame + 0x83
        .set frame, frame + 0x200000
        .endr
#endif

        .bss
        .globl boot_information
boot_information:
        .skip WORD
        .balign 16
        .globl boot_stack
boot_stack:
        .skip STACK_BYTES
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
