/*
 * The local APIC's registers by memory and by MSR, its modes, and the local vector table.
 */
#include "hv/dev/lapic.h"

#include "tests/unit/dev/fixture.h"
#include "tests/unit/test.h"

#define T(name)        cmocka_unit_test_setup(name, setup)

/* Memory offsets; the MSR of a register is 0x800 plus offset / 16. */
#define ID             0x20
#define VERSION        0x30
#define TPR            0x80
#define APR            0x90
#define PPR            0xA0
#define EOI            0xB0
#define RRD            0xC0
#define LDR            0xD0
#define DFR            0xE0
#define SVR            0xF0
#define ISR            0x100
#define IRR            0x200
#define ESR            0x280
#define CMCI           0x2F0
#define ICR            0x300
#define ICR_HIGH       0x310
#define TIMER          0x320
#define THERMAL        0x330
#define PERFMON        0x340
#define LINT0          0x350
#define LINT1          0x360
#define ERROR          0x370
#define INITIAL        0x380
#define CURRENT        0x390
#define DIVIDE         0x3E0
#define SELF_IPI       0x3F0

#define MSR_OF(offset) (0x800 + (offset) / 16)

#define MASKED         0x10000
#define EXTD           0x400
#define EN             0x800
#define BSP            0x100

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

static bool wrmsr(uint32_t msr, uint64_t value)
{
    return lapic_msr_write(lapic, msr, value);
}

static uint64_t rdmsr(uint32_t msr)
{
    uint64_t value = 0;

    EXPECT(lapic_msr_read(lapic, msr, &value));
    return value;
}

static bool rdmsr_faults(uint32_t msr)
{
    uint64_t value;

    return !lapic_msr_read(lapic, msr, &value);
}

static void enter_x2apic(void)
{
    EXPECT(wrmsr(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | EXTD));
}

/* --- power-up --- */

static void test_power_up_state_is_that_of_the_manual(void **state)
{
    (void)state;
    lapic_reset(lapic);
    EXPECT_EQ(rdmsr(MSR_IA32_APIC_BASE), UINT64_C(0xFEE00000) | EN | BSP);
    EXPECT_EQ(get(ID), 0);
    EXPECT_EQ(get(SVR), 0xFF);
    EXPECT_EQ(get(DFR), UINT32_MAX);
    EXPECT_EQ(get(LDR), 0);
    EXPECT_EQ(get(TPR), 0);
    for (uint32_t offset = TIMER; offset <= ERROR; offset += 16)
        EXPECT_EQ(get(offset), MASKED);
    for (uint32_t offset = ISR; offset < ESR; offset += 16)
        EXPECT_EQ(get(offset), 0);
    EXPECT_EQ(get(ICR), 0);
    EXPECT_EQ(get(ICR_HIGH), 0);
    EXPECT_EQ(get(INITIAL), 0);
    EXPECT_EQ(get(CURRENT), 0);
    EXPECT_EQ(get(DIVIDE), 0);
}

static void test_only_the_bootstrap_processor_has_the_bsp_flag(void **state)
{
    uint64_t value;

    (void)state;
    fixture_board_init(&board, 2);
    EXPECT(lapic_msr_read(pc_lapic(&board.pc, 1), MSR_IA32_APIC_BASE, &value));
    EXPECT_EQ(value, UINT64_C(0xFEE00000) | EN);
    EXPECT_EQ(fixture_lapic_read(&board, 1, ID), 0x01000000);
}

static void test_the_version_register_tells_six_lvt_entries_and_eoi_broadcast_suppression(void **state)
{
    (void)state;
    EXPECT_EQ(get(VERSION), 0x01050014);
}

static void test_firmware_leaves_the_bootstrap_processor_in_virtual_wire_mode(void **state)
{
    (void)state;
    EXPECT_EQ(get(SVR), 0x1FF);
    EXPECT_EQ(get(LINT0), 0x700);
    EXPECT_EQ(get(LINT1), 0x400);
}

/* --- by memory --- */

static void test_deadline_mode_is_dropped_by_memory_where_it_is_not_offered(void **state)
{
    (void)state;
    lapic->config.tsc_deadline = false;
    put(TIMER, 0x400FF);
    EXPECT_EQ(get(TIMER), 0xFF);
}

