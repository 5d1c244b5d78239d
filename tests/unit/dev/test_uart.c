/*
 * The 16550A, by the sentences of its datasheet.
 */
#include "hv/dev/uart.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name) cmocka_unit_test_setup(name, setup)

enum {
    DATA = 0,
    IER = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7,
};

#define DLAB 0x80
#define OUT2 0x08
#define LOOP 0x10

static struct uart uart;
static struct fixture_wire irq;
static uint64_t ns;
static uint8_t sent[64];
static unsigned sent_count;

static void transmit(void *context, unsigned port, uint8_t byte)
{
    EXPECT_EQ(context, &uart);
    EXPECT_EQ(port, 3);
    sent[sent_count++ % sizeof(sent)] = byte;
}

static void put(unsigned port, uint8_t value)
{
    uart_write(&uart, port, value);
}

static uint8_t get(unsigned port)
{
    return uart_read(&uart, port);
}

/* 8 data bits, no parity, 115200 baud, interrupts let out. */
static int setup(void **state)
{
    const struct uart_wires wires = {
        .transmit = transmit,
        .context = &uart,
        .number = 3,
        .irq = fixture_line(&irq),
        .clock = fixture_clock(&ns),
    };

    (void)state;
    ns = NS_PER_S;
    irq = (struct fixture_wire){ 0 };
    sent_count = 0;
    uart_init(&uart, &wires);
    put(LCR, 0x03);
    put(MCR, OUT2);
    return 0;
}

static void test_after_reset_the_registers_are_as_the_reset_table_says(void **state)
{
    (void)state;
    put(IER, 0x0F);
    put(FCR, 0xC1);
    put(LCR, 0x1F);
    put(MCR, 0x1F);
    uart_reset(&uart);
    EXPECT_EQ(get(IER), 0);
    EXPECT_EQ(get(IIR), 0x01);
    EXPECT_EQ(get(LCR), 0);
    EXPECT_EQ(get(MCR), 0);
    EXPECT_EQ(get(LSR), 0x60);
    EXPECT_EQ(get(MSR) & 0x0F, 0);
    EXPECT(!irq.high);
}

static void test_a_byte_written_leaves_at_once_and_the_transmitter_is_empty(void **state)
{
    (void)state;
    put(DATA, 'x');
    EXPECT_EQ(sent_count, 1);
    EXPECT_EQ(sent[0], 'x');
    EXPECT_EQ(get(LSR), 0x60);
}

static void test_only_the_selected_number_of_data_bits_is_sent(void **state)
{
    (void)state;
    put(LCR, 0x02);
    put(DATA, 0xFF);
    EXPECT_EQ(sent[0], 0x7F);
    put(LCR, 0x00);
    put(DATA, 0xFF);
    EXPECT_EQ(sent[1], 0x1F);
}

static void test_dlab_gives_the_divisor_at_ports_0_and_1(void **state)
{
    (void)state;
    put(IER, 0x05);
    put(LCR, DLAB | 0x03);
    put(DATA, 0x34);
    put(IER, 0x12);
    EXPECT_EQ(get(DATA), 0x34);
    EXPECT_EQ(get(IER), 0x12);
    put(LCR, 0x03);
    EXPECT_EQ(get(IER), 0x05);
    EXPECT_EQ(sent_count, 0);
}

static void test_unused_bits_of_ier_and_mcr_are_zero_and_the_scratch_register_keeps_all(void **state)
{
    (void)state;
    put(IER, 0xF0);
    EXPECT_EQ(get(IER), 0);
    put(MCR, 0xE0);
    EXPECT_EQ(get(MCR), 0);
    put(SCR, 0xA5);
    EXPECT_EQ(get(SCR), 0xA5);
    put(SCR, 0x5A);
    EXPECT_EQ(get(SCR), 0x5A);
}

static void test_writing_lsr_or_msr_changes_nothing(void **state)
{
    (void)state;
    put(LSR, 0xFF);
    put(MSR, 0xFF);
    EXPECT_EQ(get(LSR), 0x60);
    EXPECT_EQ(get(MSR), 0xB0);
}

