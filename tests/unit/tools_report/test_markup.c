/*
 * Text of others' in markup, and numbers for people.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>

#include "tools/ui/markup.h"

/* What comes of @text, cut after @most characters. */
static void expect_cut(const char *text, size_t most, const char *expected)
{
    char *written = NULL;
    size_t length;
    FILE *to = open_memstream(&written, &length);

    markup_text_cut(to, text, most);
    fclose(to);
    assert_string_equal(written, expected);
    free(written);
}

static void expect_text(const char *text, const char *expected)
{
    expect_cut(text, SIZE_MAX, expected);
}

static void expect_number(double value, const char *expected)
{
    char text[MARKUP_NUMBER];

    markup_number(text, value);
    assert_string_equal(text, expected);
}

static void test_markup_is_escaped_for_elements_and_for_both_kinds_of_quotes(void **state)
{
    (void)state;
    expect_text("<a href=\"x\" b='y'>&amp;</a>",
                "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
}

static void test_utf_8_is_kept(void **state)
{
    (void)state;
    expect_text("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80");
}

#define LOST "\xEF\xBF\xBD"

static void test_bytes_that_are_no_utf_8_become_the_replacement_character(void **state)
{
    (void)state;
    expect_text("a\x80"
                "b",
                "a" LOST "b");
    expect_text("\xC3", LOST);                            /* ends in the middle */
    expect_text("\xC0\xBC", LOST LOST);                   /* '<' by a longer sequence than it needs */
    expect_text("\xED\xA0\x80", LOST LOST LOST);          /* a surrogate */
    expect_text("\xF4\x90\x80\x80", LOST LOST LOST LOST); /* beyond U+10FFFF */
    expect_text("\xFF\xFE", LOST LOST);
    expect_text("\xE2\x82<", LOST LOST "&lt;"); /* what breaks a sequence off is still escaped */
}

static void test_characters_that_no_document_may_have_become_it_too(void **state)
{
    (void)state;
    expect_text("\x01\x1B\x7F\xC2\x80\xEF\xBF\xBE", LOST LOST LOST LOST LOST LOST LOST LOST);
    expect_text("a\tb\nc", "a\tb\nc");
}

static void test_a_cut_counts_characters_and_is_seen(void **state)
{
    (void)state;
    expect_cut("\xC3\xA4\xC3\xB6<>", 3, "\xC3\xA4\xC3\xB6&lt;\xE2\x80\xA6");
    expect_cut("abc", 3, "abc");
    EXPECT_EQ(markup_width("\xC3\xA4\xC3\xB6<>"), 4);
}

static void test_counts_have_their_thousands_apart(void **state)
{
    char text[MARKUP_NUMBER];
    (void)state;

    expect_number(0, "0");
    expect_number(999, "999");
    expect_number(1000, "1,000");
    expect_number(-1234567, "-1,234,567");
    markup_count(text, UINT64_MAX);
    assert_string_equal(text, "18,446,744,073,709,551,615");
}

static void test_other_numbers_have_four_digits(void **state)
{
    (void)state;
    expect_number(21.234567, "21.23");
    expect_number(-0.00012345, "-0.0001234");
    expect_number(1e300, "1e+300");
    expect_number((double)INFINITY, "inf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markup_is_escaped_for_elements_and_for_both_kinds_of_quotes),
        cmocka_unit_test(test_utf_8_is_kept),
        cmocka_unit_test(test_bytes_that_are_no_utf_8_become_the_replacement_character),
        cmocka_unit_test(test_characters_that_no_document_may_have_become_it_too),
        cmocka_unit_test(test_a_cut_counts_characters_and_is_seen),
        cmocka_unit_test(test_counts_have_their_thousands_apart),
        cmocka_unit_test(test_other_numbers_have_four_digits),
    };
    return RUN_TESTS(tests);
}
