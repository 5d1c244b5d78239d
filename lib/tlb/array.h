/*
 * One array of a TLB at work: sets of slots, found by match words.
 *
 * A match word stands for all of an entry that a lookup compares: a hash of the region, its size, the kind, the sort and the
 * owner; below it the context, or the mark of a global entry. Words that differ prove that entries differ; words
 * that agree are checked against the entry itself. So a set is searched by one pass over few bytes.
 *
 * Invariants: the first `used` slots of a set are the occupied ones. `held` counts the entries by sort and size, and `shifts` lists
 * the sizes whose count is not zero, ascending. No entry stands in a set other than that of its region's number.
 */
#ifndef LIB_TLB_ARRAY_H
#define LIB_TLB_ARRAY_H

#include <vmmu/tlb.h>

#define MATCH_GLOBAL   BIT64(16)
#define MATCH_HASH     BITS64(63, 17)

#define NO_SLOT        UINT32_MAX

#define SMALLEST_SHIFT 12
#define LARGEST_SHIFT  63

_Static_assert(LARGEST_SHIFT - SMALLEST_SHIFT + 1 == VMMU_TLB_SIZES, "a count for each size");

struct vmmu_tlb_set {
    uint16_t used;
    uint16_t next; /* of round robin: the way that makes room next */
};

/* A query, with what of it is the same for every page size. */
struct probe {
    const struct vmmu_tlb_query *query;
    uint64_t owner_hash;
    unsigned sort;
};

static inline unsigned sort_of(uint8_t table_level)
{
    return table_level == 0 ? 0 : 1;
}

/* Odd factors spread what differs over the upper bits; sums of them are as good as it needs to be, since a match is checked. */
static inline uint64_t owner_hash(const struct vmmu_tlb_tag *tag, uint8_t kind, uint8_t table_level)
{
    return tag->stage2 * UINT64_C(0xd6e8feb86659fd93) + tag->space * UINT64_C(0xa0761d6478bd642f) +
           kind * UINT64_C(0xe7037ed1a0b428db) + table_level * UINT64_C(0x8ebc6af09c88c6e3);
}

/* @number is that of the region among those of its size. */
static inline uint64_t region_hash(uint64_t owner, uint64_t number, uint8_t shift)
{
    return (owner + number * UINT64_C(0x9e3779b97f4a7c15) + shift * UINT64_C(0x589965cc75374cc3)) &
           MATCH_HASH;
}

static inline uint64_t match_of(const struct vmmu_tlb_entry *entry)
{
    const uint64_t hash = region_hash(owner_hash(&entry->tag, entry->kind, entry->table_level),
                                      entry->base >> entry->page_shift, entry->page_shift);

    return hash | (entry->global ? MATCH_GLOBAL : entry->tag.context);
}

static inline struct probe probe_of(const struct vmmu_tlb_query *query)
{
    return (struct probe){ query, owner_hash(&query->tag, query->kind, query->table_level),
                           sort_of(query->table_level) };
}

/* The set of the region of 2^@shift bytes at @address. */
static inline uint32_t set_of(const struct vmmu_tlb_array *array, uint64_t address, uint8_t shift)
{
    return (uint32_t)(address >> shift) & array->set_mask;
}

/* Whether @entry's region is the one of 2^@shift bytes at the query's address, under its tag but for the context. */
static inline bool is_asked_for(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_query *query,
                                uint8_t shift)
{
    return entry->page_shift == shift && entry->base >> shift == query->address >> shift &&
           entry->tag.stage2 == query->tag.stage2 && entry->tag.space == query->tag.space &&
           entry->kind == query->kind && entry->table_level == query->table_level;
}

/* The first slot, from @way on, that holds a region of 2^@shift bytes that answers @probe; or NO_SLOT. */
static inline uint32_t find_sized(const struct vmmu_tlb_array *array, const struct probe *probe,
                                  uint8_t shift, uint32_t way)
{
    const uint64_t number = probe->query->address >> shift;
    const uint64_t hash = region_hash(probe->owner_hash, number, shift);
    const uint64_t in_context = hash | probe->query->tag.context;
    const uint64_t global = hash | MATCH_GLOBAL;
    const uint32_t set = (uint32_t)number & array->set_mask;
    const uint32_t first = set * array->ways;
    const uint32_t end = first + array->sets[set].used;

    for (uint32_t slot = first + way; slot < end; slot++) {
        const uint64_t match = array->matches[slot];

        if ((match == in_context || match == global) &&
            is_asked_for(&array->entries[slot], probe->query, shift)) {
            return slot;
        }
    }
    return NO_SLOT;
}

/* The same in any way and of any size, the smallest first. */
static inline uint32_t find(const struct vmmu_tlb_array *array, const struct probe *probe)
{
    const uint8_t *const shifts = array->shifts[probe->sort];

    for (uint32_t i = 0; i < array->size_count[probe->sort]; i++) {
        const uint32_t slot = find_sized(array, probe, shifts[i], 0);

        if (slot != NO_SLOT) {
            return slot;
        }
    }
    return NO_SLOT;
}

/* Put @entry into array @index of @tlb, which holds its like, and has nothing for it to replace. May evict. */
void vmmu_tlb_array_add(struct vmmu_tlb *tlb, uint8_t index, const struct vmmu_tlb_entry *entry);

/* Empty one slot. The set's last entry moves into it: who goes through a set while removing goes from its end. */
void vmmu_tlb_array_remove(struct vmmu_tlb_array *array, uint32_t set, uint32_t way);

#endif
