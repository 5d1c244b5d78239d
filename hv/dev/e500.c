/*
 * The board of an e500 machine: the CCSR block's devices and their wiring.
 *
 * Invariant: board->due_ns is the earliest due_ns of the MPIC and the UARTs at every return.
 */
#include "hv/dev/e500.h"

#include "hv/dev/bits.h"

#define GUTS_BYTES         0x1000
#define GUTS_RESET         BIT32(1) /* RSTCR[HRESET_REQ] */
#define GPIO_BYTES         0x1000
#define GPIO_POWER_OFF     BIT32(31) /* pin 0 */

#define UART_LCR           3
#define UART_LCR_8N1       3
#define UART_CLOCKS_BY_BIT 16

enum gpio_register {
    GPIO_DIRECTION = 0x00,
    GPIO_OPEN_DRAIN = 0x04,
    GPIO_DATA = 0x08,
    GPIO_EVENT = 0x0C,
    GPIO_MASK = 0x10,
    GPIO_CONTROL = 0x14,
};

/* --- lines and hooks --- */

static void mpic_output_changed(void *context, unsigned vp, enum mpic_output output, bool high)
{
    const struct e500 *board = context;

    (void)output;
    if (high)
        board->hooks.request(board->hooks.context, vp);
}

static void core_reset(void *context, unsigned vp)
{
    const struct e500 *board = context;

    board->hooks.core_reset(board->hooks.context, vp);
}

/* Two UARTs share a line: it is asserted while either drives it. */
static void uart_line_changed(void *context, const struct dev_line *line)
{
    struct e500 *board = context;
    uint8_t *drivers = &board->irq_drivers[line->number - E500_IRQ_COM1_COM2];
    const uint8_t bit = (uint8_t)BIT32(line->source);

    *drivers = line->high ? *drivers | bit : *drivers & (uint8_t)~bit;
    mpic_set_input(&board->mpic, line->number, *drivers != 0);
}

static void schedule(struct e500 *board)
{
    uint64_t due = board->mpic.due_ns;

    for (unsigned i = 0; i < E500_UARTS; i++)
        due = clock_earlier(due, board->uarts[i].due_ns);
    board->due_ns = due;
}

/* --- UARTs: registers of one byte --- */

static bool has_uart(const struct e500 *board, unsigned port)
{
    return port < E500_UARTS && bit_is_set(board->config.serial_ports, port);
}

/* Which UART the CCSR's byte @offset belongs to, or E500_UARTS. */
static unsigned uart_at(const struct e500 *board, uint32_t offset)
{
    const uint32_t index = (offset - E500_UART_0) / E500_UART_STRIDE;

    if (offset < E500_UART_0 || (offset - E500_UART_0) % E500_UART_STRIDE >= UART_PORTS ||
        !has_uart(board, index))
        return E500_UARTS;
    return index;
}

/* --- general-purpose I/O: no pin is an input that is wired --- */

static uint32_t *gpio_register(struct e500_gpio *gpio, uint32_t offset)
{
    switch (offset) {
    case GPIO_DIRECTION: return &gpio->direction;
    case GPIO_OPEN_DRAIN: return &gpio->open_drain;
    case GPIO_DATA: return &gpio->data;
    case GPIO_EVENT: return &gpio->event;
    case GPIO_MASK: return &gpio->mask;
    case GPIO_CONTROL: return &gpio->control;
    default: return NULL;
    }
}

static uint32_t driven_high(const struct e500_gpio *gpio)
{
    return gpio->direction & gpio->data & ~gpio->open_drain;
}

static uint32_t gpio_read(struct e500 *board, uint32_t offset)
{
    const uint32_t *at = gpio_register(&board->gpio, offset);

    board->counters.gpio.reads++;
    if (at == &board->gpio.data)
        return board->gpio.data & board->gpio.direction;
    return at == NULL ? 0 : *at;
}

static void gpio_write(struct e500 *board, uint32_t offset, uint32_t value)
{
    uint32_t *at = gpio_register(&board->gpio, offset);
    const uint32_t before = driven_high(&board->gpio);

    board->counters.gpio.writes++;
    if (at == NULL)
        return;
    *at = at == &board->gpio.event ? *at & ~value : value;
    if ((driven_high(&board->gpio) & ~before & GPIO_POWER_OFF) != 0)
        board->hooks.power(board->hooks.context, E500_POWER_OFF);
}

/* --- global utilities --- */

