/* TLFS "Hypercall Interface", "Virtual MMU and Caching". */
#include "tests/unit/hyperv/partition.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0,
    INVALID_CODE = 2,
    INVALID_INPUT = 3,
    INVALID_ALIGNMENT = 4,
    INVALID_PARAMETER = 5,
    ACCESS_DENIED = 6,
};

#define FAST       (UINT64_C(1) << 16)
#define HEADER(n)  ((uint64_t)(n) << 17)
#define COUNT(n)   ((uint64_t)(n) << 32)
#define START(n)   ((uint64_t)(n) << 48)
#define INPUT_PAGE UINT64_C(0x5000)

#define ALL_VPS    1u
#define ALL_SPACES 2u
#define NON_GLOBAL 4u

static struct vmmu_hyperv_caller caller_of(uint64_t input, uint64_t rdx, uint64_t r8)
{
    return (struct vmmu_hyperv_caller){
        .rcx = input, .rdx = rdx, .r8 = r8, .code64 = true, .protected_mode = true, .cpl = 0
    };
}

/* Make a call from 64-bit code, with @words at INPUT_PAGE. */
static struct vmmu_hyperv_call_outcome call_at(const struct fixture *f, uint64_t input, const uint64_t *words)
{
    const struct vmmu_hyperv_caller caller = caller_of(input, INPUT_PAGE, 0);
    struct vmmu_hyperv_call call;
    struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&f->partition, &caller, &call);

    if (outcome.action != VMMU_HYPERV_CALL_INPUT) {
        return outcome;
    }
    return vmmu_hyperv_call_perform(&f->partition, &f->vp, &call, (const uint8_t *)words);
}

static uint64_t status_at(const struct fixture *f, uint64_t input, const uint64_t *words)
{
    const struct vmmu_hyperv_call_outcome outcome = call_at(f, input, words);

    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_DONE);
    return outcome.result & 0xFFFF;
}

static void test_calls_outside_ring_0_raise_ud(void **state)
{
    const struct fixture f = calling_fixture(1);
    struct vmmu_hyperv_caller caller = caller_of(8 | FAST, 1, 0);
    struct vmmu_hyperv_call call;

    (void)state;
    caller.cpl = 3;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_UD);
    caller.cpl = 0;
    caller.protected_mode = false;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_UD);
    caller.protected_mode = true;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_INPUT);
}

static void test_calls_before_the_interface_is_enabled_raise_ud(void **state)
{
    const struct fixture f = full_fixture();
    const struct vmmu_hyperv_caller caller = caller_of(8 | FAST, 1, 0);
    struct vmmu_hyperv_call call;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_UD);
}

static void test_unknown_codes_are_invalid_codes(void **state)
{
    static const uint16_t codes[] = { 0x0000, 0x0001, 0x0004, 0x000B, 0x00AF, 0x00B0, 0x8001, 0xFFFF };
    const struct fixture f = calling_fixture(1);

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        EXPECT_EQ(status_at(&f, codes[i], NULL), INVALID_CODE);
        EXPECT_EQ(status_at(&f, codes[i] | FAST, NULL), INVALID_CODE);
    }
}

static void test_calls_of_a_parent_partition_are_denied(void **state)
{
    static const uint16_t codes[] = {
        0x40, 0x46, 0x48, 0x4B, 0x4C, 0x50, 0x51, 0x52, 0x53, 0x54, 0x5C, 0x5D
    };
    const struct fixture f = calling_fixture(1);

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        EXPECT_EQ(status_at(&f, codes[i], NULL), ACCESS_DENIED);
    }
}

static void test_reserved_bits_of_the_input_value_are_invalid_input(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    for (unsigned bit = 27; bit < 64; bit++) {
        const bool reserved = bit <= 31 || (bit >= 44 && bit <= 47) || bit >= 60;

        if (reserved) {
            EXPECT_EQ(status_at(&f, 8 | FAST | UINT64_C(1) << bit, NULL), INVALID_INPUT);
            EXPECT_EQ(status_at(&f, 0x50 | UINT64_C(1) << bit, NULL), INVALID_INPUT);
        }
    }
}

static void test_simple_calls_take_no_rep_count_or_start(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(status_at(&f, 8 | FAST | COUNT(1), NULL), INVALID_INPUT);
    EXPECT_EQ(status_at(&f, 2 | START(1), NULL), INVALID_INPUT);
}

static void test_rep_calls_need_a_count_above_their_start(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(status_at(&f, 3, NULL), INVALID_INPUT);
    EXPECT_EQ(status_at(&f, 3 | COUNT(2) | START(2), NULL), INVALID_INPUT);
    EXPECT_EQ(status_at(&f, 3 | COUNT(2) | START(3), NULL), INVALID_INPUT);
}

