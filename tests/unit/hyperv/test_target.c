/* TLFS "Partitions", "Virtual Processor Register State", "Guest Physical Address Spaces": whom a call is about, and its input. */
#include "tests/unit/hyperv/calling.h"
#include "tests/unit/test.h"

#include <string.h>

/* Calls that name a partition, and a virtual processor of it in bits 31-0 of the second word. */
struct shape {
    uint64_t input;
    bool names_vp;
    bool of_itself; /* a partition may make it on itself */
};

static const struct shape shapes[] = {
    { 0x4B | COUNT(1), false, false },
    { 0x4C | COUNT(1), false, false },
    { 0x50 | COUNT(1), true, true },
    { 0x51 | COUNT(1), true, false },
    { 0x52, true, false },
    { 0x53, true, false },
    { 0x54, true, false },
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Input that each of them takes: the target, then what makes sense to whom it matters. */
struct input {
    uint64_t words[8];
};

static struct input input_of(const struct shape *shape, uint64_t partition, uint64_t vp)
{
    struct input input = { { partition, vp, 1, 1 } };
    const uint64_t code = shape->input & 0xFFFF;

    if (code == 0x53 || code == 0x54) {
        input.words[1] |= UINT64_C(8) << 32; /* bytes */
        input.words[3] = 6;                  /* cached write-back */
    }
    return input;
}

static struct vmmu_hyperv_call_outcome call_shape(const struct fixture *f, const struct shape *shape,
                                                  uint64_t partition, uint64_t vp)
{
    const struct input input = input_of(shape, partition, vp);

    return call_at(f, shape->input, input.words);
}

static uint64_t status_of(const struct fixture *f, const struct shape *shape, uint64_t partition, uint64_t vp)
{
    const struct vmmu_hyperv_call_outcome outcome = call_shape(f, shape, partition, vp);

    if (outcome.action != VMMU_HYPERV_CALL_DONE) {
        EXPECT(outcome.target.named);
        EXPECT_EQ(outcome.target.partition_id, partition == UINT64_MAX ? OWN_ID : partition);
        return SUCCESS;
    }
    return outcome.end.value & 0xFFFF;
}

static void test_a_parent_calls_on_its_child(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        EXPECT_EQ(status_of(&f, &shapes[i], CHILD_ID, 0), SUCCESS);
    }
}

static void test_without_the_privilege_every_call_on_another_is_denied(void **state)
{
    const struct fixture none = privileged_fixture(0);
    const struct fixture own_registers = privileged_fixture(VMMU_HYPERV_PRIVILEGE_VP_REGISTERS);

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        EXPECT_EQ(status_of(&none, &shapes[i], CHILD_ID, 0), ACCESS_DENIED);
        EXPECT_EQ(status_of(&none, &shapes[i], 99, 0), ACCESS_DENIED); /* whatever is asked for */
        EXPECT_EQ(status_of(&own_registers, &shapes[i], CHILD_ID, 0), ACCESS_DENIED);
    }
}

static void test_unknown_partitions_are_invalid_ids(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        EXPECT_EQ(status_of(&f, &shapes[i], 99, 0), INVALID_PARTITION_ID);
        EXPECT_EQ(status_of(&f, &shapes[i], 0, 0), INVALID_PARTITION_ID);
        EXPECT_EQ(status_of(&f, &shapes[i], UINT64_MAX - 1, 0), INVALID_PARTITION_ID);
    }
}

static void test_partitions_that_are_no_children_are_denied(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        EXPECT_EQ(status_of(&f, &shapes[i], STRANGER_ID, 0), ACCESS_DENIED);
    }
}

static void test_a_partition_that_has_ended_is_in_an_invalid_state(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        EXPECT_EQ(status_of(&f, &shapes[i], ENDED_ID, 0), INVALID_PARTITION_STATE);
    }
}

static void test_absent_processors_are_invalid_indices(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const uint64_t expected = shapes[i].names_vp ? INVALID_VP_INDEX : SUCCESS;

        EXPECT_EQ(status_of(&f, &shapes[i], CHILD_ID, CHILD_VPS - 1), SUCCESS);
        if (shapes[i].names_vp) {
            EXPECT_EQ(status_of(&f, &shapes[i], CHILD_ID, CHILD_VPS), expected);
            EXPECT_EQ(status_of(&f, &shapes[i], CHILD_ID, UINT32_MAX), expected);
            /* "Self" is no processor of another partition. */
            EXPECT_EQ(status_of(&f, &shapes[i], CHILD_ID, 0xFFFFFFFE), expected);
        }
    }
}

