/*
 * The Hyper-V interface, applied: the library decides (lib/x86/hyperv), this file moves the pages, reaches
 * the local APIC and reads the guest's memory.
 */
#include "hv/boot/memory.h"
#include "hv/mmu/mmu.h"
#include "hv/x86/vp/x86.h"

#define APIC_OFFSET_TPR 0x80
#define APIC_OFFSET_EOI 0xB0
#define APIC_OFFSET_ICR 0x300

static struct x86_overlay *overlay_of(struct vp *vp, enum vmmu_hyperv_overlay_kind kind)
{
    switch (kind) {
    case VMMU_HYPERV_OVERLAY_HYPERCALL: return &vp->partition->arch->overlays[0];
    case VMMU_HYPERV_OVERLAY_REFERENCE_TSC: return &vp->partition->arch->overlays[1];
    case VMMU_HYPERV_OVERLAY_VP_ASSIST: return &vp->arch->assist;
    }
    __builtin_unreachable();
}

static uint8_t overlay_rights(enum vmmu_hyperv_overlay_kind kind)
{
    switch (kind) {
    case VMMU_HYPERV_OVERLAY_HYPERCALL: return VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_EXECUTE;
    case VMMU_HYPERV_OVERLAY_REFERENCE_TSC: return VMMU_X86_RIGHT_READ;
    case VMMU_HYPERV_OVERLAY_VP_ASSIST: return VMMU_X86_RIGHT_READ | VMMU_X86_RIGHT_WRITE;
    }
    __builtin_unreachable();
}

static void fill_overlay(struct vp *vp, enum vmmu_hyperv_overlay_kind kind, uint8_t *page)
{
    const struct vmmu_hyperv_partition *hyperv = &vp->partition->arch->hyperv;

    switch (kind) {
    case VMMU_HYPERV_OVERLAY_HYPERCALL: vmmu_hyperv_fill_hypercall_page(hyperv, page); break;
    case VMMU_HYPERV_OVERLAY_REFERENCE_TSC: vmmu_hyperv_fill_tsc_page(hyperv, page); break;
    case VMMU_HYPERV_OVERLAY_VP_ASSIST: break;
    }
}

/* Where another overlay stands already, this one waits behind it. Spec: TLFS "GPA Overlay Pages". */
static void place_overlay(struct vp *vp, enum vmmu_hyperv_overlay_kind kind)
{
    struct x86_overlay *overlay = overlay_of(vp, kind);

    if (overlay->wanted && !overlay->placed) {
        overlay->placed = mmu_overlay(vp->partition, overlay->at, overlay->page, overlay_rights(kind));
    }
}

/* False: no memory for the page; nothing was changed. */
static bool move_overlay(struct vp *vp, const struct vmmu_hyperv_overlay *change)
{
    struct x86_overlay *overlay = overlay_of(vp, change->kind);

    if (change->place && !overlay->page.v && !page_take(true, &overlay->page)) {
        return false;
    }
    for (unsigned i = 0; i < vp->partition->vp_count; i++) {
        x86_forget_fetches(vp->partition->vps[i]);
    }
    if (overlay->placed) {
        overlay->placed = !mmu_overlay_remove(vp->partition, overlay->at);
    }
    overlay->wanted = change->place;
    if (change->place) {
        fill_overlay(vp, change->kind, memory_at(overlay->page));
        overlay->at = change->place_at;
    }
    place_overlay(vp, VMMU_HYPERV_OVERLAY_HYPERCALL);
    place_overlay(vp, VMMU_HYPERV_OVERLAY_REFERENCE_TSC);
    place_overlay(vp, VMMU_HYPERV_OVERLAY_VP_ASSIST);
    return true;
}

static uint64_t apic_read(struct vp *vp, unsigned offset)
{
    const struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);

    return offset == APIC_OFFSET_ICR ? lapic_icr_read(lapic) : lapic->tpr;
}

static void apic_write(struct vp *vp, unsigned offset, uint64_t value)
{
    struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);

    x86_settle_eoi(vp);
    switch (offset) {
    case APIC_OFFSET_EOI: lapic_eoi(lapic); break;
    case APIC_OFFSET_ICR: lapic_icr_write(lapic, value); break;
    case APIC_OFFSET_TPR: lapic_tpr_write(lapic, (uint32_t)value & 0xFF); break;
    default: break;
    }
    vp->attention |= VP_ATTENTION_EVENT;
}

bool x86_hyperv_read(struct vp *vp, uint32_t index, uint64_t *value)
{
    const struct partition_arch *arch = vp->partition->arch;
    const struct vmmu_hyperv_msr_outcome outcome =
        vmmu_hyperv_msr_read(&arch->hyperv, &vp->arch->hyperv, index, x86_tsc(vp));

    switch (outcome.action) {
    case VMMU_HYPERV_MSR_DONE: *value = outcome.value; return true;
    case VMMU_HYPERV_MSR_APIC: *value = apic_read(vp, outcome.apic_offset); return true;
    case VMMU_HYPERV_MSR_FAULT:
    case VMMU_HYPERV_MSR_OVERLAY:
    case VMMU_HYPERV_MSR_CRASH: return false;
    }
    __builtin_unreachable();
}

