/*
 * Options that every command has, as argp children: `--json`, `--color`.
 */
#ifndef TOOLS_UI_OPTIONS_H
#define TOOLS_UI_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

struct ui_options {
    bool json;
};

/* Child parser; its input is a struct ui_options. */
extern const struct argp ui_argp;

/*
 * A number on a command line: hexadecimal with or without 0x, or `+4096` in decimal. argp_error() and no return if it is none.
 */
uint64_t option_address(struct argp_state *state, const char *what, const char *text);

/* A decimal count within [least, most]. */
uint64_t option_count(struct argp_state *state, const char *what, const char *text, uint64_t least,
                      uint64_t most);

/* The index of @text in @words, which ends in NULL; argp_error() that lists them otherwise. */
unsigned option_word(struct argp_state *state, const char *what, const char *text, const char *const *words);

#endif
