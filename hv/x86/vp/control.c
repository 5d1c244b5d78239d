/*
 * Reads and writes of control registers that the guest may not make unseen: CR0, CR3, CR4, CR8, EFER, XCR0.
 * The rules are the library's.
 */
#include "hv/x86/cpu.h"
#include "hv/x86/vp/x86.h"

#define SEGMENT_LONG BIT64(13)
#define TSS_KIND     0x1D /* of a segment's attributes: S and type, but for the busy flag */
#define TSS_16_BIT   0x01

/* Bits whose change drops translations. Spec: APM 2 "TLB Management", "Implicit Invalidations". */
#define CR0_FLUSHING (VMMU_X86_CR0_PG | VMMU_X86_CR0_WP | VMMU_X86_CR0_PE)
#define CR4_FLUSHING                                                                                         \
    (VMMU_X86_CR4_PSE | VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_LA57 | VMMU_X86_CR4_PCIDE |       \
     VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS)

/* What became of a write. */
enum written {
    WRITTEN,
    WRITTEN_NOT,  /* #GP */
    WRITTEN_TOLD, /* the parent is to be told of what is not supported; nothing was changed */
};

struct vmmu_x86_paging_registers x86_paging_registers(struct vp *vp)
{
    const struct vp_arch *arch = vp->arch;
    struct vmmu_x86_paging_registers registers = { .pdpte = { arch->pdpte[0], arch->pdpte[1], arch->pdpte[2],
                                                              arch->pdpte[3] },
                                                   .pdpte_in_memory = arch->pdptes_in_memory };

    arch->backend->read_paging(vp, &registers);
    return registers;
}

/* Whether the PDPTEs load that a write which makes @next of @now has to load. */
static bool pdptes_load(struct vp *vp, const struct vmmu_x86_paging_registers *now,
                        const struct vmmu_x86_paging_registers *next)
{
    return !vmmu_mode_loads_pdptes(now, next) || x86_load_pdptes(vp, next->cr3);
}

/*
 * Whether long mode would begin with the task register on a 16-bit TSS, which is none of its own.
 * Spec: SDM 3A "IA-32e Mode System Data Structures", "Initializing IA-32e Mode".
 */
static bool begins_long_mode_on_16_bit_tss(struct vp *vp, uint64_t efer_now, uint64_t efer_next)
{
    struct vmmu_x86_system_segments system;

    if (!(efer_next & ~efer_now & VMMU_X86_EFER_LMA)) {
        return false;
    }
    vp->arch->backend->read_system(vp, &system);
    return (system.tr.attributes & TSS_KIND) == TSS_16_BIT;
}

static enum written write_cr0_checked(struct vp *vp, uint64_t value)
{
    struct vp_arch *arch = vp->arch;
    struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_x86_paging_registers now = x86_paging_registers(vp);
    /* Not the mode: paging may not go on either while CS.L is set and long mode is still off. */
    const bool cs_long = state->segment[VMMU_X86_CS].attributes & SEGMENT_LONG;
    struct vmmu_hyperv_ruling ruling;
    struct vmmu_x86_paging_registers next;

    if (vmmu_mode_check_cr0(&now, value, cs_long) != VMMU_OK) {
        return WRITTEN_NOT;
    }
    ruling = vmmu_hyperv_rule_cr0(x86_policy(vp), VMMU_HYPERV_BY_INSTRUCTION, vmmu_mode_cr0_stored(value));
    if (ruling.verdict == VMMU_HYPERV_MESSAGE) {
        return WRITTEN_TOLD;
    }
    next = now;
    next.cr0 = ruling.stored;
    next.efer = vmmu_mode_efer_with_cr0(now.efer, next.cr0);
    if (begins_long_mode_on_16_bit_tss(vp, now.efer, next.efer) || !pdptes_load(vp, &now, &next)) {
        return WRITTEN_NOT;
    }
    arch->backend->write_efer(vp, next.efer);
    arch->backend->write_control(vp, 0, next.cr0);
    if ((next.cr0 ^ state->cr0) & CR0_FLUSHING) {
        arch->backend->flush(vp);
    }
    state->efer = next.efer;
    state->cr0 = next.cr0;
    x86_follow_cr0(vp, next.cr0);
    x86_paging_changed(vp);
    return WRITTEN;
}

static uint64_t cr3_to_store(const struct vp *vp, uint64_t cr4, uint64_t value)
{
    return vmmu_hyperv_rule_cr3(x86_policy(vp), VMMU_HYPERV_BY_INSTRUCTION, cr4, vmmu_mode_cr3_stored(value))
        .stored;
}

/*
 * The guest's own tables are walked, and CR3 exits for the sake of the policy: see x86_watches_cr3(). The whole tag goes, which
 * is more than has to.
 */
