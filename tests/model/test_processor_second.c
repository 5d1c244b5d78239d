/*
 * What the processor may keep of the second stage, whose addresses it keeps mappings by, and that a host's
 * flush reaches exactly what it names.
 *
 * Spec: SDM 3C "Caching Translation Information", "Accessed and Dirty Flags for EPT"; APM 2 "Nested Paging",
 * "TLB Control".
 */
#include "tests/model/processor_rig.h"
#include "tests/unit/test.h"

#define READ  VMMU_X86_RIGHT_READ
#define WRITE VMMU_X86_RIGHT_WRITE
#define EXEC  VMMU_X86_RIGHT_EXECUTE

static const enum rig_kind kinds[] = { RIG_EPT, RIG_EPT_MARKS, RIG_NPT };

#define KINDS      (sizeof kinds / sizeof kinds[0])

/* Where a page of the guest's stands after the host has moved it. */
#define MOVED(gpa) (HOST_SIDE_B + (gpa))

static void warm(struct rig *rig, unsigned n, enum vmmu_x86_access_kind kind)
{
    for (unsigned i = 0; i < 4; i++) {
        (void)rig_access(rig, RIG_VA(n), kind);
    }
}

static unsigned end_of(struct rig *rig, unsigned n, enum vmmu_x86_access_kind kind)
{
    const struct processor_result result = rig_access(rig, RIG_VA(n), kind);

    return rig_end(rig, &result);
}

/* The host puts the page at @gpa elsewhere, content and all. */
static void move_page(struct rig *rig, uint64_t gpa)
{
    memory_assign(rig->memory, MOVED(gpa), VMMU_PAGE_BYTES, OWNER_GUEST);
    memory_copy_page(rig->memory, MOVED(gpa), rig->base + gpa);
    rig_put_second(rig, 1, gpa, MOVED(gpa), VMMU_X86_RIGHTS_ALL);
}

/* What a host does after it: INVEPT of the context; or TLB_CONTROL. */
static void flush_host(struct rig *rig)
{
    const struct vmmu_plan plan = { .whole_tag = true };

    processor_apply(rig->processor, &rig->state, &plan);
}

static void flush_pages(struct rig *rig, uint64_t gpa, uint64_t pages)
{
    struct vmmu_plan plan = { 0 };

    vmmu_plan_add(&plan, gpa, pages);
    processor_apply(rig->processor, &rig->state, &plan);
}

/* --- the host moves a page --- */

static void begin_move(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, 0, VMMU_X86_READ);
    move_page(rig, RIG_PAGE(0));
}

static unsigned host_moved_without_flush(struct rig *rig)
{
    begin_move(rig);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned host_moved_then_invlpg(struct rig *rig)
{
    begin_move(rig);
    rig_invlpg(rig, RIG_VA(0), VMMU_PAGE_BYTES);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned host_moved_with_whole_flush(struct rig *rig)
{
    begin_move(rig);
    flush_host(rig);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned host_moved_with_exact_flush(struct rig *rig)
{
    begin_move(rig);
    flush_pages(rig, RIG_PAGE(0), 1);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned host_moved_with_a_flush_of_the_next(struct rig *rig)
{
    begin_move(rig);
    flush_pages(rig, RIG_PAGE(1), 4);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_the_hosts_old_frame_may_be_used_until_the_host_flushes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, host_moved_without_flush), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, host_moved_with_whole_flush), RIG_NEW);
        EXPECT_EQ(rig_ends(kind, host_moved_with_exact_flush), RIG_NEW);
    }
}

static void test_a_guests_flush_does_not_reach_guest_physical_mappings(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, host_moved_then_invlpg), RIG_OLD | RIG_NEW);
    }
}

static void test_a_plan_reaches_exactly_the_pages_that_it_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, host_moved_with_a_flush_of_the_next), RIG_OLD | RIG_NEW);
    }
}

