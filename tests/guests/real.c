/*
 * Real mode and the way there and back: exits, exceptions and steps in it, and in what lies between it and protected mode,
 * where segments still are what the other mode has left. SDM 3A "Mode Switching", 3B "8086 Emulation".
 *
 * Guest: 32-bit only
 */
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/paging.h"
#include "tests/guests/common/report.h"
#include "tests/guests/common/traps.h"

#define BASE        0x8000 /* of the code below, and of its segments in real mode */
#define SCRATCH     0x3ff
#define CPUID_XSAVE BIT(26) /* of leaf 1's ECX */

/* What the code below finds out, in its order there. */
struct results {
    uint32_t vendor; /* CPUID in real mode */
    uint8_t port, unused;
    uint16_t software, undefined, refused, steps; /* interrupts that came, by what */
    uint16_t wrong_frames; /* of them, that had more on the stack than IP, CS and FLAGS */
    uint32_t between[3];   /* CPUID on the way back */
};

extern uint8_t real_begin[], real_end[], real_results[], real_pointer[], real_table[];
extern uint8_t real_int[], real_fault[], real_refuse[], real_step[];

/* There and back; CR0.PE comes back together with @also. */
void real_run(uint32_t also);

/*
 * Its own GDT: flat code and data as everywhere, and 16-bit ones at BASE. Handlers find CS above IP, if nothing else has
 * been pushed, and step over three bytes.
 */
__asm__(".text\n"
        "real_run:\n\t"
        "pushal; pushfl; movl %esp, real_stack; movl 40(%esp), %ebp\n\t"
        "sidt real_idt; sgdt real_gdt; lgdt real_pointer; lidt real_table\n\t"
        "ljmp $0x18, $(real_16 - real_begin)\n"
        "real_back:\n\t"
        "xorl %eax, %eax; cpuid; movl %ebx, real_between - real_begin + 4\n\t"
        "movw $0x10, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %fs; movw %ax, %gs; movw %ax, %ss\n\t"
        "xorl %eax, %eax; cpuid; movl %ebx, 0x8000 + (real_between - real_begin) + 8\n\t"
        "movl real_stack, %esp; lgdt real_gdt; lidt real_idt; popfl; popal; ret\n"
        "real_pointer: .word 0x27; .long real_descriptors\n"
        "real_table: .word 0x3ff; .long 0\n"
        ".data\n.balign 8\n"
        "real_descriptors: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00009b008000ffff, "
        "0x000093008000ffff\n"
        "real_stack: .long 0\n"
        "real_idt: .quad 0\n"
        "real_gdt: .quad 0\n"
        ".text\n.balign 16\n.code16\n"
        "real_begin:\n"
        "real_16:\n\t"
        "movw $0x20, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %ss; movw %ax, %fs; movw %ax, %gs\n\t"
        "movl %cr0, %eax; andl $~1, %eax; movl %eax, %cr0\n\t"
        "ljmp $0x800, $(real_mode - real_begin)\n"
        "real_mode:\n\t"
        "movw $0x800, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %ss; movw $0xf000, %sp\n\t"
        "movw $0x1233, %ax; movw %ax, %fs\n\t"
        "xorl %eax, %eax; cpuid; movl %ebx, real_results - real_begin\n\t"
        "movw $0x3ff, %dx; movb $0x5a, %al; outb %al, %dx; inb %dx, %al\n\t"
        "movb %al, real_results - real_begin + 4\n\t"
        "int $0x40; ud2; nop; ud2; nop\n\t"
        "movl $1, %ecx; xsetbv; xsetbv\n\t"
        "pushfw; movw %sp, %si; orw $0x100, %ss:(%si); popfw\n\t"
        "nop; xorl %eax, %eax; cpuid\n"
        "real_stepped: nop\n\t"
        "pushfw; movw %sp, %si; andw $~0x100, %ss:(%si); popfw\n\t"
        "movl %cr0, %eax; orl $1, %eax; orl %ebp, %eax; movl %eax, %cr0\n\t"
        "movl $0, %eax; cpuid; movl %ebx, real_between - real_begin\n\t"
        "ljmpl $0x8, $real_back\n"
        "real_int: incw real_results - real_begin + 6; iretw\n"
        "real_fault: incw real_results - real_begin + 8; jmp 1f\n"
        "real_refuse: incw real_results - real_begin + 10\n"
        "1: movw %sp, %si; cmpw $0x800, %ss:2(%si); je 2f; incw real_results - real_begin + 14\n"
        "2: addw $3, %ss:(%si); iretw\n"
        "real_step: pushw %si; movw %sp, %si; cmpw $(real_stepped - real_begin), %ss:2(%si); jne 3f\n\t"
        "incw real_results - real_begin + 12\n"
        "3: popw %si; iretw\n"
        ".balign 4\n"
        "real_results: .long 0; .byte 0, 0; .word 0, 0, 0, 0, 0\n"
        "real_between: .long 0, 0, 0\n"
        "real_end:\n"
        ".code32\n");

