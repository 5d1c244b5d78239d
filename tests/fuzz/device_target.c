/*
 * One device alone: timer, clock, ACPI timer, APIC timer, 8259 pair, I/O APIC, serial port or the MPIC with its timers.
 *
 * Input: a byte that says which, then operations of a byte and their values. See device.h.
 */
#include "tests/fuzz/device.h"

uint64_t device_ns;

static uint64_t read_ns(void *context)
{
    (void)context;
    return device_ns;
}

struct dev_clock device_clock(void)
{
    return (struct dev_clock){ .now_ns = read_ns };
}

static void line_changed(void *context, const struct dev_line *line)
{
    (void)context;
    FUZZ_CHECK(line->raised != 0);
}

struct dev_line device_line(void)
{
    return (struct dev_line){ .changed = line_changed };
}

uint64_t device_step(struct input *input)
{
    const uint64_t mantissa = input_u8(input);
    const uint64_t step = mantissa << input_u8(input) % 50;

    return device_ns + step > DEVICE_NS_LIMIT ? device_ns : device_ns + step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const runs[])(struct input *) = {
        device_run_pit, device_run_rtc,    device_run_acpi, device_run_apic_timer,
        device_run_pic, device_run_ioapic, device_run_uart, device_run_mpic_timers,
    };
    struct input input = input_of(data, size);

    device_ns = 0;
    runs[input_below(&input, sizeof(runs) / sizeof(runs[0]))](&input);
    return 0;
}
