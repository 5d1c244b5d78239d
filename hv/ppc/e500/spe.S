/*
 * The SPE's state: upper halves of the general registers, which ordinary instructions leave alone, and the accumulator.
 * r3 points to a struct ppc_spe. The lower halves are the hypervisor's own here: they are stored, too, but never loaded.
 *
 * Spec: "Signal Processing Engine (SPE) Programming Environments Manual".
 */
#define ACCUMULATOR 256

    .machine e500
    .text

/* void e500_spe_save(struct ppc_spe *spe) */
    .globl e500_spe_save
e500_spe_save:
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    evstdd  %r\n, 8*\n(%r3)
    .endr
    addi    %r5, %r3, ACCUMULATOR
    evxor   %r4, %r4, %r4
    evmwumiaa %r4, %r4, %r4         /* adding nothing shows it */
    evstdd  %r4, 0(%r5)
    blr

/* void e500_spe_load(const struct ppc_spe *spe) */
    .globl e500_spe_load
e500_spe_load:
    addi    %r5, %r3, ACCUMULATOR
    evldd   %r4, 0(%r5)
    evmra   %r4, %r4
    .irp    n, 0,1,2,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    lwz     %r4, 8*\n(%r3)
    evmergelo %r\n, %r4, %r\n
    .endr
    lwz     %r5, 8*4(%r3)
    evmergelo %r4, %r5, %r4
    blr

    .section .note.GNU-stack, "", @progbits
