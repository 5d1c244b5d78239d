#include "tools/report/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/ui/complain.h"

#define FLATTEN_DEPTH 6

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* A chain of pieces, each given back with the whole. */
struct report_memory {
    struct report_memory *next;
    max_align_t bytes[];
};

static void *chain(struct report_memory **memory, size_t count, size_t size_bytes)
{
    struct report_memory *piece = NULL;
    size_t total;

    if (!__builtin_mul_overflow(count, size_bytes, &total) &&
        !__builtin_add_overflow(total, sizeof(struct report_memory), &total)) {
        piece = calloc(1, total);
    }
    if (!piece) {
        give_up(COMMAND_INPUT, "there is no memory for the report");
    }
    piece->next = *memory;
    *memory = piece;
    return piece->bytes;
}

void *report_take(struct report *report, size_t count, size_t size_bytes)
{
    return chain(&report->memory, count, size_bytes);
}

const char *report_text(struct report *report, const char *format, ...)
{
    char *text = NULL, *kept;
    va_list values;
    int length;

    va_start(values, format);
    length = vasprintf(&text, format, values);
    va_end(values);
    if (length < 0) {
        give_up(COMMAND_INPUT, "there is no memory for the report");
    }
    kept = report_take(report, (size_t)length + 1, 1);
    memcpy(kept, text, (size_t)length + 1);
    free(text);
    return kept;
}

void report_free(struct report *report)
{
    struct report_memory *piece = report->memory;

    while (piece) {
        struct report_memory *next = piece->next;

        free(piece); /* the report itself is in one of them */
        piece = next;
    }
}

/* --- sections and tables ------------------------------------------------------------------------------------------ */

struct report_section *report_section(struct report *report, const char *title, const char *name_title)
{
    struct report_section *section;

    if (report->section_count == REPORT_SECTIONS && report->spare) {
        report->left_out++;
        report->spare->table.column_count = 0;
        return report->spare;
    }
    section = report_take(report, 1, sizeof(*section));
    section->title = title;
    section->table.name_title = name_title;
    section->table.rows = report_take(report, REPORT_ROWS, sizeof(struct report_row));
    if (report->section_count < REPORT_SECTIONS) {
        report->sections[report->section_count++] = section;
    } else {
        report->left_out++;
        report->spare = section;
    }
    return section;
}

bool report_column(struct report_section *section, const char *title)
{
    if (section->table.column_count == REPORT_COLUMNS) {
        section->table.left_out++;
        return false;
    }
    section->table.columns[section->table.column_count++] = title;
    return true;
}

struct report_cell *report_cell(struct report *report, struct report_section *section, const char *name,
                                unsigned column)
{
    struct report_table *table = &section->table;
    unsigned row = 0;

    while (row < table->row_count && strcmp(table->rows[row].name, name) != 0) {
        row++;
    }
    if (column >= REPORT_COLUMNS || row == REPORT_ROWS) {
        table->left_out++;
        return &report->spare_cell;
    }
    if (row == table->row_count) {
        table->rows[row].name = report_text(report, "%s", name);
        /* Columns may still be added. */
        table->rows[row].cells = report_take(report, REPORT_COLUMNS, sizeof(struct report_cell));
        table->row_count++;
    }
    return &table->rows[row].cells[column];
}

struct report_cell report_value(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_int:
        if (json_object_get_int64(value) < 0) {
            return (struct report_cell){ .kind = CELL_REAL, .real = (double)json_object_get_int64(value) };
        }
        return (struct report_cell){ .kind = CELL_COUNT, .count = json_object_get_uint64(value) };
    case json_type_double:
        return (struct report_cell){ .kind = CELL_REAL, .real = json_object_get_double(value) };
    case json_type_boolean:
        return (struct report_cell){ .kind = CELL_TEXT,
                                     .text = json_object_get_boolean(value) ? "yes" : "no" };
    case json_type_string:
        return (struct report_cell){ .kind = CELL_TEXT, .text = json_object_get_string(value) };
    case json_type_null:
    case json_type_object:
    case json_type_array: break;
    }
    return (struct report_cell){ .kind = CELL_EMPTY };
}

/* Where members of objects go. */
struct flattening {
    struct report *report;
    struct report_section *section;
    unsigned column;
};

