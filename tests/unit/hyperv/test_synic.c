/* TLFS "Synthetic Interrupt Controller (SynIC)": registers, slots, and messages as bytes. */
#include "tests/unit/hyperv/partition.h"
#include "tests/unit/test.h"

#include <string.h>

enum {
    SCONTROL = 0x40000080,
    SVERSION = 0x40000081,
    SIEFP = 0x40000082,
    SIMP = 0x40000083,
    EOM = 0x40000084,
    SINT0 = 0x40000090,
    SINT15 = 0x4000009F,
};

#define MASKED   BIT64(16)
#define AUTO_EOI BIT64(17)

static struct fixture parent_fixture(void)
{
    struct vmmu_hyperv_config config = full_config();

    config.privileges = VMMU_HYPERV_PRIVILEGE_SYNIC;
    return fixture_of(&config);
}

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

/* A parent's processor that listens on SINT 0 with vector 0x50, its message page at 0x9000. */
static struct fixture listening_fixture(void)
{
    struct fixture f = parent_fixture();

    (void)write(&f, SCONTROL, 1);
    (void)write(&f, SIMP, 0x9001);
    (void)write(&f, SINT0, 0x50);
    return f;
}

/* --- registers --- */

static void test_a_partition_without_the_privilege_has_no_synic(void **state)
{
    struct fixture f = full_fixture();

    (void)state;
    for (uint32_t msr = SCONTROL; msr <= SINT15; msr++) {
        EXPECT_EQ(read(&f, msr).action, VMMU_HYPERV_MSR_FAULT);
        EXPECT_EQ(write(&f, msr, 0x10020).action, VMMU_HYPERV_MSR_FAULT);
    }
}

static void test_after_reset_it_is_off_and_every_source_masked(void **state)
{
    const struct fixture f = parent_fixture();

    (void)state;
    expect_reads(&f, SCONTROL, 0);
    expect_reads(&f, SIEFP, 0);
    expect_reads(&f, SIMP, 0);
    expect_reads(&f, EOM, 0);
    for (uint32_t msr = SINT0; msr <= SINT15; msr++) {
        expect_reads(&f, msr, MASKED);
    }
}

static void test_version_is_one_and_cannot_be_written(void **state)
{
    struct fixture f = parent_fixture();

    (void)state;
    expect_reads(&f, SVERSION, 1);
    EXPECT_EQ(write(&f, SVERSION, 1).action, VMMU_HYPERV_MSR_FAULT);
}

static void test_numbers_between_the_registers_are_none(void **state)
{
    struct fixture f = parent_fixture();

    (void)state;
    for (uint32_t msr = EOM + 1; msr < SINT0; msr++) {
        EXPECT_EQ(read(&f, msr).action, VMMU_HYPERV_MSR_FAULT);
        EXPECT_EQ(write(&f, msr, 0).action, VMMU_HYPERV_MSR_FAULT);
    }
}

static void test_a_source_takes_no_vector_of_exceptions_unless_it_is_masked(void **state)
{
    struct fixture f = parent_fixture();

    (void)state;
    EXPECT_EQ(write(&f, SINT15, 15).action, VMMU_HYPERV_MSR_FAULT);
    expect_reads(&f, SINT15, MASKED);
    EXPECT_EQ(write(&f, SINT15, MASKED | 15).action, VMMU_HYPERV_MSR_DONE);
    EXPECT_EQ(write(&f, SINT15, 16).action, VMMU_HYPERV_MSR_DONE);
    expect_reads(&f, SINT15, 16);
}

static void test_pages_stand_where_they_are_enabled(void **state)
{
    struct fixture f = parent_fixture();
    struct vmmu_hyperv_msr_outcome outcome;
    vmmu_gpa at;

    (void)state;
    EXPECT(!vmmu_hyperv_message_page(&f.vp, &at));
    outcome = write(&f, SIMP, 0x9001);
    EXPECT_EQ(outcome.action, VMMU_HYPERV_MSR_OVERLAY);
    EXPECT_EQ(outcome.overlay.kind, VMMU_HYPERV_OVERLAY_MESSAGES);
    EXPECT(outcome.overlay.place && !outcome.overlay.remove);
    EXPECT_EQ(outcome.overlay.place_at.v, 0x9000);
    EXPECT(vmmu_hyperv_message_page(&f.vp, &at));
    EXPECT_EQ(at.v, 0x9000);
    outcome = write(&f, SIEFP, 0xA001);
    EXPECT_EQ(outcome.overlay.kind, VMMU_HYPERV_OVERLAY_EVENTS);
    outcome = write(&f, SIEFP, 0xA000);
    EXPECT(outcome.overlay.remove && !outcome.overlay.place);
    expect_reads(&f, SIEFP, 0xA000);
}

