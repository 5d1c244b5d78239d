/*
 * Removing entries: by scopes, and by the caller's own judgement.
 *
 * A scope with a range goes through those sets only where a region that meets it can be, unless going
 * through all of them is less.
 */
#include "lib/tlb/array.h"

static uint64_t last_address(const struct vmmu_tlb_entry *entry)
{
    return entry->base + (BIT64(entry->page_shift) - 1);
}

static bool covers_tag(const struct vmmu_tlb_scope *scope, const struct vmmu_tlb_entry *entry)
{
    const struct vmmu_tlb_tag *const tag = &entry->tag;

    if (scope->spare_space_0 && tag->space == 0) {
        return false;
    }
    return ((scope->by & VMMU_TLB_BY_STAGE2) == 0 || tag->stage2 == scope->tag.stage2) &&
           ((scope->by & VMMU_TLB_BY_SPACE) == 0 || tag->space == scope->tag.space);
}

static bool covers_context(const struct vmmu_tlb_scope *scope, const struct vmmu_tlb_entry *entry)
{
    if (entry->global && scope->globals != VMMU_TLB_GLOBALS_BY_CONTEXT) {
        return scope->globals == VMMU_TLB_GLOBALS_ALWAYS;
    }
    return (scope->by & VMMU_TLB_BY_CONTEXT) == 0 || entry->tag.context == scope->tag.context;
}

static bool covers_region(const struct vmmu_tlb_scope *scope, const struct vmmu_tlb_entry *entry)
{
    return !scope->by_range || (entry->base <= scope->last && last_address(entry) >= scope->first);
}

static bool is_covered(void *context, const struct vmmu_tlb_entry *entry)
{
    const struct vmmu_tlb_scope *const scope = context;

    return (scope->kinds & entry->kind) != 0 &&
           (entry->table_level == 0 ? scope->translations : scope->structures) && covers_tag(scope, entry) &&
           covers_context(scope, entry) && covers_region(scope, entry);
}

/* Whom to remove. */
struct verdict {
    bool (*condemned)(void *context, const struct vmmu_tlb_entry *entry);
    void *context;
};

/* Remove the condemned of @count sets from number @first on; sets count around. Returns how many entries. */
static uint32_t sweep(struct vmmu_tlb_array *array, const struct verdict *verdict, uint32_t first,
                      uint64_t count)
{
    uint32_t removed = 0;

    for (uint64_t i = 0; i < count; i++) {
        const uint32_t set = (first + (uint32_t)i) & array->set_mask;

        for (uint32_t way = array->sets[set].used; way-- > 0;) {
            if (verdict->condemned(verdict->context, &array->slots[set * array->stride + way].entry)) {
                vmmu_tlb_array_remove(array, set, way);
                removed++;
            }
        }
    }
    return removed;
}

static uint64_t sets_of(const struct vmmu_tlb_array *array)
{
    return (uint64_t)array->set_mask + 1;
}

/* How many sets regions of 2^@shift bytes that meet the range of @scope can be in. */
static uint64_t sets_met(const struct vmmu_tlb_array *array, const struct vmmu_tlb_scope *scope,
                         uint8_t shift)
{
    const uint64_t regions_but_one = (scope->last >> shift) - (scope->first >> shift);

    return regions_but_one < sets_of(array) ? regions_but_one + 1 : sets_of(array);
}

/* Copy the sizes that @array holds to @shifts: sweeping changes its own lists. Returns how many. */
static unsigned sizes_held(const struct vmmu_tlb_array *array,
                           uint8_t shifts[VMMU_TLB_SORTS * VMMU_TLB_SIZES])
{
    unsigned count = 0;

    for (unsigned sort = 0; sort < VMMU_TLB_SORTS; sort++) {
        for (unsigned i = 0; i < array->size_count[sort]; i++) {
            shifts[count++] = array->shifts[sort][i];
        }
    }
    return count;
}

/* Through the sets of the range alone, size by size, or through all where that is less. */
static uint32_t remove_in_range(struct vmmu_tlb_array *array, const struct vmmu_tlb_scope *scope,
                                const struct verdict *verdict)
{
    uint8_t shifts[VMMU_TLB_SORTS * VMMU_TLB_SIZES];
    const unsigned count = sizes_held(array, shifts);
    uint64_t sets = 0;
    uint32_t removed = 0;

    for (unsigned i = 0; i < count; i++) {
        sets += sets_met(array, scope, shifts[i]);
    }
    if (sets >= sets_of(array)) {
        return sweep(array, verdict, 0, sets_of(array));
    }
    for (unsigned i = 0; i < count; i++) {
        removed +=
            sweep(array, verdict, set_of(array, scope->first, shifts[i]), sets_met(array, scope, shifts[i]));
    }
    return removed;
}

uint32_t vmmu_tlb_invalidate(struct vmmu_tlb *tlb, const struct vmmu_tlb_scopes *scopes)
{
    uint32_t removed = 0;

    VMMU_ASSERT(scopes->count <= VMMU_TLB_SCOPES);
    for (uint8_t i = 0; i < scopes->count; i++) {
        struct vmmu_tlb_scope scope = scopes->scope[i];
        const struct verdict verdict = { is_covered, &scope };

        if (scope.by_range && scope.first > scope.last) {
            continue;
        }
        for (uint8_t array = 0; array < tlb->config.arrays; array++) {
            removed += scope.by_range ? remove_in_range(&tlb->array[array], &scope, &verdict)
                                      : sweep(&tlb->array[array], &verdict, 0, sets_of(&tlb->array[array]));
        }
    }
    tlb->statistics.invalidations++;
    tlb->statistics.removed += removed;
    return removed;
}

uint32_t vmmu_tlb_remove_if(struct vmmu_tlb *tlb,
                            bool (*condemned)(void *context, const struct vmmu_tlb_entry *entry),
                            void *context)
{
    const struct verdict verdict = { condemned, context };
    uint32_t removed = 0;

    for (uint8_t i = 0; i < tlb->config.arrays; i++) {
        removed += sweep(&tlb->array[i], &verdict, 0, sets_of(&tlb->array[i]));
    }
    tlb->statistics.invalidations++;
    tlb->statistics.removed += removed;
    return removed;
}
