/*
 * Every access to memory that an instruction makes, and the pages that they reach.
 */
#ifndef TOOLS_EXPLAIN_ACCESS_H
#define TOOLS_EXPLAIN_ACCESS_H

#include <vmmu/mode.h>

#include "tools/explain/code.h"

#define ACCESSES_MOST      8
#define ACCESS_WORDS_BYTES 48
#define ACCESS_NOTES_MOST  4

/* The most bytes of one access that are looked at: XSAVE's area is the largest. */
#define ACCESS_BYTES_MOST  16384

/* Pages that one instruction's accesses may reach. */
#define PIECES_MOST        48

struct access {
    char what[ACCESS_WORDS_BYTES];  /* "instruction fetch", "[0x1234]", "push" */
    enum vmmu_x86_access_kind kind; /* reads and writes at once count as writes */
    bool also_read;                 /* a write that reads first */
    enum vmmu_x86_segment_name segment;
    uint64_t effective; /* the offset in the segment */
    uint64_t linear;
    uint32_t bytes;
    uint8_t refused; /* the segment refuses it, by its limit or type: the vector, 13 or 12; else 0 */
};

/* The part of an access that lies in one 4 KiB page: what is translated. */
struct piece {
    unsigned access;
    uint64_t linear;
    uint32_t bytes;
};

struct access_list {
    struct access accesses[ACCESSES_MOST];
    unsigned access_count;
    struct piece pieces[PIECES_MOST];
    unsigned piece_count;
    const char *notes[ACCESS_NOTES_MOST]; /* what is left out, as sentences */
    unsigned note_count;
    uint64_t repeats; /* by REP: how often; 1 otherwise */
};

/*
 * What code->insn accesses with the registers in @state: the fetch of its bytes first, if @fetched; then what it reads and
 * writes. Of a string instruction the first turn is meant.
 */
void access_list_make(const struct code *code, const struct vmmu_x86_state *state, bool fetched,
                      struct access_list *list);

/* "fetch", "read", "write", "read and write". */
const char *access_kind_words(const struct access *access);

/* What a walk is asked for @access. */
struct vmmu_x86_access access_for_walk(const struct access *access, const struct vmmu_x86_state *state);

#endif
