/*
 * The whole PC board: ports, memory, MSRs, lines from outside and time, in any order, by one to four VPs.
 *
 * Input: a byte of options, a byte of clock rates, then operations. The low half of an operation's first byte
 * says which; bits 5:4 are the VP, bits 7:6 the width (1, 2, 4, 8 bytes) or another choice.
 *
 * After every operation the board's invariants hold; after every step of time nobody is due any more, and time
 * went on; after everything a reset makes a board whose timer ticks.
 */
#include "hv/dev/bits.h"
#include "hv/dev/pc.h"

#include "tests/fuzz/input.h"
#include "tests/unit/dev/invariants.h"

/* So much fits into 64 bits of the fastest clock's ticks. */
#define NS_LIMIT  BIT64(58)
#define OPS_LIMIT 4000

struct world {
    struct pc pc;
    struct pc_config config;
    uint64_t ns;
    uint64_t tsc_offset[PC_VPS_MAXIMUM];
    bool requested[PC_VPS_MAXIMUM];
    uint64_t told; /* calls of the other hooks */
};

static struct world world;

/* --- hooks --- */

static uint64_t now_ns(void *context)
{
    (void)context;
    return world.ns;
}

static uint64_t tsc_now(void *context, unsigned vp)
{
    (void)context;
    FUZZ_CHECK(vp < world.config.vps);
    return clock_ticks(world.ns, world.config.tsc_hz) + world.tsc_offset[vp];
}

static void request(void *context, unsigned vp)
{
    (void)context;
    FUZZ_CHECK(vp < world.config.vps);
    world.requested[vp] = true;
}

static void tell(void *context, unsigned vp)
{
    (void)context;
    FUZZ_CHECK(vp < world.config.vps);
    world.told++;
}

static void tell_sipi(void *context, unsigned vp, uint8_t vector)
{
    (void)vector;
    tell(context, vp);
}

static void tell_power(void *context, enum pc_power what)
{
    (void)context;
    FUZZ_CHECK(what == PC_POWER_OFF || what == PC_POWER_RESET);
    world.told++;
}

static void tell_exit(void *context, uint32_t value)
{
    (void)context;
    (void)value;
    world.told++;
}

static void tell_stop(void *context)
{
    (void)context;
    world.told++;
}

static void tell_byte(void *context, unsigned port, uint8_t byte)
{
    (void)context;
    (void)byte;
    FUZZ_CHECK(port < PC_UARTS && (world.config.serial_ports >> port & 1) != 0);
    world.told++;
}

static void check_all(void)
{
    const char *broken = pc_broken_invariant(&world.pc);

    if (broken)
        fuzz_found(__FILE__, __LINE__, broken);
}

/* --- operations --- */

/* What an operation's first byte says. */
struct operation {
    unsigned kind;
    unsigned vp;
    unsigned choice; /* 0 to 3 */
    unsigned width_bytes;
};

/* Any port; most of the many numbers that nobody owns stand for one that somebody does. */
static uint16_t take_port(struct input *input)
{
    static const uint16_t bases[] = { 0x20,  0x40,  0x60,  0x70,  0x90,  0xA0,  0xF0,  0x2F8,
                                      0x2E8, 0x3E8, 0x3F8, 0x4D0, 0x600, 0x608, 0xCF8, 0xFFF8 };
    const uint16_t port = input_u16(input);

    if (port < 0x1000 || port >= 0xFFF0)
        return port;
    return (uint16_t)(bases[port >> 3 & 15] + (port & 7));
}

static void use_port(struct input *input, const struct operation *op, bool writes)
{
    const unsigned width = op->width_bytes == 8 ? 4 : op->width_bytes;
    const uint16_t port = take_port(input);

    if (writes) {
        pc_port_write(&world.pc, op->vp, port, width, (uint32_t)input_number(input, width));
    } else {
        FUZZ_CHECK(pc_port_read(&world.pc, op->vp, port, width) <= all_ones(width));
    }
}

