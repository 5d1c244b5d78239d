/*
 * What the files of the reference share.
 */
#ifndef TESTS_MODEL_MACHINE_REFERENCE_INTERNAL_H
#define TESTS_MODEL_MACHINE_REFERENCE_INTERNAL_H

#include "tests/model/machine/history.h"
#include "tests/model/machine/reference.h"
#include "tests/model/machine/reference_past.h"

#define REFERENCE_SPACES 16U

struct reference_vp {
    struct vmmu_x86_paging_registers registers;
    struct vmmu_x86_mode mode;
    struct past past;
    /* By CR3: the address spaces that hypercalls switched among since translations of all of them were last removed. */
    uint8_t space_count; /* 0: contexts are told apart by PCIDs */
    uint8_t space_now;
    uint64_t space[REFERENCE_SPACES];
};

/*
 * What cached translations are told apart by: the PCID; or, beyond all PCIDs, an address space that was switched to by
 * hypercall. The one from which the first such switch was made goes on under the PCID that it had.
 */
static inline uint16_t reference_context(const struct reference_vp *vp)
{
    return vp->space_now == 0 ? vp->mode.pcid : (uint16_t)(0x1000 + vp->space_now);
}

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

/* A new moment of the VP, as its mode is, if anything is different. @invalidation may be NULL. */
void reference_pass(struct reference *reference, unsigned vp, const struct invalidation *invalidation);

/* The linear address that an instruction names: 32 bits of it outside long mode. */
static inline uint64_t reference_linear(const struct vmmu_x86_mode *mode, uint64_t address)
{
    return mode->address_bits == 32 ? address & BITS64(31, 0) : address;
}

#endif
