/*
 * The board under a hostile guest: random ports, memory, MSRs and time, with the board's invariants checked
 * after each step; and under a careful guest on a restless machine, which must not lose a level interrupt.
 *
 * Seeds are fixed; VMMU_SEED=N runs another one.
 */
#include "hv/dev/pc.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/dev/invariants.h"
#include "tests/unit/test.h"

#include <stdlib.h>

#define SEEDS      24
#define STEPS      6000
#define CALM_STEPS 3000

static struct fixture_board board;
static uint64_t state_of_random;

/* xorshift: any sequence will do, if it is the same each time. */
static uint64_t random64(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random;
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(random64() >> 32) % limit;
}

static bool chance(uint32_t in)
{
    return below(in) == 0;
}

static void seed(uint64_t number)
{
    const char *asked = getenv("VMMU_SEED");

    state_of_random = (asked ? strtoull(asked, NULL, 0) : number) * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (unsigned i = 0; i < 8; i++)
        (void)random64();
}

static void check_all(void)
{
    const char *broken = pc_broken_invariant(&board.pc);

    if (broken)
        fail_msg("does not hold: %s", broken);
}

/* --- a hostile guest --- */

static uint16_t some_port(void)
{
    static const uint16_t bases[] = { 0x20,  0x40,  0x60,  0x70,  0x90,  0xA0,  0xF0,  0x2F8,
                                      0x2E8, 0x3E8, 0x3F8, 0x4D0, 0x600, 0x608, 0xCF8, 0xFFF8 };

    return chance(20) ? (uint16_t)random64() : (uint16_t)(bases[below(16)] + below(8));
}

static void touch_port(unsigned vp)
{
    static const unsigned widths[] = { 1, 1, 1, 2, 4 };
    const unsigned width = widths[below(5)];
    const uint16_t port = some_port();

    if (chance(3)) {
        (void)pc_port_read(&board.pc, vp, port, width);
    } else {
        pc_port_write(&board.pc, vp, port, width, chance(2) ? below(256) : (uint32_t)random64());
    }
}

static uint64_t some_address(void)
{
    static const uint16_t io_offsets[] = { 0x00, 0x10, 0x40, 0x04 };

    switch (below(5)) {
    case 0: return random64();
    case 1:
    case 2: return PC_IOAPIC_ADDRESS + io_offsets[below(4)] + (chance(30) ? below(16) : 0);
    default: return PC_LAPIC_ADDRESS + below(0x40) * 16 + (chance(30) ? below(16) : 0);
    }
}

static void touch_memory(unsigned vp)
{
    const vmmu_gpa gpa = { some_address() };
    const unsigned width = chance(8) ? 1U << below(4) : 4;
    uint64_t value;

    if (chance(4)) {
        if (!pc_mmio_read(&board.pc, vp, gpa, width, &value))
            EXPECT_EQ(value, UINT64_MAX >> (64 - 8 * width));
    } else {
        (void)pc_mmio_write(&board.pc, vp, gpa, width, chance(2) ? below(0x20000) : random64());
    }
}

static void touch_msr(unsigned vp)
{
    struct lapic *lapic = pc_lapic(&board.pc, vp);
    uint64_t value = chance(2) ? below(0x20000) : random64();
    uint32_t msr = 0x800 + below(0x41);

    if (chance(8)) {
        msr = MSR_IA32_APIC_BASE;
        value = LAPIC_DEFAULT_BASE | (random64() & 0xD00);
    } else if (chance(4)) {
        msr = MSR_IA32_TSC_DEADLINE;
        value = 2 * board.ns + below(1000000) - 1000;
    }
    if (chance(3)) {
        (void)!lapic_msr_read(lapic, msr, &value);
    } else {
        (void)!lapic_msr_write(lapic, msr, value);
    }
}

static void serve_interrupt(unsigned vp)
{
    const int expected = pc_interrupt_pending(&board.pc, vp);
    const int vector = pc_interrupt_accept(&board.pc, vp);

    EXPECT_EQ(vector, expected);
    if (chance(2))
        lapic_eoi(pc_lapic(&board.pc, vp));
}

/* Time passes, and whoever is due runs: afterwards nobody is due any more. */
static void pass_time(void)
{
    board.ns += random64() >> (24 + below(40));
    for (unsigned vp = 0; vp < board.pc.vps; vp++) {
        pc_advance(&board.pc, vp, board.ns);
        EXPECT(pc_deadline(&board.pc, vp) > board.ns);
    }
}

static void outside(void)
{
    switch (below(8)) {
    case 0: pc_nmi_button(&board.pc); break;
    case 1: pc_power_button(&board.pc); break;
    case 2: (void)!pc_serial_break(&board.pc, below(5)); break;
    case 3:
        if (chance(20))
            pc_reset(&board.pc);
        break;
    default: (void)!pc_serial_receive(&board.pc, below(5), (uint8_t)random64()); break;
    }
}

static void use_assist(unsigned vp)
{
    struct lapic *lapic = pc_lapic(&board.pc, vp);

    lapic_cr8_write(lapic, below(16));
    EXPECT(lapic_tpr_threshold(lapic) < 16);
    if (lapic->assist_active) {
        lapic_assist_end(lapic, chance(2));
    } else {
        (void)!lapic_assist_begin(lapic);
    }
}

/* Without this a random guest soon has every local APIC off. */
static void revive(unsigned vp)
{
    struct lapic *lapic = pc_lapic(&board.pc, vp);

    if (!lapic->enabled)
        EXPECT(lapic_msr_write(lapic, MSR_IA32_APIC_BASE, LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE));
    if (lapic->x2apic_mode) {
        EXPECT(lapic_msr_write(lapic, 0x80F, 0x1FF));
    } else {
        lapic_mmio_write(lapic, 0xF0, 4, 0x1FF);
    }
    for (unsigned i = below(4); i > 0; i--)
        lapic_icr_write(lapic, 0x44000 | (16 + below(240))); /* to itself */
}

