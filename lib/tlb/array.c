/*
 * Filling and emptying one array: room, replacement, and the list of sizes that it holds.
 */
#include "lib/tlb/array.h"

/* Keep the list ascending: a lookup is to find the smallest region first. */
static void list_size(struct vmmu_tlb_array *array, unsigned sort, uint8_t shift)
{
    uint8_t at = array->size_count[sort]++;

    for (; at != 0 && array->shifts[sort][at - 1] > shift; at--) {
        array->shifts[sort][at] = array->shifts[sort][at - 1];
    }
    array->shifts[sort][at] = shift;
}

static void unlist_size(struct vmmu_tlb_array *array, unsigned sort, uint8_t shift)
{
    uint8_t at = 0;

    while (array->shifts[sort][at] != shift) {
        at++;
    }
    array->size_count[sort]--;
    for (; at < array->size_count[sort]; at++) {
        array->shifts[sort][at] = array->shifts[sort][at + 1];
    }
}

static void count_in(struct vmmu_tlb_array *array, const struct vmmu_tlb_entry *entry)
{
    const unsigned sort = sort_of(entry->table_level);

    if (array->held[sort][entry->page_shift - SMALLEST_SHIFT]++ == 0) {
        list_size(array, sort, entry->page_shift);
    }
}

static void count_out(struct vmmu_tlb_array *array, const struct vmmu_tlb_entry *entry)
{
    const unsigned sort = sort_of(entry->table_level);

    if (--array->held[sort][entry->page_shift - SMALLEST_SHIFT] == 0) {
        unlist_size(array, sort, entry->page_shift);
    }
}

static uint32_t least_recently_used(const struct vmmu_tlb_array *array, uint32_t set)
{
    const struct vmmu_tlb_slot *const slots = &array->slots[(size_t)set * array->stride];
    uint32_t oldest = 0;

    for (uint32_t way = 1; way < array->ways; way++) {
        oldest = slots[way].use < slots[oldest].use ? way : oldest;
    }
    return oldest;
}

static uint32_t next_in_turn(struct vmmu_tlb_array *array, uint32_t set)
{
    const uint16_t way = array->sets[set].next;

    array->sets[set].next = way + 1U == array->ways ? 0 : (uint16_t)(way + 1);
    return way;
}

/* A xorshift generator; its upper half scaled to the ways, which needs no division. */
static uint32_t any_way(struct vmmu_tlb *tlb, uint32_t ways)
{
    tlb->random ^= tlb->random >> 12;
    tlb->random ^= tlb->random << 25;
    tlb->random ^= tlb->random >> 27;
    return (uint32_t)(((tlb->random * UINT64_C(0x2545f4914f6cdd1d) >> 32) * ways) >> 32);
}

static uint32_t victim(struct vmmu_tlb *tlb, uint8_t index, uint32_t set)
{
    struct vmmu_tlb_array *const array = &tlb->array[index];

    switch (tlb->config.array[index].replacement) {
    case VMMU_TLB_LEAST_RECENTLY_USED: return least_recently_used(array, set);
    case VMMU_TLB_ROUND_ROBIN: return next_in_turn(array, set);
    case VMMU_TLB_RANDOM: break;
    }
    return any_way(tlb, array->ways);
}

static void set_mark(struct vmmu_tlb_array *array, uint32_t slot, uint32_t mark)
{
    uint32_t *const word = &array->marks[slot / MARKS_PER_WORD];
    const unsigned shift = slot % MARKS_PER_WORD * MARK_BITS;

    *word = (*word & ~(UINT32_C(0xff) << shift)) | mark << shift;
}

/* Write @entry into a slot. */
static void fill(struct vmmu_tlb_array *array, uint32_t slot, const struct vmmu_tlb_entry *entry,
                 uint64_t use)
{
    const uint64_t owner = owner_identity(entry->tag.space, entry->kind, entry->table_level);
    const uint64_t context = entry->global ? IDENTITY_GLOBAL : context_identity(entry->tag.context);

    array->slots[slot].identity = owner | context | entry->page_shift;
    array->slots[slot].use = use;
    array->slots[slot].entry = *entry;
    set_mark(array, slot, mark_of(owner_hash(entry->tag.stage2, owner), entry->base >> entry->page_shift));
}

void vmmu_tlb_array_add(struct vmmu_tlb *tlb, uint8_t index, const struct vmmu_tlb_entry *entry)
{
    struct vmmu_tlb_array *const array = &tlb->array[index];
    const uint32_t set = set_of(array, entry->base, entry->page_shift);
    uint32_t slot = set * array->stride;

    if (array->sets[set].used < array->ways) {
        slot += array->sets[set].used++;
    } else {
        slot += victim(tlb, index, set);
        count_out(array, &array->slots[slot].entry);
        tlb->statistics.evicted++;
    }
    fill(array, slot, entry, ++tlb->clock);
    count_in(array, entry);
}

void vmmu_tlb_array_remove(struct vmmu_tlb_array *array, uint32_t set, uint32_t way)
{
    const uint32_t first = set * array->stride;
    const uint32_t last = first + --array->sets[set].used;
    const uint32_t slot = first + way;

    count_out(array, &array->slots[slot].entry);
    if (slot != last) {
        fill(array, slot, &array->slots[last].entry, array->slots[last].use);
    }
    set_mark(array, last, MARK_NONE);
}
