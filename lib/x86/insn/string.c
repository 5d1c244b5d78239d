/*
 * String instructions: one iteration is read, compute, write, advance; REP repeats it while the state
 * between any two iterations is one in which a processor may take an interrupt.
 */
#include "perform.h"

/* What one iteration does with memory: rSI is read, rDI is read or written. */
enum uses {
    READS_SOURCE = 1 << 0,
    READS_DESTINATION = 1 << 1,
    WRITES_DESTINATION = 1 << 2,
};

static unsigned uses_of(enum vmmu_insn_operation operation)
{
    static const uint8_t uses[VMMU_INSN_OPERATIONS] = {
        [VMMU_INSN_MOVS] = READS_SOURCE | WRITES_DESTINATION,
        [VMMU_INSN_CMPS] = READS_SOURCE | READS_DESTINATION,
        [VMMU_INSN_STOS] = WRITES_DESTINATION,
        [VMMU_INSN_LODS] = READS_SOURCE,
        [VMMU_INSN_SCAS] = READS_DESTINATION,
        [VMMU_INSN_INS] = WRITES_DESTINATION,
        [VMMU_INSN_OUTS] = READS_SOURCE,
    };

    return uses[operation];
}

static bool compares(enum vmmu_insn_operation operation)
{
    return operation == VMMU_INSN_CMPS || operation == VMMU_INSN_SCAS;
}

/* One element at work: `value` is what moves, or the left side of a comparison. */
struct element {
    struct place source;
    struct place destination;
    uint64_t value;
    uint64_t other;
};

static enum vmmu_status resolve_element(const struct work *work, unsigned uses, struct element *element)
{
    const struct vmmu_insn *insn = work->insn;
    const struct reference source = {
        .segment = insn->address.segment,
        .size_bytes = insn->operand_bytes,
        .access = VMMU_INSN_READ,
        .offset = vmmu_insn_get_register(work->state, VMMU_X86_RSI, insn->address_bytes),
    };
    const struct reference destination = {
        .segment = VMMU_X86_ES,
        .size_bytes = insn->operand_bytes,
        .access = (uses & WRITES_DESTINATION) ? VMMU_INSN_WRITE : VMMU_INSN_READ,
        .offset = vmmu_insn_get_register(work->state, VMMU_X86_RDI, insn->address_bytes),
    };
    enum vmmu_status status = VMMU_OK;

    if (uses & READS_SOURCE)
        status = vmmu_insn_resolve(work, &source, &element->source);
    if (status == VMMU_OK && (uses & (READS_DESTINATION | WRITES_DESTINATION)))
        status = vmmu_insn_resolve(work, &destination, &element->destination);
    return status;
}

/*
 * A port must not be read before it is known that what it gives can be stored: reading it changes the device.
 */
static enum vmmu_status read_port(const struct work *work, struct element *element)
{
    const enum vmmu_status status = vmmu_insn_probe_write(work, &element->destination);

    if (status != VMMU_OK)
        return status;
    return work->memory->port_in(work->memory->context, (uint16_t)work->state->gpr[VMMU_X86_RDX],
                                 work->insn->operand_bytes, &element->value);
}

static enum vmmu_status read_element(const struct work *work, unsigned uses, struct element *element)
{
    enum vmmu_status status = VMMU_OK;

    element->value = vmmu_insn_get_register(work->state, VMMU_X86_RAX, work->insn->operand_bytes);
    if (uses & READS_SOURCE)
        status = vmmu_insn_read(work, &element->source, VMMU_INSN_READ, &element->value);
    if (status == VMMU_OK && (uses & READS_DESTINATION))
        status = vmmu_insn_read(work, &element->destination, VMMU_INSN_READ, &element->other);
    if (status == VMMU_OK && work->insn->operation == VMMU_INSN_INS)
        status = read_port(work, element);
    return status;
}

static enum vmmu_status write_element(const struct work *work, unsigned uses, const struct element *element)
{
    const struct vmmu_insn_memory *memory = work->memory;

    if (uses & WRITES_DESTINATION)
        return vmmu_insn_write(work, &element->destination, element->value);
    if (work->insn->operation == VMMU_INSN_OUTS) {
        return memory->port_out(memory->context, (uint16_t)work->state->gpr[VMMU_X86_RDX],
                                work->insn->operand_bytes, element->value);
    }
    return VMMU_OK;
}