static void test_only_ex_calls_have_a_variable_header(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[5] = { 0, 0, 0, 1, 1 };

    (void)state;
    EXPECT_EQ(status_at(&f, 2 | HEADER(1), words), INVALID_INPUT);
    EXPECT_EQ(call_at(&f, 0x13 | HEADER(1), words).action, VMMU_HYPERV_CALL_FLUSH);
}

static void test_input_beyond_two_registers_cannot_be_fast(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(status_at(&f, 2 | FAST, NULL), INVALID_INPUT);
    EXPECT_EQ(status_at(&f, 3 | FAST | COUNT(1), NULL), INVALID_INPUT);
}

static uint64_t status_of_pointer(const struct fixture *f, uint64_t input, uint64_t gpa)
{
    const struct vmmu_hyperv_caller caller = caller_of(input, gpa, 0);
    struct vmmu_hyperv_call call;
    const struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&f->partition, &caller, &call);

    if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
        EXPECT_EQ(call.input.v, gpa);
        return SUCCESS;
    }
    return outcome.result & 0xFFFF;
}

static void test_input_must_be_8_byte_aligned_and_in_one_page(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(status_of_pointer(&f, 2, 0x5004), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_pointer(&f, 2, 0x5001), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_pointer(&f, 2, 0x5FE8), SUCCESS);
    EXPECT_EQ(status_of_pointer(&f, 2, 0x5FF0), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_pointer(&f, 3 | COUNT(509), 0x5000), SUCCESS);
    EXPECT_EQ(status_of_pointer(&f, 3 | COUNT(510), 0x5000), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_pointer(&f, 3 | COUNT(4095), 0x5000), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_pointer(&f, 0x14 | HEADER(1023) | COUNT(4095), 0x5000), INVALID_ALIGNMENT);
}

static void test_input_outside_memory_is_an_alignment_error(void **state)
{
    const struct vmmu_hyperv_call call = { .rep_start = 2 };

    (void)state;
    EXPECT_EQ(vmmu_hyperv_call_no_memory(&call) & 0xFFFF, INVALID_ALIGNMENT);
    EXPECT_EQ(vmmu_hyperv_call_no_memory(&call) >> 32, 2);
}

static void test_long_spin_wait_yields_and_succeeds(void **state)
{
    const struct fixture f = calling_fixture(1);
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 8 | FAST, NULL);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_YIELD);
    EXPECT_EQ(outcome.result, 0);
}

/*
 * EDX:EAX is the input value, EBX:ECX the input, EDI:ESI the output; upper halves of registers do not count.
 */
static void test_32_bit_code_passes_halves_in_register_pairs(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t junk = UINT64_C(0xDEADBEEF00000000);
    const struct vmmu_hyperv_caller caller = {
        .rax = junk | 3,
        .rdx = junk | 2,
        .rbx = junk,
        .rcx = junk | 0x5000,
        .rdi = junk,
        .rsi = junk | 0x6000,
        .protected_mode = true,
    };
    struct vmmu_hyperv_call call;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_INPUT);
    EXPECT_EQ(call.code, 3);
    EXPECT_EQ(call.rep_count, 2);
    EXPECT_EQ(call.input.v, 0x5000);
    EXPECT_EQ(call.fast_input[1], 0x6000);
    EXPECT_EQ(call.input_bytes, 24 + 2 * 8);
}

static void test_results_go_to_rax_or_to_edx_eax(void **state)
{
    const uint64_t result = UINT64_C(0x0000000500000003);
    struct vmmu_hyperv_result_registers registers = vmmu_hyperv_result_registers(true, result);

    (void)state;
    EXPECT_EQ(registers.rax, result);
    EXPECT(!registers.writes_rdx);
    registers = vmmu_hyperv_result_registers(false, result);
    EXPECT_EQ(registers.rax, 3);
    EXPECT_EQ(registers.rdx, 5);
    EXPECT(registers.writes_rdx);
}

static void test_flush_space_names_the_processors_of_its_mask(void **state)
{
    const struct fixture f = calling_fixture(4);
    const uint64_t words[3] = { 0x1234000, 0, 0xA };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 2, words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.vps, 0xA);
    EXPECT_EQ(outcome.flush.address_space, 0x1234000);
    EXPECT(!outcome.flush.all_address_spaces && !outcome.flush.keep_global && !outcome.flush.includes_caller);
    EXPECT_EQ(outcome.flush.range_count, 0);
    EXPECT_EQ(outcome.result, SUCCESS);
}

