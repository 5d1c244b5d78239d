/*
 * What the hypervisor does in the guest's address space: data accesses with MSR[DS] set, under the PID registers that the guest ran
 * with.
 */
#include "hv/ppc/spr.h"

    .text

/* bool e500_load_word(uint32_t ea, uint32_t *word) */
    .globl e500_load_word
e500_load_word:
    mfmsr   %r5
    ori     %r6, %r5, MSR_DS
    mtmsr   %r6
    isync
1:  lwz     %r7, 0(%r3)
    li      %r3, 1
2:  mtmsr   %r5
    isync
    stw     %r7, 0(%r4)
    blr
3:  li      %r3, 0
    b       2b

    .pushsection .fixup, "a"
    .balign 4
    .long   1b, 3b
    .popsection

    .section .note.GNU-stack, "", @progbits
