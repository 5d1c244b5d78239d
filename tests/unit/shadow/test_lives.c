/*
 * Tables that are open, closed and opened again: when a change of the guest's counts, and what it takes.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"

#include <string.h>

static struct mirror mirror;

#define VA     UINT64_C(0x40000000)
#define WINDOW (2 * VA)
#define ROOT   UINT64_C(0x4000)
#define OTHER  UINT64_C(0x5000)
#define DONE   (G_ACCESSED | G_DIRTY)

static void start(void)
{
    mirror_start(&mirror, 128);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
}

/* The same with a single virtual processor. */
static void start_alone(void)
{
    struct vmmu_shadow_config config;

    mirror_start(&mirror, 128);
    vmmu_shadow_destroy(&mirror.shadow);
    config = mirror_config(&mirror, 128);
    config.vps = 1;
    EXPECT_EQ(vmmu_shadow_init(&mirror.shadow, &config, &mirror.memory, mirror.account,
                               vmmu_shadow_memory_bytes(128)),
              VMMU_OK);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
}

/* The guest writes an entry that nothing keeps it from writing: the engine is not told. */
static void write_unseen(uint64_t at, uint64_t value)
{
    memcpy(mirror.guest + at, &value, sizeof(value));
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

static void invlpg(uint64_t va)
{
    enum vmmu_status status;

    MIRROR_DO(&mirror, status, vmmu_shadow_invlpg(&mirror.shadow, 0, (vmmu_gva){ va }));
    EXPECT_EQ(status, VMMU_OK);
}

static void switch_to(uint64_t root)
{
    mirror.registers[0].cr3 = root;
    mirror_enter(&mirror, 0);
}

/* --- open --- */

static void test_a_new_table_is_written_without_an_exit_and_counts_at_the_next_flush(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    open_window(WINDOW, VA, 1);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_store(&mirror, 0, WINDOW);
    EXPECT_EQ(mirror_store(&mirror, 0, WINDOW).faults, 0);
    EXPECT_EQ(mirror.shadow.counters.write_traps, 0);
    write_unseen(entry_of(VA, 1), 0x8000 | G_ALL | DONE);
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).gpa, 0x8000);
    mirror_finish(&mirror);
}

static void test_what_invlpg_names_is_up_to_date(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_GLOBAL);
    (void)mirror_store(&mirror, 0, VA);
    write_unseen(entry_of(VA, 1), 0x8000 | G_ALL | DONE);
    invlpg(VA + 0x123);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).gpa, 0x8000);
    write_unseen(entry_of(VA, 1), 0);
    invlpg(VA);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

static void test_invlpg_names_a_large_page_as_large_as_the_guest_has_it(void **state)
{
    (void)state;
    mirror_start(&mirror, 128);
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_page(&mirror, 0, VMMU_X86_PAGING_32BIT, ROOT);
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_store(&mirror, 0, VA + VMMU_2M_BYTES);
    {
        const uint32_t entry = 0x800000 | G_ALL | G_LARGE | DONE;

        memcpy(mirror.guest + entry_of(VA, 2), &entry, sizeof(entry));
    }
    invlpg(VA);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + VMMU_2M_BYTES).gpa, 0x800000 + VMMU_2M_BYTES);
    mirror_finish(&mirror);
}

static void test_invlpg_is_watched_while_something_may_be_stale(void **state)
{
    (void)state;
    start_alone();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    open_window(WINDOW, VA, 1);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_store(&mirror, 0, WINDOW);
    EXPECT(mirror.shadow.watches_invlpg);
    mirror_settle(&mirror, 0);
    EXPECT(!mirror.shadow.watches_invlpg);
    (void)mirror_store(&mirror, 0, WINDOW);
    EXPECT(mirror.shadow.watches_invlpg);
    mirror_settle(&mirror, 0);
    EXPECT(!mirror.shadow.watches_invlpg);
    mirror_finish(&mirror);
}

static void test_a_fault_of_the_guest_s_leaves_nothing_stale_at_its_address(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_PRESENT | G_USER);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, 0x7000);
    write_unseen(entry_of(VA, 1), 0x8000 | G_PRESENT | G_USER | G_ACCESSED);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, 0x8000);
    mirror_finish(&mirror);
}

