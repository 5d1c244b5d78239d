/*
 * The four serial ports: sent by polling, received by interrupt into rings.
 *
 * A ring that is full stops its port's interrupts, and the bytes wait in the UART; reading it half empty
 * starts them again. COM1 and COM3 share an edge-triggered line, as do COM2 and COM4: the handler goes
 * on until a whole round over all ports finds nothing, else a request that never let go of the line
 * would be the last one seen.
 *
 * Spec: National Semiconductor PC16550D data sheet, "Registers", "FIFO Interrupt Mode Operation".
 */
#include "hv/x86/cpu.h"
#include "hv/x86/ground.h"

#define DATA               0
#define INTERRUPTS         1
#define FIFO               2
#define LINE               3
#define MODEM              4
#define LINE_STATUS        5
#define MODEM_STATUS       6
#define SCRATCH            7

#define INTERRUPT_RECEIVED 0x01
#define FIFO_ON_AT_8       0x87 /* both cleared; interrupt at eight bytes, or after a pause */
#define FIFO_WORKS         0xc0
#define FIFO_BYTES         16
#define LINE_8N1           0x03
#define LINE_DIVISOR       0x80
#define DIVISOR_115200     1
#define MODEM_READY        0x0b /* DTR, RTS, and OUT2, which connects the interrupt */
#define STATUS_RECEIVED    0x01
#define STATUS_EMPTY       0x20
#define STATUS_SENT        0x40
#define STATUS_ABSENT      0xff

#define RING_BYTES         4096 /* a power of two */
#define POLLS_MAX          (1U << 22)

struct port {
    uint16_t base;
    bool present;
    bool receiving; /* its interrupt is on */
    bool hangs;     /* the transmitter did not become empty in time */
    unsigned burst; /* bytes that the transmitter takes once it is empty */
    unsigned room;  /* of those, how many may be written without looking */
    unsigned head, tail;
};

static struct port ports[HOST_SERIAL_PORTS] = {
    [HOST_SERIAL_CONSOLE] = { .base = 0x3f8 },
    [HOST_SERIAL_CONTROL] = { .base = 0x2f8 },
    [HOST_SERIAL_CHANNEL] = { .base = 0x3e8 },
    [HOST_SERIAL_CHANNEL2] = { .base = 0x2e8 },
};

/* Apart from the ports, so that they take no room in the image's file. */
static uint8_t rings[HOST_SERIAL_PORTS][RING_BYTES];

static bool detect(uint16_t base)
{
    static const uint8_t patterns[] = { 0x5a, 0xa5 };
    for (unsigned i = 0; i < sizeof(patterns); i++) {
        outb(base + SCRATCH, patterns[i]);
        if (inb(base + SCRATCH) != patterns[i]) {
            return false;
        }
    }
    return inb(base + LINE_STATUS) != STATUS_ABSENT;
}

void serial_init(void)
{
    for (unsigned i = 0; i < HOST_SERIAL_PORTS; i++) {
        struct port *const port = &ports[i];
        port->present = detect(port->base);
        if (!port->present) {
            continue;
        }
        outb(port->base + INTERRUPTS, 0);
        outb(port->base + LINE, LINE_DIVISOR);
        outb(port->base + DATA, DIVISOR_115200);
        outb(port->base + INTERRUPTS, 0);
        outb(port->base + LINE, LINE_8N1);
        outb(port->base + FIFO, FIFO_ON_AT_8);
        outb(port->base + MODEM, MODEM_READY);
        port->burst = (inb(port->base + FIFO) & FIFO_WORKS) == FIFO_WORKS ? FIFO_BYTES : 1;
    }
}

bool host_serial_present(enum host_serial port)
{
    return ports[port].present;
}

/* Wait until the line's status has the bit @wanted. A port that has hung before gets one look only. */
static bool transmitter_reaches(struct port *port, uint8_t wanted)
{
    const unsigned polls = port->hangs ? 1 : POLLS_MAX;
    for (unsigned i = 0; i < polls; i++) {
        if (inb(port->base + LINE_STATUS) & wanted) {
            port->hangs = false;
            return true;
        }
        cpu_pause();
    }
    port->hangs = true;
    return false;
}

void host_serial_write(enum host_serial port, uint8_t byte)
{
    struct port *const uart = &ports[port];
    if (!uart->present) {
        return;
    }
    if (uart->room == 0) {
        if (!transmitter_reaches(uart, STATUS_EMPTY)) {
            return;
        }
        uart->room = uart->burst;
    }
    uart->room--;
    outb(uart->base + DATA, byte);
}

void serial_drain(void)
{
    for (unsigned i = 0; i < HOST_SERIAL_PORTS; i++) {
        if (ports[i].present) {
            (void)transmitter_reaches(&ports[i], STATUS_SENT);
        }
    }
}

static void set_receiving(struct port *port, bool on)
{
    port->receiving = on;
    outb(port->base + INTERRUPTS, on ? INTERRUPT_RECEIVED : 0);
}

void serial_enable_interrupts(void)
{
    for (unsigned i = 0; i < HOST_SERIAL_PORTS; i++) {
        if (ports[i].present) {
            set_receiving(&ports[i], true);
        }
    }
    if (ports[HOST_SERIAL_CONSOLE].present || ports[HOST_SERIAL_CHANNEL].present) {
        pic_unmask(IRQ_COM1_COM3);
    }
    if (ports[HOST_SERIAL_CONTROL].present || ports[HOST_SERIAL_CHANNEL2].present) {
        pic_unmask(IRQ_COM2_COM4);
    }
}

/* Move what the UART has received into the ring. Whether there was anything. */
static bool drain(struct port *port)
{
    bool any = false;
    while (port->head - port->tail < RING_BYTES) {
        if (!(inb(port->base + LINE_STATUS) & STATUS_RECEIVED)) {
            return any;
        }
        rings[port - ports][port->head++ % RING_BYTES] = inb(port->base + DATA);
        any = true;
    }
    set_receiving(port, false);
    return any;
}

void serial_interrupt(void)
{
    bool any;
    do {
        any = false;
        for (unsigned i = 0; i < HOST_SERIAL_PORTS; i++) {
            if (ports[i].receiving) {
                any |= drain(&ports[i]);
            }
        }
    } while (any);
}

int host_serial_read(enum host_serial port)
{
    struct port *const uart = &ports[port];
    if (uart->head == uart->tail) {
        return -1;
    }
    const uint8_t byte = rings[port][uart->tail++ % RING_BYTES];
    if (!uart->receiving && uart->head - uart->tail <= RING_BYTES / 2) {
        set_receiving(uart, true);
    }
    return byte;
}

bool host_serial_pending(enum host_serial port)
{
    return ports[port].head != ports[port].tail;
}
