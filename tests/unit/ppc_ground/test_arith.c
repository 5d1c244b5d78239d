/*
 * Arithmetic of 64 bits on a processor of 32: the same as on one of 64.
 */
#include "tests/unit/test.h"

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor);
uint64_t __umoddi3(uint64_t dividend, uint64_t divisor);
int64_t __divdi3(int64_t dividend, int64_t divisor);
uint64_t __ashldi3(uint64_t value, int count);
uint64_t __lshrdi3(uint64_t value, int count);
int64_t __ashrdi3(int64_t value, int count);

static const uint64_t values[] = {
    0,
    1,
    2,
    3,
    7,
    10,
    1000,
    0x7fff,
    0xffff,
    0x10000,
    0x10001,
    1000000,
    400000000,
    1000000000,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x100000001,
    0xffffffffffff,
    UINT64_C(400000000) << 32,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0xfffffffffffffffe,
    0xffffffffffffffff,
};

#define VALUES (sizeof(values) / sizeof(values[0]))

static void check_division(uint64_t dividend, uint64_t divisor)
{
    EXPECT_EQ(__udivdi3(dividend, divisor), dividend / divisor);
    EXPECT_EQ(__umoddi3(dividend, divisor), dividend % divisor);
    const int64_t a = (int64_t)dividend, b = (int64_t)divisor;
    if (a != INT64_MIN || b != -1) {
        EXPECT_EQ(__divdi3(a, b), a / b);
    }
}

static void test_division_of_corner_cases(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VALUES; i++) {
        for (unsigned j = 1; j < VALUES; j++) {
            check_division(values[i], values[j]);
        }
    }
}

static uint64_t random_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *seed ^ *seed >> 29;
}

static void test_division_of_numbers_of_any_length(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 200000; i++) {
        const uint64_t dividend = random_number(&seed) >> (random_number(&seed) >> 33) % 64;
        const uint64_t divisor = random_number(&seed) >> (random_number(&seed) >> 33) % 64;
        if (divisor != 0) {
            check_division(dividend, divisor);
        }
    }
}

static void test_shifts_by_every_count(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VALUES; i++) {
        for (int count = 0; count < 64; count++) {
            EXPECT_EQ(__ashldi3(values[i], count), values[i] << count);
            EXPECT_EQ(__lshrdi3(values[i], count), values[i] >> count);
            EXPECT_EQ(__ashrdi3((int64_t)values[i], count), (int64_t)values[i] >> count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_division_of_corner_cases),
        cmocka_unit_test(test_division_of_numbers_of_any_length),
        cmocka_unit_test(test_shifts_by_every_count),
    };
    return RUN_TESTS(tests);
}