static void test_by_a_new_way_to_a_table_nothing_stale_is_seen(void **state)
{
    const uint64_t way = VA + VMMU_2M_BYTES;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    mirror_map(&mirror, 0, VA + 0x1000, 1, 0x8000 | G_ALL | DONE);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_store(&mirror, 0, VA + 0x1000);
    write_unseen(entry_of(VA + 0x1000, 1), 0x9000 | G_ALL | DONE);
    write_unseen(entry_of(VA, 2) + 8, mirror_get(&mirror, entry_of(VA, 2)) & ~G_ACCESSED);
    EXPECT_EQ(mirror_store(&mirror, 0, way).gpa, 0x7000);
    EXPECT_EQ(mirror_store(&mirror, 0, way + 0x1000).gpa, 0x9000);
    mirror_finish(&mirror);
}

static void test_by_a_link_that_gained_rights_nothing_stale_is_written(void **state)
{
    uint64_t directory;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | DONE);
    mirror_map(&mirror, 0, VA + 0x1000, 1, 0x8000 | G_ALL | DONE);
    directory = entry_of(VA, 2);
    mirror_write(&mirror, directory, mirror_get(&mirror, directory) & ~G_WRITE);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_RETRY);
    write_unseen(entry_of(VA, 1), 0x7000 | G_PRESENT | G_USER | DONE);
    write_unseen(directory, mirror_get(&mirror, directory) | G_WRITE);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + 0x1000).answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

/* --- closed --- */

static void test_a_closed_leaf_table_is_opened_by_the_first_write(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    open_window(WINDOW, VA, 1);
    open_window(WINDOW + 0x1000, VA, 1);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_store(&mirror, 0, WINDOW);
    (void)mirror_store(&mirror, 0, WINDOW + 0x1000);
    mirror_settle(&mirror, 0);
    EXPECT(!(mirror_read(&mirror, 0, WINDOW).leaf.rights & VMMU_X86_RIGHT_WRITE));
    EXPECT_EQ(mirror_store(&mirror, 0, WINDOW).answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror.shadow.counters.write_traps, 1);
    EXPECT_EQ(mirror_store(&mirror, 0, WINDOW).faults, 0);
    /* What else lost the right to write it has it again. */
    EXPECT_EQ(mirror_store(&mirror, 0, WINDOW + 0x1000).faults, 0);
    write_unseen(entry_of(VA, 1), 0);
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

static void test_a_closed_upper_table_has_a_few_writes_emulated_and_is_opened_then(void **state)
{
    unsigned emulated = 0;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    open_window(WINDOW, VA, 2);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_read(&mirror, 0, WINDOW);
    mirror_settle(&mirror, 0);
    while (mirror_store(&mirror, 0, WINDOW).answer == VMMU_SHADOW_EMULATE) {
        mirror_write(&mirror, entry_of(VA, 2) + 0x800, 0);
        emulated++;
        EXPECT(emulated < 16);
    }
    EXPECT(emulated > 0);
    EXPECT_EQ(mirror_store(&mirror, 0, WINDOW).faults, 0);
    mirror_finish(&mirror);
}

static void test_what_a_write_to_a_closed_table_took_is_gone_at_once(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    mirror_settle(&mirror, 0);
    mirror_write(&mirror, entry_of(VA, 2), 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

/* --- few exits --- */

static void test_pages_that_the_guest_has_ready_come_with_their_neighbour(void **state)
{
    (void)state;
    start();
    for (unsigned i = 0; i < 4; i++) {
        mirror_map(&mirror, 0, VA + i * VMMU_PAGE_BYTES, 1, (0x7000 + i * VMMU_PAGE_BYTES) | G_ALL | DONE);
    }
    mirror_map(&mirror, 0, VA + 4 * VMMU_PAGE_BYTES, 1, 0xB000 | G_ALL);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).faults, 1);
    for (unsigned i = 1; i < 4; i++) {
        EXPECT_EQ(mirror_store(&mirror, 0, VA + i * VMMU_PAGE_BYTES).faults, 0);
    }
    /* What nobody has accessed is marked when somebody does, and no earlier. */
    EXPECT_EQ(mirror_get(&mirror, entry_of(VA + 4 * VMMU_PAGE_BYTES, 1)) & DONE, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 4 * VMMU_PAGE_BYTES).faults, 1);
    mirror_finish(&mirror);
}

static void test_a_large_page_in_pieces_takes_one_exit(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).faults, 1);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + 0x5000).faults, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + 0x1FF000).gpa, 0x5FF000);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + 0x1FF000).faults, 0);
    mirror_finish(&mirror);
}

