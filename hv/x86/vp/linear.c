/*
 * Guests that run on tables of ours (hv/mmu decides about those): their paging registers, their page faults,
 * and their writes to tables of their own.
 *
 * Invariant: a write that cannot be performed here, for whatever reason, is not performed at all. The page that it
 * goes to stops being followed as a table, and the guest writes it by itself.
 */
#include "hv/mmu/x86.h"
#include "hv/x86/vp/x86.h"

/* Faults in a row that the tables do not explain, until one is taken for another kind of access. */
#define REFUSALS 8

#define CR4_KEYS (VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS)

static void enter_mode(struct vp *vp, const struct vmmu_x86_mode *mode)
{
    struct vmmu_shadow_root root;

    if (!mode) {
        (void)x86_give_up(vp, "the guest's paging registers are in a state that no processor has");
        return;
    }
    vp->arch->told_pkru = mode->pkru;
    vp->arch->told_pkrs = mode->pkrs;
    if (mmu_enter(vp, mode, &root)) {
        vp->arch->root = root;
        vp->arch->backend->write_root(vp, &root);
    }
}

void x86_paging_changed(struct vp *vp)
{
    if (!vp->arch->walks_guest) {
        enter_mode(vp, x86_mode(vp, true));
    }
}

void x86_root_changed(struct vp *vp, uint64_t cr3)
{
    enter_mode(vp, x86_mode_with_root(vp, cr3));
}

bool x86_load_pdptes(struct vp *vp, uint64_t cr3)
{
    struct vp_arch *arch = vp->arch;
    const struct vmmu_ram ram = x86_ram(vp);
    enum vmmu_status status;

    if (arch->pdptes_in_memory) {
        return true;
    }
    x86_forget_fetches(vp); /* what they remember does not tell these registers */
    status = vmmu_mode_load_pdptes(&arch->cpu, &ram, cr3, arch->pdpte);
    if (status == VMMU_ABSENT) {
        (void)x86_table_is_withheld(vp, NULL);
    }
    if (status != VMMU_OK) {
        return false;
    }
    if (arch->walks_guest) {
        arch->backend->write_pdptes(vp, arch->pdpte);
    }
    return true;
}

/* Protection keys change without an exit; CR4 does not, and the mode was made from it. */
static void tell_keys(struct vp *vp)
{
    struct vp_arch *arch = vp->arch;
    const uint64_t cr4 = arch->mode_registers.cr4;
    uint32_t pkru = 0;
    uint32_t pkrs = 0;

    if (cr4 & CR4_KEYS) {
        x86_read_keys(vp, cr4, &pkru, &pkrs);
        if (pkru != arch->told_pkru || pkrs != arch->told_pkrs) {
            arch->told_pkru = pkru;
            arch->told_pkrs = pkrs;
            mmu_set_keys(vp, pkru, pkrs);
        }
    }
}

/* --- INVLPG, while the MMU wants to know --- */

void x86_invalidate_page(struct vp *vp, vmmu_gva va)
{
    const struct vmmu_x86_mode *mode = x86_mode(vp, false);

    if (!mode || !vmmu_walk_is_canonical(mode, va)) {
        return;
    }
    vp->arch->backend->flush_page(vp, va);
    mmu_invlpg(vp, va);
}

enum vp_next x86_invlpg_exit(struct vp *vp, const struct exit *exit)
{
    const struct vmmu_insn *insn;

    if (exit->invlpg.told) {
        if (x86_skip(vp, exit)) {
            x86_invalidate_page(vp, exit->invlpg.va);
        }
        return VP_RESUME;
    }
    if (x86_fetch(vp, &insn) != VMMU_OK || insn->operation != VMMU_INSN_INVLPG) {
        return VP_RESUME; /* a fault is queued, or the guest has changed its code: it runs what stands there now */
    }
    x86_invalidate_page(vp, vmmu_insn_address(insn, x86_state(vp)));
    x86_retire(vp, insn->length);
    return VP_RESUME;
}

/* --- writes to tables --- */

/*
 * Whether @insn writes memory once, by its own operand. What comes in streams (string instructions, the
 * stack) is more likely to use the page anew than to change a table.
 */
static bool writes_a_table(const struct vmmu_insn *insn)
{
    return insn->destination.kind == VMMU_INSN_OPERAND_MEMORY && insn->repeat == VMMU_INSN_REPEAT_NONE &&
           insn->operation < VMMU_INSN_MOVS && insn->operation != VMMU_INSN_PUSH;
}

/* The processor itself looks after an event's frame, and after breakpoints on data. */
static void write_table(struct vp *vp, const struct exit *exit, vmmu_gpa gpa)
{
    const struct vmmu_insn *insn;

    if (exit->delivering || x86_has_breakpoints(vp) || x86_peek(vp, &insn) != VMMU_OK ||
        !writes_a_table(insn) || !x86_try(vp, insn)) {
        mmu_drop(vp->partition, gpa);
    }
}

/* --- page faults --- */

