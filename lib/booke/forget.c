/*
 * Taking real entries away.
 */
#include "lib/booke/real.h"

void vmmu_booke_put(struct vmmu_booke_real *real, unsigned place)
{
    const struct vmmu_booke_slot *const slot = &real->slots[place];
    struct vmmu_booke_mas mas = {
        .mas1 = slot->mas1, .mas2 = slot->mas2, .mas3 = slot->mas3, .mas7 = slot->mas7
    };

    if (place < real->small) {
        const unsigned set = slot->mas2 >> SMALL_SHIFT & (real->sets - 1U);

        mas.mas0 = (uint32_t)(place - set * real->ways) << VMMU_MAS0_ESEL_SHIFT;
    } else {
        mas.mas0 = UINT32_C(1) << VMMU_MAS0_TLBSEL_SHIFT | (place - real->small) << VMMU_MAS0_ESEL_SHIFT;
    }
    real->host.write(real->host.context, &mas);
}

void vmmu_booke_remove(struct vmmu_booke_real *real, unsigned place)
{
    struct vmmu_booke_slot *const slot = &real->slots[place];

    slot->mas1 &= ~VMMU_MAS1_VALID;
    vmmu_booke_put(real, place);
    slot->from->entries[slot->index].made--;
    slot->from = NULL;
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

/* What was made from a page of 4 KiB is all in one set; of a larger one, in array 1 most likely. */
void vmmu_booke_changing(void *context, struct vmmu_booke *booke, unsigned index)
{
    struct vmmu_booke_real *const real = context;
    const struct vmmu_booke_entry *const entry = &booke->entries[index];

    if (booke_tsize(entry->mas1) == SMALL_SIZE) {
        const unsigned set = entry->mas2 >> SMALL_SHIFT & (real->sets - 1U);

        remove_made(real, booke, index, set * real->ways, real->ways);
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
    booke->spaces->piece.size_bytes = 0;
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