/* --- receiver --- */

static void test_a_received_byte_sets_data_ready_until_it_is_read(void **state)
{
    (void)state;
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT_EQ(get(LSR), 0x61);
    EXPECT_EQ(get(DATA), 'a');
    EXPECT_EQ(get(LSR), 0x60);
    EXPECT_EQ(get(DATA), 'a'); /* the buffer keeps what it held */
}

static void test_without_fifos_there_is_room_for_one_byte_and_the_sender_waits(void **state)
{
    (void)state;
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT(!uart_receive(&uart, 'b'));
    EXPECT_EQ(get(DATA), 'a');
    EXPECT(uart_receive(&uart, 'b'));
    EXPECT_EQ(get(DATA), 'b');
    EXPECT_EQ(uart.counters.refused, 1);
}

static void test_the_fifo_holds_16_bytes_in_order(void **state)
{
    (void)state;
    put(FCR, 0x01);
    for (unsigned round = 0; round < 3; round++) {
        for (uint8_t i = 0; i < 16; i++)
            EXPECT(uart_receive(&uart, i));
        EXPECT(!uart_receive(&uart, 99));
        for (uint8_t i = 0; i < 16; i++)
            EXPECT_EQ(get(DATA), i);
        EXPECT_EQ(get(LSR), 0x60);
        EXPECT(uart_receive(&uart, 0)); /* so that the next round begins elsewhere in the ring */
        (void)get(DATA);
    }
}

static void test_fcr_bit_1_clears_the_receiver(void **state)
{
    (void)state;
    put(FCR, 0x01);
    EXPECT(uart_receive(&uart, 'a'));
    put(FCR, 0x03);
    EXPECT_EQ(get(LSR), 0x60);
}

static void test_switching_the_fifos_on_or_off_clears_them(void **state)
{
    (void)state;
    EXPECT(uart_receive(&uart, 'a'));
    put(FCR, 0x01);
    EXPECT_EQ(get(LSR), 0x60);
    EXPECT(uart_receive(&uart, 'b'));
    put(FCR, 0x00);
    EXPECT_EQ(get(LSR), 0x60);
}

static void test_a_new_trigger_level_leaves_the_fifo_alone(void **state)
{
    (void)state;
    put(FCR, 0x01);
    EXPECT(uart_receive(&uart, 'a'));
    put(FCR, 0xC1);
    EXPECT_EQ(get(DATA), 'a');
}

static void test_other_fcr_bits_are_taken_only_with_bit_0(void **state)
{
    (void)state;
    put(FCR, 0x01);
    put(IER, 0x01);
    put(FCR, 0xC0); /* the trigger level is not taken; the FIFOs go off */
    EXPECT_EQ(get(IIR), 0x01);
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT_EQ(get(IIR), 0x04);
}

static void test_iir_bits_7_and_6_tell_that_fifos_are_on(void **state)
{
    (void)state;
    EXPECT_EQ(get(IIR), 0x01);
    put(FCR, 0x01);
    EXPECT_EQ(get(IIR), 0xC1);
}

static void test_the_received_data_interrupt_comes_at_the_trigger_level_and_goes_below_it(void **state)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    (void)state;
    put(IER, 0x01);
    for (uint8_t i = 0; i < 4; i++) {
        put(FCR, (uint8_t)(0x03 | i << 6));
        for (unsigned held = 1; held < levels[i]; held++) {
            EXPECT(uart_receive(&uart, 'a'));
            EXPECT(!irq.high);
        }
        EXPECT(uart_receive(&uart, 'b'));
        EXPECT(irq.high);
        EXPECT_EQ(get(IIR), 0xC4);
        (void)get(DATA);
        EXPECT(!irq.high);
    }
}

