/* TLFS "Virtual MMU and Caching": the flush calls. */
#include "tests/unit/hyperv/calling.h"
#include "tests/unit/test.h"

#include <string.h>

#define ALL_VPS    1u
#define ALL_SPACES 2u
#define NON_GLOBAL 4u

static void test_flush_space_names_the_processors_of_its_mask(void **state)
{
    const struct fixture f = calling_fixture(4);
    const uint64_t words[3] = { 0x1234000, 0, 0xA };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 2, words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.vps, 0xA);
    EXPECT_EQ(outcome.flush.address_space, 0x1234000);
    EXPECT(!outcome.flush.all_address_spaces && !outcome.flush.keep_global);
    EXPECT_EQ(outcome.flush.range_count, 0);
    EXPECT_EQ(outcome.end.value, SUCCESS);
}

static void test_flush_flags_widen_the_request(void **state)
{
    const struct fixture f = calling_fixture(4);
    const uint64_t words[3] = { 0x1234000, ALL_VPS | ALL_SPACES | NON_GLOBAL, 0 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 2, words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.vps, 0xF);
    EXPECT(outcome.flush.all_address_spaces && outcome.flush.keep_global);
}

static void test_reserved_flush_flags_are_invalid_parameters(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    for (unsigned bit = 3; bit < 64; bit++) {
        const uint64_t words[3] = { 0, UINT64_C(1) << bit, 1 };

        EXPECT_EQ(status_at(&f, 2, words), INVALID_PARAMETER);
    }
}

static void test_an_empty_mask_flushes_all_or_is_an_error_by_policy(void **state)
{
    struct fixture f = calling_fixture(3);
    const uint64_t words[3] = { 0, 0, 0 };

    (void)state;
    EXPECT_EQ(call_at(&f, 2, words).flush.vps, 7);
    f.partition.config.policy.empty_set_is_error = true;
    EXPECT_EQ(status_at(&f, 2, words), INVALID_PARAMETER);
}

static void test_a_mask_of_absent_processors_flushes_nobody(void **state)
{
    const struct fixture f = calling_fixture(2);
    const uint64_t words[3] = { 0, 0, 0xF0 };

    (void)state;
    EXPECT_EQ(status_at(&f, 2, words), SUCCESS);
}

static void test_flush_list_gives_ranges_of_1_to_4096_pages(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[5] = { 0x1000, 0, 1, UINT64_C(0xFFFF800000001000), UINT64_C(0x0000000000405FFF) };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 3 | COUNT(2), words);
    struct vmmu_hyperv_gva_range range;

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.range_count, 2);
    EXPECT_EQ(outcome.end.value, COUNT(2));
    range = vmmu_hyperv_flush_range(&outcome.flush, (const uint8_t *)words, 0);
    EXPECT_EQ(range.base.v, UINT64_C(0xFFFF800000001000));
    EXPECT_EQ(range.pages, 1);
    range = vmmu_hyperv_flush_range(&outcome.flush, (const uint8_t *)words, 1);
    EXPECT_EQ(range.base.v, 0x405000);
    EXPECT_EQ(range.pages, 4096);
}

static void test_a_rep_call_goes_on_where_it_starts(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[6] = { 0, ALL_SPACES, 1, 0x1000, 0x2000, 0x3000 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 3 | COUNT(3) | START(2), words);

    (void)state;
    EXPECT_EQ(outcome.flush.range_count, 1);
    EXPECT_EQ(vmmu_hyperv_flush_range(&outcome.flush, (const uint8_t *)words, 0).base.v, 0x3000);
    EXPECT_EQ(outcome.end.value, COUNT(3));
}

static void test_a_failed_rep_call_has_completed_what_was_done_before(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[6] = { 0, 1u << 7, 1, 0x1000, 0x2000, 0x3000 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 3 | COUNT(3) | START(2), words);

    (void)state;
    EXPECT_EQ(outcome.end.value, COUNT(2) | INVALID_PARAMETER);
}

static void test_a_list_cannot_spare_global_translations(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[5] = { 0, NON_GLOBAL, 1, 0x1000, 0 };
    const uint64_t ex[5] = { 0, NON_GLOBAL, 1, 0, 0x1000 };

    (void)state;
    EXPECT_EQ(status_at(&f, 3 | COUNT(1), words), INVALID_PARAMETER);
    EXPECT_EQ(status_at(&f, 0x14 | COUNT(1), ex), INVALID_PARAMETER);
}

