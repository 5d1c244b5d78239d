/* Where a guest's memory is not its own: runs of pages that are lent, and holes. */
#include "hv/guest/patches.h"
#include "tests/unit/test.h"

#define ROOM 12
#define PAGE VMMU_PAGE_BYTES

struct table {
    struct guest_patches patches;
    struct guest_patch room[ROOM];
};

static struct table *empty(void)
{
    static struct table table;

    guest_patches_init(&table.patches, table.room, ROOM);
    return &table;
}

static struct guest_patch hole(uint64_t page, uint64_t pages)
{
    return (struct guest_patch){ .gpa = { page * PAGE }, .size = pages * PAGE };
}

static struct guest_patch lent(uint64_t page, uint64_t pages, uint64_t from)
{
    return (struct guest_patch){ .gpa = { page * PAGE },
                                 .size = pages * PAGE,
                                 .lent = true,
                                 .rights = 3,
                                 .owner = 0,
                                 .hpa = { from * PAGE } };
}

static void set(struct table *table, struct guest_patch patch)
{
    EXPECT_EQ(guest_patches_set(&table->patches, &patch), VMMU_OK);
}

static const struct guest_patch *at(struct table *table, uint64_t page)
{
    return guest_patches_find(&table->patches, (vmmu_gpa){ page * PAGE + 5 });
}

static bool is_as(const struct table *table, const struct guest_patch *before, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct guest_patch *now = &table->room[i];

        if (now->gpa.v != before[i].gpa.v || now->size != before[i].size || now->lent != before[i].lent ||
            now->hpa.v != before[i].hpa.v || now->rights != before[i].rights ||
            now->owner != before[i].owner) {
            return false;
        }
    }
    return table->patches.count == count;
}

static void test_nothing_is_patched_at_first(void **state)
{
    struct table *table = empty();

    (void)state;
    EXPECT(at(table, 0) == NULL);
    EXPECT(guest_patches_next(&table->patches, (vmmu_gpa){ 0 }) == NULL);
    EXPECT(!guest_patches_touch(&table->patches, (vmmu_gpa){ 0 }, UINT64_MAX));
}

static void test_a_patch_stands_at_its_pages_and_at_no_other(void **state)
{
    struct table *table = empty();

    (void)state;
    set(table, lent(10, 2, 100));
    EXPECT(at(table, 9) == NULL);
    EXPECT(at(table, 10) && at(table, 10)->lent);
    EXPECT(at(table, 11) == at(table, 10));
    EXPECT(at(table, 12) == NULL);
    EXPECT(guest_patches_touch(&table->patches, (vmmu_gpa){ 11 * PAGE }, 1));
    EXPECT(guest_patches_touch(&table->patches, (vmmu_gpa){ 9 * PAGE }, PAGE + 1));
    EXPECT(!guest_patches_touch(&table->patches, (vmmu_gpa){ 9 * PAGE }, PAGE));
    EXPECT(!guest_patches_touch(&table->patches, (vmmu_gpa){ 12 * PAGE }, PAGE));
}

static void test_pages_that_continue_each_other_are_one_run(void **state)
{
    struct table *table = empty();

    (void)state;
    set(table, hole(2, 1));
    set(table, hole(4, 1));
    EXPECT_EQ(table->patches.count, 2);
    set(table, hole(3, 1));
    EXPECT_EQ(table->patches.count, 1);
    EXPECT_EQ(at(table, 2)->size, 3 * PAGE);

    set(table, lent(20, 1, 50));
    set(table, lent(21, 1, 51));
    EXPECT_EQ(table->patches.count, 2);
    EXPECT_EQ(at(table, 21)->hpa.v, 50 * PAGE);
}

static void test_pages_that_differ_in_frame_owner_or_rights_are_runs_of_their_own(void **state)
{
    struct table *table = empty();
    struct guest_patch other = lent(12, 1, 102);

    (void)state;
    set(table, lent(10, 1, 100));
    set(table, lent(11, 1, 100));
    EXPECT_EQ(table->patches.count, 2);
    other.rights = 1;
    other.hpa.v = 101 * PAGE;
    set(table, other);
    EXPECT_EQ(table->patches.count, 3);
    other = lent(13, 1, 102);
    other.rights = 1;
    other.owner = 1;
    set(table, other);
    EXPECT_EQ(table->patches.count, 4);
    set(table, hole(14, 1));
    EXPECT_EQ(table->patches.count, 5);
}

static void test_a_hole_in_a_lent_run_leaves_both_its_ends_with_their_frames(void **state)
{
    struct table *table = empty();

    (void)state;
    set(table, lent(10, 9, 100));
    set(table, hole(14, 1));
    EXPECT_EQ(table->patches.count, 3);
    EXPECT_EQ(at(table, 13)->size, 4 * PAGE);
    EXPECT_EQ(at(table, 13)->hpa.v, 100 * PAGE);
    EXPECT(!at(table, 14)->lent);
    EXPECT_EQ(at(table, 15)->gpa.v, 15 * PAGE);
    EXPECT_EQ(at(table, 15)->hpa.v, 105 * PAGE);
    EXPECT_EQ(at(table, 18)->size, 4 * PAGE);
    EXPECT(at(table, 19) == NULL);
}

