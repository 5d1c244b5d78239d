/* What a scan tells of mappings, format by format. */
#include <stdlib.h>

#include "room.h"
#include "tests/unit/test.h"

#define PLENTY   UINT64_C(1000000)
#define ALL      VMMU_X86_RIGHTS_ALL
#define NO_WRITE ((uint8_t)(ALL & ~VMMU_X86_RIGHT_WRITE))

static struct vmmu_x86_mode mode_for(enum vmmu_x86_paging paging)
{
    const struct vmmu_x86_paging_registers registers = registers_for(paging);

    return mode_of(&registers);
}

static void expect_leaf(struct vmmu_x86_scan *scan, uint64_t address, uint64_t frame, uint64_t bytes,
                        uint8_t rights)
{
    struct vmmu_x86_scan_item item;

    expect_next(scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT_EQ(item.address, address);
    EXPECT_EQ(item.frame, frame);
    EXPECT_EQ(item.bytes, bytes);
    EXPECT_EQ(item.rights, rights);
}

static void expect_end(struct vmmu_x86_scan *scan)
{
    struct vmmu_x86_scan_item item;

    expect_next(scan, VMMU_X86_SCAN_END, &item);
    expect_next(scan, VMMU_X86_SCAN_END, &item);
}

static void test_with_paging_off_there_is_one_mapping_of_4_gib(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_NONE);
    struct vmmu_x86_scan scan;

    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, 0, 0, UINT64_C(0x100000000), ALL);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 0);
    free(room);
}

static void test_32_bit_paging_has_pages_of_4_kib_and_4_mib_the_large_ones_above_4_gib(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_32BIT);
    struct vmmu_x86_scan scan;

    room_put(room, 0x1000, 0, 4, 0x2000 | E_ALL);
    /* PSE-36: bits 20:13 are address bits 39:32. */
    room_put(room, 0x1000, 1023, 4, 0x00C00000 | (0xA5U << 13) | E_ALL | E_PS);
    room_put(room, 0x2000, 1, 4, 0x00345000 | E_P | E_US);
    room_put(room, 0x2000, 1023, 4, 0xFFFFF000 | E_ALL);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, 0x1000, 0x345000, 4096, NO_WRITE);
    expect_leaf(&scan, 0x3FF000, 0xFFFFF000, 4096, ALL);
    expect_leaf(&scan, 0xFFC00000, UINT64_C(0xA500C00000), 0x400000, ALL);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 2048);
    free(room);
}

static void test_pdptes_of_pae_are_read_from_registers_or_memory_as_the_mode_says(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_PAE);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 3, 8, 0x2000 | E_P);
    room_put(room, 0x2000, 511, 8, UINT64_C(0x12345600000) | E_P | E_RW | E_PS | E_NX);
    room_put(room, 0x3000, 0, 8, 0x4000 | E_P);
    room_put(room, 0x4000, 511, 8, 0x777000 | E_ALL);
    struct vmmu_x86_mode mode = mode_of(&registers);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, 0xFFE00000, UINT64_C(0x12345600000), 0x200000,
                VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 4 + 512);

    registers.pdpte_in_memory = false;
    registers.pdpte[1] = 0x3000 | E_P;
    mode = mode_of(&registers);
    room->loads = 0;
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    scan.tables = true;
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    EXPECT(item.in_register && item.place == 1 && item.frame == 0x3000 && item.level == 3);
    EXPECT(item.address == 0x40000000 && item.bytes == 0x40000000);
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    EXPECT(!item.in_register && item.place == 0x3000 && item.frame == 0x4000);
    expect_leaf(&scan, 0x401FF000, 0x777000, 4096, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 1024);
    free(room);
}

static void test_4_level_paging_has_pages_of_4_kib_2_mib_and_1_gib(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_scan scan;

    room_put(room, 0x1000, 0, 8, 0x2000 | E_ALL);
    room_put(room, 0x2000, 1, 8, UINT64_C(0x7C0000000) | E_ALL | E_PS);
    room_put(room, 0x2000, 2, 8, 0x3000 | E_ALL);
    room_put(room, 0x3000, 7, 8, 0x400000 | E_ALL | E_PS);
    room_put(room, 0x3000, 8, 8, 0x4000 | E_ALL);
    room_put(room, 0x4000, 9, 8, 0xABC000 | E_ALL);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, 0x40000000, UINT64_C(0x7C0000000), 0x40000000, ALL);
    expect_leaf(&scan, 0x80E00000, 0x400000, 0x200000, ALL);
    expect_leaf(&scan, 0x81009000, 0xABC000, 4096, ALL);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 4 * 512);
    free(room);
}

