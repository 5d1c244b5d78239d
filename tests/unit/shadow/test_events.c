/*
 * What happens to guest and host, and what of a shadow is gone afterwards: writes to tables, roots changed, memory taken away.
 */
#include "tests/unit/shadow/mirror.h"

#include "tests/unit/test.h"

static struct mirror mirror;

#define VA    UINT64_C(0x40000000)
#define ROOT  UINT64_C(0x4000)
#define OTHER UINT64_C(0x5000)

static void start(void)
{
    mirror_start(&mirror, 128);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
}

/* --- writes --- */

static void test_what_was_not_present_becomes_present_without_a_flush(void **state)
{
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    entry = mirror_entry_at(&mirror, 0, VA + 0x1000, 1);
    mirror.flushes = 0;
    mirror_write(&mirror, entry, 0x8000 | G_ALL);
    EXPECT_EQ(mirror.flushes, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x1000).gpa, 0x8000);
    EXPECT_EQ(mirror.flushes, 0);
    mirror_write(&mirror, entry, 0);
    EXPECT_EQ(mirror.flushes, 1);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x1000).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

static void test_a_write_across_two_entries_removes_both(void **state)
{
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    mirror_map(&mirror, 0, VA + 0x1000, 1, 0x8000 | G_ALL);
    mirror_map(&mirror, 0, VA + 0x2000, 1, 0x9000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    (void)mirror_read(&mirror, 0, VA + 0x1000);
    (void)mirror_read(&mirror, 0, VA + 0x2000);
    entry = mirror_entry_at(&mirror, 0, VA, 1);
    mirror_write(&mirror, entry + 4, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x2000).faults, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 1);
    EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x1000).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

static void test_a_table_that_was_unlinked_is_data_from_the_first_write_on(void **state)
{
    uint64_t table;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    table = mirror_entry_at(&mirror, 0, VA, 1) & ~UINT64_C(0xFFF);
    mirror_map(&mirror, 0, 2 * VA, 1, table | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror_settle(&mirror, 0);
    mirror_write(&mirror, mirror_entry_at(&mirror, 0, VA, 2), 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 2 * VA).answer, VMMU_SHADOW_RETRY);
    EXPECT_EQ(mirror.shadow.counters.write_traps, 0);
    mirror_finish(&mirror);
}

static void test_a_dropped_table_may_be_written_and_is_read_anew(void **state)
{
    enum vmmu_status status;
    uint64_t directory;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    directory = mirror_entry_at(&mirror, 0, VA, 2);
    mirror_map(&mirror, 0, 2 * VA, 1, (directory & ~UINT64_C(0xFFF)) | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror_settle(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 2 * VA).answer, VMMU_SHADOW_EMULATE);
    MIRROR_DO(&mirror, status, vmmu_shadow_drop(&mirror.shadow, (vmmu_gpa){ directory }));
    EXPECT_EQ(status, VMMU_OK);
    EXPECT_EQ(mirror.shadow.counters.dropped, 1);
    EXPECT_EQ(mirror_store(&mirror, 0, 2 * VA).answer, VMMU_SHADOW_RETRY);
    /* Unseen: nothing was told. */
    *(uint64_t *)(mirror.guest + directory) = 0;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_settle(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 2 * VA).answer, VMMU_SHADOW_EMULATE);
    mirror_finish(&mirror);
}

static void test_a_mark_in_a_table_of_4_byte_entries_changes_what_8_byte_entries_say(void **state)
{
    (void)state;
    mirror_start(&mirror, 128);
    /* One table for both: the upper half of the first entry of eight bytes is the second one of four. */
    mirror_page(&mirror, 1, VMMU_X86_PAGING_32BIT, 0x6000);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_4LEVEL, ROOT);
    mirror_map(&mirror, 0, VA, 2, 0x9000 | G_ALL);
    mirror_map(&mirror, 1, VA, 2, 0x9000 | G_ALL);
    mirror_write(&mirror, 0x9000, MIRROR_HIGH | 0x7000 | G_ALL);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, MIRROR_HIGH | 0x7000);
    mirror.flushes = 0;
    EXPECT_EQ(mirror_read(&mirror, 1, VA + 0x1000).gpa, 0);
    EXPECT_EQ(mirror.flushes, 1);
    /* Accessed is bit 37 of the other's entry. */
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_DEVICE);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, BIT64(37) | MIRROR_HIGH | 0x7000);
    mirror_finish(&mirror);
}