static void test_a_page_beyond_the_address_width_is_refused(void **state)
{
    struct fixture f = parent_fixture();

    (void)state;
    EXPECT_EQ(write(&f, SIMP, BIT64(40) | 1).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, SIEFP, BIT64(40) | 1).action, VMMU_HYPERV_MSR_FAULT);
    EXPECT_EQ(write(&f, SIMP, BIT64(40)).action,
              VMMU_HYPERV_MSR_DONE); /* not enabled: nothing stands there */
}

static void test_what_may_let_a_waiting_message_go_says_so(void **state)
{
    struct fixture f = parent_fixture();

    (void)state;
    EXPECT(write(&f, SCONTROL, 1).messages);
    EXPECT(write(&f, SIMP, 0x9001).messages);
    EXPECT(write(&f, EOM, 0).messages);
    EXPECT(!write(&f, SINT0, 0x50).messages);
    EXPECT(!read(&f, EOM).messages);
    EXPECT(!write(&f, SIMP, BIT64(40) | 1).messages);
}

/* --- slots --- */

static struct vmmu_hyperv_message unsupported(void)
{
    return vmmu_hyperv_message_unsupported(2, 1, VMMU_HYPERV_FEATURE_CACHE_DISABLE, 0);
}

static void test_an_empty_slot_takes_the_message_and_interrupts(void **state)
{
    const struct fixture f = listening_fixture();
    const struct vmmu_hyperv_message message = unsupported();
    uint8_t page[4096] = { 0 };
    const struct vmmu_hyperv_post post = vmmu_hyperv_post(&f.vp, 0, &message, page);

    (void)state;
    EXPECT(post.written && post.interrupts && !post.auto_eoi);
    EXPECT_EQ(post.vector, 0x50);
    EXPECT(memcmp(page, message.bytes, sizeof(message.bytes)) == 0);
    EXPECT_EQ(page[256], 0);
}

static void test_each_source_has_a_slot_of_its_own(void **state)
{
    struct fixture f = listening_fixture();
    const struct vmmu_hyperv_message message = unsupported();
    uint8_t page[4096] = { 0 };

    (void)state;
    (void)write(&f, SINT15, AUTO_EOI | 0x60);
    EXPECT(vmmu_hyperv_post(&f.vp, 15, &message, page).auto_eoi);
    EXPECT_EQ(page[0], 0);
    EXPECT(memcmp(&page[0xF00], message.bytes, sizeof(message.bytes)) == 0);
}

static void test_a_masked_source_is_written_for_who_polls(void **state)
{
    struct fixture f = listening_fixture();
    const struct vmmu_hyperv_message message = unsupported();
    uint8_t page[4096] = { 0 };
    struct vmmu_hyperv_post post;

    (void)state;
    (void)write(&f, SINT0, MASKED | 0x50);
    post = vmmu_hyperv_post(&f.vp, 0, &message, page);
    EXPECT(post.written && !post.interrupts);
}

static void test_a_full_slot_is_left_and_its_reader_told_to_write_eom(void **state)
{
    const struct fixture f = listening_fixture();
    const struct vmmu_hyperv_message first = unsupported();
    const struct vmmu_hyperv_message second =
        vmmu_hyperv_message_unsupported(3, 0, VMMU_HYPERV_FEATURE_TASK_SWITCH, 0x28);
    uint8_t page[4096] = { 0 };
    struct vmmu_hyperv_post post;

    (void)state;
    (void)vmmu_hyperv_post(&f.vp, 0, &first, page);
    EXPECT_EQ(page[5], 0);
    post = vmmu_hyperv_post(&f.vp, 0, &second, page);
    EXPECT(!post.written && !post.interrupts);
    EXPECT_EQ(page[5], 1); /* MessagePending */
    page[5] = 0;
    EXPECT(memcmp(page, first.bytes, sizeof(first.bytes)) == 0);
    page[0] = page[1] = page[2] = page[3] = 0; /* the guest has read it */
    EXPECT(vmmu_hyperv_post(&f.vp, 0, &second, page).written);
}