/* The page of the guest's table of level 1 is moved; in its new place the entry leads to page 1. */
static void move_table(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, 0, VMMU_X86_READ);
    move_page(rig, RIG_TABLE(1));
    memory_store(rig->memory, MOVED(RIG_TABLE(1)), 8, RIG_PAGE(1) | RIG_ENTRY_USUAL);
}

static unsigned table_moved_without_flush(struct rig *rig)
{
    move_table(rig);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned table_moved_with_exact_flush(struct rig *rig)
{
    move_table(rig);
    flush_pages(rig, RIG_TABLE(1), 1);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned table_moved_with_a_flush_of_the_page(struct rig *rig)
{
    move_table(rig);
    flush_pages(rig, RIG_PAGE(0), 1);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_a_moved_page_of_a_guests_table_takes_all_that_was_made_through_it_along(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, table_moved_without_flush), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, table_moved_with_exact_flush), RIG_NEW);
        EXPECT_EQ(rig_ends(kind, table_moved_with_a_flush_of_the_page), RIG_OLD | RIG_NEW);
    }
}

/* --- tags --- */

static unsigned another_vpid(struct rig *rig)
{
    begin_move(rig);
    rig->state.tags.space = 2;
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned another_root(struct rig *rig)
{
    begin_move(rig);
    rig->state.tags.stage2 ^= BIT64(30);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_guest_physical_mappings_are_shared_by_vpids_but_not_by_asids_or_roots(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_EPT, another_vpid), RIG_OLD | RIG_NEW);
    EXPECT_EQ(rig_ends(RIG_NPT, another_vpid), RIG_NEW);
    EXPECT_EQ(rig_ends(RIG_EPT, another_root), RIG_NEW);
}

static unsigned another_vpid_with_whole_flush(struct rig *rig)
{
    begin_move(rig);
    rig->state.tags.space = 2;
    flush_host(rig);
    rig->state.tags.space = 1;
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned flush_of_another_root(struct rig *rig)
{
    begin_move(rig);
    rig->state.tags.stage2 ^= BIT64(30);
    flush_host(rig);
    rig->state.tags.stage2 ^= BIT64(30);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_a_flush_of_a_root_reaches_every_vpid_one_of_an_asid_that_asid(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_EPT, another_vpid_with_whole_flush), RIG_NEW);
    EXPECT_EQ(rig_ends(RIG_NPT, another_vpid_with_whole_flush), RIG_OLD | RIG_NEW);
    EXPECT_EQ(rig_ends(RIG_EPT, flush_of_another_root), RIG_OLD | RIG_NEW);
}

/* --- rights --- */

static unsigned host_right_taken(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, 0, VMMU_X86_WRITE);
    rig_put_second(rig, 1, RIG_PAGE(0), rig->base + RIG_PAGE(0), READ | EXEC);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static unsigned host_right_taken_and_flushed(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, 0, VMMU_X86_WRITE);
    rig_put_second(rig, 1, RIG_PAGE(0), rig->base + RIG_PAGE(0), READ | EXEC);
    flush_pages(rig, RIG_PAGE(0), 1);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static void give_host_right(struct rig *rig)
{
    rig_put_second(rig, 1, RIG_PAGE(0), rig->base + RIG_PAGE(0), READ | EXEC);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_A | RIG_ENTRY_D);
    warm(rig, 0, VMMU_X86_READ);
    rig_put_second(rig, 1, RIG_PAGE(0), rig->base + RIG_PAGE(0), VMMU_X86_RIGHTS_ALL);
}

static unsigned host_right_given(struct rig *rig)
{
    give_host_right(rig);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static unsigned host_right_given_then_invlpg(struct rig *rig)
{
    give_host_right(rig);
    rig_invlpg(rig, RIG_VA(0), VMMU_PAGE_BYTES);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static unsigned exits_of_many_tries(struct rig *rig)
{
    unsigned exits = 0;

    give_host_right(rig);
    for (unsigned i = 0; i < 20; i++) {
        exits += end_of(rig, 0, VMMU_X86_WRITE) == RIG_EXITED;
    }
    return exits <= 1 ? RIG_OLD : RIG_EXITED;
}

static void test_a_right_that_the_host_took_may_be_used_until_it_flushes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, host_right_taken), RIG_OLD | RIG_EXITED);
        EXPECT_EQ(rig_ends(kind, host_right_taken_and_flushed), RIG_EXITED);
    }
}

