/* TLFS "Synthetic MSRs", "Establishing the Hypercall Interface", "GPA Overlay Pages", "EOI Assist". */
#include "tests/unit/hyperv/partition.h"
#include "tests/unit/test.h"

enum {
    GUEST_OS_ID = 0x40000000,
    HYPERCALL = 0x40000001,
    VP_INDEX = 0x40000002,
    TIME_REF_COUNT = 0x40000020,
    REFERENCE_TSC = 0x40000021,
    TSC_FREQUENCY = 0x40000022,
    APIC_FREQUENCY = 0x40000023,
    EOI = 0x40000070,
    ICR = 0x40000071,
    TPR = 0x40000072,
    VP_ASSIST_PAGE = 0x40000073,
    CRASH_P0 = 0x40000100,
    CRASH_CTL = 0x40000105,
    TSC_INVARIANT_CONTROL = 0x40000118,
};

static struct vmmu_hyperv_msr_outcome read(const struct fixture *f, uint32_t msr)
{
    return vmmu_hyperv_msr_read(&f->partition, &f->vp, msr, 0);
}

static struct vmmu_hyperv_msr_outcome write(struct fixture *f, uint32_t msr, uint64_t value)
{
    return vmmu_hyperv_msr_write(&f->partition, &f->vp, msr, value);
}

static void expect_reads(const struct fixture *f, uint32_t msr, uint64_t value)
{
    const struct vmmu_hyperv_msr_outcome outcome = read(f, msr);

    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_DONE);
    EXPECT_EQ(outcome.value, value);
}

static void test_frequencies_and_index_read_and_refuse_writes(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    vmmu_hyperv_vp_init(&f.vp, 3);
    expect_reads(&f, VP_INDEX, 3);
    expect_reads(&f, TSC_FREQUENCY, TEST_TSC_HZ);
    expect_reads(&f, APIC_FREQUENCY, TEST_APIC_HZ);
    EXPECT_EQ(write(&f, VP_INDEX, 3).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, TSC_FREQUENCY, 1).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, APIC_FREQUENCY, 1).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, TIME_REF_COUNT, 1).action, VMMU_HYPERV_MSR_FAULT);
}

static void test_hypercall_page_is_placed_where_the_guest_enables_it(void **state)
{
    struct fixture f = full_fixture();
    struct vmmu_hyperv_msr_outcome outcome;

    (void)state;
    EXPECT_EQ(write(&f, GUEST_OS_ID, 0x8100).action, VMMU_HYPERV_MSR_DONE);
    expect_reads(&f, GUEST_OS_ID, 0x8100);
    outcome = write(&f, HYPERCALL, 0x12345001);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_OVERLAY);
    EXPECT_EQ(outcome.overlay.kind, VMMU_HYPERV_OVERLAY_HYPERCALL);
    EXPECT(outcome.overlay.place && !outcome.overlay.remove);
    EXPECT_EQ(outcome.overlay.place_at.v, 0x12345000);
    expect_reads(&f, HYPERCALL, 0x12345001);
}

static void test_hypercall_page_stays_disabled_while_the_guest_has_no_identity(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    EXPECT_EQ(write(&f, HYPERCALL, 0x5001).action, VMMU_HYPERV_MSR_DONE);
    expect_reads(&f, HYPERCALL, 0x5000);
}

static void test_clearing_the_identity_takes_the_hypercall_page_away(void **state)
{
    struct fixture f = calling_fixture(1);
    const struct vmmu_hyperv_msr_outcome outcome = write(&f, GUEST_OS_ID, 0);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_OVERLAY);
    EXPECT(outcome.overlay.remove && !outcome.overlay.place);
    EXPECT_EQ(outcome.overlay.remove_at.v, 0x7000);
    expect_reads(&f, HYPERCALL, 0x7000);
    EXPECT_EQ(write(&f, GUEST_OS_ID, 0).action, VMMU_HYPERV_MSR_DONE);
}

static void test_moving_an_overlay_removes_it_before_it_is_placed_again(void **state)
{
    struct fixture f = calling_fixture(1);
    const struct vmmu_hyperv_msr_outcome outcome = write(&f, HYPERCALL, 0x9001);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_OVERLAY);
    EXPECT(outcome.overlay.remove && outcome.overlay.place);
    EXPECT_EQ(outcome.overlay.remove_at.v, 0x7000);
    EXPECT_EQ(outcome.overlay.place_at.v, 0x9000);
}

static void test_writing_the_same_value_again_moves_nothing(void **state)
{
    struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(write(&f, HYPERCALL, 0x7001).action, VMMU_HYPERV_MSR_DONE);
}

static void test_a_locked_hypercall_page_cannot_be_moved_or_unlocked(void **state)
{
    struct fixture f = calling_fixture(1);

    (void)state;
    EXPECT_EQ(write(&f, HYPERCALL, 0x7003).action, VMMU_HYPERV_MSR_DONE);
    EXPECT_EQ(write(&f, HYPERCALL, 0x9001).action, VMMU_HYPERV_MSR_DONE);
    expect_reads(&f, HYPERCALL, 0x7003);
}

