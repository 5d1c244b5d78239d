#include "tools/walk/shadow.h"

#include <string.h>

/*
 * The machine that walks the shadow: of its processor only the width of addresses could matter, and no dump tells it. SMEP, SMAP
 * and keys are the guest's, and say nothing of the shadow's own rights. If the dump has no PDPTEs, the walk will say so.
 */
static bool shadow_machine(const struct machine *machine, struct machine *host)
{
    const struct vmmu_x86_mode no_guest = { .paging = VMMU_X86_PAGING_NONE };
    enum vmmu_status status;

    *host = *machine;
    host->cpu = vmmu_x86_any_cpu;
    host->registers = (struct vmmu_x86_paging_registers){ .cr3 = machine->vp->shadow_cr3 };
    host->ram = &machine->image->ram;
    host->ranges = machine->image->ranges;
    host->range_count = machine->image->range_count;
    host->has_second = false;
    status = machine_shadow_mode(machine->partition, machine->vp, &no_guest, vmmu_x86_any_cpu.maxphyaddr,
                                 &host->mode);
    return status == VMMU_OK || status == VMMU_ABSENT;
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
    const struct partition_piece *piece = partition_piece_at(partition, gpa);

    if (piece) {
        *place = piece->hpa + (gpa - piece->gpa);
    }
    return piece != NULL;
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
