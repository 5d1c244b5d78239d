/*
 * Tables whose columns line up: libsmartcols with colour. For rows without number use printf with fixed widths.
 */
#ifndef TOOLS_UI_TABLE_H
#define TOOLS_UI_TABLE_H

#include "tools/ui/paint.h"

struct table_column {
    const char *title;
    enum table_side { TABLE_LEFT, TABLE_RIGHT } side;
};

struct table;
struct table_row;

struct table *table_new(const struct table_column *columns, unsigned count);
struct table_row *table_row(struct table *table);
__attribute__((format(printf, 4, 5))) void table_cell(struct table_row *row, unsigned column,
                                                      enum paint paint, const char *format, ...);

/* Print to standard output, and free. */
void table_print(struct table *table);

#endif
