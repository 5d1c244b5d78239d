/*
 * Faults of the guest's own that take no exit, on a processor that tells by P of the error code whom they go to; and roots that have
 * tags of their own.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"
#include <vmmu/shadow_view.h>

#include <string.h>

static struct mirror mirror;

#define VA     UINT64_C(0x40000000)
#define FAR    (VA + 8 * VMMU_2M_BYTES) /* by the same table of level 2 */
#define WINDOW (2 * VA)
#define ROOT   UINT64_C(0x4000)
#define OTHER  UINT64_C(0x5000)
#define DONE   (G_ACCESSED | G_DIRTY)
#define PAGE   VMMU_PAGE_BYTES

static void start(unsigned vps, enum vmmu_x86_paging paging)
{
    mirror_start_as(&mirror, 128, (struct mirror_offer){ .vps = vps, .silent_absent = true });
    mirror_page(&mirror, 0, paging, ROOT);
}

static uint64_t entry_of(uint64_t va, unsigned level)
{
    return mirror_entry_at(&mirror, 0, va, level);
}

/* Map the table that holds the entry of @level for @va at @window, so that the guest can write it. */
static void open_window(uint64_t window, uint64_t va, unsigned level)
{
    mirror_map(&mirror, 0, window, 1, (entry_of(va, level) & ~UINT64_C(0xFFF)) | G_PRESENT | G_WRITE | DONE);
}

static void touch(unsigned vp, uint64_t va)
{
    EXPECT_EQ(mirror_store(&mirror, vp, va).answer, VMMU_SHADOW_RETRY);
}

/* An access to what the guest has not mapped: the fault is the guest's. The exits that it took. */
static unsigned absent(unsigned vp, uint64_t va)
{
    const struct mirror_result result = mirror_store(&mirror, vp, va);

    EXPECT_EQ(result.answer, VMMU_SHADOW_INJECT);
    EXPECT_EQ(result.fault.error_code, VMMU_X86_PF_WRITE);
    EXPECT_EQ(result.fault.cr2, va);
    return result.faults;
}

/* The page at @va is used, and pages behind it are asked for in vain, until that takes no exit. */
static void demand(uint64_t va)
{
    unsigned faults = 0;

    mirror_map(&mirror, 0, va, 1, 0x7000 | G_ALL);
    touch(0, va);
    while (absent(0, va + PAGE) != 0) {
        EXPECT(++faults < 16);
        if (mirror.shadow.config.vps != 1) {
            mirror_enter(&mirror, 0);
        }
    }
}

static enum vmmu_shadow_answer write_to(uint64_t window, uint64_t gpa)
{
    const struct mirror_result result = mirror_store(&mirror, 0, window + (gpa & (PAGE - 1)));

    EXPECT_EQ(result.gpa, gpa);
    return result.answer;
}

static void switch_to(unsigned vp, uint64_t root)
{
    mirror.registers[vp].cr3 = root;
    mirror_enter(&mirror, vp);
}

/* --- whose a fault is --- */

static void test_what_nobody_has_asked_for_yet_faults_with_an_exit(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    EXPECT_EQ(absent(0, VA), 1);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    touch(0, VA);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).faults, 0);
    EXPECT_EQ(mirror.shadow.counters.silenced, 0);
    mirror_finish(&mirror);
}

static void test_where_the_guest_faults_again_and_again_its_faults_take_no_exit(void **state)
{
    static const enum vmmu_x86_paging all[] = { VMMU_X86_PAGING_32BIT, VMMU_X86_PAGING_PAE,
                                                VMMU_X86_PAGING_4LEVEL, VMMU_X86_PAGING_5LEVEL };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        start(1, all[i]);
        demand(VA);
        EXPECT_EQ(absent(0, VA + 2 * PAGE), 0);
        EXPECT_EQ(absent(0, VA + 40 * PAGE), 0);
        EXPECT(mirror.shadow.counters.silenced != 0);
        mirror_finish(&mirror);
    }
}

/* What our table of level 1 holds for @va. */
static uint64_t ours_at(uint64_t va)
{
    struct vmmu_shadow_view view;

    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ va }, &view), VMMU_OK);
    EXPECT_EQ(view.row[view.rows - 1].level, 1);
    EXPECT(view.row[view.rows - 1].shadow.there);
    return view.row[view.rows - 1].shadow.value;
}

