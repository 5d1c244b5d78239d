/*
 * ACPI fixed hardware, by the sentences of the ACPI specification.
 */
#include "hv/dev/acpi_pm.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name) cmocka_unit_test_setup(name, setup)

enum {
    STATUS = 0,
    ENABLE = 2,
    CONTROL = 4,
    TIMER = 8,
};

#define TMR    0x0001
#define PWRBTN 0x0100
#define SCI_EN 0x0001
#define SLP_EN 0x2000

static struct acpi_pm pm;
static struct fixture_wire sci;
static uint64_t ns;
static unsigned power_offs;

static void power_off(void *context)
{
    (void)context;
    power_offs++;
}

static void init(bool timer_is_24_bit)
{
    const struct acpi_pm_wires wires = {
        .sci = fixture_line(&sci),
        .clock = fixture_clock(&ns),
        .power_off = power_off,
        .context = NULL,
        .timer_is_24_bit = timer_is_24_bit,
    };

    acpi_pm_init(&pm, &wires);
}

static int setup(void **state)
{
    (void)state;
    ns = 0;
    power_offs = 0;
    sci = (struct fixture_wire){ 0 };
    init(true);
    return 0;
}

static void test_the_timer_counts_at_3_579545_mhz(void **state)
{
    (void)state;
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 4), 0);
    ns = NS_PER_S;
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 4), 3579545);
}

static void test_a_24_bit_timer_wraps_and_its_upper_byte_is_zero(void **state)
{
    (void)state;
    ns = clock_ns((UINT64_C(1) << 24) + 5, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 4), 5);
}

static void test_a_32_bit_timer_goes_on(void **state)
{
    (void)state;
    init(false);
    ns = clock_ns((UINT64_C(1) << 24) + 5, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 4), (1 << 24) + 5);
    ns = clock_ns((UINT64_C(1) << 32) + 7, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 4), 7);
}

static void test_the_timer_reads_in_bytes_and_words_too(void **state)
{
    (void)state;
    ns = clock_ns(0x123456, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 1), 0x56);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER + 1, 1), 0x34);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 2), 0x3456);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER + 2, 2), 0x0012);
}

static void test_tmr_sts_is_set_when_the_most_significant_bit_changes_either_way(void **state)
{
    (void)state;
    ns = clock_ns((UINT64_C(1) << 23) - 1, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 2), 0);
    ns = clock_ns(UINT64_C(1) << 23, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 2), TMR);
    acpi_pm_write(&pm, STATUS, 2, TMR);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 2), 0);
    ns = clock_ns(UINT64_C(1) << 24, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 2), TMR);
    EXPECT_EQ(sci.rises, 0);
}

static void test_an_enabled_timer_overflow_raises_the_sci_until_its_status_is_cleared(void **state)
{
    (void)state;
    EXPECT_EQ(pm.due_ns, CLOCK_NEVER);
    acpi_pm_write(&pm, ENABLE, 2, TMR);
    EXPECT_EQ(pm.due_ns, clock_ns(UINT64_C(1) << 23, ACPI_PM_TIMER_HZ));
    ns = pm.due_ns;
    acpi_pm_advance(&pm);
    EXPECT(sci.high);
    EXPECT_EQ(pm.due_ns, CLOCK_NEVER); /* nothing new until software clears the status */
    acpi_pm_write(&pm, STATUS, 2, TMR);
    EXPECT(!sci.high);
    EXPECT_EQ(pm.due_ns, clock_ns(UINT64_C(1) << 24, ACPI_PM_TIMER_HZ));
}

static void test_the_power_button_is_an_event(void **state)
{
    (void)state;
    acpi_pm_power_button(&pm);
    EXPECT(!sci.high);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 2), PWRBTN);
    acpi_pm_write(&pm, ENABLE, 2, PWRBTN);
    EXPECT(sci.high);
    acpi_pm_write(&pm, STATUS, 2, TMR);
    EXPECT(sci.high);
    acpi_pm_write(&pm, STATUS + 1, 1, PWRBTN >> 8);
    EXPECT(!sci.high);
}