static void test_the_upper_half_is_told_by_canonical_addresses_of_48_and_57_bits(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_scan scan;

    room_put(room, 0x1000, 255, 8, 0x2000 | E_ALL);
    room_put(room, 0x1000, 256, 8, 0x2000 | E_ALL);
    room_put(room, 0x2000, 511, 8, E_ALL | E_PS);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, UINT64_C(0x00007FFFC0000000), 0, 0x40000000, ALL);
    expect_leaf(&scan, UINT64_C(0xFFFF807FC0000000), 0, 0x40000000, ALL);
    expect_end(&scan);

    mode = mode_for(VMMU_X86_PAGING_5LEVEL);
    room_put(room, 0x1000, 255, 8, 0);
    room_put(room, 0x1000, 256, 8, 0x3000 | E_ALL);
    room_put(room, 0x1000, 511, 8, 0x3000 | E_ALL);
    room_put(room, 0x3000, 511, 8, 0x2000 | E_ALL);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, UINT64_C(0xFF00FFFFC0000000), 0, 0x40000000, ALL);
    expect_leaf(&scan, UINT64_C(0xFFFFFFFFC0000000), 0, 0x40000000, ALL);
    expect_end(&scan);
    free(room);
}

static void test_rights_are_those_of_all_entries_together(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 0, 8, 0x2000 | E_ALL | E_NX);
    room_put(room, 0x2000, 0, 8, 0x3000 | E_P | E_US);
    room_put(room, 0x2000, 1, 8, 0x3000 | E_P | E_RW);
    room_put(room, 0x3000, 0, 8, E_ALL | E_PS);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_leaf(&scan, 0, 0, 0x200000, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_USER);
    scan.tables = true;
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    EXPECT_EQ(item.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE);
    EXPECT(!item.accessed);
    expect_leaf(&scan, 0x40000000, 0, 0x200000, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE);
    free(room);
}

static void test_a_leaf_tells_its_type_key_globality_and_marks(void **state)
{
    (void)state;
    struct room *room = room_new();
    struct vmmu_x86_paging_registers registers = registers_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_mode mode = mode_of(&registers);
    const uint64_t small = 0x5000 | E_ALL | E_PWT | BIT64(7) | E_A | E_D | E_G | (UINT64_C(11) << 59);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 0, 8, 0x2000 | E_ALL | E_A);
    room_put(room, 0x2000, 0, 8, 0x3000 | E_ALL);
    room_put(room, 0x3000, 0, 8, 0x4000 | E_ALL);
    room_put(room, 0x3000, 1, 8, BIT64(12) | E_ALL | E_PS | E_PCD);
    room_put(room, 0x4000, 2, 8, small);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT(item.address == 0x2000 && item.place == 0x4010 && item.entry == small && item.level == 1);
    EXPECT(item.pat_index == 5 && item.key == 11 && item.global && item.accessed && item.dirty);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT(item.frame == 0 && item.pat_index == 6 && item.key == 0 && item.level == 2);
    EXPECT(!item.global && !item.accessed && !item.dirty);

    registers.cr4 &= ~VMMU_X86_CR4_PGE;
    mode = mode_of(&registers);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    scan.tables = true;
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    EXPECT(item.accessed && item.entry == (0x2000 | E_ALL | E_A) && item.place == 0x1000 && item.level == 4);
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT(!item.global);
    free(room);
}

static void test_a_table_that_is_not_wanted_is_skipped_with_all_behind_it(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    for (unsigned index = 509; index < 512; index++) {
        room_put(room, 0x1000, index, 8, 0x2000 | E_ALL);
    }
    room_put(room, 0x2000, 511, 8, E_ALL | E_PS);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    scan.tables = true;
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    vmmu_scan_skip(&scan);
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    EXPECT_EQ(item.address, UINT64_C(0xFFFFFF0000000000));
    expect_leaf(&scan, UINT64_C(0xFFFFFF7FC0000000), 0, 0x40000000, ALL);
    expect_next(&scan, VMMU_X86_SCAN_TABLE, &item);
    vmmu_scan_skip(&scan);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 512 + 512);
    free(room);
}

static void test_to_leave_the_root_is_to_end_the_scan(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_mode mode = mode_for(VMMU_X86_PAGING_4LEVEL);
    struct vmmu_x86_scan scan;

    room_put(room, 0x1000, 0, 8, 0x2000 | E_ALL);
    room_put(room, 0x2000, 511, 8, E_ALL | E_PS);
    vmmu_scan_begin(&scan, &mode, &room->ram, PLENTY);
    vmmu_scan_skip(&scan);
    expect_end(&scan);
    EXPECT_EQ(room->loads, 0);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_paging_off_there_is_one_mapping_of_4_gib),
        cmocka_unit_test(test_32_bit_paging_has_pages_of_4_kib_and_4_mib_the_large_ones_above_4_gib),
        cmocka_unit_test(test_pdptes_of_pae_are_read_from_registers_or_memory_as_the_mode_says),
        cmocka_unit_test(test_4_level_paging_has_pages_of_4_kib_2_mib_and_1_gib),
        cmocka_unit_test(test_the_upper_half_is_told_by_canonical_addresses_of_48_and_57_bits),
        cmocka_unit_test(test_rights_are_those_of_all_entries_together),
        cmocka_unit_test(test_a_leaf_tells_its_type_key_globality_and_marks),
        cmocka_unit_test(test_to_leave_the_root_is_to_end_the_scan),
        cmocka_unit_test(test_a_table_that_is_not_wanted_is_skipped_with_all_behind_it),
    };
    return RUN_TESTS(tests);
}
