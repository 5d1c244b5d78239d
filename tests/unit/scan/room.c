#include "room.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct room *room = context;

    assert_true(address % width_bytes == 0);
    room->loads++;
    if (address >= sizeof(room->words)) {
        return VMMU_ABSENT;
    }
    *value = 0;
    memcpy(value, (const uint8_t *)room->words + address, width_bytes);
    return VMMU_OK;
}

static enum vmmu_status exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                 uint64_t desired)
{
    (void)context, (void)address, (void)width_bytes, (void)expected, (void)desired;
    fail_msg("a scan marks nothing");
    return VMMU_ABSENT;
}

struct room *room_new(void)
{
    struct room *room = calloc(1, sizeof(*room));

    assert_non_null(room);
    room->ram = (struct vmmu_ram){ .context = room, .load = load, .exchange = exchange };
    return room;
}

void room_put(struct room *room, uint64_t table, unsigned index, unsigned entry_bytes, uint64_t entry)
{
    const uint64_t at = table + (uint64_t)index * entry_bytes;

    assert_true(at + entry_bytes <= sizeof(room->words));
    memcpy((uint8_t *)room->words + at, &entry, entry_bytes);
}

void expect_next(struct vmmu_x86_scan *scan, enum vmmu_x86_scan_found found, struct vmmu_x86_scan_item *item)
{
    EXPECT_EQ(vmmu_scan_next(scan, item), found);
}
