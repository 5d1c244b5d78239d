/* Inside the interrupt controller: what its files call in one another. */
#ifndef HV_DEV_MPIC_INTERNAL_H
#define HV_DEV_MPIC_INTERNAL_H

#include "hv/dev/mpic.h"

#include "hv/dev/bits.h"

/* xIVPR. */
#define IVPR_MASKED   BIT32(31)
#define IVPR_ACTIVITY BIT32(30)
#define IVPR_POLARITY BIT32(23) /* active high, or the rising edge */
#define IVPR_SENSE    BIT32(22) /* level */
#define IVPR_PRIORITY BITS32(19, 16)
#define IVPR_VECTOR   BITS32(15, 0)

static inline unsigned mpic_priority(const struct mpic_source *source)
{
    return bits_get(source->vector_priority, 19, 16);
}

/* mpic.c: what interrupts. `number` is below MPIC_INTERRUPTS. */

/* Whether `number` is a source that is there, whose input has a sense and a polarity of its own. */
static inline bool mpic_is_external(unsigned number)
{
    return number < MPIC_EXTERNAL;
}

/* Bring requests and outputs in line with what source @number is now. */
void mpic_update(struct mpic *mpic, unsigned number);

/* What source @number asks for goes to @target, of xILR[INTTGT], from now on. */
void mpic_route(struct mpic *mpic, unsigned number, uint8_t target);

/* An edge, or a message to the processors of @waiting. */
void mpic_latch(struct mpic *mpic, unsigned number, uint8_t waiting);

/* Whether @number is requested or in service somewhere. */
bool mpic_is_active(const struct mpic *mpic, unsigned number);

void mpic_end(struct mpic *mpic, unsigned vp);
void mpic_set_task_priority(struct mpic *mpic, unsigned vp, uint8_t priority);

/* mpic_timer.c: timer @timer of group @group. */

void mpic_timers_reset(struct mpic *mpic);
uint32_t mpic_timer_read(struct mpic *mpic, unsigned group, unsigned timer);
void mpic_timer_write_base(struct mpic *mpic, unsigned group, unsigned timer, uint32_t value);
void mpic_timer_write_control(struct mpic *mpic, unsigned group, uint32_t value);

/* A timer has been unmasked, masked, started or stopped: find the earliest that interrupts. */
void mpic_timers_schedule(struct mpic *mpic);

#endif
