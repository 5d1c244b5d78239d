/*
 * Guests whose own entries overlap, which the architecture forbids: the processor must never find two entries for one address
 * (tests/unit/booke/real_cpu.c looks after each write), and the guest gets on.
 */
#include "tests/unit/booke/real_cpu.h"
#include "tests/unit/test.h"

#define MIB   UINT64_C(0x100000)
#define GIB   UINT64_C(0x40000000)

#define LOAD  VMMU_BOOKE_LOAD
#define FETCH VMMU_BOOKE_FETCH

static struct real_cpu cpu;
static struct virtual_mmu *guest;

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

static void map(unsigned entry, unsigned tsize, unsigned tid, uint32_t ea, uint64_t gpa)
{
    (void)virtual_write(guest, ENTRY(entry), V | TSIZE(tsize) | TID(tid), ea, gpa | ALL_RIGHTS);
}

static void set_pid(uint32_t pid)
{
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID0, pid);
    real_cpu_enter(&cpu, 0, cpu.state);
}

static void test_an_entry_of_a_pid_over_one_of_all_takes_its_place(void **state)
{
    (void)state;
    map(1, 1, 0, 0x1000, 0x10000);
    map(0, 1, 5, 0x1000, 0x50000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    set_pid(5);
    (void)real_cpu_fill(&cpu, 0, LOAD, 0x1000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x50000);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
    EXPECT_EQ(cpu.real.counters.overlapped, 1);
}

static void test_an_entry_of_all_takes_the_place_of_those_of_every_pid(void **state)
{
    (void)state;
    map(0, 1, 0, 0x1000, 0x10000);
    map(1, 1, 5, 0x1000, 0x50000);
    map(2, 1, 6, 0x1000, 0x60000);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID0, 0);
    (void)virtual_write(guest, ENTRY(0), TSIZE(1), 0x1000, 0x10000 | ALL_RIGHTS);
    set_pid(5);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x50000);
    set_pid(6);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x60000);
    map(0, 1, 0, 0x1000, 0x10000);
    set_pid(7);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
    EXPECT_EQ(cpu.real.counters.overlapped, 2);
}

static void test_pids_of_different_values_do_not_overlap(void **state)
{
    (void)state;
    map(0, 5, 5, 0x1000000, 0x500000);
    map(1, 5, 6, 0x1000000, 0x600000);
    map(2, 1, 7, 0x1000000, 0x700000);
    for (uint32_t pid = 5; pid < 8; pid++) {
        set_pid(pid);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000000), 4 * GIB + UINT64_C(0x100000) * pid);
    }
    EXPECT_EQ(real_cpu_valid(&cpu), 3);
    EXPECT_EQ(cpu.real.counters.overlapped, 0);
}

static void test_a_small_entry_within_a_large_one_takes_it_away(void **state)
{
    (void)state;
    map(1, 6, 0, 0x1000000, 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1001000), 4 * GIB + 0x1000);
    (void)virtual_write(guest, WAY(0, 0), V, 0x1001000, 0x900000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_fill(&cpu, 0, LOAD, 0x1001000), VMMU_BOOKE_FILLED);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1001000), 4 * GIB + 0x900000);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
}

static void test_a_large_entry_is_made_small_enough_for_others_within_it(void **state)
{
    (void)state;
    map(0, 6, 0, 0x1000000, 0);
    (void)virtual_write(guest, WAY(0, 0), V, 0x1001000, 0x900000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1001000), 4 * GIB + 0x900000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000000), 4 * GIB);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1004000), 4 * GIB + 0x4000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1234567), 4 * GIB + 0x234567);
    EXPECT_EQ(real_cpu_find(&cpu, 0x1000000, false)->mas1 >> 8 & 15, 1);
    EXPECT_EQ(real_cpu_find(&cpu, 0x1004000, false)->mas1 >> 8 & 15, 2);
    EXPECT_EQ(real_cpu_find(&cpu, 0x1234567, false)->mas1 >> 8 & 15, 5);
    EXPECT_EQ(real_cpu_valid(&cpu), 4);
    EXPECT_EQ(cpu.real.counters.overlapped, 0);
}

static void test_an_instruction_in_two_entries_that_overlap_gets_through(void **state)
{
    (void)state;
    map(1, 9, 0, 0x10000000, 0);
    map(0, 6, 0, 0x10400000, 0x1000000);
    (void)virtual_write(guest, WAY(0, 0), V, 0x10400000, 0x900000 | ALL_RIGHTS);
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t at = 0x10000000 + 0x00100000 * (i & 7);
        const uint32_t data = 0x10000000 + 0x00100000 * (i >> 3);
        const int fills = real_cpu_instruction(&cpu, 0, at, data, data + 0x1000);

        EXPECT(fills >= 0 && fills <= 8);
    }
}

/* A generator of the numerical recipes' sort; its upper bits are good enough. */
static uint32_t any(uint32_t below)
{
    static uint32_t seed = 1;

    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * below >> 32);
}

static void anything(void)
{
    const uint32_t ea = (any(4) << 30) + (any(3) << 20) + (any(64) << 12);

    switch (any(8)) {
    case 0: set_pid(any(4)); break;
    case 1: real_cpu_enter(&cpu, 0, any(2) ? supervisor : any(2) ? problem : split); break;
    case 2: vmmu_booke_invalidate(&guest->booke, ea | (any(2) ? VMMU_TLBIVAX_TLB1 : 0)); break;
    case 3:
        vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID1, any(4) != 0 ? 0 : any(4));
        real_cpu_enter(&cpu, 0, cpu.state);
        break;
    case 4:
    case 5:
        (void)virtual_write(guest, any(2) ? WAY(any(4), any(4)) : ENTRY(any(16)),
                            V | (any(2) ? TS : 0) | TID(any(4)) | TSIZE(1 + any(8)), ea,
                            (uint64_t)any(256) << 20 | any(64));
        break;
    default: break;
    }
}

static void test_nothing_that_a_guest_does_makes_two_entries_for_one_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        const uint32_t at = (any(4) << 30) + (any(3) << 20) + (any(64) << 12);
        const uint32_t data = (any(4) << 30) + (any(3) << 20) + (any(64) << 12);

        anything();
        EXPECT(real_cpu_instruction(&cpu, 0, at, data, data + 0x1000) >= 0);
        EXPECT_EQ(cpu.wrong, 0);
    }
    EXPECT_EQ(cpu.refused, 0);
    EXPECT(cpu.real.counters.overlapped != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_entry_of_a_pid_over_one_of_all_takes_its_place, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_an_entry_of_all_takes_the_place_of_those_of_every_pid, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_pids_of_different_values_do_not_overlap, start, finish),
        cmocka_unit_test_setup_teardown(test_a_small_entry_within_a_large_one_takes_it_away, start, finish),
        cmocka_unit_test_setup_teardown(test_a_large_entry_is_made_small_enough_for_others_within_it, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_an_instruction_in_two_entries_that_overlap_gets_through, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_nothing_that_a_guest_does_makes_two_entries_for_one_address,
                                        start, finish),
    };

    return RUN_TESTS(tests);
}
