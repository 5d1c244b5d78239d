/* The life of a partition: its end, and the time in which it stands still. */
#include "hv/boot/host.h"
#include "hv/vp/arch.h"
#include "hv/vp/schedule.h"

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
    schedule_look();
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
    arch_partition_hold(partition);
    for (unsigned i = 0; i < partition->vp_count; i++) {
        partition->vps[i]->attention |= VP_ATTENTION_HOLD;
    }
}

void partition_release(struct partition *partition)
{
    if (!partition->held) {
        return;
    }
    for (unsigned i = 0; i < partition->vp_count; i++) {
        partition->vps[i]->attention &= ~(unsigned)VP_ATTENTION_HOLD;
    }
    arch_partition_release(partition);
    partition->lost_ns += host_clock_ns() - partition->held_since_ns;
    partition->held = false;
    schedule_look();
}

uint64_t partition_clock_ns(const struct partition *partition)
{
    return (partition->held ? partition->held_since_ns : host_clock_ns()) - partition->lost_ns;
}
