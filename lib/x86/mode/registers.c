/*
 * Which values MOV to CR0, CR3 and CR4 and WRMSR to EFER take, given the processor and the other registers.
 *
 * Each check assumes that the registers now are a state that vmmu_mode_make would accept, and lets through
 * only values that lead to another such state.
 */
#include <vmmu/mode.h>

/* CR4 bits of paging, each with the offer that it needs. */
#define CR4_PAGING                                                                                           \
    (VMMU_X86_CR4_PSE | VMMU_X86_CR4_PAE | VMMU_X86_CR4_PGE | VMMU_X86_CR4_LA57 | VMMU_X86_CR4_PCIDE |       \
     VMMU_X86_CR4_SMEP | VMMU_X86_CR4_SMAP | VMMU_X86_CR4_PKE | VMMU_X86_CR4_PKS)

#define EFER_PAGING (VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA | VMMU_X86_EFER_NXE)

#define CR0_EXISTING                                                                                         \
    (VMMU_X86_CR0_PE | VMMU_X86_CR0_MP | VMMU_X86_CR0_EM | VMMU_X86_CR0_TS | VMMU_X86_CR0_ET |               \
     VMMU_X86_CR0_NE | VMMU_X86_CR0_WP | VMMU_X86_CR0_AM | VMMU_X86_CR0_NW | VMMU_X86_CR0_CD |               \
     VMMU_X86_CR0_PG)

uint64_t vmmu_mode_cr4_offered(const struct vmmu_x86_cpu *cpu)
{
    return (cpu->cr4_others & ~CR4_PAGING) | (cpu->pse ? VMMU_X86_CR4_PSE : 0) |
           (cpu->pae ? VMMU_X86_CR4_PAE : 0) | (cpu->pge ? VMMU_X86_CR4_PGE : 0) |
           (cpu->la57 ? VMMU_X86_CR4_LA57 : 0) | (cpu->pcid ? VMMU_X86_CR4_PCIDE : 0) |
           (cpu->smep ? VMMU_X86_CR4_SMEP : 0) | (cpu->smap ? VMMU_X86_CR4_SMAP : 0) |
           (cpu->pku ? VMMU_X86_CR4_PKE : 0) | (cpu->pks ? VMMU_X86_CR4_PKS : 0);
}

uint64_t vmmu_mode_efer_offered(const struct vmmu_x86_cpu *cpu)
{
    return (cpu->efer_others & ~EFER_PAGING) | (cpu->long_mode ? VMMU_X86_EFER_LME | VMMU_X86_EFER_LMA : 0) |
           (cpu->nx ? VMMU_X86_EFER_NXE : 0);
}

static enum vmmu_status accepted(bool refused)
{
    return refused ? VMMU_GUEST_FAULT : VMMU_OK;
}

/* Whether paging may go from off to on, or back, with the other registers as they are. */
static bool paging_switch_is_refused(const struct vmmu_x86_paging_registers *now, uint64_t value,
                                     bool cs_long)
{
    const bool was_on = (now->cr0 & VMMU_X86_CR0_PG) != 0;
    const bool is_on = (value & VMMU_X86_CR0_PG) != 0;

    if (!was_on && is_on && (now->efer & VMMU_X86_EFER_LME)) {
        return !(now->cr4 & VMMU_X86_CR4_PAE) || cs_long;
    }
    if (was_on && !is_on) {
        return (now->cr4 & VMMU_X86_CR4_PCIDE) || ((now->efer & VMMU_X86_EFER_LMA) && cs_long);
    }
    return false;
}

enum vmmu_status vmmu_mode_check_cr0(const struct vmmu_x86_paging_registers *now, uint64_t value,
                                     bool cs_long)
{
    if ((value & ~BITS64(31, 0)) != 0) {
        return VMMU_GUEST_FAULT;
    }
    if ((value & VMMU_X86_CR0_PG) && !(value & VMMU_X86_CR0_PE)) {
        return VMMU_GUEST_FAULT;
    }
    if ((value & VMMU_X86_CR0_NW) && !(value & VMMU_X86_CR0_CD)) {
        return VMMU_GUEST_FAULT;
    }
    if (!(value & VMMU_X86_CR0_WP) && (now->cr4 & VMMU_X86_CR4_CET)) {
        return VMMU_GUEST_FAULT;
    }
    return accepted(paging_switch_is_refused(now, value, cs_long));
}

enum vmmu_status vmmu_mode_check_cr3(const struct vmmu_x86_cpu *cpu,
                                     const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    const uint64_t order = (now->cr4 & VMMU_X86_CR4_PCIDE) ? VMMU_X86_CR3_NO_FLUSH : 0;

    return accepted((value & ~order & ~BITS64(cpu->maxphyaddr - 1, 0)) != 0);
}

enum vmmu_status vmmu_mode_check_cr4(const struct vmmu_x86_cpu *cpu,
                                     const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    const bool active = (now->efer & VMMU_X86_EFER_LMA) != 0;
    const uint64_t changed = value ^ now->cr4;
    const bool starts_pcids = (changed & value & VMMU_X86_CR4_PCIDE) != 0;

    if ((value & ~vmmu_mode_cr4_offered(cpu)) != 0) {
        return VMMU_GUEST_FAULT;
    }
    if (active && (!(value & VMMU_X86_CR4_PAE) || (changed & VMMU_X86_CR4_LA57))) {
        return VMMU_GUEST_FAULT;
    }
    if (starts_pcids && (!active || (now->cr3 & BITS64(11, 0)) != 0)) {
        return VMMU_GUEST_FAULT;
    }
    return accepted((value & VMMU_X86_CR4_CET) && !(now->cr0 & VMMU_X86_CR0_WP));
}

enum vmmu_status vmmu_mode_check_efer(const struct vmmu_x86_cpu *cpu,
                                      const struct vmmu_x86_paging_registers *now, uint64_t value)
{
    const bool toggles_long_mode = ((value ^ now->efer) & VMMU_X86_EFER_LME) != 0;

    return accepted((value & ~vmmu_mode_efer_offered(cpu) & ~VMMU_X86_EFER_LMA) != 0 ||
                    (toggles_long_mode && (now->cr0 & VMMU_X86_CR0_PG)));
}

uint64_t vmmu_mode_cr0_stored(uint64_t value)
{
    return (value & CR0_EXISTING) | VMMU_X86_CR0_ET;
}
