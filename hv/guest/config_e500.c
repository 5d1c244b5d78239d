#include "hv/guest/config_e500.h"

static void start(struct config *config)
{
    config->paravirtual = true;
}

static const char *parse(struct word word, struct config *config)
{
    struct word value;

    if (word_sets(word, "paravirtual", &value)) {
        return word_switch(value, &config->paravirtual) ? NULL : "paravirtual= wants on or off";
    }
    return CONFIG_UNKNOWN_WORD;
}

static const char *settle(struct word word, struct config_line *line, unsigned at)
{
    struct word value;

    return word_sets(word, "parent", &value) && line->partition[at].is_parent
               ? "parent= wants Hyper-V's interface, which is x86's"
               : NULL;
}

const struct config_arch config_e500 = { start, parse, settle };
