#include "tools/live/rates.h"

#include <stdlib.h>
#include <string.h>

static double growth(uint64_t before, uint64_t now, double seconds)
{
    return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

/* Levels behind counters, in the hypervisor's own order. */
static int by_kind(const struct rate *a, const struct rate *b)
{
    if (a->counter->level != b->counter->level) {
        return a->counter->level - b->counter->level;
    }
    return a->counter->level ? (a->counter > b->counter) - (a->counter < b->counter) : 0;
}

static int by_total_only(const struct rate *a, const struct rate *b)
{
    if (a->counter->value != b->counter->value) {
        return a->counter->value > b->counter->value ? -1 : 1;
    }
    return strcmp(a->counter->name, b->counter->name);
}

static int by_total(const void *left, const void *right)
{
    const int kind = by_kind(left, right);

    return kind != 0 ? kind : by_total_only(left, right);
}

static int by_speed(const void *left, const void *right)
{
    const struct rate *const a = left;
    const struct rate *const b = right;
    const int kind = by_kind(a, b);

    if (kind != 0 || a->per_second == b->per_second) {
        return kind != 0 ? kind : by_total_only(a, b);
    }
    return a->per_second > b->per_second ? -1 : 1;
}

void rates_make(struct rates *rates, const struct counters *before, const struct counters *now,
                enum rates_order order)
{
    const double seconds = now->run_ns > before->run_ns ? (double)(now->run_ns - before->run_ns) / 1e9 : 0;

    *rates = (struct rates){ .seconds = seconds,
                             .exits_per_second = growth(before->exits, now->exits, seconds),
                             .entries_per_second = growth(before->entries, now->entries, seconds) };
    for (unsigned i = 0; i < now->count; i++) {
        const struct counter *const counter = &now->all[i];
        const struct counter *const old = counters_find(before, counter->group, counter->name);

        if (counter->value != 0) {
            rates->all[counter->group][rates->count[counter->group]++] = (struct rate){
                .counter = counter,
                .per_second = growth(old ? old->value : 0, counter->value, seconds),
            };
        }
    }
    for (unsigned group = 0; group < COUNTER_GROUPS; group++) {
        qsort(rates->all[group], rates->count[group], sizeof(rates->all[group][0]),
              order == RATES_BY_SPEED ? by_speed : by_total);
    }
}
