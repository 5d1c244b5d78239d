/*
 * Whole instructions. Every handler reads and checks first, writes memory next, and changes the state last,
 * when nothing can fail any more.
 */
#include "perform.h"

static uint64_t swap_bytes(uint64_t value, unsigned size_bytes)
{
    uint64_t swapped = 0;

    for (unsigned i = 0; i < size_bytes; i++)
        swapped = swapped << 8 | (value >> (i * 8) & mask_of(1));
    return swapped;
}

/* MOV; MOVZX as well: what is loaded is zero-extended. */
static enum vmmu_status move(const struct work *work, struct vmmu_x86_state *state)
{
    uint64_t value;
    const enum vmmu_status status = vmmu_insn_get(work, work->insn->source, work->insn->source_bytes, &value);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_set(work, state, value);
}

static enum vmmu_status move_signed(const struct work *work, struct vmmu_x86_state *state)
{
    uint64_t value;
    const enum vmmu_status status = vmmu_insn_get(work, work->insn->source, work->insn->source_bytes, &value);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_set(work, state, sign_extend(value, work->insn->source_bytes));
}

static enum vmmu_status move_swapped(const struct work *work, struct vmmu_x86_state *state)
{
    uint64_t value;
    const enum vmmu_status status = vmmu_insn_get(work, work->insn->source, work->insn->source_bytes, &value);

    if (status != VMMU_OK)
        return status;
    return vmmu_insn_set(work, state, swap_bytes(value, work->insn->operand_bytes));
}

static bool is_bit_test(enum vmmu_insn_operation operation)
{
    return operation >= VMMU_INSN_BT && operation <= VMMU_INSN_BTC;
}

/*
 * Where the memory operand is. A bit offset in a register reaches beyond the operand, in both directions:
 * it moves the address by whole operands.
 */
static enum vmmu_status resolve_destination(const struct work *work, const struct arithmetic *a,
                                            enum vmmu_insn_access access, struct place *place)
{
    const struct vmmu_insn *insn = work->insn;
    struct reference reference = {
        .segment = insn->address.segment,
        .size_bytes = insn->operand_bytes,
        .access = access,
        .offset = vmmu_insn_offset(insn, work->state),
    };

    if (is_bit_test(insn->operation) && insn->source.kind == VMMU_INSN_OPERAND_REGISTER) {
        const int64_t bytes = (int64_t)sign_extend(a->source, a->size_bytes) >> 3;

        reference.offset += (uint64_t)bytes & ~(uint64_t)(a->size_bytes - 1);
        reference.offset &= mask_of(insn->address_bytes);
    }
    return vmmu_insn_resolve(work, &reference, place);
}

/* The operands but for a destination in memory. */
static enum vmmu_status gather(const struct work *work, struct arithmetic *a)
{
    const struct vmmu_insn *insn = work->insn;

    *a = (struct arithmetic){
        .accumulator = vmmu_insn_get_register(work->state, VMMU_X86_RAX, insn->operand_bytes),
        .rflags = work->state->rflags,
        .size_bytes = insn->operand_bytes,
    };
    if (insn->source.kind == VMMU_INSN_OPERAND_NONE)
        return VMMU_OK;
    return vmmu_insn_get(work, insn->source, insn->source_bytes, &a->source);
}

/* CMP, TEST and BT: flags only. */
static enum vmmu_status examine(const struct work *work, struct vmmu_x86_state *state)
{
    const struct vmmu_insn *insn = work->insn;
    struct arithmetic a;
    struct place place;
    enum vmmu_status status = gather(work, &a);

    if (status != VMMU_OK)
        return status;
    if (insn->destination.kind == VMMU_INSN_OPERAND_MEMORY) {
        status = resolve_destination(work, &a, VMMU_INSN_READ, &place);
        if (status == VMMU_OK)
            status = vmmu_insn_read(work, &place, VMMU_INSN_READ, &a.destination);
    } else {
        status = vmmu_insn_get(work, insn->destination, insn->operand_bytes, &a.destination);
    }
    if (status != VMMU_OK)
        return status;
    vmmu_insn_compute(insn->operation, &a);
    state->rflags = a.rflags;
    return VMMU_OK;
}

/*
 * Write what was computed; a locked write fails with VMMU_RACED where memory has changed, and
 * a->destination is renewed.
 */
static enum vmmu_status write_back(const struct work *work, const struct place *place, struct arithmetic *a)
{
    uint64_t expected[2] = { a->destination, 0 };
    const uint64_t desired[2] = { a->result, 0 };
    enum vmmu_status status;

    if (!work->insn->lock)
        return vmmu_insn_write(work, place, a->result);
    status = vmmu_insn_exchange(work, place, expected, desired);
    a->destination = expected[0] & mask_of(a->size_bytes);
    return status;
}

