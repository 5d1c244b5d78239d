/*
 * What bench/vpid records under the emulator: numbers of seven-bit groups, low ones first; the low four bits of a record's
 * first number are its kind. The page of an access is told by its distance from the last one of the same side.
 *
 * Where its tables led is told, too; that is passed over, for the simulated guest has tables of its own.
 */
#include "tools/sim/source.h"

#define KIND_BITS    4
#define GROUP_BITS   7
#define GROUP_MORE   0x80u
#define NUMBER_BITS  64
#define PAGE_BITS    52
#define ENTER_NESTED (UINT64_C(1) << 25)

/* Kinds, in the order of that form. */
enum kind {
    KIND_FETCH,
    KIND_READ,
    KIND_WRITE,
    KIND_TRANSLATION,
    KIND_ENTER,
    KIND_EXIT,
    KIND_LOAD_ROOT,
    KIND_INVLPG,
    KIND_FLUSH_PAGE,
    KIND_MARK,
    KIND_MERGED,
    KINDS,
};

static bool get_number(struct sim_trace *trace, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < NUMBER_BITS && trace->at < trace->end; shift += GROUP_BITS) {
        const uint8_t byte = trace->buffer[trace->at++];

        *number |= (uint64_t)(byte & (GROUP_MORE - 1)) << shift;
        if (!(byte & GROUP_MORE)) {
            return true;
        }
    }
    return false;
}

/* The page that an access record of @side is about: distances are folded, so that small ones of either sign are small. */
static uint64_t page_of(struct sim_trace *trace, unsigned side, uint64_t folded)
{
    trace->last_page[side] += folded >> 1 ^ (folded & 1 ? ~UINT64_C(0) : 0);
    /* Addresses are canonical; numbers of their pages were taken as unsigned. */
    return trace->last_page[side] & ((UINT64_C(1) << PAGE_BITS) - 1);
}

/* An entry tells of the guest's root only where that is not a second stage's. */
static sim_record enter(struct sim_trace *trace, uint64_t root, uint64_t more)
{
    if (!(more & ENTER_NESTED)) {
        trace->waiting = sim_record_of(SIM_SPACE, root);
        trace->is_waiting = true;
    }
    return sim_record_of(SIM_ENTER, 0);
}

/* The record of @kind to *out. False: nothing that a simulator needs. */
static bool translate(struct sim_trace *trace, enum kind kind, uint64_t value, uint64_t more, sim_record *out)
{
    switch (kind) {
    case KIND_FETCH: *out = sim_record_of(SIM_FETCH, page_of(trace, 0, value)); return true;
    case KIND_READ: *out = sim_record_of(SIM_READ, page_of(trace, 1, value)); return true;
    case KIND_WRITE: *out = sim_record_of(SIM_WRITE, page_of(trace, 1, value)); return true;
    case KIND_EXIT: *out = sim_record_of(SIM_EXIT, value); return true;
    case KIND_LOAD_ROOT: *out = sim_record_of(SIM_SPACE, value); return true;
    case KIND_INVLPG: *out = sim_record_of(SIM_INVLPG, value); return true;
    case KIND_MERGED: *out = sim_record_of(SIM_REPEAT, value); return true;
    case KIND_ENTER: *out = enter(trace, value, more); return true;
    case KIND_TRANSLATION:
    case KIND_FLUSH_PAGE:
    case KIND_MARK:
    case KINDS: break;
    }
    return false;
}

static bool has_more(enum kind kind)
{
    return kind == KIND_ENTER || kind == KIND_FLUSH_PAGE || kind == KIND_TRANSLATION;
}

bool sim_hypervisor_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                         struct complaint *complaint)
{
    while (*count < capacity && (trace->is_waiting || sim_source_has_piece(trace))) {
        const uint64_t began = sim_trace_done_bytes(trace);
        uint64_t number = 0;
        uint64_t more = 0;
        enum kind kind;

        if (trace->is_waiting) {
            records[(*count)++] = trace->waiting;
            trace->is_waiting = false;
            continue;
        }
        if (!get_number(trace, &number) || (number & ((1U << KIND_BITS) - 1)) >= KINDS) {
            return complain(complaint, "%s: at byte %llu is no record of the hypervisor's trace", trace->path,
                            (unsigned long long)began);
        }
        kind = (enum kind)(number & ((1U << KIND_BITS) - 1));
        if (has_more(kind) && !get_number(trace, &more)) {
            return complain(complaint, "%s is cut off in the record at byte %llu", trace->path,
                            (unsigned long long)began);
        }
        *count += translate(trace, kind, number >> KIND_BITS, more, &records[*count]);
    }
    return true;
}