static void test_the_character_timeout_comes_after_four_character_times(void **state)
{
    (void)state;
    put(IER, 0x01);
    put(FCR, 0x81);
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT_EQ(get(IIR), 0xC1);
    /* Ten bits a character at 115200 baud. */
    EXPECT_EQ(uart.due_ns, ns + clock_ns(40, 115200));
    ns = uart.due_ns - 1;
    uart_advance(&uart);
    EXPECT(!irq.high);
    ns++;
    uart_advance(&uart);
    EXPECT(irq.high);
    EXPECT_EQ(get(IIR), 0xCC);
    EXPECT_EQ(get(IIR), 0xCC); /* only reading the byte ends it */
    EXPECT_EQ(get(DATA), 'a');
    EXPECT(!irq.high);
    EXPECT_EQ(uart.due_ns, CLOCK_NEVER);
}

static void test_a_byte_that_comes_or_is_read_begins_the_timeout_anew(void **state)
{
    uint64_t first;

    (void)state;
    put(IER, 0x01);
    put(FCR, 0x81);
    EXPECT(uart_receive(&uart, 'a'));
    first = uart.due_ns;
    ns += 100 * NS_PER_US;
    EXPECT(uart_receive(&uart, 'b'));
    EXPECT_EQ(uart.due_ns, first + 100 * NS_PER_US);
    ns += 100 * NS_PER_US;
    (void)get(DATA);
    EXPECT_EQ(uart.due_ns, first + 200 * NS_PER_US);
}

static void test_the_timeout_follows_rate_and_character_length(void **state)
{
    (void)state;
    put(LCR, DLAB);
    put(DATA, 12); /* 9600 baud */
    put(IER, 0);
    put(LCR, 0x0F); /* 8 bits, 2 stop bits, parity: 12 in all */
    put(FCR, 0x81);
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT_EQ(uart.due_ns, ns + clock_ns(48, 9600));
}

static void test_without_fifos_there_is_no_timeout(void **state)
{
    (void)state;
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT_EQ(uart.due_ns, CLOCK_NEVER);
}

static void test_a_break_is_a_zero_byte_with_its_error_bit_which_reading_lsr_clears(void **state)
{
    (void)state;
    put(IER, 0x04);
    EXPECT(uart_receive_break(&uart));
    EXPECT(irq.high);
    EXPECT_EQ(get(IIR), 0x06);
    EXPECT_EQ(get(LSR), 0x71);
    EXPECT(!irq.high);
    EXPECT_EQ(get(LSR), 0x61);
    EXPECT_EQ(get(DATA), 0);
}

static void
test_an_error_shows_when_its_byte_is_at_the_top_of_the_fifo_and_bit_7_says_it_is_in_there(void **state)
{
    (void)state;
    put(FCR, 0x01);
    put(IER, 0x04);
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT(uart_receive_break(&uart));
    EXPECT_EQ(get(LSR), 0xE1);
    EXPECT(!irq.high);
    EXPECT_EQ(get(DATA), 'a');
    EXPECT(irq.high);
    EXPECT_EQ(get(LSR), 0xF1);
    EXPECT_EQ(get(LSR), 0x61);
}

/* --- interrupts --- */

static void test_enabling_the_transmitter_interrupt_while_it_is_empty_raises_it(void **state)
{
    (void)state;
    put(IER, 0x02);
    EXPECT(irq.high);
    EXPECT_EQ(get(IIR), 0x02);
}

static void test_reading_iir_ends_the_transmitter_interrupt_if_it_is_the_source_shown(void **state)
{
    (void)state;
    put(IER, 0x03);
    EXPECT(uart_receive(&uart, 'a'));
    EXPECT_EQ(get(IIR), 0x04); /* not shown, not ended */
    (void)get(DATA);
    EXPECT(irq.high);
    EXPECT_EQ(get(IIR), 0x02);
    EXPECT(!irq.high);
    EXPECT_EQ(get(IIR), 0x01);
}

static void test_writing_a_byte_raises_the_transmitter_interrupt_again(void **state)
{
    unsigned rises;

    (void)state;
    put(IER, 0x02);
    (void)get(IIR);
    rises = irq.rises;
    put(DATA, 'x');
    EXPECT(irq.high);
    EXPECT_EQ(irq.rises, rises + 1);
    EXPECT_EQ(get(IIR), 0x02);
}

