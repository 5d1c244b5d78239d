/*
 * A running partition at a glance: registers of its virtual processors, and what was counted.
 */
#ifndef TOOLS_LIVE_GLANCE_H
#define TOOLS_LIVE_GLANCE_H

#include "tools/live/counters.h"

/* Print it. @document is what `stats` answered, from which @counters were read. */
void glance_print(const char *socket, struct json_object *document, const struct counters *counters);

#endif
