/*
 * Loads and stores that the processor could not do for the guest: on devices, or on memory where the guest's two address spaces are
 * in each other's way. Each access is translated by the guest's own TLB.
 */
#include "hv/ppc/insn/insn.h"
#include "hv/ppc/vp/ppc.h"
#include "hv/vp/serial.h"

#define BLOCK_BYTES UINT32_C(32) /* of a cache */

/* One instruction's accesses. */
struct accesses {
    struct vp_arch *arch;
    struct vmmu_booke_attempt attempt; /* the one that was made last */
    struct vmmu_booke_result result;
};

static struct vmmu_booke_result translate(struct vp_arch *arch, enum vmmu_booke_kind kind, uint32_t ea)
{
    const uint32_t msr = arch->core.msr;
    const struct vmmu_booke_access access = { .kind = kind,
                                              .space = msr & (kind == VMMU_BOOKE_FETCH ? MSR_IS : MSR_DS),
                                              .problem = msr & MSR_PR };

    return vmmu_booke_translate(arch->booke, ea, access);
}

bool ppc_fetch(struct vp_arch *arch, uint32_t *word)
{
    const struct vmmu_booke_result result = translate(arch, VMMU_BOOKE_FETCH, arch->core.pc);
    const void *at;

    arch->counts[PPC_COUNT_INSN_MISSED]++;
    if (result.verdict != VMMU_BOOKE_HIT) {
        return false;
    }
    at = mmu_at(arch->vp->partition, result.gpa, sizeof *word);
    if (at) {
        __builtin_memcpy(word, at, sizeof *word);
        *word = result.attributes & VMMU_MAS2_E ? __builtin_bswap32(*word) : *word;
    }
    return at;
}

static bool reach(struct accesses *accesses, enum vmmu_booke_kind kind, uint32_t ea)
{
    struct vp_arch *arch = accesses->arch;

    accesses->attempt = (struct vmmu_booke_attempt){
        .state = ppc_space(&arch->core), .kind = kind, .ea = ea, .at = arch->core.pc
    };
    if (kind == arch->refused.attempt.kind && ea == arch->refused.attempt.ea) {
        accesses->result = arch->refused.result;
    } else {
        accesses->result = translate(arch, kind, ea);
    }
    return accesses->result.verdict == VMMU_BOOKE_HIT;
}

static uint32_t load_bytes(const uint8_t *at, unsigned width_bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width_bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void store_bytes(uint8_t *at, unsigned width_bytes, uint32_t value)
{
    for (unsigned i = width_bytes; i-- > 0; value >>= 8) {
        at[i] = (uint8_t)value;
    }
}

static enum vmmu_status bus_read(void *context, uint32_t address, unsigned width_bytes, uint32_t *value)
{
    struct accesses *accesses = context;
    struct vp *vp = accesses->arch->vp;
    const void *at;

    if (!reach(accesses, VMMU_BOOKE_LOAD, address)) {
        return VMMU_GUEST_FAULT;
    }
    at = mmu_at(vp->partition, accesses->result.gpa, width_bytes);
    if (at) {
        *value = load_bytes(at, width_bytes);
    } else {
        (void)e500_mmio_read(ppc_board(vp), vp->index, accesses->result.gpa, width_bytes, value);
    }
    return VMMU_OK;
}

static enum vmmu_status bus_write(void *context, uint32_t address, unsigned width_bytes, uint32_t value)
{
    struct accesses *accesses = context;
    struct vp *vp = accesses->arch->vp;
    void *at;

    if (!reach(accesses, VMMU_BOOKE_STORE, address)) {
        return VMMU_GUEST_FAULT;
    }
    at = mmu_writable_at(vp->partition, accesses->result.gpa, width_bytes);
    if (at) {
        store_bytes(at, width_bytes, value);
        mmu_wrote(vp->partition, accesses->result.gpa, width_bytes);
    } else {
        (void)e500_mmio_write(ppc_board(vp), vp->index, accesses->result.gpa, width_bytes, value);
    }
    return VMMU_OK;
}

static enum vp_next perform(struct vp_arch *arch, const struct ppc_insn *insn)
{
    struct accesses accesses = { .arch = arch };
    const struct ppc_bus bus = { .context = &accesses,
                                 .little_endian = arch->refused.result.attributes & VMMU_MAS2_E,
                                 .read = bus_read,
                                 .write = bus_write };
    enum vmmu_status status;

    switch (ppc_insn_perform(insn, arch->core.gpr, &bus, &status)) {
    case PPC_INSN_DONE: ppc_step_over(arch); break;
    case PPC_INSN_ALIGNMENT:
        arch->core.dear = ppc_insn_address(insn, arch->core.gpr);
        arch->core.esr = ppc_insn_is_store(insn) ? PPC_ESR_ST : 0;
        ppc_take(arch, VECTOR_ALIGNMENT, arch->core.pc);
        break;
    case PPC_INSN_STOPPED: ppc_translation_fault(arch, &accesses.attempt, &accesses.result); break;
    }
    if (serial_waits(arch->vp->partition)) {
        serial_pump(arch->vp->partition);
    }
    return VP_RESUME;
}

/* dcbz, which only memory serves. False: none is there. */
static bool zero_block(struct vp_arch *arch, const struct ppc_insn *insn)
{
    struct accesses accesses = { .arch = arch };
    const uint32_t ea = ppc_insn_address(insn, arch->core.gpr) & ~(BLOCK_BYTES - 1);
    void *at;

    if (!reach(&accesses, VMMU_BOOKE_STORE, ea)) {
        ppc_translation_fault(arch, &accesses.attempt, &accesses.result);
        return true;
    }
    at = mmu_writable_at(arch->vp->partition, accesses.result.gpa, BLOCK_BYTES);
    if (!at) {
        return false;
    }
    __builtin_memset(at, 0, BLOCK_BYTES);
    mmu_wrote(arch->vp->partition, accesses.result.gpa, BLOCK_BYTES);
    ppc_step_over(arch);
    return true;
}

/* What reaches a device so natively, does nothing that we knew; of a user's program the guest's supervisor hears. */
static enum vp_next give_up(struct vp_arch *arch, uint32_t word)
{
    if (arch->core.msr & MSR_PR) {
        ppc_program(arch, PPC_ESR_PIL);
        return VP_RESUME;
    }
    ppc_give_up(arch, "the guest's instruction %08x at %08x reaches a device in a way that is not known",
                word, arch->core.pc);
    return VP_STOP;
}

enum vp_next arch_vp_emulate(struct vp *vp, const struct exit *exit)
{
    struct vp_arch *arch = vp->arch;
    struct ppc_insn insn;
    uint32_t word = 0;

    if (exit->memory.execute) {
        /* Zero is what it reads there, and no instruction. */
        arch->counts[PPC_COUNT_FETCHED_NOTHING]++;
        ppc_program(arch, PPC_ESR_PIL);
        return VP_RESUME;
    }
    if (arch->refused.has_word) {
        word = arch->refused.word;
    } else if (!ppc_fetch(arch, &word)) {
        return VP_RESUME;
    }
    vp->counters.insn_emulated++;
    if (!ppc_insn_decode(word, &insn)) {
        return give_up(arch, word);
    }
    if (insn.operation == PPC_ZERO_BLOCK && zero_block(arch, &insn)) {
        return VP_RESUME;
    }
    return perform(arch, &insn);
}