static bool write_walked_cr3(struct vp *vp, uint64_t value)
{
    struct vp_arch *arch = vp->arch;
    const struct vmmu_x86_paging_registers now = x86_paging_registers(vp);
    const bool is_pae = vmmu_mode_paging(now.cr0, now.cr4, now.efer) == VMMU_X86_PAGING_PAE;
    const bool keeps = now.cr4 & VMMU_X86_CR4_PCIDE && value & VMMU_X86_CR3_NO_FLUSH;

    if (vmmu_mode_check_cr3(&arch->cpu, &now, value) != VMMU_OK) {
        return false;
    }
    value = cr3_to_store(vp, now.cr4, value);
    if (is_pae && !x86_load_pdptes(vp, value)) {
        return false;
    }
    arch->backend->write_control(vp, 3, value);
    if (!keeps) {
        arch->backend->flush(vp);
    }
    return true;
}

/*
 * Where the processor walks tables of ours, whatever the mode is made from exits, and what the mode was made from is
 * what there is.
 */
static bool write_cr3_checked(struct vp *vp, uint64_t value)
{
    struct vp_arch *arch = vp->arch;

    if (arch->walks_guest) {
        return write_walked_cr3(vp, value);
    }
    if (vmmu_mode_check_cr3(&arch->cpu, &arch->mode_registers, value) != VMMU_OK) {
        return false;
    }
    value = cr3_to_store(vp, arch->mode_registers.cr4, value);
    if (arch->mode.paging == VMMU_X86_PAGING_PAE && !x86_load_pdptes(vp, value)) {
        return false;
    }
    arch->backend->write_control(vp, 3, value);
    x86_root_changed(vp, value);
    return true;
}

static bool write_cr4_checked(struct vp *vp, uint64_t value)
{
    struct vp_arch *arch = vp->arch;
    struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_x86_paging_registers now = x86_paging_registers(vp);
    struct vmmu_x86_paging_registers next = now;

    next.cr4 = value;
    if (vmmu_mode_check_cr4(&arch->cpu, &now, value) != VMMU_OK || !pdptes_load(vp, &now, &next)) {
        return false;
    }
    arch->backend->write_control(vp, 4, value);
    if ((value ^ state->cr4) & CR4_FLUSHING) {
        arch->backend->flush(vp);
    }
    state->cr4 = value;
    x86_paging_changed(vp);
    return true;
}

static bool write_cr8_checked(struct vp *vp, uint64_t value)
{
    if (value > 15) {
        return false;
    }
    x86_settle_eoi(vp);
    lapic_cr8_write(pc_lapic(x86_pc(vp), vp->index), value);
    vp->attention |= VP_ATTENTION_EVENT;
    return true;
}

bool x86_write_efer(struct vp *vp, uint64_t value)
{
    struct vp_arch *arch = vp->arch;
    struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_x86_paging_registers now = x86_paging_registers(vp);

    if (vmmu_mode_check_efer(&arch->cpu, &now, value) != VMMU_OK) {
        return false;
    }
    value = vmmu_mode_efer_stored(state->efer, value);
    arch->backend->write_efer(vp, value);
    if ((value ^ state->efer) & VMMU_X86_EFER_NXE) {
        arch->backend->flush(vp);
    }
    state->efer = value;
    x86_paging_changed(vp);
    return true;
}

static enum written written_if(bool done)
{
    return done ? WRITTEN : WRITTEN_NOT;
}

static enum written write_control_checked(struct vp *vp, unsigned number, uint64_t value)
{
    switch (number) {
    case 0: return write_cr0_checked(vp, value);
    case 3: return written_if(write_cr3_checked(vp, value));
    case 4: return written_if(write_cr4_checked(vp, value));
    case 8: return written_if(write_cr8_checked(vp, value));
    default: return WRITTEN_NOT;
    }
}

/* LMSW loads PE, MP, EM and TS, and cannot clear PE. */
static uint64_t cr0_after_lmsw(uint64_t cr0, uint64_t source)
{
    const uint64_t loaded = VMMU_X86_CR0_MP | VMMU_X86_CR0_EM | VMMU_X86_CR0_TS;

    return (cr0 & ~loaded) | (source & (loaded | VMMU_X86_CR0_PE));
}

static uint64_t read_control(struct vp *vp, unsigned number)
{
    if (number == 8) {
        return lapic_cr8_read(pc_lapic(x86_pc(vp), vp->index));
    }
    return vp->arch->backend->read_control(vp, number);
}

/* Perform MOV from a control register, or SMSW. */
static enum vmmu_status read_checked(struct vp *vp, const struct vmmu_insn *insn,
                                     struct vmmu_x86_fault *fault)
{
    struct vmmu_x86_state *state = x86_state(vp);
    const struct vmmu_insn_memory memory = x86_insn_memory(vp);
    const unsigned number = insn->operation == VMMU_INSN_SMSW ? 0 : insn->source.number;

