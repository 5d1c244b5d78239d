/*
 * The walk of a guest's tables once more, written down from the manual with nothing of the library: what a
 * processor finds, or the error code of its page fault.
 */
#ifndef TESTS_FUZZ_WALK_REFERENCE_H
#define TESTS_FUZZ_WALK_REFERENCE_H

#include "memory.h"

struct walk_reference {
    bool absent; /* a table lies where no memory is */
    bool fault;
    uint32_t error_code; /* of a page fault */
    uint64_t gpa;
    uint64_t page_bytes;
};

/* Translate @linear, which is canonical; @registers are sound, with paging on. Marks nothing. */
struct walk_reference
walk_reference(const struct vmmu_x86_cpu *cpu, const struct vmmu_x86_paging_registers *registers,
               const struct memory *memory, uint64_t linear, struct vmmu_x86_access access);

#endif