/* An address in or near a page of registers, or anywhere below 2^52. */
static vmmu_gpa take_address(struct input *input, unsigned vp)
{
    const uint32_t raw = input_u32(input);

    switch (raw >> 28) {
    case 0: return (vmmu_gpa){ input_u64(input) & BITS64(51, 0) };
    case 1:
    case 2: return (vmmu_gpa){ (pc_lapic(&world.pc, vp)->page & BITS64(51, 12)) + (raw & 0xFFF) };
    case 3: return (vmmu_gpa){ PC_IOAPIC_ADDRESS + (raw & 0x1FFF) };
    default: return (vmmu_gpa){ raw };
    }
}

static void use_memory(struct input *input, const struct operation *op, bool writes)
{
    const vmmu_gpa at = take_address(input, op->vp);
    uint64_t value = 0;

    if (writes) {
        (void)pc_mmio_write(&world.pc, op->vp, at, op->width_bytes, input_number(input, op->width_bytes));
    } else if (pc_mmio_read(&world.pc, op->vp, at, op->width_bytes, &value)) {
        FUZZ_CHECK(value <= all_ones(op->width_bytes));
    } else {
        FUZZ_CHECK(value == all_ones(op->width_bytes));
    }
}

/* A register of the VP's own local APIC, if it answers by memory at all. */
static void use_lapic(struct input *input, const struct operation *op, bool writes)
{
    const uint64_t page = pc_lapic(&world.pc, op->vp)->page;
    const vmmu_gpa at = { page + UINT64_C(16) * (input_u8(input) % 0x48) };
    uint64_t value = 0;

    if (writes)
        value = input_u32(input);
    if (page == LAPIC_NO_PAGE)
        return;
    if (writes) {
        FUZZ_CHECK(pc_mmio_write(&world.pc, op->vp, at, 4, value));
    } else {
        FUZZ_CHECK(pc_mmio_read(&world.pc, op->vp, at, 4, &value) && value <= UINT32_MAX);
    }
}

static void use_ioapic(struct input *input, const struct operation *op, bool writes)
{
    const vmmu_gpa index = { PC_IOAPIC_ADDRESS };
    const vmmu_gpa window = { PC_IOAPIC_ADDRESS + 0x10 };
    uint64_t value;

    (void)pc_mmio_write(&world.pc, op->vp, index, 4, input_u8(input));
    if (writes) {
        (void)pc_mmio_write(&world.pc, op->vp, window, 4, input_u32(input));
    } else if (pc_mmio_read(&world.pc, op->vp, window, 4, &value)) {
        FUZZ_CHECK(value <= UINT32_MAX);
    }
}

/* An MSR by a byte: those of x2APIC by their number; 0xFE the base, 0xFF the deadline, relative to now. */
static void use_msr(struct input *input, const struct operation *op, bool writes)
{
    struct lapic *lapic = pc_lapic(&world.pc, op->vp);
    const uint8_t number = input_u8(input);
    uint32_t msr = MSR_X2APIC_FIRST + number;
    uint64_t value = writes ? input_number(input, 8) : 0;
    const uint64_t before = lapic->base;

    if (number == 0xFE) {
        msr = MSR_IA32_APIC_BASE;
    } else if (number == 0xFF) {
        msr = MSR_IA32_TSC_DEADLINE;
        value += op->choice == 0 ? 0 : tsc_now(NULL, op->vp);
    }
    if (!writes) {
        (void)!lapic_msr_read(lapic, msr, &value);
    } else if (!lapic_msr_write(lapic, msr, value)) {
        FUZZ_CHECK(lapic->base == before);
    }
}

static void accept(struct input *input, const struct operation *op)
{
    const int expected = pc_interrupt_pending(&world.pc, op->vp);
    const int vector = pc_interrupt_accept(&world.pc, op->vp);

    (void)input;
    FUZZ_CHECK(vector == expected && vector < 256);
    if ((op->choice & 1) != 0)
        lapic_eoi(pc_lapic(&world.pc, op->vp));
    if ((op->choice & 2) != 0) {
        pc_port_write(&world.pc, op->vp, 0xA0, 1, 0x20);
        pc_port_write(&world.pc, op->vp, 0x20, 1, 0x20);
    }
}

