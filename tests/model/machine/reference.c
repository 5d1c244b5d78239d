/*
 * The reference's surface: memory, registers, instructions.
 */
#include "tests/model/machine/reference_internal.h"

#include <stdlib.h>

static enum vmmu_status ram_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    *value = history_load(context, address, width_bytes);
    return VMMU_OK;
}

/* CR0 after RESET: caching off, ET reads as one. */
#define CR0_AT_RESET (VMMU_X86_CR0_CD | VMMU_X86_CR0_NW | VMMU_X86_CR0_ET)

struct reference *reference_create(const struct vmmu_x86_cpu *cpu, bool intel, unsigned vps)
{
    struct reference *reference = calloc(1, sizeof(*reference));

    if (!reference) {
        return NULL;
    }
    reference->history = history_create();
    if (!reference->history) {
        reference_destroy(reference);
        return NULL;
    }
    reference->cpu = *cpu;
    reference->intel = intel;
    reference->vps = vps;
    reference->ram = (struct vmmu_ram){ .context = reference->history, .load = ram_load };
    for (unsigned i = 0; i < vps; i++) {
        struct reference_vp *vp = &reference->vp[i];

        vp->registers = (struct vmmu_x86_paging_registers){ .cr0 = CR0_AT_RESET, .pdpte_in_memory = !intel };
        if (vmmu_mode_make(cpu, &vp->registers, &vp->mode) != VMMU_OK) {
            reference_destroy(reference);
            return NULL;
        }
    }
    return reference;
}

void reference_destroy(struct reference *reference)
{
    if (reference) {
        history_destroy(reference->history);
        free(reference);
    }
}

uint64_t reference_load(const struct reference *reference, uint64_t gpa, unsigned width_bytes)
{
    return history_load(reference->history, gpa, width_bytes);
}

void reference_store(struct reference *reference, uint64_t gpa, unsigned width_bytes, uint64_t value)
{
    history_store(reference->history, ++reference->now, gpa, width_bytes, value);
}

const struct vmmu_x86_paging_registers *reference_registers(const struct reference *reference, unsigned vp)
{
    return &reference->vp[vp].registers;
}

const struct vmmu_x86_mode *reference_mode(const struct reference *reference, unsigned vp)
{
    return &reference->vp[vp].mode;
}

/* Load the PDPTE registers of @next, if it has any and @wanted. */
static enum vmmu_status load_pdptes(const struct reference *reference, bool wanted,
                                    struct vmmu_x86_paging_registers *next)
{
    if (!wanted || next->pdpte_in_memory) {
        return VMMU_OK;
    }
    return vmmu_mode_load_pdptes(&reference->cpu, &reference->ram, next->cr3, next->pdpte);
}

/* The VP's registers become @next: an instruction has been accepted. */
static enum vmmu_status become(struct reference *reference, unsigned vp,
                               const struct vmmu_x86_paging_registers *next)
{
    const enum vmmu_status status = vmmu_mode_make(&reference->cpu, next, &reference->vp[vp].mode);

    if (status == VMMU_OK) {
        reference->vp[vp].registers = *next;
        reference->now++;
    }
    return status;
}

enum vmmu_status reference_cr0(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    struct vmmu_x86_paging_registers next = *now;
    enum vmmu_status status = vmmu_mode_check_cr0(now, value, false);

    next.cr0 = vmmu_mode_cr0_stored(value);
    next.efer = vmmu_mode_efer_with_cr0(now->efer, next.cr0);
    if (status == VMMU_OK) {
        status = load_pdptes(reference, vmmu_mode_loads_pdptes(now, &next), &next);
    }
    return status == VMMU_OK ? become(reference, vp, &next) : status;
}

enum vmmu_status reference_cr3(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    const bool pae = reference->vp[vp].mode.paging == VMMU_X86_PAGING_PAE;
    struct vmmu_x86_paging_registers next = *now;
    enum vmmu_status status = vmmu_mode_check_cr3(&reference->cpu, now, value);

    next.cr3 = vmmu_mode_cr3_stored(value);
    if (status == VMMU_OK) {
        status = load_pdptes(reference, pae, &next);
    }
    return status == VMMU_OK ? become(reference, vp, &next) : status;
}

enum vmmu_status reference_cr4(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    struct vmmu_x86_paging_registers next = *now;
    enum vmmu_status status = vmmu_mode_check_cr4(&reference->cpu, now, value);

    next.cr4 = value;
    if (status == VMMU_OK) {
        status = load_pdptes(reference, vmmu_mode_loads_pdptes(now, &next), &next);
    }
    return status == VMMU_OK ? become(reference, vp, &next) : status;
}

enum vmmu_status reference_efer(struct reference *reference, unsigned vp, uint64_t value)
{
    const struct vmmu_x86_paging_registers *now = &reference->vp[vp].registers;
    struct vmmu_x86_paging_registers next = *now;
    const enum vmmu_status status = vmmu_mode_check_efer(&reference->cpu, now, value);

    next.efer = vmmu_mode_efer_stored(now->efer, value);
    return status == VMMU_OK ? become(reference, vp, &next) : status;
}

enum vmmu_status reference_pkru(struct reference *reference, unsigned vp, uint32_t value)
{
    struct vmmu_x86_paging_registers next = reference->vp[vp].registers;

    next.pkru = value;
    return become(reference, vp, &next);
}

/* Instructions that only name an address look at the widest addresses that the processor has. */
static bool may_be_named(const struct reference *reference, uint64_t address)
{
    return vmmu_format_is_canonical(address, reference->cpu.la57 ? 57 : 48);
}

enum vmmu_status reference_invpcid(struct reference *reference, unsigned vp, unsigned type, uint64_t pcid,
                                   uint64_t address)
{
    const bool pcids = (reference->vp[vp].registers.cr4 & VMMU_X86_CR4_PCIDE) != 0;

    if (type > 3 || pcid > 0xfff || (type < 2 && pcid != 0 && !pcids)) {
        return VMMU_GUEST_FAULT;
    }
    if (type == 0 && !may_be_named(reference, address)) {
        return VMMU_GUEST_FAULT;
    }
    reference->now++;
    return VMMU_OK;
}

void reference_invlpg(struct reference *reference, unsigned vp, uint64_t address)
{
    (void)vp, (void)address;
    reference->now++;
}

void reference_page_fault(struct reference *reference, unsigned vp, uint64_t address)
{
    (void)vp, (void)address;
    reference->now++;
}

unsigned reference_burden_of(const struct reference *reference, unsigned vp)
{
    (void)vp;
    return history_burden(reference->history, 0);
}

unsigned reference_burden(const struct reference *reference)
{
    unsigned most = 0;

    for (unsigned vp = 0; vp < reference->vps; vp++) {
        const unsigned burden = reference_burden_of(reference, vp);

        most = burden > most ? burden : most;
    }
    return most;
}

uint64_t reference_given_up(const struct reference *reference)
{
    return reference->given_up;
}
