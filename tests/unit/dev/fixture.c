/*
 * The device tests' clock, line and board.
 */
#include "tests/unit/dev/fixture.h"

#include "tests/unit/test.h"

static uint64_t read_ns(void *context)
{
    const uint64_t *ns = context;

    return *ns;
}

struct dev_clock fixture_clock(uint64_t *ns)
{
    return (struct dev_clock){ .now_ns = read_ns, .context = ns };
}

static void wire_changed(void *context, const struct dev_line *line)
{
    struct fixture_wire *wire = context;

    assert_true(wire->high != line->high); /* a line tells changes only */
    wire->high = line->high;
    wire->rises += line->high;
    wire->falls += !line->high;
}

struct dev_line fixture_line(struct fixture_wire *wire)
{
    return (struct dev_line){ .changed = wire_changed, .context = wire };
}

static uint64_t board_now(void *context)
{
    const struct fixture_board *board = context;

    return board->ns;
}

static uint64_t board_tsc(void *context, unsigned vp)
{
    const struct fixture_board *board = context;

    (void)vp;
    return clock_ticks(board->ns, board->config.tsc_hz) + board->tsc_offset;
}

static void board_request(void *context, unsigned vp)
{
    struct fixture_board *board = context;

    board->requests[vp]++;
}

static void board_nmi(void *context, unsigned vp)
{
    struct fixture_board *board = context;

    board->nmis[vp]++;
}

static void board_init(void *context, unsigned vp)
{
    struct fixture_board *board = context;

    board->inits[vp]++;
}

static void board_sipi(void *context, unsigned vp, uint8_t vector)
{
    struct fixture_board *board = context;

    board->sipis[vp]++;
    board->sipi_vector = vector;
}

static void board_power(void *context, enum pc_power what)
{
    struct fixture_board *board = context;

    board->power_offs += what == PC_POWER_OFF;
    board->resets += what == PC_POWER_RESET;
}

static void board_debug_exit(void *context, uint32_t value)
{
    struct fixture_board *board = context;

    board->debug_exits++;
    board->debug_value = value;
}

static void board_debug_stop(void *context)
{
    struct fixture_board *board = context;

    board->debug_stops++;
}

static void board_serial_write(void *context, unsigned port, uint8_t byte)
{
    struct fixture_board *board = context;

    board->text[board->text_length++ % FIXTURE_TEXT_BYTES] = (char)byte;
    board->text_port = port;
}

struct pc_config fixture_config(unsigned vps)
{
    return (struct pc_config){
        .vps = vps,
        .tsc_hz = 2 * NS_PER_S,
        .apic_hz = NS_PER_S,
        .wall_clock_s = 1700000000, /* Tuesday 14 November 2023, 22:13:20 */
        .memory_below_4g_bytes = UINT64_C(512) << 20,
        .memory_above_4g_bytes = 0,
        .physical_address_bits = 40,
        .serial_ports = 0x3,
        .x2apic = true,
        .tsc_deadline = true,
        .pm_timer_is_24_bit = false,
    };
}

struct pc_hooks fixture_hooks(struct fixture_board *board)
{
    return (struct pc_hooks){
        .context = board,
        .now_ns = board_now,
        .tsc_now = board_tsc,
        .request = board_request,
        .nmi = board_nmi,
        .init = board_init,
        .sipi = board_sipi,
        .power = board_power,
        .debug_exit = board_debug_exit,
        .debug_stop = board_debug_stop,
        .serial_write = board_serial_write,
    };
}

void fixture_board_init(struct fixture_board *board, unsigned vps)
{
    const struct pc_hooks hooks = fixture_hooks(board);

    *board = (struct fixture_board){ .config = fixture_config(vps) };
    assert_int_equal(pc_init(&board->pc, &board->config, &hooks), VMMU_OK);
    pc_firmware_handover(&board->pc);
}

void fixture_pass(struct fixture_board *board, uint64_t ns)
{
    const uint64_t end = board->ns + ns;

    for (unsigned guard = 0;; guard++) {
        uint64_t due = CLOCK_NEVER;

        assert_true(guard < 1000000); /* time goes on */
        for (unsigned vp = 0; vp < board->pc.vps; vp++)
            due = clock_earlier(due, pc_deadline(&board->pc, vp));
        if (due > end)
            break;
        if (due > board->ns)
            board->ns = due;
        for (unsigned vp = 0; vp < board->pc.vps; vp++)
            pc_advance(&board->pc, vp, board->ns);
    }
    board->ns = end;
}

uint8_t fixture_in(struct fixture_board *board, uint16_t port)
{
    return (uint8_t)pc_port_read(&board->pc, 0, port, 1);
}

void fixture_out(struct fixture_board *board, uint16_t port, uint8_t value)
{
    pc_port_write(&board->pc, 0, port, 1, value);
}

uint32_t fixture_lapic_read(struct fixture_board *board, unsigned vp, uint32_t offset)
{
    uint64_t value;

    assert_true(pc_mmio_read(&board->pc, vp, (vmmu_gpa){ PC_LAPIC_ADDRESS + offset }, 4, &value));
    return (uint32_t)value;
}

void fixture_lapic_write(struct fixture_board *board, unsigned vp, uint32_t offset, uint32_t value)
{
    assert_true(pc_mmio_write(&board->pc, vp, (vmmu_gpa){ PC_LAPIC_ADDRESS + offset }, 4, value));
}

uint32_t fixture_ioapic_read(struct fixture_board *board, uint8_t number)
{
    uint64_t value;

    assert_true(pc_mmio_write(&board->pc, 0, (vmmu_gpa){ PC_IOAPIC_ADDRESS }, 4, number));
    assert_true(pc_mmio_read(&board->pc, 0, (vmmu_gpa){ PC_IOAPIC_ADDRESS + 0x10 }, 4, &value));
    return (uint32_t)value;
}

void fixture_ioapic_write(struct fixture_board *board, uint8_t number, uint32_t value)
{
    assert_true(pc_mmio_write(&board->pc, 0, (vmmu_gpa){ PC_IOAPIC_ADDRESS }, 4, number));
    assert_true(pc_mmio_write(&board->pc, 0, (vmmu_gpa){ PC_IOAPIC_ADDRESS + 0x10 }, 4, value));
}

void fixture_ioapic_pin(struct fixture_board *board, unsigned pin, uint32_t low, uint32_t high)
{
    fixture_ioapic_write(board, (uint8_t)(0x10 + 2 * pin + 1), high);
    fixture_ioapic_write(board, (uint8_t)(0x10 + 2 * pin), low);
}
