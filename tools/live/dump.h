/*
 * A dump of a running hypervisor: docs/dump.md has the form of the file.
 */
#ifndef TOOLS_LIVE_DUMP_H
#define TOOLS_LIVE_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/ui/complain.h"

struct dump_summary {
    uint64_t memory_bytes;  /* in all */
    uint64_t written_bytes; /* of those: the rest is zero, and takes no room in the file */
    unsigned ranges;
    bool whole; /* all of the machine's memory; else the partitions' and their tables */
};

/*
 * Write the machine at @socket to a file at @path, which is there as a whole when this is done, or not at all. It should stand
 * still meanwhile.
 */
bool dump_write(const char *socket, const char *path, struct dump_summary *summary,
                struct complaint *complaint);

#endif