static enum vmmu_status modify_memory(const struct work *work, struct arithmetic *a)
{
    const uint64_t rflags = a->rflags;
    struct place place;
    enum vmmu_status status = resolve_destination(work, a, VMMU_INSN_READ_TO_WRITE, &place);

    if (status != VMMU_OK)
        return status;
    if (work->insn->lock && place_crosses_page(&place))
        return VMMU_UNSUPPORTED;
    status = vmmu_insn_read(work, &place, VMMU_INSN_READ_TO_WRITE, &a->destination);
    if (status != VMMU_OK)
        return status;
    for (unsigned tries = 0; tries < VMMU_INSN_EXCHANGES; tries++) {
        a->rflags = rflags;
        vmmu_insn_compute(work->insn->operation, a);
        status = write_back(work, &place, a);
        if (status != VMMU_RACED || !work->insn->lock)
            break;
    }
    return status;
}

/* What reaches registers beside the destination: the old value, for the exchanging instructions. */
static void commit_old_value(const struct work *work, struct vmmu_x86_state *state,
                             const struct arithmetic *a)
{
    const struct vmmu_insn *insn = work->insn;

    if (insn->operation == VMMU_INSN_XCHG || insn->operation == VMMU_INSN_XADD) {
        vmmu_insn_set_general(state, insn->source, a->size_bytes, a->destination);
    } else if (insn->operation == VMMU_INSN_CMPXCHG && !(a->rflags & RFLAGS_ZF)) {
        vmmu_insn_set_register(state, VMMU_X86_RAX, a->size_bytes, a->destination);
    }
}

/* Everything that reads, computes and writes its destination. */
static enum vmmu_status modify(const struct work *work, struct vmmu_x86_state *state)
{
    const struct vmmu_insn *insn = work->insn;
    const bool in_memory = insn->destination.kind == VMMU_INSN_OPERAND_MEMORY;
    struct arithmetic a;
    enum vmmu_status status = gather(work, &a);

    if (status != VMMU_OK)
        return status;
    if (in_memory) {
        status = modify_memory(work, &a);
    } else {
        status = vmmu_insn_get(work, insn->destination, insn->operand_bytes, &a.destination);
        vmmu_insn_compute(insn->operation, &a);
    }
    if (status != VMMU_OK)
        return status;
    commit_old_value(work, state, &a);
    state->rflags = a.rflags;
    if (!in_memory)
        vmmu_insn_set_general(state, insn->destination, insn->operand_bytes, a.result);
    return VMMU_OK;
}

/* CMPXCHG8B and CMPXCHG16B, in halves of 4 or 8 bytes. */
struct pair {
    uint64_t low;
    uint64_t high;
};

static struct pair register_pair(const struct vmmu_x86_state *state, unsigned low, unsigned high,
                                 unsigned half)
{
    return (struct pair){ vmmu_insn_get_register(state, low, half),
                          vmmu_insn_get_register(state, high, half) };
}

static enum vmmu_status read_pair(const struct work *work, const struct place *place, struct pair *pair)
{
    const uint8_t half = place->size_bytes / 2;
    struct place whole = { place->linear, 8 };
    enum vmmu_status status = vmmu_insn_read(work, &whole, VMMU_INSN_READ_TO_WRITE, &pair->low);

    if (status != VMMU_OK)
        return status;
    if (half == 4) {
        pair->high = pair->low >> 32;
        pair->low &= mask_of(4);
        return VMMU_OK;
    }
    whole.linear += 8;
    return vmmu_insn_read(work, &whole, VMMU_INSN_READ_TO_WRITE, &pair->high);
}

/* 16 bytes go by exchange even without LOCK: there is no write of that size. */
static enum vmmu_status write_pair(const struct work *work, const struct place *place, struct pair *old,
                                   const struct pair *new)
{
    uint64_t expected[2] = { old->low, old->high };
    uint64_t desired[2] = { new->low, new->high };
    enum vmmu_status status;

    if (place->size_bytes == 16) {
        status = vmmu_insn_exchange(work, place, expected, desired);
        *old = (struct pair){ expected[0], expected[1] };
        return status;
    }
    expected[0] = old->low | old->high << 32;
    desired[0] = new->low | new->high << 32;
    expected[1] = desired[1] = 0;
    if (!work->insn->lock)
        return vmmu_insn_write(work, place, desired[0]);
    status = vmmu_insn_exchange(work, place, expected, desired);
    *old = (struct pair){ expected[0] & mask_of(4), expected[0] >> 32 };
    return status;
}

