/*
 * The 16550A serial port. Bytes written leave at once: the transmitter is always empty. Bytes received are
 * taken only while there is room: the sender waits, nothing is lost.
 *
 * On PC cards OUT2 lets the interrupt out; where the line is direct, it does not matter.
 * Spec: National PC16550D datasheet.
 */
#ifndef HV_DEV_UART_H
#define HV_DEV_UART_H

#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include "vmmu/base.h"

#include <stdbool.h>
#include <stdint.h>

#define UART_FIFO_BYTES 16
#define UART_PORTS      8
#define UART_PC_HZ      115200

struct uart_counters {
    struct dev_counters registers;
    uint64_t sent;
    uint64_t received;
    uint64_t refused; /* receive calls without room */
    uint64_t overruns;
};

struct uart {
    uint16_t fifo[UART_FIFO_BYTES]; /* low byte the character, high byte its line-status errors */
    uint8_t head;
    uint8_t held;
    uint8_t ier;
    uint8_t fcr;
    uint8_t lcr;
    uint8_t mcr;
    uint8_t msr;
    uint8_t scratch;
    uint8_t last_byte; /* what an empty receiver reads as */
    uint16_t divisor;
    bool overrun;
    bool thre_pending;    /* the transmitter-empty interrupt, until IIR is read or THR written */
    bool timeout_pending; /* the character-timeout interrupt */
    uint64_t due_ns;      /* when uart_advance() is needed, or CLOCK_NEVER */
    void (*transmit)(void *context, unsigned port, uint8_t byte);
    void *context;
    unsigned number;
    uint32_t divisor_1_hz;
    bool is_direct;
    struct dev_line irq;
    struct dev_clock clock;
    struct uart_counters counters;
};

struct uart_wires {
    void (*transmit)(void *context, unsigned port, uint8_t byte);
    void *context;
    unsigned number; /* given to @transmit */
    struct dev_line irq;
    struct dev_clock clock;
    uint32_t divisor_1_hz; /* bits per second at divisor 1: a sixteenth of its clock; 0: UART_PC_HZ */
    bool is_direct;        /* no OUT2 between the interrupt and its line */
};

/* @wires is copied. A terminal is connected: CTS, DSR and DCD are asserted. */
void uart_init(struct uart *uart, const struct uart_wires *wires);
void uart_reset(struct uart *uart);

/* @port 0 to 7. Spec: "Register Descriptions". */
uint8_t uart_read(struct uart *uart, unsigned port);
void uart_write(struct uart *uart, unsigned port, uint8_t value);

/* A byte comes over the line. False: no room (or in loopback); offer it again later. */
VMMU_MUST_USE
bool uart_receive(struct uart *uart, uint8_t byte);

/* A break condition comes over the line; as above. */
VMMU_MUST_USE
bool uart_receive_break(struct uart *uart);

/* Raise the character timeout that is due, and compute due_ns anew. */
void uart_advance(struct uart *uart);

#endif