static void test_an_entry_of_nothing_is_a_trap_until_its_faults_take_no_exit(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    touch(0, VA);
    EXPECT(vmmu_shadow_is_trap(ours_at(VA + 2 * PAGE)));
    EXPECT(!vmmu_shadow_is_trap(ours_at(VA)));
    demand(VA);
    EXPECT(!vmmu_shadow_is_trap(ours_at(VA + 2 * PAGE)));
    mirror_finish(&mirror);
}

static void test_what_the_guest_makes_present_there_is_ours_at_once(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    demand(VA);
    for (unsigned i = 1; i < 40; i++) {
        EXPECT_EQ(absent(0, VA + i * PAGE), 0);
        mirror_map(&mirror, 0, VA + i * PAGE, 1, (0x400000 + i * PAGE) | G_ALL | DONE);
        EXPECT_EQ(mirror_store(&mirror, 0, VA + i * PAGE).faults, 0);
    }
    mirror_finish(&mirror);
}

static void test_what_is_present_but_not_marked_faults_with_an_exit(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    demand(VA);
    mirror_map(&mirror, 0, VA + PAGE, 1, 0x8000 | G_ALL);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + PAGE).faults, 1);
    EXPECT_EQ(mirror_get(&mirror, entry_of(VA + PAGE, 1)), 0x8000 | G_ALL | DONE);
    mirror_map(&mirror, 0, VA + 2 * PAGE, 1, 0x9000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 2 * PAGE).faults, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + 2 * PAGE).faults, 1);
    /* A reserved bit is told by a fault of another kind. */
    mirror_map(&mirror, 0, VA + 3 * PAGE, 1, 0xA000 | G_ALL | DONE | BIT64(45));
    const struct mirror_result result = mirror_store(&mirror, 0, VA + 3 * PAGE);

    EXPECT_EQ(result.faults, 1);
    EXPECT_EQ(result.fault.error_code, VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE | VMMU_X86_PF_RESERVED);
    mirror_finish(&mirror);
}

static void test_without_paging_no_fault_is_the_guest_s(void **state)
{
    (void)state;
    mirror_start_as(&mirror, 128, (struct mirror_offer){ .vps = 1, .silent_absent = true });
    touch(0, 0x7000);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT_EQ(mirror_store(&mirror, 0, 0x80000000).answer, VMMU_SHADOW_DEVICE);
    }
    mirror_finish(&mirror);
}

static void test_a_register_that_is_not_present_is_known_not_to_be(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_PAE);
    EXPECT_EQ(absent(0, VA), 0);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    /* Memory says that it is present; the register counts. */
    mirror.registers[0].cr3 = OTHER;
    mirror_enter(&mirror, 0);
    memcpy(mirror.guest + OTHER, mirror.guest + ROOT, 32);
    EXPECT_EQ(absent(0, VA), 0);
    mirror_enter(&mirror, 0);
    touch(0, VA);
    mirror_finish(&mirror);
}

/* --- writes --- */

static void test_a_write_where_faults_take_no_exit_is_emulated_and_others_open_the_table(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    open_window(WINDOW, VA, 1);
    touch(0, WINDOW);
    demand(VA);
    for (unsigned i = 1; i < 20; i++) {
        const uint64_t at = entry_of(VA + i * PAGE, 1);

        EXPECT_EQ(write_to(WINDOW, at), VMMU_SHADOW_EMULATE);
        mirror_write(&mirror, at, (0x400000 + i * PAGE) | G_ALL | DONE);
        EXPECT_EQ(mirror_store(&mirror, 0, VA + i * PAGE).faults, 0);
    }
    EXPECT_EQ(write_to(WINDOW, entry_of(VA, 1)), VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror_store(&mirror, 0, WINDOW).faults, 0);
    EXPECT_EQ(absent(0, VA + 30 * PAGE), 1);
    mirror_finish(&mirror);
}

