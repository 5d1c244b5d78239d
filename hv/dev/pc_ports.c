/*
 * The board's I/O ports: one table of ranges, found by the port's upper bits.
 */
#include "hv/dev/bits.h"
#include "hv/dev/pc.h"
#include "hv/dev/pc_internal.h"

#define KEYBOARD_PULSE      0xF0 /* keyboard controller: pulse output bits that are zero in the low nibble */
#define KEYBOARD_PULSE_MASK 0xF1 /* of which bit 0 is the processor's reset */

#define PORT61_WRITABLE     BITS32(3, 0)
#define PORT61_GATE2        BIT32(0)
#define PORT61_REFRESH      BIT32(4)
#define PORT61_OUT2         BIT32(5)

#define PORT92_WRITABLE     (PC_PORT92_A20 | PORT92_RESET)
#define PORT92_RESET        BIT32(0)

#define RESET_WRITABLE      BITS32(3, 1)
#define RESET_CPU           BIT32(2)

/* An access as a device sees it. */
struct port_access {
    unsigned unit;   /* which of several like devices */
    unsigned offset; /* from the first port of the range */
    unsigned width_bytes;
};

struct port_range {
    uint16_t first;
    uint16_t last;
    uint8_t unit; /* which of several like devices */
    bool is_wide; /* takes 2 and 4 byte accesses as they are */
    bool is_byte; /* is not there for the bytes of a wider access */
    /* NULL reads as all ones. */
    uint32_t (*read)(struct pc *pc, const struct port_access *at);
    void (*write)(struct pc *pc, const struct port_access *at, uint32_t value);
};

/* --- devices --- */

static uint32_t read_pic(struct pc *pc, const struct port_access *at)
{
    pc_before_routing(pc);
    return pic_read(&pc->pic, at->unit, at->offset != 0);
}

static void write_pic(struct pc *pc, const struct port_access *at, uint32_t value)
{
    pc_before_routing(pc);
    pic_write(&pc->pic, at->unit, at->offset != 0, (uint8_t)value);
    pc_after_routing(pc);
}

static uint32_t read_elcr(struct pc *pc, const struct port_access *at)
{
    return pic_elcr_read(&pc->pic, at->offset);
}

static void write_elcr(struct pc *pc, const struct port_access *at, uint32_t value)
{
    pic_elcr_write(&pc->pic, at->offset, (uint8_t)value);
}

static uint32_t read_pit(struct pc *pc, const struct port_access *at)
{
    return pit_read(&pc->pit, at->offset);
}

static void write_pit(struct pc *pc, const struct port_access *at, uint32_t value)
{
    pit_write(&pc->pit, at->offset, (uint8_t)value);
    pc_schedule(pc);
}

static uint32_t read_rtc(struct pc *pc, const struct port_access *at)
{
    uint8_t value;

    value = rtc_read(&pc->rtc, at->offset);
    pc_schedule(pc);
    return value;
}

static void write_rtc(struct pc *pc, const struct port_access *at, uint32_t value)
{
    rtc_write(&pc->rtc, at->offset, (uint8_t)value);
    pc_schedule(pc);
}

static uint32_t read_uart(struct pc *pc, const struct port_access *at)
{
    struct uart *uart = &pc->uarts[at->unit];
    const uint64_t due = uart->due_ns;
    uint8_t value;

    value = uart_read(uart, at->offset);
    if (due != uart->due_ns)
        pc_schedule(pc);
    return value;
}

static void write_uart(struct pc *pc, const struct port_access *at, uint32_t value)
{
    struct uart *uart = &pc->uarts[at->unit];
    const uint64_t due = uart->due_ns;

    uart_write(uart, at->offset, (uint8_t)value);
    if (due != uart->due_ns)
        pc_schedule(pc);
}

static uint32_t read_acpi(struct pc *pc, const struct port_access *at)
{
    uint32_t value;

    value = acpi_pm_read(&pc->acpi_pm, at->offset, at->width_bytes);
    pc_schedule(pc);
    return value;
}

static void write_acpi(struct pc *pc, const struct port_access *at, uint32_t value)
{
    acpi_pm_write(&pc->acpi_pm, at->offset, at->width_bytes, value);
    pc_schedule(pc);
}

/* --- small system ports --- */

enum system_port {
    SYSTEM_CONTROL_B, /* 0x61: speaker, counter 2, refresh */
    SYSTEM_KEYBOARD,  /* 0x64: no keyboard controller, but its reset command is taken: kernels try it first */
    SYSTEM_CONTROL_A, /* 0x92: fast reset, A20 */
    SYSTEM_RESET,     /* 0xCF9 */
};

