/*
 * All partitions of the machine, by their index.
 *
 * Made at the start, and never given back: what has ended can still be asked about.
 */
#ifndef HV_VP_PARTITIONS_H
#define HV_VP_PARTITIONS_H

#include "hv/guest/config.h"
#include "hv/vp/vp.h"

_Static_assert(PARTITIONS == CONFIG_PARTITIONS && PARTITION_VPS == CONFIG_VPS,
               "who asks and who makes agree");

/* How many there are. */
unsigned partition_count(void);

/* The partition of that index, or NULL. */
struct partition *partition_at(unsigned index);

/**
 * Make the next partition as @config says, which stays borrowed: its memory, of @layout, which is cleared, its MMU and
 * its VPs, of which all but the first wait for their start. NULL, or the sentence that says why it cannot be.
 */
VMMU_MUST_USE
const char *partition_make(const struct config *config, const struct guest_layout *layout);

#endif
