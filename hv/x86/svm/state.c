/* Guest state in the VMCB, in the terms that the rest of hv/x86 uses. */
#include "hv/x86/cpu.h"
#include "hv/x86/svm/svm.h"

#define CR0_OURS            (VMMU_X86_CR0_PG | VMMU_X86_CR0_WP)
#define CR4_RULES_OF_PAGING (VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS)
#define SEGMENT_DPL_SHIFT   5
#define EFER_LONG_MODE      (VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA)

static struct svm_save *save_of(const struct vp *vp)
{
    return &vp->arch->svm->vmcb->save;
}

/*
 * The VMCB packs a descriptor's two bytes of rights into 12 bits; struct
 * vmmu_x86_segment keeps them in place.
 */
static uint16_t unpack_rights(uint16_t packed)
{
    return (uint16_t)((packed & 0xFF) | (packed & 0xF00) << 4);
}

static uint16_t pack_rights(uint16_t rights)
{
    return (uint16_t)((rights & 0xFF) | (rights >> 4 & 0xF00));
}

static struct vmmu_x86_segment unpack(const struct svm_segment *from)
{
    return (struct vmmu_x86_segment){ .base = from->base,
                                      .limit = from->limit,
                                      .selector = from->selector,
                                      .attributes = unpack_rights(from->attributes) };
}

static struct svm_segment pack(const struct vmmu_x86_segment *from)
{
    return (struct svm_segment){ .selector = from->selector,
                                 .attributes = pack_rights(from->attributes),
                                 .limit = from->limit,
                                 .base = from->base };
}

static void read_segment(struct vp *vp, enum vmmu_x86_segment_name name)
{
    vp->arch->state.segment[name] = unpack(&save_of(vp)->segments[name]);
}

void svm_read_code(struct vp *vp)
{
    struct vmmu_x86_state *state = &vp->arch->state;
    struct vmmu_x86_paging_registers registers;

    svm_read_paging(vp, &registers);
    state->cr0 = registers.cr0;
    state->cr4 = registers.cr4;
    state->efer = registers.efer;
    state->cpl = save_of(vp)->cpl;
    read_segment(vp, VMMU_X86_CS);
}

void svm_read_segments(struct vp *vp)
{
    for (unsigned i = 0; i < VMMU_X86_SEGMENTS; i++) {
        if (i != VMMU_X86_CS) {
            read_segment(vp, (enum vmmu_x86_segment_name)i);
        }
    }
}

/* The CPL is the stack segment's DPL, as every load of it has it; VMRUN wants to be told. */
void svm_write_segment(struct vp *vp, enum vmmu_x86_segment_name name, const struct vmmu_x86_segment *segment)
{
    save_of(vp)->segments[name] = pack(segment);
    if (name == VMMU_X86_SS) {
        save_of(vp)->cpl = segment->attributes >> SEGMENT_DPL_SHIFT & 3;
    }
}

void svm_write_table(struct vp *vp, bool interrupt, uint64_t base, uint16_t limit)
{
    struct svm_save *save = save_of(vp);

    *(interrupt ? &save->idtr : &save->gdtr) = (struct svm_segment){ .limit = limit, .base = base };
}

void svm_read_table(const struct vp *vp, bool interrupt, uint64_t *base, uint16_t *limit)
{
    const struct svm_save *save = save_of(vp);
    const struct svm_segment *table = interrupt ? &save->idtr : &save->gdtr;

    *base = table->base;
    *limit = (uint16_t)table->limit;
}

void svm_read_system(const struct vp *vp, struct vmmu_x86_system_segments *system)
{
    const struct svm_save *save = save_of(vp);

    *system = (struct vmmu_x86_system_segments){ .ldtr = unpack(&save->ldtr),
                                                 .tr = unpack(&save->tr),
                                                 .gdt_base = save->gdtr.base,
                                                 .gdt_limit = (uint16_t)save->gdtr.limit };
}

void svm_write_system(struct vp *vp, const struct vmmu_x86_system_segments *system)
{
    save_of(vp)->ldtr = pack(&system->ldtr);
    save_of(vp)->tr = pack(&system->tr);
}

uint64_t svm_read_dr7(const struct vp *vp)
{
    return save_of(vp)->dr7;
}

void svm_write_dr7(struct vp *vp, uint64_t dr7)
{
    save_of(vp)->dr7 = dr7;
}

uint64_t svm_read_dr6(const struct vp *vp)
{
    return save_of(vp)->dr6;
}

void svm_write_dr6(struct vp *vp, uint64_t dr6)
{
    save_of(vp)->dr6 = dr6;
}

/* VMRUN loads CR2 from the VMCB, save on an emulator (Bochs 2.7) that leaves it as the processor has it. */
static void set_cr2(struct vp *vp, uint64_t value)
{
    save_of(vp)->cr2 = value;
    if (x86_is_loaded(vp)) {
        write_cr2(value);
    }
}

void svm_switch_to(struct vp *vp)
{
    write_cr2(save_of(vp)->cr2);
}

/* What the guest reads, where the VMCB holds what the processor is to walk our tables by. */
static uint64_t read_guest_control(const struct svm_vp *svm, unsigned number)
{
    switch (number) {
    case 0: return (svm->vmcb->save.cr0 & ~CR0_OURS) | (svm->cr0 & CR0_OURS);
    case 2: return svm->vmcb->save.cr2;
    case 3: return svm->cr3;
    case 4: return svm->cr4;
    default: return 0;
    }
}

