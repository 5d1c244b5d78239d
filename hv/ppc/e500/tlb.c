/* The processor's TLB, as far as guests' entries are concerned: written one at a time, at the library's word. */
#include "hv/mmu/booke.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define SPR_TLB0CFG   688
#define PIDS          3
#define PID_BITS      8
#define PHYSICAL_BITS 36

void arch_tlb_config(struct vmmu_booke_config *config)
{
    *config = (struct vmmu_booke_config){ .tlbcfg = { SPR_READ(SPR_TLB0CFG), SPR_READ(SPR_TLB1CFG) },
                                          .pids = PIDS,
                                          .pid_bits = PID_BITS,
                                          .physical_bits = PHYSICAL_BITS };
}

unsigned arch_tlb_kept(void)
{
    return TLB1_ENTRIES - tlb1_guest_entries();
}

void arch_tlb_write(const struct vmmu_booke_mas *mas)
{
    SPR_WRITE(SPR_MAS0, mas->mas0);
    SPR_WRITE(SPR_MAS1, mas->mas1);
    SPR_WRITE(SPR_MAS2, mas->mas2);
    SPR_WRITE(SPR_MAS3, mas->mas3);
    SPR_WRITE(SPR_MAS7, mas->mas7);
    __asm__ volatile("isync\n\ttlbwe\n\tisync" : : : "memory");
}
