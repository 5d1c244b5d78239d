/*
 * The guest runs, and traps. Most traps are dealt with here and the guest runs on: privileged instructions, TLB misses, what
 * belongs to the guest itself. The rest leaves for the neutral loop.
 *
 * Interrupts of the machine are off here; one that comes while the guest runs is a trap like others, which leaves it pending.
 */
#include "hv/ppc/cpu.h"
#include "hv/ppc/e500/e500.h"

/* The exit for an access that the neutral loop is to look at. The instruction is read while its space is at hand. */
static void refuse(struct vp_arch *arch, const struct vmmu_booke_attempt *attempt,
                   const struct vmmu_booke_result *result)
{
    struct ppc_refused *refused = &arch->refused;

    refused->attempt = *attempt;
    refused->result = *result;
    refused->has_word = attempt->kind != VMMU_BOOKE_FETCH && e500_load_word(attempt->at, &refused->word);
    arch->exit->memory = (struct exit_memory){ .gpa = result->gpa,
                                               .write = attempt->kind == VMMU_BOOKE_STORE,
                                               .execute = attempt->kind == VMMU_BOOKE_FETCH,
                                               .has_va = true,
                                               .va = { attempt->ea } };
}

/* A TLB error, or a right that the real entry has not: the guest's own fault, or a gap of ours. */
static bool translation_trap(struct vp_arch *arch, enum vmmu_booke_kind kind, uint32_t ea)
{
    const struct vmmu_booke_attempt attempt = {
        .state = ppc_space(&arch->core), .kind = kind, .ea = ea, .at = arch->core.pc
    };
    struct vmmu_booke_result result;
    enum exit_kind left = EXIT_MEMORY;

    switch (vmmu_booke_fill(arch->booke, arch->real, &attempt, &result)) {
    case VMMU_BOOKE_FILLED:
        arch->counts[kind == VMMU_BOOKE_FETCH ? PPC_COUNT_FETCH_FILLED : PPC_COUNT_DATA_FILLED]++;
        e500_settle_spaces(arch);
        return !arch->vp->attention || ppc_leave(arch, EXIT_HOST_INTERRUPT);
    case VMMU_BOOKE_FAULT: ppc_translation_fault(arch, &attempt, &result); return true;
    case VMMU_BOOKE_DEVICE:
    case VMMU_BOOKE_DENIED: left = EXIT_MEMORY; break;
    case VMMU_BOOKE_CLASH: left = EXIT_PPC_PAGE; break;
    }
    refuse(arch, &attempt, &result);
    return ppc_leave(arch, left);
}

/* A cache-locking instruction, which traps for it runs in problem state: nothing is locked for anybody, and L1CSR0 says so. */
static bool lock_trap(struct vp_arch *arch, uint32_t esr)
{
    if (arch->core.msr & MSR_PR && !(arch->core.msr & PPC_MSR_UCLE)) {
        arch->core.esr = esr;
        arch->core.dear = SPR_READ(SPR_DEAR);
        ppc_take(arch, VECTOR_DATA_STORAGE, arch->core.pc);
    } else {
        arch->core.l1csr0 |= PPC_L1CSR0_CUL;
        ppc_step_over(arch);
    }
    return true;
}

static bool data_trap(struct vp_arch *arch)
{
    const uint32_t esr = SPR_READ(SPR_ESR);

    if (esr & (PPC_ESR_DLK | PPC_ESR_ILK)) {
        return lock_trap(arch, esr);
    }
    return translation_trap(arch, esr & PPC_ESR_ST ? VMMU_BOOKE_STORE : VMMU_BOOKE_LOAD, SPR_READ(SPR_DEAR));
}

/* The processor called it illegal, but a core of the guest's kind has it. */
static bool is_ours(uint32_t word)
{
    const enum ppc_privileged kind = ppc_privileged_of(word);

    return kind == PPC_RFMCI || kind == PPC_MFSPR || kind == PPC_MTSPR;
}

/* Whether the guest waits is decided anew: the debug interrupt ends that. */
static bool perform_step(struct vp_arch *arch, uint32_t word)
{
    const uint32_t at = arch->core.pc;
    const bool runs_on = ppc_perform(arch, word);
    const bool completed = ppc_privileged_of(word) != PPC_DCBI || arch->core.pc == at + 4;

    if (completed && (runs_on || arch->exit->kind != EXIT_DEAD)) {
        ppc_stepped(arch);
    }
    if (!runs_on && arch->exit->kind == EXIT_IDLE) {
        return ppc_leave(arch, EXIT_HOST_INTERRUPT);
    }
    return runs_on;
}

