/* Interrupts: which came, and what the test wants done about it. */
#ifndef TESTS_GUESTS_PPC_TRAPS_H
#define TESTS_GUESTS_PPC_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers of IVORs. */
enum trap {
    TRAP_CRITICAL = 0,
    TRAP_MACHINE_CHECK = 1,
    TRAP_DATA_STORAGE = 2,
    TRAP_INSTRUCTION_STORAGE = 3,
    TRAP_EXTERNAL = 4,
    TRAP_ALIGNMENT = 5,
    TRAP_PROGRAM = 6,
    TRAP_SYSTEM_CALL = 8,
    TRAP_DECREMENTER = 10,
    TRAP_FIXED_INTERVAL = 11,
    TRAP_WATCHDOG = 12,
    TRAP_DATA_TLB = 13,
    TRAP_INSTRUCTION_TLB = 14,
    TRAP_DEBUG = 15,
    TRAP_SPE = 32,
    TRAPS = 36,
    TRAP_NONE = TRAPS,
};

/* As start.S lays it out; what is changed here is what the interrupted program goes on with. */
struct trap_frame {
    uint32_t r[32];
    uint32_t lr, ctr, xer, cr;
    uint32_t pc, msr; /* SRR0 and SRR1, or CSRR0 and CSRR1 */
    uint32_t number;
};

/* The last one that came. */
struct trap_record {
    enum trap number; /* TRAP_NONE: none since it was last set so */
    uint32_t pc, msr, esr, dear;
    uint32_t mas0, mas1, mas2, mas6; /* what a miss put there */
    uint32_t lr, r3;
};

extern struct trap_record trap_last;
extern unsigned trap_counts[TRAPS];

/* Asked first, if a test sets it: true if it has dealt with the interrupt. */
extern bool (*trap_hook)(struct trap_frame *frame);

/* Have all interrupts come to start.S. To be called before anything can trap. */
void traps_init(void);

/* How the interrupt that cut an access short is called; TRAP_NONE: it went through. */
enum trap try_load(uint32_t ea, uint32_t *value);
enum trap try_store(uint32_t ea, uint32_t value);
enum trap try_fetch(uint32_t ea); /* of a blr */

/* The same in problem state, with these of MSR's bits besides. The page of probes must be mapped for it. */
enum trap user_load(uint32_t ea, uint32_t msr, uint32_t *value);
enum trap user_store(uint32_t ea, uint32_t value, uint32_t msr);
enum trap user_fetch(uint32_t ea, uint32_t msr);

/* Run @function, of the page of probes or another that is mapped, in problem state; what trapped, or TRAP_NONE. */
enum trap user_run(uint32_t function, uint32_t first, uint32_t msr, uint32_t *value);

#endif
