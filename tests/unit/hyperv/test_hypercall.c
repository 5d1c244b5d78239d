/* TLFS "Hypercall Interface", "Virtual MMU and Caching". */
#include "tests/unit/hyperv/calling.h"
#include "tests/unit/test.h"

#include <string.h>

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
    static const uint16_t codes[] = { 0x0000, 0x0004, 0x000B, 0x004D, 0x00AE, 0x00B1, 0x8001, 0xFFFF };
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
    return outcome.end.value & 0xFFFF;
}

static uint64_t status_of_output(const struct fixture *f, uint64_t input, uint64_t gpa)
{
    const struct vmmu_hyperv_caller caller = caller_of(input, INPUT_PAGE, gpa);
    struct vmmu_hyperv_call call;
    const struct vmmu_hyperv_call_outcome outcome = vmmu_hyperv_call_decode(&f->partition, &caller, &call);

    if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
        EXPECT_EQ(call.output.v, gpa);
        return SUCCESS;
    }
    return outcome.end.value & 0xFFFF;
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

static void test_input_and_output_lie_in_the_partitions_addresses(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    EXPECT_EQ(status_of_pointer(&f, 2, UINT64_C(0xFFFFFFF000)), SUCCESS);
    EXPECT_EQ(status_of_pointer(&f, 2, UINT64_C(0x10000000000)), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_output(&f, 0x52, UINT64_C(0xFFFFFFFFF0)), SUCCESS);
    EXPECT_EQ(status_of_output(&f, 0x52, UINT64_C(0x10000000000)), INVALID_ALIGNMENT);
}

static void test_output_must_be_8_byte_aligned_and_in_one_page(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    EXPECT_EQ(status_of_output(&f, 0x52, 0x6004), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_output(&f, 0x52, 0x6FF0), SUCCESS);
    EXPECT_EQ(status_of_output(&f, 0x52, 0x6FF8), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_output(&f, 0x50 | COUNT(256), 0x6000), SUCCESS);
    EXPECT_EQ(status_of_output(&f, 0x50 | COUNT(257), 0x6000), INVALID_ALIGNMENT);
}

static void test_output_may_not_overlap_input(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    EXPECT_EQ(status_of_output(&f, 0x52, 0x5000), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_output(&f, 0x52, 0x5018), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_output(&f, 0x52, 0x5020), SUCCESS); /* right behind the 32 bytes of input */
    EXPECT_EQ(status_of_output(&f, 0x53, 0x4FF0), INVALID_ALIGNMENT);
    EXPECT_EQ(status_of_output(&f, 0x53, 0x4FE8), SUCCESS); /* 24 bytes, up to the input */
}

static void test_calls_with_output_cannot_be_fast(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    EXPECT_EQ(status_at(&f, 0x50 | FAST | COUNT(1), NULL), INVALID_INPUT);
    EXPECT_EQ(status_at(&f, 0x52 | FAST, NULL), INVALID_INPUT);
}

/* Reps completed are those that were processed: none of a call that is refused for its input value. */
static void test_a_call_that_is_refused_for_its_input_value_has_done_nothing(void **state)
{
    const struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(call_at(&f, 2 | START(1), NULL).end.value, INVALID_INPUT);
    EXPECT_EQ(call_at(&f, 3 | COUNT(1) | START(1), NULL).end.value, INVALID_INPUT);
    EXPECT_EQ(call_at(&f, 3 | COUNT(1) | START(9), NULL).end.value, INVALID_INPUT);
    EXPECT_EQ(call_at(&f, 0x4B | COUNT(4) | START(2), NULL).end.value, ACCESS_DENIED);
    EXPECT_EQ(call_at(&f, 0xFFFF | COUNT(4) | START(2), NULL).end.value, INVALID_CODE);
}

static void test_input_outside_memory_is_an_alignment_error(void **state)
{
    const struct vmmu_hyperv_call call = { .rep_start = 2, .rep_count = 4 };
    const struct vmmu_hyperv_call_end end = vmmu_hyperv_call_no_memory(&call);

    (void)state;
    EXPECT(end.complete);
    EXPECT_EQ(end.value & 0xFFFF, INVALID_ALIGNMENT);
    EXPECT_EQ(end.value >> 32, 2);
}

static void test_long_spin_wait_yields_and_succeeds(void **state)
{
    const struct fixture f = calling_fixture(1);
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 8 | FAST, NULL);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_YIELD);
    EXPECT_EQ(outcome.end.value, 0);
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

static void test_output_of_32_bit_code_is_in_edi_esi(void **state)
{
    const struct fixture f = parent_fixture();
    const struct vmmu_hyperv_caller caller = {
        .rax = 0x52, .rcx = 0x5000, .rdi = 0x12, .rsi = 0x6000, .protected_mode = true
    };
    struct vmmu_hyperv_call call;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_INPUT);
    EXPECT_EQ(call.output.v, UINT64_C(0x1200006000));
    EXPECT_EQ(call.output_bytes, 16);
}

