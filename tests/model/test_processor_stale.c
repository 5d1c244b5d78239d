/*
 * What the processor may keep of the guest's own tables, and what it must forget: every end that the manuals
 * permit comes up over many runs, and no other.
 *
 * Spec: SDM 3A "Caching Translation Information"; APM 2 "Translation-Lookaside Buffer (TLB)".
 */
#include "tests/model/processor_rig.h"
#include "tests/unit/test.h"

/* Use the page until its translation is sure to be kept. */
static void warm(struct rig *rig, uint64_t va, enum vmmu_x86_access_kind kind)
{
    for (unsigned i = 0; i < 4; i++) {
        (void)rig_access(rig, va, kind);
    }
}

static unsigned end_of(struct rig *rig, unsigned n, enum vmmu_x86_access_kind kind)
{
    const struct processor_result result = rig_access(rig, RIG_VA(n), kind);

    return rig_end(rig, &result);
}

/* --- translations --- */

static unsigned page_moved_without_flush(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned page_removed_without_flush(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 0, 0);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_after_a_change_without_a_flush_old_or_new_is_seen(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, page_moved_without_flush), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, page_removed_without_flush), RIG_OLD | RIG_FAULTED);
    }
}

static unsigned page_moved_with_invlpg(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_G);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL);
    rig_invlpg(rig, RIG_VA(0), VMMU_PAGE_BYTES);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned page_moved_with_invlpg_of_the_next(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL);
    rig_invlpg(rig, RIG_VA(1), VMMU_PAGE_BYTES);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned page_moved_with_cr3(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL);
    rig_load_cr3(rig, rig->state.mode.pcid, false);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned global_page_moved_with_cr3(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_G);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL | RIG_ENTRY_G);
    rig_load_cr3(rig, 9, false);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned page_moved_while_away(struct rig *rig)
{
    const uint16_t home = rig->state.mode.pcid;

    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_load_cr3(rig, 9, false);
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL);
    if (end_of(rig, 0, VMMU_X86_READ) != RIG_NEW) {
        return RIG_STRAYED; /* what was kept under another PCID was used */
    }
    rig_load_cr3(rig, home, true);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_after_the_flush_only_new_is_seen(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, page_moved_with_invlpg), RIG_NEW);
        EXPECT_EQ(rig_ends(kind, page_moved_with_cr3), RIG_NEW);
    }
}

static void test_a_flush_removes_nothing_that_it_need_not(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, page_moved_with_invlpg_of_the_next), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, global_page_moved_with_cr3), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, page_moved_while_away), RIG_OLD | RIG_NEW);
    }
}

static unsigned absent_page_mapped(struct rig *rig)
{
    if (end_of(rig, 0, VMMU_X86_READ) != RIG_FAULTED) {
        return RIG_STRAYED;
    }
    rig_speculate(rig, RIG_VA(0));
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    return end_of(rig, 0, VMMU_X86_READ);
}

static unsigned reserved_bit_cleared(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | BIT64(51));
    if (end_of(rig, 0, VMMU_X86_READ) != RIG_FAULTED) {
        return RIG_STRAYED;
    }
    rig_speculate(rig, RIG_VA(0));
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_nothing_is_kept_of_entries_that_are_absent_or_have_reserved_bits(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, absent_page_mapped), RIG_OLD);
        EXPECT_EQ(rig_ends(kind, reserved_bit_cleared), RIG_OLD);
    }
}

/* --- rights --- */

static unsigned right_taken(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_WRITE);
    rig_map(rig, 0, 0, RIG_ENTRY_P | RIG_ENTRY_A | RIG_ENTRY_D);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static unsigned write_after_a_fault(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_WRITE);
    rig_map(rig, 0, 0, RIG_ENTRY_P | RIG_ENTRY_A | RIG_ENTRY_D);
    for (unsigned i = 0; i < 30; i++) {
        if (end_of(rig, 0, VMMU_X86_WRITE) == RIG_FAULTED) {
            return end_of(rig, 0, VMMU_X86_WRITE);
        }
    }
    return RIG_FAULTED; /* it never looked again, which is its right */
}

static void test_a_right_taken_without_a_flush_may_still_be_used_until_it_has_faulted(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, right_taken), RIG_OLD | RIG_FAULTED);
        EXPECT_EQ(rig_ends(kind, write_after_a_fault), RIG_FAULTED);
    }
}

static unsigned right_given(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_P | RIG_ENTRY_A);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_A);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

