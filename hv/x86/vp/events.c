/*
 * What a guest is owed: exceptions of its own making, NMIs, interrupts of its devices.
 *
 * Invariant: nothing is lost. An interrupt is acknowledged at its controller only in the same step in which
 * it is handed to the backend; an event whose delivery was cut short stays with the backend until it has been
 * delivered; whatever cannot be taken now has a window opened for it.
 */
#include "hv/boot/memory.h"
#include "hv/x86/vp/hyperv.h"

/*
 * Vectors whose exception, raised while another is being delivered, makes a double fault. Spec:
 * "Interrupt 8--Double Fault".
 */
static bool is_contributory(uint8_t vector)
{
    return vector == 0 || (vector >= 10 && vector <= 13);
}

void x86_raise(struct vp *vp, uint8_t vector, bool has_error_code, uint32_t error_code)
{
    struct vp_arch *arch = vp->arch;
    const bool is_severe = is_contributory(vector) || vector == VMMU_X86_VECTOR_PF;

    if (arch->exception_pending) {
        const uint8_t first = arch->exception.vector;

        if (first == X86_VECTOR_DF && is_severe) {
            partition_end(vp->partition, PARTITION_STOPPED, 0, "triple fault");
            return;
        }
        if ((is_contributory(first) && is_contributory(vector)) ||
            (first == VMMU_X86_VECTOR_PF && is_severe)) {
            vector = X86_VECTOR_DF;
            has_error_code = true;
            error_code = 0;
        }
    }
    arch->exception = (struct x86_event){ .kind = X86_EVENT_EXCEPTION,
                                          .vector = vector,
                                          .has_error_code = has_error_code,
                                          .error_code = error_code };
    arch->exception_pending = true;
    vp->attention |= VP_ATTENTION_EVENT;
}

void x86_raise_fault(struct vp *vp, const struct vmmu_x86_fault *fault)
{
    if (fault->vector == VMMU_X86_VECTOR_PF) {
        vp->arch->backend->write_control(vp, 2, fault->cr2);
    }
    /* A fault leaves RIP at its instruction, and RF set in the image that is pushed. */
    vp->arch->state.rflags |= X86_RFLAGS_RF;
    x86_raise(vp, fault->vector, fault->has_error_code, fault->error_code);
}

void x86_raise_gp(struct vp *vp)
{
    x86_raise_fault(vp, &(struct vmmu_x86_fault){ .vector = VMMU_X86_VECTOR_GP, .has_error_code = true });
}

void x86_raise_ud(struct vp *vp)
{
    x86_raise_fault(vp, &(struct vmmu_x86_fault){ .vector = X86_VECTOR_UD });
}

void x86_raise_again(struct vp *vp, const struct exit_exception *exception)
{
    struct vp_arch *arch = vp->arch;

    if (exception->first != EXIT_NO_EXCEPTION) {
        arch->exception = (struct x86_event){ .kind = X86_EVENT_EXCEPTION, .vector = exception->first };
        arch->exception_pending = true;
    }
    if (exception->vector != X86_VECTOR_DB) {
        arch->state.rflags |= X86_RFLAGS_RF; /* as every fault has it; which kind a #DB is, DR6 says */
    }
    x86_raise(vp, exception->vector, exception->has_error_code, exception->error_code);
}

static uint32_t *assist_word(const struct vp *vp)
{
    return memory_at(vp->arch->overlays[X86_OVERLAY_ASSIST].page);
}

static bool messages_wait(const struct vp *vp)
{
    return vp->index == 0 && vp->partition->arch->messages_wait;
}

void x86_settle_eoi(struct vp *vp)
{
    struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);
    struct vmmu_hyperv_vp *hyperv = &vp->arch->hyperv;
    uint32_t word;

    if (!hyperv->eoi_offered) {
        return;
    }
    if (vmmu_hyperv_eoi_settle(hyperv, *assist_word(vp))) {
        lapic_assist_end(lapic, true);
        return;
    }
    if ((!lapic_eoi_is_trivial(lapic) || messages_wait(vp)) && vmmu_hyperv_eoi_withdraw(hyperv, &word)) {
        *assist_word(vp) = word;
        lapic_assist_end(lapic, false);
    }
}