static void test_a_root_that_is_not_in_use_is_written_freely_and_counts_when_it_is_used_again(void **state)
{
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    entry = mirror_entry_at(&mirror, 0, VA, 4);
    (void)mirror_read(&mirror, 0, VA);
    mirror_settle(&mirror, 0);
    mirror.registers[0].cr3 = OTHER;
    mirror_enter(&mirror, 0);
    mirror_map(&mirror, 0, VA, 1, ROOT | G_ALL);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).answer, VMMU_SHADOW_RETRY);
    *(uint64_t *)(mirror.guest + entry) = 0;
    mirror.registers[0].cr3 = ROOT;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

static void test_a_root_in_use_that_is_dropped_is_open_and_goes_on(void **state)
{
    enum vmmu_status status;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    mirror_map(&mirror, 0, 2 * VA, 1, ROOT | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    (void)mirror_read(&mirror, 0, 2 * VA);
    mirror_settle(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 2 * VA).answer, VMMU_SHADOW_EMULATE);
    MIRROR_DO(&mirror, status, vmmu_shadow_drop(&mirror.shadow, (vmmu_gpa){ ROOT }));
    EXPECT_EQ(status, VMMU_OK);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, 2 * VA).answer, VMMU_SHADOW_RETRY);
    mirror_finish(&mirror);
}

static void test_a_large_page_goes_where_a_protected_table_turns_up(void **state)
{
    (void)state;
    start();
    mirror.piece_bytes = VMMU_2M_BYTES;
    mirror_map(&mirror, 0, VA, 2, 0x400000 | G_ALL | G_LARGE);
    mirror_map(&mirror, 0, 2 * VA, 1, 0x405000 | G_ALL);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).leaf.page_bytes, VMMU_2M_BYTES);
    /* A table turns up in it, and goes. */
    mirror_write(&mirror, mirror_entry_at(&mirror, 0, 3 * VA, 2), 0x405000 | G_ALL);
    EXPECT_EQ(mirror_read(&mirror, 0, 3 * VA).answer, VMMU_SHADOW_INJECT);
    mirror_write(&mirror, 0x405000, 0x7000 | G_ALL);
    EXPECT_EQ(mirror_read(&mirror, 0, 3 * VA).gpa, 0x7000);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).leaf.page_bytes, VMMU_2M_BYTES);
    mirror_settle(&mirror, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).leaf.page_bytes, VMMU_PAGE_BYTES);
    EXPECT(!(mirror_read(&mirror, 0, VA + 0x5000).leaf.rights & VMMU_X86_RIGHT_WRITE));
    mirror_write(&mirror, mirror_entry_at(&mirror, 0, 3 * VA, 2), 0);
    EXPECT_EQ(mirror_store(&mirror, 0, VA + 0x5000).answer, VMMU_SHADOW_RETRY);
    mirror_finish(&mirror);
}

static void test_too_many_plans_under_way_are_flushed_first(void **state)
{
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_shadow_verdict verdict;
    struct vmmu_outcome outcome;
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    entry = mirror_entry_at(&mirror, 0, VA, 1);
    for (unsigned i = 0; i < VMMU_TABLE_PLANS; i++) {
        (void)mirror_read(&mirror, 0, VA);
        outcome = vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ entry }, 8);
        EXPECT_EQ(outcome.status, VMMU_OK);
        EXPECT(outcome.plan.whole_tag);
    }
    EXPECT_EQ(vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ entry }, 8).status, VMMU_FLUSH_RETRY);
    mirror_finish(&mirror);
    start();
    for (unsigned call = 0; call < 4; call++) {
        mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
        for (unsigned i = 0; i < VMMU_TABLE_PLANS; i++) {
            (void)mirror_read(&mirror, 0, VA);
            EXPECT_EQ(vmmu_shadow_wrote(&mirror.shadow, (vmmu_gpa){ entry }, 8).status, VMMU_OK);
        }
        switch (call) {
        case 0: outcome = vmmu_shadow_fault(&mirror.shadow, 0, (vmmu_gva){ VA }, access, &verdict); break;
        case 1: outcome = vmmu_shadow_drop(&mirror.shadow, (vmmu_gpa){ entry }); break;
        case 2: outcome = vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES); break;
        default: outcome = vmmu_shadow_set_guest_pat(&mirror.shadow, 0); break;
        }
        EXPECT_EQ(mirror_apply(&mirror, outcome), VMMU_FLUSH_RETRY);
        EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, 0x7000);
    }
    mirror_finish(&mirror);
}