static void test_of_itself_a_partition_reads_registers_only(void **state)
{
    const struct fixture f = parent_fixture();
    const struct fixture own = privileged_fixture(VMMU_HYPERV_PRIVILEGE_VP_REGISTERS);

    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const uint64_t expected = shapes[i].of_itself ? SUCCESS : ACCESS_DENIED;

        EXPECT_EQ(status_of(&f, &shapes[i], OWN_ID, 0), expected);
        EXPECT_EQ(status_of(&f, &shapes[i], UINT64_MAX, 0), expected);
        EXPECT_EQ(status_of(&own, &shapes[i], UINT64_MAX, 0), expected);
    }
}

static void test_reading_ones_own_registers_takes_a_privilege(void **state)
{
    const struct fixture f = privileged_fixture(VMMU_HYPERV_PRIVILEGE_CHILDREN);
    const uint64_t words[3] = { UINT64_MAX, 0, 0x20000 };

    (void)state;
    EXPECT_EQ(status_at(&f, 0x50 | COUNT(1), words), ACCESS_DENIED);
}

static void test_self_is_the_caller(void **state)
{
    struct fixture f = parent_fixture();
    const uint64_t words[3] = { UINT64_MAX, UINT64_C(0xABCDEF0100000000) | 0xFFFFFFFE, 0x20000 };
    struct vmmu_hyperv_call_outcome outcome;

    (void)state;
    outcome = call_at(&f, 0x50 | COUNT(1), words); /* the upper half of the second word is padding */
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_GET_REGISTERS);
    EXPECT(outcome.target.self && outcome.target.named_vp);
    EXPECT_EQ(outcome.target.partition_id, OWN_ID);
    EXPECT_EQ(outcome.target.vp, 0);
    f.vp.index = 5;
    EXPECT_EQ(status_at(&f, 0x50 | COUNT(1), words), INVALID_VP_INDEX); /* facts_of() says one processor */
}

static void test_calls_about_the_caller_name_no_target(void **state)
{
    const struct fixture f = calling_fixture(1);
    const uint64_t words[3] = { 0x1000, 0, 1 };

    (void)state;
    EXPECT(!call_at(&f, 2, words).target.named);
    EXPECT(!call_at(&f, 1, words).target.named);
}

static void test_register_calls_are_done_32_at_a_go(void **state)
{
    const struct fixture f = parent_fixture();
    static uint8_t input[4096];
    struct vmmu_hyperv_call_outcome outcome;

    (void)state;
    input[0] = CHILD_ID;
    outcome = call_at(&f, 0x50 | COUNT(70) | START(4), input);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_GET_REGISTERS);
    EXPECT_EQ(outcome.reps.first, 4);
    EXPECT_EQ(outcome.reps.count, 32);
    outcome = call_at(&f, 0x51 | COUNT(70) | START(60), input);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_SET_REGISTERS);
    EXPECT_EQ(outcome.reps.first, 60);
    EXPECT_EQ(outcome.reps.count, 10);
}

/* --- HvTranslateVirtualAddress --- */

static uint64_t translate_status(uint64_t control, uint64_t page)
{
    const struct fixture f = parent_fixture();
    const uint64_t words[4] = { CHILD_ID, 1, control, page };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0x52, words);

    if (outcome.action == VMMU_HYPERV_CALL_TRANSLATE) {
        EXPECT_EQ(outcome.target.vp, 1);
        EXPECT_EQ(outcome.translate.control, control);
        EXPECT_EQ(outcome.translate.gva.v, page << 12);
        return SUCCESS;
    }
    return outcome.end.value & 0xFFFF;
}

static void test_translate_takes_control_flags_and_a_page_number(void **state)
{
    (void)state;
    for (uint64_t control = 0; control < 0x40; control++) {
        EXPECT_EQ(translate_status(control, 0x12345), (control & 7) != 0 ? SUCCESS : INVALID_PARAMETER);
    }
    for (unsigned bit = 6; bit < 64; bit++) {
        EXPECT_EQ(translate_status(1 | UINT64_C(1) << bit, 0x12345), INVALID_PARAMETER);
    }
    EXPECT_EQ(translate_status(1, UINT64_C(0xFFFFFFFFFFFFF)), SUCCESS);
    EXPECT_EQ(translate_status(1, UINT64_C(0x10000000000000)), INVALID_PARAMETER);
}