static uint32_t guts_read(struct e500 *board, uint32_t offset)
{
    board->counters.guts.reads++;
    switch (offset) {
    case E500_GUTS_PVR: return board->config.pvr;
    case E500_GUTS_SVR: return board->config.svr;
    default: return 0;
    }
}

static void guts_write(struct e500 *board, uint32_t offset, uint32_t value)
{
    board->counters.guts.writes++;
    if (offset == E500_GUTS_RSTCR && (value & GUTS_RESET) != 0)
        board->hooks.power(board->hooks.context, E500_POWER_RESET);
}

/* --- registers of 32 bits --- */

enum device { NO_DEVICE, MPIC, GUTS, GPIO, DEBUG_EXIT };

static enum device device_at(uint32_t offset)
{
    if (offset - E500_MPIC < MPIC_BYTES)
        return MPIC;
    if (offset - E500_GUTS < GUTS_BYTES)
        return GUTS;
    if (offset - E500_GPIO < GPIO_BYTES)
        return GPIO;
    return offset / 4 == E500_DEBUG_EXIT / 4 ? DEBUG_EXIT : NO_DEVICE;
}

/* The bytes that a narrower read finds in the register at the word of @offset. */
static uint32_t part(uint32_t value, uint32_t offset, unsigned width_bytes)
{
    return (uint32_t)(value >> (8 * (4 - width_bytes - offset % 4)) & all_ones(width_bytes));
}

static bool read_word(struct e500 *board, unsigned vp, uint32_t offset, unsigned width_bytes, uint32_t *value)
{
    const uint32_t word = offset & ~UINT32_C(3);

    switch (device_at(offset)) {
    case MPIC: *value = mpic_read(&board->mpic, vp, offset - E500_MPIC, width_bytes); return true;
    case GUTS: *value = part(guts_read(board, word), offset, width_bytes); return true;
    case GPIO: *value = part(gpio_read(board, word - E500_GPIO), offset, width_bytes); return true;
    case DEBUG_EXIT: *value = 0; return true;
    case NO_DEVICE: break;
    }
    return false;
}

static bool write_word(struct e500 *board, unsigned vp, uint32_t offset, uint32_t value)
{
    switch (device_at(offset)) {
    case MPIC: mpic_write(&board->mpic, vp, offset - E500_MPIC, 4, value); return true;
    case GUTS: guts_write(board, offset, value); return true;
    case GPIO: gpio_write(board, offset - E500_GPIO, value); return true;
    case DEBUG_EXIT:
        board->counters.debug_exits++;
        board->hooks.debug_exit(board->hooks.context, value);
        return true;
    case NO_DEVICE: break;
    }
    return false;
}

/* --- memory --- */

/* Bytes one by one, if all of them are UARTs' registers. */
static bool read_uart(struct e500 *board, uint32_t offset, unsigned width_bytes, uint32_t *value)
{
    *value = 0;
    if (uart_at(board, offset) == E500_UARTS || uart_at(board, offset + width_bytes - 1) == E500_UARTS)
        return false;
    for (unsigned i = 0; i < width_bytes; i++)
        *value = *value << 8 | uart_read(&board->uarts[uart_at(board, offset)], (offset + i) % UART_PORTS);
    return true;
}

static bool write_uart(struct e500 *board, uint32_t offset, unsigned width_bytes, uint32_t value)
{
    if (uart_at(board, offset) == E500_UARTS || uart_at(board, offset + width_bytes - 1) == E500_UARTS)
        return false;
    for (unsigned i = 0; i < width_bytes; i++) {
        uart_write(&board->uarts[uart_at(board, offset)], (offset + i) % UART_PORTS,
                   byte_of(value, width_bytes - 1 - i));
    }
    return true;
}

/* Whether the access is one that a register could take: of a width that there is, and aligned. */
static bool is_sound(vmmu_gpa gpa, unsigned width_bytes)
{
    return (width_bytes == 1 || width_bytes == 2 || width_bytes == 4) && gpa.v % width_bytes == 0 &&
           gpa.v >= E500_CCSR && gpa.v - E500_CCSR < E500_CCSR_BYTES;
}

bool e500_mmio_read(struct e500 *board, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint32_t *value)
{
    const uint32_t offset = (uint32_t)(gpa.v - E500_CCSR);
    bool claimed = false;

    *value = 0;
    board->counters.memory[vp].reads++;
    if (is_sound(gpa, width_bytes)) {
        claimed =
            read_uart(board, offset, width_bytes, value) || read_word(board, vp, offset, width_bytes, value);
    }
    board->counters.unclaimed.reads += !claimed;
    schedule(board);
    return claimed;
}