static void test_a_table_opens_where_clean_pages_come_in_runs(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    open_window(WINDOW, VA, 1);
    touch(0, WINDOW);
    demand(VA);
    for (unsigned i = 1; i < 4; i++) {
        /* One here and there may be anything. */
        mirror_map(&mirror, 0, VA + i * PAGE, 1, (0x400000 + i * PAGE) | G_ALL | (i % 2 ? DONE : G_ACCESSED));
        EXPECT_EQ(mirror_read(&mirror, 0, VA + i * PAGE).faults, 0);
    }
    EXPECT_EQ(write_to(WINDOW, entry_of(VA + 4 * PAGE, 1)), VMMU_SHADOW_EMULATE);
    mirror_map(&mirror, 0, VA + 4 * PAGE, 1, 0x404000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(absent(0, VA + 30 * PAGE), 0);
    mirror_map(&mirror, 0, VA + 5 * PAGE, 1, 0x405000 | G_ALL | G_ACCESSED);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 5 * PAGE).faults, 0);
    EXPECT_EQ(write_to(WINDOW, entry_of(VA + 6 * PAGE, 1)), VMMU_SHADOW_RETRY);
    EXPECT_EQ(absent(0, VA + 30 * PAGE), 1);
    mirror_finish(&mirror);
}

static void test_the_half_of_a_table_of_32_bit_paging_that_is_written_decides(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_32BIT);
    open_window(WINDOW, VA, 1);
    mirror_map(&mirror, 0, VA + VMMU_2M_BYTES, 1, 0x9000 | G_ALL | DONE);
    touch(0, WINDOW);
    touch(0, VA + VMMU_2M_BYTES);
    demand(VA);
    EXPECT_EQ(write_to(WINDOW, entry_of(VA + PAGE, 1)), VMMU_SHADOW_EMULATE);
    EXPECT_EQ(write_to(WINDOW, entry_of(VA + VMMU_2M_BYTES + 400 * PAGE, 1)), VMMU_SHADOW_RETRY);
    mirror_finish(&mirror);
}

static void test_an_upper_table_stays_closed_while_absent_entries_become_present(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    open_window(WINDOW, VA, 2);
    touch(0, WINDOW);
    demand(VA);
    EXPECT_EQ(absent(0, FAR), 1);
    for (unsigned i = 0; i < 12; i++) {
        const uint64_t at = entry_of(FAR, 2) + UINT64_C(8) * i;

        EXPECT_EQ(absent(0, FAR + i * VMMU_2M_BYTES), 0);
        EXPECT_EQ(write_to(WINDOW, at), VMMU_SHADOW_EMULATE);
        mirror_write(&mirror, at, (0x200000 + i * PAGE) | G_ALL | DONE);
    }
    EXPECT_EQ(absent(0, VA + PAGE), 0);
    mirror_finish(&mirror);
}

/* --- before anybody can write unseen --- */

static void test_before_an_upper_table_opens_all_below_it_is_heard_of_again(void **state)
{
    enum vmmu_status status;

    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    for (unsigned level = 1; level <= 4; level++) {
        demand(VA);
        mirror_map(&mirror, 0, VA + PAGE, 1, 0);
        MIRROR_DO(&mirror, status, vmmu_shadow_drop(&mirror.shadow, (vmmu_gpa){ entry_of(VA, level) }));
        EXPECT_EQ(status, VMMU_OK);
        EXPECT_EQ(absent(0, VA + 2 * PAGE), 1);
    }
    mirror_finish(&mirror);
}

static void test_a_second_way_by_an_open_table_is_no_way_to_silence(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    demand(VA);
    memcpy(mirror.guest + OTHER, mirror.guest + ROOT, PAGE);
    switch_to(0, OTHER);
    EXPECT_EQ(absent(0, VA + PAGE), 1);
    /* That fault had the other root closed, too. */
    EXPECT_EQ(absent(0, VA + PAGE), 0);
    switch_to(0, ROOT);
    EXPECT_EQ(absent(0, VA + 2 * PAGE), 0);
    mirror_finish(&mirror);
}

static void test_all_ways_to_a_table_are_closed_for_its_faults(void **state)
{
    const uint64_t second = VA + BIT64(39);

    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    mirror_map(&mirror, 0, second, 1, 0x8000 | G_ALL);
    /* Another table of level 2 leads there, too. */
    mirror_write(&mirror, entry_of(second, 2), mirror_get(&mirror, entry_of(VA, 2)));
    touch(0, VA);
    touch(0, second);
    demand(VA);
    EXPECT_EQ(absent(0, second + 2 * PAGE), 0);
    mirror_finish(&mirror);
}

