#include "hv/vp/schedule.h"

#include "hv/boot/host.h"
#include "hv/vp/arch.h"
#include "hv/vp/lock.h"
#include "hv/vp/partitions.h"
#include "hv/vp/run.h"

/* More than VPs are apart that are busy. */
#define OWED_MOST_NS (2 * SCHEDULE_SLICE_NS)

/*
 * Who gives way counts as if it had used that much: several that spin do not hand the processor round among themselves while one
 * works that they all wait for.
 */
#define GIVEN_WAY_NS (SCHEDULE_SLICE_NS / 4)

/* This processor's. */
static struct {
    struct vp *running; /* whose turn it is; NULL: nobody's */
    struct vp *yielded; /* whose turn was last, if it gave way of its own will */
    struct vp *hint;    /* somebody waits for what this one does: it goes first, if that is fair */
    uint64_t since_ns;  /* when the turn began */
    uint64_t end_ns;    /* when the slice is over; HOST_TIMER_OFF: nobody else is ready */
    uint64_t floor_ns;  /* what the VP has run for that has run most */
    bool look;          /* others may have become ready, or the slice be over */
} now;

/* --- readiness --- */

static bool may_run(const struct vp *vp)
{
    return vp->partition->outcome == PARTITION_RUNNING && !vp->partition->held;
}

static bool has_halted(const struct vp *vp)
{
    return vp->waits == VP_WAIT_EVENT;
}

bool schedule_is_ready(struct vp *vp)
{
    bool ready;

    if (!may_run(vp)) {
        return false;
    }
    lock_take(&vp->partition->lock);
    ready = !vp->waits || (has_halted(vp) && vp->attention & VP_ATTENTION_EVENT && arch_vp_wakes(vp));
    lock_release(&vp->partition->lock);
    return ready;
}

static void end_halt(struct vp *vp)
{
    lock_take(&vp->partition->lock);
    vp->waits &= ~(unsigned)VP_WAIT_EVENT;
    lock_release(&vp->partition->lock);
}

/* --- who is next --- */

/* Of the VPs that are ready, but for @but, the one that has run least; the one after @but if several have. */
static struct vp *others_best(const struct vp *but)
{
    struct vp *best = NULL;

    for (unsigned i = 0; i < partition_count(); i++) {
        const struct partition *partition = partition_at(i);

        for (unsigned j = 0; j < partition->vp_count; j++) {
            struct vp *vp = partition->vps[j];

            if (vp != but && (!best || vp->run_ns < best->run_ns) && schedule_is_ready(vp)) {
                best = vp;
            }
        }
    }
    return best;
}

/* @hint, if it is ready and has not run for much longer than @best. */
static struct vp *prefer(struct vp *hint, struct vp *best)
{
    return hint && best && hint->run_ns <= best->run_ns + SCHEDULE_SLICE_NS && schedule_is_ready(hint) ? hint
                                                                                                       : best;
}

static void raise_floor(uint64_t run_ns)
{
    now.floor_ns = run_ns > now.floor_ns ? run_ns : now.floor_ns;
}

static uint64_t charge(struct vp *vp)
{
    const uint64_t clock_ns = host_clock_ns();

    vp->run_ns += clock_ns - now.since_ns;
    now.since_ns = clock_ns;
    return clock_ns;
}

/*
 * Nobody is owed more than this: not after its partition was held, nor because the machine stood still during another's turn,
 * who would pay for it by waiting as long.
 */
static void forgive(void)
{
    for (unsigned i = 0; i < partition_count(); i++) {
        const struct partition *partition = partition_at(i);

        for (unsigned j = 0; j < partition->vp_count; j++) {
            struct vp *vp = partition->vps[j];

            if (vp->run_ns + OWED_MOST_NS < now.floor_ns) {
                vp->run_ns = now.floor_ns - OWED_MOST_NS;
            }
        }
    }
}

static struct vp *choose(void)
{
    struct vp *best;
    struct vp *chosen;

    forgive();
    best = others_best(now.yielded);
    if (!best && now.yielded && schedule_is_ready(now.yielded)) {
        best = now.yielded;
    }
    chosen = prefer(now.hint, best);
    now.hint = NULL;
    now.yielded = NULL;
    if (chosen) {
        end_halt(chosen);
        raise_floor(chosen->run_ns);
    }
    return chosen;
}

