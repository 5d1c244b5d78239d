/*
 * The board: configuration, ports, memory, reset, counters.
 */
#include "hv/dev/pc.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#include <string.h>

#define T(name) cmocka_unit_test_setup(name, setup)

#define SVR     0xF0
#define MASKED  0x10000

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

/* Counter 0 as a kernel sets it: rate generator of @hz. */
static void start_timer(unsigned hz)
{
    const unsigned count = (unsigned)PIT_HZ / hz;

    out(0x43, 0x34);
    out(0x40, (uint8_t)count);
    out(0x40, (uint8_t)(count >> 8));
}

/* --- configuration --- */

static void test_numbers_out_of_range_are_refused(void **state)
{
    struct pc_hooks hooks = fixture_hooks(&board);
    struct pc_config config = fixture_config(1);

    (void)state;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_OK);
    config.tsc_hz = 1;
    config.apic_hz = CLOCK_HZ_MAXIMUM;
    config.physical_address_bits = 32;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_OK);
    config.physical_address_bits = 52;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_OK);
    config.physical_address_bits = 31;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config = fixture_config(1);
    config.vps = 0;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config.vps = PC_VPS_MAXIMUM + 1;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config = fixture_config(8);
    config.tsc_hz = 0;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config = fixture_config(8);
    config.apic_hz = CLOCK_HZ_MAXIMUM + 1;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config = fixture_config(8);
    config.physical_address_bits = 53;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config = fixture_config(8);
    config.serial_ports = 0x10;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
    config = fixture_config(8);
    hooks.nmi = NULL;
    EXPECT_EQ(pc_init(&board.pc, &config, &hooks), VMMU_INVALID);
}

/* --- ports --- */

static bool is_claimed(uint16_t port)
{
    static const uint16_t ranges[][2] = { { 0x20, 0x21 },   { 0x40, 0x43 },   { 0x61, 0x61 },
                                          { 0x64, 0x64 },   { 0x70, 0x71 },   { 0x92, 0x92 },
                                          { 0xA0, 0xA1 },   { 0xF4, 0xF8 },   { 0x2F8, 0x2FF },
                                          { 0x3F8, 0x3FF }, { 0x4D0, 0x4D1 }, { 0x600, 0x60B },
                                          { 0xCF9, 0xCF9 } };

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (port >= ranges[i][0] && port <= ranges[i][1])
            return true;
    }
    return false;
}

static void test_unclaimed_ports_read_as_ones_and_ignore_writes(void **state)
{
    (void)state;
    for (unsigned port = 0; port < 0x10000; port++) {
        const uint64_t reads = board.pc.counters.unclaimed_ports.reads;

        if (is_claimed((uint16_t)port)) {
            (void)in((uint16_t)port);
            EXPECT_EQ(board.pc.counters.unclaimed_ports.reads, reads);
            continue;
        }
        EXPECT_EQ(in((uint16_t)port), 0xFF);
        EXPECT_EQ(board.pc.counters.unclaimed_ports.reads, reads + 1);
        out((uint16_t)port, 0xA5);
        EXPECT_EQ(in((uint16_t)port), 0xFF);
    }
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0x5000, 2), 0xFFFF);
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0x5000, 4), UINT32_MAX);
    EXPECT_EQ(board.resets + board.power_offs, 0);
}

static void test_the_last_port_does_not_wrap(void **state)
{
    (void)state;
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0xFFFE, 4), UINT32_MAX);
    pc_port_write(&board.pc, 0, 0xFFFF, 4, 0);
}

static void test_serial_ports_that_are_not_configured_are_not_there(void **state)
{
    (void)state;
    out(0x3FF, 0x5A);
    out(0x3EF, 0x5A);
    EXPECT_EQ(in(0x3FF), 0x5A);
    EXPECT_EQ(in(0x3EF), 0xFF);
    EXPECT(!pc_serial_receive(&board.pc, 2, 'x'));
    EXPECT(!pc_serial_receive(&board.pc, 4, 'x'));
    EXPECT(!pc_serial_receive(&board.pc, UINT32_MAX, 'x'));
}

static void test_a_wide_access_to_byte_devices_is_split_lowest_port_first(void **state)
{
    (void)state;
    pc_port_write(&board.pc, 0, 0x70, 2, 0xAB << 8 | 0x40); /* index, then data */
    out(0x70, 0x40);
    EXPECT_EQ(in(0x71), 0xAB);
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0x70, 2), 0xABFF);
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0x6F, 4), 0xFFABFFFF);
}