static void advance(const struct work *work, struct vmmu_x86_state *state, unsigned number)
{
    const uint64_t bytes = work->insn->operand_bytes;
    const uint64_t step = (state->rflags & RFLAGS_DF) ? -bytes : bytes;

    vmmu_insn_set_register(state, number, work->insn->address_bytes, state->gpr[number] + step);
}

static void commit_element(const struct work *work, struct vmmu_x86_state *state, unsigned uses,
                           const struct element *element)
{
    const struct vmmu_insn *insn = work->insn;

    if (insn->operation == VMMU_INSN_LODS)
        vmmu_insn_set_register(state, VMMU_X86_RAX, insn->operand_bytes, element->value);
    if (compares(insn->operation)) {
        struct arithmetic a = {
            .destination = element->value,
            .source = element->other,
            .rflags = state->rflags,
            .size_bytes = insn->operand_bytes,
        };

        vmmu_insn_compute(VMMU_INSN_CMP, &a);
        state->rflags = a.rflags;
    }
    if (uses & READS_SOURCE)
        advance(work, state, VMMU_X86_RSI);
    if (uses & (READS_DESTINATION | WRITES_DESTINATION))
        advance(work, state, VMMU_X86_RDI);
}

static enum vmmu_status iterate(const struct work *work, struct vmmu_x86_state *state)
{
    const unsigned uses = uses_of(work->insn->operation);
    struct element element = { 0 };
    enum vmmu_status status = resolve_element(work, uses, &element);

    if (status == VMMU_OK)
        status = read_element(work, uses, &element);
    if (status == VMMU_OK)
        status = write_element(work, uses, &element);
    if (status == VMMU_OK)
        commit_element(work, state, uses, &element);
    return status;
}

/* Whether REP stops before the count does: REPE at a difference, REPNE at a match. */
static bool comparison_ends(const struct work *work)
{
    const bool equal = work->state->rflags & RFLAGS_ZF;

    return compares(work->insn->operation) && equal != (work->insn->repeat == VMMU_INSN_REPEAT_F3);
}

/* Leave the state between two iterations, as a processor does that takes an interrupt or a trap there. */
static void pause_repeating(struct vmmu_x86_state *state, struct vmmu_insn_outcome *outcome)
{
    state->rflags |= RFLAGS_RF;
    state->interrupt_shadow = false;
    outcome->again = true;
    outcome->single_step = state->rflags & RFLAGS_TF;
}

static enum vmmu_status repeat(const struct work *work, struct vmmu_x86_state *state,
                               struct vmmu_insn_outcome *outcome)
{
    const unsigned count_bytes = work->insn->address_bytes;
    const uint64_t status_flags = state->rflags & RFLAGS_STATUS;
    unsigned left = (state->rflags & RFLAGS_TF) ? 1 : VMMU_INSN_ITERATIONS;
    uint64_t count = vmmu_insn_get_register(state, VMMU_X86_RCX, count_bytes);

    while (count != 0) {
        const enum vmmu_status status = iterate(work, state);

        if (status != VMMU_OK) {
            /* A fault in a repeated comparison leaves the flags as they were before the instruction. */
            state->rflags = (state->rflags & ~RFLAGS_STATUS) | status_flags;
            return status;
        }
        vmmu_insn_set_register(state, VMMU_X86_RCX, count_bytes, --count);
        if (comparison_ends(work))
            break;
        if (--left == 0 && count != 0) {
            pause_repeating(state, outcome);
            break;
        }
    }
    return VMMU_OK;
}

enum vmmu_status vmmu_insn_perform_string(const struct work *work, struct vmmu_x86_state *state,
                                          struct vmmu_insn_outcome *outcome)
{
    if ((work->insn->operation == VMMU_INSN_INS && !work->memory->port_in) ||
        (work->insn->operation == VMMU_INSN_OUTS && !work->memory->port_out))
        return VMMU_UNSUPPORTED;
    if (work->insn->repeat == VMMU_INSN_REPEAT_NONE)
        return iterate(work, state);
    return repeat(work, state, outcome);
}
