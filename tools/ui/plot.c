/*
 * Plots as SVG. Everything is laid out in one system of units, WIDTH of them wide; letters are taken to be LETTER wide, which
 * the usual fonts keep within at this size.
 */
#include "tools/ui/plot.h"

#include <math.h>

#include "tools/ui/markup.h"

#define WIDTH         720.0
#define LETTER        6.7
#define LINE_UNITS    16.0 /* of text */
#define BAR_UNITS     14.0
#define GAP_UNITS     9.0
#define VALUE_UNITS   96.0 /* for the value behind the longest bar */
#define NAME_LETTERS  34
#define LINES_HEIGHT  300.0
#define SWATCH_UNITS  22.0
#define MOST_TICKS    24
#define WANTED_TICKS  5
#define LABEL_LETTERS 60

struct scale {
    enum plot_scale kind;
    double low, high; /* values; logarithms of them if the scale is logarithmic */
    double from, to;  /* where those two lie */
};

struct ticks {
    double at[MOST_TICKS]; /* values */
    unsigned count;
};

struct canvas {
    FILE *to;
    const struct plot *plot;
    double top, left, right, bottom; /* the field between the axes */
    double height;                   /* of all of it */
    struct scale x, y;               /* bars have no y */
};

static const char style[] =
    ".plot{--p0:#0072b2;--p1:#d55e00;--p2:#009e73;--p3:#b0518f;--p4:#8a6d00;--p5:#3b9bd6;--p6:#555;--p7:#"
    "a31f34}\n"
    ".plot text{fill:currentColor;font:12px system-ui,sans-serif}\n"
    ".plot .grid{stroke:currentColor;stroke-opacity:.18}\n"
    ".plot .axis{stroke:currentColor;stroke-opacity:.6}\n"
    ".plot .head{font-size:14px;font-weight:600}\n"
    ".plot .line{fill:none;stroke-width:2}\n"
    ".plot .c0{fill:var(--p0);stroke:var(--p0)}.plot .c1{fill:var(--p1);stroke:var(--p1)}\n"
    ".plot .c2{fill:var(--p2);stroke:var(--p2)}.plot .c3{fill:var(--p3);stroke:var(--p3)}\n"
    ".plot .c4{fill:var(--p4);stroke:var(--p4)}.plot .c5{fill:var(--p5);stroke:var(--p5)}\n"
    ".plot .c6{fill:var(--p6);stroke:var(--p6)}.plot .c7{fill:var(--p7);stroke:var(--p7)}\n"
    ".plot .line{fill:none}\n"
    "@media screen and (prefers-color-scheme:dark){.plot{--p0:#56b4e9;--p1:#f08a3c;--p2:#2fc79a;--p3:#e08cc0;"
    "--p4:#e3c23c;--p5:#8ccfff;--p6:#bbb;--p7:#ff7d8e}}\n";

const char *plot_style(void)
{
    return style;
}

/* --- scales ---------------------------------------------------------------------------------------------------- */

static bool is_shown(enum plot_scale kind, double value)
{
    return isfinite(value) && (kind == PLOT_LINEAR || value > 0);
}

static double scaled(enum plot_scale kind, double value)
{
    return kind == PLOT_LOGARITHMIC ? log10(value) : value;
}

static double place(const struct scale *scale, double value)
{
    const double part = (scaled(scale->kind, value) - scale->low) / (scale->high - scale->low);

    return scale->from + part * (scale->to - scale->from);
}

static void widen(struct scale *scale, double value)
{
    if (is_shown(scale->kind, value)) {
        const double at = scaled(scale->kind, value);

        scale->low = at < scale->low ? at : scale->low;
        scale->high = at > scale->high ? at : scale->high;
    }
}

