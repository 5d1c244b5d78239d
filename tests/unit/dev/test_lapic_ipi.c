/*
 * Interprocessor interrupts and destinations, by the SDM's "Issuing Interprocessor Interrupts".
 */
#include "hv/dev/lapic.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name)  cmocka_unit_test_setup(name, setup)

#define ID       0x20
#define EOI      0xB0
#define TPR      0x80
#define LDR      0xD0
#define DFR      0xE0
#define SVR      0xF0
#define ESR      0x280
#define ICR      0x300
#define ICR_HIGH 0x310

/* Fields of the ICR's low half. */
#define LOWEST   0x100
#define SMI      0x200
#define NMI      0x400
#define INIT     0x500
#define STARTUP  0x600
#define EXTINT   0x700
#define LOGICAL  0x800
#define ASSERT   0x4000
#define LEVEL    0x8000
#define SELF     0x40000
#define ALL      0x80000
#define OTHERS   0xC0000

#define VPS      4

static struct fixture_board board;

static void put(unsigned vp, uint32_t offset, uint32_t value)
{
    fixture_lapic_write(&board, vp, offset, value);
}

static int setup(void **state)
{
    (void)state;
    fixture_board_init(&board, VPS);
    for (unsigned vp = 0; vp < VPS; vp++) {
        put(vp, SVR, 0x1FF);
        put(vp, LDR, UINT32_C(1) << (24 + vp));
    }
    return 0;
}

static void send(unsigned vp, uint8_t destination, uint32_t low)
{
    put(vp, ICR_HIGH, (uint32_t)destination << 24);
    put(vp, ICR, low);
}

/* Which VPs have an interrupt, one bit each; takes and ends it, and checks its vector. */
static unsigned taken(int vector)
{
    unsigned vps = 0;

    for (unsigned vp = 0; vp < board.pc.vps; vp++) {
        const int accepted = pc_interrupt_accept(&board.pc, vp);

        if (accepted < 0)
            continue;
        EXPECT_EQ(accepted, vector);
        lapic_eoi(pc_lapic(&board.pc, vp));
        vps |= 1U << vp;
    }
    return vps;
}

static void to_x2apic(void)
{
    for (unsigned vp = 0; vp < VPS; vp++) {
        EXPECT(lapic_msr_write(pc_lapic(&board.pc, vp), MSR_IA32_APIC_BASE,
                               UINT64_C(0xFEE00C00) | (vp == 0 ? APIC_BASE_BSP : 0)));
    }
}

static void send_x2apic(unsigned vp, uint32_t destination, uint32_t low)
{
    EXPECT(lapic_msr_write(pc_lapic(&board.pc, vp), 0x830, (uint64_t)destination << 32 | low));
}

static void test_a_physical_destination_is_one_apic(void **state)
{
    (void)state;
    for (uint8_t vp = 0; vp < VPS; vp++) {
        send(0, vp, ASSERT | 0x51);
        EXPECT_EQ(taken(0x51), 1U << vp);
    }
    send(0, 9, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0);
}

static void test_physical_destination_ff_is_all(void **state)
{
    (void)state;
    send(2, 0xFF, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0xF);
}

static void test_flat_logical_destinations_match_by_bits(void **state)
{
    (void)state;
    send(0, 0x05, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0x5);
    send(0, 0xF0, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0);
    send(0, 0xFF, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0xF);
}

static void test_cluster_logical_destinations_match_cluster_and_bits(void **state)
{
    (void)state;
    for (unsigned vp = 0; vp < VPS; vp++) {
        put(vp, DFR, 0x0FFFFFFF);
        put(vp, LDR, (uint32_t)((vp / 2) << 4 | 1U << vp % 2) << 24);
    }
    send(0, 0x03, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0x3);
    send(0, 0x12, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0x8);
    send(0, 0x2F, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0);
    send(0, 0xFF, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0xF);
}

static void test_other_logical_models_match_nothing(void **state)
{
    (void)state;
    for (unsigned vp = 0; vp < VPS; vp++)
        put(vp, DFR, 0x5FFFFFFF);
    send(0, 0x0F, LOGICAL | ASSERT | 0x61);
    EXPECT_EQ(taken(0x61), 0);
}

static void test_shorthands_need_no_destination(void **state)
{
    (void)state;
    send(1, 0, SELF | ASSERT | 0x71);
    EXPECT_EQ(taken(0x71), 0x2);
    send(1, 0, ALL | ASSERT | 0x71);
    EXPECT_EQ(taken(0x71), 0xF);
    send(1, 0, OTHERS | ASSERT | 0x71);
    EXPECT_EQ(taken(0x71), 0xD);
}

