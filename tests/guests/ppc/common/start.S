/*
 * The first instructions of a guest on an e500, and its interrupts.
 *
 * Entered as ePAPR has it: r3 = device tree, MSR 0, TLB1 entry 0 maps the first 64 MiB one to one. Interrupts of every kind
 * save all registers in one record on the stack, which trap_taken() may change.
 */

#define SPR_SRR0  26
#define SPR_SRR1  27
#define SPR_CSRR0 58
#define SPR_CSRR1 59
#define SPR_IVPR  63
#define SPR_SPRG0 272
#define SPR_SPRG1 273
#define SPR_SPRG2 274

    .section .text.start, "ax"
    .globl start
start:
    lis     %r1, stack_top@h
    ori     %r1, %r1, stack_top@l
    lis     %r4, device_tree@ha
    stw     %r3, device_tree@l(%r4)
    lis     %r3, vectors@h
    mtspr   SPR_IVPR, %r3
    lis     %r3, trap_stack_top@h
    ori     %r3, %r3, trap_stack_top@l
    mtspr   SPR_SPRG0, %r3
    li      %r3, 0
    stwu    %r3, -16(%r1)
    bl      main
    b       .

/*
 * One stub for each interrupt, 16 bytes apart. A trap within a trap starts over on the same stack: only trap_taken() runs on it,
 * and a fault of its own is the guest's end.
 */
    .balign 65536
    .globl vectors
vectors:
    .set    number, 0
    .rept   36
    .balign 16
    mtspr   SPR_SPRG1, %r3
    li      %r3, number
    b       trap
    .set    number, number + 1
    .endr

    .balign 16
trap:
    mtspr   SPR_SPRG2, %r1
    mfspr   %r1, SPR_SPRG0
    stw     %r0, 0(%r1)
    stmw    %r2, 8(%r1)
    mfspr   %r0, SPR_SPRG2
    stw     %r0, 4(%r1)
    mfspr   %r0, SPR_SPRG1
    stw     %r0, 12(%r1)
    mflr    %r0
    stw     %r0, 128(%r1)
    mfctr   %r0
    stw     %r0, 132(%r1)
    mfxer   %r0
    stw     %r0, 136(%r1)
    mfcr    %r0
    stw     %r0, 140(%r1)
    cmpwi   %r3, 0              /* critical input, watchdog, debug: saved apart */
    beq     1f
    cmpwi   %r3, 12
    beq     1f
    cmpwi   %r3, 15
    beq     1f
    mfspr   %r4, SPR_SRR0
    mfspr   %r5, SPR_SRR1
    b       2f
1:  mfspr   %r4, SPR_CSRR0
    mfspr   %r5, SPR_CSRR1
2:  stw     %r4, 144(%r1)
    stw     %r5, 148(%r1)
    stw     %r3, 152(%r1)
    mr      %r3, %r1
    stwu    %r1, -64(%r1)
    bl      trap_taken
    addi    %r1, %r1, 64
    lwz     %r3, 152(%r1)
    lwz     %r4, 144(%r1)
    lwz     %r5, 148(%r1)
    lwz     %r0, 128(%r1)
    mtlr    %r0
    lwz     %r0, 132(%r1)
    mtctr   %r0
    lwz     %r0, 136(%r1)
    mtxer   %r0
    cmpwi   %r3, 0
    beq     3f
    cmpwi   %r3, 12
    beq     3f
    cmpwi   %r3, 15
    beq     3f
    mtspr   SPR_SRR0, %r4
    mtspr   SPR_SRR1, %r5
    lwz     %r0, 140(%r1)
    mtcrf   0xff, %r0
    lwz     %r0, 0(%r1)
    lmw     %r2, 8(%r1)
    lwz     %r1, 4(%r1)
    rfi
3:  mtspr   SPR_CSRR0, %r4
    mtspr   SPR_CSRR1, %r5
    lwz     %r0, 140(%r1)
    mtcrf   0xff, %r0
    lwz     %r0, 0(%r1)
    lmw     %r2, 8(%r1)
    lwz     %r1, 4(%r1)
    rfci

/*
 * What tests access memory by, a page of its own that user mode may execute, too. Each is called as a function and returns;
 * one that traps is left where LR says, by trap_taken().
 */
    .section .user, "ax"
    .balign 4096
    .globl probe_load, probe_store, probe_fetch, probe_user, probe_user_end
probe_load:
    lwz     %r3, 0(%r3)
    blr
probe_store:
    stw     %r4, 0(%r3)
    blr
probe_fetch:                    /* what stands there must be a blr */
    mtctr   %r3
    bctr
probe_user:                     /* in problem state: call r5 with r3 and r4, then a system call */
    mtctr   %r5
    bctrl
    .globl  probe_back
probe_back:
    sc
    b       .
probe_user_end:

    .text
/* enter_user(r3, r4, r5: function, r6: MSR): runs it in problem state; a system call, or a trap, comes back with r3. */
    .globl enter_user
enter_user:
    stwu    %r1, -128(%r1)
    mflr    %r0
    stw     %r0, 132(%r1)
    stmw    %r13, 32(%r1)
    lis     %r7, user_stack@ha
    stw     %r1, user_stack@l(%r7)
    lis     %r7, probe_user@h
    ori     %r7, %r7, probe_user@l
    mtspr   SPR_SRR0, %r7
    mtspr   SPR_SRR1, %r6
    rfi
    .globl user_returns
user_returns:
    lis     %r7, user_stack@ha
    lwz     %r1, user_stack@l(%r7)
    lmw     %r13, 32(%r1)
    lwz     %r0, 132(%r1)
    mtlr    %r0
    addi    %r1, %r1, 128
    blr

    .bss
    .balign 16
    .space  16384
stack_top:
    .space  4096
trap_stack:
    .space  1024
trap_stack_top = trap_stack
    .globl device_tree
device_tree:
    .space  4
user_stack:
    .space  4