static void test_ex_flush_takes_a_sparse_set_of_banks(void **state)
{
    const struct fixture f = calling_fixture(8);
    const uint64_t two_banks[6] = { 0x5000, 0, 0, 0x5, 0x81, 0xFFFF };
    const uint64_t far_bank[5] = { 0x5000, 0, 0, 0x2, 0xFFFF };

    (void)state;
    EXPECT_EQ(call_at(&f, 0x13 | HEADER(2), two_banks).flush.vps, 0x81);
    EXPECT_EQ(status_at(&f, 0x13 | HEADER(1), far_bank), SUCCESS); /* no such processors */
}

static void test_ex_flush_of_format_all_is_everybody(void **state)
{
    const struct fixture f = calling_fixture(5);
    const uint64_t words[4] = { 0x5000, 0, 1, 0 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0x13, words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.vps, 0x1F);
}

static void test_ex_flush_checks_banks_against_its_header_and_its_format(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t three[7] = { 0, 0, 0, 0x7, 1, 1, 1 };
    const uint64_t format[5] = { 0, 0, 2, 1, 1 };

    (void)state;
    EXPECT_EQ(status_at(&f, 0x13 | HEADER(2), three), INVALID_INPUT);
    EXPECT_EQ(status_at(&f, 0x13 | HEADER(1), format), INVALID_PARAMETER);
}

static void test_ex_list_has_its_elements_after_the_banks(void **state)
{
    const struct fixture f = calling_fixture(2);
    const uint64_t words[6] = { 0, 0, 0, 1, 3, 0xABC007 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0x14 | HEADER(1) | COUNT(1), words);
    const struct vmmu_hyperv_gva_range range =
        vmmu_hyperv_flush_range(&outcome.flush, (const uint8_t *)words, 0);

    (void)state;
    EXPECT_EQ(outcome.flush.vps, 3);
    EXPECT_EQ(range.base.v, 0xABC000);
    EXPECT_EQ(range.pages, 8);
}

static void test_all_processors_overrides_mask_and_set(void **state)
{
    const struct fixture f = calling_fixture(3);
    const uint64_t words[5] = { 0, ALL_VPS, 0, 1, 1 };

    (void)state;
    EXPECT_EQ(call_at(&f, 0x13 | HEADER(1), words).flush.vps, 7);
}

static void test_a_long_list_is_flushed_in_goes_of_64_ranges(void **state)
{
    static uint64_t words[3 + 100] = { 0x1000, 0, 1 };
    const struct fixture f = calling_fixture(1);
    struct vmmu_hyperv_call_outcome outcome = call_at(&f, 3 | COUNT(100), words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.range_first, 0);
    EXPECT_EQ(outcome.flush.range_count, 64);
    EXPECT(!outcome.end.complete);
    EXPECT_EQ(outcome.end.value, 3 | COUNT(100) | START(64));
    outcome = call_at(&f, outcome.end.value, words);
    EXPECT_EQ(outcome.flush.range_first, 64);
    EXPECT_EQ(outcome.flush.range_count, 36);
    EXPECT(outcome.end.complete);
    EXPECT_EQ(outcome.end.value, COUNT(100));
}

static void test_a_list_for_nobody_goes_on_to_its_end(void **state)
{
    static uint64_t words[3 + 65] = { 0x1000, 0, 2 };
    const struct fixture f = calling_fixture(1);
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 3 | COUNT(65), words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_DONE);
    EXPECT_EQ(outcome.end.value, 3 | COUNT(65) | START(64));
}

static void test_guest_physical_flushes_are_of_everything_and_everybody(void **state)
{
    const struct fixture f = calling_fixture(3);
    const uint64_t words[4] = { 0, 0, 0x1000, 0x2000 };
    struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0xAF, words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT(outcome.flush.guest_physical && outcome.flush.all_address_spaces && !outcome.flush.keep_global);
    EXPECT_EQ(outcome.flush.vps, 7);
    outcome = call_at(&f, 0xB0 | COUNT(2), words);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT(outcome.flush.guest_physical);
    EXPECT_EQ(outcome.flush.range_count, 0);
    EXPECT_EQ(outcome.end.value, COUNT(2));
}

