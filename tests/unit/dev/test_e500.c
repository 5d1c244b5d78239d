/*
 * The e500 board: what is where in the CCSR block, and what reaches the processor.
 */
#include "tests/unit/dev/mpic_rig.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum {
    COM1 = 0x4500,
    COM2 = 0x4600,
    COM3 = 0x4700,
    COM4 = 0x4800,
    IER = 1,
    IIR = 2,
    LSR = 5,
    SCRATCH = 7,
    EIVPR0 = 0x40000 + 0x10000,
    IIVPR_COM1 = 0x40000 + 0x10000 + 42 * 0x20,
    IIVPR_COM3 = 0x40000 + 0x10000 + 43 * 0x20,
    ILR_COM1 = IIVPR_COM1 + 0x18,
    GCR = 0x41020,
    PIR = 0x41090,
    CTPR = 0x40080,
    IACK = 0x400A0,
    EOI = 0x400B0,
    RSTCR = 0xE00B0,
    GPDIR = 0xFF000,
    GPODR = 0xFF004,
    GPDAT = 0xFF008,
    GPIER = 0xFF00C,
    DEBUG_EXIT = 0xF4000,
};

static struct e500_rig rig;

static uint32_t get(uint32_t offset, unsigned width_bytes)
{
    return e500_rig_get(&rig, offset, width_bytes);
}

static void put(uint32_t offset, unsigned width_bytes, uint32_t value)
{
    e500_rig_put(&rig, offset, width_bytes, value);
}

static bool claimed(uint64_t gpa, unsigned width_bytes)
{
    uint32_t value = 1;
    const bool read = e500_mmio_read(&rig.board, 0, (vmmu_gpa){ gpa }, width_bytes, &value);

    EXPECT(read || value == 0);
    return read;
}

/* Bytes that COM1 and COM3 receive interrupt with vectors 42 and 43. */
static void enable_serial(void)
{
    put(CTPR, 4, 0);
    put(IIVPR_COM1, 4, 0x00880000 | 42);
    put(IIVPR_COM3, 4, 0x00890000 | 43);
    for (unsigned i = 0; i < 4; i++)
        put(COM1 + 0x100 * i + IER, 1, 1);
}

/* --- set-up --- */

static void test_configurations_that_cannot_be_are_refused(void **state)
{
    const struct e500_config good = e500_rig_config(8);
    struct e500_config bad[5];
    const struct e500_hooks hooks = e500_rig_hooks(&rig);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        bad[i] = good;
    bad[0].vps = 0;
    bad[1].vps = 9;
    bad[2].platform_hz = 63;
    bad[3].platform_hz = CLOCK_HZ_MAXIMUM + 1;
    bad[4].serial_ports = 0x10;
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQ(e500_init(&rig.board, &bad[i], &hooks), VMMU_INVALID);
    EXPECT_EQ(e500_init(&rig.board, &good, &hooks), VMMU_OK);
}

static void test_a_missing_hook_is_refused(void **state)
{
    const struct e500_config config = e500_rig_config(1);
    struct e500_hooks hooks[6];

    (void)state;
    for (unsigned i = 0; i < 6; i++)
        hooks[i] = e500_rig_hooks(&rig);
    hooks[0].now_ns = NULL;
    hooks[1].request = NULL;
    hooks[2].core_reset = NULL;
    hooks[3].power = NULL;
    hooks[4].debug_exit = NULL;
    hooks[5].serial_write = NULL;
    for (unsigned i = 0; i < 6; i++)
        EXPECT_EQ(e500_init(&rig.board, &config, &hooks[i]), VMMU_INVALID);
}

/* --- memory --- */

static void test_nothing_outside_the_ccsr_block_is_claimed(void **state)
{
    static const uint64_t outside[] = { 0, 0x4500, 0xE0004500, 0xFDFFFFFFC, 0xFE0100000, UINT64_MAX - 3 };

    (void)state;
    e500_rig_open(&rig, 1);
    for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        EXPECT(!claimed(outside[i], 4));
        EXPECT(!e500_mmio_write(&rig.board, 0, (vmmu_gpa){ outside[i] }, 4, 1));
    }
    EXPECT_EQ(rig.board.counters.unclaimed.reads, 6);
    EXPECT_EQ(rig.board.counters.unclaimed.writes, 6);
}

static void test_holes_between_devices_are_not_claimed(void **state)
{
    static const uint32_t holes[] = { 0, 0x44FC, 0x4508, 0x4900, 0x8000, 0x3FFFC, 0x80000, 0xF4004, 0xFE000 };

    (void)state;
    e500_rig_open(&rig, 1);
    for (unsigned i = 0; i < sizeof(holes) / sizeof(holes[0]); i++)
        EXPECT(!claimed(E500_CCSR + holes[i], 4));
}

