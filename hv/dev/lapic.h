/*
 * The local APIC of one VP: xAPIC registers by memory, x2APIC registers by MSR, its timer, its vector table.
 *
 * Invariant: @ready always says what the processor would accept now. Whatever changes IRR, ISR, TPR,
 * LINT0 or the enable bits evaluates it before returning, so that a look at one field answers the
 * question of each VM entry.
 *
 * Calls for local APICs of one board must not run at the same time as others on that board.
 * Spec: Intel SDM "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef HV_DEV_LAPIC_H
#define HV_DEV_LAPIC_H

#include "hv/dev/apic_message.h"
#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include "vmmu/base.h"

#include <stdbool.h>
#include <stdint.h>

#define LAPIC_DEFAULT_BASE    UINT64_C(0xFEE00000)
#define LAPIC_PAGE_BYTES      UINT64_C(4096)
#define LAPIC_NO_PAGE         UINT64_C(0xFFFFFFFFFFFFE000) /* within a page of no guest-physical address */

/* Version 0x14, six LVT entries, suppression of EOI broadcasts offered. */
#define LAPIC_VERSION         UINT32_C(0x01050014)

#define MSR_IA32_APIC_BASE    UINT32_C(0x1B)
#define MSR_IA32_TSC_DEADLINE UINT32_C(0x6E0)
#define MSR_X2APIC_FIRST      UINT32_C(0x800)
#define MSR_X2APIC_LAST       UINT32_C(0x8FF)

#define APIC_BASE_BSP         BIT64(8)
#define APIC_BASE_X2APIC      BIT64(10)
#define APIC_BASE_ENABLE      BIT64(11)

/* The software-enable bit of the spurious-interrupt vector register. */
#define LAPIC_SVR_ENABLE      (UINT32_C(1) << 8)

/* Values of lapic.ready that are not vectors. */
#define LAPIC_READY_NONE      (-1)
#define LAPIC_READY_EXTINT    256 /* the 8259 pair has the vector */

/* The local vector table, in the order of struct lapic's @lvt. */
enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERFORMANCE,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVTS,
};

/*
 * What a local APIC is wired to: its VP, and the bus of APICs. One table serves all of a board;
 * @vp says whose call it is. Those of the VP may not call back; those of the bus do, for other
 * local APICs and for this one.
 */
struct lapic_wires {
    void *vp_context;
    uint64_t (*now_ns)(void *context);
    uint64_t (*tsc_now)(void *context, unsigned vp);
    void (*request)(void *context, unsigned vp); /* @ready is no longer LAPIC_READY_NONE */
    void (*nmi)(void *context, unsigned vp);
    void (*init)(void *context, unsigned vp);
    void (*sipi)(void *context, unsigned vp, uint8_t vector);

    void *bus_context;
    void (*send)(void *context, unsigned vp, const struct apic_message *message);
    void (*broadcast_eoi)(void *context, uint8_t vector);
    void (*reachability)(
        void *context); /* ID, LDR, DFR or an enable bit changed: messages may find an acceptor now */
};

struct lapic_config {
    const struct lapic_wires *wires; /* kept */
    unsigned vp;                     /* also the initial APIC ID */
    uint64_t tsc_hz;                 /* 1 to CLOCK_HZ_MAXIMUM */
    uint64_t apic_hz;                /* of the timer before its divider; 1 to CLOCK_HZ_MAXIMUM */
    unsigned physical_address_bits;  /* MAXPHYADDR, 32 to 52 */
    bool bootstrap;                  /* the BSP */
    bool x2apic;                     /* CPUID offers x2APIC */
    bool tsc_deadline;               /* CPUID offers the TSC-deadline timer */
};

struct lapic_counters {
    struct dev_counters registers;
    uint64_t received; /* interrupts taken into IRR */
    uint64_t merged;   /* of these, found their IRR bit set already */
    uint64_t accepted; /* IRR to ISR */
    uint64_t ended;    /* EOIs, lazy ones included */
    uint64_t lazy_eois;
    uint64_t extints;
    uint64_t nmis;
    uint64_t ipis_sent;
    uint64_t timer_armed;
    uint64_t timer_fired;
};

/* One bit per vector, vector 0 lowest. */
struct lapic_vectors {
    uint64_t words[4];
};