static void vector_set(unsigned vector, const uint8_t *handler)
{
    const uint32_t where = (uint32_t)BASE / 16 << 16 | (uint32_t)(handler - real_begin);

    __asm__ volatile("movl %0, (,%1,4)" : : "r"(where), "r"(vector) : "memory");
}

static struct results *prepare(void)
{
    memcpy((void *)BASE, real_begin, (size_t)(real_end - real_begin));
    vector_set(1, real_step);
    vector_set(6, real_fault);
    vector_set(13, real_refuse);
    vector_set(0x40, real_int);
    out8(SCRATCH, 0);
    return (struct results *)(BASE + (real_results - real_begin));
}

static bool has_xsave(void)
{
    return cpuid(1, 0).c & CPUID_XSAVE;
}

static void judge(const struct results *found, const char *how)
{
    const uint32_t vendor = cpuid(0, 0).b;

    report(found->vendor == vendor && found->port == 0x5a, "CPUID and a port work in real mode (%s)", how);
    detail("%u, %u, %u", found->software, found->undefined, found->refused);
    report(found->software == 1 && found->undefined + found->refused == 4 &&
               found->refused == (has_xsave() ? 2 : 0),
           "INT n, #UD and #GP come by real mode's vectors (%s)", how);
    report(found->wrong_frames == 0, "and none of them pushes an error code (%s)", how);
    report(found->steps == 1, "a single step over CPUID traps once, behind it (%s)", how);
    report(found->between[0] == vendor && found->between[1] == vendor && found->between[2] == vendor,
           "CPUID works with the segments that real mode has left (%s)", how);
}

static void test_unpaged(void)
{
    const uintptr_t cr4 = cr4_read();
    const struct results *found;

    cr4_write(cr4 | (has_xsave() ? CR4_OSXSAVE : 0));
    for (unsigned i = 0; i < 3; i++) {
        found = prepare();
        real_run(0);
    }
    judge(found, "unpaged");
    cr4_write(cr4);
}

/* Out of real mode into paging at once. */
static void test_paged(const struct paging *paging)
{
    const uintptr_t cr0 = cr0_read();
    const uintptr_t cr4 = cr4_read();
    const struct results *found = prepare();
    struct space space;

    tables_reset();
    space_make(&space, paging);
    cr3_write(space.root);
    cr4_write(cr4 | (paging->large_pages ? CR4_PSE : 0) | (paging->entry_bytes == 8 ? CR4_PAE : 0) |
              (has_xsave() ? CR4_OSXSAVE : 0));
    real_run((uint32_t)CR0_PG);
    judge(found, paging->name);
    cr0_write(cr0);
    cr4_write(cr4);
}

void guest_main(void)
{
    test_unpaged();
    for (const struct paging *const *mode = paging_modes(); *mode; mode++) {
        test_paged(*mode);
    }
}
