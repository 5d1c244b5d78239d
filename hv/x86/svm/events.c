/*
 * Events into the guest: EVENTINJ, EXITINTINFO, the virtual interrupt as a window, IRET as the NMI's.
 *
 * Spec: AMD APM 2 "Event Injection", "Exit Interrupt Information", "Virtual Interrupt Intercept".
 */
#include "hv/x86/svm/svm.h"

static const uint8_t event_types[] = {
    [X86_EVENT_INTERRUPT] = SVM_EVENT_INTR,
    [X86_EVENT_NMI] = SVM_EVENT_NMI,
    [X86_EVENT_EXCEPTION] = SVM_EVENT_EXCEPTION,
};

/*
 * An emulated processor may forget that the exception which it delivers for us is one, so that another, raised
 * by its delivery, does not make a double fault of both. Those that could exit for as long as it takes.
 */
#define COMBINING   (1u << 0 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13)

/* Of an event, but for its error code. */
#define WHICH_EVENT (SVM_EVENT_VALID | BITS64(SVM_EVENT_TYPE_SHIFT + 2, 0))

static void order(struct svm_control *control, uint64_t event)
{
    control->inject_event = event;
    if (SVM_EVENT_TYPE(event) == SVM_EVENT_EXCEPTION) {
        control->exceptions |= COMBINING;
    }
}

void svm_block_nmi(struct vp *vp)
{
    struct svm_vp *svm = vp->arch->svm;

    svm->nmi_blocked = true;
    svm->nmi_leaving = false;
    svm->vmcb->control.intercepts1 |= 1u << SVM_I1_IRET;
}

bool svm_nmi_is_blocked(const struct vp *vp)
{
    return vp->arch->svm->nmi_blocked;
}

void svm_inject(struct vp *vp, const struct x86_event *event)
{
    struct svm_vp *svm = vp->arch->svm;

    order(&svm->vmcb->control,
          SVM_EVENT_VALID | event->vector | (uint64_t)event_types[event->kind] << SVM_EVENT_TYPE_SHIFT |
              (event->has_error_code ? SVM_EVENT_HAS_ERROR : 0) | (uint64_t)event->error_code << 32);
    if (event->kind == X86_EVENT_NMI) {
        svm_block_nmi(vp);
    }
}

bool svm_is_injecting(const struct vp *vp)
{
    return vp->arch->svm->vmcb->control.inject_event & SVM_EVENT_VALID;
}

bool svm_can_take(const struct vp *vp, enum x86_event_kind kind)
{
    const struct svm_vp *svm = vp->arch->svm;
    const struct vmmu_x86_state *state = &vp->arch->state;

    if (svm_is_injecting(vp)) {
        return false;
    }
    switch (kind) {
    case X86_EVENT_INTERRUPT: return state->rflags & X86_RFLAGS_IF && !state->interrupt_shadow;
    case X86_EVENT_NMI: return !svm->nmi_blocked && !state->interrupt_shadow;
    case X86_EVENT_EXCEPTION: return true;
    }
    __builtin_unreachable();
}

/*
 * A virtual interrupt that is intercepted exits as soon as the guest could take it, which is all that is
 * wanted of it: its vector never reaches the guest. NMIs have no such window. One that waits behind another
 * has IRET's exit; behind that IRET itself, an interrupt shadow or another event, each of which ends with the
 * next instruction, it is tried again soon.
 */
void svm_open_window(struct vp *vp, enum x86_event_kind kind)
{
    const struct svm_vp *svm = vp->arch->svm;
    struct svm_control *control = &svm->vmcb->control;

    if (kind != X86_EVENT_NMI) {
        control->virtual_interrupt |= SVM_VINTR_IRQ | SVM_VINTR_IGNORE_TPR;
        control->intercepts1 |= 1u << SVM_I1_VINTR;
    } else if (!svm->nmi_blocked || svm->nmi_leaving) {
        vp->attention |= VP_ATTENTION_SOON;
    }
}

void svm_close_interrupt_window(struct svm_vp *svm)
{
    struct svm_control *control = &svm->vmcb->control;

    control->virtual_interrupt &= ~(SVM_VINTR_IRQ | SVM_VINTR_IGNORE_TPR);
    control->intercepts1 &= ~(1u << SVM_I1_VINTR);
}

/*
 * The exit comes before IRET is executed, while the frame that it pops still stands on the stack. An NMI
 * injected now would push its own over that one if its gate names a stack: so NMIs stay blocked until the
 * instruction pointer has moved.
 */
void svm_leave_nmi(struct svm_vp *svm)
{
    svm->vmcb->control.intercepts1 &= ~(1u << SVM_I1_IRET);
    svm->nmi_leaving = true;
    svm->nmi_left = svm->vmcb->save.rip;
}

void svm_settle_nmi(struct svm_vp *svm)
{
    if (svm->nmi_leaving && svm->vmcb->save.rip != svm->nmi_left) {
        svm->nmi_leaving = false;
        svm->nmi_blocked = false;
    }
}

void svm_unblock_nmi(struct vp *vp)
{
    struct svm_vp *svm = vp->arch->svm;

    svm->vmcb->control.intercepts1 &= ~(1u << SVM_I1_IRET);
    svm->nmi_blocked = svm->nmi_leaving = false;
}

void svm_reset_events(struct vp *vp)
{
    struct svm_vp *svm = vp->arch->svm;

    svm->vmcb->control.inject_event = 0;
    svm->vmcb->save.dr6 = X86_DR6_RESET;
    svm_unblock_nmi(vp);
    svm_close_interrupt_window(svm);
}

/*
 * INT n, INT3 and INTO run again from RIP, which still stands at them; the rest is injected again. No interrupt from outside
 * reaches the guest but by us: an emulated processor that tells of another one means INT n.
 */
bool svm_runs_again(const struct svm_vp *svm, uint64_t event)
{
    const uint8_t vector = (uint8_t)event;

    switch (SVM_EVENT_TYPE(event)) {
    case SVM_EVENT_INTR: return (event ^ svm->delivered) & WHICH_EVENT;
    case SVM_EVENT_EXCEPTION: return vector == 3 || vector == 4;
    default: return SVM_EVENT_TYPE(event) == SVM_EVENT_SOFTWARE;
    }
}

uint8_t svm_exception_of(uint64_t event)
{
    return SVM_EVENT_TYPE(event) == SVM_EVENT_EXCEPTION ? (uint8_t)event : EXIT_NO_EXCEPTION;
}

/*
 * An event whose delivery raised an exception is over: a processor does not come back to it, and a guest
 * could otherwise have the same exception raised by it for ever. If it was an exception itself, the two
 * may make a double fault.
 */
bool svm_keep_event(struct vp *vp, struct exit *exit)
{
    struct svm_control *control = &vp->arch->svm->vmcb->control;
    const uint64_t event = control->exit_event;

    control->inject_event = 0;
    control->exceptions &= ~COMBINING;
    if (!(event & SVM_EVENT_VALID)) {
        return false;
    }
    if (exit->kind == EXIT_X86_EXCEPTION) {
        exit->exception.first = svm_exception_of(event);
        return true;
    }
    if (exit->kind == EXIT_X86_PAGE_FAULT) {
        exit->page_fault.first =
            svm_exception_of(event); /* if it is the guest's own, the event will be forgotten */
    }
    if (!svm_runs_again(vp->arch->svm, event)) {
        order(control, event);
        vp->counters.events_reinjected++;
    }
    return true;
}

void svm_forget_event(struct vp *vp)
{
    vp->arch->svm->vmcb->control.inject_event = 0;
}
