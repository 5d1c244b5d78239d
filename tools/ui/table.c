#include "tools/ui/table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/command.h"
#include "tools/ui/complain.h"

/* Both are libsmartcols' own, under names that the compiler tells apart. */
static struct libscols_table *inner_table(struct table *table)
{
    return (struct libscols_table *)(void *)table;
}

static struct libscols_line *inner_line(struct table_row *row)
{
    return (struct libscols_line *)(void *)row;
}

struct table *table_new(const struct table_column *columns, unsigned count)
{
    struct libscols_table *table = scols_new_table();

    if (!table) {
        give_up(COMMAND_INPUT, "there is no memory for a table");
    }
    /* Colour is ours to decide, and is told from text by libsmartcols only if it puts it there. */
    scols_table_enable_colors(table, *paint_off() != '\0');
    scols_table_enable_maxout(table, 0);
    scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER); /* wide rows wrap, and are never cut */
    for (unsigned i = 0; i < count; i++) {
        const int side = columns[i].side == TABLE_RIGHT ? SCOLS_FL_RIGHT : 0;
        struct libscols_column *column = scols_table_new_column(table, columns[i].title, 0, side);

        if (!column) {
            give_up(COMMAND_INPUT, "there is no memory for a table");
        }
        if (*paint_off()) {
            scols_cell_set_color(scols_column_get_header(column), paint_on(PAINT_HEAD));
        }
    }
    return (struct table *)(void *)table;
}

struct table_row *table_row(struct table *table)
{
    struct libscols_line *line = scols_table_new_line(inner_table(table), NULL);

    if (!line) {
        give_up(COMMAND_INPUT, "there is no memory for a row of a table");
    }
    return (struct table_row *)(void *)line;
}

void table_cell(struct table_row *row, unsigned column, enum paint paint, const char *format, ...)
{
    struct libscols_line *line = inner_line(row);
    char *text = NULL;
    va_list values;
    int letters;

    va_start(values, format);
    letters = vasprintf(&text, format, values);
    va_end(values);
    if (letters < 0 || scols_line_refer_data(line, column, text) != 0) {
        give_up(COMMAND_INPUT, "there is no memory for a cell of a table");
    }
    if (paint != PAINT_PLAIN && *paint_off()) {
        scols_cell_set_color(scols_line_get_cell(line, column), paint_on(paint));
    }
}

void table_print(struct table *table)
{
    scols_print_table(inner_table(table));
    scols_unref_table(inner_table(table));
}
