/*
 * Plots: what is drawn where.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ui/plot.h"

static char *drawing;

static void draw(const struct plot *plot, bool alone)
{
    size_t length;
    FILE *to;

    free(drawing);
    drawing = NULL;
    to = open_memstream(&drawing, &length);
    if (alone) {
        plot_write_file(to, plot);
    } else {
        plot_write(to, plot);
    }
    fclose(to);
}

static unsigned count_of(const char *word)
{
    unsigned count = 0;

    for (const char *at = drawing; (at = strstr(at, word)) != NULL; at += strlen(word)) {
        count++;
    }
    return count;
}

/* The number behind @name in the @number'th element that begins with @element, from 0. */
static double attribute(const char *element, unsigned number, const char *name)
{
    const char *at = drawing - 1;

    for (unsigned i = 0; i <= number; i++) {
        at = strstr(at + 1, element);
        assert_non_null(at);
    }
    at = strstr(at, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static double bar_width(unsigned number)
{
    return attribute("<rect class=\"bar", number, " width=\"");
}

static const char *const names[] = { "port", "cpuid", "page-fault" };
static const double nested[] = { 100, 400, 0 }, shadow[] = { 200, 50, 800 };
static const struct plot_series both[] = { { "nested", nested }, { "shadow", shadow } };

static struct plot bars(void)
{
    return (struct plot){ .kind = PLOT_BARS,
                          .title = "Exits",
                          .value_label = "exits",
                          .names = names,
                          .count = 3,
                          .series = both,
                          .series_count = 2 };
}

static void expect_close(double seen, double expected)
{
    EXPECT(fabs(seen - expected) < 0.11); /* coordinates have one decimal */
}

static void test_a_bar_is_as_long_as_its_value(void **state)
{
    const struct plot plot = bars();
    (void)state;

    draw(&plot, false);
    EXPECT_EQ(count_of("<rect class=\"bar"), 6);
    expect_close(bar_width(0), bar_width(5) / 8);
    expect_close(bar_width(1), bar_width(5) / 4);
    expect_close(bar_width(2), bar_width(5) / 2);
    expect_close(bar_width(4), 0);
}

static void test_on_a_logarithmic_scale_equal_factors_are_equal_lengths(void **state)
{
    static const double values[] = { 1, 100, 10000 };
    static const struct plot_series series[] = { { "", values } };
    struct plot plot = bars();
    (void)state;

    plot.scale = PLOT_LOGARITHMIC;
    plot.series = series;
    plot.series_count = 1;
    draw(&plot, false);
    EXPECT(bar_width(0) > 1); /* the least value is seen, too */
    expect_close(bar_width(2) - bar_width(1), bar_width(1) - bar_width(0));
}

static void test_what_is_not_positive_has_a_bar_of_no_length_there(void **state)
{
    struct plot plot = bars();
    (void)state;

    plot.scale = PLOT_LOGARITHMIC;
    draw(&plot, false);
    expect_close(bar_width(4), 0);
    EXPECT_EQ(count_of("nan"), 0);
    EXPECT_EQ(count_of("inf"), 0);
}

static void test_negative_values_go_to_the_other_side_of_zero(void **state)
{
    static const double values[] = { -50, 100, 0 };
    static const struct plot_series series[] = { { "", values } };
    struct plot plot = bars();
    (void)state;

    plot.series = series;
    plot.series_count = 1;
    draw(&plot, false);
    expect_close(attribute("<rect class=\"bar", 0, " x=\"") + bar_width(0),
                 attribute("<rect class=\"bar", 1, " x=\""));
    expect_close(bar_width(0), bar_width(1) / 2);
}

static void test_values_that_are_no_numbers_are_left_out(void **state)
{
    static const double values[] = { NAN, INFINITY, 5 };
    static const struct plot_series series[] = { { "", values } };
    struct plot plot = bars();
    (void)state;

    plot.series = series;
    plot.series_count = 1;
    draw(&plot, false);
    EXPECT_EQ(count_of("<rect class=\"bar"), 1);
    EXPECT_EQ(count_of("nan"), 0);
    EXPECT_EQ(count_of("inf"), 0);
}

static void test_a_plot_without_any_value_is_still_one(void **state)
{
    struct plot plot = bars();
    (void)state;

    plot.count = 0;
    draw(&plot, false);
    EXPECT_EQ(count_of("</svg>"), 1);
    EXPECT_EQ(count_of("nan"), 0);
    plot.kind = PLOT_LINES;
    draw(&plot, false);
    EXPECT_EQ(count_of("</svg>"), 1);
    EXPECT_EQ(count_of("nan"), 0);
}

static void test_every_text_is_escaped(void **state)
{
    static const char *const hostile[] = { "<i>", "\"", "&" };
    static const struct plot_series series[] = { { "</svg>", nested }, { "'", shadow } };
    struct plot plot = bars();
    (void)state;

    plot.names = hostile;
    plot.series = series;
    plot.title = "<script>";
    plot.description = "<b>";
    plot.value_label = "<u>";
    draw(&plot, true);
    EXPECT_EQ(count_of("</svg>"), 1);
    EXPECT_EQ(count_of("<script>") + count_of("<i>") + count_of("<b>") + count_of("<u>"), 0);
    EXPECT(count_of("&lt;script&gt;") >= 2); /* for those who see, and for those who do not */
}

static const double x[] = { 1, 10, 100, 1000 };
static const double falling[] = { 80, 40, NAN, 0 };
static const struct plot_series one_line[] = { { "misses", falling } };

static struct plot lines(void)
{
    return (struct plot){ .kind = PLOT_LINES,
                          .x_scale = PLOT_LOGARITHMIC,
                          .title = "Misses",
                          .x = x,
                          .count = 4,
                          .series = one_line,
                          .series_count = 1 };
}

static void test_points_of_a_line_lie_where_their_values_say(void **state)
{
    const struct plot plot = lines();
    (void)state;

    draw(&plot, false);
    EXPECT_EQ(count_of("transform=\"translate("), 3);
    expect_close(attribute("translate(", 2, "translate(") - attribute("translate(", 0, "translate("),
                 3 * (attribute("translate(", 1, "translate(") - attribute("translate(", 0, "translate(")));
}

static void test_a_line_breaks_where_a_value_is_missing(void **state)
{
    const struct plot plot = lines();
    const char *path;
    (void)state;

    draw(&plot, false);
    path = strstr(drawing, " d=\"M");
    assert_non_null(path);
    EXPECT_EQ(strchr(path + 5, 'L') < strchr(path + 5, 'M'),
              true); /* one stroke, then the point behind the gap */
    EXPECT_EQ(strcspn(strchr(path + 5, 'M'), "L\"") == strcspn(strchr(path + 5, 'M'), "\""), true);
}

static void test_a_file_of_its_own_brings_its_style_and_its_ground(void **state)
{
    const struct plot plot = bars();
    (void)state;

    draw(&plot, true);
    EXPECT_EQ(strncmp(drawing, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39), 0);
    EXPECT_EQ(count_of("<style>"), 1);
    EXPECT_EQ(count_of("prefers-color-scheme:dark"), 2);
    draw(&plot, false);
    EXPECT_EQ(count_of("<style>"), 0);
}

static void test_several_series_have_a_legend_and_one_has_none(void **state)
{
    struct plot plot = bars();
    (void)state;

    draw(&plot, false);
    EXPECT_EQ(count_of("class=\"key\""), 2);
    plot.series_count = 1;
    draw(&plot, false);
    EXPECT_EQ(count_of("class=\"key\""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bar_is_as_long_as_its_value),
        cmocka_unit_test(test_on_a_logarithmic_scale_equal_factors_are_equal_lengths),
        cmocka_unit_test(test_what_is_not_positive_has_a_bar_of_no_length_there),
        cmocka_unit_test(test_negative_values_go_to_the_other_side_of_zero),
        cmocka_unit_test(test_values_that_are_no_numbers_are_left_out),
        cmocka_unit_test(test_a_plot_without_any_value_is_still_one),
        cmocka_unit_test(test_every_text_is_escaped),
        cmocka_unit_test(test_points_of_a_line_lie_where_their_values_say),
        cmocka_unit_test(test_a_line_breaks_where_a_value_is_missing),
        cmocka_unit_test(test_a_file_of_its_own_brings_its_style_and_its_ground),
        cmocka_unit_test(test_several_series_have_a_legend_and_one_has_none),
    };
    const int failed = RUN_TESTS(tests);

    free(drawing);
    return failed;
}
