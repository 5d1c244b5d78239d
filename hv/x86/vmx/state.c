/*
 * Guest state in the VMCS, in the terms that the rest of hv/x86 uses; and what the processor is to hold of the paging
 * registers in place of what the guest believes.
 *
 * Spec: SDM 3C "Guest Register State", "Guest/Host Masks and Read Shadows for CR0 and CR4", "Checks on the Guest State
 * Area"; "Unrestricted Guests".
 */
#include "hv/mmu/mmu.h"
#include "hv/vp/lock.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vmx/vmx.h"

#define CR0_FORCED          (VMMU_X86_CR0_PE | VMMU_X86_CR0_PG | VMMU_X86_CR0_WP)
#define CR4_MCE             BIT64(6)
#define CR4_VMXE            BIT64(13)
#define CR4_RULES_OF_PAGING (VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS)
#define SEGMENT_LDTR        6u
#define SEGMENT_TR          7u
#define EFER_LONG_MODE      (VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA)

/* MSRs that nothing switches, and the hypervisor has no use for: the guest's stay in the registers. */
static const uint32_t staying_msrs[] = {
    0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000102, /* STAR, LSTAR, CSTAR, SFMASK, KernelGSbase */
};

static enum vmcs_field of_segment(enum vmcs_field of_es, unsigned segment)
{
    return (enum vmcs_field)(of_es + segment * VMCS_SEGMENT_STRIDE);
}

/* --- segments --- */

/* A segment that may not be used has P clear here, whatever loading it has left in the bit. */
static struct vmmu_x86_segment segment_at(unsigned segment)
{
    const uint64_t rights = vmread(of_segment(VMCS_GUEST_ES_RIGHTS, segment));
    const uint64_t absent = rights & VMX_RIGHTS_UNUSABLE ? VMX_RIGHTS_PRESENT : 0;

    return (struct vmmu_x86_segment){
        .base = vmread(of_segment(VMCS_GUEST_ES_BASE, segment)),
        .limit = (uint32_t)vmread(of_segment(VMCS_GUEST_ES_LIMIT, segment)),
        .selector = (uint16_t)vmread(of_segment(VMCS_GUEST_ES_SELECTOR, segment)),
        .attributes = (uint16_t)(rights & ~absent),
    };
}

static void read_segment(struct vp *vp, unsigned segment)
{
    vp->arch->state.segment[segment] = segment_at(segment);
}

static void store_segment(unsigned name, const struct vmmu_x86_segment *segment)
{
    const uint64_t unusable = segment->attributes & VMX_RIGHTS_PRESENT ? 0 : VMX_RIGHTS_UNUSABLE;

    vmwrite(of_segment(VMCS_GUEST_ES_SELECTOR, name), segment->selector);
    vmwrite(of_segment(VMCS_GUEST_ES_BASE, name), segment->base);
    vmwrite(of_segment(VMCS_GUEST_ES_LIMIT, name), segment->limit);
    vmwrite(of_segment(VMCS_GUEST_ES_RIGHTS, name), segment->attributes | unusable);
}

void vmx_write_segment(struct vp *vp, enum vmmu_x86_segment_name name, const struct vmmu_x86_segment *segment)
{
    vmx_use(vp);
    vp->arch->vmx->segments_written = true;
    store_segment(name, segment);
}

void vmx_read_system(const struct vp *vp, struct vmmu_x86_system_segments *system)
{
    vmx_use(vp);
    system->ldtr = segment_at(SEGMENT_LDTR);
    system->tr = segment_at(SEGMENT_TR);
    system->gdt_base = vmread(VMCS_GUEST_GDTR_BASE);
    system->gdt_limit = (uint16_t)vmread(VMCS_GUEST_GDTR_LIMIT);
}

void vmx_write_system(struct vp *vp, const struct vmmu_x86_system_segments *system)
{
    vmx_use(vp);
    store_segment(SEGMENT_LDTR, &system->ldtr);
    store_segment(SEGMENT_TR, &system->tr);
}

uint64_t vmx_read_dr7(const struct vp *vp)
{
    vmx_use(vp);
    return vmread(VMCS_GUEST_DR7);
}

