/*
 * Where an access goes, by the guest's own TLB.
 *
 * Two arrays are looked up: one set of the first, and of the second all up to its last valid entry. Of several entries that answer, which is the guest's
 * mistake, the one of the lowest index counts: a processor may then do anything, we always the same.
 */
#include "lib/booke/tlb.h"

static int find_among(const struct vmmu_booke *booke, unsigned first, unsigned ways, uint32_t ea,
                      const struct vmmu_booke_key *key)
{
    const struct vmmu_booke_entry *entry = &booke->entries[first];

    for (unsigned i = 0; i < ways; i++, entry++) {
        if (booke_answers(entry, ea, key)) {
            return (int)(first + i);
        }
    }
    return -1;
}

int vmmu_booke_find(const struct vmmu_booke *booke, uint32_t ea, const struct vmmu_booke_key *key)
{
    const struct vmmu_booke_array *const sets = &booke->array[0];
    const struct vmmu_booke_array *const full = &booke->array[1];
    const int index = find_among(booke, booke_set_first(sets, ea), sets->ways, ea, key);

    return index >= 0 ? index : find_among(booke, full->first, full->used, ea, key);
}

/* The right that an access needs: of the supervisor, by kind. Those of problem state stand one bit higher in MAS3. */
static uint32_t needed(struct vmmu_booke_access access)
{
    uint32_t right = 0;

    switch (access.kind) {
    case VMMU_BOOKE_LOAD: right = VMMU_MAS3_SR; break;
    case VMMU_BOOKE_STORE: right = VMMU_MAS3_SW; break;
    case VMMU_BOOKE_FETCH: right = VMMU_MAS3_SX; break;
    }
    return access.problem ? right << 1 : right;
}

_Static_assert(VMMU_MAS3_UR == VMMU_MAS3_SR << 1 && VMMU_MAS3_UW == VMMU_MAS3_SW << 1 &&
                   VMMU_MAS3_UX == VMMU_MAS3_SX << 1,
               "rights of problem state one bit above the supervisor's");

/* The bits of the offset are the address's own, whatever the entry has there. */
static vmmu_gpa translated(const struct vmmu_booke_entry *entry, uint32_t ea, uint64_t page_bytes)
{
    const uint64_t frame = (uint64_t)entry->mas7 << 32 | (entry->mas3 & VMMU_MAS3_RPN);

    return (vmmu_gpa){ (frame & ~(page_bytes - 1)) | (ea & (page_bytes - 1)) };
}

static struct vmmu_booke_result missed(struct vmmu_booke_access access)
{
    return (struct vmmu_booke_result){ .verdict = VMMU_BOOKE_MISS,
                                       .esr = access.kind == VMMU_BOOKE_STORE ? VMMU_ESR_ST : 0 };
}

struct vmmu_booke_result vmmu_booke_by_entry(const struct vmmu_booke *booke, unsigned index, uint32_t ea,
                                             struct vmmu_booke_access access)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[index];
    struct vmmu_booke_result result = missed(access);

    result.index = (uint16_t)index;
    if ((entry->mas3 & needed(access)) == 0) {
        result.verdict = VMMU_BOOKE_REFUSED;
        return result;
    }
    result.verdict = VMMU_BOOKE_HIT;
    result.esr = 0;
    result.page_bytes = vmmu_booke_entry_bytes(entry);
    result.gpa = translated(entry, ea, result.page_bytes);
    result.attributes = entry->mas2 & VMMU_MAS4_ATTRIBUTES;
    return result;
}

struct vmmu_booke_result vmmu_booke_translate(const struct vmmu_booke *booke, uint32_t ea,
                                              struct vmmu_booke_access access)
{
    const struct vmmu_booke_key key = booke_key(access.space, booke->pid[0], booke->pid[1], booke->pid[2]);
    const int index = vmmu_booke_find(booke, ea, &key);

    return index >= 0 ? vmmu_booke_by_entry(booke, (unsigned)index, ea, access) : missed(access);
}
