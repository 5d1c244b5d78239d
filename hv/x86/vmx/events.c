/*
 * Events into the guest: VM-entry interruption information, IDT vectoring, windows, the guest's blocking of events.
 *
 * Spec: SDM 3C "Event Injection", "Guest Non-Register State", "Information for VM Exits That Occur During Event
 * Delivery", "Virtual NMIs".
 */
#include "hv/x86/cpu.h"
#include "hv/x86/vmx/vmx.h"

static const uint8_t event_types[] = {
    [X86_EVENT_INTERRUPT] = VMX_EVENT_INTERRUPT,
    [X86_EVENT_NMI] = VMX_EVENT_NMI,
    [X86_EVENT_EXCEPTION] = VMX_EVENT_EXCEPTION,
};

static void order(struct vmx_vp *vmx, uint32_t event, uint32_t error_code)
{
    vmx->entry_event = event;
    vmx->entry_error_code = error_code;
}

void vmx_unblock_nmi(struct vp *vp)
{
    vp->arch->vmx->interruptibility &= ~VMX_BLOCKED_BY_NMI;
    vmx_use(vp);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vp->arch->vmx->interruptibility);
}

void vmx_block_nmi(struct vp *vp)
{
    vp->arch->vmx->interruptibility |= VMX_BLOCKED_BY_NMI;
    vmx_use(vp);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vp->arch->vmx->interruptibility);
}

bool vmx_nmi_is_blocked(const struct vp *vp)
{
    return vp->arch->vmx->interruptibility & VMX_BLOCKED_BY_NMI;
}

/* The fault of an IRET that is the guest's own leaves NMIs unblocked, as IRET had them. */
void vmx_inject(struct vp *vp, const struct x86_event *event)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    if (vmx->nmis_blocked_again && event->kind == X86_EVENT_EXCEPTION) {
        vmx_unblock_nmi(vp);
    }
    order(vmx,
          VMX_EVENT_VALID | event->vector | (uint32_t)event_types[event->kind] << VMX_EVENT_TYPE_SHIFT |
              (event->has_error_code ? VMX_EVENT_HAS_ERROR : 0),
          event->error_code);
}

bool vmx_is_injecting(const struct vp *vp)
{
    return vp->arch->vmx->entry_event & VMX_EVENT_VALID;
}

/* An event that is injected would take its place, and it would be lost. */
static bool has_pending_debug(const struct vp *vp)
{
    vmx_use(vp);
    return vmread(VMCS_GUEST_PENDING_DEBUG) != 0;
}

bool vmx_can_take(const struct vp *vp, enum x86_event_kind kind)
{
    const struct vmmu_x86_state *state = &vp->arch->state;

    if (vmx_is_injecting(vp) || (kind != X86_EVENT_EXCEPTION && has_pending_debug(vp))) {
        return false;
    }
    switch (kind) {
    case X86_EVENT_INTERRUPT: return state->rflags & X86_RFLAGS_IF && !state->interrupt_shadow;
    case X86_EVENT_NMI:
        return !(vp->arch->vmx->interruptibility & VMX_BLOCKED_BY_NMI) && !state->interrupt_shadow;
    case X86_EVENT_EXCEPTION: return true;
    }
    __builtin_unreachable();
}

void vmx_set_processor_controls(struct vmx_vp *vmx, uint32_t bits, bool on)
{
    const uint32_t controls = on ? vmx->processor_controls | bits : vmx->processor_controls & ~bits;

    if (controls != vmx->processor_controls) {
        vmx->processor_controls = controls;
        vmwrite(VMCS_PROCESSOR_CONTROLS, controls);
    }
}

/*
 * STI may hold up the injection of an NMI, and need not hold up the exit of its window: the window for interrupts opens when that
 * is over, unless the guest clears IF again at once.
 */
void vmx_open_window(struct vp *vp, enum x86_event_kind kind)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const bool behind_sti = kind == X86_EVENT_NMI && vmx->interruptibility & VMX_BLOCKED_BY_STI;

    vmx_use(vp);
    vmx_set_processor_controls(
        vmx, kind == X86_EVENT_NMI && !behind_sti ? VMX_PROC_NMI_WINDOW : VMX_PROC_INTERRUPT_WINDOW, true);
    if (behind_sti) {
        vp->attention |= VP_ATTENTION_SOON;
    }
}

void vmx_reset_events(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    vmx_use(vp);
    vmx->entry_event = 0;
    vmx->nmis_blocked_again = false;
    vmx->interruptibility = 0;
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    vmx_set_processor_controls(vmx, VMX_PROC_INTERRUPT_WINDOW | VMX_PROC_NMI_WINDOW, false);
    vmx->saved_dr6 = X86_DR6_RESET;
    if (x86_is_loaded(vp)) {
        write_dr6(X86_DR6_RESET);
    }
}

