#include "hv/monitor/monitor.h"

#include "hv/boot/host.h"
#include "hv/mmu/view.h"
#include "hv/monitor/json.h"
#include "hv/monitor/report.h"
#include "hv/monitor/request.h"
#include "hv/vp/arch.h"
#include "hv/vp/partitions.h"
#include "hv/vp/serial.h"

#define OBITUARY_EXITS 8

/* Bytes of a console that one answer holds: the port is slow, and guests stand still meanwhile. */
#define CONSOLE_MOST   4096

static void put_control(void *context, char character)
{
    (void)context;
    host_serial_write(HOST_SERIAL_CONTROL, (uint8_t)character);
}

static struct json control_document(void)
{
    return (struct json){ .put = put_control };
}

static void end_line(void)
{
    put_control(NULL, '\n');
}

void monitor_report(struct partition *partition)
{
    struct json json = control_document();

    report_end(partition, &json);
    end_line();
}

void monitor_refused(const char *message)
{
    struct json json = control_document();

    json_object(&json, NULL);
    report_outcome(&json, PARTITION_REFUSED, 0, message);
    json_end_object(&json);
    end_line();
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

/* A request that is being answered. */
struct answer {
    const struct request *request;
    struct json json; /* where the answer is a document */
};

/* Whom @request is about: all, one of them, or none that there is, which is said. */
static bool is_about(const struct request *request, unsigned *first, unsigned *end)
{
    const bool all = request->partition == REQUEST_ALL;

    *first = all ? 0 : request->partition;
    *end = all ? partition_count() : request->partition + 1;
    if (*end > partition_count()) {
        say("there is no partition %u\n", request->partition);
        return false;
    }
    return true;
}

/* @act on each of these partitions, under its lock. */
static void for_each(unsigned first, unsigned end, struct answer *answer,
                     void (*act)(struct partition *partition, struct answer *answer))
{
    for (unsigned i = first; i < end; i++) {
        struct partition *partition = partition_at(i);

        lock_take(&partition->lock);
        act(partition, answer);
        lock_release(&partition->lock);
    }
}

/* --- text --- */

static void say_shadow(struct partition *partition, struct answer *answer)
{
    if (answer->request->partition == REQUEST_ALL && partition_count() > 1) {
        say("partition %u\n", partition->index);
    }
    mmu_counters(partition, &control_text);
}

/* The VP that the request is about, or NULL, which is said. */
static const struct vp *vp_of(const struct partition *partition, const struct answer *answer)
{
    if (answer->request->vp >= partition->vp_count) {
        say("there is no VP %u\n", answer->request->vp);
        return NULL;
    }
    return partition->vps[answer->request->vp];
}

static void say_walk(struct partition *partition, struct answer *answer)
{
    const struct vp *vp = vp_of(partition, answer);

    if (vp) {
        mmu_walk(vp, answer->request->va, &control_text);
    }
}

static void add_tlb(struct partition *partition, struct answer *answer)
{
    const struct vp *vp = vp_of(partition, answer);

    if (vp && !mmu_tlb(vp, &answer->json)) {
        say("the TLB is the processor's own\n");
    }
}

/* Whether all of these are held, so that to stop them changes nothing, or to let them go. */
static bool are_all(bool held, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        if (partition_at(i)->held != held) {
            return false;
        }
    }
    return true;
}

static void stop(struct partition *partition, struct answer *answer)
{
    (void)answer;
    partition_hold(partition);
}

static void go(struct partition *partition, struct answer *answer)
{
    (void)answer;
    partition_release(partition);
}

static void answer_stop(unsigned first, unsigned end, struct answer *answer)
{
    say(are_all(true, first, end) ? "stopped before\n" : "stopped\n");
    for_each(first, end, answer, stop);
}

static void answer_go(unsigned first, unsigned end, struct answer *answer)
{
    say(are_all(false, first, end) ? "running before\n" : "running\n");
    for_each(first, end, answer, go);
}

