/*
 * INIT, by which other processors stop a VP, and the start-up message, by which they start one.
 *
 * INIT leaves alone what a reset would not: MSRs but EFER, the FPU's and extended state, the time-stamp counter. Between the
 * two nothing runs, and no event is taken.
 *
 * Spec: SDM 3A "Processor State After Reset", "MP Initialization Protocol Algorithm for MP Systems"; APM 2 "Processor
 * Initialization State".
 */
#include "hv/vp/schedule.h"
#include "hv/x86/vp/hyperv.h"

/* Access rights of segments in real mode, which are of 16 bits; and those that nothing has loaded. */
#define RIGHTS_DATA      0x93
#define RIGHTS_CODE      0x9B
#define RIGHTS_LDT       0x82
#define RIGHTS_TSS       0x8B
#define LIMIT            0xFFFF

#define RESET_CODE       0xF000
#define RESET_CODE_BASE  0xFFFF0000
#define RESET_RIP        0xFFF0
#define RESET_RFLAGS     2

#define CR0_UNCHANGED    (VMMU_X86_CR0_CD | VMMU_X86_CR0_NW)
#define CPUID_SIGNATURE  1
#define START_PAGE_SHIFT 12 /* of a start-up message's vector */
#define REAL_MODE_SHIFT  4

static void load_code(struct vp *vp, uint16_t selector, uint64_t base)
{
    const struct vmmu_x86_segment code = {
        .selector = selector, .base = base, .limit = LIMIT, .attributes = RIGHTS_CODE
    };

    vp->arch->backend->write_segment(vp, VMMU_X86_CS, &code);
    vp->arch->code_complete = vp->arch->segments_complete = false;
}

static void reset_segments(struct vp *vp)
{
    const struct x86_backend *backend = vp->arch->backend;
    const struct vmmu_x86_segment data = { .limit = LIMIT, .attributes = RIGHTS_DATA };
    const struct vmmu_x86_system_segments system = { .ldtr = { .limit = LIMIT, .attributes = RIGHTS_LDT },
                                                     .tr = { .limit = LIMIT, .attributes = RIGHTS_TSS } };

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        if (i != VMMU_X86_CS) {
            backend->write_segment(vp, (enum vmmu_x86_segment_name)i, &data);
        }
    }
    load_code(vp, RESET_CODE, RESET_CODE_BASE);
    backend->write_system(vp, &system);
    backend->write_table(vp, false, 0, LIMIT);
    backend->write_table(vp, true, 0, LIMIT);
}

static void begin_at(struct vp *vp, uint64_t rip)
{
    vp->arch->state.rip = rip;
    vp->arch->state.rflags = RESET_RFLAGS;
    vp->arch->state.interrupt_shadow = false;
}

void x86_reset_registers(struct vp *vp)
{
    const struct x86_backend *backend = vp->arch->backend;
    const uint64_t cr0 = (backend->read_control(vp, 0) & CR0_UNCHANGED) | VMMU_X86_CR0_ET;
    uint64_t *gpr = vp->arch->state.gpr;

    __builtin_memset(gpr, 0, sizeof vp->arch->state.gpr);
    gpr[VMMU_X86_RDX] = vp->arch->cpuid.basic[CPUID_SIGNATURE].eax;
    begin_at(vp, RESET_RIP);
    reset_segments(vp);
    backend->write_efer(vp, 0);
    backend->write_control(vp, 0, cr0);
    backend->write_control(vp, 2, 0);
    backend->write_control(vp, 3, 0);
    backend->write_control(vp, 4, 0);
    backend->write_dr7(vp, X86_DR7_RESET);
    backend->reset_events(vp);
    x86_clear_breakpoints(vp);
}

/*
 * A message about it that the parent has not got tells of what is no more. One that it has got it answers, and then sets the VP
 * going: what it changes of the registers is changed after the reset.
 */
static void withdraw_message(struct vp *vp)
{
    if (vp->arch->message_waits) {
        vp->arch->message_waits = false;
        vp->waits &= ~(unsigned)VP_WAIT_INTERCEPT;
        vp->arch->flush_inhibited = false;
        x86_flush_allowed(vp->partition);
    }
}

void x86_init(struct vp *vp)
{
    x86_reset_registers(vp);
    x86_forget_events(vp);
    vp->arch->backend->flush(vp);
    x86_paging_changed(vp);
    /* What it stood at is no more. */
    vp->waits = (vp->waits & ~(unsigned)(VP_WAIT_EVENT | VP_WAIT_FLUSH)) | VP_WAIT_START;
    withdraw_message(vp);
    /* Who sent it may have been this one itself, and the last. */
    if (!x86_anyone_may_go_on(vp->partition)) {
        (void)x86_give_up(vp, "the guest halted with interrupts off");
    }
}

/* A VP that sent INIT to itself has stepped over that instruction since. */
void x86_start_up(struct vp *vp, uint8_t vector)
{
    if (!(vp->waits & VP_WAIT_START)) {
        return;
    }
    x86_forget_events(vp);
    begin_at(vp, 0);
    load_code(vp, (uint16_t)(vector << (START_PAGE_SHIFT - REAL_MODE_SHIFT)),
              (uint64_t)vector << START_PAGE_SHIFT);
    x86_paging_changed(vp);
    schedule_wake(vp, VP_WAIT_START);
}
