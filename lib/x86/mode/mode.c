/*
 * From control registers to one immutable description.
 *
 * Invariant: what vmmu_mode_make accepts is a state that a processor can be in, so that
 * walks need not ask again.
 */
#include <vmmu/mode.h>

enum vmmu_x86_paging vmmu_mode_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    if (!(cr0 & VMMU_X86_CR0_PG)) {
        return VMMU_X86_PAGING_NONE;
    }
    if (!(cr4 & VMMU_X86_CR4_PAE)) {
        return VMMU_X86_PAGING_32BIT;
    }
    if (!(efer & VMMU_X86_EFER_LME)) {
        return VMMU_X86_PAGING_PAE;
    }
    return (cr4 & VMMU_X86_CR4_LA57) ? VMMU_X86_PAGING_5LEVEL : VMMU_X86_PAGING_4LEVEL;
}

/*
 * What one kind of paging fixes: the bits of CR3 that name the root, the width of
 * linear addresses, the format.
 */
struct paging_facts {
    uint64_t root_mask;
    uint8_t address_bits;
    bool long_mode;
    enum vmmu_x86_format_name format;
};

static const struct paging_facts facts[] = {
    [VMMU_X86_PAGING_NONE] = { 0, 32, false, VMMU_X86_FORMAT_32BIT },
    [VMMU_X86_PAGING_32BIT] = { BITS64(31, 12), 32, false, VMMU_X86_FORMAT_32BIT },
    [VMMU_X86_PAGING_PAE] = { BITS64(31, 5), 32, false, VMMU_X86_FORMAT_PAE },
    [VMMU_X86_PAGING_4LEVEL] = { BITS64(51, 12), 48, true, VMMU_X86_FORMAT_4LEVEL },
    [VMMU_X86_PAGING_5LEVEL] = { BITS64(51, 12), 57, true, VMMU_X86_FORMAT_5LEVEL },
};

vmmu_gpa vmmu_mode_root(enum vmmu_x86_paging paging, uint64_t cr3)
{
    return (vmmu_gpa){ cr3 & facts[paging].root_mask };
}

/* Bits that no address of this processor has. */
static uint64_t beyond_width(const struct vmmu_x86_cpu *cpu)
{
    return ~BITS64(cpu->maxphyaddr - 1, 0);
}

static bool width_is_sound(const struct vmmu_x86_cpu *cpu)
{
    return cpu->maxphyaddr >= 32 && cpu->maxphyaddr <= 52;
}

/* Reserved bits of a present PDPTE; the other bits of one that is not present are ignored. */
static bool pdpte_is_sound(const struct vmmu_x86_cpu *cpu, uint64_t pdpte)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_PAE];
    const struct vmmu_x86_level *level = &format->level[format->levels];
    const uint64_t reserved = level->table_reserved | (level->table_mask & beyond_width(cpu));

    return !vmmu_format_is_present(format, pdpte) || (pdpte & reserved) == 0;
}

static bool pdptes_are_sound(const struct vmmu_x86_cpu *cpu, const uint64_t pdpte[4])
{
    return pdpte_is_sound(cpu, pdpte[0]) && pdpte_is_sound(cpu, pdpte[1]) && pdpte_is_sound(cpu, pdpte[2]) &&
           pdpte_is_sound(cpu, pdpte[3]);
}

/* Each register alone, against what the processor offers. */
static bool registers_are_offered(const struct vmmu_x86_cpu *cpu,
                                  const struct vmmu_x86_paging_registers *registers)
{
    return (registers->cr0 & ~BITS64(31, 0)) == 0 && (registers->cr4 & ~vmmu_mode_cr4_offered(cpu)) == 0 &&
           (registers->efer & ~vmmu_mode_efer_offered(cpu)) == 0 && (registers->cr3 & beyond_width(cpu)) == 0;
}

/* The registers together. */
static bool registers_agree(const struct vmmu_x86_paging_registers *registers)
{
    const uint64_t cr0 = registers->cr0;
    const uint64_t cr4 = registers->cr4;
    const bool active = (registers->efer & VMMU_X86_EFER_LMA) != 0;

    if ((cr0 & VMMU_X86_CR0_PG) && !(cr0 & VMMU_X86_CR0_PE)) {
        return false;
    }
    if ((cr0 & VMMU_X86_CR0_NW) && !(cr0 & VMMU_X86_CR0_CD)) {
        return false;
    }
    if (vmmu_mode_efer_with_cr0(registers->efer, cr0) != registers->efer) {
        return false;
    }
    if (active && !(cr4 & VMMU_X86_CR4_PAE)) {
        return false;
    }
    if (!active && (cr4 & VMMU_X86_CR4_PCIDE)) {
        return false;
    }
    return (cr0 & VMMU_X86_CR0_WP) || !(cr4 & VMMU_X86_CR4_CET);
}

