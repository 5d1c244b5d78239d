/*
 * All of a VP's registers, read and stored for calls that name them.
 *
 * The library has found that the state as a whole is one that a processor has, so that storing cannot fail half-way: what
 * might is looked at first.
 */
#include "hv/mmu/mmu.h"
#include "hv/vp/schedule.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vp/hyperv.h"

/* MSRs that the processor's virtualization holds, and where they are among the registers. */
static const struct {
    uint32_t index;
    uint16_t offset;
} msrs[] = {
#define AT(member) offsetof(struct vmmu_hyperv_registers, member)
    { 0x174, AT(sysenter_cs) }, { 0x175, AT(sysenter_esp) },        { 0x176, AT(sysenter_eip) },
    { 0xC0000081, AT(star) },   { 0xC0000082, AT(lstar) },          { 0xC0000083, AT(cstar) },
    { 0xC0000084, AT(sfmask) }, { 0xC0000102, AT(kernel_gs_base) }, { X86_MSR_TSC_AUX, AT(tsc_aux) },
#undef AT
};
#define MSRS (sizeof msrs / sizeof msrs[0])

static void read_msrs(struct vp *vp, struct vmmu_hyperv_registers *registers)
{
    for (unsigned i = 0; i < MSRS; i++) {
        uint64_t value = 0;

        (void)vp->arch->backend->read_msr(vp, msrs[i].index, &value);
        __builtin_memcpy((uint8_t *)registers + msrs[i].offset, &value, sizeof value);
    }
}

static void write_msrs(struct vp *vp, const struct vmmu_hyperv_registers *registers)
{
    for (unsigned i = 0; i < MSRS; i++) {
        uint64_t before = 0;
        uint64_t value;

        __builtin_memcpy(&value, (const uint8_t *)registers + msrs[i].offset, sizeof value);
        if (vp->arch->backend->read_msr(vp, msrs[i].index, &before) && before != value) {
            (void)vp->arch->backend->write_msr(vp, msrs[i].index, value);
        }
    }
    vp->arch->msrs.tsc_aux = registers->tsc_aux;
}

static void read_debug(struct vp *vp, struct vmmu_hyperv_registers *registers)
{
    registers->dr[0] = read_dr0();
    registers->dr[1] = read_dr1();
    registers->dr[2] = read_dr2();
    registers->dr[3] = read_dr3();
    registers->dr6 = vp->arch->backend->read_dr6(vp);
    registers->dr7 = vp->arch->backend->read_dr7(vp);
}

static void write_debug(struct vp *vp, const struct vmmu_hyperv_registers *registers)
{
    write_dr0(registers->dr[0]);
    write_dr1(registers->dr[1]);
    write_dr2(registers->dr[2]);
    write_dr3(registers->dr[3]);
    vp->arch->backend->write_dr6(vp, registers->dr6);
    vp->arch->backend->write_dr7(vp, registers->dr7);
}

/* Of a TSS in TR: LTR leaves none that is not busy, but a processor that is emulated may show its descriptor as it was. */
#define TSS_BUSY 2u

static void read_tables(struct vp *vp, struct vmmu_hyperv_registers *registers)
{
    const struct x86_backend *backend = vp->arch->backend;
    struct vmmu_x86_system_segments system;

    backend->read_system(vp, &system);
    registers->ldtr = system.ldtr;
    registers->tr = system.tr;
    registers->tr.attributes |= TSS_BUSY;
    backend->read_table(vp, false, &registers->gdtr.base, &registers->gdtr.limit);
    backend->read_table(vp, true, &registers->idtr.base, &registers->idtr.limit);
}

void x86_registers_read(struct vp *vp, struct vmmu_hyperv_registers *registers)
{
    const struct x86_backend *backend = vp->arch->backend;
    const struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);

    x86_switch_to(vp);
    x86_settle_eoi(vp);
    *registers = (struct vmmu_hyperv_registers){
        .state = *x86_state(vp),
        .cr2 = backend->read_control(vp, 2),
        .cr3 = backend->read_control(vp, 3),
        .cr8 = lapic_cr8_read(lapic),
        .xcr0 = x86_xcr0(vp),
        .tsc = x86_tsc(vp),
        .apic_base = lapic->base,
        .pat = vp->arch->msrs.pat,
        .initial_apic_id = vp->index,
        .vp_index = vp->index,
        .nmi_masked = backend->nmi_is_blocked(vp),
        .explicit_suspend = vp->waits & VP_WAIT_EXPLICIT,
        .intercept_suspend = vp->waits & VP_WAIT_INTERCEPT,
        .flush_inhibit = vp->arch->flush_inhibited,
        .event_pending = backend->is_injecting(vp),
    };
    read_tables(vp, registers);
    read_debug(vp, registers);
    read_msrs(vp, registers);
}

/* --- storing --- */

static void write_segments(struct vp *vp, const struct vmmu_hyperv_registers *registers)
{
    const struct x86_backend *backend = vp->arch->backend;
    const struct vmmu_x86_system_segments system = { .ldtr = registers->ldtr, .tr = registers->tr };

    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        backend->write_segment(vp, (enum vmmu_x86_segment_name)i, &registers->state.segment[i]);
    }
    backend->write_system(vp, &system);
    backend->write_table(vp, false, registers->gdtr.base, registers->gdtr.limit);
    backend->write_table(vp, true, registers->idtr.base, registers->idtr.limit);
}

static void write_pdptes(struct vp *vp, const uint64_t pdpte[4])
{
    struct vp_arch *arch = vp->arch;

    if (arch->pdptes_in_memory) {
        return;
    }
    __builtin_memcpy(arch->pdpte, pdpte, sizeof arch->pdpte);
    if (arch->walks_guest) {
        arch->backend->write_pdptes(vp, pdpte);
    }
}

