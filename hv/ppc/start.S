/*
 * From the loader to machine_start in the hypervisor's own address space.
 *
 * The loader's one entry of TLB1 maps the first MiB to themselves, and this code runs there, at its physical address.
 * It writes the entries below, goes on at its linked address, and calls C with what the loader left in its registers.
 *
 * Spec: ePAPR "Client Program Image Format", "Boot CPU Initial Register State"; EREF "MMU Assist Registers".
 */
#include "hv/ppc/layout.h"
#include "hv/ppc/spr.h"

#define PHYSICAL(symbol) (symbol - LAYOUT_WINDOW)

    .section .text.start, "ax"
    .globl image_start
image_start:
    mr      %r29, %r3               /* the device tree's physical address */
    mr      %r30, %r6               /* the magic number */
    mr      %r31, %r7               /* bytes of the loader's map */

    lis     %r8, PHYSICAL(own_entries)@ha
    addi    %r8, %r8, PHYSICAL(own_entries)@l - 4
    li      %r9, OWN_ENTRIES
    mtctr   %r9
1:  lwzu    %r10, 4(%r8)
    mtspr   SPR_MAS0, %r10
    lwzu    %r10, 4(%r8)
    mtspr   SPR_MAS1, %r10
    lwzu    %r10, 4(%r8)
    mtspr   SPR_MAS2, %r10
    lwzu    %r10, 4(%r8)
    mtspr   SPR_MAS3, %r10
    lwzu    %r10, 4(%r8)
    mtspr   SPR_MAS7, %r10
    isync
    tlbwe
    isync
    bdnz    1b

    lis     %r10, linked@ha
    addi    %r10, %r10, linked@l
    mtspr   SPR_SRR0, %r10
    li      %r10, MSR_ME
    mtspr   SPR_SRR1, %r10
    rfi

linked:
    li      %r10, 0
    lis     %r8, image_file_end@ha
    addi    %r8, %r8, image_file_end@l
    lis     %r9, image_end@ha
    addi    %r9, %r9, image_end@l
2:  cmplw   %r8, %r9
    bge     3f
    stw     %r10, 0(%r8)
    addi    %r8, %r8, 4
    b       2b

3:  lis     %r1, stack_top@ha
    addi    %r1, %r1, stack_top@l
    stwu    %r10, -16(%r1)          /* the last frame: no caller */
    mr      %r3, %r29
    mr      %r4, %r30
    mr      %r5, %r31
    b       machine_start

    /* MAS0, 1, 2, 3 and 7 of the entries that stand from here on; tlb_init makes the direct map as large as memory is. */
    .balign 4
own_entries:
    .long   MAS0_TLB1(TLB1_TEXT), MAS1_OWN(MAS1_1M), LAYOUT_WINDOW + LAYOUT_LOAD_BASE + MAS2_M
    .long   LAYOUT_LOAD_BASE + MAS3_SX + MAS3_SR, 0
    .long   MAS0_TLB1(TLB1_DATA), MAS1_OWN(MAS1_4M), LAYOUT_WINDOW + LAYOUT_DATA_BASE + MAS2_M
    .long   LAYOUT_DATA_BASE + MAS3_SW + MAS3_SR, 0
    .long   MAS0_TLB1(TLB1_DEVICES), MAS1_OWN(MAS1_1M), LAYOUT_DEVICES + MAS2_I + MAS2_G
    .long   LAYOUT_CCSR_LOW + MAS3_SW + MAS3_SR, LAYOUT_CCSR_HIGH
    .long   MAS0_TLB1(TLB1_DIRECT_MAP), MAS1_OWN(MAS1_256M), LAYOUT_DIRECT_MAP + MAS2_M
    .long   MAS3_SW + MAS3_SR, 0
own_entries_end:
    .set    OWN_ENTRIES, (own_entries_end - own_entries) / 20

    .section .stack, "aw", @nobits
    .balign 16
    .globl stack_top
    .skip   LAYOUT_STACK_BYTES
stack_top:
    .globl fault_stack_top
    .skip   LAYOUT_FAULT_STACK_BYTES
fault_stack_top:

    .section .note.GNU-stack, "", @progbits