    return vmmu_insn_store_destination(insn, state, &memory, read_control(vp, number), fault);
}

/* @insn is MOV to a control register. */
static enum written move_to_control(struct vp *vp, const struct vmmu_insn *insn)
{
    uint64_t value = vp->arch->state.gpr[insn->source.number];

    if (insn->operand_bytes == 4) {
        value = (uint32_t)value;
    }
    return write_control_checked(vp, insn->destination.number, value);
}

static bool is_move_to_control(const struct vmmu_insn *insn)
{
    return insn->operation == VMMU_INSN_MOV_CR && insn->destination.kind == VMMU_INSN_OPERAND_CONTROL;
}

/*
 * CR3 was read, mostly to be written back at once: that is how a guest flushes its TLB. Then that needs no exit of its own. What
 * would not be performed is left to its own exit.
 */
static void write_back_cr3(struct vp *vp)
{
    const struct vmmu_insn *insn;

    if (x86_may_go_on(vp) && x86_peek(vp, &insn) == VMMU_OK && is_move_to_control(insn) &&
        insn->destination.number == 3 && move_to_control(vp, insn) == WRITTEN) {
        x86_retire(vp, insn->length);
        vp->counters.exits_saved++;
    }
}

enum vp_next x86_control_exit(struct vp *vp, const struct exit *exit)
{
    struct vmmu_x86_state *state = x86_code(vp);
    const struct vmmu_insn_memory memory = x86_insn_memory(vp);
    struct vmmu_x86_fault fault;
    const struct vmmu_insn *insn;
    uint64_t value[2] = { 0 };
    enum vmmu_status status;
    enum written written;

    (void)exit;
    status = x86_fetch(vp, &insn);
    if (status == VMMU_UNSUPPORTED) {
        return x86_give_up(vp, "an access to a control register could not be decoded");
    }
    if (status != VMMU_OK) {
        return VP_RESUME;
    }
    if (is_move_to_control(insn)) {
        written = move_to_control(vp, insn);
    } else if (insn->operation == VMMU_INSN_LMSW) {
        status = vmmu_insn_load_source(insn, x86_state(vp), &memory, value, &fault);

        if (status == VMMU_GUEST_FAULT) {
            x86_raise_fault(vp, &fault);
        }
        if (status != VMMU_OK) {
            return VP_RESUME;
        }
        written = write_cr0_checked(vp, cr0_after_lmsw(state->cr0, value[0]));
    } else if (insn->operation == VMMU_INSN_CLTS) {
        written = write_cr0_checked(vp, state->cr0 & ~VMMU_X86_CR0_TS);
    } else if (insn->operation == VMMU_INSN_MOV_CR || insn->operation == VMMU_INSN_SMSW) {
        const bool reads_cr3 = insn->operation == VMMU_INSN_MOV_CR && insn->source.number == 3;

        status = read_checked(vp, insn, &fault);
        if (status == VMMU_GUEST_FAULT) {
            x86_raise_fault(vp, &fault);
        }
        if (status != VMMU_OK) {
            return VP_RESUME;
        }
        x86_retire(vp, insn->length);
        if (reads_cr3) {
            write_back_cr3(vp);
        }
        return VP_RESUME;
    } else {
        return VP_RESUME; /* the guest changed its code meanwhile: it runs what stands there now */
    }
    switch (written) {
    case WRITTEN: x86_retire(vp, insn->length); break;
    case WRITTEN_NOT:
        if (!(vp->waits &
              VP_WAIT_INTERCEPT)) { /* for PDPTEs that its parent withholds: then it starts again */
            x86_raise_gp(vp);
        }
        break;
    case WRITTEN_TOLD: return x86_unsupported_feature(vp, VMMU_HYPERV_FEATURE_CACHE_DISABLE, 0);
    }
    return VP_RESUME;
}

enum vp_next x86_xsetbv_exit(struct vp *vp, const struct exit *exit)
{
    struct vp_arch *arch = vp->arch;
    const uint64_t *gpr = arch->state.gpr;
    const uint64_t value = gpr[VMMU_X86_RDX] << 32 | (uint32_t)gpr[VMMU_X86_RAX];

    if (!(x86_state(vp)->cr4 & VMMU_X86_CR4_OSXSAVE)) {
        x86_raise_ud(vp);
    } else if (arch->state.cpl != 0 || (uint32_t)gpr[VMMU_X86_RCX] != 0 ||
               !x86_xcr0_is_valid(&arch->cpuid, value)) {
        x86_raise_gp(vp);
    } else if (x86_skip(vp, exit)) {
        x86_load_xcr0(vp, value);
    }
    return VP_RESUME;
}
