/*
 * This room's own: the bytes of a trace, and what the readers of its forms share.
 */
#ifndef TOOLS_SIM_SOURCE_H
#define TOOLS_SIM_SOURCE_H

#include "tools/sim/trace.h"

#define SIM_BUFFER_BYTES (1u << 20)

/* The longest line of text, and the longest record of any form: what a buffer must hold to be read from. */
#define SIM_PIECE_BYTES  4096

#define SIM_SIDES        2

struct sim_trace {
    char *path;
    int fd;               /* -1: in memory */
    const uint8_t *bytes; /* borrowed, if in memory */
    size_t byte_count;
    size_t bytes_taken;
    uint64_t total_bytes;
    enum sim_trace_format asked;
    enum sim_trace_format format; /* SIM_TRACE_GUESS until it is known */
    uint8_t *buffer;
    size_t at;                     /* of the next byte that is not read */
    size_t end;                    /* of what is there */
    bool ended;                    /* nothing comes after that */
    bool began;                    /* the head of a binary trace is read */
    uint64_t before;               /* bytes that were read from the buffer and are gone */
    uint64_t line;                 /* lackey: of the next line, from 1 */
    uint64_t record;               /* binary: of the next record, from 1 */
    uint64_t last_page[SIM_SIDES]; /* hypervisor: of code and of data */
    sim_record waiting;            /* hypervisor: to come before the next record */
    bool is_waiting;
};

/*
 * Have SIM_PIECE_BYTES in the buffer from `at` on, or all that is left. False and *complaint if reading fails.
 */
bool sim_source_fill(struct sim_trace *trace, struct complaint *complaint);

/*
 * Readers of one form each: sim_trace_read() for a trace whose buffer is full. They stop when less than SIM_PIECE_BYTES are left
 * and more is to come; *count may be 0 then.
 */
bool sim_lackey_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                     struct complaint *complaint);
bool sim_binary_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                     struct complaint *complaint);
bool sim_hypervisor_read(struct sim_trace *trace, sim_record *records, size_t capacity, size_t *count,
                         struct complaint *complaint);

/* Whether a reader may go on: a whole piece is there, or all the rest. */
static inline bool sim_source_has_piece(const struct sim_trace *trace)
{
    return trace->end - trace->at >= SIM_PIECE_BYTES || (trace->ended && trace->at < trace->end);
}

/* Whether the buffer begins with the head of the binary form. */
bool sim_binary_is_head(const uint8_t *bytes, size_t count);

#endif
