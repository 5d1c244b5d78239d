/*
 * The board of an e500 machine, the twin of QEMU's ppce500: what a partition's VPs reach in the CCSR
 * block beside their RAM, and how it interrupts.
 *
 * Four 16550s (COM1 and COM2 share internal interrupt 26, COM3 and COM4 have 27), the MPIC, the global utilities' reset, a GPIO
 * block of which pin 0 switches the power off, and a register that ends the partition with a number. There are no globals: one
 * struct e500 per partition.
 *
 * Calls on one struct e500 must not run at the same time, whatever their VP; the inline functions may, by the VP's own
 * processor, if it looks again after a kick. Hooks must not call back into the board.
 */
#ifndef HV_DEV_E500_H
#define HV_DEV_E500_H

#include "hv/dev/clock.h"
#include "hv/dev/counters.h"
#include "hv/dev/line.h"
#include "hv/dev/mpic.h"
#include "hv/dev/uart.h"

#include "vmmu/base.h"

#define E500_VPS_MAXIMUM       MPIC_VPS_MAXIMUM
#define E500_UARTS             4
#define E500_PLATFORM_HZ_LEAST MPIC_HZ_LEAST

/* --- where what is; hv/guest/e500.dts says the same --- */

#define E500_CCSR              UINT64_C(0xFE0000000)
#define E500_CCSR_BYTES        UINT32_C(0x100000)

enum {
    E500_UART_0 = 0x4500,
    E500_UART_STRIDE = 0x100,
    E500_MPIC = 0x40000,
    E500_GUTS = 0xE0000,
    E500_GUTS_PORPLLSR = E500_GUTS + 0x00,
    E500_GUTS_PVR = E500_GUTS + 0xA0,
    E500_GUTS_SVR = E500_GUTS + 0xA4,
    E500_GUTS_RSTCR = E500_GUTS + 0xB0, /* bit 1: reset */
    E500_DEBUG_EXIT = 0xF4000,          /* a 32-bit write ends the partition with that number */
    E500_GPIO = 0xFF000,
};

/* MPIC sources. */
#define E500_IRQ_COM1_COM2 42
#define E500_IRQ_COM3_COM4 43
#define E500_IRQ_GPIO      47

/* --- the board --- */

enum e500_power {
    E500_POWER_OFF,
    E500_POWER_RESET,
};

/* What the board asks of the hypervisor. Each must be set. */
struct e500_hooks {
    void *context;
    uint64_t (*now_ns)(void *context); /* nanoseconds; never goes backwards */
    /* e500_external_is_pending() or e500_critical_is_pending() has become true for @vp: kick it */
    void (*request)(void *context, unsigned vp);
    void (*core_reset)(void *context, unsigned vp); /* the guest resets the core of @vp, by the MPIC's PIR */
    void (*power)(void *context, enum e500_power what);
    void (*debug_exit)(void *context, uint32_t value);
    void (*serial_write)(void *context, unsigned port, uint8_t byte); /* port 0 is COM1 */
};

struct e500_config {
    uint64_t platform_hz; /* of the bus that the MPIC's timers divide; at least E500_PLATFORM_HZ_LEAST */
    unsigned vps;         /* 1 to E500_VPS_MAXIMUM */
    uint32_t pvr;         /* processor version, as the global utilities show it */
    uint32_t svr;         /* system version, likewise */
    uint8_t serial_ports; /* bit n: COM(n+1) is there */
};

/* Spec: MPC8569E Reference Manual "General-Purpose I/O (GPIO)": one port of 32 pins, pin 0 the most significant bit. */
struct e500_gpio {
    uint32_t direction; /* GPDIR: 1 is output */
    uint32_t open_drain;
    uint32_t data;
    uint32_t event;
    uint32_t mask;
    uint32_t control;
};

struct e500_counters {
    struct dev_counters memory[E500_VPS_MAXIMUM]; /* by VP */
    struct dev_counters unclaimed;
    struct dev_counters gpio;
    struct dev_counters guts;
    uint64_t advanced; /* calls of e500_advance() that found something due */
    uint64_t debug_exits;
};

struct e500 {
    struct mpic mpic;
    struct uart uarts[E500_UARTS];
    struct e500_gpio gpio;
    uint8_t irq_drivers[2]; /* of COM1 and COM2, of COM3 and COM4: which drive the line high */
    uint64_t due_ns;        /* earliest of all devices */
    struct e500_hooks hooks;
    struct e500_config config;
    struct e500_counters counters;
};

/**
 * Build the board in its power-up state. @board must not move afterwards; @config and @hooks are copied.
 *
 * Returns
 *   VMMU_OK       done
 *   VMMU_INVALID  a number of @config is out of its range, or a hook is missing
 */
VMMU_MUST_USE
enum vmmu_status e500_init(struct e500 *board, const struct e500_config *config,
                           const struct e500_hooks *hooks);

/* All devices to their power-up state. Counters stay. */
void e500_reset(struct e500 *board);

/**
 * A memory access of VP @vp outside RAM; @width_bytes 1, 2 or 4. Values are as the processor's big-endian loads and stores
 * have them: the byte at the lowest address is the most significant. False: no device claims all of it; *value is zero then,
 * and a write does nothing.
 */
bool e500_mmio_read(struct e500 *board, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint32_t *value);
bool e500_mmio_write(struct e500 *board, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint32_t value);

/* Whether the MPIC holds up the external input of @vp; it takes the interrupt if its MSR[EE] allows. */
static inline bool e500_external_is_pending(const struct e500 *board, unsigned vp)
{
    return board->mpic.processors[vp].output[MPIC_INT];
}

/* Whether the MPIC holds up the critical input of @vp; it takes the interrupt if its MSR[CE] allows. */
static inline bool e500_critical_is_pending(const struct e500 *board, unsigned vp)
{
    return board->mpic.processors[vp].output[MPIC_CINT];
}

/**
 * @vp takes its external interrupt. True: external proxy is on, and *epr is what its EPR holds from now on; the interrupt has
 * been acknowledged. False: software will read IACK.
 */
bool e500_take_external(struct e500 *board, unsigned vp, uint32_t *epr);

/* When e500_advance() must be called next, in nanoseconds of now_ns; CLOCK_NEVER if at no time. */
static inline uint64_t e500_deadline(const struct e500 *board)
{
    return board->due_ns;
}

/* Run what is due at @now_ns (a value that now_ns() gave). Calling early or late is harmless. */
void e500_advance(struct e500 *board, uint64_t now_ns);

/* A byte comes to serial port @port (0 to 3). False: not there, or no room now; offer it again later. */
VMMU_MUST_USE
bool e500_serial_receive(struct e500 *board, unsigned port, uint8_t byte);

/* A break comes to serial port @port; as above. */
VMMU_MUST_USE
bool e500_serial_break(struct e500 *board, unsigned port);

/* Counter @index of @board, in an order that groups devices. False past the last. */
bool e500_counter(const struct e500 *board, unsigned index, struct dev_counter *counter);

#endif