static void test_odd_widths_and_misaligned_accesses_are_not_claimed(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    EXPECT(!claimed(E500_CCSR + 0x40000, 8));
    EXPECT(!claimed(E500_CCSR + 0x40000, 3));
    EXPECT(!claimed(E500_CCSR + 0x40000, 0));
    EXPECT(!claimed(E500_CCSR + 0x40001, 4));
    EXPECT(!claimed(E500_CCSR + 0x40001, 2));
    EXPECT(!claimed(E500_CCSR + 0x4507, 2));
    EXPECT(claimed(E500_CCSR + 0x40001, 1));
}

static void test_registers_are_big_endian(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    EXPECT_EQ(get(0x40000, 4), 0x00400402);
    EXPECT_EQ(get(0x40002, 2), 0x0402);
    EXPECT_EQ(get(0x40001, 1), 0x40);
    EXPECT_EQ(get(0xE00A0, 4), 0x80210022); /* PVR */
    EXPECT_EQ(get(0xE00A0, 1), 0x80);
    EXPECT_EQ(get(0xE00A3, 1), 0x22);
    EXPECT_EQ(get(0xE00A4, 4), 0x80340112); /* SVR */
}

/* --- serial ports --- */

static void test_each_port_sends_under_its_own_number(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    for (unsigned i = 0; i < 4; i++) {
        put(COM1 + 0x100 * i + 3, 1, 3); /* eight bits */
        put(COM1 + 0x100 * i, 1, 'a' + i);
        EXPECT_EQ(rig.text_port, i);
    }
    EXPECT(memcmp(rig.text, "abcd", 4) == 0);
}

static void test_a_wide_access_is_one_of_each_byte(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    put(COM1 + 4, 4, 0x03000055); /* MCR, LSR, MSR, scratch */
    EXPECT_EQ(get(COM1 + SCRATCH, 1), 0x55);
    EXPECT_EQ(get(COM1 + 4, 4) & 0xFF00FFFF, 0x0300B055 & 0xFF00FFFF);
    EXPECT_EQ(get(COM1 + 4, 2) >> 8, 0x03);
}

static void test_a_port_that_is_not_there_is_not_claimed(void **state)
{
    struct e500_config config = e500_rig_config(1);
    struct e500_hooks hooks;

    (void)state;
    rig = (struct e500_rig){ 0 };
    hooks = e500_rig_hooks(&rig);
    config.serial_ports = 0x5;
    EXPECT_EQ(e500_init(&rig.board, &config, &hooks), VMMU_OK);
    EXPECT(claimed(E500_CCSR + COM1, 1));
    EXPECT(!claimed(E500_CCSR + COM2, 1));
    EXPECT(claimed(E500_CCSR + COM3, 1));
    EXPECT(!claimed(E500_CCSR + COM4, 1));
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    EXPECT(!e500_serial_receive(&rig.board, 1, 'x'));
    EXPECT(!e500_serial_receive(&rig.board, 4, 'x'));
    EXPECT(!e500_serial_break(&rig.board, 3));
}

static void test_a_byte_interrupts_without_out2(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    enable_serial();
    EXPECT(!e500_external_is_pending(&rig.board, 0));
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    EXPECT(e500_external_is_pending(&rig.board, 0));
    EXPECT_EQ(rig.requests[0], 1);
    EXPECT_EQ(get(IACK, 4), 42);
    EXPECT_EQ(get(COM1, 1), 'x');
    put(EOI, 4, 0);
    EXPECT(!e500_external_is_pending(&rig.board, 0));
}

static void test_two_ports_share_a_line(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    enable_serial();
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    EXPECT(e500_serial_receive(&rig.board, 1, 'y'));
    EXPECT_EQ(get(COM1, 1), 'x');
    EXPECT(e500_external_is_pending(&rig.board, 0)); /* COM2 still drives it */
    EXPECT_EQ(get(COM2, 1), 'y');
    EXPECT(!e500_external_is_pending(&rig.board, 0));
    EXPECT(e500_serial_receive(&rig.board, 3, 'z'));
    EXPECT_EQ(get(IACK, 4), 43);
}

