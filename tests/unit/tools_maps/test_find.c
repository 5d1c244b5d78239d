/* Who maps a page; what two address spaces do not agree on; roots in memory. */
#include "stage.h"
#include "tests/unit/test.h"
#include "tools/maps/diff.h"
#include "tools/maps/find.h"
#include "tools/maps/fold.h"
#include "tools/maps/roots.h"

/* Two roots, 0x1000 and 0x5000, that share the tables of the upper half. */
static struct stage *two_roots(void)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);

    stage_chain(stage, 0);
    room_put(stage->room, 0x4000, 3, 8, 0x77000 | E_ALL);
    room_put(stage->room, 0x1000, 256, 8, 0x6000 | E_P | E_RW);
    room_put(stage->room, 0x5000, 256, 8, 0x6000 | E_P | E_RW | E_A);
    room_put(stage->room, 0x6000, 0, 8, E_P | E_RW | E_PS | E_NX);
    return stage;
}

static struct space space_at(struct stage *stage, uint64_t cr3)
{
    struct space space = stage_space(stage);
    struct complaint complaint;

    EXPECT(space_with_root(&stage->machine, cr3, &space, &complaint));
    return space;
}

static void test_pages_and_tables_that_hold_an_address_are_found(void **state)
{
    struct stage *stage = two_roots();
    const struct space space = stage_space(stage);
    struct table_set barren = { 0 };
    struct find find;
    struct vmmu_x86_scan_item item;

    (void)state;
    find_begin(&find, &space, 0x77123, &barren);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_LEAF);
    EXPECT(item.address == 0x3000 && item.bytes == 4096);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_LEAF);
    EXPECT(item.address == UINT64_C(0xFFFF800000000000) && item.bytes == 0x40000000);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_END);

    find_begin(&find, &space, 0x4FF8, &barren);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_TABLE);
    EXPECT(item.level == 2 && item.address == 0 && item.bytes == 0x200000 && item.place == 0x3000);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_LEAF);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_END);

    find_begin(&find, &space, 0x1000, &barren);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_TABLE);
    EXPECT(item.level == 5);
    table_set_free(&barren);
    stage_free(stage);
}

static void test_tables_without_the_address_are_read_once_for_all_spaces(void **state)
{
    struct stage *stage = two_roots();
    const struct space first = stage_space(stage);
    const struct space second = space_at(stage, 0x5000);
    struct table_set barren = { 0 };
    struct find find;
    struct vmmu_x86_scan_item item;

    (void)state;
    find_begin(&find, &first, UINT64_C(0x123456789000), &barren);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_END);
    EXPECT(table_set_holds(&barren, 0x6000, 3) && !table_set_holds(&barren, 0x6000, 2));
    stage->room->loads = 0;
    find_begin(&find, &second, UINT64_C(0x123456789000), &barren);
    EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_END);
    EXPECT_EQ(stage->room->loads, 512);
    table_set_free(&barren);
    stage_free(stage);
}

static void test_a_shared_table_that_has_the_address_is_told_of_each_space(void **state)
{
    struct stage *stage = two_roots();
    const struct space second = space_at(stage, 0x5000);
    struct table_set barren = { 0 };
    struct find find;
    struct vmmu_x86_scan_item item;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        find_begin(&find, &second, 0x3FFFFFFF, &barren);
        EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_LEAF);
        EXPECT_EQ(item.address, UINT64_C(0xFFFF800000000000));
        EXPECT_EQ(find_next(&find, &item), VMMU_X86_SCAN_END);
    }
    table_set_free(&barren);
    stage_free(stage);
}

static void test_many_tables_are_remembered(void **state)
{
    struct table_set set = { 0 };

    (void)state;
    EXPECT(!table_set_holds(&set, 0, 1));
    for (uint64_t table = 0; table < 5000; table++) {
        table_set_add(&set, table << 12, 1 + table % 4);
        table_set_add(&set, table << 12, 1 + table % 4);
    }
    EXPECT_EQ(set.count, 5000);
    for (uint64_t table = 0; table < 5000; table++) {
        EXPECT(table_set_holds(&set, table << 12, 1 + table % 4));
        EXPECT(!table_set_holds(&set, table << 12, 1 + (table + 1) % 4));
    }
    table_set_free(&set);
}

static void expect_piece(struct diff *diff, enum diff_kind kind, uint64_t start, uint64_t bytes)
{
    struct diff_piece piece;

    EXPECT_EQ(diff_next(diff, &piece), VMMU_X86_SCAN_LEAF);
    EXPECT_EQ(piece.kind, kind);
    EXPECT_EQ(piece.start, start);
    EXPECT_EQ(piece.bytes, bytes);
}

