/*
 * The timers of a Book-E core: decrementer, fixed-interval timer and watchdog, all of them counted by the time base.
 *
 * The time base itself is the processor's and never stands still; these functions are told what it shows. Nothing ticks here:
 * what has happened since the last look is worked out at the next, and ppc_timers_deadline() says when that must be at the
 * latest.
 *
 * Spec: EREF "Timers", "Decrementer (DEC)", "Fixed-Interval Timer", "Watchdog Timer", "Timer Control Register (TCR)", "Timer Status
 * Register (TSR)".
 */
#ifndef HV_PPC_CORE_TIMERS_H
#define HV_PPC_CORE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#define PPC_TCR_WRC      UINT32_C(0x30000000) /* which reset the watchdog's last stage makes; 0: none */
#define PPC_TCR_WIE      UINT32_C(0x08000000)
#define PPC_TCR_DIE      UINT32_C(0x04000000)
#define PPC_TCR_FIE      UINT32_C(0x00800000)
#define PPC_TCR_ARE      UINT32_C(0x00400000) /* the decrementer starts again from DECAR */
#define PPC_TCR_BITS     UINT32_C(0xffdfe000)

#define PPC_TSR_ENW      UINT32_C(0x80000000) /* the watchdog's stages: armed, ... */
#define PPC_TSR_WIS      UINT32_C(0x40000000) /* ... interrupting */
#define PPC_TSR_WRS      UINT32_C(0x30000000)
#define PPC_TSR_DIS      UINT32_C(0x08000000)
#define PPC_TSR_FIS      UINT32_C(0x04000000)

#define PPC_TIMERS_NEVER UINT64_MAX

struct ppc_timers {
    uint32_t tcr;
    uint32_t tsr; /* as of `seen` */
    uint32_t decar;
    bool counting;  /* the decrementer has not stopped at zero */
    uint64_t zero;  /* when it does, or did: the time base then */
    uint64_t seen;  /* what the time base showed at the last look */
    unsigned reset; /* the watchdog asks for this kind of reset, of TCR[WRC]; 0: it does not */
};

/* Let everything have happened up to @now, which is not before the last look. */
void ppc_timers_advance(struct ppc_timers *timers, uint64_t now);

/*
 * When ppc_timers_advance() must be called at the latest so that no interrupt that is enabled, and no reset, comes late:
 * PPC_TIMERS_NEVER for never.
 */
uint64_t ppc_timers_deadline(const struct ppc_timers *timers);

/* DEC at @now. */
uint32_t ppc_decrementer(const struct ppc_timers *timers, uint64_t now);

/* Write DEC and TCR at @now; clear what @value has set in TSR. */
void ppc_decrementer_write(struct ppc_timers *timers, uint64_t now, uint32_t value);
void ppc_tcr_write(struct ppc_timers *timers, uint64_t now, uint32_t value);
void ppc_tsr_clear(struct ppc_timers *timers, uint64_t now, uint32_t value);

/* For @ticks of the time base the core stood still. */
void ppc_timers_delay(struct ppc_timers *timers, uint64_t ticks);

#endif
