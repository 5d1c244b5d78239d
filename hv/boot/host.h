/*
 * What the hypervisor's rooms ask of the machine that they run on: time, interrupts,
 * serial ports, a way to leave.
 *
 * Neutral: each architecture's ground implements it (hv/x86, hv/ppc), which may offer more to its own. Everything here is
 * for the boot processor and is not reentrant; interrupt handlers of the host never call anything outside the ground.
 */
#ifndef HV_BOOT_HOST_H
#define HV_BOOT_HOST_H

#include <vmmu/base.h>

#include <stdarg.h>

/* --- time --- */

#define HOST_TIMER_OFF UINT64_MAX

/* Nanoseconds since the hypervisor started; never goes back. A multiplication and a shift. */
uint64_t host_clock_ns(void);

/**
 * Ask for one timer interrupt when host_clock_ns reaches @deadline_ns, instead of any asked for before;
 * at once if that is past; HOST_TIMER_OFF for none. Costs a comparison if that deadline is already
 * armed. Never fires early.
 */
void host_timer_arm(uint64_t deadline_ns);

/* Whether the deadline armed last has fired. True until the timer is armed with another deadline, or off. */
bool host_timer_fired(void);

/* --- interrupts --- */

/**
 * Let the interrupts that wait run their handlers, and disable them again. Called with interrupts disabled
 * (on SVM with the global interrupt flag set).
 */
void host_interrupts_take(void);

/**
 * Wait until an interrupt has been handled: enables interrupts and halts as one step, so none is slept
 * through. Called with interrupts disabled, returns so. The caller looks at what it waits for again
 * afterwards: any interrupt ends it.
 */
void host_wait(void);

/*
 * How often each was handled since the start: interrupts in all, and of those, ones that
 * nothing asked for; NMIs.
 */
uint64_t host_interrupt_count(void);
uint64_t host_interrupt_spurious_count(void);
uint64_t host_nmi_count(void);

/* --- serial ports and the console --- */

enum host_serial {
    HOST_SERIAL_CONSOLE,  /* COM1, the first: what a person reads, and the guest's own console */
    HOST_SERIAL_CONTROL,  /* COM2 */
    HOST_SERIAL_CHANNEL,  /* COM3 */
    HOST_SERIAL_CHANNEL2, /* COM4 */
    HOST_SERIAL_PORTS,
};

/* Whether the machine has that port. Writes to an absent one vanish, and nothing is ever read from it. */
bool host_serial_present(enum host_serial port);

/* Send a byte; waits for room in the transmitter, but never for ever: a port that hangs loses bytes. */
void host_serial_write(enum host_serial port, uint8_t byte);

/*
 * The next byte received, or -1. Bytes come in by interrupt; while nobody reads them they wait in the UART,
 * whose flow control is the sender's.
 */
int host_serial_read(enum host_serial port);

/* Whether host_serial_read would give a byte. */
bool host_serial_pending(enum host_serial port);

/**
 * Print on the console. A small printf: %s %c %d %i %u %x %X %p %%, with l, ll and z, the flags '-' and '0',
 * a width and, for %s, a precision, each a number or '*'. A newline is sent as CR LF.
 */
__attribute__((format(printf, 1, 2))) void host_print(const char *format, ...);
__attribute__((format(printf, 1, 0))) void host_print_list(const char *format, va_list values);

/* --- the end --- */

/* Statuses of host_leave that the ground itself uses. */
#define HOST_LEAVE_DONE    0
#define HOST_LEAVE_REFUSED 1 /* this machine, or what was asked for, will not do */
#define HOST_LEAVE_PANIC   3

/**
 * Leave the machine, and have whoever started it learn of @status, in the way that the machine has: on x86 QEMU's
 * isa-debug-exit port 0xF4 (whose process then exits with 2 * status + 1), on PowerPC a last line on the control port. Where
 * there is no way to leave the processor halts for ever, so that what stands on the console can be read: a reset would only
 * boot the same disc again.
 */
_Noreturn void host_leave(int status);

/* The hypervisor itself cannot go on: a message, where it came from, and host_leave(HOST_LEAVE_PANIC). */
__attribute__((format(printf, 1, 2))) _Noreturn void host_panic(const char *format, ...);

#endif
