/*
 * What is #UD, what is too long, what is unknown, and that no input makes the decoder read where it must
 * not. Spec: SDM 2 "Instruction Set Reference" (the #UD conditions of each), "LOCK-Assert LOCK# Signal
 * Prefix", SDM 3A "Interrupt 13-General Protection Exception".
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/insn/describe.h"
#include "tests/unit/test.h"

static enum vmmu_status decode_text(enum vmmu_insn_width width, const char *text, struct vmmu_insn *insn)
{
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES] = { 0 };

    insn_parse_bytes(text, bytes, sizeof(bytes));
    return vmmu_insn_decode(bytes, sizeof(bytes), width, insn);
}

static void expect_all(enum vmmu_insn_width width, enum vmmu_status status, const char *const *texts)
{
    struct vmmu_insn insn;

    for (; *texts; texts++) {
        const enum vmmu_status actual = decode_text(width, *texts, &insn);

        if (actual != status)
            fail_msg("%s gives %d, not %d", *texts, actual, status);
        if (status == VMMU_GUEST_FAULT)
            EXPECT(insn.fault.vector == 6 && !insn.fault.has_error_code);
    }
}

#define EXPECT_UD(width, ...)                                                                                \
    expect_all((width), VMMU_GUEST_FAULT, (const char *const[]){ __VA_ARGS__, NULL })
#define EXPECT_UNKNOWN(width, ...)                                                                           \
    expect_all((width), VMMU_UNSUPPORTED, (const char *const[]){ __VA_ARGS__, NULL })

static void test_lock_is_ud_without_a_memory_destination(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "F0 01 C8", "F0 87 C8", "F0 0F B1 C8", "F0 FF C0", "F0 0F BA E8 01", "F0 03 08");
}

static void test_lock_is_ud_on_what_cannot_be_locked(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "F0 89 08", "F0 8B 08", "F0 39 08", "F0 84 08", "F0 0F A3 08", "F0 0F BA 20 01",
              "F0 C6 00 00", "F0 A4", "F0 FF 30", "F0 8F 00", "F0 0F A2", "F0 90", "F0 F4", "F0 0F B6 08",
              "F0 C1 20 03", "F0 83 38 01", "F0 F6 00 01", "F0 0F 01 38", "F0 0F 20 C0", "F0 6C");
}

static void test_mov_to_cs_is_ud(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "8E C8", "8E 08");
    EXPECT_UD(VMMU_INSN_16, "8E C8", "8E 0F");
}

static void test_segment_registers_6_and_7_are_ud(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "8C F0", "8C 38", "8E F0", "8E 38");
    EXPECT_UD(VMMU_INSN_32, "8C F0", "8E F8");
}

static void test_control_registers_that_do_not_exist_are_ud(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "0F 20 C8", "0F 22 E8", "0F 20 F0", "0F 22 F8", "44 0F 20 C8", "44 0F 22 F8");
    EXPECT_UD(VMMU_INSN_32, "0F 20 C8", "0F 22 F8");
}

static void test_debug_registers_above_7_are_ud(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "44 0F 21 C0", "44 0F 23 F8");
}

static void test_a_register_where_memory_is_required_is_ud(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "0F C7 C8", "48 0F C7 C9", "0F C3 C0", "0F 38 F0 C0", "0F 38 F1 C8",
              "66 0F 38 82 C0");
}

static void test_what_64_bit_mode_has_dropped_is_ud(void **state)
{
    (void)state;
    EXPECT_UD(VMMU_INSN_64, "06", "07", "0E", "16", "17", "1E", "1F", "27", "2F", "37", "3F", "60", "61",
              "82 00 00", "9A", "CE", "D4 0A", "D5 0A", "EA");
}

static void test_unknown_instructions_are_unsupported_and_never_guessed(void **state)
{
    (void)state;
    EXPECT_UNKNOWN(VMMU_INSN_64, "0F 10 00", "0F 6F 00", "66 0F 7F 00", "D9 00", "C5 F8 77", "C4 E2 79 18 00",
                   "62 F1 7C 48 10 00", "0F AE 00", "E8 00 00 00 00", "C3", "EB FE", "70 00", "FF 20",
                   "F6 20", "F7 30", "0F B8 C0", "F3 0F B8 C0", "8D 00", "0F 05", "0F 00 D8", "0F 01 10",
                   "0F 01 CA", "0F C7 30", "0F C7 F0", "8E D8", "F2 0F 38 F0 C0", "0F 38 00 C0",
                   "0F 3A 0F C0 00", "8F 08", "C6 F8 00", "FE 10", "0F BA 00 01", "0F 01 F8", "0F 01 D4",
                   "0F 40 08", "0F 94 00");
    EXPECT_UNKNOWN(VMMU_INSN_32, "63 08", "07", "1F", "60", "C4 00", "62 00", "27", "E8", "E9", "8E D8");
}

static void test_prefixes_that_make_another_instruction_are_unsupported(void **state)
{
    (void)state;
    EXPECT_UNKNOWN(VMMU_INSN_64, "66 0F C3 08", "F3 0F C3 08", "66 F2 0F 38 F1 08", "0F 38 82 08",
                   "F3 66 0F 38 82 08", "F3 41 90", "66 0F 01 C1", "F2 0F 01 D0");
}

static void test_more_than_15_bytes_are_a_general_protection_fault(void **state)
{
    uint8_t bytes[16];
    struct vmmu_insn insn;

    (void)state;
    memset(bytes, 0x66, sizeof(bytes));
    bytes[13] = 0x89;
    bytes[14] = 0x08;
    EXPECT_EQ(vmmu_insn_decode(bytes, 16, VMMU_INSN_64, &insn), VMMU_OK);
    EXPECT_EQ(insn.length, 15);

    bytes[14] = 0x48; /* a displacement of one byte would be the sixteenth */
    EXPECT_EQ(vmmu_insn_decode(bytes, 16, VMMU_INSN_64, &insn), VMMU_GUEST_FAULT);
    EXPECT(insn.fault.vector == 13 && insn.fault.has_error_code && insn.fault.error_code == 0);

    memset(bytes, 0x66, sizeof(bytes));
    EXPECT_EQ(vmmu_insn_decode(bytes, 15, VMMU_INSN_16, &insn), VMMU_GUEST_FAULT);
    EXPECT_EQ(insn.fault.vector, 13);
    EXPECT_EQ(vmmu_insn_decode(bytes, 14, VMMU_INSN_16, &insn), VMMU_ABSENT);
}

