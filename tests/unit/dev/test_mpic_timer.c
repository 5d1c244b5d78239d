/*
 * The MPIC's global timers. Expected values are from the MPC8548E Reference Manual, "Global Timer Registers" and "Timer Control
 * Register (TCR)": the platform's clock of 400 MHz over 8 counts a tick in 20 ns.
 */
#include "tests/unit/dev/mpic_rig.h"
#include "tests/unit/test.h"

enum {
    TFRR = 0x10F0,
    COUNT = 0x1100, /* of timer 0; others 0x40 behind, group B 0x1000 behind */
    BASE = 0x1110,
    VECTOR = 0x1120,
    DESTINATION = 0x1130,
    CONTROL = 0x1300,
    NEXT = 0x40,
    GROUP_B = 0x1000,
    CTPR = 0x80,
    IACK = 0xA0,
    EOI = 0xB0,
};

#define INHIBIT 0x80000000u
#define TOGGLE  0x80000000u
#define MASKED  0x80000000u
#define TICK_NS UINT64_C(20)

static struct mpic_rig rig;

static void open(void)
{
    mpic_rig_open(&rig, 2);
    mpic_rig_put_by(&rig, 0, CTPR, 0);
    mpic_rig_put_by(&rig, 1, CTPR, 0);
}

static uint32_t get(uint32_t offset)
{
    return mpic_rig_get(&rig, offset);
}

static void put(uint32_t offset, uint32_t value)
{
    mpic_rig_put(&rig, offset, value);
}

static bool interrupted(unsigned vp)
{
    return rig.high[vp][MPIC_INT];
}

static void test_a_timer_counts_down_from_its_base(void **state)
{
    (void)state;
    open();
    put(BASE, 1000);
    EXPECT_EQ(get(COUNT), 1000);
    mpic_rig_pass(&rig, 300 * TICK_NS);
    EXPECT_EQ(get(COUNT), 700);
    mpic_rig_pass(&rig, 699 * TICK_NS);
    EXPECT_EQ(get(COUNT), 1);
}

static void test_at_zero_it_reloads_and_toggles(void **state)
{
    (void)state;
    open();
    put(BASE, 1000);
    mpic_rig_pass(&rig, 1000 * TICK_NS);
    EXPECT_EQ(get(COUNT), TOGGLE | 1000);
    mpic_rig_pass(&rig, 1001 * TICK_NS);
    EXPECT_EQ(get(COUNT), 999);
}

static void test_it_does_not_run_while_it_is_inhibited(void **state)
{
    (void)state;
    open();
    put(BASE, INHIBIT | 1000);
    mpic_rig_pass(&rig, CLOCK_NS_PER_S);
    EXPECT_EQ(get(COUNT), 0);
    put(BASE, 1000);
    mpic_rig_pass(&rig, 100 * TICK_NS);
    put(BASE, INHIBIT | 1000);
    mpic_rig_pass(&rig, 100 * TICK_NS);
    EXPECT_EQ(get(COUNT), 900);
}

static void test_starting_anew_clears_the_toggle(void **state)
{
    (void)state;
    open();
    put(BASE, 1000);
    mpic_rig_pass(&rig, 1500 * TICK_NS);
    EXPECT_EQ(get(COUNT), TOGGLE | 500);
    put(BASE, INHIBIT | 1000);
    put(BASE, 300);
    EXPECT_EQ(get(COUNT), 300);
}

static void test_a_new_base_counts_from_the_next_zero_on(void **state)
{
    (void)state;
    open();
    put(BASE, 1000);
    mpic_rig_pass(&rig, 400 * TICK_NS);
    put(BASE, 5000);
    EXPECT_EQ(get(COUNT), 600);
    mpic_rig_pass(&rig, 600 * TICK_NS);
    EXPECT_EQ(get(COUNT), TOGGLE | 5000);
}

static void test_it_interrupts_at_zero_with_its_vector(void **state)
{
    (void)state;
    open();
    put(VECTOR, 5 << 16 | 0x123);
    put(BASE, 50000);
    mpic_rig_pass(&rig, 49999 * TICK_NS);
    EXPECT(!interrupted(0));
    mpic_rig_pass(&rig, TICK_NS);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(IACK), 0x123);
    put(EOI, 0);
    EXPECT(!interrupted(0));
    mpic_rig_pass(&rig, 50000 * TICK_NS);
    EXPECT_EQ(get(IACK), 0x123);
}

static void test_it_interrupts_every_processor_of_its_destination(void **state)
{
    (void)state;
    open();
    put(VECTOR, 5 << 16 | 0x123);
    put(DESTINATION, 3);
    put(BASE, 50000);
    mpic_rig_pass(&rig, 50000 * TICK_NS);
    EXPECT(interrupted(0) && interrupted(1));
    EXPECT_EQ(mpic_rig_get_by(&rig, 1, IACK), 0x123);
    EXPECT(interrupted(0) && !interrupted(1));
}