static void test_a_fifo_that_is_not_full_enough_interrupts_after_four_characters_time(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    enable_serial();
    put(COM1 + 3, 1, 0x83);
    put(COM1, 1, 217); /* 400 MHz / 16 / 217 = 115207 baud */
    put(COM1 + 1, 1, 0);
    put(COM1 + 3, 1, 3);
    put(COM1 + IIR, 1, 0xC1); /* 14 bytes */
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    EXPECT(!e500_external_is_pending(&rig.board, 0));
    EXPECT_EQ(e500_deadline(&rig.board), 347200); /* 40 bits of 217 * 40 ns */
    rig.ns = e500_deadline(&rig.board) - 1;
    e500_advance(&rig.board, rig.ns);
    EXPECT(!e500_external_is_pending(&rig.board, 0));
    rig.ns++;
    e500_advance(&rig.board, rig.ns);
    EXPECT(e500_external_is_pending(&rig.board, 0));
    EXPECT_EQ(e500_deadline(&rig.board), CLOCK_NEVER);
}

/* --- what the processor takes --- */

static void test_with_external_proxy_taking_the_interrupt_acknowledges_it(void **state)
{
    uint32_t epr = 0;

    (void)state;
    e500_rig_open(&rig, 1);
    enable_serial();
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    EXPECT(!e500_take_external(&rig.board, 0, &epr)); /* mode 0: software reads IACK */
    put(GCR, 4, 0x60000000);
    EXPECT(e500_take_external(&rig.board, 0, &epr));
    EXPECT_EQ(epr, 42);
    EXPECT(!e500_external_is_pending(&rig.board, 0));
}

static void test_a_critical_interrupt_has_its_own_input(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    enable_serial();
    put(ILR_COM1, 4, 1);
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    EXPECT(e500_critical_is_pending(&rig.board, 0));
    EXPECT(!e500_external_is_pending(&rig.board, 0));
    EXPECT_EQ(rig.requests[0], 1);
    EXPECT_EQ(get(COM1, 1), 'x');
    EXPECT(!e500_critical_is_pending(&rig.board, 0));
}

static void test_pins_that_nothing_drives_interrupt_by_neither_level(void **state)
{
    static const uint32_t polarities[] = { 0, 0x00800000 };

    (void)state;
    e500_rig_open(&rig, 1);
    put(CTPR, 4, 0);
    for (uint32_t pin = 0; pin < 12; pin++) {
        for (unsigned i = 0; i < 2; i++) {
            put(EIVPR0 + pin * 0x20, 4, polarities[i] | 0x00480007); /* level, priority 8, vector 7 */
            EXPECT(!e500_external_is_pending(&rig.board, 0));
        }
    }
    EXPECT_EQ(rig.requests[0], 0);
    EXPECT_EQ(get(IACK, 4), 0xFFFF);
}

static void test_timers_of_the_mpic_are_due_with_the_board(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    put(CTPR, 4, 0);
    put(0x41120, 4, 0x00050077);
    put(0x41110, 4, 50000);
    EXPECT_EQ(e500_deadline(&rig.board), 1000000);
    rig.ns = 1000000;
    e500_advance(&rig.board, rig.ns);
    EXPECT_EQ(get(IACK, 4), 0x77);
    EXPECT_EQ(rig.board.counters.advanced, 1);
}

static void test_another_processors_own_registers_are_its_own(void **state)
{
    uint32_t value;

    (void)state;
    e500_rig_open(&rig, 3);
    EXPECT(e500_mmio_read(&rig.board, 2, (vmmu_gpa){ E500_CCSR + 0x40090 }, 4, &value));
    EXPECT_EQ(value, 2); /* WHOAMI */
    EXPECT_EQ(rig.board.counters.memory[2].reads, 1);
    put(PIR, 4, 2);
    EXPECT_EQ(rig.core_resets[1], 1);
}

/* --- the end --- */

static void test_pin_0_switches_the_power_off_when_it_is_driven_high(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    put(GPDAT, 4, 0x80000000); /* an input still */
    EXPECT_EQ(rig.power_offs, 0);
    put(GPDIR, 4, 0x80000000);
    EXPECT_EQ(rig.power_offs, 1);
    put(GPDAT, 4, 0);
    EXPECT_EQ(rig.power_offs, 1);
    put(GPDAT, 4, 0x80000000);
    EXPECT_EQ(rig.power_offs, 2);
}

static void test_other_pins_and_open_drains_do_not(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    put(GPDIR, 4, UINT32_MAX);
    put(GPDAT, 4, 0x7FFFFFFF);
    put(GPODR, 4, 0x80000000);
    put(GPDAT, 4, UINT32_MAX);
    EXPECT_EQ(rig.power_offs, 0);
    EXPECT_EQ(get(GPDAT, 4), UINT32_MAX);
    put(GPDIR, 4, 0x0000FFFF);
    EXPECT_EQ(get(GPDAT, 4), 0x0000FFFF); /* inputs read as low */
    put(GPIER, 4, UINT32_MAX);
    EXPECT_EQ(get(GPIER, 4), 0); /* written ones clear */
}

