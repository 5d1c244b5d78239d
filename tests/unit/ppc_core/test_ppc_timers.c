/* The timers of a Book-E core. Expected values come from EREF "Timers". */
#include "tests/unit/test.h"

#include "hv/ppc/core/timers.h"

/* TCR: a period by the number of the time base's bit, counted from the least significant one. */
static uint32_t interval_of(unsigned bit)
{
    const unsigned from_most = 63 - bit;

    return (from_most & 3) << 24 | (from_most >> 2) << 13;
}

static uint32_t watchdog_of(unsigned bit)
{
    const unsigned from_most = 63 - bit;

    return (from_most & 3) << 30 | (from_most >> 2) << 17;
}

/* --- the decrementer --- */

static void test_the_decrementer_counts_down_with_the_time_base(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_decrementer_write(&timers, 1000, 100);
    EXPECT_EQ(ppc_decrementer(&timers, 1000), 100);
    EXPECT_EQ(ppc_decrementer(&timers, 1099), 1);
    ppc_timers_advance(&timers, 1099);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, 0);
}

static void test_reaching_zero_sets_dis_and_it_stops_there(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_timers_advance(&timers, 1100);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, PPC_TSR_DIS);
    EXPECT_EQ(ppc_decrementer(&timers, 1100), 0);
    ppc_tsr_clear(&timers, 1200, PPC_TSR_DIS);
    ppc_timers_advance(&timers, UINT32_MAX);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, 0);
    EXPECT_EQ(ppc_decrementer(&timers, UINT32_MAX), 0);
}

static void test_writing_zero_is_not_counting_down_to_it(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_decrementer_write(&timers, 1050, 0);
    ppc_timers_advance(&timers, 5000);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, 0);
}

static void test_a_write_does_not_hide_that_zero_was_reached_before(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_decrementer_write(&timers, 1100, 100);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, PPC_TSR_DIS);
    EXPECT_EQ(ppc_decrementer(&timers, 1101), 99);
}

static void test_with_auto_reload_it_goes_on_from_decar(void **state)
{
    struct ppc_timers timers = { .decar = 50 };

    (void)state;
    ppc_tcr_write(&timers, 0, PPC_TCR_ARE | PPC_TCR_DIE);
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_timers_advance(&timers, 1100);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, PPC_TSR_DIS);
    EXPECT_EQ(ppc_decrementer(&timers, 1100), 50);
    ppc_tsr_clear(&timers, 1101, PPC_TSR_DIS);
    EXPECT_EQ(ppc_timers_deadline(&timers), 1150);
    ppc_timers_advance(&timers, 1149);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, 0);
    ppc_timers_advance(&timers, 1150);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, PPC_TSR_DIS);
}

static void test_reloads_that_nobody_looked_at_keep_their_beat(void **state)
{
    struct ppc_timers timers = { .decar = 50 };

    (void)state;
    ppc_tcr_write(&timers, 0, PPC_TCR_ARE);
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_timers_advance(&timers, 1100 + 7 * 50 + 20);
    EXPECT_EQ(ppc_decrementer(&timers, 1100 + 7 * 50 + 20), 30);
}

static void test_reloading_zero_stops_it(void **state)
{
    struct ppc_timers timers = { .decar = 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, PPC_TCR_ARE);
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_timers_advance(&timers, 2000);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, PPC_TSR_DIS);
    EXPECT_EQ(ppc_decrementer(&timers, 2000), 0);
}

static void test_what_stood_still_counts_the_rest_later(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_decrementer_write(&timers, 1000, 100);
    ppc_timers_delay(&timers, 500);
    EXPECT_EQ(ppc_decrementer(&timers, 1550), 50);
    ppc_timers_advance(&timers, 1599);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, 0);
    ppc_timers_advance(&timers, 1600);
    EXPECT_EQ(timers.tsr & PPC_TSR_DIS, PPC_TSR_DIS);
}

/* --- the fixed interval --- */

static void test_fis_comes_when_the_bit_goes_from_0_to_1(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, interval_of(10));
    ppc_timers_advance(&timers, 1023);
    EXPECT_EQ(timers.tsr & PPC_TSR_FIS, 0);
    ppc_timers_advance(&timers, 1024);
    EXPECT_EQ(timers.tsr & PPC_TSR_FIS, PPC_TSR_FIS);
}

static void test_fis_does_not_come_when_the_bit_falls(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 1024, interval_of(10));
    ppc_tsr_clear(&timers, 1024, UINT32_MAX);
    ppc_timers_advance(&timers, 3071);
    EXPECT_EQ(timers.tsr & PPC_TSR_FIS, 0);
    ppc_timers_advance(&timers, 3072);
    EXPECT_EQ(timers.tsr & PPC_TSR_FIS, PPC_TSR_FIS);
}

static void test_the_most_and_the_least_significant_bit_can_be_chosen(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, interval_of(0) | PPC_TCR_FIE);
    EXPECT_EQ(ppc_timers_deadline(&timers), 1);
    ppc_tcr_write(&timers, 0, interval_of(63) | PPC_TCR_FIE);
    EXPECT_EQ(ppc_timers_deadline(&timers), UINT64_C(1) << 63);
    ppc_timers_advance(&timers, (UINT64_C(1) << 63) + 5);
    ppc_tsr_clear(&timers, (UINT64_C(1) << 63) + 5, PPC_TSR_FIS);
    EXPECT_EQ(ppc_timers_deadline(&timers), PPC_TIMERS_NEVER);
}

