/*
 * The I/O APIC, by the sentences of the 82093AA datasheet and the habits that kernels rely on.
 */
#include "hv/dev/ioapic.h"

#include "tests/unit/test.h"

#include <string.h>

#define T(name)    cmocka_unit_test_setup(name, setup)

#define MASKED     0x10000
#define LEVEL      0x8000
#define REMOTE_IRR 0x4000
#define ACTIVE_LOW 0x2000
#define STATUS     0x1000
#define LOGICAL    0x800
#define LOWEST     0x100
#define NMI        0x400
#define EXTINT     0x700

static struct ioapic ioapic;
static struct apic_message last;
static unsigned sent;
static bool accepts;

static bool take(void *context, const struct apic_message *message)
{
    EXPECT(context == &sent);
    last = *message;
    sent++;
    return accepts;
}

static int setup(void **state)
{
    (void)state;
    sent = 0;
    accepts = true;
    memset(&last, 0, sizeof(last));
    ioapic_init(&ioapic, take, &sent);
    return 0;
}

static uint32_t get(uint8_t number)
{
    ioapic_mmio_write(&ioapic, 0x00, 4, number);
    return (uint32_t)ioapic_mmio_read(&ioapic, 0x10, 4);
}

static void put(uint8_t number, uint32_t value)
{
    ioapic_mmio_write(&ioapic, 0x00, 4, number);
    ioapic_mmio_write(&ioapic, 0x10, 4, value);
}

static uint8_t low_of(unsigned pin)
{
    return (uint8_t)(0x10 + 2 * pin);
}

/* Program a pin for the APIC whose ID is 5. */
static void program(unsigned pin, uint32_t low)
{
    put((uint8_t)(low_of(pin) + 1), 0x05000000);
    put(low_of(pin), low);
}

static void pulse(unsigned pin)
{
    ioapic_set_pin(&ioapic, pin, true);
    ioapic_set_pin(&ioapic, pin, false);
}

static void test_version_register_tells_24_entries_and_version_20(void **state)
{
    (void)state;
    EXPECT_EQ(get(1), 0x00170020);
    put(1, 0);
    EXPECT_EQ(get(1), 0x00170020);
}

static void test_id_keeps_bits_27_to_24_and_arbitration_follows(void **state)
{
    (void)state;
    put(0, UINT32_MAX);
    EXPECT_EQ(get(0), 0x0F000000);
    EXPECT_EQ(get(2), 0x0F000000);
}

static void test_after_reset_every_pin_is_masked(void **state)
{
    (void)state;
    program(3, 0x51);
    ioapic_reset(&ioapic);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        EXPECT_EQ(get(low_of(pin)), MASKED);
        EXPECT_EQ(get((uint8_t)(low_of(pin) + 1)), 0);
        EXPECT(ioapic_pin_is_masked(&ioapic, pin));
    }
}

static void test_registers_that_do_not_exist_read_as_ones(void **state)
{
    (void)state;
    EXPECT_EQ(get(3), UINT32_MAX);
    EXPECT_EQ(get(0x40), UINT32_MAX);
    EXPECT_EQ(get(0xFF), UINT32_MAX);
    put(0xFF, 0);
    put(0x40, 0);
    EXPECT_EQ(sent, 0);
}

static void test_reserved_and_read_only_bits_of_an_entry_are_not_written(void **state)
{
    (void)state;
    put(low_of(7), UINT32_MAX);
    EXPECT_EQ(get(low_of(7)), 0x1AFFF);
    put((uint8_t)(low_of(7) + 1), UINT32_MAX);
    EXPECT_EQ(get((uint8_t)(low_of(7) + 1)), 0xFF000000);
}

static void test_the_index_register_takes_bytes_and_reads_back(void **state)
{
    (void)state;
    ioapic_mmio_write(&ioapic, 0x00, 1, 0x01);
    EXPECT_EQ(ioapic_mmio_read(&ioapic, 0x00, 4), 1);
    EXPECT_EQ(ioapic_mmio_read(&ioapic, 0x10, 1), 0x20);
    EXPECT_EQ(ioapic_mmio_read(&ioapic, 0x12, 1), 0x17);
    EXPECT_EQ(ioapic_mmio_read(&ioapic, 0x20, 4), 0);
}

static void test_the_window_takes_whole_registers_only(void **state)
{
    (void)state;
    ioapic_mmio_write(&ioapic, 0x00, 4, low_of(3));
    ioapic_mmio_write(&ioapic, 0x10, 1, 0x51);
    EXPECT_EQ(get(low_of(3)), MASKED);
}

