/*
 * Memory of a task switch: TSSs and descriptors, which may cross pages, by callbacks that never see a crossing.
 */
#include "task.h"

#define TYPE_BYTE 5 /* of a descriptor */

/* Exchanges of a byte that another processor keeps changing. */
#define TRIES     16

static uint64_t mask_of(unsigned size_bytes)
{
    return size_bytes < 8 ? BIT64(size_bytes * 8) - 1 : UINT64_MAX;
}

static enum vmmu_status access_part(const struct work *work, const struct vmmu_insn_bytes *bytes,
                                    uint64_t *value)
{
    const struct vmmu_insn_memory *memory = &work->machine->memory;
    enum vmmu_status status;

    if (bytes->access == VMMU_INSN_WRITE)
        return memory->write(memory->context, bytes, *value & mask_of(bytes->size_bytes), work->fault);
    status = memory->read(memory->context, bytes, value, work->fault);
    *value &= mask_of(bytes->size_bytes);
    return status;
}

enum vmmu_status vmmu_task_access(const struct work *work, uint32_t at, unsigned size_bytes,
                                  enum vmmu_insn_access access, uint64_t *value)
{
    const uint32_t left = (uint32_t)(VMMU_PAGE_BYTES - (at & (VMMU_PAGE_BYTES - 1)));
    const unsigned low_bytes = size_bytes < left ? size_bytes : left;
    const struct vmmu_insn_bytes low = { { at }, (uint8_t)low_bytes, access };
    const struct vmmu_insn_bytes high = { { (uint32_t)(at + low_bytes) },
                                          (uint8_t)(size_bytes - low_bytes),
                                          access };
    uint64_t rest;
    enum vmmu_status status;

    if (low_bytes == size_bytes)
        return access_part(work, &low, value);
    rest = *value >> (low_bytes * 8);
    status = access_part(work, &low, value);
    if (status == VMMU_OK)
        status = access_part(work, &high, &rest);
    *value |= rest << (low_bytes * 8);
    return status;
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
