#include "tools/walk/shadow.h"

#include <string.h>

/* Control registers as the hypervisor runs a guest under shadow paging: its own, but for the shadow's root. */
static struct vmmu_x86_paging_registers registers_of(const struct partition_vp *vp)
{
    struct vmmu_x86_paging_registers registers = {
        .cr0 = VMMU_X86_CR0_PE | VMMU_X86_CR0_ET | VMMU_X86_CR0_PG | VMMU_X86_CR0_WP,
        .cr3 = vp->shadow_cr3,
        .cr4 = VMMU_X86_CR4_PAE,
        .efer = VMMU_X86_EFER_NXE,
        .pdpte_in_memory = true,
    };

    if (vp->shadow_format != VMMU_X86_FORMAT_PAE) {
        registers.efer |= VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA;
    }
    if (vp->shadow_format == VMMU_X86_FORMAT_5LEVEL) {
        registers.cr4 |= VMMU_X86_CR4_LA57;
    }
    return registers;
}

/*
 * PDPTE registers of a PAE root, as a MOV to CR3 loads them. QEMU's emulator marks PDPTEs accessed in memory, where the bit is
 * reserved: it is left out. If the dump has none of them, the walk will say so.
 */
static void load_pdptes(const struct vmmu_ram *ram, struct vmmu_x86_paging_registers *registers)
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_PAE];
    uint64_t pdpte[4];

    for (unsigned i = 0; i < 4; i++) {
        const uint64_t at = vmmu_mode_root(VMMU_X86_PAGING_PAE, registers->cr3).v + i * sizeof(pdpte[0]);

        if (ram->load(ram->context, at, sizeof(pdpte[0]), &pdpte[i]) != VMMU_OK) {
            return;
        }
        pdpte[i] &= ~format->level[2].accessed;
    }
    memcpy(registers->pdpte, pdpte, sizeof(pdpte));
    registers->pdpte_in_memory = false;
}

/* The machine that walks the shadow: of its processor only the width of addresses could matter, and no dump tells it. */
static bool shadow_machine(const struct machine *machine, struct machine *host)
{
    const struct vmmu_x86_cpu cpu = {
        .maxphyaddr = 52, .pae = true, .nx = true, .long_mode = true, .gib_pages = true, .la57 = true
    };
    struct vmmu_x86_paging_registers registers = registers_of(machine->vp);

    if (machine->vp->shadow_format == VMMU_X86_FORMAT_PAE) {
        load_pdptes(&machine->image->ram, &registers);
    }
    *host = *machine;
    host->cpu = cpu;
    host->registers = registers;
    host->ram = &machine->image->ram;
    host->ranges = machine->image->ranges;
    host->range_count = machine->image->range_count;
    host->has_second = false;
    return vmmu_mode_make(&cpu, &registers, &host->mode) == VMMU_OK;
}

static const struct partition_table *table_at(const struct partition *partition, uint64_t hpa)
{
    for (unsigned i = 0; i < partition->table_count; i++) {
        if (partition->tables[i].hpa == (hpa & ~(VMMU_PAGE_BYTES - 1))) {
            return &partition->tables[i];
        }
    }
    return NULL;
}

static bool place_of(const struct partition *partition, uint64_t gpa, uint64_t *place)
{
    for (unsigned i = 0; i < partition->piece_count; i++) {
        const struct partition_piece *piece = &partition->pieces[i];

        if (gpa - piece->gpa < piece->size_bytes) {
            *place = piece->hpa + (gpa - piece->gpa);
            return true;
        }
    }
    return false;
}

static enum walk_agreement compare(const struct walk_model *guest, const struct walk_shadow *shadow)
{
    if (!guest->translates) {
        return shadow->walk.translates ? WALK_SHADOW_ALONE : WALK_BOTH_STOP;
    }
    if (!shadow->walk.translates) {
        return shadow->has_place ? WALK_NOT_FILLED : WALK_NOT_OF_MEMORY;
    }
    return shadow->has_place && shadow->walk.guest.gpa.v == shadow->place ? WALK_AGREES : WALK_OTHER_PLACE;
}

bool walk_make_shadow(const struct machine *machine, const struct walk_model *guest,
                      struct walk_shadow *shadow)
{
    const struct partition *partition = machine->partition;
    struct machine host;

    memset(shadow, 0, sizeof(*shadow));
    if (!partition || !machine->vp || !machine->vp->has_shadow || !shadow_machine(machine, &host)) {
        return false;
    }
    shadow->cr3 = machine->vp->shadow_cr3;
    walk_make(&host, guest->va, guest->access, &shadow->walk);
    for (unsigned i = 0; i < shadow->walk.entry_count && i < VMMU_X86_MAX_LEVELS; i++) {
        const struct vmmu_x86_step *step = &shadow->walk.entries[i].step;
        const bool in_register = step->stage == VMMU_X86_STAGE_REGISTER;

        shadow->tables[i] = table_at(partition, in_register ? shadow->cr3 : step->address);
    }
    shadow->has_place = guest->translates && place_of(partition, guest->guest.gpa.v, &shadow->place);
    shadow->agreement = compare(guest, shadow);
    return true;
}

const char *walk_agreement_words(enum walk_agreement agreement)
{
    switch (agreement) {
    case WALK_AGREES: return "both lead to the same place of the machine";
    case WALK_NOT_FILLED: return "the shadow is not filled there: the next access exits, and fills it";
    case WALK_BOTH_STOP: return "neither translates it: an access exits, and the guest gets the fault";
    case WALK_OTHER_PLACE: return "the shadow leads elsewhere than the guest's tables";
    case WALK_SHADOW_ALONE: return "the shadow translates what the guest's tables do not";
    case WALK_NOT_OF_MEMORY: return "no memory of the guest's is there: a device, whose accesses all exit";
    }
    return "";
}
