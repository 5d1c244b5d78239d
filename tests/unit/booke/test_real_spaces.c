/* Shadow PIDs: what a change of privilege, of PID, of address space, or another VP's turn leaves in place; and when they run out. */
#include "tests/unit/booke/real_cpu.h"
#include "tests/unit/test.h"

#define MIB   UINT64_C(0x100000)
#define GIB   UINT64_C(0x40000000)

#define LOAD  VMMU_BOOKE_LOAD
#define STORE VMMU_BOOKE_STORE
#define FETCH VMMU_BOOKE_FETCH

static struct real_cpu cpu;
static struct virtual_mmu *guest;

static void start_guest(unsigned vp)
{
    real_cpu_memory(&cpu, vp, 0, 4 * GIB * (vp + 1), 256 * MIB);
}

static int start(void **state)
{
    (void)state;
    real_cpu_start(&cpu);
    guest = real_cpu_attach(&cpu, 0);
    start_guest(0);
    real_cpu_enter(&cpu, 0, supervisor);
    return 0;
}

/* As few shadow PIDs as there can be: 1 to 3. */
static int start_few(void **state)
{
    struct vmmu_booke_config config = vmmu_booke_e500v2;

    (void)state;
    config.pid_bits = 2;
    real_cpu_start_as(&cpu, &config, 4);
    guest = real_cpu_attach(&cpu, 0);
    start_guest(0);
    real_cpu_enter(&cpu, 0, supervisor);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return cpu.wrong == 0 ? 0 : 1;
}

/* The guest maps page @ea of 4 KiB for TID @tid, with every right. */
static void map(unsigned entry, unsigned tid, uint32_t ea, uint64_t gpa)
{
    (void)virtual_write(guest, ENTRY(entry), V | TSIZE(1) | TID(tid), ea, gpa | ALL_RIGHTS);
}

static void set_pid(uint32_t pid)
{
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID0, pid);
    real_cpu_enter(&cpu, 0, cpu.state);
}

static void test_a_change_of_pid_flushes_nothing(void **state)
{
    unsigned writes;

    (void)state;
    map(0, 1, 0x1000, 0x10000);
    map(1, 2, 0x1000, 0x20000);
    set_pid(1);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    set_pid(2);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x20000);
    writes = cpu.writes;
    for (unsigned i = 0; i < 4; i++) {
        set_pid(1 + (i & 1));
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + UINT64_C(0x10000) * (1 + (i & 1)));
    }
    set_pid(3);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), FAULTS);
    EXPECT_EQ(cpu.writes, writes);
    EXPECT_EQ(cpu.real.generation, 0);
}

static void test_entries_without_a_tid_serve_all_pids(void **state)
{
    (void)state;
    map(0, 0, 0x1000, 0x10000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    for (unsigned pid = 0; pid < 256; pid += 5) {
        set_pid(pid);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    }
    EXPECT_EQ(cpu.writes, 1);
}

static void test_a_change_of_privilege_flushes_nothing_and_keeps_rights_apart(void **state)
{
    (void)state;
    (void)virtual_write(guest, WAY(0, 0), V, 0x1000, 0x10000 | SR | SW | UR);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x1000), 4 * GIB + 0x10000);
    real_cpu_enter(&cpu, 0, problem);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x1000), FAULTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x1000), FAULTS);
    EXPECT_EQ(cpu.writes, 2);
    real_cpu_enter(&cpu, 0, supervisor);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(cpu.writes, 2);
}

static void test_address_spaces_are_apart(void **state)
{
    const struct vmmu_booke_state other = { .instruction_space = true, .data_space = true };

    (void)state;
    (void)virtual_write(guest, WAY(0, 0), V, 0x1000, 0x10000 | ALL_RIGHTS);
    (void)virtual_write(guest, WAY(1, 0), V | TS, 0x1000, 0x20000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    real_cpu_enter(&cpu, 0, other);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x1000), 4 * GIB + 0x20000);
    real_cpu_enter(&cpu, 0, supervisor);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(cpu.writes, 2);
}

