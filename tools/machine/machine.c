#include "tools/machine/machine.h"

#include <inttypes.h>
#include <string.h>

/* A machine of which only memory is known translates in 64-bit mode, as nearly all do. */
static void assume(struct vmmu_x86_paging_registers *registers)
{
    *registers = (struct vmmu_x86_paging_registers){ .cr0 = VMMU_X86_CR0_WP,
                                                     .pdpte_in_memory = true,
                                                     .cr4 = VMMU_X86_CR4_PGE };
    vmmu_mode_select(VMMU_X86_PAGING_4LEVEL, registers);
}

bool machine_mode_is_said(const struct machine_options *options)
{
    return options->has_mode || (options->has_cr0 && options->has_cr4 && options->has_efer);
}

static void override(const struct machine_options *options, struct machine *machine)
{
    struct vmmu_x86_paging_registers *registers = &machine->registers;

    if (options->has_maxphyaddr) {
        machine->cpu.maxphyaddr = (uint8_t)options->maxphyaddr;
    }
    if (options->has_cr3) {
        registers->cr3 = options->cr3 & ~VMMU_X86_CR3_NO_FLUSH;
        registers->pdpte_in_memory = true;
    }
    if (options->has_mode) {
        vmmu_mode_select(options->mode, registers);
        registers->pdpte_in_memory = true;
    }
    registers->cr0 = options->has_cr0 ? options->cr0 : registers->cr0;
    registers->cr4 = options->has_cr4 ? options->cr4 : registers->cr4;
    registers->efer = options->has_efer ? options->efer : registers->efer;
    if (options->has_cr0 && !options->has_efer) {
        registers->efer = vmmu_mode_efer_with_cr0(registers->efer, registers->cr0);
    }
    if (options->has_pat) {
        machine->pat = options->pat;
        machine->pat_known = true;
    }
}

/* Where the second stage has the guest's table entry at *@address: *@address is that. */
static bool find_behind(const struct machine *machine, uint64_t *address)
{
    const struct vmmu_x86_stage2_access read = { .kind = VMMU_X86_READ,
                                                 .marks = VMMU_X86_MARKS_LEAVE,
                                                 .guest_table = true };
    struct vmmu_x86_stage2_result found;

    if (vmmu_x86_walk_stage2(&machine->second, (vmmu_gpa){ *address }, read, &found) != VMMU_OK) {
        return false;
    }
    *address = found.translation.hpa.v;
    return true;
}

/* The PDPTE registers of PAE paging, which no image holds. All four entries lie in one page. False if they are not there. */
static bool load_pdptes(const struct machine *machine, struct vmmu_x86_paging_registers *registers)
{
    uint64_t root = vmmu_mode_root(VMMU_X86_PAGING_PAE, registers->cr3).v;

    if ((machine->has_second && !find_behind(machine, &root)) ||
        !machine_load_pdptes(machine->ram, root, registers->pdpte)) {
        return false;
    }
    registers->pdpte_in_memory = false;
    return true;
}

/*
 * How @registers translate. PDPTEs that a processor would not load are left in memory: the walk that comes to one says what
 * is wrong with it. So are those behind nested page tables, whose processors read them at each walk, and those of a guest of ours,
 * whose state says where they are.
 */
static enum vmmu_status make_mode(const struct machine *machine,
                                  const struct vmmu_x86_paging_registers *registers,
                                  struct vmmu_x86_mode *mode)
{
    const bool behind_npt = machine->has_second && machine->second.kind == VMMU_X86_STAGE2_NPT;
    const bool pae = vmmu_mode_paging(registers->cr0, registers->cr4, registers->efer) == VMMU_X86_PAGING_PAE;
    struct vmmu_x86_paging_registers loaded = *registers;

    if (pae && !behind_npt && !machine->partition && registers->pdpte_in_memory &&
        load_pdptes(machine, &loaded) && vmmu_mode_make(&machine->cpu, &loaded, mode) == VMMU_OK) {
        return VMMU_OK;
    }
    return vmmu_mode_make(&machine->cpu, registers, mode);
}

static bool take_processor(const struct machine_options *options, struct machine *machine,
                           struct complaint *complaint)
{
    const struct image *image = machine->image;
    const unsigned count = machine->partition ? machine->partition->vp_count : image->processor_count;

