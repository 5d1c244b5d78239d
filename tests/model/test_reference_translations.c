/*
 * The rule of permitted results, sentence by sentence: what may be remembered of one address space.
 *
 * Spec: SDM 3A "Caching Translation Information"; APM 2 "Translation-Lookaside Buffer (TLB)".
 */
#include "reference_guest.h"
#include "tests/unit/test.h"

static struct guest guest;

#define NOT_PRESENT_READ  UINT32_C(0)
#define NOT_PRESENT_WRITE VMMU_X86_PF_WRITE
#define RIGHTS_WRITE      (VMMU_X86_PF_PRESENT | VMMU_X86_PF_WRITE)
#define RESERVED_READ     (VMMU_X86_PF_PRESENT | VMMU_X86_PF_RESERVED)

/* One VP, 4-level paging, VA leads to FRAME_1, the page after it to FRAME_3, both writable; nothing stale. */
static void begin(enum guest_vendor vendor)
{
    guest_start(&guest, vendor, VMMU_X86_PAGING_4LEVEL, 2);
    guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW);
    guest_put(&guest, 0, 1, VA_NEXT, FRAME_3 | E_RW);
    guest_invpcid(&guest, 2, 0, 0);
}

static void leaf(uint64_t value)
{
    guest_put(&guest, 0, 1, VA, value);
}

static void invlpg(uint64_t address)
{
    reference_invlpg(guest.reference, 0, address);
}

static const enum guest_vendor vendors[] = { INTEL, AMD };

/* Run a sentence that holds on both. */
static void on_both(void (*sentence)(void))
{
    for (unsigned i = 0; i < 2; i++) {
        begin(vendors[i]);
        sentence();
        EXPECT_EQ(reference_given_up(guest.reference), 0);
        guest_stop(&guest);
    }
}

static void what_memory_says(void)
{
    EXPECT(may_read(&guest, VA + 0x123, FRAME_1 + 0x123));
    EXPECT(!may_read(&guest, VA, FRAME_2));
    EXPECT(!may_read(&guest, VA, FRAME_1 + 8));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_READ, NOT_PRESENT_READ));
}

static void test_what_memory_says_now_is_permitted_and_nothing_else_if_nothing_changed(void **state)
{
    (void)state;
    on_both(what_memory_says);
}

static void old_or_new(void)
{
    leaf(FRAME_2 | E_RW);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
    EXPECT(may_read(&guest, VA, FRAME_1)); /* no time limit, no order */
    invlpg(VA);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA, FRAME_2));
}

static void test_until_the_invalidation_old_or_new_then_new_only(void **state)
{
    (void)state;
    on_both(old_or_new);
}

static void every_value(void)
{
    leaf(FRAME_2 | E_RW);
    leaf(FRAME_3 | E_RW);
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(may_write(&guest, VA, FRAME_2));
    EXPECT(may_write(&guest, VA, FRAME_3));
}

static void test_every_value_since_the_invalidation_counts(void **state)
{
    (void)state;
    on_both(every_value);
}

static void present_to_absent(void)
{
    leaf(0);
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_WRITE, NOT_PRESENT_WRITE));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    invlpg(VA);
    EXPECT(!may_write(&guest, VA, FRAME_1));
}

static void test_an_entry_made_absent_may_be_remembered(void **state)
{
    (void)state;
    on_both(present_to_absent);
}

static void absent_to_present(void)
{
    leaf(0);
    invlpg(VA);
    leaf(FRAME_2 | E_RW);
    EXPECT(may_write(&guest, VA, FRAME_2));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_WRITE, NOT_PRESENT_WRITE));
}

static void test_an_absent_entry_is_never_remembered(void **state)
{
    (void)state;
    on_both(absent_to_present);
}

static void reserved(void)
{
    leaf(FRAME_1 | E_RW | BIT64(45));
    EXPECT(may_fault(&guest, VA, VMMU_X86_READ, RESERVED_READ));
    EXPECT(may_read(&guest, VA, FRAME_1));
    leaf(FRAME_2 | E_RW);
    EXPECT(!may_fault(&guest, VA, VMMU_X86_READ, RESERVED_READ));
}

