/*
 * The virtual TLB from inside: how its arrays look, and how an entry is found.
 */
#ifndef LIB_BOOKE_TLB_H
#define LIB_BOOKE_TLB_H

#include <vmmu/booke.h>

/* What a lookup asks for besides an address: an address space, and the TIDs that match beside 0, where MAS1 has them. */
struct vmmu_booke_key {
    uint32_t state; /* MAS1's V, and TS if it is the one's space */
    uint32_t tid[VMMU_BOOKE_PIDS];
};

static inline struct vmmu_booke_key booke_key(bool space, uint32_t pid0, uint32_t pid1, uint32_t pid2)
{
    return (struct vmmu_booke_key){ .state = VMMU_MAS1_VALID | (space ? VMMU_MAS1_TS : 0),
                                    .tid = { pid0 << VMMU_MAS1_TID_SHIFT, pid1 << VMMU_MAS1_TID_SHIFT,
                                             pid2 << VMMU_MAS1_TID_SHIFT } };
}

static inline bool booke_is_valid(const struct vmmu_booke_entry *entry)
{
    return (entry->mas1 & VMMU_MAS1_VALID) != 0;
}

static inline unsigned booke_tsize(uint32_t mas1)
{
    return mas1 >> VMMU_MAS1_TSIZE_SHIFT & 0xf;
}

/*
 * Whether @ea lies in the page of @entry, valid or not. In two steps: a page of 4 GiB has no bit of the page number to compare,
 * and a shift by all of them at once would not be defined.
 */
static inline bool booke_covers(const struct vmmu_booke_entry *entry, uint32_t ea)
{
    return (entry->mas2 ^ ea) >> 2 * booke_tsize(entry->mas1) >> 10 == 0;
}

/* The address first: it is what most entries differ in. */
static inline bool booke_answers(const struct vmmu_booke_entry *entry, uint32_t ea,
                                 const struct vmmu_booke_key *key)
{
    const uint32_t tid = entry->mas1 & VMMU_MAS1_TID;

    return booke_covers(entry, ea) && (entry->mas1 & (VMMU_MAS1_VALID | VMMU_MAS1_TS)) == key->state &&
           (tid == 0 || tid == key->tid[0] || tid == key->tid[1] || tid == key->tid[2]);
}

static inline uint32_t booke_set_of(const struct vmmu_booke_array *array, uint32_t ea)
{
    return ea >> array->page_shift & (array->sets - 1U);
}

/* Index of the first entry of the set that @ea is in. */
static inline unsigned booke_set_first(const struct vmmu_booke_array *array, uint32_t ea)
{
    return array->first + booke_set_of(array, ea) * array->ways;
}

/* Read @config's word on one of its arrays; `first` is left 0. Returns whether there can be such an array. Pure. */
bool vmmu_booke_decode(const struct vmmu_booke_config *config, unsigned which,
                       struct vmmu_booke_array *array);

/*
 * The first of the entries from @index up to @end that answers, or -1. Inlined, as what calls it is: these run at each
 * miss of the real TLB, and a key in registers halves them.
 */
static inline int booke_find_among(const struct vmmu_booke_entry *entries, unsigned index, unsigned end,
                                   uint32_t ea, const struct vmmu_booke_key *key)
{
    for (; index < end; index++) {
        if (booke_answers(&entries[index], ea, key)) {
            return (int)index;
        }
    }
    return -1;
}

/* The lowest index of an entry that answers, or -1. */
static inline int booke_find(const struct vmmu_booke *booke, uint32_t ea, const struct vmmu_booke_key *key)
{
    const struct vmmu_booke_array *const sets = &booke->array[0];
    const struct vmmu_booke_array *const full = &booke->array[1];
    const unsigned set = booke_set_first(sets, ea);
    const int index = booke_find_among(booke->entries, set, set + sets->ways, ea, key);

    return index >= 0 ? index
                      : booke_find_among(booke->entries, full->first, full->first + full->used, ea, key);
}

/* The same, not inlined: for what runs less often. */
int vmmu_booke_find(const struct vmmu_booke *booke, uint32_t ea, const struct vmmu_booke_key *key);

/* What comes of @access where no entry answers. */
static inline struct vmmu_booke_result booke_missed(struct vmmu_booke_access access)
{
    return (struct vmmu_booke_result){ .verdict = VMMU_BOOKE_MISS,
                                       .esr = access.kind == VMMU_BOOKE_STORE ? VMMU_ESR_ST : 0 };
}

/* What @access to @ea comes to by entry @index, which answers it. */
struct vmmu_booke_result vmmu_booke_by_entry(const struct vmmu_booke *booke, unsigned index, uint32_t ea,
                                             struct vmmu_booke_access access);

#endif