static void test_a_patch_replaces_all_that_it_covers(void **state)
{
    struct table *table = empty();

    (void)state;
    set(table, lent(10, 2, 100));
    set(table, hole(13, 1));
    set(table, lent(15, 2, 200));
    set(table, hole(11, 5));
    EXPECT_EQ(table->patches.count, 3);
    EXPECT_EQ(at(table, 10)->size, PAGE);
    EXPECT_EQ(at(table, 13)->size, 5 * PAGE);
    EXPECT_EQ(at(table, 16)->hpa.v, 201 * PAGE);
}

static void test_the_next_run_is_the_first_that_reaches_beyond(void **state)
{
    struct table *table = empty();

    (void)state;
    set(table, hole(4, 2));
    set(table, hole(8, 1));
    EXPECT_EQ(guest_patches_next(&table->patches, (vmmu_gpa){ 0 })->gpa.v, 4 * PAGE);
    EXPECT_EQ(guest_patches_next(&table->patches, (vmmu_gpa){ 5 * PAGE })->gpa.v, 4 * PAGE);
    EXPECT_EQ(guest_patches_next(&table->patches, (vmmu_gpa){ 6 * PAGE })->gpa.v, 8 * PAGE);
    EXPECT(guest_patches_next(&table->patches, (vmmu_gpa){ 9 * PAGE }) == NULL);
}

static void test_what_is_unsound_changes_nothing(void **state)
{
    struct table *table = empty();
    const struct guest_patch unsound[] = {
        { .gpa = { 0 }, .size = 0 },
        { .gpa = { 8 }, .size = PAGE },
        { .gpa = { PAGE }, .size = PAGE + 8 },
        { .gpa = { 0 - (uint64_t)PAGE }, .size = 2 * PAGE },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++) {
        EXPECT_EQ(guest_patches_set(&table->patches, &unsound[i]), VMMU_INVALID);
    }
    EXPECT_EQ(table->patches.count, 0);
}

static void test_a_full_table_takes_no_more_and_stays_as_it_is(void **state)
{
    struct table *table = empty();
    struct guest_patch more;
    uint64_t page = 0;

    (void)state;
    do {
        more = hole(3 * page++, 1);
    } while (guest_patches_set(&table->patches, &more) == VMMU_OK);
    EXPECT_EQ(guest_patches_set(&table->patches, &more), VMMU_NO_MEMORY);
    EXPECT(table->patches.count <= ROOM);
    EXPECT_EQ(table->patches.count, page - 1);
    EXPECT(at(table, 3 * (page - 2)) != NULL);
    EXPECT(at(table, 3 * (page - 1)) == NULL);
}

static void test_what_is_undone_was_never_there(void **state)
{
    struct table *table = empty();
    struct guest_patch before[ROOM];
    const struct guest_patch changed = lent(12, 1, 7);
    const struct guest_patch was = lent(12, 1, 102);
    const struct guest_patch joins = hole(21, 1);

    (void)state;
    set(table, lent(10, 5, 100));
    set(table, hole(20, 1));
    set(table, hole(22, 1));
    __builtin_memcpy(before, table->room, sizeof(before));
    set(table, changed);
    guest_patches_undo(&table->patches, &changed, &was);
    EXPECT(is_as(table, before, 3));
    set(table, joins);
    EXPECT_EQ(table->patches.count, 2);
    guest_patches_undo(&table->patches, &joins, NULL);
    EXPECT(is_as(table, before, 3));
}

static void test_many_changes_agree_with_a_plain_list_of_pages(void **state)
{
    enum { PAGES = 24, TURNS = 20000 };
    struct table *table = empty();
    struct guest_patch pages[PAGES] = { 0 };
    uint64_t random = 1;

    (void)state;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct guest_patch patch;
        unsigned first;
        unsigned count;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        first = (unsigned)(random >> 33) % PAGES;
        count = 1 + (unsigned)(random >> 40) % (PAGES - first);
        patch = random >> 50 & 1 ? hole(first, count) : lent(first, count, 100 + (random >> 52 & 3) + first);
        if (guest_patches_set(&table->patches, &patch) == VMMU_OK) {
            for (unsigned i = 0; i < count; i++) {
                pages[first + i] = patch;
                pages[first + i].hpa.v += patch.lent ? i * PAGE : 0;
            }
        }
        EXPECT(table->patches.count <= ROOM);
        for (unsigned i = 0; i < PAGES; i++) {
            const struct guest_patch *found = at(table, i);

            EXPECT((found != NULL) == (pages[i].size != 0));
            EXPECT(!found || found->lent == pages[i].lent);
            EXPECT(!found || !found->lent || found->hpa.v + (i * PAGE - found->gpa.v) == pages[i].hpa.v);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_patched_at_first),
        cmocka_unit_test(test_a_patch_stands_at_its_pages_and_at_no_other),
        cmocka_unit_test(test_pages_that_continue_each_other_are_one_run),
        cmocka_unit_test(test_pages_that_differ_in_frame_owner_or_rights_are_runs_of_their_own),
        cmocka_unit_test(test_a_hole_in_a_lent_run_leaves_both_its_ends_with_their_frames),
        cmocka_unit_test(test_a_patch_replaces_all_that_it_covers),
        cmocka_unit_test(test_the_next_run_is_the_first_that_reaches_beyond),
        cmocka_unit_test(test_what_is_unsound_changes_nothing),
        cmocka_unit_test(test_a_full_table_takes_no_more_and_stays_as_it_is),
        cmocka_unit_test(test_what_is_undone_was_never_there),
        cmocka_unit_test(test_many_changes_agree_with_a_plain_list_of_pages),
    };

    return RUN_TESTS(tests);
}