static bool program_trap(struct vp_arch *arch)
{
    const uint32_t esr = SPR_READ(SPR_ESR);
    uint32_t word;

    if (arch->core.msr & MSR_PR || !(esr & (PPC_ESR_PPR | PPC_ESR_PIL))) {
        if (esr & PPC_ESR_PTR) {
            ppc_trap_instruction(arch, esr);
        } else {
            ppc_program(arch, esr);
        }
        return true;
    }
    if (!e500_load_word(arch->core.pc, &word) && !ppc_fetch(arch, &word)) {
        return true; /* what it stands on has gone: it faults when it is fetched again */
    }
    if (esr & PPC_ESR_PIL && !is_ours(word)) {
        ppc_program(arch, esr);
        return true;
    }
    return e500_steps(arch) ? perform_step(arch, word) : ppc_perform(arch, word);
}

/* An interrupt of the guest's own making, which it would have taken natively just so. */
static bool reflected_trap(struct vp_arch *arch, unsigned vector)
{
    if (vector == VECTOR_ALIGNMENT) {
        arch->core.dear = SPR_READ(SPR_DEAR);
    }
    if (vector != VECTOR_SYSTEM_CALL) {
        arch->core.esr = SPR_READ(SPR_ESR);
    }
    ppc_take(arch, vector, arch->core.pc);
    return true;
}

bool e500_privileged(struct vp_arch *arch, uint32_t word)
{
    arch->vectors[VECTOR_PROGRAM]++;
    return ppc_perform(arch, word);
}

void e500_add_quick(struct vp_arch *arch)
{
    static const uint8_t kinds[QUICK_KINDS] = { [QUICK_WRTEEI] = PPC_WRTEEI,
                                                [QUICK_MFMSR] = PPC_MFMSR,
                                                [QUICK_WRTEE] = PPC_WRTEE,
                                                [QUICK_MFSPR] = PPC_MFSPR,
                                                [QUICK_MTSPR] = PPC_MTSPR };

    for (unsigned i = 0; i < QUICK_KINDS; i++) {
        arch->privileged[kinds[i]] += arch->core.quick[i];
        arch->vectors[VECTOR_PROGRAM] += arch->core.quick[i];
        arch->core.quick[i] = 0;
    }
}

bool e500_trap(struct vp_arch *arch, unsigned vector)
{
    arch->vectors[vector]++;
    switch (vector) {
    case VECTOR_PROGRAM: return program_trap(arch);
    case VECTOR_DATA_MISS:
    case VECTOR_DATA_STORAGE: return data_trap(arch);
    case VECTOR_FETCH_MISS:
    case VECTOR_INSTRUCTION: return translation_trap(arch, VMMU_BOOKE_FETCH, arch->core.pc);
    case VECTOR_NO_SPE: return e500_bring_spe(arch) || reflected_trap(arch, vector);
    case VECTOR_DEBUG: return e500_debug_trap(arch);
    case VECTOR_ALIGNMENT:
    case VECTOR_NO_FLOAT:
    case VECTOR_SYSTEM_CALL:
    case VECTOR_NO_AUXILIARY:
    case VECTOR_SPE_DATA:
    case VECTOR_SPE_ROUND: return reflected_trap(arch, vector);
    case VECTOR_MACHINE_CHECK: return ppc_leave(arch, EXIT_MACHINE_CHECK);
    default: return ppc_leave(arch, EXIT_HOST_INTERRUPT);
    }
}

/* All but what goes with the kind. */
static void begin(struct exit *exit)
{
    exit->kind = EXIT_HOST_INTERRUPT;
    exit->insn_bytes = 0;
    exit->delivering = false;
    exit->looks_for_interrupts = false;
    exit->raw[0] = 0;
    exit->raw[1] = 0;
    exit->raw[2] = 0;
}

void arch_vp_enter(struct vp *vp, struct exit *exit)
{
    struct vp_arch *arch = vp->arch;

    begin(exit);
    arch->exit = exit;
    if (ppc_is_asleep(&arch->core)) {
        exit->kind = EXIT_IDLE;
        return;
    }
    e500_switch_to(arch);
    e500_settle_spaces(arch);
    e500_enter(arch);
}
