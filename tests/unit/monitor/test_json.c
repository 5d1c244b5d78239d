/* The JSON writer: what comes out is JSON, whatever goes in. */
#include "hv/monitor/json.h"

#include <string.h>

#include "tests/unit/test.h"

struct sink {
    char text[512];
    unsigned length;
};

static void put(void *context, char character)
{
    struct sink *sink = context;

    EXPECT(sink->length < sizeof sink->text - 1);
    sink->text[sink->length++] = character;
    sink->text[sink->length] = '\0';
}

static void test_members_are_separated_by_commas_and_nesting_starts_anew(void **state)
{
    struct sink sink = { 0 };
    struct json json = { .context = &sink, .put = put };

    (void)state;
    json_object(&json, NULL);
    json_number(&json, "a", 0);
    json_array(&json, "b");
    json_number(&json, NULL, 1);
    json_number(&json, NULL, UINT64_MAX);
    json_end_array(&json);
    json_object(&json, "c");
    json_end_object(&json);
    json_hex(&json, "d", 0);
    json_hex(&json, "e", UINT64_C(0xFEDCBA9876543210));
    json_flag(&json, "f", true);
    json_flag(&json, "g", false);
    json_end_object(&json);
    EXPECT(strcmp(sink.text, "{\"a\":0,\"b\":[1,18446744073709551615],\"c\":{},\"d\":\"0x0\","
                             "\"e\":\"0xfedcba9876543210\",\"f\":true,\"g\":false}") == 0);
}

static void test_quotes_backslashes_and_other_bytes_are_escaped(void **state)
{
    struct sink sink = { 0 };
    struct json json = { .context = &sink, .put = put };

    (void)state;
    json_array(&json, NULL);
    json_text(&json, NULL, "a\"b\\c\n\x7f\xff");
    json_text(&json, NULL, NULL);
    json_bytes(&json, NULL, (const uint8_t[]){ 0x0F, 0xA2 }, 2);
    json_end_array(&json);
    EXPECT(strcmp(sink.text, "[\"a\\\"b\\\\c\\u000a\\u007f\\u00ff\",\"\",\"0fa2\"]") == 0);
}

static void test_a_text_may_come_byte_by_byte_and_hold_any(void **state)
{
    struct sink sink = { 0 };
    struct json json = { .context = &sink, .put = put };

    (void)state;
    json_object(&json, NULL);
    json_text_begin(&json, "a");
    json_text_byte(&json, 'x');
    json_text_byte(&json, 0);
    json_text_byte(&json, '"');
    json_text_end(&json);
    json_text_begin(&json, "b");
    json_text_end(&json);
    json_number(&json, "c", 1);
    json_end_object(&json);
    EXPECT(strcmp(sink.text, "{\"a\":\"x\\u0000\\\"\",\"b\":\"\",\"c\":1}") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_separated_by_commas_and_nesting_starts_anew),
        cmocka_unit_test(test_quotes_backslashes_and_other_bytes_are_escaped),
        cmocka_unit_test(test_a_text_may_come_byte_by_byte_and_hold_any),
    };

    return RUN_TESTS(tests);
}
