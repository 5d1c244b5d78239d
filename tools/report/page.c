#include "tools/report/page.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>

#include "tools/ui/json.h"
#include "tools/ui/markup.h"

/* --- tables ------------------------------------------------------------------------------------------------------- */

static void write_cell(FILE *to, const struct report_cell *cell)
{
    char words[MARKUP_NUMBER];

    switch (cell->kind) {
    case CELL_EMPTY: fputs("<td></td>", to); break;
    case CELL_COUNT:
        markup_count(words, cell->count);
        fprintf(to, "<td class=\"number\" data-value=\"%" PRIu64 "\">%s</td>", cell->count, words);
        break;
    case CELL_REAL:
        markup_number(words, cell->real);
        fprintf(to, "<td class=\"number\" data-value=\"%.17g\">%s</td>", cell->real, words);
        break;
    case CELL_TEXT:
        fputs("<td>", to);
        markup_text_cut(to, cell->text, REPORT_TEXT);
        fputs("</td>", to);
        break;
    }
}

/* Whether a row says nothing but zero: the script hides it if it is asked to. */
static bool is_zero(const struct report_table *table, const struct report_row *row)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct report_cell *cell = &row->cells[i];

        if (cell->kind == CELL_TEXT || cell->count != 0 || cell->real != 0) {
            return false;
        }
    }
    return true;
}

/* Numbers stand at the right, and so does the heading of a column that holds more of them than of texts. */
static bool is_of_numbers(const struct report_table *table, unsigned column)
{
    int more = 0;

    for (unsigned row = 0; row < table->row_count; row++) {
        const enum cell_kind kind = table->rows[row].cells[column].kind;

        more += kind == CELL_EMPTY ? 0 : kind == CELL_TEXT ? -1 : 1;
    }
    return more > 0;
}

static void write_head(FILE *to, const struct report_table *table)
{
    fputs("<thead><tr><th scope=\"col\">", to);
    markup_text(to, table->name_title);
    fputs("</th>", to);
    for (unsigned i = 0; i < table->column_count; i++) {
        fprintf(to, "<th scope=\"col\"%s>", is_of_numbers(table, i) ? " class=\"number\"" : "");
        markup_text_cut(to, table->columns[i], REPORT_TEXT);
        fputs("</th>", to);
    }
    fputs("</tr></thead>\n", to);
}

static void write_table(FILE *to, const struct report_section *section, unsigned number)
{
    const struct report_table *table = &section->table;

    /* A wide table is scrolled, by keys too. */
    fprintf(to,
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"title%u\"><table><caption>",
            number);
    markup_text(to, section->title);
    fputs("</caption>\n", to);
    write_head(to, table);
    fputs("<tbody>\n", to);
    for (unsigned i = 0; i < table->row_count; i++) {
        fprintf(to, "<tr%s><th scope=\"row\">", is_zero(table, &table->rows[i]) ? " class=\"zero\"" : "");
        markup_text_cut(to, table->rows[i].name, REPORT_TEXT);
        fputs("</th>", to);
        for (unsigned column = 0; column < table->column_count; column++) {
            write_cell(to, &table->rows[i].cells[column]);
        }
        fputs("</tr>\n", to);
    }
    fputs("</tbody></table></div>\n", to);
    if (table->left_out) {
        fprintf(to, "<p class=\"note\">%u more values are not shown.</p>\n", table->left_out);
    }
}

/* --- the page ----------------------------------------------------------------------------------------------------- */

static void write_plot(FILE *to, const struct plot *plot)
{
    fputs("<figure><figcaption>", to);
    markup_text_cut(to, plot->title, REPORT_TEXT);
    fputs("</figcaption>\n", to);
    plot_write(to, plot);
    fputs("</figure>\n", to);
}

