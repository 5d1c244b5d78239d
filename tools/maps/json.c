#include "tools/maps/json.h"

#include <stdio.h>

#include "tools/ui/json.h"
#include "tools/walk/names.h"

static const char *plain(struct json_object *object)
{
    return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* The members of @object, each on its line and followed by a comma. */
static void print_members(struct json_object *object, const char *before, const char *after)
{
    json_object_object_foreach(object, key, value)
    {
        printf("%s\"%s\": %s%s", before, key, plain(value), after);
    }
}

static void put_mode(struct json_object *head, const struct space *space)
{
    const bool flat = !space->second && space->mode.paging == VMMU_X86_PAGING_NONE;

    json_put_text(head, "paging", flat ? "none" : format_words(space_format(space)));
    if (!space->second) {
        json_put_flag(head, "paging_known", space->mode_known);
    }
}

/* Print the members of @head, which is freed, and open the array. */
static void open_array(struct json_rows *rows, struct json_object *head, const char *name)
{
    rows->any = false;
    printf("{\n");
    print_members(head, "  ", ",\n");
    printf("  \"%s\": [", name);
    json_object_put(head);
}

void json_rows_begin(struct json_rows *rows, const struct space *space, const char *document,
                     const char *name)
{
    struct json_object *head = json_object_new_object();

    json_put_number(head, document, 1);
    json_put_hex(head, space->second ? "second_stage" : "cr3", space->cr3);
    put_mode(head, space);
    json_put_hex(head, "pat", space->pat);
    json_put_flag(head, "pat_known", space->pat_known);
    open_array(rows, head, name);
}

void json_rows_begin_all(struct json_rows *rows, const struct space *space, const char *document,
                         const char *name)
{
    struct json_object *head = json_object_new_object();

    json_put_number(head, document, 1);
    put_mode(head, space);
    open_array(rows, head, name);
}

void json_rows_add(struct json_rows *rows, struct json_object *row)
{
    printf("%s\n    %s", rows->any ? "," : "", plain(row));
    rows->any = true;
    json_object_put(row);
}

void json_rows_end(struct json_rows *rows, struct json_object *rest)
{
    printf("%s]", rows->any ? "\n  " : "");
    print_members(rest, ",\n  ", "");
    printf("\n}\n");
    json_object_put(rest);
}

void json_put_rights(struct json_object *row, uint8_t rights)
{
    json_put_flag(row, "user", rights & VMMU_X86_RIGHT_USER);
    json_put_flag(row, "read", rights & VMMU_X86_RIGHT_READ);
    json_put_flag(row, "write", rights & VMMU_X86_RIGHT_WRITE);
    json_put_flag(row, "execute", rights & VMMU_X86_RIGHT_EXECUTE);
}

/* What is told of entries that map nothing, though they are there. */
static void put_oddity(struct json_object *row, const struct vmmu_x86_scan_item *item)
{
    json_put_number(row, "level", item->level);
    json_put_hex(row, "place", item->place);
    json_put_hex(row, "entry", item->entry);
    json_put_hex(row, "reserved", item->reserved);
}

struct json_object *json_of_range(const struct ranges *ranges, const struct range *range)
{
    static const char *const kinds[] = {
        [RANGE_MAPPED] = "mapping", [RANGE_MALFORMED] = "malformed", [RANGE_ABSENT] = "absent"
    };
    struct json_object *row = json_object_new_object();

    json_put_text(row, "kind", kinds[range->kind]);
    json_put_hex(row, "start", range->start);
    json_put_number(row, "bytes", range->bytes);
    if (range->kind != RANGE_MAPPED) {
        json_put_number(row, "entries", range->entries);
        put_oddity(row, &range->first);
        return row;
    }
    json_put_rights(row, range->first.rights);
    if (ranges->join >= RANGES_TYPE) {
        json_put_text(row, "type", memory_type_word(range->type));
    }
    if (ranges->join >= RANGES_ALL) {
        json_put_flag(row, "global", range->first.global);
        json_put_number(row, "key", range->first.key);
    }
    if (ranges->physical) {
        json_put_hex(row, "physical", range->first.frame);
    }
    struct json_object *pages = json_object_new_object();

    for (unsigned size = 0; size < PAGE_SIZES; size++) {
        if (range->pages[size]) {
            json_put_number(pages, page_size_words[size], range->pages[size]);
        }
    }
    json_object_object_add(row, "pages", pages);
    return row;
}

struct json_object *json_of_page(const struct space *space, enum vmmu_x86_scan_found found,
                                 const struct vmmu_x86_scan_item *item)
{
    struct json_object *row = json_object_new_object();

    json_put_text(row, "kind",
                  found == VMMU_X86_SCAN_LEAF      ? "mapping"
                  : found == VMMU_X86_SCAN_REFUSED ? "malformed"
                                                   : "absent");
    json_put_hex(row, "va", item->address);
    json_put_number(row, "bytes", item->bytes);
    if (found != VMMU_X86_SCAN_LEAF) {
        put_oddity(row, item);
        return row;
    }
    json_put_hex(row, "gpa", item->frame);
    json_put_hex(row, "entry", item->entry);
    json_put_hex(row, "place", item->place);
    json_put_number(row, "level", item->level);
    json_put_rights(row, item->rights);
    json_put_text(row, "type", memory_type_word(space_type(space, item)));
    json_put_number(row, "key", item->key);
    json_put_flag(row, "global", item->global);
    json_put_flag(row, "accessed", item->accessed);
    json_put_flag(row, "dirty", item->dirty);
    return row;
}

struct json_object *json_of_totals(const struct show_totals *totals, bool complete)
{
    struct json_object *rest = json_object_new_object();
    struct json_object *pages = json_object_new_object();

    for (unsigned size = 0; size < PAGE_SIZES; size++) {
        json_put_number(pages, page_size_words[size], totals->pages[size]);
    }
    json_put_flag(rest, "complete", complete);
    json_put_number(rest, "range_count", totals->ranges);
    json_put_number(rest, "mapped_bytes", totals->bytes);
    json_object_object_add(rest, "pages_of_size", pages);
    json_put_number(rest, "malformed_entries", totals->malformed);
    json_put_number(rest, "absent_entries", totals->absent);
    json_put_number(rest, "entries_read", totals->entries_read);
    return rest;
}
