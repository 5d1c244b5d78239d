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
            if (verdict->condemned(verdict->context, &array->entries[set * array->stride + way])) {
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

static bool holds_size(const struct vmmu_tlb_array *array, uint8_t shift)
{
    return array->held[0][shift - SMALLEST_SHIFT] != 0 || array->held[1][shift - SMALLEST_SHIFT] != 0;
}

static uint32_t remove_covered(struct vmmu_tlb_array *array, struct vmmu_tlb_scope *scope)
{
    const struct verdict verdict = { is_covered, scope };
    uint64_t sets = 0;
    uint32_t removed = 0;

    for (uint8_t shift = SMALLEST_SHIFT; scope->by_range && shift <= LARGEST_SHIFT; shift++) {
        sets += holds_size(array, shift) ? sets_met(array, scope, shift) : 0;
    }
    if (!scope->by_range || sets >= sets_of(array)) {
        return sweep(array, &verdict, 0, sets_of(array));
    }
    for (uint8_t shift = SMALLEST_SHIFT; shift <= LARGEST_SHIFT; shift++) {
        if (holds_size(array, shift)) {
            removed +=
                sweep(array, &verdict, set_of(array, scope->first, shift), sets_met(array, scope, shift));
        }
    }
    return removed;
}

uint32_t vmmu_tlb_invalidate(struct vmmu_tlb *tlb, const struct vmmu_tlb_scopes *scopes)
{
    uint32_t removed = 0;

    VMMU_ASSERT(scopes->count <= VMMU_TLB_SCOPES);
    for (uint8_t i = 0; i < scopes->count; i++) {
        struct vmmu_tlb_scope scope = scopes->scope[i];

        if (scope.by_range && scope.first > scope.last) {
            continue;
        }
        for (uint8_t array = 0; array < tlb->config.arrays; array++) {
            removed += remove_covered(&tlb->array[array], &scope);
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
