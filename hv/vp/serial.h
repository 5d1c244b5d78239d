/* What comes in for the guests' serial ports. */
#ifndef HV_VP_SERIAL_H
#define HV_VP_SERIAL_H

#include "hv/vp/vp.h"

/* Hand the guest's serial ports what came in for them, as long as they have room. Under the partition's lock. */
void serial_pump(struct partition *partition);

/* Whether something came in for which the guest had no room. */
bool serial_waits(const struct partition *partition);

#endif
