/*
 * Memory of a task switch: TSSs and descriptors, which may cross pages, by callbacks that never see a crossing.
 */
#include "task.h"

#define TYPE_BYTE 5 /* of a descriptor */

/* Exchanges of a byte that another processor keeps changing. */
#define TRIES     16

static uint64_t mask_of(unsigned size_bytes)
{
    return ~UINT64_C(0) >> (64 - size_bytes * 8);
}

enum vmmu_status vmmu_task_access(const struct work *work, uint32_t at, unsigned size_bytes,
                                  enum vmmu_insn_access access, uint64_t *value)
{
    const struct vmmu_insn_memory *memory = &work->machine->memory;
    const uint32_t left = (uint32_t)VMMU_PAGE_BYTES - (at & (uint32_t)(VMMU_PAGE_BYTES - 1));
    uint64_t result = 0;
    unsigned part;

    for (unsigned done = 0; done < size_bytes; done += part) {
        uint64_t piece = *value >> (done * 8);
        enum vmmu_status status;

        part = done == 0 && left < size_bytes ? left : size_bytes - done;
        {
            const struct vmmu_insn_bytes bytes = { { at + done }, (uint8_t)part, access };

            piece &= mask_of(part);
            status = access == VMMU_INSN_WRITE ? memory->write(memory->context, &bytes, piece, work->fault)
                                               : memory->read(memory->context, &bytes, &piece, work->fault);
        }
        if (status != VMMU_OK)
            return status;
        result |= (piece & mask_of(part)) << (done * 8);
    }
    *value = result;
    return VMMU_OK;
}

enum vmmu_status vmmu_task_probe(const struct work *work, uint32_t at, unsigned size_bytes,
                                 enum vmmu_insn_access access)
{
    const struct vmmu_insn_memory *memory = &work->machine->memory;
    const struct vmmu_insn_bytes first = { { at }, 1, access };
    const struct vmmu_insn_bytes last = { { (uint32_t)(at + size_bytes - 1) }, 1, access };
    const enum vmmu_status status = memory->probe(memory->context, &first, work->fault);

    return status == VMMU_OK ? memory->probe(memory->context, &last, work->fault) : status;
}

static enum vmmu_status exchange(const struct work *work, uint32_t descriptor_at, uint64_t expected[2],
                                 uint64_t desired)
{
    const struct vmmu_insn_memory *memory = &work->machine->memory;
    const struct vmmu_insn_bytes bytes = { { (uint32_t)(descriptor_at + TYPE_BYTE) }, 1, VMMU_INSN_WRITE };
    const uint64_t wanted[2] = { desired, 0 };

    return memory->exchange(memory->context, &bytes, expected, wanted, work->fault);
}

/* Whoever goes on changing the byte has the last word. */
enum vmmu_status vmmu_task_mark(const struct work *work, uint32_t descriptor_at, unsigned set, unsigned clear)
{
    uint64_t expected[2] = { 0, 0 };
    enum vmmu_status status = vmmu_task_access(work, descriptor_at + TYPE_BYTE, 1, VMMU_INSN_READ, expected);

    for (unsigned i = 0; i < TRIES && (status == VMMU_OK || status == VMMU_RACED); i++) {
        const uint64_t desired = (expected[0] | set) & ~(uint64_t)clear;

        if (desired == expected[0])
            return VMMU_OK;
        status = exchange(work, descriptor_at, expected, desired);
        if (status == VMMU_OK)
            return VMMU_OK;
    }
    return status == VMMU_RACED ? VMMU_OK : status;
}

enum vmmu_status vmmu_task_claim(const struct work *work, const struct descriptor *descriptor, unsigned set)
{
    uint64_t expected[2] = { descriptor->segment.attributes & mask_of(1), 0 };

    return exchange(work, descriptor->at, expected, expected[0] | set);
}

uint32_t vmmu_task_gdt_entry(const struct work *work, uint16_t selector)
{
    return (uint32_t)work->state->system.gdt_base + (selector & SELECTOR_INDEX);
}

/* A segment descriptor, bit by bit: SDM 3A "Segment Descriptors". */
static struct vmmu_x86_segment unpack(uint64_t raw, uint16_t selector)
{
    const uint32_t limit = (uint32_t)((raw & BITS64(15, 0)) | (raw >> 32 & BITS64(19, 16)));

    return (struct vmmu_x86_segment){
        .base = (raw >> 16 & BITS64(23, 0)) | (raw >> 32 & BITS64(31, 24)),
        .limit = raw & BIT64(55) ? limit << 12 | 0xFFF : limit,
        .selector = selector,
        .attributes = (uint16_t)(raw >> 40 & 0xF0FF),
    };
}

enum vmmu_status vmmu_task_fetch(const struct work *work, uint16_t selector, uint8_t vector,
                                 struct descriptor *out)
{
    const struct vmmu_x86_system_segments *system = &work->state->system;
    const uint32_t last = (selector & SELECTOR_INDEX) + 7;
    uint32_t limit = system->gdt_limit;
    enum vmmu_status status;
    uint64_t raw = 0;

    out->at = vmmu_task_gdt_entry(work, selector);
    if (selector & SELECTOR_LOCAL) {
        limit = system->ldtr.attributes & PRESENT ? system->ldtr.limit : 0;
        out->at = (uint32_t)system->ldtr.base + (selector & SELECTOR_INDEX);
    }
    if ((selector & ~SELECTOR_RPL) == 0 || last > limit)
        return vmmu_task_raise(work, vector, selector);
    status = vmmu_task_access(work, out->at, 8, VMMU_INSN_READ, &raw);
    out->segment = unpack(raw, selector);
    return status;
}

enum vmmu_status vmmu_task_raise(const struct work *work, uint8_t vector, uint16_t selector)
{
    *work->fault = (struct vmmu_x86_fault){
        .vector = vector,
        .has_error_code = true,
        .error_code = (selector & ~SELECTOR_RPL) | (work->request->external ? 1 : 0),
    };
    return VMMU_GUEST_FAULT;
}