/* Translations that hang on what the registers were are gone before the VP runs again. */
static void write_paging(struct vp *vp, const struct vmmu_hyperv_registers *registers, bool pdptes)
{
    const struct x86_backend *backend = vp->arch->backend;

    backend->write_efer(vp, registers->state.efer);
    backend->write_control(vp, 0, registers->state.cr0);
    backend->write_control(vp, 4, registers->state.cr4);
    backend->write_control(vp, 3, registers->cr3);
    if (pdptes) {
        write_pdptes(vp, registers->pdpte);
    }
    backend->flush(vp);
    x86_follow_cr0(vp, registers->state.cr0);
    vp->arch->code_complete = false;
    x86_paging_changed(vp);
}

static void write_general(struct vp *vp, const struct vmmu_x86_state *from)
{
    struct vmmu_x86_state *state = &vp->arch->state;

    __builtin_memcpy(state->gpr, from->gpr, sizeof state->gpr);
    state->rip = from->rip;
    state->rflags = from->rflags;
}

static void write_control(struct vp *vp, const struct vmmu_hyperv_registers *registers)
{
    vp->arch->backend->write_control(vp, 2, registers->cr2);
    lapic_cr8_write(pc_lapic(x86_pc(vp), vp->index), registers->cr8);
    if (registers->xcr0 != x86_xcr0(vp)) {
        x86_load_xcr0(vp, registers->xcr0);
    }
}

static void write_events(struct vp *vp, const struct vmmu_hyperv_registers *registers)
{
    vp->arch->state.interrupt_shadow = registers->state.interrupt_shadow;
    if (registers->nmi_masked) {
        vp->arch->backend->block_nmi(vp);
    } else {
        vp->arch->backend->unblock_nmi(vp);
    }
}

/* A message that was not delivered yet is of no use once its VP goes on. */
static void write_suspend(struct vp *vp, const struct vmmu_hyperv_registers *registers)
{
    const unsigned waits = (registers->explicit_suspend ? VP_WAIT_EXPLICIT : 0u) |
                           (registers->intercept_suspend ? VP_WAIT_INTERCEPT : 0u);
    const bool inhibited = vp->arch->flush_inhibited;

    vp->waits |= waits;
    vp->arch->flush_inhibited = registers->flush_inhibit;
    vp->arch->message_waits &= registers->intercept_suspend;
    if (inhibited && !registers->flush_inhibit) {
        x86_flush_allowed(vp->partition);
    }
    schedule_wake(vp, (VP_WAIT_EXPLICIT | VP_WAIT_INTERCEPT) & ~waits);
}

void x86_registers_write(struct vp *vp, const struct vmmu_hyperv_registers *registers, uint32_t changed)
{
    if (changed & VMMU_HYPERV_CHANGED_GENERAL) {
        write_general(vp, &registers->state);
    }
    if (changed & VMMU_HYPERV_CHANGED_SEGMENTS) {
        write_segments(vp, registers);
    }
    if (changed & VMMU_HYPERV_CHANGED_CONTROL) {
        write_control(vp, registers);
    }
    if (changed & VMMU_HYPERV_CHANGED_DEBUG) {
        write_debug(vp, registers);
    }
    if (changed & VMMU_HYPERV_CHANGED_MSRS) {
        write_msrs(vp, registers);
    }
    if (changed & VMMU_HYPERV_CHANGED_PAT) {
        x86_write_pat(vp, registers->pat);
    }
    if (changed & VMMU_HYPERV_CHANGED_TSC) {
        x86_write_tsc(vp, registers->tsc);
    }
    if (changed & VMMU_HYPERV_CHANGED_EVENTS) {
        write_events(vp, registers);
    }
    vp->arch->code_complete = vp->arch->segments_complete = false;
    if (changed & (VMMU_HYPERV_CHANGED_PAGING | VMMU_HYPERV_CHANGED_PDPTES)) {
        x86_forget_fetches(vp);
        write_paging(vp, registers, changed & VMMU_HYPERV_CHANGED_PDPTES);
    }
    if (changed & VMMU_HYPERV_CHANGED_SUSPEND) {
        write_suspend(vp, registers);
    }
    vp->attention |= VP_ATTENTION_EVENT;
    schedule_notice(vp);
}

/* --- the caller's own address space --- */

enum vmmu_hyperv_result x86_switch_space(struct vp *vp, uint64_t cr3)
{
    struct vp_arch *arch = vp->arch;
    const struct vmmu_ram ram = x86_ram(vp);
    struct vmmu_x86_paging_registers registers = x86_paging_registers(vp);
    enum vmmu_hyperv_result status;

    status =
        vmmu_hyperv_switch(&vp->partition->arch->hyperv.config.policy, &arch->cpu, &ram, cr3, &registers);
    if (status != VMMU_HYPERV_SUCCESS) {
        return status;
    }
    /* Not arch->mode: where the processor walks the guest's tables it is made when somebody asks. */
    if (vmmu_mode_paging(registers.cr0, registers.cr4, registers.efer) == VMMU_X86_PAGING_PAE) {
        x86_forget_fetches(vp);
        write_pdptes(vp, registers.pdpte);
    }
    if (arch->walks_guest) {
        arch->backend->switch_space(vp, registers.cr3);
    } else {
        arch->backend->write_control(vp, 3, registers.cr3);
        x86_root_changed(vp, registers.cr3);
    }
    return VMMU_HYPERV_SUCCESS;
}
