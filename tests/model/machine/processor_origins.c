/*
 * Records under numbers, found by content through a table of chains.
 *
 * Invariant: a number is in exactly one chain, that of its content, or in the list of free ones.
 */
#include "tests/model/machine/processor_origins.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    struct origin origin;
    uint16_t next; /* of its chain, or of the free ones; NO_ORIGIN ends */
    bool live;     /* while collecting: an entry has it */
};

struct origins {
    struct slot *slots; /* [NO_ORIGIN] is not used */
    uint16_t *chains;
    uint32_t slot_count;
    uint32_t chain_mask;
    uint16_t free;
};

struct origins *origins_create(uint32_t tlb_entries)
{
    struct origins *origins = calloc(1, sizeof *origins);
    uint32_t chains = 1;

    if (!origins) {
        return NULL;
    }
    /* Twice as many as there can be in use, so that collecting is rare. */
    origins->slot_count = 2 * tlb_entries + 2;
    while (chains < origins->slot_count) {
        chains *= 2;
    }
    origins->chain_mask = chains - 1;
    origins->slots = calloc(origins->slot_count, sizeof *origins->slots);
    origins->chains = calloc(chains, sizeof *origins->chains);
    if (!origins->slots || !origins->chains || origins->slot_count > ORIGINS_MAX_SLOTS) {
        origins_destroy(origins);
        return NULL;
    }
    for (uint32_t number = origins->slot_count - 1; number > NO_ORIGIN; number--) {
        origins->slots[number].next = origins->free;
        origins->free = (uint16_t)number;
    }
    return origins;
}

void origins_destroy(struct origins *origins)
{
    if (origins) {
        free(origins->slots);
        free(origins->chains);
        free(origins);
    }
}

static uint16_t *chain_of(const struct origins *origins, const struct origin *origin)
{
    uint64_t hash = origin->count;

    for (unsigned i = 0; i < origin->count; i++) {
        hash = (hash ^ (origin->page[i] >> VMMU_PAGE_SHIFT)) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    return &origins->chains[hash & origins->chain_mask];
}

static bool are_equal(const struct origin *a, const struct origin *b)
{
    return a->count == b->count && memcmp(a->page, b->page, a->count * sizeof a->page[0]) == 0;
}

static bool note_live(void *context, const struct vmmu_tlb_entry *entry)
{
    struct origins *origins = context;

    origins->slots[cache_origin_number(entry->data)].live = true;
    return false;
}

/* Free the numbers that no entry has. */
static void collect(struct origins *origins, struct vmmu_tlb *tlb)
{
    (void)vmmu_tlb_remove_if(tlb, note_live, origins);
    memset(origins->chains, 0, (origins->chain_mask + 1) * sizeof *origins->chains);
    origins->free = NO_ORIGIN;
    for (uint32_t number = origins->slot_count - 1; number > NO_ORIGIN; number--) {
        struct slot *slot = &origins->slots[number];
        uint16_t *list = slot->live ? chain_of(origins, &slot->origin) : &origins->free;

        slot->next = *list;
        *list = (uint16_t)number;
        slot->live = false;
    }
}

uint16_t origins_number(struct origins *origins, struct vmmu_tlb *tlb, const struct origin *origin)
{
    uint16_t *chain = chain_of(origins, origin);

    for (uint16_t number = *chain; number != NO_ORIGIN; number = origins->slots[number].next) {
        if (are_equal(&origins->slots[number].origin, origin)) {
            return number;
        }
    }
    if (origins->free == NO_ORIGIN) {
        collect(origins, tlb);
    }
    const uint16_t number = origins->free;
    struct slot *slot = &origins->slots[number];

    origins->free = slot->next;
    slot->origin = *origin;
    slot->next = *chain;
    *chain = number;
    return number;
}

const struct origin *origins_at(const struct origins *origins, uint16_t number)
{
    return &origins->slots[number].origin;
}