/*
 * What the last instruction shields the next from includes its own single step: VM entry demands that a guest that steps
 * has it pending then. An exit for that very step has left it out.
 */
static void load_pending_step(const struct vp *vp)
{
    const uint64_t pending = vmread(VMCS_GUEST_PENDING_DEBUG);
    const uint64_t others = pending & ~VMX_PENDING_SINGLE_STEP;
    const uint64_t wanted =
        vp->arch->state.rflags & X86_RFLAGS_TF ? others | VMX_PENDING_SINGLE_STEP : others;

    if (wanted != pending) {
        vmwrite(VMCS_GUEST_PENDING_DEBUG, wanted);
    }
}

void vmx_load_events(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const struct vmmu_x86_state *state = &vp->arch->state;
    const uint32_t interruptibility =
        vmx_interruptibility(vmx->interruptibility, state->interrupt_shadow, state->rflags & X86_RFLAGS_IF);

    if (interruptibility != vmx->interruptibility) {
        vmx->interruptibility = interruptibility;
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, interruptibility);
    }
    if (interruptibility & VMX_BLOCKED_BY_INSTRUCTION) {
        load_pending_step(vp);
    }
    if (vmx->entry_event & VMX_EVENT_VALID) {
        vmwrite(VMCS_ENTRY_EVENT, vmx->entry_event);
        if (vmx->entry_event & VMX_EVENT_HAS_ERROR) {
            vmwrite(VMCS_ENTRY_ERROR_CODE, vmx->entry_error_code);
        }
    }
}

/* INT n, INT1, INT3 and INTO run again from RIP, which still stands at them; the rest is injected again. */
bool vmx_runs_again(uint32_t event)
{
    switch (VMX_EVENT_TYPE(event)) {
    case VMX_EVENT_SOFTWARE_INTERRUPT:
    case VMX_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION:
    case VMX_EVENT_SOFTWARE_EXCEPTION: return true;
    case VMX_EVENT_INTERRUPT:
    case VMX_EVENT_NMI:
    case VMX_EVENT_EXCEPTION:
    case VMX_EVENT_OTHER: break;
    }
    return false;
}

uint8_t vmx_exception_of(uint32_t event)
{
    return VMX_EVENT_TYPE(event) == VMX_EVENT_EXCEPTION ? VMX_EVENT_VECTOR(event) : EXIT_NO_EXCEPTION;
}

/* An NMI that is injected again finds NMIs blocked by its own first delivery. */
static void keep(struct vmx_vp *vmx, uint32_t event)
{
    order(vmx, VMX_EVENT_VALID | (event & (VMX_EVENT_HAS_ERROR | 0x7FF)),
          event & VMX_EVENT_HAS_ERROR ? (uint32_t)vmread(VMCS_IDT_VECTORING_ERROR_CODE) : 0);
    if (VMX_EVENT_TYPE(event) == VMX_EVENT_NMI && vmx->interruptibility & VMX_BLOCKED_BY_NMI) {
        vmx->interruptibility &= ~VMX_BLOCKED_BY_NMI;
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmx->interruptibility);
    }
}

/*
 * An event whose delivery raised an exception is over: a processor does not come back to it, and a guest could
 * otherwise have the same exception raised by it for ever. If it was an exception itself, the two may make a double fault.
 */
bool vmx_keep_event(struct vp *vp, struct exit *exit)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const uint32_t event = (uint32_t)vmread(VMCS_IDT_VECTORING);

    vmx->entry_event = 0;
    if (!(event & VMX_EVENT_VALID)) {
        return false;
    }
    if (exit->kind == EXIT_X86_EXCEPTION) {
        exit->exception.first = vmx_exception_of(event);
        return true;
    }
    if (exit->kind == EXIT_X86_PAGE_FAULT) {
        exit->page_fault.first =
            vmx_exception_of(event); /* if it is the guest's own, the event will be forgotten */
    }
    if (!vmx_runs_again(event)) {
        keep(vmx, event);
        vp->counters.events_reinjected++;
    }
    return true;
}

/* An NMI that is over has been delivered, as far as its blocking goes. */
void vmx_forget_event(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    if (VMX_EVENT_TYPE(vmx->entry_event) == VMX_EVENT_NMI && vmx_is_injecting(vp)) {
        vmx_use(vp);
        vmx->interruptibility |= VMX_BLOCKED_BY_NMI;
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmx->interruptibility);
    }
    vmx->entry_event = 0;
}
