#include "tools/live/ranges.h"

#include <vmmu/scan.h>

#include "tools/image/partition.h"
#include "tools/ui/json.h"

/* Entries of a second stage that are looked at: four levels of tables over a guest of 64 TiB in large pages. */
#define SCAN_BUDGET BIT64(26)

/* The tables of a second stage: its root, and all that an entry points to. */
static bool add_second(struct image_memory *memory, const struct vmmu_x86_stage2 *second,
                       struct complaint *complaint)
{
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    image_memory_add(memory, second->root.v, VMMU_PAGE_BYTES, NULL);
    vmmu_scan_begin_stage2(&scan, second, SCAN_BUDGET);
    scan.tables = true;
    for (;;) {
        switch (vmmu_scan_next(&scan, &item)) {
        case VMMU_X86_SCAN_END: return true;
        case VMMU_X86_SCAN_SPENT: return complain(complaint, "the tables of the second stage have no end");
        case VMMU_X86_SCAN_TABLE:
            image_memory_add(memory, item.frame, VMMU_PAGE_BYTES, NULL);
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

static bool add_partition(struct image_memory *memory, const struct partition *partition,
                          struct complaint *complaint)
{
    for (unsigned i = 0; i < partition->piece_count; i++) {
        image_memory_add(memory, partition->pieces[i].hpa, partition->pieces[i].size_bytes, NULL);
    }
    for (unsigned i = 0; i < partition->table_count; i++) {
        image_memory_add(memory, partition->tables[i].hpa, VMMU_PAGE_BYTES, NULL);
    }
    return !partition->has_second || add_second(memory, &partition->second, complaint);
}

bool ranges_of_partitions(struct image_memory *memory, const struct image *image, struct complaint *complaint)
{
    const unsigned count = (unsigned)json_object_array_length(json_get_array(image->state, "partitions"));

    for (unsigned i = 0; i < count; i++) {
        struct partition *const partition = partition_open(image, i, complaint);
        bool added;

        if (!partition) {
            return false;
        }
        added = add_partition(memory, partition, complaint);
        partition_close(partition);
        if (!added) {
            return false;
        }
    }
    return true;
}