static void test_rstcr_resets_the_machine(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    put(RSTCR, 4, 1);
    EXPECT_EQ(rig.resets, 0);
    put(RSTCR, 4, 2);
    EXPECT_EQ(rig.resets, 1);
}

static void test_the_debug_exit_takes_words_only(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    EXPECT(!e500_mmio_write(&rig.board, 0, (vmmu_gpa){ E500_CCSR + DEBUG_EXIT }, 1, 7));
    EXPECT_EQ(rig.debug_exits, 0);
    put(DEBUG_EXIT, 4, 0x12345678);
    EXPECT_EQ(rig.debug_exits, 1);
    EXPECT_EQ(rig.debug_value, 0x12345678);
    EXPECT_EQ(get(DEBUG_EXIT, 4), 0);
}

static void test_a_reset_puts_all_devices_back(void **state)
{
    (void)state;
    e500_rig_open(&rig, 1);
    enable_serial();
    put(GPDIR, 4, UINT32_MAX);
    put(COM1 + 4, 1, 3);
    EXPECT(e500_serial_receive(&rig.board, 0, 'x'));
    e500_reset(&rig.board);
    EXPECT(!e500_external_is_pending(&rig.board, 0));
    EXPECT_EQ(get(GPDIR, 4), 0);
    EXPECT_EQ(get(COM1 + IER, 1), 0);
    EXPECT_EQ(get(COM1 + LSR, 1), 0x60);
    EXPECT_EQ(get(IIVPR_COM1, 4), 0x80800000);
    EXPECT_EQ(get(CTPR, 4), 15);
}

static void test_counters_have_names_and_an_end(void **state)
{
    struct dev_counter counter;
    unsigned index = 0;
    bool seen = false;

    (void)state;
    e500_rig_open(&rig, 2);
    put(COM2, 1, 'x');
    while (e500_counter(&rig.board, index, &counter)) {
        if (counter.device == NULL || counter.name == NULL) {
            abort();
        }
        seen = seen || (strcmp(counter.device, "uart1") == 0 && strcmp(counter.name, "sent") == 0 &&
                        counter.value == 1);
        index++;
    }
    EXPECT(seen);
    EXPECT_EQ(index, 2 * 2 + 8 + 4 * 7 + 8);
    EXPECT(!e500_counter(&rig.board, UINT32_MAX, &counter));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configurations_that_cannot_be_are_refused),
        cmocka_unit_test(test_a_missing_hook_is_refused),
        cmocka_unit_test(test_nothing_outside_the_ccsr_block_is_claimed),
        cmocka_unit_test(test_holes_between_devices_are_not_claimed),
        cmocka_unit_test(test_odd_widths_and_misaligned_accesses_are_not_claimed),
        cmocka_unit_test(test_registers_are_big_endian),
        cmocka_unit_test(test_each_port_sends_under_its_own_number),
        cmocka_unit_test(test_a_wide_access_is_one_of_each_byte),
        cmocka_unit_test(test_a_port_that_is_not_there_is_not_claimed),
        cmocka_unit_test(test_a_byte_interrupts_without_out2),
        cmocka_unit_test(test_two_ports_share_a_line),
        cmocka_unit_test(test_a_fifo_that_is_not_full_enough_interrupts_after_four_characters_time),
        cmocka_unit_test(test_with_external_proxy_taking_the_interrupt_acknowledges_it),
        cmocka_unit_test(test_a_critical_interrupt_has_its_own_input),
        cmocka_unit_test(test_pins_that_nothing_drives_interrupt_by_neither_level),
        cmocka_unit_test(test_timers_of_the_mpic_are_due_with_the_board),
        cmocka_unit_test(test_another_processors_own_registers_are_its_own),
        cmocka_unit_test(test_pin_0_switches_the_power_off_when_it_is_driven_high),
        cmocka_unit_test(test_other_pins_and_open_drains_do_not),
        cmocka_unit_test(test_rstcr_resets_the_machine),
        cmocka_unit_test(test_the_debug_exit_takes_words_only),
        cmocka_unit_test(test_a_reset_puts_all_devices_back),
        cmocka_unit_test(test_counters_have_names_and_an_end),
    };

    return RUN_TESTS(tests);
}
