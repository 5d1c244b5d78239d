/*
 * What the reference keeps of the past, and what it does when that becomes too much: it gives up, says so, and never
 * forbids what it cannot tell.
 */
#include "reference_guest.h"
#include "tests/unit/test.h"

static struct guest guest;

static void begin(void)
{
    guest_start(&guest, INTEL, VMMU_X86_PAGING_4LEVEL, 2);
    guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW);
    guest_invpcid(&guest, 2, 0, 0);
}

/* VP 1 forgets everything, too: by a change of CR4.PGE. */
static void flush_both(void)
{
    const uint64_t cr4 = reference_registers(guest.reference, 1)->cr4;

    guest_invpcid(&guest, 2, 0, 0);
    EXPECT_EQ(reference_cr4(guest.reference, 1, cr4 ^ VMMU_X86_CR4_PGE), VMMU_OK);
}

static void test_memory_is_little_endian_and_of_any_width(void **state)
{
    struct reference *reference = reference_create(&(struct vmmu_x86_cpu){ .maxphyaddr = 36 }, true, 1);

    (void)state;
    reference_store(reference, 0x1000, 8, UINT64_C(0x1122334455667788));
    EXPECT_EQ(reference_load(reference, 0x1000, 8), UINT64_C(0x1122334455667788));
    EXPECT_EQ(reference_load(reference, 0x1004, 4), 0x11223344);
    EXPECT_EQ(reference_load(reference, 0x1006, 2), 0x1122);
    EXPECT_EQ(reference_load(reference, 0x1001, 1), 0x77);
    reference_store(reference, 0x1002, 2, 0xabcd);
    EXPECT_EQ(reference_load(reference, 0x1000, 8), UINT64_C(0x11223344abcd7788));
    EXPECT_EQ(reference_load(reference, 0x2000, 8), 0);
    reference_destroy(reference);
}

static void test_there_is_nothing_where_the_guest_has_no_memory(void **state)
{
    (void)state;
    begin();
    reference_store(guest.reference, GUEST_LOW_BYTES, 8, 1);
    EXPECT_EQ(reference_load(guest.reference, GUEST_LOW_BYTES, 8), 0);
    reference_store(guest.reference, GUEST_HIGH_BASE + GUEST_HIGH_BYTES - 8, 8, 7);
    EXPECT_EQ(reference_load(guest.reference, GUEST_HIGH_BASE + GUEST_HIGH_BYTES - 8, 8), 7);
    /* A table there reads as zeros; a page there is a device's. */
    guest_put(&guest, 0, 2, VA, GUEST_LOW_BYTES | E_LINK);
    EXPECT(may_fault(&guest, VA, VMMU_X86_READ, 0));
    guest_put(&guest, 0, 2, VA, TABLE(0, 1) | E_LINK);
    guest_put(&guest, 0, 1, VA, GUEST_LOW_BYTES | E_RW);
    EXPECT(may_read(&guest, VA, GUEST_LOW_BYTES));
    guest_stop(&guest);
}

static void test_a_guest_that_forgets_everything_drags_nothing_along(void **state)
{
    (void)state;
    begin();
    flush_both();
    const unsigned before = reference_burden(guest.reference);

    for (unsigned i = 0; i < 40; i++) {
        guest_put(&guest, 0, 1, VA, (i % 2 ? FRAME_1 : FRAME_2) | E_RW);
        reference_invlpg(guest.reference, 0, VA_NEXT);
    }
    EXPECT_EQ(reference_burden_of(guest.reference, 0), before + 80);
    EXPECT_EQ(reference_burden_of(guest.reference, 1), before + 40);
    EXPECT_EQ(reference_burden(guest.reference), before + 80);
    flush_both();
    EXPECT_EQ(reference_burden(guest.reference), before);
    guest_stop(&guest);
}

static void test_a_flush_of_every_pcid_counts_once_nothing_is_global(void **state)
{
    (void)state;
    begin();
    guest_toggle_cr4(&guest, VMMU_X86_CR4_PGE);
    const unsigned before = reference_burden_of(guest.reference, 0);

    guest_mov_cr3(&guest, guest_cr3(&guest, 1, 1));
    guest_put(&guest, 0, 1, VA, FRAME_2 | E_RW);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT(reference_burden_of(guest.reference, 0) > before); /* PCID 1 may be remembered */
    guest_invpcid(&guest, 1, 1, 0);
    guest_mov_cr3(&guest, guest_cr3(&guest, 0, 0));
    EXPECT_EQ(reference_burden_of(guest.reference, 0), before);
    guest_stop(&guest);
}