static void test_flush_flags_widen_the_request(void **state)
{
    const struct fixture f = calling_fixture(4);
    const uint64_t words[3] = { 0x1234000, ALL_VPS | ALL_SPACES | NON_GLOBAL, 0 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 2, words);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_FLUSH);
    EXPECT_EQ(outcome.flush.vps, 0xF);
    EXPECT(outcome.flush.all_address_spaces && outcome.flush.keep_global && outcome.flush.includes_caller);
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
    EXPECT_EQ(outcome.result, COUNT(2));
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
    EXPECT_EQ(outcome.result, COUNT(3));
}

static void test_a_failed_rep_call_has_completed_what_was_done_before(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[6] = { 0, 1u << 7, 1, 0x1000, 0x2000, 0x3000 };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 3 | COUNT(3) | START(2), words);

    (void)state;
    EXPECT_EQ(outcome.result, COUNT(2) | INVALID_PARAMETER);
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

static void test_hypercall_page_calls_and_returns(void **state)
{
    struct fixture f = calling_fixture(1);
    uint8_t page[4096];

    (void)state;
    memset(page, 0, sizeof(page));
    vmmu_hyperv_fill_hypercall_page(&f.partition, page);
    assert_memory_equal(page, "\x0F\x01\xD9\xC3", 4); /* VMMCALL; RET */
    f.partition.config.call_instruction = VMMU_HYPERV_VMCALL;
    vmmu_hyperv_fill_hypercall_page(&f.partition, page);
    assert_memory_equal(page, "\x0F\x01\xC1\xC3", 4); /* VMCALL; RET */
    for (unsigned i = 4; i < sizeof(page); i++) {
        EXPECT_EQ(page[i], 0xCC);
    }
}

/* Any input value with any input: a status that the TLFS knows, and no read beyond what was asked for. */
static void test_random_calls_end_in_a_known_status(void **state)
{
    static const uint16_t codes[] = { 2, 3, 8, 0x13, 0x14 };
    uint64_t random = 0x2545F4914F6CDD1D;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        const struct fixture f = calling_fixture(1 + i % 64);
        struct vmmu_hyperv_call_outcome outcome;
        struct vmmu_hyperv_caller caller;
        struct vmmu_hyperv_call call;
        uint64_t input;

        random = random * 6364136223846793005u + 1442695040888963407u;
        input = codes[(random >> 60) % 5] | (random >> 8 & COUNT(0x3F)) | (random >> 3 & START(0x7)) |
                (random >> 20 & HEADER(7)) | (random >> 13 & FAST);
        caller = caller_of(input, random & 0xFF8, random);
        outcome = vmmu_hyperv_call_decode(&f.partition, &caller, &call);
        if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
            uint8_t *bytes = malloc(call.input_bytes + 1u);

            for (unsigned j = 0; j < call.input_bytes; j++) {
                bytes[j] = (uint8_t)(random >> (j % 57) & 0x37);
            }
            outcome = vmmu_hyperv_call_perform(&f.partition, &f.vp, &call, bytes);
            for (uint16_t j = 0; j < outcome.flush.range_count && outcome.action == VMMU_HYPERV_CALL_FLUSH;
                 j++) {
                EXPECT(vmmu_hyperv_flush_range(&outcome.flush, bytes, j).pages <= 4096);
            }
            free(bytes);
        }
        EXPECT((outcome.result & 0xFFFF) <= ACCESS_DENIED);
        EXPECT_EQ(outcome.flush.vps & ~((UINT64_C(2) << (i % 64)) - 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_outside_ring_0_raise_ud),
        cmocka_unit_test(test_calls_before_the_interface_is_enabled_raise_ud),
        cmocka_unit_test(test_unknown_codes_are_invalid_codes),
        cmocka_unit_test(test_calls_of_a_parent_partition_are_denied),
        cmocka_unit_test(test_reserved_bits_of_the_input_value_are_invalid_input),
        cmocka_unit_test(test_simple_calls_take_no_rep_count_or_start),
        cmocka_unit_test(test_rep_calls_need_a_count_above_their_start),
        cmocka_unit_test(test_only_ex_calls_have_a_variable_header),
        cmocka_unit_test(test_input_beyond_two_registers_cannot_be_fast),
        cmocka_unit_test(test_input_must_be_8_byte_aligned_and_in_one_page),
        cmocka_unit_test(test_input_outside_memory_is_an_alignment_error),
        cmocka_unit_test(test_long_spin_wait_yields_and_succeeds),
        cmocka_unit_test(test_32_bit_code_passes_halves_in_register_pairs),
        cmocka_unit_test(test_results_go_to_rax_or_to_edx_eax),
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
        cmocka_unit_test(test_hypercall_page_calls_and_returns),
        cmocka_unit_test(test_random_calls_end_in_a_known_status),
    };

    return RUN_TESTS(tests);
}
