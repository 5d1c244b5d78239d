/* Scans of second stages: EPT of four and five levels, NPT in every ordinary format. */
#include <stdlib.h>

#include "room.h"
#include "tests/unit/test.h"

#define PLENTY   UINT64_C(1000000)

#define EPT_RWX  UINT64_C(7)
#define EPT_RX   UINT64_C(5)
#define EPT_BIG  BIT64(7)
#define EPT_A    BIT64(8)
#define EPT_D    BIT64(9)
#define EPT_IPAT BIT64(6)
#define TYPE(t)  ((uint64_t)(t) << 3)

static struct vmmu_x86_stage2 ept(const struct room *room, unsigned levels)
{
    struct vmmu_x86_stage2 stage2;

    EXPECT_EQ(vmmu_stage2_ept(0x1000 | ((levels - 1) << 3) | VMMU_X86_TYPE_WB | BIT64(6), &full_limits,
                              &room->ram, &stage2),
              VMMU_OK);
    return stage2;
}

static void test_ept_of_four_levels_tells_its_own_types_and_marks(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_stage2 stage2 = ept(room, 4);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 256, 8, 0x2000 | EPT_RWX);
    room_put(room, 0x2000, 1, 8, 0x3000 | EPT_RX);
    room_put(room, 0x3000, 2, 8,
             UINT64_C(0x8000000000000) | EPT_BIG | EPT_RWX | TYPE(VMMU_X86_TYPE_WB) | EPT_A);
    room_put(room, 0x3000, 3, 8, 0x4000 | EPT_RWX);
    room_put(room, 0x4000, 4, 8, 0x5000 | EPT_RWX | TYPE(VMMU_X86_TYPE_UC) | EPT_IPAT | EPT_A | EPT_D);
    vmmu_scan_begin_stage2(&scan, &stage2, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    /* A guest-physical address has no sign. */
    EXPECT(item.address == UINT64_C(0x800040400000) && item.bytes == 0x200000 && item.level == 2);
    EXPECT(item.frame == UINT64_C(0x8000000000000) && item.memory_type == VMMU_X86_TYPE_WB &&
           !item.ignore_pat);
    EXPECT_EQ(item.rights, VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE | VMMU_X86_RIGHT_USER);
    EXPECT(item.accessed && !item.dirty && item.pat_index == 0 && item.key == 0 && !item.global);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT(item.address == UINT64_C(0x800040604000) && item.bytes == 4096 && item.frame == 0x5000);
    EXPECT(item.memory_type == VMMU_X86_TYPE_UC && item.ignore_pat && item.accessed && item.dirty);
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    free(room);
}

static void test_ept_of_five_levels_reaches_57_bits(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct vmmu_x86_stage2 stage2 = ept(room, 5);
    struct vmmu_x86_scan scan;
    struct vmmu_x86_scan_item item;

    room_put(room, 0x1000, 511, 8, 0x2000 | EPT_RWX);
    room_put(room, 0x2000, 511, 8, 0x3000 | EPT_RWX);
    room_put(room, 0x3000, 511, 8, 0x80000000 | EPT_BIG | 4 | TYPE(VMMU_X86_TYPE_WB)); /* execute-only */
    vmmu_scan_begin_stage2(&scan, &stage2, PLENTY);
    expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
    EXPECT(item.address == UINT64_C(0x1FFFFFFC0000000) && item.bytes == 0x40000000 &&
           item.frame == 0x80000000);
    EXPECT_EQ(item.rights, VMMU_X86_RIGHT_EXECUTE | VMMU_X86_RIGHT_USER);
    expect_next(&scan, VMMU_X86_SCAN_END, &item);
    free(room);
}

static void test_npt_is_told_in_each_of_the_hosts_formats(void **state)
{
    static const struct {
        enum vmmu_x86_format_name format;
        unsigned entry_bytes;
        unsigned levels;
        unsigned top_index;
        uint64_t address;
    } cases[] = {
        { VMMU_X86_FORMAT_32BIT_PSE, 4, 2, 1023, UINT64_C(0xFFC00000) },
        { VMMU_X86_FORMAT_PAE, 8, 3, 3, UINT64_C(0xC0000000) },
        { VMMU_X86_FORMAT_4LEVEL, 8, 4, 511, UINT64_C(511) << 39 },
        { VMMU_X86_FORMAT_5LEVEL, 8, 5, 511, UINT64_C(511) << 48 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct room *room = room_new();
        struct vmmu_x86_stage2 stage2;
        struct vmmu_x86_scan scan;
        struct vmmu_x86_scan_item item;
        const uint64_t link = cases[i].format == VMMU_X86_FORMAT_PAE ? E_P : E_ALL;

        EXPECT_EQ(vmmu_stage2_npt(cases[i].format, &full_limits, &room->ram, (vmmu_hpa){ 0x1000 }, &stage2),
                  VMMU_OK);
        room_put(room, 0x1000, cases[i].top_index, cases[i].entry_bytes, 0x2000 | link);
        for (unsigned level = 2; level < cases[i].levels; level++) {
            room_put(room, level * UINT64_C(0x1000), 0, cases[i].entry_bytes,
                     (level + 1) * UINT64_C(0x1000) | E_ALL);
        }
        room_put(room, cases[i].levels * UINT64_C(0x1000), 7, cases[i].entry_bytes, 0x99000 | E_P | E_US);
        vmmu_scan_begin_stage2(&scan, &stage2, PLENTY);
        expect_next(&scan, VMMU_X86_SCAN_LEAF, &item);
        EXPECT_EQ(item.address, cases[i].address + 0x7000);
        EXPECT(item.frame == 0x99000 && item.bytes == 4096);
        EXPECT_EQ(item.rights, VMMU_X86_RIGHTS_ALL & ~VMMU_X86_RIGHT_WRITE);
        expect_next(&scan, VMMU_X86_SCAN_END, &item);
        free(room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ept_of_four_levels_tells_its_own_types_and_marks),
        cmocka_unit_test(test_ept_of_five_levels_reaches_57_bits),
        cmocka_unit_test(test_npt_is_told_in_each_of_the_hosts_formats),
    };
    return RUN_TESTS(tests);
}
