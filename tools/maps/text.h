/* Rows of maps as text. */
#ifndef TOOLS_MAPS_TEXT_H
#define TOOLS_MAPS_TEXT_H

#include "tools/maps/fold.h"
#include "tools/maps/show.h"

struct text_rows {
    const struct space *space;
    const struct show_options *options;
    struct fold fold;
};

void text_begin(struct text_rows *rows, const struct space *space, const struct show_options *options);
void text_range(struct text_rows *rows, const struct range *range);

/* What is still held back. */
void text_finish(struct text_rows *rows);

void text_totals(const struct show_totals *totals);

/* The heading of pages, and one of them. */
void text_pages_head(const struct space *space);
void text_page(const struct space *space, enum vmmu_x86_scan_found found,
               const struct vmmu_x86_scan_item *item);

#endif
