#include "tools/maps/show.h"

#include "tools/command.h"
#include "tools/maps/json.h"
#include "tools/maps/text.h"

static void count(struct show_totals *totals, const struct range *range)
{
    switch (range->kind) {
    case RANGE_MALFORMED: totals->malformed += range->entries; return;
    case RANGE_ABSENT: totals->absent += range->entries; return;
    case RANGE_MAPPED: break;
    }
    totals->ranges++;
    totals->bytes += range->bytes;
    for (unsigned size = 0; size < PAGE_SIZES; size++) {
        totals->pages[size] += range->pages[size];
    }
}

/* How the command ends that has shown @totals. */
static int outcome(const struct space *space, const struct vmmu_x86_scan *scan, bool complete,
                   const struct show_totals *totals, struct complaint *complaint)
{
    if (!complete) {
        (void)space_spent(space, scan, complaint);
        return COMMAND_INPUT;
    }
    return totals->bytes != 0 ? COMMAND_OK : COMMAND_NO;
}

int show_ranges(const struct space *space, const struct show_options *options, struct complaint *complaint)
{
    struct ranges ranges;
    struct range range;
    struct text_rows text;
    struct json_rows json;
    struct show_totals totals = { 0 };
    enum vmmu_x86_scan_found found;

    ranges_begin(&ranges, space, options->join, options->physical);
    if (options->json) {
        json_rows_begin(&json, space, "vmmu_maps", "ranges");
    } else {
        text_begin(&text, space, options);
    }
    while ((found = ranges_next(&ranges, &range)) == VMMU_X86_SCAN_LEAF) {
        count(&totals, &range);
        if (options->json) {
            json_rows_add(&json, json_of_range(&ranges, &range));
        } else {
            text_range(&text, &range);
        }
    }
    totals.entries_read = space->budget - ranges.scan.budget;
    if (options->json) {
        json_rows_end(&json, json_of_totals(&totals, found == VMMU_X86_SCAN_END));
    } else {
        text_finish(&text);
        text_totals(&totals);
    }
    return outcome(space, &ranges.scan, found == VMMU_X86_SCAN_END, &totals, complaint);
}

static void count_page(struct show_totals *totals, enum vmmu_x86_scan_found found,
                       const struct vmmu_x86_scan_item *item)
{
    if (found == VMMU_X86_SCAN_LEAF) {
        totals->ranges++;
        totals->bytes += item->bytes;
        totals->pages[page_size_of(item->bytes)]++;
    } else {
        totals->malformed += found == VMMU_X86_SCAN_REFUSED;
        totals->absent += found == VMMU_X86_SCAN_ABSENT;
    }
}

int show_pages(const struct space *space, const struct show_options *options, struct complaint *complaint)
{
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;
    struct json_rows json;
    struct show_totals totals = { 0 };
    enum vmmu_x86_scan_found found;

    space_scan(space, &scan);
    if (options->json) {
        json_rows_begin(&json, space, "vmmu_maps", "pages");
    } else {
        text_pages_head(space);
    }
    while ((found = vmmu_scan_next(&scan, &item)) != VMMU_X86_SCAN_END && found != VMMU_X86_SCAN_SPENT) {
        count_page(&totals, found, &item);
        if (options->json) {
            json_rows_add(&json, json_of_page(space, found, &item));
        } else {
            text_page(space, found, &item);
        }
    }
    totals.entries_read = space->budget - scan.budget;
    if (options->json) {
        json_rows_end(&json, json_of_totals(&totals, found == VMMU_X86_SCAN_END));
    } else {
        text_totals(&totals);
    }
    return outcome(space, &scan, found == VMMU_X86_SCAN_END, &totals, complaint);
}