void vmx_write_dr7(struct vp *vp, uint64_t dr7)
{
    vmx_use(vp);
    vmwrite(VMCS_GUEST_DR7, dr7);
}

/* DR6 stays in the register. */
uint64_t vmx_read_dr6(const struct vp *vp)
{
    return x86_is_loaded(vp) ? read_dr6() : vp->arch->vmx->saved_dr6;
}

void vmx_write_dr6(struct vp *vp, uint64_t dr6)
{
    vp->arch->vmx->saved_dr6 = dr6;
    if (x86_is_loaded(vp)) {
        write_dr6(dr6);
    }
}

void vmx_write_table(struct vp *vp, bool interrupt, uint64_t base, uint16_t limit)
{
    vmx_use(vp);
    vmwrite(interrupt ? VMCS_GUEST_IDTR_BASE : VMCS_GUEST_GDTR_BASE, base);
    vmwrite(interrupt ? VMCS_GUEST_IDTR_LIMIT : VMCS_GUEST_GDTR_LIMIT, limit);
}

void vmx_read_table(const struct vp *vp, bool interrupt, uint64_t *base, uint16_t *limit)
{
    vmx_use(vp);
    *base = vmread(interrupt ? VMCS_GUEST_IDTR_BASE : VMCS_GUEST_GDTR_BASE);
    *limit = (uint16_t)vmread(interrupt ? VMCS_GUEST_IDTR_LIMIT : VMCS_GUEST_GDTR_LIMIT);
}

static uint8_t dpl_of(uint64_t rights)
{
    return (uint8_t)((rights & VMX_RIGHTS_DPL) >> 5);
}

void vmx_read_code(struct vp *vp)
{
    struct vmmu_x86_state *state = &vp->arch->state;
    struct vmmu_x86_paging_registers registers;

    vmx_read_paging(vp, &registers);
    state->cr0 = registers.cr0;
    state->cr4 = registers.cr4;
    state->efer = registers.efer;
    state->cpl = dpl_of(vmread(VMCS_GUEST_SS_RIGHTS));
    read_segment(vp, VMMU_X86_CS);
}

void vmx_read_segments(struct vp *vp)
{
    vmx_use(vp);
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        if (i != VMMU_X86_CS) {
            read_segment(vp, i);
        }
    }
}

/* --- what the guest believes --- */

static uint64_t guest_cr0(const struct vmx_vp *vmx)
{
    return (vmx->cr0 & ~VMX_CR0_GUESTS) | (vmread(VMCS_GUEST_CR0) & VMX_CR0_GUESTS);
}

static uint64_t guest_cr4(const struct vmx_vp *vmx)
{
    return vmx->nested ? (vmx->cr4 & ~VMX_CR4_GUESTS) | (vmread(VMCS_GUEST_CR4) & VMX_CR4_GUESTS) : vmx->cr4;
}

uint64_t vmx_read_control(const struct vp *vp, unsigned number)
{
    const struct vmx_vp *vmx = vp->arch->vmx;

    vmx_use(vp);
    switch (number) {
    case 0: return guest_cr0(vmx);
    case 2: return vmx->cr2;
    case 3: return vmx->nested ? vmread(VMCS_GUEST_CR3) : vmx->cr3;
    case 4: return guest_cr4(vmx);
    default: return 0;
    }
}

/* PDPTEs are in the VMCS only where the processor loads them by itself. */
void vmx_read_paging(const struct vp *vp, struct vmmu_x86_paging_registers *registers)
{
    const struct vmx_vp *vmx = vp->arch->vmx;

    registers->cr0 = vmx_read_control(vp, 0);
    registers->cr3 = vmx_read_control(vp, 3);
    registers->cr4 = vmx_read_control(vp, 4);
    registers->efer = vmx->efer;
    if (vmx->nested && registers->cr4 & VMMU_X86_CR4_PAE && registers->cr0 & VMMU_X86_CR0_PG &&
        !(vmx->efer & VMMU_X86_EFER_LMA)) {
        registers->pdpte[0] = vmread(VMCS_GUEST_PDPTE0);
        registers->pdpte[1] = vmread(VMCS_GUEST_PDPTE1);
        registers->pdpte[2] = vmread(VMCS_GUEST_PDPTE2);
        registers->pdpte[3] = vmread(VMCS_GUEST_PDPTE3);
    }
}