struct lapic_timer {
    uint32_t initial_count;
    uint32_t divide_configuration;
    uint32_t lap;       /* ticks of the lap under way; laps after it have initial_count */
    uint64_t lap_start; /* in ticks of apic_hz */
    uint64_t deadline;  /* IA32_TSC_DEADLINE, 0 when disarmed */
    bool running;       /* one-shot or periodic: counting */
};

struct lapic {
    int ready; /* vector, LAPIC_READY_EXTINT or LAPIC_READY_NONE */
    bool x2apic_mode;
    bool enabled;    /* IA32_APIC_BASE.EN */
    bool lint0_high; /* level of the 8259's output */
    bool lint1_high;
    bool extint_latched; /* an ExtINT message waits for its acknowledge cycle */
    bool assist_active;  /* between lapic_assist_begin() and lapic_assist_end() */
    uint64_t base;       /* IA32_APIC_BASE */
    uint64_t page;       /* address that the registers answer at; LAPIC_NO_PAGE when they do not */
    uint64_t due_ns;     /* when the timer next needs lapic_advance(), or CLOCK_NEVER */

    struct lapic_vectors irr;
    struct lapic_vectors isr;
    struct lapic_vectors tmr;
    uint32_t tpr;
    uint32_t svr;
    uint32_t id;  /* the ID, unshifted */
    uint32_t ldr; /* as xAPIC reads it */
    uint32_t dfr;
    uint32_t esr;         /* as read */
    uint32_t esr_pending; /* errors since the last write of ESR */
    uint64_t icr;
    uint32_t lvt[LAPIC_LVTS];
    struct lapic_timer timer;

    struct lapic_config config;
    struct lapic_counters counters;
};

/**
 * Give @lapic its power-up state: xAPIC mode, enabled, software-disabled, every LVT entry masked.
 * Spec: "Local APIC State After Power-Up or Reset".
 */
void lapic_init(struct lapic *lapic, const struct lapic_config *config);

/* Power-up state again, timer stopped; wiring and counters stay. */
void lapic_reset(struct lapic *lapic);

/**
 * What PC firmware does to the bootstrap processor's APIC: software-enabled with spurious vector 0xFF, LINT0
 * as ExtINT, LINT1 as NMI (virtual wire mode).
 */
void lapic_firmware_handover(struct lapic *lapic);

/* Whether this APIC takes fixed interrupts: enabled both by IA32_APIC_BASE and by SVR. */
static inline bool lapic_is_software_enabled(const struct lapic *lapic)
{
    return lapic->enabled && (lapic->svr & LAPIC_SVR_ENABLE) != 0;
}

/*
 * What an INIT does: as a reset, but ID and IA32_APIC_BASE stay. Spec: "Local APIC
 * State After an INIT Reset".
 */
void lapic_init_reset(struct lapic *lapic);

/**
 * Read MSR @msr: IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register. False means #GP (reserved register,
 * write-only register, not in x2APIC mode), or that @msr is none of these.
 *
 * Spec: "x2APIC Register Address Space", "Reserved Bit Checking".
 */
VMMU_MUST_USE
bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value);

/**
 * Write MSR @msr, as above. False means #GP; nothing was changed. After IA32_APIC_BASE was written the
 * register page may have moved: see lapic->page.
 *
 * Spec: "x2APIC State Transitions", "TSC-Deadline Mode".
 */
VMMU_MUST_USE
bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value);

/* Whether @gpa lies in the page at which the xAPIC registers answer. */
static inline bool lapic_claims(const struct lapic *lapic, uint64_t gpa)
{
    return gpa - lapic->page < LAPIC_PAGE_BYTES;
}

/**
 * Read or write the xAPIC registers at @offset (below 4096), @width_bytes 1, 2, 4 or 8.
 * Only aligned 32-bit accesses are architectural: others read the bytes that lie there, and do not write.
 * Spec: "The Local APIC Block Diagram" (register address map), "Error Handling" for unknown registers.
 */
uint64_t lapic_mmio_read(struct lapic *lapic, uint32_t offset, unsigned width_bytes);
void lapic_mmio_write(struct lapic *lapic, uint32_t offset, unsigned width_bytes, uint64_t value);

