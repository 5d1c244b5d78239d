#include "tools/maps/fold.h"

#include <string.h>

/* Whether ranges differ in nothing but where they are. */
static bool alike(const struct range *one, const struct range *other)
{
    const struct vmmu_x86_scan_item *a = &one->first;
    const struct vmmu_x86_scan_item *b = &other->first;

    return one->kind == other->kind && one->bytes == other->bytes && one->type == other->type &&
           memcmp(one->pages, other->pages, sizeof(one->pages)) == 0 && a->rights == b->rights &&
           a->global == b->global && a->key == b->key && a->level == b->level && a->reserved == b->reserved;
}

/* Whether the last of two ranges may begin a run with @range: then only the first is done. */
static bool starts_anew(struct fold *fold, const struct range *range, struct fold *done)
{
    const struct range last = fold_range(fold, fold->count - 1);
    const bool pair = fold->count == 2 && alike(&fold->first, range);

    *done = *fold;
    done->count = pair ? 1 : fold->count;
    *fold = (struct fold){ .count = 1, .first = pair ? last : *range };
    if (pair) {
        fold->count = 2;
        fold->stride = range->start - last.start;
    }
    return true;
}

bool fold_add(struct fold *fold, const struct range *range, struct fold *done)
{
    if (fold->count == 0) {
        *fold = (struct fold){ .count = 1, .first = *range };
        return false;
    }
    const uint64_t distance = range->start - fold_range(fold, fold->count - 1).start;

    if (!alike(&fold->first, range) || (fold->count > 1 && distance != fold->stride)) {
        return starts_anew(fold, range, done);
    }
    fold->stride = distance;
    fold->count++;
    return false;
}

struct range fold_range(const struct fold *fold, uint64_t index)
{
    struct range range = fold->first;

    range.start += index * fold->stride;
    return range;
}
