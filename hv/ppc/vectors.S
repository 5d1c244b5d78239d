/*
 * Where interrupts come in.
 *
 * All of them come with MSR[PR], [IS], [DS] and [EE] clear, so in the hypervisor's own address space. External ones and the
 * decrementer's are taken on the stack that they meet, which stands whenever they are let in; the others may come from
 * anywhere, a stack that has overflown among them, and have a stack of their own. Those of a guest are taken on the stack of
 * e500_enter, which runs it.
 *
 * Spec: Book E "Interrupts and Exceptions", "Interrupt Processing"; EREF "Interrupt Vector Offset Registers".
 */
#include "hv/ppc/core/core.h"
#include "hv/ppc/frame.h"
#include "hv/ppc/spr.h"

/* The stack frame of e500_enter, which stands while the guest runs. */
#define ENTER_BYTES 96
#define ENTER_GPR14 8
#define ENTER_CR    80
#define LR_SAVE     4 /* in the caller's frame */

    .section .text.vectors, "ax"
    .balign 65536               /* IVPR holds the upper half of the addresses */

/*
 * The first of each: r1 goes to SPRG0, CR to SPRG2; on to guest_trap with r4 = number, r5 = where it was, if a guest ran, which is
 * always in problem state and where SPRG1 points to its struct ppc_core.
 */
.macro BEGIN number, return0, return1, to=guest_trap
    mtspr   SPR_SPRG0, %r1
    mfcr    %r1
    mtspr   SPR_SPRG2, %r1
    mfspr   %r1, \return1
    andi.   %r1, %r1, MSR_PR
    beq     1f
    mfspr   %r1, SPR_SPRG1
    stmw    %r0, CORE_GPR(%r1)
    li      %r4, \number
    mfspr   %r5, \return0
    b       \to
1:  mfspr   %r1, SPR_SPRG2
    mtcr    %r1
.endm

/* Save everything in a frame at r1, whose interrupted value is in SPRG0; then on to interrupt_common. */
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
    BEGIN   \number, SPR_SRR0, SPR_SRR1
    mfspr   %r1, SPR_SPRG0
    addi    %r1, %r1, -FRAME_BYTES
    SAVE    \number, SPR_SRR0, SPR_SRR1
.endm

.macro ON_FAULT_STACK number, return0=SPR_SRR0, return1=SPR_SRR1, to=guest_trap
    .balign 16
vector_\number:
    BEGIN   \number, \return0, \return1, \to
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
    .globl vector_program_quick
    .balign 16
vector_program_quick:
    ON_FAULT_STACK 6, to=e500_quick
    .globl vector_program_stepping
    .balign 16
vector_program_stepping:
    BEGIN   VECTOR_PROGRAM, SPR_SRR0, SPR_SRR1
    mfspr   %r1, SPR_SPRG0
    b       vector_program_quick
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

/*
 * A guest has trapped. Most traps are dealt with in e500_trap, and the guest runs on; where not, e500_enter returns.
 */
guest_trap:
    mfspr   %r6, SPR_SPRG0
    mfspr   %r7, SPR_SPRG2
    stw     %r6, CORE_GPR + 4(%r1)
    stw     %r7, CORE_CR(%r1)
    .globl guest_saved
guest_saved:
    mflr    %r8
    mfctr   %r9
    mfxer   %r10
    stw     %r5, CORE_PC(%r1)
    stw     %r8, CORE_LR(%r1)
    stw     %r9, CORE_CTR(%r1)
    stw     %r10, CORE_XER(%r1)
    mr      %r3, %r1
    lwz     %r1, CORE_HOST_STACK(%r1)
    bl      e500_trap
    .globl guest_dealt_with
guest_dealt_with:
    cmpwi   %r3, 0
    beq     guest_left
    mfspr   %r1, SPR_SPRG1

/* The guest whose struct ppc_core r1 points to runs. */
guest_runs:
    lwz     %r4, CORE_CR(%r1)
    lwz     %r5, CORE_LR(%r1)
    lwz     %r6, CORE_CTR(%r1)
    lwz     %r7, CORE_XER(%r1)
    lwz     %r8, CORE_PC(%r1)
    lwz     %r9, CORE_RUN_MSR(%r1)
    mtcr    %r4
    mtlr    %r5
    mtctr   %r6
    mtxer   %r7
    mtspr   SPR_SRR0, %r8
    mtspr   SPR_SRR1, %r9
    lwz     %r0, CORE_GPR(%r1)
    lmw     %r2, CORE_GPR + 8(%r1)
    lwz     %r1, CORE_GPR + 4(%r1)
    rfi

/* void e500_enter(struct vp_arch *arch) */
    .globl e500_enter
e500_enter:
    mflr    %r0
    stw     %r0, LR_SAVE(%r1)
    stwu    %r1, -ENTER_BYTES(%r1)
    stmw    %r14, ENTER_GPR14(%r1)
    mfcr    %r0
    stw     %r0, ENTER_CR(%r1)
    stw     %r1, CORE_HOST_STACK(%r3)
    mtspr   SPR_SPRG1, %r3
    mr      %r1, %r3
    b       guest_runs

guest_left:
    lmw     %r14, ENTER_GPR14(%r1)
    lwz     %r0, ENTER_CR(%r1)
    mtcr    %r0
    addi    %r1, %r1, ENTER_BYTES
    lwz     %r0, LR_SAVE(%r1)
    mtlr    %r0
    blr

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