/* End the highest-priority interrupt in service. Spec: "Signaling Interrupt Servicing Completion". */
void lapic_eoi(struct lapic *lapic);

/**
 * Whether the highest interrupt in service may be ended without an exit: edge-triggered, nothing else in
 * service, nothing requested. For the EOI assist of the TLFS ("EOI Assist").
 */
bool lapic_eoi_is_trivial(const struct lapic *lapic);

/**
 * Begin a lazy EOI. True: the caller sets "No EOI Required" in the VP assist page now, and before the next
 * look at @ready (at each exit) does this:
 *     if the guest has cleared the bit          lapic_assist_end(lapic, true)
 *     else if !lapic_eoi_is_trivial(lapic)      clear the bit, lapic_assist_end(lapic, false)
 * False: the interrupt in service needs a real EOI, or none is in service.
 */
VMMU_MUST_USE
bool lapic_assist_begin(struct lapic *lapic);

/* End a lazy EOI: @guest_cleared says that the guest took it for its EOI, which is performed now. */
void lapic_assist_end(struct lapic *lapic, bool guest_cleared);

/*
 * The ICR as 64 bits: as x2APIC has it in x2APIC mode, else the two xAPIC halves (destination in bits 63:56).
 */
uint64_t lapic_icr_read(const struct lapic *lapic);

/* Write both halves and send. The same rules as a write of the low half by memory, or of the MSR. */
void lapic_icr_write(struct lapic *lapic, uint64_t value);

/* The task-priority register, 8 bits. */
void lapic_tpr_write(struct lapic *lapic, uint32_t tpr);

/* CR8: the class of TPR. Spec: "Task Priority in IA-32e Mode". */
static inline uint64_t lapic_cr8_read(const struct lapic *lapic)
{
    return lapic->tpr >> 4;
}

/* MOV to CR8. The caller has raised #GP for bits 63:4. Costs a compare when the class stays. */
static inline void lapic_cr8_write(struct lapic *lapic, uint64_t cr8)
{
    if (lapic->tpr != (uint32_t)(cr8 << 4))
        lapic_tpr_write(lapic, (uint32_t)(cr8 << 4));
}

/* Processor priority. Spec: "Task and Processor Priorities". */
uint32_t lapic_ppr(const struct lapic *lapic);

/**
 * The CR8 value below which a requested interrupt would be accepted: 0 if none waits for TPR alone. For
 * backends that let the guest write CR8 without an exit.
 */
unsigned lapic_tpr_threshold(const struct lapic *lapic);

/* Move @ready, which must be a vector, from IRR to ISR, and return it. */
uint8_t lapic_accept(struct lapic *lapic);

/*
 * The processor begins the acknowledge cycles of an ExtINT: the caller then asks the
 * 8259 pair for the vector.
 */
void lapic_accept_extint(struct lapic *lapic);

/*
 * Whether @message, sent to a destination without shorthand, is for this APIC. Spec:
 * "Determining IPI Destination".
 */
bool lapic_is_addressed(const struct lapic *lapic, const struct apic_message *message);

/* Take @message. False if this APIC does not: it is disabled, or the vector is illegal. */
bool lapic_receive(struct lapic *lapic, const struct apic_message *message);

/* The level at the LINT0 (INTR) and LINT1 (NMI) pins. Spec: "Local Vector Table". */
void lapic_lint0(struct lapic *lapic, bool high);
void lapic_lint1(struct lapic *lapic, bool high);

/* A performance-counter overflow or a thermal event: @lvt LAPIC_LVT_PERFORMANCE or LAPIC_LVT_THERMAL. */
void lapic_local_event(struct lapic *lapic, enum lapic_lvt lvt);

/* Run what the timer owes at @now_ns, and compute due_ns anew. */
void lapic_advance(struct lapic *lapic, uint64_t now_ns);

/*
 * The guest's TSC was written or its offset changed: an armed deadline falls on another moment. The caller has called
 * lapic_advance() before the change, so that a deadline that was met is not armed any more.
 */
void lapic_tsc_changed(struct lapic *lapic);

/* IA32_TSC_DEADLINE: 0 when not armed. Writes outside TSC-deadline mode are ignored. */
void lapic_deadline_write(struct lapic *lapic, uint64_t tsc);

#endif
