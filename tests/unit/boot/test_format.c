/*
 * Formatted text: what the C standard says of printf, for the part of it that is ours.
 */
#include "tests/unit/test.h"

#include "hv/boot/format.h"

#include <limits.h>
#include <string.h>

static char text[256];
static unsigned used;

static void put(void *context, char character)
{
    EXPECT(context == text);
    EXPECT(used + 1 < sizeof(text));
    text[used++] = character;
    text[used] = '\0';
}

__attribute__((format(printf, 1, 2))) static const char *formatted(const char *format, ...)
{
    const struct format_sink sink = { text, put };
    va_list values;
    used = 0;
    text[0] = '\0';
    va_start(values, format);
    format_text(&sink, format, values);
    va_end(values);
    return text;
}

static void test_text_without_conversions_is_sent_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(formatted("plain text\n"), "plain text\n");
    assert_string_equal(formatted("100%%"), "100%");
}

static void test_integers_of_every_length(void **state)
{
    (void)state;
    assert_string_equal(formatted("%d %i %u", -5, 7, 4000000000U), "-5 7 4000000000");
    assert_string_equal(formatted("%ld %lu", LONG_MIN, ULONG_MAX),
                        "-9223372036854775808 18446744073709551615");
    assert_string_equal(formatted("%lld %llu", LLONG_MAX, 0ULL), "9223372036854775807 0");
    assert_string_equal(
        formatted("%hhu %hu %hhd %hd", (unsigned char)200, (unsigned short)60000, (signed char)-1, (short)-2),
        "200 60000 -1 -2");
    assert_string_equal(formatted("%zu", (size_t)1 << 40), "1099511627776");
    assert_string_equal(formatted("%x %X %lx %llx", 0xbeefU, 0xBEEFU, 0xfedcba9876543210UL, 1ULL),
                        "beef BEEF fedcba9876543210 1");
}

static void test_widths_pad_on_the_left_with_blanks_or_zeros_or_on_the_right(void **state)
{
    (void)state;
    assert_string_equal(formatted("[%5d][%-5d][%05d]", 42, 42, 42), "[   42][42   ][00042]");
    assert_string_equal(formatted("[%5d][%-5d][%05d]", -42, -42, -42), "[  -42][-42  ][-0042]");
    assert_string_equal(formatted("[%2d][%-2d][%02d]", 1234, 1234, 1234), "[1234][1234][1234]");
    char both[] = "[%-05d]"; /* the compiler would warn of what the standard allows: '-' wins */
    assert_string_equal(formatted(both, 42), "[42   ]");
    assert_string_equal(formatted("[%016lx]", 0x1234UL), "[0000000000001234]");
    assert_string_equal(formatted("[%*d][%-*d]", 4, 1, 4, 2), "[   1][2   ]");
}

static void test_strings_and_characters(void **state)
{
    (void)state;
    assert_string_equal(formatted("[%s][%6s][%-6s][%c]", "abc", "abc", "abc", 'x'),
                        "[abc][   abc][abc   ][x]");
    assert_string_equal(formatted("[%.2s][%.*s][%.0s]", "abc", 1, "abc", "abc"), "[ab][a][]");
    const char *const volatile none = NULL;
    assert_string_equal(formatted("[%s]", none), "[(null)]");
}

static void test_a_precision_keeps_a_string_without_an_end_from_being_read_on(void **state)
{
    (void)state;
    static const char letters[3] = { 'a', 'b', 'c' };
    assert_string_equal(formatted("%.3s", letters), "abc");
}

static void test_pointers_are_hexadecimal(void **state)
{
    (void)state;
    assert_string_equal(formatted("%p", (void *)(uintptr_t)0x1000), "1000");
}

static void test_what_is_unknown_is_sent_as_it_stands(void **state)
{
    (void)state;
    char unknown[] = "a%qb %"; /* not constant, so that the compiler does not check it */
    assert_string_equal(formatted(unknown, 1), "a%qb %");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_without_conversions_is_sent_as_it_is),
        cmocka_unit_test(test_integers_of_every_length),
        cmocka_unit_test(test_widths_pad_on_the_left_with_blanks_or_zeros_or_on_the_right),
        cmocka_unit_test(test_strings_and_characters),
        cmocka_unit_test(test_a_precision_keeps_a_string_without_an_end_from_being_read_on),
        cmocka_unit_test(test_pointers_are_hexadecimal),
        cmocka_unit_test(test_what_is_unknown_is_sent_as_it_stands),
    };
    return RUN_TESTS(tests);
}
