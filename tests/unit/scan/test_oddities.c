/* What a scan tells of tables that no walk gets through, and how it is bounded. */
#include <stdlib.h>

#include "room.h"
#include "tests/unit/test.h"

#define PLENTY  UINT64_C(1000000)
#define NOWHERE UINT64_C(0x7000000)

static struct vmmu_x86_scan begin(struct room *room, struct vmmu_x86_mode *mode, enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);
    struct vmmu_x86_scan scan;

    *mode = mode_of(&registers);
    vmmu_scan_begin(&scan, mode, &room->ram, PLENTY);
    return scan;
}

static void test_a_reserved_bit_is_told_with_its_entry_and_what_it_takes_away(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan_item item;
    const uint64_t link = 0x2000 | E_ALL | E_PS;
    const uint64_t leaf = BIT64(13) | E_P | E_PS;

    room_put(room, 0x1000, 3, 8, link);
    room_put(room, 0x1000, 4, 8, 0x2000 | E_P | E_RW);
    room_put(room, 0x2000, 5, 8, leaf);
    struct vmmu_x86_scan scan = begin(room, &mode, VMMU_X86_PAGING_4LEVEL);
    expect_next(&scan, VMMU_X86_SCAN_REFUSED, &item);
    EXPECT(item.level == 4 && item.place == 0x1018 && item.entry == link && item.reserved == E_PS);
    EXPECT(item.address == UINT64_C(3) << 39 && item.bytes == UINT64_C(1) << 39);
    EXPECT(item.rights == VMMU_X86_RIGHTS_ALL && item.frame == 0);
    expect_next(&scan, VMMU_X86_SCAN_REFUSED, &item);
    EXPECT(item.level == 3 && item.entry == leaf && item.reserved == BIT64(13));
    EXPECT_EQ(item.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE);
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    free(room);
}

static void test_reserved_bits_of_a_pdpte_count_in_memory_only(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 0, 8, 0x2000 | E_P | E_RW);
    struct vmmu_x86_scan scan = begin(room, &mode, VMMU_X86_PAGING_PAE);
    expect_next(&scan, VMMU_X86_SCAN_REFUSED, &item);
    EXPECT(item.reserved == E_RW && item.level == 3 && !item.in_register);
    free(room);
}

static void test_pdpte_registers_were_checked_when_they_were_loaded(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan_item item;
    struct vmmu_x86_scan scan = begin(room, &mode, VMMU_X86_PAGING_PAE);

    mode.pdpte_in_memory = false;
    mode.pdpte[2] = 0x2000 | E_P | E_A; /* as an emulator marks it afterwards */
    room_put(room, 0x2000, 0, 8, E_ALL | E_PS);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT_EQ(item.address, 0x80000000);
    free(room);
}

static void test_a_misconfiguration_of_ept_is_told(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_stage2 stage2;
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    EXPECT_EQ(vmmu_stage2_ept(0x1000 | (3 << 3) | 6, &full_limits, &room->ram, &stage2), VMMU_OK);
    room_put(room, 0x1000, 0, 8, 0x2000 | 2); /* writable, not readable */
    room_put(room, 0x1000, 1, 8, 0x2000 | 7);
    room_put(room, 0x2000, 0, 8, BIT64(7) | (3 << 3) | 7); /* no such memory type */
    vmmu_scan_begin_stage2(&scan, &stage2, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_REFUSED, &item);
    EXPECT(item.level == 4 && item.reserved == 0 && item.entry == (0x2000 | 2));
    expect_next(&scan, VMMU_X86_SCAN_REFUSED, &item);
    EXPECT(item.level == 3 && item.reserved == 0 && item.address == UINT64_C(1) << 39);
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    free(room);
}

static void test_a_table_where_no_memory_is_is_told_once(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 256, 8, NOWHERE | E_P | E_RW);
    room_put(room, 0x1000, 257, 8, 0x2000 | E_ALL);
    room_put(room, 0x2000, 0, 8, E_ALL | E_PS);
    struct vmmu_x86_scan scan = begin(room, &mode, VMMU_X86_PAGING_4LEVEL);
    expect_next(&scan, VMMU_X86_SCAN_ABSENT, &item);
    EXPECT(item.place == NOWHERE && item.level == 3 && item.entry == 0);
    EXPECT(item.address == UINT64_C(0xFFFF800000000000) && item.bytes == UINT64_C(1) << 39);
    EXPECT_EQ(item.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE | VMMU_X86_RIGHT_EXECUTE);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT_EQ(item.address, UINT64_C(0xFFFF808000000000));
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    free(room);
}