static void say_focus(struct partition *partition, struct answer *answer)
{
    (void)answer;
    serial_set_focus(partition);
    say("the console is partition %u's\n", partition->index);
}

/* --- the machine's memory --- */

/* Whoever it is whose memory or table is there. */
static const void *machine_at(vmmu_hpa at)
{
    const void *found = NULL;

    for (unsigned i = 0; i < partition_count() && !found; i++) {
        struct partition *partition = partition_at(i);

        lock_take(&partition->lock);
        found = mmu_machine_at(partition, at);
        lock_release(&partition->lock);
    }
    return found;
}

/*
 * Copy what @request asks for to @bytes. False: nobody answers for some of it. The sum may wrap around: what would be at the
 * beginning of memory then is as absent as what is behind its end.
 */
static bool read_machine(const struct request *request, uint8_t *bytes)
{
    const uint8_t *from = NULL;

    for (unsigned i = 0; i < request->count; i++, from++) {
        const vmmu_hpa at = { request->at.v + i };

        if (i == 0 || vmmu_is_aligned(at.v, VMMU_PAGE_BYTES)) {
            from = machine_at(at);
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

static void answer_read(const struct request *request)
{
    uint8_t bytes[REQUEST_COUNT_MOST];

    if (!read_machine(request, bytes)) {
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
static void answer_pages(const struct request *request)
{
    for (unsigned i = 0; i < request->count; i++) {
        const vmmu_hpa at = { (request->at.v & ~(VMMU_PAGE_BYTES - 1)) + i * VMMU_PAGE_BYTES };
        const uint64_t *words = machine_at(at);
        unsigned word = 0;

        while (words && word < VMMU_PAGE_BYTES / sizeof *words && !words[word]) {
            word++;
        }
        say(!words ? "-" : word < VMMU_PAGE_BYTES / sizeof *words ? "1" : "0");
    }
    say("\n");
}

/* --- documents --- */

static void add_report(struct partition *partition, struct answer *answer)
{
    report_partition(partition, answer->request->kind == REQUEST_STATS ? REPORT_EVERYTHING : REPORT_COUNTERS,
                     NULL, &answer->json);
}

static void add_state(struct partition *partition, struct answer *answer)
{
    report_state(partition, &answer->json);
}

static void add_row(struct partition *partition, struct answer *answer)
{
    report_row(partition, &answer->json);
}

static void add_console(struct partition *partition, struct answer *answer)
{
    struct console *console = partition->console;
    struct json *json = &answer->json;
    unsigned count = 0;
    uint8_t byte;

    json_object(json, NULL);
    json_number(json, "vmmu_console", partition->index);
    json_number(json, "lost_bytes", ring_catch_up(&console->ring, &console->fetched));
    json_text_begin(json, "text");
    while (count < CONSOLE_MOST && ring_take(&console->ring, &console->fetched, &byte)) {
        json_text_byte(json, byte);
        count++;
    }
    json_text_end(json);
    json_flag(json, "more", console->fetched != console->ring.written);
    json_end_object(json);
}

/* Of one partition the document is its own, of several a list of theirs. */
static void answer_reports(unsigned first, unsigned end, struct answer *answer)
{
    struct json *json = &answer->json;

    if (end - first == 1) {
        for_each(first, end, answer, add_report);
        return;
    }
    json_object(json, NULL);
    json_number(json, "vmmu", 1);
    json_array(json, "partitions");
    for_each(first, end, answer, add_report);
    json_end_array(json);
    json_end_object(json);
}

/* docs/dump.md describes it. */
static void answer_state(struct answer *answer)
{
    struct json *json = &answer->json;

    json_object(json, NULL);
    json_number(json, "vmmu_state", 1);
    json_text(json, "backend", arch_backend_name());
    json_number(json, "clock_ns", host_clock_ns());
    json_array(json, "partitions");
    for_each(0, partition_count(), answer, add_state);
    json_end_array(json);
    json_end_object(json);
}

static void answer_partitions(struct answer *answer)
{
    struct json *json = &answer->json;

    json_object(json, NULL);
    json_number(json, "vmmu_partitions", 1);
    json_array(json, "partitions");
    for_each(0, partition_count(), answer, add_row);
    json_end_array(json);
    json_end_object(json);
}

/* --- which of them --- */

/* A document ends with its line, text with an empty one: so a program knows where. */
static void answer_about(unsigned first, unsigned end, struct answer *answer)
{
    switch (answer->request->kind) {
    case REQUEST_STATS:
    case REQUEST_COUNTERS: answer_reports(first, end, answer); break;
    case REQUEST_STATE: answer_state(answer); break;
    case REQUEST_PARTITIONS: answer_partitions(answer); break;
    case REQUEST_CONSOLE_READ: for_each(first, end, answer, add_console); break;
    case REQUEST_SHADOW: for_each(first, end, answer, say_shadow); break;
    case REQUEST_WALK: for_each(first, end, answer, say_walk); break;
    case REQUEST_TLB: for_each(first, end, answer, add_tlb); break;
    case REQUEST_STOP: answer_stop(first, end, answer); break;
    case REQUEST_GO: answer_go(first, end, answer); break;
    case REQUEST_CONSOLE: for_each(first, end, answer, say_focus); break;
    case REQUEST_READ: answer_read(answer->request); break;
    case REQUEST_PAGES: answer_pages(answer->request); break;
    case REQUEST_UNKNOWN:
        say("requests are: stats, counters, shadow, walk ADDRESS [VP], tlb [VP], stop, go, state, read "
            "ADDRESS "
            "COUNT, pages ADDRESS COUNT, partitions, console N, console-read N; the first seven take the "
            "number of "
            "a partition behind all else\n");
        break;
    }
    end_line();
}

static void answer_request(const struct request *request)
{
    struct answer answer = { .request = request, .json = control_document() };
    unsigned first;
    unsigned end;

    if (is_about(request, &first, &end)) {
        answer_about(first, end, &answer);
    } else {
        end_line();
    }
}

void monitor_ready(void)
{
    put_control(NULL, '\n');
}

void monitor_poll(void)
{
    static struct request_line line; /* of the control port, which is the machine's */
    struct request request;

    while (host_serial_pending(HOST_SERIAL_CONTROL)) {
        if (request_take(&line, (char)host_serial_read(HOST_SERIAL_CONTROL), &request)) {
            answer_request(&request);
        }
    }
}

static void say_last_exits(const struct vp *vp)
{
    const uint32_t count = vp->trace_next < OBITUARY_EXITS ? vp->trace_next : OBITUARY_EXITS;

    host_print("vmmu: instruction pointer %016lx; the last exits, oldest first:\n",
               (unsigned long)arch_vp_ip(vp));
    for (uint32_t i = vp->trace_next - count; i != vp->trace_next; i++) {
        const struct vp_trace_entry *entry = &vp->trace[i % VP_TRACE_ENTRIES];

        host_print("vmmu:   %-16s ip %016lx  code %4lx  info %lx %lx\n", exit_names[entry->kind],
                   (unsigned long)entry->ip, (unsigned long)entry->raw[0], (unsigned long)entry->raw[1],
                   (unsigned long)entry->raw[2]);
    }
}

/* Of several VPs each tells its part, since none is known to be whose fault it was; one that never ran has none. */
void monitor_obituary(struct partition *partition)
{
    if (partition->outcome != PARTITION_STOPPED) {
        return;
    }
    host_print("\nvmmu: partition %u stopped: %s\n", partition->index, partition->message);
    for (unsigned i = 0; i < partition->vp_count; i++) {
        if (partition->vp_count > 1 && partition->vps[i]->trace_next) {
            host_print("vmmu: VP %u\n", i);
        }
        if (partition->vp_count == 1 || partition->vps[i]->trace_next) {
            say_last_exits(partition->vps[i]);
        }
    }
}
