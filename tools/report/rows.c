/*
 * Tables of measurements: an array of objects, one for each row. Its name is its label, or what its texts and flags say; its
 * numbers are columns. Rows whose first numbers are of the same thing belong together.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/report/model.h"
#include "tools/ui/json.h"

/* With so much between the least and the greatest value, bars are by powers of ten. */
#define WIDE_RANGE 30

struct rows {
    struct report *report;
    const char *label;
    struct json_object *array;
};

static bool is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

/* The name of the first number of a row, which says what kind of row it is; NULL if it has none. */
static const char *first_number(struct json_object *row)
{
    if (json_object_is_type(row, json_type_object)) {
        json_object_object_foreach(row, key, value)
        {
            if (is_number(value)) {
                return key;
            }
        }
    }
    return NULL;
}

static void name_of(struct json_object *row, char name[REPORT_NAME])
{
    const char *label = NULL;
    size_t used = 0;

    name[0] = '\0';
    if (json_get_text(row, "label", &label)) {
        snprintf(name, REPORT_NAME, "%s", label);
        return;
    }
    json_object_object_foreach(row, key, value)
    {
        const bool flag = json_object_is_type(value, json_type_boolean);
        const char *word = flag ? key : json_object_get_string(value);

        if (used < REPORT_NAME && (flag || json_object_is_type(value, json_type_string))) {
            used += (size_t)snprintf(name + used, REPORT_NAME - used, "%s%s%s", used ? ", " : "",
                                     flag && !json_object_get_boolean(value) ? "no " : "", word);
        }
    }
}

/* @name, unless there is a row of that name already. */
static const char *own_name(struct report *report, const struct report_table *table, const char *name)
{
    const size_t length = strlen(name);
    unsigned same = 1;

    for (unsigned row = 0; row < table->row_count; row++) {
        same +=
            strncmp(table->rows[row].name, name, length) == 0 &&
            (table->rows[row].name[length] == '\0' || strncmp(table->rows[row].name + length, " #", 2) == 0);
    }
    return same == 1 ? name : report_text(report, "%s #%u", name, same);
}

static unsigned column_of(struct report *report, struct report_section *section, const char *title)
{
    struct report_table *table = &section->table;

    for (unsigned i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i], title) == 0) {
            return i;
        }
    }
    return report_column(section, report_text(report, "%s", title)) ? table->column_count - 1
                                                                    : REPORT_COLUMNS;
}

/* What was set and not measured: the row's name tells it as far as rows differ. */
static const char settings[] = "configuration";

/* A row and where it goes. */
struct row {
    struct report *report;
    struct report_section *section;
    const char *name;
};

/* Numbers of @object, which is the row's own or, with an @outer name, a member of it. */
static void add_numbers(const struct row *row, const char *outer, struct json_object *object)
{
    json_object_object_foreach(object, key, value)
    {
        char title[REPORT_NAME];

        snprintf(title, sizeof(title), "%s%s%s", outer, *outer ? "." : "", key);
        if (is_number(value)) {
            *report_cell(row->report, row->section, row->name, column_of(row->report, row->section, title)) =
                report_value(value);
        }
    }
}

/* A row's own numbers stand before those of its members. */
static void add_row(struct report *report, struct report_section *section, struct json_object *object)
{
    char name[REPORT_NAME];
    struct row row = { report, section, NULL };

    name_of(object, name);
    row.name = own_name(report, &section->table, name);
    add_numbers(&row, "", object);
    json_object_object_foreach(object, key, value)
    {
        if (json_object_is_type(value, json_type_object) && strcmp(key, settings) != 0) {
            add_numbers(&row, key, value);
        }
    }
}

/* What there is to plot of a column. */
struct column {
    unsigned count; /* positive values */
    double least, greatest;
    bool rational; /* not all of them are counts */
};

static struct column look_at_column(const struct report_table *table, unsigned number)
{
    struct column column = { .least = INFINITY };

