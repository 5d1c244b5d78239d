/*
 * The registers of the emulated processor. The interface for plugins (version 1) does not tell them; Debian's emulator, which
 * loads modules, exports its own functions, and the one behind its monitor's "info registers" writes them as text.
 *
 * What an instruction left in general registers is there at the beginning of the next block of instructions, not before.
 */
#ifndef BENCH_VPID_REGISTERS_H
#define BENCH_VPID_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

struct registers {
    uint64_t gpr[16]; /* as instructions number them */
    uint64_t cr0, cr3, cr4, efer;
};

/* Read those of processor 0. False: the emulator does not write what is expected of it. */
bool registers_read(struct registers *registers);

#endif
