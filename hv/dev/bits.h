/*
 * Fields of device registers, named by the bit numbers that the datasheets print.
 */
#ifndef HV_DEV_BITS_H
#define HV_DEV_BITS_H

#include "vmmu/base.h"

#include <stdbool.h>
#include <stdint.h>

#define BIT32(n)          (UINT32_C(1) << (n))

/* Bits @high down to @low, both included. */
#define BITS32(high, low) ((~UINT32_C(0) >> (31 - (high))) & (~UINT32_C(0) << (low)))

/* The field at bits @high down to @low of @value, moved to bit 0. */
static inline uint32_t bits_get(uint64_t value, unsigned high, unsigned low)
{
    return (uint32_t)((value >> low) & ((UINT64_C(2) << (high - low)) - 1));
}

/* @field moved from bit 0 to bit @low. */
static inline uint32_t bits_put(uint32_t field, unsigned low)
{
    return field << low;
}

/* Bit @n of @value. */
static inline bool bit_is_set(uint64_t value, unsigned n)
{
    return (value >> n & 1) != 0;
}

/* Byte @index of @value, the least significant being 0. */
static inline uint8_t byte_of(uint64_t value, unsigned index)
{
    return (uint8_t)(value >> (8 * index));
}

/* @width_bytes ones: what a bus without a driver reads as. Width 1, 2, 4 or 8. */
static inline uint64_t all_ones(unsigned width_bytes)
{
    return ~UINT64_C(0) >> (64 - 8 * width_bytes);
}

#endif
