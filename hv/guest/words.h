/*
 * Lines of words: what command lines are made of. Pure; nothing is terminated or copied.
 */
#ifndef HV_GUEST_WORDS_H
#define HV_GUEST_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* A word of a line: not terminated. */
struct word {
    const char *text;
    unsigned length;
};

static inline bool word_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word behind *line, which moves on. Length 0 at the end. */
struct word word_next(const char **line);

/* The next part of *words up to a comma, which *words then stands behind. Empty parts count; false behind the last. */
bool word_next_part(struct word *words, struct word *part);

bool word_is(struct word word, const char *text);

bool word_has(struct word word, char wanted);

/* Whether @word is "NAME=...": *value is then what follows. */
bool word_sets(struct word word, const char *name, struct word *value);

/* A number with an optional unit, K, M, G or T. False if it is none, or does not fit in 64 bits. */
bool word_size(struct word word, uint64_t *size);

/* A number of digits only, up to @most. */
bool word_number(struct word word, uint32_t most, uint32_t *number);

/* "on" or "off". */
bool word_switch(struct word word, bool *on);

#endif