/* 1, 2 or 5 times a power of ten, so that about WANTED_TICKS of it make @range. */
static double nice_step(double range)
{
    const double rough = range / WANTED_TICKS;
    const double power = pow(10, floor(log10(rough)));
    const double digit = rough / power;

    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

/* Round @scale to whole ticks, and give them. A scale that has seen no value, or only one, gets some width. */
static void finish(struct scale *scale, bool from_zero, struct ticks *ticks)
{
    const bool logarithmic = scale->kind == PLOT_LOGARITHMIC;
    double step;

    if (scale->low > scale->high) {
        scale->low = scale->high = 0;
    }
    if (!logarithmic && from_zero) {
        scale->low = scale->low < 0 ? scale->low : 0;
        scale->high = scale->high > 0 ? scale->high : 0;
    }
    if (scale->high - scale->low <= fabs(scale->high) * 1e-9) {
        scale->high = scale->high == 0 ? 1 : scale->high + fabs(scale->high) * 0.5;
    }
    step =
        logarithmic ? ceil((ceil(scale->high) - floor(scale->low)) / 8) : nice_step(scale->high - scale->low);
    scale->low = floor(scale->low / step + 1e-9) * step;
    scale->high = ceil(scale->high / step - 1e-9) * step;
    ticks->count = 0;
    for (double at = scale->low; at <= scale->high + step * 0.01 && ticks->count < MOST_TICKS; at += step) {
        ticks->at[ticks->count++] = logarithmic ? pow(10, at) : at;
    }
}

/* The place of a tick's line, and its words: 5, 20 k, 1.5 M. */
static void tick_words(char text[MARKUP_NUMBER], double value)
{
    static const char *const units[] = { "", " k", " M", " G", " T" };
    unsigned unit = 0;

    if (fabs(value) < 1e-12) {
        value = 0;
    }
    while (fabs(value) >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    snprintf(text, MARKUP_NUMBER, "%.4g%s", value, units[unit]);
}

/* --- what both kinds have -------------------------------------------------------------------------------------- */

struct point {
    double x, y;
};

static void put_text(const struct canvas *canvas, struct point at, const char *attributes, const char *text)
{
    fprintf(canvas->to, "<text x=\"%.1f\" y=\"%.1f\" %s>", at.x, at.y, attributes);
    markup_text_cut(canvas->to, text, LABEL_LETTERS);
    fputs("</text>\n", canvas->to);
}

static void put_line(const struct canvas *canvas, const char *class, struct point from, struct point to)
{
    fprintf(canvas->to, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
            from.x, from.y, to.x, to.y);
}

/* What the pointer is told over the element around it. */
static void put_hint(const struct canvas *canvas, const char *series, const char *name, double value)
{
    char number[MARKUP_NUMBER];

    markup_number(number, value);
    fputs("<title>", canvas->to);
    markup_text(canvas->to, series);
    fputs(*series && *name ? ", " : "", canvas->to);
    markup_text(canvas->to, name);
    fprintf(canvas->to, ": %s</title>", number);
}

static void put_marker(const struct canvas *canvas, unsigned series, struct point at)
{
    static const char *const shapes[PLOT_COLOURS] = {
        "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
        "M-3 -3h6v6h-6z",
        "M0 -4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
        "M0 -4l4 7h-8z",
        "M0 4l4 -7h-8z",
        "M-4 -1h8v2h-8z",
        "M-1 -4h2v8h-2z",
        "M-4 -4l8 8M-4 4l8 -8",
    };

    fprintf(canvas->to, "<path class=\"c%u\" transform=\"translate(%.1f %.1f)\" d=\"%s\">",
            series % PLOT_COLOURS, at.x, at.y, shapes[series % PLOT_COLOURS]);
}

static const char *dashes_of(unsigned series)
{
    static const char *const dashes[] = { "none", "7 3", "2 3", "9 3 2 3" };

    return dashes[series % (sizeof(dashes) / sizeof(dashes[0]))];
}

/* The series' names, in as many lines as they need. Draws nothing if not @drawn; returns the height. */
static double legend(const struct canvas *canvas, double top, bool drawn)
{
    const struct plot *plot = canvas->plot;
    struct point at = { 0, top };

    if (plot->series_count < 2) {
        return 0;
    }
    for (unsigned i = 0; i < plot->series_count; i++) {
        const size_t letters = markup_width(plot->series[i].name);
        const double width =
            SWATCH_UNITS + 18 + LETTER * (double)(letters < LABEL_LETTERS ? letters : LABEL_LETTERS);

        if (at.x > 0 && at.x + width > WIDTH) {
            at = (struct point){ 0, at.y + LINE_UNITS };
        }
        if (drawn && plot->kind == PLOT_BARS) {
            fprintf(canvas->to, "<rect class=\"c%u\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"10\"/>\n",
                    i % PLOT_COLOURS, at.x, at.y);
        } else if (drawn) {
            fprintf(canvas->to, "<path class=\"line c%u\" stroke-dasharray=\"%s\" d=\"M%.1f %.1fh%.0f\"/>\n",
                    i % PLOT_COLOURS, dashes_of(i), at.x, at.y + 5, SWATCH_UNITS - 2);
            put_marker(canvas, i, (struct point){ at.x + SWATCH_UNITS / 2 - 1, at.y + 5 });
            fputs("</path>\n", canvas->to);
        }
        if (drawn) {
            put_text(canvas, (struct point){ at.x + SWATCH_UNITS + 2, at.y + 9 }, "class=\"key\"",
                     plot->series[i].name);
        }
        at.x += width;
    }
    return at.y + LINE_UNITS + 8 - top;
}

/* The axis at the bottom, with a line of the grid at each tick. */
static void bottom_axis(const struct canvas *canvas, const struct ticks *ticks, const char *label)
{
    char words[MARKUP_NUMBER];

    for (unsigned i = 0; i < ticks->count; i++) {
        const double x = place(&canvas->x, ticks->at[i]);

        tick_words(words, ticks->at[i]);
        put_line(canvas, "grid", (struct point){ x, canvas->top }, (struct point){ x, canvas->bottom });
        put_text(canvas, (struct point){ x, canvas->bottom + 15 }, "text-anchor=\"middle\"", words);
    }
    if (label) {
        put_text(canvas, (struct point){ (canvas->left + canvas->right) / 2, canvas->bottom + 32 },
                 "text-anchor=\"middle\"", label);
    }
}

/* --- bars ------------------------------------------------------------------------------------------------------ */

static double group_units(const struct plot *plot)
{
    return BAR_UNITS * plot->series_count + GAP_UNITS;
}

static void lay_out_bars(struct canvas *canvas, struct ticks *ticks)
{
    const struct plot *plot = canvas->plot;
    size_t letters = 0;

    for (unsigned i = 0; i < plot->count; i++) {
        const size_t width = markup_width(plot->names[i]);

        letters = width > letters ? width : letters;
    }
    letters = letters > NAME_LETTERS ? NAME_LETTERS + 1 : letters;
    canvas->left = LETTER * (double)letters + 10;
    canvas->right = WIDTH - VALUE_UNITS;
    canvas->bottom = canvas->top + group_units(plot) * plot->count;
    canvas->height = canvas->bottom + (plot->value_label ? 40 : 22);
    canvas->x = (struct scale){ plot->scale, INFINITY, -INFINITY, canvas->left, canvas->right };
    for (unsigned i = 0; i < plot->series_count * plot->count; i++) {
        widen(&canvas->x, plot->series[i / plot->count].values[i % plot->count]);
    }
    /* The least value has a bar, too. */
    if (plot->scale == PLOT_LOGARITHMIC && isfinite(canvas->x.low)) {
        canvas->x.low = floor(canvas->x.low - 0.05);
    }
    finish(&canvas->x, true, ticks);
}

static void bar(const struct canvas *canvas, unsigned series, unsigned group)
{
    const struct plot *plot = canvas->plot;
    const double value = plot->series[series].values[group];
    const double y = canvas->top + GAP_UNITS / 2 + group_units(plot) * group + BAR_UNITS * series;
    const bool logarithmic = plot->scale == PLOT_LOGARITHMIC;
    const double zero = logarithmic ? canvas->left : place(&canvas->x, 0);
    const double end = is_shown(plot->scale, value) ? place(&canvas->x, value) : zero;
    char words[MARKUP_NUMBER];

    if (!isfinite(value)) {
        return;
    }
    fprintf(canvas->to, "<rect class=\"bar c%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\">",
            series % PLOT_COLOURS, zero < end ? zero : end, y, fabs(end - zero), BAR_UNITS - 3);
    put_hint(canvas, plot->series[series].name, plot->names[group], value);
    fputs("</rect>\n", canvas->to);
    markup_number(words, value);
    put_text(canvas, (struct point){ (end > zero ? end : zero) + 4, y + BAR_UNITS - 4 }, "class=\"value\"",
             words);
}

static void bars(const struct canvas *canvas, const struct ticks *ticks)
{
    const struct plot *plot = canvas->plot;

    bottom_axis(canvas, ticks, plot->value_label);
    for (unsigned group = 0; group < plot->count; group++) {
        const double middle = canvas->top + group_units(plot) * (group + 0.5);

        fprintf(canvas->to, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                canvas->left - 6, middle + 4);
        markup_text_cut(canvas->to, plot->names[group], NAME_LETTERS);
        fputs("</text>\n", canvas->to);
        for (unsigned series = 0; series < plot->series_count; series++) {
            bar(canvas, series, group);
        }
    }
    put_line(canvas, "axis", (struct point){ canvas->left, canvas->top },
             (struct point){ canvas->left, canvas->bottom });
}

/* --- lines ----------------------------------------------------------------------------------------------------- */

static void lay_out_lines(struct canvas *canvas, struct ticks *x_ticks, struct ticks *y_ticks)
{
    const struct plot *plot = canvas->plot;

    canvas->left = 64;
    canvas->right = WIDTH - 16;
    canvas->top += plot->value_label ? LINE_UNITS + 6 : 6;
    canvas->bottom = canvas->top + LINES_HEIGHT;
    canvas->height = canvas->bottom + (plot->x_label ? 40 : 22);
    canvas->x = (struct scale){ plot->x_scale, INFINITY, -INFINITY, canvas->left, canvas->right };
    canvas->y = (struct scale){ plot->scale, INFINITY, -INFINITY, canvas->bottom, canvas->top };
    for (unsigned i = 0; i < plot->count; i++) {
        widen(&canvas->x, plot->x[i]);
    }
    for (unsigned i = 0; i < plot->series_count * plot->count; i++) {
        widen(&canvas->y, plot->series[i / plot->count].values[i % plot->count]);
    }
    finish(&canvas->x, false, x_ticks);
    finish(&canvas->y, true, y_ticks);
}

static void line_of(const struct canvas *canvas, unsigned series)
{
    const struct plot *plot = canvas->plot;
    const double *values = plot->series[series].values;
    bool joined = false;

    fprintf(canvas->to, "<path class=\"line c%u\" stroke-dasharray=\"%s\" d=\"", series % PLOT_COLOURS,
            dashes_of(series));
    for (unsigned i = 0; i < plot->count; i++) {
        const bool shown = is_shown(plot->scale, values[i]) && is_shown(plot->x_scale, plot->x[i]);

        if (shown) {
            fprintf(canvas->to, "%c%.1f %.1f", joined ? 'L' : 'M', place(&canvas->x, plot->x[i]),
                    place(&canvas->y, values[i]));
        }
        joined = shown;
    }
    fputs("\"/>\n", canvas->to);
    for (unsigned i = 0; i < plot->count; i++) {
        char x_words[MARKUP_NUMBER];

        if (is_shown(plot->scale, values[i]) && is_shown(plot->x_scale, plot->x[i])) {
            put_marker(canvas, series,
                       (struct point){ place(&canvas->x, plot->x[i]), place(&canvas->y, values[i]) });
            markup_number(x_words, plot->x[i]);
            put_hint(canvas, plot->series[series].name, x_words, values[i]);
            fputs("</path>\n", canvas->to);
        }
    }
}

static void lines(const struct canvas *canvas, const struct ticks *x_ticks, const struct ticks *y_ticks)
{
    const struct plot *plot = canvas->plot;
    char words[MARKUP_NUMBER];

    bottom_axis(canvas, x_ticks, plot->x_label);
    for (unsigned i = 0; i < y_ticks->count; i++) {
        const double y = place(&canvas->y, y_ticks->at[i]);

        tick_words(words, y_ticks->at[i]);
        put_line(canvas, "grid", (struct point){ canvas->left, y }, (struct point){ canvas->right, y });
        put_text(canvas, (struct point){ canvas->left - 6, y + 4 }, "text-anchor=\"end\"", words);
    }
    if (plot->value_label) {
        put_text(canvas, (struct point){ 0, canvas->top - 10 }, "class=\"label\"", plot->value_label);
    }
    put_line(canvas, "axis", (struct point){ canvas->left, canvas->bottom },
             (struct point){ canvas->right, canvas->bottom });
    put_line(canvas, "axis", (struct point){ canvas->left, canvas->top },
             (struct point){ canvas->left, canvas->bottom });
    for (unsigned series = 0; series < plot->series_count; series++) {
        line_of(canvas, series);
    }
}

/* --- the element ------------------------------------------------------------------------------------------------ */

static void put_meaning(const struct canvas *canvas)
{
    const struct plot *plot = canvas->plot;

    fputs("<title>", canvas->to);
    markup_text(canvas->to, plot->title);
    fputs("</title>\n", canvas->to);
    if (plot->description) {
        fputs("<desc>", canvas->to);
        markup_text(canvas->to, plot->description);
        fputs("</desc>\n", canvas->to);
    }
}

static void put_plot(FILE *to, const struct plot *plot, bool alone)
{
    struct canvas canvas = { .to = to, .plot = plot };
    const double head = alone ? LINE_UNITS + 12 : 0;
    struct ticks x_ticks = { .count = 0 }, y_ticks = { .count = 0 };

    canvas.top = head + legend(&canvas, head, false);
    if (plot->kind == PLOT_BARS) {
        lay_out_bars(&canvas, &x_ticks);
    } else {
        lay_out_lines(&canvas, &x_ticks, &y_ticks);
    }
    fprintf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" viewBox=\"%s %.0f %.0f\">\n",
        alone ? "-12 -8" : "0 0", WIDTH + (alone ? 24 : 0), canvas.height + (alone ? 16 : 0));
    put_meaning(&canvas);
    if (alone) {
        fprintf(to,
                "<style>%s.plot{color:#222}.ground{fill:#fff}"
                "@media (prefers-color-scheme:dark){.plot{color:#ddd}.ground{fill:#161a1d}}</style>\n"
                "<rect class=\"ground\" x=\"-12\" y=\"-8\" width=\"100%%\" height=\"100%%\"/>\n",
                style);
        put_text(&canvas, (struct point){ 0, LINE_UNITS }, "class=\"head\"", plot->title);
    }
    legend(&canvas, head, true);
    if (plot->kind == PLOT_BARS) {
        bars(&canvas, &x_ticks);
    } else {
        lines(&canvas, &x_ticks, &y_ticks);
    }
    fputs("</svg>\n", to);
}

void plot_write(FILE *to, const struct plot *plot)
{
    put_plot(to, plot, false);
}

void plot_write_file(FILE *to, const struct plot *plot)
{
    put_plot(to, plot, true);
}
