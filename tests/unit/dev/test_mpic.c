/*
 * The MPIC: sources, priorities, processors. Expected values are from the MPC8548E Reference Manual, "Programmable
 * Interrupt Controller".
 */
#include "tests/unit/dev/mpic_rig.h"
#include "tests/unit/test.h"

enum {
    GCR = 0x1020,
    PIR = 0x1090,
    IPIVPR0 = 0x10A0,
    SVR = 0x10E0,
    EIVPR0 = 0x10000,
    EIDR0 = 0x10010,
    IIVPR0 = 0x10200,
    IIDR0 = 0x10210,
    ILR_INTERNAL0 = 0x10218,
    IPIDR0 = 0x40,
    CTPR = 0x80,
    WHOAMI = 0x90,
    IACK = 0xA0,
    EOI = 0xB0,
    OWN = 0x20000, /* processor n's page is n * 0x1000 behind */
    STRIDE = 0x20,
};

#define MASKED     0x80000000u
#define ACTIVITY   0x40000000u
#define HIGH       0x00800000u
#define LEVEL      0x00400000u
#define UART       26 /* an internal interrupt */
#define PRIORITY_8 0x00080000u

static struct mpic_rig rig;

static void open_for(unsigned vps)
{
    mpic_rig_open(&rig, vps);
    mpic_rig_put(&rig, GCR, 0x20000000);
    for (unsigned vp = 0; vp < vps; vp++)
        mpic_rig_put_by(&rig, vp, CTPR, 0);
}

static uint32_t get(uint32_t offset)
{
    const uint32_t value = mpic_rig_get(&rig, offset);
    const char *broken = mpic_broken_invariant(&rig.mpic);

    if (broken)
        fail_msg("does not hold: %s", broken);
    return value;
}

static void put(uint32_t offset, uint32_t value)
{
    const char *broken;

    mpic_rig_put(&rig, offset, value);
    broken = mpic_broken_invariant(&rig.mpic);
    if (broken)
        fail_msg("does not hold: %s", broken);
}

static bool interrupted(unsigned vp)
{
    return rig.high[vp][MPIC_INT];
}

/* Internal interrupt @number at @priority with vector @vector. */
static void enable_internal(unsigned number, unsigned priority, unsigned vector)
{
    put(IIVPR0 + number * STRIDE, HIGH | priority << 16 | vector);
}

static void set_internal(unsigned number, bool high)
{
    mpic_set_input(&rig.mpic, 16 + number, high);
}

/* --- after a reset --- */

static void test_registers_have_their_values_after_reset(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 1);
    EXPECT_EQ(get(0x0000), 0x00400402); /* BRR1: block 0x0040, version 4.2 */
    EXPECT_EQ(get(0x1000), 0x00FF0002); /* FRR: 256 sources, one processor, OpenPIC 1.2 */
    EXPECT_EQ(get(GCR), 0);
    EXPECT_EQ(get(0x1080), 0); /* VIR: generic */
    EXPECT_EQ(get(PIR), 0);
    EXPECT_EQ(get(SVR), 0xFFFF);
    EXPECT_EQ(get(IPIVPR0), MASKED);
    EXPECT_EQ(get(0x1120), MASKED);     /* GTVPR */
    EXPECT_EQ(get(0x1110), 0x80000000); /* GTBCR: count inhibited */
    EXPECT_EQ(get(EIVPR0), MASKED);
    EXPECT_EQ(get(EIDR0), 1);
    EXPECT_EQ(get(IIVPR0), MASKED | HIGH);
    EXPECT_EQ(get(CTPR), 15);
    EXPECT_EQ(get(WHOAMI), 0);
    EXPECT_EQ(get(IACK), 0xFFFF); /* spurious */
}

static void test_features_count_processors(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 8);
    EXPECT_EQ(get(0x1000), 0x00FF0702);
}

static void test_unwritable_bits_of_vector_priority_read_as_zero(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 1);
    put(EIVPR0, UINT32_MAX);
    EXPECT_EQ(get(EIVPR0), 0x80CFFFFF);
    put(IIVPR0, UINT32_MAX);
    EXPECT_EQ(get(IIVPR0), 0x808FFFFF); /* sense of internal interrupts is no choice */
    put(IPIVPR0, UINT32_MAX);
    EXPECT_EQ(get(IPIVPR0), 0x800FFFFF);
    put(0x1120, UINT32_MAX);
    EXPECT_EQ(get(0x1120), 0x800FFFFF);
}

