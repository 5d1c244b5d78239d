/* The rig of the MPIC and of the e500 board. */
#include "tests/unit/dev/mpic_rig.h"

#include "tests/unit/test.h"

#define CLAMP(port) ((port) % 64)

static uint64_t rig_now(void *context)
{
    const struct mpic_rig *rig = context;

    return rig->ns;
}

static void rig_output(void *context, unsigned vp, enum mpic_output output, bool high)
{
    struct mpic_rig *rig = context;

    EXPECT(rig->high[vp][output] != high); /* changes only */
    rig->high[vp][output] = high;
    rig->rises[vp][output] += high;
}

static void rig_core_reset(void *context, unsigned vp)
{
    struct mpic_rig *rig = context;

    rig->core_resets[vp]++;
}

void mpic_rig_open(struct mpic_rig *rig, unsigned vps)
{
    const struct mpic_wires wires = {
        .context = rig,
        .clock = { .now_ns = rig_now, .context = rig },
        .output = rig_output,
        .core_reset = rig_core_reset,
        .clock_hz = MPIC_RIG_HZ,
        .vps = vps,
        .driven = 0xFFF,
    };

    *rig = (struct mpic_rig){ 0 };
    mpic_init(&rig->mpic, &wires);
}

uint32_t mpic_rig_get_by(struct mpic_rig *rig, unsigned vp, uint32_t offset)
{
    return mpic_read(&rig->mpic, vp, offset, 4);
}

void mpic_rig_put_by(struct mpic_rig *rig, unsigned vp, uint32_t offset, uint32_t value)
{
    mpic_write(&rig->mpic, vp, offset, 4, value);
}

uint32_t mpic_rig_get(struct mpic_rig *rig, uint32_t offset)
{
    return mpic_rig_get_by(rig, 0, offset);
}

void mpic_rig_put(struct mpic_rig *rig, uint32_t offset, uint32_t value)
{
    mpic_rig_put_by(rig, 0, offset, value);
}

void mpic_rig_pass(struct mpic_rig *rig, uint64_t ns)
{
    const uint64_t end = rig->ns + ns;

    while (rig->mpic.due_ns <= end) {
        rig->ns = rig->mpic.due_ns;
        mpic_advance(&rig->mpic);
    }
    rig->ns = end;
    mpic_advance(&rig->mpic);
}

/* --- the board --- */

static uint64_t board_now(void *context)
{
    const struct e500_rig *rig = context;

    return rig->ns;
}

static void board_request(void *context, unsigned vp)
{
    struct e500_rig *rig = context;

    rig->requests[vp]++;
}

static void board_core_reset(void *context, unsigned vp)
{
    struct e500_rig *rig = context;

    rig->core_resets[vp]++;
}

static void board_power(void *context, enum e500_power what)
{
    struct e500_rig *rig = context;

    rig->power_offs += what == E500_POWER_OFF;
    rig->resets += what == E500_POWER_RESET;
}

static void board_debug_exit(void *context, uint32_t value)
{
    struct e500_rig *rig = context;

    rig->debug_exits++;
    rig->debug_value = value;
}

static void board_serial_write(void *context, unsigned port, uint8_t byte)
{
    struct e500_rig *rig = context;

    rig->text[CLAMP(rig->text_length++)] = (char)byte;
    rig->text_port = port;
}

struct e500_config e500_rig_config(unsigned vps)
{
    return (struct e500_config){
        .vps = vps,
        .platform_hz = MPIC_RIG_HZ,
        .pvr = 0x80210022,
        .svr = 0x80340112,
        .serial_ports = 0xF,
    };
}

struct e500_hooks e500_rig_hooks(struct e500_rig *rig)
{
    return (struct e500_hooks){
        .context = rig,
        .now_ns = board_now,
        .request = board_request,
        .core_reset = board_core_reset,
        .power = board_power,
        .debug_exit = board_debug_exit,
        .serial_write = board_serial_write,
    };
}

void e500_rig_open(struct e500_rig *rig, unsigned vps)
{
    const struct e500_config config = e500_rig_config(vps);
    struct e500_hooks hooks;

    *rig = (struct e500_rig){ 0 };
    hooks = e500_rig_hooks(rig);
    EXPECT_EQ(e500_init(&rig->board, &config, &hooks), VMMU_OK);
}

uint32_t e500_rig_get(struct e500_rig *rig, uint32_t offset, unsigned width_bytes)
{
    uint32_t value;

    EXPECT(e500_mmio_read(&rig->board, 0, (vmmu_gpa){ E500_CCSR + offset }, width_bytes, &value));
    return value;
}

void e500_rig_put(struct e500_rig *rig, uint32_t offset, unsigned width_bytes, uint32_t value)
{
    EXPECT(e500_mmio_write(&rig->board, 0, (vmmu_gpa){ E500_CCSR + offset }, width_bytes, value));
}
