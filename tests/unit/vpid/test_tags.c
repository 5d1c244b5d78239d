/* Which of a VP's tags stands for which root, and what is stale. */
#include "hv/x86/vp/tags.h"
#include "tests/unit/test.h"

#define A 0x1000
#define B 0x2000
#define C 0x3000

/* As if the tag in use had been flushed, and used. */
static void use(struct x86_tags *tags)
{
    tags->tag[tags->now].stale = false;
}

static struct x86_tags in_space(uint64_t root)
{
    struct x86_tags tags;

    x86_tags_init(&tags, X86_TAGS);
    x86_tags_choose(&tags, root);
    use(&tags);
    return tags;
}

static void test_a_root_comes_back_to_what_it_cached(void **state)
{
    struct x86_tags tags = in_space(A);
    const unsigned first = tags.now;

    (void)state;
    x86_tags_switch(&tags, A, B);
    EXPECT(tags.now != first);
    EXPECT(tags.tag[tags.now].stale);
    use(&tags);
    x86_tags_switch(&tags, B, A);
    EXPECT_EQ(tags.now, first);
    EXPECT(!tags.tag[tags.now].stale);
}

static void test_a_tag_is_its_users_whatever_it_was_chosen_for(void **state)
{
    struct x86_tags tags = in_space(A);
    const unsigned first = tags.now;

    (void)state;
    x86_tags_switch(&tags, A, B);
    use(&tags);
    x86_tags_flush_others(&tags); /* the guest loads C by itself, and all of A is gone with it */
    x86_tags_switch(&tags, C, B);
    EXPECT(tags.tag[tags.now].stale); /* what is under B's old tag is C's now */
    use(&tags);
    x86_tags_switch(&tags, B, C);
    EXPECT(!tags.tag[tags.now].stale);
    EXPECT(tags.now != first);
}

static void test_a_switch_to_the_space_in_use_changes_nothing(void **state)
{
    struct x86_tags tags = in_space(A);
    const unsigned first = tags.now;

    (void)state;
    x86_tags_switch(&tags, A, A);
    EXPECT_EQ(tags.now, first);
    EXPECT(!tags.tag[first].stale);
}

static void test_with_one_tag_every_other_space_finds_it_stale(void **state)
{
    struct x86_tags tags;

    (void)state;
    x86_tags_init(&tags, 1);
    x86_tags_choose(&tags, A);
    use(&tags);
    x86_tags_switch(&tags, A, B);
    EXPECT_EQ(tags.now, 0);
    EXPECT(tags.tag[0].stale);
}

static void test_flushing_others_spares_the_tag_in_use_alone(void **state)
{
    struct x86_tags tags = in_space(A);

    (void)state;
    x86_tags_switch(&tags, A, B);
    use(&tags);
    x86_tags_flush_others(&tags);
    EXPECT(!tags.tag[tags.now].stale);
    x86_tags_switch(&tags, B, A);
    EXPECT(tags.tag[tags.now].stale);
    x86_tags_flush(&tags);
    x86_tags_switch(&tags, A, B);
    EXPECT(tags.tag[tags.now].stale);
}

static void test_more_spaces_than_tags_take_the_one_unused_for_longest(void **state)
{
    struct x86_tags tags = in_space(A);

    (void)state;
    for (uint64_t i = 1; i < X86_TAGS; i++) {
        x86_tags_switch(&tags, A + (i - 1) * 0x1000, A + i * 0x1000);
        use(&tags);
    }
    x86_tags_switch(&tags, A + (X86_TAGS - 1) * UINT64_C(0x1000), A + X86_TAGS * UINT64_C(0x1000));
    EXPECT(tags.tag[tags.now].stale);
    use(&tags);
    x86_tags_switch(&tags, A + X86_TAGS * UINT64_C(0x1000), B);
    EXPECT(!tags.tag[tags.now].stale);
    x86_tags_switch(&tags, B, A);
    EXPECT(tags.tag[tags.now].stale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_root_comes_back_to_what_it_cached),
        cmocka_unit_test(test_a_tag_is_its_users_whatever_it_was_chosen_for),
        cmocka_unit_test(test_a_switch_to_the_space_in_use_changes_nothing),
        cmocka_unit_test(test_with_one_tag_every_other_space_finds_it_stale),
        cmocka_unit_test(test_flushing_others_spares_the_tag_in_use_alone),
        cmocka_unit_test(test_more_spaces_than_tags_take_the_one_unused_for_longest),
    };

    return RUN_TESTS(tests);
}
