/* Accesses in words, as --access takes them. */
#include "tests/unit/test.h"
#include "tools/walk/access.h"

static void expect_access(const char *text, struct vmmu_x86_access expected)
{
    struct vmmu_x86_access access = { .shadow_stack = true };

    EXPECT(access_parse(text, &access));
    EXPECT_EQ(access.kind, expected.kind);
    EXPECT_EQ(access.user, expected.user);
    EXPECT_EQ(access.implicit, expected.implicit);
    EXPECT_EQ(access.eflags_ac, expected.eflags_ac);
    EXPECT_EQ(access.marks, VMMU_X86_MARKS_LEAVE);
    EXPECT(!access.shadow_stack);
}

static void test_kinds_have_a_letter_and_a_word(void **state)
{
    (void)state;
    expect_access("r", (struct vmmu_x86_access){ .kind = VMMU_X86_READ });
    expect_access("read", (struct vmmu_x86_access){ .kind = VMMU_X86_READ });
    expect_access("w", (struct vmmu_x86_access){ .kind = VMMU_X86_WRITE });
    expect_access("write", (struct vmmu_x86_access){ .kind = VMMU_X86_WRITE });
    expect_access("x", (struct vmmu_x86_access){ .kind = VMMU_X86_EXECUTE });
    expect_access("execute", (struct vmmu_x86_access){ .kind = VMMU_X86_EXECUTE });
    expect_access("fetch", (struct vmmu_x86_access){ .kind = VMMU_X86_EXECUTE });
}

static void test_words_come_in_any_order(void **state)
{
    (void)state;
    expect_access("user,w", (struct vmmu_x86_access){ .kind = VMMU_X86_WRITE, .user = true });
    expect_access("w,supervisor,ac", (struct vmmu_x86_access){ .kind = VMMU_X86_WRITE, .eflags_ac = true });
    expect_access("implicit,r", (struct vmmu_x86_access){ .kind = VMMU_X86_READ, .implicit = true });
    expect_access("user", (struct vmmu_x86_access){ .kind = VMMU_X86_READ, .user = true });
}

static void test_what_is_no_access_is_refused_and_changes_nothing(void **state)
{
    static const char *const refused[] = {
        "",           "y",    "r,",     ",r", "r,w", "r,r", "r user", "user,supervisor", "R", "user,implicit",
        "read,fetch", "writ", "w,,user"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct vmmu_x86_access access = { .kind = VMMU_X86_EXECUTE, .eflags_ac = true };

        if (access_parse(refused[i], &access)) {
            fail_msg("'%s' is taken", refused[i]);
        }
        EXPECT_EQ(access.kind, VMMU_X86_EXECUTE);
        EXPECT(access.eflags_ac);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_have_a_letter_and_a_word),
        cmocka_unit_test(test_words_come_in_any_order),
        cmocka_unit_test(test_what_is_no_access_is_refused_and_changes_nothing),
    };

    return RUN_TESTS(tests);
}