static void test_a_slot_is_full_by_any_byte_of_its_type(void **state)
{
    const struct fixture f = listening_fixture();
    const struct vmmu_hyperv_message message = unsupported();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t page[4096] = { 0 };

        page[i] = 1;
        EXPECT(!vmmu_hyperv_post(&f.vp, 0, &message, page).written);
    }
}

static void test_nothing_is_posted_to_who_does_not_listen(void **state)
{
    struct fixture f = listening_fixture();
    const struct vmmu_hyperv_message message = unsupported();
    uint8_t page[4096] = { 0 };
    const uint8_t zeros[4096] = { 0 };

    (void)state;
    (void)write(&f, SCONTROL, 0);
    EXPECT(!vmmu_hyperv_post(&f.vp, 0, &message, page).written);
    (void)write(&f, SCONTROL, 1);
    (void)write(&f, SIMP, 0x9000);
    EXPECT(!vmmu_hyperv_post(&f.vp, 0, &message, page).written);
    EXPECT(memcmp(page, zeros, sizeof(page)) == 0);
}

/* --- messages --- */

static uint64_t field(const struct vmmu_hyperv_message *message, unsigned at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | message->bytes[at + i - 1];
    }
    return value;
}

static struct vmmu_x86_state long_mode_state(void)
{
    struct vmmu_x86_state state = {
        .rip = UINT64_C(0xFFFFFFFF81000123),
        .rflags = 0x10202,
        .cr0 = BIT64(31) | BIT64(18) | BIT64(0),
        .efer = BIT64(10) | BIT64(8),
        .cpl = 3,
    };

    state.segment[VMMU_X86_CS] = (struct vmmu_x86_segment){
        .base = UINT64_C(0x123456789A), .limit = 0xFFFFFFFF, .selector = 0x33, .attributes = 0xA0FB
    };
    return state;
}

static struct vmmu_hyperv_memory_intercept write_intercept(const struct vmmu_x86_state *state)
{
    return (struct vmmu_hyperv_memory_intercept){
        .partition = 2,
        .vp = 3,
        .state = state,
        .access = VMMU_X86_WRITE,
        .mapped = true,
        .gva_valid = true,
        .gva = { UINT64_C(0xFFFF888000001008) },
        .gpa = { 0x1008 },
        .type = VMMU_X86_TYPE_WB,
        .instruction_bytes = 3,
        .fetched = 16,
        .instruction = { 0x48, 0x89, 0x07, 0x90, [15] = 0xCC },
    };
}

static void test_a_memory_intercept_says_what_the_access_was(void **state)
{
    const struct vmmu_x86_state registers = long_mode_state();
    const struct vmmu_hyperv_memory_intercept intercept = write_intercept(&registers);
    const struct vmmu_hyperv_message message = vmmu_hyperv_message_memory(&intercept);

    (void)state;
    EXPECT_EQ(field(&message, 0, 4), 0x80000001);                    /* HvMessageTypeGpaIntercept */
    EXPECT_EQ(field(&message, 4, 1), 80);                            /* payload */
    EXPECT_EQ(field(&message, 5, 1), 0);                             /* no message pending */
    EXPECT_EQ(field(&message, 8, 8), 2);                             /* sender */
    EXPECT_EQ(field(&message, 16, 4), 3);                            /* VpIndex */
    EXPECT_EQ(field(&message, 20, 1), 3);                            /* InstructionLength */
    EXPECT_EQ(field(&message, 21, 1), 1);                            /* a write */
    EXPECT_EQ(field(&message, 22, 2), 3 | 1 << 2 | 1 << 3 | 1 << 4); /* CPL 3, CR0.PE, CR0.AM, EFER.LMA */
    EXPECT_EQ(field(&message, 24, 8), UINT64_C(0x123456789A));
    EXPECT_EQ(field(&message, 32, 4), 0xFFFFFFFF);
    EXPECT_EQ(field(&message, 36, 2), 0x33);
    EXPECT_EQ(field(&message, 38, 2), 0xA0FB);
    EXPECT_EQ(field(&message, 40, 8), registers.rip);
    EXPECT_EQ(field(&message, 48, 8), registers.rflags);
    EXPECT_EQ(field(&message, 56, 4), 6);  /* HvCacheTypeX64WriteBack */
    EXPECT_EQ(field(&message, 60, 1), 16); /* InstructionByteCount */
    EXPECT_EQ(field(&message, 61, 1), 1);  /* GvaValid */
    EXPECT_EQ(field(&message, 64, 8), UINT64_C(0xFFFF888000001008));
    EXPECT_EQ(field(&message, 72, 8), 0x1008);
    EXPECT_EQ(field(&message, 80, 4), 0x90078948);
    EXPECT_EQ(field(&message, 95, 1), 0xCC);
    EXPECT_EQ(field(&message, 96, 8), 0);
}

