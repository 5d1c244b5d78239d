/* Eight hexadecimal digits in one word. */
#include <ctype.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tools/walk/hex.h"

static void test_every_character_in_every_place_is_a_digit_or_refused(void **state)
{
    (void)state;
    for (unsigned place = 0; place < HEX_DIGITS; place++) {
        for (unsigned character = 0; character < 256; character++) {
            char text[HEX_DIGITS + 1] = "a0F9f1B7";
            uint32_t value;
            unsigned expected;

            text[place] = (char)character;
            EXPECT_EQ(hex_parse(text, &value), character < 128 && isxdigit((int)character) != 0);
            if (character < 128 && isxdigit((int)character)) {
                EXPECT_EQ(sscanf(text, "%x", &expected), 1);
                EXPECT_EQ(value, expected);
            }
        }
    }
}

static void test_numbers_are_printed_with_all_eight_digits(void **state)
{
    uint32_t value = 1;

    (void)state;
    for (unsigned i = 0; i < 100000; i++, value = value * 1664525 + 1013904223) {
        char text[HEX_DIGITS + 1] = "";
        char expected[HEX_DIGITS + 1];

        hex_print(text, i < 70000 ? i : value);
        snprintf(expected, sizeof(expected), "%08x", i < 70000 ? i : value);
        assert_string_equal(text, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character_in_every_place_is_a_digit_or_refused),
        cmocka_unit_test(test_numbers_are_printed_with_all_eight_digits),
    };

    return RUN_TESTS(tests);
}
