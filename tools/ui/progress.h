/*
 * A progress bar on standard error, if that is a terminal; nothing elsewhere. Shows itself after half a second.
 */
#ifndef TOOLS_UI_PROGRESS_H
#define TOOLS_UI_PROGRESS_H

#include <stdint.h>

struct progress {
    const char *what;
    uint64_t total;
    double began; /* seconds of the monotonic clock */
    double drawn;
    int shown;
};

void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_at(struct progress *progress, uint64_t done); /* cheap: call it every few thousand steps */
void progress_end(struct progress *progress);

#endif