static void test_reserved_bits_are_dropped_by_memory(void **state)
{
    static const struct {
        uint32_t offset;
        uint32_t kept;
    } registers[] = {
        { ID, 0xFF000000 }, { TPR, 0xFF },        { LDR, 0xFF000000 },      { SVR, 0x13FF },
        { TIMER, 0x700FF }, { THERMAL, 0x107FF }, { PERFMON, 0x107FF },     { LINT0, 0x1A7FF },
        { LINT1, 0x1A7FF }, { ERROR, 0x100FF },   { ICR_HIGH, 0xFF000000 }, { DIVIDE, 0xB },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        put(registers[i].offset, UINT32_MAX);
        EXPECT_EQ(get(registers[i].offset), registers[i].kept);
    }
    put(DFR, 0);
    EXPECT_EQ(get(DFR), 0x0FFFFFFF);
}

static void test_registers_that_do_not_exist_are_an_illegal_register_address(void **state)
{
    static const uint32_t missing[] = { 0x00,  0x10, 0x40,  0x70,     APR,   RRD,
                                        0x290, CMCI, 0x3A0, SELF_IPI, 0x400, 0xFF0 };

    (void)state;
    for (unsigned i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        put(ESR, 0);
        put(ESR, 0);
        EXPECT_EQ(get(missing[i]), 0);
        put(ESR, 0);
        EXPECT_EQ(get(ESR), 0x80);
        put(ESR, 0);
        put(missing[i], 0x123);
        put(ESR, 0);
        EXPECT_EQ(get(ESR), 0x80);
    }
}

static void test_writing_a_read_only_register_changes_nothing_and_is_no_error(void **state)
{
    (void)state;
    put(VERSION, 0);
    put(PPR, 0xFF);
    put(CURRENT, 5);
    EXPECT_EQ(get(VERSION), 0x01050014);
    EXPECT_EQ(get(PPR), 0);
    put(ESR, 0);
    EXPECT_EQ(get(ESR), 0);
}

static void test_only_aligned_32_bit_writes_are_taken(void **state)
{
    (void)state;
    lapic_mmio_write(lapic, TPR, 1, 0x20);
    lapic_mmio_write(lapic, TPR, 8, 0x20);
    lapic_mmio_write(lapic, TPR + 4, 4, 0x20);
    EXPECT_EQ(get(TPR), 0);
    lapic_mmio_write(lapic, TPR, 4, 0x20);
    EXPECT_EQ(get(TPR), 0x20);
}

static void test_narrow_and_wide_reads_give_the_bytes_that_lie_there(void **state)
{
    (void)state;
    EXPECT_EQ(lapic_mmio_read(lapic, VERSION, 1), 0x14);
    EXPECT_EQ(lapic_mmio_read(lapic, VERSION + 2, 1), 0x05);
    EXPECT_EQ(lapic_mmio_read(lapic, VERSION + 2, 2), 0x0105);
    EXPECT_EQ(lapic_mmio_read(lapic, VERSION, 8), 0x01050014);
    EXPECT_EQ(lapic_mmio_read(lapic, VERSION + 4, 4), 0);
}

static void test_the_page_moves_with_the_base(void **state)
{
    uint64_t value;

    (void)state;
    EXPECT(wrmsr(MSR_IA32_APIC_BASE, UINT64_C(0x300000000) | EN | BSP));
    EXPECT(!pc_mmio_read(&board.pc, 0, (vmmu_gpa){ 0xFEE00030 }, 4, &value));
    EXPECT_EQ(value, UINT32_MAX);
    EXPECT(pc_mmio_read(&board.pc, 0, (vmmu_gpa){ UINT64_C(0x300000030) }, 4, &value));
    EXPECT_EQ(value, 0x01050014);
}

/* --- SVR and the vector table --- */

static void test_software_disabling_masks_every_lvt_entry_and_keeps_it_masked(void **state)
{
    (void)state;
    put(TIMER, 0x31);
    put(ERROR, 0x32);
    put(SVR, 0xFF);
    EXPECT_EQ(get(TIMER), MASKED | 0x31);
    EXPECT_EQ(get(ERROR), MASKED | 0x32);
    EXPECT_EQ(get(LINT0), MASKED | 0x700);
    put(TIMER, 0x33);
    EXPECT_EQ(get(TIMER), MASKED | 0x33);
    put(SVR, 0x1FF);
    EXPECT_EQ(get(TIMER), MASKED | 0x33);
    put(TIMER, 0x33);
    EXPECT_EQ(get(TIMER), 0x33);
}

