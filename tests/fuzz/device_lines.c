/*
 * Runs of the interrupt controllers and of the serial port.
 */
#include "hv/dev/ioapic.h"
#include "hv/dev/pic.h"
#include "hv/dev/uart.h"

#include "tests/fuzz/device.h"

static void ignore_line(void *context, const struct dev_line *line)
{
    (void)context;
    (void)line;
}

/* --- 8259 pair --- */

static void pic_operate(struct pic *pic, struct input *input)
{
    const uint8_t first = input_u8(input);
    const unsigned unit = first >> 3 & 1;
    unsigned number;

    switch (first & 7) {
    case 0:
    case 1:
        number = first >> 4;
        if (number != PIC_CASCADE)
            pic_set_input(pic, number, unit != 0);
        break;
    case 2:
    case 3: pic_write(pic, unit, (first & 16) != 0, input_u8(input)); break;
    case 4: (void)pic_read(pic, unit, (first & 16) != 0); break;
    case 5: pic_elcr_write(pic, unit, input_u8(input)); break;
    case 6:
        if ((first & 0xF0) == 0xF0)
            pic_reset(pic);
        break;
    default: {
        const uint8_t expected = pic_peek(pic);
        const bool high = pic->output.high;
        const uint64_t spurious = pic->counters.spurious;

        FUZZ_CHECK(pic_acknowledge(pic) == expected);
        FUZZ_CHECK((pic->counters.spurious == spurious) == high);
        break;
    }
    }
}

static void pic_check(const struct pic *pic)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct pic_chip *chip = &pic->chips[i];

        FUZZ_CHECK((chip->irr & ~chip->inputs) == 0);
        FUZZ_CHECK((chip->inputs & chip->elcr & ~chip->irr) == 0);
        FUZZ_CHECK(!chip->int_high || ((chip->irr & ~chip->imr) != 0 && chip->next_icw == 0));
        FUZZ_CHECK(chip->lowest < 8 && chip->next_icw <= 4);
    }
    FUZZ_CHECK((pic->chips[0].inputs >> PIC_CASCADE & 1) == pic->chips[1].int_high);
    FUZZ_CHECK(pic->output.high == pic->chips[0].int_high);
}

void device_run_pic(struct input *input)
{
    const struct dev_line line = device_line();
    struct pic pic;

    pic_init(&pic, &line);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        pic_operate(&pic, input);
        pic_check(&pic);
    }
}

/* --- I/O APIC --- */

/* Bit n: messages whose vector's class is n are accepted; none below 16 ever. */
static uint16_t accepting;

static bool takes(uint8_t vector)
{
    return vector >= 16 && (accepting >> (vector >> 4) & 1) != 0;
}

static bool ioapic_sent(void *context, const struct apic_message *message)
{
    (void)context;
    FUZZ_CHECK(!message->wide && message->destination <= 0xFF && message->shorthand == APIC_TO_DESTINATION);
    FUZZ_CHECK(!message->level || message->delivery <= APIC_LOWEST_PRIORITY);
    return takes(message->vector);
}

static void ioapic_operate(struct ioapic *ioapic, struct input *input)
{
    static const uint16_t offsets[] = { 0x00, 0x10, 0x40, 0x20 };
    const uint8_t first = input_u8(input);
    const unsigned width = 1U << (first >> 6);

    switch (first & 7) {
    case 0:
    case 1: ioapic_set_pin(ioapic, (first >> 4) + (input_u8(input) & 8), (first & 8) != 0); break;
    case 2:
        ioapic_mmio_write(ioapic, offsets[0], 4, input_u8(input));
        ioapic_mmio_write(ioapic, offsets[1], 4, input_u32(input));
        break;
    case 3: ioapic_mmio_write(ioapic, offsets[first >> 3 & 3], width, input_number(input, width)); break;
    case 4: FUZZ_CHECK(ioapic_mmio_read(ioapic, input_u16(input) & 0xFFF, width) <= all_ones(width)); break;
    case 5: ioapic_eoi(ioapic, input_u8(input)); break;
    case 6:
        accepting = input_u16(input);
        ioapic_evaluate(ioapic);
        break;
    default:
        if (first == 0xFF)
            ioapic_reset(ioapic);
        break;
    }
}

static void ioapic_check(const struct ioapic *ioapic)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        const uint64_t entry = ioapic->entries[pin];
        const bool level = (entry & 0x8000) != 0 && (entry >> 8 & 7) <= 1;
        const bool asserted = (ioapic->levels >> pin & 1) != (entry >> 13 & 1);

        FUZZ_CHECK((entry & ~UINT64_C(0xFF0000000001FFFF)) == 0);
        FUZZ_CHECK(level || (entry & 0x4000) == 0);
        if (level && asserted && (entry & 0x14000) == 0)
            FUZZ_CHECK(!takes((uint8_t)entry));
    }
}

