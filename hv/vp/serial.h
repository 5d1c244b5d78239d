/*
 * The guests' serial ports on the machine's.
 *
 * What a guest says on its console goes into a ring of its partition's; the machine's console shows it, and gives it what comes
 * in, while the partition has the focus, which one of them has at a time. The other ports are those of the partition that has
 * the channel; what others say there is lost.
 */
#ifndef HV_VP_SERIAL_H
#define HV_VP_SERIAL_H

#include "hv/monitor/ring.h"
#include "hv/vp/vp.h"

/* A partition's console. The lock is the partition's. */
struct console {
    struct ring ring;
    uint64_t shown;   /* a place in it: up to where the machine's console has shown it */
    uint64_t fetched; /* up to where `console-read` has */
};

/* Make @partition's console. NULL, or the sentence that says why not. */
const char *serial_create(struct partition *partition);

/* The guest says @byte on its serial port @port, from 0; one that is not wired takes it, too. Under the partition's lock. */
void serial_write(struct partition *partition, unsigned port, uint8_t byte);

/* Hand the guest's serial ports what came in for them, as long as they have room. Under the partition's lock. */
void serial_pump(struct partition *partition);

/* Whether something came in for which the guest had no room. */
bool serial_waits(const struct partition *partition);

/* The index of the partition that has the focus. */
unsigned serial_focus(void);

/* @partition has the focus from now on: what it has said since it had it last is shown. Under the partition's lock. */
void serial_set_focus(struct partition *partition);

#endif