static void test_local_events_are_delivered_as_their_entry_says(void **state)
{
    (void)state;
    lapic_local_event(lapic, LAPIC_LVT_THERMAL);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    put(THERMAL, 0x61);
    put(PERFMON, 0x400);
    lapic_local_event(lapic, LAPIC_LVT_THERMAL);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x61);
    lapic_local_event(lapic, LAPIC_LVT_PERFORMANCE);
    EXPECT_EQ(board.nmis[0], 1);
    put(PERFMON, 0x200); /* SMI: the board has none */
    lapic_local_event(lapic, LAPIC_LVT_PERFORMANCE);
    put(PERFMON, 0x500);
    lapic_local_event(lapic, LAPIC_LVT_PERFORMANCE);
    EXPECT_EQ(board.inits[0], 1);
}

static void test_lint1_delivers_nmi_at_its_rising_edge(void **state)
{
    (void)state;
    lapic_lint1(lapic, true);
    EXPECT_EQ(board.nmis[0], 1);
    lapic_lint1(lapic, true);
    lapic_lint1(lapic, false);
    EXPECT_EQ(board.nmis[0], 1);
    put(LINT1, MASKED | 0x400);
    lapic_lint1(lapic, true);
    EXPECT_EQ(board.nmis[0], 1);
    lapic_lint1(lapic, false);
    put(LINT1, 0x2400); /* active low */
    lapic_lint1(lapic, true);
    EXPECT_EQ(board.nmis[0], 1);
    lapic_lint1(lapic, false);
    EXPECT_EQ(board.nmis[0], 2);
}

static void test_lint1_may_carry_an_extint(void **state)
{
    (void)state;
    put(LINT0, MASKED);
    put(LINT1, 0x700);
    lapic_lint1(lapic, true);
    EXPECT_EQ(lapic->ready, LAPIC_READY_EXTINT);
}

static void test_lint0_fixed_edge_interrupts_once_per_rise(void **state)
{
    (void)state;
    put(LINT0, 0x45);
    lapic_lint0(lapic, true);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x45);
    put(EOI, 0);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    lapic_lint0(lapic, false);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    lapic_lint0(lapic, true);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), 0x45);
}

static void test_lint0_fixed_level_has_a_remote_irr_and_comes_again_after_eoi_while_high(void **state)
{
    (void)state;
    put(LINT0, 0x8045);
    lapic_lint0(lapic, true);
    EXPECT_EQ(get(LINT0), 0xC045);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x45);
    put(EOI, 0);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x45);
    lapic_lint0(lapic, false);
    put(EOI, 0);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    EXPECT_EQ(get(LINT0), 0x8045);
}

static void test_a_level_on_lint0_that_was_masked_comes_when_it_is_unmasked(void **state)
{
    (void)state;
    put(LINT0, MASKED | 0x8045);
    lapic_lint0(lapic, true);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    put(LINT0, 0x8045);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), 0x45);
}

static void test_lint0_that_stays_high_is_one_edge(void **state)
{
    (void)state;
    put(LINT0, 0x45);
    lapic_lint0(lapic, true);
    lapic_lint0(lapic, true);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x45);
    put(EOI, 0);
    lapic_lint0(lapic, true);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
}

static void test_lint0_may_be_active_low(void **state)
{
    (void)state;
    put(LINT0, MASKED | 0xA045);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    put(LINT0, 0xA045);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), 0x45); /* the pin is low */
}

static void test_lint0_as_nmi_is_an_edge_whatever_its_trigger_bit(void **state)
{
    (void)state;
    put(LINT0, 0x8400);
    lapic_lint0(lapic, true);
    EXPECT_EQ(board.nmis[0], 1);
    EXPECT_EQ(get(LINT0), 0x8400);
}

/* --- errors --- */

static void test_esr_shows_errors_only_after_it_is_written(void **state)
{
    (void)state;
    (void)get(APR);
    EXPECT_EQ(get(ESR), 0);
    put(ESR, 0);
    EXPECT_EQ(get(ESR), 0x80);
    EXPECT_EQ(get(ESR), 0x80);
    put(ESR, 0);
    EXPECT_EQ(get(ESR), 0);
}

static void test_the_error_interrupt_comes_once_until_esr_is_written(void **state)
{
    (void)state;
    put(ERROR, 0xFE);
    (void)get(APR);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0xFE);
    put(EOI, 0);
    (void)get(APR);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
    put(ESR, 0);
    (void)get(APR);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), 0xFE);
}

