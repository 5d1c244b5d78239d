/*
 * Invariant: a first level holds nothing that an invalidation took from the second; every scope goes to all caches, and makes
 * both sides forget what they used last.
 */
#include "tools/sim/processor.h"

#include <stdlib.h>

#define INDEX_BITS     9
#define MAY_WRITE      UINT64_C(1)
#define RECORD_CROSSES UINT64_C(0x10) /* of trace.h: part of the mask, so that such records are looked at */

/* Nothing agrees with it: no record has bit 5. */
static const struct sim_last nothing = { .base = UINT64_C(0x20), .mask = ~UINT64_C(0) };

/* --- life --- */

static const struct vmmu_tlb_config *config_of(const struct sim_geometry *geometry, enum sim_cache cache)
{
    const struct vmmu_tlb_config *const configs[SIM_CACHES] = { &geometry->code, &geometry->data,
                                                                &geometry->second, &geometry->upper,
                                                                &geometry->nested };

    return configs[cache];
}

static uint64_t translated_shifts(const struct vmmu_tlb_config *config)
{
    uint64_t shifts = 0;

    for (unsigned i = 0; i < config->arrays; i++) {
        shifts |= config->array[i].translations ? config->array[i].page_shifts : 0;
    }
    return shifts;
}

static bool open_cache(struct sim_processor *processor, enum sim_cache cache,
                       const struct vmmu_tlb_config *config)
{
    const size_t bytes = vmmu_tlb_memory_bytes(config);

    processor->memory[cache] = bytes != 0 ? take_memory(bytes, 1) : NULL;
    processor->has[cache] = true;
    processor->shifts[cache] = translated_shifts(config);
    return bytes != 0 &&
           vmmu_tlb_init(&processor->cache[cache], config, processor->memory[cache], bytes) == VMMU_OK;
}

static void forget_last(struct sim_processor *processor)
{
    processor->last[SIM_CODE] = nothing;
    processor->last[SIM_DATA] = nothing;
}

bool sim_processor_open(struct sim_processor *processor, const struct sim_geometry *geometry,
                        bool upper_levels, struct complaint *complaint)
{
    const bool shared = geometry->data.arrays == 0;

    *processor = (struct sim_processor){
        .first = { SIM_CACHE_CODE, shared ? SIM_CACHE_CODE : SIM_CACHE_DATA },
        .side = { SIM_CODE, shared ? SIM_CODE : SIM_DATA },
    };
    for (unsigned i = 0; i < SIM_CACHES; i++) {
        const enum sim_cache cache = (enum sim_cache)i;
        const struct vmmu_tlb_config *const config = config_of(geometry, cache);

        if (config->arrays == 0 || (cache >= SIM_CACHE_UPPER && !upper_levels)) {
            continue;
        }
        if (!open_cache(processor, cache, config)) {
            sim_processor_close(processor);
            return complain(complaint, "no TLB can be as '%s' says", geometry->name);
        }
    }
    forget_last(processor);
    return true;
}

void sim_processor_close(struct sim_processor *processor)
{
    for (unsigned i = 0; i < SIM_CACHES; i++) {
        free(processor->memory[i]);
        processor->memory[i] = NULL;
    }
}

void sim_processor_enter(struct sim_processor *processor, const struct vmmu_x86_tags *tags, uint16_t pcid)
{
    processor->linear = vmmu_invalidate_linear_key(tags, pcid);
    processor->physical =
        tags->nested ? vmmu_invalidate_guest_physical_key(tags) : (struct vmmu_x86_cache_key){ 0 };
    forget_last(processor);
}

void sim_processor_invalidate(struct sim_processor *processor, const struct vmmu_tlb_scopes *scopes)
{
    for (unsigned i = 0; scopes->count != 0 && i < SIM_CACHES; i++) {
        if (processor->has[i]) {
            vmmu_tlb_invalidate(&processor->cache[i], scopes);
        }
    }
    forget_last(processor);
}

/* --- translations --- */

