/*
 * What tags are worth, by hand: short traces whose walks are counted by the rules of SDM 3C "Caching Translation Information"
 * and "Operations that Invalidate Cached Mappings".
 */
#include <stdlib.h>
#include <string.h>

#include "bench/vpid/replay.h"
#include "hv/x86/vp/tags.h"
#include "tests/unit/test.h"

#define HYPERVISOR     0
#define GUEST          1

#define SHIFT_4K       12
#define SHIFT_2M       21

/* Of the processor that is modelled: pages of 4 KiB in its second level. */
#define SECOND_ENTRIES UINT64_C(1536)

#define ROOT           0x1000
#define OTHER_ROOT     0x2000

static const enum replay_tags tagged[] = { REPLAY_TAG_A_VP, REPLAY_TAG_A_ROOT, REPLAY_TAGS_AS_TOLD };

static struct replay *replay;

static int set_up(void **state)
{
    (void)state;
    replay = replay_create(replay_find_geometry("skylake"));
    return replay ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    replay_destroy(replay);
    return 0;
}

static bool take(enum trace_kind kind, uint64_t value, uint64_t more)
{
    return replay_record(replay, &(struct trace_record){ kind, value, more });
}

/* Enter under @root. The hypervisor's own tag is the low byte of the root, and it asks the processor for nothing. */
static void enter(uint64_t root)
{
    EXPECT(take(TRACE_ENTER, root, root >> 12));
}

static void leave(void)
{
    EXPECT(take(TRACE_EXIT, 0, 0));
}

static void tell(struct trace_translation translation)
{
    const struct trace_record record = trace_translation_record(&translation);

    EXPECT(replay_record(replay, &record));
}

/* The page's translation is told, then it is read: 4 KiB, 4 loads. */
static void read_new(uint64_t page)
{
    tell((struct trace_translation){ SHIFT_4K, 4, false, true, 0x77 });
    EXPECT(take(TRACE_READ, page, 0));
}

static void read_again(uint64_t page)
{
    EXPECT(take(TRACE_READ, page, 0));
}

static uint64_t walks(enum replay_tags tags, unsigned world)
{
    return replay_counts(replay, tags)->walks[world];
}

static void expect_guest_walks(uint64_t untagged, uint64_t with_tags)
{
    EXPECT_EQ(walks(REPLAY_UNTAGGED, GUEST), untagged);
    for (size_t i = 0; i < sizeof tagged / sizeof tagged[0]; i++) {
        EXPECT_EQ(walks(tagged[i], GUEST), with_tags);
    }
}

static void test_without_a_tag_both_worlds_walk_again_after_each_switch(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    read_again(0x400);
    leave();
    read_new(0xfffff);
    enter(ROOT);
    read_again(0x400);
    leave();
    read_again(0xfffff);

    expect_guest_walks(2, 1);
    EXPECT_EQ(walks(REPLAY_UNTAGGED, HYPERVISOR), 2);
    EXPECT_EQ(walks(REPLAY_TAG_A_VP, HYPERVISOR), 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_UNTAGGED)->survived[GUEST], 0);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->survived[GUEST], 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->survived[HYPERVISOR], 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_UNTAGGED)->alive[GUEST], 2);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->alive[GUEST], 2);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->loads[GUEST], 4);
    EXPECT_EQ(replay_counts(replay, REPLAY_UNTAGGED)->loads[GUEST], 8);
    EXPECT_EQ(replay_common(replay)->entries, 2);
}

static void test_a_translation_that_survived_counts_once_a_stay(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    leave();
    enter(ROOT);
    read_again(0x400);
    read_new(0x401);
    read_again(0x400);
    read_again(0x401);
    leave();
    enter(ROOT);
    read_again(0x401);

    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->survived[GUEST], 2);
}

static void test_a_change_of_root_flushes_the_only_tag_and_no_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        enter(ROOT);
        read_new(0x400);
        leave();
        enter(OTHER_ROOT);
        read_new(0x400);
        leave();
    }
    EXPECT_EQ(walks(REPLAY_UNTAGGED, GUEST), 6);
    EXPECT_EQ(walks(REPLAY_TAG_A_VP, GUEST), 6);
    EXPECT_EQ(walks(REPLAY_TAG_A_ROOT, GUEST), 2);
    EXPECT_EQ(walks(REPLAY_TAGS_AS_TOLD, GUEST), 2);
    EXPECT_EQ(replay_common(replay)->roots, 6);
}

static void test_a_translation_is_found_under_no_other_roots_tag(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    leave();
    enter(OTHER_ROOT);
    read_again(0x400);

    expect_guest_walks(2, 2);
}

