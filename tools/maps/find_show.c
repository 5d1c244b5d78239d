#include <inttypes.h>
#include <stdio.h>

#include "tools/command.h"
#include "tools/maps/find.h"
#include "tools/maps/fold.h"
#include "tools/maps/json.h"
#include "tools/ui/json.h"
#include "tools/ui/paint.h"
#include "tools/walk/names.h"

/* What is being printed, of one space after the other. */
struct finding {
    const struct space *space;
    uint64_t address;
    bool json;
    struct json_rows rows;
    struct fold fold;
    uint64_t found;
};

static void print_place(const struct finding *finding, const struct range *range)
{
    const struct vmmu_x86_scan_item *item = &range->first;
    const int digits = space_digits(finding->space);
    char rights[ENTRY_TEXT_BYTES];

    printf("%-18" PRIx64 " ", finding->space->cr3);
    if (range->kind == RANGE_MAPPED) {
        printf("%0*" PRIx64 " %-4s %-6s %s\n", digits, range->start + (finding->address - item->frame),
               page_size_words[page_size_of(range->bytes)], rights_text(item->rights, rights),
               memory_type_word(range->type));
    } else if (item->level > vmmu_x86_formats[space_format(finding->space)].levels) {
        printf("%sit is the root of these tables%s\n", paint_on(PAINT_NOTE), paint_off());
    } else {
        printf("%0*" PRIx64 " %sit is a table, for %s from here on: %s at 0x%" PRIx64 "%s\n", digits,
               range->start, paint_on(PAINT_NOTE), size_text(range->bytes, rights),
               entry_name(space_format(finding->space), item->level), item->place, paint_off());
    }
}

static void print_fold(const struct finding *finding, const struct fold *fold)
{
    char stride[ENTRY_TEXT_BYTES];

    for (uint64_t i = 0; i < fold->count && (i == 0 || fold->count < FOLD_LEAST); i++) {
        const struct range range = fold_range(fold, i);

        print_place(finding, &range);
    }
    if (fold->count >= FOLD_LEAST) {
        printf("  ... %" PRIu64 " more like it, every %s\n", fold->count - 1,
               size_text(fold->stride, stride));
    }
}

static void add_json(struct finding *finding, enum vmmu_x86_scan_found found,
                     const struct vmmu_x86_scan_item *item)
{
    struct json_object *row;

    if (found == VMMU_X86_SCAN_LEAF) {
        row = json_of_page(finding->space, found, item);
    } else {
        row = json_object_new_object();
        json_put_text(row, "kind", "table");
        json_put_hex(row, "va", item->address);
        json_put_number(row, "bytes", item->bytes);
        json_put_number(row, "level", item->level - 1U);
        json_put_hex(row, "place", item->place);
        json_put_hex(row, "entry", item->entry);
    }
    json_put_hex(row, "cr3", finding->space->cr3);
    json_rows_add(&finding->rows, row);
}

static void add(struct finding *finding, enum vmmu_x86_scan_found found,
                const struct vmmu_x86_scan_item *item)
{
    const bool page = found == VMMU_X86_SCAN_LEAF;
    const struct range range = {
        .kind = page ? RANGE_MAPPED : RANGE_ABSENT,
        .start = item->address,
        .bytes = item->bytes,
        .type = page ? space_type(finding->space, item) : 0,
        .first = *item,
    };
    struct fold done;

    finding->found++;
    if (finding->json) {
        add_json(finding, found, item);
    } else if (fold_add(&finding->fold, &range, &done)) {
        print_fold(finding, &done);
    }
}

/* Everything in one space; whether its tables have an end. */
static bool find_in(struct finding *finding, const struct space *space, struct table_set *barren,
                    struct complaint *complaint)
{
    struct find find;
    struct vmmu_x86_scan_item item;
    enum vmmu_x86_scan_found found;

    finding->space = space;
    find_begin(&find, space, finding->address, barren);
    while ((found = find_next(&find, &item)) != VMMU_X86_SCAN_END && found != VMMU_X86_SCAN_SPENT) {
        add(finding, found, &item);
    }
    print_fold(finding, &finding->fold);
    finding->fold.count = 0;
    return found == VMMU_X86_SCAN_END || space_spent(space, &find.scan, complaint);
}

static void finish(struct finding *finding, unsigned count, bool complete)
{
    if (finding->json) {
        struct json_object *rest = json_object_new_object();

        json_put_hex(rest, "asked_for", finding->address);
        json_put_number(rest, "spaces", count);
        json_put_number(rest, "found", finding->found);
        json_put_flag(rest, "complete", complete);
        json_rows_end(&finding->rows, rest);
        return;
    }
    printf("%s%" PRIu64 " time%s in %u address space%s%s\n", paint_on(PAINT_DIM), finding->found,
           finding->found == 1 ? "" : "s", count, count == 1 ? "" : "s", paint_off());
}

int find_show(const struct space *spaces, unsigned count, uint64_t address, bool json,
              struct complaint *complaint)
{
    struct finding finding = { .address = address, .json = json };
    struct table_set barren = { 0 };
    bool complete = true;

    if (json) {
        json_rows_begin_all(&finding.rows, &spaces[0], "vmmu_maps", "mappings");
    } else {
        printf("%sMappings of physical address 0x%" PRIx64 "%s\n", paint_on(PAINT_HEAD), address,
               paint_off());
        space_print_doubt(&spaces[0]);
        printf("%s%-18s %-*s %-4s %-6s %s%s\n", paint_on(PAINT_HEAD), "CR3", space_digits(&spaces[0]),
               "address", "size", "rights", "type", paint_off());
    }
    for (unsigned i = 0; i < count && complete; i++) {
        complete = find_in(&finding, &spaces[i], &barren, complaint);
    }
    finish(&finding, count, complete);
    table_set_free(&barren);
    if (!complete) {
        return COMMAND_INPUT;
    }
    return finding.found ? COMMAND_OK : COMMAND_NO;
}