static void test_a_new_interval_does_not_reach_back(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, interval_of(40));
    ppc_tcr_write(&timers, 100000, interval_of(10));
    EXPECT_EQ(timers.tsr & PPC_TSR_FIS, 0);
}

/* --- the watchdog --- */

static void test_the_watchdog_goes_from_stage_to_stage(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, watchdog_of(8) | PPC_TCR_WIE);
    ppc_timers_advance(&timers, 256);
    EXPECT_EQ(timers.tsr & (PPC_TSR_ENW | PPC_TSR_WIS), PPC_TSR_ENW);
    ppc_timers_advance(&timers, 256 + 511);
    EXPECT_EQ(timers.tsr & (PPC_TSR_ENW | PPC_TSR_WIS), PPC_TSR_ENW);
    ppc_timers_advance(&timers, 256 + 512);
    EXPECT_EQ(timers.tsr & (PPC_TSR_ENW | PPC_TSR_WIS), PPC_TSR_ENW | PPC_TSR_WIS);
    EXPECT_EQ(timers.reset, 0);
}

static void test_the_third_time_out_resets_as_wrc_says(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, watchdog_of(8) | UINT32_C(0x20000000));
    ppc_timers_advance(&timers, 256 + 2 * 512);
    EXPECT_EQ(timers.reset, 2);
    EXPECT_EQ(timers.tsr & PPC_TSR_WRS, UINT32_C(0x20000000));
    EXPECT_EQ(timers.tcr & PPC_TCR_WRC, 0);
}

static void test_without_wrc_nothing_resets(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, watchdog_of(8) | PPC_TCR_WIE);
    ppc_timers_advance(&timers, UINT64_C(51200));
    EXPECT_EQ(timers.reset, 0);
    EXPECT_EQ(ppc_timers_deadline(&timers), PPC_TIMERS_NEVER);
}

static void test_software_that_clears_enw_starts_the_watchdog_anew(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, watchdog_of(8) | PPC_TCR_WRC);
    for (uint64_t now = 256; now < UINT64_C(51200); now += 512) {
        ppc_tsr_clear(&timers, now, PPC_TSR_ENW | PPC_TSR_WIS);
    }
    EXPECT_EQ(timers.reset, 0);
}

static void test_software_cannot_take_wrc_back(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, UINT32_C(0x10000000));
    ppc_tcr_write(&timers, 0, 0);
    EXPECT_EQ(timers.tcr & PPC_TCR_WRC, UINT32_C(0x10000000));
}

/* --- deadlines --- */

static void test_what_is_not_enabled_or_pending_already_has_no_deadline(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_decrementer_write(&timers, 0, 100);
    EXPECT_EQ(ppc_timers_deadline(&timers), PPC_TIMERS_NEVER);
    ppc_tcr_write(&timers, 0, PPC_TCR_DIE);
    EXPECT_EQ(ppc_timers_deadline(&timers), 100);
    ppc_timers_advance(&timers, 100);
    EXPECT_EQ(ppc_timers_deadline(&timers), PPC_TIMERS_NEVER);
}

static void test_the_deadline_is_the_earliest(void **state)
{
    struct ppc_timers timers = { 0 };

    (void)state;
    ppc_tcr_write(&timers, 0, PPC_TCR_DIE | PPC_TCR_FIE | PPC_TCR_WIE | interval_of(9) | watchdog_of(8));
    ppc_decrementer_write(&timers, 0, 700);
    EXPECT_EQ(ppc_timers_deadline(&timers), 256);
    ppc_timers_advance(&timers, 256);
    EXPECT_EQ(ppc_timers_deadline(&timers), 512);
    ppc_timers_advance(&timers, 512);
    EXPECT_EQ(ppc_timers_deadline(&timers), 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_decrementer_counts_down_with_the_time_base),
        cmocka_unit_test(test_reaching_zero_sets_dis_and_it_stops_there),
        cmocka_unit_test(test_writing_zero_is_not_counting_down_to_it),
        cmocka_unit_test(test_a_write_does_not_hide_that_zero_was_reached_before),
        cmocka_unit_test(test_with_auto_reload_it_goes_on_from_decar),
        cmocka_unit_test(test_reloads_that_nobody_looked_at_keep_their_beat),
        cmocka_unit_test(test_reloading_zero_stops_it),
        cmocka_unit_test(test_what_stood_still_counts_the_rest_later),
        cmocka_unit_test(test_fis_comes_when_the_bit_goes_from_0_to_1),
        cmocka_unit_test(test_fis_does_not_come_when_the_bit_falls),
        cmocka_unit_test(test_the_most_and_the_least_significant_bit_can_be_chosen),
        cmocka_unit_test(test_a_new_interval_does_not_reach_back),
        cmocka_unit_test(test_the_watchdog_goes_from_stage_to_stage),
        cmocka_unit_test(test_the_third_time_out_resets_as_wrc_says),
        cmocka_unit_test(test_without_wrc_nothing_resets),
        cmocka_unit_test(test_software_that_clears_enw_starts_the_watchdog_anew),
        cmocka_unit_test(test_software_cannot_take_wrc_back),
        cmocka_unit_test(test_what_is_not_enabled_or_pending_already_has_no_deadline),
        cmocka_unit_test(test_the_deadline_is_the_earliest),
    };
    return RUN_TESTS(tests);
}
