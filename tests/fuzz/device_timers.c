/*
 * Runs of the timed devices, each against a twin that is left alone.
 */
#include "hv/dev/acpi_pm.h"
#include "hv/dev/lapic.h"
#include "hv/dev/pit.h"
#include "hv/dev/pit_counter.h"
#include "hv/dev/rtc.h"

#include "tests/fuzz/device.h"

/* --- 8254 --- */

#define RISE_WINDOW 96

struct pit_twins {
    struct pit woken;
    struct pit alone;
};

/* The rise that a counter promises is the first that its output shows. */
static void check_rise(const struct pit_counter *counter, uint64_t tick)
{
    const uint64_t promised = pit_counter_next_rise(counter, tick);
    bool before = pit_counter_out(counter, tick);

    for (uint64_t at = tick + 1; at <= tick + RISE_WINDOW; at++) {
        const bool now = pit_counter_out(counter, at);

        if (now && !before) {
            FUZZ_CHECK(promised == at);
            return;
        }
        before = now;
    }
    FUZZ_CHECK(promised > tick + RISE_WINDOW);
}

static void pit_pass(struct pit_twins *twins, uint64_t end)
{
    for (unsigned i = 0; i < DEVICE_WAKES && twins->woken.due_ns <= end; i++) {
        device_ns = twins->woken.due_ns;
        pit_advance(&twins->woken);
        FUZZ_CHECK(twins->woken.due_ns > device_ns);
    }
    device_ns = end;
}

static void pit_operate(struct pit_twins *twins, struct input *input)
{
    const uint8_t first = input_u8(input);
    uint8_t value;

    switch (first & 7) {
    case 0:
    case 1:
        value = input_u8(input);
        pit_write(&twins->woken, first >> 3 & 3, value);
        pit_write(&twins->alone, first >> 3 & 3, value);
        break;
    case 2:
    case 3:
        value = pit_read(&twins->woken, first >> 3 & 3);
        FUZZ_CHECK(value == pit_read(&twins->alone, first >> 3 & 3));
        break;
    case 4: pit_pass(twins, device_step(input)); break;
    case 5:
        pit_gate2(&twins->woken, (first & 8) != 0);
        pit_gate2(&twins->alone, (first & 8) != 0);
        break;
    case 6: pit_watch(&twins->woken, (first & 8) != 0); break;
    default: device_ns += first >> 3; break; /* a few nanoseconds: part of a tick */
    }
}

static void pit_compare(struct pit_twins *twins)
{
    pit_advance(&twins->woken);
    FUZZ_CHECK(twins->woken.due_ns > device_ns);
    FUZZ_CHECK(pit_out2(&twins->woken) == pit_out2(&twins->alone));
    for (unsigned i = 0; i < PIT_COUNTERS; i++) {
        const uint64_t tick = twins->woken.seen_tick;

        FUZZ_CHECK(pit_counter_out(&twins->woken.counters[i], tick) ==
                   pit_counter_out(&twins->alone.counters[i], tick));
        check_rise(&twins->woken.counters[i], tick);
    }
}

void device_run_pit(struct input *input)
{
    const struct dev_clock clock = device_clock();
    const struct dev_line line = device_line();
    struct pit_twins twins;

    pit_init(&twins.woken, &clock, &line);
    pit_init(&twins.alone, &clock, &line);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        pit_operate(&twins, input);
        pit_compare(&twins);
    }
}

/* --- MC146818A --- */

struct rtc_twins {
    struct rtc woken;
    struct rtc alone;
};

static void rtc_pass(struct rtc_twins *twins, uint64_t end)
{
    for (unsigned i = 0; i < DEVICE_WAKES && twins->woken.due_ns <= end; i++) {
        device_ns = twins->woken.due_ns;
        rtc_advance(&twins->woken);
        FUZZ_CHECK(twins->woken.due_ns > device_ns);
        FUZZ_CHECK(twins->woken.irq8.high || twins->woken.due_ns != CLOCK_NEVER);
    }
    device_ns = end;
}

static void rtc_operate(struct rtc_twins *twins, struct input *input)
{
    const uint8_t first = input_u8(input);
    uint8_t value;

    switch (first & 7) {
    case 0:
    case 1:
        value = input_u8(input);
        rtc_write(&twins->woken, 0, first >> 3);
        rtc_write(&twins->alone, 0, first >> 3);
        rtc_write(&twins->woken, 1, value);
        rtc_write(&twins->alone, 1, value);
        break;
    case 2:
    case 3:
        rtc_write(&twins->woken, 0, first >> 3);
        rtc_write(&twins->alone, 0, first >> 3);
        value = rtc_read(&twins->woken, 1);
        FUZZ_CHECK(value == rtc_read(&twins->alone, 1));
        break;
    case 4:
    case 5: rtc_pass(twins, device_step(input)); break;
    case 6: rtc_advance(&twins->woken); break;
    default:
        value = input_u8(input);
        for (unsigned port = 0; port < 2; port++) {
            rtc_write(&twins->woken, port, port == 0 ? value : first);
            rtc_write(&twins->alone, port, port == 0 ? value : first);
        }
        break;
    }
}