void vmx_write_pdptes(struct vp *vp, const uint64_t pdpte[4])
{
    vmx_use(vp);
    vmwrite(VMCS_GUEST_PDPTE0, pdpte[0]);
    vmwrite(VMCS_GUEST_PDPTE1, pdpte[1]);
    vmwrite(VMCS_GUEST_PDPTE2, pdpte[2]);
    vmwrite(VMCS_GUEST_PDPTE3, pdpte[3]);
}

/* --- what the processor holds --- */

static void hold_cr0(struct vmx_vp *vmx, uint64_t cr0)
{
    const struct vmx_capabilities *capabilities = &vmx_processor.capabilities;
    const uint64_t fixed = capabilities->cr0.must & ~(VMMU_X86_CR0_PE | VMMU_X86_CR0_PG);

    vmwrite(VMCS_CR0_SHADOW, cr0);
    vmwrite(VMCS_GUEST_CR0, (cr0 | fixed | (vmx->direct ? 0 : CR0_FORCED)) & capabilities->cr0.may);
}

/* Paged on tables of ours, which say U everywhere where the guest has no paging: what rules such pages must not count then. */
static uint64_t cr4_to_hold(const struct vmx_vp *vmx, uint64_t cr4)
{
    if (vmx->direct) {
        return cr4 | CR4_VMXE;
    }
    cr4 = (cr4 & ~(VMMU_X86_CR4_LA57 | VMMU_X86_CR4_PCIDE)) | VMMU_X86_CR4_PAE | CR4_VMXE;
    if (vmx->root.format == VMMU_X86_FORMAT_5LEVEL) {
        cr4 |= VMMU_X86_CR4_LA57;
    }
    return vmx->cr0 & VMMU_X86_CR0_PG ? cr4 : cr4 & ~CR4_RULES_OF_PAGING;
}

static void hold_cr4(struct vmx_vp *vmx, uint64_t cr4)
{
    /* Without MCE a machine check shuts the machine down, whoever runs. */
    vmwrite(VMCS_CR4_SHADOW, cr4);
    vmwrite(VMCS_GUEST_CR4, cr4_to_hold(vmx, cr4) | (read_cr4() & CR4_MCE));
}

static void hold_efer(struct vmx_vp *vmx)
{
    uint64_t efer = vmx->efer;
    uint32_t controls = vmx->entry_controls & ~VMX_ENTRY_GUEST_64;

    if (!vmx->direct) {
        efer = (efer & ~EFER_LONG_MODE) | VMMU_X86_EFER_NXE |
               (vmx->root.format == VMMU_X86_FORMAT_PAE ? 0 : EFER_LONG_MODE);
    }
    if (efer & VMMU_X86_EFER_LMA) {
        controls |= VMX_ENTRY_GUEST_64;
    }
    if (efer != vmx->held_efer) {
        vmwrite(VMCS_GUEST_EFER, efer);
        vmx->held_efer = efer;
    }
    if (controls != vmx->entry_controls) {
        vmwrite(VMCS_ENTRY_CONTROLS, controls);
        vmx->entry_controls = controls;
    }
}

/*
 * Page faults of tables of ours exit, but for those whose error code says that an entry was not present, if the tables hold
 * such entries only where the guest's do. The processor reports fetches, since NXE is on; a guest for whom they are not
 * reported must not see that.
 */
