/*
 * A partition that stands still for as long as something is done with it.
 */
#ifndef TOOLS_LIVE_HELD_H
#define TOOLS_LIVE_HELD_H

#include <stdint.h>

#include "tools/live/request.h"
#include "tools/ui/complain.h"

/* Have @partition at @socket, or LIVE_ALL, held, or go on. Fill *before: it was, or all were, so already. */
bool held_stop(const char *socket, uint32_t partition, bool *before, struct complaint *complaint);
bool held_go(const char *socket, uint32_t partition, bool *before, struct complaint *complaint);

/*
 * Have all partitions at @socket stand still while @work runs in a process of its own, and then go on, unless they were held
 * before: also when that process dies, and when this one is asked to end meanwhile. Returns what @work returned, an enum
 * command_status.
 */
int held_while(const char *socket, int (*work)(void *context), void *context);

#endif
