/*
 * What the flush hypercalls make a processor forget.
 */
#include "tests/model/machine/reference_internal.h"

static struct invalidation invalidation_of(const struct vmmu_x86_mode *mode,
                                           const struct reference_flush *flush)
{
    struct invalidation invalidation = invalidation_of_everything();

    invalidation.globals = flush->globals_stay ? GLOBALS_STAY : GLOBALS_GO;
    invalidation.of_space = !flush->every_space;
    invalidation.space = flush->every_space ? 0 : vmmu_mode_root(mode->paging, flush->space).v;
    if (flush->list) {
        invalidation.structures = STRUCTURES_OF_RANGE;
        invalidation.first = flush->first & ~(VMMU_PAGE_BYTES - 1);
        invalidation.last = flush->last | (VMMU_PAGE_BYTES - 1);
    }
    return invalidation;
}

/* The pages at both ends as the tables map them now: only they can reach beyond. */
static void widen(const struct reference *reference, unsigned vp, struct invalidation *invalidation)
{
    const uint64_t first_bytes = reference_page_bytes(reference, vp, invalidation->first);
    const uint64_t last_bytes = reference_page_bytes(reference, vp, invalidation->last);

    invalidation->first &= ~(first_bytes - 1);
    invalidation->last |= last_bytes - 1;
}

void reference_flush(struct reference *reference, unsigned vp, const struct reference_flush *flush)
{
    const struct vmmu_x86_mode *mode = &reference->vp[vp].mode;
    struct reference_flush asked = *flush;
    struct invalidation invalidation;

    if (flush->list && mode->address_bits == 32) {
        if (flush->first > UINT32_MAX) {
            return;
        }
        asked.last = flush->last > UINT32_MAX ? UINT32_MAX : flush->last;
    }
    invalidation = invalidation_of(mode, &asked);
    reference_pass(reference, vp, &invalidation);
    if (flush->list && (flush->every_space || invalidation.space == mode->root.v)) {
        invalidation.of_space = true;
        invalidation.space = mode->root.v;
        widen(reference, vp, &invalidation);
        reference_pass(reference, vp, &invalidation);
    }
}
