#include "hv/monitor/report.h"

#include "hv/boot/host.h"
#include "hv/guest/config.h"
#include "hv/mmu/mmu.h"
#include "hv/mmu/view.h"
#include "hv/vp/arch.h"
#include "hv/vp/partitions.h"
#include "hv/vp/serial.h"

static const char *outcome_name(enum partition_outcome outcome)
{
    switch (outcome) {
    case PARTITION_RUNNING: return "running";
    case PARTITION_DEBUG_EXIT: return "debug-exit";
    case PARTITION_POWER_OFF: return "power-off";
    case PARTITION_RESET: return "reset";
    case PARTITION_STOPPED: return "stopped";
    case PARTITION_REFUSED: return "refused";
    }
    __builtin_unreachable();
}

void report_outcome(struct json *json, enum partition_outcome outcome, uint64_t value, const char *message)
{
    json_number(json, "vmmu", 1);
    json_object(json, "outcome");
    json_text(json, "kind", outcome_name(outcome));
    json_number(json, "value", value);
    json_text(json, "message", message);
    json_end_object(json);
}

static void report_counters(const struct vp *vp, struct json *json)
{
    const struct vp_counters *counters = &vp->counters;

    json_object(json, "counters");
    json_number(json, "entries", counters->entries);
    json_object(json, "exits");
    for (enum exit_kind i = 0; i < EXIT_KINDS; i++) {
        if (exit_is_known(i)) {
            json_number(json, exit_names[i], counters->exits[i]);
        }
    }
    json_end_object(json);
    json_number(json, "exits_saved", counters->exits_saved);
    json_number(json, "idle_waits", counters->idle_waits);
    json_number(json, "events_injected", counters->events_injected);
    json_number(json, "events_reinjected", counters->events_reinjected);
    json_number(json, "event_windows", counters->event_windows);
    json_number(json, "tlb_flushes", counters->tlb_flushes);
    json_number(json, "flushes_made", counters->flushes_made);
    json_number(json, "flushes_avoided", counters->flushes_avoided);
    json_number(json, "insn_fetches", counters->insn_fetches);
    json_number(json, "insn_emulated", counters->insn_emulated);
    json_end_object(json);
}

/* How many exits the ring holds, and where the oldest stands. */
static uint32_t trace_first(const struct vp *vp)
{
    return vp->trace_next > VP_TRACE_ENTRIES ? vp->trace_next - VP_TRACE_ENTRIES : 0;
}

static void report_trace(const struct vp *vp, struct json *json)
{
    json_array(json, "trace");
    for (uint32_t i = trace_first(vp); i != vp->trace_next; i++) {
        const struct vp_trace_entry *entry = &vp->trace[i % VP_TRACE_ENTRIES];

        json_object(json, NULL);
        json_number(json, "sequence", entry->sequence);
        json_text(json, "exit", exit_names[entry->kind]);
        json_hex(json, "ip", entry->ip);
        json_hex(json, "code", entry->raw[0]);
        json_hex(json, "info1", entry->raw[1]);
        json_hex(json, "info2", entry->raw[2]);
        json_end_object(json);
    }
    json_end_array(json);
}

static void report_vp(struct vp *vp, enum report_detail detail, struct json *json)
{
    json_object(json, NULL);
    json_number(json, "index", vp->index);
    report_counters(vp, json);
    arch_vp_counters(vp, json);
    if (detail == REPORT_EVERYTHING) {
        arch_vp_report(vp, json);
        report_trace(vp, json);
    }
    json_end_object(json);
}

static void report_members(struct partition *partition, enum report_detail detail, struct json *json)
{
    report_outcome(json, partition->outcome, partition->value, partition->message);
    json_number(json, "partition", partition->index);
    json_flag(json, "held", partition->held);
    json_number(json, "memory_bytes", guest_memory_bytes(&partition->memory));
    json_number(json, "run_ns", host_clock_ns() - partition->start_ns);
    json_text(json, "backend", arch_backend_name());
    mmu_report(partition, json);
    json_object(json, "host");
    json_number(json, "interrupts", host_interrupt_count());
    json_number(json, "spurious_interrupts", host_interrupt_spurious_count());
    json_number(json, "nmis", host_nmi_count());
    json_end_object(json);
    arch_partition_report(partition, json);
    json_array(json, "vps");
    for (unsigned i = 0; i < partition->vp_count; i++) {
        report_vp(partition->vps[i], detail, json);
    }
    json_end_array(json);
}

void report_partition(struct partition *partition, enum report_detail detail, const char *key,
                      struct json *json)
{
    json_object(json, key);
    report_members(partition, detail, json);
    json_end_object(json);
}

/* What nobody has seen yet of what it said. */
static void report_console(struct partition *partition, struct json *json)
{
    struct console *console = partition->console;
    uint64_t place = console->shown > console->fetched ? console->shown : console->fetched;
    uint8_t byte;

    json_text_begin(json, "console");
    while (ring_take(&console->ring, &place, &byte)) {
        json_text_byte(json, byte);
    }
    json_text_end(json);
}

void report_end(struct partition *partition, struct json *json)
{
    if (partition_count() == 1) {
        report_partition(partition, REPORT_EVERYTHING, NULL, json);
        return;
    }
    json_object(json, NULL);
    json_number(json, "vmmu_ended", partition->index);
    json_object(json, "report");
    report_members(partition, REPORT_EVERYTHING, json);
    if (partition->index != serial_focus()) {
        report_console(partition, json);
    }
    json_end_object(json);
    json_end_object(json);
}

void report_state(struct partition *partition, struct json *json)
{
    json_object(json, NULL);
    json_number(json, "index", partition->index);
    json_text(json, "outcome", outcome_name(partition->outcome));
    json_flag(json, "held", partition->held);
    json_number(json, "clock_ns", partition_clock_ns(partition));
    mmu_state(partition, json);
    arch_partition_state(partition, json);
    json_array(json, "vps");
    for (unsigned i = 0; i < partition->vp_count; i++) {
        json_object(json, NULL);
        json_number(json, "index", i);
        arch_vp_state(partition->vps[i], json);
        json_end_object(json);
    }
    json_end_array(json);
    report_partition(partition, REPORT_EVERYTHING, "stats", json);
    json_end_object(json);
}

void report_row(struct partition *partition, struct json *json)
{
    const struct console *console = partition->console;
    uint64_t fetched = console->fetched;
    const uint64_t lost = ring_catch_up(&console->ring, &fetched);

    json_object(json, NULL);
    json_number(json, "partition", partition->index);
    json_text(json, "outcome", outcome_name(partition->outcome));
    json_flag(json, "held", partition->held);
    json_text(json, "technique", mmu_name(partition));
    json_number(json, "memory_bytes", guest_memory_bytes(&partition->memory));
    json_number(json, "vps", partition->vp_count);
    json_flag(json, "parent", partition->config->is_parent);
    json_flag(json, "focus", partition->index == serial_focus());
    json_number(json, "unread_bytes", console->ring.written - fetched);
    json_number(json, "lost_bytes", lost);
    json_end_object(json);
}
