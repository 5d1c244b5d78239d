/*
 * Where interrupts come in.
 *
 * All of them come with MSR[PR], [IS], [DS] and [EE] clear, so in the hypervisor's own address space. External ones and the
 * decrementer's are taken on the stack that they meet, which stands whenever they are let in; the others may come from
 * anywhere, a stack that has overflown among them, and have a stack of their own.
 *
 * Spec: Book E "Interrupts and Exceptions", "Interrupt Processing"; EREF "Interrupt Vector Offset Registers".
 */
#include "hv/ppc/frame.h"
#include "hv/ppc/spr.h"

    .section .text.vectors, "ax"
    .balign 65536               /* IVPR holds the upper half of the addresses */

/* Save everything in a frame at r1, whose interrupted value is in SPRG0; then on to @after. */
.macro SAVE number, return0, return1
    stmw    %r0, FRAME_GPR(%r1)
    mfspr   %r4, \return0
    mfspr   %r5, \return1
    li      %r6, \number
    b       interrupt_common
.endm

.macro ON_STACK number
    .balign 16
vector_\number:
    mtspr   SPR_SPRG0, %r1
    addi    %r1, %r1, -FRAME_BYTES
    SAVE    \number, SPR_SRR0, SPR_SRR1
.endm

.macro ON_FAULT_STACK number, return0=SPR_SRR0, return1=SPR_SRR1
    .balign 16
vector_\number:
    mtspr   SPR_SPRG0, %r1
    lis     %r1, (fault_stack_top - FRAME_BYTES)@ha
    addi    %r1, %r1, (fault_stack_top - FRAME_BYTES)@l
    SAVE    \number, \return0, \return1
.endm

    ON_FAULT_STACK 0, SPR_CSRR0, SPR_CSRR1
    ON_FAULT_STACK 1, SPR_MCSRR0, SPR_MCSRR1
    ON_FAULT_STACK 2
    ON_FAULT_STACK 3
    ON_STACK 4
    ON_FAULT_STACK 5
    ON_FAULT_STACK 6
    ON_FAULT_STACK 7
    ON_FAULT_STACK 8
    ON_FAULT_STACK 9
    ON_STACK 10
    ON_FAULT_STACK 11
    ON_FAULT_STACK 12, SPR_CSRR0, SPR_CSRR1
    ON_FAULT_STACK 13
    ON_FAULT_STACK 14
    ON_FAULT_STACK 15, SPR_CSRR0, SPR_CSRR1
    ON_FAULT_STACK 32
    ON_FAULT_STACK 33
    ON_FAULT_STACK 34
    ON_FAULT_STACK 35

/* The frame stands at r1 but for what is here: r4, r5 and r6 say where it was and what came. */
interrupt_common:
    mfspr   %r3, SPR_SPRG0
    stw     %r3, FRAME_GPR + 4(%r1)
    stw     %r4, FRAME_SRR0(%r1)
    stw     %r5, FRAME_SRR1(%r1)
    stw     %r6, FRAME_VECTOR(%r1)
    mfcr    %r4
    mflr    %r5
    mfctr   %r6
    mfxer   %r7
    stw     %r4, FRAME_CR(%r1)
    stw     %r5, FRAME_LR(%r1)
    stw     %r6, FRAME_CTR(%r1)
    stw     %r7, FRAME_XER(%r1)
    mfspr   %r4, SPR_ESR
    mfspr   %r5, SPR_DEAR
    stw     %r4, FRAME_ESR(%r1)
    stw     %r5, FRAME_DEAR(%r1)

    addi    %r3, %r1, 0
    li      %r0, 0
    stwu    %r0, -16(%r1)           /* the last frame: no caller */
    bl      ground_interrupt
    addi    %r1, %r1, 16

    lwz     %r4, FRAME_CR(%r1)
    lwz     %r5, FRAME_LR(%r1)
    lwz     %r6, FRAME_CTR(%r1)
    lwz     %r7, FRAME_XER(%r1)
    mtcr    %r4
    mtlr    %r5
    mtctr   %r6
    mtxer   %r7
    lwz     %r4, FRAME_SRR0(%r1)
    lwz     %r5, FRAME_SRR1(%r1)
    mtspr   SPR_SRR0, %r4
    mtspr   SPR_SRR1, %r5
    lwz     %r0, FRAME_GPR(%r1)
    lmw     %r2, FRAME_GPR + 8(%r1)
    lwz     %r1, FRAME_GPR + 4(%r1)
    rfi

/* By number, for IVORn. */
    .section .rodata.vectors, "a"
    .balign 4
    .globl vector_addresses
vector_addresses:
    .long   vector_0, vector_1, vector_2, vector_3, vector_4, vector_5, vector_6, vector_7
    .long   vector_8, vector_9, vector_10, vector_11, vector_12, vector_13, vector_14, vector_15
    .rept   16
    .long   0
    .endr
    .long   vector_32, vector_33, vector_34, vector_35

    .section .note.GNU-stack, "", @progbits