static void hold_page_faults(struct vmx_vp *vmx)
{
    const bool reports_fetches =
        vmx->cr4 & VMMU_X86_CR4_SMEP || (vmx->efer & VMMU_X86_EFER_NXE && vmx->cr4 & VMMU_X86_CR4_PAE);
    uint32_t exceptions = 1u << X86_VECTOR_DB | 1u << X86_VECTOR_AC | 1u << X86_VECTOR_MC;
    uint32_t mask = 0;

    if (!(vmx->cr0 & VMMU_X86_CR0_NE)) {
        exceptions |= 1u << X86_VECTOR_MF;
    }
    if (!vmx->direct && vmx->silent_absent) {
        mask = VMMU_X86_PF_PRESENT | (reports_fetches ? 0 : VMMU_X86_PF_FETCH);
    } else if (!vmx->direct) {
        exceptions |= 1u << VMMU_X86_VECTOR_PF;
    }
    if (exceptions != vmx->held_exceptions || mask != vmx->held_mask) {
        vmwrite(VMCS_EXCEPTION_BITMAP, exceptions);
        vmwrite(VMCS_PAGE_FAULT_MASK,
                mask); /* and a match of 0: with #PF clear above, others than that exit */
        vmx->held_exceptions = exceptions;
        vmx->held_mask = mask;
    }
}

/*
 * While another tag than the one in use may have translations of the guest's, what flushes by itself without our doing exits:
 * MOV to CR3 and CR4, INVLPG, INVPCID. None of them would reach that tag.
 */
static void watch_spaces(const struct vp *vp, bool watched)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    vmx->watches_spaces = watched;
    vmx_set_processor_controls(vmx, VMX_PROC_INVLPG, watched);
    vmx_set_processor_controls(vmx, VMX_PROC_CR3_LOAD, watched || x86_watches_cr3(vp));
    vmwrite(VMCS_CR4_SHADOW, guest_cr4(vmx));
    vmwrite(VMCS_CR4_MASK, watched ? UINT64_MAX : ~VMX_CR4_GUESTS);
}

void vmx_switch_space(struct vp *vp, uint64_t cr3)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    vmx_use(vp);
    vmx_switch_tag(vp, vmread(VMCS_GUEST_CR3), cr3);
    vmwrite(VMCS_GUEST_CR3, cr3);
    if (vmx->tags.count > 1) {
        watch_spaces(vp, true);
    }
}

void vmx_leave_spaces(struct vp *vp)
{
    x86_tags_flush_others(&vp->arch->vmx->tags);
    watch_spaces(vp, false);
}

/* --- direct or not --- */

static bool is_unusable(uint64_t rights)
{
    return rights & VMX_RIGHTS_UNUSABLE;
}

static unsigned type_of(uint64_t rights)
{
    return (unsigned)(rights & VMX_RIGHTS_TYPE);
}

#define TYPE_ACCESSED   1u
#define TYPE_READABLE   2u /* code; data: writable */
#define TYPE_CONFORMING 4u /* code; data: expands down */
#define TYPE_CODE       8u

/* Whether a processor whose guest is restricted enters with this DS, ES, FS or GS. */
static bool is_plain_data(unsigned segment)
{
    const uint64_t rights = vmread(of_segment(VMCS_GUEST_ES_RIGHTS, segment));
    const unsigned type = type_of(rights);
    const unsigned rpl = (unsigned)vmread(of_segment(VMCS_GUEST_ES_SELECTOR, segment)) & 3;

    if (is_unusable(rights)) {
        return true;
    }
    if (type & TYPE_CODE && !(type & TYPE_READABLE)) {
        return false;
    }
    return type & TYPE_ACCESSED && (type >= (TYPE_CODE | TYPE_CONFORMING) || dpl_of(rights) >= rpl);
}

static bool is_plain_code_and_stack(void)
{
    const uint64_t cs = vmread(VMCS_GUEST_CS_RIGHTS);
    const uint64_t ss = vmread(VMCS_GUEST_SS_RIGHTS);
    const unsigned rpl = (unsigned)vmread(VMCS_GUEST_SS_SELECTOR) & 3;

    if ((type_of(cs) & (TYPE_CODE | TYPE_ACCESSED)) != (TYPE_CODE | TYPE_ACCESSED)) {
        return false;
    }
    if (type_of(cs) & TYPE_CONFORMING ? dpl_of(cs) > dpl_of(ss) : dpl_of(cs) != dpl_of(ss)) {
        return false;
    }
    return rpl == dpl_of(ss) && ((unsigned)vmread(VMCS_GUEST_CS_SELECTOR) & 3) == rpl &&
           (is_unusable(ss) || (type_of(ss) & ~TYPE_CONFORMING) == (TYPE_READABLE | TYPE_ACCESSED));
}

