/* Real entries for what a guest's own TLB allows: where they lead, with which rights and attributes, how large, and in whose place. */
#include "tests/unit/booke/real_cpu.h"
#include "tests/unit/test.h"

#define MIB   UINT64_C(0x100000)
#define GIB   UINT64_C(0x40000000)

/* MAS2 */
#define X0    UINT32_C(0x40)
#define X1    UINT32_C(0x20)
#define W     UINT32_C(0x10)
#define I     UINT32_C(0x08)
#define M     UINT32_C(0x04)
#define G     UINT32_C(0x02)
#define E     UINT32_C(0x01)

#define LOAD  VMMU_BOOKE_LOAD
#define STORE VMMU_BOOKE_STORE
#define FETCH VMMU_BOOKE_FETCH

static struct real_cpu cpu;
static struct virtual_mmu *guest;

/* A guest with 256 MiB of memory from 0, which are the machine's from 4 GiB on. */
static int start(void **state)
{
    (void)state;
    real_cpu_start(&cpu);
    guest = real_cpu_attach(&cpu, 0);
    real_cpu_memory(&cpu, 0, 0, 4 * GIB, 256 * MIB);
    real_cpu_enter(&cpu, 0, supervisor);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return cpu.wrong == 0 ? 0 : 1;
}

/* The guest maps a page of TLB1 with every right. */
static int map(unsigned entry, unsigned tsize, uint32_t ea, uint64_t gpa)
{
    return virtual_write(guest, ENTRY(entry), V | TSIZE(tsize), ea, gpa | ALL_RIGHTS);
}

static uint32_t rights_at(uint32_t ea)
{
    return real_cpu_find(&cpu, ea, true)->mas3 & ALL_RIGHTS;
}

static unsigned tsize_at(uint32_t ea)
{
    return real_cpu_find(&cpu, ea, true)->mas1 >> 8 & 15;
}

static void test_a_page_of_4k_leads_to_the_machine_s_memory(void **state)
{
    (void)state;
    (void)virtual_write(guest, WAY(0, 0), V, 0x12345000, 0x00678000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x12345abc), 4 * GIB + 0x678abc);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x12345abc), 4 * GIB + 0x678abc);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x12345abc), 4 * GIB + 0x678abc);
    EXPECT_EQ(cpu.writes, 1);
    EXPECT_EQ(cpu.real.counters.filled[0], 1);
    EXPECT_EQ(real_cpu_find(&cpu, 0x12345000, false)->mas7, 1);
}

static void test_what_the_guest_does_not_map_is_its_own_fault(void **state)
{
    struct vmmu_booke_result result;
    struct vmmu_booke_attempt attempt = { .state = supervisor, .kind = STORE, .ea = 0x2000 };

    (void)state;
    EXPECT_EQ(vmmu_booke_fill(&guest->booke, &cpu.real, &attempt, &result), VMMU_BOOKE_FAULT);
    EXPECT_EQ(result.verdict, VMMU_BOOKE_MISS);
    (void)virtual_write(guest, WAY(0, 0), V, 0x2000, 0x2000 | SR | SX);
    EXPECT_EQ(vmmu_booke_fill(&guest->booke, &cpu.real, &attempt, &result), VMMU_BOOKE_FAULT);
    EXPECT_EQ(result.verdict, VMMU_BOOKE_REFUSED);
    EXPECT_EQ(cpu.writes, 0);
}

static void test_a_guest_page_outside_its_memory_maps_nothing(void **state)
{
    struct vmmu_booke_result result;
    const struct vmmu_booke_attempt attempt = { .state = supervisor, .kind = LOAD, .ea = 0x2044 };

    (void)state;
    (void)virtual_write(guest, WAY(0, 0), V, 0x2000, UINT64_C(0xfe0004000) | ALL_RIGHTS);
    EXPECT_EQ(vmmu_booke_fill(&guest->booke, &cpu.real, &attempt, &result), VMMU_BOOKE_DEVICE);
    EXPECT_EQ(result.gpa.v, UINT64_C(0xfe0004044));
    (void)virtual_write(guest, WAY(0, 0), V, 0x2000, 256 * MIB | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), DEVICE);
    EXPECT_EQ(cpu.writes, 0);
}