void x86_forget_events(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;

    x86_settle_eoi(vp);
    arch->exception_pending = false;
    arch->nmi_pending = false;
}

static void offer_lazy_eoi(struct vp *vp)
{
    struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);
    uint32_t word;

    if (!vp->arch->overlays[X86_OVERLAY_ASSIST].placed || vp->arch->hyperv.eoi_offered || messages_wait(vp) ||
        !lapic_assist_begin(lapic)) {
        return;
    }
    word = *assist_word(vp);
    if (vmmu_hyperv_eoi_offer(&vp->arch->hyperv, &word)) {
        *assist_word(vp) = word;
    } else {
        lapic_assist_end(lapic, false);
    }
}

static void inject(struct vp *vp, const struct x86_event *event)
{
    vp->counters.events_injected++;
    vp->arch->backend->inject(vp, event);
}

static void deliver_nmi(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;

    if (arch->backend->can_take(vp, X86_EVENT_NMI)) {
        arch->nmi_pending = false;
        inject(vp, &(struct x86_event){ .kind = X86_EVENT_NMI, .vector = X86_VECTOR_NMI });
    } else {
        arch->backend->open_window(vp, X86_EVENT_NMI);
    }
}

static void deliver_interrupt(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;
    uint8_t vector;

    if (!arch->backend->can_take(vp, X86_EVENT_INTERRUPT)) {
        arch->backend->open_window(vp, X86_EVENT_INTERRUPT);
        return;
    }
    vector = (uint8_t)pc_interrupt_accept(x86_pc(vp), vp->index);
    inject(vp, &(struct x86_event){ .kind = X86_EVENT_INTERRUPT, .vector = vector });
    if (vector == arch->auto_eoi) {
        arch->auto_eoi = 0;
        lapic_eoi(pc_lapic(x86_pc(vp), vp->index));
    }
    offer_lazy_eoi(vp);
    if (pc_interrupt_pending(x86_pc(vp), vp->index) >= 0) {
        arch->backend->open_window(vp, X86_EVENT_INTERRUPT);
    }
}

void arch_vp_events(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;

    vp->attention &= ~(unsigned)(VP_ATTENTION_EVENT | VP_ATTENTION_SOON);
    x86_settle_eoi(vp);
    /* An EOI asks for attention, and has those that wait tried again. Spec: TLFS "Inter-Partition Communication". */
    if (messages_wait(vp)) {
        x86_post_waiting(vp->partition);
    }
    /* Whatever changed the task priority asked for attention: the guest reads it as CR8 without an exit. */
    arch->backend->write_tpr(vp, (uint8_t)lapic_cr8_read(pc_lapic(x86_pc(vp), vp->index)));
    if (arch->exception_pending && !arch->backend->is_injecting(vp)) {
        arch->exception_pending = false;
        /* Real mode pushes no error codes. */
        arch->exception.has_error_code &= (arch->backend->read_control(vp, 0) & VMMU_X86_CR0_PE) != 0;
        inject(vp, &arch->exception);
    }
    if (arch->nmi_pending) {
        deliver_nmi(vp);
    }
    if (pc_interrupt_pending(x86_pc(vp), vp->index) >= 0) {
        deliver_interrupt(vp);
    }
    if (arch->hyperv.eoi_offered) {
        /*
         * What comes meanwhile and is no more urgent asks for no attention; the offer must be
         * withdrawn before it waits.
         */
        vp->attention |= VP_ATTENTION_EVENT;
    }
}

bool arch_vp_wakes(struct vp *vp)
{
    x86_settle_eoi(vp);
    if (vp->arch->exception_pending) {
        return true; /* the trap of a single step over HLT */
    }
    if (vp->arch->nmi_pending && vp->arch->backend->can_take(vp, X86_EVENT_NMI)) {
        return true;
    }
    return vp->arch->state.rflags & X86_RFLAGS_IF && pc_interrupt_pending(x86_pc(vp), vp->index) >= 0;
}