static void test_an_access_where_nothing_is_mapped_is_told_as_unmapped(void **state)
{
    const struct vmmu_x86_state registers = { .cr0 = BIT64(4), .interrupt_shadow = true };
    struct vmmu_hyperv_memory_intercept intercept = write_intercept(&registers);
    struct vmmu_hyperv_message message;

    (void)state;
    intercept.mapped = false;
    intercept.access = VMMU_X86_EXECUTE;
    intercept.gva_valid = false;
    intercept.event_pending = true;
    intercept.debug_active = true;
    intercept.fetched = 0;
    message = vmmu_hyperv_message_memory(&intercept);
    EXPECT_EQ(field(&message, 0, 4), 0x80000000); /* HvMessageTypeUnmappedGpa */
    EXPECT_EQ(field(&message, 21, 1), 2);
    EXPECT_EQ(field(&message, 22, 2), 1 << 5 | 1 << 6 | 1 << 12); /* debug, event, interrupt shadow */
    EXPECT_EQ(field(&message, 61, 1), 0);
    EXPECT_EQ(field(&message, 64, 8), 0); /* no address that is not valid */
    EXPECT_EQ(field(&message, 80, 8), 0); /* nor bytes that were not fetched */
}

static void test_an_unsupported_feature_names_itself(void **state)
{
    const struct vmmu_hyperv_message cd =
        vmmu_hyperv_message_unsupported(2, 1, VMMU_HYPERV_FEATURE_CACHE_DISABLE, 0);
    const struct vmmu_hyperv_message table =
        vmmu_hyperv_message_unsupported(2, 1, VMMU_HYPERV_FEATURE_TABLE_CACHE, 0x12345678);
    const struct vmmu_hyperv_message task =
        vmmu_hyperv_message_unsupported(2, 1, VMMU_HYPERV_FEATURE_TASK_SWITCH, 0x28);

    (void)state;
    EXPECT_EQ(field(&cd, 0, 4), 0x80000022); /* HvMessageTypeUnsupportedFeature */
    EXPECT_EQ(field(&cd, 4, 1), 16);
    EXPECT_EQ(field(&cd, 8, 8), 2);
    EXPECT_EQ(field(&cd, 16, 4), 1); /* VpIndex */
    EXPECT_EQ(field(&cd, 20, 4), 1); /* HvUnsupportedFeatureIntercept */
    EXPECT_EQ(field(&cd, 24, 8), 1);
    EXPECT_EQ(field(&table, 20, 4), 1);
    EXPECT_EQ(field(&table, 24, 8), 0x12345002);
    EXPECT_EQ(field(&task, 20, 4), 2); /* HvUnsupportedFeatureTaskSwitchTss */
    EXPECT_EQ(field(&task, 24, 8), 0x28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_partition_without_the_privilege_has_no_synic),
        cmocka_unit_test(test_after_reset_it_is_off_and_every_source_masked),
        cmocka_unit_test(test_version_is_one_and_cannot_be_written),
        cmocka_unit_test(test_numbers_between_the_registers_are_none),
        cmocka_unit_test(test_a_source_takes_no_vector_of_exceptions_unless_it_is_masked),
        cmocka_unit_test(test_pages_stand_where_they_are_enabled),
        cmocka_unit_test(test_a_page_beyond_the_address_width_is_refused),
        cmocka_unit_test(test_what_may_let_a_waiting_message_go_says_so),
        cmocka_unit_test(test_an_empty_slot_takes_the_message_and_interrupts),
        cmocka_unit_test(test_each_source_has_a_slot_of_its_own),
        cmocka_unit_test(test_a_masked_source_is_written_for_who_polls),
        cmocka_unit_test(test_a_full_slot_is_left_and_its_reader_told_to_write_eom),
        cmocka_unit_test(test_a_slot_is_full_by_any_byte_of_its_type),
        cmocka_unit_test(test_nothing_is_posted_to_who_does_not_listen),
        cmocka_unit_test(test_a_memory_intercept_says_what_the_access_was),
        cmocka_unit_test(test_an_access_where_nothing_is_mapped_is_told_as_unmapped),
        cmocka_unit_test(test_an_unsupported_feature_names_itself),
    };
    return RUN_TESTS(tests);
}