/* The entry is gone from the tables, and may still be cached: the guest, who knows only of its own write, counts on a flush. */
static void test_a_write_or_a_root_counts_no_plan_as_carried_out_that_is_not(void **state)
{
    struct vmmu_outcome first;
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    entry = mirror_entry_at(&mirror, 0, VA, 1);
    (void)mirror_read(&mirror, 0, VA);
    first = vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES);
    EXPECT(first.plan.whole_tag);
    mirror.flushes = 0;
    mirror_write(&mirror, entry, 0);
    EXPECT_EQ(mirror.flushes, 1);
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror.flushes, 2);
    EXPECT_EQ(mirror_apply(&mirror, first), VMMU_OK);
    mirror.flushes = 0;
    mirror_write(&mirror, entry, 0);
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror.flushes, 0);
    mirror_finish(&mirror);
}

/* A guest removed the entry and flushed: as long as nobody has reported that, taking the page away is no less than a flush. */
static void test_memory_is_taken_away_from_processors_that_may_still_have_cached_it(void **state)
{
    struct vmmu_outcome flushed;
    struct vmmu_outcome taken;
    struct vmmu_shadow_root root;
    struct vmmu_x86_mode mode;
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    entry = mirror_entry_at(&mirror, 0, VA, 1);
    *(uint64_t *)(mirror.guest + entry) = 0;
    EXPECT_EQ(vmmu_mode_make(&mirror.cpu, &mirror.registers[0], &mode), VMMU_OK);
    flushed = vmmu_shadow_enter(&mirror.shadow, 0, &mode, &root);
    EXPECT(flushed.plan.whole_tag);
    taken = vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES);
    EXPECT(taken.plan.whole_tag);
    EXPECT_EQ(taken.plan.vps, flushed.plan.vps);
    EXPECT_EQ(mirror_apply(&mirror, flushed), VMMU_OK);
    EXPECT_EQ(mirror_apply(&mirror, taken), VMMU_OK);
    taken = vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES);
    EXPECT(vmmu_plan_is_empty(&taken.plan));
    mirror_finish(&mirror);
}

/* --- roots --- */

static void test_a_guest_that_comes_back_to_a_root_finds_it_ready(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror.registers[0].cr3 = OTHER;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror.registers[0].cr3 = ROOT;
    mirror.flushes = 0;
    mirror_enter(&mirror, 0);
    /* Whoever loads another root flushes by that. */
    EXPECT_EQ(mirror.flushes, 0);
    EXPECT_EQ(mirror.turns, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
    mirror_finish(&mirror);
}

static void test_a_root_that_is_in_use_is_entered_again_without_a_flush(void **state)
{
    uint64_t found;

    (void)state;
    start();
    found = mirror.shadow.counters.roots_found;
    mirror.flushes = 0;
    mirror.registers[0].pkru = 4;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror.flushes, 0);
    EXPECT_EQ(mirror.shadow.counters.roots_found, found + 1);
    mirror_finish(&mirror);
}

static void test_write_protection_cleared_and_set_again_finds_what_there_was(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    mirror.registers[0].cr0 &= ~VMMU_X86_CR0_WP;
    mirror_enter(&mirror, 0);
    (void)mirror_read(&mirror, 0, VA);
    mirror.registers[0].cr0 |= VMMU_X86_CR0_WP;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
    mirror_finish(&mirror);
}

static void test_without_nx_its_bit_is_reserved_and_with_it_is_not(void **state)
{
    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | G_NX);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_RETRY);
    mirror.registers[0].efer &= ~VMMU_X86_EFER_NXE;
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).fault.error_code, VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED);
    mirror_finish(&mirror);
}

