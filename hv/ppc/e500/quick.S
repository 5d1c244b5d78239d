/*
 * The privileged instructions that guests execute most, performed without C: moves from and to MSR[EE], MSR, and those special
 * purpose registers that are just a word (hv/ppc/core/sprs.c makes the tables). Linux on an e500 executes one for every forty
 * instructions, so each costs about fifty here, where the way through C costs twice that.
 *
 * Entered from vectors.S with r1: struct ppc_core, its general registers saved but for r1, which is in SPRG0 as CR is in SPRG2;
 * r5: the program counter. LR, CTR and XER are the guest's, and stay. What is not done here goes on in C from the start.
 */
#include "hv/ppc/core/core.h"

/* Extended opcode, record bit and primary opcode 31 of a word that has been rotated so that they are its low bits. */
#define OPCODE(extended) ((extended) << 7 | 31)

/* Field RT, times four: the offset of the register in struct ppc_core. */
.macro REGISTER into, word
    rlwinm  \into, \word, 13, 25, 29
.endm

.macro COUNT kind
    lwz     %r9, CORE_QUICK + 4 * \kind(%r1)
    addi    %r9, %r9, 1
    stw     %r9, CORE_QUICK + 4 * \kind(%r1)
.endm

    .text
    .globl e500_quick
e500_quick:
    mfspr   %r6, SPR_SPRG0
    mfspr   %r12, SPR_SPRG2
    stw     %r6, CORE_GPR + 4(%r1)
    stw     %r12, CORE_CR(%r1)
    mfspr   %r3, SPR_ESR
    andis.  %r6, %r3, PPC_ESR_PPR@h
    lwz     %r8, CORE_MSR(%r1)
    beq     others
    andi.   %r6, %r8, MSR_PR
    bne     others

    li      %r10, MSR_ME | MSR_DS
    mtmsr   %r10
    isync
1:  lwz     %r10, 0(%r5)
    li      %r9, MSR_ME
    mtmsr   %r9
    isync
    rlwinm  %r6, %r10, 6, 15, 31
    cmplwi  %r6, OPCODE(163)
    beq     wrteei
    cmplwi  %r6, OPCODE(83)
    beq     mfmsr
    cmplwi  %r6, OPCODE(131)
    beq     wrtee
    cmplwi  %r6, OPCODE(339)
    beq     mfspr
    cmplwi  %r6, OPCODE(467)
    beq     mtspr

/* One that C performs: r10 is the word. */
privileged:
    mflr    %r8
    mfctr   %r9
    mfxer   %r11
    stw     %r5, CORE_PC(%r1)
    stw     %r8, CORE_LR(%r1)
    stw     %r9, CORE_CTR(%r1)
    stw     %r11, CORE_XER(%r1)
    mr      %r3, %r1
    mr      %r4, %r10
    lwz     %r1, CORE_HOST_STACK(%r1)
    bl      e500_privileged
    b       guest_dealt_with

/* The word could not be loaded; that interrupt has changed ESR. */
2:  mtspr   SPR_ESR, %r3
others:
    b       guest_saved

    .pushsection .fixup, "a"
    .balign 4
    .long   1b, 2b
    .popsection

/* MSR[EE] becomes that bit of r10, unless what is pending would come in. */
wrtee:
    REGISTER %r7, %r10
    lwzx    %r7, %r1, %r7
    andi.   %r6, %r7, MSR_EE
    lwz     %r6, CORE_PENDING(%r1)
    beq     1f
    cmpwi   %r6, 0
    bne     privileged
1:  rlwimi  %r8, %r7, 0, 16, 16
    COUNT   QUICK_WRTEE
    stw     %r8, CORE_MSR(%r1)
    b       done

mfmsr:
    REGISTER %r7, %r10
    COUNT   QUICK_MFMSR
    stwx    %r8, %r1, %r7
    b       done

mfspr:
    rlwinm  %r11, %r10, 22, 21, 30
    addis   %r11, %r11, ppc_spr_quick_read@ha
    lha     %r11, ppc_spr_quick_read@l(%r11)
    REGISTER %r7, %r10
    cmpwi   %r11, 0
    beq     privileged
    blt     1f
    lwzx    %r6, %r1, %r11
    COUNT   QUICK_MFSPR
    stwx    %r6, %r1, %r7
    b       done
1:  lwz     %r6, CORE_MMU(%r1)
    subf    %r6, %r11, %r6
    lwz     %r6, 0(%r6)
    COUNT   QUICK_MFSPR
    stwx    %r6, %r1, %r7
    b       done

mtspr:
    rlwinm  %r11, %r10, 22, 21, 30
    addis   %r11, %r11, ppc_spr_quick_write@ha
    lha     %r11, ppc_spr_quick_write@l(%r11)
    REGISTER %r7, %r10
    cmpwi   %r11, 0
    beq     privileged
    lwzx    %r7, %r1, %r7
    blt     1f
    stwx    %r7, %r1, %r11
    COUNT   QUICK_MTSPR
    b       done
1:  lwz     %r6, CORE_MMU(%r1)
    subf    %r6, %r11, %r6
    lwz     %r11, CORE_MAS_TO_KEPT(%r6)
    and     %r7, %r7, %r11
    stw     %r7, 0(%r6)
    COUNT   QUICK_MTSPR
    b       done

wrteei:
    andi.   %r6, %r10, MSR_EE       /* its E stands at the same place */
    lwz     %r6, CORE_PENDING(%r1)
    beq     1f
    cmpwi   %r6, 0
    bne     privileged
1:  rlwimi  %r8, %r10, 0, 16, 16
    COUNT   QUICK_WRTEEI
    stw     %r8, CORE_MSR(%r1)

/* Step over it. r12 is CR. */
done:
    addi    %r5, %r5, 4
    lwz     %r9, CORE_RUN_MSR(%r1)
    mtspr   SPR_SRR0, %r5
    mtspr   SPR_SRR1, %r9
    mtcrf   0x80, %r12
    lwz     %r0, CORE_GPR(%r1)
    lmw     %r2, CORE_GPR + 8(%r1)
    lwz     %r1, CORE_GPR + 4(%r1)
    rfi

    .section .note.GNU-stack, "", @progbits
