/*
 * The processor: its TLB, and how an access or a speculation goes through what is kept and what is in memory.
 *
 * AMD raises no fault that memory, walked anew from the root, does not confirm; Intel may raise one by what
 * is kept, and forgets it by that.
 */
#include "tests/model/machine/processor_internal.h"

#include <stdlib.h>

/* Sets keep the search short; each is large enough that what is worth keeping stays for long. */
#define MOST_WAYS        64U
#define MOST_TLB_ENTRIES 16384U

#define TLB_SEED         UINT64_C(0x5EED)

/* --- making one --- */

static bool make_tlb(struct processor *processor, uint32_t tlb_entries)
{
    struct vmmu_tlb_config config = {
        .arrays = 1,
        .array[0] = {
            .sets = 1,
            .ways = (uint16_t)(tlb_entries < MOST_WAYS ? tlb_entries : MOST_WAYS),
            .kinds = VMMU_TLB_KINDS,
            .translations = true,
            .structures = true,
            .page_shifts = BITS64(63, VMMU_PAGE_SHIFT),
            .replacement = VMMU_TLB_RANDOM,
        },
        .duplicates = true,
        .seed = TLB_SEED,
    };

    while (config.array[0].sets * MOST_WAYS < tlb_entries) {
        config.array[0].sets *= 2;
    }
    const size_t bytes = vmmu_tlb_memory_bytes(&config);

    processor->tlb_memory = bytes != 0 ? malloc(bytes) : NULL;
    processor->origins = origins_create(config.array[0].sets * config.array[0].ways);
    return processor->tlb_memory && processor->origins &&
           vmmu_tlb_init(&processor->tlb, &config, processor->tlb_memory, bytes) == VMMU_OK;
}

struct processor *processor_create(struct memory *memory, const struct processor_witness *witness,
                                   uint32_t tlb_entries)
{
    struct processor *processor = calloc(1, sizeof *processor);

    if (!processor) {
        return NULL;
    }
    processor->memory = memory;
    processor->witness = *witness;
    if (tlb_entries == 0 || tlb_entries > MOST_TLB_ENTRIES || !make_tlb(processor, tlb_entries)) {
        processor_destroy(processor);
        return NULL;
    }
    return processor;
}

void processor_destroy(struct processor *processor)
{
    if (processor) {
        origins_destroy(processor->origins);
        free(processor->tlb_memory);
        free(processor);
    }
}

const struct vmmu_tlb_statistics *processor_statistics(const struct processor *processor)
{
    return &processor->tlb.statistics;
}

/* --- ends --- */

enum progress crossing_strays(struct crossing *crossing, uint64_t hpa)
{
    crossing->result.end = PROCESSOR_STRAYED;
    crossing->result.hpa = hpa;
    return ENDED;
}

static enum progress reaches(struct crossing *crossing, uint64_t hpa)
{
    if (memory_owner_of(crossing->processor->memory, hpa) != OWNER_GUEST) {
        return crossing_strays(crossing, hpa);
    }
    crossing->result.end = PROCESSOR_REACHED;
    crossing->result.hpa = hpa;
    return ENDED;
}

/* --- by a translation that is kept --- */

/* Whether the processor raises a fault by what is kept, without another look at memory. */
static bool insists(struct crossing *crossing)
{
    return crossing->state->tags.vendor == VMMU_X86_INTEL && luck_once_in(crossing->luck, 2);
}

/* The guest's own rights allow it: what about the second stage? PROGRESS: it cannot be used. */
static enum progress cross_second_by(struct crossing *crossing, const struct vmmu_tlb_entry *entry,
                                     const struct facts *facts)
{
    const struct processor_witness *witness = &crossing->processor->witness;
    const struct origin *origin = cache_origin(crossing->processor, entry);
    const uint64_t gpa = origin->page[origin->count - 1] + (crossing->va - entry->base);

    if (!second_allows(crossing, facts)) {
        return insists(crossing) ? second_refuse_final(crossing, gpa, facts) : PROGRESS;
    }
    if (second_must_mark(crossing, facts)) {
        return PROGRESS;
    }
    witness->used(witness->context, gpa, crossing->access.kind == VMMU_X86_WRITE);
    return reaches(crossing, entry->frame + (crossing->va - entry->base));
}

/* End the access by @entry; or say PROGRESS, if it cannot be used. */
static enum progress cross_by(struct crossing *crossing, const struct vmmu_tlb_entry *entry)
{
    const struct facts facts = cache_facts(entry);
    const uint32_t error_code = crossing_judge(crossing, &facts);

    if (error_code != 0) {
        return insists(crossing) ? crossing_page_fault(crossing, error_code) : PROGRESS;
    }
    if (crossing->access.kind == VMMU_X86_WRITE && !facts.dirty) {
        return PROGRESS;
    }
    return crossing->state->nested ? cross_second_by(crossing, entry, &facts)
                                   : reaches(crossing, entry->frame + (crossing->va - entry->base));
}