    if (options->processor >= count && (options->processor || machine->partition)) {
        return complain_usage(complaint, "%s: --cpu %u: it has %u processors", image->path,
                              options->processor, count);
    }
    if (machine->partition) {
        machine->vp = &machine->partition->vps[options->processor];
        machine->processor = &machine->vp->processor;
    } else if (count) {
        machine->processor = &image->processors[options->processor];
    }
    machine->cpu =
        machine->processor && machine->processor->has_cpu ? machine->processor->cpu : vmmu_x86_any_cpu;
    machine->pat_known = machine->processor && (machine->partition || machine->processor->pat);
    machine->pat = machine->pat_known ? machine->processor->pat : VMMU_X86_PAT_AT_RESET;
    if (machine->processor && machine->processor->has_paging) {
        machine->registers = machine->processor->paging;
        return true;
    }
    if (!options->has_cr3 && !(options->has_mode && options->mode == VMMU_X86_PAGING_NONE)) {
        return complain_usage(
            complaint, "%s: the image does not tell CR3: give --cr3, and --mode unless it is 4-level paging",
            image->path);
    }
    assume(&machine->registers);
    return true;
}

static bool take_second_stage(const struct machine_options *options, struct machine *machine,
                              struct complaint *complaint)
{
    const struct vmmu_x86_limits limits = {
        .physical_bits = machine->cpu.maxphyaddr, .gib_pages = true, .nx = true, .execute_only = true
    };
    const enum vmmu_x86_format_name npt =
        options->nested_levels == 5 ? VMMU_X86_FORMAT_5LEVEL : VMMU_X86_FORMAT_4LEVEL;
    enum vmmu_status status = VMMU_OK;

    if (machine->partition && machine->partition->has_second) {
        machine->has_second = true;
        machine->second = machine->partition->second;
    }
    if (options->has_ept) {
        status = vmmu_stage2_ept(options->ept, &limits, &machine->image->ram, &machine->second);
    } else if (options->has_ncr3) {
        status = vmmu_stage2_npt(npt, &limits, &machine->image->ram, (vmmu_hpa){ options->ncr3 },
                                 &machine->second);
    } else {
        return true;
    }
    machine->has_second = true;
    if (status) {
        return options->has_ept
                   ? complain_usage(
                         complaint,
                         "--ept 0x%" PRIx64 ": no processor accepts this EPTP: bits 2:0 are 0 or 6, bits 5:3 "
                         "are 3 or 4, bits 11:7 are zero, the root lies below the width of addresses",
                         options->ept)
                   : complain_usage(complaint,
                                    "--ncr3 0x%" PRIx64
                                    ": no root of tables: misaligned, or beyond the width of addresses",
                                    options->ncr3);
    }
    return true;
}

/* Which memory the tables stand in: a guest's of ours, or the image's own. */
static void take_memory_of(struct machine *machine)
{
    if (machine->partition) {
        machine->ram = &machine->partition->ram;
        machine->ranges = machine->partition->ranges;
        machine->range_count = machine->partition->piece_count;
    } else {
        machine->ram = &machine->image->ram;
        machine->ranges = machine->image->ranges;
        machine->range_count = machine->image->range_count;
    }
}

static bool refused(const struct vmmu_x86_paging_registers *registers, struct complaint *complaint)
{
    return complain(complaint,
                    "no processor is in such a state: CR0 0x%" PRIx64 " CR3 0x%" PRIx64 " CR4 0x%" PRIx64
                    " EFER 0x%" PRIx64,
                    registers->cr0, registers->cr3, registers->cr4, registers->efer);
}

/* Options that say something about an image of another kind are mistakes, and not to be passed over. */
static bool options_fit(const struct machine_options *options, const struct image *image,
                        struct complaint *complaint)
{
    if (!image->state && (options->host || options->partition)) {
        return complain_usage(complaint,
                              "%s: --host and --partition are for dumps of our hypervisor, and this is none",
                              image->path);
    }
    if (options->image.raw_base && image->format != IMAGE_RAW) {
        return complain_usage(complaint, "%s: --base is for raw images, and this is none", image->path);
    }
    return true;
}

