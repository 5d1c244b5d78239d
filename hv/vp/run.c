/*
 * The loop in which a virtual processor spends its turn: deliver, enter, look at the exit, decide, again.
 *
 * Invariant: a VP enters its guest only with no attention outstanding that could be acted upon, so nothing
 * that became deliverable in the hypervisor waits for an unrelated exit.
 */
#include "hv/vp/run.h"
#include "hv/boot/host.h"
#include "hv/mmu/mmu.h"
#include "hv/monitor/monitor.h"
#include "hv/vp/arch.h"
#include "hv/vp/partitions.h"
#include "hv/vp/schedule.h"
#include "hv/vp/serial.h"

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
    [EXIT_X86_PAUSE] = "pause",
    [EXIT_X86_SPACES] = "spaces",
    [EXIT_PPC_TIMER] = "timer",
    [EXIT_PPC_PAGE] = "page",
};

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

/* @ns of the partition's time, as the host has it. */
static uint64_t host_ns(const struct partition *partition, uint64_t ns)
{
    return ns < HOST_TIMER_OFF - partition->lost_ns ? ns + partition->lost_ns : HOST_TIMER_OFF;
}

static bool is_going(const struct partition *partition)
{
    return partition->outcome == PARTITION_RUNNING && !partition->held;
}

uint64_t run_deadline_ns(void)
{
    uint64_t earliest_ns = HOST_TIMER_OFF;

    for (unsigned i = 0; i < partition_count(); i++) {
        const struct partition *partition = partition_at(i);

        if (is_going(partition)) {
            const uint64_t deadline_ns = host_ns(partition, arch_partition_deadline(partition));

            earliest_ns = deadline_ns < earliest_ns ? deadline_ns : earliest_ns;
        }
    }
    return earliest_ns;
}

/* What comes in for the serial ports of a partition that is held waits meanwhile, and so do its timers. */
void run_after_interrupts(void)
{
    const bool fired = host_timer_fired();

    for (unsigned i = 0; i < partition_count(); i++) {
        struct partition *partition = partition_at(i);

        if (is_going(partition)) {
            lock_take(&partition->lock);
            if (fired) {
                arch_partition_advance(partition, partition_clock_ns(partition));
            }
            serial_pump(partition);
            lock_release(&partition->lock);
        }
    }
    monitor_poll();
    schedule_look();
}

static void take_interrupts(void)
{
    host_interrupts_take();
    run_after_interrupts();
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

/* Whether interrupts of the machine's may wait. */
static bool interrupts_may_wait(const struct exit *exit)
{
    return exit->kind == EXIT_HOST_INTERRUPT || exit->looks_for_interrupts;
}

/* Under the partition's lock. */
static enum vp_next dispatch(struct vp *vp, const struct exit *exit)
{
    if (exit->kind == EXIT_HOST_INTERRUPT) {
        return VP_RESUME;
    }
    if (exit->kind == EXIT_EVENT_WINDOW) {
        vp->counters.event_windows++;
        vp->attention |= VP_ATTENTION_EVENT;
        return VP_RESUME;
    }
    if (exit->kind == EXIT_MEMORY) {
        return memory_exit(vp, exit);
    }
    if (exit->kind == EXIT_DEAD) {
        partition_end(vp->partition, PARTITION_STOPPED, 0, exit->why);
        return VP_STOP;
    }
    if (exit->kind == EXIT_MACHINE_CHECK) {
        partition_end(vp->partition, PARTITION_STOPPED, 0, "a machine check struck while the guest ran");
        return VP_STOP;
    }
    return arch_vp_exit(vp, exit);
}

/* When the guest must have exited at the latest. */
static uint64_t next_look_ns(const struct vp *vp)
{
    const uint64_t deadline_ns = run_deadline_ns();
    const uint64_t slice_end_ns = schedule_slice_end_ns();
    const uint64_t last_ns = slice_end_ns < deadline_ns ? slice_end_ns : deadline_ns;
    uint64_t soon_ns;

    if (!(vp->attention & VP_ATTENTION_SOON)) {
        return last_ns;
    }
    soon_ns = host_clock_ns() + SOON_NS;
    return soon_ns < last_ns ? soon_ns : last_ns;
}

/* All that happens between two entries. False: it is not this VP's turn any more. */
static bool deal_with(struct vp *vp, const struct exit *exit)
{
    struct partition *partition = vp->partition;
    enum vp_next next;
    bool tells;

    if (interrupts_may_wait(exit)) {
        take_interrupts();
    }
    lock_take(&partition->lock);
    next = dispatch(vp, exit);
    if (next == VP_IDLE) {
        vp->waits |= VP_WAIT_EVENT;
        vp->attention |= VP_ATTENTION_EVENT;
    }
    tells = vp->waits & VP_WAIT_INTERCEPT;
    lock_release(&partition->lock);
    if (tells) {
        arch_vp_post(vp);
    }
    switch (next) {
    case VP_RESUME: return !schedule_turn_is_over();
    case VP_YIELD:
        if (!schedule_others_are_ready()) {
            return true;
        }
        schedule_give_way();
        return false;
    case VP_IDLE: vp->counters.idle_waits += !schedule_is_ready(vp); return false;
    case VP_WAIT:
    case VP_STOP: return false;
    }
    __builtin_unreachable();
}

static bool must_not_enter(const struct vp *vp)
{
    return vp->waits || vp->attention & (VP_ATTENTION_STOP | VP_ATTENTION_HOLD);
}

/* What must be done before the guest is entered. False: it must not be. */
static bool prepare(struct vp *vp)
{
    struct partition *partition = vp->partition;
    bool may_enter;

    lock_take(&partition->lock);
    if (!must_not_enter(vp)) {
        if (vp->attention) {
            arch_vp_events(vp);
        }
        mmu_upset(partition);
    }
    may_enter = !must_not_enter(vp);
    lock_release(&partition->lock);
    return may_enter;
}

void run_vp(struct vp *vp)
{
    struct exit exit;

    do {
        if (!prepare(vp)) {
            return;
        }
        host_timer_arm(next_look_ns(vp));
        vp->counters.entries++;
        arch_vp_enter(vp, &exit);
        trace_exit(vp, &exit);
    } while (deal_with(vp, &exit));
}