static void test_another_vp_s_turn_flushes_nothing(void **state)
{
    (void)state;
    (void)real_cpu_attach(&cpu, 1);
    start_guest(1);
    map(0, 1, 0x1000, 0x10000);
    (void)virtual_write(&cpu.vp[1].mmu, ENTRY(0), V | TSIZE(1) | TID(1), 0x1000, 0x30000 | ALL_RIGHTS);
    vmmu_booke_set(&cpu.vp[1].mmu.booke, VMMU_BOOKE_PID0, 1);
    for (unsigned i = 0; i < 3; i++) {
        set_pid(1);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
        real_cpu_enter(&cpu, 1, supervisor);
        EXPECT_EQ(real_cpu_access(&cpu, 1, LOAD, 0x1000), 8 * GIB + 0x30000);
    }
    EXPECT_EQ(cpu.writes, 2);
}

static void test_a_guest_with_more_pids_has_a_space_for_all_of_them(void **state)
{
    (void)state;
    map(0, 1, 0x1000, 0x10000);
    map(1, 2, 0x2000, 0x20000);
    map(2, 3, 0x3000, 0x30000);
    map(3, 0, 0x4000, 0x40000);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID1, 2);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID2, 3);
    set_pid(1);
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t page = 1; page <= 4; page++) {
            EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000 * page), 4 * GIB + UINT64_C(0x10000) * page);
        }
    }
    EXPECT_EQ(cpu.writes, 4);
    set_pid(4);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), FAULTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), 4 * GIB + 0x20000);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID1, 0);
    set_pid(4);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), FAULTS);
}

static void test_a_change_of_any_of_three_pids_is_another_private_space(void **state)
{
    static const enum vmmu_booke_register registers[] = { VMMU_BOOKE_PID0, VMMU_BOOKE_PID1, VMMU_BOOKE_PID2 };

    (void)state;
    for (unsigned changed = 0; changed < 3; changed++) {
        for (unsigned i = 0; i < 3; i++) {
            vmmu_booke_set(&guest->booke, registers[i], 4 + i);
        }
        map(0, 4 + changed, 0x1000, 0x10000);
        real_cpu_enter(&cpu, 0, supervisor);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
        vmmu_booke_set(&guest->booke, registers[changed], 9);
        real_cpu_enter(&cpu, 0, supervisor);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), FAULTS);
    }
}

static void test_private_spaces_take_each_other_s_places_in_turn(void **state)
{
    (void)state;
    map(0, 0, 0x1000, 0x10000);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID2, 9);
    for (uint32_t pid = 1; pid <= 4; pid++) {
        set_pid(pid);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    }
    EXPECT_EQ(cpu.writes, 4);
    EXPECT_EQ(cpu.real.generation, 0);
    set_pid(1);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(cpu.writes, 4);
    set_pid(5);
    EXPECT(cpu.real.generation != 0);
    EXPECT_EQ(real_cpu_valid(&cpu), 3);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(real_cpu_valid(&cpu), 4);
    set_pid(2);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(cpu.writes, 6);
}

static void test_fetches_and_data_of_two_address_spaces_are_apart(void **state)
{
    (void)state;
    (void)virtual_write(guest, ENTRY(0), V | TSIZE(1), 0x1000, 0x10000 | ALL_RIGHTS);
    (void)virtual_write(guest, ENTRY(1), V | TS | TSIZE(1), 0x2000, 0x20000 | ALL_RIGHTS);
    real_cpu_enter(&cpu, 0, split);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, STORE, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x1000), FAULTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x2000), 4 * GIB + 0x20000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), FAULTS);
    EXPECT_EQ(real_cpu_find(&cpu, 0x1000, false)->mas3 & ALL_RIGHTS, UR | UW);
    EXPECT_EQ(real_cpu_find(&cpu, 0x2000, true)->mas3 & ALL_RIGHTS, UX | SR);
}

static void test_one_page_of_two_address_spaces_is_one_or_the_other(void **state)
{
    (void)state;
    (void)virtual_write(guest, ENTRY(0), V | TSIZE(1), 0x1000, 0x10000 | ALL_RIGHTS);
    (void)virtual_write(guest, ENTRY(1), V | TS | TSIZE(1), 0x1000, 0x20000 | ALL_RIGHTS);
    real_cpu_enter(&cpu, 0, split);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
        EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x1000), 4 * GIB + 0x20000);
        EXPECT_EQ(real_cpu_valid(&cpu), 1);
    }
    EXPECT_EQ(cpu.real.counters.overlapped, 5);
}

