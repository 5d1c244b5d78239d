/*
 * Where a start-up message lets a processor begin: in real mode, at the page that the message names. It goes on in the
 * mode that the guest itself was started in, on a stack of its own, and enters C.
 */
#include "tests/guests/common/layout.h"

        .text
        .code16
        .balign 16
        .globl smp_page
smp_page:
        cli
        cld
        movw %cs, %bx
        movw %bx, %ds
        movw %ax, smp_first_ax - smp_page
        movl %edx, smp_first_dx - smp_page
        movl %cr0, %eax
        movl %eax, smp_first_cr0 - smp_page
        movl %cr3, %eax
        movl %eax, smp_first_cr3 - smp_page
        movl %cr4, %eax
        movl %eax, smp_first_cr4 - smp_page
        movw %cs, smp_first_cs - smp_page
        lgdtl smp_page_gdt - smp_page
        movl $0x11, %eax                /* CR0: ET, PE; INIT leaves CD and NW as they were */
        movl %eax, %cr0
        ljmpl $CODE32, $smp_flat
        .balign 8
smp_page_gdt:
        .word CODE32 + 7
        .long gdt
        .balign 8

/* What it found in its registers: struct smp_first. */
        .globl smp_first
smp_first:
smp_first_cr0: .long 0
smp_first_cr3: .long 0
smp_first_cr4: .long 0
smp_first_dx: .long 0
smp_first_cs: .word 0
smp_first_ax: .word 0
        .globl smp_page_end
smp_page_end:

/* The stack is its own by the identity of its local APIC, as CPUID tells it from the start. */
        .code32
smp_flat:
        movw $KERNEL_DATA, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %fs
        movw %ax, %gs
        movw %ax, %ss
        movl $1, %eax
        cpuid
        shrl $24, %ebx
        movzbl smp_index_of(%ebx), %ebx
        incl %ebx
        imull $STACK_BYTES, %ebx
        leal smp_stacks(%ebx), %esp
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
        ljmp $KERNEL_CODE, $1f
        .code64
1:      movl %esp, %esp
        call smp_enter
#else
        movl $0x10011, %eax             /* CR0: WP, ET, PE */
        movl %eax, %cr0
        ljmp $KERNEL_CODE, $1f
1:      call smp_enter
#endif
2:      cli
        hlt
        jmp 2b

        .section .note.GNU-stack, "", @progbits