static void test_guest_physical_flushes_know_one_space_and_no_flags(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t other_space[3] = { 0x1000, 0, 0 };
    const uint64_t flags[3] = { 0, 1, 0 };
    const struct vmmu_hyperv_caller fast = caller_of(0xAF | FAST, 0, 0);
    struct vmmu_hyperv_call call;

    (void)state;
    EXPECT_EQ(status_at(&f, 0xAF, other_space), INVALID_PARAMETER);
    EXPECT_EQ(status_at(&f, 0xAF, flags), INVALID_PARAMETER);
    EXPECT_EQ(status_at(&f, 0xB0 | COUNT(1), flags), INVALID_PARAMETER);
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &fast, &call).action, VMMU_HYPERV_CALL_INPUT);
    EXPECT_EQ(vmmu_hyperv_call_perform(&f.partition, &f.vp, &call, NULL, NULL).action,
              VMMU_HYPERV_CALL_FLUSH);
}

/* --- plans --- */

static const struct vmmu_x86_cpu cpu_32 = { .maxphyaddr = 36 };
static const struct vmmu_x86_cpu cpu_48 = { .maxphyaddr = 40, .long_mode = true };
static const struct vmmu_x86_cpu cpu_57 = { .maxphyaddr = 52, .long_mode = true, .la57 = true };

/* The plan of a list call with @count elements, of processor 0. */
static struct vmmu_hyperv_flush_plan plan_of(const struct vmmu_x86_cpu *cpu, const uint64_t *elements,
                                             unsigned count)
{
    const struct fixture f = calling_fixture(1);
    uint64_t words[3 + 64] = { 0x7000, 0, 1 };
    struct vmmu_hyperv_call_outcome outcome;

    memcpy(words + 3, elements, count * sizeof(*elements));
    outcome = call_at(&f, 3 | COUNT(count), words);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    return vmmu_hyperv_flush_plan(cpu, &outcome.flush, (const uint8_t *)words);
}

static void test_a_space_is_planned_as_its_whole_tag(void **state)
{
    const struct fixture f = calling_fixture(4);
    const uint64_t words[3] = { 0x1234000, NON_GLOBAL, 0xA };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 2, words);
    const struct vmmu_hyperv_flush_plan plan =
        vmmu_hyperv_flush_plan(&cpu_48, &outcome.flush, (const uint8_t *)words);

    (void)state;
    EXPECT(plan.plan.whole_tag);
    EXPECT_EQ(plan.plan.count, 0);
    EXPECT_EQ(plan.plan.vps, 0xA);
    EXPECT_EQ(plan.plan.epoch, 0);
    EXPECT(plan.keep_global);
    EXPECT(!plan.all_address_spaces && !plan.guest_physical);
    EXPECT_EQ(plan.address_space, 0x1234000);
}

static void test_a_guest_physical_flush_is_planned_whole(void **state)
{
    const struct fixture f = calling_fixture(2);
    const uint64_t words[3] = { 0 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0xB0 | COUNT(1), words);
    const struct vmmu_hyperv_flush_plan plan =
        vmmu_hyperv_flush_plan(&cpu_48, &outcome.flush, (const uint8_t *)words);

    (void)state;
    EXPECT(plan.plan.whole_tag && plan.guest_physical && plan.all_address_spaces && !plan.keep_global);
    EXPECT_EQ(plan.plan.vps, 3);
}

static void test_a_list_is_planned_range_by_range(void **state)
{
    const uint64_t elements[2] = { UINT64_C(0xFFFF800000001002), 0x400FFF };
    const struct vmmu_hyperv_flush_plan plan = plan_of(&cpu_48, elements, 2);

    (void)state;
    EXPECT(!plan.plan.whole_tag && !plan.keep_global);
    EXPECT_EQ(plan.plan.vps, 1);
    EXPECT_EQ(plan.plan.count, 2);
    EXPECT_EQ(plan.plan.ranges[0].base, UINT64_C(0xFFFF800000001000));
    EXPECT_EQ(plan.plan.ranges[0].pages, 3);
    EXPECT_EQ(plan.plan.ranges[1].base, 0x400000);
    EXPECT_EQ(plan.plan.ranges[1].pages, 4096);
}

static void test_eight_ranges_are_kept_and_nine_are_the_whole_tag(void **state)
{
    uint64_t elements[9];

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        elements[i] = (uint64_t)i * 0x10000;
    }
    EXPECT_EQ(plan_of(&cpu_48, elements, 8).plan.count, 8);
    EXPECT(!plan_of(&cpu_48, elements, 8).plan.whole_tag);
    EXPECT(plan_of(&cpu_48, elements, 9).plan.whole_tag);
    EXPECT_EQ(plan_of(&cpu_48, elements, 9).plan.count, 0);
}

