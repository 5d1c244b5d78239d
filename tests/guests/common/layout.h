/*
 * Numbers that assembly and C share: selectors, vectors, and the names of registers of the
 * mode that is being built.
 */
#ifndef TESTS_GUESTS_LAYOUT_H
#define TESTS_GUESTS_LAYOUT_H

/* KERNEL_CODE is of the mode being built; CODE32 is always 32-bit. */
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE   0x1b
#define USER_DATA   0x23
#define TASK_STATE  0x28
#define CODE32      0x38

/* The system call by which probing code says that nothing stopped it. */
#define VECTOR_DONE 0x80

#define STACK_BYTES 16384

/* Processors beside the one that starts, and the page at which they start: below 1 MiB, where no table of the firmware is. */
#define SMP_CPUS    8
#define SMP_PAGE    0x8000

#ifdef __x86_64__
#define WORD      8
#define STACK     "rsp"
#define AX_TEXT   "rax"
#define BASE_TEXT "rbx"
#define SI_TEXT   "rsi"
#define DI_TEXT   "rdi"
#define SPARE     "r11"
#define WORD_TEXT "8"
#define OP        "q"
#define SP        % rsp
#define BP        % rbp
#define AX        % rax
#define BX        % rbx
#define CX        % rcx
#define DX        % rdx
#define SI        % rsi
#define DI        % rdi
#else
#define WORD      4
#define STACK     "esp"
#define AX_TEXT   "eax"
#define BASE_TEXT "ebx"
#define SI_TEXT   "esi"
#define DI_TEXT   "edi"
#define SPARE     "edi"
#define WORD_TEXT "4"
#define OP        "l"
#define SP        % esp
#define BP        % ebp
#define AX        % eax
#define BX        % ebx
#define CX        % ecx
#define DX        % edx
#define SI        % esi
#define DI        % edi
#endif

#endif
