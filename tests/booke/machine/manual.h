/*
 * Fields of registers as the manuals name them: bit 32 is the most significant of a 32-bit register, bit 63 the least.
 *
 * The ground names every field by these numbers, and shares no definition with include/vmmu/booke.h.
 */
#ifndef TESTS_BOOKE_MACHINE_MANUAL_H
#define TESTS_BOOKE_MACHINE_MANUAL_H

#include <stdint.h>

/* Bits @first to @last of @value, as a number. */
static inline uint32_t field(uint32_t value, unsigned first, unsigned last)
{
    return (value >> (63 - last)) & (uint32_t)((UINT64_C(1) << (last - first + 1)) - 1);
}

/* @number as bits @first to @last; what does not fit is dropped. */
static inline uint32_t put(uint32_t number, unsigned first, unsigned last)
{
    return (number & (uint32_t)((UINT64_C(1) << (last - first + 1)) - 1)) << (63 - last);
}

/* A register of which only bits @first to @last are set. */
static inline uint32_t ones(unsigned first, unsigned last)
{
    return put(UINT32_MAX, first, last);
}

#endif
