/*
 * The board of an e500 machine under a hostile guest: registers of all devices at any width, inputs, bytes that come in, time.
 *
 * Input: a byte with the number of VPs, one with the serial ports, then operations of a byte and their values. After each the
 * MPIC's invariants hold, the deadline is the earliest of the devices', and who was interrupted has been told.
 */
#include "hv/dev/e500.h"

#include "tests/fuzz/input.h"
#include "tests/unit/dev/mpic_rig.h"

#define OPS      2000
#define NS_LIMIT (UINT64_C(1) << 58)

/* The guest's side of the board. */
struct scene {
    struct e500 board;
    uint64_t ns;
    bool pending[E500_VPS_MAXIMUM][2]; /* what was up before the operation */
    unsigned requests[E500_VPS_MAXIMUM];
    unsigned core_resets;
    unsigned powers;
    unsigned debug_exits;
    unsigned bytes;
    unsigned received;
};

static struct scene scene;

static uint64_t now_ns(void *context)
{
    const struct scene *s = context;

    return s->ns;
}

static void request(void *context, unsigned vp)
{
    struct scene *s = context;

    FUZZ_CHECK(vp < s->board.config.vps);
    s->requests[vp]++;
}

static void core_reset(void *context, unsigned vp)
{
    struct scene *s = context;

    FUZZ_CHECK(vp < s->board.config.vps);
    s->core_resets++;
}

static void power(void *context, enum e500_power what)
{
    struct scene *s = context;

    FUZZ_CHECK(what == E500_POWER_OFF || what == E500_POWER_RESET);
    s->powers++;
}

static void debug_exit(void *context, uint32_t value)
{
    struct scene *s = context;

    (void)value;
    s->debug_exits++;
}

static void serial_write(void *context, unsigned port, uint8_t byte)
{
    struct scene *s = context;

    (void)byte;
    FUZZ_CHECK(port < E500_UARTS && (s->board.config.serial_ports >> port & 1) != 0);
    s->bytes++;
}

static void open(struct input *input)
{
    const struct e500_config config = {
        .vps = 1 + input_below(input, E500_VPS_MAXIMUM),
        .platform_hz = 400000000,
        .pvr = 0x80210022,
        .serial_ports = input_u8(input) & 0xF,
    };
    const struct e500_hooks hooks = {
        .context = &scene,
        .now_ns = now_ns,
        .request = request,
        .core_reset = core_reset,
        .power = power,
        .debug_exit = debug_exit,
        .serial_write = serial_write,
    };

    scene = (struct scene){ 0 };
    FUZZ_CHECK(e500_init(&scene.board, &config, &hooks) == VMMU_OK);
}

/* --- where --- */

/* Offsets of the CCSR that something is at, by a byte that chooses and one that says which of many. */
static uint32_t some_register(struct input *input)
{
    static const uint32_t globals[] = { 0x40000, 0x41000, 0x41020, 0x41090, 0x410A0, 0x410B0,
                                        0x410E0, 0x410F0, 0x41300, 0x43910, 0xE00A0, 0xE00B0,
                                        0xFF000, 0xFF008, 0xFF00C, 0xF4000 };
    const uint8_t which = input_u8(input);
    const uint32_t number = input_u8(input);

    switch (which & 7) {
    case 0: return globals[number % 16];
    case 1: return 0x50000 + number * 0x20;
    case 2: return 0x50010 + number * 0x20;
    case 3: return 0x50018 + number * 0x20;
    case 4: return 0x41100 + (number & 0xF) * 0x10 + (number >> 4 & 1) * 0x1000;
    case 5: return 0x40040 + (number & 7) * 0x10;
    case 6: return 0x60040 + (number & 7) * 0x10 + (number >> 4 & 7) * 0x1000;
    default: return 0x4500 + (number >> 4 & 3) * 0x100 + (number & 7);
    }
}

static vmmu_gpa any_address(struct input *input)
{
    const uint64_t raw = input_u64(input);

    return (vmmu_gpa){ (raw & 1) != 0 ? raw : E500_CCSR + (raw >> 8 & 0x1FFFFF) };
}

/* --- operations --- */

static void access(struct input *input, unsigned vp, bool write)
{
    const uint32_t offset = some_register(input);
    const vmmu_gpa gpa = { E500_CCSR + offset };
    const unsigned width = offset >= 0x40000 ? 4 : 1;
    uint32_t value = input_u8(input);

    if (write) {
        value = (value & 1) != 0 ? input_u32(input) : value << 16 | input_u8(input);
        (void)e500_mmio_write(&scene.board, vp, gpa, width, value);
    } else {
        (void)e500_mmio_read(&scene.board, vp, gpa, width, &value);
        FUZZ_CHECK(width == 4 || value <= 0xFF);
    }
}

