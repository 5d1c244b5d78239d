/*
 * What can be asked on the control port: one request a line. Pure.
 *
 *   stats [N]           the document about partition N, or of all of them
 *   counters [N]        the same without registers, code and trace: a tenth of it
 *   shadow [N]          the counters of what is made for guests to translate by: shadow tables, entries of the TLB
 *   walk ADDRESS [VP [N]]
 *                       a guest-virtual address, in hexadecimal, through the guest's tables (or its TLB) and through ours; of VP 0 of
 *                       partition 0 unless said
 *   tlb [VP [N]]        all entries of the TLB that a guest writes itself, and what the processor has of them
 *   stop [N]            the VPs of partition N, or all, do not run on
 *   go [N]              and now they do
 *   state               the document of all that a translation depends on: docs/dump.md
 *   read ADDRESS COUNT  bytes of the machine's memory, as far as it is a partition's, or its tables': an address in
 *                       hexadecimal, and how many, in decimal
 *   pages ADDRESS COUNT which of so many pages from that address on may be read, and are not zero
 *   partitions          which there are
 *   console N           the machine's console is partition N's from now on
 *   console-read N      what partition N has said on its console since the last such request
 */
#ifndef HV_MONITOR_REQUEST_H
#define HV_MONITOR_REQUEST_H

#include <stdbool.h>
#include <vmmu/base.h>

#define REQUEST_LETTERS    63
#define REQUEST_COUNT_MOST 4096 /* of bytes or pages */
#define REQUEST_ALL        UINT32_MAX

enum request_kind {
    REQUEST_STATS,
    REQUEST_COUNTERS,
    REQUEST_SHADOW,
    REQUEST_WALK,
    REQUEST_TLB,
    REQUEST_STOP,
    REQUEST_GO,
    REQUEST_STATE,
    REQUEST_READ,
    REQUEST_PAGES,
    REQUEST_PARTITIONS,
    REQUEST_CONSOLE,
    REQUEST_CONSOLE_READ,
    REQUEST_UNKNOWN, /* none of those, or not well put */
};

struct request {
    enum request_kind kind;
    uint32_t partition; /* where it is about one; REQUEST_ALL if none was named */
    vmmu_gva va;        /* REQUEST_WALK */
    unsigned vp;        /* REQUEST_WALK, REQUEST_TLB */
    vmmu_hpa at;        /* REQUEST_READ, REQUEST_PAGES */
    unsigned count;     /* of these: from 1 to REQUEST_COUNT_MOST */
};

/* A line that comes in; begins zeroed. */
struct request_line {
    unsigned letters; /* one more than there is room for: the line is too long */
    char text[REQUEST_LETTERS + 1];
};

/* Add what has come in. True once that ends a line which is not blank: *request, and @line is for the next one. */
bool request_take(struct request_line *line, char letter, struct request *request);

#endif