/* Sleeping saves nothing up: as if it had run nearly as long as whoever runs. */
static void catch_up(struct vp *vp)
{
    if (now.running) {
        (void)charge(now.running);
        raise_floor(now.running->run_ns);
    }
    if (vp->run_ns + SCHEDULE_SLICE_NS < now.floor_ns) {
        vp->run_ns = now.floor_ns - SCHEDULE_SLICE_NS;
    }
}

void schedule_notice(struct vp *vp)
{
    if (vp == now.running || !may_run(vp) || (vp->waits && !has_halted(vp))) {
        return;
    }
    if (vp->waits) {
        catch_up(vp);
        now.hint = vp;
    } else if (!now.hint) {
        now.hint = vp;
    }
    now.look = true;
}

void schedule_wake(struct vp *vp, unsigned waits)
{
    lock_assert(&vp->partition->lock);
    if (vp->waits & waits) {
        catch_up(vp);
        vp->waits &= ~waits;
        vp->attention |= VP_ATTENTION_EVENT;
        schedule_notice(vp);
        now.hint = vp;
    }
}

/* --- turns --- */

void schedule_look(void)
{
    now.look = true;
}

uint64_t schedule_slice_end_ns(void)
{
    return now.end_ns;
}

bool schedule_others_are_ready(void)
{
    return others_best(now.running);
}

/* Whose end has still to be told. */
static bool someone_has_ended(void)
{
    for (unsigned i = 0; i < partition_count(); i++) {
        if (partition_at(i)->outcome != PARTITION_RUNNING && !partition_at(i)->reaped) {
            return true;
        }
    }
    return false;
}

bool schedule_turn_is_over(void)
{
    struct vp *other;
    uint64_t clock_ns;

    if (!now.look) {
        return false;
    }
    now.look = false;
    if (someone_has_ended()) {
        return true;
    }
    clock_ns = charge(now.running);
    other = others_best(now.running);
    if (!other) {
        now.end_ns = HOST_TIMER_OFF;
        return false;
    }
    if (clock_ns >= now.end_ns || (now.hint && prefer(now.hint, now.running) == now.hint)) {
        return true;
    }
    if (now.end_ns == HOST_TIMER_OFF) {
        now.end_ns = clock_ns + SCHEDULE_SLICE_NS;
    }
    return false;
}

static void take_turn(struct vp *vp)
{
    now.running = vp;
    now.since_ns = host_clock_ns();
    now.end_ns = others_best(vp) ? now.since_ns + SCHEDULE_SLICE_NS : HOST_TIMER_OFF;
    now.look = false;
    run_vp(vp);
    (void)charge(vp);
    raise_floor(vp->run_ns);
    now.running = NULL;
}

void schedule_give_way(void)
{
    now.yielded = now.running;
    now.running->run_ns += GIVEN_WAY_NS;
}

/* --- the life of partitions --- */

/* Whose parent has ended has nobody to answer its messages, nor to lend it memory. */
static void end_children(const struct partition *parent)
{
    for (unsigned i = 0; i < partition_count(); i++) {
        if (partition_at(i)->parent == parent) {
            lock_take(&partition_at(i)->lock);
            partition_end(partition_at(i), PARTITION_STOPPED, 0, "its parent has ended");
            lock_release(&partition_at(i)->lock);
        }
    }
}

/* Tell of partitions that have ended since the last time. Whether any goes on. */
static bool reap(void (*ended)(struct partition *partition))
{
    bool some_run = false;

    for (unsigned i = 0; i < partition_count(); i++) {
        struct partition *partition = partition_at(i);

        if (partition->outcome == PARTITION_RUNNING) {
            some_run = true;
        } else if (!partition->reaped) {
            partition->reaped = true;
            end_children(partition);
            lock_take(&partition->lock);
            ended(partition);
            lock_release(&partition->lock);
        }
    }
    return some_run;
}

static void rest(void)
{
    host_timer_arm(run_deadline_ns());
    host_wait();
    run_after_interrupts();
}

void schedule_run(void (*ended)(struct partition *partition))
{
    __builtin_memset(&now, 0, sizeof now);
    for (unsigned i = 0; i < partition_count(); i++) {
        partition_at(i)->start_ns = host_clock_ns();
    }
    while (reap(ended)) {
        struct vp *vp = choose();

        if (vp) {
            take_turn(vp);
        } else {
            rest();
        }
    }
}
