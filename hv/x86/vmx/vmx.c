/*
 * The VMX backend: a VMCS a virtual processor, and the way in and out.
 *
 * Spec: SDM 3C "Virtual Machine Control Structures", "VM Entries", "VM Exits".
 */
#include "hv/x86/vmx/vmx.h"
#include "hv/boot/memory.h"
#include "hv/mmu/x86.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vmx/record.h"

#define VIRTUAL_TPR 0x80 /* in the virtual-APIC page */

_Static_assert(VMCS_HOST_RSP == 0x6C14, "enter.S");

/* This processor's: whose VMCS is current. */
static const struct vp *current;

void vmx_use(const struct vp *vp)
{
    if (current != vp) {
        if (!vmptrld(vp->arch->vmx->vmcs_at)) {
            __builtin_trap();
        }
        current = vp;
    }
}

/* --- what it offers --- */

static const char *stage2(struct vmmu_nested_config *config)
{
    const struct vmx_capabilities *capabilities = &vmx_processor.capabilities;
    const char *what = vmx_refusal(VMX_DIRECT);

    if (what) {
        return what;
    }
    *config = (struct vmmu_nested_config){
        .format = VMMU_NESTED_EPT,
        .levels = 4,
        .maxphyaddr = cpu_maxphyaddr(),
        .largest_level = capabilities->largest_level,
        .execute_only = capabilities->execute_only,
        .accessed_dirty = capabilities->accessed_dirty,
    };
    return NULL;
}

/* Without a second stage the PAT that VM entry loads rules our entries: it is the hypervisor's own then. */
static const char *shadow(struct vmmu_shadow_config *config)
{
    const char *what = vmx_refusal(VMX_INDIRECT);

    if (what) {
        return what;
    }
    config->maxphyaddr = cpu_maxphyaddr();
    config->largest_level = cpu_has_gib_pages() ? 3 : 2;
    config->pat = rdmsr(X86_MSR_PAT);
    config->guest_pat = VMMU_X86_PAT_AT_RESET;
    config->silent_absent = config->maxphyaddr < 52;
    config->tagged_roots = vmx_processor.capabilities.vpid;
    return NULL;
}

/* --- a VP's control structure --- */

/* What of the guest's state nothing resets, and INIT keeps. */
static void fill_kept_state(struct vmx_vp *vmx)
{
    vmwrite(VMCS_GUEST_CR3, 0);
    vmwrite(VMCS_GUEST_DEBUGCTL, 0);
    vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
    vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
    vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
    vmwrite(VMCS_GUEST_ACTIVITY, VMX_ACTIVE);
    vmx->pat = VMMU_X86_PAT_AT_RESET;
    vmx->host_pat = rdmsr(X86_MSR_PAT);
    vmwrite(VMCS_GUEST_PAT, vmx->nested ? vmx->pat : vmx->host_pat);
    vmwrite(VMCS_GUEST_EFER, 0);
}