static void rtc_compare(struct rtc_twins twins)
{
    rtc_advance(&twins.woken);
    rtc_advance(&twins.alone);
    FUZZ_CHECK(memcmp(twins.woken.bytes, twins.alone.bytes, sizeof(twins.woken.bytes)) == 0);
    FUZZ_CHECK(twins.woken.irq8.high == twins.alone.irq8.high);
    FUZZ_CHECK(twins.woken.due_ns == twins.alone.due_ns && twins.woken.due_ns > device_ns);
}

void device_run_rtc(struct input *input)
{
    const struct dev_clock clock = device_clock();
    const struct dev_line line = device_line();
    const uint64_t wall_clock_s = input_u64(input) >> (input_u8(input) & 63);
    struct rtc_twins twins;

    rtc_init(&twins.woken, &clock, &line, wall_clock_s);
    rtc_init(&twins.alone, &clock, &line, wall_clock_s);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        rtc_operate(&twins, input);
        rtc_compare(twins);
    }
}

/* --- ACPI --- */

struct acpi_twins {
    struct acpi_pm woken;
    struct acpi_pm alone;
};

static void ignore_power_off(void *context)
{
    (void)context;
}

static void acpi_operate(struct acpi_twins *twins, struct input *input)
{
    const uint8_t first = input_u8(input);
    const unsigned width = 1U << (first >> 3 & 3) % 3;
    const unsigned offset = first >> 5;
    uint32_t value;
    uint64_t end;

    switch (first & 7) {
    case 0:
    case 1:
        value = (uint32_t)input_number(input, width);
        acpi_pm_write(&twins->woken, offset, width, value);
        acpi_pm_write(&twins->alone, offset, width, value);
        break;
    case 2:
        value = acpi_pm_read(&twins->woken, offset + 4, width);
        FUZZ_CHECK(value <= all_ones(width));
        FUZZ_CHECK(value == acpi_pm_read(&twins->alone, offset + 4, width));
        break;
    case 3:
        value = acpi_pm_read(&twins->woken, offset, width);
        FUZZ_CHECK(value == acpi_pm_read(&twins->alone, offset, width));
        break;
    case 4:
        acpi_pm_power_button(&twins->woken);
        acpi_pm_power_button(&twins->alone);
        break;
    case 5: acpi_pm_advance(&twins->woken); break;
    default:
        end = device_step(input);
        for (unsigned i = 0; i < DEVICE_WAKES && twins->woken.due_ns <= end; i++) {
            device_ns = twins->woken.due_ns;
            acpi_pm_advance(&twins->woken);
            FUZZ_CHECK(twins->woken.due_ns > device_ns && (twins->woken.status & 1) != 0);
        }
        device_ns = end;
        break;
    }
}

void device_run_acpi(struct input *input)
{
    const struct acpi_pm_wires wires = { .sci = device_line(),
                                         .clock = device_clock(),
                                         .power_off = ignore_power_off,
                                         .timer_is_24_bit = input_flag(input) };
    struct acpi_twins twins;

    acpi_pm_init(&twins.woken, &wires);
    acpi_pm_init(&twins.alone, &wires);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        struct acpi_twins copy;

        acpi_operate(&twins, input);
        copy = twins;
        acpi_pm_advance(&copy.woken);
        acpi_pm_advance(&copy.alone);
        FUZZ_CHECK(copy.woken.status == copy.alone.status && copy.woken.sci.high == copy.alone.sci.high);
        FUZZ_CHECK(copy.woken.due_ns == copy.alone.due_ns && copy.woken.due_ns > device_ns);
    }
}

/* --- the local APIC's timer --- */

struct apic_twins {
    struct lapic woken;
    struct lapic alone;
    struct lapic_wires wires;
    uint64_t tsc_hz;
    uint64_t tsc_offset;
};

static struct apic_twins apics;

static uint64_t apic_now(void *context)
{
    (void)context;
    return device_ns;
}

static uint64_t apic_tsc(void *context, unsigned vp)
{
    (void)context;
    (void)vp;
    return clock_ticks(device_ns, apics.tsc_hz) + apics.tsc_offset;
}

static void apic_tell(void *context, unsigned vp)
{
    (void)context;
    FUZZ_CHECK(vp == 0);
}

static void apic_send(void *context, unsigned vp, const struct apic_message *message)
{
    (void)context;
    FUZZ_CHECK(vp == 0 && message != NULL);
}

static void apic_nothing(void *context)
{
    (void)context;
}

/* Bring a timer to now, by the registers that show it. */
static void apic_settle(struct lapic *lapic)
{
    uint64_t deadline = 0;

    (void)lapic_mmio_read(lapic, 0x390, 4);
    FUZZ_CHECK(lapic_msr_read(lapic, MSR_IA32_TSC_DEADLINE, &deadline));
    FUZZ_CHECK(deadline == 0 || deadline > apic_tsc(NULL, 0));
}