static void test_the_edge_level_control_is_at_4d0_and_4d1(void **state)
{
    (void)state;
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0x4D0, 2), 0x0200); /* firmware leaves the SCI level-triggered */
    pc_port_write(&board.pc, 0, 0x4D0, 2, 0xFFFF);
    EXPECT_EQ(in(0x4D0), 0xF8);
    EXPECT_EQ(in(0x4D1), 0xDE);
}

static void test_the_debug_exit_port_hands_over_1_2_and_4_byte_values(void **state)
{
    (void)state;
    out(0xF4, 0x21);
    EXPECT_EQ(board.debug_value, 0x21);
    pc_port_write(&board.pc, 0, 0xF4, 2, 0xFFFF1234);
    EXPECT_EQ(board.debug_value, 0x1234);
    pc_port_write(&board.pc, 0, 0xF4, 4, 0x89ABCDEF);
    EXPECT_EQ(board.debug_value, 0x89ABCDEF);
    EXPECT_EQ(board.debug_exits, 3);
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0xF4, 4), UINT32_MAX);
    out(0xF5, 1);
    EXPECT_EQ(board.debug_exits, 3);
}

static void test_whatever_is_written_to_the_debug_stop_port_asks_for_a_stop(void **state)
{
    (void)state;
    out(0xF8, 0);
    out(0xF8, 0xFF);
    EXPECT_EQ(board.debug_stops, 2);
    pc_port_write(&board.pc, 0, 0xF8, 2, 0);
    pc_port_write(&board.pc, 0, 0xF8, 4, 0);
    EXPECT_EQ(board.debug_stops, 4);
    out(0xF7, 1);
    out(0xF9, 1);
    EXPECT_EQ(board.debug_stops, 4);
    EXPECT_EQ(in(0xF8), 0xFF);
    EXPECT_EQ(board.debug_stops, 4);
}

static void test_serial_output_leaves_by_its_port(void **state)
{
    (void)state;
    out(0x3FB, 0x03);
    out(0x3F8, 'h');
    out(0x3F8, 'i');
    EXPECT_EQ(board.text_length, 2);
    EXPECT_EQ(memcmp(board.text, "hi", 2), 0);
    EXPECT_EQ(board.text_port, 0);
    out(0x2FB, 0x03);
    out(0x2F8, 'x');
    EXPECT_EQ(board.text_port, 1);
}

static void test_the_keyboard_controller_is_absent_but_resets(void **state)
{
    (void)state;
    EXPECT_EQ(in(0x64), 0xFF);
    EXPECT_EQ(in(0x60), 0xFF);
    out(0x64, 0xD1);
    out(0x64, 0xFF);
    EXPECT_EQ(board.resets, 0);
    out(0x64, 0xFE);
    EXPECT_EQ(board.resets, 1);
}

static void test_port_cf9_resets_when_bit_2_rises_and_only_by_byte_access(void **state)
{
    (void)state;
    out(0xCF9, 0x02);
    EXPECT_EQ(board.resets, 0);
    EXPECT_EQ(in(0xCF9), 0x02);
    out(0xCF9, 0x06);
    EXPECT_EQ(board.resets, 1);
    out(0xCF9, 0x06);
    EXPECT_EQ(board.resets, 1);
    out(0xCF9, 0x00);
    pc_port_write(&board.pc, 0, 0xCF8, 4, 0x80000600); /* a PCI configuration address */
    EXPECT_EQ(board.resets, 1);
    EXPECT_EQ(pc_port_read(&board.pc, 0, 0xCF8, 4), UINT32_MAX); /* no PCI */
}

static void test_port_92_resets_when_bit_0_rises_and_keeps_a20(void **state)
{
    (void)state;
    EXPECT_EQ(in(0x92), 0x02);
    out(0x92, 0x00);
    EXPECT_EQ(in(0x92), 0x00);
    EXPECT_EQ(board.resets, 0);
    out(0x92, 0x03);
    EXPECT_EQ(board.resets, 1);
}

static void test_port_61_gates_counter_2_and_shows_its_output(void **state)
{
    (void)state;
    out(0x61, 0x01);
    out(0x43, 0xB0);
    out(0x42, 0xE8);
    out(0x42, 0x03);
    EXPECT_EQ(in(0x61) & 0x2F, 0x01);
    fixture_pass(&board, NS_PER_MS);
    EXPECT_EQ(in(0x61) & 0x2F, 0x21);
    out(0x61, 0xFE);
    EXPECT_EQ(in(0x61) & 0xCF, 0x0E);
}