static uint32_t read_system(struct pc *pc, const struct port_access *at)
{
    pc->counters.system_ports.reads++;
    switch ((enum system_port)at->unit) {
    case SYSTEM_CONTROL_B:
        return pc->port61 | (pit_refresh(&pc->pit) ? PORT61_REFRESH : 0) |
               (pit_out2(&pc->pit) ? PORT61_OUT2 : 0);
    case SYSTEM_KEYBOARD: break;
    case SYSTEM_CONTROL_A: return pc->port92;
    case SYSTEM_RESET: return pc->reset_control;
    }
    return 0xFF;
}

/* Store @value, and reset the machine if that makes bit @trigger rise. */
static void write_reset_control(struct pc *pc, uint8_t *control, uint8_t value, uint8_t trigger)
{
    const bool rises = (value & ~*control & trigger) != 0;

    *control = value;
    if (rises)
        pc->hooks.power(pc->hooks.context, PC_POWER_RESET);
}

static void write_system(struct pc *pc, const struct port_access *at, uint32_t value)
{
    pc->counters.system_ports.writes++;
    switch ((enum system_port)at->unit) {
    case SYSTEM_CONTROL_B:
        pc->port61 = (uint8_t)(value & PORT61_WRITABLE);
        pit_gate2(&pc->pit, (value & PORT61_GATE2) != 0);
        break;
    case SYSTEM_KEYBOARD:
        if ((value & KEYBOARD_PULSE_MASK) == KEYBOARD_PULSE)
            pc->hooks.power(pc->hooks.context, PC_POWER_RESET);
        break;
    case SYSTEM_CONTROL_A:
        write_reset_control(pc, &pc->port92, (uint8_t)(value & PORT92_WRITABLE), PORT92_RESET);
        break;
    case SYSTEM_RESET:
        write_reset_control(pc, &pc->reset_control, (uint8_t)(value & RESET_WRITABLE), RESET_CPU);
        break;
    }
}

static void write_debug_exit(struct pc *pc, const struct port_access *at, uint32_t value)
{
    if (at->offset != 0)
        return;
    pc->counters.debug_exits++;
    pc->hooks.debug_exit(pc->hooks.context, value & (uint32_t)all_ones(at->width_bytes));
}

static void write_debug_stop(struct pc *pc, const struct port_access *at, uint32_t value)
{
    (void)at;
    (void)value;
    pc->hooks.debug_stop(pc->hooks.context);
}

/* --- the map --- */

enum range_name {
    NOTHING,
    MASTER_PIC,
    SLAVE_PIC,
    PIT,
    CONTROL_B,
    KEYBOARD,
    RTC,
    CONTROL_A,
    DEBUG_EXIT,
    DEBUG_STOP,
    COM1,
    COM2,
    COM3,
    COM4,
    ELCR,
    ACPI,
    RESET,
};

static const struct port_range ranges[] = {
    [MASTER_PIC] = { .first = 0x20, .last = 0x21, .unit = 0, .read = read_pic, .write = write_pic },
    [SLAVE_PIC] = { .first = 0xA0, .last = 0xA1, .unit = 1, .read = read_pic, .write = write_pic },
    [PIT] = { .first = 0x40, .last = 0x43, .read = read_pit, .write = write_pit },
    [CONTROL_B] = { .first = 0x61,
                    .last = 0x61,
                    .unit = SYSTEM_CONTROL_B,
                    .read = read_system,
                    .write = write_system },
    [KEYBOARD] = { .first = 0x64,
                   .last = 0x64,
                   .unit = SYSTEM_KEYBOARD,
                   .read = read_system,
                   .write = write_system },
    [RTC] = { .first = 0x70, .last = 0x71, .read = read_rtc, .write = write_rtc },
    [CONTROL_A] = { .first = 0x92,
                    .last = 0x92,
                    .unit = SYSTEM_CONTROL_A,
                    .read = read_system,
                    .write = write_system },
    [DEBUG_EXIT] = { .first = PC_PORT_DEBUG_EXIT,
                     .last = PC_PORT_DEBUG_EXIT + 3,
                     .is_wide = true,
                     .write = write_debug_exit },
    [DEBUG_STOP] = { .first = PC_PORT_DEBUG_STOP, .last = PC_PORT_DEBUG_STOP, .write = write_debug_stop },
    [COM1] = { .first = 0x3F8, .last = 0x3FF, .unit = 0, .read = read_uart, .write = write_uart },
    [COM2] = { .first = 0x2F8, .last = 0x2FF, .unit = 1, .read = read_uart, .write = write_uart },
    [COM3] = { .first = 0x3E8, .last = 0x3EF, .unit = 2, .read = read_uart, .write = write_uart },
    [COM4] = { .first = 0x2E8, .last = 0x2EF, .unit = 3, .read = read_uart, .write = write_uart },
    [ELCR] = { .first = 0x4D0, .last = 0x4D1, .read = read_elcr, .write = write_elcr },
    [ACPI] = { .first = PC_PORT_PM1A_EVENT,
               .last = PC_PORT_PM_TIMER + 3,
               .is_wide = true,
               .read = read_acpi,
               .write = write_acpi },
    [RESET] = { .first = PC_PORT_RESET,
                .last = PC_PORT_RESET,
                .unit = SYSTEM_RESET,
                .is_byte = true,
                .read = read_system,
                .write = write_system },
};

