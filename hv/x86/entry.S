/*
 * From the boot loader's 32-bit protected mode to machine_start in 64-bit mode at the top of the address space.
 *
 * Nothing here knows where the image is until it has asked: a multiboot 2 loader may have moved it, and then says so
 * in a tag; a multiboot 1 loader never does. EBP holds the physical base throughout; symbols of the window are reached
 * as AT(symbol), a distance from there.
 *
 * Spec: "Multiboot Specification version 0.6.96", "Multiboot2 Specification version 2.0": Machine state; SDM 3A
 * "Initializing IA-32e Mode".
 */
#include "hv/x86/layout.h"

#define AT(symbol)     (symbol - LAYOUT_WINDOW)(%ebp)
#define AT_ENTRY(table) (table - LAYOUT_WINDOW)(%ebp,%ecx,8) /* number ECX of a table */
#define AT_LOW(symbol) (symbol - LAYOUT_LOAD_BASE)(%ebp)

#define MULTIBOOT1_HEADER 0x1badb002
#define MULTIBOOT1_FLAGS  0x00000003 /* modules on page boundaries; memory map, please */
#define MULTIBOOT2_HEADER 0xe85250d6
#define MULTIBOOT2_BOOTED 0x36d76289

#define TAG_END       0
#define TAG_LOAD_BASE 21

#define CR0_PE_NE_WP_PG 0x80010021
#define CR4_PAE         0x20
#define MSR_EFER        0xc0000080
#define EFER_LME_NXE    0x900
#define CPUID_LM_NX     0x20100000
#define EFLAGS_ID       0x200000

#define PAGE_TABLE  0x003 /* present, writable */
#define PAGE_LARGE  0x083
#define PAGE_COUNT4 2048 /* large pages of 2 MiB in 4 GiB */

#define COM1       0x3f8
#define DEBUG_EXIT 0xf4

#define LEAVE_REFUSED 1

    .section .boot.header, "a"
    .balign 8
multiboot1_header:
    .long MULTIBOOT1_HEADER
    .long MULTIBOOT1_FLAGS
    .long -(MULTIBOOT1_HEADER + MULTIBOOT1_FLAGS)

    .balign 8
multiboot2_header:
    .long MULTIBOOT2_HEADER
    .long 0
    .long multiboot2_header_end - multiboot2_header
    .long -(MULTIBOOT2_HEADER + (multiboot2_header_end - multiboot2_header)) & 0xffffffff

    .balign 8 /* information request: memory map, modules; without them there is no hypervisor */
    .short 1, 0
    .long 16
    .long 6, 3

    .balign 8 /* entry address */
    .short 3, 0
    .long 12
    .long start32

    .balign 8 /* modules on page boundaries */
    .short 6, 0
    .long 8

    .balign 8 /* relocatable, if the loader can (optional): anywhere below 4 GiB on 2 MiB, as low as may be */
    .short 10, 1
    .long 24
    .long LAYOUT_LOAD_BASE, 0xffffffff, 0x200000, 1

    .balign 8
    .short 0, 0
    .long 8
multiboot2_header_end:

    .section .boot.text, "ax"
    .code32
    .globl start32
start32:
    cli
    cld
    mov %eax, %esi /* the loader's magic number */
    mov %ebx, %edi /* its information */

    mov $LAYOUT_LOAD_BASE, %ebp
    cmp $MULTIBOOT2_BOOTED, %esi
    jne base_known
    mov (%edi), %ecx /* size of all tags, and where they end */
    add %edi, %ecx
    lea 8(%edi), %ebx
next_tag:
    lea 12(%ebx), %eax
    cmp %ecx, %eax
    ja base_known
    cmpl $TAG_END, (%ebx)
    je base_known
    cmpl $TAG_LOAD_BASE, (%ebx)
    jne other_tag
    mov 8(%ebx), %ebp
    jmp base_known
other_tag:
    mov 4(%ebx), %eax
    cmp $8, %eax
    jb base_known
    add $7, %eax
    and $-8, %eax
    add %eax, %ebx
    jnc next_tag

