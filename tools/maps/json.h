/* Rows of maps as JSON: one object a line, within an array that is written as it comes. */
#ifndef TOOLS_MAPS_JSON_H
#define TOOLS_MAPS_JSON_H

#include <json-c/json.h>

#include "tools/maps/ranges.h"
#include "tools/maps/show.h"

/* An array that is being written. */
struct json_rows {
    bool any;
};

/* Open the document, "vmmu_maps" or another: what is looked at, and then the array @name. */
void json_rows_begin(struct json_rows *rows, const struct space *space, const char *document,
                     const char *name);

/* The same of no one address space: the paging mode of @space alone counts. */
void json_rows_begin_all(struct json_rows *rows, const struct space *space, const char *document,
                         const char *name);

/* One row; @row is freed. */
void json_rows_add(struct json_rows *rows, struct json_object *row);

/* Close the array, add the members of @rest, which is freed, and close the document. */
void json_rows_end(struct json_rows *rows, struct json_object *rest);

struct json_object *json_of_range(const struct ranges *ranges, const struct range *range);
struct json_object *json_of_page(const struct space *space, enum vmmu_x86_scan_found found,
                                 const struct vmmu_x86_scan_item *item);
struct json_object *json_of_totals(const struct show_totals *totals, bool complete);

/* Add "user", "write", "execute", "read" to @row. */
void json_put_rights(struct json_object *row, uint8_t rights);

#endif
