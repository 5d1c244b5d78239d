/* The guest's answer to a miss is made real as soon as it is written, if it is one. */
#include "tests/unit/booke/real_cpu.h"
#include "tests/unit/test.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

static struct real_cpu cpu;
static struct virtual_mmu *guest;
static struct vmmu_booke_attempt missed;

/* A user's store missed, and the guest's supervisor is about to answer. */
static int start(void **state)
{
    (void)state;
    real_cpu_start(&cpu);
    guest = real_cpu_attach(&cpu, 0);
    real_cpu_memory(&cpu, 0, 0, 4 * GIB, 256 * MIB);
    vmmu_booke_set(&guest->booke, VMMU_BOOKE_PID0, 7);
    real_cpu_enter(&cpu, 0, problem);
    EXPECT_EQ(real_cpu_access(&cpu, 0, VMMU_BOOKE_STORE, 0x12345678), FAULTS);
    real_cpu_enter(&cpu, 0, supervisor);
    missed = (struct vmmu_booke_attempt){
        .state = problem, .kind = VMMU_BOOKE_STORE, .ea = 0x12345678, .at = 0x100
    };
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return cpu.wrong == 0 ? 0 : 1;
}

static bool answer(uint32_t mas1, uint32_t ea, uint64_t gpa_rights)
{
    const int index = virtual_write(guest, WAY(1, 2), mas1, ea, gpa_rights);

    return vmmu_booke_fill_written(&guest->booke, &cpu.real, &missed, (unsigned)index);
}

static void test_the_retry_of_an_answered_miss_hits(void **state)
{
    unsigned writes;

    (void)state;
    EXPECT(answer(V | TID(7), 0x12345000, 0x678000 | UW | UR | SR | SW));
    writes = cpu.writes;
    EXPECT_EQ(writes, 1);
    real_cpu_enter(&cpu, 0, problem);
    EXPECT_EQ(real_cpu_access(&cpu, 0, VMMU_BOOKE_STORE, 0x12345678), 4 * GIB + 0x678678);
    EXPECT_EQ(cpu.writes, writes);
    EXPECT_EQ(cpu.real.counters.filled[0], 1);
}

static void test_a_large_page_answers_too(void **state)
{
    const int index = virtual_write(guest, ENTRY(3), V | TSIZE(7), 0x12000000, 0x1000000 | ALL_RIGHTS);

    (void)state;
    EXPECT(vmmu_booke_fill_written(&guest->booke, &cpu.real, &missed, (unsigned)index));
    real_cpu_enter(&cpu, 0, problem);
    EXPECT_EQ(real_cpu_access(&cpu, 0, VMMU_BOOKE_LOAD, 0x12000000), 4 * GIB + 0x1000000);
    EXPECT_EQ(cpu.writes, 1);
}

static void test_what_is_no_answer_makes_nothing(void **state)
{
    (void)state;
    EXPECT(!answer(TID(7), 0x12345000, 0x678000 | ALL_RIGHTS));
    EXPECT(!answer(V | TID(8), 0x12345000, 0x678000 | ALL_RIGHTS));
    EXPECT(!answer(V | TS | TID(7), 0x12345000, 0x678000 | ALL_RIGHTS));
    EXPECT(!answer(V | TID(7), 0x12346000, 0x678000 | ALL_RIGHTS));
    EXPECT(!answer(V | TID(7), 0x12345000, 0x678000 | UR | SR | SW));
    EXPECT(!answer(V | TID(7), 0x12345000, UINT64_C(0xfe0004000) | ALL_RIGHTS));
    EXPECT_EQ(cpu.writes, 0);
    EXPECT_EQ(real_cpu_valid(&cpu), 0);
}

static void test_where_fetches_and_data_have_two_spaces_nothing_is_made(void **state)
{
    (void)state;
    missed.state = split;
    EXPECT(!answer(V | TID(7), 0x12345000, 0x678000 | ALL_RIGHTS));
    EXPECT_EQ(cpu.writes, 0);
}

static void test_a_fetch_is_answered_in_its_own_space(void **state)
{
    missed.kind = VMMU_BOOKE_FETCH;
    missed.state =
        (struct vmmu_booke_state){ .instruction_space = true, .data_space = true, .problem = true };

    (void)state;
    EXPECT(!answer(V | TID(7), 0x12345000, 0x678000 | ALL_RIGHTS));
    EXPECT(answer(V | TS | TID(7), 0x12345000, 0x678000 | UX));
    real_cpu_enter(&cpu, 0, missed.state);
    EXPECT_EQ(real_cpu_access(&cpu, 0, VMMU_BOOKE_FETCH, 0x12345678), 4 * GIB + 0x678678);
    EXPECT_EQ(cpu.writes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_retry_of_an_answered_miss_hits, start, finish),
        cmocka_unit_test_setup_teardown(test_a_large_page_answers_too, start, finish),
        cmocka_unit_test_setup_teardown(test_what_is_no_answer_makes_nothing, start, finish),
        cmocka_unit_test_setup_teardown(test_where_fetches_and_data_have_two_spaces_nothing_is_made, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_a_fetch_is_answered_in_its_own_space, start, finish),
    };

    return RUN_TESTS(tests);
}