static void test_results_go_to_rax_or_to_edx_eax(void **state)
{
    const struct vmmu_hyperv_call_end end = { .complete = true, .value = UINT64_C(0x0000000500000003) };
    struct vmmu_hyperv_caller caller = { .rax = 1, .rcx = 2, .rdx = 3, .code64 = true };
    struct vmmu_hyperv_end_registers registers = vmmu_hyperv_end_registers(&caller, &end);

    (void)state;
    EXPECT_EQ(registers.rax, UINT64_C(0x0000000500000003));
    EXPECT_EQ(registers.rcx, 2);
    EXPECT_EQ(registers.rdx, 3);
    caller.code64 = false;
    registers = vmmu_hyperv_end_registers(&caller, &end);
    EXPECT_EQ(registers.rax, 3);
    EXPECT_EQ(registers.rcx, 2);
    EXPECT_EQ(registers.rdx, 5);
}

/* The hypervisor moves the rep start index in the register that holds the input value, and leaves RIP. */
static void test_a_call_that_goes_on_has_its_start_index_moved(void **state)
{
    const struct vmmu_hyperv_call call = { .input_value = 3 | COUNT(100) | START(20),
                                           .rep_count = 100,
                                           .rep_start = 20 };
    const struct vmmu_hyperv_call_end end = vmmu_hyperv_call_end(&call, VMMU_HYPERV_SUCCESS, 64);
    struct vmmu_hyperv_caller caller = { .rax = 1, .rcx = 2, .rdx = 3, .code64 = true };
    struct vmmu_hyperv_end_registers registers = vmmu_hyperv_end_registers(&caller, &end);

    (void)state;
    EXPECT(!end.complete);
    EXPECT_EQ(end.value, 3 | COUNT(100) | START(84));
    EXPECT_EQ(registers.rax, 1);
    EXPECT_EQ(registers.rcx, 3 | COUNT(100) | START(84));
    EXPECT_EQ(registers.rdx, 3);
    caller.code64 = false;
    registers = vmmu_hyperv_end_registers(&caller, &end);
    EXPECT_EQ(registers.rax, 3);
    EXPECT_EQ(registers.rcx, 2);
    EXPECT_EQ(registers.rdx, (COUNT(100) | START(84)) >> 32);
}

static void test_a_call_ends_when_its_count_is_reached(void **state)
{
    const struct vmmu_hyperv_call call = { .input_value = 3 | COUNT(100) | START(84),
                                           .rep_count = 100,
                                           .rep_start = 84 };
    const struct vmmu_hyperv_call_end end = vmmu_hyperv_call_end(&call, VMMU_HYPERV_SUCCESS, 16);

    (void)state;
    EXPECT(end.complete);
    EXPECT_EQ(end.value, COUNT(100));
}

static void test_an_error_tells_how_many_elements_were_done_before(void **state)
{
    const struct vmmu_hyperv_call call = { .rep_count = 100, .rep_start = 84 };
    const struct vmmu_hyperv_call_end end = vmmu_hyperv_call_end(&call, VMMU_HYPERV_INVALID_PARAMETER, 3);

    (void)state;
    EXPECT(end.complete);
    EXPECT_EQ(end.value, COUNT(87) | INVALID_PARAMETER);
}

static void test_a_switch_of_address_space_is_fast_or_in_memory(void **state)
{
    const struct fixture f = calling_fixture(1);
    const struct vmmu_hyperv_caller caller = caller_of(1 | FAST, 0x123000, 0);
    const uint64_t word = 0x456000;
    struct vmmu_hyperv_call_outcome outcome;
    struct vmmu_hyperv_call call;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_INPUT);
    EXPECT_EQ(call.input_bytes, 0);
    outcome = vmmu_hyperv_call_perform(&f.partition, &f.vp, &call, NULL, NULL);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_SWITCH);
    EXPECT_EQ(outcome.address_space, 0x123000);
    outcome = call_at(&f, 1, &word);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_SWITCH);
    EXPECT_EQ(outcome.address_space, 0x456000);
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
        cmocka_unit_test(test_input_and_output_lie_in_the_partitions_addresses),
        cmocka_unit_test(test_output_must_be_8_byte_aligned_and_in_one_page),
        cmocka_unit_test(test_output_may_not_overlap_input),
        cmocka_unit_test(test_calls_with_output_cannot_be_fast),
        cmocka_unit_test(test_a_call_that_is_refused_for_its_input_value_has_done_nothing),
        cmocka_unit_test(test_input_outside_memory_is_an_alignment_error),
        cmocka_unit_test(test_long_spin_wait_yields_and_succeeds),
        cmocka_unit_test(test_32_bit_code_passes_halves_in_register_pairs),
        cmocka_unit_test(test_output_of_32_bit_code_is_in_edi_esi),
        cmocka_unit_test(test_results_go_to_rax_or_to_edx_eax),
        cmocka_unit_test(test_a_call_that_goes_on_has_its_start_index_moved),
        cmocka_unit_test(test_a_call_ends_when_its_count_is_reached),
        cmocka_unit_test(test_an_error_tells_how_many_elements_were_done_before),
        cmocka_unit_test(test_a_switch_of_address_space_is_fast_or_in_memory),
        cmocka_unit_test(test_hypercall_page_calls_and_returns),
    };

    return RUN_TESTS(tests);
}