static void test_all_sources_are_there_but_12_to_15(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 1);
    for (unsigned i = 0; i < 256; i++) {
        const uint32_t vector = i >= 12 && i < 16 ? 0 : MASKED | i;

        put(EIVPR0 + i * STRIDE, MASKED | i);
        EXPECT_EQ(get(EIVPR0 + i * STRIDE), vector);
    }
}

static void test_destinations_are_processors_that_there_are(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 3);
    put(EIDR0, UINT32_MAX);
    EXPECT_EQ(get(EIDR0), 7);
}

static void test_registers_that_are_not_there_read_as_zero(void **state)
{
    static const uint32_t offsets[] = { 0x20,        0x110,        0x1004,  0x10F4,  0x1140 + 8,
                                        0x1200,      0x3000,       0x10004, 0x12000, OWN + 0x30,
                                        OWN + 0x100, OWN + 0x1080, 0x3FFFC };

    (void)state;
    mpic_rig_open(&rig, 1);
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        put(offsets[i], UINT32_MAX);
        EXPECT_EQ(get(offsets[i]), 0);
    }
    EXPECT_EQ(rig.mpic.counters.unclaimed, 2 * sizeof(offsets) / sizeof(offsets[0]));
}

static void test_narrow_reads_give_the_bytes_that_stand_there(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 1);
    EXPECT_EQ(mpic_read(&rig.mpic, 0, 0, 1), 0x00);
    EXPECT_EQ(mpic_read(&rig.mpic, 0, 1, 1), 0x40);
    EXPECT_EQ(mpic_read(&rig.mpic, 0, 3, 1), 0x02);
    EXPECT_EQ(mpic_read(&rig.mpic, 0, 2, 2), 0x0402);
}

static void test_narrow_writes_are_ignored(void **state)
{
    (void)state;
    mpic_rig_open(&rig, 1);
    mpic_write(&rig.mpic, 0, CTPR, 1, 0);
    mpic_write(&rig.mpic, 0, CTPR + 2, 2, 0);
    EXPECT_EQ(get(CTPR), 15);
}

static void test_gcr_reset_forgets_all_but_the_inputs(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    EXPECT_EQ(get(IACK), 42);
    put(GCR, 0x80000000);
    EXPECT_EQ(get(GCR), 0);
    EXPECT_EQ(get(IIVPR0 + UART * STRIDE), MASKED | HIGH);
    EXPECT_EQ(get(CTPR), 15);
    EXPECT(!interrupted(0));
    put(CTPR, 0);
    enable_internal(UART, 8, 42);
    EXPECT(interrupted(0)); /* the line is still up, and nothing is in service */
}

/* --- level-sensitive sources --- */

static void test_an_internal_interrupt_goes_through_its_whole_life(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(UART, 8, 42);
    EXPECT(!interrupted(0));
    set_internal(UART, true);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(IIVPR0 + UART * STRIDE), ACTIVITY | HIGH | PRIORITY_8 | 42);
    EXPECT_EQ(get(IACK), 42);
    EXPECT(!interrupted(0));
    EXPECT_EQ(get(IIVPR0 + UART * STRIDE), ACTIVITY | HIGH | PRIORITY_8 | 42);
    set_internal(UART, false);
    EXPECT_EQ(get(IIVPR0 + UART * STRIDE), ACTIVITY | HIGH | PRIORITY_8 | 42); /* in service */
    put(EOI, 0);
    EXPECT(!interrupted(0));
    EXPECT_EQ(get(IIVPR0 + UART * STRIDE), HIGH | PRIORITY_8 | 42);
}

static void test_a_level_that_stays_interrupts_again_after_eoi(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    EXPECT_EQ(get(IACK), 42);
    EXPECT_EQ(get(IACK), 0xFFFF);
    put(EOI, 0);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(IACK), 42);
}

