#include "tools/ui/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ui/paint.h"

enum {
    KEY_JSON = 0x1000,
    KEY_COLOR,
};

static const char *const colour_words[] = { "auto", "always", "never", NULL };

static error_t parse_ui(int key, char *argument, struct argp_state *state)
{
    struct ui_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT: paint_choose(PAINT_AUTO); return 0;
    case KEY_JSON: options->json = true; return 0;
    case KEY_COLOR:
        paint_choose((enum paint_when)option_word(state, "--color", argument, colour_words));
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option ui_options[] = {
    { NULL, 0, NULL, 0, "Output:", 8 },
    { "json", KEY_JSON, NULL, 0, "JSON, for programs", 8 },
    { "color", KEY_COLOR, "WHEN", 0, "auto, always or never", 8 },
    { 0 },
};

const struct argp ui_argp = { .options = ui_options, .parser = parse_ui };

uint64_t option_address(struct argp_state *state, const char *what, const char *text)
{
    const bool decimal = text[0] == '+';
    const char *digits = decimal ? text + 1 : text;
    char *end = NULL;
    uint64_t value;

    errno = 0;
    value = strtoull(digits, &end, decimal ? 10 : 16);
    if (errno || end == digits || *end || strchr("+- \t", *digits)) {
        argp_error(state, "%s: '%s' is no address: give hexadecimal digits, or + and decimal ones", what,
                   text);
    }
    return value;
}

uint64_t option_count(struct argp_state *state, const char *what, const char *text, uint64_t least,
                      uint64_t most)
{
    char *end = NULL;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr("+- \t", *text) || value < least || value > most) {
        argp_error(state, "%s: '%s' is no number from %llu to %llu", what, text, (unsigned long long)least,
                   (unsigned long long)most);
    }
    return value;
}

unsigned option_word(struct argp_state *state, const char *what, const char *text, const char *const *words)
{
    char list[256] = "";
    size_t letters = 0;
    unsigned i = 0;

    for (; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            return i;
        }
        if (letters < sizeof(list)) {
            letters +=
                (size_t)snprintf(list + letters, sizeof(list) - letters, "%s%s", i ? ", " : "", words[i]);
        }
    }
    argp_error(state, "%s: '%s' is none of: %s", what, text, list);
    return i;
}