static enum vmmu_x86_format_name format_of(enum vmmu_x86_paging paging, uint64_t cr4)
{
    if (paging == VMMU_X86_PAGING_32BIT && (cr4 & VMMU_X86_CR4_PSE)) {
        return VMMU_X86_FORMAT_32BIT_PSE;
    }
    return facts[paging].format;
}

/* A description of registers that are known to be sound, all but its layout. */
static struct vmmu_x86_mode describe(const struct vmmu_x86_paging_registers *registers,
                                     enum vmmu_x86_paging paging)
{
    const uint64_t cr4 = registers->cr4;
    const bool long_mode = facts[paging].long_mode;
    const bool nx = (registers->efer & VMMU_X86_EFER_NXE) && (cr4 & VMMU_X86_CR4_PAE);

    return (struct vmmu_x86_mode){
        .paging = paging,
        .address_bits = facts[paging].address_bits,
        .pcid = (uint16_t)((cr4 & VMMU_X86_CR4_PCIDE) ? registers->cr3 & BITS64(11, 0) : 0),
        .write_protect = (registers->cr0 & VMMU_X86_CR0_WP) != 0,
        .smep = (cr4 & VMMU_X86_CR4_SMEP) != 0,
        .smap = (cr4 & VMMU_X86_CR4_SMAP) != 0,
        .global_pages = (cr4 & VMMU_X86_CR4_PGE) != 0,
        .nx = nx,
        .fetch_code = nx || (cr4 & VMMU_X86_CR4_SMEP),
        .user_keys = long_mode && (cr4 & VMMU_X86_CR4_PKE),
        .system_keys = long_mode && (cr4 & VMMU_X86_CR4_PKS),
        .pdpte_in_memory = registers->pdpte_in_memory,
        .pkru = registers->pkru,
        .pkrs = registers->pkrs,
        .root = vmmu_mode_root(paging, registers->cr3),
        .pdpte = { registers->pdpte[0], registers->pdpte[1], registers->pdpte[2], registers->pdpte[3] },
    };
}

enum vmmu_status vmmu_mode_make(const struct vmmu_x86_cpu *cpu,
                                const struct vmmu_x86_paging_registers *registers, struct vmmu_x86_mode *out)
{
    if (!width_is_sound(cpu) || !registers_are_offered(cpu, registers) || !registers_agree(registers)) {
        return VMMU_INVALID;
    }
    const enum vmmu_x86_paging paging = vmmu_mode_paging(registers->cr0, registers->cr4, registers->efer);

    if (paging == VMMU_X86_PAGING_PAE && !registers->pdpte_in_memory &&
        !pdptes_are_sound(cpu, registers->pdpte)) {
        return VMMU_INVALID;
    }
    const struct vmmu_x86_limits limits = {
        .physical_bits = cpu->maxphyaddr,
        .nx = (registers->efer & VMMU_X86_EFER_NXE) != 0,
        .pse36 = cpu->pse36,
        .gib_pages = cpu->gib_pages,
        .bit8_reserved = cpu->bit8_reserved,
    };
    *out = describe(registers, paging);
    return vmmu_format_layout(format_of(paging, registers->cr4), &limits, &out->layout);
}

bool vmmu_mode_loads_pdptes(const struct vmmu_x86_paging_registers *now,
                            const struct vmmu_x86_paging_registers *next)
{
    const uint64_t cr0_causes = VMMU_X86_CR0_CD | VMMU_X86_CR0_NW | VMMU_X86_CR0_PG;
    const uint64_t cr4_causes = VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_PSE | VMMU_X86_CR4_SMEP;
    const bool changes =
        ((now->cr0 ^ next->cr0) & cr0_causes) != 0 || ((now->cr4 ^ next->cr4) & cr4_causes) != 0;

    return changes && vmmu_mode_paging(next->cr0, next->cr4, next->efer) == VMMU_X86_PAGING_PAE;
}

enum vmmu_status vmmu_mode_load_pdptes(const struct vmmu_x86_cpu *cpu, const struct vmmu_ram *ram,
                                       uint64_t cr3, uint64_t pdpte[4])
{
    const uint64_t table = vmmu_mode_root(VMMU_X86_PAGING_PAE, cr3).v;
    uint64_t loaded[4];

    for (unsigned i = 0; i < 4; i++) {
        const enum vmmu_status status = ram->load(ram->context, table + 8 * (uint64_t)i, 8, &loaded[i]);

        if (status != VMMU_OK) {
            return status;
        }
    }
    if (!pdptes_are_sound(cpu, loaded)) {
        return VMMU_GUEST_FAULT;
    }
    for (unsigned i = 0; i < 4; i++) {
        pdpte[i] = loaded[i];
    }
    return VMMU_OK;
}