static void test_only_fixed_may_go_to_self_or_all(void **state)
{
    static const uint32_t modes[] = { SMI, NMI, INIT, STARTUP, EXTINT, 0x300 };

    (void)state;
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        send(0, 0, SELF | ASSERT | modes[i] | 0x71);
        send(0, 0, ALL | ASSERT | modes[i] | 0x71);
    }
    for (unsigned vp = 0; vp < VPS; vp++)
        EXPECT_EQ(board.nmis[vp] + board.inits[vp] + board.sipis[vp], 0);
    EXPECT_EQ(taken(0x71), 0);
}

static void test_nmi_reaches_the_others(void **state)
{
    (void)state;
    send(0, 0, OTHERS | ASSERT | NMI);
    EXPECT_EQ(board.nmis[0], 0);
    EXPECT_EQ(board.nmis[1] & board.nmis[2] & board.nmis[3], 1);
}

static void test_init_and_startup_start_a_processor(void **state)
{
    (void)state;
    send(0, 2, INIT | ASSERT | LEVEL);
    EXPECT_EQ(board.inits[2], 1);
    send(0, 2, INIT | LEVEL); /* the de-assert is nothing */
    EXPECT_EQ(board.inits[2], 1);
    EXPECT_EQ(fixture_lapic_read(&board, 2, SVR), 0xFF);
    send(0, 2, STARTUP | ASSERT | 0x9A);
    EXPECT_EQ(board.sipis[2], 1);
    EXPECT_EQ(board.sipi_vector, 0x9A);
    EXPECT_EQ(board.inits[0] + board.inits[1] + board.inits[3], 0);
}

static void test_lowest_priority_goes_to_the_one_with_the_lowest_priority(void **state)
{
    (void)state;
    put(0, TPR, 0x30);
    put(1, TPR, 0x20);
    put(2, TPR, 0x10);
    put(3, TPR, 0x40);
    send(0, 0xFF, LOWEST | LOGICAL | ASSERT | 0x91);
    EXPECT_EQ(taken(0x91), 0x4);
    send(0, 0x0B, LOWEST | LOGICAL | ASSERT | 0x91);
    EXPECT_EQ(taken(0x91), 0x2);
}

static void test_lowest_priority_takes_turns_among_equals(void **state)
{
    unsigned all = 0;

    (void)state;
    for (unsigned i = 0; i < VPS; i++) {
        send(0, 0xFF, LOWEST | LOGICAL | ASSERT | 0x91);
        all |= taken(0x91);
    }
    EXPECT_EQ(all, 0xF);
}

static void test_lowest_priority_passes_over_disabled_apics(void **state)
{
    (void)state;
    put(1, SVR, 0xFF);
    put(2, SVR, 0xFF);
    put(3, SVR, 0xFF);
    for (unsigned i = 0; i < VPS; i++) {
        send(0, 0xFF, LOWEST | LOGICAL | ASSERT | 0x91);
        EXPECT_EQ(taken(0x91), 0x1);
    }
    put(0, SVR, 0xFF);
    send(0, 0xFF, LOWEST | LOGICAL | ASSERT | 0x91);
    EXPECT_EQ(taken(0x91), 0);
}

static void test_an_illegal_vector_is_not_sent_and_is_a_send_error(void **state)
{
    (void)state;
    send(0, 1, ASSERT | 0x0F);
    EXPECT_EQ(taken(0), 0);
    put(0, ESR, 0);
    EXPECT_EQ(fixture_lapic_read(&board, 0, ESR), 0x20);
    put(1, ESR, 0);
    EXPECT_EQ(fixture_lapic_read(&board, 1, ESR), 0);
}

static void test_vector_16_is_the_lowest_that_can_be_sent(void **state)
{
    (void)state;
    send(0, 1, ASSERT | 0x10);
    EXPECT_EQ(taken(0x10), 0x2);
    to_x2apic();
    EXPECT(lapic_msr_write(pc_lapic(&board.pc, 3), 0x83F, 0x10));
    EXPECT_EQ(taken(0x10), 0x8);
}

static void test_ipis_are_edges_whatever_the_trigger_bit(void **state)
{
    (void)state;
    send(0, 1, ASSERT | LEVEL | 0x51);
    EXPECT_EQ(fixture_lapic_read(&board, 1, 0x180 + 2 * 16), 0);
    EXPECT_EQ(taken(0x51), 0x2);
}