/* A VP with tables of ours begins with them, by the controls of an indirect guest; phases of the other kind change these. */
static void fill_controls(const struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const struct vmx_controls controls =
        vmx_controls_of(&vmx_processor.capabilities, vmx->nested ? VMX_DIRECT : VMX_INDIRECT);

    vmx->processor_controls = controls.value[VMX_GROUP_PROCESSOR];
    vmx->processor_controls2 = controls.value[VMX_GROUP_PROCESSOR2];
    vmx->entry_controls = controls.value[VMX_GROUP_ENTRY];
    if (vmx->processor_controls & VMX_PROC_TPR_SHADOW) {
        /* The guest reads CR8 without an exit. It writes it rarely, and each write may let an interrupt in. */
        vmx->processor_controls |= VMX_PROC_CR8_LOAD;
    }
    if (x86_watches_cr3(vp)) {
        vmx->processor_controls |= VMX_PROC_CR3_LOAD;
    }
    vmwrite(VMCS_PIN_CONTROLS, controls.value[VMX_GROUP_PIN]);
    vmwrite(VMCS_PROCESSOR_CONTROLS, vmx->processor_controls);
    if (vmx->processor_controls & VMX_PROC_SECONDARY) {
        vmwrite(VMCS_PROCESSOR_CONTROLS2, vmx->processor_controls2);
    }
    vmwrite(VMCS_EXIT_CONTROLS, controls.value[VMX_GROUP_EXIT]);
    vmwrite(VMCS_ENTRY_CONTROLS, vmx->entry_controls);
    vmwrite(VMCS_EXIT_MSR_STORES, 0);
    vmwrite(VMCS_EXIT_MSR_LOADS, 0);
    vmwrite(VMCS_ENTRY_MSR_LOADS, 0);
    vmwrite(VMCS_ENTRY_EVENT, 0);
    vmwrite(VMCS_EXCEPTION_BITMAP, 0);
    vmwrite(VMCS_PAGE_FAULT_MASK, 0);
    vmwrite(VMCS_PAGE_FAULT_MATCH, 0);
    vmwrite(VMCS_CR3_TARGETS, 0);
    vmwrite(VMCS_TSC_OFFSET, 0);
    vmx_write_shared(&controls);
    vmwrite(VMCS_HOST_RIP, (uint64_t)(uintptr_t)vmx_exit_point);
    vmwrite(VMCS_CR0_MASK, ~VMX_CR0_GUESTS);
    vmwrite(VMCS_CR4_MASK, vmx->nested ? ~VMX_CR4_GUESTS : UINT64_MAX);
    if (vmx->eptp) {
        vmwrite(VMCS_EPTP, vmx->eptp);
    }
}

static bool take_virtual_apic(struct vmx_vp *vmx)
{
    vmmu_hpa at;

    if (!(vmx->processor_controls & VMX_PROC_TPR_SHADOW)) {
        return true;
    }
    if (!page_take(true, &at)) {
        return false;
    }
    vmx->virtual_apic = memory_at(at);
    vmwrite(VMCS_VIRTUAL_APIC, at.v);
    vmwrite(VMCS_TPR_THRESHOLD, 0);
    return true;
}

static const char *vp_create(struct vp *vp)
{
    const struct mmu_root root = mmu_root(vp);
    struct vmx_vp *vmx;
    vmmu_hpa at;

    _Static_assert(sizeof(struct vmx_vp) <= VMMU_PAGE_BYTES, "struct vmx_vp has a page");
    if (!page_take(true, &at)) {
        return "no memory is left for a virtual processor";
    }
    vmx = memory_at(at);
    if (!page_take(true, &vmx->vmcs_at)) {
        return "no memory is left for a virtual processor's VMCS";
    }
    vp->arch->vmx = vmx;
    *(uint32_t *)memory_at(vmx->vmcs_at) = vmx_processor.capabilities.revision;
    if (!vmclear(vmx->vmcs_at)) {
        return "the processor refuses the virtual processor's VMCS";
    }
    vmx_use(vp);
    vmx->nested = vmx->direct = root.nested;
    vmx->eptp = root.value;
    vmx->watches_invlpg = root.watches_invlpg;
    vmx->silent_absent = root.silent_absent;
    vmx->tagged_roots = root.tagged_roots;
    vmx->paging_changed = true;
    fill_controls(vp);
    fill_kept_state(vmx);
    if (!take_virtual_apic(vmx)) {
        return "no memory is left for a virtual processor's APIC page";
    }
    if (!vmx_take_tags(vp)) {
        return "the processor has no more tags (VPIDs) for virtual processors";
    }
    vmx_flush_stage2(vp);
    return vmx_record_create(vp);
}

/* --- in and out --- */