static void test_a_level_that_goes_before_the_acknowledge_is_spurious(void **state)
{
    (void)state;
    open_for(1);
    put(SVR, 0x77);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    set_internal(UART, false);
    EXPECT(!interrupted(0));
    EXPECT_EQ(get(IACK), 0x77);
    EXPECT_EQ(rig.mpic.counters.spurious, 1);
    put(EOI, 0); /* software that ends a spurious interrupt ends nothing */
    EXPECT_EQ(rig.mpic.counters.ended, 0);
}

static void test_a_masked_source_does_not_interrupt_until_it_is_unmasked(void **state)
{
    (void)state;
    open_for(1);
    set_internal(UART, true);
    EXPECT(!interrupted(0));
    enable_internal(UART, 8, 42);
    EXPECT(interrupted(0));
    put(IIVPR0 + UART * STRIDE, MASKED | HIGH | PRIORITY_8 | 42);
    EXPECT(!interrupted(0));
}

static void test_priority_0_never_interrupts(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(UART, 0, 42);
    set_internal(UART, true);
    EXPECT(!interrupted(0));
    EXPECT_EQ(get(IACK), 0xFFFF);
}

/* --- external sources --- */

static void test_external_level_follows_its_polarity(void **state)
{
    (void)state;
    open_for(1);
    put(EIVPR0, HIGH | LEVEL | PRIORITY_8 | 1);
    EXPECT(!interrupted(0));
    mpic_set_input(&rig.mpic, 0, true);
    EXPECT(interrupted(0));
    put(EIVPR0, LEVEL | PRIORITY_8 | 1); /* active low */
    EXPECT(!interrupted(0));
    mpic_set_input(&rig.mpic, 0, false);
    EXPECT(interrupted(0));
}

static void test_an_edge_is_kept_until_it_is_acknowledged(void **state)
{
    (void)state;
    open_for(1);
    put(EIVPR0, HIGH | PRIORITY_8 | 1);
    mpic_set_input(&rig.mpic, 0, true);
    mpic_set_input(&rig.mpic, 0, false);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(IACK), 1);
    put(EOI, 0);
    EXPECT(!interrupted(0));
}

static void test_a_falling_edge_counts_where_the_polarity_is_low(void **state)
{
    (void)state;
    open_for(1);
    put(EIVPR0, PRIORITY_8 | 1);
    mpic_set_input(&rig.mpic, 0, true);
    EXPECT(!interrupted(0));
    mpic_set_input(&rig.mpic, 0, false);
    EXPECT(interrupted(0));
}

static void test_an_edge_that_comes_while_masked_is_kept(void **state)
{
    (void)state;
    open_for(1);
    put(EIVPR0, MASKED | HIGH | PRIORITY_8 | 1);
    mpic_set_input(&rig.mpic, 0, true);
    mpic_set_input(&rig.mpic, 0, false);
    put(EIVPR0, HIGH | PRIORITY_8 | 1);
    EXPECT(interrupted(0));
}

static void test_an_edge_during_service_interrupts_once_more(void **state)
{
    (void)state;
    open_for(1);
    put(EIVPR0, HIGH | PRIORITY_8 | 1);
    mpic_set_input(&rig.mpic, 0, true);
    EXPECT_EQ(get(IACK), 1);
    for (unsigned i = 0; i < 3; i++) {
        mpic_set_input(&rig.mpic, 0, false);
        mpic_set_input(&rig.mpic, 0, true);
    }
    EXPECT(!interrupted(0));
    put(EOI, 0);
    EXPECT_EQ(get(IACK), 1);
    put(EOI, 0);
    EXPECT(!interrupted(0));
}

static void test_an_edge_waits_for_a_destination(void **state)
{
    (void)state;
    open_for(2);
    put(EIVPR0, HIGH | PRIORITY_8 | 1);
    put(EIDR0, 0);
    mpic_set_input(&rig.mpic, 0, true);
    EXPECT(!interrupted(0) && !interrupted(1));
    put(EIDR0, 2);
    EXPECT(!interrupted(0) && interrupted(1));
}

/* --- priorities and nesting --- */

static void test_the_task_priority_holds_off_what_is_not_above_it(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    put(CTPR, 8);
    EXPECT(!interrupted(0));
    EXPECT_EQ(get(IACK), 0xFFFF);
    put(CTPR, 7);
    EXPECT(interrupted(0));
    put(CTPR, 0xFFFFFFF5); /* four bits count */
    EXPECT_EQ(get(CTPR), 5);
}

