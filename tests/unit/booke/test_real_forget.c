/* What takes real entries away: a change of the virtual entry they were made from, or of the memory they map. */
#include "tests/unit/booke/real_cpu.h"
#include "tests/unit/test.h"

#define MIB  UINT64_C(0x100000)
#define GIB  UINT64_C(0x40000000)

#define LOAD VMMU_BOOKE_LOAD

static struct real_cpu cpu;
static struct virtual_mmu *guest;

static int start(void **state)
{
    (void)state;
    real_cpu_start(&cpu);
    guest = real_cpu_attach(&cpu, 0);
    real_cpu_memory(&cpu, 0, 0, 4 * GIB, 256 * MIB);
    real_cpu_memory(&cpu, 0, GIB, 6 * GIB + 0x4000, 256 * MIB);
    real_cpu_enter(&cpu, 0, supervisor);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return cpu.wrong == 0 ? 0 : 1;
}

static void map(unsigned entry, unsigned tsize, uint32_t ea, uint64_t gpa)
{
    (void)virtual_write(guest, ENTRY(entry), V | TSIZE(tsize), ea, gpa | ALL_RIGHTS);
}

static bool is_there(uint32_t ea)
{
    return real_cpu_find(&cpu, ea, false) != NULL;
}

static void load(uint32_t ea)
{
    EXPECT(real_cpu_access(&cpu, 0, LOAD, ea) < FAULTS);
}

static unsigned made(int index)
{
    return guest->booke.entries[index].made;
}

static void test_a_page_of_4k_that_is_written_anew_maps_what_it_says_now(void **state)
{
    const int index = virtual_write(guest, WAY(2, 0), V, 0x00045000, 0x1000 | ALL_RIGHTS);

    (void)state;
    load(0x00045000);
    EXPECT_EQ(made(index), 1);
    EXPECT_EQ(virtual_write(guest, WAY(2, 0), V, 0x00045000, 0x2000 | ALL_RIGHTS), index);
    EXPECT(!is_there(0x00045000));
    EXPECT_EQ(made(index), 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00045000), 4 * GIB + 0x2000);
    EXPECT_EQ(virtual_write(guest, WAY(2, 0), V, 0x00145000, 0x2000 | ALL_RIGHTS), index);
    EXPECT(!is_there(0x00045000));
    EXPECT_EQ(cpu.real.counters.removed, 2);
}

static void test_what_both_privileges_made_of_a_page_goes_with_it(void **state)
{
    (void)state;
    (void)virtual_write(guest, WAY(2, 0), V, 0x00045000, 0x1000 | ALL_RIGHTS);
    load(0x00045000);
    real_cpu_enter(&cpu, 0, problem);
    load(0x00045000);
    EXPECT_EQ(made(TLB0_INDEX(0x00045000, 2)), 2);
    vmmu_booke_invalidate(&guest->booke, 0x00045000);
    EXPECT_EQ(real_cpu_valid(&cpu), 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00045000), FAULTS);
}

static void test_other_entries_stay(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        (void)virtual_write(guest, WAY(way, 0), V, 0x00045000 + 0x00080000 * way,
                            (0x1000 * way) | ALL_RIGHTS);
        load(0x00045000 + 0x00080000 * way);
    }
    map(0, 5, 0x40000000, 0);
    load(0x40000000);
    vmmu_booke_invalidate(&guest->booke, 0x000c5000);
    EXPECT(is_there(0x00045000) && !is_there(0x000c5000) && is_there(0x00145000) && is_there(0x001c5000));
    EXPECT(is_there(0x40000000));
    EXPECT_EQ(real_cpu_valid(&cpu), 4);
}

static void test_another_guest_s_entries_stay(void **state)
{
    (void)state;
    (void)real_cpu_attach(&cpu, 1);
    real_cpu_memory(&cpu, 1, 0, 8 * GIB, 256 * MIB);
    map(0, 1, 0x1000, 0);
    load(0x1000);
    (void)virtual_write(&cpu.vp[1].mmu, ENTRY(0), V | TSIZE(1), 0x1000, 0 | ALL_RIGHTS);
    real_cpu_enter(&cpu, 1, supervisor);
    EXPECT_EQ(real_cpu_access(&cpu, 1, LOAD, 0x1000), 8 * GIB);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_MMUCSR0, VMMU_MMUCSR0_TLB1_FI);
    EXPECT_EQ(real_cpu_access(&cpu, 1, LOAD, 0x1000), 8 * GIB);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
    vmmu_booke_forget_all(&guest->booke, &cpu.real);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
}

