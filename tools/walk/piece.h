/*
 * A piece of a batch: whole lines of addresses, and the lines that answer them. Pieces know nothing of each other: several may
 * be answered at the same time, where the machine's memory may be loaded so.
 */
#ifndef TOOLS_WALK_PIECE_H
#define TOOLS_WALK_PIECE_H

#include "tools/machine/machine.h"

#define PIECE_BYTES ((size_t)1 << 16) /* of input, at most */

/* What all pieces of a batch are answered by. */
struct piece_task {
    const struct machine *machine;
    struct vmmu_x86_mode mode;
    struct vmmu_x86_access access;
    bool json;
    bool wide; /* linear addresses have more than 32 bits */
};

struct piece {
    char input[PIECE_BYTES + 1];
    size_t input_bytes; /* the last of them a newline */
    char *output;       /* grows as it must; whoever made the piece frees it */
    size_t output_bytes;
    size_t output_room;
    uint64_t lines; /* that were looked at */
    uint64_t translated;
    uint64_t faults;
    bool bad; /* the last of @lines is no address */
};

/* Answer the lines of @piece, up to the first that is no address. */
void piece_answer(const struct piece_task *task, struct piece *piece);

/*
 * The address on the line at @at, which ends before @end: digits, then nothing but blanks and a comment up to the newline,
 * which must be there. Returns where the next line begins, or NULL if the line cannot be; *found says whether it holds an
 * address.
 */
const char *piece_parse(const char *at, const char *end, uint64_t *address, bool *found);

#endif
