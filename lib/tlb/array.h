/*
 * One array of a TLB at work: sets of slots, found by their marks.
 *
 * A mark is one byte made of the region and its owner: if it differs from what is looked for, so does the
 * entry; if it agrees, the entry itself is compared. The marks of four slots fill a word, and one step
 * without a branch tells which of the four agree: which way of a set has the entry is chance, and a
 * processor that had to guess would mostly guess wrong.
 *
 * Invariants: the first `used` slots of a set are the occupied ones; the mark of any other is MARK_NONE.
 * `held` counts the entries by sort and size, and `shifts` lists the sizes whose count is not zero,
 * ascending. No entry stands in a set other than that of its region's number.
 */
#ifndef LIB_TLB_ARRAY_H
#define LIB_TLB_ARRAY_H

#include <vmmu/tlb.h>

#define MARK_NONE      0
#define MARK_BITS      8
#define MARKS_PER_WORD 4

/* The lowest bit of each mark of a word; the highest; the others. */
#define MARKS_LOW      UINT32_C(0x01010101)
#define MARKS_HIGH     UINT32_C(0x80808080)
#define MARKS_BUT_HIGH UINT32_C(0x7f7f7f7f)

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

/* What of a mark is the same for all regions of one owner. */
static inline uint64_t owner_hash(const struct vmmu_tlb_tag *tag, uint8_t kind)
{
    return tag->stage2 * UINT64_C(0xd6e8feb86659fd93) +
           (tag->space * UINT64_C(8) + kind) * UINT64_C(0xa0761d6478bd642f);
}

/*
 * @number is the region's among those of its size. A large odd factor carries what differs into the
 * uppermost bits.
 */
static inline uint32_t mark_of(uint64_t owner, uint64_t number)
{
    const uint32_t mark = (uint32_t)((owner + number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - MARK_BITS));

    return mark != MARK_NONE ? mark : 1;
}

static inline struct probe probe_of(const struct vmmu_tlb_query *query)
{
    return (struct probe){ query, owner_hash(&query->tag, query->kind), sort_of(query->table_level) };
}

/* The set of the region of 2^@shift bytes at @address. */
static inline uint32_t set_of(const struct vmmu_tlb_array *array, uint64_t address, uint8_t shift)
{
    return (uint32_t)(address >> shift) & array->set_mask;
}

/*
 * Whether @entry's region is the one of 2^@shift bytes at the query's address, under its tag but for the
 * context.
 */
static inline bool is_same_region(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_query *query,
                                  uint8_t shift)
{
    return entry->page_shift == shift && (entry->base ^ query->address) >> shift == 0 &&
           entry->tag.stage2 == query->tag.stage2 && entry->tag.space == query->tag.space &&
           entry->kind == query->kind && entry->table_level == query->table_level;
}

static inline bool is_asked_for(const struct vmmu_tlb_entry *entry, const struct vmmu_tlb_query *query,
                                uint8_t shift)
{
    return is_same_region(entry, query, shift) && (entry->global || entry->tag.context == query->tag.context);
}

/* The highest bit of each of @marks that is @mark. */
static inline uint32_t agreeing(uint32_t marks, uint32_t mark)
{
    const uint32_t difference = marks ^ mark * MARKS_LOW;

    return ~(((difference & MARKS_BUT_HIGH) + MARKS_BUT_HIGH) | difference) & MARKS_HIGH;
}

/* The first slot, from @way on, that holds a region of 2^@shift bytes that answers @probe; or NO_SLOT. */
static inline uint32_t find_sized(const struct vmmu_tlb_array *array, const struct probe *probe,
                                  uint8_t shift, uint32_t way)
{
    const uint64_t number = probe->query->address >> shift;
    const uint32_t mark = mark_of(probe->owner_hash, number);
    const uint32_t set = (uint32_t)number & array->set_mask;
    const uint32_t first = set * array->stride;
    const uint32_t end = first + array->sets[set].used;
    uint32_t passed = way % MARKS_PER_WORD;

    for (uint32_t slot = first + way - passed; slot < end; slot += MARKS_PER_WORD, passed = 0) {
        uint32_t found = agreeing(array->marks[slot / MARKS_PER_WORD], mark);

        for (found &= UINT32_MAX << (passed * MARK_BITS); found != 0; found &= found - 1) {
            const uint32_t at = slot + (uint32_t)__builtin_ctz(found) / MARK_BITS;

            if (is_asked_for(&array->entries[at], probe->query, shift)) {
                return at;
            }
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

/*
 * Put @entry into array @index of @tlb, which holds its like, and has nothing for it to replace. May evict.
 */
void vmmu_tlb_array_add(struct vmmu_tlb *tlb, uint8_t index, const struct vmmu_tlb_entry *entry);

/*
 * Empty one slot. The set's last entry moves into it: who goes through a set while removing goes from its
 * end.
 */
void vmmu_tlb_array_remove(struct vmmu_tlb_array *array, uint32_t set, uint32_t way);

#endif