static void test_a_zero_that_passes_while_masked_is_kept(void **state)
{
    (void)state;
    open();
    put(BASE, 1000);
    mpic_rig_pass(&rig, 2500 * TICK_NS);
    EXPECT_EQ(rig.mpic.due_ns, CLOCK_NEVER); /* nobody needs to be woken for it */
    put(VECTOR, 5 << 16 | 0x123);
    EXPECT(interrupted(0));
}

static void test_all_eight_timers_are_apart(void **state)
{
    (void)state;
    open();
    for (unsigned i = 0; i < 8; i++) {
        const uint32_t at = (i / 4) * GROUP_B + (i % 4) * NEXT;

        put(BASE + at, 100000 * (i + 1));
        put(VECTOR + at, (i + 1) << 16 | (0x200 + i));
    }
    for (unsigned i = 0; i < 8; i++) {
        mpic_rig_pass(&rig, 100000 * TICK_NS);
        EXPECT_EQ(get(COUNT + (i / 4) * GROUP_B + (i % 4) * NEXT), TOGGLE | (100000 * (i + 1)));
        EXPECT_EQ(get(IACK), 0x200 + i); /* the highest that is due */
        put(EOI, 0);
    }
}

static void test_the_ratio_divides_the_clock_further(void **state)
{
    static const unsigned ratios[] = { 8, 16, 32, 64 };

    (void)state;
    for (unsigned clkr = 0; clkr < 4; clkr++) {
        open();
        put(CONTROL, clkr << 8);
        put(BASE, 1000);
        mpic_rig_pass(&rig, UINT64_C(100) * ratios[clkr] * 1000000000 / MPIC_RIG_HZ);
        EXPECT_EQ(get(COUNT), 900);
    }
}

static void test_changing_the_ratio_loses_no_ticks(void **state)
{
    (void)state;
    open();
    put(BASE, 1000);
    mpic_rig_pass(&rig, 100 * TICK_NS);
    put(CONTROL, 3 << 8);
    EXPECT_EQ(get(COUNT), 900);
    mpic_rig_pass(&rig, UINT64_C(100) * 8 * TICK_NS);
    EXPECT_EQ(get(COUNT), 800);
}

static void test_by_the_real_time_clock_it_stands_since_that_is_not_wired(void **state)
{
    (void)state;
    open();
    put(VECTOR, 5 << 16 | 0x123);
    put(CONTROL, 1 << 16);
    put(BASE, 1000);
    EXPECT_EQ(rig.mpic.due_ns, CLOCK_NEVER);
    mpic_rig_pass(&rig, CLOCK_NS_PER_S);
    EXPECT_EQ(get(COUNT), 1000);
    put(CONTROL, 0);
    mpic_rig_pass(&rig, 100 * TICK_NS);
    EXPECT_EQ(get(COUNT), 900);
}

static void test_a_cascaded_timer_counts_the_zeros_of_the_one_before(void **state)
{
    (void)state;
    open();
    put(CONTROL, 1); /* 0 into 1 */
    put(VECTOR + NEXT, 5 << 16 | 0x123);
    put(BASE, 1000);
    put(BASE + NEXT, 30);
    mpic_rig_pass(&rig, 999 * TICK_NS);
    EXPECT_EQ(get(COUNT + NEXT), 30);
    mpic_rig_pass(&rig, TICK_NS);
    EXPECT_EQ(get(COUNT + NEXT), 29);
    mpic_rig_pass(&rig, UINT64_C(28999) * TICK_NS);
    EXPECT(!interrupted(0));
    mpic_rig_pass(&rig, TICK_NS);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(COUNT + NEXT), TOGGLE | 30);
}

static void test_all_four_can_be_cascaded(void **state)
{
    (void)state;
    open();
    put(CONTROL, 7);
    put(VECTOR + 3 * NEXT, 5 << 16 | 0x123);
    for (unsigned i = 0; i < 4; i++)
        put(BASE + i * NEXT, 20);
    mpic_rig_pass(&rig, UINT64_C(159999) * TICK_NS);
    EXPECT(!interrupted(0));
    mpic_rig_pass(&rig, TICK_NS);
    EXPECT(interrupted(0));
}

static void test_a_cascade_that_rolls_over_goes_on_from_all_ones(void **state)
{
    (void)state;
    open();
    put(CONTROL, 1 << 24 | 1); /* ROVR of timer 0 */
    put(BASE, 1000);
    put(BASE + NEXT, 30);
    mpic_rig_pass(&rig, 1001 * TICK_NS);
    EXPECT_EQ(get(COUNT), TOGGLE | 0x7FFFFFFF);
    EXPECT_EQ(get(COUNT + NEXT), 29);
}

static void test_a_chain_that_never_ends_is_never_due(void **state)
{
    (void)state;
    open();
    put(CONTROL, 7 << 24 | 7);
    put(VECTOR + 3 * NEXT, 5 << 16 | 0x123);
    for (unsigned i = 0; i < 4; i++)
        put(BASE + i * NEXT, 0x7FFFFFFF);
    EXPECT_EQ(rig.mpic.due_ns, CLOCK_NEVER); /* 2^124 ticks from now */
}