/*
 * Whether the segments are what a processor in protected mode loads. Those that real mode leaves behind need not be; a
 * guest soon loads others. In virtual-8086 mode the processor itself makes them.
 */
static bool has_plain_segments(const struct vp *vp)
{
    if (vp->arch->state.rflags & X86_RFLAGS_VM) {
        return true;
    }
    return is_plain_code_and_stack() && is_plain_data(VMMU_X86_ES) && is_plain_data(VMMU_X86_DS) &&
           is_plain_data(VMMU_X86_FS) && is_plain_data(VMMU_X86_GS);
}

static bool needs_direct(const struct vp *vp)
{
    const struct vmx_vp *vmx = vp->arch->vmx;

    if (vmx->nested || !(vmx->cr0 & VMMU_X86_CR0_PE)) {
        return true;
    }
    return (vmx->direct || vmx->segments_written) && !has_plain_segments(vp);
}

/*
 * What a VP wrote while its own tables were walked, nobody has seen: nothing that was made from guest memory before is worth
 * anything to any VP of the partition. @leaves: it was this one, whose root is to be found anew.
 */
static bool settle_writes(struct vp *vp, bool leaves)
{
    struct partition *partition = vp->partition;

    lock_take(&partition->lock);
    if (partition->arch->unseen_writes) {
        partition->arch->unseen_writes = false;
        mmu_forget_all(partition);
    }
    if (leaves) {
        x86_paging_changed(vp);
    }
    lock_release(&partition->lock);
    return !(vp->attention & VP_ATTENTION_STOP);
}

static bool change_manner(struct vp *vp, bool direct)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const uint32_t stage2 = VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED_GUEST;

    if (direct && !vmx->eptp) {
        partition_end(
            vp->partition, PARTITION_STOPPED, 0,
            "the guest is in real mode or just out of it, and the processor has no unrestricted guest "
            "to run that without paging");
        return false;
    }
    vmx->direct = direct;
    vmx->direct_phases += direct;
    vmx->processor_controls2 =
        direct ? vmx->processor_controls2 | stage2 : vmx->processor_controls2 & ~stage2;
    vmwrite(VMCS_PROCESSOR_CONTROLS2, vmx->processor_controls2);
    vmwrite(VMCS_GUEST_PAT, direct ? vmx->pat : vmx->host_pat);
    return true;
}

bool vmx_load_paging(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    const bool unsettled = vmx->paging_changed || vmx->segments_written || vp->partition->arch->unseen_writes;

    if (vmx->nested ? !vmx->paging_changed : !unsettled && !vmx->direct) {
        return true;
    }
    if (!vmx->nested) {
        const bool direct = needs_direct(vp);

        if (!direct && !settle_writes(vp, vmx->direct)) {
            return false;
        }
        if (direct != vmx->direct && !change_manner(vp, direct)) {
            return false;
        }
        vp->partition->arch->unseen_writes = direct;
        vmx->segments_written = false;
        if (vmx->direct) {
            vmx_choose_tag(vp, 0);
            vmwrite(VMCS_GUEST_CR3, vmx->cr3);
            vmx_write_pdptes(vp, vp->arch->pdpte);
        } else {
            vmx_choose_tag(vp, vmx->root.cr3);
            vmwrite(VMCS_GUEST_CR3, vmx->root.cr3);
        }
    }
    hold_cr0(vmx, guest_cr0(vmx));
    hold_cr4(vmx, guest_cr4(vmx));
    hold_efer(vmx);
    hold_page_faults(vmx);
    vmx->paging_changed = false;
    return true;
}

/* --- writes --- */

