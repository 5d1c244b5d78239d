/*
 * Accesses that may cross a page, by callbacks that never see one. Of a write in two parts neither is begun
 * before both are known to succeed.
 */
#include "perform.h"

/* An access cut at the page boundary; high.size_bytes is 0 if it does not cross. */
struct parts {
    struct vmmu_insn_bytes low;
    struct vmmu_insn_bytes high;
};

static struct parts cut(const struct work *work, const struct place *place, enum vmmu_insn_access access)
{
    const uint64_t next = (place->linear | (VMMU_PAGE_BYTES - 1)) + 1;
    const uint8_t low_bytes = (uint8_t)(next - place->linear);
    const uint64_t mask = mask_of(work->insn->width == VMMU_INSN_64 ? 8 : 4);

    return (struct parts){
        .low = { { place->linear }, low_bytes, access },
        .high = { { next & mask }, (uint8_t)(place->size_bytes - low_bytes), access },
    };
}

enum vmmu_status vmmu_insn_read(const struct work *work, const struct place *place,
                                enum vmmu_insn_access access, uint64_t *value)
{
    const struct vmmu_insn_memory *memory = work->memory;
    uint64_t low = 0;
    uint64_t high = 0;
    enum vmmu_status status;

    if (!place_crosses_page(place)) {
        const struct vmmu_insn_bytes bytes = { { place->linear }, place->size_bytes, access };

        status = memory->read(memory->context, &bytes, &low, work->fault);
    } else {
        const struct parts parts = cut(work, place, access);

        status = memory->read(memory->context, &parts.low, &low, work->fault);
        if (status == VMMU_OK)
            status = memory->read(memory->context, &parts.high, &high, work->fault);
        low = (low & mask_of(parts.low.size_bytes)) | high << (parts.low.size_bytes * 8);
    }
    *value = low & mask_of(place->size_bytes);
    return status;
}

static enum vmmu_status write_parts(const struct work *work, const struct parts *parts, uint64_t value)
{
    const struct vmmu_insn_memory *memory = work->memory;
    enum vmmu_status status;

    status = memory->write(memory->context, &parts->low, value & mask_of(parts->low.size_bytes), work->fault);
    if (status != VMMU_OK)
        return status;
    return memory->write(memory->context, &parts->high, value >> (parts->low.size_bytes * 8), work->fault);
}

enum vmmu_status vmmu_insn_probe_write(const struct work *work, const struct place *place)
{
    const struct vmmu_insn_memory *memory = work->memory;
    struct parts parts = { .low = { { place->linear }, place->size_bytes, VMMU_INSN_WRITE } };
    enum vmmu_status status;

    if (place_crosses_page(place))
        parts = cut(work, place, VMMU_INSN_WRITE);
    status = memory->probe(memory->context, &parts.low, work->fault);
    if (status == VMMU_OK && parts.high.size_bytes != 0)
        status = memory->probe(memory->context, &parts.high, work->fault);
    return status;
}

enum vmmu_status vmmu_insn_write(const struct work *work, const struct place *place, uint64_t value)
{
    const struct vmmu_insn_memory *memory = work->memory;
    const struct vmmu_insn_bytes bytes = { { place->linear }, place->size_bytes, VMMU_INSN_WRITE };
    enum vmmu_status status;
    struct parts parts;

    value &= mask_of(place->size_bytes);
    if (!place_crosses_page(place))
        return memory->write(memory->context, &bytes, value, work->fault);
    status = vmmu_insn_probe_write(work, place);
    if (status != VMMU_OK)
        return status;
    parts = cut(work, place, VMMU_INSN_WRITE);
    return write_parts(work, &parts, value);
}

enum vmmu_status vmmu_insn_exchange(const struct work *work, const struct place *place, uint64_t expected[2],
                                    const uint64_t desired[2])
{
    const struct vmmu_insn_memory *memory = work->memory;
    const struct vmmu_insn_bytes bytes = { { place->linear }, place->size_bytes, VMMU_INSN_WRITE };

    return memory->exchange(memory->context, &bytes, expected, desired, work->fault);
}
