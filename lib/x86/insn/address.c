/*
 * From what an instruction names to a linear address, with all that can go wrong on the way.
 */
#include "perform.h"

/* On the way of every access to a device: worth its room at both places of use. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE uint64_t offset_of(const struct vmmu_insn *insn, const struct vmmu_x86_state *state)
{
    const struct vmmu_insn_address *address = &insn->address;
    uint64_t offset = (uint64_t)address->displacement;

    if (address->base < VMMU_X86_GPRS) {
        offset += state->gpr[address->base];
    } else if (address->base == VMMU_INSN_RIP) {
        offset += state->rip + insn->length;
    }
    if (address->index < VMMU_X86_GPRS)
        offset += state->gpr[address->index] << address->scale_shift;
    return offset & mask_of(insn->address_bytes);
}

uint64_t vmmu_insn_offset(const struct vmmu_insn *insn, const struct vmmu_x86_state *state)
{
    return offset_of(insn, state);
}

/* In 64-bit mode the bases of ES, CS, SS and DS count as zero. */
static uint64_t linear_of(const struct vmmu_insn *insn, const struct vmmu_x86_state *state, uint8_t segment,
                          uint64_t offset)
{
    if (insn->width != VMMU_INSN_64)
        return (state->segment[segment].base + offset) & mask_of(4);
    return segment >= VMMU_X86_FS ? state->segment[segment].base + offset : offset;
}

vmmu_gva vmmu_insn_address(const struct vmmu_insn *insn, const struct vmmu_x86_state *state)
{
    return (vmmu_gva){ linear_of(insn, state, insn->address.segment, vmmu_insn_offset(insn, state)) };
}

/* Real mode pushes no error code; the others push zero. */
enum vmmu_status vmmu_insn_raise(const struct work *work, uint8_t vector)
{
    *work->fault = (struct vmmu_x86_fault){
        .vector = vector,
        .has_error_code = (work->state->cr0 & CR0_PE) && vector != VECTOR_UD,
    };
    return VMMU_GUEST_FAULT;
}

/* Whether both are: all bits from the highest that counts upwards are equal. */
static bool are_canonical(uint64_t first, uint64_t last, uint64_t cr4)
{
    const unsigned sign = (cr4 & CR4_LA57) ? 56 : 47;
    const uint64_t high_first = (uint64_t)((int64_t)first >> sign);
    const uint64_t high_last = (uint64_t)((int64_t)last >> sign);

    /* Either is 0 or -1. */
    return ((high_first + 1) | (high_last + 1)) <= 1;
}

/* Real mode and virtual-8086 mode have limits, but no types. */
static bool has_types(const struct vmmu_x86_state *state)
{
    return (state->cr0 & CR0_PE) && !(state->rflags & RFLAGS_VM);
}

static bool type_permits(uint16_t attributes, enum vmmu_insn_access access)
{
    if (!(attributes & SEGMENT_PRESENT))
        return false;
    if (attributes & SEGMENT_CODE)
        return access == VMMU_INSN_READ && (attributes & SEGMENT_WRITABLE);
    return access == VMMU_INSN_READ || (attributes & SEGMENT_WRITABLE);
}

/*
 * An offset past FFFFFFFF in a segment of 4 GiB wraps: the manuals leave that to the implementation, and
 * processors with flat segments do so.
 */
static bool limit_permits(const struct vmmu_x86_segment *segment, const struct reference *reference)
{
    const uint64_t last = reference->offset + reference->size_bytes - 1;
    const bool expands_down =
        (segment->attributes & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) == SEGMENT_EXPAND_DOWN;

    if (expands_down) {
        return reference->offset > segment->limit &&
               last <= mask_of((segment->attributes & SEGMENT_DB) ? 4 : 2);
    }
    return last <= segment->limit || segment->limit == UINT32_MAX;
}

/* For #AC; what has 16 bytes has rules of its own. */
static bool is_misaligned(const struct work *work, const struct place *place)
{
    const struct vmmu_x86_state *state = work->state;

    return state->cpl == 3 && (place->linear & (place->size_bytes - 1)) && place->size_bytes <= 8 &&
           (state->cr0 & CR0_AM) && (state->rflags & RFLAGS_AC);
}

static bool segment_permits(const struct vmmu_x86_state *state, const struct reference *reference)
{
    const struct vmmu_x86_segment *segment = &state->segment[reference->segment];

    return (!has_types(state) || type_permits(segment->attributes, reference->access)) &&
           limit_permits(segment, reference);
}

static ALWAYS_INLINE enum vmmu_status resolve(const struct work *work, const struct reference *reference,
                                              struct place *place)
{
    const struct vmmu_x86_state *state = work->state;
    const uint64_t linear = linear_of(work->insn, state, reference->segment, reference->offset);
    bool permitted;

    if (work->insn->width == VMMU_INSN_64) {
        permitted = are_canonical(linear, linear + reference->size_bytes - 1, state->cr4);
    } else {
        permitted = segment_permits(state, reference);
    }
    if (!permitted)
        return vmmu_insn_raise(work, reference->segment == VMMU_X86_SS ? VECTOR_SS : VECTOR_GP);
    *place = (struct place){ linear, reference->size_bytes };
    return is_misaligned(work, place) ? vmmu_insn_raise(work, VECTOR_AC) : VMMU_OK;
}

enum vmmu_status vmmu_insn_resolve(const struct work *work, const struct reference *reference,
                                   struct place *place)
{
    return resolve(work, reference, place);
}

enum vmmu_status vmmu_insn_resolve_operand(const struct work *work, unsigned size_bytes,
                                           enum vmmu_insn_access access, struct place *place)
{
    const struct reference reference = {
        .segment = work->insn->address.segment,
        .size_bytes = (uint8_t)size_bytes,
        .access = access,
        .offset = offset_of(work->insn, work->state),
    };

    return resolve(work, &reference, place);
}
