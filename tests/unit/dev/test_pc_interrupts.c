/*
 * The board: how interrupts are routed, when it wants to be woken, and what an
 * unmodified kernel does with both.
 */
#include "hv/dev/pc.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name) cmocka_unit_test_setup(name, setup)

#define EOI     0xB0
#define SVR     0xF0
#define LINT0   0x350

#define MASKED  0x10000
#define LEVEL   0x8000
#define EXTINT  0x700

static struct fixture_board board;

static int setup(void **state)
{
    (void)state;
    fixture_board_init(&board, 1);
    return 0;
}

static uint8_t in(uint16_t port)
{
    return fixture_in(&board, port);
}

static void out(uint16_t port, uint8_t value)
{
    fixture_out(&board, port, value);
}

static int pending(void)
{
    return pc_interrupt_pending(&board.pc, 0);
}

static int take(void)
{
    return pc_interrupt_accept(&board.pc, 0);
}

static void end_apic(void)
{
    fixture_lapic_write(&board, 0, EOI, 0);
}

/* Counter 0 as a kernel sets it: rate generator of @hz. */
static void start_timer(unsigned hz)
{
    const unsigned count = (unsigned)PIT_HZ / hz;

    out(0x43, 0x34);
    out(0x40, (uint8_t)count);
    out(0x40, (uint8_t)(count >> 8));
}

/* --- the 8259 pair and virtual wire mode --- */

static void test_in_virtual_wire_mode_the_8259_pair_interrupts_by_lint0(void **state)
{
    (void)state;
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(pending(), 0x08);
    EXPECT_EQ(take(), 0x08);
    EXPECT_EQ(pending(), -1);
    out(0x20, 0x20);
    fixture_pass(&board, 10 * NS_PER_MS);
    EXPECT_EQ(take(), 0x08);
    EXPECT_EQ(pc_lapic(&board.pc, 0)->counters.extints, 2);
}

static void test_with_the_apic_globally_disabled_the_8259_pair_still_interrupts(void **state)
{
    (void)state;
    EXPECT(lapic_msr_write(pc_lapic(&board.pc, 0), MSR_IA32_APIC_BASE, 0));
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(take(), 0x08);
}

static void test_disabling_the_apic_lets_the_waiting_8259_request_through_and_tells_the_vp(void **state)
{
    unsigned told;

    (void)state;
    fixture_lapic_write(&board, 0, LINT0, MASKED | EXTINT);
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(pending(), -1);
    told = board.requests[0];
    EXPECT(lapic_msr_write(pc_lapic(&board.pc, 0), MSR_IA32_APIC_BASE, 0));
    EXPECT_EQ(pending(), 0x08);
    EXPECT_EQ(board.requests[0], told + 1);
}

static void test_extint_is_not_held_back_by_tpr(void **state)
{
    (void)state;
    lapic_cr8_write(pc_lapic(&board.pc, 0), 15);
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(pending(), 0x08);
}

static void test_masking_lint0_holds_the_8259_pair_back_and_unmasking_brings_it(void **state)
{
    (void)state;
    start_timer(100);
    out(0x21, 0xFE);
    fixture_lapic_write(&board, 0, LINT0, MASKED | EXTINT);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(pending(), -1);
    fixture_lapic_write(&board, 0, LINT0, EXTINT);
    EXPECT_EQ(take(), 0x08);
}

static void test_a_mask_written_between_request_and_acknowledge_takes_the_interrupt_back(void **state)
{
    (void)state;
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    out(0x21, 0xFF);
    EXPECT_EQ(pending(), -1);
    EXPECT_EQ(take(), -1);
    out(0x21, 0xFE);
    EXPECT_EQ(take(), 0x08);
}

static void test_lint0_as_fixed_edge_carries_each_of_the_pairs_requests(void **state)
{
    (void)state;
    start_timer(100);
    fixture_lapic_write(&board, 0, LINT0, 0x31);
    out(0x21, 0xFE);
    for (unsigned i = 0; i < 3; i++) {
        fixture_pass(&board, 11 * NS_PER_MS);
        EXPECT_EQ(take(), 0x31);
        end_apic();
        (void)pic_acknowledge(&board.pc.pic); /* who uses this mode polls the 8259 */
        out(0x20, 0x20);
    }
}

