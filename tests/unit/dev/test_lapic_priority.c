/*
 * The local APIC's requests, priorities, acceptance and EOI, by the SDM's "Handling Interrupts".
 */
#include "hv/dev/lapic.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name) cmocka_unit_test_setup(name, setup)

#define TPR     0x80
#define PPR     0xA0
#define EOI     0xB0
#define SVR     0xF0
#define ISR     0x100
#define TMR     0x180
#define IRR     0x200
#define ESR     0x280
#define ERROR   0x370

static struct fixture_board board;
static struct lapic *lapic;

static int setup(void **state)
{
    (void)state;
    fixture_board_init(&board, 1);
    lapic = pc_lapic(&board.pc, 0);
    return 0;
}

static uint32_t get(uint32_t offset)
{
    return fixture_lapic_read(&board, 0, offset);
}

static void put(uint32_t offset, uint32_t value)
{
    fixture_lapic_write(&board, 0, offset, value);
}

static bool bit_of(uint32_t array, uint8_t vector)
{
    return (get(array + vector / 32 * 16) >> vector % 32 & 1) != 0;
}

static void message(uint8_t vector, enum apic_delivery delivery, bool level)
{
    const struct apic_message sent = {
        .destination = 0, .vector = vector, .delivery = delivery, .level = level
    };

    EXPECT_EQ(lapic_receive(lapic, &sent), vector >= 16 || delivery != APIC_FIXED);
}

static void interrupt(uint8_t vector)
{
    message(vector, APIC_FIXED, false);
}

static int pending(void)
{
    return pc_interrupt_pending(&board.pc, 0);
}

static int take(void)
{
    return pc_interrupt_accept(&board.pc, 0);
}

static void test_an_interrupt_goes_from_irr_to_isr_when_it_is_accepted(void **state)
{
    (void)state;
    EXPECT_EQ(pending(), -1);
    interrupt(0x51);
    EXPECT(bit_of(IRR, 0x51));
    EXPECT_EQ(pending(), 0x51);
    EXPECT_EQ(pending(), 0x51);
    EXPECT_EQ(take(), 0x51);
    EXPECT(!bit_of(IRR, 0x51));
    EXPECT(bit_of(ISR, 0x51));
    EXPECT_EQ(pending(), -1);
    EXPECT_EQ(take(), -1);
}

static void test_every_vector_from_16_to_255_can_be_delivered(void **state)
{
    (void)state;
    for (unsigned vector = 16; vector < 256; vector++) {
        interrupt((uint8_t)vector);
        EXPECT(bit_of(IRR, (uint8_t)vector));
        EXPECT_EQ(take(), vector);
        EXPECT(bit_of(ISR, (uint8_t)vector));
        put(EOI, 0);
        EXPECT(!bit_of(ISR, (uint8_t)vector));
    }
}

static void test_of_several_the_highest_vector_comes_first(void **state)
{
    (void)state;
    interrupt(0x31);
    interrupt(0xEF);
    interrupt(0x92);
    EXPECT_EQ(take(), 0xEF);
    put(EOI, 0);
    EXPECT_EQ(take(), 0x92);
    put(EOI, 0);
    EXPECT_EQ(take(), 0x31);
}

static void test_a_higher_class_interrupts_one_in_service_and_the_same_class_waits(void **state)
{
    (void)state;
    interrupt(0x51);
    (void)take();
    interrupt(0x5F);
    EXPECT_EQ(pending(), -1);
    interrupt(0x60);
    EXPECT_EQ(take(), 0x60);
    put(EOI, 0);
    EXPECT_EQ(pending(), -1);
    put(EOI, 0);
    EXPECT_EQ(take(), 0x5F);
}

static void test_tpr_holds_back_its_class_and_lower_ones(void **state)
{
    (void)state;
    put(TPR, 0x50);
    interrupt(0x5F);
    EXPECT_EQ(pending(), -1);
    put(TPR, 0x4F);
    EXPECT_EQ(pending(), 0x5F);
    put(TPR, 0x60);
    EXPECT_EQ(pending(), -1);
    interrupt(0x70);
    EXPECT_EQ(take(), 0x70);
}

static void test_ppr_is_the_higher_of_tpr_and_the_class_in_service(void **state)
{
    (void)state;
    EXPECT_EQ(get(PPR), 0);
    put(TPR, 0x3A);
    EXPECT_EQ(get(PPR), 0x3A);
    interrupt(0x52);
    (void)take();
    EXPECT_EQ(get(PPR), 0x50);
    put(TPR, 0x63);
    EXPECT_EQ(get(PPR), 0x63);
    put(TPR, 0x4F);
    EXPECT_EQ(get(PPR), 0x50);
    put(TPR, 0x71);
    EXPECT_EQ(get(PPR), 0x71);
}