static void test_the_delivery_status_is_always_idle_and_the_icr_reads_back(void **state)
{
    (void)state;
    send(0, 3, ASSERT | 0x1000 | 0x51);
    EXPECT_EQ(fixture_lapic_read(&board, 0, ICR), ASSERT | 0x51);
    EXPECT_EQ(fixture_lapic_read(&board, 0, ICR_HIGH), 0x03000000);
    EXPECT_EQ(lapic_icr_read(pc_lapic(&board.pc, 0)), UINT64_C(0x0300000000004051));
}

static void test_the_icr_can_be_written_whole(void **state)
{
    (void)state;
    lapic_icr_write(pc_lapic(&board.pc, 0), UINT64_C(0x0200000000004052));
    EXPECT_EQ(taken(0x52), 0x4);
}

static void test_a_changed_id_is_a_new_physical_address(void **state)
{
    (void)state;
    put(3, ID, 0x21000000);
    send(0, 3, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0);
    send(0, 0x21, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0x8);
}

static void test_x2apic_physical_destinations_have_32_bits(void **state)
{
    (void)state;
    to_x2apic();
    send_x2apic(0, 2, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0x4);
    send_x2apic(0, 0x102, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0);
    send_x2apic(0, 0xFF, ASSERT | 0x51); /* no broadcast here, and there is no APIC 255 */
    EXPECT_EQ(taken(0x51), 0);
    send_x2apic(0, UINT32_MAX, ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0xF);
}

static void test_x2apic_logical_destinations_have_a_cluster_and_16_bits(void **state)
{
    (void)state;
    to_x2apic();
    send_x2apic(0, 0x0000000A, LOGICAL | ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0xA);
    send_x2apic(0, 0x0001000A, LOGICAL | ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0);
    send_x2apic(0, UINT32_MAX, LOGICAL | ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0xF);
}

static void test_wide_destinations_do_not_reach_xapics_by_their_low_byte(void **state)
{
    (void)state;
    EXPECT(lapic_msr_write(pc_lapic(&board.pc, 0), MSR_IA32_APIC_BASE, UINT64_C(0xFEE00D00)));
    send_x2apic(0, 0x00000102, ASSERT | 0x51);
    send_x2apic(0, 0x00010002, LOGICAL | ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0);
    send_x2apic(0, 0x00000006, LOGICAL | ASSERT | 0x51);
    EXPECT_EQ(taken(0x51), 0x6);
}

static void test_the_io_apics_8_bit_broadcast_reaches_x2apics_too(void **state)
{
    (void)state;
    to_x2apic();
    fixture_ioapic_pin(&board, PC_IRQ_COM1_COM3, 0x51, 0xFF000000);
    ioapic_set_pin(&board.pc.ioapic, PC_IRQ_COM1_COM3, true);
    EXPECT_EQ(taken(0x51), 0xF);
    fixture_ioapic_pin(&board, PC_IRQ_COM1_COM3, LOGICAL | 0x51, 0x06000000);
    ioapic_set_pin(&board.pc.ioapic, PC_IRQ_COM1_COM3, false);
    ioapic_set_pin(&board.pc.ioapic, PC_IRQ_COM1_COM3, true);
    EXPECT_EQ(taken(0x51), 0x6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_physical_destination_is_one_apic),
        T(test_physical_destination_ff_is_all),
        T(test_flat_logical_destinations_match_by_bits),
        T(test_cluster_logical_destinations_match_cluster_and_bits),
        T(test_other_logical_models_match_nothing),
        T(test_shorthands_need_no_destination),
        T(test_only_fixed_may_go_to_self_or_all),
        T(test_nmi_reaches_the_others),
        T(test_init_and_startup_start_a_processor),
        T(test_lowest_priority_goes_to_the_one_with_the_lowest_priority),
        T(test_lowest_priority_takes_turns_among_equals),
        T(test_lowest_priority_passes_over_disabled_apics),
        T(test_an_illegal_vector_is_not_sent_and_is_a_send_error),
        T(test_vector_16_is_the_lowest_that_can_be_sent),
        T(test_ipis_are_edges_whatever_the_trigger_bit),
        T(test_the_delivery_status_is_always_idle_and_the_icr_reads_back),
        T(test_the_icr_can_be_written_whole),
        T(test_a_changed_id_is_a_new_physical_address),
        T(test_x2apic_physical_destinations_have_32_bits),
        T(test_x2apic_logical_destinations_have_a_cluster_and_16_bits),
        T(test_wide_destinations_do_not_reach_xapics_by_their_low_byte),
        T(test_the_io_apics_8_bit_broadcast_reaches_x2apics_too),
    };

    return RUN_TESTS(tests);
}
