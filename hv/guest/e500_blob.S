/* The compiled device tree of the e500 machine: the build makes e500.dtb of e500.dts. */

        .section .rodata.e500_device_tree, "a"
        .balign 8
        .globl e500_device_tree
        .type e500_device_tree, @object
e500_device_tree:
        .incbin "e500.dtb"
        .size e500_device_tree, . - e500_device_tree
        .globl e500_device_tree_end
e500_device_tree_end:

        .section .note.GNU-stack, "", @progbits
