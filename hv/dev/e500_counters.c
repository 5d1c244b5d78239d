/*
 * The e500 board's counters as one list, for reports.
 */
#include "hv/dev/e500.h"

static const char *const memory_names[] = { "mmio0", "mmio1", "mmio2", "mmio3",
                                            "mmio4", "mmio5", "mmio6", "mmio7" };
static const char *const uart_names[] = { "uart0", "uart1", "uart2", "uart3" };
static const char *const mpic_names[] = { "mpic" };
static const char *const board_names[] = { "board" };

static const struct counter_row access_rows[] = {
    COUNTER_ROW(struct dev_counters, "reads", reads),
    COUNTER_ROW(struct dev_counters, "writes", writes),
};
static const struct counter_row mpic_rows[] = {
    COUNTER_ROW(struct mpic_counters, "reads", registers.reads),
    COUNTER_ROW(struct mpic_counters, "writes", registers.writes),
    COUNTER_ROW(struct mpic_counters, "acknowledged", acknowledged),
    COUNTER_ROW(struct mpic_counters, "spurious", spurious),
    COUNTER_ROW(struct mpic_counters, "ended", ended),
    COUNTER_ROW(struct mpic_counters, "ipis", ipis),
    COUNTER_ROW(struct mpic_counters, "timers", timers),
    COUNTER_ROW(struct mpic_counters, "unclaimed", unclaimed),
};
static const struct counter_row uart_rows[] = {
    COUNTER_ROW(struct uart, "reads", counters.registers.reads),
    COUNTER_ROW(struct uart, "writes", counters.registers.writes),
    COUNTER_ROW(struct uart, "interrupts", irq.raised),
    COUNTER_ROW(struct uart, "sent", counters.sent),
    COUNTER_ROW(struct uart, "received", counters.received),
    COUNTER_ROW(struct uart, "refused", counters.refused),
    COUNTER_ROW(struct uart, "overruns", counters.overruns),
};
static const struct counter_row board_rows[] = {
    COUNTER_ROW(struct e500_counters, "unclaimed_reads", unclaimed.reads),
    COUNTER_ROW(struct e500_counters, "unclaimed_writes", unclaimed.writes),
    COUNTER_ROW(struct e500_counters, "gpio_reads", gpio.reads),
    COUNTER_ROW(struct e500_counters, "gpio_writes", gpio.writes),
    COUNTER_ROW(struct e500_counters, "guts_reads", guts.reads),
    COUNTER_ROW(struct e500_counters, "guts_writes", guts.writes),
    COUNTER_ROW(struct e500_counters, "advanced", advanced),
    COUNTER_ROW(struct e500_counters, "debug_exits", debug_exits),
};

static const struct counter_section sections[] = {
    { memory_names, E500_VPS_MAXIMUM, true, offsetof(struct e500, counters.memory),
      sizeof(struct dev_counters), COUNTER_ROWS(access_rows) },
    { mpic_names, 1, false, offsetof(struct e500, mpic.counters), 0, COUNTER_ROWS(mpic_rows) },
    { uart_names, E500_UARTS, false, offsetof(struct e500, uarts), sizeof(struct uart),
      COUNTER_ROWS(uart_rows) },
    { board_names, 1, false, offsetof(struct e500, counters), 0, COUNTER_ROWS(board_rows) },
};

bool e500_counter(const struct e500 *board, unsigned index, struct dev_counter *counter)
{
    const struct counter_list list = { sections, COUNTER_COUNT(sections), board, board->config.vps };

    return dev_counter_at(&list, index, counter);
}
