/*
 * ACPI fixed hardware.
 */
#include "hv/dev/acpi_pm.h"

#include "hv/dev/bits.h"

/* PM1 status and enable bits. */
#define PM1_TIMER            BIT32(0)
#define PM1_GLOBAL           BIT32(5)
#define PM1_POWER_BUTTON     BIT32(8)
#define PM1_SLEEP_BUTTON     BIT32(9)
#define PM1_RTC              BIT32(10)
#define PM1_EVENTS           (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)

/* PM1 control bits. */
#define CONTROL_SCI_ENABLE   BIT32(0)
#define CONTROL_BUS_RELOAD   BIT32(1)
#define CONTROL_SLEEP_TYPE   BITS32(12, 10)
#define CONTROL_SLEEP_ENABLE BIT32(13)
#define CONTROL_KEPT         (CONTROL_BUS_RELOAD | CONTROL_SLEEP_TYPE)

/* Byte offsets of the registers. */
enum {
    STATUS = 0,
    ENABLE = 2,
    CONTROL = 4,
    TIMER = 8,
    BLOCK_BYTES = 12,
};

static uint64_t tick_now(const struct acpi_pm *pm)
{
    return clock_ticks(clock_now(&pm->clock), ACPI_PM_TIMER_HZ);
}

/* The most significant bit changes every so many ticks; each change is an overflow event. */
static uint64_t overflow_ticks(const struct acpi_pm *pm)
{
    return BIT64(pm->timer_is_24_bit ? 23 : 31);
}

static void update(struct acpi_pm *pm)
{
    const uint64_t period = overflow_ticks(pm);
    const bool wanted = (pm->enable & ~pm->status & PM1_TIMER) != 0;

    dev_line_set(&pm->sci, (pm->status & pm->enable & PM1_EVENTS) != 0);
    pm->due_ns = wanted ? clock_ns((pm->seen_tick / period + 1) * period, ACPI_PM_TIMER_HZ) : CLOCK_NEVER;
}

void acpi_pm_advance(struct acpi_pm *pm)
{
    const uint64_t tick = tick_now(pm);
    const uint64_t period = overflow_ticks(pm);

    if (tick / period != pm->seen_tick / period)
        pm->status |= PM1_TIMER;
    pm->seen_tick = tick;
    update(pm);
}

static uint32_t timer_value(const struct acpi_pm *pm)
{
    return (uint32_t)(tick_now(pm) & (pm->timer_is_24_bit ? BITS32(23, 0) : UINT32_MAX));
}

/* Byte @offset of the block, when the timer shows @timer. */
static uint8_t read_byte(const struct acpi_pm *pm, unsigned offset, uint32_t timer)
{
    switch (offset) {
    case STATUS:
    case STATUS + 1: return byte_of(pm->status, offset - STATUS);
    case ENABLE:
    case ENABLE + 1: return byte_of(pm->enable, offset - ENABLE);
    case CONTROL:
    case CONTROL + 1: return byte_of(pm->control, offset - CONTROL);
    default: break;
    }
    return offset >= TIMER && offset < BLOCK_BYTES ? byte_of(timer, offset - TIMER) : 0xFF;
}

uint32_t acpi_pm_read(struct acpi_pm *pm, unsigned offset, unsigned width_bytes)
{
    const uint32_t timer = timer_value(pm);
    uint32_t value = 0;

    pm->registers.reads++;
    if (offset == TIMER && width_bytes == 4)
        return timer;
    if (offset < CONTROL)
        acpi_pm_advance(pm);
    for (unsigned i = 0; i < width_bytes; i++)
        value |= bits_put(read_byte(pm, offset + i, timer), 8 * i);
    return value;
}

static uint16_t with_byte(uint16_t value, unsigned index, uint8_t byte)
{
    return (uint16_t)((value & ~bits_put(0xFF, 8 * index)) | bits_put(byte, 8 * index));
}

/* The byte with SLP_EN. Only the sleep type of S5 does anything. */
static void write_control(struct acpi_pm *pm, unsigned index, uint8_t value)
{
    const uint16_t written = with_byte(pm->control, index, value);

    pm->control = (uint16_t)((written & CONTROL_KEPT) | CONTROL_SCI_ENABLE);
    if ((written & CONTROL_SLEEP_ENABLE) != 0 && bits_get(written, 12, 10) == ACPI_PM_SLEEP_TYPE_S5)
        pm->power_off(pm->context);
}

/* Status bits are cleared by writing ones. */
static void write_byte(struct acpi_pm *pm, unsigned offset, uint8_t value)
{
    switch (offset) {
    case STATUS:
    case STATUS + 1: pm->status &= (uint16_t)~bits_put(value, 8 * (offset - STATUS)); break;
    case ENABLE:
    case ENABLE + 1: pm->enable = with_byte(pm->enable, offset - ENABLE, value) & PM1_EVENTS; break;
    case CONTROL:
    case CONTROL + 1: write_control(pm, offset - CONTROL, value); break;
    default: break;
    }
}

void acpi_pm_write(struct acpi_pm *pm, unsigned offset, unsigned width_bytes, uint32_t value)
{
    pm->registers.writes++;
    acpi_pm_advance(pm);
    for (unsigned i = 0; i < width_bytes; i++)
        write_byte(pm, offset + i, byte_of(value, i));
    update(pm);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
    pm->status |= PM1_POWER_BUTTON;
    update(pm);
}

void acpi_pm_reset(struct acpi_pm *pm)
{
    pm->status = 0;
    pm->enable = 0;
    pm->control = CONTROL_SCI_ENABLE;
    pm->seen_tick = tick_now(pm);
    update(pm);
}

void acpi_pm_init(struct acpi_pm *pm, const struct acpi_pm_wires *wires)
{
    *pm = (struct acpi_pm){
        .timer_is_24_bit = wires->timer_is_24_bit,
        .sci = wires->sci,
        .clock = wires->clock,
        .power_off = wires->power_off,
        .context = wires->context,
    };
    acpi_pm_reset(pm);
}
