/*
 * The 16550A.
 *
 * Invariant: the interrupt line follows from IER, the receiver, thre_pending, the modem deltas and OUT2;
 * update() drives it after each change. The transmitter is never busy: THRE and TEMT are always one.
 */
#include "hv/dev/uart.h"

#include "hv/dev/bits.h"

enum {
    DATA = 0, /* and the divisor's low byte */
    IER = 1,  /* and its high byte */
    IIR = 2,  /* FCR when written */
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCRATCH = 7,
};

#define IER_RECEIVED       BIT32(0)
#define IER_EMPTY          BIT32(1)
#define IER_LINE           BIT32(2)
#define IER_MODEM          BIT32(3)
#define IER_VALID          BITS32(3, 0)

/* Interrupt identification, highest priority first. */
#define IIR_LINE           0x06
#define IIR_RECEIVED       0x04
#define IIR_TIMEOUT        0x0C
#define IIR_EMPTY          0x02
#define IIR_MODEM          0x00
#define IIR_NONE           0x01
#define IIR_FIFOS          0xC0

#define FCR_ENABLE         BIT32(0)
#define FCR_CLEAR_RX       BIT32(1)
#define FCR_KEPT           (FCR_ENABLE | BIT32(3) | BITS32(7, 6))

#define LCR_DLAB           BIT32(7)

#define MCR_DTR            BIT32(0)
#define MCR_RTS            BIT32(1)
#define MCR_OUT1           BIT32(2)
#define MCR_OUT2           BIT32(3)
#define MCR_LOOP           BIT32(4)
#define MCR_VALID          BITS32(4, 0)

#define LSR_READY          BIT32(0)
#define LSR_OVERRUN        BIT32(1)
#define LSR_BREAK          BIT32(4)
#define LSR_EMPTY          (BIT32(5) | BIT32(6))
#define LSR_FIFO           BIT32(7)
#define LSR_ERRORS         BITS32(4, 2) /* those that belong to a character */

#define MSR_CTS            BIT32(4)
#define MSR_DSR            BIT32(5)
#define MSR_RI             BIT32(6)
#define MSR_DCD            BIT32(7)
#define MSR_INPUTS         BITS32(7, 4)

/* The character timeout: so many characters' time without one coming or being read. */
#define TIMEOUT_CHARACTERS 4

static bool has_fifos(const struct uart *uart)
{
    return (uart->fcr & FCR_ENABLE) != 0;
}

static bool loops(const struct uart *uart)
{
    return (uart->mcr & MCR_LOOP) != 0;
}

static unsigned capacity(const struct uart *uart)
{
    return has_fifos(uart) ? UART_FIFO_BYTES : 1;
}

static unsigned trigger(const struct uart *uart)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return has_fifos(uart) ? levels[bits_get(uart->fcr, 7, 6)] : 1;
}

/* Error bits of the character at the head. */
static uint8_t head_errors(const struct uart *uart)
{
    return uart->held == 0 ? 0 : byte_of(uart->fifo[uart->head], 1);
}

static bool any_errors(const struct uart *uart)
{
    for (unsigned i = 0; i < uart->held; i++) {
        if (byte_of(uart->fifo[(uart->head + i) % UART_FIFO_BYTES], 1) != 0)
            return true;
    }
    return false;
}

static uint8_t line_status(const struct uart *uart)
{
    return (uint8_t)(LSR_EMPTY | (uart->held != 0 ? LSR_READY : 0) | (uart->overrun ? LSR_OVERRUN : 0) |
                     head_errors(uart) |
                     (uart->held != 0 && has_fifos(uart) && any_errors(uart) ? LSR_FIFO : 0));
}

/* The highest-priority interrupt that is pending and enabled. */
static uint8_t identify(const struct uart *uart)
{
    if ((uart->ier & IER_LINE) != 0 && (uart->overrun || head_errors(uart) != 0))
        return IIR_LINE;
    if ((uart->ier & IER_RECEIVED) != 0 && uart->held >= trigger(uart))
        return IIR_RECEIVED;
    if ((uart->ier & IER_RECEIVED) != 0 && uart->timeout_pending)
        return IIR_TIMEOUT;
    if ((uart->ier & IER_EMPTY) != 0 && uart->thre_pending)
        return IIR_EMPTY;
    if ((uart->ier & IER_MODEM) != 0 && (uart->msr & ~MSR_INPUTS) != 0)
        return IIR_MODEM;
    return IIR_NONE;
}

