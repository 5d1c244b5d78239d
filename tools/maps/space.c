#include "tools/maps/space.h"

#include <inttypes.h>
#include <stdio.h>

#include "tools/image/memory.h"
#include "tools/ui/paint.h"
#include "tools/walk/names.h"

/* A table's page, mostly the one of the access before. */
static enum vmmu_status load_through(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct space_memory *memory = context;
    const struct vmmu_ram *ram = memory->second->ram;
    const uint64_t offset = address % VMMU_PAGE_BYTES;

    if (memory->page != address - offset) {
        const struct vmmu_x86_stage2_access access = { .kind = VMMU_X86_READ };
        struct vmmu_x86_stage2_result found;
        const bool there =
            vmmu_x86_walk_stage2(memory->second, (vmmu_gpa){ address - offset }, access, &found) == VMMU_OK;

        memory->page = address - offset;
        memory->frame = there ? found.translation.hpa.v : 1;
    }
    return memory->frame == 1 ? VMMU_ABSENT
                              : ram->load(ram->context, memory->frame + offset, width_bytes, value);
}

/* A guest of ours has its memory described; of another hypervisor's only the second stage tells where it is. */
static const struct vmmu_ram *ram_of(const struct machine *machine, struct space_memory *memory)
{
    if (!machine->has_second || machine->partition) {
        return machine->ram;
    }
    *memory = (struct space_memory){
        .ram = { .context = memory, .load = load_through, .exchange = image_memory_refuse },
        .second = &machine->second,
        .page = UINT64_MAX,
    };
    return &memory->ram;
}

struct space space_of(const struct machine *machine, struct space_memory *memory)
{
    return (struct space){
        .cr3 = machine->registers.cr3,
        .mode = machine->mode,
        .ram = ram_of(machine, memory),
        .pat = machine->pat,
        .pat_known = machine->pat_known,
        .mode_known = machine->processor && machine->processor->has_paging,
        .uncached = (machine->registers.cr0 & VMMU_X86_CR0_CD) != 0,
        .last = UINT64_MAX,
        .budget = SPACE_BUDGET,
    };
}

struct space space_of_second(const struct machine *machine)
{
    struct space_memory unused;
    struct space space = space_of(machine, &unused);

    space.cr3 = machine->second.root.v;
    space.ram = machine->second.ram;
    space.second = &machine->second;
    return space;
}

bool space_with_root(const struct machine *machine, uint64_t cr3, struct space *space,
                     struct complaint *complaint)
{
    struct vmmu_x86_mode mode;

    if (!machine_mode_of(machine, cr3, &mode, complaint)) {
        return false;
    }
    space->cr3 = cr3;
    space->mode = mode;
    return true;
}

void space_scan(const struct space *space, struct vmmu_x86_scan *scan)
{
    if (space->second) {
        vmmu_scan_begin_stage2(scan, space->second, space->budget);
    } else {
        vmmu_scan_begin(scan, &space->mode, space->ram, space->budget);
    }
    vmmu_scan_seek(scan, space->first, space->last);
}

enum vmmu_x86_format_name space_format(const struct space *space)
{
    return space->second ? space->second->layout.format : space->mode.layout.format;
}

int space_digits(const struct space *space)
{
    return !space->second && space->mode.address_bits <= 32 ? 8 : 16;
}

unsigned space_type(const struct space *space, const struct vmmu_x86_scan_item *leaf)
{
    if (space->second && space->second->kind == VMMU_X86_STAGE2_EPT) {
        return leaf->memory_type;
    }
    if (!space->second && space->uncached) {
        return VMMU_X86_TYPE_UC;
    }
    if (!space->second && space->mode.paging == VMMU_X86_PAGING_NONE) {
        return VMMU_X86_TYPE_WB; /* there is no entry to select anything */
    }
    return vmmu_x86_pat_type(space->pat, leaf->pat_index);
}

const char *space_text(const struct space *space, char to[SPACE_TEXT_BYTES])
{
    if (space->second) {
        snprintf(to, SPACE_TEXT_BYTES, "second stage at 0x%" PRIx64 ", %s tables", space->cr3,
                 format_words(space_format(space)));
    } else if (space->mode.paging == VMMU_X86_PAGING_NONE) {
        snprintf(to, SPACE_TEXT_BYTES, "linear addresses, paging off");
    } else {
        snprintf(to, SPACE_TEXT_BYTES, "CR3 0x%" PRIx64 ", %s paging", space->cr3,
                 format_words(space_format(space)));
    }
    return to;
}

void space_print_doubt(const struct space *space)
{
    if (!space->mode_known && !space->second) {
        printf("%s%s paging is assumed: the image does not tell the mode (--mode)%s\n", paint_on(PAINT_DIM),
               format_words(space_format(space)), paint_off());
    }
}

bool space_spent(const struct space *space, const struct vmmu_x86_scan *scan, struct complaint *complaint)
{
    const bool upper = !space->second && space->mode.address_bits > 32 && scan->next > scan->space_last / 2;

    return complain(complaint,
                    "no end of the tables of root 0x%" PRIx64 " after %" PRIu64
                    " entries, at address 0x%" PRIx64
                    ": do they lead to each other? --budget gives more, --range asks for less",
                    space->cr3, space->budget, upper ? scan->next | ~scan->space_last : scan->next);
}
