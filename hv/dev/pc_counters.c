/*
 * The board's counters as one list, for reports.
 */
#include "hv/dev/pc.h"

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

static const struct counter_row access_rows[] = {
    COUNTER_ROW(struct dev_counters, "reads", reads),
    COUNTER_ROW(struct dev_counters, "writes", writes),
};
static const struct counter_row board_rows[] = {
    COUNTER_ROW(struct pc_counters, "unclaimed_port_reads", unclaimed_ports.reads),
    COUNTER_ROW(struct pc_counters, "unclaimed_port_writes", unclaimed_ports.writes),
    COUNTER_ROW(struct pc_counters, "unclaimed_mmio_reads", unclaimed_memory.reads),
    COUNTER_ROW(struct pc_counters, "unclaimed_mmio_writes", unclaimed_memory.writes),
    COUNTER_ROW(struct pc_counters, "system_port_reads", system_ports.reads),
    COUNTER_ROW(struct pc_counters, "system_port_writes", system_ports.writes),
    COUNTER_ROW(struct pc_counters, "advanced", advanced),
    COUNTER_ROW(struct pc_counters, "debug_exits", debug_exits),
};
static const struct counter_row lapic_rows[] = {
    COUNTER_ROW(struct lapic_counters, "reads", registers.reads),
    COUNTER_ROW(struct lapic_counters, "writes", registers.writes),
    COUNTER_ROW(struct lapic_counters, "received", received),
    COUNTER_ROW(struct lapic_counters, "merged", merged),
    COUNTER_ROW(struct lapic_counters, "accepted", accepted),
    COUNTER_ROW(struct lapic_counters, "ended", ended),
    COUNTER_ROW(struct lapic_counters, "lazy_eois", lazy_eois),
    COUNTER_ROW(struct lapic_counters, "extints", extints),
    COUNTER_ROW(struct lapic_counters, "nmis", nmis),
    COUNTER_ROW(struct lapic_counters, "ipis_sent", ipis_sent),
    COUNTER_ROW(struct lapic_counters, "timer_armed", timer_armed),
    COUNTER_ROW(struct lapic_counters, "timer_fired", timer_fired),
};
static const struct counter_row ioapic_rows[] = {
    COUNTER_ROW(struct ioapic_counters, "reads", registers.reads),
    COUNTER_ROW(struct ioapic_counters, "writes", registers.writes),
    COUNTER_ROW(struct ioapic_counters, "sent", sent),
    COUNTER_ROW(struct ioapic_counters, "unclaimed", unclaimed),
    COUNTER_ROW(struct ioapic_counters, "ended", ended),
};
static const struct counter_row pic_rows[] = {
    COUNTER_ROW(struct pic_counters, "reads", registers.reads),
    COUNTER_ROW(struct pic_counters, "writes", registers.writes),
    COUNTER_ROW(struct pic_counters, "acknowledged", acknowledged),
    COUNTER_ROW(struct pic_counters, "spurious", spurious),
};
static const struct counter_row pit_rows[] = {
    COUNTER_ROW(struct pit, "reads", registers.reads),
    COUNTER_ROW(struct pit, "writes", registers.writes),
    COUNTER_ROW(struct pit, "interrupts", irq0.raised),
};
static const struct counter_row rtc_rows[] = {
    COUNTER_ROW(struct rtc, "reads", registers.reads),
    COUNTER_ROW(struct rtc, "writes", registers.writes),
    COUNTER_ROW(struct rtc, "interrupts", irq8.raised),
};
static const struct counter_row acpi_pm_rows[] = {
    COUNTER_ROW(struct acpi_pm, "reads", registers.reads),
    COUNTER_ROW(struct acpi_pm, "writes", registers.writes),
    COUNTER_ROW(struct acpi_pm, "interrupts", sci.raised),
};
static const struct counter_row uart_rows[] = {
    COUNTER_ROW(struct uart, "reads", counters.registers.reads),
    COUNTER_ROW(struct uart, "writes", counters.registers.writes),
    COUNTER_ROW(struct uart, "sent", counters.sent),
    COUNTER_ROW(struct uart, "received", counters.received),
    COUNTER_ROW(struct uart, "refused", counters.refused),
    COUNTER_ROW(struct uart, "overruns", counters.overruns),
    COUNTER_ROW(struct uart, "interrupts", irq.raised),
};

static const struct counter_section sections[] = {
    { board_names, 1, false, offsetof(struct pc, counters), 0, COUNTER_ROWS(board_rows) },
    { port_names, PC_VPS_MAXIMUM, true, offsetof(struct pc, counters.ports), sizeof(struct dev_counters),
      COUNTER_ROWS(access_rows) },
    { memory_names, PC_VPS_MAXIMUM, true, offsetof(struct pc, counters.memory), sizeof(struct dev_counters),
      COUNTER_ROWS(access_rows) },
    { lapic_names, PC_VPS_MAXIMUM, true, offsetof(struct pc, lapics) + offsetof(struct lapic, counters),
      sizeof(struct lapic), COUNTER_ROWS(lapic_rows) },
    { ioapic_names, 1, false, offsetof(struct pc, ioapic.counters), 0, COUNTER_ROWS(ioapic_rows) },
    { pic_names, 1, false, offsetof(struct pc, pic.counters), 0, COUNTER_ROWS(pic_rows) },
    { pit_names, 1, false, offsetof(struct pc, pit), 0, COUNTER_ROWS(pit_rows) },
    { rtc_names, 1, false, offsetof(struct pc, rtc), 0, COUNTER_ROWS(rtc_rows) },
    { acpi_pm_names, 1, false, offsetof(struct pc, acpi_pm), 0, COUNTER_ROWS(acpi_pm_rows) },
    { uart_names, PC_UARTS, false, offsetof(struct pc, uarts), sizeof(struct uart), COUNTER_ROWS(uart_rows) },
};

bool pc_counter(const struct pc *pc, unsigned index, struct dev_counter *counter)
{
    const struct counter_list list = { sections, COUNTER_COUNT(sections), pc, pc->vps };

    return dev_counter_at(&list, index, counter);
}
