/*
 * Partitions and their virtual processors: the owners of everything that a guest has.
 *
 * Nothing here knows a processor architecture: `arch` is what hv/x86 or hv/ppc keeps beside it.
 *
 * Locks: one processor runs everything today, with interrupts taken only where host_interrupts_take()
 * and host_wait() say so; interrupt handlers touch neither partitions nor VPs. When several processors
 * run: a VP's fields belong to the processor that runs it, but `attention` and `waits`, which others change under the
 * partition's lock (hv/vp/lock.h); a partition's belong to that, too.
 */
#ifndef HV_VP_VP_H
#define HV_VP_VP_H

#include "hv/guest/memory.h"
#include "hv/vp/exit.h"
#include "hv/vp/lock.h"
#include <vmmu/plan.h>

#define PARTITIONS        8 /* at a time, on one machine */
#define PARTITION_VPS     8
#define PARTITION_SERIALS 3
#define VP_TRACE_ENTRIES  256

struct partition;
struct vp_arch;
struct partition_arch;
struct mmu;
struct config;
struct console;

/*
 * What a VP must look at before it enters its guest again. Set by devices, timers and the
 * MMU; cleared by who acts.
 */
enum vp_attention {
    VP_ATTENTION_EVENT = 1, /* an interrupt may have become deliverable */
    VP_ATTENTION_STOP = 2,  /* the partition has ended */
    VP_ATTENTION_SOON = 4, /* an event waits for a moment at which the guest does not exit: look again soon */
    VP_ATTENTION_HOLD = 8, /* the partition is held */
};

/* Why a VP does not enter its guest, although its partition runs. Any number of these at a time; 0: it is ready. */
enum vp_wait {
    VP_WAIT_EVENT = 1,     /* it has halted: until an event can be delivered */
    VP_WAIT_START = 2,     /* INIT came, or it was never started: until a start-up message */
    VP_WAIT_INTERCEPT = 4, /* a message about it is with the parent: HvRegisterInterceptSuspend, Suspended */
    VP_WAIT_EXPLICIT = 8,  /* HvRegisterExplicitSuspend */
    VP_WAIT_FLUSH =
        16, /* RIP stands at a flush hypercall for a VP that inhibits flushes, until none does any more */
};

struct vp_trace_entry {
    uint64_t ip;
    uint64_t raw[3];
    uint32_t kind;
    uint32_t sequence;
};

struct vp_counters {
    uint64_t exits[EXIT_KINDS];
    uint64_t entries;
    uint64_t exits_saved; /* instructions performed at the exit of the one before */
    uint64_t idle_waits;
    uint64_t events_injected;
    uint64_t events_reinjected;
    uint64_t event_windows;
    uint64_t tlb_flushes;  /* that were asked for */
    uint64_t flushes_made; /* entries before which the translations of the VP's own tag had to go */
    uint64_t
        flushes_avoided; /* entries that found them good, though another VP or another root had run since */
    uint64_t insn_fetches;
    uint64_t insn_emulated;
};

struct vp {
    struct partition *partition;
    unsigned index;
    unsigned attention; /* enum vp_attention */
    unsigned waits;     /* enum vp_wait */
    uint64_t run_ns;    /* for which it had the processor: the scheduler's measure */
    struct vp_arch *arch;
    struct vp_counters counters;
    uint32_t trace_next;
    struct vp_trace_entry trace[VP_TRACE_ENTRIES];
};

enum partition_outcome {
    PARTITION_RUNNING,
    PARTITION_DEBUG_EXIT, /* the guest wrote `value` to the debug-exit port */
    PARTITION_POWER_OFF,
    PARTITION_RESET,
    PARTITION_STOPPED, /* the guest died, or did what cannot be continued: `message` */
    PARTITION_REFUSED, /* it never started: `message` */
};

struct partition {
    unsigned index;
    struct lock
        lock; /* of rank LOCK_RANK_PARTITION + index: guards all of the partition, its VPs and its MMU */
    enum partition_outcome outcome;
    uint64_t value;
    const char *message;
    const struct config *config;
    struct partition *parent; /* whose calls may look into this one and change it; NULL: nobody's may */
    struct guest_memory memory;
    struct mmu *mmu;
    struct partition_arch *arch;
    struct console *console; /* serial.h */
    unsigned vp_count;
    struct vp *vps[PARTITION_VPS];
    uint64_t start_ns;
    bool reaped; /* its end has been told */
    bool held;
    uint64_t held_since_ns;                /* while it is held */
    uint64_t lost_ns;                      /* for which it was held before */
    int16_t held_bytes[PARTITION_SERIALS]; /* came in while the guest's port had no room; -1: none */
};

/* End @partition: the first outcome stays. Its VPs leave their loops before they enter the guest again. */
void partition_end(struct partition *partition, enum partition_outcome outcome, uint64_t value,
                   const char *message);

/* Ask the library's invariant check to stop this partition: the callback `violated` of struct vmmu_host. */
void partition_violated(void *partition, const char *what);

/*
 * Hold @partition: none of its VPs enters the guest again, nor does its time go on. Until it is released only the monitor acts
 * on it: calls of its parent's about it wait. Both do nothing where it is so already.
 */
void partition_hold(struct partition *partition);
void partition_release(struct partition *partition);

/* Nanoseconds of @partition's own time, by which its devices go: the host's, but for what it was held. Never goes back. */
uint64_t partition_clock_ns(const struct partition *partition);

#endif
