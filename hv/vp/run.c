/*
 * The loop in which a virtual processor lives: deliver, enter, look at the exit, decide, again.
 *
 * Invariant: a VP enters its guest only with no attention outstanding that could be acted upon, so nothing
 * that became deliverable in the hypervisor waits for an unrelated exit.
 */
#include "hv/boot/host.h"
#include "hv/mmu/mmu.h"
#include "hv/monitor/monitor.h"
#include "hv/vp/arch.h"

/* Long enough for a guest to execute an instruction before the interrupt that makes it exit. */
#define SOON_NS 20000

const char *const exit_names[EXIT_KINDS] = {
    [EXIT_HOST_INTERRUPT] = "host-interrupt",
    [EXIT_EVENT_WINDOW] = "event-window",
    [EXIT_MEMORY] = "memory",
    [EXIT_IDLE] = "idle",
    [EXIT_HYPERCALL] = "hypercall",
    [EXIT_MACHINE_CHECK] = "machine-check",
    [EXIT_DEAD] = "dead",
    [EXIT_X86_PORT] = "port",
    [EXIT_X86_CPUID] = "cpuid",
    [EXIT_X86_MSR_READ] = "msr-read",
    [EXIT_X86_MSR_WRITE] = "msr-write",
    [EXIT_X86_CONTROL] = "control-register",
    [EXIT_X86_XSETBV] = "xsetbv",
    [EXIT_X86_CACHE] = "cache",
    [EXIT_X86_EXCEPTION] = "exception",
    [EXIT_X86_UNOFFERED] = "unoffered",
    [EXIT_X86_RDPMC] = "rdpmc",
    [EXIT_X86_PAGE_FAULT] = "page-fault",
    [EXIT_X86_TASK_SWITCH] = "task-switch",
    [EXIT_X86_INVLPG] = "invlpg",
};

void partition_end(struct partition *partition, enum partition_outcome outcome, uint64_t value,
                   const char *message)
{
    if (partition->outcome != PARTITION_RUNNING) {
        return;
    }
    partition->outcome = outcome;
    partition->value = value;
    partition->message = message;
    for (unsigned i = 0; i < partition->vp_count; i++) {
        partition->vps[i]->attention |= VP_ATTENTION_STOP;
    }
}

void partition_violated(void *partition, const char *what)
{
    partition_end(partition, PARTITION_STOPPED, 0, what);
}

void partition_hold(struct partition *partition)
{
    if (partition->held) {
        return;
    }
    partition->held = true;
    partition->held_since_ns = host_clock_ns();
    for (unsigned i = 0; i < partition->vp_count; i++) {
        partition->vps[i]->attention |= VP_ATTENTION_HOLD;
        arch_vp_hold(partition->vps[i]);
    }
}

void partition_release(struct partition *partition)
{
    if (!partition->held) {
        return;
    }
    for (unsigned i = 0; i < partition->vp_count; i++) {
        arch_vp_release(partition->vps[i]);
        partition->vps[i]->attention &= ~(unsigned)VP_ATTENTION_HOLD;
    }
    partition->lost_ns += host_clock_ns() - partition->held_since_ns;
    partition->held = false;
}

uint64_t partition_clock_ns(const struct partition *partition)
{
    return (partition->held ? partition->held_since_ns : host_clock_ns()) - partition->lost_ns;
}

static void trace_exit(struct vp *vp, const struct exit *exit)
{
    struct vp_trace_entry *entry = &vp->trace[vp->trace_next % VP_TRACE_ENTRIES];

    entry->ip = arch_vp_ip(vp);
    entry->raw[0] = exit->raw[0];
    entry->raw[1] = exit->raw[1];
    entry->raw[2] = exit->raw[2];
    entry->kind = exit->kind;
    entry->sequence = vp->trace_next++;
    vp->counters.exits[exit->kind]++;
}

/* Where each serial port of the guest comes from. */
static const enum host_serial serial_lines[PARTITION_SERIALS] = { HOST_SERIAL_CONSOLE, HOST_SERIAL_CHANNEL,
                                                                  HOST_SERIAL_CHANNEL2 };

/* Hand the guest's serial ports what came in for them, as long as they have room. */
static void pump_serial(struct partition *partition)
{
    for (unsigned i = 0; i < PARTITION_SERIALS; i++) {
        int16_t *held = &partition->held_bytes[i];

        do {
            if (*held < 0) {
                *held = (int16_t)host_serial_read(serial_lines[i]);
            }
            if (*held >= 0 && !arch_partition_receive(partition, i, (uint8_t)*held)) {
                break;
            }
            *held = -1;
        } while (host_serial_pending(serial_lines[i]));
    }
}

static bool serial_waits(const struct partition *partition)
{
    return partition->held_bytes[0] >= 0 || partition->held_bytes[1] >= 0 || partition->held_bytes[2] >= 0;
}

/*
 * After interrupts of the machine's have run: timers that are due, bytes that came in,
 * requests of the monitor's.
 */