static void test_supervisor_rights_become_rights_of_problem_state_and_reading_for_the_host(void **state)
{
    static const uint32_t given[][2] = {
        { SR, UR | SR },           { SX, UX | SR },           { SW, UW },
        { SR | SW, UR | UW | SR }, { SR | SX, UR | UX | SR }, { SW | SX, UW | UX | SR },
        { SR | UW | UX, UR | SR }
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        const uint32_t right = given[i][0];

        (void)virtual_write(guest, WAY(0, 0), V, 0x2000, 0x3000 | right);
        EXPECT_EQ(real_cpu_fill(&cpu, 0,
                                (right & SR) != 0   ? LOAD
                                : (right & SX) != 0 ? FETCH
                                                    : STORE,
                                0x2000),
                  VMMU_BOOKE_FILLED);
        EXPECT_EQ(rights_at(0x2000), given[i][1]);
    }
}

static void test_problem_state_has_the_rights_of_problem_state(void **state)
{
    (void)state;
    real_cpu_enter(&cpu, 0, problem);
    (void)virtual_write(guest, WAY(0, 0), V, 0x2000, 0x3000 | UX | UR | SW | SR | SX);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x2000), FAULTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), 4 * GIB + 0x3000);
    EXPECT_EQ(rights_at(0x2000), UX | UR | SR);
}

static void test_memory_cuts_the_rights_of_what_maps_it(void **state)
{
    (void)state;
    cpu.vp[0].pieces[0].write = false;
    cpu.vp[0].pieces[0].execute = false;
    (void)virtual_write(guest, WAY(0, 0), V, 0x2000, 0x3000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x2000), DENIED);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x2000), DENIED);
    EXPECT_EQ(cpu.writes, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), 4 * GIB + 0x3000);
    EXPECT_EQ(rights_at(0x2000), UR | SR);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x2000), DENIED);
}

static void test_attributes_are_the_guest_s_but_for_caching(void **state)
{
    (void)state;
    (void)virtual_write(guest, WAY(0, 0), V, 0x2000 | X0 | X1 | W | I | M | G | E, 0x3000 | ALL_RIGHTS);
    (void)virtual_write(guest, WAY(0, 0), V, 0x3000, 0x3000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), 4 * GIB + 0x3000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x3000), 4 * GIB + 0x3000);
    EXPECT_EQ(real_cpu_find(&cpu, 0x2000, false)->mas2, 0x2000 | X0 | X1 | M | G | E);
    EXPECT_EQ(real_cpu_find(&cpu, 0x3000, false)->mas2, 0x3000 | M);
}

static void test_a_large_page_is_one_entry_where_memory_lies_as_the_page_does(void **state)
{
    (void)state;
    (void)map(0, 9, 0xc0000000, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xcfffffff), 5 * GIB - 768 * MIB - 1);
    EXPECT_EQ(tsize_at(0xc0000000), 9);
    EXPECT_EQ(cpu.writes, 1);
    EXPECT_EQ(cpu.real.counters.filled[1], 1);
    EXPECT_EQ(cpu.real.counters.split, 0);
}

static void test_a_page_is_no_larger_than_its_memory(void **state)
{
    (void)state;
    real_cpu_memory(&cpu, 0, GIB, 8 * GIB, 20 * MIB);
    (void)map(0, 9, 0xc0000000, GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0000000), 8 * GIB);
    EXPECT_EQ(tsize_at(0xc0000000), 7);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0000000 + 20 * MIB - 1), 8 * GIB + 20 * MIB - 1);
    EXPECT_EQ(tsize_at(0xc0000000 + 19 * MIB), 6);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0000000 + 20 * MIB), DEVICE);
    EXPECT_EQ(cpu.real.counters.split, 2);
}

static void test_a_page_does_not_begin_before_its_memory(void **state)
{
    (void)state;
    real_cpu_memory(&cpu, 0, GIB + 0x5000, 8 * GIB + 0x5000, 2 * MIB);
    (void)map(0, 7, 0xc0000000, GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0005000), 8 * GIB + 0x5000);
    EXPECT_EQ(tsize_at(0xc0005000), 1);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0008000), 8 * GIB + 0x8000);
    EXPECT_EQ(tsize_at(0xc0008000), 2);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0123456), 8 * GIB + 0x123456);
    EXPECT_EQ(tsize_at(0xc0123456), 5);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0004fff), DEVICE);
}

