/*
 * Guest memory by slots, and the layout of memory that a guest is given.
 *
 * Invariant: slots ascend, do not touch address zero twice, and never wrap around.
 */
#include "hv/guest/memory.h"

enum vmmu_status guest_memory_add(struct guest_memory *memory, const struct guest_slot *slot)
{
    const uint64_t limit = BIT64(52);

    if (!vmmu_range_fits(slot->gpa.v, slot->size, limit) ||
        !vmmu_range_fits(slot->hpa.v, slot->size, limit) ||
        !vmmu_is_aligned(slot->gpa.v | slot->hpa.v | slot->size, VMMU_PAGE_BYTES)) {
        return VMMU_INVALID;
    }
    if (memory->count > 0) {
        const struct guest_slot *last = &memory->slot[memory->count - 1];

        if (slot->gpa.v < last->gpa.v + last->size) {
            return VMMU_INVALID;
        }
    }
    if (memory->count == GUEST_SLOTS) {
        return VMMU_NO_MEMORY;
    }
    memory->slot[memory->count++] = *slot;
    return VMMU_OK;
}

const struct guest_slot *guest_memory_slot(const struct guest_memory *memory, vmmu_gpa gpa)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_slot *slot = &memory->slot[i];

        if (gpa.v - slot->gpa.v < slot->size && gpa.v >= slot->gpa.v) {
            return slot;
        }
    }
    return NULL;
}

void *guest_memory_at(const struct guest_memory *memory, vmmu_gpa gpa, uint64_t size)
{
    const struct guest_slot *slot = guest_memory_slot(memory, gpa);

    if (slot == NULL || !vmmu_range_fits(gpa.v - slot->gpa.v, size, slot->size)) {
        return NULL;
    }
    return slot->host + (gpa.v - slot->gpa.v);
}

bool guest_memory_hpa(const struct guest_memory *memory, vmmu_gpa gpa, vmmu_hpa *hpa)
{
    const struct guest_slot *slot = guest_memory_slot(memory, gpa);

    if (slot == NULL) {
        return false;
    }
    *hpa = (vmmu_hpa){ slot->hpa.v + (gpa.v - slot->gpa.v) };
    return true;
}

uint64_t guest_memory_bytes(const struct guest_memory *memory)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < memory->count; i++) {
        bytes += memory->slot[i].size;
    }
    return bytes;
}

static void add_entry(struct guest_layout *layout, uint64_t base, uint64_t end, enum guest_e820_type type)
{
    if (base < end) {
        layout->e820[layout->entries++] = (struct guest_e820){ base, end - base, type };
    }
}

enum vmmu_status guest_layout_make(uint64_t bytes, struct guest_layout *layout, const char **error)
{
    const uint64_t low = bytes < GUEST_LOW_LIMIT ? bytes : GUEST_LOW_LIMIT;

    if (bytes < GUEST_MIN_BYTES) {
        *error = "a guest needs at least 8 MiB of memory";
        return VMMU_INVALID;
    }
    if (bytes > GUEST_MAX_BYTES) {
        *error = "a guest can have at most 1 TiB of memory";
        return VMMU_INVALID;
    }
    if (!vmmu_is_aligned(bytes, VMMU_2M_BYTES)) {
        *error = "a guest's memory must be a multiple of 2 MiB";
        return VMMU_INVALID;
    }
    *layout = (struct guest_layout){ .ranges = 1, .range = { { { 0 }, low } } };
    if (bytes > low) {
        layout->range[layout->ranges++] = (struct guest_range){ { GUEST_HIGH_BASE }, bytes - low };
    }
    add_entry(layout, 0, GUEST_EBDA, GUEST_E820_RAM);
    add_entry(layout, GUEST_EBDA, GUEST_EXTENDED, GUEST_E820_RESERVED);
    add_entry(layout, GUEST_EXTENDED, low, GUEST_E820_RAM);
    add_entry(layout, GUEST_HIGH_BASE, GUEST_HIGH_BASE + (bytes - low), GUEST_E820_RAM);
    return VMMU_OK;
}
