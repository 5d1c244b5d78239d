/*
 * Registers by size, and operands of every kind.
 */
#include "perform.h"

/* Four bytes clear the upper half; one and two leave the rest alone. */
void vmmu_insn_set_register(struct vmmu_x86_state *state, unsigned number, unsigned size_bytes,
                            uint64_t value)
{
    const uint64_t mask = mask_of(size_bytes);

    if (size_bytes >= 4) {
        state->gpr[number] = value & mask;
    } else {
        state->gpr[number] = (state->gpr[number] & ~mask) | (value & mask);
    }
}

void vmmu_insn_set_general(struct vmmu_x86_state *state, struct vmmu_insn_operand operand,
                           unsigned size_bytes, uint64_t value)
{
    const uint64_t high_byte = BITS64(15, 8);
    uint64_t *reg = &state->gpr[operand.number];

    if (operand.kind == VMMU_INSN_OPERAND_HIGH_BYTE) {
        *reg = (*reg & ~high_byte) | (value << 8 & high_byte);
    } else {
        vmmu_insn_set_register(state, operand.number, size_bytes, value);
    }
}

enum vmmu_status vmmu_insn_get_memory(const struct work *work, unsigned size_bytes, uint64_t *value)
{
    struct place place;
    const enum vmmu_status status = vmmu_insn_resolve_operand(work, size_bytes, VMMU_INSN_READ, &place);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_read(work, &place, VMMU_INSN_READ, value);
}

enum vmmu_status vmmu_insn_set_memory(const struct work *work, uint64_t value)
{
    struct place place;
    const enum vmmu_status status =
        vmmu_insn_resolve_operand(work, work->insn->operand_bytes, VMMU_INSN_WRITE, &place);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_write(work, &place, value);
}

/* What is neither a whole register nor memory. */
enum vmmu_status vmmu_insn_get_other(const struct work *work, struct vmmu_insn_operand operand,
                                     uint64_t *value)
{
    const struct vmmu_x86_state *state = work->state;

    if (operand.kind == VMMU_INSN_OPERAND_HIGH_BYTE) {
        *value = state->gpr[operand.number] >> 8 & mask_of(1);
    } else if (operand.kind == VMMU_INSN_OPERAND_IMMEDIATE) {
        *value = work->insn->immediate;
    } else if (operand.kind == VMMU_INSN_OPERAND_SEGMENT) {
        *value = state->segment[operand.number].selector;
    } else {
        return VMMU_INVALID;
    }
    return VMMU_OK;
}

/* The 16 bytes of a descriptor, as two reads after one check. */
static enum vmmu_status get_wide(const struct work *work, uint64_t value[2])
{
    struct place place;
    struct place half;
    enum vmmu_status status = vmmu_insn_resolve_operand(work, 16, VMMU_INSN_READ, &place);

    if (status != VMMU_OK)
        return status;
    half = (struct place){ place.linear, 8 };
    status = vmmu_insn_read(work, &half, VMMU_INSN_READ, &value[0]);
    if (status != VMMU_OK)
        return status;
    half.linear += 8;
    if (work->insn->width != VMMU_INSN_64)
        half.linear &= mask_of(4);
    return vmmu_insn_read(work, &half, VMMU_INSN_READ, &value[1]);
}

enum vmmu_status vmmu_insn_load_source(const struct vmmu_insn *insn, const struct vmmu_x86_state *state,
                                       const struct vmmu_insn_memory *memory, uint64_t value[2],
                                       struct vmmu_x86_fault *fault)
{
    const struct work work = { insn, state, memory, fault };

    if (insn->source_bytes == 16)
        return insn->source.kind == VMMU_INSN_OPERAND_MEMORY ? get_wide(&work, value) : VMMU_INVALID;
    return vmmu_insn_get(&work, insn->source, insn->source_bytes, value);
}

enum vmmu_status vmmu_insn_store_destination(const struct vmmu_insn *insn, struct vmmu_x86_state *state,
                                             const struct vmmu_insn_memory *memory, uint64_t value,
                                             struct vmmu_x86_fault *fault)
{
    const struct work work = { insn, state, memory, fault };

    if (insn->operand_bytes == 16)
        return VMMU_INVALID;
    return vmmu_insn_set(&work, state, value);
}