static void note_last(struct sim_processor *processor, enum sim_side side, const struct vmmu_tlb_entry *entry)
{
    processor->last[processor->side[side]] =
        (struct sim_last){ .base = entry->base,
                           .mask = ~(BIT64(entry->page_shift) - 1) | RECORD_CROSSES,
                           .write = (entry->data & MAY_WRITE) != 0 };
}

/* The largest size in @shifts that a page of 2^@page_shift bytes can be kept as, in whole or in part; 0: none. */
static uint8_t kept_shift(uint64_t shifts, uint8_t page_shift)
{
    const uint64_t fitting = shifts & BITS64(page_shift, 0);

    return fitting != 0 ? (uint8_t)(63 - __builtin_clzll(fitting)) : 0;
}

/* Put a translation into one cache, as a piece of it if the cache has no such size. Whether it has one that fits. */
static bool keep(struct sim_processor *processor, enum sim_cache cache, uint64_t address,
                 const struct vmmu_tlb_entry *whole, struct vmmu_tlb_entry *kept)
{
    const uint8_t shift = processor->has[cache] ? kept_shift(processor->shifts[cache], whole->page_shift) : 0;

    if (shift == 0) {
        return false;
    }
    *kept = *whole;
    kept->page_shift = shift;
    kept->base = address & ~(BIT64(shift) - 1);
    return vmmu_tlb_insert(&processor->cache[cache], kept) == VMMU_OK;
}

enum sim_found sim_processor_find(struct sim_processor *processor, enum sim_side side, uint64_t address,
                                  bool write)
{
    const struct vmmu_tlb_query query = { .address = address,
                                          .tag = processor->linear.tag,
                                          .kind = processor->linear.kind };
    const uint64_t needed = write ? MAY_WRITE : 0;
    const enum sim_cache first = (enum sim_cache)processor->first[side];
    const struct vmmu_tlb_entry *entry = vmmu_tlb_lookup(&processor->cache[first], &query);
    struct vmmu_tlb_entry kept;

    if (entry && (entry->data & needed) == needed) {
        note_last(processor, side, entry);
        return SIM_FOUND_FIRST;
    }
    if (!processor->has[SIM_CACHE_SECOND]) {
        return SIM_FOUND_NOWHERE;
    }
    entry = vmmu_tlb_lookup(&processor->cache[SIM_CACHE_SECOND], &query);
    if (!entry || (entry->data & needed) != needed) {
        return SIM_FOUND_NOWHERE;
    }
    if (keep(processor, first, address, entry, &kept)) {
        note_last(processor, side, &kept);
    }
    return SIM_FOUND_SECOND;
}

void sim_processor_remember(struct sim_processor *processor, enum sim_side side,
                            const struct sim_translation *translation)
{
    const struct vmmu_tlb_entry whole = {
        .tag = processor->linear.tag,
        .kind = processor->linear.kind,
        .data = translation->write ? MAY_WRITE : 0,
        .page_shift = (uint8_t)__builtin_ctzll(translation->page_bytes),
        .global = translation->global,
    };
    struct vmmu_tlb_entry kept;

    (void)keep(processor, SIM_CACHE_SECOND, translation->address, &whole, &kept);
    if (keep(processor, (enum sim_cache)processor->first[side], translation->address, &whole, &kept)) {
        note_last(processor, side, &kept);
    }
}

/* --- upper levels --- */

/* What an entry of @level translates: the region of the table that it points to. */
static uint8_t region_shift(unsigned level)
{
    return (uint8_t)(VMMU_PAGE_SHIFT + INDEX_BITS * (level - 1));
}

/* Where entries that lead to tables are kept, and under what. */
struct tables {
    enum sim_cache cache;
    const struct vmmu_x86_cache_key *key;
};

/* The lowest level at which a table for @address is known without walking; 0: none. @top: of the root. */
static unsigned known_table(struct sim_processor *processor, struct tables tables, uint64_t address,
                            unsigned top)
{
    struct vmmu_tlb_query query = { .address = address, .tag = tables.key->tag, .kind = tables.key->kind };

    if (!processor->has[tables.cache]) {
        return 0;
    }
    for (unsigned level = 1; level < top; level++) {
        query.table_level = (uint8_t)level;
        if (vmmu_tlb_lookup(&processor->cache[tables.cache], &query)) {
            return level;
        }
    }
    return 0;
}