static void test_an_illegal_vector_in_the_error_entry_is_one_error_more(void **state)
{
    (void)state;
    put(ERROR, 0x05);
    (void)get(APR);
    put(ESR, 0);
    EXPECT_EQ(get(ESR), 0xC0);
    EXPECT_EQ(pc_interrupt_pending(&board.pc, 0), -1);
}

/* --- x2APIC --- */

static void test_x2apic_msrs_fault_outside_x2apic_mode(void **state)
{
    (void)state;
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        EXPECT(rdmsr_faults(msr));
        EXPECT(!wrmsr(msr, 0));
    }
}

static void test_memory_does_not_answer_in_x2apic_mode(void **state)
{
    uint64_t value;

    (void)state;
    enter_x2apic();
    EXPECT(!pc_mmio_read(&board.pc, 0, (vmmu_gpa){ 0xFEE00030 }, 4, &value));
    EXPECT(!pc_mmio_write(&board.pc, 0, (vmmu_gpa){ 0xFEE000B0 }, 4, 0));
}

enum access {
    NONE = 0,
    R = 1,
    W = 2,
    RW = 3,
};

/*
 * The column "MSR Address ... R/W Semantics" of the table "Local APIC Register Address
 * Map Supported by x2APIC".
 */
static enum access x2apic_access(uint32_t msr)
{
    switch (msr) {
    case 0x802:
    case 0x803:
    case 0x80A:
    case 0x80D:
    case 0x839: return R;
    case 0x80B:
    case 0x83F: return W;
    case 0x808:
    case 0x80F:
    case 0x828:
    case 0x830:
    case 0x838:
    case 0x83E: return RW;
    default: break;
    }
    if (msr >= 0x810 && msr <= 0x827)
        return R;
    if (msr >= 0x832 && msr <= 0x837)
        return RW;
    return NONE;
}

static void test_each_x2apic_register_reads_and_writes_as_the_table_says(void **state)
{
    (void)state;
    enter_x2apic();
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        EXPECT_EQ(rdmsr_faults(msr), (x2apic_access(msr) & R) == 0);
        /* Zero has no reserved bit; as an ICR or self IPI it is an illegal vector, which is no fault. */
        EXPECT_EQ(wrmsr(msr, 0), (x2apic_access(msr) & W) != 0);
    }
}

static void test_each_reserved_bit_faults_and_each_other_bit_does_not(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t valid;
    } registers[] = {
        { 0x808, 0xFF },
        { 0x80B, 0 },
        { 0x80F, 0x13FF },
        { 0x828, 0 },
        { 0x830, UINT64_C(0xFFFFFFFF000CDFFF) },
        { 0x832, 0x510FF | 0x20000 },
        { 0x833, 0x117FF },
        { 0x834, 0x117FF },
        { 0x835, 0x1F7FF },
        { 0x836, 0x1F7FF },
        { 0x837, 0x110FF },
        { 0x838, 0xFFFFFFFF },
        { 0x83E, 0xB },
        { 0x83F, 0xFF },
    };

    (void)state;
    enter_x2apic();
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        for (unsigned bit = 0; bit < 64; bit++)
            EXPECT_EQ(wrmsr(registers[i].msr, UINT64_C(1) << bit), (registers[i].valid >> bit & 1) != 0);
    }
}

static void test_a_write_that_faults_changes_nothing(void **state)
{
    (void)state;
    enter_x2apic();
    EXPECT(wrmsr(MSR_OF(TPR), 0x20));
    EXPECT(!wrmsr(MSR_OF(TPR), 0x130));
    EXPECT_EQ(rdmsr(MSR_OF(TPR)), 0x20);
}

static void test_timer_mode_3_is_reserved_and_deadline_mode_too_where_it_is_not_offered(void **state)
{
    (void)state;
    enter_x2apic();
    EXPECT(!wrmsr(MSR_OF(TIMER), 0x60030));
    EXPECT(wrmsr(MSR_OF(TIMER), 0x40030));
    lapic->config.tsc_deadline = false;
    EXPECT(!wrmsr(MSR_OF(TIMER), 0x40030));
    EXPECT(rdmsr_faults(MSR_IA32_TSC_DEADLINE));
    EXPECT(!wrmsr(MSR_IA32_TSC_DEADLINE, 0));
}

static void test_x2apic_id_has_32_bits_and_the_logical_id_follows_from_it(void **state)
{
    (void)state;
    fixture_board_init(&board, 8);
    for (unsigned vp = 0; vp < 8; vp++) {
        lapic = pc_lapic(&board.pc, vp);
        enter_x2apic();
        EXPECT_EQ(rdmsr(MSR_OF(ID)), vp);
        EXPECT_EQ(rdmsr(MSR_OF(LDR)), 1U << vp);
    }
}

