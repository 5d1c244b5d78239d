/*
 * Taking real entries away.
 */
#include "lib/booke/real.h"

/* The same, of a slot that MAS0 calls @name. */
static inline void remove_named(struct vmmu_booke_real *real, unsigned place, uint32_t name)
{
    struct vmmu_booke_slot *const slot = &real->slots[place];
    const struct vmmu_booke_mas mas = { .mas0 = name,
                                        .mas1 = slot->mas1 & ~VMMU_MAS1_VALID,
                                        .mas2 = slot->mas2 };

    real->host.write(real->host.context, &mas);
    slot->from->entries[slot->index].made--;
    slot->from = NULL;
}

void vmmu_booke_remove(struct vmmu_booke_real *real, unsigned place)
{
    if (place < real->small) {
        const unsigned first = booke_real_set(real, real->slots[place].mas2) * real->ways;

        remove_named(real, place, (uint32_t)(place - first) << VMMU_MAS0_ESEL_SHIFT);
        return;
    }
    remove_named(real, place, booke_large_name(real, place));
}

void vmmu_booke_remove_shadow(struct vmmu_booke_real *real, uint8_t shadow)
{
    const unsigned slots = vmmu_booke_real_slots(real);

    for (unsigned i = 0; i < slots; i++) {
        if (real->slots[i].from != NULL && booke_slot_shadow(&real->slots[i]) == shadow) {
            vmmu_booke_remove(real, i);
        }
    }
}

/* Those of slots [first, first + count) that were made from entry @index, until there are none of it anywhere. */
static void remove_made(struct vmmu_booke_real *real, const struct vmmu_booke *booke, unsigned index,
                        unsigned first, unsigned count)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[index];

    for (unsigned i = first; i < first + count && entry->made != 0; i++) {
        if (real->slots[i].from == booke && real->slots[i].index == index) {
            vmmu_booke_remove(real, i);
            real->counters.removed++;
        }
    }
}

/* What was made from a page of 4 KiB is all in one set. */
static void remove_made_small(struct vmmu_booke_real *real, const struct vmmu_booke *booke, unsigned index)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[index];
    unsigned place = booke_real_set(real, entry->mas2) * real->ways;

    for (unsigned way = 0; way < real->ways; way++, place++) {
        if (real->slots[place].from == booke && real->slots[place].index == index) {
            remove_named(real, place, (uint32_t)way << VMMU_MAS0_ESEL_SHIFT);
            real->counters.removed++;
            if (entry->made == 0) {
                return;
            }
        }
    }
}

/* Of a larger page, it is in array 1 most likely. */
void vmmu_booke_changing(void *context, struct vmmu_booke *booke, unsigned index)
{
    struct vmmu_booke_real *const real = context;

    if (booke_tsize(booke->entries[index].mas1) == SMALL_SIZE) {
        remove_made_small(real, booke, index);
        return;
    }
    remove_made(real, booke, index, real->small, real->large);
    remove_made(real, booke, index, 0, real->small);
}

/* The guest-physical page that @slot maps: its virtual entry's frame, and how far in that it lies. */
static uint64_t first_gpa(const struct vmmu_booke_slot *slot)
{
    const struct vmmu_booke_entry *const entry = &slot->from->entries[slot->index];
    const uint64_t offset_mask = vmmu_booke_entry_bytes(entry) - 1;
    const uint64_t frame = (uint64_t)entry->mas7 << 32 | (entry->mas3 & VMMU_MAS3_RPN);

    return (frame & ~offset_mask) | (slot->mas2 & VMMU_MAS2_EPN & offset_mask);
}

static bool meets(const struct vmmu_booke_slot *slot, uint64_t gpa, uint64_t last)
{
    const uint64_t first = first_gpa(slot);

    return first <= last && first + booke_slot_mask(slot) >= gpa;
}

void vmmu_booke_forget(struct vmmu_booke *booke, struct vmmu_booke_real *real, vmmu_gpa gpa,
                       uint64_t size_bytes)
{
    const uint64_t last = size_bytes - 1 <= UINT64_MAX - gpa.v ? gpa.v + (size_bytes - 1) : UINT64_MAX;
    const unsigned slots = vmmu_booke_real_slots(real);

    if (size_bytes == 0) {
        return;
    }
    booke->spaces->memory.pages = 0;
    for (unsigned i = 0; i < slots; i++) {
        if (real->slots[i].from == booke && meets(&real->slots[i], gpa.v, last)) {
            vmmu_booke_remove(real, i);
        }
    }
}

void vmmu_booke_forget_all(struct vmmu_booke *booke, struct vmmu_booke_real *real)
{
    vmmu_booke_forget(booke, real, (vmmu_gpa){ 0 }, UINT64_MAX);
}
