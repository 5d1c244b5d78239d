/*
 * INIT and start-up messages, on a backend that only keeps what it is given. Expected values: SDM 3A "Processor State After
 * Reset" (the column of INIT), "MP Initialization Protocol Algorithm for MP Systems"; APM 2 "Processor Initialization State".
 */
#include "tests/unit/test.h"

#include <string.h>

#include "hv/vp/schedule.h"
#include "hv/x86/vp/hyperv.h"

#define SIGNATURE 0x00B00F21u
#define OLD       UINT64_C(0x1234567890)
#define VECTOR    0x9A

struct table {
    uint64_t base;
    uint16_t limit;
};

static struct {
    struct vp vp;
    struct vp_arch arch;
    struct vmmu_x86_segment segments[VMMU_X86_SEGMENTS];
    struct vmmu_x86_system_segments system;
    struct table gdtr, idtr;
    uint64_t control[5], efer, dr7;
    unsigned events_reset, breakpoints_cleared, events_forgotten, flushes, modes_entered;
    unsigned flushes_allowed, given_up;
    bool all_have_halted;
} machine;

/* --- the backend, and what init.c asks of others --- */

static void write_segment(struct vp *vp, enum vmmu_x86_segment_name name,
                          const struct vmmu_x86_segment *segment)
{
    (void)vp;
    machine.segments[name] = *segment;
}

static void write_table(struct vp *vp, bool interrupt, uint64_t base, uint16_t limit)
{
    (void)vp;
    *(interrupt ? &machine.idtr : &machine.gdtr) = (struct table){ base, limit };
}

static void write_system(struct vp *vp, const struct vmmu_x86_system_segments *system)
{
    (void)vp;
    machine.system = *system;
}

static uint64_t read_control(const struct vp *vp, unsigned number)
{
    (void)vp;
    return machine.control[number];
}

static void write_control(struct vp *vp, unsigned number, uint64_t value)
{
    (void)vp;
    machine.control[number] = value;
}

static void write_efer(struct vp *vp, uint64_t value)
{
    (void)vp;
    machine.efer = value;
}

static void write_dr7(struct vp *vp, uint64_t value)
{
    (void)vp;
    machine.dr7 = value;
}

static void reset_events(struct vp *vp)
{
    (void)vp;
    machine.events_reset++;
}

static void flush(struct vp *vp)
{
    (void)vp;
    machine.flushes++;
}

static bool write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    (void)vp;
    (void)value;
    fail_msg("MSR %x is written", index);
    return false;
}

static void write_tsc_offset(struct vp *vp, uint64_t offset)
{
    (void)vp;
    (void)offset;
    fail_msg("the time-stamp counter is written");
}

static const struct x86_backend backend = {
    .write_segment = write_segment,
    .write_table = write_table,
    .write_system = write_system,
    .read_control = read_control,
    .write_control = write_control,
    .write_efer = write_efer,
    .write_dr7 = write_dr7,
    .reset_events = reset_events,
    .flush = flush,
    .write_msr = write_msr,
    .write_tsc_offset = write_tsc_offset,
};

void x86_clear_breakpoints(struct vp *vp)
{
    (void)vp;
    machine.breakpoints_cleared++;
}

void x86_forget_events(struct vp *vp)
{
    machine.events_forgotten++;
    vp->arch->exception_pending = vp->arch->nmi_pending = false;
}

void x86_paging_changed(struct vp *vp)
{
    (void)vp;
    machine.modes_entered++;
}

void schedule_wake(struct vp *vp, unsigned waits)
{
    vp->waits &= ~waits;
}

void x86_flush_allowed(struct partition *partition)
{
    (void)partition;
    machine.flushes_allowed++;
}

bool x86_anyone_may_go_on(const struct partition *partition)
{
    (void)partition;
    return !machine.all_have_halted;
}

enum vp_next x86_give_up(struct vp *vp, const char *what)
{
    (void)vp;
    (void)what;
    machine.given_up++;
    return VP_STOP;
}

/* --- a VP that runs, in every register something --- */