/* A fault forgets what it came from, so that there is no second one. */
static unsigned faults_of_many_tries(struct rig *rig)
{
    unsigned faults = right_given(rig) == RIG_FAULTED;

    for (unsigned i = 0; i < 20; i++) {
        faults += end_of(rig, 0, VMMU_X86_WRITE) == RIG_FAULTED;
    }
    return faults <= 1 ? RIG_OLD : RIG_FAULTED;
}

static void test_a_right_given_without_a_flush_may_cost_one_fault_on_intel_and_none_on_amd(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_LINEAR, right_given), RIG_OLD | RIG_FAULTED);
    EXPECT_EQ(rig_ends(RIG_EPT, right_given), RIG_OLD | RIG_FAULTED);
    EXPECT_EQ(rig_ends(RIG_AMD_LINEAR, right_given), RIG_OLD);
    EXPECT_EQ(rig_ends(RIG_NPT, right_given), RIG_OLD);
    EXPECT_EQ(rig_ends(RIG_LINEAR, faults_of_many_tries), RIG_OLD);
    EXPECT_EQ(rig_ends(RIG_EPT, faults_of_many_tries), RIG_OLD);
}

static unsigned write_protection_on(struct rig *rig)
{
    rig->state.mode.write_protect = false;
    rig_map(rig, 0, 0, RIG_ENTRY_P | RIG_ENTRY_A);
    warm(rig, RIG_VA(0), VMMU_X86_WRITE);
    rig->state.mode.write_protect = true;
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static void test_registers_judge_at_each_use(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, write_protection_on), RIG_FAULTED);
    }
}

/* --- upper levels --- */

static unsigned upper_right_taken_then_leaf_right_given(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_P | RIG_ENTRY_A);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_put(rig, RIG_TABLE(2), 0, RIG_TABLE(1) | RIG_ENTRY_P | RIG_ENTRY_A);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL | RIG_ENTRY_A);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static unsigned leaf_right_taken_then_upper_right_given(struct rig *rig)
{
    rig_put(rig, RIG_TABLE(2), 0, RIG_TABLE(1) | RIG_ENTRY_P | RIG_ENTRY_A);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 0, RIG_ENTRY_P | RIG_ENTRY_A);
    rig_put(rig, RIG_TABLE(2), 0, RIG_TABLE(1) | RIG_ENTRY_USUAL | RIG_ENTRY_A);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static void test_upper_levels_may_be_old_and_the_leaf_new_but_not_the_other_way_round(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, upper_right_taken_then_leaf_right_given), RIG_OLD | RIG_FAULTED);
        EXPECT_EQ(rig_ends(kind, leaf_right_taken_then_upper_right_given), RIG_FAULTED);
    }
}

static unsigned write_under_a_read_only_table(struct rig *rig)
{
    rig_put(rig, RIG_TABLE(2), 0, RIG_TABLE(1) | RIG_ENTRY_P);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_map(rig, 1, 1, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    return end_of(rig, 1, VMMU_X86_WRITE);
}

static unsigned upper_right_given(struct rig *rig)
{
    rig_put(rig, RIG_TABLE(2), 0, RIG_TABLE(1) | RIG_ENTRY_P | RIG_ENTRY_A);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_map(rig, 1, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(1), VMMU_X86_READ);
    rig_put(rig, RIG_TABLE(2), 0, RIG_TABLE(1) | RIG_ENTRY_USUAL | RIG_ENTRY_A);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static void test_a_link_that_is_kept_withholds_what_the_levels_above_it_did(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, write_under_a_read_only_table), RIG_FAULTED);
    }
    EXPECT_EQ(rig_ends(RIG_LINEAR, upper_right_given), RIG_OLD | RIG_FAULTED);
    EXPECT_EQ(rig_ends(RIG_EPT, upper_right_given), RIG_OLD | RIG_FAULTED);
    EXPECT_EQ(rig_ends(RIG_AMD_LINEAR, upper_right_given), RIG_OLD);
    EXPECT_EQ(rig_ends(RIG_NPT, upper_right_given), RIG_OLD);
}

static unsigned absent_in_the_old_table(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_put(rig, RIG_SPARE, 1, RIG_PAGE(1) | RIG_ENTRY_USUAL);
    rig_put(rig, RIG_TABLE(2), 0, RIG_SPARE | RIG_ENTRY_USUAL);
    return end_of(rig, 1, VMMU_X86_READ);
}