static void test_a_right_that_the_host_gives_may_cost_one_violation_and_no_nested_page_fault(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_EPT, host_right_given), RIG_OLD | RIG_EXITED);
    EXPECT_EQ(rig_ends(RIG_EPT_MARKS, host_right_given), RIG_OLD | RIG_EXITED);
    EXPECT_EQ(rig_ends(RIG_NPT, host_right_given), RIG_OLD);
    EXPECT_EQ(rig_ends(RIG_EPT, host_right_given_then_invlpg), RIG_OLD | RIG_EXITED);
    EXPECT_EQ(rig_ends(RIG_NPT, host_right_given_then_invlpg), RIG_OLD);
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, exits_of_many_tries), RIG_OLD);
    }
}

/* --- the second stage's own tables --- */

/* A table of the second stage is taken out: a copy of it, where page 0 is moved, takes its place. */
static void replace_second_table(struct rig *rig)
{
    const uint64_t link = rig_second_at(rig, 2, RIG_PAGE(0));
    const uint64_t copy = rig->next_second_table;

    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_map(rig, 1, 2, RIG_ENTRY_USUAL);
    warm(rig, 1, VMMU_X86_READ);
    memory_assign(rig->memory, copy, VMMU_PAGE_BYTES, OWNER_TABLES);
    memory_copy_page(rig->memory, copy, rig_second_at(rig, 1, RIG_PAGE(0)) & ~(VMMU_PAGE_BYTES - 1));
    memory_store(rig->memory, link, 8, copy | 7);
    move_page(rig, RIG_PAGE(0));
}

static unsigned second_table_replaced(struct rig *rig)
{
    replace_second_table(rig);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned second_table_replaced_and_flushed(struct rig *rig)
{
    replace_second_table(rig);
    flush_pages(rig, 0x200000, 512);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned second_table_given_back(struct rig *rig)
{
    const uint64_t old = rig_second_at(rig, 1, RIG_PAGE(0)) & ~(VMMU_PAGE_BYTES - 1);

    replace_second_table(rig);
    memory_assign(rig->memory, old, VMMU_PAGE_BYTES, OWNER_FOREIGN);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_links_of_the_second_stage_are_kept(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, second_table_replaced), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, second_table_replaced_and_flushed), RIG_NEW);
    }
}

static void test_a_table_that_was_given_back_too_early_is_walked_astray(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, second_table_given_back), RIG_NEW | RIG_STRAYED);
    }
}

static unsigned frame_given_back(struct rig *rig)
{
    begin_move(rig);
    memory_assign(rig->memory, rig->base + RIG_PAGE(0), VMMU_PAGE_BYTES, OWNER_FOREIGN);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_a_frame_that_was_given_back_too_early_is_reached_and_reported(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, frame_given_back), RIG_NEW | RIG_STRAYED);
    }
}

/* --- accessed and dirty --- */

/* The dirty bit of a leaf. */
static uint64_t second_dirty(const struct rig *rig)
{
    return vmmu_format_of(&rig->state.stage2.layout)->level[1].dirty;
}

static bool is_second_dirty(const struct rig *rig, uint64_t gpa)
{
    return (rig_second_entry(rig, 1, gpa) & second_dirty(rig)) != 0;
}

