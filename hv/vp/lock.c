#include "hv/vp/lock.h"

#include "hv/boot/host.h"

#define HELD_MOST 8

/* This processor's, in the order in which they were taken. */
static struct lock *held[HELD_MOST];
static unsigned held_count;

void lock_take(struct lock *lock)
{
    if (held_count > 0 && held[held_count - 1]->rank >= lock->rank) {
        host_panic("the lock of %s is taken after that of %s\n", lock->name, held[held_count - 1]->name);
    }
    if (lock->taken || held_count == HELD_MOST) {
        host_panic("the lock of %s is taken already, or too many are\n", lock->name);
    }
    lock->taken = true;
    held[held_count++] = lock;
}

void lock_release(struct lock *lock)
{
    if (held_count == 0 || held[held_count - 1] != lock) {
        host_panic("the lock of %s is released out of order\n", lock->name);
    }
    held_count--;
    lock->taken = false;
}

_Noreturn void lock_is_not_held(const struct lock *lock)
{
    host_panic("the lock of %s is not held\n", lock->name);
}
