/*
 * What the files of performing share. Reading goes through a const state; only a handler's last step
 * changes it, so that an instruction which does not complete has changed nothing.
 */
#ifndef VMMU_INSN_PERFORM_H
#define VMMU_INSN_PERFORM_H

#include "registers.h"

/* One instruction at work. */
struct work {
    const struct vmmu_insn *insn;
    const struct vmmu_x86_state *state;
    const struct vmmu_insn_memory *memory;
    struct vmmu_x86_fault *fault;
};

/* An operand in memory as the instruction names it, and once its checks have passed. */
struct reference {
    uint8_t segment;
    uint8_t size_bytes;
    enum vmmu_insn_access access;
    uint64_t offset;
};

struct place {
    uint64_t linear;
    uint8_t size_bytes;
};

static inline bool place_crosses_page(const struct place *place)
{
    return (place->linear & (VMMU_PAGE_BYTES - 1)) + place->size_bytes > VMMU_PAGE_BYTES;
}

static inline uint64_t mask_of(unsigned size_bytes)
{
    return ~UINT64_C(0) >> (64 - size_bytes * 8);
}

static inline uint64_t sign_extend(uint64_t value, unsigned size_bytes)
{
    const uint64_t sign = BIT64(size_bytes * 8 - 1);

    return ((value & mask_of(size_bytes)) ^ sign) - sign;
}

/* address.c: the offset of the memory operand, cut to the address size. */
uint64_t vmmu_insn_offset(const struct vmmu_insn *insn, const struct vmmu_x86_state *state);

/*
 * Every check that segmentation, canonical form and alignment ask for. VMMU_OK and *place, or
 * VMMU_GUEST_FAULT.
 */
enum vmmu_status vmmu_insn_resolve(const struct work *work, const struct reference *reference,
                                   struct place *place);

/* The same for the memory operand, of which the size may differ from the instruction's. */
enum vmmu_status vmmu_insn_resolve_operand(const struct work *work, unsigned size_bytes,
                                           enum vmmu_insn_access access, struct place *place);

enum vmmu_status vmmu_insn_raise(const struct work *work, uint8_t vector);

/* memory.c: an access to a place that may cross a page, by callbacks that never do. */
enum vmmu_status vmmu_insn_read(const struct work *work, const struct place *place,
                                enum vmmu_insn_access access, uint64_t *value);
enum vmmu_status vmmu_insn_write(const struct work *work, const struct place *place, uint64_t value);
enum vmmu_status vmmu_insn_probe_write(const struct work *work, const struct place *place);

/* One compare and exchange, of a place that does not cross a page. */
enum vmmu_status vmmu_insn_exchange(const struct work *work, const struct place *place, uint64_t expected[2],
                                    const uint64_t desired[2]);

/* operand.c: registers by size, and operands of every kind. */
void vmmu_insn_set_register(struct vmmu_x86_state *state, unsigned number, unsigned size_bytes,
                            uint64_t value);
void vmmu_insn_set_general(struct vmmu_x86_state *state, struct vmmu_insn_operand operand,
                           unsigned size_bytes, uint64_t value);
enum vmmu_status vmmu_insn_get_memory(const struct work *work, unsigned size_bytes, uint64_t *value);
enum vmmu_status vmmu_insn_set_memory(const struct work *work, uint64_t value);
enum vmmu_status vmmu_insn_get_other(const struct work *work, struct vmmu_insn_operand operand,
                                     uint64_t *value);

static inline uint64_t vmmu_insn_get_register(const struct vmmu_x86_state *state, unsigned number,
                                              unsigned size_bytes)
{
    return state->gpr[number] & mask_of(size_bytes);
}

/* The value of an operand, cut to @size_bytes. */
static inline enum vmmu_status vmmu_insn_get(const struct work *work, struct vmmu_insn_operand operand,
                                             unsigned size_bytes, uint64_t *value)
{
    if (operand.kind == VMMU_INSN_OPERAND_MEMORY)
        return vmmu_insn_get_memory(work, size_bytes, value);
    if (operand.kind != VMMU_INSN_OPERAND_REGISTER)
        return vmmu_insn_get_other(work, operand, value);
    *value = vmmu_insn_get_register(work->state, operand.number, size_bytes);
    return VMMU_OK;
}

/* The destination gets @value, of which operand_bytes count. */
static inline enum vmmu_status vmmu_insn_set(const struct work *work, struct vmmu_x86_state *state,
                                             uint64_t value)
{
    const struct vmmu_insn_operand operand = work->insn->destination;

    if (operand.kind == VMMU_INSN_OPERAND_MEMORY)
        return vmmu_insn_set_memory(work, value);
    if (operand.kind != VMMU_INSN_OPERAND_REGISTER && operand.kind != VMMU_INSN_OPERAND_HIGH_BYTE)
        return VMMU_INVALID;
    vmmu_insn_set_general(state, operand, work->insn->operand_bytes, value);
    return VMMU_OK;
}

/* What the arithmetic unit is given and gives back. Values are cut to size_bytes. */
struct arithmetic {
    uint64_t destination;
    uint64_t source;
    uint64_t accumulator; /* for CMPXCHG */
    uint64_t result;
    uint64_t rflags;
    uint8_t size_bytes;
};

/* arithmetic.c: result and flags of the operation, VMMU_INSN_ADD to VMMU_INSN_BTC, or of an exchange. */
void vmmu_insn_compute(enum vmmu_insn_operation operation, struct arithmetic *arithmetic);

/* string.c: string instructions, with REP. */
enum vmmu_status vmmu_insn_perform_string(const struct work *work, struct vmmu_x86_state *state,
                                          struct vmmu_insn_outcome *outcome);

#endif