static void test_guest_tables_are_written_to_where_their_accesses_count_as_writes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        struct rig *rig = rig_create(kind, 3);
        const bool as_writes = kind != RIG_EPT;

        rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_A);
        for (unsigned level = 2; level <= 4; level++) {
            const unsigned index = level == 3 ? 1 : 0;

            rig_put(rig, RIG_TABLE(level), index, rig_entry(rig, RIG_TABLE(level), index) | RIG_ENTRY_A);
        }
        EXPECT_EQ(end_of(rig, 0, VMMU_X86_READ), RIG_OLD);
        for (unsigned level = 1; level <= 4; level++) {
            EXPECT(rig_saw_read(rig, RIG_TABLE(level)));
            EXPECT_EQ(rig_saw_written(rig, RIG_TABLE(level)), as_writes);
            EXPECT_EQ(is_second_dirty(rig, RIG_TABLE(level)), as_writes);
        }
        EXPECT(rig_saw_read(rig, RIG_PAGE(0)));
        EXPECT(!rig_saw_written(rig, RIG_PAGE(0)));
        EXPECT(!is_second_dirty(rig, RIG_PAGE(0)));
        EXPECT_EQ(end_of(rig, 0, VMMU_X86_WRITE), RIG_OLD);
        EXPECT(rig_saw_written(rig, RIG_PAGE(0)));
        EXPECT_EQ(is_second_dirty(rig, RIG_PAGE(0)), as_writes);
        rig_destroy(rig);
    }
}

static unsigned host_dirty_cleared(struct rig *rig, bool flush)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, 0, VMMU_X86_WRITE);
    memory_store(rig->memory, rig_second_at(rig, 1, RIG_PAGE(0)), 8,
                 rig_second_entry(rig, 1, RIG_PAGE(0)) & ~second_dirty(rig));
    if (flush) {
        flush_pages(rig, RIG_PAGE(0), 1);
    }
    (void)rig_access(rig, RIG_VA(0), VMMU_X86_WRITE);
    return is_second_dirty(rig, RIG_PAGE(0)) ? RIG_NEW : RIG_OLD;
}

static unsigned host_dirty_cleared_without_flush(struct rig *rig)
{
    return host_dirty_cleared(rig, false);
}

static unsigned host_dirty_cleared_and_flushed(struct rig *rig)
{
    return host_dirty_cleared(rig, true);
}

static unsigned host_clean_page_read_then_written(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_A | RIG_ENTRY_D);
    warm(rig, 0, VMMU_X86_READ);
    if (is_second_dirty(rig, RIG_PAGE(0))) {
        return RIG_STRAYED;
    }
    (void)rig_access(rig, RIG_VA(0), VMMU_X86_WRITE);
    return is_second_dirty(rig, RIG_PAGE(0)) ? RIG_NEW : RIG_OLD;
}

static void test_a_dirty_flag_that_is_cleared_is_set_again_for_sure_after_a_flush_only(void **state)
{
    static const enum rig_kind marking[] = { RIG_EPT_MARKS, RIG_NPT };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(rig_ends(marking[i], host_dirty_cleared_without_flush), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(marking[i], host_dirty_cleared_and_flushed), RIG_NEW);
        EXPECT_EQ(rig_ends(marking[i], host_clean_page_read_then_written), RIG_NEW);
    }
    EXPECT_EQ(rig_ends(RIG_EPT, host_clean_page_read_then_written), RIG_OLD);
}

static void test_marking_a_guests_entry_needs_the_hosts_right_to_write(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        struct rig *rig = rig_create(kind, 5);

        rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
        rig_put_second(rig, 1, RIG_TABLE(1), rig->base + RIG_TABLE(1), READ);
        const struct processor_result result = rig_access(rig, RIG_VA(0), VMMU_X86_READ);

        EXPECT_EQ(result.end, PROCESSOR_STAGE2);
        EXPECT_EQ(result.stage2.gpa.v, RIG_TABLE(1));
        EXPECT_EQ(result.stage2.reason, VMMU_X86_STAGE2_RIGHTS);
        EXPECT(result.stage2.access.guest_table);
        EXPECT_EQ(rig_entry(rig, RIG_TABLE(1), 0), RIG_PAGE(0) | RIG_ENTRY_USUAL);
        rig_destroy(rig);
    }
}

/*
 * A table that may not be written is read through a link that is kept; when it may be, nothing stands in the
 * way for ever.
 */
