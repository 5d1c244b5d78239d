/*
 * How the real processor translates on the shadow tables of our hypervisor's that a dump holds.
 */
#include <string.h>

#include "tools/engine/shadow.h"
#include "tools/machine/machine.h"

bool machine_load_pdptes(const struct vmmu_ram *ram, uint64_t root, uint64_t pdpte[4])
{
    const struct vmmu_x86_format *format = &vmmu_x86_formats[VMMU_X86_FORMAT_PAE];

    for (unsigned i = 0; i < 4; i++) {
        const uint64_t at = root + (uint64_t)i * format->entry_bytes;

        if (ram->load(ram->context, at, format->entry_bytes, &pdpte[i]) != VMMU_OK) {
            return false;
        }
        pdpte[i] &= ~format->level[2].accessed;
    }
    return true;
}

/* Whether a processor loads the PDPTEs of @mode. */
static bool pdptes_are_sound(const struct vmmu_x86_mode *mode)
{
    const struct vmmu_x86_format *format = vmmu_format_of(&mode->layout);

    for (unsigned i = 0; i < 4; i++) {
        if (vmmu_format_is_present(format, mode->pdpte[i]) &&
            vmmu_format_is_refused(&mode->layout, format->levels, false, mode->pdpte[i])) {
            return false;
        }
    }
    return true;
}

enum vmmu_status machine_shadow_mode(const struct partition *partition, const struct partition_vp *vp,
                                     const struct vmmu_x86_mode *guest, unsigned physical_bits,
                                     struct vmmu_x86_mode *out)
{
    const struct vmmu_shadow_root root = { .cr3 = vp->shadow_cr3, .format = vp->shadow_format };
    const enum vmmu_status status = engine_shadow_hardware_of(guest, &root, physical_bits, out);
    uint64_t pdpte[4];

    if (status != VMMU_OK || out->paging != VMMU_X86_PAGING_PAE) {
        return status;
    }
    if (!machine_load_pdptes(&partition->image->ram, out->root.v, pdpte)) {
        return VMMU_ABSENT;
    }
    memcpy(out->pdpte, pdpte, sizeof(pdpte));
    out->pdpte_in_memory = false;
    return pdptes_are_sound(out) ? VMMU_OK : VMMU_GUEST_FAULT;
}