/* On PC cards OUT2 lets the interrupt out to the bus; in loopback the pin is inactive whatever MCR says. */
static void update(struct uart *uart)
{
    const bool is_out = uart->is_direct || (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    dev_line_set(&uart->irq, is_out && identify(uart) != IIR_NONE);
}

/* --- receiver --- */

/* Start bit, data, parity, stop bits. */
static unsigned character_bits(const struct uart *uart)
{
    return 1 + 5 + bits_get(uart->lcr, 1, 0) + bit_is_set(uart->lcr, 3) + 1 + bit_is_set(uart->lcr, 2);
}

/* Begin to wait for the character timeout, if there is something to time out. */
static void restart_timeout(struct uart *uart)
{
    const uint64_t divisor = uart->divisor == 0 ? BIT64(16) : uart->divisor;
    const uint64_t bits = divisor * character_bits(uart) * TIMEOUT_CHARACTERS;

    uart->timeout_pending = false;
    uart->due_ns = CLOCK_NEVER;
    if (has_fifos(uart) && uart->held != 0)
        uart->due_ns = clock_add(clock_now(&uart->clock), clock_ns(bits, uart->divisor_1_hz));
}

void uart_advance(struct uart *uart)
{
    if (clock_now(&uart->clock) < uart->due_ns)
        return;
    uart->due_ns = CLOCK_NEVER;
    uart->timeout_pending = true;
    update(uart);
}

static void push(struct uart *uart, uint8_t byte, uint8_t errors)
{
    uart->fifo[(uart->head + uart->held) % UART_FIFO_BYTES] = (uint16_t)(bits_put(errors, 8) | byte);
    uart->held++;
    uart->counters.received++;
    restart_timeout(uart);
}

/* A character that arrives whether there is room or not. Without FIFOs it replaces the one before. */
static void push_or_overrun(struct uart *uart, uint8_t byte)
{
    if (uart->held >= capacity(uart)) {
        uart->overrun = true;
        uart->counters.overruns++;
        if (has_fifos(uart))
            return;
        uart->held = 0;
    }
    push(uart, byte, 0);
}

static bool receive(struct uart *uart, uint8_t byte, uint8_t errors)
{
    if (loops(uart) || uart->held >= capacity(uart)) {
        uart->counters.refused++;
        return false;
    }
    push(uart, byte, errors);
    update(uart);
    return true;
}

bool uart_receive(struct uart *uart, uint8_t byte)
{
    return receive(uart, byte, 0);
}

bool uart_receive_break(struct uart *uart)
{
    return receive(uart, 0, LSR_BREAK);
}

static uint8_t pop(struct uart *uart)
{
    if (uart->held == 0)
        return uart->last_byte;
    uart->last_byte = byte_of(uart->fifo[uart->head], 0);
    uart->head = (uint8_t)((uart->head + 1) % UART_FIFO_BYTES);
    uart->held--;
    restart_timeout(uart);
    update(uart);
    return uart->last_byte;
}

static void clear_receiver(struct uart *uart)
{
    uart->head = 0;
    uart->held = 0;
    restart_timeout(uart);
}

/* --- modem lines --- */

/* What the modem inputs show: a terminal that is ready, or in loopback our own outputs. */
static uint8_t modem_inputs(const struct uart *uart)
{
    const uint8_t mcr = uart->mcr;

    if (!loops(uart))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)(((mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
                     ((mcr & MCR_OUT1) != 0 ? MSR_RI : 0) | ((mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
}

/* Bits 3:0 tell of changes; that of RI only of its end. */
static void update_modem(struct uart *uart)
{
    const uint8_t inputs = modem_inputs(uart);
    const uint8_t changed = (uart->msr ^ inputs) & MSR_INPUTS;
    const uint8_t told = changed & ~(inputs & MSR_RI);

    uart->msr = (uint8_t)(inputs | (uart->msr & ~MSR_INPUTS) | bits_get(told, 7, 4));
}

/* --- registers --- */

/* Reading IIR ends a transmitter-empty interrupt, if that is what it shows. */
static uint8_t read_iir(struct uart *uart)
{
    const uint8_t identity = identify(uart);

    if (identity == IIR_EMPTY) {
        uart->thre_pending = false;
        update(uart);
    }
    return identity | (has_fifos(uart) ? IIR_FIFOS : 0);
}

/* A polled console reads this most: nothing changes unless there was an error to clear. */
static uint8_t read_lsr(struct uart *uart)
{
    const uint8_t status = line_status(uart);

    if ((status & (LSR_OVERRUN | LSR_ERRORS)) == 0)
        return status;
    uart->overrun = false;
    if (uart->held != 0)
        uart->fifo[uart->head] &= 0xFF;
    update(uart);
    return status;
}

static uint8_t read_msr(struct uart *uart)
{
    const uint8_t status = uart->msr;

    uart->msr &= MSR_INPUTS;
    update(uart);
    return status;
}

uint8_t uart_read(struct uart *uart, unsigned port)
{
    const bool divisor = (uart->lcr & LCR_DLAB) != 0;

    uart->counters.registers.reads++;
    switch (port) {
    case DATA: return divisor ? byte_of(uart->divisor, 0) : pop(uart);
    case IER: return divisor ? byte_of(uart->divisor, 1) : uart->ier;
    case IIR: return read_iir(uart);
    case LCR: return uart->lcr;
    case MCR: return uart->mcr;
    case LSR: return read_lsr(uart);
    case MSR: return read_msr(uart);
    default: return uart->scratch;
    }
}

/* The byte leaves before the write has ended, so the holding register is empty again: a new interrupt. */
static void write_data(struct uart *uart, uint8_t value)
{
    const uint8_t byte = value & (uint8_t)BITS32(4 + bits_get(uart->lcr, 1, 0), 0);

    if (loops(uart)) {
        push_or_overrun(uart, byte);
    } else {
        uart->counters.sent++;
        uart->transmit(uart->context, uart->number, byte);
    }
    uart->thre_pending = true;
}

/* Enabling the transmitter-empty interrupt while it is empty raises it at once. */
static void write_ier(struct uart *uart, uint8_t value)
{
    const uint8_t enabled = value & ~uart->ier;

    if ((enabled & IER_EMPTY) != 0)
        uart->thre_pending = true;
    uart->ier = value & IER_VALID;
}

/* Other bits are taken only together with the enable bit; a change of that empties the FIFOs. */
static void write_fcr(struct uart *uart, uint8_t value)
{
    const bool switches = ((uart->fcr ^ value) & FCR_ENABLE) != 0;
    const bool enabled = (value & FCR_ENABLE) != 0;

    uart->fcr = enabled ? value & FCR_KEPT : 0;
    if (switches || (enabled && (value & FCR_CLEAR_RX) != 0))
        clear_receiver(uart);
}

static void write_divisor(struct uart *uart, unsigned index, uint8_t value)
{
    const unsigned shift = 8 * index;

    uart->divisor = (uint16_t)((uart->divisor & ~bits_put(0xFF, shift)) | bits_put(value, shift));
}

void uart_write(struct uart *uart, unsigned port, uint8_t value)
{
    uart->counters.registers.writes++;
    if ((uart->lcr & LCR_DLAB) != 0 && port <= IER) {
        write_divisor(uart, port, value);
        return;
    }
    switch (port) {
    case DATA: write_data(uart, value); break;
    case IER: write_ier(uart, value); break;
    case IIR: write_fcr(uart, value); break;
    case LCR: uart->lcr = value; break;
    case MCR:
        uart->mcr = value & MCR_VALID;
        update_modem(uart);
        break;
    case SCRATCH: uart->scratch = value; break;
    default: break; /* LSR and MSR are not for writing */
    }
    update(uart);
}

void uart_reset(struct uart *uart)
{
    uart->ier = 0;
    uart->fcr = 0;
    uart->lcr = 0;
    uart->mcr = 0;
    uart->last_byte = 0;
    uart->overrun = false;
    uart->thre_pending = false;
    uart->msr = modem_inputs(uart);
    clear_receiver(uart);
    update(uart);
}

void uart_init(struct uart *uart, const struct uart_wires *wires)
{
    *uart = (struct uart){
        .transmit = wires->transmit,
        .context = wires->context,
        .number = wires->number,
        .irq = wires->irq,
        .clock = wires->clock,
        .divisor_1_hz = wires->divisor_1_hz ? wires->divisor_1_hz : UART_PC_HZ,
        .is_direct = wires->is_direct,
        .divisor = 1,
    };
    uart_reset(uart);
}
