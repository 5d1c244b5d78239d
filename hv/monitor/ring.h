/*
 * The last of what a console has said. Pure.
 *
 * Whoever reads keeps a place of its own, so that several read one ring; what has been overwritten before it was read is lost.
 */
#ifndef HV_MONITOR_RING_H
#define HV_MONITOR_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_BYTES UINT64_C(65536)

/* Begins zeroed, as does a reader's place: how many bytes there were before it. */
struct ring {
    uint64_t written;
    uint8_t bytes[RING_BYTES];
};

static inline void ring_put(struct ring *ring, uint8_t byte)
{
    ring->bytes[ring->written++ % RING_BYTES] = byte;
}

/* Move @place past what is lost. How many bytes that is. */
static inline uint64_t ring_catch_up(const struct ring *ring, uint64_t *place)
{
    const uint64_t oldest = ring->written > RING_BYTES ? ring->written - RING_BYTES : 0;
    const uint64_t lost = *place < oldest ? oldest - *place : 0;

    *place += lost;
    return lost;
}

/* The byte at @place, which moves on. False: nothing has come since. */
static inline bool ring_take(const struct ring *ring, uint64_t *place, uint8_t *byte)
{
    (void)ring_catch_up(ring, place);
    if (*place == ring->written) {
        return false;
    }
    *byte = ring->bytes[(*place)++ % RING_BYTES];
    return true;
}

#endif