static void test_the_io_apics_pin_0_carries_extint(void **state)
{
    (void)state;
    fixture_lapic_write(&board, 0, LINT0, MASKED);
    fixture_ioapic_pin(&board, PC_PIN_EXTINT, EXTINT, 0);
    start_timer(100);
    out(0x21, 0xFE);
    for (unsigned i = 0; i < 3; i++) {
        fixture_pass(&board, 10 * NS_PER_MS + NS_PER_US);
        EXPECT_EQ(take(), 0x08);
        EXPECT_EQ(pending(), -1);
        out(0x20, 0x20);
    }
}

static void test_a_second_request_of_the_pair_comes_by_pin_0_too(void **state)
{
    (void)state;
    fixture_lapic_write(&board, 0, LINT0, MASKED);
    fixture_ioapic_pin(&board, PC_PIN_EXTINT, EXTINT, 0);
    out(0x3FC, 0x08);
    out(0x3F9, 0x02);
    out(0x2FC, 0x08);
    out(0x2F9, 0x02);
    out(0x21, 0xE7);
    EXPECT_EQ(take(), 0x0B);
    EXPECT_EQ(pending(), -1);
    out(0x20, 0x20);
    EXPECT_EQ(take(), 0x0C);
}

/* --- routing --- */

static void test_an_extint_whose_cause_is_gone_is_the_spurious_interrupt_and_then_over(void **state)
{
    (void)state;
    fixture_lapic_write(&board, 0, LINT0, MASKED);
    fixture_ioapic_pin(&board, PC_PIN_EXTINT, EXTINT, 0);
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    out(0x21, 0xFF);
    EXPECT_EQ(pending(), 0x0F);
    EXPECT_EQ(take(), 0x0F);
    EXPECT_EQ(pending(), -1);
}

static void test_irq_0_is_io_apic_pin_2(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, PC_PIN_TIMER, 0x30, 0);
    start_timer(100);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(take(), 0x30);
    end_apic();
    fixture_pass(&board, 10 * NS_PER_MS);
    EXPECT_EQ(take(), 0x30);
}

static void test_serial_interrupts_are_isa_4_and_3_at_both_controllers(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, 4, 0x34, 0);
    fixture_ioapic_pin(&board, 3, 0x33, 0);
    out(0x21, 0xE7);
    out(0x3FC, 0x08);
    out(0x3F9, 0x02);
    EXPECT_EQ(take(), 0x0C); /* the 8259 pair, by LINT0 */
    EXPECT_EQ(take(), 0x34);
    out(0x2FC, 0x08);
    out(0x2F9, 0x02);
    out(0x20, 0x20);
    EXPECT_EQ(take(), 0x0B);
    end_apic();
    EXPECT_EQ(take(), 0x33);
}

static void test_a_shared_isa_line_is_high_while_either_driver_is(void **state)
{
    struct pc_hooks hooks = fixture_hooks(&board);

    (void)state;
    board.config.serial_ports = 0x5;
    EXPECT_EQ(pc_init(&board.pc, &board.config, &hooks), VMMU_OK);
    out(0x3FC, 0x08);
    out(0x3EC, 0x08);
    out(0x3F9, 0x02);
    out(0x3E9, 0x02);
    EXPECT_EQ(board.pc.irq_drivers[4], 0x3);
    (void)in(0x3FA);
    EXPECT_EQ(board.pc.irq_drivers[4], 0x2);
    EXPECT_EQ(board.pc.ioapic.levels >> 4 & 1, 1);
    (void)in(0x3EA);
    EXPECT_EQ(board.pc.ioapic.levels >> 4 & 1, 0);
}

static void test_the_clocks_interrupt_is_isa_8(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, 8, 0x38, 0);
    out(0x70, 0x0B);
    out(0x71, 0x12);
    fixture_pass(&board, NS_PER_S);
    EXPECT_EQ(take(), 0x38);
    out(0x70, 0x0C);
    EXPECT_EQ(in(0x71) & 0x90, 0x90);
    end_apic();
    fixture_pass(&board, NS_PER_S);
    EXPECT_EQ(take(), 0x38);
}

