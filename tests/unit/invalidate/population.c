/* The TLB of population.h: one array that keeps whatever is put in. */
#include "population.h"

#include <string.h>

#include "tests/unit/test.h"

#define ENTRIES 6

/* What the letters of a picture stand for, in their order. */
static const struct {
    uint64_t address;
    char letter;
    uint8_t page_shift;
    uint8_t table_level;
    bool global;
} sorts[ENTRIES] = {
    { HERE, 'T', 12, 0, false },      { ELSEWHERE, 't', 12, 0, false }, { HERE, 'S', 21, 1, false },
    { ELSEWHERE, 's', 21, 1, false }, { HERE, 'G', 12, 0, true },       { ELSEWHERE, 'g', 12, 0, true },
};

struct bench {
    struct vmmu_tlb tlb;
    uint64_t memory[4096];
    bool standing[POPULATION_LIMIT * ENTRIES];
};

static void bench_init(struct bench *bench)
{
    const struct vmmu_tlb_config config = {
        .arrays = 1,
        .array = { { .sets = 1,
                     .ways = POPULATION_LIMIT * ENTRIES,
                     .kinds = VMMU_TLB_KINDS,
                     .translations = true,
                     .structures = true,
                     .page_shifts = BITS64(63, 12) } },
        .duplicates = true,
    };

    EXPECT(vmmu_tlb_memory_bytes(&config) <= sizeof(bench->memory));
    EXPECT_EQ(vmmu_tlb_init(&bench->tlb, &config, bench->memory, sizeof(bench->memory)), VMMU_OK);
}

static void put(struct bench *bench, const struct vmmu_x86_cache_key *key, unsigned sort, uint64_t data)
{
    const struct vmmu_tlb_entry entry = {
        .base = sorts[sort].address & ~BITS64(sorts[sort].page_shift - 1, 0),
        .tag = key->tag,
        .data = data,
        .kind = key->kind,
        .page_shift = sorts[sort].page_shift,
        .table_level = sorts[sort].table_level,
        .global = sorts[sort].global,
    };

    EXPECT_EQ(vmmu_tlb_insert(&bench->tlb, &entry), VMMU_OK);
}

static bool note_that_it_stands(void *context, const struct vmmu_tlb_entry *entry)
{
    ((struct bench *)context)->standing[entry->data] = true;
    return false;
}

static bool exists(const struct vmmu_x86_cache_key *key, unsigned sort)
{
    return !sorts[sort].global || key->kind != VMMU_TLB_GUEST_PHYSICAL;
}

void expect_gone(const struct tag_row *rows, unsigned count, struct vmmu_tlb_scopes scopes,
                 const char *const *pictures)
{
    struct bench bench = { .memory = { 0 } };

    EXPECT(count <= POPULATION_LIMIT);
    bench_init(&bench);
    for (unsigned i = 0; i < count * ENTRIES; i++) {
        if (exists(&rows[i / ENTRIES].key, i % ENTRIES)) {
            put(&bench, &rows[i / ENTRIES].key, i % ENTRIES, i);
        }
    }
    vmmu_tlb_invalidate(&bench.tlb, &scopes);
    vmmu_tlb_remove_if(&bench.tlb, note_that_it_stands, &bench);
    for (unsigned row = 0; row < count; row++) {
        const char *expected = pictures[row] != NULL ? pictures[row] : NOTHING;
        char actual[ENTRIES + 1] = NOTHING;

        for (unsigned sort = 0; sort < ENTRIES; sort++) {
            if (exists(&rows[row].key, sort) && !bench.standing[row * ENTRIES + sort]) {
                actual[sort] = sorts[sort].letter;
            }
        }
        if (memcmp(actual, expected, sizeof(actual)) != 0) {
            fail_msg("%s: %s went, expected %s", rows[row].name, actual, expected);
        }
    }
}

/* Whether @scopes remove @entry from a TLB that holds nothing else. */
static bool removes(struct vmmu_tlb_scopes scopes, const struct vmmu_tlb_entry *entry)
{
    struct bench bench = { .memory = { 0 } };

    bench_init(&bench);
    EXPECT_EQ(vmmu_tlb_insert(&bench.tlb, entry), VMMU_OK);
    return vmmu_tlb_invalidate(&bench.tlb, &scopes) == 1;
}

bool removes_translation(struct vmmu_tlb_scopes scopes, struct vmmu_x86_cache_key key, uint64_t base,
                         unsigned page_shift)
{
    const struct vmmu_tlb_entry entry = {
        .base = base, .tag = key.tag, .kind = key.kind, .page_shift = (uint8_t)page_shift
    };

    return removes(scopes, &entry);
}

bool removes_structure(struct vmmu_tlb_scopes scopes, struct vmmu_x86_cache_key key, uint64_t base,
                       unsigned region_shift)
{
    const struct vmmu_tlb_entry entry = {
        .base = base,
        .tag = key.tag,
        .kind = key.kind,
        .page_shift = (uint8_t)region_shift,
        .table_level = (uint8_t)((region_shift - 12) / 9),
    };

    return removes(scopes, &entry);
}

bool removes_nothing(struct vmmu_tlb_scopes scopes)
{
    return scopes.count == 0;
}
