#include "tools/live/request.h"

#include <inttypes.h>
#include <stdio.h>

#include "tools/ui/options.h"

struct live_request live_request(const char *word, uint32_t partition)
{
    struct live_request request;

    if (partition == LIVE_ALL) {
        (void)snprintf(request.text, sizeof(request.text), "%s", word);
    } else {
        (void)snprintf(request.text, sizeof(request.text), "%s %" PRIu32, word, partition);
    }
    return request;
}

uint32_t live_partition(struct argp_state *state, const char *argument)
{
    return (uint32_t)option_count(state, "--partition", argument, 0, LIVE_ALL - 1);
}