static unsigned exits_of_a_table_made_writable(struct rig *rig)
{
    unsigned exits = 0;

    rig_map(rig, 1, 1, RIG_ENTRY_USUAL | RIG_ENTRY_A);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_put_second(rig, 1, RIG_TABLE(1), rig->base + RIG_TABLE(1), READ);
    warm(rig, 1, VMMU_X86_READ);
    rig_put_second(rig, 1, RIG_TABLE(1), rig->base + RIG_TABLE(1), READ | WRITE);
    for (unsigned i = 0; i < 20; i++) {
        exits += end_of(rig, 0, VMMU_X86_READ) == RIG_EXITED;
    }
    return exits <= 1 ? RIG_OLD : RIG_EXITED;
}

static void test_a_table_that_becomes_writable_costs_one_exit_at_most(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, exits_of_a_table_made_writable), RIG_OLD);
    }
}

/*
 * The link that is kept of a table says that it may not be written. The table has been moved since, to where
 * it may be, and changed: the mark of an entry that was read in the old place must not put that entry into
 * the new one.
 */
static unsigned marked_in_the_wrong_place(struct rig *rig)
{
    const uint64_t moved = RIG_PAGE(1) | RIG_ENTRY_USUAL;
    uint64_t entry;

    rig_map(rig, 1, 1, RIG_ENTRY_USUAL | RIG_ENTRY_A);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_put_second(rig, 1, RIG_TABLE(1), rig->base + RIG_TABLE(1), READ);
    warm(rig, 1, VMMU_X86_READ);
    move_page(rig, RIG_TABLE(1));
    memory_store(rig->memory, MOVED(RIG_TABLE(1)), 8, moved);
    (void)rig_access(rig, RIG_VA(0), VMMU_X86_READ);
    entry = memory_load(rig->memory, MOVED(RIG_TABLE(1)), 8) & ~RIG_ENTRY_A;
    return entry == moved ? RIG_NEW : RIG_OLD;
}

static void test_a_mark_is_set_only_in_the_entry_that_was_read(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_EPT, marked_in_the_wrong_place), RIG_NEW);
}

static unsigned speculation_into_a_hole(struct rig *rig)
{
    rig_map(rig, 0, 100, RIG_ENTRY_USUAL); /* not mapped by the host */
    rig_speculate(rig, RIG_VA(0));
    rig_put_second(rig, 1, RIG_PAGE(100), rig->base + RIG_PAGE(0), VMMU_X86_RIGHTS_ALL);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_nothing_is_kept_of_what_the_host_does_not_map(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, speculation_into_a_hole), RIG_OLD);
    }
}

/* --- sizes --- */

/*
 * The host's 2 MiB page at RIG_PAGE(0), with rights @before, becomes a table, whose first page has @rights
 * and leads to @frame.
 */
