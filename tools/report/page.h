/*
 * A report as one page of HTML that asks for nothing else: its style, its plots and its script stand in it.
 */
#ifndef TOOLS_REPORT_PAGE_H
#define TOOLS_REPORT_PAGE_H

#include <stdio.h>

#include "tools/report/model.h"

void page_write(FILE *to, const struct report *report);

/* The same as JSON: {"vmmu_report": 1, "title", "sections": [{"title", "columns", "rows": [[name, cells...]]}]}. */
struct json_object *page_json(const struct report *report);

/* The parts of the page that do not change. */
extern const char page_style[], page_script[], page_script_hash[];

#endif
