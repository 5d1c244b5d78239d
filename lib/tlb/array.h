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

#define SMALLEST_SHIFT 12
#define LARGEST_SHIFT  63

_Static_assert(LARGEST_SHIFT - SMALLEST_SHIFT + 1 == VMMU_TLB_SIZES, "a count for each size");

struct vmmu_tlb_set {
    uint16_t used;
    uint16_t next; /* of round robin: the way that makes room next */
};

/* One entry, in a line of a processor's cache where pointers have 64 bits. */
struct vmmu_tlb_slot {
    uint64_t identity; /* all that a lookup compares, but the address and stage2 */
    uint64_t use;      /* when it was last used */
    struct vmmu_tlb_entry entry;
};

/* A query, with what of it is the same for every page size. */
struct probe {
    uint64_t address;
    uint64_t stage2;
    uint64_t in_context; /* identities of what answers it, but for the size */
    uint64_t global;
    uint64_t owner_hash;
};

static inline unsigned sort_of(uint8_t table_level)
{
    return table_level == 0 ? 0 : 1;
}

/*
 * An identity has the space at the top, then the context, the kind, the level, the mark of a global entry
 * (without a context), and the page size in the low byte.
 */
#define IDENTITY_GLOBAL UINT64_C(0x100)

static inline uint64_t owner_identity(uint16_t space, uint8_t kind, uint8_t table_level)
{
    return (uint64_t)space << 48 | (uint64_t)kind << 24 | (uint64_t)table_level << 16;
}

static inline uint64_t context_identity(uint16_t context)
{
    return (uint64_t)context << 32;
}

/* What of a mark is the same for all regions of one owner. */
static inline uint64_t owner_hash(uint64_t stage2, uint64_t owner)
{
    return stage2 * UINT64_C(0xd6e8feb86659fd93) + owner * UINT64_C(0xa0761d6478bd642f);
}

/* @number is the region's among those of its size. A large odd factor carries what differs upwards. */
static inline uint32_t mark_of(uint64_t hash_of_owner, uint64_t number)
{
    const uint64_t hash = hash_of_owner + number * UINT64_C(0x9e3779b97f4a7c15);
    const uint32_t mark = (uint32_t)(hash >> (64 - MARK_BITS));

    return mark != MARK_NONE ? mark : 1;
}

static inline struct probe probe_of(const struct vmmu_tlb_query *query)
{
    const uint64_t owner = owner_identity(query->tag.space, query->kind, query->table_level);

    return (struct probe){ .address = query->address,
                           .stage2 = query->tag.stage2,
                           .in_context = owner | context_identity(query->tag.context),
                           .global = owner | IDENTITY_GLOBAL,
                           .owner_hash = owner_hash(query->tag.stage2, owner) };
}

/* The set of the region of 2^@shift bytes at @address. */
static inline uint32_t set_of(const struct vmmu_tlb_array *array, uint64_t address, uint8_t shift)
{
    return (uint32_t)(address >> shift) & array->set_mask;
}

/* The highest bit of each of @marks that is @mark. */
static inline uint32_t agreeing(uint32_t marks, uint32_t mark)
{
    const uint32_t difference = marks ^ mark * MARKS_LOW;

    return ~(((difference & MARKS_BUT_HIGH) + MARKS_BUT_HIGH) | difference) & MARKS_HIGH;
}

static inline bool is_asked_for(const struct vmmu_tlb_slot *slot, const struct probe *probe, uint8_t shift)
{
    return (slot->identity == (probe->in_context | shift) || slot->identity == (probe->global | shift)) &&
           (slot->entry.base ^ probe->address) >> shift == 0 && slot->entry.tag.stage2 == probe->stage2;
}

/* The first slot, from @way on, that holds a region of 2^@shift bytes that answers @probe; or NULL. */
static inline struct vmmu_tlb_slot *find_sized(const struct vmmu_tlb_array *array, const struct probe *probe,
                                               uint8_t shift, uint32_t way)
{
    const uint64_t number = probe->address >> shift;
    const uint32_t mark = mark_of(probe->owner_hash, number);
    const uint32_t set = (uint32_t)number & array->set_mask;
    const uint32_t first = set * array->stride;
    const uint32_t end = first + array->sets[set].used;
    uint32_t passed = way % MARKS_PER_WORD;

    for (uint32_t at = first + way - passed; at < end; at += MARKS_PER_WORD, passed = 0) {
        uint32_t found = agreeing(array->marks[at / MARKS_PER_WORD], mark);

        for (found &= UINT32_MAX << (passed * MARK_BITS); found != 0; found &= found - 1) {
            struct vmmu_tlb_slot *const slot = &array->slots[at + (uint32_t)__builtin_ctz(found) / MARK_BITS];

            if (is_asked_for(slot, probe, shift)) {
                return slot;
            }
        }
    }
    return NULL;
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
