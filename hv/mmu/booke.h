/*
 * The technique of PowerPC's Book E, and what hv/ppc and it ask of each other: guests write a virtual TLB, and what they use of it
 * is put into the processor's.
 *
 * hv/ppc calls the library's operations (vmmu/booke.h) by itself, with no lock held: a virtual MMU belongs to its VP, the real TLB
 * to the processor that the VP runs on, and the partition's memory stays as it is while its guest runs.
 */
#ifndef HV_MMU_BOOKE_H
#define HV_MMU_BOOKE_H

#include <vmmu/booke.h>

#include "hv/mmu/mmu.h"

extern const struct mmu_technique mmu_booke;

/* --- what hv/ppc gives it --- */

/* What the processor's own TLB offers. Constant. */
void arch_tlb_config(struct vmmu_booke_config *config);

/* How many entries of array 1, the last ones, the hypervisor keeps for itself. Constant. */
unsigned arch_tlb_kept(void);

/* `tlbwe` of these registers on the processor; it takes effect before this returns. */
void arch_tlb_write(const struct vmmu_booke_mas *mas);

/* In which state @vp's guest translates now. */
struct vmmu_booke_state arch_vp_space(const struct vp *vp);

/* --- what it gives hv/ppc, from arch_vp_create() on --- */

/* The virtual MMU of @vp: as after a reset, with no valid entry. */
struct vmmu_booke *mmu_booke_of(const struct vp *vp);

/* The TLB of the processor that it runs on. */
struct vmmu_booke_real *mmu_booke_real(void);

#endif
