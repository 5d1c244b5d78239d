/*
 * Words one behind the other in a buffer. What does not fit is left out.
 */
#ifndef TOOLS_WALK_WORDS_H
#define TOOLS_WALK_WORDS_H

#include <stddef.h>

struct words {
    char *to;
    size_t size_bytes;
    size_t length; /* without the zero behind them */
};

/* None yet. */
struct words words_in(char *to, size_t size_bytes);

/* Add what @format makes, behind @between unless it is the first. */
__attribute__((format(printf, 3, 4))) void words_add(struct words *words, const char *between,
                                                     const char *format, ...);

#endif
