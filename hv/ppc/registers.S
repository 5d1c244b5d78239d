/*
 * What code that is made small calls to save and restore the registers that a function must leave as they were: r14 to r31, below
 * the address in r11. The _x ones end the function, too.
 *
 * Spec: "Power Architecture 32-bit Application Binary Interface Supplement", Register Saving and Restoring Functions.
 */
    .section .text.registers, "ax"

.macro SAVE_FROM first
    .globl  _savegpr_\first
_savegpr_\first:
    stw     \first, -4 * (32 - \first)(%r11)
.endm

.macro RESTORE_FROM first
    .globl  _restgpr_\first
_restgpr_\first:
    lwz     \first, -4 * (32 - \first)(%r11)
.endm

.macro RETURN_FROM first
    .globl  _restgpr_\first\()_x
_restgpr_\first\()_x:
    lwz     \first, -4 * (32 - \first)(%r11)
.endm

    .irp    first, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    SAVE_FROM \first
    .endr
    blr

    .irp    first, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    RESTORE_FROM \first
    .endr
    blr

    .irp    first, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    RETURN_FROM \first
    .endr
    .globl  _restgpr_31_x
_restgpr_31_x:
    lwz     %r0, 4(%r11)
    lwz     %r31, -4(%r11)
    mtlr    %r0
    mr      %r1, %r11
    blr

    .section .note.GNU-stack, "", @progbits