static void test_the_highest_priority_is_given_first(void **state)
{
    (void)state;
    open_for(1);
    for (unsigned i = 0; i < 4; i++) {
        enable_internal(i, 4 + i, 100 + i);
        set_internal(i, true);
    }
    EXPECT_EQ(get(IACK), 103);
}

static void test_of_equal_priorities_the_lower_source_is_given_first(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(40, 8, 140);
    enable_internal(3, 8, 103);
    set_internal(40, true);
    set_internal(3, true);
    EXPECT_EQ(get(IACK), 103);
}

static void test_interrupts_nest_by_priority(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(1, 4, 101);
    enable_internal(2, 9, 102);
    enable_internal(3, 9, 103);
    set_internal(1, true);
    EXPECT_EQ(get(IACK), 101);
    set_internal(2, true);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(IACK), 102);
    set_internal(3, true);
    EXPECT(!interrupted(0)); /* not above what is in service */
    set_internal(2, false);
    put(EOI, 0);
    EXPECT(interrupted(0));
    EXPECT_EQ(get(IACK), 103);
    set_internal(3, false);
    put(EOI, 0);
    EXPECT(!interrupted(0)); /* 101 is still in service, and its level is up */
    put(EOI, 0);
    EXPECT_EQ(get(IACK), 101);
}

static void test_eoi_ends_the_highest_even_if_its_priority_was_changed(void **state)
{
    (void)state;
    open_for(1);
    enable_internal(1, 9, 101);
    set_internal(1, true);
    EXPECT_EQ(get(IACK), 101);
    set_internal(1, false);
    enable_internal(1, 2, 101);
    put(EOI, 0);
    EXPECT_EQ(rig.mpic.counters.ended, 1);
    enable_internal(2, 1, 102);
    set_internal(2, true);
    EXPECT_EQ(get(IACK), 102); /* nothing is in service any more */
}

/* --- processors --- */

static void test_a_source_goes_to_its_destination_only(void **state)
{
    (void)state;
    open_for(4);
    put(IIDR0 + UART * STRIDE, 4);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    EXPECT(!interrupted(0) && !interrupted(1) && interrupted(2) && !interrupted(3));
    EXPECT_EQ(mpic_rig_get_by(&rig, 0, IACK), 0xFFFF);
    EXPECT_EQ(mpic_rig_get_by(&rig, 2, IACK), 42);
    mpic_rig_put_by(&rig, 0, EOI, 0); /* another processor's end ends nothing here */
    EXPECT_EQ(mpic_rig_get_by(&rig, 2, IACK), 0xFFFF);
    mpic_rig_put_by(&rig, 2, EOI, 0);
    EXPECT(interrupted(2));
}

static void test_the_own_registers_also_stand_in_each_processors_page(void **state)
{
    (void)state;
    open_for(2);
    EXPECT_EQ(mpic_rig_get_by(&rig, 1, WHOAMI), 1);
    EXPECT_EQ(get(OWN + 0x1000 + WHOAMI), 1);
    put(OWN + 0x1000 + CTPR, 6);
    EXPECT_EQ(mpic_rig_get_by(&rig, 1, CTPR), 6);
    EXPECT_EQ(get(CTPR), 0);
}

static void test_messages_between_processors_arrive_at_each_that_is_named(void **state)
{
    (void)state;
    open_for(3);
    put(IPIVPR0 + 0x20, PRIORITY_8 | 251); /* the third of four */
    put(IPIDR0 + 0x20, 6);
    EXPECT(!interrupted(0) && interrupted(1) && interrupted(2));
    EXPECT_EQ(mpic_rig_get_by(&rig, 1, IACK), 251);
    EXPECT(!interrupted(1) && interrupted(2));
    EXPECT_EQ(get(IPIVPR0 + 0x20), ACTIVITY | PRIORITY_8 | 251);
    EXPECT_EQ(mpic_rig_get_by(&rig, 2, IACK), 251);
    mpic_rig_put_by(&rig, 1, EOI, 0);
    mpic_rig_put_by(&rig, 2, EOI, 0);
    EXPECT_EQ(get(IPIVPR0 + 0x20), PRIORITY_8 | 251);
    EXPECT_EQ(get(IPIDR0 + 0x20), 0); /* for writing only */
}