/* All of the machine at @path; false with what was taken until then. */
static bool take(const char *path, const struct machine_options *options, struct machine *machine,
                 struct complaint *complaint)
{
    machine->image = image_open(path, &options->image, complaint);
    if (!machine->image || !options_fit(options, machine->image, complaint)) {
        return false;
    }
    if (machine->image->state && !options->host) {
        machine->partition = partition_open(machine->image, options->partition, complaint);
        if (!machine->partition) {
            return false;
        }
    }
    take_memory_of(machine);
    if (!take_processor(options, machine, complaint)) {
        return false;
    }
    override(options, machine);
    if (!take_second_stage(options, machine, complaint)) {
        return false;
    }
    if (make_mode(machine, &machine->registers, &machine->mode) != VMMU_OK) {
        refused(&machine->registers, complaint);
        complaint->usage = options->has_cr0 || options->has_cr3 || options->has_cr4 || options->has_efer ||
                           options->has_mode || options->has_maxphyaddr;
        return false;
    }
    return true;
}

bool machine_open(const char *path, const struct machine_options *options, struct machine *machine,
                  struct complaint *complaint)
{
    *machine = (struct machine){ 0 };
    if (take(path, options, machine, complaint)) {
        return true;
    }
    machine_close(machine);
    return false;
}

bool machine_mode_of(const struct machine *machine, uint64_t cr3, struct vmmu_x86_mode *mode,
                     struct complaint *complaint)
{
    struct vmmu_x86_paging_registers registers = machine->registers;

    registers.cr3 = cr3;
    registers.pdpte_in_memory = true;
    return make_mode(machine, &registers, mode) == VMMU_OK ? true : refused(&registers, complaint);
}

bool machine_read_physical(const struct machine *machine, uint64_t address, void *to, size_t size_bytes)
{
    if (!machine->partition) {
        return image_read(machine->image, address, to, size_bytes);
    }
    const struct partition_piece *piece = partition_piece_at(machine->partition, address);

    return piece && vmmu_range_fits(address - piece->gpa, size_bytes, piece->size_bytes) &&
           image_read(machine->image, piece->hpa + (address - piece->gpa), to, size_bytes);
}

/* Where in physical memory the byte at @va is: a guest's of ours, or the image's own. */
static bool find_byte(const struct machine *machine, const struct vmmu_x86_mode *mode, uint64_t va,
                      uint64_t *at)
{
    const struct vmmu_x86_access look = {
        .kind = VMMU_X86_READ, .marks = VMMU_X86_MARKS_LEAVE, .implicit = true, .eflags_ac = true
    };
    struct vmmu_x86_nested_result through;
    struct vmmu_x86_walk_result found;

    if (machine->has_second && !machine->partition) {
        if (vmmu_x86_walk_nested(mode, &machine->second, (vmmu_gva){ va }, look, &through) != VMMU_OK) {
            return false;
        }
        *at = through.host.hpa.v;
    } else {
        if (vmmu_x86_walk(mode, machine->ram, (vmmu_gva){ va }, look, &found) != VMMU_OK) {
            return false;
        }
        *at = found.translation.gpa.v;
    }
    return true;
}

bool machine_read(const struct machine *machine, uint64_t va, void *to, size_t size_bytes)
{
    /* Whether a debugger may look is not the guest's to say. */
    const struct vmmu_x86_mode mode = vmmu_mode_open(&machine->mode);
    uint8_t *into = to;

    while (size_bytes) {
        const uint64_t rest = VMMU_PAGE_BYTES - va % VMMU_PAGE_BYTES;
        const size_t piece = size_bytes < rest ? size_bytes : (size_t)rest;
        uint64_t at;

        if (!find_byte(machine, &mode, va, &at) || !machine_read_physical(machine, at, into, piece)) {
            return false;
        }
        into += piece;
        va += piece;
        size_bytes -= piece;
    }
    return true;
}

void machine_close(struct machine *machine)
{
    if (machine->partition) {
        partition_close(machine->partition);
    }
    if (machine->image) {
        image_close(machine->image);
    }
    machine->partition = NULL;
    machine->image = NULL;
}
