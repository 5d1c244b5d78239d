/*
 * Runs of the MPIC's timers: who is called late reads the same counts as who is called in time.
 */
#include "hv/dev/mpic.h"

#include "tests/fuzz/device.h"
#include "tests/unit/dev/mpic_rig.h"

#define GROUP_STRIDE 0x1000
#define TIMER_STRIDE 0x40
#define COUNT        0x1100
#define BASE         0x1110
#define VECTOR       0x1120
#define CONTROL      0x1300

static void ignore_output(void *context, unsigned vp, enum mpic_output output, bool high)
{
    const struct mpic *mpic = context;

    FUZZ_CHECK(vp < mpic->wires.vps && mpic->processors[vp].output[output] == high);
}

static void ignore_core_reset(void *context, unsigned vp)
{
    const struct mpic *mpic = context;

    FUZZ_CHECK(vp < mpic->wires.vps);
}

static void open(struct mpic *mpic, uint64_t hz)
{
    const struct mpic_wires wires = {
        .context = mpic,
        .clock = device_clock(),
        .output = ignore_output,
        .core_reset = ignore_core_reset,
        .clock_hz = hz,
        .vps = 1,
    };

    mpic_init(mpic, &wires);
}

static uint32_t timer_at(unsigned number)
{
    return number / MPIC_TIMERS * GROUP_STRIDE + number % MPIC_TIMERS * TIMER_STRIDE;
}

/* Both read the same; after that both have counted up to now. */
static void compare(struct mpic *prompt, struct mpic *late)
{
    for (unsigned i = 0; i < MPIC_GROUPS * MPIC_TIMERS; i++) {
        FUZZ_CHECK(mpic_read(prompt, 0, COUNT + timer_at(i), 4) ==
                   mpic_read(late, 0, COUNT + timer_at(i), 4));
    }
    for (unsigned i = 0; i < MPIC_GROUPS; i++)
        FUZZ_CHECK(fuzz_same(&prompt->groups[i].seen_ticks, &late->groups[i].seen_ticks, sizeof(uint64_t)));
    FUZZ_CHECK(prompt->counters.timers == late->counters.timers);
}

static void pass(struct mpic *prompt, uint64_t end)
{
    for (unsigned wakes = 0; wakes < DEVICE_WAKES && prompt->due_ns <= end; wakes++) {
        FUZZ_CHECK(prompt->due_ns >= device_ns);
        device_ns = prompt->due_ns;
        mpic_advance(prompt);
        FUZZ_CHECK(prompt->due_ns > device_ns);
    }
    device_ns = end;
    mpic_advance(prompt);
}

static void operate(struct mpic *prompt, struct mpic *late, struct input *input)
{
    const uint8_t first = input_u8(input);
    uint32_t offset = timer_at(first >> 4 & 7);
    uint32_t value;

    switch (first & 3) {
    case 0: pass(prompt, device_step(input)); return;
    case 1: offset += BASE; break;
    case 2: offset += VECTOR; break;
    default: offset = (first & 16) != 0 ? CONTROL + GROUP_STRIDE : CONTROL; break;
    }
    value = (first & 4) != 0 ? input_u32(input) : (uint32_t)input_u8(input) << (first >> 3 & 1) * 8;
    mpic_write(prompt, 0, offset, 4, value);
    mpic_write(late, 0, offset, 4, value);
    compare(prompt, late);
}

void device_run_mpic_timers(struct input *input)
{
    static struct mpic prompt;
    static struct mpic late;
    const uint64_t hz = MPIC_HZ_LEAST + (uint64_t)input_u32(input);

    open(&prompt, hz);
    open(&late, hz);
    for (unsigned i = 0; i < DEVICE_OPS && input_more(input); i++) {
        operate(&prompt, &late, input);
        FUZZ_CHECK(mpic_broken_invariant(&prompt) == NULL);
        FUZZ_CHECK(mpic_broken_invariant(&late) == NULL);
    }
    compare(&prompt, &late);
}
