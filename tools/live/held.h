/*
 * A partition that stands still for as long as something is done with it.
 */
#ifndef TOOLS_LIVE_HELD_H
#define TOOLS_LIVE_HELD_H

#include "tools/ui/complain.h"

/* Have the partition at @socket held, or go on. Fill *before: it was so already. */
bool held_stop(const char *socket, bool *before, struct complaint *complaint);
bool held_go(const char *socket, bool *before, struct complaint *complaint);

/*
 * Have the partition at @socket stand still while @work runs in a process of its own, and then go on, unless it was held
 * before: also when that process dies, and when this one is asked to end meanwhile. Returns what @work returned, an enum
 * command_status.
 */
int held_while(const char *socket, int (*work)(void *context), void *context);

#endif