static void load_registers(struct vp *vp)
{
    const struct vmmu_x86_state *state = &vp->arch->state;
    const struct vmx_vp *vmx = vp->arch->vmx;

    vmwrite(VMCS_GUEST_RIP, state->rip);
    vmwrite(VMCS_GUEST_RSP, state->gpr[VMMU_X86_RSP]);
    vmwrite(VMCS_GUEST_RFLAGS, state->rflags);
    if (read_cr2() != vmx->cr2) {
        write_cr2(vmx->cr2);
    }
}

static void store_registers(struct vp *vp)
{
    struct vmmu_x86_state *state = &vp->arch->state;
    struct vmx_vp *vmx = vp->arch->vmx;

    vmx->cr2 = read_cr2();
    state->rip = vmread(VMCS_GUEST_RIP);
    state->gpr[VMMU_X86_RSP] = vmread(VMCS_GUEST_RSP);
    state->rflags = vmread(VMCS_GUEST_RFLAGS);
    vmx->interruptibility = (uint32_t)vmread(VMCS_GUEST_INTERRUPTIBILITY);
    state->interrupt_shadow = vmx->interruptibility & (VMX_BLOCKED_BY_STI | VMX_BLOCKED_BY_MOV_SS);
}

static void refused(struct vp *vp, unsigned how, struct exit *exit)
{
    *exit =
        (struct exit){ .kind = EXIT_DEAD,
                       .why = "the processor refuses the virtual processor's controls (VM entry failed)" };
    exit->raw[0] = how;
    exit->raw[1] = how == 2 ? vmread(VMCS_INSTRUCTION_ERROR) : 0;
    exit->raw[2] = vp->arch->vmx->launched;
}

static void enter(struct vp *vp, struct exit *exit)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    unsigned how;

    vmx_use(vp);
    if (!vmx_load_paging(vp)) {
        *exit = (struct exit){ .kind = EXIT_DEAD, .why = vp->partition->message };
        return;
    }
    if (!vmx->nested) {
        vmx_set_processor_controls(vmx, VMX_PROC_INVLPG, !vmx->direct && *vmx->watches_invlpg);
    }
    vmx_settle_tags(vp);
    load_registers(vp);
    vmx_load_events(vp);
    if (vmx->record) {
        vmx_record_entry(vp);
    }

    how = vmx_enter(vp->arch->state.gpr, vmx->launched);

    if (how) {
        refused(vp, how, exit);
        return;
    }
    vmx->launched = true;
    store_registers(vp);
    vmx_read_exit(vp, exit);
    exit->delivering = vmx_keep_event(vp, exit);
    exit->looks_for_interrupts = exit->delivering || exit->kind == EXIT_X86_EXCEPTION;
}

/* Timers of VPs whose VMCS is not current are looked at, too. */
static uint64_t tsc_offset(struct vp *vp)
{
    return vp->arch->vmx->tsc_offset;
}

static void write_tsc_offset(struct vp *vp, uint64_t offset)
{
    vmx_use(vp);
    vmwrite(VMCS_TSC_OFFSET, offset);
    vp->arch->vmx->tsc_offset = offset;
}

static void write_tpr(struct vp *vp, uint8_t cr8)
{
    if (vp->arch->vmx->virtual_apic) {
        vp->arch->vmx->virtual_apic[VIRTUAL_TPR] = (uint8_t)(cr8 << 4);
    }
}

/* Not every processor can. */
static void watch_pause(struct vp *vp, bool watched)
{
    if (vmx_processor.capabilities.controls[VMX_GROUP_PROCESSOR].may & VMX_PROC_PAUSE) {
        vmx_use(vp);
        vmx_set_processor_controls(vp->arch->vmx, VMX_PROC_PAUSE, watched);
    }
}

/* What is pending goes with it: the injection of the #DB would lose it. */
static void raise_debug(struct vp *vp, uint64_t dr6_bits)
{
    vmx_use(vp);
    vmx_write_dr6(vp,
                  vmx_read_dr6(vp) | dr6_bits | (vmread(VMCS_GUEST_PENDING_DEBUG) & VMX_PENDING_BREAKPOINTS));
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
}

