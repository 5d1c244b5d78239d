/*
 * All tables of ours, one by one, with the guest's behind them.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"
#include <vmmu/shadow_view.h>

#define VA     UINT64_C(0x40000000)
#define ROOT   UINT64_C(0x4000)
#define TABLES 16U

static struct mirror mirror;

static void start(enum vmmu_x86_paging paging)
{
    mirror_start(&mirror, 128);
    mirror_page(&mirror, 0, paging, ROOT);
}

static struct vmmu_shadow_view look(uint64_t va)
{
    struct vmmu_shadow_view view;

    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ va }, &view), VMMU_OK);
    return view;
}

static unsigned all_tables(struct vmmu_shadow_view_table *tables)
{
    uint32_t next = 0;
    unsigned count = 0;

    while (count < TABLES && vmmu_shadow_view_table(&mirror.shadow, &next, &tables[count])) {
        count++;
    }
    EXPECT(count < TABLES);
    return count;
}

static void test_every_table_of_a_walk_is_told_with_the_guests_behind_it(void **state)
{
    struct vmmu_shadow_view_table tables[TABLES];
    struct vmmu_shadow_view view;
    unsigned count;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    for (unsigned turn = 0; turn < 64 && look(VA).row[3].table != VMMU_SHADOW_TABLE_CLOSED; turn++) {
        mirror_enter(&mirror, 0); /* flushes, after which a table that stays as it is is closed */
        (void)mirror_read(&mirror, 0, VA);
    }
    view = look(VA);
    EXPECT_EQ(view.row[3].table, VMMU_SHADOW_TABLE_CLOSED);
    count = all_tables(tables);
    EXPECT_EQ(count, mirror.shadow.counters.pages);
    for (unsigned row = 0; row < view.rows; row++) {
        unsigned found = 0;

        for (unsigned i = 0; i < count; i++) {
            if (tables[i].at.v == (view.row[row].shadow.address & ~(VMMU_PAGE_BYTES - 1))) {
                EXPECT_EQ(tables[i].gpa.v, view.row[row].guest.address & ~(VMMU_PAGE_BYTES - 1));
                EXPECT_EQ(tables[i].level, view.row[row].level);
                EXPECT_EQ(tables[i].kind, view.row[row].table);
                found++;
            }
        }
        EXPECT_EQ(found, 1);
    }
    mirror_finish(&mirror);
}

static void test_tables_of_ours_alone_are_told_with_what_they_map(void **state)
{
    struct vmmu_shadow_view_table tables[TABLES];
    unsigned ours = 0;
    unsigned count;

    (void)state;
    start(VMMU_X86_PAGING_PAE);
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, VA);
    count = all_tables(tables);
    EXPECT_EQ(count, mirror.shadow.counters.pages);
    for (unsigned i = 0; i < count; i++) {
        if (tables[i].kind == VMMU_SHADOW_TABLE_OURS && tables[i].level == 1) {
            EXPECT_EQ(tables[i].gpa.v, 0x400000); /* pieces of the guest's large page */
            ours++;
        } else if (tables[i].kind == VMMU_SHADOW_TABLE_OURS && tables[i].level == 3) {
            EXPECT_EQ(tables[i].gpa.v, 0); /* the registers of PAE paging are in no table */
            ours++;
        }
    }
    EXPECT(ours >= 2);
    mirror_finish(&mirror);
}

static void test_a_table_that_is_gone_is_told_no_more(void **state)
{
    struct vmmu_shadow_view_table tables[TABLES];
    enum vmmu_status status;
    unsigned before;

    (void)state;
    start(VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    before = all_tables(tables);
    MIRROR_DO(&mirror, status, vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0 }, BIT64(52)));
    EXPECT_EQ(status, VMMU_OK);
    EXPECT(all_tables(tables) < before);
    EXPECT_EQ(all_tables(tables), mirror.shadow.counters.pages);
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_table_of_a_walk_is_told_with_the_guests_behind_it),
        cmocka_unit_test(test_tables_of_ours_alone_are_told_with_what_they_map),
        cmocka_unit_test(test_a_table_that_is_gone_is_told_no_more),
    };

    return RUN_TESTS(tests);
}
