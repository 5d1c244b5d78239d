/*
 * What tests/unit/test.h uses of cmocka, and no more: for processors for which Debian has no cmocka. Speaks TAP.
 *
 * All of it is in this header, so that no program is linked with it by mistake: who wants it has this folder searched for headers.
 */
#ifndef TESTS_UNIT_PLAIN_CMOCKA_H
#define TESTS_UNIT_PLAIN_CMOCKA_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test(function)                                                                           \
    {                                                                                                        \
#function, function, NULL, NULL                                                                      \
    }
#define cmocka_unit_test_setup(function, setup)                                                              \
    {                                                                                                        \
#function, function, setup, NULL                                                                     \
    }
#define cmocka_unit_test_setup_teardown(function, setup, teardown)                                           \
    {                                                                                                        \
#function, function, setup, teardown                                                                 \
    }

/* Where a test that fails goes back to. */
static jmp_buf plain_failed;

static inline void plain_expect(int holds, const char *what, const char *file, int line)
{
    if (!holds) {
        printf("# %s:%d: %s\n", file, line, what);
        longjmp(plain_failed, 1);
    }
}

static inline void plain_expect_equal(uint64_t actual, uint64_t expected, const char *file, int line)
{
    if (actual != expected) {
        printf("# %s:%d: %#" PRIx64 ", not %#" PRIx64 "\n", file, line, actual, expected);
        longjmp(plain_failed, 1);
    }
}

#define assert_true(condition) plain_expect((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define assert_int_equal(actual, expected)                                                                   \
    plain_expect_equal((uint64_t)(actual), (uint64_t)(expected), __FILE__, __LINE__)

/* Whether the test passed. Its teardown runs in any case but that of a setup that failed. */
static inline int plain_run(const struct CMUnitTest *test)
{
    void *state = NULL;
    volatile int passed = 0;

    if (test->setup != NULL && test->setup(&state) != 0) {
        return 0;
    }
    if (setjmp(plain_failed) == 0) {
        test->test(&state);
        passed = 1;
    }
    return (test->teardown == NULL || test->teardown(&state) == 0) && passed;
}

/* The number of tests that failed: a program's exit status. */
static inline int plain_run_all(const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        const int passed = plain_run(&tests[i]);

        printf("%s %zu - %s\n", passed ? "ok" : "not ok", i + 1, tests[i].name);
        failed += !passed;
    }
    return failed;
}

#define cmocka_run_group_tests(tests, group_setup, group_teardown)                                           \
    plain_run_all(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