static void after_host_interrupts(struct partition *partition)
{
    if (host_timer_fired()) {
        arch_partition_advance(partition, partition_clock_ns(partition));
    }
    pump_serial(partition);
    monitor_poll(partition);
}

/* What comes in for the guest's serial ports waits meanwhile, and so do its timers. */
static void wait_while_held(struct vp *vp)
{
    while (vp->attention & VP_ATTENTION_HOLD) {
        host_timer_arm(HOST_TIMER_OFF);
        host_wait();
        monitor_poll(vp->partition);
    }
}

/* @ns of the partition's time, as the host has it. */
static uint64_t host_ns(const struct partition *partition, uint64_t ns)
{
    return ns < HOST_TIMER_OFF - partition->lost_ns ? ns + partition->lost_ns : HOST_TIMER_OFF;
}

static void wait_until_awake(struct vp *vp)
{
    while (!(vp->attention & VP_ATTENTION_STOP) && !arch_vp_wakes(vp)) {
        vp->counters.idle_waits++;
        host_timer_arm(host_ns(vp->partition, arch_partition_deadline(vp->partition)));
        host_wait();
        after_host_interrupts(vp->partition);
        wait_while_held(vp);
    }
}

static enum vp_next memory_exit(struct vp *vp, const struct exit *exit)
{
    switch (mmu_fault(vp, &exit->memory)) {
    case MMU_RETRY: return VP_RESUME;
    case MMU_DEVICE: return arch_vp_emulate(vp, exit);
    case MMU_STOP: return VP_STOP;
    }
    __builtin_unreachable();
}

/* The guest may have made room in a serial port. */
static enum vp_next port_exit(struct vp *vp, const struct exit *exit)
{
    const enum vp_next next = arch_vp_exit(vp, exit);

    if (serial_waits(vp->partition)) {
        pump_serial(vp->partition);
    }
    return next;
}

static enum vp_next dispatch(struct vp *vp, const struct exit *exit)
{
    /* A guest can arrange that each delivery exits into the next, and none lets an interrupt of ours exit. */
    if (exit->kind == EXIT_X86_EXCEPTION || exit->delivering) {
        host_interrupts_take();
        after_host_interrupts(vp->partition);
    }
    switch (exit->kind) {
    case EXIT_HOST_INTERRUPT:
        host_interrupts_take();
        after_host_interrupts(vp->partition);
        return VP_RESUME;
    case EXIT_EVENT_WINDOW:
        vp->counters.event_windows++;
        vp->attention |= VP_ATTENTION_EVENT;
        return VP_RESUME;
    case EXIT_MEMORY: return memory_exit(vp, exit);
    case EXIT_DEAD: partition_end(vp->partition, PARTITION_STOPPED, 0, exit->why); return VP_STOP;
    case EXIT_MACHINE_CHECK:
        partition_end(vp->partition, PARTITION_STOPPED, 0, "a machine check struck while the guest ran");
        return VP_STOP;
    case EXIT_X86_PORT: return port_exit(vp, exit);
    case EXIT_X86_EXCEPTION:
    case EXIT_X86_PAGE_FAULT:
    case EXIT_IDLE:
    case EXIT_HYPERCALL:
    case EXIT_X86_CPUID:
    case EXIT_X86_MSR_READ:
    case EXIT_X86_MSR_WRITE:
    case EXIT_X86_CONTROL:
    case EXIT_X86_XSETBV:
    case EXIT_X86_CACHE:
    case EXIT_X86_UNOFFERED:
    case EXIT_X86_RDPMC:
    case EXIT_X86_TASK_SWITCH:
    case EXIT_X86_INVLPG: return arch_vp_exit(vp, exit);
    case EXIT_KINDS: break;
    }
    __builtin_unreachable();
}

/* When the guest must have exited at the latest. */
static uint64_t next_look_ns(const struct vp *vp)
{
    const uint64_t deadline_ns = host_ns(vp->partition, arch_partition_deadline(vp->partition));
    uint64_t soon_ns;

    if (!(vp->attention & VP_ATTENTION_SOON)) {
        return deadline_ns;
    }
    soon_ns = host_clock_ns() + SOON_NS;
    return soon_ns < deadline_ns ? soon_ns : deadline_ns;
}

static void run_vp(struct vp *vp)
{
    struct exit exit;

    for (;;) {
        if (vp->attention) {
            if (vp->attention & VP_ATTENTION_STOP) {
                return;
            }
            wait_while_held(vp);
            arch_vp_events(vp);
        }
        mmu_upset(vp->partition);
        host_timer_arm(next_look_ns(vp));
        vp->counters.entries++;
        arch_vp_enter(vp, &exit);
        trace_exit(vp, &exit);
        switch (dispatch(vp, &exit)) {
        case VP_RESUME: break;
        case VP_IDLE: wait_until_awake(vp); break;
        case VP_STOP: return;
        }
    }
}

void partition_run(struct partition *partition)
{
    partition->start_ns = host_clock_ns();
    run_vp(partition->vps[0]);
}