static void test_an_entry_with_a_reserved_bit_is_never_remembered(void **state)
{
    (void)state;
    on_both(reserved);
}

static void right_taken(void)
{
    leaf(FRAME_1 | E_RO);
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    reference_page_fault(guest.reference, 0, VA);
    EXPECT(!may_write(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
}

static void test_a_right_taken_away_may_last_until_a_page_fault_at_the_address(void **state)
{
    (void)state;
    on_both(right_taken);
}

static void give_right(void)
{
    leaf(FRAME_1 | E_RO);
    invlpg(VA);
    leaf(FRAME_1 | E_RW);
}

static void test_intel_may_fault_once_for_a_right_that_was_given(void **state)
{
    (void)state;
    begin(INTEL);
    give_right();
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    reference_page_fault(guest.reference, 0, VA);
    EXPECT(!may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    guest_stop(&guest);
}

static void test_amd_raises_no_fault_that_memory_does_not_confirm(void **state)
{
    (void)state;
    begin(AMD);
    give_right();
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(!may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    guest_stop(&guest);
}

static void upper_narrowed_first(void)
{
    leaf(FRAME_1 | E_RO);
    invlpg(VA);
    guest_put(&guest, 0, 2, VA, TABLE(0, 1) | E_P | E_A);
    leaf(FRAME_1 | E_RW);
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
}

static void test_an_old_directory_entry_above_a_new_leaf_is_permitted(void **state)
{
    (void)state;
    on_both(upper_narrowed_first);
}

static void leaf_narrowed_first(void)
{
    guest_put(&guest, 0, 2, VA, TABLE(0, 1) | E_P | E_A);
    invlpg(VA);
    leaf(FRAME_1 | E_RO);
    guest_put(&guest, 0, 2, VA, TABLE(0, 1) | E_LINK);
    EXPECT(!may_write(&guest, VA, FRAME_1));
    EXPECT(may_fault(&guest, VA, VMMU_X86_WRITE, RIGHTS_WRITE));
    EXPECT(may_read(&guest, VA, FRAME_1));
}

static void test_time_does_not_run_backwards_on_the_way_down(void **state)
{
    (void)state;
    on_both(leaf_narrowed_first);
}

static void one_reading(void)
{
    leaf(FRAME_2 | E_RO);
    EXPECT(may_write(&guest, VA, FRAME_1));
    EXPECT(!may_write(&guest, VA, FRAME_2));
    EXPECT(may_read(&guest, VA, FRAME_2));
}

static void test_frame_and_rights_come_from_one_reading_of_the_leaf(void **state)
{
    (void)state;
    on_both(one_reading);
}

/* The directory entry of VA and VA_NEXT moves to another table, which maps them elsewhere. */
static void move_table(void)
{
    guest_put(&guest, 1, 1, VA, FRAME_2 | E_RW);
    guest_put(&guest, 1, 1, VA_NEXT, FRAME_2 | E_RW);
    guest_put(&guest, 0, 2, VA, TABLE(1, 1) | E_LINK);
}

static void invlpg_elsewhere(void)
{
    move_table();
    invlpg(VA_NEXT);
    EXPECT(!may_read(&guest, VA_NEXT, FRAME_3));
    EXPECT(may_read(&guest, VA, FRAME_1)); /* a translation that was made before */
    leaf(FRAME_3 | E_RW);                  /* in the old table: the way to it is forgotten */
    EXPECT(!may_read(&guest, VA, FRAME_3));
}

static void test_invlpg_of_one_page_forgets_all_table_entries_and_no_other_translation(void **state)
{
    (void)state;
    on_both(invlpg_elsewhere);
}

static void test_amd_with_tce_forgets_table_entries_on_the_path_only(void **state)
{
    (void)state;
    begin(AMD);
    guest_toggle_efer(&guest, BIT64(15));
    move_table();
    invlpg(VA_FAR);
    leaf(FRAME_3 | E_RW);
    EXPECT(may_read(&guest, VA, FRAME_3));
    invlpg(VA_NEXT);
    leaf(FRAME_4 | E_RW);
    EXPECT(!may_read(&guest, VA, FRAME_4));
    guest_stop(&guest);
}

static void page_fault_elsewhere(void)
{
    move_table();
    reference_page_fault(guest.reference, 0, VA_FAR);
    leaf(FRAME_3 | E_RW);
    EXPECT(may_read(&guest, VA, FRAME_3)); /* through the remembered directory entry */
    reference_page_fault(guest.reference, 0, VA_NEXT);
    leaf(FRAME_4 | E_RW);
    EXPECT(!may_read(&guest, VA, FRAME_4));
    EXPECT(may_read(&guest, VA, FRAME_3));
}

static void test_a_page_fault_forgets_table_entries_on_its_path_only(void **state)
{
    (void)state;
    on_both(page_fault_elsewhere);
}

static void freed_table(void)
{
    guest_put(&guest, 0, 2, VA, 0);
    leaf(FRAME_2 | E_RW); /* data by now, to the guest */
    EXPECT(may_read(&guest, VA, FRAME_2));
    EXPECT(may_fault(&guest, VA, VMMU_X86_READ, NOT_PRESENT_READ));
    invlpg(VA_FAR);
    EXPECT(may_read(&guest, VA, FRAME_2));
    invlpg(VA);
    EXPECT(!may_read(&guest, VA, FRAME_2));
}

static void test_a_freed_table_may_be_walked_until_the_invalidation(void **state)
{
    (void)state;
    on_both(freed_table);
}

static void split(void)
{
    const uint64_t large = GUEST_HIGH_BASE;

    guest_put(&guest, 0, 2, VA, large | E_RW | E_PS);
    guest_invpcid(&guest, 2, 0, 0);
    guest_put(&guest, 0, 2, VA, TABLE(0, 1) | E_LINK);
    EXPECT(may_read(&guest, VA, large + 0x1000));
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(may_read(&guest, VA_NEXT, large + 0x2000));
    invlpg(VA); /* of the small page: what is kept of the large one for its neighbour may stay */
    EXPECT(!may_read(&guest, VA, large + 0x1000));
    EXPECT(may_read(&guest, VA_NEXT, large + 0x2000));
}

static void test_after_a_change_of_size_either_size_may_be_used(void **state)
{
    (void)state;
    on_both(split);
}

static void fragments(void)
{
    const uint64_t large = GUEST_HIGH_BASE;

    guest_put(&guest, 0, 2, VA, large | E_RW | E_PS);
    EXPECT_EQ(reference_page_bytes(guest.reference, 0, VA), VMMU_2M_BYTES);
    EXPECT(may_read(&guest, VA_NEXT, FRAME_3));
    invlpg(VA);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT(!may_read(&guest, VA_NEXT, FRAME_3));
    guest_put(&guest, 0, 2, VA, (large + VMMU_2M_BYTES) | E_RW | E_PS);
    EXPECT(may_read(&guest, VA_NEXT, large + 0x2000));
    reference_page_fault(guest.reference, 0, VA);
    EXPECT(!may_read(&guest, VA_NEXT, large + 0x2000));
}

static void test_an_invalidation_takes_every_fragment_of_the_page_that_is_mapped_now(void **state)
{
    (void)state;
    on_both(fragments);
}

static void not_accessed(void)
{
    leaf(FRAME_2 | E_P | E_W);
    leaf(FRAME_3 | E_RW);
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT(!may_read(&guest, VA, FRAME_2));
    EXPECT(may_read(&guest, VA, FRAME_3));
}

static void test_an_entry_that_was_never_marked_accessed_is_not_remembered(void **state)
{
    (void)state;
    on_both(not_accessed);
}

static enum reference_answer judge_reach(enum vmmu_x86_access_kind kind, uint64_t gpa)
{
    const struct reference_access access = { .address = VA, .access = { .kind = kind } };

    return guest_judge(&guest, access, (struct reference_result){ .end = END_REACHES, .gpa = gpa });
}

static void marks(void)
{
    leaf(FRAME_2 | E_P | E_W);
    EXPECT_EQ(judge_reach(VMMU_X86_READ, FRAME_2), PERMITTED_BUT_FOR_MARKS);
    leaf(FRAME_2 | E_P | E_W | E_A);
    EXPECT_EQ(judge_reach(VMMU_X86_READ, FRAME_2), PERMITTED);
    EXPECT_EQ(judge_reach(VMMU_X86_WRITE, FRAME_2), PERMITTED_BUT_FOR_MARKS);
    leaf(FRAME_2 | E_P | E_W | E_A | E_D);
    EXPECT_EQ(judge_reach(VMMU_X86_WRITE, FRAME_2), PERMITTED);
    EXPECT_EQ(judge_reach(VMMU_X86_WRITE, FRAME_3), FORBIDDEN);
}

static void test_an_access_marks_what_it_uses(void **state)
{
    (void)state;
    on_both(marks);
}

static void upper_marks(void)
{
    guest_put(&guest, 0, 3, VA, TABLE(0, 2) | E_P | E_W);
    guest_invpcid(&guest, 2, 0, 0);
    EXPECT_EQ(judge_reach(VMMU_X86_READ, FRAME_1), PERMITTED_BUT_FOR_MARKS);
    leaf(0); /* a fault needs no marks */
    EXPECT(may_fault(&guest, VA, VMMU_X86_READ, NOT_PRESENT_READ));
}

static void test_a_fault_needs_no_marks(void **state)
{
    (void)state;
    on_both(upper_marks);
}

static void cleared_dirty(void)
{
    leaf(FRAME_1 | E_P | E_W | E_A);
    EXPECT(may_write(&guest, VA, FRAME_1)); /* dirty is remembered: the bit may stay clear */
    invlpg(VA);
    EXPECT_EQ(judge_reach(VMMU_X86_WRITE, FRAME_1), PERMITTED_BUT_FOR_MARKS);
    leaf(FRAME_1 | E_P | E_W);
    EXPECT(may_read(&guest, VA, FRAME_1));
    invlpg(VA);
    EXPECT_EQ(judge_reach(VMMU_X86_READ, FRAME_1), PERMITTED_BUT_FOR_MARKS);
}

static void test_marks_that_were_cleared_may_stay_clear_until_the_invalidation(void **state)
{
    (void)state;
    on_both(cleared_dirty);
}

static void write_to_clean(void)
{
    leaf(FRAME_1 | E_P | E_W | E_A);
    invlpg(VA);
    leaf(FRAME_2 | E_P | E_W | E_A); /* FRAME_1 may be remembered, as clean */
    EXPECT(may_read(&guest, VA, FRAME_1));
    EXPECT_EQ(judge_reach(VMMU_X86_WRITE, FRAME_1), FORBIDDEN);
    EXPECT_EQ(judge_reach(VMMU_X86_WRITE, FRAME_2), PERMITTED_BUT_FOR_MARKS);
}

static void test_a_write_through_a_clean_translation_walks_to_the_leaf_that_stands_there_now(void **state)
{
    (void)state;
    on_both(write_to_clean);
}

static void neighbours(void)
{
    const struct reference_access other = { .vp = 1, .address = VA };
    const struct reference_result old = { .end = END_REACHES, .gpa = FRAME_1 };

    reference_invlpg(guest.reference, 1, VA);
    leaf(FRAME_2 | E_RW);
    invlpg(VA);
    EXPECT(!may_read(&guest, VA, FRAME_1));
    EXPECT_EQ(guest_judge(&guest, other, old), PERMITTED);
    reference_invlpg(guest.reference, 1, VA);
    EXPECT_EQ(guest_judge(&guest, other, old), FORBIDDEN);
}

static void test_an_invalidation_says_nothing_of_other_processors(void **state)
{
    (void)state;
    on_both(neighbours);
}

static void walked_tables(void)
{
    const struct reference_access access = { .address = VA };

    EXPECT(reference_may_walk(guest.reference, &access, TABLE(0, 1)));
    EXPECT(!reference_may_walk(guest.reference, &access, TABLE(1, 1)));
    move_table();
    EXPECT(reference_may_walk(guest.reference, &access, TABLE(0, 1) + 0xff8));
    EXPECT(reference_may_walk(guest.reference, &access, TABLE(1, 1)));
    invlpg(VA_NEXT); /* translations stay, the way to the old table does not */
    EXPECT(!reference_may_walk(guest.reference, &access, TABLE(0, 1)));
}

static void test_old_tables_are_read_for_as_long_as_the_way_to_them_is_remembered(void **state)
{
    (void)state;
    on_both(walked_tables);
}

static void all_results(void)
{
    const struct reference_access access = { .address = VA, .access = { .kind = VMMU_X86_WRITE } };
    struct reference_result results[REFERENCE_RESULTS];

    leaf(FRAME_2 | E_RW);
    leaf(FRAME_3 | E_P | E_W);
    EXPECT_EQ(reference_permitted(guest.reference, &access, results), 3);
    EXPECT_EQ(results[0].gpa, FRAME_3);
}

static void test_the_permitted_set_holds_each_result_once(void **state)
{
    (void)state;
    on_both(all_results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_memory_says_now_is_permitted_and_nothing_else_if_nothing_changed),
        cmocka_unit_test(test_until_the_invalidation_old_or_new_then_new_only),
        cmocka_unit_test(test_every_value_since_the_invalidation_counts),
        cmocka_unit_test(test_an_entry_made_absent_may_be_remembered),
        cmocka_unit_test(test_an_absent_entry_is_never_remembered),
        cmocka_unit_test(test_an_entry_with_a_reserved_bit_is_never_remembered),
        cmocka_unit_test(test_a_right_taken_away_may_last_until_a_page_fault_at_the_address),
        cmocka_unit_test(test_intel_may_fault_once_for_a_right_that_was_given),
        cmocka_unit_test(test_amd_raises_no_fault_that_memory_does_not_confirm),
        cmocka_unit_test(test_an_old_directory_entry_above_a_new_leaf_is_permitted),
        cmocka_unit_test(test_time_does_not_run_backwards_on_the_way_down),
        cmocka_unit_test(test_frame_and_rights_come_from_one_reading_of_the_leaf),
        cmocka_unit_test(test_invlpg_of_one_page_forgets_all_table_entries_and_no_other_translation),
        cmocka_unit_test(test_amd_with_tce_forgets_table_entries_on_the_path_only),
        cmocka_unit_test(test_a_page_fault_forgets_table_entries_on_its_path_only),
        cmocka_unit_test(test_a_freed_table_may_be_walked_until_the_invalidation),
        cmocka_unit_test(test_after_a_change_of_size_either_size_may_be_used),
        cmocka_unit_test(test_an_invalidation_takes_every_fragment_of_the_page_that_is_mapped_now),
        cmocka_unit_test(test_an_entry_that_was_never_marked_accessed_is_not_remembered),
        cmocka_unit_test(test_an_access_marks_what_it_uses),
        cmocka_unit_test(test_a_fault_needs_no_marks),
        cmocka_unit_test(test_marks_that_were_cleared_may_stay_clear_until_the_invalidation),
        cmocka_unit_test(test_a_write_through_a_clean_translation_walks_to_the_leaf_that_stands_there_now),
        cmocka_unit_test(test_an_invalidation_says_nothing_of_other_processors),
        cmocka_unit_test(test_old_tables_are_read_for_as_long_as_the_way_to_them_is_remembered),
        cmocka_unit_test(test_the_permitted_set_holds_each_result_once),
    };
    return RUN_TESTS(tests);
}
