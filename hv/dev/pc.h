/*
 * The board of a small PC: what a partition's VPs reach by port and by memory beside their
 * RAM, and how it interrupts.
 *
 * Owns the devices, routes their lines, keeps the moment of the next timed event. Everything a device wants
 * of the world goes through struct pc_hooks. There are no globals: one struct pc per partition.
 *
 * Calls on one struct pc must not run at the same time, whatever their VP; the inline
 * pc_interrupt_pending() and pc_deadline() may, by the VP's own processor, if it looks again after a kick.
 * Hooks must not call back into the board.
 */
#ifndef HV_DEV_PC_H
#define HV_DEV_PC_H

#include "hv/dev/acpi_pm.h"
#include "hv/dev/clock.h"
#include "hv/dev/counters.h"
#include "hv/dev/ioapic.h"
#include "hv/dev/lapic.h"
#include "hv/dev/pic.h"
#include "hv/dev/pit.h"
#include "hv/dev/rtc.h"
#include "hv/dev/uart.h"

#include "vmmu/base.h"

#define PC_VPS_MAXIMUM       8
#define PC_UARTS             4
#define PC_IRQS              16

/* --- what the writers of ACPI and MP tables need --- */

#define PC_LAPIC_ADDRESS     UINT32_C(0xFEE00000)
#define PC_IOAPIC_ADDRESS    UINT32_C(0xFEC00000)
#define PC_IOAPIC_GSI_BASE   0
#define PC_IOAPIC_PINS       IOAPIC_PINS
#define PC_LAPIC_MP_VERSION  0x14 /* version byte of the local APICs */
#define PC_IOAPIC_MP_VERSION 0x20 /* version byte of the I/O APIC */

/*
 * The APIC ID of VP n is n; the I/O APIC's ID in the tables is the number after the last
 * VP's (software may set it).
 */

/* ISA interrupt n is I/O APIC pin n, save for these. IRQ 2 is the cascade and reaches no pin. */
#define PC_IRQ_TIMER         0
#define PC_PIN_TIMER         2 /* the override of IRQ 0: edge, active high (as the bus: flags 0) */
#define PC_PIN_EXTINT        0 /* the 8259 pair's output, as an ExtINT source */
#define PC_IRQ_COM2_COM4     3
#define PC_IRQ_COM1_COM3     4
#define PC_IRQ_RTC           8
#define PC_IRQ_SCI           9 /* level, active high: override flags 0x000D */

/* LINT0 carries ExtINT from the 8259 pair, LINT1 the NMI, on every VP. */

/* I/O ports. */
#define PC_PORT_PM1A_EVENT   0x600 /* PM1a_EVT_BLK: 4 bytes */
#define PC_PORT_PM1A_CONTROL 0x604 /* PM1a_CNT_BLK: 2 bytes */
#define PC_PORT_PM_TIMER     0x608 /* PM_TMR_BLK: 4 bytes */
#define PC_PORT_RESET        0xCF9 /* RESET_REG, 1 byte */
#define PC_RESET_VALUE       0x06  /* RESET_VALUE */
#define PC_SLEEP_TYPE_S5     ACPI_PM_SLEEP_TYPE_S5
#define PC_PORT_DEBUG_EXIT   0xF4
#define PC_PORT_DEBUG_STOP   0xF8
#define PC_PORT_SMI_COMMAND  0    /* none: always in ACPI mode */
#define PC_PORT92_A20        0x02 /* bit 1 of port 0x92: kept, but A20 is never masked */
#define PC_CMOS_CENTURY      RTC_CENTURY

/* --- the board --- */

enum pc_power {
    PC_POWER_OFF,
    PC_POWER_RESET,
};

/* What the board asks of the hypervisor. Each must be set. */
struct pc_hooks {
    void *context;
    uint64_t (*now_ns)(void *context);               /* nanoseconds; never goes backwards */
    uint64_t (*tsc_now)(void *context, unsigned vp); /* the guest's TSC on that VP */
    void (*request)(void *context, unsigned vp); /* pc_interrupt_pending() may have become true: kick it */
    void (*nmi)(void *context, unsigned vp);     /* an NMI is now pending in that VP */
    void (*init)(void *context, unsigned vp); /* INIT: reset the VP's registers; an AP then waits for SIPI */
    void (*sipi)(void *context, unsigned vp,
                 uint8_t vector); /* start at vector << 12, if it waits for SIPI */
    void (*power)(void *context, enum pc_power what);
    void (*debug_exit)(void *context, uint32_t value);
    void (*debug_stop)(void *context);                                /* the guest asks to be looked at */
    void (*serial_write)(void *context, unsigned port, uint8_t byte); /* port 0 is COM1 */
};

struct pc_config {
    unsigned vps;                   /* 1 to PC_VPS_MAXIMUM */
    uint64_t tsc_hz;                /* 1 to CLOCK_HZ_MAXIMUM */
    uint64_t apic_hz;               /* 1 to CLOCK_HZ_MAXIMUM */
    uint64_t wall_clock_s;          /* UTC at the call of pc_init(), in seconds since 1970 */
    uint64_t memory_below_4g_bytes; /* for CMOS */
    uint64_t memory_above_4g_bytes;
    unsigned physical_address_bits; /* MAXPHYADDR, 32 to 52 */
    uint8_t serial_ports;           /* bit n: COM(n+1) is there */
    bool x2apic;                    /* CPUID offers it */
    bool tsc_deadline;              /* CPUID offers it */
    bool pm_timer_is_24_bit;        /* else 32 (the FADT's TMR_VAL_EXT) */
};