static void test_a_flush_that_is_asked_for_reaches_every_tag_of_the_vp(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    leave();
    enter(OTHER_ROOT);
    read_new(0x401);
    leave();
    EXPECT(take(TRACE_ENTER, OTHER_ROOT, TRACE_ENTER_ASKED | OTHER_ROOT >> 12));
    read_again(0x401);
    leave();
    enter(ROOT);
    read_again(0x400);

    EXPECT_EQ(walks(REPLAY_TAG_A_ROOT, GUEST), 4);
    EXPECT_EQ(walks(REPLAY_TAG_A_VP, GUEST), 4);
    EXPECT_EQ(walks(REPLAY_TAGS_AS_TOLD, GUEST), 2);
    EXPECT_EQ(replay_common(replay)->asked, 1);
}

static void test_what_the_processor_was_told_to_flush_is_flushed(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    leave();
    enter(OTHER_ROOT);
    read_new(0x401);
    leave();
    EXPECT(take(TRACE_ENTER, OTHER_ROOT, UINT64_C(3) << 16 | OTHER_ROOT >> 12)); /* this ASID */
    read_again(0x401);
    leave();
    enter(ROOT);
    read_again(0x400);
    EXPECT_EQ(walks(REPLAY_TAGS_AS_TOLD, GUEST), 3);

    leave();
    EXPECT(take(TRACE_ENTER, OTHER_ROOT, UINT64_C(1) << 16 | OTHER_ROOT >> 12)); /* all */
    leave();
    enter(ROOT);
    read_again(0x400);
    EXPECT_EQ(walks(REPLAY_TAGS_AS_TOLD, GUEST), 4);
}

static void test_one_root_more_than_there_are_tags_takes_the_oldest_ones(void **state)
{
    (void)state;
    for (uint64_t root = 1; root <= X86_TAGS + 1; root++) {
        enter(root << 12);
        read_new(0x400);
        leave();
    }
    enter(UINT64_C(2) << 12);
    read_again(0x400);
    leave();
    EXPECT_EQ(walks(REPLAY_TAG_A_ROOT, GUEST), X86_TAGS + 1);

    enter(UINT64_C(1) << 12);
    read_again(0x400);
    EXPECT_EQ(walks(REPLAY_TAG_A_ROOT, GUEST), X86_TAGS + 2);
}

static void test_a_flushed_page_goes_alone_and_under_the_roots_tag_only(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    leave();
    enter(OTHER_ROOT);
    read_new(0x400);
    read_new(0x401);
    leave();
    EXPECT(take(TRACE_FLUSH_PAGE, 0x400, OTHER_ROOT >> 12));
    enter(OTHER_ROOT);
    read_again(0x400);
    read_again(0x401);
    leave();
    enter(ROOT);
    read_again(0x400);

    EXPECT_EQ(walks(REPLAY_TAG_A_ROOT, GUEST), 4);
    EXPECT_EQ(walks(REPLAY_TAGS_AS_TOLD, GUEST), 4);
    EXPECT_EQ(walks(REPLAY_TAG_A_VP, GUEST), 5);
}

static void test_a_write_by_a_translation_that_is_not_dirty_walks_again_once(void **state)
{
    (void)state;
    enter(ROOT);
    tell((struct trace_translation){ SHIFT_4K, 4, false, false, 0x77 });
    EXPECT(take(TRACE_READ, 0x400, 0));
    tell((struct trace_translation){ SHIFT_4K, 4, false, true, 0x77 });
    EXPECT(take(TRACE_WRITE, 0x400, 0));
    EXPECT(take(TRACE_WRITE, 0x400, 0));
    EXPECT(take(TRACE_READ, 0x400, 0));

    expect_guest_walks(2, 2);
}

static void test_loading_cr3_spares_global_pages_and_invlpg_does_not(void **state)
{
    (void)state;
    EXPECT(take(TRACE_ENTER, ROOT, TRACE_ENTER_NESTED | 1));
    tell((struct trace_translation){ SHIFT_4K, 24, true, true, 0x77 });
    EXPECT(take(TRACE_READ, 0x400, 0));
    tell((struct trace_translation){ SHIFT_4K, 24, false, true, 0x78 });
    EXPECT(take(TRACE_READ, 0x401, 0));
    EXPECT(take(TRACE_LOAD_ROOT, 0x7777, 0));
    read_again(0x400);
    read_again(0x401);
    expect_guest_walks(3, 3);

    EXPECT(take(TRACE_INVLPG, 0x400, 0));
    read_again(0x400);
    read_again(0x401);
    expect_guest_walks(4, 4);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->loads[GUEST], 4 * 24);
    EXPECT_EQ(replay_common(replay)->roots, 1);
}

static void test_code_and_data_have_first_levels_of_their_own(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    EXPECT(take(TRACE_FETCH, 0x400, 0));
    EXPECT(take(TRACE_FETCH, 0x400, 0));

    expect_guest_walks(1, 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->second[GUEST], 1);
}

static void test_a_large_page_is_walked_for_once(void **state)
{
    (void)state;
    enter(ROOT);
    for (uint64_t page = 0x400; page < 0x600; page++) {
        tell((struct trace_translation){ SHIFT_2M, 3, false, true, 0x1200 + page });
        EXPECT(take(TRACE_WRITE, page, 0));
    }
    expect_guest_walks(1, 1);
    EXPECT_EQ(replay_common(replay)->accesses[GUEST], 0x200);
}

