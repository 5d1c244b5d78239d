/*
 * The interrupt controller of e500 systems: an OpenPIC as Freescale's MPIC 4.2 presents it.
 *
 * 256 sources (12 external inputs, the others internal), 4 interprocessor interrupts and two groups of 4 timers; per
 * processor a task priority, a nest of interrupts in service, and two outputs: the ordinary interrupt and the critical one.
 * With external proxy (mode 3 of GCR[M]) a processor that takes an interrupt acknowledges it in the same step and finds its
 * vector in EPR: mpic_acknowledge() is that step, too. The other modes are alike: mode 0 (pass-through, which a reset leaves)
 * delivers as mode 1 (mixed) does, since there is no other controller whose output could be passed through.
 *
 * Calls on one struct mpic must not run at the same time. Wires must not call back into it.
 * Spec: MPC8548E Reference Manual "Programmable Interrupt Controller"; P4080 for what version 4 adds (xILR, group B).
 */
#ifndef HV_DEV_MPIC_H
#define HV_DEV_MPIC_H

#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include "vmmu/base.h"

#include <stdbool.h>
#include <stdint.h>

#define MPIC_BYTES       0x40000 /* of the register block */
#define MPIC_VPS_MAXIMUM 8
#define MPIC_SOURCES     256
#define MPIC_EXTERNAL    12 /* sources 0 to 11; 12 to 15 are not there */
#define MPIC_INTERNAL    16 /* source of internal interrupt 0 */
#define MPIC_IPIS        4
#define MPIC_GROUPS      2
#define MPIC_TIMERS      4 /* of one group */
#define MPIC_HZ_LEAST    64
#define MPIC_PRIORITIES  16

/* All that can interrupt: the sources, then the interprocessor interrupts, then the timers of both groups. */
#define MPIC_IPI_0       MPIC_SOURCES
#define MPIC_TIMER_0     (MPIC_IPI_0 + MPIC_IPIS)
#define MPIC_INTERRUPTS  (MPIC_TIMER_0 + MPIC_GROUPS * MPIC_TIMERS)
#define MPIC_SET_WORDS   ((MPIC_INTERRUPTS + 31) / 32)

/* One output per processor each. */
enum mpic_output { MPIC_INT, MPIC_CINT, MPIC_OUTPUTS };

/* What can interrupt. Bit n of a mask is processor n. */
struct mpic_source {
    uint32_t vector_priority; /* xIVPR without its activity bit */
    uint8_t destination;      /* xIDR */
    uint8_t target;           /* xILR[INTTGT] */
    uint8_t waiting;          /* who has yet to acknowledge the edge, or the message, that is latched */
    bool latched;             /* an edge came, and somebody has yet to acknowledge it */
    bool line;                /* the input's level, as it is wired */
};

/* A set of interrupts, of one processor. */
struct mpic_set {
    uint32_t words[MPIC_SET_WORDS];
};

struct mpic_processor {
    struct mpic_set requested[MPIC_OUTPUTS];
    uint16_t in_service[MPIC_PRIORITIES]; /* which interrupt, by its priority when it was acknowledged */
    uint32_t in_service_mask;             /* priorities that are in service */
    uint8_t task_priority;
    bool output[MPIC_OUTPUTS];
};

struct mpic_timer {
    uint32_t base;  /* GTBCR, with its count-inhibit bit */
    uint32_t count; /* ticks until it next reaches zero; 0: it does not run */
    bool toggle;
};

struct mpic_timer_group {
    struct mpic_timer timers[MPIC_TIMERS];
    uint32_t frequency;  /* TFRR: what software notes there */
    uint32_t control;    /* TCR */
    uint64_t seen_ticks; /* of the group's clock, that the timers have counted */
};

struct mpic_counters {
    struct dev_counters registers;
    uint64_t acknowledged;
    uint64_t spurious;
    uint64_t ended;
    uint64_t ipis;
    uint64_t timers;    /* that reached zero */
    uint64_t unclaimed; /* accesses to registers that are not there, or of a width that they do not take */
};

struct mpic_wires {
    void *context;
    struct dev_clock clock;
    /* The output of @vp is now @high. */
    void (*output)(void *context, unsigned vp, enum mpic_output output, bool high);
    /* PIR asks for a reset of @vp's core. */
    void (*core_reset)(void *context, unsigned vp);
    uint64_t
        clock_hz; /* of the platform: timers count an eighth of it or less. MPIC_HZ_LEAST to CLOCK_HZ_MAXIMUM */
    unsigned vps;    /* 1 to MPIC_VPS_MAXIMUM */
    uint16_t driven; /* external inputs, by number, that something drives; the others are never asserted */
};

struct mpic {
    struct mpic_source sources[MPIC_INTERRUPTS];
    struct mpic_processor processors[MPIC_VPS_MAXIMUM];
    struct mpic_timer_group groups[MPIC_GROUPS];
    uint32_t configuration;  /* GCR[M] */
    uint32_t initialization; /* PIR */
    uint32_t spurious;       /* SVR */
    uint32_t error_mask;     /* EIMR0 */
    uint64_t due_ns;         /* when mpic_advance() is needed, or CLOCK_NEVER */
    struct mpic_wires wires;
    struct mpic_counters counters;
};

/* @wires is copied. No input is asserted. */
void mpic_init(struct mpic *mpic, const struct mpic_wires *wires);

/* As after a hardware reset; the levels of its inputs stay. */
void mpic_reset(struct mpic *mpic);

/*
 * An access of @vp to the register at byte @offset of the block, @width_bytes 1, 2 or 4. Registers are 32 bits wide,
 * big-endian: narrower reads give the bytes that stand there, narrower writes are ignored. What is not there reads as zero.
 */
uint32_t mpic_read(struct mpic *mpic, unsigned vp, uint32_t offset, unsigned width_bytes);
void mpic_write(struct mpic *mpic, unsigned vp, uint32_t offset, unsigned width_bytes, uint32_t value);

/* The input of source @number (below MPIC_SOURCES) is now asserted, or no longer; for an external one, whether the pin is high. */
void mpic_set_input(struct mpic *mpic, unsigned number, bool high);

/*
 * Acknowledge the interrupt that @vp's ordinary output is up for: it is in service from now on. Returns its vector, or the
 * spurious vector if there is none. What reading IACK does, and the processor by itself with external proxy.
 */
uint32_t mpic_acknowledge(struct mpic *mpic, unsigned vp);

/* Whether external proxy is on. */
bool mpic_is_proxy(const struct mpic *mpic);

/* Let timers that are due interrupt, and compute due_ns anew. Calling early or late is harmless. */
void mpic_advance(struct mpic *mpic);

#endif
