/*
 * Sets of address ranges. Invariant: ranges[i].base < ranges[i].end < ranges[i + 1].base.
 */
#include "hv/boot/ranges.h"

/* Move the ranges from @from on so that they start at @to, and count accordingly. */
static void shift(struct range_set *set, unsigned from, unsigned to)
{
    const unsigned moved = set->count - from;
    if (to > from) {
        for (unsigned i = moved; i-- > 0;) {
            set->ranges[to + i] = set->ranges[from + i];
        }
    } else {
        for (unsigned i = 0; i < moved; i++) {
            set->ranges[to + i] = set->ranges[from + i];
        }
    }
    set->count = to + moved;
}

/* The first range that ends at or above @address. */
static unsigned first_reaching(const struct range_set *set, uint64_t address)
{
    unsigned i = 0;
    while (i < set->count && set->ranges[i].end < address) {
        i++;
    }
    return i;
}

bool range_set_add(struct range_set *set, uint64_t base, uint64_t end)
{
    if (base >= end) {
        return true;
    }
    const unsigned first = first_reaching(set, base);
    unsigned past = first;
    while (past < set->count && set->ranges[past].base <= end) {
        past++;
    }
    if (past == first) {
        if (set->count == set->capacity) {
            return false;
        }
        shift(set, first, first + 1);
        set->ranges[first] = (struct range){ base, end };
        return true;
    }
    const uint64_t low = set->ranges[first].base, high = set->ranges[past - 1].end;
    set->ranges[first] = (struct range){ low < base ? low : base, high > end ? high : end };
    shift(set, past, first + 1);
    return true;
}

/* Take [base, end) out of the middle of range @i. */
static void split(struct range_set *set, unsigned i, uint64_t base, uint64_t end)
{
    const struct range low = { set->ranges[i].base, base };
    const struct range high = { end, set->ranges[i].end };
    if (set->count == set->capacity) {
        set->ranges[i] = low.end - low.base >= high.end - high.base ? low : high;
        return;
    }
    shift(set, i, i + 1);
    set->ranges[i] = low;
    set->ranges[i + 1] = high;
}

void range_set_remove(struct range_set *set, uint64_t base, uint64_t end)
{
    if (base >= end) {
        return;
    }
    unsigned i = first_reaching(set, base);
    while (i < set->count && set->ranges[i].base < end) {
        struct range *range = &set->ranges[i];
        if (range->base < base && range->end > end) {
            split(set, i, base, end);
            return;
        }
        if (range->base >= base && range->end <= end) {
            shift(set, i + 1, i);
            continue;
        }
        if (range->base < base) {
            range->end = range->end < base ? range->end : base;
        } else {
            range->base = end;
        }
        i++;
    }
}

bool range_set_take(struct range_set *set, uint64_t size_bytes, uint64_t align_bytes, uint64_t limit,
                    uint64_t *base)
{
    if (size_bytes == 0) {
        return false;
    }
    for (unsigned i = 0; i < set->count; i++) {
        const struct range range = set->ranges[i];
        const uint64_t end = range.end < limit ? range.end : limit;
        const uint64_t skipped = -range.base & (align_bytes - 1);
        if (range.base > end || skipped > end - range.base || size_bytes > end - range.base - skipped) {
            continue;
        }
        const bool splits = skipped != 0 && range.base + skipped + size_bytes != range.end;
        if (splits && set->count == set->capacity) {
            continue;
        }
        *base = range.base + skipped;
        range_set_remove(set, *base, *base + size_bytes);
        return true;
    }
    return false;
}

uint64_t range_set_total(const struct range_set *set)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < set->count; i++) {
        bytes += set->ranges[i].end - set->ranges[i].base;
    }
    return bytes;
}
