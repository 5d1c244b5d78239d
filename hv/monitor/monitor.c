#include "hv/monitor/monitor.h"

#include "hv/boot/host.h"
#include "hv/mmu/mmu.h"
#include "hv/mmu/view.h"
#include "hv/monitor/json.h"
#include "hv/monitor/request.h"
#include "hv/monitor/shadow_text.h"
#include "hv/vp/arch.h"
#include "hv/vp/partitions.h"

#define OBITUARY_EXITS 8

static void put_control(void *context, char character)
{
    (void)context;
    host_serial_write(HOST_SERIAL_CONTROL, (uint8_t)character);
}

static struct json control_document(void)
{
    return (struct json){ .put = put_control };
}

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

static void report_outcome(struct json *json, enum partition_outcome outcome, uint64_t value,
                           const char *message)
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
    for (unsigned i = 0; i < EXIT_KINDS; i++) {
        json_number(json, exit_names[i], counters->exits[i]);
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

enum detail { COUNTERS_ONLY, EVERYTHING };

static void report_vp(struct vp *vp, enum detail detail, struct json *json)
{
    json_object(json, NULL);
    json_number(json, "index", vp->index);
    report_counters(vp, json);
    if (detail == EVERYTHING) {
        arch_vp_report(vp, json);
        report_trace(vp, json);
    }
    json_end_object(json);
}

/* @key: as of json_object(). */
static void report(struct partition *partition, enum detail detail, const char *key, struct json *json)
{
    json_object(json, key);
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
    json_end_object(json);
}

static void report_line(struct partition *partition, enum detail detail)
{
    struct json json = control_document();

    report(partition, detail, NULL, &json);
    put_control(NULL, '\n');
}

void monitor_report(struct partition *partition)
{
    report_line(partition, EVERYTHING);
}

static void state_of(struct partition *partition, struct json *json)
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
    report(partition, EVERYTHING, "stats", json);
    json_end_object(json);
}

/* docs/dump.md describes it. */
static void answer_state(struct partition *partition)
{
    struct json json = control_document();

    json_object(&json, NULL);
    json_number(&json, "vmmu_state", 1);
    json_text(&json, "backend", arch_backend_name());
    json_number(&json, "clock_ns", host_clock_ns());
    json_array(&json, "partitions");
    state_of(partition, &json);
    json_end_array(&json);
    json_end_object(&json);
    put_control(NULL, '\n');
}

void monitor_refused(const char *message)
{
    struct json json = control_document();

    json_object(&json, NULL);
    report_outcome(&json, PARTITION_REFUSED, 0, message);
    json_end_object(&json);
    put_control(NULL, '\n');
}

/* --- requests --- */

static const struct format_sink control_text = { NULL, put_control };

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    format_text(&control_text, format, values);
    va_end(values);
}

static void answer_shadow(const struct partition *partition)
{
    const struct vmmu_shadow_counters *counters = mmu_shadow_counters(partition);

    if (counters) {
        shadow_text_counters(&control_text, counters);
    } else {
        say("the processor walks the guest's own tables\n");
    }
}

static void answer_walk(const struct partition *partition, const struct request *request)
{
    struct vmmu_shadow_view view;
    enum vmmu_status status;

    if (request->vp >= partition->vp_count) {
        say("there is no VP %u\n", request->vp);
        return;
    }
    status = mmu_view(partition->vps[request->vp], request->va, &view);
    if (status == VMMU_OK) {
        shadow_text_view(&control_text, request->vp, request->va, &view);
    } else if (status == VMMU_GUEST_FAULT) {
        say("%016lx is not canonical\n", (unsigned long)request->va.v);
    } else if (status == VMMU_UNSUPPORTED) {
        say("the processor walks the guest's own tables\n");
    } else {
        say("VP %u has not run yet\n", request->vp);
    }
}

/*
 * Copy what @request asks for to @bytes. False: nobody answers for some of it. The sum may wrap around: what would be at the
 * beginning of memory then is as absent as what is behind its end.
 */