/* Bits that the guest writes unseen are in the VMCS at once. */
void vmx_write_control(struct vp *vp, unsigned number, uint64_t value)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    vmx_use(vp);
    vmx->paging_changed |= number != 2;
    switch (number) {
    case 0:
        vmx->cr0 = value;
        hold_cr0(vmx, value);
        break;
    case 2: vmx->cr2 = value; break;
    case 3:
        vmx->cr3 = value;
        if (vmx->nested) {
            vmwrite(VMCS_GUEST_CR3, value);
        }
        break;
    case 4:
        vmx->cr4 = value;
        hold_cr4(vmx, value);
        break;
    default: break;
    }
}

void vmx_write_efer(struct vp *vp, uint64_t value)
{
    vp->arch->vmx->efer = value;
    vp->arch->vmx->paging_changed = true;
}

/* While the guest's own tables are walked, a new root is a new CR3, which takes what was cached with it. */
void vmx_write_root(struct vp *vp, const struct vmmu_shadow_root *root)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    if (vmx->direct || (root->cr3 != vmx->root.cr3 && !vmx->tagged_roots)) {
        vmx_flush(vp);
    }
    vmx->root = *root;
    vmx->paging_changed = true;
}

/* --- MSRs --- */

static bool field_of_msr(uint32_t index, enum vmcs_field *field)
{
    switch (index) {
    case 0x174: *field = VMCS_GUEST_SYSENTER_CS; return true;
    case 0x175: *field = VMCS_GUEST_SYSENTER_ESP; return true;
    case 0x176: *field = VMCS_GUEST_SYSENTER_EIP; return true;
    case 0xC0000100: *field = VMCS_GUEST_FS_BASE; return true;
    case 0xC0000101: *field = VMCS_GUEST_GS_BASE; return true;
    default: return false;
    }
}

/* Where @index is kept while another VP's value is in the register; NULL: it does not stay there. */
static uint64_t *saved_msr(struct vmx_vp *vmx, uint32_t index)
{
    for (unsigned i = 0; i < sizeof staying_msrs / sizeof staying_msrs[0]; i++) {
        if (staying_msrs[i] == index) {
            return &vmx->saved_msrs[i];
        }
    }
    return NULL;
}

bool vmx_read_msr(struct vp *vp, uint32_t index, uint64_t *value)
{
    const uint64_t *saved = saved_msr(vp->arch->vmx, index);
    enum vmcs_field field;

    vmx_use(vp);
    if (index == X86_MSR_PAT) {
        *value = vp->arch->vmx->pat;
        return true;
    }
    if (field_of_msr(index, &field)) {
        *value = vmread(field);
        return true;
    }
    if (saved) {
        *value = x86_is_loaded(vp) ? rdmsr(index) : *saved;
        return true;
    }
    return x86_read_staying(vp, index, value);
}

bool vmx_write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    struct vmx_vp *vmx = vp->arch->vmx;
    enum vmcs_field field;

    vmx_use(vp);
    if (index == X86_MSR_PAT) {
        vmx->pat = value;
        if (vmx->direct) {
            vmwrite(VMCS_GUEST_PAT, value);
        }
        return true;
    }
    if (field_of_msr(index, &field)) {
        vmwrite(field, value);
        return true;
    }
    if (saved_msr(vmx, index)) {
        x86_switch_to(vp); /* the processor says which values it takes */
        return wrmsr_safe(index, value);
    }
    return x86_write_staying(vp, index, value);
}

void vmx_switch_from(struct vp *vp)
{
    struct vmx_vp *vmx = vp->arch->vmx;

    _Static_assert(sizeof staying_msrs / sizeof staying_msrs[0] <= sizeof vmx->saved_msrs / 8, "room");
    vmx->saved_dr6 = read_dr6();
    for (unsigned i = 0; i < sizeof staying_msrs / sizeof staying_msrs[0]; i++) {
        vmx->saved_msrs[i] = rdmsr(staying_msrs[i]);
    }
}

void vmx_switch_to(struct vp *vp)
{
    const struct vmx_vp *vmx = vp->arch->vmx;

    write_dr6(vmx->saved_dr6);
    for (unsigned i = 0; i < sizeof staying_msrs / sizeof staying_msrs[0]; i++) {
        wrmsr(staying_msrs[i], vmx->saved_msrs[i]);
    }
}