static void test_cr8_is_the_class_of_tpr(void **state)
{
    (void)state;
    lapic_cr8_write(lapic, 9);
    EXPECT_EQ(get(TPR), 0x90);
    put(TPR, 0xA7);
    EXPECT_EQ(lapic_cr8_read(lapic), 0xA);
    interrupt(0x95);
    EXPECT_EQ(pending(), -1);
    lapic_cr8_write(lapic, 8);
    EXPECT_EQ(pending(), 0x95);
}

static void test_the_tpr_threshold_is_the_class_that_waits_for_tpr_alone(void **state)
{
    (void)state;
    EXPECT_EQ(lapic_tpr_threshold(lapic), 0);
    lapic_cr8_write(lapic, 15);
    interrupt(0x63);
    EXPECT_EQ(lapic_tpr_threshold(lapic), 6);
    lapic_cr8_write(lapic, 6);
    EXPECT_EQ(lapic_tpr_threshold(lapic), 6);
    EXPECT_EQ(pending(), -1);
    lapic_cr8_write(lapic, 5);
    EXPECT_EQ(lapic_tpr_threshold(lapic), 0);
    EXPECT_EQ(take(), 0x63);
    interrupt(0x64); /* waits for the EOI, whatever TPR is */
    lapic_cr8_write(lapic, 15);
    EXPECT_EQ(lapic_tpr_threshold(lapic), 0);
}

static void test_eoi_ends_the_highest_in_service_and_does_nothing_without_one(void **state)
{
    (void)state;
    put(EOI, 0);
    interrupt(0x41);
    (void)take();
    interrupt(0x81);
    (void)take();
    put(EOI, 0);
    EXPECT(bit_of(ISR, 0x41));
    EXPECT(!bit_of(ISR, 0x81));
    put(EOI, 0);
    EXPECT(!bit_of(ISR, 0x41));
    EXPECT_EQ(lapic->counters.ended, 2);
}

static void test_one_more_of_a_vector_in_service_waits_in_irr(void **state)
{
    (void)state;
    interrupt(0x41);
    (void)take();
    interrupt(0x41);
    interrupt(0x41); /* a third merges with the second */
    EXPECT(bit_of(IRR, 0x41));
    put(EOI, 0);
    EXPECT_EQ(take(), 0x41);
    put(EOI, 0);
    EXPECT_EQ(pending(), -1);
    EXPECT_EQ(lapic->counters.merged, 1);
}

static void test_tmr_tells_level_from_edge_at_acceptance(void **state)
{
    (void)state;
    message(0x61, APIC_FIXED, true);
    EXPECT(bit_of(TMR, 0x61));
    (void)take();
    EXPECT(bit_of(TMR, 0x61));
    put(EOI, 0);
    interrupt(0x61);
    EXPECT(!bit_of(TMR, 0x61));
}

static void test_the_hypervisor_is_told_when_something_becomes_pending(void **state)
{
    (void)state;
    interrupt(0x41);
    EXPECT_EQ(board.requests[0], 1);
    interrupt(0x31);
    EXPECT_EQ(board.requests[0], 1); /* told already */
    (void)take();
    put(EOI, 0);
    EXPECT_EQ(board.requests[0], 2);
    (void)take();
    interrupt(0x21);
    EXPECT_EQ(board.requests[0], 2); /* lower class: nothing to do */
    put(EOI, 0);
    EXPECT_EQ(board.requests[0], 3);
}

static void test_software_disabling_keeps_what_is_in_irr_and_isr_and_takes_nothing_new(void **state)
{
    const struct apic_message late = { .destination = 0, .vector = 0x71, .delivery = APIC_FIXED };

    (void)state;
    interrupt(0x51);
    put(SVR, 0xFF);
    EXPECT(!lapic_receive(lapic, &late));
    EXPECT(!bit_of(IRR, 0x71));
    EXPECT_EQ(take(), 0x51);
    put(EOI, 0);
    EXPECT(!bit_of(ISR, 0x51));
}

static void test_software_disabled_apics_take_no_extint(void **state)
{
    const struct apic_message extint = { .destination = 0, .delivery = APIC_EXTINT };

    (void)state;
    put(SVR, 0xFF);
    EXPECT(!lapic_receive(lapic, &extint));
    EXPECT_EQ(pending(), -1);
}

static void test_software_disabled_apics_take_nmi_init_and_startup(void **state)
{
    (void)state;
    put(SVR, 0xFF);
    message(0, APIC_NMI, false);
    EXPECT_EQ(board.nmis[0], 1);
    message(0x9A, APIC_STARTUP, false);
    EXPECT_EQ(board.sipis[0], 1);
    EXPECT_EQ(board.sipi_vector, 0x9A);
    message(0, APIC_INIT, false);
    EXPECT_EQ(board.inits[0], 1);
}

static void test_smi_and_the_reserved_mode_are_swallowed(void **state)
{
    (void)state;
    message(0x55, APIC_SMI, false);
    message(0x55, APIC_DELIVERY_RESERVED, false);
    EXPECT_EQ(pending(), -1);
}

