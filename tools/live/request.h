/*
 * What is asked of a running hypervisor about one partition, or all.
 */
#ifndef TOOLS_LIVE_REQUEST_H
#define TOOLS_LIVE_REQUEST_H

#include <argp.h>
#include <stdint.h>

#define LIVE_ALL UINT32_MAX

struct live_request {
    char text[24];
};

/* The request @word, which has eight letters at most, about @partition, or LIVE_ALL. */
struct live_request live_request(const char *word, uint32_t partition);

enum { LIVE_KEY_PARTITION = 'p' };

/* Of an argp_option: --partition=N. */
#define LIVE_OPTION_PARTITION                                                                                \
    {                                                                                                        \
        "partition", LIVE_KEY_PARTITION, "N", 0, "Where there are several: which guest", 0                   \
    }

/* The argument of it. */
uint32_t live_partition(struct argp_state *state, const char *argument);

#endif
