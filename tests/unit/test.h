/*
 * The harness of every hosted test: cmocka, with the few words that the tests use.
 *
 * A test is `static void test_<sentence of the specification>(void **state)`; a file ends in
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = { cmocka_unit_test(test_...), ... };
 *         return RUN_TESTS(tests);
 *     }
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The condition holds, or the test fails here. */
#define EXPECT(condition)           assert_true(condition)

/* Two integers are equal, or the test fails here and prints both. */
#define EXPECT_EQ(actual, expected) assert_int_equal((uint64_t)(actual), (uint64_t)(expected))

#define RUN_TESTS(tests)            cmocka_run_group_tests(tests, NULL, NULL)

#endif
