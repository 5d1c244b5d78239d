/*
 * mark NUMBER [PROGRAM [WORD...]]: passes the mark of that number, then becomes the program, if there is one. So the kernel's words
 * "rdinit=/bin/mark -- 1 /init" mark where user space begins. It needs no library, and ends with 0, or 1 where it knows no such
 * mark or cannot become the program.
 */

#define SYSTEM_CALL_EXIT    1
#define SYSTEM_CALL_EXECVE  11

        /* Pass mark @number if r5 is that, which has to be written into the instruction. */
        .macro  PASS_IF number
        cmpwi   5, \number
        bne     1f
        twi     0, 31, \number
        b       passed
1:
        .endm

        .text
        .globl  _start
_start:
        lwz     3, 0(1)                 /* the number of words, behind which they stand */
        cmpwi   3, 2
        blt     failed
        addi    4, 1, 8                 /* where the first word behind our own name is */
        lwz     6, 0(4)
        li      5, 0
next_digit:
        lbz     7, 0(6)
        addi    6, 6, 1
        cmpwi   7, 0
        beq     whole
        mulli   5, 5, 10
        addi    7, 7, -'0'
        add     5, 5, 7
        b       next_digit
whole:
        PASS_IF 1
        PASS_IF 10
        PASS_IF 11
        b       failed
passed:
        cmpwi   3, 3
        blt     done
        slwi    5, 3, 2
        addi    5, 5, 8
        add     5, 5, 1                 /* the environment stands behind the words and a zero */
        addi    4, 4, 4
        lwz     3, 0(4)
        li      0, SYSTEM_CALL_EXECVE
        sc
failed:
        li      3, 1
        b       leave
done:
        li      3, 0
leave:
        li      0, SYSTEM_CALL_EXIT
        sc

        .section .note.GNU-stack, "", @progbits
