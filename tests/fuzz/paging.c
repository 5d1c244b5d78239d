#include "paging.h"

#define CR4_DRAWN                                                                                            \
    (VMMU_X86_CR4_PSE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE |        \
     VMMU_X86_CR4_PKS | VMMU_X86_CR4_PCIDE | VMMU_X86_CR4_OSFXSR)

struct vmmu_x86_cpu draw_cpu(struct input *input)
{
    const uint8_t width = (uint8_t)(52 - input_below(input, 21));
    /* Inverted, so that an input of zeros is a processor with everything. */
    const uint32_t missing = (uint32_t)input_number(input, 3);

    return (struct vmmu_x86_cpu){
        .maxphyaddr = width,
        .pse = !(missing & 0x1),
        .pse36 = !(missing & 0x2),
        .pae = !(missing & 0x4),
        .pge = !(missing & 0x8),
        .nx = !(missing & 0x10),
        .long_mode = !(missing & 0x20),
        .gib_pages = !(missing & 0x40),
        .la57 = !(missing & 0x80),
        .smep = !(missing & 0x100),
        .smap = !(missing & 0x200),
        .pku = !(missing & 0x400),
        .pks = !(missing & 0x800),
        .pcid = !(missing & 0x1000),
        .bit8_reserved = (missing & 0x2000) != 0,
        .cr4_others = (missing & 0x4000) ? 0 : VMMU_X86_CR4_OSFXSR | VMMU_X86_CR4_CET,
        .efer_others = (missing & 0x8000) ? 0 : VMMU_X86_EFER_SCE,
    };
}

/* CR0, CR4 and EFER of a kind of paging, with what else the input asks for where it may be asked for. */
static void choose_paging(struct vmmu_x86_paging_registers *registers, enum vmmu_x86_paging paging)
{
    const bool long_mode = paging == VMMU_X86_PAGING_4LEVEL || paging == VMMU_X86_PAGING_5LEVEL;

    registers->cr0 |= VMMU_X86_CR0_PE | VMMU_X86_CR0_PG;
    if (paging == VMMU_X86_PAGING_NONE) {
        registers->cr0 &= ~VMMU_X86_CR0_PG;
    }
    if (long_mode || paging == VMMU_X86_PAGING_PAE) {
        registers->cr4 |= VMMU_X86_CR4_PAE;
    }
    if (paging == VMMU_X86_PAGING_5LEVEL) {
        registers->cr4 |= VMMU_X86_CR4_LA57;
    }
    if (long_mode) {
        registers->efer |= VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA;
    } else {
        registers->cr4 &= ~VMMU_X86_CR4_PCIDE;
    }
}

struct vmmu_x86_paging_registers draw_registers(struct input *input, const struct vmmu_x86_cpu *cpu)
{
    const enum vmmu_x86_paging paging =
        (enum vmmu_x86_paging)(VMMU_X86_PAGING_5LEVEL - input_below(input, VMMU_X86_PAGING_5LEVEL + 1));
    const uint8_t flags = input_u8(input);
    struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_ET | ((flags & 1) ? 0 : VMMU_X86_CR0_WP),
        .cr3 = input_u64(input),
        .cr4 = input_u32(input) & CR4_DRAWN & vmmu_mode_cr4_offered(cpu),
        .efer = ((flags & 2) ? 0 : VMMU_X86_EFER_NXE) & vmmu_mode_efer_offered(cpu),
        .pkru = input_u32(input),
        .pkrs = input_u32(input),
        .pdpte_in_memory = (flags & 4) != 0,
    };

    for (unsigned i = 0; i < 4; i++) {
        registers.pdpte[i] = input_u64(input);
    }
    choose_paging(&registers, paging);
    if ((flags & 0xF8) != 0xF8) {
        const uint64_t pdpte_bits = (BITS64(cpu->maxphyaddr - 1, 12)) | BITS64(11, 9) | BITS64(4, 3) | 1;

        registers.cr3 &= BITS64(cpu->maxphyaddr - 1, 0);
        for (unsigned i = 0; i < 4; i++) {
            registers.pdpte[i] &= pdpte_bits;
        }
    }
    return registers;
}
