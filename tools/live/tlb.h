/*
 * A guest of a Book E processor, which fills a TLB in place of tables: its entries, and those that the processor has of them.
 */
#ifndef TOOLS_LIVE_TLB_H
#define TOOLS_LIVE_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/ui/complain.h"

struct tlb_question {
    const char *socket;
    uint32_t partition; /* unless the words say otherwise */
    bool json;
    char **words; /* of the command line: options, and addresses for tlb_walk() */
    int word_count;
};

/* Fill *is: whether the guests of the hypervisor at @socket are such. */
bool tlb_is_guests(const char *socket, bool *is, struct complaint *complaint);

/* Print the entries for some addresses, or all; return an enum command_status, or end the program. */
int tlb_walk(struct tlb_question question);
int tlb_list(struct tlb_question question);

#endif