static void test_a_translation_that_leads_elsewhere_than_the_tables_is_told_of(void **state)
{
    (void)state;
    enter(ROOT);
    tell((struct trace_translation){ SHIFT_2M, 3, false, true, 0x1205 });
    EXPECT(take(TRACE_READ, 0x405, 0));
    tell((struct trace_translation){ SHIFT_4K, 4, false, true, 0x1206 }); /* split, and the same */
    EXPECT(take(TRACE_READ, 0x406, 0));
    expect_guest_walks(1, 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_ROOT)->stale[GUEST], 0);

    tell((struct trace_translation){ SHIFT_4K, 4, false, true, 0x1300 }); /* moved, and not flushed */
    EXPECT(take(TRACE_READ, 0x407, 0));
    expect_guest_walks(1, 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_ROOT)->stale[GUEST], 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_UNTAGGED)->stale[GUEST], 1);

    leave();
    EXPECT(take(TRACE_ENTER, ROOT, TRACE_ENTER_ASKED | ROOT >> 12));
    read_again(0x407);
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_ROOT)->stale[GUEST], 1);
    EXPECT_EQ(replay_counts(replay, REPLAY_UNFLUSHED)->stale[GUEST], 2);
}

static void test_more_pages_than_the_second_level_holds_are_walked_for_again(void **state)
{
    (void)state;
    enter(ROOT);
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t page = 0; page < 2 * SECOND_ENTRIES; page++) {
            tell((struct trace_translation){ SHIFT_4K, 4, false, true, 0x77 });
            EXPECT(take(TRACE_READ, 0x10000 + page, 0));
        }
    }
    expect_guest_walks(4 * SECOND_ENTRIES, 4 * SECOND_ENTRIES);
    leave();
    EXPECT_EQ(replay_counts(replay, REPLAY_TAG_A_VP)->alive[GUEST], SECOND_ENTRIES);
}

static void test_accesses_that_were_left_out_are_counted_and_cost_no_walk(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    EXPECT(take(TRACE_MERGED, 1000, 0));
    leave();
    EXPECT(take(TRACE_MERGED, 10, 0));

    expect_guest_walks(1, 1);
    EXPECT_EQ(replay_common(replay)->accesses[GUEST], 1001);
    EXPECT_EQ(replay_common(replay)->accesses[HYPERVISOR], 10);
}

static void test_a_damaged_trace_is_refused(void **state)
{
    (void)state;
    EXPECT(!take(TRACE_READ, 0x400, 0)); /* nobody told where it goes */
    EXPECT(!take(TRACE_EXIT, 0, 0));
    EXPECT(!take(TRACE_LOAD_ROOT, 1, 0));
    EXPECT(!take(TRACE_INVLPG, 1, 0));
    EXPECT(!take(TRACE_TRANSLATION, 11, 0)); /* a page of 2 KiB */
    EXPECT(!take(TRACE_KINDS, 0, 0));
    enter(ROOT);
    EXPECT(!take(TRACE_ENTER, ROOT, 1));
    EXPECT(!take(TRACE_FLUSH_PAGE, 1, 1));
}

static void test_a_translation_told_of_one_world_is_not_the_others(void **state)
{
    (void)state;
    enter(ROOT);
    read_new(0x400);
    leave();
    EXPECT(!take(TRACE_READ, 0x400, 0));
}

static void test_an_unknown_processor_is_not_found(void **state)
{
    (void)state;
    EXPECT(!replay_find_geometry("abacus"));
    EXPECT(replay_find_geometry("haswell"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_tag_both_worlds_walk_again_after_each_switch),
        TEST(test_a_translation_that_survived_counts_once_a_stay),
        TEST(test_a_change_of_root_flushes_the_only_tag_and_no_other),
        TEST(test_a_translation_is_found_under_no_other_roots_tag),
        TEST(test_a_flush_that_is_asked_for_reaches_every_tag_of_the_vp),
        TEST(test_what_the_processor_was_told_to_flush_is_flushed),
        TEST(test_one_root_more_than_there_are_tags_takes_the_oldest_ones),
        TEST(test_a_flushed_page_goes_alone_and_under_the_roots_tag_only),
        TEST(test_a_write_by_a_translation_that_is_not_dirty_walks_again_once),
        TEST(test_loading_cr3_spares_global_pages_and_invlpg_does_not),
        TEST(test_code_and_data_have_first_levels_of_their_own),
        TEST(test_a_large_page_is_walked_for_once),
        TEST(test_a_translation_that_leads_elsewhere_than_the_tables_is_told_of),
        TEST(test_more_pages_than_the_second_level_holds_are_walked_for_again),
        TEST(test_accesses_that_were_left_out_are_counted_and_cost_no_walk),
        TEST(test_a_damaged_trace_is_refused),
        TEST(test_a_translation_told_of_one_world_is_not_the_others),
        TEST(test_an_unknown_processor_is_not_found),
    };

    return RUN_TESTS(tests);
}