/* --- HvReadGpa, HvWriteGpa --- */

static uint64_t access_status(uint64_t code, uint64_t bytes, uint64_t gpa, uint64_t control)
{
    const struct fixture f = parent_fixture();
    const uint64_t words[6] = {
        CHILD_ID, bytes << 32, gpa, control, UINT64_C(0x8877665544332211), UINT64_C(0xFFEEDDCCBBAA9988)
    };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, code, words);
    const uint8_t zeros[16] = { 0 };

    if (outcome.action == VMMU_HYPERV_CALL_DONE) {
        return outcome.end.value & 0xFFFF;
    }
    EXPECT_EQ(outcome.action, code == 0x53 ? VMMU_HYPERV_CALL_READ_GPA : VMMU_HYPERV_CALL_WRITE_GPA);
    EXPECT_EQ(outcome.access.gpa.v, gpa);
    EXPECT_EQ(outcome.access.bytes, bytes);
    assert_memory_equal(outcome.access.data, code == 0x53 ? zeros : (const uint8_t *)(words + 4), bytes);
    assert_memory_equal(outcome.access.data + bytes, zeros, 16 - bytes);
    return SUCCESS;
}

static void test_accesses_are_of_1_to_16_bytes_within_a_page(void **state)
{
    (void)state;
    for (uint64_t code = 0x53; code <= 0x54; code++) {
        EXPECT_EQ(access_status(code, 0, 0x1000, 6), INVALID_PARAMETER);
        EXPECT_EQ(access_status(code, 1, 0x1FFF, 6), SUCCESS);
        EXPECT_EQ(access_status(code, 2, 0x1FFF, 6), INVALID_PARAMETER);
        EXPECT_EQ(access_status(code, 16, 0x1FF0, 6), SUCCESS);
        EXPECT_EQ(access_status(code, 16, 0x1FF1, 6), INVALID_PARAMETER);
        EXPECT_EQ(access_status(code, 17, 0x1000, 6), INVALID_PARAMETER);
        EXPECT_EQ(access_status(code, UINT32_MAX, 0x1000, 6), INVALID_PARAMETER);
        EXPECT_EQ(access_status(code, 8, UINT64_C(0xFFFFFFFFFFFFFFF8), 6), SUCCESS);
    }
}

static void test_accesses_name_a_cache_type_that_exists(void **state)
{
    static const bool exists[8] = { true, true, false, false, true, true, true, false };

    (void)state;
    for (uint64_t type = 0; type < 256; type++) {
        EXPECT_EQ(access_status(0x53, 4, 0x1000, type),
                  type < 8 && exists[type] ? SUCCESS : INVALID_PARAMETER);
    }
    EXPECT_EQ(access_status(0x53, 4, 0x1000, 0x100 | 6), INVALID_PARAMETER);
}

/* HV_ACCESS_GPA_RESULT_CODE. */
static void test_an_access_comes_to_what_stands_at_its_address(void **state)
{
    const struct vmmu_hyperv_page hole = { 0 };
    const struct vmmu_hyperv_page nothing = { .mapped = true };
    const struct vmmu_hyperv_page rom = { .mapped = true, .readable = true };
    const struct vmmu_hyperv_page ram = { .mapped = true, .readable = true, .writable = true };
    const struct vmmu_hyperv_page code = { .mapped = true, .readable = true, .overlay = true };
    const struct vmmu_hyperv_page assist = {
        .mapped = true, .readable = true, .writable = true, .overlay = true
    };

    (void)state;
    EXPECT_EQ(vmmu_hyperv_access_judge(&hole, false), 1);
    EXPECT_EQ(vmmu_hyperv_access_judge(&hole, true), 1);
    EXPECT_EQ(vmmu_hyperv_access_judge(&nothing, false), 2);
    EXPECT_EQ(vmmu_hyperv_access_judge(&nothing, true), 3);
    EXPECT_EQ(vmmu_hyperv_access_judge(&rom, false), 0);
    EXPECT_EQ(vmmu_hyperv_access_judge(&rom, true), 3);
    EXPECT_EQ(vmmu_hyperv_access_judge(&ram, false), 0);
    EXPECT_EQ(vmmu_hyperv_access_judge(&ram, true), 0);
    EXPECT_EQ(vmmu_hyperv_access_judge(&code, false), 0);
    EXPECT_EQ(vmmu_hyperv_access_judge(&code, true), 4);
    EXPECT_EQ(vmmu_hyperv_access_judge(&assist, true), 0);
}

