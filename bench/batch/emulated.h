/*
 * How fast libunicorn translates: a loop in an emulated processor that loads a byte from each address of a list.
 */
#ifndef BENCH_BATCH_EMULATED_H
#define BENCH_BATCH_EMULATED_H

#include <stddef.h>
#include <stdint.h>

/* A machine stopped in 4-level paging, and the addresses that are asked of it. */
struct subject {
    uint8_t *memory; /* from physical address 0 on; private: its root table is written */
    uint64_t memory_bytes;
    uint64_t cr0, cr3, cr4, efer;
    const uint64_t *addresses;
    size_t count;
};

/*
 * An engine with @subject's memory, tables and control registers, to be run several times. Ends the program if there can be
 * none. What it does is the emulator's whole way of a load: its own TLB, and a walk of the tables where that misses. This
 * version of it reads where the linear address points to rather than what it walked to, so that nothing but the walk's
 * success can be checked.
 */
struct emulated;
struct emulated *emulated_open(const struct subject *subject);

/* Load from every address once. Ends the program if one faults. */
void emulated_run(struct emulated *emulated);

void emulated_close(struct emulated *emulated);

/* Print a sentence to standard error, and end the program. */
_Noreturn void refuse(const char *what);

#endif