struct pc_counters {
    struct dev_counters ports[PC_VPS_MAXIMUM];  /* by VP */
    struct dev_counters memory[PC_VPS_MAXIMUM]; /* by VP */
    struct dev_counters unclaimed_ports;
    struct dev_counters unclaimed_memory;
    struct dev_counters system_ports; /* 0x61, 0x64, 0x92, 0xCF9 */
    uint64_t advanced;                /* calls of pc_advance() that found something due */
    uint64_t debug_exits;
};

struct pc {
    struct lapic lapics[PC_VPS_MAXIMUM];
    uint64_t due_ns; /* earliest of the timed devices other than the local APICs */
    unsigned vps;
    uint8_t serial_ports;
    uint8_t lowest_priority_turn; /* who is asked first at the next lowest-priority message */
    uint8_t port61;
    uint8_t port92;
    uint8_t reset_control;        /* port 0xCF9 */
    uint8_t irq_drivers[PC_IRQS]; /* which sources drive each line high */
    struct ioapic ioapic;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct acpi_pm acpi_pm;
    struct uart uarts[PC_UARTS];
    struct pc_hooks hooks;
    struct lapic_wires lapic_wires;
    struct pc_counters counters;
};

/**
 * Build the board in its power-up state. @pc must not move afterwards; @config and @hooks are copied.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  a number of @config is out of its range, or a hook is missing
 */
VMMU_MUST_USE
enum vmmu_status pc_init(struct pc *pc, const struct pc_config *config, const struct pc_hooks *hooks);

/* All devices to their power-up state. The clock's time, CMOS memory and counters stay. */
void pc_reset(struct pc *pc);

/**
 * Leave the devices as PC firmware hands them over: 8259s at vectors 0x08 and 0x70 with all inputs masked and
 * IRQ 9 level-triggered, counter 0 at 18.2 Hz, the bootstrap VP's local APIC software-enabled in virtual wire
 * mode. For guests that are entered without firmware; call after pc_init() or pc_reset().
 */
void pc_firmware_handover(struct pc *pc);

/**
 * IN and OUT by VP @vp. @width_bytes is 1, 2 or 4. Unclaimed ports read as all ones and ignore writes; a
 * wide access to byte-wide devices is split into bytes at consecutive ports, lowest first. String
 * instructions call once per element.
 */
uint32_t pc_port_read(struct pc *pc, unsigned vp, uint16_t port, unsigned width_bytes);
void pc_port_write(struct pc *pc, unsigned vp, uint16_t port, unsigned width_bytes, uint32_t value);

/**
 * A memory access of VP @vp outside RAM; @width_bytes 1, 2, 4 or 8. False: no device claims @gpa; reads give
 * all ones then, writes nothing.
 */
bool pc_mmio_read(struct pc *pc, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint64_t *value);
bool pc_mmio_write(struct pc *pc, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint64_t value);

/* The local APIC of @vp, for MSRs, CR8 and the EOI assist. */
static inline struct lapic *pc_lapic(struct pc *pc, unsigned vp)
{
    return &pc->lapics[vp];
}

/**
 * When the processor of @vp must next call pc_advance(pc, vp, ...), in nanoseconds of now_ns;
 * CLOCK_NEVER if at no time. VP 0 looks after the devices of the board beside its own local APIC. May
 * change with every call but this.
 */
static inline uint64_t pc_deadline(const struct pc *pc, unsigned vp)
{
    const uint64_t own = pc->lapics[vp].due_ns;

    return vp == 0 && pc->due_ns < own ? pc->due_ns : own;
}

/* Run what is due at @now_ns (a value that now_ns() gave). Calling early or late is harmless. */
void pc_advance(struct pc *pc, unsigned vp, uint64_t now_ns);

/* The slow half of pc_interrupt_pending(). */
int pc_interrupt_vector(const struct pc *pc, unsigned vp);

/* The vector that @vp would accept now if its RFLAGS.IF and shadows allow, or -1. Changes nothing. */
static inline int pc_interrupt_pending(const struct pc *pc, unsigned vp)
{
    return __builtin_expect(pc->lapics[vp].ready < 0, 1) ? -1 : pc_interrupt_vector(pc, vp);
}

/**
 * Acknowledge: what the processor does when it takes the interrupt that pc_interrupt_pending() named. Returns
 * its vector, or -1 if there is none. The caller must deliver it, whatever comes between.
 */
int pc_interrupt_accept(struct pc *pc, unsigned vp);

/* A byte comes to serial port @port (0 to 3). False: not there, or no room now; offer it again later. */
VMMU_MUST_USE
bool pc_serial_receive(struct pc *pc, unsigned port, uint8_t byte);

/* A break comes to serial port @port; as above. */
VMMU_MUST_USE
bool pc_serial_break(struct pc *pc, unsigned port);

/* The NMI button: a pulse on LINT1 of every VP, unless bit 7 of port 0x70 holds NMIs off. */
void pc_nmi_button(struct pc *pc);

/* The power button: an ACPI event. */
void pc_power_button(struct pc *pc);

/* Counter @index of @pc, in an order that groups devices. False past the last. */
bool pc_counter(const struct pc *pc, unsigned index, struct dev_counter *counter);

#endif