static void test_amd_raises_no_fault_that_memory_does_not_confirm(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_LINEAR, absent_in_the_old_table), RIG_NEW | RIG_FAULTED);
    EXPECT_EQ(rig_ends(RIG_EPT_MARKS, absent_in_the_old_table), RIG_NEW | RIG_FAULTED);
    EXPECT_EQ(rig_ends(RIG_AMD_LINEAR, absent_in_the_old_table), RIG_NEW);
    EXPECT_EQ(rig_ends(RIG_NPT, absent_in_the_old_table), RIG_NEW);
}

/* A table is replaced by a copy that differs for page 1, which was never used. */
static void replace_table(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_map(rig, 1, 0, RIG_ENTRY_USUAL);
    rig_put(rig, RIG_SPARE, 1, RIG_PAGE(1) | RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_put(rig, RIG_TABLE(2), 0, RIG_SPARE | RIG_ENTRY_USUAL);
}

static unsigned table_replaced(struct rig *rig)
{
    replace_table(rig);
    return end_of(rig, 1, VMMU_X86_READ);
}

static unsigned table_replaced_with_invlpg_elsewhere(struct rig *rig)
{
    replace_table(rig);
    rig_invlpg(rig, RIG_VA(100) + VMMU_1G_BYTES, VMMU_PAGE_BYTES);
    return end_of(rig, 1, VMMU_X86_READ);
}

static void test_a_table_that_was_taken_out_may_be_walked_on(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, table_replaced), RIG_OLD | RIG_NEW);
    }
}

static void test_invlpg_of_any_page_removes_every_link(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, table_replaced_with_invlpg_elsewhere), RIG_NEW);
    }
}

static unsigned table_emptied_under_a_speculation(struct rig *rig)
{
    for (unsigned i = 0; i < 8; i++) {
        rig_speculate(rig, RIG_VA(0));
    }
    rig_put(rig, RIG_TABLE(2), 0, 0);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_links_are_kept_though_nothing_is_present_below(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_EPT_MARKS; kind++) {
        EXPECT_EQ(rig_ends(kind, table_emptied_under_a_speculation), RIG_OLD | RIG_FAULTED);
    }
}

/* --- sizes --- */

#define HUGE_VA (UINT64_C(0x40000000) + 4 * VMMU_2M_BYTES)

/* A large page is split; page @n of it then leads elsewhere; then INVLPG of the first. */
static unsigned split_large_page(struct rig *rig, unsigned n, bool flush)
{
    rig_put(rig, RIG_TABLE(2), 4, RIG_PAGE(0) | RIG_ENTRY_USUAL | RIG_ENTRY_PS);
    for (unsigned i = 0; i < 4; i++) {
        warm(rig, HUGE_VA, VMMU_X86_READ);
        warm(rig, HUGE_VA + VMMU_PAGE_BYTES, VMMU_X86_READ);
    }
    rig_put(rig, RIG_SPARE, 0, RIG_PAGE(1) | RIG_ENTRY_USUAL);
    rig_put(rig, RIG_SPARE, 1, RIG_PAGE(2) | RIG_ENTRY_USUAL);
    rig_put(rig, RIG_TABLE(2), 4, RIG_SPARE | RIG_ENTRY_USUAL);
    if (flush) {
        rig_invlpg(rig, HUGE_VA, VMMU_PAGE_BYTES);
    }
    const struct processor_result result = rig_access(rig, HUGE_VA + n * VMMU_PAGE_BYTES, VMMU_X86_READ);

    return result.hpa == rig->base + RIG_PAGE(n) ? RIG_OLD : RIG_NEW;
}

static unsigned first_of_split(struct rig *rig)
{
    return split_large_page(rig, 0, false);
}

static unsigned first_of_split_flushed(struct rig *rig)
{
    return split_large_page(rig, 0, true);
}

static unsigned second_of_split_flushed(struct rig *rig)
{
    return split_large_page(rig, 1, true);
}

static void test_a_large_page_may_be_kept_whole_and_in_parts(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, first_of_split), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, first_of_split_flushed), RIG_NEW);
        EXPECT_EQ(rig_ends(kind, second_of_split_flushed), RIG_OLD | RIG_NEW);
    }
}

/* --- marks --- */