static int set_up(void **state)
{
    (void)state;
    memset(&machine, 0, sizeof machine);
    machine.vp.arch = &machine.arch;
    machine.vp.index = 1;
    machine.arch.backend = &backend;
    machine.arch.cpuid.basic[1].eax = SIGNATURE;
    memset(&machine.segments, 0x5A, sizeof machine.segments);
    memset(&machine.system, 0x5A, sizeof machine.system);
    machine.gdtr = machine.idtr = (struct table){ OLD, 0x7F };
    machine.control[0] =
        VMMU_X86_CR0_PG | VMMU_X86_CR0_PE | VMMU_X86_CR0_WP | VMMU_X86_CR0_ET | VMMU_X86_CR0_CD;
    machine.control[2] = machine.control[3] = OLD;
    machine.control[4] = VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE;
    machine.efer = VMMU_X86_EFER_LMA | VMMU_X86_EFER_LME;
    machine.dr7 = 0x7FF;
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        machine.arch.state.gpr[i] = OLD + i;
    }
    machine.arch.state.rip = OLD;
    machine.arch.state.rflags = 0x246;
    machine.arch.state.interrupt_shadow = true;
    machine.arch.xcr0 = 7;
    return 0;
}

static void expect_segment(const struct vmmu_x86_segment *segment, uint16_t selector, uint64_t base,
                           uint16_t attributes)
{
    EXPECT_EQ(segment->selector, selector);
    EXPECT_EQ(segment->base, base);
    EXPECT_EQ(segment->limit, 0xFFFF);
    EXPECT_EQ(segment->attributes, attributes);
}

static void test_init_leaves_segments_of_real_mode(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    expect_segment(&machine.segments[VMMU_X86_CS], 0xF000, 0xFFFF0000, 0x9B);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        if (i != VMMU_X86_CS) {
            expect_segment(&machine.segments[i], 0, 0, 0x93);
        }
    }
    expect_segment(&machine.system.ldtr, 0, 0, 0x82);
    expect_segment(&machine.system.tr, 0, 0, 0x8B);
    EXPECT_EQ(machine.gdtr.base, 0);
    EXPECT_EQ(machine.gdtr.limit, 0xFFFF);
    EXPECT_EQ(machine.idtr.base, 0);
    EXPECT_EQ(machine.idtr.limit, 0xFFFF);
}

static void test_init_leaves_cd_and_nw_of_cr0_as_they_were_and_et_set(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.control[0], VMMU_X86_CR0_CD | VMMU_X86_CR0_ET);
    machine.control[0] = VMMU_X86_CR0_PE;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.control[0], VMMU_X86_CR0_ET);
}

static void test_init_clears_the_other_control_registers_and_efer(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.control[2] | machine.control[3] | machine.control[4] | machine.efer, 0);
    EXPECT(machine.modes_entered > 0);
}

static void test_init_leaves_the_signature_in_edx_and_nothing_in_the_others(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    for (unsigned i = 0; i < VMMU_X86_GPRS; i++) {
        EXPECT_EQ(machine.arch.state.gpr[i], i == VMMU_X86_RDX ? SIGNATURE : 0);
    }
    EXPECT_EQ(machine.arch.state.rip, 0xFFF0);
    EXPECT_EQ(machine.arch.state.rflags, 2);
    EXPECT(!machine.arch.state.interrupt_shadow);
}

static void test_init_resets_debug_registers_and_flushes_the_tlb(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.dr7, 0x400);
    EXPECT_EQ(machine.breakpoints_cleared, 1);
    EXPECT(machine.flushes > 0);
}

static void test_init_drops_events_that_wait(void **state)
{
    (void)state;
    machine.arch.nmi_pending = machine.arch.exception_pending = true;
    x86_init(&machine.vp);
    EXPECT(!machine.arch.nmi_pending && !machine.arch.exception_pending);
    EXPECT_EQ(machine.events_reset, 1);
}

/* The backend of this test fails whoever writes an MSR or the time-stamp counter. */
static void test_init_leaves_extended_state_alone(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.arch.xcr0, 7);
}

static void test_init_ends_a_halt_but_not_what_the_parent_does(void **state)
{
    (void)state;
    machine.vp.waits = VP_WAIT_EVENT | VP_WAIT_FLUSH | VP_WAIT_EXPLICIT;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.vp.waits, VP_WAIT_START | VP_WAIT_EXPLICIT);
}