static enum vmmu_x86_access_kind kind_of(uint32_t error_code)
{
    if (error_code & VMMU_X86_PF_FETCH) {
        return VMMU_X86_EXECUTE;
    }
    return error_code & VMMU_X86_PF_WRITE ? VMMU_X86_WRITE : VMMU_X86_READ;
}

/* The guest's own fault; together with an exception in whose delivery it was raised it may make a double fault. */
static void reflect(struct vp *vp, const struct exit *exit, const struct vmmu_x86_fault *fault)
{
    struct vp_arch *arch = vp->arch;

    if (exit->delivering) {
        arch->backend->forget_event(vp);
        if (exit->page_fault.first != EXIT_NO_EXCEPTION) {
            arch->exception =
                (struct x86_event){ .kind = X86_EVENT_EXCEPTION, .vector = exit->page_fault.first };
            arch->exception_pending = true;
        }
    }
    x86_raise_fault(vp, fault);
}

static enum vp_next reach_device(struct vp *vp, const struct exit *exit, vmmu_gpa gpa,
                                 enum vmmu_x86_access_kind kind)
{
    const struct exit memory = {
        .kind = EXIT_MEMORY,
        .delivering = exit->delivering,
        .memory = { .gpa = gpa, .write = kind == VMMU_X86_WRITE, .execute = kind == VMMU_X86_EXECUTE }
    };

    return arch_vp_emulate(vp, &memory);
}

/* Whether @gpa is where the guest's tables lead to from @va; else it is an entry's on the way there. */
static bool is_final(struct vp *vp, vmmu_gva va, vmmu_gpa gpa)
{
    const struct vmmu_x86_mode *mode = x86_mode(vp, false);
    const struct vmmu_ram ram = x86_ram(vp);
    const struct vmmu_x86_access access = { .kind = VMMU_X86_READ };
    struct vmmu_x86_translate_result result;
    struct vmmu_x86_mode open;

    if (!mode) {
        return false;
    }
    open = vmmu_mode_open(mode);
    return vmmu_x86_translate(&open, &ram, va, access, &result) == VMMU_OK &&
           result.translation.gpa.v == gpa.v;
}

/* Whether the parent withholds @gpa, where @va leads to or the walk stopped. It is told then. */
static bool tell_of_withheld(struct vp *vp, vmmu_gpa gpa, enum vmmu_x86_access_kind kind, vmmu_gva va)
{
    if (is_final(vp, va, gpa)) {
        return x86_is_withheld(vp, gpa, kind, &va);
    }
    return x86_is_withheld(vp, gpa, VMMU_X86_READ, &va) || x86_is_withheld(vp, gpa, VMMU_X86_WRITE, &va);
}

/*
 * An implicit access at CPL 0 to 2 is told from others by nothing but that EFLAGS.AC does not count for it. Where the
 * tables allow an explicit one, and the processor goes on refusing, it was the other.
 */
static bool seems_implicit(struct vp *vp, const struct exit_page_fault *fault)
{
    struct vp_arch *arch = vp->arch;
    const bool again = fault->va.v == arch->fault_va && fault->error_code == arch->fault_error_code &&
                       arch->state.rip == arch->fault_rip;

    arch->fault_va = fault->va.v;
    arch->fault_rip = arch->state.rip;
    arch->fault_error_code = fault->error_code;
    arch->fault_repeats = again ? arch->fault_repeats + 1 : 0;
    return fault->implicit || (arch->fault_repeats >= REFUSALS && arch->state.rflags & X86_RFLAGS_AC);
}

enum vp_next x86_page_fault_exit(struct vp *vp, const struct exit *exit)
{
    const struct exit_page_fault *fault = &exit->page_fault;
    const struct vmmu_x86_access access = { .kind = kind_of(fault->error_code),
                                            .marks = VMMU_X86_MARKS_AS_IT_GOES,
                                            .user = fault->error_code & VMMU_X86_PF_USER,
                                            .implicit = seems_implicit(vp, fault),
                                            .eflags_ac = (vp->arch->state.rflags & X86_RFLAGS_AC) != 0 };
    struct vmmu_shadow_verdict verdict;

    tell_keys(vp);
    if (!mmu_linear_fault(vp, fault->va, access, &verdict)) {
        return VP_STOP;
    }
    if (verdict.answer != VMMU_SHADOW_RETRY) {
        vp->arch->fault_va = ~fault->va.v; /* explained: none is like it */
    }
    switch (verdict.answer) {
    case VMMU_SHADOW_RETRY:
        return verdict.table_cache ? x86_unsupported_feature(vp, VMMU_HYPERV_FEATURE_TABLE_CACHE, fault->va.v)
                                   : VP_RESUME;
    case VMMU_SHADOW_INJECT: reflect(vp, exit, &verdict.fault); return VP_RESUME;
    case VMMU_SHADOW_DEVICE:
    case VMMU_SHADOW_DENIED:
        if (tell_of_withheld(vp, verdict.gpa, access.kind, fault->va)) {
            return VP_WAIT;
        }
        return reach_device(vp, exit, verdict.gpa, access.kind);
    case VMMU_SHADOW_EMULATE: write_table(vp, exit, verdict.gpa); return VP_RESUME;
    }
    __builtin_unreachable();
}
