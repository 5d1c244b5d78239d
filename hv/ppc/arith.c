/*
 * The arithmetic of 64 bits that compilers leave to functions on a processor of 32.
 */
#include <stdint.h>

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor);
uint64_t __umoddi3(uint64_t dividend, uint64_t divisor);
int64_t __divdi3(int64_t dividend, int64_t divisor);
uint64_t __ashldi3(uint64_t value, int count);
uint64_t __lshrdi3(uint64_t value, int count);
int64_t __ashrdi3(int64_t value, int count);

#define HALF_BITS 32

/* A shift by exactly half is a move, which compilers do by themselves. */
static uint64_t join(uint32_t high, uint32_t low)
{
    return (uint64_t)high << HALF_BITS | low;
}

static uint32_t high_of(uint64_t value)
{
    return (uint32_t)(value >> HALF_BITS);
}

uint64_t __ashldi3(uint64_t value, int count)
{
    const uint32_t high = high_of(value), low = (uint32_t)value;
    if (count == 0) {
        return value;
    }
    if (count >= HALF_BITS) {
        return join(low << (count - HALF_BITS), 0);
    }
    return join(high << count | low >> (HALF_BITS - count), low << count);
}

uint64_t __lshrdi3(uint64_t value, int count)
{
    const uint32_t high = high_of(value), low = (uint32_t)value;
    if (count == 0) {
        return value;
    }
    if (count >= HALF_BITS) {
        return join(0, high >> (count - HALF_BITS));
    }
    return join(high >> count, low >> count | high << (HALF_BITS - count));
}

int64_t __ashrdi3(int64_t value, int count)
{
    const uint32_t high = high_of((uint64_t)value), low = (uint32_t)value;
    const int32_t sign = (int32_t)high;
    if (count == 0) {
        return value;
    }
    if (count >= HALF_BITS) {
        return (int64_t)join((uint32_t)(sign >> (HALF_BITS - 1)), (uint32_t)(sign >> (count - HALF_BITS)));
    }
    return (int64_t)join((uint32_t)(sign >> count), low >> count | high << (HALF_BITS - count));
}

static int leading_zeros(uint64_t value)
{
    const uint32_t high = high_of(value), low = (uint32_t)value;
    return high != 0 ? __builtin_clz(high) : HALF_BITS + __builtin_clz(low | 1);
}

/* Digit by digit in base 2, from the first that can be 1. */
static uint64_t divide_slowly(uint64_t dividend, uint64_t divisor, uint64_t *rest)
{
    const int shift = leading_zeros(divisor) - leading_zeros(dividend);
    uint64_t quotient = 0;
    for (int i = shift < 0 ? 0 : shift; i >= 0; i--) {
        const uint64_t part = __ashldi3(divisor, i);
        if (dividend >= part) {
            dividend -= part;
            quotient |= __ashldi3(1, i);
        }
    }
    *rest = dividend;
    return quotient;
}

/*
 * A divisor of 16 bits is divided by as on paper, with digits of 16 bits; most are so small. Larger ones take a step for each
 * bit by which the dividend is longer. Nothing can be divided by 0, which the processor itself would not say.
 */
static uint64_t divide(uint64_t dividend, uint64_t divisor, uint64_t *rest)
{
    if (divisor == 0) {
        __builtin_trap();
    }
    if (high_of(dividend | divisor) == 0) {
        *rest = (uint32_t)dividend % (uint32_t)divisor;
        return (uint32_t)dividend / (uint32_t)divisor;
    }
    if (divisor > UINT16_MAX) {
        return divide_slowly(dividend, divisor, rest);
    }
    const uint32_t by = (uint32_t)divisor, low = (uint32_t)dividend;
    const uint32_t high = high_of(dividend) / by;
    const uint32_t middle = (high_of(dividend) % by) << 16 | low >> 16;
    const uint32_t last = (middle % by) << 16 | (low & UINT16_MAX);
    *rest = last % by;
    return join(high, (middle / by) << 16 | last / by);
}

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor)
{
    uint64_t rest;
    return divide(dividend, divisor, &rest);
}

uint64_t __umoddi3(uint64_t dividend, uint64_t divisor)
{
    uint64_t rest;
    (void)divide(dividend, divisor, &rest);
    return rest;
}

int64_t __divdi3(int64_t dividend, int64_t divisor)
{
    uint64_t rest;
    const uint64_t magnitude = divide(dividend < 0 ? -(uint64_t)dividend : (uint64_t)dividend,
                                      divisor < 0 ? -(uint64_t)divisor : (uint64_t)divisor, &rest);
    return (int64_t)((dividend < 0) != (divisor < 0) ? -magnitude : magnitude);
}