static void report(struct vp *vp, struct json *json)
{
    const struct vmx_vp *vmx = vp->arch->vmx;

    vmx_use(vp);
    json_object(json, "vmx");
    json_number(json, "vpid", vmx_vpid(vmx));
    json_number(json, "tag_flushes", vmx->tag_flushes);
    json_number(json, "page_flushes", vmx->page_flushes);
    json_number(json, "stage2_flushes", vmx->stage2_flushes);
    json_number(json, "direct_phases", vmx->direct_phases);
    json_hex(json, "exit_reason", vmread(VMCS_EXIT_REASON));
    json_hex(json, "exit_qualification", vmread(VMCS_EXIT_QUALIFICATION));
    json_hex(json, "idt_vectoring", vmread(VMCS_IDT_VECTORING));
    json_hex(json, "instruction_error", vmread(VMCS_INSTRUCTION_ERROR));
    json_hex(json, "interruptibility", vmread(VMCS_GUEST_INTERRUPTIBILITY));
    json_hex(json, "dr7", vmread(VMCS_GUEST_DR7));
    json_hex(json, "cr0", vmread(VMCS_GUEST_CR0));
    json_hex(json, "cr3", vmread(VMCS_GUEST_CR3));
    json_hex(json, "cr4", vmread(VMCS_GUEST_CR4));
    json_hex(json, "efer", vmread(VMCS_GUEST_EFER));
    json_end_object(json);
}

static uint16_t tag(const struct vp *vp)
{
    return vmx_vpid(vp->arch->vmx);
}

static bool is_in_phase(const struct vp *vp)
{
    return !vp->arch->vmx->nested && vp->arch->vmx->direct;
}

const struct x86_backend x86_vmx = {
    .name = "vmx",
    .call_instruction = VMMU_HYPERV_VMCALL,
    .start = vmx_start,
    .stage2 = stage2,
    .shadow = shadow,
    .phase_stage2 = stage2,
    .vp_create = vp_create,
    .enter = enter,
    .read_code = vmx_read_code,
    .read_segments = vmx_read_segments,
    .read_paging = vmx_read_paging,
    .write_segment = vmx_write_segment,
    .write_table = vmx_write_table,
    .read_system = vmx_read_system,
    .write_system = vmx_write_system,
    .read_table = vmx_read_table,
    .read_dr6 = vmx_read_dr6,
    .write_dr6 = vmx_write_dr6,
    .read_dr7 = vmx_read_dr7,
    .write_dr7 = vmx_write_dr7,
    .unblock_nmi = vmx_unblock_nmi,
    .block_nmi = vmx_block_nmi,
    .nmi_is_blocked = vmx_nmi_is_blocked,
    .reset_events = vmx_reset_events,
    .watch_pause = watch_pause,
    .read_control = vmx_read_control,
    .write_control = vmx_write_control,
    .write_efer = vmx_write_efer,
    .write_pdptes = vmx_write_pdptes,
    .write_root = vmx_write_root,
    .switch_from = vmx_switch_from,
    .switch_to = vmx_switch_to,
    .read_msr = vmx_read_msr,
    .write_msr = vmx_write_msr,
    .tsc_offset = tsc_offset,
    .write_tsc_offset = write_tsc_offset,
    .write_tpr = write_tpr,
    .raise_debug = raise_debug,
    .forget_event = vmx_forget_event,
    .is_injecting = vmx_is_injecting,
    .can_take = vmx_can_take,
    .inject = vmx_inject,
    .open_window = vmx_open_window,
    .flush = vmx_flush,
    .flush_stage2 = vmx_flush_stage2,
    .flush_page = vmx_flush_page,
    .switch_space = vmx_switch_space,
    .report = report,
    .tag = tag,
    .is_in_phase = is_in_phase,
};