static void odd_access(struct input *input, unsigned vp)
{
    const vmmu_gpa gpa = any_address(input);
    const uint8_t how = input_u8(input);
    const unsigned width = (how >> 1) % 9;
    uint32_t value = UINT32_MAX;

    if ((how & 1) != 0) {
        (void)e500_mmio_write(&scene.board, vp, gpa, width, input_u32(input));
    } else if (!e500_mmio_read(&scene.board, vp, gpa, width, &value)) {
        FUZZ_CHECK(value == 0);
    } else {
        FUZZ_CHECK(gpa.v - E500_CCSR < E500_CCSR_BYTES && (width == 4 || value >> (8 * width) == 0));
    }
}

static void pass(struct input *input)
{
    const uint64_t mantissa = input_u8(input);
    const uint64_t end = scene.ns + (mantissa << input_u8(input) % 50);
    const uint64_t due = e500_deadline(&scene.board);

    if (end > NS_LIMIT)
        return;
    scene.ns = due <= end && due > scene.ns ? due : end;
    e500_advance(&scene.board, scene.ns);
    FUZZ_CHECK(e500_deadline(&scene.board) > scene.ns);
}

/* What is taken is in service, and no longer pending unless something higher is. */
static void take(unsigned vp)
{
    const struct mpic *mpic = &scene.board.mpic;
    const bool pending = e500_external_is_pending(&scene.board, vp);
    const uint64_t spurious = mpic->counters.spurious;
    uint32_t epr = 0;

    if (e500_take_external(&scene.board, vp, &epr)) {
        FUZZ_CHECK((mpic->counters.spurious == spurious) == pending);
        FUZZ_CHECK(!e500_external_is_pending(&scene.board, vp));
        FUZZ_CHECK(epr <= 0xFFFF);
    }
}

static void input_level(struct input *input)
{
    const unsigned source = input_u8(input);
    const bool high = input_flag(input);

    if (source != E500_IRQ_COM1_COM2 && source != E500_IRQ_COM3_COM4)
        mpic_set_input(&scene.board.mpic, source, high);
}

static void operate(struct input *input)
{
    const uint8_t first = input_u8(input);
    const unsigned vp = (first >> 4) % scene.board.config.vps;

    switch (first & 7) {
    case 0:
    case 1: access(input, vp, true); break;
    case 2: access(input, vp, false); break;
    case 3: pass(input); break;
    case 4: input_level(input); break;
    case 5: take(vp); break;
    case 6:
        if ((first & 8) != 0) {
            scene.received += e500_serial_break(&scene.board, first >> 4);
        } else {
            scene.received += e500_serial_receive(&scene.board, first >> 4, input_u8(input));
        }
        break;
    default:
        if ((first & 8) != 0) {
            odd_access(input, vp);
        } else if (first == 0xF7) {
            e500_reset(&scene.board);
        }
        break;
    }
}

/* --- what holds --- */

static void check_pending(void)
{
    for (unsigned vp = 0; vp < scene.board.config.vps; vp++) {
        const bool now[2] = { e500_external_is_pending(&scene.board, vp),
                              e500_critical_is_pending(&scene.board, vp) };

        FUZZ_CHECK(scene.requests[vp] != 0 ||
                   (now[0] <= scene.pending[vp][0] && now[1] <= scene.pending[vp][1]));
        memcpy(scene.pending[vp], now, sizeof(now));
        scene.requests[vp] = 0;
    }
}

static void check(void)
{
    uint64_t due = scene.board.mpic.due_ns;

    for (unsigned i = 0; i < E500_UARTS; i++)
        due = clock_earlier(due, scene.board.uarts[i].due_ns);
    FUZZ_CHECK(e500_deadline(&scene.board) == due);
    FUZZ_CHECK(mpic_broken_invariant(&scene.board.mpic) == NULL);
    check_pending();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct dev_counter counter;
    unsigned index = 0;

    open(&input);
    for (unsigned i = 0; i < OPS && input_more(&input); i++) {
        operate(&input);
        check();
    }
    while (e500_counter(&scene.board, index, &counter))
        index++;
    FUZZ_CHECK(index == 2 * scene.board.config.vps + 44);
    return 0;
}