static void test_no_bytes_are_absent(void **state)
{
    struct vmmu_insn insn;
    const uint8_t byte = 0x90;

    (void)state;
    EXPECT_EQ(vmmu_insn_decode(&byte, 0, VMMU_INSN_64, &insn), VMMU_ABSENT);
}

/* Exactly as many bytes as are given may be read: the heap block ends there, and the sanitizer watches it. */
static void decode_random(enum vmmu_insn_width width, unsigned count)
{
    uint8_t *bytes = malloc(count ? count : 1);
    uint8_t more[VMMU_X86_INSN_MAX_BYTES];
    struct vmmu_insn insn;
    struct vmmu_insn again;
    enum vmmu_status status;

    if (!bytes)
        abort();
    for (unsigned i = 0; i < count; i++)
        bytes[i] = (uint8_t)(rand() >> 4);
    status = vmmu_insn_decode(bytes, count, width, &insn);
    EXPECT(status == VMMU_OK || status == VMMU_ABSENT || status == VMMU_GUEST_FAULT ||
           status == VMMU_UNSUPPORTED);
    EXPECT(status != VMMU_ABSENT || count < VMMU_X86_INSN_MAX_BYTES);
    if (status == VMMU_OK) {
        EXPECT(insn.length >= 1 && insn.length <= count && insn.length <= VMMU_X86_INSN_MAX_BYTES);
        EXPECT(insn.operation > VMMU_INSN_NONE && insn.operation < VMMU_INSN_OPERATIONS);
        /* What stands behind the instruction has no say. */
        memset(more, 0xFF, sizeof(more));
        memcpy(more, bytes, insn.length);
        EXPECT_EQ(vmmu_insn_decode(more, sizeof(more), width, &again), VMMU_OK);
        EXPECT_EQ(again.length, insn.length);
        EXPECT_EQ(again.operation, insn.operation);
    }
    free(bytes);
}

static void test_random_bytes_are_never_read_past_their_count(void **state)
{
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++)
        decode_random((enum vmmu_insn_width)(i % 3), i % 17);
}