/* Which range a port may lie in, by port / 4: no two ranges share a slot. */
#define SLOT(port) ((port) / 4)
#define SLOTS      SLOT(0xD00)

static const uint8_t slots[SLOTS] = {
    [SLOT(0x20)] = MASTER_PIC, [SLOT(0xA0)] = SLAVE_PIC, [SLOT(0x40)] = PIT,       [SLOT(0x60)] = CONTROL_B,
    [SLOT(0x64)] = KEYBOARD,   [SLOT(0x70)] = RTC,       [SLOT(0x90)] = CONTROL_A, [SLOT(0xF4)] = DEBUG_EXIT,
    [SLOT(0xF8)] = DEBUG_STOP, [SLOT(0x3F8)] = COM1,     [SLOT(0x3FC)] = COM1,     [SLOT(0x2F8)] = COM2,
    [SLOT(0x2FC)] = COM2,      [SLOT(0x3E8)] = COM3,     [SLOT(0x3EC)] = COM3,     [SLOT(0x2E8)] = COM4,
    [SLOT(0x2EC)] = COM4,      [SLOT(0x4D0)] = ELCR,     [SLOT(0x600)] = ACPI,     [SLOT(0x604)] = ACPI,
    [SLOT(0x608)] = ACPI,      [SLOT(0xCF8)] = RESET,
};

/* The range that @port lies in, or NULL. */
static const struct port_range *find(const struct pc *pc, unsigned port)
{
    const unsigned name = SLOT(port) < SLOTS ? slots[SLOT(port)] : NOTHING;
    const struct port_range *range = &ranges[name];

    if (name == NOTHING || port < range->first || port > range->last)
        return NULL;
    if (name >= COM1 && name <= COM4 && !bit_is_set(pc->serial_ports, range->unit))
        return NULL;
    return range;
}

static bool takes_whole(const struct port_range *range, unsigned port, unsigned width_bytes)
{
    return range != NULL && (width_bytes == 1 || (range->is_wide && port + width_bytes - 1 <= range->last));
}

static uint32_t read_range(struct pc *pc, const struct port_range *range, unsigned port, unsigned width_bytes)
{
    const struct port_access at = { range->unit, port - range->first, width_bytes };

    return range->read == NULL ? (uint32_t)all_ones(width_bytes) : range->read(pc, &at);
}

/* One byte of an access that the bus splits. */
static uint32_t read_split(struct pc *pc, unsigned port)
{
    const struct port_range *range = find(pc, port);

    if (range == NULL || range->is_byte)
        return 0xFF;
    return read_range(pc, range, port, 1) & 0xFF;
}

static void write_split(struct pc *pc, unsigned port, uint8_t value)
{
    const struct port_range *range = find(pc, port);
    struct port_access at;

    if (range == NULL || range->is_byte)
        return;
    at = (struct port_access){ range->unit, port - range->first, 1 };
    range->write(pc, &at, value);
}

uint32_t pc_port_read(struct pc *pc, unsigned vp, uint16_t port, unsigned width_bytes)
{
    const struct port_range *range = find(pc, port);
    uint32_t value = 0;

    pc->counters.ports[vp].reads++;
    if (takes_whole(range, port, width_bytes))
        return read_range(pc, range, port, width_bytes);
    pc->counters.unclaimed_ports.reads += range == NULL;
    if (width_bytes == 1)
        return 0xFF;
    for (unsigned i = 0; i < width_bytes; i++)
        value |= bits_put(read_split(pc, port + i), 8 * i);
    return value;
}

void pc_port_write(struct pc *pc, unsigned vp, uint16_t port, unsigned width_bytes, uint32_t value)
{
    const struct port_range *range = find(pc, port);
    struct port_access at;

    pc->counters.ports[vp].writes++;
    if (takes_whole(range, port, width_bytes)) {
        at = (struct port_access){ range->unit, port - range->first, width_bytes };
        range->write(pc, &at, value);
        return;
    }
    pc->counters.unclaimed_ports.writes += range == NULL;
    for (unsigned i = 0; i < width_bytes; i++)
        write_split(pc, port + i, byte_of(value, i));
}