/* The four entries at the top are loaded by MOV to CR3, and not before. */
static void test_a_pdpte_counts_from_the_next_load_of_cr3_on(void **state)
{
    (void)state;
    mirror_start(&mirror, 128);
    mirror_page(&mirror, 0, VMMU_X86_PAGING_PAE, ROOT);
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, 0x7000);
    mirror_write(&mirror, ROOT + 8, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
    mirror_enter(&mirror, 0);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_INJECT);
    mirror_finish(&mirror);
}

/* --- the backing --- */

static void test_memory_that_is_taken_away_is_mapped_no_more(void **state)
{
    /* Less than is looked up page by page, and more. */
    static const uint64_t sizes[] = { 0x1000, 0x800000 };
    enum vmmu_status status;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start();
        mirror_map(&mirror, 0, VA, 1, 0x807000 | G_ALL);
        mirror_map(&mirror, 0, VA + 0x1000, 1, 0x7000 | G_ALL);
        (void)mirror_read(&mirror, 0, VA);
        (void)mirror_read(&mirror, 0, VA + 0x1000);
        mirror.rights[0x807] = 0;
        MIRROR_DO(&mirror, status,
                  vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ i == 0 ? 0x807000 : 0x800000 }, sizes[i]));
        EXPECT_EQ(status, VMMU_OK);
        EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_DEVICE);
        EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, 0x807000);
        EXPECT_EQ(mirror_read(&mirror, 0, VA + 0x1000).faults, 0);
        mirror_finish(&mirror);
    }
}

static void test_a_table_whose_memory_is_taken_away_is_read_anew(void **state)
{
    enum vmmu_status status;
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_read(&mirror, 0, VA);
    entry = mirror_entry_at(&mirror, 0, VA, 1);
    mirror.rights[entry / VMMU_PAGE_BYTES] = 0;
    MIRROR_DO(&mirror, status,
              vmmu_shadow_forget(&mirror.shadow, (vmmu_gpa){ entry & ~UINT64_C(0xFFF) }, VMMU_PAGE_BYTES));
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_DEVICE);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, entry);
    mirror_finish(&mirror);
}

static void test_rights_that_the_backing_lost_are_taken(void **state)
{
    enum vmmu_status status;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    (void)mirror_store(&mirror, 0, VA);
    mirror.rights[7] = VMMU_X86_RIGHT_READ;
    MIRROR_DO(
        &mirror, status,
        vmmu_shadow_protect(&mirror.shadow, (vmmu_gpa){ 0x7000 }, VMMU_PAGE_BYTES, VMMU_X86_RIGHT_READ));
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
    EXPECT_EQ(mirror_store(&mirror, 0, VA).answer, VMMU_SHADOW_DENIED);
    EXPECT_EQ(mirror_access(&mirror, 0, VA, (struct vmmu_x86_access){ .kind = VMMU_X86_EXECUTE }).answer,
              VMMU_SHADOW_DENIED);
    mirror.rights[7] = VMMU_X86_RIGHTS_ALL;
    EXPECT_EQ(mirror_store(&mirror, 0, VA).answer, VMMU_SHADOW_RETRY);
    mirror_finish(&mirror);
}

static void test_a_table_that_may_not_be_marked_is_named(void **state)
{
    uint64_t entry;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
    entry = mirror_entry_at(&mirror, 0, VA, 2);
    mirror.rights[entry / VMMU_PAGE_BYTES] = VMMU_X86_RIGHT_READ;
    EXPECT_EQ(mirror_read(&mirror, 0, VA).answer, VMMU_SHADOW_DENIED);
    EXPECT_EQ(mirror_read(&mirror, 0, VA).gpa, entry);
    mirror_finish(&mirror);
}

static void test_the_guest_s_pat_decides_of_the_memory_type(void **state)
{
    enum vmmu_status status;

    (void)state;
    start();
    mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL | BIT64(3));
    /* Entry 1 of the guest's is WT, which is entry 7 of the host's. */
    EXPECT_EQ(mirror_read(&mirror, 0, VA).leaf.pat_index, 7);
    MIRROR_DO(&mirror, status, vmmu_shadow_set_guest_pat(&mirror.shadow, MIRROR_GUEST));
    EXPECT_EQ(mirror_read(&mirror, 0, VA).faults, 0);
    MIRROR_DO(&mirror, status, vmmu_shadow_set_guest_pat(&mirror.shadow, UINT64_C(0x0606060606060106)));
    /* Now WC: entry 1. */
    EXPECT_EQ(mirror_read(&mirror, 0, VA).leaf.pat_index, 1);
    mirror_finish(&mirror);
}

