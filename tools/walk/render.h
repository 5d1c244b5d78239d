/*
 * A walk as text and as JSON.
 */
#ifndef TOOLS_WALK_RENDER_H
#define TOOLS_WALK_RENDER_H

#include <json-c/json.h>

#include "tools/walk/model.h"
#include "tools/walk/shadow.h"

/* "read", "write", "execute": by enum vmmu_x86_access_kind. */
extern const char *const walk_kind_words[WALK_KINDS];

/* Print the whole walk to standard output: entries, result or fault, rights; the grid, if it has two dimensions. */
void walk_print(const struct walk_model *model);

/* Lines of the entries alone. */
void walk_print_entries(const struct walk_model *model);

/*
 * Two-dimensional: rows are the guest's levels, columns the second stage's; each cell is a memory reference, by its number
 * and address. With box drawing if @boxes.
 */
void walk_print_grid(const struct walk_model *model, bool boxes);

/* The shadow's walk, beside the guest's. */
void walk_print_shadow(const struct walk_model *guest, const struct walk_shadow *shadow);

/* The walk as an object; with its shadow's, unless that is NULL. */
struct json_object *walk_document(const struct walk_model *model, const struct walk_shadow *shadow);

#endif