static void test_an_edge_sends_the_entrys_message(void **state)
{
    (void)state;
    program(4, LOGICAL | LOWEST | 0x51);
    ioapic_set_pin(&ioapic, 4, true);
    EXPECT_EQ(sent, 1);
    EXPECT_EQ(last.destination, 5);
    EXPECT_EQ(last.vector, 0x51);
    EXPECT_EQ(last.delivery, APIC_LOWEST_PRIORITY);
    EXPECT(last.logical && !last.level && !last.wide);
    ioapic_set_pin(&ioapic, 4, true);
    ioapic_set_pin(&ioapic, 4, false);
    EXPECT_EQ(sent, 1);
    pulse(4);
    EXPECT_EQ(sent, 2);
}

static void test_edges_need_no_eoi(void **state)
{
    (void)state;
    program(4, 0x51);
    pulse(4);
    pulse(4);
    EXPECT_EQ(sent, 2);
    EXPECT_EQ(get(low_of(4)), 0x51);
}

static void test_an_edge_on_a_masked_pin_is_lost(void **state)
{
    (void)state;
    program(4, MASKED | 0x51);
    ioapic_set_pin(&ioapic, 4, true);
    program(4, 0x51);
    EXPECT_EQ(sent, 0);
}

static void test_an_active_low_edge_is_a_fall(void **state)
{
    (void)state;
    program(4, ACTIVE_LOW | 0x51);
    ioapic_set_pin(&ioapic, 4, true);
    EXPECT_EQ(sent, 0);
    ioapic_set_pin(&ioapic, 4, false);
    EXPECT_EQ(sent, 1);
}