static void test_a_root_that_nobody_uses_leads_to_nothing_until_it_comes_back(void **state)
{
    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    touch(0, VA);
    /* The guest gives tables of an address space that has ended to a new one. */
    memcpy(mirror.guest + OTHER, mirror.guest + ROOT, PAGE);
    switch_to(0, OTHER);
    demand(VA);
    EXPECT_EQ(absent(0, VA + 2 * PAGE), 0);
    switch_to(0, ROOT);
    EXPECT_EQ(absent(0, VA + 2 * PAGE), 1);
    mirror_finish(&mirror);
}

static void test_another_processor_may_still_write_what_is_not_closed_yet(void **state)
{
    (void)state;
    start(2, VMMU_X86_PAGING_4LEVEL);
    mirror_page(&mirror, 1, VMMU_X86_PAGING_4LEVEL, ROOT);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    touch(0, VA);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT_EQ(absent(0, VA + PAGE), 1);
    }
    mirror_enter(&mirror, 1);
    EXPECT_EQ(absent(0, VA + PAGE), 1);
    EXPECT_EQ(absent(0, VA + PAGE), 0);
    EXPECT_EQ(absent(1, VA + PAGE), 0);
    mirror_finish(&mirror);
}

static void test_a_table_that_is_taken_away_says_nothing_any_more(void **state)
{
    enum vmmu_status status;

    (void)state;
    for (unsigned level = 1; level <= 4; level++) {
        uint64_t table;

        start(1, VMMU_X86_PAGING_4LEVEL);
        demand(VA);
        table = entry_of(VA, level) & ~(PAGE - 1);
        memset(mirror.guest + table, 0, PAGE);
        memset(mirror.guest + OTHER, 0, PAGE);
        MIRROR_DO(&mirror, status, vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ table }, PAGE));
        EXPECT_EQ(status, VMMU_OK);
        EXPECT_EQ(absent(0, VA + PAGE), 1);
        mirror_finish(&mirror);
    }
}

static void test_a_mark_that_another_kind_of_table_reads_as_present_is_heeded(void **state)
{
    (void)state;
    start(2, VMMU_X86_PAGING_4LEVEL);
    /* One frame is a table of eight-byte entries to VP 0 and of four-byte entries to VP 1. */
    demand(VA);
    mirror_page(&mirror, 1, VMMU_X86_PAGING_32BIT, OTHER);
    {
        const uint32_t link = (uint32_t)(entry_of(VA, 1) & ~(PAGE - 1)) | G_ALL;

        memcpy(mirror.guest + OTHER, &link, sizeof(link));
    }
    mirror_enter(&mirror, 1);
    EXPECT_EQ(mirror_read(&mirror, 1, 5 * PAGE).answer, VMMU_SHADOW_INJECT);
    mirror_map(&mirror, 0, VA + 2 * PAGE, 1, G_PRESENT | G_WRITE | BIT64(32));
    EXPECT(mirror_read(&mirror, 1, 5 * PAGE).answer != VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

/* --- the view --- */

static void test_the_view_tells_silent_entries_from_traps(void **state)
{
    struct vmmu_shadow_view view;

    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    demand(VA);
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ VA + PAGE }, &view), VMMU_OK);
    EXPECT_EQ(view.rows, 4);
    EXPECT(!view.row[3].shadow.present);
    EXPECT_EQ(view.row[3].shadow.value, 0);
    EXPECT_EQ(view.row[3].reasons, 0);
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ FAR }, &view), VMMU_OK);
    EXPECT(!view.row[2].shadow.present);
    EXPECT_EQ(view.row[2].shadow.value & 1, 1);
    EXPECT_EQ(view.row[2].reasons, 0);
    mirror_map(&mirror, 0, VA + 2 * PAGE, 1, 0x8000 | G_ALL);
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ VA + 2 * PAGE }, &view), VMMU_OK);
    EXPECT_EQ(view.row[3].reasons, BIT64(VMMU_SHADOW_NOT_ACCESSED));
    mirror_finish(&mirror);
}