static void test_init_withdraws_a_message_that_was_not_delivered(void **state)
{
    (void)state;
    machine.vp.waits = VP_WAIT_INTERCEPT | VP_WAIT_EXPLICIT;
    machine.arch.message_waits = machine.arch.flush_inhibited = true;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.vp.waits, VP_WAIT_START | VP_WAIT_EXPLICIT);
    EXPECT(!machine.arch.message_waits && !machine.arch.flush_inhibited);
    EXPECT_EQ(machine.flushes_allowed, 1);
}

static void test_init_leaves_a_message_that_was_delivered_to_the_parent(void **state)
{
    (void)state;
    machine.vp.waits = VP_WAIT_INTERCEPT;
    machine.arch.flush_inhibited = true;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.vp.waits, VP_WAIT_START | VP_WAIT_INTERCEPT);
    EXPECT(machine.arch.flush_inhibited);
    EXPECT_EQ(machine.flushes_allowed, 0);
}

static void test_init_of_the_last_that_could_go_on_ends_the_partition(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.given_up, 0);
    machine.all_have_halted = true;
    x86_init(&machine.vp);
    EXPECT_EQ(machine.given_up, 1);
}

static void test_a_start_up_message_starts_at_its_page_in_real_mode(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    x86_start_up(&machine.vp, VECTOR);
    EXPECT_EQ(machine.vp.waits, 0);
    EXPECT_EQ(machine.arch.state.rip, 0);
    expect_segment(&machine.segments[VMMU_X86_CS], 0x9A00, 0x9A000, 0x9B);
    EXPECT_EQ(machine.control[0] & VMMU_X86_CR0_PE, 0);
    EXPECT_EQ(machine.arch.state.gpr[VMMU_X86_RDX], SIGNATURE);
}

static void test_a_start_up_message_does_nothing_to_a_vp_that_runs(void **state)
{
    (void)state;
    x86_start_up(&machine.vp, VECTOR);
    EXPECT_EQ(machine.arch.state.rip, OLD);
    EXPECT_EQ(machine.arch.state.rflags, 0x246);
    EXPECT_EQ(machine.modes_entered, 0);
    machine.vp.waits = VP_WAIT_EVENT;
    x86_start_up(&machine.vp, VECTOR);
    EXPECT_EQ(machine.vp.waits, VP_WAIT_EVENT);
    EXPECT_EQ(machine.arch.state.rip, OLD);
}

static void test_a_vp_that_sent_init_to_itself_starts_at_the_first_instruction(void **state)
{
    (void)state;
    x86_init(&machine.vp);
    machine.arch.state.rip += 2; /* it is stepped over what sent it, with a single step's trap */
    machine.arch.exception_pending = true;
    x86_start_up(&machine.vp, VECTOR);
    EXPECT_EQ(machine.arch.state.rip, 0);
    EXPECT(!machine.arch.exception_pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_init_leaves_segments_of_real_mode, set_up),
        cmocka_unit_test_setup(test_init_leaves_cd_and_nw_of_cr0_as_they_were_and_et_set, set_up),
        cmocka_unit_test_setup(test_init_clears_the_other_control_registers_and_efer, set_up),
        cmocka_unit_test_setup(test_init_leaves_the_signature_in_edx_and_nothing_in_the_others, set_up),
        cmocka_unit_test_setup(test_init_resets_debug_registers_and_flushes_the_tlb, set_up),
        cmocka_unit_test_setup(test_init_drops_events_that_wait, set_up),
        cmocka_unit_test_setup(test_init_leaves_extended_state_alone, set_up),
        cmocka_unit_test_setup(test_init_ends_a_halt_but_not_what_the_parent_does, set_up),
        cmocka_unit_test_setup(test_init_withdraws_a_message_that_was_not_delivered, set_up),
        cmocka_unit_test_setup(test_init_leaves_a_message_that_was_delivered_to_the_parent, set_up),
        cmocka_unit_test_setup(test_init_of_the_last_that_could_go_on_ends_the_partition, set_up),
        cmocka_unit_test_setup(test_a_start_up_message_starts_at_its_page_in_real_mode, set_up),
        cmocka_unit_test_setup(test_a_start_up_message_does_nothing_to_a_vp_that_runs, set_up),
        cmocka_unit_test_setup(test_a_vp_that_sent_init_to_itself_starts_at_the_first_instruction, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