static void test_differences_are_told_by_what_they_are(void **state)
{
    struct stage *stage = two_roots();
    const struct space first = stage_space(stage);
    const struct space second = space_at(stage, 0x5000);
    struct diff diff;
    struct diff_piece piece;

    (void)state;
    room_put(stage->room, 0x5000, 0, 8, 0x7000 | E_ALL);
    room_put(stage->room, 0x7000, 0, 8, 0x8000 | E_ALL);
    room_put(stage->room, 0x8000, 0, 8, E_ALL | E_PS | 0x0); /* 2 MiB at 0 */
    room_put(stage->room, 0x4000, 4, 8, 0x4000 | E_P | E_US);
    room_put(stage->room, 0x4000, 5, 8, 0x5000 | E_P | E_US);
    room_put(stage->room, 0x4000, 6, 8, 0x6000 | E_ALL | E_PCD);
    room_put(stage->room, 0x4000, 7, 8, 0x7000 | E_ALL);
    room_put(stage->room, 0x4000, 8, 8, 0x8000 | E_ALL);
    room_put(stage->room, 0x3000, 1, 8, 0x200000 | E_ALL | E_PS);
    diff_begin(&diff, &first, &second);
    expect_piece(&diff, DIFF_ONLY_SECOND, 0, 0x3000);
    expect_piece(&diff, DIFF_MEMORY, 0x3000, 0x1000);
    expect_piece(&diff, DIFF_RIGHTS, 0x4000, 0x2000);
    expect_piece(&diff, DIFF_TYPE, 0x6000, 0x1000);
    expect_piece(&diff, DIFF_SAME, 0x7000, 0x2000);
    expect_piece(&diff, DIFF_ONLY_SECOND, 0x9000, 0x1F7000);
    expect_piece(&diff, DIFF_ONLY_FIRST, 0x200000, 0x200000);
    expect_piece(&diff, DIFF_SAME, UINT64_C(0xFFFF800000000000), 0x40000000);
    EXPECT_EQ(diff_next(&diff, &piece), VMMU_X86_SCAN_END);
    stage_free(stage);
}

static void test_differences_go_up_to_the_last_address_there_is(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_4LEVEL);
    const struct space first = stage_space(stage);
    const struct space second = space_at(stage, 0x5000);
    struct diff diff;
    struct diff_piece piece;

    (void)state;
    room_put(stage->room, 0x1000, 511, 8, 0x2000 | E_ALL);
    room_put(stage->room, 0x5000, 511, 8, 0x3000 | E_ALL);
    room_put(stage->room, 0x2000, 511, 8, E_ALL | E_PS);
    room_put(stage->room, 0x3000, 511, 8, E_ALL | E_PS);
    diff_begin(&diff, &first, &second);
    expect_piece(&diff, DIFF_SAME, UINT64_C(0xFFFFFFFFC0000000), 0x40000000);
    EXPECT_EQ(diff_next(&diff, &piece), VMMU_X86_SCAN_END);
    stage_free(stage);
}

static struct range range_at(uint64_t start, uint64_t bytes)
{
    return (struct range){ .kind = RANGE_MAPPED, .start = start, .bytes = bytes };
}

static void test_equal_ranges_at_equal_distances_fold(void **state)
{
    static const uint64_t starts[] = { 0, 1, 10, 20, 30, 40, 45 };
    static const uint64_t counts[] = { 1, 1, 4, 1 }; /* 0, 1, 10 to 40, 45 */
    struct fold fold = { 0 };
    struct fold done = { 0 };
    unsigned folds = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        const struct range range = range_at(starts[i] << 12, 4096);

        if (fold_add(&fold, &range, &done)) {
            EXPECT_EQ(done.count, counts[folds]);
            folds++;
        }
    }
    EXPECT_EQ(folds, 3);
    EXPECT_EQ(done.stride, 10 << 12);
    EXPECT_EQ(fold_range(&done, 3).start, 40 << 12);
    EXPECT_EQ(fold.count, 1);
}

static void test_ranges_that_differ_do_not_fold(void **state)
{
    struct fold fold = { 0 };
    struct fold done;
    const struct range small = range_at(0, 4096);
    const struct range large = range_at(0x10000, 8192);

    (void)state;
    EXPECT(!fold_add(&fold, &small, &done));
    EXPECT(fold_add(&fold, &large, &done));
    EXPECT_EQ(done.count, 1);
}

static void expect_roots(struct stage *stage, bool any, const uint64_t *expected)
{
    struct roots roots = { 0 };
    struct complaint complaint;
    unsigned count = 0;

    EXPECT(roots_scan(&stage->machine, (struct roots_wanted){ any, ROOTS_BUDGET }, &roots, &complaint));
    for (; expected[count]; count++) {
        EXPECT(count < roots.count && roots.found[count].cr3 == expected[count]);
    }
    EXPECT_EQ(roots.count, count);
    roots_free(&roots);
}

#define ROOTS(...) ((const uint64_t[]){ __VA_ARGS__, 0 })

