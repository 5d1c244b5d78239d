/*
 * Setting up a TLB, looking up, remembering.
 *
 * Invariant: an entry was put into every array that holds its like, and what it replaces left all of them;
 * so no array ever answers with what another one no longer would.
 */
#include "lib/tlb/array.h"

#define SMALLEST_SIZES BITS64(SMALLEST_SHIFT - 1, 0)

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static uint32_t stride_of(const struct vmmu_tlb_array_config *config)
{
    return (config->ways + MARKS_PER_WORD - 1U) / MARKS_PER_WORD * MARKS_PER_WORD;
}

static uint64_t slots_of(const struct vmmu_tlb_array_config *config)
{
    return (uint64_t)config->sets * stride_of(config);
}

static bool is_possible_array(const struct vmmu_tlb_array_config *config)
{
    return is_power_of_two(config->sets) && config->ways != 0 && config->kinds != 0 &&
           (config->kinds & ~VMMU_TLB_KINDS) == 0 && (config->translations || config->structures) &&
           config->page_shifts != 0 && (config->page_shifts & SMALLEST_SIZES) == 0 &&
           (unsigned)config->replacement <= VMMU_TLB_RANDOM;
}

static bool is_possible(const struct vmmu_tlb_config *config)
{
    uint64_t slots = 0;

    if (config->arrays == 0 || config->arrays > VMMU_TLB_ARRAYS) {
        return false;
    }
    for (uint8_t i = 0; i < config->arrays; i++) {
        if (!is_possible_array(&config->array[i])) {
            return false;
        }
        slots += slots_of(&config->array[i]);
    }
    return slots <= UINT32_MAX;
}

#define SLOT_BYTES (sizeof(struct vmmu_tlb_slot) + MARK_BITS / 8)

/* Rounded up so that what follows is aligned. */
static uint64_t array_bytes(const struct vmmu_tlb_array_config *config)
{
    return (slots_of(config) * SLOT_BYTES + (uint64_t)config->sets * sizeof(struct vmmu_tlb_set) + 7) &
           ~UINT64_C(7);
}

size_t vmmu_tlb_memory_bytes(const struct vmmu_tlb_config *config)
{
    uint64_t bytes = 0;

    if (!is_possible(config)) {
        return 0;
    }
    for (uint8_t i = 0; i < config->arrays; i++) {
        bytes += array_bytes(&config->array[i]);
    }
    return (size_t)bytes == bytes ? (size_t)bytes : 0;
}

/* Lay out one array from @memory on. Returns what lies behind it. */
static uint8_t *lay_out(struct vmmu_tlb_array *array, const struct vmmu_tlb_array_config *config,
                        uint8_t *memory)
{
    const size_t slots = (size_t)slots_of(config);

    *array = (struct vmmu_tlb_array){ .set_mask = config->sets - 1,
                                      .ways = config->ways,
                                      .stride = stride_of(config) };
    array->slots = (struct vmmu_tlb_slot *)(void *)memory;
    array->sets = (struct vmmu_tlb_set *)(void *)(array->slots + slots);
    array->marks = (uint32_t *)(void *)(array->sets + config->sets);
    for (size_t word = 0; word < slots / MARKS_PER_WORD; word++) {
        array->marks[word] = MARK_NONE;
    }
    for (uint32_t set = 0; set < config->sets; set++) {
        array->sets[set] = (struct vmmu_tlb_set){ 0 };
    }
    return memory + array_bytes(config);
}

enum vmmu_status vmmu_tlb_init(struct vmmu_tlb *tlb, const struct vmmu_tlb_config *config, void *memory,
                               size_t memory_bytes)
{
    const size_t needed_bytes = vmmu_tlb_memory_bytes(config);
    uint8_t *rest = memory;

    if (needed_bytes == 0 || memory_bytes < needed_bytes || !vmmu_is_aligned((uintptr_t)memory, 8)) {
        return VMMU_INVALID;
    }
    /* The generator would stay at 0 for ever. */
    *tlb = (struct vmmu_tlb){ .config = *config, .random = config->seed != 0 ? config->seed : 1 };
    for (uint8_t i = 0; i < config->arrays; i++) {
        rest = lay_out(&tlb->array[i], &config->array[i], rest);
    }
    return VMMU_OK;
}

static bool holds(const struct vmmu_tlb_array_config *config, const struct vmmu_tlb_entry *entry)
{
    return (config->kinds & entry->kind) != 0 &&
           (entry->table_level == 0 ? config->translations : config->structures) &&
           (config->page_shifts & BIT64(entry->page_shift)) != 0;
}

/*
 * Copy @entry, found in array @index, to the first one that holds its like. None before had an answer, so
 * it replaces nothing.
 */
static void promote(struct vmmu_tlb *tlb, uint8_t index, const struct vmmu_tlb_entry *entry)
{
    for (uint8_t i = 0; i < index; i++) {
        if (holds(&tlb->config.array[i], entry)) {
            vmmu_tlb_array_add(tlb, i, entry);
            tlb->statistics.promoted++;
            return;
        }
    }
}