void device_run_ioapic(struct input *input)
{
    struct ioapic ioapic;

    accepting = UINT16_MAX;
    ioapic_init(&ioapic, ioapic_sent, NULL);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        ioapic_operate(&ioapic, input);
        ioapic_check(&ioapic);
    }
}

/* --- 16550A --- */

/* What the receiver must hold, kept beside it. */
struct queue {
    uint8_t bytes[UART_FIFO_BYTES];
    unsigned held;
};

static struct queue queue;

static unsigned room_of(const struct uart *uart)
{
    return (uart->fcr & 1) != 0 ? UART_FIFO_BYTES : 1;
}

static void queue_push(uint8_t byte)
{
    queue.bytes[queue.held++] = byte;
}

static void uart_transmitted(void *context, unsigned port, uint8_t byte)
{
    (void)context;
    (void)byte;
    FUZZ_CHECK(port == 2);
}

/* A write, and what it does to the receiver. Spec: PC16550D datasheet "FIFO Control Register", "Loopback". */
static void uart_put(struct uart *uart, unsigned port, uint8_t value)
{
    const bool divisor = (uart->lcr & 0x80) != 0 && port <= 1;
    const bool was_enabled = (uart->fcr & 1) != 0;
    const uint8_t data = value & (uint8_t)(0x1F << (uart->lcr & 3) | ((1 << (uart->lcr & 3)) - 1));

    if (port == 2 && (was_enabled != ((value & 1) != 0) || (value & 3) == 3)) {
        queue.held = 0;
    } else if (port == 0 && !divisor && (uart->mcr & 0x10) != 0) {
        if (room_of(uart) == 1)
            queue.held = 0;
        if (queue.held < room_of(uart))
            queue_push(data);
    }
    uart_write(uart, port, value);
}

static void uart_get(struct uart *uart, unsigned port)
{
    const uint8_t value = uart_read(uart, port);

    if (port != 0 || (uart->lcr & 0x80) != 0 || queue.held == 0)
        return;
    FUZZ_CHECK(value == queue.bytes[0]);
    queue.held--;
    memmove(queue.bytes, queue.bytes + 1, queue.held);
}

static void uart_arrives(struct uart *uart, uint8_t byte, bool is_break)
{
    const bool takes_it = (uart->mcr & 0x10) == 0 && queue.held < room_of(uart);
    const bool taken = is_break ? uart_receive_break(uart) : uart_receive(uart, byte);

    FUZZ_CHECK(taken == takes_it);
    if (taken)
        queue_push(is_break ? 0 : byte);
}

/* The line follows from what the registers show; they are read in a copy, for reading changes them. */
static void uart_check(const struct uart *uart)
{
    struct uart copy = *uart;
    uint8_t identity;
    uint8_t status;

    copy.irq.changed = ignore_line;
    status = uart_read(&copy, 5);
    copy = *uart;
    copy.irq.changed = ignore_line;
    identity = uart_read(&copy, 2);
    FUZZ_CHECK(uart->held == queue.held && (status & 1) == (queue.held != 0) && (status & 0x60) == 0x60);
    FUZZ_CHECK(uart->irq.high == ((uart->mcr & 0x18) == 0x08 && (identity & 1) == 0));
    FUZZ_CHECK((identity & 0xC0) == ((uart->fcr & 1) != 0 ? 0xC0 : 0));
    FUZZ_CHECK(uart->due_ns == CLOCK_NEVER || (queue.held != 0 && (uart->fcr & 1) != 0));
}

static void uart_operate(struct uart *uart, struct input *input)
{
    const uint8_t first = input_u8(input);
    uint64_t end;

    switch (first & 7) {
    case 0:
    case 1:
    case 2: uart_put(uart, first >> 3 & 7, input_u8(input)); break;
    case 3:
    case 4: uart_get(uart, first >> 3 & 7); break;
    case 5: uart_arrives(uart, input_u8(input), false); break;
    case 6: uart_arrives(uart, 0, true); break;
    default:
        end = device_step(input);
        if (uart->due_ns <= end) {
            device_ns = uart->due_ns < device_ns ? device_ns : uart->due_ns;
            uart_advance(uart);
            FUZZ_CHECK(uart->due_ns == CLOCK_NEVER);
        }
        device_ns = end;
        break;
    }
}

void device_run_uart(struct input *input)
{
    const struct uart_wires wires = {
        .transmit = uart_transmitted, .number = 2, .irq = device_line(), .clock = device_clock()
    };
    struct uart uart;

    queue.held = 0;
    uart_init(&uart, &wires);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        uart_operate(&uart, input);
        uart_check(&uart);
    }
}
