/*
 * Plots as SVG: bars, grouped bars and lines, with axes and a legend.
 *
 * All text is escaped, and drawn in the font and the colours of what is around it. Series are told apart by colour, and lines
 * by their dashes and markers as well: a plot is readable in grey. The width is 720 units; the height follows from what it
 * shows. Values that are not finite are left out.
 */
#ifndef TOOLS_UI_PLOT_H
#define TOOLS_UI_PLOT_H

#include <stdbool.h>
#include <stdio.h>

/* Beyond this number colours come again. */
#define PLOT_COLOURS 8

enum plot_kind {
    PLOT_BARS, /* lie on their side: one group for each name, and in it one bar for each series, with its value beside it */
    PLOT_LINES, /* one line for each series, through its points in the order given */
};

/* How values come to lengths. */
enum plot_scale {
    PLOT_LINEAR,      /* from 0, or from the least value if that is negative */
    PLOT_LOGARITHMIC, /* by powers of ten; what is not positive is left out, or is a bar of no length */
};

struct plot_series {
    const char *name;
    const double *values; /* `count` of the plot */
};

struct plot {
    enum plot_kind kind;
    enum plot_scale scale;   /* of the values */
    enum plot_scale x_scale; /* lines only */
    const char *title;
    const char *description;  /* what it shows, for those who do not see it; NULL: the title says it */
    const char *value_label;  /* "exits", "misses in 1000 accesses" */
    const char *x_label;      /* lines only */
    const char *const *names; /* bars: of the groups */
    const double *x;          /* lines: ascending */
    unsigned count;           /* groups of bars, or points of each line */
    const struct plot_series *series;
    unsigned series_count;
};

/* Write @plot as an <svg> element to stand in a page, which has plot_style() once. */
void plot_write(FILE *to, const struct plot *plot);

/* Write @plot as a file of its own, readable on light and dark ground. */
void plot_write_file(FILE *to, const struct plot *plot);

/* The style sheet that plot_write's elements want, for a <style> element. */
const char *plot_style(void);

#endif