static void test_reserved_bits_of_overlay_registers_are_preserved(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    write(&f, REFERENCE_TSC, 0xABC5A1);
    expect_reads(&f, REFERENCE_TSC, 0xABC5A1);
}

static void test_overlays_beyond_the_address_width_are_faults_that_change_nothing(void **state)
{
    static const uint32_t registers[] = { HYPERCALL, REFERENCE_TSC, VP_ASSIST_PAGE };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct fixture f = full_fixture();

        write(&f, GUEST_OS_ID, 1);
        EXPECT_EQ(write(&f, registers[i], (UINT64_C(1) << 40) + 1).action, VMMU_HYPERV_MSR_FAULT);
        expect_reads(&f, registers[i], 0);
        EXPECT_EQ(write(&f, registers[i], (UINT64_C(1) << 40) - 4096 + 1).action, VMMU_HYPERV_MSR_OVERLAY);
    }
}

static void test_reference_tsc_and_assist_pages_are_overlays(void **state)
{
    struct fixture f = full_fixture();
    struct vmmu_hyperv_msr_outcome outcome = write(&f, REFERENCE_TSC, 0x3001);
    vmmu_gpa at;

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_OVERLAY);
    EXPECT_EQ(outcome.overlay.kind, VMMU_HYPERV_OVERLAY_REFERENCE_TSC);
    EXPECT(!vmmu_hyperv_assist_page(&f.vp, &at));
    outcome = write(&f, VP_ASSIST_PAGE, 0x4001);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_OVERLAY);
    EXPECT_EQ(outcome.overlay.kind, VMMU_HYPERV_OVERLAY_VP_ASSIST);
    EXPECT(vmmu_hyperv_assist_page(&f.vp, &at));
    EXPECT_EQ(at.v, 0x4000);
    outcome = write(&f, VP_ASSIST_PAGE, 0);
    EXPECT(outcome.overlay.remove && !outcome.overlay.place);
    EXPECT(!vmmu_hyperv_assist_page(&f.vp, &at));
}

static void test_apic_registers_go_to_the_local_apic(void **state)
{
    struct fixture f = full_fixture();
    struct vmmu_hyperv_msr_outcome outcome = write(&f, EOI, 0);

    (void)state;
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_APIC);
    EXPECT_EQ(outcome.apic_offset, 0xB0);
    outcome = write(&f, ICR, UINT64_C(0x01000000000000FB));
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_APIC);
    EXPECT_EQ(outcome.apic_offset, 0x300);
    EXPECT_EQ(outcome.value, UINT64_C(0x01000000000000FB));
    outcome = write(&f, TPR, 0x20);
    EXPECT_EQ(outcome.apic_offset, 0x80);
    EXPECT_EQ(outcome.value, 0x20);
    EXPECT_EQ(read(&f, ICR).action, VMMU_HYPERV_MSR_APIC);
    EXPECT_EQ(read(&f, ICR).apic_offset, 0x300);
    EXPECT_EQ(read(&f, TPR).apic_offset, 0x80);
}

static void test_eoi_is_write_only_and_tpr_has_eight_bits(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    EXPECT_EQ(read(&f, EOI).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, TPR, 0x100).action, VMMU_HYPERV_MSR_FAULT);
}

static void test_apic_registers_that_are_not_offered_are_faults(void **state)
{
    struct vmmu_hyperv_config config = full_config();
    struct fixture f;

    (void)state;
    config.apic_msrs = false;
    f = fixture_of(&config);
    EXPECT_EQ(write(&f, EOI, 0).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(read(&f, TPR).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, VP_ASSIST_PAGE, 0x4001).action, VMMU_HYPERV_MSR_OVERLAY);
}

static void test_tsc_invariant_control_has_one_bit(void **state)
{
    struct vmmu_hyperv_config config = full_config();
    struct fixture f = full_fixture();

    (void)state;
    EXPECT_EQ(write(&f, TSC_INVARIANT_CONTROL, 1).action, VMMU_HYPERV_MSR_DONE);
    expect_reads(&f, TSC_INVARIANT_CONTROL, 1);
    EXPECT_EQ(write(&f, TSC_INVARIANT_CONTROL, 2).action, VMMU_HYPERV_MSR_FAULT);
    config.tsc_is_invariant = false;
    f = fixture_of(&config);
    EXPECT_EQ(write(&f, TSC_INVARIANT_CONTROL, 1).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(read(&f, TSC_INVARIANT_CONTROL).action, VMMU_HYPERV_MSR_FAULT);
}

static void test_crash_parameters_are_held_and_control_reports(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EQ(write(&f, CRASH_P0 + i, UINT64_C(0x1111) * (i + 1)).action, VMMU_HYPERV_MSR_DONE);
    }
    for (unsigned i = 0; i < 5; i++) {
        expect_reads(&f, CRASH_P0 + i, UINT64_C(0x1111) * (i + 1));
    }
    expect_reads(&f, CRASH_CTL, UINT64_C(1) << 63); /* CrashNotify; no message */
    EXPECT_EQ(write(&f, CRASH_CTL, 0).action, VMMU_HYPERV_MSR_DONE);
    EXPECT_EQ(write(&f, CRASH_CTL, UINT64_C(1) << 63).action, VMMU_HYPERV_MSR_CRASH);
}

