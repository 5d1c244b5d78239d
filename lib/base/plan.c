/*
 * Plans: few ranges, joined where they touch, and the whole tag when there would be too many.
 *
 * Invariant: a plan names every page that was ever added to it, and two of its ranges
 * neither overlap nor touch.
 */
#include <vmmu/plan.h>

/* One more than the highest page number that an address can have. */
#define PAGES_END BIT64(64 - VMMU_PAGE_SHIFT)

struct pages {
    uint64_t first;
    uint64_t end;
};

static bool touch(struct pages a, struct pages b)
{
    return a.first <= b.end && b.first <= a.end;
}

/* Take out of @plan every range that touches @added, and widen @added by it. */
static void absorb(struct vmmu_plan *plan, struct pages *added)
{
    for (unsigned i = 0; i < plan->count;) {
        const uint64_t first = plan->ranges[i].base >> VMMU_PAGE_SHIFT;
        const struct pages old = { first, first + plan->ranges[i].pages };

        if (!touch(old, *added)) {
            i++;
            continue;
        }
        added->first = old.first < added->first ? old.first : added->first;
        added->end = old.end > added->end ? old.end : added->end;
        /* What did not touch before may touch now that the range is wider: start again. */
        plan->ranges[i] = plan->ranges[--plan->count];
        i = 0;
    }
}

void vmmu_plan_add(struct vmmu_plan *plan, uint64_t base, uint64_t pages)
{
    struct pages added = { base >> VMMU_PAGE_SHIFT, PAGES_END };

    VMMU_ASSERT(vmmu_is_aligned(base, VMMU_PAGE_BYTES));
    if (plan->whole_tag || pages == 0) {
        return;
    }
    if (pages < PAGES_END - added.first) {
        added.end = added.first + pages;
    }
    absorb(plan, &added);
    if (plan->count == VMMU_PLAN_RANGES) {
        plan->whole_tag = true;
        plan->count = 0;
        return;
    }
    plan->ranges[plan->count++] =
        (struct vmmu_range){ added.first << VMMU_PAGE_SHIFT, added.end - added.first };
}
