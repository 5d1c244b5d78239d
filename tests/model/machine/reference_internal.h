/*
 * What the files of the reference share.
 */
#ifndef TESTS_MODEL_MACHINE_REFERENCE_INTERNAL_H
#define TESTS_MODEL_MACHINE_REFERENCE_INTERNAL_H

#include "tests/model/machine/history.h"
#include "tests/model/machine/reference.h"
#include "tests/model/machine/reference_past.h"

struct reference_vp {
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode;
    struct past past;
};

struct reference {
    struct vmmu_x86_cpu cpu;
    bool intel;
    unsigned vps;
    uint64_t now; /* moments so far: each store, each change of a register, each invalidation */
    uint64_t given_up;
    struct history *history;
    struct vmmu_ram ram; /* guest memory now, for walks */
    /* As far as they have been seen, with EFER.NXE clear and set. */
    struct vmmu_x86_layout layout[VMMU_X86_FORMATS][2];
    struct reference_vp vp[MODEL_VPS];
};

/* The linear address that an instruction names: 32 bits of it outside long mode. */
static inline uint64_t reference_linear(const struct vmmu_x86_mode *mode, uint64_t address)
{
    return mode->address_bits == 32 ? address & BITS64(31, 0) : address;
}

#endif