static uint64_t next_deadline(void)
{
    uint64_t due = CLOCK_NEVER;

    for (unsigned vp = 0; vp < world.pc.vps; vp++)
        due = clock_earlier(due, pc_deadline(&world.pc, vp));
    return due;
}

static void advance_all(void)
{
    for (unsigned vp = 0; vp < world.pc.vps; vp++)
        pc_advance(&world.pc, vp, world.ns);
    FUZZ_CHECK(next_deadline() > world.ns);
}

/*
 * Time passes. Each deadline is met at its own moment, a few dozen times at most: the rest passes at once, as it
 * does for a VP that was not run. A device that wants to be woken more often than every half microsecond would
 * leave no time for its guest.
 */
static void pass_time(struct input *input, const struct operation *op)
{
    const uint64_t mantissa = input_u8(input);
    const uint64_t step = mantissa << input_u8(input) % 50;
    const uint64_t end = world.ns + step > NS_LIMIT ? world.ns : world.ns + step;
    const uint64_t start = world.ns;
    uint64_t wakes = 0;

    advance_all();
    while (op->choice != 0 && wakes < 40 && next_deadline() <= end) {
        world.ns = next_deadline();
        advance_all();
        wakes++;
    }
    FUZZ_CHECK(wakes <= 24 + (world.ns - start) / 500);
    world.ns = end;
    advance_all();
}

static void outside(struct input *input, const struct operation *op)
{
    const uint8_t what = input_u8(input);
    struct lapic *lapic = pc_lapic(&world.pc, op->vp);

    switch (what % 8) {
    case 0: pc_nmi_button(&world.pc); break;
    case 1: pc_power_button(&world.pc); break;
    case 2: (void)!pc_serial_break(&world.pc, what >> 3 & 7); break;
    case 3: lapic_local_event(lapic, LAPIC_LVT_THERMAL); break;
    case 4: lapic_local_event(lapic, LAPIC_LVT_PERFORMANCE); break;
    case 5:
        lapic_advance(lapic, world.ns);
        world.tsc_offset[op->vp] = input_u64(input);
        lapic_tsc_changed(lapic);
        break;
    default: (void)!pc_serial_receive(&world.pc, op->choice, what); break;
    }
}

static void use_assist(struct input *input, const struct operation *op)
{
    struct lapic *lapic = pc_lapic(&world.pc, op->vp);
    const uint8_t value = input_u8(input);

    switch (op->choice) {
    case 0:
        lapic_cr8_write(lapic, value & 15);
        FUZZ_CHECK(lapic_cr8_read(lapic) == (value & 15));
        break;
    case 1: lapic_eoi(lapic); break;
    case 2: FUZZ_CHECK(lapic_assist_begin(lapic) == lapic_eoi_is_trivial(lapic)); break;
    default: lapic_assist_end(lapic, (value & 1) != 0 && lapic_eoi_is_trivial(lapic)); break;
    }
}

static void restart(struct input *input, const struct operation *op)
{
    struct lapic *lapic = pc_lapic(&world.pc, op->vp);

    switch (op->choice) {
    case 0: pc_reset(&world.pc); break;
    case 1:
        pc_reset(&world.pc);
        pc_firmware_handover(&world.pc);
        break;
    case 2:
        if (!lapic->enabled)
            FUZZ_CHECK(lapic_msr_write(lapic, MSR_IA32_APIC_BASE, LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE));
        if (!lapic->x2apic_mode) {
            lapic_mmio_write(lapic, 0xF0, 4, 0x1FF);
        } else {
            FUZZ_CHECK(lapic_msr_write(lapic, 0x80F, 0x1FF));
        }
        break;
    default: lapic_icr_write(lapic, 0x44000 | (16 + input_u8(input) % 240)); break; /* to itself */
    }
}