static void write_guest_control(struct vp *vp, unsigned number, uint64_t value)
{
    struct svm_vp *svm = vp->arch->svm;

    switch (number) {
    case 0:
        svm->cr0 = value;
        svm->vmcb->save.cr0 = value | CR0_OURS;
        break;
    case 2: set_cr2(vp, value); break;
    case 3: svm->cr3 = value; break;
    case 4: svm->cr4 = value; break;
    default: break;
    }
}

void svm_read_paging(const struct vp *vp, struct vmmu_x86_paging_registers *registers)
{
    const struct svm_vp *svm = vp->arch->svm;
    const struct svm_save *save = &svm->vmcb->save;

    if (svm->own_tables) {
        registers->cr0 = (save->cr0 & ~CR0_OURS) | (svm->cr0 & CR0_OURS);
        registers->cr3 = svm->cr3;
        registers->cr4 = svm->cr4;
        registers->efer = svm->efer;
    } else {
        registers->cr0 = save->cr0;
        registers->cr3 = save->cr3;
        registers->cr4 = save->cr4;
        registers->efer = save->efer & ~VMMU_X86_EFER_SVME;
    }
}

uint64_t svm_read_control(const struct vp *vp, unsigned number)
{
    const struct svm_save *save = save_of(vp);

    if (vp->arch->svm->own_tables) {
        return read_guest_control(vp->arch->svm, number);
    }
    switch (number) {
    case 0: return save->cr0;
    case 2: return save->cr2;
    case 3: return save->cr3;
    case 4: return save->cr4;
    default: return 0;
    }
}

void svm_write_control(struct vp *vp, unsigned number, uint64_t value)
{
    struct svm_save *save = save_of(vp);

    if (vp->arch->svm->own_tables) {
        write_guest_control(vp, number, value);
        return;
    }
    switch (number) {
    case 0: save->cr0 = value; break;
    case 2: set_cr2(vp, value); break;
    case 3: save->cr3 = value; break;
    case 4: save->cr4 = value; break;
    default: break;
    }
}

/* VMRUN refuses a guest without EFER.SVME; the guest never sees the bit. */
void svm_write_efer(struct vp *vp, uint64_t value)
{
    vp->arch->svm->efer = value;
    if (!vp->arch->svm->own_tables) {
        save_of(vp)->efer = value | VMMU_X86_EFER_SVME;
    }
}

/*
 * Our tables are PAE's, or long mode's if the guest's are. A guest without paging runs with it all the same, in
 * real mode, too ("paged real mode"), over tables that say U everywhere; what rules such pages in paging
 * must not count for it.
 */
void svm_write_root(struct vp *vp, const struct vmmu_shadow_root *root)
{
    struct svm_vp *svm = vp->arch->svm;
    struct svm_save *save = &svm->vmcb->save;
    struct svm_control *control = &svm->vmcb->control;
    const bool long_mode = root->format != VMMU_X86_FORMAT_PAE;
    uint64_t cr4 = (svm->cr4 & ~(VMMU_X86_CR4_LA57 | VMMU_X86_CR4_PCIDE)) | VMMU_X86_CR4_PAE;

    if (root->format == VMMU_X86_FORMAT_5LEVEL) {
        cr4 |= VMMU_X86_CR4_LA57;
    }
    if (!(svm->cr0 & VMMU_X86_CR0_PG)) {
        cr4 &= ~CR4_RULES_OF_PAGING;
    }
    if (svm->tagged_roots) {
        x86_tags_choose(&svm->tags, root->cr3);
    } else if (save->cr3 != root->cr3) {
        vp->arch->backend->flush(vp);
    }
    save->cr3 = svm->root = root->cr3;
    save->cr4 = cr4;
    save->efer = (svm->efer & ~EFER_LONG_MODE) | (long_mode ? EFER_LONG_MODE : 0) | VMMU_X86_EFER_NXE |
                 VMMU_X86_EFER_SVME;
    /* CR0 exits by the selective intercept where it is the guest's own. */
    control->cr_reads = (uint16_t)(1u << 3 | (cr4 != svm->cr4 ? 1u << 4 : 0));
    control->cr_writes = SVM_CR_WRITES | 1u << 3;
    if ((svm->cr0 & CR0_OURS) != CR0_OURS) {
        control->cr_reads |= 1u << 0;
        control->cr_writes |= 1u << 0;
    }
}

static uint64_t *msr_field(struct svm_save *save, uint32_t index)
{
    switch (index) {
    case 0x174: return &save->sysenter_cs;
    case 0x175: return &save->sysenter_esp;
    case 0x176: return &save->sysenter_eip;
    case 0x277: return &save->pat;
    case 0xC0000081: return &save->star;
    case 0xC0000082: return &save->lstar;
    case 0xC0000083: return &save->cstar;
    case 0xC0000084: return &save->sfmask;
    case 0xC0000100: return &save->segments[VMMU_X86_FS].base;
    case 0xC0000101: return &save->segments[VMMU_X86_GS].base;
    case 0xC0000102: return &save->kernel_gs_base;
    default: return NULL;
    }
}

bool svm_read_msr(struct vp *vp, uint32_t index, uint64_t *value)
{
    const uint64_t *field = msr_field(save_of(vp), index);

    if (field) {
        *value = *field;
        return true;
    }
    return x86_read_staying(vp, index, value);
}

bool svm_write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    uint64_t *field = msr_field(save_of(vp), index);

    if (field) {
        *field = value;
        return true;
    }
    return x86_write_staying(vp, index, value);
}
