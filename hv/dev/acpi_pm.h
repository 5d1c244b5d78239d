/*
 * ACPI fixed hardware: PM1a event and control blocks, and the power-management timer.
 * The SCI is level-triggered.
 *
 * The board has no legacy mode: SCI_EN is always set, and there is no SMI command port.
 * Spec: ACPI specification "ACPI Hardware Specification": "Fixed Hardware Features".
 */
#ifndef HV_DEV_ACPI_PM_H
#define HV_DEV_ACPI_PM_H

#include "hv/dev/clock.h"
#include "hv/dev/line.h"

#include <stdbool.h>
#include <stdint.h>

#define ACPI_PM_TIMER_HZ      UINT64_C(3579545)

/* SLP_TYP values of this board; the tables' \_S5 object must say the same. */
#define ACPI_PM_SLEEP_TYPE_S5 5

struct acpi_pm {
    uint16_t status;
    uint16_t enable;
    uint16_t control;
    bool timer_is_24_bit;
    struct dev_line sci;
    struct dev_clock clock;
    void (*power_off)(void *context);
    void *context;
    uint64_t seen_tick; /* overflows up to here have been noted */
    uint64_t due_ns;    /* when acpi_pm_advance() is needed, or CLOCK_NEVER */
    struct dev_counters registers;
};

struct acpi_pm_wires {
    struct dev_line sci;
    struct dev_clock clock;
    void (*power_off)(void *context);
    void *context;
    bool timer_is_24_bit;
};

/* @wires is copied. */
void acpi_pm_init(struct acpi_pm *pm, const struct acpi_pm_wires *wires);
void acpi_pm_reset(struct acpi_pm *pm);

/*
 * Byte @offset of PM1a_EVT (0-3), PM1a_CNT (4-5) or PM_TMR (8-11), @width_bytes 1, 2
 * or 4; others read as ones.
 */
uint32_t acpi_pm_read(struct acpi_pm *pm, unsigned offset, unsigned width_bytes);
void acpi_pm_write(struct acpi_pm *pm, unsigned offset, unsigned width_bytes, uint32_t value);

/* The power button was pressed: PWRBTN_STS, and the SCI if the guest enabled it. */
void acpi_pm_power_button(struct acpi_pm *pm);

/* Note a timer overflow that is due, and compute due_ns anew. */
void acpi_pm_advance(struct acpi_pm *pm);

#endif