static void test_an_enable_that_stays_set_does_not_raise_the_transmitter_interrupt_again(void **state)
{
    (void)state;
    put(IER, 0x02);
    (void)get(IIR);
    put(IER, 0x03);
    EXPECT(!irq.high);
    put(IER, 0x01);
    put(IER, 0x03);
    EXPECT(irq.high);
}

static void test_interrupts_are_identified_by_priority(void **state)
{
    (void)state;
    put(FCR, 0x01);
    put(IER, 0x0F);
    put(MCR, OUT2 | LOOP); /* the modem inputs change */
    put(MCR, OUT2);
    EXPECT(uart_receive_break(&uart));
    EXPECT_EQ(get(IIR), 0xC6);
    (void)get(LSR);
    EXPECT_EQ(get(IIR), 0xC4);
    (void)get(DATA);
    EXPECT_EQ(get(IIR), 0xC2);
    EXPECT_EQ(get(IIR), 0xC0);
    EXPECT(irq.high);
    (void)get(MSR);
    EXPECT_EQ(get(IIR), 0xC1);
    EXPECT(!irq.high);
}

static void test_a_timeout_ranks_with_received_data_above_the_transmitter(void **state)
{
    (void)state;
    put(FCR, 0xC1);
    put(IER, 0x03);
    EXPECT(uart_receive(&uart, 'a'));
    ns = uart.due_ns;
    uart_advance(&uart);
    EXPECT_EQ(get(IIR), 0xCC);
    (void)get(DATA);
    EXPECT_EQ(get(IIR), 0xC2);
}

static void test_disabled_interrupts_do_not_show(void **state)
{
    (void)state;
    put(MCR, OUT2 | LOOP); /* the modem inputs change */
    put(MCR, OUT2);
    EXPECT(uart_receive_break(&uart));
    EXPECT_EQ(get(IIR), 0x01);
    EXPECT(!irq.high);
    put(IER, 0x04);
    EXPECT(irq.high);
}

static void test_the_interrupt_line_needs_out2_and_loopback_takes_it_away(void **state)
{
    (void)state;
    put(MCR, 0);
    put(IER, 0x02);
    EXPECT(!irq.high);
    put(MCR, OUT2);
    EXPECT(irq.high);
    put(MCR, OUT2 | LOOP);
    EXPECT(!irq.high);
}

/* --- modem lines and loopback --- */

static void test_a_terminal_is_connected_cts_dsr_and_dcd(void **state)
{
    (void)state;
    EXPECT_EQ(get(MSR), 0xB0);
}

static void test_loopback_turns_outputs_into_inputs(void **state)
{
    static const uint8_t pairs[][2] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 }, { 0x08, 0x80 } };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        put(MCR, LOOP | pairs[i][0]);
        EXPECT_EQ(get(MSR) & 0xF0, pairs[i][1]);
    }
    put(MCR, LOOP | 0x0A); /* RTS and OUT2: what kernels look for */
    EXPECT_EQ(get(MSR) & 0xF0, 0x90);
}

static void test_deltas_tell_of_changes_until_msr_is_read_and_ri_only_of_its_end(void **state)
{
    (void)state;
    put(MCR, LOOP); /* CTS, DSR and DCD fall */
    EXPECT_EQ(get(MSR), 0x0B);
    EXPECT_EQ(get(MSR), 0x00);
    put(MCR, LOOP | 0x04);
    EXPECT_EQ(get(MSR), 0x40); /* RI rises: nothing told */
    put(MCR, LOOP);
    EXPECT_EQ(get(MSR), 0x04); /* its trailing edge is */
}

static void test_loopback_returns_bytes_and_sends_none(void **state)
{
    (void)state;
    put(MCR, LOOP);
    put(DATA, 0x5A);
    EXPECT_EQ(sent_count, 0);
    EXPECT_EQ(get(LSR), 0x61);
    EXPECT_EQ(get(DATA), 0x5A);
}