/* The smallest region of one array that answers @probe; or NULL. */
static inline struct vmmu_tlb_slot *find(const struct vmmu_tlb_array *array, const struct probe *probe,
                                         unsigned sort)
{
    for (uint32_t i = 0; i < array->size_count[sort]; i++) {
        struct vmmu_tlb_slot *const slot = find_sized(array, probe, array->shifts[sort][i], 0);

        if (slot != NULL) {
            return slot;
        }
    }
    return NULL;
}

const struct vmmu_tlb_entry *vmmu_tlb_lookup(struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query)
{
    const struct probe probe = probe_of(query);
    const unsigned sort = sort_of(query->table_level);

    tlb->statistics.lookups++;
    for (uint8_t i = 0; i < tlb->config.arrays; i++) {
        struct vmmu_tlb_slot *const slot = find(&tlb->array[i], &probe, sort);

        if (slot != NULL) {
            tlb->statistics.hits[i]++;
            slot->use = ++tlb->clock;
            if (i != 0) {
                promote(tlb, i, &slot->entry);
            }
            return &slot->entry;
        }
    }
    tlb->statistics.misses++;
    return NULL;
}

const struct vmmu_tlb_entry *vmmu_tlb_each(const struct vmmu_tlb *tlb, const struct vmmu_tlb_query *query,
                                           uint32_t *cursor)
{
    const struct probe probe = probe_of(query);
    const unsigned sort = sort_of(query->table_level);
    /* The cursor counts ways, set after set in the order in which they are searched. */
    uint32_t passed = 0;

    for (uint8_t i = 0; i < tlb->config.arrays; i++) {
        const struct vmmu_tlb_array *const array = &tlb->array[i];

        for (uint8_t size = 0; size < array->size_count[sort]; size++, passed += array->ways) {
            const uint8_t shift = array->shifts[sort][size];
            const uint32_t way = *cursor > passed ? *cursor - passed : 0;
            const uint32_t set = set_of(array, query->address, shift);
            const struct vmmu_tlb_slot *const slot =
                way < array->ways ? find_sized(array, &probe, shift, way) : NULL;

            if (slot != NULL) {
                *cursor = passed + (uint32_t)(slot - &array->slots[(size_t)set * array->stride]) + 1;
                return &slot->entry;
            }
        }
    }
    *cursor = passed;
    return NULL;
}

/* Whether both are of the same region, kind, sort and owner, whatever their contexts. */
static bool are_of_one_region(const struct vmmu_tlb_entry *a, const struct vmmu_tlb_entry *b)
{
    return a->base == b->base && a->page_shift == b->page_shift && a->kind == b->kind &&
           a->table_level == b->table_level && a->tag.stage2 == b->tag.stage2 && a->tag.space == b->tag.space;
}

static bool share_a_context(const struct vmmu_tlb_entry *a, const struct vmmu_tlb_entry *b)
{
    return a->global || b->global || a->tag.context == b->tag.context;
}

static bool are_alike(const struct vmmu_tlb_entry *a, const struct vmmu_tlb_entry *b)
{
    return a->global == b->global && a->tag.context == b->tag.context && a->frame == b->frame &&
           a->data == b->data;
}

/* Remove what @entry replaces in array @index. Returns how many entries. */
static uint32_t replace(struct vmmu_tlb *tlb, uint8_t index, const struct vmmu_tlb_entry *entry)
{
    struct vmmu_tlb_array *const array = &tlb->array[index];
    const uint32_t set = set_of(array, entry->base, entry->page_shift);
    uint32_t replaced = 0;

    for (uint32_t way = array->sets[set].used; way-- > 0;) {
        const struct vmmu_tlb_entry *const old = &array->slots[set * array->stride + way].entry;

        if (are_of_one_region(old, entry) &&
            (tlb->config.duplicates ? are_alike(old, entry) : share_a_context(old, entry))) {
            vmmu_tlb_array_remove(array, set, way);
            replaced++;
        }
    }
    return replaced;
}

enum vmmu_status vmmu_tlb_insert(struct vmmu_tlb *tlb, const struct vmmu_tlb_entry *entry)
{
    enum vmmu_status status = VMMU_UNSUPPORTED;

    if (entry->page_shift > LARGEST_SHIFT) {
        return VMMU_UNSUPPORTED;
    }
    if (!is_power_of_two(entry->kind) || entry->kind > VMMU_TLB_KINDS ||
        !vmmu_is_aligned(entry->base, BIT64(entry->page_shift))) {
        return VMMU_INVALID;
    }
    for (uint8_t i = 0; i < tlb->config.arrays; i++) {
        if (holds(&tlb->config.array[i], entry)) {
            tlb->statistics.replaced += replace(tlb, i, entry);
            vmmu_tlb_array_add(tlb, i, entry);
            status = VMMU_OK;
        }
    }
    tlb->statistics.inserts += status == VMMU_OK;
    return status;
}
