/*
 * Traps: what the guest's own handlers saw.
 *
 * Four ways to meet a trap. TRY() runs instructions of which one may fault, and goes on behind them.
 * user_run() runs code at CPL 3 until it traps. A hook takes a vector over, for interrupts. Anything else
 * ends the guest by bail_out().
 */
#ifndef TESTS_GUESTS_TRAPS_H
#define TESTS_GUESTS_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/common/layout.h"

#define VECTOR_DIVIDE     0
#define VECTOR_DEBUG      1
#define VECTOR_NMI        2
#define VECTOR_BREAKPOINT 3
#define VECTOR_OVERFLOW   4
#define VECTOR_UNDEFINED  6
#define VECTOR_NO_FPU     7
#define VECTOR_DOUBLE     8
#define VECTOR_NO_SEGMENT 11
#define VECTOR_STACK      12
#define VECTOR_PROTECTION 13
#define VECTOR_PAGE       14

#define TRAP_NONE         0x100

/*
 * What the stubs push, lowest address first. `sp` and `ss` are there in a 32-bit guest
 * only if it came from CPL 3.
 */
struct trap_frame {
    uintptr_t di, si, bp, bx, dx, cx, ax;
#ifdef __x86_64__
    uintptr_t r[8];
#else
    uintptr_t es, ds;
#endif
    uintptr_t vector, error;
    uintptr_t ip, cs, flags;
    uintptr_t sp, ss;
};

/* The last trap that TRY() or user_run() met. `vector` is TRAP_NONE if there was none. */
struct trap {
    uintptr_t vector;
    uintptr_t error;
    uintptr_t ip;
    uintptr_t flags;
    uintptr_t cr2;
    uintptr_t dr6;
    uintptr_t ax;
};

extern volatile struct trap trap_last;

/* Where to go on after a trap at CPL 0; 0: nobody waits for one. */
extern volatile uintptr_t trap_resume;

/*
 * Run @code, instructions as text; a trap in it skips the rest. What it was stands in trap_last. The
 * arguments behind the text are outputs, inputs and clobbers as for asm.
 */
#define TRY(code, ...)                                                                                       \
    do {                                                                                                     \
        trap_last.vector = TRAP_NONE;                                                                        \
        __asm__ volatile("mov" OP " $9f, trap_resume\n\t" code "\n9:\tmov" OP                                \
                         " $0, trap_resume" __VA_ARGS__);                                                    \
    } while (0)

typedef void trap_hook(struct trap_frame *frame);

/* Give a vector to @hook, or back to nobody with NULL. Returns from the hook go on where the frame says. */
void trap_hook_set(unsigned vector, trap_hook *hook);

/* The same as IDT entry: present or not, and through which privilege level it may be called. */
void trap_gate_set(unsigned vector, bool present, unsigned privilege);

/* Have @vector use stack 1 of the interrupt stack table (64-bit guests), or none. */
void trap_gate_stack(unsigned vector, unsigned stack);

/* Have @vector switch to the task whose state @selector names (32-bit guests), or not any more with 0. */
void trap_gate_task(unsigned vector, unsigned selector);

/*
 * The descriptor tables, the task state, and the interrupt vectors. Called once, before the guest's own code.
 */
void traps_start(void);

/* Load the IDT register with another place for the table. */
void trap_table_move(uintptr_t to);
void trap_table_restore(void);

/* Bytes of the IDT. */
uintptr_t trap_table_bytes(void);
uintptr_t trap_table(void);

/*
 * Run code at CPL 3 from @ip with @flags (IF apart as given) and @address in AX until
 * it traps; see trap_last.
 */
void user_run(uintptr_t ip, uintptr_t flags, uintptr_t address);

#endif