static void test_a_page_is_no_larger_than_what_its_memory_is_displaced_by(void **state)
{
    (void)state;
    real_cpu_memory(&cpu, 0, GIB, 8 * GIB + 16 * MIB, 256 * MIB);
    real_cpu_memory(&cpu, 0, 2 * GIB, 12 * GIB + 0x1000, 256 * MIB);
    (void)map(0, 9, 0xc0000000, GIB);
    (void)map(1, 9, 0xd0000000, 2 * GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc1234567), 8 * GIB + 16 * MIB + 0x1234567);
    EXPECT_EQ(tsize_at(0xc1234567), 7);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xd1234567), 12 * GIB + 0x1000 + 0x1234567);
    EXPECT_EQ(tsize_at(0xd1234567), 1);
}

static void test_a_page_of_4g_is_one_entry_where_the_memory_is_as_large(void **state)
{
    (void)state;
    cpu.vp[0].pieces[0] =
        (struct vmmu_booke_piece){ .gpa = { 0 }, .hpa = { 8 * GIB }, .size_bytes = 4 * GIB };
    (void)map(3, 11, 0x87654000, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xfedcba98), 8 * GIB + 0xfedcba98);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00000004), 8 * GIB + 4);
    EXPECT_EQ(cpu.writes, 1);
    EXPECT_EQ(real_cpu_find(&cpu, 0, false)->mas2, M);
}

static void test_bits_inside_a_large_page_count_for_nothing(void **state)
{
    (void)state;
    (void)map(0, 5, 0x40123000, 0x00345000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x40101234), 4 * GIB + 0x301234);
    EXPECT_EQ(real_cpu_find(&cpu, 0x40100000, false)->mas2, 0x40100000 | M);
    EXPECT_EQ(real_cpu_find(&cpu, 0x40100000, false)->mas3 & 0xfffff000, 0x300000);
}

static void test_a_page_of_16g_maps_from_a_multiple_of_its_size(void **state)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.tlbcfg[1] = UINT32_C(0x101cc010);
    real_cpu_attach_as(&cpu, 0, &config);
    real_cpu_enter(&cpu, 0, supervisor);
    (void)map(0, 12, 0x40000000, UINT64_C(0x2c0000000));
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x01234567), 4 * GIB + 0x1234567);
    EXPECT_EQ(tsize_at(0x01234567), 9);
}

static void test_sizes_that_the_processor_has_not_are_made_of_smaller_ones(void **state)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.tlbcfg[1] = UINT32_C(0x1035c010); /* 64 KiB to 1 MiB */
    real_cpu_start_as(&cpu, &config, 0);
    guest = real_cpu_attach(&cpu, 0);
    real_cpu_memory(&cpu, 0, 0, 4 * GIB, 256 * MIB);
    real_cpu_enter(&cpu, 0, supervisor);
    (void)map(0, 9, 0xc0000000, 0);
    (void)map(1, 2, 0xd0000000, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc2345678), 4 * GIB + 0x2345678);
    EXPECT_EQ(tsize_at(0xc2345678), 5);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xd0001000), 4 * GIB + 0x1000);
    EXPECT_EQ(tsize_at(0xd0001000), 1);
}

static void test_the_page_made_last_is_evicted_last(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        (void)map(i, 1, 0x00080000 * (i + 1), UINT64_C(0x1000) * i);
    }
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00080000 * (i + 1)), 4 * GIB + UINT64_C(0x1000) * i);
    }
    EXPECT_EQ(cpu.real.counters.evicted, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00080000 * 5), 4 * GIB + 0x4000);
    EXPECT_EQ(cpu.real.counters.evicted, 1);
    EXPECT_EQ(real_cpu_valid(&cpu), 4);
    EXPECT(real_cpu_find(&cpu, 0x00080000 * 4, false) != NULL);
    EXPECT(real_cpu_find(&cpu, 0x00080000 * 5, false) != NULL);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 5; i++) {
            EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00080000 * (i + 1)), 4 * GIB + UINT64_C(0x1000) * i);
        }
    }
    EXPECT_EQ(real_cpu_valid(&cpu), 4);
}