static void test_a_processor_may_send_to_itself_by_any_page(void **state)
{
    (void)state;
    open_for(2);
    put(IPIVPR0, PRIORITY_8 | 250);
    put(OWN + 0x1000 + IPIDR0, 1);
    EXPECT(interrupted(0));
}

static void test_a_message_to_nobody_is_none(void **state)
{
    (void)state;
    open_for(2);
    put(IPIVPR0, PRIORITY_8 | 250);
    put(IPIDR0, 0xFC); /* processors that are not there */
    EXPECT_EQ(rig.mpic.counters.ipis, 0);
    EXPECT_EQ(get(IPIVPR0), PRIORITY_8 | 250);
}

static void test_pir_resets_a_core_once_for_each_bit_that_rises(void **state)
{
    (void)state;
    open_for(2);
    put(PIR, 0xFF);
    EXPECT_EQ(rig.core_resets[0], 1);
    EXPECT_EQ(rig.core_resets[1], 1);
    EXPECT_EQ(get(PIR), 3);
    put(PIR, 1);
    put(PIR, 3);
    EXPECT_EQ(rig.core_resets[0], 1);
    EXPECT_EQ(rig.core_resets[1], 2);
}

/* --- critical interrupts --- */

static void test_a_source_that_is_routed_critical_needs_no_acknowledge(void **state)
{
    (void)state;
    open_for(1);
    put(CTPR, 15);
    put(ILR_INTERNAL0 + UART * STRIDE, 1);
    EXPECT_EQ(get(ILR_INTERNAL0 + UART * STRIDE), 1);
    enable_internal(UART, 1, 42);
    set_internal(UART, true);
    EXPECT(!interrupted(0));
    EXPECT(rig.high[0][MPIC_CINT]); /* whatever the task priority is */
    EXPECT_EQ(get(IACK), 0xFFFF);
    EXPECT(rig.high[0][MPIC_CINT]);
    set_internal(UART, false);
    EXPECT(!rig.high[0][MPIC_CINT]);
}

static void test_a_masked_source_is_not_critical_either(void **state)
{
    (void)state;
    open_for(1);
    put(ILR_INTERNAL0 + UART * STRIDE, 1);
    set_internal(UART, true);
    EXPECT(!rig.high[0][MPIC_CINT]);
}

static void test_an_edge_that_is_routed_critical_passes(void **state)
{
    (void)state;
    open_for(1);
    put(0x10018, 1);
    put(EIVPR0, HIGH | PRIORITY_8 | 1);
    mpic_set_input(&rig.mpic, 0, true);
    EXPECT(!rig.high[0][MPIC_CINT]);
    put(0x10018, 0);
    EXPECT(!interrupted(0));
}

static void test_an_edge_that_is_kept_does_not_follow_to_the_critical_output(void **state)
{
    (void)state;
    open_for(1);
    put(EIVPR0, HIGH | PRIORITY_8 | 1);
    mpic_set_input(&rig.mpic, 0, true);
    mpic_set_input(&rig.mpic, 0, false);
    EXPECT(interrupted(0));
    put(0x10018, 1);
    EXPECT(!interrupted(0) && !rig.high[0][MPIC_CINT]);
    put(EIDR0, 1);
    EXPECT(!rig.high[0][MPIC_CINT]);
    put(0x10018, 0);
    EXPECT(!interrupted(0));
}

static void test_other_targets_lead_nowhere(void **state)
{
    (void)state;
    open_for(1);
    put(ILR_INTERNAL0 + UART * STRIDE, 0xF0);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    EXPECT(!interrupted(0) && !rig.high[0][MPIC_CINT]);
}

/* --- modes --- */

static void test_modes_but_3_are_alike(void **state)
{
    (void)state;
    for (uint32_t mode = 0; mode < 3; mode++) {
        open_for(1);
        put(GCR, mode << 29);
        EXPECT(!mpic_is_proxy(&rig.mpic));
        enable_internal(UART, 8, 42);
        set_internal(UART, true);
        EXPECT(interrupted(0));
        EXPECT_EQ(get(IACK), 42);
    }
}