static unsigned sizes_at_once(struct rig *rig, uint8_t before, uint8_t rights, uint64_t frame, bool flush)
{
    const uint64_t link = rig_second_entry(rig, 2, RIG_PAGE(0));
    unsigned mixed = 0;

    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_put_second(rig, 2, RIG_PAGE(0), rig->base + RIG_PAGE(0), before);
    for (unsigned i = 0; i < 4; i++) {
        mixed |= rig_access(rig, RIG_VA(0), VMMU_X86_READ).mixed;
    }
    memory_store(rig->memory, rig_second_at(rig, 2, RIG_PAGE(0)), 8, link);
    rig_put_second(rig, 1, RIG_PAGE(0), rig->base + frame, rights);
    if (flush) {
        flush_pages(rig, RIG_PAGE(0), 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        mixed |= rig_access(rig, RIG_VA(0), VMMU_X86_READ).mixed;
    }
    return mixed ? RIG_NEW : RIG_OLD;
}

static unsigned sizes_alike(struct rig *rig)
{
    return sizes_at_once(rig, VMMU_X86_RIGHTS_ALL, VMMU_X86_RIGHTS_ALL, RIG_PAGE(0), false);
}

static unsigned sizes_of_other_frames(struct rig *rig)
{
    return sizes_at_once(rig, VMMU_X86_RIGHTS_ALL, VMMU_X86_RIGHTS_ALL, RIG_PAGE(1), false);
}

static unsigned sizes_of_fewer_rights(struct rig *rig)
{
    return sizes_at_once(rig, VMMU_X86_RIGHTS_ALL, READ, RIG_PAGE(0), false);
}

static unsigned sizes_of_more_rights(struct rig *rig)
{
    return sizes_at_once(rig, READ, READ | WRITE, RIG_PAGE(0), false);
}

static unsigned sizes_of_other_frames_flushed(struct rig *rig)
{
    return sizes_at_once(rig, VMMU_X86_RIGHTS_ALL, READ, RIG_PAGE(1), true);
}

static void test_two_sizes_at_once_are_told_of_if_they_differ_in_more(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, sizes_alike), RIG_OLD);
        /* Rights that are added need no flush. */
        EXPECT_EQ(rig_ends(kind, sizes_of_more_rights), RIG_OLD);
        EXPECT_EQ(rig_ends(kind, sizes_of_other_frames), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, sizes_of_fewer_rights), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, sizes_of_other_frames_flushed), RIG_OLD);
    }
}

/* Guest and host have large pages; the host splits its own, moves page 3 of it, and flushes that alone. */
static unsigned part_moved_with_exact_flush(struct rig *rig)
{
    const uint64_t va = UINT64_C(0x40000000) + 4 * VMMU_2M_BYTES + 3 * VMMU_PAGE_BYTES;
    const uint64_t link = rig_second_entry(rig, 2, RIG_PAGE(0));

    rig_put_second(rig, 2, RIG_PAGE(0), rig->base + RIG_PAGE(0), VMMU_X86_RIGHTS_ALL);
    rig_put(rig, RIG_TABLE(2), 4, RIG_PAGE(0) | RIG_ENTRY_USUAL | RIG_ENTRY_PS);
    for (unsigned i = 0; i < 8; i++) {
        (void)rig_access(rig, va, VMMU_X86_READ);
    }
    memory_store(rig->memory, rig_second_at(rig, 2, RIG_PAGE(0)), 8, link);
    move_page(rig, RIG_PAGE(3));
    flush_pages(rig, RIG_PAGE(3), 1);
    return rig_access(rig, va, VMMU_X86_READ).hpa == MOVED(RIG_PAGE(3)) ? RIG_NEW : RIG_OLD;
}

static void test_a_plan_reaches_the_part_of_a_large_page_that_it_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        EXPECT_EQ(rig_ends(kinds[i], part_moved_with_exact_flush), RIG_NEW);
    }
}

/* More mappings than the processor can keep in mind the origins of: those that are still kept have theirs. */
static void test_a_plan_reaches_what_it_names_among_very_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        struct rig *rig = rig_create(kinds[i], 11);

        for (unsigned n = 0; n < 512; n++) {
            rig_put_second(rig, 1, RIG_PAGE(n), rig->base + RIG_PAGE(n), VMMU_X86_RIGHTS_ALL);
            rig_map(rig, n, n, RIG_ENTRY_USUAL);
        }
        for (unsigned n = 0; n < 3000; n++) {
            (void)rig_access(rig, RIG_VA(luck_below(&rig->luck, 512)), VMMU_X86_READ);
        }
        for (unsigned n = 0; n < 512; n++) {
            move_page(rig, RIG_PAGE(n));
            flush_pages(rig, RIG_PAGE(n), 1);
            EXPECT_EQ(rig_access(rig, RIG_VA(n), VMMU_X86_READ).hpa, MOVED(RIG_PAGE(n)));
        }
        rig_destroy(rig);
    }
}

/* --- paging off --- */