static void test_roots_are_found_that_share_the_kernels_half(void **state)
{
    struct stage *stage = two_roots();

    (void)state;
    room_put(stage->room, 0x9000, 300, 8, 0x6000 | E_P | E_RW); /* a root of somebody else's */
    expect_roots(stage, false, ROOTS(0x1000, 0x5000));
    expect_roots(stage, true, ROOTS(0x1000, 0x5000, 0x9000));
    stage_free(stage);
}

static void test_a_page_with_one_unsound_entry_is_no_root(void **state)
{
    static const uint64_t unsound[] = {
        0x6000 | E_RW,       /* not present, and not zero */
        0x6000 | E_P | E_PS, /* reserved */
        0x7000000 | E_P,     /* a table where no memory is */
        E_P | E_RW,          /* a table at zero */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(unsound) / sizeof(*unsound); i++) {
        struct stage *stage = two_roots();

        room_put(stage->room, 0x5000, 7, 8, unsound[i]);
        expect_roots(stage, false, ROOTS(0x1000));
        stage_free(stage);
    }
}

static void test_a_page_whose_tables_are_unsound_is_no_root(void **state)
{
    struct stage *stage = two_roots();

    (void)state;
    room_put(stage->room, 0x5000, 0, 8, 0x7000 | E_ALL);
    room_put(stage->room, 0x7000, 9, 8, BIT64(13) | E_ALL | E_PS);
    expect_roots(stage, false, ROOTS(0x1000));
    room_put(stage->room, 0x7000, 9, 8, 0);
    expect_roots(stage, false, ROOTS(0x1000, 0x5000));
    stage_free(stage);
}

static void test_roots_of_32_bit_and_pae_paging_are_found(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_32BIT);

    (void)state;
    room_put(stage->room, 0x1000, 1000, 4, 0x2000 | E_ALL);
    room_put(stage->room, 0x5000, 1000, 4, 0x2000 | E_ALL);
    room_put(stage->room, 0x2000, 0, 4, 0x3000 | E_ALL);
    expect_roots(stage, false, ROOTS(0x1000, 0x5000));
    stage_free(stage);

    stage = stage_new(VMMU_X86_PAGING_PAE);
    room_put(stage->room, 0x1000, 3, 8, 0x2000 | E_P);
    room_put(stage->room, 0x5020, 3, 8, 0x3000 | E_P | E_A); /* an emulator's mark; a copy of the table */
    room_put(stage->room, 0x2000, 5, 8, 0x200000 | E_ALL | E_PS);
    room_put(stage->room, 0x3000, 5, 8, 0x200000 | E_ALL | E_PS);
    expect_roots(stage, false, ROOTS(0x1000, 0x5020));
    stage_free(stage);
}

static void test_a_search_for_roots_ends_at_its_budget(void **state)
{
    struct stage *stage = two_roots();
    struct roots roots = { 0 };
    struct complaint complaint;

    (void)state;
    EXPECT(roots_scan(&stage->machine, (struct roots_wanted){ false, 3000 }, &roots, &complaint));
    EXPECT(roots.more && roots.count == 1);
    roots_free(&roots);
    EXPECT(roots_scan(&stage->machine, (struct roots_wanted){ false, ROOTS_BUDGET }, &roots, &complaint));
    EXPECT(!roots.more && roots.count == 2);
    roots_free(&roots);
    stage_free(stage);
}

static void test_with_paging_off_there_are_no_roots_to_look_for(void **state)
{
    struct stage *stage = stage_new(VMMU_X86_PAGING_NONE);
    struct roots roots = { 0 };
    struct complaint complaint;

    (void)state;
    EXPECT(!roots_scan(&stage->machine, (struct roots_wanted){ false, ROOTS_BUDGET }, &roots, &complaint));
    stage_free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_and_tables_that_hold_an_address_are_found),
        cmocka_unit_test(test_tables_without_the_address_are_read_once_for_all_spaces),
        cmocka_unit_test(test_a_shared_table_that_has_the_address_is_told_of_each_space),
        cmocka_unit_test(test_many_tables_are_remembered),
        cmocka_unit_test(test_differences_are_told_by_what_they_are),
        cmocka_unit_test(test_differences_go_up_to_the_last_address_there_is),
        cmocka_unit_test(test_equal_ranges_at_equal_distances_fold),
        cmocka_unit_test(test_ranges_that_differ_do_not_fold),
        cmocka_unit_test(test_roots_are_found_that_share_the_kernels_half),
        cmocka_unit_test(test_a_page_with_one_unsound_entry_is_no_root),
        cmocka_unit_test(test_a_page_whose_tables_are_unsound_is_no_root),
        cmocka_unit_test(test_roots_of_32_bit_and_pae_paging_are_found),
        cmocka_unit_test(test_a_search_for_roots_ends_at_its_budget),
        cmocka_unit_test(test_with_paging_off_there_are_no_roots_to_look_for),
    };
    return RUN_TESTS(tests);
}