static void test_two_roots_that_differ_in_nx_share_all_that_is_below(void **state)
{
    const struct vmmu_x86_access fetch = { .kind = VMMU_X86_EXECUTE };
    uint64_t entry;
    uint64_t pages;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    EXPECT_EQ(mirror_access(&mirror, 0, VA, fetch).answer, VMMU_SHADOW_RETRY);
    entry = entry_of(VA, 4);
    mirror_write(&mirror, entry - ROOT + OTHER, mirror_get(&mirror, entry) | G_NX);
    pages = mirror.shadow.counters.pages;
    switch_to(OTHER);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).faults, 0);
    EXPECT_EQ(mirror.shadow.counters.pages, pages + 1);
    EXPECT_EQ(mirror_access(&mirror, 0, VA, fetch).answer, VMMU_SHADOW_INJECT);
    switch_to(ROOT);
    EXPECT_EQ(mirror_access(&mirror, 0, VA, fetch).faults, 0);
    mirror_finish(&mirror);
}

static void test_a_page_that_comes_and_goes_in_one_place_takes_no_exit_but_the_flush(void **state)
{
    const uint64_t va = VA + 0x3000;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    mirror_map(&mirror, 0, va, 1, 0x9000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    (void)mirror_store(&mirror, 0, va);
    for (unsigned i = 0; i < 4; i++) {
        write_unseen(entry_of(va, 1), 0);
        mirror_enter(&mirror, 0);
        write_unseen(entry_of(va, 1), (0xA000 + i * VMMU_PAGE_BYTES) | G_ALL | DONE);
        mirror_enter(&mirror, 0);
        EXPECT_EQ(mirror_store(&mirror, 0, va).gpa, 0xA000 + i * VMMU_PAGE_BYTES);
        EXPECT_EQ(mirror_store(&mirror, 0, va).faults, 0);
    }
    EXPECT_EQ(mirror.shadow.counters.reflected, 0);
    mirror_finish(&mirror);
}

static void test_address_spaces_that_take_turns_are_all_found_ready(void **state)
{
    (void)state;
    start();
    for (unsigned i = 0; i < 4; i++) {
        switch_to(ROOT + i * VMMU_PAGE_BYTES);
        mirror_map(&mirror, 0, VA, 1, (0x10000 + i * VMMU_PAGE_BYTES) | G_ALL);
        (void)mirror_store(&mirror, 0, VA);
    }
    for (unsigned turn = 0; turn < 12; turn++) {
        switch_to(ROOT + (turn % 4) * VMMU_PAGE_BYTES);
        EXPECT_EQ(mirror_store(&mirror, 0, VA).gpa, 0x10000 + (turn % 4) * VMMU_PAGE_BYTES);
        EXPECT_EQ(mirror_store(&mirror, 0, VA).faults, 0);
    }
    EXPECT_EQ(mirror.shadow.counters.roots_made, 1 + 4);
    mirror_finish(&mirror);
}

static void test_address_spaces_that_nobody_comes_back_to_do_not_pile_up(void **state)
{
    (void)state;
    start();
    for (unsigned i = 0; i < 40; i++) {
        switch_to(0x20000 + i * VMMU_PAGE_BYTES);
        (void)mirror_read(&mirror, 0, VA);
    }
    EXPECT(mirror.shadow.counters.pages < 24);
    mirror_finish(&mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_table_is_written_without_an_exit_and_counts_at_the_next_flush),
        cmocka_unit_test(test_what_invlpg_names_is_up_to_date),
        cmocka_unit_test(test_invlpg_names_a_large_page_as_large_as_the_guest_has_it),
        cmocka_unit_test(test_invlpg_is_watched_while_something_may_be_stale),
        cmocka_unit_test(test_a_fault_of_the_guest_s_leaves_nothing_stale_at_its_address),
        cmocka_unit_test(test_by_a_new_way_to_a_table_nothing_stale_is_seen),
        cmocka_unit_test(test_by_a_link_that_gained_rights_nothing_stale_is_written),
        cmocka_unit_test(test_a_closed_leaf_table_is_opened_by_the_first_write),
        cmocka_unit_test(test_a_closed_upper_table_has_a_few_writes_emulated_and_is_opened_then),
        cmocka_unit_test(test_what_a_write_to_a_closed_table_took_is_gone_at_once),
        cmocka_unit_test(test_pages_that_the_guest_has_ready_come_with_their_neighbour),
        cmocka_unit_test(test_a_large_page_in_pieces_takes_one_exit),
        cmocka_unit_test(test_two_roots_that_differ_in_nx_share_all_that_is_below),
        cmocka_unit_test(test_a_page_that_comes_and_goes_in_one_place_takes_no_exit_but_the_flush),
        cmocka_unit_test(test_address_spaces_that_take_turns_are_all_found_ready),
        cmocka_unit_test(test_address_spaces_that_nobody_comes_back_to_do_not_pile_up),
    };

    return RUN_TESTS(tests);
}