static void test_loopback_disconnects_the_line_so_the_sender_waits(void **state)
{
    (void)state;
    put(MCR, LOOP);
    EXPECT(!uart_receive(&uart, 'a'));
    put(MCR, 0);
    EXPECT(uart_receive(&uart, 'a'));
}

static void test_overrun_without_fifos_replaces_the_byte(void **state)
{
    (void)state;
    put(IER, 0x04);
    put(MCR, LOOP);
    put(DATA, 'a');
    put(DATA, 'b');
    EXPECT_EQ(get(IIR), 0x06);
    EXPECT_EQ(get(LSR), 0x63);
    EXPECT_EQ(get(LSR), 0x61);
    EXPECT_EQ(get(DATA), 'b');
}

static void test_overrun_with_fifos_loses_the_new_byte(void **state)
{
    (void)state;
    put(FCR, 0x01);
    put(MCR, LOOP);
    for (uint8_t i = 0; i < 17; i++)
        put(DATA, i);
    EXPECT_EQ(get(LSR), 0x63);
    for (uint8_t i = 0; i < 16; i++)
        EXPECT_EQ(get(DATA), i);
    EXPECT_EQ(get(LSR), 0x60);
    EXPECT_EQ(uart.counters.overruns, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_after_reset_the_registers_are_as_the_reset_table_says),
        T(test_a_byte_written_leaves_at_once_and_the_transmitter_is_empty),
        T(test_only_the_selected_number_of_data_bits_is_sent),
        T(test_dlab_gives_the_divisor_at_ports_0_and_1),
        T(test_unused_bits_of_ier_and_mcr_are_zero_and_the_scratch_register_keeps_all),
        T(test_writing_lsr_or_msr_changes_nothing),
        T(test_a_received_byte_sets_data_ready_until_it_is_read),
        T(test_without_fifos_there_is_room_for_one_byte_and_the_sender_waits),
        T(test_the_fifo_holds_16_bytes_in_order),
        T(test_fcr_bit_1_clears_the_receiver),
        T(test_switching_the_fifos_on_or_off_clears_them),
        T(test_a_new_trigger_level_leaves_the_fifo_alone),
        T(test_other_fcr_bits_are_taken_only_with_bit_0),
        T(test_iir_bits_7_and_6_tell_that_fifos_are_on),
        T(test_the_received_data_interrupt_comes_at_the_trigger_level_and_goes_below_it),
        T(test_the_character_timeout_comes_after_four_character_times),
        T(test_a_byte_that_comes_or_is_read_begins_the_timeout_anew),
        T(test_the_timeout_follows_rate_and_character_length),
        T(test_without_fifos_there_is_no_timeout),
        T(test_a_break_is_a_zero_byte_with_its_error_bit_which_reading_lsr_clears),
        T(test_an_error_shows_when_its_byte_is_at_the_top_of_the_fifo_and_bit_7_says_it_is_in_there),
        T(test_enabling_the_transmitter_interrupt_while_it_is_empty_raises_it),
        T(test_reading_iir_ends_the_transmitter_interrupt_if_it_is_the_source_shown),
        T(test_writing_a_byte_raises_the_transmitter_interrupt_again),
        T(test_an_enable_that_stays_set_does_not_raise_the_transmitter_interrupt_again),
        T(test_interrupts_are_identified_by_priority),
        T(test_a_timeout_ranks_with_received_data_above_the_transmitter),
        T(test_disabled_interrupts_do_not_show),
        T(test_the_interrupt_line_needs_out2_and_loopback_takes_it_away),
        T(test_a_terminal_is_connected_cts_dsr_and_dcd),
        T(test_loopback_turns_outputs_into_inputs),
        T(test_deltas_tell_of_changes_until_msr_is_read_and_ri_only_of_its_end),
        T(test_loopback_returns_bytes_and_sends_none),
        T(test_loopback_disconnects_the_line_so_the_sender_waits),
        T(test_overrun_without_fifos_replaces_the_byte),
        T(test_overrun_with_fifos_loses_the_new_byte),
    };

    return RUN_TESTS(tests);
}