    for (unsigned row = 0; row < table->row_count; row++) {
        const struct report_cell *cell = &table->rows[row].cells[number];
        const double value = cell->kind == CELL_COUNT  ? (double)cell->count
                             : cell->kind == CELL_REAL ? cell->real
                                                       : 0;

        if (isfinite(value) && value > 0) {
            column.least = value < column.least ? value : column.least;
            column.greatest = value > column.greatest ? value : column.greatest;
            column.rational |= cell->kind == CELL_REAL;
            column.count++;
        }
    }
    return column;
}

/* Goals are what a column is compared with, and members of members are details. */
static bool is_plotted(const char *title)
{
    static const char goal[] = "_goal";
    const size_t length = strlen(title), tail = strlen(goal);

    return !strchr(title, '.') && (length < tail || strcmp(title + length - tail, goal) != 0);
}

/* A plot of each column that has something to compare: rates first, then counts. */
static void plot_columns(struct report *report, struct report_section *section)
{
    const struct report_table *table = &section->table;

    for (unsigned i = 0; i < 2 * table->column_count; i++) {
        const unsigned number = i < table->column_count ? i : i - table->column_count;
        const struct column column = look_at_column(table, number);
        const char *title = table->columns[number];
        const bool wide = column.greatest > column.least * WIDE_RANGE;

        if (column.count > 1 && column.rational == (i < table->column_count) && is_plotted(title)) {
            report_plot(report, section,
                        &(struct report_plotting){
                            .title = title,
                            .value_label = wide ? report_text(report, "%s, by powers of ten", title) : title,
                            .first_column = number,
                            .columns = 1,
                            .stride = 1,
                            .scale = wide ? PLOT_LOGARITHMIC : PLOT_LINEAR });
        }
    }
}

/* All rows from @first on that are like it. */
static struct report_section *show_group(const struct rows *rows, size_t first)
{
    const char *kind = first_number(json_object_array_get_idx(rows->array, first));
    struct report_section *section =
        report_section(rows->report, report_text(rows->report, "%s: %s", rows->label, kind), "measured");

    for (size_t i = first; i < json_object_array_length(rows->array); i++) {
        struct json_object *row = json_object_array_get_idx(rows->array, i);
        const char *other = first_number(row);

        if (other && strcmp(other, kind) == 0) {
            add_row(rows->report, section, row);
        }
    }
    plot_columns(rows->report, section);
    return section;
}

static bool is_known(const char *kind, const char *const *kinds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(kinds[i], kind) == 0) {
            return true;
        }
    }
    return false;
}

static void show_array(struct report *report, const char *label, struct json_object *array)
{
    const struct rows rows = { report, label, array };
    const char *kinds[REPORT_SECTIONS];
    struct report_section *section = NULL;
    unsigned kind_count = 0;

    for (size_t i = 0; i < json_object_array_length(array) && report->section_count < REPORT_SECTIONS; i++) {
        const char *kind = first_number(json_object_array_get_idx(array, i));

        if (kind && !is_known(kind, kinds, kind_count)) {
            kinds[kind_count++] = kind;
            section = show_group(&rows, i);
        }
    }
    if (kind_count == 1) {
        section->title = label;
    }
}

/* Whatever a document says beside its rows. */
static void show_words(struct report *report, struct document *document)
{
    struct report_section *section = report_section(report, document->label, "");

    report_column(section, "value");
    report_flatten(report, section, 0, document->root);
    report_drop_empty(report, section);
}

void report_rows(struct report *report, struct document *document)
{
    if (json_object_is_type(document->root, json_type_array)) {
        show_array(report, document->label, document->root);
        return;
    }
    show_words(report, document);
    json_object_object_foreach(document->root, key, value)
    {
        if (json_object_is_type(value, json_type_array)) {
            show_array(report, report_text(report, "%s, %s", document->label, key), value);
        }
    }
}