/* @step points to a table that translates @address further. */
static void remember_table(struct sim_processor *processor, struct tables tables, uint64_t address,
                           const struct vmmu_x86_step *step)
{
    const uint8_t shift = region_shift(step->level);

    if (processor->has[tables.cache]) {
        (void)vmmu_tlb_insert(&processor->cache[tables.cache],
                              &(struct vmmu_tlb_entry){ .base = address & ~(BIT64(shift) - 1),
                                                        .tag = tables.key->tag,
                                                        .kind = tables.key->kind,
                                                        .page_shift = shift,
                                                        .table_level = (uint8_t)(step->level - 1) });
    }
}

/* One descent through the tables of a single stage; the last step is a leaf, or what faulted. */
static unsigned descend(struct sim_processor *processor, struct tables tables, uint64_t address,
                        const struct vmmu_x86_step *steps, unsigned count)
{
    const unsigned known = known_table(processor, tables, address, steps[0].level);
    unsigned references = 0;

    for (unsigned i = 0; i < count; i++) {
        references += known == 0 || steps[i].level <= known;
        if (i + 1 < count) {
            remember_table(processor, tables, address, &steps[i]);
        }
    }
    return references;
}

unsigned sim_processor_references(struct sim_processor *processor, uint64_t address,
                                  const struct vmmu_x86_step *steps, unsigned count)
{
    const struct tables tables = { SIM_CACHE_UPPER, &processor->linear };

    return count != 0 ? descend(processor, tables, address, steps, count) : 0;
}

/* The second stage's part of a walk for @gpa: references that are made, nothing if the whole of it is cached. */
static unsigned descend_second(struct sim_processor *processor, uint64_t gpa,
                               const struct vmmu_x86_step *steps, unsigned count)
{
    const struct vmmu_tlb_query query = { .address = gpa,
                                          .tag = processor->physical.tag,
                                          .kind = processor->physical.kind };
    struct vmmu_tlb_entry whole = { .tag = processor->physical.tag, .kind = processor->physical.kind };
    struct vmmu_tlb_entry kept;
    unsigned references;

    if (count == 0) {
        return 0;
    }
    if (processor->has[SIM_CACHE_NESTED] && vmmu_tlb_lookup(&processor->cache[SIM_CACHE_NESTED], &query)) {
        return 0;
    }
    references =
        descend(processor, (struct tables){ SIM_CACHE_NESTED, &processor->physical }, gpa, steps, count);
    whole.page_shift = region_shift(steps[count - 1].level);
    (void)keep(processor, SIM_CACHE_NESTED, gpa, &whole, &kept);
    return references;
}

unsigned sim_processor_nested_references(struct sim_processor *processor, uint64_t address,
                                         const struct vmmu_x86_nested_result *walk)
{
    const struct tables tables = { SIM_CACHE_UPPER, &processor->linear };
    const struct vmmu_x86_step *const end = walk->steps + walk->step_count;
    unsigned references = 0;
    unsigned known = 0;
    bool first = true;

    for (const struct vmmu_x86_step *second = walk->steps, *step = second; second < end; second = ++step) {
        while (step < end && step->stage != VMMU_X86_STAGE_GUEST) {
            step++;
        }
        if (step == end) {
            return references +
                   descend_second(processor, walk->guest.gpa.v, second, (unsigned)(end - second));
        }
        if (first) {
            known = known_table(processor, tables, address, step->level);
            first = false;
        }
        if (known == 0 || step->level < known) {
            references += descend_second(processor, step->address, second, (unsigned)(step - second));
        }
        references += known == 0 || step->level <= known;
        if (step->level > walk->guest.level) {
            remember_table(processor, tables, address, step);
        }
    }
    return references;
}
