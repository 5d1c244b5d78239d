/*
 * The guest's own translations, walked by the library through the memory that the guest sees.
 *
 * Where no memory is, table entries read as all ones, as from a bus that nobody drives; where the parent withholds it, they are
 * absent.
 */
#include "hv/mmu/x86.h"
#include "hv/x86/cpu.h"
#include "hv/x86/vp/x86.h"

/* A walk that loses this many races in a row is left to the guest to repeat. */
#define WALK_TRIES   16

#define CR3_PCID     BITS64(11, 0)
#define PDPTES_BYTES 32
#define PTE_ACCESSED BIT64(5)

/*
 * QEMU marks PAE PDPTEs accessed as it walks, a bit that the manuals reserve there; the next walk, which is
 * ours, must not take that for the guest's doing. See docs/caveats.md.
 */
static uint64_t without_pdpte_mark(const struct vp *vp, uint64_t address, uint64_t value)
{
    const struct vmmu_x86_mode *mode = &vp->arch->mode;
    const bool is_pdpte =
        mode->pdpte_in_memory && mode->paging == VMMU_X86_PAGING_PAE && address - mode->root.v < PDPTES_BYTES;

    return is_pdpte ? value & ~PTE_ACCESSED : value;
}

static enum vmmu_status ram_load(void *context, uint64_t address, unsigned width_bytes, uint64_t *value)
{
    struct vp *vp = context;
    const void *entry = mmu_at(vp->partition, (vmmu_gpa){ address }, width_bytes);

    if (!entry && mmu_grant(vp->partition, (vmmu_gpa){ address }, GUEST_READ) != MMU_GRANTED) {
        vp->arch->withheld = (vmmu_gpa){ address };
        return VMMU_ABSENT;
    }
    if (!entry) {
        *value = width_bytes == 4 ? UINT32_MAX : UINT64_MAX;
    } else if (width_bytes == 4) {
        *value = __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE);
    } else {
        *value = without_pdpte_mark(vp, address, __atomic_load_n((const uint64_t *)entry, __ATOMIC_ACQUIRE));
    }
    return VMMU_OK;
}

static enum vmmu_status ram_exchange(void *context, uint64_t address, unsigned width_bytes, uint64_t expected,
                                     uint64_t desired)
{
    struct vp *vp = context;

    vp->arch->withheld = (vmmu_gpa){ address };
    return mmu_exchange_entry(vp->partition, (vmmu_gpa){ address }, width_bytes, expected, desired);
}

struct vmmu_ram x86_ram(struct vp *vp)
{
    return (struct vmmu_ram){ .context = vp, .load = ram_load, .exchange = ram_exchange };
}

void x86_read_keys(struct vp *vp, uint64_t cr4, uint32_t *pkru, uint32_t *pkrs)
{
    if (cr4 & VMMU_X86_CR4_PKE) {
        *pkru = x86_pkru(vp);
    }
    if (cr4 & VMMU_X86_CR4_PKS) {
        uint64_t value = 0;

        (void)vp->arch->backend->read_msr(vp, X86_MSR_PKRS, &value);
        *pkrs = (uint32_t)value;
    }
}

/* Whether the mode is the same but for what renew() writes. */
static bool same_rules(const struct vmmu_x86_paging_registers *a, const struct vmmu_x86_paging_registers *b)
{
    return a->cr0 == b->cr0 && a->cr4 == b->cr4 && a->efer == b->efer;
}

static bool same_pdptes(const struct vmmu_x86_paging_registers *a, const struct vmmu_x86_paging_registers *b)
{
    return a->pdpte[0] == b->pdpte[0] && a->pdpte[1] == b->pdpte[1] && a->pdpte[2] == b->pdpte[2] &&
           a->pdpte[3] == b->pdpte[3];
}

/* CR3 and the keys change all the time, and were checked when they were loaded. */
static void renew_root(struct vp_arch *arch, uint64_t cr3)
{
    if (cr3 != arch->mode_registers.cr3) {
        arch->mode.root = vmmu_mode_root(arch->mode.paging, cr3);
        arch->mode.pcid = (uint16_t)(arch->mode_registers.cr4 & VMMU_X86_CR4_PCIDE ? cr3 & CR3_PCID : 0);
        arch->mode_registers.cr3 = cr3;
    }
}

static void renew_keys(struct vp_arch *arch, uint32_t pkru, uint32_t pkrs)
{
    arch->mode.pkru = arch->mode_registers.pkru = pkru;
    arch->mode.pkrs = arch->mode_registers.pkrs = pkrs;
}

const struct vmmu_x86_mode *x86_mode(struct vp *vp, bool with_keys)
{
    struct vp_arch *arch = vp->arch;
    struct vmmu_x86_paging_registers now = x86_paging_registers(vp);

    if (with_keys) {
        x86_read_keys(vp, now.cr4, &now.pkru, &now.pkrs);
    } else {
        now.pkru = arch->mode_registers.pkru;
        now.pkrs = arch->mode_registers.pkrs;
    }
    if (arch->mode_valid && same_rules(&now, &arch->mode_registers) &&
        (arch->mode.paging != VMMU_X86_PAGING_PAE || same_pdptes(&now, &arch->mode_registers))) {
        renew_root(arch, now.cr3);
        renew_keys(arch, now.pkru, now.pkrs);
    } else {
        arch->mode_registers = now;
        arch->mode_valid = vmmu_mode_make(&arch->cpu, &now, &arch->mode) == VMMU_OK;
    }
    return arch->mode_valid ? &arch->mode : NULL;
}

const struct vmmu_x86_mode *x86_mode_with_root(struct vp *vp, uint64_t cr3)
{
    struct vp_arch *arch = vp->arch;
    uint32_t pkru = 0;
    uint32_t pkrs = 0;

    if (!arch->mode_valid || arch->mode.paging == VMMU_X86_PAGING_PAE) {
        return x86_mode(vp, true);
    }
    renew_root(arch, cr3);
    x86_read_keys(vp, arch->mode_registers.cr4, &pkru, &pkrs);
    renew_keys(arch, pkru, pkrs);
    return &arch->mode;
}

enum vmmu_status x86_table_is_withheld(struct vp *vp, const vmmu_gva *va)
{
    const bool readable = mmu_grant(vp->partition, vp->arch->withheld, GUEST_READ) == MMU_GRANTED;

    x86_memory_intercept(vp, vp->arch->withheld, readable ? VMMU_X86_WRITE : VMMU_X86_READ, va);
    return VMMU_RACED;
}

/* Protection keys govern data only: fetches need not read them. */
enum vmmu_status x86_walk(struct vp *vp, vmmu_gva va, enum vmmu_x86_access_kind kind,
                          struct vmmu_x86_walk_result *walk)
{
    const struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_x86_mode *mode = x86_mode(vp, kind != VMMU_X86_EXECUTE);
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_x86_access access = { .kind = kind,
                                            .marks = VMMU_X86_MARKS_AS_IT_GOES,
                                            .user = state->cpl == 3,
                                            .eflags_ac = (state->rflags & X86_RFLAGS_AC) != 0 };
    enum vmmu_status status = VMMU_RACED;

    if (!mode) {
        return VMMU_UNSUPPORTED;
    }
    for (unsigned i = 0; i < WALK_TRIES && status == VMMU_RACED; i++) {
        status = vmmu_x86_walk(mode, &ram, va, access, walk);
    }
    return status == VMMU_ABSENT ? x86_table_is_withheld(vp, &va) : status;
}
