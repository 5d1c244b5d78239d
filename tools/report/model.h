/*
 * What a report shows: sections, each of a table and its plots. Plain data, for the page and for JSON.
 *
 * Everything is taken from the report's own memory, and given back at once by report_free.
 */
#ifndef TOOLS_REPORT_MODEL_H
#define TOOLS_REPORT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/report/document.h"
#include "tools/ui/plot.h"

/* What a page may hold. Documents are others': what is beyond is counted, and not shown. */
#define REPORT_ROWS     400U /* of a table */
#define REPORT_COLUMNS  40U
#define REPORT_SECTIONS 200U
#define REPORT_TEXT     200U /* characters of a cell */
#define REPORT_NAME     200U /* bytes of a row's name */
#define REPORT_PLOTTED  18U  /* groups of bars */
#define REPORT_PLOTS    6U   /* of a section */

enum cell_kind {
    CELL_EMPTY,
    CELL_COUNT,
    CELL_REAL,
    CELL_TEXT,
};

struct report_cell {
    enum cell_kind kind;
    uint64_t count;
    double real;
    const char *text;
};

struct report_row {
    const char *name;
    struct report_cell *cells; /* column_count of the table */
};

struct report_table {
    const char *name_title; /* heading of the names' column */
    unsigned column_count;
    const char *columns[REPORT_COLUMNS];
    unsigned row_count;
    unsigned left_out; /* rows and columns beyond the bounds */
    struct report_row *rows;
};

struct report_section {
    const char *title;
    const char *note; /* a sentence or two, or NULL */
    bool folded;      /* matters less: opens on demand */
    struct report_table table;
    unsigned plot_count;
    struct plot plots[REPORT_PLOTS];
};

struct report {
    const char *title;
    unsigned section_count;
    unsigned left_out; /* sections beyond the bounds */
    struct report_section *sections[REPORT_SECTIONS];
    struct report_memory *memory;
    struct report_section *spare; /* what is beyond the bounds goes here */
    struct report_cell spare_cell;
};

/* The model of @count documents, whose texts it borrows. */
struct report *report_make(const char *title, struct document *documents, unsigned count);
void report_free(struct report *report);

/* --- for the files of this room that make sections ---------------------------------------------------------------- */

/* Zeroed memory that lives as long as @report. */
void *report_take(struct report *report, size_t count, size_t size_bytes);
__attribute__((format(printf, 2, 3))) const char *report_text(struct report *report, const char *format, ...);

/* A section at the end; where there are too many, one that is not shown. */
struct report_section *report_section(struct report *report, const char *title, const char *name_title);

/* Add a column; false if there are too many. */
bool report_column(struct report_section *section, const char *title);

/* The cell of @column in the row @name, which is added if there is none such; one that is not shown if there are too many. */
struct report_cell *report_cell(struct report *report, struct report_section *section, const char *name,
                                unsigned column);

/* A cell's value from a document: a number, a text, a flag; nothing for what is none of them. */
struct report_cell report_value(struct json_object *value);

/* Each member of @object into a row of @column; members of objects in it as "outer.inner". Arrays are not shown. */
void report_flatten(struct report *report, struct report_section *section, unsigned column,
                    struct json_object *object);

/* How report_plot takes a plot from a table. */
struct report_plotting {
    const char *title;
    const char *description;
    const char *value_label;
    unsigned first_column, columns,
        stride; /* these are the series: each @stride'th column from the first on */
    enum plot_scale scale;
    const char *word; /* only rows whose names hold it; NULL: all */
};

/* Bars of the rows with the greatest values, greatest first. Nothing if no row has a value above zero. */
void report_plot(struct report *report, struct report_section *section,
                 const struct report_plotting *plotting);

/* Drop @section, the last one, if it has no rows. */
void report_drop_empty(struct report *report, const struct report_section *section);

/* The sections of documents of each kind. */
void report_runs(struct report *report, struct document *documents, unsigned count);
void report_rows(struct report *report, struct document *document);

#endif