/* --- by a walk --- */

/* The guest's leaf is known. Translate what it leads to, and keep what came of it. */
static enum progress land(struct crossing *crossing, struct arrival *arrival)
{
    const struct vmmu_x86_stage2_access access = { .kind = crossing->access.kind };
    struct landing landing = { .hpa = arrival->gpa, .shift = arrival->shift, .facts = arrival->facts };
    const bool nested = crossing->state->nested;
    const bool paged = crossing->state->mode.paging != VMMU_X86_PAGING_NONE;

    if (nested) {
        const enum progress progress = second_translate(crossing, arrival->gpa, access, &landing);

        if (progress != PROGRESS) {
            return progress;
        }
        landing.facts.rights = arrival->facts.rights;
        landing.facts.key = arrival->facts.key;
        landing.facts.dirty = arrival->facts.dirty;
    }
    const uint8_t shift = arrival->shift < landing.shift ? arrival->shift : landing.shift;
    const struct kept kept = {
        .key = &crossing->linear,
        .address = crossing->va,
        .frame = landing.hpa & ~(BIT64(shift) - 1),
        .shift = shift,
        .global = arrival->global,
        .facts = landing.facts,
        .origin = nested ? &arrival->origin : NULL,
    };

    arrival->origin.page[arrival->origin.count++] = arrival->gpa & ~(BIT64(shift) - 1);
    if (nested || paged) {
        cache_keep_translation(crossing, &kept, arrival->by_host);
    }
    return reaches(crossing, landing.hpa);
}

static enum progress walk(struct crossing *crossing)
{
    struct arrival arrival;
    const enum progress progress = guest_walk(crossing, &arrival);

    return progress == PROGRESS ? land(crossing, &arrival) : progress;
}

/* --- accesses --- */

static struct crossing begin(struct processor *processor, const struct guest_state *state, uint64_t va,
                             struct luck *luck)
{
    const struct vmmu_x86_mode *mode = &state->mode;
    struct crossing crossing = {
        .processor = processor,
        .state = state,
        .luck = luck,
        .va = mode->address_bits == 32 ? va & BITS64(31, 0) : va,
        .linear = vmmu_invalidate_linear_key(&state->tags, mode->pcid),
    };

    VMMU_ASSERT(state->nested == state->tags.nested);
    if (state->nested) {
        crossing.physical = vmmu_invalidate_guest_physical_key(&state->tags);
    }
    return crossing;
}

static void cross(struct crossing *crossing)
{
    struct vmmu_tlb_entry entry;
    enum progress progress = PROGRESS;

    if (cache_find_translation(crossing, &crossing->linear, crossing->va, &entry)) {
        progress = cross_by(crossing, &entry);
        crossing->cached |= progress == ENDED;
    }
    if (progress != ENDED) {
        progress = walk(crossing);
    }
    if (progress == RACED) {
        /* Only what is kept can be older than memory. */
        VMMU_ASSERT(!crossing->from_memory);
        crossing->from_memory = true;
        crossing->cached = false;
        cross(crossing);
    }
}

static bool must_be_confirmed(const struct crossing *crossing)
{
    const enum processor_end end = crossing->result.end;

    return crossing->state->tags.vendor == VMMU_X86_AMD && crossing->cached &&
           (end == PROCESSOR_GUEST_FAULT || end == PROCESSOR_STAGE2);
}

struct processor_result processor_access(struct processor *processor, const struct guest_state *state,
                                         uint64_t va, struct vmmu_x86_access access, struct luck *luck)
{
    struct crossing crossing = begin(processor, state, va, luck);

    if (processor->strayed) {
        crossing_strays(&crossing, processor->strayed_to);
        return crossing.result;
    }
    crossing.access = access;
    cross(&crossing);
    if (must_be_confirmed(&crossing)) {
        forget_fault(&crossing);
        crossing.from_memory = true;
        crossing.cached = false;
        cross(&crossing);
    }
    forget_fault(&crossing);
    crossing.result.fresh = !crossing.cached;
    crossing.result.mixed = processor->mixed;
    processor->mixed = false;
    return crossing.result;
}

void processor_speculate(struct processor *processor, const struct guest_state *state, uint64_t va,
                         struct luck *luck)
{
    struct crossing crossing = begin(processor, state, va, luck);
    struct arrival arrival;

    crossing.speculative = true;
    crossing.from_memory = luck_once_in(luck, 3);
    crossing.by_links = luck_once_in(luck, 2);
    crossing.access = (struct vmmu_x86_access){ .kind = VMMU_X86_READ };
    if (guest_walk(&crossing, &arrival) == PROGRESS) {
        (void)land(&crossing, &arrival);
    }
    if (crossing.result.end == PROCESSOR_STRAYED) {
        processor->strayed = true;
        processor->strayed_to = crossing.result.hpa;
    }
}
