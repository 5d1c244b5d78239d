/*
 * What the world switch leaves in the registers: the FPU's and extended state, XCR0, PKRU,
 * PKRS, DR0 to DR3, TSC_AUX.
 *
 * The hypervisor uses none of it, so it stays the guest's across exits, and moves only when another VP runs
 * on this processor. (PKRU governs user pages only, of which the hypervisor has none; PKRS governs nothing
 * here: CR4.PKS is off.)
 */
#include "hv/boot/host.h"
#include "hv/boot/memory.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vp/x86.h"

#define COMPONENT_PKRU 9
#define AREA_STATE_BV  512 /* which components of the area are not in their first state */
#define MXCSR_OFFSET   24
#define MXCSR_RESET    0x1F80u
#define FCW_RESET      0x037Fu

/* This processor's: whose state is in the registers. */
static struct vp *loaded;

/* And under which tag the last entry was. */
static uint16_t last_tag;

/* What the processor can save, and where in it PKRU lies. Asked once: CPUID is slow where we are guests ourselves. */
static uint64_t components;
static uint32_t pkru_offset;

bool x86_has_xsave(void)
{
    return read_cr4() & VMMU_X86_CR4_OSXSAVE;
}

static void read_components(void)
{
    const struct cpuid_result offered = cpuid(0xD, 0);

    components = (uint64_t)offered.edx << 32 | offered.eax;
    pkru_offset = cpuid(0xD, COMPONENT_PKRU).ebx;
}

static uint64_t area_bytes(void)
{
    return x86_has_xsave() ? cpuid(0xD, 0).ecx : 512;
}

bool x86_extended_create(struct vp *vp)
{
    const uint64_t bytes = area_bytes();
    uint64_t ignored;
    uint8_t *area;

    if (!memory_take(bytes, VMMU_PAGE_BYTES, false, &vp->arch->extended)) {
        return false;
    }
    if (x86_has_xsave()) {
        read_components();
    }
    area = memory_at(vp->arch->extended);
    __builtin_memset(area, 0, bytes);
    *(uint16_t *)area = FCW_RESET;
    *(uint32_t *)(area + MXCSR_OFFSET) = MXCSR_RESET;
    vp->arch->xcr0 = 1;
    vp->arch->has_tsc_aux = rdmsr_safe(X86_MSR_TSC_AUX, &ignored);
    vp->arch->has_pkrs = rdmsr_safe(X86_MSR_PKRS, &ignored);
    return true;
}

static void save_extended(struct vp *vp)
{
    void *area = memory_at(vp->arch->extended);

    if (x86_has_xsave()) {
        vp->arch->xcr0 = xgetbv(0);
        xsetbv(0, components);
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
    }
}

/*
 * Older AMD processors neither store nor load the x87's last instruction and operand where no exception of it is pending: so they
 * become the hypervisor's own, lest another guest read where the last one worked. Spec: APM 2 "FXSAVE and FXRSTOR Instructions".
 */
static void forget_x87_pointers(void)
{
    static const uint32_t nothing;

    __asm__ volatile("fnclex\n\temms\n\tfildl %0" : : "m"(nothing) : "memory");
}

static void load_extended(struct vp *vp)
{
    void *area = memory_at(vp->arch->extended);

    forget_x87_pointers();
    if (x86_has_xsave()) {
        xsetbv(0, components);
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
        xsetbv(0, vp->arch->xcr0);
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
    }
}

static void save_registers(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;

    arch->saved_dr[0] = read_dr0();
    arch->saved_dr[1] = read_dr1();
    arch->saved_dr[2] = read_dr2();
    arch->saved_dr[3] = read_dr3();
    if (arch->has_tsc_aux) {
        arch->saved_tsc_aux = rdmsr(X86_MSR_TSC_AUX);
    }
    if (arch->has_pkrs) {
        arch->saved_pkrs = rdmsr(X86_MSR_PKRS);
    }
}

static void load_registers(const struct vp *vp)
{
    const struct vp_arch *arch = vp->arch;

    write_dr0(arch->saved_dr[0]);
    write_dr1(arch->saved_dr[1]);
    write_dr2(arch->saved_dr[2]);
    write_dr3(arch->saved_dr[3]);
    if (arch->has_tsc_aux) {
        wrmsr(X86_MSR_TSC_AUX, arch->saved_tsc_aux);
    }
    if (arch->has_pkrs) {
        wrmsr(X86_MSR_PKRS, arch->saved_pkrs);
    }
}

void x86_switch_to(struct vp *vp)
{
    if (loaded == vp) {
        return;
    }
    if (loaded) {
        save_extended(loaded);
        save_registers(loaded);
        if (vp->arch->backend->switch_from) {
            vp->arch->backend->switch_from(loaded);
        }
    }
    load_extended(vp);
    load_registers(vp);
    vp->arch->backend->switch_to(vp);
    loaded = vp;
}

void x86_count_tag(struct vp *vp, uint16_t tag, bool flushed)
{
    vp->counters.flushes_made += flushed;
    vp->counters.flushes_avoided += !flushed && tag != last_tag;
    last_tag = tag;
}

bool x86_is_loaded(const struct vp *vp)
{
    return loaded == vp;
}

/* --- registers of a VP that may be another than that whose state is loaded --- */

uint32_t x86_pkru(const struct vp *vp)
{
    const uint8_t *area = memory_at(vp->arch->extended);
    uint32_t value = 0;

    if (loaded == vp) {
        return rdpkru();
    }
    if (x86_has_xsave() && *(const uint64_t *)(area + AREA_STATE_BV) & BIT64(COMPONENT_PKRU)) {
        __builtin_memcpy(&value, area + pkru_offset, sizeof value);
    }
    return value;
}

static bool stays(uint32_t index)
{
    return index == X86_MSR_PKRS || index == X86_MSR_TSC_AUX;
}

bool x86_read_staying(const struct vp *vp, uint32_t index, uint64_t *value)
{
    if (loaded == vp) {
        return stays(index) && rdmsr_safe(index, value);
    }
    *value = index == X86_MSR_PKRS ? vp->arch->saved_pkrs : vp->arch->saved_tsc_aux;
    return stays(index) && (index == X86_MSR_PKRS ? vp->arch->has_pkrs : vp->arch->has_tsc_aux);
}

/* The processor says which values it takes. */
bool x86_write_staying(struct vp *vp, uint32_t index, uint64_t value)
{
    if (!stays(index)) {
        return false;
    }
    x86_switch_to(vp);
    return wrmsr_safe(index, value);
}

void x86_clear_breakpoints(struct vp *vp)
{
    __builtin_memset(vp->arch->saved_dr, 0, sizeof vp->arch->saved_dr);
    if (loaded == vp) {
        write_dr0(0);
        write_dr1(0);
        write_dr2(0);
        write_dr3(0);
    }
}

void x86_load_xcr0(struct vp *vp, uint64_t value)
{
    vp->arch->xcr0 = value;
    if (loaded == vp) {
        xsetbv(0, value);
    }
}

/* Read, not remembered: an emulated processor may let XSETBV by without the exit that was asked for. */
uint64_t x86_xcr0(const struct vp *vp)
{
    return loaded == vp && x86_has_xsave() ? xgetbv(0) : vp->arch->xcr0;
}
