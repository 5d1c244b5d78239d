/*
 * A mode for memory whose processor is not there to be asked: whatever makes an entry legal is offered.
 */
#include <vmmu/mode.h>

const struct vmmu_x86_cpu vmmu_x86_any_cpu = {
    .maxphyaddr = 52,
    .pse = true,
    .pse36 = true,
    .pae = true,
    .pge = true,
    .nx = true,
    .long_mode = true,
    .gib_pages = true,
    .la57 = true,
    .smep = true,
    .smap = true,
    .pku = true,
    .pks = true,
    .pcid = true,
    .cr4_others = ~UINT64_C(0),
    .efer_others = ~UINT64_C(0),
};

/* The bits that select each kind of paging. */
struct selection {
    uint64_t cr0, cr4, efer;
};

#define CR0_UNPAGED (VMMU_X86_CR0_PE | VMMU_X86_CR0_ET)
#define CR0_PAGED   (CR0_UNPAGED | VMMU_X86_CR0_PG)
#define EFER_LONG   (VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA)

static const struct selection selections[] = {
    [VMMU_X86_PAGING_NONE] = { CR0_UNPAGED, 0, 0 },
    [VMMU_X86_PAGING_32BIT] = { CR0_PAGED, VMMU_X86_CR4_PSE, 0 },
    [VMMU_X86_PAGING_PAE] = { CR0_PAGED, VMMU_X86_CR4_PAE, VMMU_X86_EFER_NXE },
    [VMMU_X86_PAGING_4LEVEL] = { CR0_PAGED, VMMU_X86_CR4_PAE, EFER_LONG | VMMU_X86_EFER_NXE },
    [VMMU_X86_PAGING_5LEVEL] = { CR0_PAGED, VMMU_X86_CR4_PAE | VMMU_X86_CR4_LA57,
                                 EFER_LONG | VMMU_X86_EFER_NXE },
};

void vmmu_mode_select(enum vmmu_x86_paging paging, struct vmmu_x86_paging_registers *registers)
{
    const struct selection *selection = &selections[paging];

    registers->cr0 = (registers->cr0 & ~VMMU_X86_CR0_PG) | selection->cr0;
    registers->cr4 = (registers->cr4 & ~(VMMU_X86_CR4_PAE | VMMU_X86_CR4_LA57)) | selection->cr4;
    registers->efer = (registers->efer & ~EFER_LONG) | selection->efer;
    if (!(selection->efer & VMMU_X86_EFER_LMA)) {
        registers->cr4 &= ~VMMU_X86_CR4_PCIDE;
        registers->cr3 &= UINT32_MAX;
    }
}

enum vmmu_status vmmu_mode_assume(enum vmmu_x86_paging paging, uint64_t cr3, struct vmmu_x86_mode *out)
{
    struct vmmu_x86_paging_registers registers = {
        .cr0 = paging == VMMU_X86_PAGING_NONE ? 0 : VMMU_X86_CR0_WP,
        .cr3 = cr3,
        .pdpte_in_memory = true,
    };

    vmmu_mode_select(paging, &registers);
    if (registers.cr3 != cr3) {
        return VMMU_INVALID;
    }
    return vmmu_mode_make(&vmmu_x86_any_cpu, &registers, out);
}