static void step(void)
{
    const unsigned vp = below(board.pc.vps);

    switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: touch_port(vp); break;
    case 5:
    case 6:
    case 7:
    case 8: touch_memory(vp); break;
    case 9: touch_msr(vp); break;
    case 10:
    case 11: serve_interrupt(vp); break;
    case 12: pass_time(); break;
    case 13: revive(vp); break;
    case 14: use_assist(vp); break;
    default: outside(); break;
    }
}

/* After whatever happened, a reset makes a board whose timer ticks. */
static void check_that_a_reset_mends_everything(void)
{
    pc_reset(&board.pc);
    pc_firmware_handover(&board.pc);
    fixture_out(&board, 0x21, 0xFE);
    fixture_pass(&board, 60 * NS_PER_MS);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x08);
    check_all();
}

static void test_no_sequence_of_accesses_breaks_the_board(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < SEEDS; number++) {
        seed(number);
        fixture_board_init(&board, 1 + number % 4);
        board.pc.serial_ports = 0xF;
        for (unsigned i = 0; i < STEPS; i++) {
            step();
            check_all();
        }
        check_that_a_reset_mends_everything();
    }
}

/* --- a careful guest --- */

#define SCI_VECTOR 0x61
#define LEVEL      0x8000
#define MASKED     0x10000

/*
 * What a careful guest does in its handler: clear the cause, then end the interrupt; or the other way round.
 */
static void handle_sci(bool by_pic)
{
    const int vector = pc_interrupt_accept(&board.pc, 0);

    if (vector < 0)
        return;
    EXPECT_EQ(vector, by_pic ? 0x71 : SCI_VECTOR);
    if (chance(2))
        pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT, 2, 0x100);
    if (chance(3))
        pc_power_button(&board.pc);
    if (by_pic) {
        fixture_out(&board, 0xA0, 0x20);
        fixture_out(&board, 0x20, 0x20);
    } else {
        fixture_lapic_write(&board, 0, 0xB0, 0);
    }
}

static void restless_ioapic(void)
{
    switch (below(7)) {
    case 0: pc_power_button(&board.pc); break;
    case 1: fixture_ioapic_write(&board, 0x10 + 2 * PC_IRQ_SCI, LEVEL | MASKED | SCI_VECTOR); break;
    case 2: fixture_ioapic_write(&board, 0x10 + 2 * PC_IRQ_SCI, LEVEL | SCI_VECTOR); break;
    case 3: fixture_lapic_write(&board, 0, 0xF0, chance(2) ? 0xFF : 0x1FF); break;
    case 4: fixture_lapic_write(&board, 0, 0x80, below(256)); break;
    case 5: fixture_ioapic_write(&board, 0x11 + 2 * PC_IRQ_SCI, below(2) << 24); break;
    default: handle_sci(false); break;
    }
}

static void restless_pic(void)
{
    switch (below(5)) {
    case 0: pc_power_button(&board.pc); break;
    case 1: fixture_out(&board, 0xA1, chance(2) ? 0xFF : 0xFD); break;
    case 2: fixture_out(&board, 0x21, chance(2) ? 0xFF : 0xFB); break;
    case 3: fixture_lapic_write(&board, 0, 0x350, chance(2) ? MASKED | 0x700 : 0x700); break;
    default: handle_sci(true); break;
    }
}

/* In the end everything is let through: the line must be served until it is low. */
static void expect_that_it_drains(bool by_pic)
{
    fixture_lapic_write(&board, 0, 0xF0, 0x1FF);
    fixture_lapic_write(&board, 0, 0x80, 0);
    if (by_pic) {
        fixture_lapic_write(&board, 0, 0x350, 0x700);
        fixture_out(&board, 0xA1, 0xFD);
        fixture_out(&board, 0x21, 0xFB);
    } else {
        fixture_ioapic_pin(&board, PC_IRQ_SCI, LEVEL | SCI_VECTOR, 0);
    }
    for (unsigned i = 0; i < 1000 && pc_interrupt_pending(&board.pc, 0) >= 0; i++)
        handle_sci(by_pic);
    EXPECT(!board.pc.acpi_pm.sci.high);
    pc_power_button(&board.pc);
    EXPECT(pc_interrupt_pending(&board.pc, 0) >= 0);
}

static void careful(bool by_pic)
{
    fixture_board_init(&board, 1);
    pc_port_write(&board.pc, 0, PC_PORT_PM1A_EVENT + 2, 2, 0x100);
    for (unsigned i = 0; i < CALM_STEPS; i++) {
        if (by_pic) {
            restless_pic();
        } else {
            restless_ioapic();
        }
        check_all();
    }
    expect_that_it_drains(by_pic);
}

static void test_a_careful_guest_loses_no_level_interrupt_at_the_io_apic(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < SEEDS; number++) {
        seed(1000 + number);
        careful(false);
    }
}

static void test_a_careful_guest_loses_no_level_interrupt_at_the_8259(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < SEEDS; number++) {
        seed(2000 + number);
        careful(true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_sequence_of_accesses_breaks_the_board),
        cmocka_unit_test(test_a_careful_guest_loses_no_level_interrupt_at_the_io_apic),
        cmocka_unit_test(test_a_careful_guest_loses_no_level_interrupt_at_the_8259),
    };

    return RUN_TESTS(tests);
}