static void test_a_root_where_no_memory_is_is_told_once_for_each_half(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    registers.cr3 = NOWHERE;
    const struct vmmu_x86_mode mode = mode_of(&registers);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_ABSENT, &item);
    EXPECT(item.address == 0 && item.bytes == UINT64_C(1) << 47 && item.place == NOWHERE && item.level == 4);
    expect_next(&scan, VMMU_X86_SCAN_ABSENT, &item);
    EXPECT(item.address == UINT64_C(0xFFFF800000000000) && item.bytes == UINT64_C(1) << 47);
    EXPECT_EQ(item.place, NOWHERE + 0x800);
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    free(room);
}

/* Memory may end anywhere: here in the midst of a table, whose last entry is there again. */
static enum vmmu_status torn_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const struct vmmu_ram *whole = context;

    return address >= 0x1800 && address < 0x1FF8 ? VMMU_ABSENT
                                                 : whole->load(whole->context, address, width_bytes, value);
}

static void test_entries_around_a_hole_in_memory_are_told(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_ram torn = { .context = &room->ram, .load = torn_load };
    const struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    const struct vmmu_x86_mode mode = mode_of(&registers);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 255, 8, 0x2000 | E_ALL);
    room_put(room, 0x1000, 511, 8, 0x2000 | E_ALL);
    room_put(room, 0x2000, 0, 8, E_ALL | E_PS);
    vmmu_scan_begin(&scan, &mode, &torn, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    expect_next(&scan, VMMU_X86_SCAN_ABSENT, &item);
    EXPECT(item.address == UINT64_C(0xFFFF800000000000) && item.bytes == UINT64_C(255) << 39);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT_EQ(item.address, UINT64_C(0xFFFFFF8000000000));
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    EXPECT_EQ(scan.budget, PLENTY - 512 - 512 - 512); /* the root once, and the other table twice */
    free(room);
}

static void test_a_table_that_maps_itself_ends_at_the_budget_and_goes_on_with_more(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan_item item;
    uint64_t before = 0;

    for (unsigned index = 0; index < 512; index++) {
        room_put(room, 0x1000, index, 8, 0x1000 | E_ALL);
    }
    struct vmmu_x86_scan scan = begin(room, &mode, VMMU_X86_PAGING_4LEVEL);
    scan.budget = 1000;
    while (vmmu_scan_next(&scan, &item) == VMMU_X86_SCAN_LEAF) {
        EXPECT(item.frame == 0x1000 && (item.address == 0 || item.address == before + 4096));
        before = item.address;
    }
    expect_next(&scan, VMMU_X86_SCAN_SPENT, &item);
    EXPECT_EQ(room->loads, 1000);
    scan.budget = 1;
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT_EQ(item.address, before + 4096);
    expect_next(&scan, VMMU_X86_SCAN_SPENT, &item);
    free(room);
}

static void test_entries_that_are_not_present_count_against_the_budget(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode;
    struct vmmu_x86_scan_item item;
    struct vmmu_x86_scan scan = begin(room, &mode, VMMU_X86_PAGING_4LEVEL);

    scan.budget = 511;
    expect_next(&scan, VMMU_X86_SCAN_SPENT, &item);
    scan.budget = 1;
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    EXPECT_EQ(room->loads, 512);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reserved_bit_is_told_with_its_entry_and_what_it_takes_away),
        cmocka_unit_test(test_reserved_bits_of_a_pdpte_count_in_memory_only),
        cmocka_unit_test(test_pdpte_registers_were_checked_when_they_were_loaded),
        cmocka_unit_test(test_a_misconfiguration_of_ept_is_told),
        cmocka_unit_test(test_a_table_where_no_memory_is_is_told_once),
        cmocka_unit_test(test_a_root_where_no_memory_is_is_told_once_for_each_half),
        cmocka_unit_test(test_entries_around_a_hole_in_memory_are_told),
        cmocka_unit_test(test_a_table_that_maps_itself_ends_at_the_budget_and_goes_on_with_more),
        cmocka_unit_test(test_entries_that_are_not_present_count_against_the_budget),
    };
    return RUN_TESTS(tests);
}
