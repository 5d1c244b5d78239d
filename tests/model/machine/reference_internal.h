/*
 * What the files of the reference share.
 */
#ifndef TESTS_MODEL_MACHINE_REFERENCE_INTERNAL_H
#define TESTS_MODEL_MACHINE_REFERENCE_INTERNAL_H

#include "tests/model/machine/history.h"
#include "tests/model/machine/reference.h"

struct reference_vp {
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode;
};

struct reference {
    struct vmmu_x86_cpu cpu;
    bool intel;
    unsigned vps;
    uint64_t now; /* moments so far: each store, each change of a register, each invalidation */
    uint64_t given_up;
    struct history *history;
    struct vmmu_ram ram; /* guest memory now, for walks */
    struct reference_vp vp[MODEL_VPS];
};

#endif
