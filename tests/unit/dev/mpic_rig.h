/* What tests of the MPIC and of the e500 board stand on: a clock that the test turns, and outputs that it can look at. */
#ifndef TESTS_UNIT_DEV_MPIC_RIG_H
#define TESTS_UNIT_DEV_MPIC_RIG_H

#include "hv/dev/e500.h"
#include "hv/dev/mpic.h"

#define MPIC_RIG_HZ 400000000 /* of the platform: a timer tick is 20 ns at CLKR 0 */

struct mpic_rig {
    struct mpic mpic;
    uint64_t ns;
    bool high[MPIC_VPS_MAXIMUM][MPIC_OUTPUTS]; /* as the wires told */
    unsigned rises[MPIC_VPS_MAXIMUM][MPIC_OUTPUTS];
    unsigned core_resets[MPIC_VPS_MAXIMUM];
};

/* A controller of @vps processors, as after a reset. */
void mpic_rig_open(struct mpic_rig *rig, unsigned vps);

/* 32-bit accesses by processor 0, and by @vp. */
uint32_t mpic_rig_get(struct mpic_rig *rig, uint32_t offset);
void mpic_rig_put(struct mpic_rig *rig, uint32_t offset, uint32_t value);
uint32_t mpic_rig_get_by(struct mpic_rig *rig, unsigned vp, uint32_t offset);
void mpic_rig_put_by(struct mpic_rig *rig, unsigned vp, uint32_t offset, uint32_t value);

/* Turn the clock by @ns, advancing at every deadline on the way. */
void mpic_rig_pass(struct mpic_rig *rig, uint64_t ns);

/* The first invariant of @mpic that does not hold, as a sentence; NULL if all do. */
const char *mpic_broken_invariant(const struct mpic *mpic);

/* A board, and what it told the hypervisor. */
struct e500_rig {
    struct e500 board;
    uint64_t ns;
    unsigned requests[E500_VPS_MAXIMUM];
    unsigned core_resets[E500_VPS_MAXIMUM];
    unsigned power_offs;
    unsigned resets;
    unsigned debug_exits;
    uint32_t debug_value;
    char text[64];
    unsigned text_length;
    unsigned text_port;
};

/* A configuration that e500_init() takes: @vps VPs, all serial ports. */
struct e500_config e500_rig_config(unsigned vps);

/* Hooks that record into @rig. */
struct e500_hooks e500_rig_hooks(struct e500_rig *rig);

void e500_rig_open(struct e500_rig *rig, unsigned vps);

/* Accesses by VP 0 that a device must claim, at byte @offset of the CCSR. */
uint32_t e500_rig_get(struct e500_rig *rig, uint32_t offset, unsigned width_bytes);
void e500_rig_put(struct e500_rig *rig, uint32_t offset, unsigned width_bytes, uint32_t value);

#endif
