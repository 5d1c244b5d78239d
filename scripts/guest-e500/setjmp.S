/*
 * The C library's two primitives of setjmp and longjmp, without the floating-point registers that an e500v2 lacks: the kernel
 * emulates each access to one, some forty for a pair of calls, and a shell makes such pairs all the time. No program here
 * keeps anything in such a register across a call (-ffixed-f14 and on), so that nothing is lost.
 *
 * A buffer holds r1, LR, CR and r13 to r31, in this order; what the library keeps behind that, the signal mask, is its own.
 *
 * Spec: Power Architecture 32-bit ABI "Function Calling Sequence".
 */

        .text

        /* int __sigsetjmp(struct buffer *buffer, int save_mask) */
        .globl  __vmx__sigsetjmp, __sigsetjmp
        .type   __vmx__sigsetjmp, @function
__vmx__sigsetjmp:
__sigsetjmp:
        mflr    0
        mfcr    5
        stw     1, 0(3)
        stw     0, 4(3)
        stw     5, 8(3)
        stmw    13, 12(3)
        b       __sigjmp_save
        .size   __vmx__sigsetjmp, . - __vmx__sigsetjmp

        /* void __longjmp(struct buffer *buffer, int value), which the library gives no zero */
        .globl  __vmx__longjmp, __longjmp
        .type   __vmx__longjmp, @function
__vmx__longjmp:
__longjmp:
        lwz     1, 0(3)
        lwz     0, 4(3)
        lwz     5, 8(3)
        lmw     13, 12(3)
        mtlr    0
        mtcr    5
        mr      3, 4
        blr
        .size   __vmx__longjmp, . - __vmx__longjmp

        .section .note.GNU-stack, "", @progbits
