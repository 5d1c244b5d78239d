/*
 * The machine's two serial ports: sent by polling, received by interrupt into rings. The channels have no port of their own
 * here: what is written to them goes out on the control port, as lines of their own (channel.c).
 *
 * A ring that is full stops its port's interrupts, and the bytes wait in the UART; reading it half empty starts them
 * again. Both ports share one level-triggered source.
 *
 * Spec: National Semiconductor PC16550D data sheet, "Registers", "FIFO Interrupt Mode Operation".
 */
#include "hv/ppc/channel.h"
#include "hv/ppc/cpu.h"
#include "hv/ppc/ground.h"

#define DATA               0
#define INTERRUPTS         1
#define FIFO               2
#define LINE               3
#define MODEM              4
#define LINE_STATUS        5
#define SCRATCH            7

#define INTERRUPT_RECEIVED 0x01
#define FIFO_ON_AT_8       0x87 /* both cleared; interrupt at eight bytes, or after a pause */
#define FIFO_WORKS         0xc0
#define FIFO_BYTES         16
#define LINE_8N1           0x03
#define LINE_DIVISOR       0x80
#define BITS_PER_S         115200
#define CLOCKS_PER_BIT     16
#define MODEM_READY        0x0b /* DTR, RTS, and OUT2, which connects the interrupt */
#define STATUS_RECEIVED    0x01
#define STATUS_EMPTY       0x20
#define STATUS_SENT        0x40
#define STATUS_ABSENT      0xff

#define RING_BYTES         4096 /* a power of two */
#define POLLS_MAX          (1U << 22)
#define PORTS              2

struct port {
    uint32_t base;
    bool present;
    bool receiving; /* its interrupt is on */
    bool hangs;     /* the transmitter did not become empty in time */
    unsigned burst; /* bytes that the transmitter takes once it is empty */
    unsigned room;  /* of those, how many may be written without looking */
    unsigned head, tail;
};

static struct port ports[PORTS] = {
    [HOST_SERIAL_CONSOLE] = { .base = LAYOUT_DEVICES + 0x4500 },
    [HOST_SERIAL_CONTROL] = { .base = LAYOUT_DEVICES + 0x4600 },
};

/* Apart from the ports, so that they take no room in the image's file. */
static uint8_t rings[PORTS][RING_BYTES];

static bool detect(uint32_t base)
{
    static const uint8_t patterns[] = { 0x5a, 0xa5 };
    for (unsigned i = 0; i < sizeof(patterns); i++) {
        device_write8(base + SCRATCH, patterns[i]);
        if (device_read8(base + SCRATCH) != patterns[i]) {
            return false;
        }
    }
    return device_read8(base + LINE_STATUS) != STATUS_ABSENT;
}

void serial_init(uint32_t clock_hz)
{
    const uint32_t divisor = clock_hz / (BITS_PER_S * CLOCKS_PER_BIT);
    for (unsigned i = 0; i < PORTS; i++) {
        struct port *const port = &ports[i];
        port->present = detect(port->base);
        if (!port->present) {
            continue;
        }
        device_write8(port->base + INTERRUPTS, 0);
        device_write8(port->base + LINE, LINE_DIVISOR);
        device_write8(port->base + DATA, (uint8_t)(divisor != 0 ? divisor : 1));
        device_write8(port->base + INTERRUPTS, (uint8_t)(divisor >> 8));
        device_write8(port->base + LINE, LINE_8N1);
        device_write8(port->base + FIFO, FIFO_ON_AT_8);
        device_write8(port->base + MODEM, MODEM_READY);
        port->burst = (device_read8(port->base + FIFO) & FIFO_WORKS) == FIFO_WORKS ? FIFO_BYTES : 1;
    }
}

static bool is_channel(enum host_serial port)
{
    return port == HOST_SERIAL_CHANNEL || port == HOST_SERIAL_CHANNEL2;
}

bool host_serial_present(enum host_serial port)
{
    return ports[is_channel(port) ? HOST_SERIAL_CONTROL : port].present;
}

/* Wait until the line's status has the bit @wanted. A port that has hung before gets one look only. */
static bool transmitter_reaches(struct port *port, uint8_t wanted)
{
    const unsigned polls = port->hangs ? 1 : POLLS_MAX;
    for (unsigned i = 0; i < polls; i++) {
        if (device_read8(port->base + LINE_STATUS) & wanted) {
            port->hangs = false;
            return true;
        }
    }
    port->hangs = true;
    return false;
}

static void send(struct port *uart, uint8_t byte)
{
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
    device_write8(uart->base + DATA, byte);
}

void serial_send_control(uint8_t byte)
{
    send(&ports[HOST_SERIAL_CONTROL], byte);
}

void host_serial_write(enum host_serial port, uint8_t byte)
{
    switch (port) {
    case HOST_SERIAL_CONSOLE: send(&ports[port], byte); return;
    case HOST_SERIAL_CONTROL: channel_control(byte); return;
    case HOST_SERIAL_CHANNEL: channel_write(0, byte); return;
    case HOST_SERIAL_CHANNEL2: channel_write(1, byte); return;
    case HOST_SERIAL_PORTS: return;
    }
}

void serial_drain(void)
{
    channel_flush();
    for (unsigned i = 0; i < PORTS; i++) {
        if (ports[i].present) {
            (void)transmitter_reaches(&ports[i], STATUS_SENT);
        }
    }
}

static void set_receiving(struct port *port, bool on)
{
    port->receiving = on;
    device_write8(port->base + INTERRUPTS, on ? INTERRUPT_RECEIVED : 0);
}

void serial_enable_interrupts(void)
{
    for (unsigned i = 0; i < PORTS; i++) {
        if (ports[i].present) {
            set_receiving(&ports[i], true);
        }
    }
    host_mpic_enable_serial();
}

/* Move what the UART has received into the ring. */
static void drain(struct port *port)
{
    uint8_t *const ring = rings[port - ports];
    while (device_read8(port->base + LINE_STATUS) & STATUS_RECEIVED) {
        if (port->head - port->tail == RING_BYTES) {
            set_receiving(port, false);
            return;
        }
        ring[port->head++ % RING_BYTES] = device_read8(port->base + DATA);
    }
}

void serial_interrupt(void)
{
    for (unsigned i = 0; i < PORTS; i++) {
        if (ports[i].receiving) {
            drain(&ports[i]);
        }
    }
}

int host_serial_read(enum host_serial port)
{
    channel_flush();
    if (is_channel(port) || ports[port].head == ports[port].tail) {
        return -1;
    }
    struct port *const uart = &ports[port];
    const uint8_t byte = rings[port][uart->tail++ % RING_BYTES];
    if (!uart->receiving && uart->head - uart->tail <= RING_BYTES / 2) {
        set_receiving(uart, true);
    }
    return byte;
}

bool host_serial_pending(enum host_serial port)
{
    channel_flush();
    return !is_channel(port) && ports[port].head != ports[port].tail;
}