static void run(struct input *input, const struct operation *op)
{
    switch (op->kind) {
    case 0: use_port(input, op, true); break;
    case 1: use_port(input, op, false); break;
    case 2: use_lapic(input, op, true); break;
    case 3: use_lapic(input, op, false); break;
    case 4: use_memory(input, op, true); break;
    case 5: use_memory(input, op, false); break;
    case 6: use_ioapic(input, op, true); break;
    case 7: use_ioapic(input, op, false); break;
    case 8: use_msr(input, op, true); break;
    case 9: use_msr(input, op, false); break;
    case 10: pass_time(input, op); break;
    case 11: accept(input, op); break;
    case 12: outside(input, op); break;
    case 13: use_assist(input, op); break;
    case 14: restart(input, op); break;
    default: lapic_icr_write(pc_lapic(&world.pc, op->vp), input_u64(input)); break;
    }
}

/* One operation, after which a VP that has something new to take has been told of it. */
static void step(struct input *input)
{
    const uint8_t first = input_u8(input);
    const struct operation op = { first & 15, (first >> 4 & 3) % world.pc.vps, first >> 6,
                                  1U << (first >> 6) };
    bool had[PC_VPS_MAXIMUM] = { false };

    for (unsigned vp = 0; vp < world.pc.vps; vp++) {
        had[vp] = world.pc.lapics[vp].ready != LAPIC_READY_NONE;
        world.requested[vp] = false;
    }
    run(input, &op);
    for (unsigned vp = 0; vp < world.pc.vps; vp++) {
        if (!had[vp] && world.pc.lapics[vp].ready != LAPIC_READY_NONE)
            FUZZ_CHECK(world.requested[vp]);
    }
    check_all();
}

/* --- the whole --- */

static void start(struct input *input)
{
    static const uint64_t rates[] = { 1000000000, 1,         2000000000, CLOCK_HZ_MAXIMUM,
                                      3579545,    999999937, 32768,      7 };
    const struct pc_hooks hooks = { .now_ns = now_ns,
                                    .tsc_now = tsc_now,
                                    .request = request,
                                    .nmi = tell,
                                    .init = tell,
                                    .sipi = tell_sipi,
                                    .power = tell_power,
                                    .debug_exit = tell_exit,
                                    .debug_stop = tell_stop,
                                    .serial_write = tell_byte };
    const uint8_t options = input_u8(input);
    const uint8_t clocks = input_u8(input);

    world = (struct world){ .config = { .vps = 1 + (options & 3),
                                        .tsc_hz = rates[clocks & 7],
                                        .apic_hz = rates[clocks >> 3 & 7],
                                        .wall_clock_s = UINT64_C(1700000000) << (clocks >> 6),
                                        .memory_below_4g_bytes = UINT64_C(512) << 20,
                                        .physical_address_bits = (options & 0x80) != 0 ? 52 : 36,
                                        .serial_ports = (options & 0x40) != 0 ? 0x3 : 0xF,
                                        .x2apic = (options & 4) == 0,
                                        .tsc_deadline = (options & 8) == 0,
                                        .pm_timer_is_24_bit = (options & 16) != 0 } };
    FUZZ_CHECK(pc_init(&world.pc, &world.config, &hooks) == VMMU_OK);
    if ((options & 32) == 0)
        pc_firmware_handover(&world.pc);
    check_all();
}

/* After whatever happened, a reset makes a board whose timer ticks. */
static void check_that_a_reset_mends_everything(void)
{
    const struct operation op = { .choice = 1 };
    struct input tick = input_of((const uint8_t[]){ 60, 20 }, 2);

    pc_reset(&world.pc);
    pc_firmware_handover(&world.pc);
    pc_port_write(&world.pc, 0, 0x21, 1, 0xFE);
    if (world.ns > NS_LIMIT / 2)
        return;
    pass_time(&tick, &op);
    FUZZ_CHECK(pc_interrupt_accept(&world.pc, 0) == 0x08);
    check_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct dev_counter counter;

    start(&input);
    for (unsigned i = 0; i < OPS_LIMIT && input_more(&input); i++)
        step(&input);
    for (unsigned i = 0; pc_counter(&world.pc, i, &counter); i++)
        FUZZ_CHECK(counter.device != NULL && counter.name != NULL);
    check_that_a_reset_mends_everything();
    return 0;
}