static unsigned flat_page_moved(struct rig *rig)
{
    const struct vmmu_x86_cpu cpu = { .maxphyaddr = 46, .pse = true };
    const struct vmmu_x86_paging_registers registers = { .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET };

    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &rig->state.mode), VMMU_OK);
    (void)rig_access(rig, RIG_PAGE(0), VMMU_X86_READ);
    move_page(rig, RIG_PAGE(0));
    const struct processor_result result = rig_access(rig, RIG_PAGE(0), VMMU_X86_READ);

    return rig_end(rig, &result);
}

static void test_mappings_are_kept_without_paging_too(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        const enum rig_kind kind = kinds[i];

        EXPECT_EQ(rig_ends(kind, flat_page_moved), RIG_OLD | RIG_NEW);
    }
}

/* --- a plan for linear addresses --- */

static unsigned linear_plan(struct rig *rig)
{
    struct vmmu_plan plan = { 0 };

    for (unsigned n = 0; n < 2; n++) {
        rig_map(rig, n, 0, RIG_ENTRY_USUAL | (n == 0 ? RIG_ENTRY_G : 0));
        warm(rig, n, VMMU_X86_READ);
        rig_map(rig, n, 1, RIG_ENTRY_USUAL);
    }
    vmmu_plan_add(&plan, RIG_VA(0), 1);
    processor_apply(rig->processor, &rig->state, &plan);
    return end_of(rig, 0, VMMU_X86_READ) == RIG_OLD ? RIG_STRAYED : end_of(rig, 1, VMMU_X86_READ);
}

static void test_without_a_second_stage_a_plan_names_linear_addresses(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_LINEAR, linear_plan), RIG_OLD | RIG_NEW);
    EXPECT_EQ(rig_ends(RIG_AMD_LINEAR, linear_plan), RIG_OLD | RIG_NEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hosts_old_frame_may_be_used_until_the_host_flushes),
        cmocka_unit_test(test_a_guests_flush_does_not_reach_guest_physical_mappings),
        cmocka_unit_test(test_a_plan_reaches_exactly_the_pages_that_it_names),
        cmocka_unit_test(test_a_moved_page_of_a_guests_table_takes_all_that_was_made_through_it_along),
        cmocka_unit_test(test_guest_physical_mappings_are_shared_by_vpids_but_not_by_asids_or_roots),
        cmocka_unit_test(test_a_flush_of_a_root_reaches_every_vpid_one_of_an_asid_that_asid),
        cmocka_unit_test(test_a_right_that_the_host_took_may_be_used_until_it_flushes),
        cmocka_unit_test(test_a_right_that_the_host_gives_may_cost_one_violation_and_no_nested_page_fault),
        cmocka_unit_test(test_links_of_the_second_stage_are_kept),
        cmocka_unit_test(test_a_table_that_was_given_back_too_early_is_walked_astray),
        cmocka_unit_test(test_a_frame_that_was_given_back_too_early_is_reached_and_reported),
        cmocka_unit_test(test_guest_tables_are_written_to_where_their_accesses_count_as_writes),
        cmocka_unit_test(test_a_dirty_flag_that_is_cleared_is_set_again_for_sure_after_a_flush_only),
        cmocka_unit_test(test_marking_a_guests_entry_needs_the_hosts_right_to_write),
        cmocka_unit_test(test_a_table_that_becomes_writable_costs_one_exit_at_most),
        cmocka_unit_test(test_a_mark_is_set_only_in_the_entry_that_was_read),
        cmocka_unit_test(test_nothing_is_kept_of_what_the_host_does_not_map),
        cmocka_unit_test(test_two_sizes_at_once_are_told_of_if_they_differ_in_more),
        cmocka_unit_test(test_a_plan_reaches_the_part_of_a_large_page_that_it_names),
        cmocka_unit_test(test_a_plan_reaches_what_it_names_among_very_many),
        cmocka_unit_test(test_mappings_are_kept_without_paging_too),
        cmocka_unit_test(test_without_a_second_stage_a_plan_names_linear_addresses),
    };

    return RUN_TESTS(tests);
}
