/* The files of hv/ppc/e500 to each other: how an e500 runs guests. */
#ifndef HV_PPC_E500_E500_H
#define HV_PPC_E500_E500_H

#include "hv/ppc/vp/ppc.h"

/* Run the guest until a trap that e500_trap() has not dealt with. In vectors.S. */
void e500_enter(struct vp_arch *arch);

/*
 * From vectors.S: the guest has trapped by @vector; its general registers, CR, LR, CTR, XER and the program counter are in
 * arch->core. Whether it runs on.
 */
bool e500_trap(struct vp_arch *arch, unsigned vector);

/* From quick.S, which has not performed it: the guest's privileged instruction @word, while the guest does not step. As above. */
bool e500_privileged(struct vp_arch *arch, uint32_t word);

/* The registers that guests reach without a trap become this VP's. */
void e500_switch_to(struct vp_arch *arch);

/* The guest uses the SPE. False: its MSR does not let it. */
bool e500_bring_spe(struct vp_arch *arch);

/* Move the SPE's state from and to the processor. MSR[SPE] is set. In spe.S. */
void e500_spe_save(struct ppc_spe *spe);
void e500_spe_load(const struct ppc_spe *spe);

/* A debug event of the guest's, which the processor has found. */
bool e500_debug_trap(struct vp_arch *arch);

/* Whether the processor holds this VP's SPE state. */
bool e500_has_spe(const struct vp_arch *arch);

#endif
