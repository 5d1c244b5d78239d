/*
 * Locks, and the order in which they are taken.
 *
 * One processor runs everything today, so nobody ever waits: a lock only knows whether it is taken, and taking one that is, or
 * that comes before one that is held, or touching without it what it guards, ends the hypervisor with a sentence. What will be
 * needed on several processors is thus checked at each exit now.
 *
 * The order: partitions' locks by index (a parent has a lower one than its children), the lock of the machine's memory.
 * No lock is held inside a guest, nor while the hypervisor waits for an interrupt.
 */
#ifndef HV_VP_LOCK_H
#define HV_VP_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#define LOCK_RANK_PARTITION 16u /* and the partition's index */
#define LOCK_RANK_MEMORY    64u

struct lock {
    const char *name; /* for people */
    unsigned rank;    /* taken in ascending order */
    bool taken;
};

/* The calling processor does not hold @lock, nor any of its rank or a higher one. */
void lock_take(struct lock *lock);

/* The calling processor holds @lock, and took none after it. */
void lock_release(struct lock *lock);

_Noreturn void lock_is_not_held(const struct lock *lock);

/* What @lock guards is about to be used. */
static inline void lock_assert(const struct lock *lock)
{
    if (__builtin_expect(!lock->taken, 0)) {
        lock_is_not_held(lock);
    }
}

#endif
