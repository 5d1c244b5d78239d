#include <stdlib.h>

#include "tools/check/lint.h"

void stretches_add(struct stretches *stretches, struct stretch stretch)
{
    if (stretches->count == stretches->room) {
        const unsigned room = stretches->room ? stretches->room * 2 : 256;

        stretches->list = grow_memory(stretches->list, stretches->room, room, sizeof(*stretches->list));
        stretches->room = room;
    }
    stretches->list[stretches->count++] = stretch;
}

static int compare(const void *one, const void *other)
{
    const struct stretch *a = one;
    const struct stretch *b = other;

    if (a->base != b->base) {
        return a->base < b->base ? -1 : 1;
    }
    return a->address < b->address ? -1 : a->address > b->address;
}

void stretches_sort(struct stretches *stretches)
{
    uint64_t reach = 0;

    if (stretches->count) {
        qsort(stretches->list, stretches->count, sizeof(*stretches->list), compare);
    }
    for (unsigned i = 0; i < stretches->count; i++) {
        struct stretch *stretch = &stretches->list[i];
        const uint64_t end = stretch->base + stretch->bytes;

        reach = end > reach ? end : reach;
        stretch->reach = reach;
    }
}

const struct stretch *stretches_find(const struct stretches *stretches, uint64_t base, uint64_t bytes)
{
    unsigned low = 0;
    unsigned high = stretches->count;

    /* The first up to which anything reaches beyond @base: all before it end at or below. */
    while (low < high) {
        const unsigned middle = low + (high - low) / 2;

        if (stretches->list[middle].reach <= base) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < stretches->count && stretches->list[low].base <= base + (bytes - 1); low++) {
        if (stretches->list[low].base + stretches->list[low].bytes > base) {
            return &stretches->list[low];
        }
    }
    return NULL;
}

void stretches_free(struct stretches *stretches)
{
    free(stretches->list);
    *stretches = (struct stretches){ 0 };
}