static void test_a_read_puts_out_its_code_and_its_data(void **state)
{
    const struct vmmu_hyperv_access access = { .bytes = 3 };
    uint8_t output[24];

    (void)state;
    memset(output, 0xEE, sizeof(output));
    vmmu_hyperv_read_output(&access, VMMU_HYPERV_ACCESS_SUCCESS, (const uint8_t *)"abc", output);
    assert_memory_equal(output, "\0\0\0\0\0\0\0\0abc\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    vmmu_hyperv_read_output(&access, VMMU_HYPERV_ACCESS_NO_READ, NULL, output);
    assert_memory_equal(output, "\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
}

static void test_a_write_puts_out_its_code(void **state)
{
    uint8_t output[9];

    (void)state;
    memset(output, 0xEE, sizeof(output));
    vmmu_hyperv_write_output(VMMU_HYPERV_ACCESS_NO_WRITE, output);
    assert_memory_equal(output, "\3\0\0\0\0\0\0\0\xEE", 9);
}

/* --- HvMapGpaPages, HvUnmapGpaPages --- */

static void test_map_lends_a_list_of_pages_16_at_a_go(void **state)
{
    const struct fixture f = parent_fixture();
    uint64_t words[3 + 20] = { CHILD_ID, 0x500, 3 };
    struct vmmu_hyperv_call_outcome outcome;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        words[3 + i] = 0x100 + i;
    }
    outcome = call_at(&f, 0x4B | COUNT(20), words);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_MAP);
    EXPECT_EQ(outcome.reps.first, 0);
    EXPECT_EQ(outcome.reps.count, 16);
    EXPECT_EQ(outcome.map.gpa.v, 0x500000);
    EXPECT_EQ(outcome.map.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE);
    EXPECT_EQ(vmmu_hyperv_map_source(&outcome, (const uint8_t *)words, 15).v, 0x10F000);
    outcome = call_at(&f, 0x4B | COUNT(20) | START(16), words);
    EXPECT_EQ(outcome.reps.count, 4);
    EXPECT_EQ(outcome.map.gpa.v, 0x510000);
    EXPECT_EQ(vmmu_hyperv_map_source(&outcome, (const uint8_t *)words, 0).v, 0x110000);
}

static uint64_t map_status(uint64_t base, uint64_t flags, unsigned count)
{
    static uint64_t words[3 + 64];
    const struct fixture f = parent_fixture();
    struct vmmu_hyperv_call_outcome outcome;

    words[0] = CHILD_ID;
    words[1] = base;
    words[2] = flags;
    outcome = call_at(&f, 0x4B | COUNT(count), words);
    return outcome.action == VMMU_HYPERV_CALL_MAP ? SUCCESS : outcome.end.value & 0xFFFF;
}

static void test_map_flags_are_rights_among_which_is_reading(void **state)
{
    (void)state;
    EXPECT_EQ(map_status(1, 0, 1), SUCCESS);
    EXPECT_EQ(map_status(1, 1, 1), SUCCESS);
    EXPECT_EQ(map_status(1, 2, 1), INVALID_PARAMETER);
    EXPECT_EQ(map_status(1, 3, 1), SUCCESS);
    EXPECT_EQ(map_status(1, 4, 1), INVALID_PARAMETER);
    EXPECT_EQ(map_status(1, 5, 1), SUCCESS);
    EXPECT_EQ(map_status(1, 6, 1), INVALID_PARAMETER);
    EXPECT_EQ(map_status(1, 7, 1), SUCCESS);
    for (unsigned bit = 3; bit < 32; bit++) {
        EXPECT_EQ(map_status(1, 1 | UINT64_C(1) << bit, 1), INVALID_PARAMETER);
    }
    EXPECT_EQ(map_status(1, 1 | UINT64_C(1) << 32, 1), SUCCESS); /* padding */
}