static enum vmmu_status exchange_pair(const struct work *work, struct vmmu_x86_state *state)
{
    const unsigned half = work->insn->operand_bytes / 2;
    const struct pair compare = register_pair(state, VMMU_X86_RAX, VMMU_X86_RDX, half);
    const struct pair replace = register_pair(state, VMMU_X86_RBX, VMMU_X86_RCX, half);
    const struct arithmetic unused = { .size_bytes = work->insn->operand_bytes };
    struct place place;
    struct pair old;
    bool equal = false;
    enum vmmu_status status = resolve_destination(work, &unused, VMMU_INSN_READ_TO_WRITE, &place);

    if (status != VMMU_OK)
        return status;
    if (place.size_bytes == 16 && !vmmu_is_aligned(place.linear, 16))
        return vmmu_insn_raise(work, VECTOR_GP);
    if (work->insn->lock && place_crosses_page(&place))
        return VMMU_UNSUPPORTED;
    status = read_pair(work, &place, &old);
    if (status != VMMU_OK)
        return status;
    for (unsigned tries = 0; tries < VMMU_INSN_EXCHANGES; tries++) {
        equal = old.low == compare.low && old.high == compare.high;
        status = write_pair(work, &place, &old, equal ? &replace : &old);
        if (status != VMMU_RACED)
            break;
    }
    if (status != VMMU_OK)
        return status;
    state->rflags &= ~RFLAGS_ZF;
    if (equal) {
        state->rflags |= RFLAGS_ZF;
    } else {
        vmmu_insn_set_register(state, VMMU_X86_RAX, half, old.low);
        vmmu_insn_set_register(state, VMMU_X86_RDX, half, old.high);
    }
    return VMMU_OK;
}

/* How many bytes of RSP are the stack pointer. */
static unsigned stack_pointer_bytes(const struct work *work)
{
    if (work->insn->width == VMMU_INSN_64)
        return 8;
    return (work->state->segment[VMMU_X86_SS].attributes & SEGMENT_DB) ? 4 : 2;
}

static enum vmmu_status push(const struct work *work, struct vmmu_x86_state *state)
{
    const struct vmmu_insn *insn = work->insn;
    const unsigned pointer_bytes = stack_pointer_bytes(work);
    const uint64_t top = (state->gpr[VMMU_X86_RSP] - insn->operand_bytes) & mask_of(pointer_bytes);
    const struct reference reference = { VMMU_X86_SS, insn->operand_bytes, VMMU_INSN_WRITE, top };
    struct place place;
    uint64_t value;
    enum vmmu_status status = vmmu_insn_get(work, insn->source, insn->source_bytes, &value);

    if (status == VMMU_OK)
        status = vmmu_insn_resolve(work, &reference, &place);
    if (status == VMMU_OK)
        status = vmmu_insn_write(work, &place, value);
    if (status == VMMU_OK)
        vmmu_insn_set_register(state, VMMU_X86_RSP, pointer_bytes, top);
    return status;
}

/* The destination's address is computed after RSP has moved, and POP RSP keeps what it popped. */
static enum vmmu_status pop(const struct work *work, struct vmmu_x86_state *state)
{
    const unsigned pointer_bytes = stack_pointer_bytes(work);
    const uint64_t top = vmmu_insn_get_register(state, VMMU_X86_RSP, pointer_bytes);
    struct vmmu_insn moved = *work->insn;
    const struct work after = { &moved, work->state, work->memory, work->fault };
    const struct reference reference = { VMMU_X86_SS, moved.operand_bytes, VMMU_INSN_READ, top };
    struct place place;
    uint64_t value;
    enum vmmu_status status = vmmu_insn_resolve(work, &reference, &place);

    if (status == VMMU_OK)
        status = vmmu_insn_read(work, &place, VMMU_INSN_READ, &value);
    if (status != VMMU_OK)
        return status;
    if (moved.destination.kind == VMMU_INSN_OPERAND_MEMORY) {
        if (moved.address.base == VMMU_X86_RSP)
            moved.address.displacement += moved.operand_bytes;
        status = vmmu_insn_set_memory(&after, value);
        if (status != VMMU_OK)
            return status;
    }
    vmmu_insn_set_register(state, VMMU_X86_RSP, pointer_bytes, top + moved.operand_bytes);
    if (moved.destination.kind == VMMU_INSN_OPERAND_REGISTER)
        vmmu_insn_set_register(state, moved.destination.number, moved.operand_bytes, value);
    return VMMU_OK;
}

/*
 * Which of the functions above does an operation; numbers, since a table of pointers would need relocation.
 */
enum manner {
    MANNER_CALLER, /* none: the caller does it */
    MANNER_NOTHING,
    MANNER_MOVE,
    MANNER_MOVE_SIGNED,
    MANNER_MOVE_SWAPPED,
    MANNER_MODIFY,
    MANNER_EXAMINE,
    MANNER_EXCHANGE_PAIR,
    MANNER_PUSH,
    MANNER_POP,
    MANNER_STRING,
};

