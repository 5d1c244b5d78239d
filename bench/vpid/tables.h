/*
 * Walks through the tables that the emulated processor walks: the hypervisor's own, the guest's behind a second stage, or
 * those that stand in the place of the guest's. They lie in the emulated machine's memory, which is seen from here.
 */
#ifndef BENCH_VPID_TABLES_H
#define BENCH_VPID_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/x86/svm/vmcb.h"
#include "registers.h"
#include "trace.h"

/* The hypervisor's, by the processor's registers while it runs. */
bool tables_of_hypervisor(const struct registers *registers);

/* The guest's, as its VMCB says. False: it says what cannot be. */
bool tables_of_guest(const struct svm_vmcb *vmcb);

/* The guest has loaded CR3 by itself. */
bool tables_load_root(uint64_t cr3);

/* The guest's CR3. */
uint64_t tables_root(void);

/* Walk for @address. False: it is not mapped. */
bool tables_walk(bool guest, uint64_t address, struct trace_translation *found);

#endif
