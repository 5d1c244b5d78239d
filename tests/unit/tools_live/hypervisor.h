/*
 * The other end of a control port, in a child: it answers what docs/dump.md says.
 */
#ifndef TESTS_UNIT_TOOLS_LIVE_HYPERVISOR_H
#define TESTS_UNIT_TOOLS_LIVE_HYPERVISOR_H

#include <stdint.h>
#include <sys/types.h>

#include "tests/unit/tools_image/state.h"

#define COUNTERS                                                                                             \
    "{\"vmmu\":1,\"outcome\":{\"kind\":\"running\"},\"held\":false,\"memory_bytes\":67108864,\"run_ns\":5,"  \
    "\"backend\":\"svm\",\"mmu\":{\"technique\":\"shadow\",\"fills\":7},\"vps\":[]}"

/* What it answers all requests but `counters` and `state` with, unless this is NULL. To be set before the start. */
extern const char *hypervisor_says;

struct hypervisor {
    char folder[32];
    char socket[48];
    char dump[48]; /* a name for a dump, in the same folder */
    pid_t child;
};

/*
 * Answer `state` with @state, the text of a document, and `read` and `pages` with the machine's memory of dump_of(), in which
 * page @zero is zero and page @absent is not to be had. It begins held, or not, and knows `stop` and `go`.
 */
struct hypervisor hypervisor_start(const char *state, uint64_t zero, uint64_t absent, bool held);

/* Whether the partition is held: the other end tells by a file. */
bool hypervisor_holds(const struct hypervisor *hypervisor);

/* End it; nothing is left. */
void hypervisor_end(const struct hypervisor *hypervisor);

#endif