static void test_the_sci_is_isa_9_and_level_triggered(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x39, 0);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(take(), 0x39);
    end_apic();
    EXPECT_EQ(take(), 0x39); /* again: the status still stands */
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT, 2, 0x100);
    end_apic();
    EXPECT_EQ(pending(), -1);
    out(0xA1, 0xFD);
    out(0x21, 0xFB);
    pc_power_button(&board.pc);
    EXPECT_EQ(take(), 0x71); /* ELCR has it level-triggered at the 8259 as well */
}

static void test_eoi_is_not_broadcast_while_svr_suppresses_it(void **state)
{
    (void)state;
    fixture_lapic_write(&board, 0, SVR, 0x11FF);
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x39, 0);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(take(), 0x39);
    end_apic();
    EXPECT_EQ(pending(), -1);
    EXPECT(pc_mmio_write(&board.pc, 0, (vmmu_gpa){ PC_IOAPIC_ADDRESS + 0x40 }, 4, 0x39)); /* directed EOI */
    EXPECT_EQ(take(), 0x39);
}

static void test_a_level_that_came_while_the_local_apic_was_off_comes_when_it_is_on(void **state)
{
    (void)state;
    fixture_lapic_write(&board, 0, SVR, 0xFF);
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x39, 0);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(pending(), -1);
    fixture_lapic_write(&board, 0, SVR, 0x1FF);
    EXPECT_EQ(take(), 0x39);
}

static void test_a_level_for_a_logical_address_comes_when_an_apic_takes_that_address(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x839, 0x04000000);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(pending(), -1);
    fixture_lapic_write(&board, 0, 0xD0, 0x04000000);
    EXPECT_EQ(take(), 0x39);
}

static void test_a_level_for_a_physical_id_comes_when_an_apic_takes_that_id(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x39, 0x07000000);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(pending(), -1);
    fixture_lapic_write(&board, 0, 0x20, 0x07000000);
    EXPECT_EQ(take(), 0x39);
}

static void test_a_level_for_a_cluster_comes_when_an_apic_takes_that_model(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x839, 0x21000000);
    fixture_lapic_write(&board, 0, 0xD0, 0x22000000);
    fixture_lapic_write(&board, 0, 0xE0, 0x0FFFFFFF);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(pending(), -1);
    fixture_lapic_write(&board, 0, 0xD0, 0x11000000);
    EXPECT_EQ(pending(), -1);
    fixture_lapic_write(&board, 0, 0xE0, 0xFFFFFFFF); /* flat: bits 0x21 and 0x11 meet */
    EXPECT_EQ(take(), 0x39);
}

static void test_a_level_with_an_illegal_vector_comes_when_the_vector_is_mended(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x05, 0);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    pc_power_button(&board.pc);
    EXPECT_EQ(pending(), -1);
    fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | 0x39, 0);
    EXPECT_EQ(take(), 0x39);
}

/* --- time --- */