static void test_an_instruction_s_own_page_as_data_of_another_space_is_a_clash(void **state)
{
    const struct vmmu_booke_attempt attempt = { .state = split, .kind = LOAD, .ea = 0x1ffc, .at = 0x1000 };
    struct vmmu_booke_result result;

    (void)state;
    (void)virtual_write(guest, ENTRY(0), V | TSIZE(1), 0x1000, 0x10000 | ALL_RIGHTS);
    (void)virtual_write(guest, ENTRY(1), V | TS | TSIZE(1), 0x1000, 0x20000 | ALL_RIGHTS);
    real_cpu_enter(&cpu, 0, split);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x1000), 4 * GIB + 0x20000);
    EXPECT_EQ(vmmu_booke_fill(&guest->booke, &cpu.real, &attempt, &result), VMMU_BOOKE_CLASH);
    EXPECT_EQ(result.gpa.v, 0x10ffc);
    EXPECT_EQ(cpu.writes, 1);
    EXPECT(real_cpu_find(&cpu, 0x1000, true) != NULL);
}

static void test_a_clash_is_on_memory_of_the_partition_only(void **state)
{
    const struct vmmu_booke_attempt attempt = { .state = split, .kind = LOAD, .ea = 0x1ffc, .at = 0x1000 };
    struct vmmu_booke_result result;

    (void)state;
    (void)virtual_write(guest, ENTRY(0), V | TSIZE(1), 0x1000, 0x10000 | ALL_RIGHTS);
    cpu.owns_nothing = true;
    EXPECT_EQ(vmmu_booke_fill(&guest->booke, &cpu.real, &attempt, &result), VMMU_BOOKE_DENIED);
    EXPECT_EQ(cpu.refused, 1);
}

static void test_data_of_another_space_leaves_the_instruction_s_page_alone(void **state)
{
    (void)state;
    (void)virtual_write(guest, ENTRY(0), V | TSIZE(9), 0, 0 | ALL_RIGHTS);
    (void)virtual_write(guest, ENTRY(1), V | TS | TSIZE(9), 0, 0 | ALL_RIGHTS);
    real_cpu_enter(&cpu, 0, split);
    EXPECT(real_cpu_instruction(&cpu, 0, 0x00001000, 0x00002000, 0x00003000) > 0);
    EXPECT(real_cpu_instruction(&cpu, 0, 0x00002000, 0x00001000, 0x00800000) > 0);
    EXPECT(real_cpu_instruction(&cpu, 0, 0x08001000, 0x00001000, 0x0fffffff) > 0);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x00001004), 4 * GIB + 0x1004);
    EXPECT_EQ(real_cpu_access(&cpu, 0, FETCH, 0x08001004), 4 * GIB + 0x08001004);
    EXPECT_EQ(real_cpu_instruction(&cpu, 0, 0x00001000, 0x00001000, 0x00002000), 0);
}

static void test_when_shadow_pids_run_out_the_one_held_longest_goes(void **state)
{
    (void)state;
    map(0, 1, 0x1000, 0x10000);
    map(1, 2, 0x1000, 0x20000);
    map(2, 3, 0x1000, 0x30000);
    map(3, 0, 0x2000, 0x40000);
    for (unsigned i = 0; i < 12; i++) {
        set_pid(1 + i % 3);
        EXPECT(cpu.pid[0] != cpu.pid[1] && cpu.pid[0] != 0 && cpu.pid[1] != 0);
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + UINT64_C(0x10000) * (1 + i % 3));
        EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), 4 * GIB + 0x40000);
    }
    EXPECT(cpu.real.counters.recycled != 0);
    EXPECT(cpu.real.generation != 0);
    EXPECT(real_cpu_valid(&cpu) <= 3);
}

static void test_the_pids_of_a_state_stay_while_nothing_is_taken(void **state)
{
    (void)state;
    for (unsigned pid = 0; pid < 60; pid++) {
        const uint32_t generation = cpu.real.generation;
        const uint8_t before[] = { cpu.pid[0], cpu.pid[1] };

        real_cpu_enter(&cpu, 0, supervisor);
        EXPECT_EQ(cpu.real.generation, generation);
        EXPECT_EQ(cpu.pid[0], before[0]);
        EXPECT_EQ(cpu.pid[1], before[1]);
        set_pid(pid);
    }
}