static void test_eoi_and_interrupts_work_by_msr(void **state)
{
    (void)state;
    enter_x2apic();
    EXPECT(wrmsr(MSR_OF(SELF_IPI), 0x77));
    EXPECT_EQ(rdmsr(MSR_OF(IRR) + 3), 1U << 23);
    EXPECT_EQ(pc_interrupt_accept(&board.pc, 0), 0x77);
    EXPECT_EQ(rdmsr(MSR_OF(ISR) + 3), 1U << 23);
    EXPECT_EQ(rdmsr(0x81B), 0); /* TMR: an edge */
    EXPECT(!wrmsr(MSR_OF(EOI), 1));
    EXPECT(wrmsr(MSR_OF(EOI), 0));
    EXPECT_EQ(rdmsr(MSR_OF(ISR) + 3), 0);
}

static void test_self_ipis_with_illegal_vectors_are_send_errors(void **state)
{
    (void)state;
    enter_x2apic();
    EXPECT(wrmsr(MSR_OF(SELF_IPI), 0x0F));
    EXPECT(wrmsr(MSR_OF(ESR), 0));
    EXPECT_EQ(rdmsr(MSR_OF(ESR)), 0x20);
}

static void test_going_to_x2apic_mode_keeps_all_but_id_ldr_and_the_icrs_upper_half(void **state)
{
    (void)state;
    put(ID, 0x09000000);
    put(LDR, 0x42000000);
    put(ICR_HIGH, 0x55000000);
    put(ICR, 0x000C4041); /* to nobody else */
    put(TPR, 0x30);
    put(SVR, 0x1EE);
    put(LINT1, 0x12345 & 0x1A7FF);
    enter_x2apic();
    EXPECT_EQ(rdmsr(MSR_OF(ID)), 0);
    EXPECT_EQ(rdmsr(MSR_OF(LDR)), 1);
    EXPECT_EQ(rdmsr(MSR_OF(ICR)), 0x000C4041);
    EXPECT_EQ(rdmsr(MSR_OF(TPR)), 0x30);
    EXPECT_EQ(rdmsr(MSR_OF(SVR)), 0x1EE);
    EXPECT_EQ(rdmsr(MSR_OF(LINT1)), 0x12345 & 0x1A7FF);
}

/* --- IA32_APIC_BASE --- */

enum mode {
    DISABLED = 0,
    INVALID = EXTD,
    XAPIC = EN,
    X2APIC = EN | EXTD,
};

static bool go(enum mode mode)
{
    return wrmsr(MSR_IA32_APIC_BASE, UINT64_C(0xFEE00000) | BSP | mode);
}

static void reach(enum mode mode)
{
    lapic_reset(lapic);
    if (mode == X2APIC || mode == DISABLED)
        EXPECT(go(mode));
}

static void test_the_transitions_between_modes_are_those_of_the_manual(void **state)
{
    static const enum mode modes[] = { DISABLED, XAPIC, X2APIC };
    static const bool legal[3][3] = { { true, true, false }, { true, true, true }, { true, false, true } };

    (void)state;
    for (unsigned from = 0; from < 3; from++) {
        for (unsigned to = 0; to < 3; to++) {
            reach(modes[from]);
            EXPECT_EQ(go(modes[to]), legal[from][to]);
            EXPECT_EQ(rdmsr(MSR_IA32_APIC_BASE) & (EN | EXTD), modes[legal[from][to] ? to : from]);
        }
        reach(modes[from]);
        EXPECT(!go(INVALID));
    }
}

static void test_reserved_bits_and_addresses_past_the_physical_width_fault(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        const bool valid = bit == 8 || bit == 10 || bit == 11 || (bit >= 12 && bit < 40);

        lapic_reset(lapic);
        EXPECT_EQ(wrmsr(MSR_IA32_APIC_BASE, EN | UINT64_C(1) << bit), valid);
    }
}

static void test_where_x2apic_is_not_offered_its_bit_is_reserved(void **state)
{
    (void)state;
    lapic->config.x2apic = false;
    EXPECT(!go(X2APIC));
    EXPECT_EQ(rdmsr(MSR_IA32_APIC_BASE) & EXTD, 0);
}