static void test_a_quiet_board_needs_no_waking(void **state)
{
    (void)state;
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_the_timer_wakes_only_while_irq_0_is_let_through(void **state)
{
    (void)state;
    start_timer(100);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    out(0x21, 0xFE);
    EXPECT(pc_deadline(&board.pc, 0) <= 11 * NS_PER_MS);
    out(0x21, 0xFF);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    fixture_ioapic_pin(&board, PC_PIN_TIMER, 0x30, 0);
    EXPECT(pc_deadline(&board.pc, 0) <= 11 * NS_PER_MS);
    fixture_ioapic_pin(&board, PC_PIN_TIMER, MASKED | 0x30, 0);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_an_edge_of_irq_0_while_masked_is_in_the_8259s_irr_when_somebody_looks(void **state)
{
    (void)state;
    start_timer(100);
    out(0x20, 0x0A);
    EXPECT_EQ(in(0x20), 0); /* OUT has been high since the control word; no edge since initialization */
    board.ns += 25 * NS_PER_MS;
    EXPECT_EQ(in(0x20), 0x01);
    out(0x21, 0xFE);
    EXPECT_EQ(take(), 0x08);
}

static void test_an_edge_of_irq_0_before_the_8259_is_initialized_is_forgotten(void **state)
{
    (void)state;
    start_timer(100);
    board.ns += 25 * NS_PER_MS;
    out(0x20, 0x11);
    out(0x21, 0x20);
    out(0x21, 0x04);
    out(0x21, 0x01);
    EXPECT_EQ(pending(), -1);
    out(0x20, 0x0A);
    EXPECT_EQ(in(0x20), 0);
}

static void test_an_edge_of_irq_0_on_the_masked_pin_is_lost(void **state)
{
    (void)state;
    start_timer(100);
    board.ns += 25 * NS_PER_MS;
    fixture_ioapic_pin(&board, PC_PIN_TIMER, 0x30, 0);
    EXPECT_EQ(pending(), -1);
}

static void test_vp_0_looks_after_the_devices_and_each_vp_after_its_own_timer(void **state)
{
    (void)state;
    fixture_board_init(&board, 2);
    start_timer(100);
    out(0x21, 0xFE);
    EXPECT(pc_deadline(&board.pc, 0) != CLOCK_NEVER);
    EXPECT_EQ(pc_deadline(&board.pc, 1), CLOCK_NEVER);
    fixture_lapic_write(&board, 1, SVR, 0x1FF);
    fixture_lapic_write(&board, 1, 0x3E0, 0xB);
    fixture_lapic_write(&board, 1, 0x320, 0x40);
    fixture_lapic_write(&board, 1, 0x380, 5000);
    EXPECT_EQ(pc_deadline(&board.pc, 1), 5000);
    board.ns = 5000;
    pc_advance(&board.pc, 0, board.ns);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 1), -1);
    pc_advance(&board.pc, 1, board.ns);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 1), 0x40);
    board.ns = 20 * NS_PER_MS;
    pc_advance(&board.pc, 1, board.ns);
    EXPECT_EQ(pending(), -1);
    pc_advance(&board.pc, 0, board.ns);
    EXPECT_EQ(pending(), 0x08);
}

static void test_a_vp_other_than_0_leaves_the_devices_to_vp_0(void **state)
{
    (void)state;
    fixture_board_init(&board, 2);
    start_timer(100);
    out(0x21, 0xFE);
    fixture_lapic_write(&board, 1, SVR, 0x1FF);
    fixture_lapic_write(&board, 1, 0x320, 0x40);
    fixture_lapic_write(&board, 1, 0x380, 5000);
    board.ns = 20 * NS_PER_MS;
    pc_advance(&board.pc, 1, board.ns);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 1), 0x40);
    EXPECT_EQ(pending(), -1);
}

static void test_advancing_early_does_nothing(void **state)
{
    (void)state;
    start_timer(100);
    out(0x21, 0xFE);
    board.ns = 5 * NS_PER_MS;
    pc_advance(&board.pc, 0, board.ns);
    EXPECT_EQ(pending(), -1);
    EXPECT_EQ(board.pc.counters.advanced, 0);
}

static void test_the_character_timeout_is_a_deadline_of_the_board(void **state)
{
    (void)state;
    out(0x3FA, 0x81);
    out(0x3F9, 0x01);
    out(0x3FC, 0x08);
    out(0x21, 0xEF);
    EXPECT(pc_serial_receive(&board.pc, 0, 'x'));
    EXPECT_EQ(pending(), -1);
    fixture_pass(&board, NS_PER_MS);
    EXPECT_EQ(take(), 0x0C);
    EXPECT_EQ(in(0x3F8), 'x');
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
}

static void test_a_break_reaches_the_guest(void **state)
{
    (void)state;
    EXPECT(pc_serial_break(&board.pc, 0));
    EXPECT_EQ(in(0x3FD) & 0x10, 0x10);
    EXPECT(!pc_serial_break(&board.pc, 3));
}

/* --- kernels --- */

