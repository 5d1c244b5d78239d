/*
 * libkdumpfile at work in a process of its own. Files that lie can make it take memory without end, loop or crash (the version in
 * Debian 12 believes the sizes in the headers); then it is the child that ends, and we say so.
 */
#ifndef TOOLS_IMAGE_KDUMP_CHILD_H
#define TOOLS_IMAGE_KDUMP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tools/image/memory.h"
#include "tools/ui/complain.h"

struct kdump_child {
    pid_t pid;  /* 0 if there is none */
    int socket; /* -1 if there is none */
};

enum kdump_page {
    KDUMP_PAGE_THERE,
    KDUMP_PAGE_EXCLUDED, /* the dump leaves it out */
    KDUMP_PAGE_BROKEN,   /* *complaint */
};

/*
 * Have @file, a descriptor, opened by a child, and add the runs of pages that it has to @memory. Start with a @child that is stopped
 * or was never started: { 0, -1 }.
 */
bool kdump_child_start(struct kdump_child *child, int file, struct image_memory *memory,
                       struct complaint *complaint);

/* Read the page at @address. A child that crashes, or takes too long, is stopped; that is a page that is broken. */
enum kdump_page kdump_child_read(struct kdump_child *child, uint64_t address, uint8_t *bytes,
                                 struct complaint *complaint);

void kdump_child_stop(struct kdump_child *child);

#endif