static bool read_machine(const struct partition *partition, const struct request *request, uint8_t *bytes)
{
    const uint8_t *from = NULL;

    for (unsigned i = 0; i < request->count; i++, from++) {
        const vmmu_hpa at = { request->at.v + i };

        if (i == 0 || vmmu_is_aligned(at.v, VMMU_PAGE_BYTES)) {
            from = mmu_machine_at(partition, at);
        }
        if (!from) {
            return false;
        }
        bytes[i] = *from;
    }
    return true;
}

static bool are_zero(const uint8_t *bytes, unsigned count)
{
    while (count > 0 && !bytes[count - 1]) {
        count--;
    }
    return count == 0;
}

static void answer_read(const struct partition *partition, const struct request *request)
{
    uint8_t bytes[REQUEST_COUNT_MOST];

    if (!read_machine(partition, request, bytes)) {
        say("absent");
    } else if (are_zero(bytes, request->count)) {
        say("zero");
    } else {
        for (unsigned i = 0; i < request->count; i++) {
            say("%02x", bytes[i]);
        }
    }
    say("\n");
}

/* Most of a guest's memory is zeros, and the port is slow: a letter for each page tells which are worth reading. */
static void answer_pages(const struct partition *partition, const struct request *request)
{
    for (unsigned i = 0; i < request->count; i++) {
        const vmmu_hpa at = { (request->at.v & ~(VMMU_PAGE_BYTES - 1)) + i * VMMU_PAGE_BYTES };
        const uint64_t *words = mmu_machine_at(partition, at);
        unsigned word = 0;

        while (words && word < VMMU_PAGE_BYTES / sizeof *words && !words[word]) {
            word++;
        }
        say(!words ? "-" : word < VMMU_PAGE_BYTES / sizeof *words ? "1" : "0");
    }
    say("\n");
}

/* Text ends with an empty line, so that a program knows where. */
static void answer(struct partition *partition, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_STATS: report_line(partition, EVERYTHING); return;
    case REQUEST_COUNTERS: report_line(partition, COUNTERS_ONLY); return;
    case REQUEST_SHADOW: answer_shadow(partition); break;
    case REQUEST_WALK: answer_walk(partition, request); break;
    case REQUEST_STATE: answer_state(partition); return;
    case REQUEST_READ: answer_read(partition, request); break;
    case REQUEST_PAGES: answer_pages(partition, request); break;
    case REQUEST_STOP:
        say(partition->held ? "stopped before\n" : "stopped\n");
        partition_hold(partition);
        break;
    case REQUEST_GO:
        say(partition->held ? "running\n" : "running before\n");
        partition_release(partition);
        break;
    case REQUEST_UNKNOWN:
        say("requests are: stats, counters, shadow, walk ADDRESS [VP], stop, go, state, read ADDRESS "
            "COUNT, pages ADDRESS COUNT\n");
        break;
    }
    say("\n");
}

void monitor_ready(void)
{
    put_control(NULL, '\n');
}

void monitor_poll(void)
{
    static struct request_line line; /* of the control port, which is the machine's */
    struct partition *partition = partition_at(0);
    struct request request;

    while (host_serial_pending(HOST_SERIAL_CONTROL)) {
        if (request_take(&line, (char)host_serial_read(HOST_SERIAL_CONTROL), &request)) {
            lock_take(&partition->lock);
            answer(partition, &request);
            lock_release(&partition->lock);
        }
    }
}

void monitor_obituary(struct partition *partition)
{
    struct vp *vp = partition->vps[0];
    const uint32_t count = vp->trace_next < OBITUARY_EXITS ? vp->trace_next : OBITUARY_EXITS;

    if (partition->outcome != PARTITION_STOPPED) {
        return;
    }
    host_print("\nvmmu: partition %u stopped: %s\n", partition->index, partition->message);
    host_print("vmmu: instruction pointer %016lx; the last exits, oldest first:\n",
               (unsigned long)arch_vp_ip(vp));
    for (uint32_t i = vp->trace_next - count; i != vp->trace_next; i++) {
        const struct vp_trace_entry *entry = &vp->trace[i % VP_TRACE_ENTRIES];

        host_print("vmmu:   %-16s ip %016lx  code %4lx  info %lx %lx\n", exit_names[entry->kind],
                   (unsigned long)entry->ip, (unsigned long)entry->raw[0], (unsigned long)entry->raw[1],
                   (unsigned long)entry->raw[2]);
    }
}