/* Linux's check_timer: ticks through pin 2 while LINT0 and the 8259 are masked. */
static void test_ten_timer_ticks_come_through_the_io_apic(void **state)
{
    unsigned ticks = 0;

    (void)state;
    out(0x21, 0xFF);
    fixture_lapic_write(&board, 0, LINT0, MASKED | EXTINT);
    start_timer(250);
    fixture_ioapic_pin(&board, PC_PIN_TIMER, 0x830, 0x01000000);
    fixture_lapic_write(&board, 0, 0xD0, 0x01000000);
    for (unsigned ms = 0; ms < 45; ms++) {
        fixture_pass(&board, NS_PER_MS);
        if (take() == 0x30) {
            ticks++;
            end_apic();
        }
    }
    EXPECT(ticks >= 10);
}

/* A kernel's serial console: polled output, then interrupt-driven. */
static void test_interrupt_driven_serial_output_needs_one_interrupt_per_write(void **state)
{
    (void)state;
    fixture_ioapic_pin(&board, 4, 0x34, 0);
    out(0x3FB, 0x03);
    out(0x3FA, 0x01);
    out(0x3FC, 0x0B);
    out(0x3F9, 0x07);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_EQ(take(), 0x34);
        EXPECT_EQ(in(0x3FA), 0xC2);
        out(0x3F8, (uint8_t)('a' + i));
        end_apic();
    }
    out(0x3F9, 0x05);
    EXPECT_EQ(take(), 0x34); /* the last edge was real; its cause is gone now */
    EXPECT_EQ(in(0x3FA), 0xC1);
    EXPECT_EQ(board.text_length, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_in_virtual_wire_mode_the_8259_pair_interrupts_by_lint0),
        T(test_with_the_apic_globally_disabled_the_8259_pair_still_interrupts),
        T(test_disabling_the_apic_lets_the_waiting_8259_request_through_and_tells_the_vp),
        T(test_extint_is_not_held_back_by_tpr),
        T(test_masking_lint0_holds_the_8259_pair_back_and_unmasking_brings_it),
        T(test_a_mask_written_between_request_and_acknowledge_takes_the_interrupt_back),
        T(test_lint0_as_fixed_edge_carries_each_of_the_pairs_requests),
        T(test_the_io_apics_pin_0_carries_extint),
        T(test_a_second_request_of_the_pair_comes_by_pin_0_too),
        T(test_an_extint_whose_cause_is_gone_is_the_spurious_interrupt_and_then_over),
        T(test_irq_0_is_io_apic_pin_2),
        T(test_serial_interrupts_are_isa_4_and_3_at_both_controllers),
        T(test_a_shared_isa_line_is_high_while_either_driver_is),
        T(test_the_clocks_interrupt_is_isa_8),
        T(test_the_sci_is_isa_9_and_level_triggered),
        T(test_eoi_is_not_broadcast_while_svr_suppresses_it),
        T(test_a_level_that_came_while_the_local_apic_was_off_comes_when_it_is_on),
        T(test_a_level_for_a_logical_address_comes_when_an_apic_takes_that_address),
        T(test_a_level_for_a_physical_id_comes_when_an_apic_takes_that_id),
        T(test_a_level_for_a_cluster_comes_when_an_apic_takes_that_model),
        T(test_a_level_with_an_illegal_vector_comes_when_the_vector_is_mended),
        T(test_a_quiet_board_needs_no_waking),
        T(test_the_timer_wakes_only_while_irq_0_is_let_through),
        T(test_an_edge_of_irq_0_while_masked_is_in_the_8259s_irr_when_somebody_looks),
        T(test_an_edge_of_irq_0_before_the_8259_is_initialized_is_forgotten),
        T(test_an_edge_of_irq_0_on_the_masked_pin_is_lost),
        T(test_vp_0_looks_after_the_devices_and_each_vp_after_its_own_timer),
        T(test_a_vp_other_than_0_leaves_the_devices_to_vp_0),
        T(test_advancing_early_does_nothing),
        T(test_the_character_timeout_is_a_deadline_of_the_board),
        T(test_a_break_reaches_the_guest),
        T(test_ten_timer_ticks_come_through_the_io_apic),
        T(test_interrupt_driven_serial_output_needs_one_interrupt_per_write),
    };

    return RUN_TESTS(tests);
}