static void test_an_access_marks_its_path_accessed_and_a_write_its_leaf_dirty(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        struct rig *rig = rig_create(kind, 1);

        rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
        EXPECT_EQ(end_of(rig, 0, VMMU_X86_READ), RIG_OLD);
        EXPECT_EQ(rig_entry(rig, RIG_TABLE(1), 0), RIG_PAGE(0) | RIG_ENTRY_USUAL | RIG_ENTRY_A);
        EXPECT_EQ(rig_entry(rig, RIG_TABLE(2), 0), RIG_TABLE(1) | RIG_ENTRY_USUAL | RIG_ENTRY_A);
        EXPECT_EQ(rig_entry(rig, RIG_TABLE(3), 1), RIG_TABLE(2) | RIG_ENTRY_USUAL | RIG_ENTRY_A);
        EXPECT_EQ(rig_entry(rig, RIG_TABLE(4), 0), RIG_TABLE(3) | RIG_ENTRY_USUAL | RIG_ENTRY_A);
        EXPECT_EQ(rig->witness.marked, 4);
        EXPECT_EQ(end_of(rig, 0, VMMU_X86_WRITE), RIG_OLD);
        EXPECT_EQ(rig_entry(rig, RIG_TABLE(1), 0), RIG_PAGE(0) | RIG_ENTRY_USUAL | RIG_ENTRY_A | RIG_ENTRY_D);
        EXPECT_EQ(rig->witness.marked, 5);
        EXPECT_EQ(rig->witness.marked_hpa, rig->base + RIG_TABLE(1));
        EXPECT_EQ(rig->witness.marked_value, rig_entry(rig, RIG_TABLE(1), 0));
        rig_destroy(rig);
    }
}

static unsigned marks_cleared_without_flush(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_WRITE);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    (void)rig_access(rig, RIG_VA(0), VMMU_X86_WRITE);
    const uint64_t marks = rig_entry(rig, RIG_TABLE(1), 0) & (RIG_ENTRY_A | RIG_ENTRY_D);

    return marks == 0 ? RIG_OLD : marks == (RIG_ENTRY_A | RIG_ENTRY_D) ? RIG_NEW : RIG_STRAYED;
}

static void test_marks_that_are_cleared_without_a_flush_may_stay_so(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, marks_cleared_without_flush), RIG_OLD | RIG_NEW);
    }
}

static unsigned write_to_a_clean_page(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    (void)rig_access(rig, RIG_VA(0), VMMU_X86_WRITE);
    return (rig_entry(rig, RIG_TABLE(1), 0) & RIG_ENTRY_D) ? RIG_NEW : RIG_OLD;
}

static unsigned write_to_a_clean_page_that_is_gone(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    warm(rig, RIG_VA(0), VMMU_X86_READ);
    rig_map(rig, 0, 0, 0);
    return end_of(rig, 0, VMMU_X86_WRITE);
}

static void test_a_first_write_asks_memory_again(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, write_to_a_clean_page), RIG_NEW);
        EXPECT_EQ(rig_ends(kind, write_to_a_clean_page_that_is_gone), RIG_FAULTED);
    }
}

static unsigned speculation_marks(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    rig_speculate(rig, RIG_VA(0));
    const uint64_t leaf = rig_entry(rig, RIG_TABLE(1), 0);

    return (leaf & RIG_ENTRY_D) ? RIG_STRAYED : (leaf & RIG_ENTRY_A) ? RIG_NEW : RIG_OLD;
}