bool e500_mmio_write(struct e500 *board, unsigned vp, vmmu_gpa gpa, unsigned width_bytes, uint32_t value)
{
    const uint32_t offset = (uint32_t)(gpa.v - E500_CCSR);
    bool claimed = false;

    board->counters.memory[vp].writes++;
    if (is_sound(gpa, width_bytes)) {
        claimed = write_uart(board, offset, width_bytes, value) ||
                  (width_bytes == 4 && write_word(board, vp, offset, value));
    }
    board->counters.unclaimed.writes += !claimed;
    schedule(board);
    return claimed;
}

/* --- interrupts and time --- */

bool e500_take_external(struct e500 *board, unsigned vp, uint32_t *epr)
{
    if (!mpic_is_proxy(&board->mpic))
        return false;
    *epr = mpic_acknowledge(&board->mpic, vp);
    return true;
}

void e500_advance(struct e500 *board, uint64_t now_ns)
{
    if (now_ns < board->due_ns)
        return;
    board->counters.advanced++;
    if (board->mpic.due_ns <= now_ns)
        mpic_advance(&board->mpic);
    for (unsigned i = 0; i < E500_UARTS; i++) {
        if (board->uarts[i].due_ns <= now_ns)
            uart_advance(&board->uarts[i]);
    }
    schedule(board);
}

bool e500_serial_receive(struct e500 *board, unsigned port, uint8_t byte)
{
    const bool taken = has_uart(board, port) && uart_receive(&board->uarts[port], byte);

    schedule(board);
    return taken;
}

bool e500_serial_break(struct e500 *board, unsigned port)
{
    const bool taken = has_uart(board, port) && uart_receive_break(&board->uarts[port]);

    schedule(board);
    return taken;
}

/* --- set-up --- */

static bool is_valid(const struct e500_config *config, const struct e500_hooks *hooks)
{
    if (config->vps < 1 || config->vps > E500_VPS_MAXIMUM || config->serial_ports >= BIT32(E500_UARTS))
        return false;
    if (config->platform_hz < E500_PLATFORM_HZ_LEAST || config->platform_hz > CLOCK_HZ_MAXIMUM)
        return false;
    return hooks->now_ns && hooks->request && hooks->core_reset && hooks->power && hooks->debug_exit &&
           hooks->serial_write;
}

/* No firmware runs before the guest: characters of eight bits are what one would have left. */
static void as_firmware_leaves(struct uart *uart)
{
    uart_write(uart, UART_LCR, UART_LCR_8N1);
}

static void init_uarts(struct e500 *board)
{
    for (unsigned i = 0; i < E500_UARTS; i++) {
        const struct uart_wires wires = {
            .transmit = board->hooks.serial_write,
            .context = board->hooks.context,
            .number = i,
            .irq = { .changed = uart_line_changed,
                     .context = board,
                     .number = i < 2 ? E500_IRQ_COM1_COM2 : E500_IRQ_COM3_COM4,
                     .source = (uint8_t)(i % 2) },
            .clock = { .now_ns = board->hooks.now_ns, .context = board->hooks.context },
            .divisor_1_hz = (uint32_t)(board->config.platform_hz / UART_CLOCKS_BY_BIT),
            .is_direct = true,
        };

        uart_init(&board->uarts[i], &wires);
        as_firmware_leaves(&board->uarts[i]);
    }
}

enum vmmu_status e500_init(struct e500 *board, const struct e500_config *config,
                           const struct e500_hooks *hooks)
{
    const struct mpic_wires wires = {
        .context = board,
        .clock = { .now_ns = hooks->now_ns, .context = hooks->context },
        .output = mpic_output_changed,
        .core_reset = core_reset,
        .clock_hz = config->platform_hz,
        .vps = config->vps,
    };

    if (!is_valid(config, hooks))
        return VMMU_INVALID;
    *board = (struct e500){ .hooks = *hooks, .config = *config };
    mpic_init(&board->mpic, &wires);
    init_uarts(board);
    schedule(board);
    return VMMU_OK;
}

/* The interrupt controller first: what the devices drop or raise while they reset must find it masked. */
void e500_reset(struct e500 *board)
{
    mpic_reset(&board->mpic);
    for (unsigned i = 0; i < E500_UARTS; i++) {
        uart_reset(&board->uarts[i]);
        as_firmware_leaves(&board->uarts[i]);
    }
    board->gpio = (struct e500_gpio){ 0 };
    schedule(board);
}