static void test_acpi_powers_off(void **state)
{
    (void)state;
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_CONTROL, 2, PC_SLEEP_TYPE_S5 << 10 | 0x2000);
    EXPECT_EQ(board.power_offs, 1);
}

static void test_the_fadts_reset_register_resets(void **state)
{
    (void)state;
    out(PC_PORT_RESET, PC_RESET_VALUE);
    EXPECT_EQ(board.resets, 1);
}

static void test_the_pm_timer_reads_as_one_access(void **state)
{
    (void)state;
    board.ns = NS_PER_S;
    EXPECT_EQ(pc_port_read(&board.pc, 0, PC_PORT_PM_TIMER, 4), 3579545);
}

/* --- memory --- */

static void test_a_wide_access_past_the_end_of_a_wide_device_is_split(void **state)
{
    (void)state;
    board.ns = clock_ns(0x12345678, ACPI_PM_TIMER_HZ);
    EXPECT_EQ(pc_port_read(&board.pc, 0, PC_PORT_PM_TIMER + 2, 4), 0xFFFF1234);
    EXPECT_EQ(pc_port_read(&board.pc, 0, PC_PORT_PM_TIMER - 2, 4), 0x5678FFFF);
    EXPECT_EQ(pc_port_read(&board.pc, 0, PC_PORT_PM1A_EVENT - 1, 2), 0x00FF);
}

static void test_unclaimed_memory_reads_as_ones(void **state)
{
    static const uint64_t holes[] = {
        0, 0xFE, 0xFFF, 0xFEBFFFFF, 0xFEC01000, 0xFEDFFFFF, 0xFEE01000, UINT64_C(0xFFFFFFFFFFFFF),
    };
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
        EXPECT(!pc_mmio_read(&board.pc, 0, (vmmu_gpa){ holes[i] }, 8, &value));
        EXPECT_EQ(value, UINT64_MAX);
        EXPECT(!pc_mmio_read(&board.pc, 0, (vmmu_gpa){ holes[i] }, 2, &value));
        EXPECT_EQ(value, 0xFFFF);
        EXPECT(!pc_mmio_write(&board.pc, 0, (vmmu_gpa){ holes[i] }, 4, 0));
    }
    EXPECT(lapic_msr_write(pc_lapic(&board.pc, 0), MSR_IA32_APIC_BASE, 0)); /* disabled: no page at all */
    for (unsigned i = 0; i < sizeof(holes) / sizeof(holes[0]); i++)
        EXPECT(!pc_mmio_read(&board.pc, 0, (vmmu_gpa){ holes[i] }, 1, &value));
    EXPECT(!pc_mmio_read(&board.pc, 0, (vmmu_gpa){ PC_LAPIC_ADDRESS }, 4, &value));
}

static void test_each_vp_sees_its_own_local_apic_at_the_same_address(void **state)
{
    (void)state;
    fixture_board_init(&board, 3);
    for (unsigned vp = 0; vp < 3; vp++)
        EXPECT_EQ(fixture_lapic_read(&board, vp, 0x20), vp << 24);
}

static void test_firmware_gives_the_io_apic_the_number_after_the_last_vps(void **state)
{
    (void)state;
    EXPECT_EQ(fixture_ioapic_read(&board, 0), 0x01000000);
}

/* --- buttons, reset, counters --- */

static void test_the_nmi_button_needs_lint1_and_bit_7_of_port_70_clear(void **state)
{
    (void)state;
    pc_nmi_button(&board.pc);
    EXPECT_EQ(board.nmis[0], 1);
    out(0x70, 0x80);
    pc_nmi_button(&board.pc);
    EXPECT_EQ(board.nmis[0], 1);
    out(0x70, 0x00);
    pc_nmi_button(&board.pc);
    EXPECT_EQ(board.nmis[0], 2);
}

static void test_reset_leaves_a_quiet_board_and_the_time_goes_on(void **state)
{
    (void)state;
    start_timer(100);
    out(0x21, 0xFE);
    out(0x3FC, 0x08);
    out(0x3F9, 0x02);
    out(0x70, 0x0B);
    out(0x71, 0x72);
    fixture_pass(&board, 3 * NS_PER_S);
    fixture_ioapic_pin(&board, 5, 0x35, 0);
    pc_reset(&board.pc);
    EXPECT_EQ(fixture_ioapic_read(&board, 0x10 + 2 * 5), MASKED);
    EXPECT_EQ(pending(), -1);
    EXPECT_EQ(pc_deadline(&board.pc, 0), CLOCK_NEVER);
    EXPECT_EQ(in(0x21), 0xFF);
    EXPECT_EQ(in(0x3F9), 0);
    for (unsigned irq = 0; irq < PC_IRQS; irq++)
        EXPECT_EQ(board.pc.irq_drivers[irq], 0);
    out(0x70, 0x00);
    EXPECT_EQ(in(0x71), 0x23);
    pc_firmware_handover(&board.pc);
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    EXPECT_EQ(take(), 0x08);
}