static void test_a_level_is_sent_once_and_again_at_each_eoi_while_it_lasts(void **state)
{
    (void)state;
    program(9, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    EXPECT_EQ(sent, 1);
    EXPECT(last.level);
    EXPECT_EQ(get(low_of(9)), LEVEL | REMOTE_IRR | 0x61);
    ioapic_set_pin(&ioapic, 9, false);
    ioapic_set_pin(&ioapic, 9, true);
    EXPECT_EQ(sent, 1);
    ioapic_eoi(&ioapic, 0x62); /* another vector's */
    EXPECT_EQ(sent, 1);
    ioapic_eoi(&ioapic, 0x61);
    EXPECT_EQ(sent, 2);
    ioapic_set_pin(&ioapic, 9, false);
    ioapic_eoi(&ioapic, 0x61);
    EXPECT_EQ(sent, 2);
    EXPECT_EQ(get(low_of(9)), LEVEL | 0x61);
    EXPECT_EQ(ioapic.counters.ended, 2);
}

static void test_an_active_low_level_asserts_while_the_pin_is_low(void **state)
{
    (void)state;
    ioapic_set_pin(&ioapic, 9, true);
    program(9, LEVEL | ACTIVE_LOW | 0x61);
    EXPECT_EQ(sent, 0);
    ioapic_set_pin(&ioapic, 9, false);
    EXPECT_EQ(sent, 1);
    ioapic_set_pin(&ioapic, 9, true);
    ioapic_eoi(&ioapic, 0x61);
    EXPECT_EQ(sent, 1);
}

static void test_a_level_that_was_masked_is_sent_when_it_is_unmasked(void **state)
{
    (void)state;
    program(9, MASKED | LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    EXPECT_EQ(sent, 0);
    program(9, LEVEL | 0x61);
    EXPECT_EQ(sent, 1);
}

static void test_masking_in_service_and_unmasking_after_eoi_loses_nothing(void **state)
{
    (void)state;
    program(9, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    put(low_of(9), MASKED | LEVEL | 0x61);
    EXPECT_EQ(get(low_of(9)), MASKED | LEVEL | REMOTE_IRR | 0x61);
    ioapic_eoi(&ioapic, 0x61);
    EXPECT_EQ(sent, 1);
    put(low_of(9), LEVEL | 0x61);
    EXPECT_EQ(sent, 2);
}

static void test_unmasking_before_eoi_waits_for_the_eoi(void **state)
{
    (void)state;
    program(9, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    put(low_of(9), MASKED | LEVEL | 0x61);
    put(low_of(9), LEVEL | 0x61);
    EXPECT_EQ(sent, 1);
    ioapic_eoi(&ioapic, 0x61);
    EXPECT_EQ(sent, 2);
}

static void test_a_level_that_nobody_accepts_is_sent_again_when_local_apics_change(void **state)
{
    (void)state;
    accepts = false;
    program(9, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    EXPECT_EQ(sent, 1);
    EXPECT_EQ(get(low_of(9)), LEVEL | 0x61); /* no remote IRR: nobody will end it */
    EXPECT_EQ(ioapic.counters.unclaimed, 1);
    accepts = true;
    ioapic_evaluate(&ioapic);
    EXPECT_EQ(sent, 2);
    ioapic_evaluate(&ioapic);
    EXPECT_EQ(sent, 2);
}

static void test_going_to_edge_mode_clears_the_remote_irr_so_that_level_mode_sends_again(void **state)
{
    (void)state;
    program(9, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    put(low_of(9), MASKED | 0x61);
    EXPECT_EQ(get(low_of(9)), MASKED | 0x61);
    put(low_of(9), LEVEL | 0x61);
    EXPECT_EQ(sent, 2);
}

static void test_the_eoi_register_ends_as_a_local_apic_does(void **state)
{
    (void)state;
    program(9, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 9, true);
    ioapic_set_pin(&ioapic, 9, false);
    ioapic_mmio_write(&ioapic, 0x40, 4, 0x61);
    EXPECT_EQ(get(low_of(9)), LEVEL | 0x61);
}

static void test_pins_with_the_same_vector_end_together(void **state)
{
    (void)state;
    program(10, LEVEL | 0x61);
    program(11, LEVEL | 0x61);
    ioapic_set_pin(&ioapic, 10, true);
    ioapic_set_pin(&ioapic, 11, true);
    EXPECT_EQ(sent, 2);
    ioapic_set_pin(&ioapic, 10, false);
    ioapic_eoi(&ioapic, 0x61);
    EXPECT_EQ(sent, 3);
    EXPECT_EQ(get(low_of(10)), LEVEL | 0x61);
    EXPECT_EQ(get(low_of(11)), LEVEL | REMOTE_IRR | 0x61);
    EXPECT_EQ(ioapic.counters.ended, 2);
    ioapic_set_pin(&ioapic, 11, false);
    ioapic_eoi(&ioapic, 0x61);
    ioapic_eoi(&ioapic, 0x61); /* nothing to end any more */
    EXPECT_EQ(ioapic.counters.ended, 3);
}

static void test_nmi_and_extint_are_edges_whatever_the_trigger_bit(void **state)
{
    (void)state;
    program(0, LEVEL | EXTINT);
    program(1, LEVEL | NMI);
    ioapic_set_pin(&ioapic, 0, true);
    EXPECT_EQ(last.delivery, APIC_EXTINT);
    EXPECT(!last.level);
    ioapic_set_pin(&ioapic, 1, true);
    EXPECT_EQ(last.delivery, APIC_NMI);
    EXPECT_EQ(sent, 2);
    EXPECT_EQ(get(low_of(0)) & REMOTE_IRR, 0);
    ioapic_set_pin(&ioapic, 0, false);
    ioapic_set_pin(&ioapic, 0, true);
    EXPECT_EQ(sent, 3);
}

static void test_the_delivery_status_is_always_idle(void **state)
{
    (void)state;
    program(4, STATUS | 0x51);
    pulse(4);
    EXPECT_EQ(get(low_of(4)) & STATUS, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_version_register_tells_24_entries_and_version_20),
        T(test_id_keeps_bits_27_to_24_and_arbitration_follows),
        T(test_after_reset_every_pin_is_masked),
        T(test_registers_that_do_not_exist_read_as_ones),
        T(test_reserved_and_read_only_bits_of_an_entry_are_not_written),
        T(test_the_index_register_takes_bytes_and_reads_back),
        T(test_the_window_takes_whole_registers_only),
        T(test_an_edge_sends_the_entrys_message),
        T(test_edges_need_no_eoi),
        T(test_an_edge_on_a_masked_pin_is_lost),
        T(test_an_active_low_edge_is_a_fall),
        T(test_a_level_is_sent_once_and_again_at_each_eoi_while_it_lasts),
        T(test_an_active_low_level_asserts_while_the_pin_is_low),
        T(test_a_level_that_was_masked_is_sent_when_it_is_unmasked),
        T(test_masking_in_service_and_unmasking_after_eoi_loses_nothing),
        T(test_unmasking_before_eoi_waits_for_the_eoi),
        T(test_a_level_that_nobody_accepts_is_sent_again_when_local_apics_change),
        T(test_going_to_edge_mode_clears_the_remote_irr_so_that_level_mode_sends_again),
        T(test_the_eoi_register_ends_as_a_local_apic_does),
        T(test_pins_with_the_same_vector_end_together),
        T(test_nmi_and_extint_are_edges_whatever_the_trigger_bit),
        T(test_the_delivery_status_is_always_idle),
    };

    return RUN_TESTS(tests);
}