static void test_disabling_resets_the_registers_and_the_id(void **state)
{
    (void)state;
    put(ID, 0x07000000);
    put(TPR, 0x20);
    EXPECT(go(DISABLED));
    EXPECT(go(XAPIC));
    EXPECT_EQ(get(ID), 0);
    EXPECT_EQ(get(TPR), 0);
    EXPECT_EQ(get(SVR), 0xFF);
}

static void test_a_disabled_apic_takes_no_message_and_its_pins_are_intr_and_nmi(void **state)
{
    const struct apic_message nmi = { .delivery = APIC_NMI };

    (void)state;
    EXPECT(go(DISABLED));
    EXPECT(!lapic_receive(lapic, &nmi));
    EXPECT_EQ(board.nmis[0], 0);
    lapic_lint1(lapic, true);
    EXPECT_EQ(board.nmis[0], 1);
    lapic_lint0(lapic, true);
    EXPECT_EQ(lapic->ready, LAPIC_READY_EXTINT);
    lapic_lint0(lapic, false);
    EXPECT_EQ(lapic->ready, LAPIC_READY_NONE);
    lapic_local_event(lapic, LAPIC_LVT_THERMAL);
    EXPECT_EQ(lapic->ready, LAPIC_READY_NONE);
}

static void test_other_msrs_are_not_the_local_apics(void **state)
{
    (void)state;
    EXPECT(rdmsr_faults(0x10));
    EXPECT(!wrmsr(0x10, 0));
    EXPECT(rdmsr_faults(0x900));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_power_up_state_is_that_of_the_manual),
        T(test_only_the_bootstrap_processor_has_the_bsp_flag),
        T(test_the_version_register_tells_six_lvt_entries_and_eoi_broadcast_suppression),
        T(test_firmware_leaves_the_bootstrap_processor_in_virtual_wire_mode),
        T(test_reserved_bits_are_dropped_by_memory),
        T(test_deadline_mode_is_dropped_by_memory_where_it_is_not_offered),
        T(test_registers_that_do_not_exist_are_an_illegal_register_address),
        T(test_writing_a_read_only_register_changes_nothing_and_is_no_error),
        T(test_only_aligned_32_bit_writes_are_taken),
        T(test_narrow_and_wide_reads_give_the_bytes_that_lie_there),
        T(test_the_page_moves_with_the_base),
        T(test_software_disabling_masks_every_lvt_entry_and_keeps_it_masked),
        T(test_local_events_are_delivered_as_their_entry_says),
        T(test_lint1_delivers_nmi_at_its_rising_edge),
        T(test_lint1_may_carry_an_extint),
        T(test_lint0_fixed_edge_interrupts_once_per_rise),
        T(test_lint0_fixed_level_has_a_remote_irr_and_comes_again_after_eoi_while_high),
        T(test_a_level_on_lint0_that_was_masked_comes_when_it_is_unmasked),
        T(test_lint0_that_stays_high_is_one_edge),
        T(test_lint0_may_be_active_low),
        T(test_lint0_as_nmi_is_an_edge_whatever_its_trigger_bit),
        T(test_esr_shows_errors_only_after_it_is_written),
        T(test_the_error_interrupt_comes_once_until_esr_is_written),
        T(test_an_illegal_vector_in_the_error_entry_is_one_error_more),
        T(test_x2apic_msrs_fault_outside_x2apic_mode),
        T(test_memory_does_not_answer_in_x2apic_mode),
        T(test_each_x2apic_register_reads_and_writes_as_the_table_says),
        T(test_each_reserved_bit_faults_and_each_other_bit_does_not),
        T(test_a_write_that_faults_changes_nothing),
        T(test_timer_mode_3_is_reserved_and_deadline_mode_too_where_it_is_not_offered),
        T(test_x2apic_id_has_32_bits_and_the_logical_id_follows_from_it),
        T(test_eoi_and_interrupts_work_by_msr),
        T(test_self_ipis_with_illegal_vectors_are_send_errors),
        T(test_going_to_x2apic_mode_keeps_all_but_id_ldr_and_the_icrs_upper_half),
        T(test_the_transitions_between_modes_are_those_of_the_manual),
        T(test_reserved_bits_and_addresses_past_the_physical_width_fault),
        T(test_where_x2apic_is_not_offered_its_bit_is_reserved),
        T(test_disabling_resets_the_registers_and_the_id),
        T(test_a_disabled_apic_takes_no_message_and_its_pins_are_intr_and_nmi),
        T(test_other_msrs_are_not_the_local_apics),
    };

    return RUN_TESTS(tests);
}
