/*
 * The board's counters as one list, for reports.
 */
#include "hv/dev/pc.h"

#include <stddef.h>

/* A number within a device. */
struct row {
    const char *name;
    size_t offset;
};

/* Devices of one kind: @count of them, @stride bytes apart; VPs have as many as the board has. */
struct section {
    const char *const *names;
    unsigned count;
    bool is_per_vp;
    size_t offset;
    size_t stride;
    const struct row *rows;
    unsigned row_count;
};

#define ROW(type, label, field)                                                                              \
    {                                                                                                        \
        label, offsetof(type, field)                                                                         \
    }
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS(array)     array, COUNT_OF(array)

static const char *const lapic_names[] = { "lapic0", "lapic1", "lapic2", "lapic3",
                                           "lapic4", "lapic5", "lapic6", "lapic7" };
static const char *const uart_names[] = { "uart0", "uart1", "uart2", "uart3" };
static const char *const port_names[] = { "ports0", "ports1", "ports2", "ports3",
                                          "ports4", "ports5", "ports6", "ports7" };
static const char *const memory_names[] = { "mmio0", "mmio1", "mmio2", "mmio3",
                                            "mmio4", "mmio5", "mmio6", "mmio7" };
static const char *const board_names[] = { "board" };
static const char *const ioapic_names[] = { "ioapic" };
static const char *const pic_names[] = { "pic" };
static const char *const pit_names[] = { "pit" };
static const char *const rtc_names[] = { "rtc" };
static const char *const acpi_pm_names[] = { "acpi" };

static const struct row access_rows[] = {
    ROW(struct dev_counters, "reads", reads),
    ROW(struct dev_counters, "writes", writes),
};
static const struct row board_rows[] = {
    ROW(struct pc_counters, "unclaimed_port_reads", unclaimed_ports.reads),
    ROW(struct pc_counters, "unclaimed_port_writes", unclaimed_ports.writes),
    ROW(struct pc_counters, "unclaimed_mmio_reads", unclaimed_memory.reads),
    ROW(struct pc_counters, "unclaimed_mmio_writes", unclaimed_memory.writes),
    ROW(struct pc_counters, "system_port_reads", system_ports.reads),
    ROW(struct pc_counters, "system_port_writes", system_ports.writes),
    ROW(struct pc_counters, "advanced", advanced),
    ROW(struct pc_counters, "debug_exits", debug_exits),
};
static const struct row lapic_rows[] = {
    ROW(struct lapic_counters, "reads", registers.reads),
    ROW(struct lapic_counters, "writes", registers.writes),
    ROW(struct lapic_counters, "received", received),
    ROW(struct lapic_counters, "merged", merged),
    ROW(struct lapic_counters, "accepted", accepted),
    ROW(struct lapic_counters, "ended", ended),
    ROW(struct lapic_counters, "lazy_eois", lazy_eois),
    ROW(struct lapic_counters, "extints", extints),
    ROW(struct lapic_counters, "nmis", nmis),
    ROW(struct lapic_counters, "ipis_sent", ipis_sent),
    ROW(struct lapic_counters, "timer_armed", timer_armed),
    ROW(struct lapic_counters, "timer_fired", timer_fired),
};
static const struct row ioapic_rows[] = {
    ROW(struct ioapic_counters, "reads", registers.reads),
    ROW(struct ioapic_counters, "writes", registers.writes),
    ROW(struct ioapic_counters, "sent", sent),
    ROW(struct ioapic_counters, "unclaimed", unclaimed),
    ROW(struct ioapic_counters, "ended", ended),
};
static const struct row pic_rows[] = {
    ROW(struct pic_counters, "reads", registers.reads),
    ROW(struct pic_counters, "writes", registers.writes),
    ROW(struct pic_counters, "acknowledged", acknowledged),
    ROW(struct pic_counters, "spurious", spurious),
};
static const struct row pit_rows[] = {
    ROW(struct pit, "reads", registers.reads),
    ROW(struct pit, "writes", registers.writes),
    ROW(struct pit, "interrupts", irq0.raised),
};
static const struct row rtc_rows[] = {
    ROW(struct rtc, "reads", registers.reads),
    ROW(struct rtc, "writes", registers.writes),
    ROW(struct rtc, "interrupts", irq8.raised),
};
static const struct row acpi_pm_rows[] = {
    ROW(struct acpi_pm, "reads", registers.reads),
    ROW(struct acpi_pm, "writes", registers.writes),
    ROW(struct acpi_pm, "interrupts", sci.raised),
};
static const struct row uart_rows[] = {
    ROW(struct uart, "reads", counters.registers.reads),
    ROW(struct uart, "writes", counters.registers.writes),
    ROW(struct uart, "sent", counters.sent),
    ROW(struct uart, "received", counters.received),
    ROW(struct uart, "refused", counters.refused),
    ROW(struct uart, "overruns", counters.overruns),
    ROW(struct uart, "interrupts", irq.raised),
};

static const struct section sections[] = {
    { board_names, 1, false, offsetof(struct pc, counters), 0, ROWS(board_rows) },
    { port_names, PC_VPS_MAXIMUM, true, offsetof(struct pc, counters.ports), sizeof(struct dev_counters),
      ROWS(access_rows) },
    { memory_names, PC_VPS_MAXIMUM, true, offsetof(struct pc, counters.memory), sizeof(struct dev_counters),
      ROWS(access_rows) },
    { lapic_names, PC_VPS_MAXIMUM, true, offsetof(struct pc, lapics) + offsetof(struct lapic, counters),
      sizeof(struct lapic), ROWS(lapic_rows) },
    { ioapic_names, 1, false, offsetof(struct pc, ioapic.counters), 0, ROWS(ioapic_rows) },
    { pic_names, 1, false, offsetof(struct pc, pic.counters), 0, ROWS(pic_rows) },
    { pit_names, 1, false, offsetof(struct pc, pit), 0, ROWS(pit_rows) },
    { rtc_names, 1, false, offsetof(struct pc, rtc), 0, ROWS(rtc_rows) },
    { acpi_pm_names, 1, false, offsetof(struct pc, acpi_pm), 0, ROWS(acpi_pm_rows) },
    { uart_names, PC_UARTS, false, offsetof(struct pc, uarts), sizeof(struct uart), ROWS(uart_rows) },
};

bool pc_counter(const struct pc *pc, unsigned index, struct pc_counter *counter)
{
    for (unsigned i = 0; i < COUNT_OF(sections); i++) {
        const struct section *section = &sections[i];
        const unsigned devices = section->is_per_vp ? pc->vps : section->count;
        const unsigned rows = devices * section->row_count;

        if (index < rows) {
            const unsigned device = index / section->row_count;
            const struct row *row = &section->rows[index % section->row_count];
            const char *base = (const char *)pc + section->offset + device * section->stride;

            counter->device = section->names[device];
            counter->name = row->name;
            counter->value = *(const uint64_t *)(const void *)(base + row->offset);
            return true;
        }
        index -= rows;
    }
    return false;
}