static void apic_pass(uint64_t end)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < DEVICE_WAKES && apics.woken.due_ns <= end; i++) {
        /* What was due before it was seen may come at once; after that, two microseconds apart. */
        FUZZ_CHECK(i < 2 || apics.woken.due_ns >= last + 2000);
        last = device_ns =
            clock_earlier(end, apics.woken.due_ns < device_ns ? device_ns : apics.woken.due_ns);
        lapic_advance(&apics.woken, device_ns);
        FUZZ_CHECK(apics.woken.due_ns > device_ns);
    }
    device_ns = end;
}

/*
 * A write of a register. The error registers and the accepted interrupt are the only ones that show whether a timer
 * that nobody has looked at fired before or after: there both are brought to now first, as the board does.
 */
static void apic_write(uint8_t number, uint32_t value)
{
    static const uint16_t offsets[] = { 0x320, 0x380, 0x3E0, 0x0F0, 0x080, 0x0B0, 0x280, 0x370 };

    if ((number & 7) >= 6) {
        apic_settle(&apics.woken);
        apic_settle(&apics.alone);
    }
    lapic_mmio_write(&apics.woken, offsets[number & 7], 4, value);
    lapic_mmio_write(&apics.alone, offsets[number & 7], 4, value);
}

static void apic_accept(void)
{
    apic_settle(&apics.woken);
    apic_settle(&apics.alone);
    FUZZ_CHECK(apics.woken.ready == apics.alone.ready);
    if (apics.woken.ready >= 0)
        FUZZ_CHECK(lapic_accept(&apics.woken) == lapic_accept(&apics.alone));
}

static void apic_operate(struct input *input)
{
    const uint8_t first = input_u8(input);
    uint64_t value;

    switch (first & 7) {
    case 0:
    case 1: apic_write(first >> 3, input_u32(input)); break;
    case 2:
        value = lapic_mmio_read(&apics.woken, 0x390, 4);
        FUZZ_CHECK(value == lapic_mmio_read(&apics.alone, 0x390, 4));
        FUZZ_CHECK(value <= apics.woken.timer.initial_count);
        break;
    case 3:
        value = (first & 8) != 0 ? input_u64(input) : apic_tsc(NULL, 0) + input_u32(input);
        FUZZ_CHECK(lapic_msr_write(&apics.woken, MSR_IA32_TSC_DEADLINE, value));
        FUZZ_CHECK(lapic_msr_write(&apics.alone, MSR_IA32_TSC_DEADLINE, value));
        break;
    case 4:
        lapic_advance(&apics.woken, device_ns);
        lapic_advance(&apics.alone, device_ns);
        apics.tsc_offset = (first & 8) != 0 ? input_u64(input) : apics.tsc_offset - input_u32(input);
        apics.tsc_offset &= BITS64(61, 0); /* so that the counter does not turn over */
        lapic_tsc_changed(&apics.woken);
        lapic_tsc_changed(&apics.alone);
        break;
    case 5: apic_accept(); break;
    case 6: lapic_advance(&apics.woken, device_ns); break;
    default: apic_pass(device_step(input)); break;
    }
}

/* What both show when they are looked at; in copies, so that nobody has looked. */
static void apic_compare(struct lapic woken, struct lapic alone)
{
    apic_settle(&woken);
    apic_settle(&alone);
    FUZZ_CHECK(memcmp(&woken.irr, &alone.irr, sizeof(woken.irr)) == 0);
    FUZZ_CHECK(memcmp(&woken.isr, &alone.isr, sizeof(woken.isr)) == 0);
    FUZZ_CHECK(woken.ready == alone.ready);
    FUZZ_CHECK(woken.esr_pending == alone.esr_pending && woken.esr == alone.esr);
    FUZZ_CHECK(woken.timer.running == alone.timer.running);
    FUZZ_CHECK(woken.timer.deadline == alone.timer.deadline);
    FUZZ_CHECK(woken.timer.initial_count == alone.timer.initial_count);
}

void device_run_apic_timer(struct input *input)
{
    static const uint64_t rates[] = { 1000000000, 1,         2000000000, CLOCK_HZ_MAXIMUM,
                                      3579545,    999999937, 32768,      7 };
    const uint8_t clocks = input_u8(input);
    struct lapic_config config = { .wires = &apics.wires,
                                   .tsc_hz = rates[clocks & 7],
                                   .apic_hz = rates[clocks >> 3 & 7],
                                   .physical_address_bits = 40,
                                   .bootstrap = true,
                                   .x2apic = true,
                                   .tsc_deadline = true };

    apics = (struct apic_twins){ .tsc_hz = config.tsc_hz,
                                 .wires = { .now_ns = apic_now,
                                            .tsc_now = apic_tsc,
                                            .request = apic_tell,
                                            .nmi = apic_tell,
                                            .init = apic_tell,
                                            .send = apic_send,
                                            .reachability = apic_nothing } };
    lapic_init(&apics.woken, &config);
    lapic_init(&apics.alone, &config);
    apic_write(3, 0x1FF);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        apic_operate(input);
        apic_compare(apics.woken, apics.alone);
    }
}