static void flatten(const struct flattening *to, const char *prefix, struct json_object *object,
                    unsigned depth)
{
    json_object_object_foreach(object, key, value)
    {
        char name[REPORT_NAME];

        snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key); /* long names are cut */
        if (json_object_is_type(value, json_type_object)) {
            if (depth < FLATTEN_DEPTH) {
                flatten(to, name, value, depth + 1);
            }
        } else if (report_value(value).kind != CELL_EMPTY) {
            *report_cell(to->report, to->section, name, to->column) = report_value(value);
        }
    }
}

void report_flatten(struct report *report, struct report_section *section, unsigned column,
                    struct json_object *object)
{
    const struct flattening to = { report, section, column };

    if (json_object_is_type(object, json_type_object)) {
        flatten(&to, "", object, 0);
    }
}

void report_drop_empty(struct report *report, const struct report_section *section)
{
    if (report->section_count && report->sections[report->section_count - 1] == section &&
        !section->table.row_count) {
        report->section_count--;
    }
}

/* --- plots of tables ---------------------------------------------------------------------------------------------- */

static double number_of(const struct report_cell *cell)
{
    switch (cell->kind) {
    case CELL_COUNT: return (double)cell->count;
    case CELL_REAL: return cell->real;
    case CELL_TEXT:
    case CELL_EMPTY: break;
    }
    return NAN;
}

struct ranked {
    unsigned row;
    double greatest;
};

static int by_greatest(const void *one, const void *other)
{
    const struct ranked *a = one, *b = other;

    if (a->greatest != b->greatest) {
        return a->greatest < b->greatest ? 1 : -1;
    }
    return a->row < b->row ? -1 : 1;
}

/* The rows to be plotted, into @rows. */
static unsigned rank(const struct report_table *table, const struct report_plotting *plotting,
                     struct ranked *rows)
{
    unsigned count = 0;

    for (unsigned row = 0; row < table->row_count; row++) {
        double greatest = 0;

        if (plotting->word && !strstr(table->rows[row].name, plotting->word)) {
            continue;
        }
        for (unsigned i = 0; i < plotting->columns; i++) {
            const double value =
                number_of(&table->rows[row].cells[plotting->first_column + i * plotting->stride]);

            greatest = isfinite(value) && value > greatest ? value : greatest;
        }
        if (greatest > 0) {
            rows[count++] = (struct ranked){ row, greatest };
        }
    }
    qsort(rows, count, sizeof(*rows), by_greatest);
    return count < REPORT_PLOTTED ? count : REPORT_PLOTTED;
}

static const struct plot_series *series_of(struct report *report, const struct report_table *table,
                                           const struct report_plotting *plotting, const struct ranked *rows,
                                           unsigned count)
{
    struct plot_series *series = report_take(report, plotting->columns, sizeof(*series));

    for (unsigned i = 0; i < plotting->columns; i++) {
        const unsigned column = plotting->first_column + i * plotting->stride;
        double *values = report_take(report, count, sizeof(*values));

        for (unsigned at = 0; at < count; at++) {
            values[at] = number_of(&table->rows[rows[at].row].cells[column]);
        }
        series[i] = (struct plot_series){ table->columns[column], values };
    }
    return series;
}

void report_plot(struct report *report, struct report_section *section,
                 const struct report_plotting *plotting)
{
    struct report_table *table = &section->table;
    struct ranked rows[REPORT_ROWS];
    const unsigned count = rank(table, plotting, rows);
    const char **names;

    if (count == 0 || section->plot_count == REPORT_PLOTS) {
        return;
    }
    names = report_take(report, count, sizeof(*names));
    for (unsigned i = 0; i < count; i++) {
        names[i] = table->rows[rows[i].row].name;
    }
    section->plots[section->plot_count++] = (struct plot){
        .kind = PLOT_BARS,
        .scale = plotting->scale,
        .title = plotting->title,
        .description = plotting->description,
        .value_label = plotting->value_label,
        .names = names,
        .count = count,
        .series = series_of(report, table, plotting, rows, count),
        .series_count = plotting->columns,
    };
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

struct report *report_make(const char *title, struct document *documents, unsigned count)
{
    struct report_memory *memory = NULL;
    struct report *report = chain(&memory, 1, sizeof(*report));

    report->memory = memory;
    report->title = title;
    report_runs(report, documents, count);
    for (unsigned i = 0; i < count; i++) {
        if (documents[i].kind == DOCUMENT_ROWS) {
            report_rows(report, &documents[i]);
        }
    }
    return report;
}
