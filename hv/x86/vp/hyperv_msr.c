/*
 * The registers of the Hyper-V interface, applied: the library decides (lib/x86/hyperv), this file moves the pages and
 * reaches the local APIC.
 */
#include "hv/boot/memory.h"
#include "hv/mmu/mmu.h"
#include "hv/x86/vp/hyperv.h"

#define APIC_OFFSET_TPR 0x80
#define APIC_OFFSET_EOI 0xB0
#define APIC_OFFSET_ICR 0x300

/* What a kind of overlay is. */
static const struct kind {
    bool of_vp; /* each VP has its own; else the partition has one */
    uint8_t place;
    uint8_t rights;
} kinds[] = {
    [VMMU_HYPERV_OVERLAY_HYPERCALL] = { false, 0, GUEST_RIGHT_READ | GUEST_RIGHT_EXECUTE },
    [VMMU_HYPERV_OVERLAY_REFERENCE_TSC] = { false, 1, GUEST_RIGHT_READ },
    [VMMU_HYPERV_OVERLAY_VP_ASSIST] = { true, X86_OVERLAY_ASSIST, GUEST_RIGHT_READ | GUEST_RIGHT_WRITE },
    [VMMU_HYPERV_OVERLAY_MESSAGES] = { true, X86_OVERLAY_MESSAGES, GUEST_RIGHT_READ | GUEST_RIGHT_WRITE },
    [VMMU_HYPERV_OVERLAY_EVENTS] = { true, X86_OVERLAY_EVENTS, GUEST_RIGHT_READ | GUEST_RIGHT_WRITE },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static struct x86_overlay *overlay_of(struct vp *vp, unsigned kind)
{
    return kinds[kind].of_vp ? &vp->arch->overlays[kinds[kind].place]
                             : &vp->partition->arch->overlays[kinds[kind].place];
}

static void fill_overlay(struct vp *vp, enum vmmu_hyperv_overlay_kind kind, uint8_t *page)
{
    const struct vmmu_hyperv_partition *hyperv = &vp->partition->arch->hyperv;

    switch (kind) {
    case VMMU_HYPERV_OVERLAY_HYPERCALL: vmmu_hyperv_fill_hypercall_page(hyperv, page); break;
    case VMMU_HYPERV_OVERLAY_REFERENCE_TSC: vmmu_hyperv_fill_tsc_page(hyperv, page); break;
    case VMMU_HYPERV_OVERLAY_VP_ASSIST:
    case VMMU_HYPERV_OVERLAY_MESSAGES:
    case VMMU_HYPERV_OVERLAY_EVENTS: break;
    }
}

/* Where another overlay stands already, one waits behind it. Spec: TLFS "GPA Overlay Pages". */
static void place_overlays(struct partition *partition)
{
    for (unsigned i = 0; i < partition->vp_count; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            struct x86_overlay *overlay = overlay_of(partition->vps[i], kind);

            if (overlay->wanted && !overlay->placed) {
                overlay->placed = mmu_overlay(partition, overlay->at, overlay->page, kinds[kind].rights);
            }
        }
    }
}

/* False: no memory for the page, or for tables; nothing was changed. */
static bool move_overlay(struct vp *vp, const struct vmmu_hyperv_overlay *change)
{
    struct x86_overlay *overlay = overlay_of(vp, change->kind);

    if (change->place && !overlay->page.v && !mmu_memory_take(VMMU_PAGE_BYTES, &overlay->page)) {
        return false;
    }
    x86_memory_moved(vp->partition);
    if (overlay->placed && !mmu_overlay_remove(vp->partition, overlay->at)) {
        return false;
    }
    overlay->placed = false;
    overlay->wanted = change->place;
    if (change->place) {
        fill_overlay(vp, change->kind, memory_at(overlay->page));
        overlay->at = change->place_at;
    }
    place_overlays(vp->partition);
    return true;
}

static uint64_t apic_read(struct vp *vp, unsigned offset)
{
    const struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);

    return offset == APIC_OFFSET_ICR ? lapic_icr_read(lapic) : lapic->tpr;
}

static void apic_write(struct vp *vp, unsigned offset, uint64_t value)
{
    struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);

    x86_settle_eoi(vp);
    switch (offset) {
    case APIC_OFFSET_EOI: lapic_eoi(lapic); break;
    case APIC_OFFSET_ICR: lapic_icr_write(lapic, value); break;
    case APIC_OFFSET_TPR: lapic_tpr_write(lapic, (uint32_t)value & 0xFF); break;
    default: break;
    }
    vp->attention |= VP_ATTENTION_EVENT;
}

bool x86_hyperv_read(struct vp *vp, uint32_t index, uint64_t *value)
{
    const struct partition_arch *arch = vp->partition->arch;
    const struct vmmu_hyperv_msr_outcome outcome =
        vmmu_hyperv_msr_read(&arch->hyperv, &vp->arch->hyperv, index, x86_tsc(vp));

    switch (outcome.action) {
    case VMMU_HYPERV_MSR_DONE: *value = outcome.value; return true;
    case VMMU_HYPERV_MSR_APIC: *value = apic_read(vp, outcome.apic_offset); return true;
    case VMMU_HYPERV_MSR_FAULT:
    case VMMU_HYPERV_MSR_OVERLAY:
    case VMMU_HYPERV_MSR_CRASH: return false;
    }
    __builtin_unreachable();
}

static bool perform_write(struct vp *vp, const struct vmmu_hyperv_msr_outcome *outcome)
{
    switch (outcome->action) {
    case VMMU_HYPERV_MSR_DONE: return true;
    case VMMU_HYPERV_MSR_FAULT: return false;
    case VMMU_HYPERV_MSR_OVERLAY: return move_overlay(vp, &outcome->overlay);
    case VMMU_HYPERV_MSR_APIC: apic_write(vp, outcome->apic_offset, outcome->value); return true;
    case VMMU_HYPERV_MSR_CRASH:
        partition_end(vp->partition, PARTITION_STOPPED, 0, "the guest reported a crash of its own");
        return true;
    }
    __builtin_unreachable();
}

bool x86_hyperv_write(struct vp *vp, uint32_t index, uint64_t value)
{
    struct vmmu_hyperv_msr_outcome outcome;
    bool accepted;

    x86_settle_eoi(vp);
    outcome = vmmu_hyperv_msr_write(&vp->partition->arch->hyperv, &vp->arch->hyperv, index, value);
    accepted = perform_write(vp, &outcome);
    if (outcome.messages) {
        x86_post_waiting(vp->partition);
    }
    return accepted;
}