static void test_vectors_below_16_are_an_error_and_never_reach_irr(void **state)
{
    (void)state;
    put(ERROR, 0xFE);
    for (uint8_t vector = 0; vector < 16; vector++)
        interrupt(vector);
    EXPECT_EQ(get(IRR), 0);
    EXPECT_EQ(take(), 0xFE);
    put(ESR, 0);
    EXPECT_EQ(get(ESR), 0x40);
}

static void test_init_resets_everything_but_id_and_base(void **state)
{
    (void)state;
    put(0x20, 0x05000000);
    put(TPR, 0x20);
    interrupt(0x51);
    message(0, APIC_INIT, false);
    EXPECT_EQ(get(0x20), 0x05000000);
    EXPECT_EQ(get(TPR), 0);
    EXPECT_EQ(get(SVR), 0xFF);
    EXPECT(!bit_of(IRR, 0x51));
    EXPECT_EQ(pending(), -1);
    EXPECT_EQ(get(ERROR), 0x10000);
}

/* --- the EOI assist --- */

static void test_a_lone_edge_interrupt_may_be_ended_without_an_exit(void **state)
{
    (void)state;
    EXPECT(!lapic_eoi_is_trivial(lapic)); /* nothing is in service */
    interrupt(0x51);
    EXPECT(!lapic_eoi_is_trivial(lapic));
    (void)take();
    EXPECT(lapic_eoi_is_trivial(lapic));
    interrupt(0x41);
    EXPECT(!lapic_eoi_is_trivial(lapic)); /* its turn comes at the EOI */
}

static void test_a_level_interrupt_needs_its_eoi(void **state)
{
    (void)state;
    message(0x51, APIC_FIXED, true);
    (void)take();
    EXPECT(!lapic_eoi_is_trivial(lapic));
    EXPECT(!lapic_assist_begin(lapic));
}

static void test_a_nested_interrupt_needs_its_eoi(void **state)
{
    (void)state;
    interrupt(0x51);
    (void)take();
    interrupt(0x61);
    (void)take();
    EXPECT(!lapic_eoi_is_trivial(lapic));
}

static void test_a_lazy_eoi_is_performed_when_the_guest_took_it(void **state)
{
    (void)state;
    interrupt(0x51);
    (void)take();
    EXPECT(lapic_assist_begin(lapic));
    interrupt(0x41);
    EXPECT_EQ(pending(), -1); /* as far as we know 0x51 is still in service */
    lapic_assist_end(lapic, true);
    EXPECT_EQ(pending(), 0x41);
    EXPECT_EQ(lapic->counters.lazy_eois, 1);
    EXPECT_EQ(lapic->counters.ended, 1);
    lapic_assist_end(lapic, true); /* over: ends nothing more */
    EXPECT_EQ(lapic->counters.ended, 1);
}

static void test_a_lazy_eoi_that_is_withdrawn_leaves_the_interrupt_in_service(void **state)
{
    (void)state;
    interrupt(0x51);
    (void)take();
    EXPECT(lapic_assist_begin(lapic));
    interrupt(0x41);
    EXPECT(!lapic_eoi_is_trivial(lapic));
    lapic_assist_end(lapic, false);
    EXPECT(bit_of(ISR, 0x51));
    put(EOI, 0);
    EXPECT_EQ(take(), 0x41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_an_interrupt_goes_from_irr_to_isr_when_it_is_accepted),
        T(test_every_vector_from_16_to_255_can_be_delivered),
        T(test_of_several_the_highest_vector_comes_first),
        T(test_a_higher_class_interrupts_one_in_service_and_the_same_class_waits),
        T(test_tpr_holds_back_its_class_and_lower_ones),
        T(test_ppr_is_the_higher_of_tpr_and_the_class_in_service),
        T(test_cr8_is_the_class_of_tpr),
        T(test_the_tpr_threshold_is_the_class_that_waits_for_tpr_alone),
        T(test_eoi_ends_the_highest_in_service_and_does_nothing_without_one),
        T(test_one_more_of_a_vector_in_service_waits_in_irr),
        T(test_tmr_tells_level_from_edge_at_acceptance),
        T(test_the_hypervisor_is_told_when_something_becomes_pending),
        T(test_software_disabling_keeps_what_is_in_irr_and_isr_and_takes_nothing_new),
        T(test_software_disabled_apics_take_no_extint),
        T(test_software_disabled_apics_take_nmi_init_and_startup),
        T(test_smi_and_the_reserved_mode_are_swallowed),
        T(test_vectors_below_16_are_an_error_and_never_reach_irr),
        T(test_init_resets_everything_but_id_and_base),
        T(test_a_lone_edge_interrupt_may_be_ended_without_an_exit),
        T(test_a_level_interrupt_needs_its_eoi),
        T(test_a_nested_interrupt_needs_its_eoi),
        T(test_a_lazy_eoi_is_performed_when_the_guest_took_it),
        T(test_a_lazy_eoi_that_is_withdrawn_leaves_the_interrupt_in_service),
    };

    return RUN_TESTS(tests);
}