static void test_a_vp_without_paging_drags_nothing_along(void **state)
{
    struct reference *reference = reference_create(&(struct vmmu_x86_cpu){ .maxphyaddr = 36 }, true, 1);

    (void)state;
    for (uint64_t i = 0; i < 3000; i++) {
        reference_store(reference, 0x1000, 8, i);
        reference_invlpg(reference, 0, 0);
    }
    EXPECT_EQ(reference_burden(reference), 1);
    reference_destroy(reference);
}

static enum reference_answer judge(uint64_t gpa)
{
    const struct reference_access access = { .address = VA };

    return guest_judge(&guest, access, (struct reference_result){ .end = END_REACHES, .gpa = gpa });
}

/* What the guest did is too much to tell; after it has invalidated all, it is not. */
static void expect_to_give_up(void)
{
    EXPECT_EQ(reference_given_up(guest.reference), 0);
    EXPECT_EQ(judge(FRAME_4), PERMITTED);
    EXPECT_EQ(reference_given_up(guest.reference), 1);
    guest_put(&guest, 0, 1, VA, FRAME_3 | E_RW);
    flush_both();
    EXPECT_EQ(judge(FRAME_3), PERMITTED);
    EXPECT_EQ(judge(FRAME_4), FORBIDDEN);
    EXPECT_EQ(reference_given_up(guest.reference), 1);
    guest_stop(&guest);
}

static void test_too_many_values_of_one_word_are_given_up(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 100; i++) {
        guest_put(&guest, 0, 1, VA, (i % 2 ? FRAME_1 : FRAME_2) | E_RW | (uint64_t)i << 52);
    }
    EXPECT_EQ(judge(FRAME_1), PERMITTED);
    EXPECT_EQ(judge(FRAME_2), PERMITTED);
    expect_to_give_up();
}

static void test_too_many_moments_are_given_up(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 3000; i++) {
        guest_mov_cr3(&guest, guest_cr3(&guest, (i + 1) % 2, 0) | VMMU_X86_CR3_NO_FLUSH);
    }
    EXPECT_EQ(judge(FRAME_1), PERMITTED);
    expect_to_give_up();
}

static void test_too_many_stores_are_given_up(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 70000; i++) {
        reference_store(guest.reference, 0x10000 + i % 512 * 8, 8, i | 1);
    }
    expect_to_give_up();
}

static void test_too_many_ways_are_given_up(void **state)
{
    (void)state;
    begin();
    /* Sixty values at each level: half a million ways down. */
    for (uint64_t i = 0; i < 60; i++) {
        for (unsigned level = 4; level > 1; level--) {
            guest_put(&guest, 0, level, VA, TABLE(0, level - 1) | E_LINK | i << 52);
        }
        guest_put(&guest, 0, 1, VA, FRAME_1 | E_RW | i << 52);
    }
    expect_to_give_up();
}

static void test_what_was_lost_does_not_matter_to_what_came_later(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 70000; i++) {
        reference_store(guest.reference, 0x10000 + i % 512 * 8, 8, i | 1);
    }
    guest_invpcid(&guest, 2, 0, 0);
    EXPECT_EQ(judge(FRAME_4), FORBIDDEN); /* though VP 1 has not invalidated anything */
    EXPECT_EQ(reference_given_up(guest.reference), 0);
    guest_stop(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_little_endian_and_of_any_width),
        cmocka_unit_test(test_there_is_nothing_where_the_guest_has_no_memory),
        cmocka_unit_test(test_a_guest_that_forgets_everything_drags_nothing_along),
        cmocka_unit_test(test_a_flush_of_every_pcid_counts_once_nothing_is_global),
        cmocka_unit_test(test_a_vp_without_paging_drags_nothing_along),
        cmocka_unit_test(test_too_many_values_of_one_word_are_given_up),
        cmocka_unit_test(test_too_many_moments_are_given_up),
        cmocka_unit_test(test_too_many_stores_are_given_up),
        cmocka_unit_test(test_too_many_ways_are_given_up),
        cmocka_unit_test(test_what_was_lost_does_not_matter_to_what_came_later),
    };
    return RUN_TESTS(tests);
}