static void test_pages_lie_in_the_partitions_addresses(void **state)
{
    const struct fixture f = parent_fixture();
    const uint64_t last[2] = { CHILD_ID, (UINT64_C(1) << 28) - 1 };

    (void)state;
    EXPECT_EQ(map_status((UINT64_C(1) << 28) - 1, 1, 1), SUCCESS); /* of 40 bits of address */
    EXPECT_EQ(map_status((UINT64_C(1) << 28) - 1, 1, 2), INVALID_PARAMETER);
    EXPECT_EQ(map_status(UINT64_C(1) << 28, 1, 1), INVALID_PARAMETER);
    EXPECT_EQ(map_status(UINT64_MAX, 1, 64), INVALID_PARAMETER);
    EXPECT_EQ(call_at(&f, 0x4C | COUNT(1), last).action, VMMU_HYPERV_CALL_UNMAP);
    EXPECT_EQ(status_at(&f, 0x4C | COUNT(2), last), INVALID_PARAMETER);
}

static void test_a_page_to_lend_beyond_all_addresses_is_not_another(void **state)
{
    const struct fixture f = parent_fixture();
    const uint64_t words[4] = { CHILD_ID, 1, 1, UINT64_C(0x0010000000000001) };
    const struct vmmu_hyperv_call_outcome outcome = call_at(&f, 0x4B | COUNT(1), words);

    (void)state;
    EXPECT(vmmu_hyperv_map_source(&outcome, (const uint8_t *)words, 0).v >= UINT64_C(0x10000000000));
}

static void test_unmap_counts_pages_and_may_be_fast(void **state)
{
    const struct fixture f = parent_fixture();
    const struct vmmu_hyperv_caller caller = caller_of(0x4C | FAST | COUNT(40) | START(16), CHILD_ID, 0x700);
    const struct vmmu_hyperv_target_facts facts = facts_of(CHILD_ID);
    struct vmmu_hyperv_call_outcome outcome;
    struct vmmu_hyperv_call call;

    (void)state;
    EXPECT_EQ(vmmu_hyperv_call_decode(&f.partition, &caller, &call).action, VMMU_HYPERV_CALL_INPUT);
    EXPECT_EQ(vmmu_hyperv_call_target(&f.partition, &f.vp, &call, NULL).partition_id, CHILD_ID);
    outcome = vmmu_hyperv_call_perform(&f.partition, &f.vp, &call, NULL, &facts);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_CALL_UNMAP);
    EXPECT_EQ(outcome.map.gpa.v, 0x710000);
    EXPECT_EQ(outcome.reps.count, 16);
    EXPECT_EQ(outcome.map.rights, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_parent_calls_on_its_child),
        cmocka_unit_test(test_without_the_privilege_every_call_on_another_is_denied),
        cmocka_unit_test(test_unknown_partitions_are_invalid_ids),
        cmocka_unit_test(test_partitions_that_are_no_children_are_denied),
        cmocka_unit_test(test_a_partition_that_has_ended_is_in_an_invalid_state),
        cmocka_unit_test(test_absent_processors_are_invalid_indices),
        cmocka_unit_test(test_of_itself_a_partition_reads_registers_only),
        cmocka_unit_test(test_reading_ones_own_registers_takes_a_privilege),
        cmocka_unit_test(test_self_is_the_caller),
        cmocka_unit_test(test_calls_about_the_caller_name_no_target),
        cmocka_unit_test(test_register_calls_are_done_32_at_a_go),
        cmocka_unit_test(test_translate_takes_control_flags_and_a_page_number),
        cmocka_unit_test(test_accesses_are_of_1_to_16_bytes_within_a_page),
        cmocka_unit_test(test_accesses_name_a_cache_type_that_exists),
        cmocka_unit_test(test_an_access_comes_to_what_stands_at_its_address),
        cmocka_unit_test(test_a_read_puts_out_its_code_and_its_data),
        cmocka_unit_test(test_a_write_puts_out_its_code),
        cmocka_unit_test(test_map_lends_a_list_of_pages_16_at_a_go),
        cmocka_unit_test(test_map_flags_are_rights_among_which_is_reading),
        cmocka_unit_test(test_pages_lie_in_the_partitions_addresses),
        cmocka_unit_test(test_a_page_to_lend_beyond_all_addresses_is_not_another),
        cmocka_unit_test(test_unmap_counts_pages_and_may_be_fast),
    };

    return RUN_TESTS(tests);
}
