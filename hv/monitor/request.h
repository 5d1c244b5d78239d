/*
 * What can be asked on the control port: one request a line. Pure.
 *
 *   stats               the document about the partition
 *   shadow              the counters of shadow tables
 *   walk ADDRESS [VP]   a guest-virtual address, in hexadecimal, through the guest's tables and through ours; of VP 0 unless said
 */
#ifndef HV_MONITOR_REQUEST_H
#define HV_MONITOR_REQUEST_H

#include <stdbool.h>
#include <vmmu/base.h>

#define REQUEST_LETTERS 63

enum request_kind {
    REQUEST_STATS,
    REQUEST_SHADOW,
    REQUEST_WALK,
    REQUEST_UNKNOWN, /* none of those, or not well put */
};

struct request {
    enum request_kind kind;
    vmmu_gva va;
    unsigned vp;
};

/* A line that comes in; begins zeroed. */
struct request_line {
    unsigned letters; /* one more than there is room for: the line is too long */
    char text[REQUEST_LETTERS + 1];
};

/* Add what has come in. True once that ends a line which is not blank: *request, and @line is for the next one. */
bool request_take(struct request_line *line, char letter, struct request *request);

#endif