static unsigned speculation_keeps(struct rig *rig)
{
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    for (unsigned i = 0; i < 8; i++) {
        rig_speculate(rig, RIG_VA(0));
    }
    rig_map(rig, 0, 1, RIG_ENTRY_USUAL);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_speculation_marks_and_keeps_but_never_makes_dirty(void **state)
{
    (void)state;
    for (enum rig_kind kind = RIG_LINEAR; kind <= RIG_NPT; kind++) {
        EXPECT_EQ(rig_ends(kind, speculation_marks), RIG_OLD | RIG_NEW);
        EXPECT_EQ(rig_ends(kind, speculation_keeps), RIG_OLD | RIG_NEW);
    }
}

/* --- PAE --- */

/* Tables of PAE paging: a PDPTE register leads to RIG_TABLE(2), and that to RIG_TABLE(1). */
static void turn_to_pae(struct rig *rig)
{
    const struct vmmu_x86_cpu cpu = { .maxphyaddr = 46, .pse = true, .pae = true, .pge = true, .nx = true };
    struct vmmu_x86_paging_registers registers = rig_registers(rig);

    registers.cr3 = RIG_TABLE(3);
    registers.cr4 = VMMU_X86_CR4_PAE;
    registers.efer = VMMU_X86_EFER_NXE;
    registers.pdpte[1] = RIG_TABLE(2) | RIG_ENTRY_P;
    rig_put(rig, RIG_TABLE(3), 1, registers.pdpte[1]);
    EXPECT_EQ(vmmu_mode_make(&cpu, &registers, &rig->state.mode), VMMU_OK);
}

static unsigned pdpte_changed_in_memory(struct rig *rig)
{
    turn_to_pae(rig);
    rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
    (void)rig_access(rig, RIG_VA(0), VMMU_X86_READ);
    rig_put(rig, RIG_TABLE(3), 1, 0);
    processor_evict(rig->processor, 128, &rig->luck);
    return end_of(rig, 0, VMMU_X86_READ);
}

static void test_pdptes_in_registers_do_not_follow_memory(void **state)
{
    (void)state;
    EXPECT_EQ(rig_ends(RIG_LINEAR, pdpte_changed_in_memory), RIG_OLD);
    EXPECT_EQ(rig_ends(RIG_EPT, pdpte_changed_in_memory), RIG_OLD);
}

/* --- what it says of itself --- */

static void test_a_result_is_fresh_if_nothing_kept_was_used(void **state)
{
    unsigned cached = 0;

    (void)state;
    for (unsigned seed = 0; seed < 100; seed++) {
        struct rig *rig = rig_create(RIG_LINEAR, seed);

        rig_map(rig, 0, 0, RIG_ENTRY_USUAL);
        EXPECT(rig_access(rig, RIG_VA(0), VMMU_X86_READ).fresh);
        cached += rig_access(rig, RIG_VA(0), VMMU_X86_READ).fresh ? 0 : 1;
        processor_evict(rig->processor, 256, &rig->luck);
        EXPECT(rig_access(rig, RIG_VA(0), VMMU_X86_READ).fresh);
        rig_destroy(rig);
    }
    EXPECT(cached > 50);
}

static void test_equal_luck_gives_equal_ends(void **state)
{
    struct rig *rigs[2] = { rig_create(RIG_EPT_MARKS, 7), rig_create(RIG_EPT_MARKS, 7) };

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct processor_result results[2];

        for (unsigned k = 0; k < 2; k++) {
            rig_map(rigs[k], i % 7, i % 11, i % 3 ? RIG_ENTRY_USUAL : RIG_ENTRY_P);
            results[k] = rig_access(rigs[k], RIG_VA(i % 5), i % 2 ? VMMU_X86_READ : VMMU_X86_WRITE);
        }
        EXPECT_EQ(results[0].end, results[1].end);
        EXPECT_EQ(results[0].hpa, results[1].hpa);
        EXPECT_EQ(results[0].fresh, results[1].fresh);
    }
    rig_destroy(rigs[0]);
    rig_destroy(rigs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_a_change_without_a_flush_old_or_new_is_seen),
        cmocka_unit_test(test_after_the_flush_only_new_is_seen),
        cmocka_unit_test(test_a_flush_removes_nothing_that_it_need_not),
        cmocka_unit_test(test_nothing_is_kept_of_entries_that_are_absent_or_have_reserved_bits),
        cmocka_unit_test(test_a_right_taken_without_a_flush_may_still_be_used_until_it_has_faulted),
        cmocka_unit_test(test_a_right_given_without_a_flush_may_cost_one_fault_on_intel_and_none_on_amd),
        cmocka_unit_test(test_registers_judge_at_each_use),
        cmocka_unit_test(test_upper_levels_may_be_old_and_the_leaf_new_but_not_the_other_way_round),
        cmocka_unit_test(test_a_link_that_is_kept_withholds_what_the_levels_above_it_did),
        cmocka_unit_test(test_amd_raises_no_fault_that_memory_does_not_confirm),
        cmocka_unit_test(test_a_table_that_was_taken_out_may_be_walked_on),
        cmocka_unit_test(test_invlpg_of_any_page_removes_every_link),
        cmocka_unit_test(test_links_are_kept_though_nothing_is_present_below),
        cmocka_unit_test(test_a_large_page_may_be_kept_whole_and_in_parts),
        cmocka_unit_test(test_an_access_marks_its_path_accessed_and_a_write_its_leaf_dirty),
        cmocka_unit_test(test_marks_that_are_cleared_without_a_flush_may_stay_so),
        cmocka_unit_test(test_a_first_write_asks_memory_again),
        cmocka_unit_test(test_speculation_marks_and_keeps_but_never_makes_dirty),
        cmocka_unit_test(test_pdptes_in_registers_do_not_follow_memory),
        cmocka_unit_test(test_a_result_is_fresh_if_nothing_kept_was_used),
        cmocka_unit_test(test_equal_luck_gives_equal_ends),
    };

    return RUN_TESTS(tests);
}