static void test_writing_zeros_to_status_clears_nothing(void **state)
{
    (void)state;
    acpi_pm_power_button(&pm);
    acpi_pm_write(&pm, STATUS, 2, 0);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 2), PWRBTN);
}

static void test_only_defined_enable_bits_are_kept(void **state)
{
    (void)state;
    acpi_pm_write(&pm, ENABLE, 2, 0xFFFF);
    EXPECT_EQ(acpi_pm_read(&pm, ENABLE, 2), 0x0721);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 4), UINT32_C(0x07210000));
}

static void test_sci_en_is_always_set_for_there_is_no_legacy_mode(void **state)
{
    (void)state;
    EXPECT_EQ(acpi_pm_read(&pm, CONTROL, 2), SCI_EN);
    acpi_pm_write(&pm, CONTROL, 2, 0);
    EXPECT_EQ(acpi_pm_read(&pm, CONTROL, 2), SCI_EN);
}

static void test_slp_typ_of_s5_with_slp_en_powers_off_and_slp_en_reads_as_zero(void **state)
{
    (void)state;
    acpi_pm_write(&pm, CONTROL, 2, ACPI_PM_SLEEP_TYPE_S5 << 10);
    EXPECT_EQ(power_offs, 0);
    acpi_pm_write(&pm, CONTROL, 2, ACPI_PM_SLEEP_TYPE_S5 << 10 | SLP_EN);
    EXPECT_EQ(power_offs, 1);
    EXPECT_EQ(acpi_pm_read(&pm, CONTROL, 2), ACPI_PM_SLEEP_TYPE_S5 << 10 | SCI_EN);
    EXPECT_EQ(acpi_pm_read(&pm, CONTROL, 1), SCI_EN);
    EXPECT_EQ(acpi_pm_read(&pm, CONTROL + 1, 1), ACPI_PM_SLEEP_TYPE_S5 << 2);
}

static void test_other_sleep_types_do_nothing(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 8; type++) {
        if (type != ACPI_PM_SLEEP_TYPE_S5)
            acpi_pm_write(&pm, CONTROL, 2, type << 10 | SLP_EN);
    }
    EXPECT_EQ(power_offs, 0);
}

static void test_reset_clears_events(void **state)
{
    (void)state;
    acpi_pm_write(&pm, ENABLE, 2, PWRBTN);
    acpi_pm_power_button(&pm);
    acpi_pm_reset(&pm);
    EXPECT(!sci.high);
    EXPECT_EQ(acpi_pm_read(&pm, STATUS, 4), 0);
}

static void test_holes_read_as_ones_and_the_timer_is_not_for_writing(void **state)
{
    (void)state;
    EXPECT_EQ(acpi_pm_read(&pm, 6, 2), 0xFFFF);
    acpi_pm_write(&pm, TIMER, 4, UINT32_MAX);
    EXPECT_EQ(acpi_pm_read(&pm, TIMER, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_the_timer_counts_at_3_579545_mhz),
        T(test_a_24_bit_timer_wraps_and_its_upper_byte_is_zero),
        T(test_a_32_bit_timer_goes_on),
        T(test_the_timer_reads_in_bytes_and_words_too),
        T(test_tmr_sts_is_set_when_the_most_significant_bit_changes_either_way),
        T(test_an_enabled_timer_overflow_raises_the_sci_until_its_status_is_cleared),
        T(test_the_power_button_is_an_event),
        T(test_writing_zeros_to_status_clears_nothing),
        T(test_only_defined_enable_bits_are_kept),
        T(test_sci_en_is_always_set_for_there_is_no_legacy_mode),
        T(test_slp_typ_of_s5_with_slp_en_powers_off_and_slp_en_reads_as_zero),
        T(test_other_sleep_types_do_nothing),
        T(test_reset_clears_events),
        T(test_holes_read_as_ones_and_the_timer_is_not_for_writing),
    };

    return RUN_TESTS(tests);
}
