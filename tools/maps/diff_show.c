#include <inttypes.h>
#include <stdio.h>

#include "tools/command.h"
#include "tools/maps/diff.h"
#include "tools/maps/json.h"
#include "tools/ui/json.h"
#include "tools/ui/paint.h"
#include "tools/walk/names.h"

const char *const diff_words[DIFF_KINDS] = {
    [DIFF_SAME] = "same",
    [DIFF_ONLY_FIRST] = "only in first",
    [DIFF_ONLY_SECOND] = "only in second",
    [DIFF_RIGHTS] = "other rights",
    [DIFF_MEMORY] = "other memory",
    [DIFF_TYPE] = "other memory type",
};

static void print_head(const struct space *first, const struct space *second)
{
    const int digits = space_digits(first);
    char text[SPACE_TEXT_BYTES];

    printf("%sfirst:  %s\n", paint_on(PAINT_HEAD), space_text(first, text));
    printf("second: %s\n", space_text(second, text));
    space_print_doubt(first);
    printf("%-*s %-*s %12s  %-5s %-6s difference%s\n", digits, "start", digits, "end", "size", "first",
           "second", paint_off());
}

static void print_piece(const struct space *space, const struct diff_piece *piece)
{
    const int digits = space_digits(space);
    const uint64_t end = piece->start + piece->bytes;
    char size[ENTRY_TEXT_BYTES];
    char first[ENTRY_TEXT_BYTES];
    char second[ENTRY_TEXT_BYTES];

    printf("%0*" PRIx64 "-%0*" PRIx64 " %12s  %-5s %-6s %s%s%s\n", digits, piece->start, digits, end,
           size_text(piece->bytes, size),
           piece->kind == DIFF_ONLY_SECOND ? "" : rights_text(piece->first_rights, first),
           piece->kind == DIFF_ONLY_FIRST ? "" : rights_text(piece->second_rights, second),
           paint_on(PAINT_NOTE), diff_words[piece->kind], paint_off());
}

static struct json_object *json_of_piece(const struct diff_piece *piece)
{
    struct json_object *row = json_object_new_object();
    struct json_object *side;

    json_put_text(row, "difference", diff_words[piece->kind]);
    json_put_hex(row, "start", piece->start);
    json_put_number(row, "bytes", piece->bytes);
    if (piece->kind != DIFF_ONLY_SECOND) {
        side = json_object_new_object();
        json_put_rights(side, piece->first_rights);
        json_object_object_add(row, "first", side);
    }
    if (piece->kind != DIFF_ONLY_FIRST) {
        side = json_object_new_object();
        json_put_rights(side, piece->second_rights);
        json_object_object_add(row, "second", side);
    }
    return row;
}

static void print_totals(const uint64_t bytes[DIFF_KINDS])
{
    char size[ENTRY_TEXT_BYTES];

    printf("%s", paint_on(PAINT_DIM));
    for (unsigned kind = 0; kind < DIFF_KINDS; kind++) {
        if (bytes[kind] || kind == DIFF_SAME) {
            printf("%s%s: %s", kind ? "; " : "", diff_words[kind], size_text(bytes[kind], size));
        }
    }
    printf("%s\n", paint_off());
}

static struct json_object *json_of_totals_of(const uint64_t bytes[DIFF_KINDS], const struct space *second,
                                             bool complete)
{
    struct json_object *rest = json_object_new_object();
    struct json_object *totals = json_object_new_object();

    for (unsigned kind = 0; kind < DIFF_KINDS; kind++) {
        json_put_number(totals, diff_words[kind], bytes[kind]);
    }
    json_put_hex(rest, "second_cr3", second->cr3);
    json_put_flag(rest, "complete", complete);
    json_object_object_add(rest, "bytes_of_kind", totals);
    return rest;
}

/* Whether anything but sameness was found. */
static bool differ(const uint64_t bytes[DIFF_KINDS])
{
    for (unsigned kind = DIFF_SAME + 1; kind < DIFF_KINDS; kind++) {
        if (bytes[kind]) {
            return true;
        }
    }
    return false;
}

int diff_show(const struct space *first, const struct space *second, bool json, struct complaint *complaint)
{
    uint64_t bytes[DIFF_KINDS] = { 0 };
    struct diff diff;
    struct diff_piece piece;
    struct json_rows rows;
    enum vmmu_x86_scan_found found;

    diff_begin(&diff, first, second);
    if (json) {
        json_rows_begin(&rows, first, "vmmu_maps", "differences");
    } else {
        print_head(first, second);
    }
    while ((found = diff_next(&diff, &piece)) == VMMU_X86_SCAN_LEAF) {
        bytes[piece.kind] += piece.bytes;
        if (piece.kind != DIFF_SAME && json) {
            json_rows_add(&rows, json_of_piece(&piece));
        } else if (piece.kind != DIFF_SAME) {
            print_piece(first, &piece);
        }
    }
    if (json) {
        json_rows_end(&rows, json_of_totals_of(bytes, second, found == VMMU_X86_SCAN_END));
    } else {
        print_totals(bytes);
    }
    if (found == VMMU_X86_SCAN_SPENT) {
        const bool of_first = diff.first.found == VMMU_X86_SCAN_SPENT;

        (void)space_spent(of_first ? first : second, of_first ? &diff.first.scan : &diff.second.scan,
                          complaint);
        return COMMAND_INPUT;
    }
    return differ(bytes) ? COMMAND_NO : COMMAND_OK;
}