static void test_a_base_of_zero_does_not_run(void **state)
{
    (void)state;
    open();
    put(VECTOR, 5 << 16 | 0x123);
    put(BASE, 0);
    mpic_rig_pass(&rig, CLOCK_NS_PER_S);
    EXPECT(!interrupted(0));
    EXPECT_EQ(get(COUNT), 0);
}

static void test_a_base_of_zero_stops_it_at_its_next_zero(void **state)
{
    (void)state;
    open();
    put(VECTOR, 5 << 16 | 0x123);
    put(BASE, 50000);
    put(BASE, 0);
    mpic_rig_pass(&rig, UINT64_C(200000) * TICK_NS);
    EXPECT_EQ(get(COUNT), TOGGLE);
    EXPECT_EQ(rig.mpic.counters.timers, 1);
    EXPECT_EQ(rig.mpic.due_ns, CLOCK_NEVER);
}

static void test_frequent_zeros_are_merged_so_that_others_get_their_turn(void **state)
{
    (void)state;
    open();
    put(VECTOR, 5 << 16 | 0x123);
    put(BASE, 1); /* 50 million interrupts a second */
    EXPECT(rig.mpic.due_ns - rig.ns >= 20000);
    mpic_rig_pass(&rig, 1000000);
    EXPECT(interrupted(0));
    EXPECT_EQ(rig.mpic.counters.timers, 50000);
}

static void test_registers_keep_what_they_have(void **state)
{
    (void)state;
    open();
    put(TFRR, 0x12345678);
    put(TFRR + GROUP_B, 0x9ABCDEF0);
    put(CONTROL, UINT32_MAX);
    put(BASE + NEXT, UINT32_MAX);
    put(COUNT, 5); /* for reading only */
    EXPECT_EQ(get(TFRR), 0x12345678);
    EXPECT_EQ(get(TFRR + GROUP_B), 0x9ABCDEF0);
    EXPECT_EQ(get(CONTROL), 0x07010307);
    EXPECT_EQ(get(CONTROL + GROUP_B), 0);
    EXPECT_EQ(get(BASE + NEXT), UINT32_MAX);
    EXPECT_EQ(get(COUNT), 0);
    EXPECT_EQ(get(VECTOR), MASKED);
}

static void test_late_calls_give_the_same_counts_as_calls_in_time(void **state)
{
    static struct mpic_rig late;

    (void)state;
    open();
    mpic_rig_open(&late, 2);
    for (unsigned i = 0; i < 4; i++) {
        put(BASE + i * NEXT, 1000 + 77 * i);
        mpic_rig_put(&late, BASE + i * NEXT, 1000 + 77 * i);
    }
    put(CONTROL, 5);
    mpic_rig_put(&late, CONTROL, 5);
    for (unsigned i = 0; i < 1000; i++)
        mpic_rig_pass(&rig, 12345);
    late.ns = rig.ns;
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(mpic_rig_get(&late, COUNT + i * NEXT), get(COUNT + i * NEXT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_counts_down_from_its_base),
        cmocka_unit_test(test_at_zero_it_reloads_and_toggles),
        cmocka_unit_test(test_it_does_not_run_while_it_is_inhibited),
        cmocka_unit_test(test_starting_anew_clears_the_toggle),
        cmocka_unit_test(test_a_new_base_counts_from_the_next_zero_on),
        cmocka_unit_test(test_it_interrupts_at_zero_with_its_vector),
        cmocka_unit_test(test_it_interrupts_every_processor_of_its_destination),
        cmocka_unit_test(test_a_zero_that_passes_while_masked_is_kept),
        cmocka_unit_test(test_all_eight_timers_are_apart),
        cmocka_unit_test(test_the_ratio_divides_the_clock_further),
        cmocka_unit_test(test_changing_the_ratio_loses_no_ticks),
        cmocka_unit_test(test_by_the_real_time_clock_it_stands_since_that_is_not_wired),
        cmocka_unit_test(test_a_cascaded_timer_counts_the_zeros_of_the_one_before),
        cmocka_unit_test(test_all_four_can_be_cascaded),
        cmocka_unit_test(test_a_cascade_that_rolls_over_goes_on_from_all_ones),
        cmocka_unit_test(test_a_chain_that_never_ends_is_never_due),
        cmocka_unit_test(test_a_base_of_zero_does_not_run),
        cmocka_unit_test(test_a_base_of_zero_stops_it_at_its_next_zero),
        cmocka_unit_test(test_frequent_zeros_are_merged_so_that_others_get_their_turn),
        cmocka_unit_test(test_registers_keep_what_they_have),
        cmocka_unit_test(test_late_calls_give_the_same_counts_as_calls_in_time),
    };

    return RUN_TESTS(tests);
}