static const uint8_t manners[VMMU_INSN_OPERATIONS] = {
    [VMMU_INSN_ADD] = MANNER_MODIFY,        [VMMU_INSN_OR] = MANNER_MODIFY,
    [VMMU_INSN_ADC] = MANNER_MODIFY,        [VMMU_INSN_SBB] = MANNER_MODIFY,
    [VMMU_INSN_AND] = MANNER_MODIFY,        [VMMU_INSN_SUB] = MANNER_MODIFY,
    [VMMU_INSN_XOR] = MANNER_MODIFY,        [VMMU_INSN_CMP] = MANNER_EXAMINE,
    [VMMU_INSN_TEST] = MANNER_EXAMINE,      [VMMU_INSN_INC] = MANNER_MODIFY,
    [VMMU_INSN_DEC] = MANNER_MODIFY,        [VMMU_INSN_NEG] = MANNER_MODIFY,
    [VMMU_INSN_NOT] = MANNER_MODIFY,        [VMMU_INSN_ROL] = MANNER_MODIFY,
    [VMMU_INSN_ROR] = MANNER_MODIFY,        [VMMU_INSN_RCL] = MANNER_MODIFY,
    [VMMU_INSN_RCR] = MANNER_MODIFY,        [VMMU_INSN_SHL] = MANNER_MODIFY,
    [VMMU_INSN_SHR] = MANNER_MODIFY,        [VMMU_INSN_SAR] = MANNER_MODIFY,
    [VMMU_INSN_BT] = MANNER_EXAMINE,        [VMMU_INSN_BTS] = MANNER_MODIFY,
    [VMMU_INSN_BTR] = MANNER_MODIFY,        [VMMU_INSN_BTC] = MANNER_MODIFY,
    [VMMU_INSN_MOV] = MANNER_MOVE,          [VMMU_INSN_MOVZX] = MANNER_MOVE,
    [VMMU_INSN_MOVSX] = MANNER_MOVE_SIGNED, [VMMU_INSN_MOVBE] = MANNER_MOVE_SWAPPED,
    [VMMU_INSN_XCHG] = MANNER_MODIFY,       [VMMU_INSN_XADD] = MANNER_MODIFY,
    [VMMU_INSN_CMPXCHG] = MANNER_MODIFY,    [VMMU_INSN_CMPXCHG8B] = MANNER_EXCHANGE_PAIR,
    [VMMU_INSN_PUSH] = MANNER_PUSH,         [VMMU_INSN_POP] = MANNER_POP,
    [VMMU_INSN_NOP] = MANNER_NOTHING,       [VMMU_INSN_MOVS] = MANNER_STRING,
    [VMMU_INSN_CMPS] = MANNER_STRING,       [VMMU_INSN_STOS] = MANNER_STRING,
    [VMMU_INSN_LODS] = MANNER_STRING,       [VMMU_INSN_SCAS] = MANNER_STRING,
    [VMMU_INSN_INS] = MANNER_STRING,        [VMMU_INSN_OUTS] = MANNER_STRING,
};

bool vmmu_insn_retire(const struct vmmu_insn *insn, struct vmmu_x86_state *state)
{
    state->rip = (state->rip + insn->length) & mask_of(insn->width == VMMU_INSN_64 ? 8 : 4);
    state->rflags &= ~RFLAGS_RF;
    state->interrupt_shadow = false;
    return state->rflags & RFLAGS_TF;
}

enum vmmu_status vmmu_insn_perform(const struct vmmu_insn *insn, struct vmmu_x86_state *state,
                                   const struct vmmu_insn_memory *memory, struct vmmu_insn_outcome *outcome)
{
    const struct work work = { insn, state, memory, &outcome->fault };
    enum vmmu_status status = VMMU_OK;

    outcome->again = false;
    outcome->single_step = false;
    switch ((enum manner)manners[insn->operation]) {
    case MANNER_CALLER: return VMMU_UNSUPPORTED;
    case MANNER_NOTHING: break;
    case MANNER_MOVE: status = move(&work, state); break;
    case MANNER_MOVE_SIGNED: status = move_signed(&work, state); break;
    case MANNER_MOVE_SWAPPED: status = move_swapped(&work, state); break;
    case MANNER_MODIFY: status = modify(&work, state); break;
    case MANNER_EXAMINE: status = examine(&work, state); break;
    case MANNER_EXCHANGE_PAIR: status = exchange_pair(&work, state); break;
    case MANNER_PUSH: status = push(&work, state); break;
    case MANNER_POP: status = pop(&work, state); break;
    case MANNER_STRING: status = vmmu_insn_perform_string(&work, state, outcome); break;
    }
    if (status == VMMU_OK && !outcome->again)
        outcome->single_step = vmmu_insn_retire(insn, state);
    return status;
}
