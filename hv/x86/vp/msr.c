/* RDMSR and WRMSR: the policy says who answers, and this file asks them. */
#include "hv/boot/host.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vp/x86.h"

uint64_t x86_tsc(struct vp *vp)
{
    return rdtsc() + vp->arch->backend->tsc_offset(vp);
}

static bool backend_read(struct vp *vp, uint32_t index, uint64_t *value)
{
    switch (index) {
    case X86_MSR_TSC: *value = x86_tsc(vp); return true;
    case X86_MSR_EFER: *value = x86_code(vp)->efer; return true;
    default: return vp->arch->backend->read_msr(vp, index, value);
    }
}

/* A deadline that the counter has reached by now is met, wherever the write takes the counter. */
void x86_write_tsc(struct vp *vp, uint64_t value)
{
    struct lapic *lapic = pc_lapic(x86_pc(vp), vp->index);

    lapic_advance(lapic, partition_clock_ns(vp->partition));
    vp->arch->backend->write_tsc_offset(vp, value - rdtsc());
    lapic_tsc_changed(lapic);
}

static bool backend_write(struct vp *vp, uint32_t index, uint64_t value)
{
    switch (index) {
    case X86_MSR_TSC: x86_write_tsc(vp, value); return true;
    case X86_MSR_EFER: return x86_write_efer(vp, value);
    case X86_MSR_PAT: x86_write_pat(vp, value); return true;
    default: break;
    }
    return vp->arch->backend->write_msr(vp, index, value);
}

static bool read_register(struct vp *vp, uint32_t index, uint64_t *value)
{
    switch (x86_msr_read(&vp->arch->msrs, index, value)) {
    case X86_MSR_DONE:
    case X86_MSR_APPLY: return true;
    case X86_MSR_FAULT: return false;
    case X86_MSR_BACKEND: return backend_read(vp, index, value);
    case X86_MSR_APIC_BASE:
    case X86_MSR_APIC:
        x86_settle_eoi(vp);
        return lapic_msr_read(pc_lapic(x86_pc(vp), vp->index), index, value);
    case X86_MSR_HYPERV: return x86_hyperv_read(vp, index, value);
    }
    __builtin_unreachable();
}

static bool apic_write(struct vp *vp, uint32_t index, uint64_t value)
{
    x86_settle_eoi(vp);
    vp->attention |= VP_ATTENTION_EVENT;
    return lapic_msr_write(pc_lapic(x86_pc(vp), vp->index), index, value);
}

static bool write_register(struct vp *vp, uint32_t index, uint64_t value)
{
    switch (x86_msr_write(&vp->arch->msrs, index, value)) {
    case X86_MSR_DONE: return true;
    case X86_MSR_FAULT: return false;
    case X86_MSR_APPLY:
    case X86_MSR_BACKEND: return backend_write(vp, index, value);
    case X86_MSR_APIC_BASE:
    case X86_MSR_APIC: return apic_write(vp, index, value);
    case X86_MSR_HYPERV: return x86_hyperv_write(vp, index, value);
    }
    __builtin_unreachable();
}

enum vp_next x86_msr_exit(struct vp *vp, const struct exit *exit)
{
    uint64_t *gpr = vp->arch->state.gpr;
    const uint32_t index = (uint32_t)gpr[VMMU_X86_RCX];
    uint64_t value = gpr[VMMU_X86_RDX] << 32 | (uint32_t)gpr[VMMU_X86_RAX];
    const bool read = exit->kind == EXIT_X86_MSR_READ;
    const unsigned bytes = x86_length(vp, exit);

    if (!bytes) {
        return VP_RESUME;
    }
    if (read ? !read_register(vp, index, &value) : !write_register(vp, index, value)) {
        x86_raise_gp(vp);
        return VP_RESUME;
    }
    if (read) {
        gpr[VMMU_X86_RAX] = (uint32_t)value;
        gpr[VMMU_X86_RDX] = value >> 32;
    }
    x86_retire(vp, bytes);
    return VP_RESUME;
}
