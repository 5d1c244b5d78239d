/*
 * What bench/count.c sees of our own hypervisor while a guest runs on it: the state in its memory, read from outside at each
 * of the guest's entries. Nothing that is measured takes part, so the counts stay what they are without it.
 */
#ifndef BENCH_HYPERVISOR_H
#define BENCH_HYPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Where the instructions of the hypervisor are linked to run. */
#define HYPERVISOR_WINDOW       UINT64_C(0xffffffffffe00000)
#define HYPERVISOR_WINDOW_BYTES 0x200000u

struct entry_counts {
    uint64_t hypervisor; /* instructions since the exit */
    uint64_t guest;      /* instructions before it, since the last entry */
};

/* Find the emulated machine's memory in this process. False: it is not there; errors are printed. */
bool hypervisor_attach(void);

/* The emulated machine's memory at @physical, or NULL where none is. */
const void *hypervisor_memory(uint64_t physical, size_t bytes);

struct svm_vmcb;

/* What a world switch goes by. */
struct world_switch {
    const struct svm_vmcb *vmcb;
    uint64_t flushes;  /* of the guest's translations that were asked for until now */
    bool tagged_roots; /* another root is another tag; else it is a flush, and counted as one */
};

/* Tell of the virtual processor that runs. False: there is none yet. */
bool hypervisor_switch(struct world_switch *out);

/* The guest is about to be entered: account for the exit before, and print it while `trace` is set. */
void hypervisor_entry(FILE *out, const struct entry_counts *counts, bool trace);

/* Print what has been accounted for since the beginning: lines "exits", "counters" and "peak". */
void hypervisor_print(FILE *out);

/* Print a line "tables": the page tables that the guest has, of those that its processor can reach. */
void hypervisor_print_tables(FILE *out);

#endif
