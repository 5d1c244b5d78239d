/* The records of a trace, there and back. */
#include <inttypes.h>
#include <string.h>

#include "bench/vpid/trace.h"
#include "tests/unit/test.h"

static const struct trace_record every_kind[] = {
    { TRACE_FETCH, UINT64_C(0xfffffffffffff), 0 },
    { TRACE_FETCH, 0, 0 },
    { TRACE_READ, UINT64_C(0x8000000000000), 0 },
    { TRACE_WRITE, UINT64_C(0x7fffffffffffe), 0 },
    { TRACE_TRANSLATION, UINT64_C(0x140c), UINT64_C(0xffffffffff) },
    { TRACE_ENTER, UINT64_C(0xffffffffff), UINT64_C(0xffff) | UINT64_C(3) << 16 | TRACE_ENTER_ASKED },
    { TRACE_EXIT, 0x400, 0 },
    { TRACE_LOAD_ROOT, 0x1234, 0 },
    { TRACE_INVLPG, UINT64_C(0xfffff81000000), 0 },
    { TRACE_FLUSH_PAGE, 0x400, 15 },
    { TRACE_MARK, 31, 0 },
    { TRACE_MERGED, UINT64_C(1) << 40, 0 },
};

#define KINDS (sizeof every_kind / sizeof every_kind[0])

static void test_every_record_is_read_as_it_was_written(void **state)
{
    uint8_t bytes[KINDS * TRACE_RECORD_BYTES];
    struct trace_sides writer = { 0 };
    struct trace_sides reader = { 0 };
    struct trace_record record;
    size_t length = 0;

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        const size_t one = trace_encode(&writer, &every_kind[i], bytes + length);

        EXPECT(one <= TRACE_RECORD_BYTES);
        length += one;
    }

    FILE *in = fmemopen(bytes, length, "r");

    EXPECT(in);
    for (size_t i = 0; i < KINDS; i++) {
        EXPECT(trace_decode(&reader, in, &record));
        EXPECT_EQ(record.kind, every_kind[i].kind);
        EXPECT_EQ(record.value, every_kind[i].value);
        EXPECT_EQ(record.more, every_kind[i].more);
    }
    EXPECT(!trace_decode(&reader, in, &record));
    fclose(in);
}

static void test_an_access_next_to_the_one_before_takes_one_byte(void **state)
{
    const struct trace_record there = { TRACE_READ, UINT64_C(0xfffff81000000), 0 };
    const struct trace_record next = { TRACE_READ, UINT64_C(0xfffff81000003), 0 };
    struct trace_sides sides = { 0 };
    uint8_t bytes[TRACE_RECORD_BYTES];

    (void)state;
    trace_encode(&sides, &there, bytes);
    EXPECT_EQ(trace_encode(&sides, &next, bytes), 1);
}

static void test_a_trace_that_is_cut_off_ends_there(void **state)
{
    const struct trace_record enter = { TRACE_ENTER, 0x1234, 1 };
    struct trace_sides sides = { 0 };
    struct trace_record record;
    uint8_t bytes[TRACE_RECORD_BYTES];
    const size_t length = trace_encode(&sides, &enter, bytes);

    (void)state;
    for (size_t cut = 1; cut < length; cut++) {
        FILE *in = fmemopen(bytes, cut, "r");

        EXPECT(in);
        EXPECT(!trace_decode(&sides, in, &record));
        fclose(in);
    }
}

static void test_a_number_without_an_end_is_no_record(void **state)
{
    struct trace_sides sides = { 0 };
    struct trace_record record;
    uint8_t bytes[32];

    (void)state;
    memset(bytes, 0xff, sizeof bytes);

    FILE *in = fmemopen(bytes, sizeof bytes, "r");

    EXPECT(in);
    EXPECT(!trace_decode(&sides, in, &record));
    fclose(in);
}

static void test_a_translation_is_told_whole(void **state)
{
    static const struct trace_translation translations[] = {
        { 12, 4, false, false, 0 },
        { 21, 24, true, true, UINT64_C(0xffffffffff) },
        { 30, 2, true, false, 1 },
        { 39, 35, false, true, 0x12345 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof translations / sizeof translations[0]; i++) {
        const struct trace_record record = trace_translation_record(&translations[i]);
        const struct trace_translation back = trace_translation_of(&record);

        EXPECT_EQ(record.kind, TRACE_TRANSLATION);
        for (size_t j = 0; j < sizeof translations / sizeof translations[0]; j++) {
            EXPECT_EQ(trace_is_same(&back, &translations[j]), i == j);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_record_is_read_as_it_was_written),
        cmocka_unit_test(test_an_access_next_to_the_one_before_takes_one_byte),
        cmocka_unit_test(test_a_trace_that_is_cut_off_ends_there),
        cmocka_unit_test(test_a_number_without_an_end_is_no_record),
        cmocka_unit_test(test_a_translation_is_told_whole),
    };

    return RUN_TESTS(tests);
}
