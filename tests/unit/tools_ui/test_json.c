/* JSON that came from outside: a member of another type, or beyond its range, is as good as missing. */
#include "tools/ui/json.h"

#include "tests/unit/test.h"

static struct json_object *document(const char *text)
{
    struct json_object *object = json_tokener_parse(text);

    EXPECT(object != NULL);
    return object;
}

static void test_numbers_are_numbers_or_hexadecimal_strings(void **state)
{
    struct json_object *object =
        document("{\"a\": 7, \"b\": \"0xffffffffffffffff\", \"c\": 18446744073709551615}");
    uint64_t value = 0;

    (void)state;
    EXPECT(json_get_number(object, "a", &value));
    EXPECT_EQ(value, 7);
    EXPECT(json_get_number(object, "b", &value));
    EXPECT_EQ(value, UINT64_MAX);
    EXPECT(json_get_number(object, "c", &value));
    EXPECT_EQ(value, UINT64_MAX);
    json_object_put(object);
}

static void test_what_is_no_number_is_refused(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "7",
        "{\"a\": -1}",
        "{\"a\": 1.5}",
        "{\"a\": null}",
        "{\"a\": \"7\"}",
        "{\"a\": \"0x\"}",
        "{\"a\": \"0x-1\"}",
        "{\"a\": \"0x 1\"}",
        "{\"a\": \"0x0x1\"}",
        "{\"a\": \"0X1\"}",
        "{\"a\": \"0x1g\"}",
        "{\"a\": \"0x10000000000000000\"}",
        "{\"a\": {\"a\": 1}}",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct json_object *object = document(texts[i]);
        uint64_t value = 99;

        EXPECT(!json_get_number(object, "a", &value));
        json_object_put(object);
    }
}

static void test_members_of_another_type_are_missing(void **state)
{
    struct json_object *object = document("{\"text\": \"t\", \"array\": [1], \"object\": {}}");
    const char *text = "";

    (void)state;
    EXPECT(json_get_text(object, "text", &text));
    assert_string_equal(text, "t");
    EXPECT(!json_get_text(object, "array", &text));
    EXPECT(text == NULL);
    EXPECT(json_get_array(object, "array") != NULL);
    EXPECT(json_get_array(object, "object") == NULL);
    EXPECT(json_get_object(object, "object") != NULL);
    EXPECT(json_get_object(object, "text") == NULL);
    EXPECT(json_get_object(NULL, "text") == NULL);
    json_object_put(object);
}

static void test_addresses_are_written_as_hexadecimal_strings(void **state)
{
    struct json_object *object = json_object_new_object();

    (void)state;
    json_put_hex(object, "at", UINT64_C(0xffff800000000000));
    json_put_number(object, "count", UINT64_MAX);
    json_put_flag(object, "yes", true);
    json_put_text(object, "none", NULL);
    assert_string_equal(
        json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN),
        "{\"at\":\"0xffff800000000000\",\"count\":18446744073709551615,\"yes\":true,\"none\":null}");
    json_object_put(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_numbers_or_hexadecimal_strings),
        cmocka_unit_test(test_what_is_no_number_is_refused),
        cmocka_unit_test(test_members_of_another_type_are_missing),
        cmocka_unit_test(test_addresses_are_written_as_hexadecimal_strings),
    };

    return RUN_TESTS(tests);
}