/* One range, and what is left of it: pages 0 if nothing. */
static void expect_cut(const struct vmmu_x86_cpu *cpu, uint64_t element, uint64_t base, uint64_t pages)
{
    const struct vmmu_hyperv_flush_plan plan = plan_of(cpu, &element, 1);

    EXPECT(!plan.plan.whole_tag);
    EXPECT_EQ(plan.plan.count, pages == 0 ? 0 : 1);
    if (pages != 0) {
        EXPECT_EQ(plan.plan.ranges[0].base, base);
        EXPECT_EQ(plan.plan.ranges[0].pages, pages);
    }
}

static void test_addresses_beyond_the_range_are_ignored(void **state)
{
    (void)state;
    /* The last page below the hole, and more pages behind it. */
    expect_cut(&cpu_48, UINT64_C(0x00007FFFFFFFF000), UINT64_C(0x00007FFFFFFFF000), 1);
    expect_cut(&cpu_48, UINT64_C(0x00007FFFFFFFE005), UINT64_C(0x00007FFFFFFFE000), 2);
    expect_cut(&cpu_48, UINT64_C(0x0000800000000FFF), 0, 0);
    /* Out of the hole into the upper half. */
    expect_cut(&cpu_48, UINT64_C(0xFFFF7FFFFFFFF000), 0, 0);
    expect_cut(&cpu_48, UINT64_C(0xFFFF7FFFFFFFF003), UINT64_C(0xFFFF800000000000), 3);
    expect_cut(&cpu_48, UINT64_C(0xFFFF800000000000), UINT64_C(0xFFFF800000000000), 1);
    /* Behind the last page there is none; a range does not go on at zero. */
    expect_cut(&cpu_48, UINT64_C(0xFFFFFFFFFFFFFFFF), UINT64_C(0xFFFFFFFFFFFFF000), 1);
    expect_cut(&cpu_57, UINT64_C(0x0000800000000000), UINT64_C(0x0000800000000000), 1);
    expect_cut(&cpu_57, UINT64_C(0x00FFFFFFFFFFF001), UINT64_C(0x00FFFFFFFFFFF000), 1);
    expect_cut(&cpu_57, UINT64_C(0x0100000000000000), 0, 0);
    expect_cut(&cpu_57, UINT64_C(0xFF00000000000000), UINT64_C(0xFF00000000000000), 1);
    expect_cut(&cpu_32, UINT64_C(0xFFFFF001), UINT64_C(0xFFFFF000), 1);
    expect_cut(&cpu_32, UINT64_C(0x100000000), 0, 0);
    expect_cut(&cpu_32, UINT64_C(0xFFFFFFFFFFFFF000), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flush_space_names_the_processors_of_its_mask),
        cmocka_unit_test(test_flush_flags_widen_the_request),
        cmocka_unit_test(test_reserved_flush_flags_are_invalid_parameters),
        cmocka_unit_test(test_an_empty_mask_flushes_all_or_is_an_error_by_policy),
        cmocka_unit_test(test_a_mask_of_absent_processors_flushes_nobody),
        cmocka_unit_test(test_flush_list_gives_ranges_of_1_to_4096_pages),
        cmocka_unit_test(test_a_rep_call_goes_on_where_it_starts),
        cmocka_unit_test(test_a_failed_rep_call_has_completed_what_was_done_before),
        cmocka_unit_test(test_a_list_cannot_spare_global_translations),
        cmocka_unit_test(test_ex_flush_takes_a_sparse_set_of_banks),
        cmocka_unit_test(test_ex_flush_of_format_all_is_everybody),
        cmocka_unit_test(test_ex_flush_checks_banks_against_its_header_and_its_format),
        cmocka_unit_test(test_ex_list_has_its_elements_after_the_banks),
        cmocka_unit_test(test_all_processors_overrides_mask_and_set),
        cmocka_unit_test(test_a_long_list_is_flushed_in_goes_of_64_ranges),
        cmocka_unit_test(test_a_list_for_nobody_goes_on_to_its_end),
        cmocka_unit_test(test_guest_physical_flushes_are_of_everything_and_everybody),
        cmocka_unit_test(test_guest_physical_flushes_know_one_space_and_no_flags),
        cmocka_unit_test(test_a_space_is_planned_as_its_whole_tag),
        cmocka_unit_test(test_a_guest_physical_flush_is_planned_whole),
        cmocka_unit_test(test_a_list_is_planned_range_by_range),
        cmocka_unit_test(test_eight_ranges_are_kept_and_nine_are_the_whole_tag),
        cmocka_unit_test(test_addresses_beyond_the_range_are_ignored),
    };

    return RUN_TESTS(tests);
}
