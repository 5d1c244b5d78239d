#include "tools/live/ranges.h"

#include <stdlib.h>

#include <vmmu/scan.h>

#include "tools/image/partition.h"
#include "tools/ui/json.h"

/* Entries of a second stage that are looked at: four levels of tables over a guest of 64 TiB in large pages. */
#define SCAN_BUDGET BIT64(26)

void ranges_add(struct dump_ranges *ranges, uint64_t base, uint64_t bytes)
{
    if (ranges->count == ranges->room) {
        const unsigned room = 2 * ranges->room + 64;

        ranges->all = grow_memory(ranges->all, ranges->room, room, sizeof(*ranges->all));
        ranges->room = room;
    }
    ranges->all[ranges->count++] = (struct dump_range){ base, bytes };
}

static int by_base(const void *left, const void *right)
{
    const struct dump_range *const a = left;
    const struct dump_range *const b = right;

    return (a->base > b->base) - (a->base < b->base);
}

void ranges_settle(struct dump_ranges *ranges)
{
    unsigned kept = 0;

    if (ranges->count == 0) {
        return;
    }
    qsort(ranges->all, ranges->count, sizeof(*ranges->all), by_base);
    for (unsigned i = 1; i < ranges->count; i++) {
        struct dump_range *const last = &ranges->all[kept];
        const struct dump_range *const next = &ranges->all[i];

        if (next->base > last->base + last->bytes) {
            ranges->all[++kept] = *next;
        } else if (next->base + next->bytes > last->base + last->bytes) {
            last->bytes = next->base + next->bytes - last->base;
        }
    }
    ranges->count = kept + 1;
}

void ranges_free(struct dump_ranges *ranges)
{
    free(ranges->all);
    *ranges = (struct dump_ranges){ 0 };
}

/* The tables of a second stage: its root, and all that an entry points to. */
static bool add_second(struct dump_ranges *ranges, const struct vmmu_x86_stage2 *second,
                       struct complaint *complaint)
{
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    ranges_add(ranges, second->root.v, VMMU_PAGE_BYTES);
    vmmu_scan_begin_stage2(&scan, second, SCAN_BUDGET);
    scan.tables = true;
    for (;;) {
        switch (vmmu_scan_next(&scan, &item)) {
        case VMMU_X86_SCAN_END: return true;
        case VMMU_X86_SCAN_SPENT: return complain(complaint, "the tables of the second stage have no end");
        case VMMU_X86_SCAN_TABLE:
            ranges_add(ranges, item.frame, VMMU_PAGE_BYTES);
            if (item.level == 2) {
                vmmu_scan_skip(&scan); /* what it leads to has no tables below */
            }
            break;
        case VMMU_X86_SCAN_LEAF:
        case VMMU_X86_SCAN_REFUSED:
        case VMMU_X86_SCAN_ABSENT: break;
        }
    }
}

static bool add_partition(struct dump_ranges *ranges, const struct partition *partition,
                          struct complaint *complaint)
{
    for (unsigned i = 0; i < partition->piece_count; i++) {
        ranges_add(ranges, partition->pieces[i].hpa, partition->pieces[i].size_bytes);
    }
    for (unsigned i = 0; i < partition->table_count; i++) {
        ranges_add(ranges, partition->tables[i].hpa, VMMU_PAGE_BYTES);
    }
    return !partition->has_second || add_second(ranges, &partition->second, complaint);
}

bool ranges_of_partitions(struct dump_ranges *ranges, const struct image *image, struct complaint *complaint)
{
    const unsigned count = (unsigned)json_object_array_length(json_get_array(image->state, "partitions"));

    for (unsigned i = 0; i < count; i++) {
        struct partition *const partition = partition_open(image, i, complaint);
        bool added;

        if (!partition) {
            return false;
        }
        added = add_partition(ranges, partition, complaint);
        partition_close(partition);
        if (!added) {
            return false;
        }
    }
    return true;
}