static void test_the_cache_gives_what_decoding_gives(void **state)
{
    static struct vmmu_insn_cache cache;
    uint8_t bytes[64][VMMU_X86_INSN_MAX_BYTES];

    (void)state;
    srand(2);
    for (unsigned i = 0; i < 64; i++) {
        for (unsigned j = 0; j < VMMU_X86_INSN_MAX_BYTES; j++)
            bytes[i][j] = (uint8_t)(rand() >> 4);
        bytes[i][0] = 0x89;
    }
    for (unsigned i = 0; i < 20000; i++) {
        const uint8_t *chosen = bytes[rand() % (i % 2 ? 64 : 4)];
        const unsigned count = rand() % 8 == 0 ? 3 : VMMU_X86_INSN_MAX_BYTES;
        const enum vmmu_insn_width width = (enum vmmu_insn_width)(rand() % 3);
        const struct vmmu_insn *cached;
        struct vmmu_insn fresh;
        struct insn_text cached_text;
        struct insn_text fresh_text;
        const enum vmmu_status status = vmmu_insn_decode(chosen, count, width, &fresh);

        EXPECT_EQ(vmmu_insn_decode_cached(&cache, chosen, count, width, &cached), status);
        if (status != VMMU_OK)
            continue;
        cached_text = insn_describe(cached);
        fresh_text = insn_describe(&fresh);
        assert_string_equal(cached_text.text, fresh_text.text);
        EXPECT(cached->length == fresh.length && cached->width == fresh.width);
    }
}

static void test_the_cache_tells_apart_what_differs_behind_the_eighth_byte(void **state)
{
    static struct vmmu_insn_cache cache;
    uint8_t bytes[VMMU_X86_INSN_MAX_BYTES] = { 0x48, 0xC7, 0x04, 0x25, 0, 0, 0, 0, 1 };
    const struct vmmu_insn *insn;

    (void)state;
    for (unsigned i = 1; i < 200; i++) {
        bytes[8] = (uint8_t)i; /* the immediate */
        EXPECT_EQ(vmmu_insn_decode_cached(&cache, bytes, sizeof(bytes), VMMU_INSN_64, &insn), VMMU_OK);
        EXPECT_EQ(insn->immediate, i);
    }
}

static void test_the_cache_does_not_decode_again_what_it_holds(void **state)
{
    static struct vmmu_insn_cache cache;
    const uint8_t bytes[VMMU_X86_INSN_MAX_BYTES] = { 0xB8, 0x01 };
    const struct vmmu_insn *insn;

    (void)state;
    EXPECT_EQ(vmmu_insn_decode_cached(&cache, bytes, sizeof(bytes), VMMU_INSN_64, &insn), VMMU_OK);
    for (unsigned i = 0; i < VMMU_INSN_CACHE_ENTRIES; i++)
        cache.entries[i].insn.immediate = 77;
    EXPECT_EQ(vmmu_insn_decode_cached(&cache, bytes, sizeof(bytes), VMMU_INSN_64, &insn), VMMU_OK);
    EXPECT_EQ(insn->immediate, 77);
}

static void test_a_fault_found_again_in_the_cache_is_still_a_fault(void **state)
{
    static struct vmmu_insn_cache cache;
    const uint8_t undefined[VMMU_X86_INSN_MAX_BYTES] = { 0xF0, 0x90 };
    const struct vmmu_insn *insn;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(vmmu_insn_decode_cached(&cache, undefined, sizeof(undefined), VMMU_INSN_64, &insn),
                  VMMU_GUEST_FAULT);
        EXPECT_EQ(insn->fault.vector, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_is_ud_without_a_memory_destination),
        cmocka_unit_test(test_lock_is_ud_on_what_cannot_be_locked),
        cmocka_unit_test(test_mov_to_cs_is_ud),
        cmocka_unit_test(test_segment_registers_6_and_7_are_ud),
        cmocka_unit_test(test_control_registers_that_do_not_exist_are_ud),
        cmocka_unit_test(test_debug_registers_above_7_are_ud),
        cmocka_unit_test(test_a_register_where_memory_is_required_is_ud),
        cmocka_unit_test(test_what_64_bit_mode_has_dropped_is_ud),
        cmocka_unit_test(test_unknown_instructions_are_unsupported_and_never_guessed),
        cmocka_unit_test(test_prefixes_that_make_another_instruction_are_unsupported),
        cmocka_unit_test(test_more_than_15_bytes_are_a_general_protection_fault),
        cmocka_unit_test(test_no_bytes_are_absent),
        cmocka_unit_test(test_random_bytes_are_never_read_past_their_count),
        cmocka_unit_test(test_the_cache_gives_what_decoding_gives),
        cmocka_unit_test(test_the_cache_tells_apart_what_differs_behind_the_eighth_byte),
        cmocka_unit_test(test_the_cache_does_not_decode_again_what_it_holds),
        cmocka_unit_test(test_a_fault_found_again_in_the_cache_is_still_a_fault),
    };

    return RUN_TESTS(tests);
}
