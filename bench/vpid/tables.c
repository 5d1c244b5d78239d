#include "tables.h"

#include <vmmu/walk.h>

#include <string.h>

#include "bench/hypervisor.h"

/* The emulated processor's. Whatever has nothing to do with paging is offered. */
#define PHYSICAL_BITS 40

static struct vmmu_x86_cpu processor(void)
{
    struct vmmu_x86_cpu cpu = vmmu_x86_any_cpu;

    cpu.maxphyaddr = PHYSICAL_BITS;
    return cpu;
}

/* An observer's read, which no right that depends on who asks refuses. */
static const struct vmmu_x86_access observe = { .kind = VMMU_X86_READ,
                                                .marks = VMMU_X86_MARKS_LEAVE,
                                                .eflags_ac = true };

static struct registers host;
static struct vmmu_x86_mode host_mode;
static struct vmmu_x86_paging_registers guest;
static struct vmmu_x86_mode guest_mode;
static struct vmmu_x86_stage2 stage2;
static bool nested;

/* Where no memory is, nobody drives the bus. */
static enum vmmu_status load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    const void *const entry = hypervisor_memory(address, width_bytes);

    (void)context;
    *value = width_bytes == 4 ? UINT32_MAX : UINT64_MAX;
    if (entry) {
        *value = 0;
        memcpy(value, entry, width_bytes);
    }
    return VMMU_OK;
}

static const struct vmmu_ram machine = { .load = load };

bool tables_of_hypervisor(const struct registers *registers)
{
    const struct vmmu_x86_paging_registers paging = {
        .cr0 = registers->cr0, .cr3 = registers->cr3, .cr4 = registers->cr4, .efer = registers->efer
    };

    const struct vmmu_x86_cpu cpu = processor();

    host = *registers;
    return vmmu_mode_make(&cpu, &paging, &host_mode) == VMMU_OK;
}

static bool second_stage(uint64_t root)
{
    const struct vmmu_x86_limits limits = { .physical_bits = PHYSICAL_BITS,
                                            .nx = host.efer & VMMU_X86_EFER_NXE,
                                            .gib_pages = true };
    const enum vmmu_x86_format_name format =
        host.cr4 & VMMU_X86_CR4_LA57 ? VMMU_X86_FORMAT_5LEVEL : VMMU_X86_FORMAT_4LEVEL;

    return vmmu_stage2_npt(format, &limits, &machine, (vmmu_hpa){ root }, &stage2) == VMMU_OK;
}

bool tables_of_guest(const struct svm_vmcb *vmcb)
{
    const struct vmmu_x86_cpu cpu = processor();

    nested = vmcb->control.nested_enable & 1;
    guest = (struct vmmu_x86_paging_registers){ .cr0 = vmcb->save.cr0,
                                                .cr3 = vmcb->save.cr3,
                                                .cr4 = vmcb->save.cr4,
                                                .efer = vmcb->save.efer,
                                                .pdpte_in_memory = true };
    return vmmu_mode_make(&cpu, &guest, &guest_mode) == VMMU_OK &&
           (!nested || second_stage(vmcb->control.nested_root));
}

bool tables_load_root(uint64_t cr3)
{
    const struct vmmu_x86_cpu cpu = processor();

    guest.cr3 = cr3;
    return vmmu_mode_make(&cpu, &guest, &guest_mode) == VMMU_OK;
}

uint64_t tables_root(void)
{
    return guest.cr3;
}

static uint8_t shift_of(uint64_t bytes)
{
    return (uint8_t)__builtin_ctzll(bytes);
}

static bool walk_one_stage(const struct vmmu_x86_mode *mode, uint64_t address,
                           struct trace_translation *found)
{
    struct vmmu_x86_walk_result result;

    if (vmmu_x86_walk(mode, &machine, (vmmu_gva){ address }, observe, &result) != VMMU_OK) {
        return false;
    }
    *found = (struct trace_translation){ .page_shift = shift_of(result.translation.page_bytes),
                                         .loads = result.loads,
                                         .global = result.translation.global,
                                         .dirty = result.translation.dirty,
                                         .frame = result.translation.gpa.v / VMMU_PAGE_BYTES };
    return true;
}

static bool walk_two_stages(uint64_t address, struct trace_translation *found)
{
    struct vmmu_x86_nested_result result;
    uint64_t bytes;

    if (vmmu_x86_walk_nested(&guest_mode, &stage2, (vmmu_gva){ address }, observe, &result) != VMMU_OK) {
        return false;
    }
    bytes =
        result.guest.page_bytes < result.host.page_bytes ? result.guest.page_bytes : result.host.page_bytes;
    *found = (struct trace_translation){ .page_shift = shift_of(bytes),
                                         .loads = result.loads,
                                         .global = result.guest.global,
                                         .dirty = result.guest.dirty && result.host.dirty,
                                         .frame = result.host.hpa.v / VMMU_PAGE_BYTES };
    return true;
}

bool tables_walk(bool of_guest, uint64_t address, struct trace_translation *found)
{
    if (!of_guest) {
        return walk_one_stage(&host_mode, address, found);
    }
    return nested ? walk_two_stages(address, found) : walk_one_stage(&guest_mode, address, found);
}