static void test_a_large_page_goes_in_all_its_parts(void **state)
{
    (void)state;
    map(0, 9, 0x40000000, GIB);
    for (uint32_t ea = 0x40000000; ea < 0x40020000; ea += 0x1000) {
        load(ea);
    }
    map(1, 2, 0x50000000, 0);
    load(0x50000000);
    EXPECT_EQ(made(TLB1_INDEX(0)), 8);
    load(0x4ffff000);
    vmmu_booke_invalidate(&guest->booke, 0x47654328);
    EXPECT_EQ(made(TLB1_INDEX(0)), 0);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x40000000), FAULTS);
}

static void test_parts_in_both_arrays_go(void **state)
{
    (void)state;
    cpu.vp[0].pieces[0].size_bytes = 0x5000;
    map(0, 4, 0x40000000, 0);
    load(0x40000000);
    load(0x40004000);
    EXPECT_EQ(cpu.real.counters.filled[0], 1);
    EXPECT_EQ(cpu.real.counters.filled[1], 1);
    map(0, 4, 0x80000000, 0);
    EXPECT_EQ(real_cpu_valid(&cpu), 0);
    EXPECT_EQ(cpu.real.counters.removed, 2);
}

static void test_flash_invalidation_leaves_what_is_protected(void **state)
{
    (void)state;
    (void)virtual_write(guest, ENTRY(0), V | IPROT | TSIZE(5), 0x40000000, 0 | ALL_RIGHTS);
    map(1, 5, 0x50000000, 0);
    load(0x40000000);
    load(0x50000000);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_MMUCSR0, VMMU_MMUCSR0_TLB1_FI);
    EXPECT(is_there(0x40000000) && !is_there(0x50000000));
}

static void test_memory_that_is_forgotten_is_asked_for_again(void **state)
{
    (void)state;
    map(0, 5, 0x40000000, 0x100000);
    map(1, 1, 0x50000000, 0x100000);
    map(2, 1, 0x60000000, 0x2ff000);
    map(3, 1, 0x70000000, 0x200000);
    for (uint32_t ea = 0x40000000; ea < 0x80000000; ea += 0x10000000) {
        load(ea);
    }
    cpu.vp[0].pieces[0].hpa.v = 12 * GIB;
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ 0x1ff000 }, 0x1000);
    EXPECT(!is_there(0x40000000) && is_there(0x50000000) && is_there(0x60000000) && is_there(0x70000000));
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x40000000), 12 * GIB + 0x100000);
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ 0x200000 }, 0x100000);
    EXPECT(is_there(0x40000000) && is_there(0x50000000) && !is_there(0x60000000) && !is_there(0x70000000));
    vmmu_booke_forget_all(&guest->booke, &cpu.real);
    EXPECT_EQ(real_cpu_valid(&cpu), 0);
    EXPECT_EQ(made(TLB1_INDEX(0)), 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x50000000), 12 * GIB + 0x100000);
}

static void test_a_part_of_a_page_is_forgotten_by_where_it_lies_in_it(void **state)
{
    (void)state;
    map(0, 9, 0x40003000, GIB + 0x7000);
    load(0x40000000);
    load(0x48000000);
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ GIB + 128 * MIB }, 1);
    EXPECT(is_there(0x40000000) && !is_there(0x48000000));
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ GIB + 0x4000 }, 0x10000);
    EXPECT(is_there(0x40000000));
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ GIB + 0x3fff }, 1);
    EXPECT(!is_there(0x40000000));
}

static void test_no_memory_is_nothing_to_forget_and_too_much_is_all(void **state)
{
    (void)state;
    map(0, 5, 0x40000000, 0x100000);
    load(0x40000000);
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ 0x100000 }, 0);
    EXPECT(is_there(0x40000000));
    vmmu_booke_forget(&guest->booke, &cpu.real, (vmmu_gpa){ 0x100000 }, UINT64_MAX);
    EXPECT(!is_there(0x40000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_page_of_4k_that_is_written_anew_maps_what_it_says_now, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_what_both_privileges_made_of_a_page_goes_with_it, start, finish),
        cmocka_unit_test_setup_teardown(test_other_entries_stay, start, finish),
        cmocka_unit_test_setup_teardown(test_another_guest_s_entries_stay, start, finish),
        cmocka_unit_test_setup_teardown(test_a_large_page_goes_in_all_its_parts, start, finish),
        cmocka_unit_test_setup_teardown(test_parts_in_both_arrays_go, start, finish),
        cmocka_unit_test_setup_teardown(test_flash_invalidation_leaves_what_is_protected, start, finish),
        cmocka_unit_test_setup_teardown(test_memory_that_is_forgotten_is_asked_for_again, start, finish),
        cmocka_unit_test_setup_teardown(test_a_part_of_a_page_is_forgotten_by_where_it_lies_in_it, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_no_memory_is_nothing_to_forget_and_too_much_is_all, start,
                                        finish),
    };

    return RUN_TESTS(tests);
}