static void test_free_large_entries_are_taken_first_and_the_host_s_never(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        (void)map(i, 2, 0x01000000 * (i + 1), UINT64_C(0x4000) * i);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x01000000 * (i + 1)), 4 * GIB + UINT64_C(0x4000) * i);
    }
    EXPECT_EQ(cpu.real.counters.filled[1], 12);
    EXPECT_EQ(cpu.real.counters.evicted, 0);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_MAS6, 0);
    vmmu_booke_invalidate(&guest->booke, 0x07000008);
    EXPECT_EQ(cpu.real.counters.removed, 1);
    (void)map(6, 2, 0x70000000, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x70000000), 4 * GIB);
    EXPECT_EQ(cpu.real.counters.evicted, 0);
    EXPECT_EQ(cpu.real.counters.filled[1], 13);
}

static void test_large_entries_are_evicted_in_turn_but_not_one_after_the_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        (void)map(i, 2, 0x01000000 * (i + 1), UINT64_C(0x4000) * i);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x01000000 * (i + 1)), 4 * GIB + UINT64_C(0x4000) * i);
    }
    EXPECT_EQ(cpu.real.counters.filled[1], 13);
    EXPECT_EQ(cpu.real.counters.filled[0], 3);
    EXPECT_EQ(cpu.real.counters.split, 3);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x01001000 + 0x1000000 * 14 + 0x1000 * (i & 1)),
                  4 * GIB + UINT64_C(0x4000) * 14 + 0x1000 + UINT64_C(0x1000) * (i & 1));
    }
    EXPECT_EQ(cpu.real.counters.filled[1], 13);
    EXPECT_EQ(cpu.real.counters.filled[0], 5);
    for (unsigned i = 1; i < 4; i++) {
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x10000000 + 0x1000 * i),
                  4 * GIB + UINT64_C(0x4000) * 15 + UINT64_C(0x1000) * i);
    }
    EXPECT_EQ(cpu.real.counters.filled[1], 14);
    EXPECT_EQ(tsize_at(0x10002000), 2);
}

static void test_a_large_page_takes_away_the_small_ones_that_were_made_of_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 14; i++) {
        (void)map(i, 4, 0x01000000 * (i + 1), UINT64_C(0x40000) * i);
        (void)real_cpu_access(&cpu, 0, LOAD, 0x01000000 * (i + 1));
    }
    EXPECT_EQ(tsize_at(0x0e000000), 1);
    for (unsigned i = 1; i < 8; i++) {
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x0e000000 + 0x1000 * i),
                  4 * GIB + UINT64_C(0x40000) * 13 + UINT64_C(0x1000) * i);
    }
    EXPECT_EQ(tsize_at(0x0e000000), 4);
    EXPECT_EQ(cpu.real.counters.overlapped, 7);
}

static void test_memory_that_is_not_the_partition_s_is_never_mapped(void **state)
{
    (void)state;
    cpu.owns_nothing = true;
    (void)map(0, 9, 0xc0000000, 0);
    (void)map(1, 1, 0x00001000, 0x1000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0000000), DENIED);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00001000), DENIED);
    EXPECT_EQ(cpu.refused, 2);
    EXPECT_EQ(cpu.writes, 0);
}

static void test_memory_that_is_not_whole_pages_is_none(void **state)
{
    (void)state;
    real_cpu_memory(&cpu, 0, GIB, 8 * GIB, 0x1800);
    real_cpu_memory(&cpu, 0, 2 * GIB + 0x800, 12 * GIB + 0x800, 0x1000);
    (void)map(0, 2, 0xc0000000, GIB);
    (void)map(1, 2, 0xd0000000, 2 * GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0000000), 8 * GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xc0001000), DEVICE);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0xd0000800), DEVICE);
}