static bool find_counter(const char *device, const char *name, uint64_t *value)
{
    struct dev_counter counter;

    for (unsigned i = 0; pc_counter(&board.pc, i, &counter); i++) {
        if (strcmp(counter.device, device) == 0 && strcmp(counter.name, name) == 0) {
            *value = counter.value;
            return true;
        }
    }
    return false;
}

static uint64_t counter_of(const char *device, const char *name)
{
    uint64_t value = 0;

    EXPECT(find_counter(device, name, &value));
    return value;
}

static void test_counters_tell_what_happened(void **state)
{
    uint64_t value;

    (void)state;
    fixture_board_init(&board, 2);
    start_timer(100);
    out(0x21, 0xFE);
    fixture_pass(&board, 11 * NS_PER_MS);
    (void)take();
    out(0x3F8, 'x');
    (void)in(0x3FD);
    out(0xF4, 1);
    EXPECT_EQ(counter_of("uart0", "sent"), 1);
    EXPECT_EQ(counter_of("uart0", "reads"), 1);
    EXPECT_EQ(counter_of("uart1", "sent"), 0);
    EXPECT_EQ(counter_of("lapic0", "extints"), 1);
    EXPECT_EQ(counter_of("pic", "acknowledged"), 1);
    EXPECT_EQ(counter_of("board", "debug_exits"), 1);
    EXPECT_EQ(counter_of("ports0", "reads"), 1);
    EXPECT_EQ(counter_of("ports1", "reads"), 0);
    EXPECT(counter_of("pit", "interrupts") >= 1);
    EXPECT(find_counter("lapic1", "accepted", &value));
    EXPECT(!find_counter("lapic2", "accepted", &value));
}

static void test_counters_of_one_device_stand_together_and_have_different_names(void **state)
{
    struct dev_counter a;
    struct dev_counter b;
    const char *finished[64];
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; pc_counter(&board.pc, i, &a); i++) {
        if (count == 0 || finished[count - 1] != a.device) {
            for (unsigned j = 0; j < count; j++)
                EXPECT(strcmp(finished[j], a.device) != 0);
            finished[count++] = a.device;
        }
        for (unsigned j = 0; j < i; j++) {
            EXPECT(pc_counter(&board.pc, j, &b));
            EXPECT(strcmp(a.device, b.device) != 0 || strcmp(a.name, b.name) != 0);
        }
    }
    EXPECT(!pc_counter(&board.pc, 100000, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_numbers_out_of_range_are_refused),
        T(test_unclaimed_ports_read_as_ones_and_ignore_writes),
        T(test_the_last_port_does_not_wrap),
        T(test_serial_ports_that_are_not_configured_are_not_there),
        T(test_a_wide_access_to_byte_devices_is_split_lowest_port_first),
        T(test_the_edge_level_control_is_at_4d0_and_4d1),
        T(test_the_debug_exit_port_hands_over_1_2_and_4_byte_values),
        T(test_whatever_is_written_to_the_debug_stop_port_asks_for_a_stop),
        T(test_serial_output_leaves_by_its_port),
        T(test_the_keyboard_controller_is_absent_but_resets),
        T(test_port_cf9_resets_when_bit_2_rises_and_only_by_byte_access),
        T(test_port_92_resets_when_bit_0_rises_and_keeps_a20),
        T(test_port_61_gates_counter_2_and_shows_its_output),
        T(test_acpi_powers_off),
        T(test_the_fadts_reset_register_resets),
        T(test_the_pm_timer_reads_as_one_access),
        T(test_a_wide_access_past_the_end_of_a_wide_device_is_split),
        T(test_unclaimed_memory_reads_as_ones),
        T(test_each_vp_sees_its_own_local_apic_at_the_same_address),
        T(test_firmware_gives_the_io_apic_the_number_after_the_last_vps),
        T(test_the_nmi_button_needs_lint1_and_bit_7_of_port_70_clear),
        T(test_reset_leaves_a_quiet_board_and_the_time_goes_on),
        T(test_counters_tell_what_happened),
        T(test_counters_of_one_device_stand_together_and_have_different_names),
    };

    return RUN_TESTS(tests);
}