static void write_section(FILE *to, const struct report_section *section, unsigned number)
{
    const char *element = section->folded ? "details" : "section";

    fprintf(to, "<%s id=\"part%u\" aria-labelledby=\"title%u\">%s<h2 id=\"title%u\">", element, number,
            number, section->folded ? "<summary>" : "", number);
    markup_text_cut(to, section->title, REPORT_TEXT);
    fprintf(to, "</h2>%s\n", section->folded ? "</summary>" : "");
    if (section->note) {
        fputs("<p class=\"note\">", to);
        markup_text(to, section->note);
        fputs("</p>\n", to);
    }
    for (unsigned i = 0; i < section->plot_count; i++) {
        write_plot(to, &section->plots[i]);
    }
    write_table(to, section, number);
    fprintf(to, "</%s>\n", element);
}

static void write_contents(FILE *to, const struct report *report)
{
    fputs("<nav aria-label=\"Contents\"><ul>\n", to);
    for (unsigned i = 0; i < report->section_count; i++) {
        fprintf(to, "<li><a href=\"#part%u\">", i);
        markup_text_cut(to, report->sections[i]->title, REPORT_TEXT);
        fputs("</a></li>\n", to);
    }
    fputs("</ul></nav>\n", to);
}

void page_write(FILE *to, const struct report *report)
{
    fprintf(to,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'; "
            "script-src '%s'; base-uri 'none'; form-action 'none'\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"generator\" content=\"vmmu report\">\n<title>",
            page_script_hash);
    markup_text(to, report->title);
    fprintf(to, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<header><h1>", page_style, plot_style());
    markup_text(to, report->title);
    fputs("</h1>\n", to);
    write_contents(to, report);
    fputs("</header>\n<main>\n", to);
    for (unsigned i = 0; i < report->section_count; i++) {
        write_section(to, report->sections[i], i);
    }
    if (report->left_out) {
        fprintf(to, "<p class=\"note\">%u more sections are not shown.</p>\n", report->left_out);
    }
    fprintf(to, "</main>\n<script>%s</script>\n</body>\n</html>\n", page_script);
}

/* --- the same as JSON ----------------------------------------------------------------------------------------------- */

/* JSON has no infinities. */
static struct json_object *real_json(double real)
{
    static char format[] = "%.15g"; /* json-c wants it writable */
    struct json_object *object = isfinite(real) ? json_object_new_double(real) : NULL;

    if (object) {
        json_object_set_serializer(object, json_object_double_to_json_string, format, NULL);
    }
    return object;
}

static struct json_object *cell_json(const struct report_cell *cell)
{
    switch (cell->kind) {
    case CELL_COUNT: return json_object_new_uint64(cell->count);
    case CELL_REAL: return real_json(cell->real);
    case CELL_TEXT: return json_object_new_string(cell->text);
    case CELL_EMPTY: break;
    }
    return NULL;
}

static struct json_object *section_json(const struct report_section *section)
{
    const struct report_table *table = &section->table;
    struct json_object *object = json_object_new_object();
    struct json_object *columns = json_object_new_array(), *rows = json_object_new_array();

    for (unsigned i = 0; i < table->column_count; i++) {
        json_object_array_add(columns, json_object_new_string(table->columns[i]));
    }
    for (unsigned i = 0; i < table->row_count; i++) {
        struct json_object *row = json_object_new_array();

        json_object_array_add(row, json_object_new_string(table->rows[i].name));
        for (unsigned column = 0; column < table->column_count; column++) {
            json_object_array_add(row, cell_json(&table->rows[i].cells[column]));
        }
        json_object_array_add(rows, row);
    }
    json_put_text(object, "title", section->title);
    json_object_object_add(object, "columns", columns);
    json_object_object_add(object, "rows", rows);
    return object;
}

struct json_object *page_json(const struct report *report)
{
    struct json_object *object = json_object_new_object(), *sections = json_object_new_array();

    json_put_number(object, "vmmu_report", 1);
    json_put_text(object, "title", report->title);
    for (unsigned i = 0; i < report->section_count; i++) {
        json_object_array_add(sections, section_json(report->sections[i]));
    }
    json_object_object_add(object, "sections", sections);
    return object;
}