base_known:
    lea AT(stack_top), %esp

    /* A processor with CPUID, long mode and no-execute pages? */
    pushf
    pop %eax
    mov %eax, %ecx
    xor $EFLAGS_ID, %eax
    push %eax
    popf
    pushf
    pop %eax
    xor %ecx, %eax
    test $EFLAGS_ID, %eax
    jz refuse
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb refuse
    mov $0x80000001, %eax
    cpuid
    and $CPUID_LM_NX, %edx
    cmp $CPUID_LM_NX, %edx
    jne refuse

    /* The first 4 GiB in large pages, at 0 and at the direct map. */
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $21, %eax
    or $PAGE_LARGE, %eax
    mov %eax, AT_ENTRY(page_directories)
    inc %ecx
    cmp $PAGE_COUNT4, %ecx
    jb 1b
    lea AT(page_directories), %eax
    or $PAGE_TABLE, %eax
    xor %ecx, %ecx
2:  mov %eax, AT_ENTRY(page_pointers_low)
    add $4096, %eax
    inc %ecx
    cmp $4, %ecx
    jb 2b
    lea AT(page_pointers_low), %eax
    or $PAGE_TABLE, %eax
    mov %eax, AT(page_root)
    mov %eax, AT(page_root + 256 * 8)

    /* The image, at the window. */
    mov %ebp, %eax
    or $PAGE_TABLE, %eax
    xor %ecx, %ecx
3:  mov %eax, AT_ENTRY(page_table_window)
    add $4096, %eax
    inc %ecx
    cmp $image_pages, %ecx
    jb 3b
    lea AT(page_table_window), %eax
    or $PAGE_TABLE, %eax
    mov %eax, AT(page_directory_window + 511 * 8)
    lea AT(page_directory_window), %eax
    or $PAGE_TABLE, %eax
    mov %eax, AT(page_pointers_window + 511 * 8)
    lea AT(page_pointers_window), %eax
    or $PAGE_TABLE, %eax
    mov %eax, AT(page_root + 511 * 8)

    /* LA57 stays off whatever the processor offers: four levels reach more memory than there is. */
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    lea AT(page_root), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME_NXE, %eax
    wrmsr
    mov $CR0_PE_NE_WP_PG, %eax
    mov %eax, %cr0

    lea AT_LOW(boot_gdt), %eax
    sub $8, %esp
    movw $(boot_gdt_end - boot_gdt - 1), (%esp)
    mov %eax, 2(%esp)
    lgdt (%esp)
    pushl $SELECTOR_CODE
    lea AT_LOW(start64), %eax
    pushl %eax
    lret

    .code64
start64:
    mov $start_window, %rax
    jmp *%rax

    .code32
refuse:
    lea AT_LOW(refusal), %esi
4:  movb (%esi), %bl
    test %bl, %bl
    jz 6f
    mov $0x100000, %ecx /* an absent or hanging port must not hold the rest up for ever */
5:  mov $(COM1 + 5), %dx
    inb %dx, %al
    test $0x20, %al
    loopz 5b
    mov $COM1, %dx
    mov %bl, %al
    outb %al, %dx
    inc %esi
    jmp 4b
6:  mov $LEAVE_REFUSED, %al
    outb %al, $DEBUG_EXIT
7:  hlt
    jmp 7b

refusal:
    .asciz "vmmu: refused: this processor has no 64-bit mode with no-execute pages, which the hypervisor needs.\r\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_end:

    .section .text.start, "ax"
    .code64
start_window:
    mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    lldt %ax
    mov $stack_top, %rsp
    pushq $2 /* no flag set */
    popfq
    mov %edi, %eax
    mov %esi, %edi /* magic */
    mov %eax, %esi /* information */
    mov %ebp, %edx /* base */
    xor %ebp, %ebp
    call machine_start
    ud2

    /* The stack, above a page that paging_init takes away. */
    .section .bss.stack, "aw", @nobits
    .balign 4096
    .globl stack_guard, stack_top
stack_guard:
    .skip 4096
    .skip LAYOUT_STACK_BYTES
stack_top:

    .section .bss.pages, "aw", @nobits
    .balign 4096
    .globl page_root, page_pointers_low, page_directories, page_table_window
page_root:
    .skip 4096
page_pointers_low:
    .skip 4096
page_directories:
    .skip 4 * 4096
page_pointers_window:
    .skip 4096
page_directory_window:
    .skip 4096
page_table_window:
    .skip 4096

    .section .note.GNU-stack, "", @progbits
