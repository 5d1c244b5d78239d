/* Where a scan begins and ends. */
#include <stdlib.h>

#include "room.h"
#include "tests/unit/test.h"

#define PLENTY UINT64_C(1000000)
#define GIB    UINT64_C(0x40000000)
#define HIGH   UINT64_C(0xFFFF800000000000)

/* Four mappings of 1 GiB: at 0, at 2 GiB, at the first and at the last address of the upper half. */
struct setting {
    struct room *room;
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan scan;
};

static struct setting *set_up(void)
{
    struct setting *setting = calloc(1, sizeof(*setting));
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);

    assert_non_null(setting);
    setting->room = room_new();
    setting->mode = mode_of(&registers);
    room_put(setting->room, 0x1000, 0, 8, 0x2000 | E_ALL);
    room_put(setting->room, 0x1000, 256, 8, 0x3000 | E_ALL);
    room_put(setting->room, 0x1000, 511, 8, 0x4000 | E_ALL);
    room_put(setting->room, 0x2000, 0, 8, E_ALL | E_PS);
    room_put(setting->room, 0x2000, 2, 8, E_ALL | E_PS);
    room_put(setting->room, 0x3000, 0, 8, E_ALL | E_PS);
    room_put(setting->room, 0x4000, 511, 8, E_ALL | E_PS);
    vmmu_scan_begin(&setting->scan, &setting->mode, &setting->room->ram, PLENTY);
    return setting;
}

static void tear_down(struct setting *setting)
{
    free(setting->room);
    free(setting);
}

/* Exactly these mappings are told of [first, last]; @expected ends in 1. */
static void expect_told(struct setting *setting, uint64_t first, uint64_t last, const uint64_t *expected)
{
    struct vmmu_x86_scan_item item;

    vmmu_scan_seek(&setting->scan, first, last);
    for (; *expected != 1; expected++) {
        expect_next(&setting->scan, VMMU_X86_SCAN_LEAF, &item);
        EXPECT_EQ(item.address, *expected);
    }
    expect_next(&setting->scan, VMMU_X86_SCAN_END, &item);
}

#define TOLD(...) ((const uint64_t[]){ __VA_ARGS__ })

static void test_entries_that_hold_either_end_are_told_whole(void **state)
{
    (void)state;
    struct setting *setting = set_up();

    expect_told(setting, 0, UINT64_MAX, TOLD(0, 2 * GIB, HIGH, 0 - GIB, 1));
    expect_told(setting, GIB - 1, 2 * GIB, TOLD(0, 2 * GIB, 1));
    expect_told(setting, GIB, 2 * GIB - 1, TOLD(1));
    expect_told(setting, 2 * GIB + 4096, 2 * GIB + 4096, TOLD(2 * GIB, 1));
    expect_told(setting, UINT64_MAX, UINT64_MAX, TOLD(0 - GIB, 1));
    expect_told(setting, HIGH + GIB, UINT64_MAX - GIB, TOLD(1));
    tear_down(setting);
}

static void test_addresses_that_are_not_canonical_are_never_come_to(void **state)
{
    (void)state;
    struct setting *setting = set_up();

    expect_told(setting, UINT64_C(0x800000000000), HIGH - 1, TOLD(1));
    expect_told(setting, UINT64_C(0x800000000000), HIGH, TOLD(HIGH, 1));
    expect_told(setting, UINT64_C(0x1234000000000000), UINT64_MAX, TOLD(HIGH, 0 - GIB, 1));
    expect_told(setting, 3 * GIB, UINT64_C(0x1234000000000000), TOLD(1));
    expect_told(setting, 2 * GIB, UINT64_C(0x1234000000000000), TOLD(2 * GIB, 1));
    tear_down(setting);
}

static void test_a_range_that_ends_before_it_begins_is_empty(void **state)
{
    (void)state;
    struct setting *setting = set_up();

    expect_told(setting, GIB, 0, TOLD(1));
    expect_told(setting, UINT64_MAX, 0, TOLD(1));
    EXPECT_EQ(setting->room->loads, 0);
    tear_down(setting);
}

static void test_a_seek_reads_only_the_tables_on_its_way(void **state)
{
    (void)state;
    struct setting *setting = set_up();

    expect_told(setting, HIGH, HIGH, TOLD(HIGH, 1));
    EXPECT_EQ(setting->room->loads, 2);
    expect_told(setting, 0, 0, TOLD(0, 1));
    EXPECT_EQ(setting->room->loads, 4);
    tear_down(setting);
}

static void test_addresses_of_32_bit_paging_and_of_second_stages_end_with_the_format(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_32BIT);
    const struct vmmu_x86_mode mode = mode_of(&registers);
    struct vmmu_x86_stage2 stage2;
    struct setting setting = { .room = room };

    room_put(room, 0x1000, 1023, 4, E_ALL | E_PS);
    vmmu_scan_begin(&setting.scan, &mode, &room->ram, PLENTY);
    expect_told(&setting, 0xFFFFF000, UINT64_MAX, TOLD(0xFFC00000, 1));
    expect_told(&setting, UINT64_C(0x100000000), UINT64_MAX, TOLD(1));
    expect_told(&setting, 0, UINT64_C(0x100000000), TOLD(0xFFC00000, 1));

    room_put(room, 0x2000, 511, 8, 0x3000 | 7);
    room_put(room, 0x3000, 511, 8, BIT64(7) | 0x37);
    EXPECT_EQ(vmmu_stage2_ept(0x2000 | (3 << 3) | 6, &full_limits, &room->ram, &stage2), VMMU_OK);
    vmmu_scan_begin_stage2(&setting.scan, &stage2, PLENTY);
    expect_told(&setting, 0, UINT64_MAX, TOLD(UINT64_C(0xFFFFC0000000), 1));
    expect_told(&setting, UINT64_C(0x1000000000000), UINT64_MAX, TOLD(1));
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_that_hold_either_end_are_told_whole),
        cmocka_unit_test(test_addresses_that_are_not_canonical_are_never_come_to),
        cmocka_unit_test(test_a_range_that_ends_before_it_begins_is_empty),
        cmocka_unit_test(test_a_seek_reads_only_the_tables_on_its_way),
        cmocka_unit_test(test_addresses_of_32_bit_paging_and_of_second_stages_end_with_the_format),
    };
    return RUN_TESTS(tests);
}