bool x86_hyperv_write(struct vp *vp, uint32_t index, uint64_t value)
{
    struct partition_arch *arch = vp->partition->arch;
    struct vmmu_hyperv_msr_outcome outcome;

    x86_settle_eoi(vp);
    outcome = vmmu_hyperv_msr_write(&arch->hyperv, &vp->arch->hyperv, index, value);
    switch (outcome.action) {
    case VMMU_HYPERV_MSR_DONE: return true;
    case VMMU_HYPERV_MSR_FAULT: return false;
    case VMMU_HYPERV_MSR_OVERLAY: return move_overlay(vp, &outcome.overlay);
    case VMMU_HYPERV_MSR_APIC: apic_write(vp, outcome.apic_offset, outcome.value); return true;
    case VMMU_HYPERV_MSR_CRASH:
        partition_end(vp->partition, PARTITION_STOPPED, 0, "the guest reported a crash of its own");
        return true;
    }
    __builtin_unreachable();
}

/* --- hypercalls --- */

static struct vmmu_hyperv_caller caller_of(struct vp *vp)
{
    const struct vmmu_x86_state *state = x86_state(vp);

    return (struct vmmu_hyperv_caller){
        .rax = state->gpr[VMMU_X86_RAX],
        .rbx = state->gpr[VMMU_X86_RBX],
        .rcx = state->gpr[VMMU_X86_RCX],
        .rdx = state->gpr[VMMU_X86_RDX],
        .rsi = state->gpr[VMMU_X86_RSI],
        .rdi = state->gpr[VMMU_X86_RDI],
        .r8 = state->gpr[8],
        .code64 = vmmu_insn_mode(state) == VMMU_INSN_64,
        .protected_mode = state->cr0 & VMMU_X86_CR0_PE && !(state->rflags & X86_RFLAGS_VM),
        .cpl = state->cpl,
    };
}

/*
 * All translations of the VPs that are named go, whatever part of them was; and tables that are walked in place of the
 * guest's are brought up to date, as by a MOV to CR3.
 */
static void perform_flush(struct vp *vp, const struct vmmu_hyperv_flush *flush)
{
    for (unsigned i = 0; i < vp->partition->vp_count; i++) {
        if (flush->vps & BIT64(i)) {
            vp->arch->backend->flush(vp->partition->vps[i]);
            x86_paging_changed(vp->partition->vps[i]);
        }
    }
}

static void finish_call(struct vp *vp, const struct exit *exit, const struct vmmu_hyperv_caller *caller,
                        const struct vmmu_hyperv_call_end *end)
{
    const struct vmmu_hyperv_end_registers registers = vmmu_hyperv_end_registers(caller, end);
    uint64_t *gpr = vp->arch->state.gpr;

    if (end->complete && !x86_skip(vp, exit)) {
        return;
    }
    gpr[VMMU_X86_RAX] = registers.rax;
    gpr[VMMU_X86_RCX] = registers.rcx;
    gpr[VMMU_X86_RDX] = registers.rdx;
}

enum vp_next x86_hypercall_exit(struct vp *vp, const struct exit *exit)
{
    struct partition_arch *arch = vp->partition->arch;
    const struct vmmu_hyperv_caller caller = caller_of(vp);
    struct vmmu_hyperv_call_outcome outcome;
    struct vmmu_hyperv_call call;
    uint8_t input[VMMU_PAGE_BYTES];

    if (!arch->enlightened) {
        x86_raise_ud(vp);
        return VP_RESUME;
    }
    outcome = vmmu_hyperv_call_decode(&arch->hyperv, &caller, &call);
    if (outcome.action == VMMU_HYPERV_CALL_INPUT) {
        const void *at = call.input_bytes ? mmu_at(vp->partition, call.input, call.input_bytes) : NULL;

        if (call.input_bytes && !at) {
            outcome.end = vmmu_hyperv_call_no_memory(&call);
            finish_call(vp, exit, &caller, &outcome.end);
            return VP_RESUME;
        }
        if (at) {
            __builtin_memcpy(input, at, call.input_bytes);
        }
        outcome = vmmu_hyperv_call_perform(&arch->hyperv, &vp->arch->hyperv, &call, input, NULL);
    }
    if (outcome.action == VMMU_HYPERV_CALL_SWITCH) {
        outcome.end = vmmu_hyperv_call_end(&call, VMMU_HYPERV_INVALID_CODE, 0);
    }
    if (outcome.action == VMMU_HYPERV_CALL_UD) {
        x86_raise_ud(vp);
        return VP_RESUME;
    }
    if (outcome.action == VMMU_HYPERV_CALL_FLUSH) {
        perform_flush(vp, &outcome.flush);
    }
    finish_call(vp, exit, &caller, &outcome.end);
    return VP_RESUME;
}