static void test_memory_is_asked_for_once_as_long_as_it_is_the_same(void **state)
{
    (void)state;
    (void)map(0, 9, 0xc0000000, 0);
    cpu.vp[0].pieces[0].hpa.v = 4 * GIB + 0x1000;
    for (uint32_t ea = 0xc0000000; ea < 0xc0010000; ea += 0x1000) {
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, ea), 4 * GIB + 0x1000 + (ea - 0xc0000000));
    }
    EXPECT_EQ(cpu.asked, 1);
    real_cpu_memory(&cpu, 0, GIB, 8 * GIB, MIB);
    (void)map(1, 2, 0x1000, GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 8 * GIB + 0x1000);
    EXPECT_EQ(cpu.asked, 2);
}

static void test_a_small_geometry_lets_every_instruction_through(void **state)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.tlbcfg[0] = UINT32_C(0x02110004); /* two sets of two ways */
    real_cpu_start_as(&cpu, &config, 13);
    guest = real_cpu_attach(&cpu, 0);
    real_cpu_memory(&cpu, 0, 0, 4 * GIB, 16 * MIB);
    real_cpu_memory(&cpu, 0, 16 * MIB, 5 * GIB + 0x1000, 16 * MIB);
    real_cpu_enter(&cpu, 0, supervisor);
    for (unsigned i = 0; i < 8; i++) {
        (void)map(i, 6, 0x10000000 * (i + 1), 4 * MIB * i);
    }
    for (unsigned i = 0; i < 512; i++) {
        const uint32_t data = 0x10000000 * ((i >> 3 & 7) + 1);
        const uint32_t from = data + 0x1000 * (i >> 6);
        const int fills = real_cpu_instruction(&cpu, 0, 0x10000000 * ((i & 7) + 1), from, from + 0x1000);

        EXPECT(fills >= 0 && fills <= 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_page_of_4k_leads_to_the_machine_s_memory, start, finish),
        cmocka_unit_test_setup_teardown(test_what_the_guest_does_not_map_is_its_own_fault, start, finish),
        cmocka_unit_test_setup_teardown(test_a_guest_page_outside_its_memory_maps_nothing, start, finish),
        cmocka_unit_test_setup_teardown(
            test_supervisor_rights_become_rights_of_problem_state_and_reading_for_the_host, start, finish),
        cmocka_unit_test_setup_teardown(test_problem_state_has_the_rights_of_problem_state, start, finish),
        cmocka_unit_test_setup_teardown(test_memory_cuts_the_rights_of_what_maps_it, start, finish),
        cmocka_unit_test_setup_teardown(test_attributes_are_the_guest_s_but_for_caching, start, finish),
        cmocka_unit_test_setup_teardown(test_a_large_page_is_one_entry_where_memory_lies_as_the_page_does,
                                        start, finish),
        cmocka_unit_test_setup_teardown(test_a_page_is_no_larger_than_its_memory, start, finish),
        cmocka_unit_test_setup_teardown(test_a_page_does_not_begin_before_its_memory, start, finish),
        cmocka_unit_test_setup_teardown(test_a_page_is_no_larger_than_what_its_memory_is_displaced_by, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_a_page_of_4g_is_one_entry_where_the_memory_is_as_large, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_bits_inside_a_large_page_count_for_nothing, start, finish),
        cmocka_unit_test_setup_teardown(test_a_page_of_16g_maps_from_a_multiple_of_its_size, start, finish),
        cmocka_unit_test_setup_teardown(test_sizes_that_the_processor_has_not_are_made_of_smaller_ones, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_the_page_made_last_is_evicted_last, start, finish),
        cmocka_unit_test_setup_teardown(test_free_large_entries_are_taken_first_and_the_host_s_never, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_large_entries_are_evicted_in_turn_but_not_one_after_the_other,
                                        start, finish),
        cmocka_unit_test_setup_teardown(test_a_large_page_takes_away_the_small_ones_that_were_made_of_it,
                                        start, finish),
        cmocka_unit_test_setup_teardown(test_memory_that_is_not_the_partition_s_is_never_mapped, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_memory_that_is_not_whole_pages_is_none, start, finish),
        cmocka_unit_test_setup_teardown(test_memory_is_asked_for_once_as_long_as_it_is_the_same, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_a_small_geometry_lets_every_instruction_through, start, finish),
    };

    return RUN_TESTS(tests);
}