static void test_the_view_calls_a_silent_entry_a_defect_where_the_guest_s_is_present(void **state)
{
    const uint64_t entry = 0x8000 | G_ALL | DONE;
    struct vmmu_shadow_view view;

    (void)state;
    start(1, VMMU_X86_PAGING_4LEVEL);
    demand(VA);
    /* No processor could have written that. */
    memcpy(mirror.guest + entry_of(VA + PAGE, 1), &entry, sizeof(entry));
    EXPECT_EQ(vmmu_shadow_view(&mirror.shadow, 0, (vmmu_gva){ VA + PAGE }, &view), VMMU_OK);
    EXPECT_EQ(view.row[3].reasons, BIT64(VMMU_SHADOW_UNEXPLAINED));
    mirror_finish(&mirror);
}

/* --- tags --- */

static void start_tagged(void)
{
    mirror_start_as(&mirror, 128, (struct mirror_offer){ .vps = 1, .tagged_roots = true });
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    touch(0, VA);
}

static void test_a_switch_between_roots_in_step_flushes_nothing(void **state)
{
    (void)state;
    start_tagged();
    mirror_settle(&mirror, 0);
    switch_to(0, OTHER);
    mirror_map(&mirror, 0, VA, 1, 0x8000 | G_ALL);
    touch(0, VA);
    mirror_settle(&mirror, 0);
    mirror.flushes = 0;
    for (unsigned i = 0; i < 8; i++) {
        switch_to(0, i % 2 ? OTHER : ROOT);
        EXPECT_EQ(mirror_store(&mirror, 0, VA).gpa, i % 2 ? 0x8000 : 0x7000);
    }
    EXPECT_EQ(mirror.flushes, 0);
    mirror_finish(&mirror);
}

/* Eight that are open are kept while no virtual processor uses them. */
static void test_a_root_that_goes_is_flushed_under_its_tag(void **state)
{
    const uint64_t first = UINT64_C(0x200000);
    uint64_t pages = 0;
    unsigned i = 0;

    (void)state;
    start_tagged();
    mirror.flushes = 0;
    for (; mirror.flushes == 0 && i < 16; i++) {
        pages = mirror.shadow.counters.pages;
        switch_to(0, first + i * PAGE);
    }
    EXPECT_EQ(i, 9);
    /* One more, and the first one with the three below it less. */
    EXPECT_EQ(mirror.shadow.counters.pages, pages + 1 - 4);
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_nobody_has_asked_for_yet_faults_with_an_exit),
        cmocka_unit_test(test_where_the_guest_faults_again_and_again_its_faults_take_no_exit),
        cmocka_unit_test(test_an_entry_of_nothing_is_a_trap_until_its_faults_take_no_exit),
        cmocka_unit_test(test_what_the_guest_makes_present_there_is_ours_at_once),
        cmocka_unit_test(test_what_is_present_but_not_marked_faults_with_an_exit),
        cmocka_unit_test(test_without_paging_no_fault_is_the_guest_s),
        cmocka_unit_test(test_a_register_that_is_not_present_is_known_not_to_be),
        cmocka_unit_test(test_a_write_where_faults_take_no_exit_is_emulated_and_others_open_the_table),
        cmocka_unit_test(test_a_table_opens_where_clean_pages_come_in_runs),
        cmocka_unit_test(test_the_half_of_a_table_of_32_bit_paging_that_is_written_decides),
        cmocka_unit_test(test_an_upper_table_stays_closed_while_absent_entries_become_present),
        cmocka_unit_test(test_before_an_upper_table_opens_all_below_it_is_heard_of_again),
        cmocka_unit_test(test_a_second_way_by_an_open_table_is_no_way_to_silence),
        cmocka_unit_test(test_all_ways_to_a_table_are_closed_for_its_faults),
        cmocka_unit_test(test_a_root_that_nobody_uses_leads_to_nothing_until_it_comes_back),
        cmocka_unit_test(test_another_processor_may_still_write_what_is_not_closed_yet),
        cmocka_unit_test(test_a_table_that_is_taken_away_says_nothing_any_more),
        cmocka_unit_test(test_a_mark_that_another_kind_of_table_reads_as_present_is_heeded),
        cmocka_unit_test(test_the_view_tells_silent_entries_from_traps),
        cmocka_unit_test(test_the_view_calls_a_silent_entry_a_defect_where_the_guest_s_is_present),
        cmocka_unit_test(test_a_switch_between_roots_in_step_flushes_nothing),
        cmocka_unit_test(test_a_root_that_goes_is_flushed_under_its_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