#define UC       VMMU_X86_TYPE_UC
#define WC       VMMU_X86_TYPE_WC
#define WT       VMMU_X86_TYPE_WT
#define WP       VMMU_X86_TYPE_WP
#define WB       VMMU_X86_TYPE_WB
#define UC_MINUS VMMU_X86_TYPE_UC_MINUS

/* SDM 3A "Selecting Memory Types for Pentium III and More Recent Processor Families", its table, row by row. */
static void test_guest_s_and_host_s_memory_types_combine_as_the_manual_s_table_says(void **state)
{
    static const uint8_t pat[] = { UC, UC_MINUS, WC, WT, WB, WP };
    static const struct {
        enum vmmu_x86_memory_type type;
        uint8_t effective[6]; /* in the order of `pat` */
    } rows[] = {
        { UC, { UC, UC, WC, UC, UC, UC } }, { WC, { UC, WC, WC, UC, WC, UC } },
        { WT, { UC, UC, WC, WT, WT, WP } }, { WB, { UC, UC, WC, WT, WB, WP } },
        { WP, { UC, WC, WC, WT, WP, WP } },
    };
    enum vmmu_status status;

    (void)state;
    for (unsigned row = 0; row < 5; row++) {
        for (unsigned i = 0; i < 6; i++) {
            start();
            mirror.type = rows[row].type;
            MIRROR_DO(&mirror, status, vmmu_shadow_set_guest_pat(&mirror.shadow, pat[i]));
            EXPECT_EQ(status, VMMU_OK);
            mirror_map(&mirror, 0, VA, 1, 0x7000 | G_ALL);
            EXPECT_EQ((MIRROR_PAT >> (8 * mirror_read(&mirror, 0, VA).leaf.pat_index)) & 7,
                      rows[row].effective[i]);
            mirror_finish(&mirror);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_not_present_becomes_present_without_a_flush),
        cmocka_unit_test(test_a_write_across_two_entries_removes_both),
        cmocka_unit_test(test_a_table_that_was_unlinked_is_data_from_the_first_write_on),
        cmocka_unit_test(test_a_dropped_table_may_be_written_and_is_read_anew),
        cmocka_unit_test(test_a_mark_in_a_table_of_4_byte_entries_changes_what_8_byte_entries_say),
        cmocka_unit_test(test_a_root_that_is_not_in_use_is_written_freely_and_counts_when_it_is_used_again),
        cmocka_unit_test(test_a_root_in_use_that_is_dropped_is_open_and_goes_on),
        cmocka_unit_test(test_a_large_page_goes_where_a_protected_table_turns_up),
        cmocka_unit_test(test_too_many_plans_under_way_are_flushed_first),
        cmocka_unit_test(test_a_write_or_a_root_counts_no_plan_as_carried_out_that_is_not),
        cmocka_unit_test(test_memory_is_taken_away_from_processors_that_may_still_have_cached_it),
        cmocka_unit_test(test_a_guest_that_comes_back_to_a_root_finds_it_ready),
        cmocka_unit_test(test_a_root_that_is_in_use_is_entered_again_without_a_flush),
        cmocka_unit_test(test_write_protection_cleared_and_set_again_finds_what_there_was),
        cmocka_unit_test(test_without_nx_its_bit_is_reserved_and_with_it_is_not),
        cmocka_unit_test(test_a_pdpte_counts_from_the_next_load_of_cr3_on),
        cmocka_unit_test(test_memory_that_is_taken_away_is_mapped_no_more),
        cmocka_unit_test(test_a_table_whose_memory_is_taken_away_is_read_anew),
        cmocka_unit_test(test_rights_that_the_backing_lost_are_taken),
        cmocka_unit_test(test_a_table_that_may_not_be_marked_is_named),
        cmocka_unit_test(test_the_guest_s_pat_decides_of_the_memory_type),
        cmocka_unit_test(test_guest_s_and_host_s_memory_types_combine_as_the_manual_s_table_says),
    };

    return RUN_TESTS(tests);
}
