/*
 * Where an access goes, by the guest's own TLB.
 *
 * Two arrays are looked up: one set of the first, and of the second all up to its last valid entry. Of several entries that answer, which is the guest's
 * mistake, the one of the lowest index counts: a processor may then do anything, we always the same.
 */
#include "lib/booke/tlb.h"

int vmmu_booke_find(const struct vmmu_booke *booke, uint32_t ea, const struct vmmu_booke_key *key)
{
    return booke_find(booke, ea, key);
}

/* The right that an access needs: of the supervisor by kind, in the order of the kinds; that of problem state one bit higher. */
static inline uint32_t needed(struct vmmu_booke_access access)
{
    return (uint32_t)VMMU_MAS3_SR << 2 * access.kind << access.problem;
}

_Static_assert(VMMU_MAS3_SR << 2 * VMMU_BOOKE_LOAD == VMMU_MAS3_SR &&
                   VMMU_MAS3_SR << 2 * VMMU_BOOKE_STORE == VMMU_MAS3_SW &&
                   VMMU_MAS3_SR << 2 * VMMU_BOOKE_FETCH == VMMU_MAS3_SX &&
                   VMMU_MAS3_UR == VMMU_MAS3_SR << 1 && VMMU_MAS3_UW == VMMU_MAS3_SW << 1 &&
                   VMMU_MAS3_UX == VMMU_MAS3_SX << 1,
               "two bits for each kind of access, the supervisor's and that of problem state");

#define TSIZE_4G 11

/* The bits of the offset are the address's own, whatever the entry has there. In words, which a 32-bit processor has. */
static inline vmmu_gpa translated(const struct vmmu_booke_entry *entry, uint32_t ea)
{
    const unsigned size = booke_tsize(entry->mas1);
    const uint32_t frame_mask = UINT32_MAX << 2 * size << 10;
    const uint32_t high = size <= TSIZE_4G ? entry->mas7 : entry->mas7 & UINT32_MAX << 2 * (size - TSIZE_4G);

    return (vmmu_gpa){ (uint64_t)high << 32 | (entry->mas3 & frame_mask) | (ea & ~frame_mask) };
}

static inline uint32_t syndrome(struct vmmu_booke_access access)
{
    return access.kind == VMMU_BOOKE_STORE ? VMMU_ESR_ST : 0;
}

static inline struct vmmu_booke_result by_entry(const struct vmmu_booke *booke, unsigned index, uint32_t ea,
                                                struct vmmu_booke_access access)
{
    const struct vmmu_booke_entry *const entry = &booke->entries[index];

    if ((entry->mas3 & needed(access)) == 0) {
        return (struct vmmu_booke_result){ .verdict = VMMU_BOOKE_REFUSED,
                                           .index = (uint16_t)index,
                                           .esr = syndrome(access) };
    }
    return (struct vmmu_booke_result){ .verdict = VMMU_BOOKE_HIT,
                                       .index = (uint16_t)index,
                                       .gpa = translated(entry, ea),
                                       .page_bytes = vmmu_booke_entry_bytes(entry),
                                       .attributes = entry->mas2 & VMMU_MAS4_ATTRIBUTES };
}

struct vmmu_booke_result vmmu_booke_by_entry(const struct vmmu_booke *booke, unsigned index, uint32_t ea,
                                             struct vmmu_booke_access access)
{
    return by_entry(booke, index, ea, access);
}

struct vmmu_booke_result vmmu_booke_translate(const struct vmmu_booke *booke, uint32_t ea,
                                              struct vmmu_booke_access access)
{
    const struct vmmu_booke_key key = booke_key(access.space, booke->pid[0], booke->pid[1], booke->pid[2]);
    const int index = booke_find(booke, ea, &key);

    return index >= 0 ? by_entry(booke, (unsigned)index, ea, access) : booke_missed(access);
}
