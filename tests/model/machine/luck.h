/*
 * Chance that repeats: every operation of a script carries its own seed, so that taking other operations
 * out of the script leaves its luck as it was.
 */
#ifndef TESTS_MODEL_MACHINE_LUCK_H
#define TESTS_MODEL_MACHINE_LUCK_H

#include <vmmu/base.h>

struct luck {
    uint64_t state;
};

static inline struct luck luck_from(uint64_t seed)
{
    return (struct luck){ seed * UINT64_C(0x9E3779B97F4A7C15) + 1 };
}

static inline uint64_t luck_next(struct luck *luck)
{
    uint64_t x = (luck->state += UINT64_C(0x9E3779B97F4A7C15));

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* A number below @bound, which is not 0. */
static inline uint32_t luck_below(struct luck *luck, uint32_t bound)
{
    return (uint32_t)((luck_next(luck) >> 32) * bound >> 32);
}

/* True once in @times. */
static inline bool luck_once_in(struct luck *luck, uint32_t times)
{
    return luck_below(luck, times) == 0;
}

#endif