static void test_a_fill_for_a_state_not_entered_may_take_a_shadow_pid_and_says_so(void **state)
{
    struct vmmu_booke_attempt attempt = { .state = problem, .kind = LOAD, .ea = 0x1000 };
    struct vmmu_booke_result result;

    (void)state;
    map(0, 1, 0x1000, 0x10000);
    map(1, 0, 0x2000, 0x20000);
    set_pid(1);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    for (unsigned i = 0; i < 2; i++) {
        attempt.ea = 0x1000 * (i + 1);
        EXPECT_EQ(vmmu_booke_fill(&guest->booke, &cpu.real, &attempt, &result), VMMU_BOOKE_FILLED);
    }
    EXPECT(cpu.real.generation != 0);
    real_cpu_enter(&cpu, 0, supervisor);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x2000), 4 * GIB + 0x20000);
}

static void test_a_vp_that_leaves_leaves_nothing(void **state)
{
    uint32_t generation;

    (void)state;
    (void)real_cpu_attach(&cpu, 1);
    start_guest(1);
    map(0, 0, 0x1000, 0x10000);
    (void)virtual_write(&cpu.vp[1].mmu, ENTRY(0), V | TSIZE(1), 0x1000, 0x30000 | ALL_RIGHTS);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x10000);
    real_cpu_enter(&cpu, 1, supervisor);
    EXPECT_EQ(real_cpu_access(&cpu, 1, LOAD, 0x1000), 8 * GIB + 0x30000);
    generation = cpu.real.generation;
    vmmu_booke_detach(&guest->booke, &cpu.real);
    EXPECT(cpu.real.generation != generation);
    EXPECT_EQ(real_cpu_valid(&cpu), 1);
    EXPECT_EQ(real_cpu_access(&cpu, 1, LOAD, 0x1000), 8 * GIB + 0x30000);
    EXPECT_EQ(guest->booke.entries[TLB1_INDEX(0)].made, 0);
    for (unsigned i = 0; i < VMMU_BOOKE_SHADOWS; i++) {
        EXPECT(cpu.real.owners[i] == NULL ||
               (cpu.real.owners[i] >= cpu.vp[1].spaces &&
                cpu.real.owners[i] < cpu.vp[1].spaces + sizeof(cpu.vp[1].spaces)));
    }
    map(0, 0, 0x1000, 0x20000);
    EXPECT_EQ(vmmu_booke_attach(&guest->booke, &cpu.real, cpu.vp[0].spaces, sizeof(cpu.vp[0].spaces)),
              VMMU_OK);
    real_cpu_enter(&cpu, 0, supervisor);
    EXPECT_EQ(real_cpu_access(&cpu, 0, LOAD, 0x1000), 4 * GIB + 0x20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_change_of_pid_flushes_nothing, start, finish),
        cmocka_unit_test_setup_teardown(test_entries_without_a_tid_serve_all_pids, start, finish),
        cmocka_unit_test_setup_teardown(test_a_change_of_privilege_flushes_nothing_and_keeps_rights_apart,
                                        start, finish),
        cmocka_unit_test_setup_teardown(test_address_spaces_are_apart, start, finish),
        cmocka_unit_test_setup_teardown(test_another_vp_s_turn_flushes_nothing, start, finish),
        cmocka_unit_test_setup_teardown(test_a_guest_with_more_pids_has_a_space_for_all_of_them, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_a_change_of_any_of_three_pids_is_another_private_space, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_private_spaces_take_each_other_s_places_in_turn, start, finish),
        cmocka_unit_test_setup_teardown(test_fetches_and_data_of_two_address_spaces_are_apart, start, finish),
        cmocka_unit_test_setup_teardown(test_one_page_of_two_address_spaces_is_one_or_the_other, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_an_instruction_s_own_page_as_data_of_another_space_is_a_clash,
                                        start, finish),
        cmocka_unit_test_setup_teardown(test_a_clash_is_on_memory_of_the_partition_only, start, finish),
        cmocka_unit_test_setup_teardown(test_data_of_another_space_leaves_the_instruction_s_page_alone, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_when_shadow_pids_run_out_the_one_held_longest_goes, start_few,
                                        finish),
        cmocka_unit_test_setup_teardown(test_the_pids_of_a_state_stay_while_nothing_is_taken, start_few,
                                        finish),
        cmocka_unit_test_setup_teardown(test_a_fill_for_a_state_not_entered_may_take_a_shadow_pid_and_says_so,
                                        start_few, finish),
        cmocka_unit_test_setup_teardown(test_a_vp_that_leaves_leaves_nothing, start, finish),
    };

    return RUN_TESTS(tests);
}