static void test_registers_that_do_not_stand_are_faults(void **state)
{
    static const uint32_t absent[] = {
        0x40000003, 0x40000010, 0x40000024, 0x40000074, 0x40000080, 0x40000084, 0x4000009F,
        0x400000B0, 0x400000F0, 0x40000106, 0x40000107, 0x40000108, 0x40000119, 0x400001FF,
    };
    struct fixture f = full_fixture();

    (void)state;
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        EXPECT_EQ(read(&f, absent[i]).action, VMMU_HYPERV_MSR_FAULT);
        EXPECT_EQ(write(&f, absent[i], 0).action, VMMU_HYPERV_MSR_FAULT);
    }
}

/* --- EOI Assist --- */

static struct fixture assisted(void)
{
    struct fixture f = full_fixture();

    vmmu_hyperv_msr_write(&f.partition, &f.vp, VP_ASSIST_PAGE, 0x4001);
    return f;
}

static void test_no_offer_is_made_without_an_assist_page(void **state)
{
    struct fixture f = full_fixture();
    uint32_t word = 0;

    (void)state;
    EXPECT(!vmmu_hyperv_eoi_offer(&f.vp, &word));
    EXPECT_EQ(word, 0);
}

static void test_a_guest_that_clears_the_bit_has_ended_its_interrupt(void **state)
{
    struct fixture f = assisted();
    uint32_t word = 0xF0;

    (void)state;
    EXPECT(vmmu_hyperv_eoi_offer(&f.vp, &word));
    EXPECT_EQ(word, 0xF1);
    EXPECT(f.vp.eoi_offered);
    EXPECT(!vmmu_hyperv_eoi_settle(&f.vp, 0xF1)); /* its handler has not got there yet */
    EXPECT(vmmu_hyperv_eoi_settle(&f.vp, 0xF0));
    EXPECT(!vmmu_hyperv_eoi_settle(&f.vp, 0xF0)); /* one EOI, once */
}

static void test_an_offer_stands_until_it_is_settled(void **state)
{
    struct fixture f = assisted();
    uint32_t word = 0;

    (void)state;
    EXPECT(vmmu_hyperv_eoi_offer(&f.vp, &word));
    EXPECT(!vmmu_hyperv_eoi_offer(&f.vp, &word));
}

static void test_an_offer_taken_back_makes_the_guest_write_its_eoi(void **state)
{
    struct fixture f = assisted();
    uint32_t word = 0;

    (void)state;
    EXPECT(!vmmu_hyperv_eoi_withdraw(&f.vp, &word));
    EXPECT(vmmu_hyperv_eoi_offer(&f.vp, &word));
    EXPECT(vmmu_hyperv_eoi_withdraw(&f.vp, &word));
    EXPECT_EQ(word, 0);
    EXPECT(!vmmu_hyperv_eoi_settle(&f.vp, word)); /* the clear bit is ours, not the guest's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequencies_and_index_read_and_refuse_writes),
        cmocka_unit_test(test_hypercall_page_is_placed_where_the_guest_enables_it),
        cmocka_unit_test(test_hypercall_page_stays_disabled_while_the_guest_has_no_identity),
        cmocka_unit_test(test_clearing_the_identity_takes_the_hypercall_page_away),
        cmocka_unit_test(test_moving_an_overlay_removes_it_before_it_is_placed_again),
        cmocka_unit_test(test_writing_the_same_value_again_moves_nothing),
        cmocka_unit_test(test_a_locked_hypercall_page_cannot_be_moved_or_unlocked),
        cmocka_unit_test(test_reserved_bits_of_overlay_registers_are_preserved),
        cmocka_unit_test(test_overlays_beyond_the_address_width_are_faults_that_change_nothing),
        cmocka_unit_test(test_reference_tsc_and_assist_pages_are_overlays),
        cmocka_unit_test(test_apic_registers_go_to_the_local_apic),
        cmocka_unit_test(test_eoi_is_write_only_and_tpr_has_eight_bits),
        cmocka_unit_test(test_apic_registers_that_are_not_offered_are_faults),
        cmocka_unit_test(test_tsc_invariant_control_has_one_bit),
        cmocka_unit_test(test_crash_parameters_are_held_and_control_reports),
        cmocka_unit_test(test_registers_that_do_not_stand_are_faults),
        cmocka_unit_test(test_no_offer_is_made_without_an_assist_page),
        cmocka_unit_test(test_a_guest_that_clears_the_bit_has_ended_its_interrupt),
        cmocka_unit_test(test_an_offer_stands_until_it_is_settled),
        cmocka_unit_test(test_an_offer_taken_back_makes_the_guest_write_its_eoi),
    };

    return RUN_TESTS(tests);
}