static void test_mode_3_is_external_proxy(void **state)
{
    (void)state;
    open_for(1);
    EXPECT(!mpic_is_proxy(&rig.mpic));
    put(GCR, 0x60000000);
    EXPECT(mpic_is_proxy(&rig.mpic));
    EXPECT_EQ(get(GCR), 0x60000000);
    put(GCR, 0x40000000);
    EXPECT(!mpic_is_proxy(&rig.mpic));
}

static void test_the_proxys_acknowledge_is_that_of_iack(void **state)
{
    (void)state;
    open_for(1);
    put(GCR, 0x60000000);
    enable_internal(UART, 8, 42);
    set_internal(UART, true);
    EXPECT_EQ(mpic_acknowledge(&rig.mpic, 0), 42);
    EXPECT(!interrupted(0));
    set_internal(UART, false);
    put(EOI, 0);
    EXPECT_EQ(mpic_acknowledge(&rig.mpic, 0), 0xFFFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_have_their_values_after_reset),
        cmocka_unit_test(test_features_count_processors),
        cmocka_unit_test(test_unwritable_bits_of_vector_priority_read_as_zero),
        cmocka_unit_test(test_all_sources_are_there_but_12_to_15),
        cmocka_unit_test(test_destinations_are_processors_that_there_are),
        cmocka_unit_test(test_registers_that_are_not_there_read_as_zero),
        cmocka_unit_test(test_narrow_reads_give_the_bytes_that_stand_there),
        cmocka_unit_test(test_narrow_writes_are_ignored),
        cmocka_unit_test(test_gcr_reset_forgets_all_but_the_inputs),
        cmocka_unit_test(test_an_internal_interrupt_goes_through_its_whole_life),
        cmocka_unit_test(test_a_level_that_stays_interrupts_again_after_eoi),
        cmocka_unit_test(test_a_level_that_goes_before_the_acknowledge_is_spurious),
        cmocka_unit_test(test_a_masked_source_does_not_interrupt_until_it_is_unmasked),
        cmocka_unit_test(test_priority_0_never_interrupts),
        cmocka_unit_test(test_external_level_follows_its_polarity),
        cmocka_unit_test(test_an_edge_is_kept_until_it_is_acknowledged),
        cmocka_unit_test(test_a_falling_edge_counts_where_the_polarity_is_low),
        cmocka_unit_test(test_an_edge_that_comes_while_masked_is_kept),
        cmocka_unit_test(test_an_edge_during_service_interrupts_once_more),
        cmocka_unit_test(test_an_edge_waits_for_a_destination),
        cmocka_unit_test(test_the_task_priority_holds_off_what_is_not_above_it),
        cmocka_unit_test(test_the_highest_priority_is_given_first),
        cmocka_unit_test(test_of_equal_priorities_the_lower_source_is_given_first),
        cmocka_unit_test(test_interrupts_nest_by_priority),
        cmocka_unit_test(test_eoi_ends_the_highest_even_if_its_priority_was_changed),
        cmocka_unit_test(test_a_source_goes_to_its_destination_only),
        cmocka_unit_test(test_the_own_registers_also_stand_in_each_processors_page),
        cmocka_unit_test(test_messages_between_processors_arrive_at_each_that_is_named),
        cmocka_unit_test(test_a_processor_may_send_to_itself_by_any_page),
        cmocka_unit_test(test_a_message_to_nobody_is_none),
        cmocka_unit_test(test_pir_resets_a_core_once_for_each_bit_that_rises),
        cmocka_unit_test(test_a_source_that_is_routed_critical_needs_no_acknowledge),
        cmocka_unit_test(test_a_masked_source_is_not_critical_either),
        cmocka_unit_test(test_an_edge_that_is_routed_critical_passes),
        cmocka_unit_test(test_an_edge_that_is_kept_does_not_follow_to_the_critical_output),
        cmocka_unit_test(test_other_targets_lead_nowhere),
        cmocka_unit_test(test_modes_but_3_are_alike),
        cmocka_unit_test(test_mode_3_is_external_proxy),
        cmocka_unit_test(test_the_proxys_acknowledge_is_that_of_iack),
    };

    return RUN_TESTS(tests);
}
