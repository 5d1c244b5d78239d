#include "hv/guest/config_e500.h"

static const char *settle(struct word word, struct config_line *line, unsigned at)
{
    struct word value;

    return word_sets(word, "parent", &value) && line->partition[at].is_parent
               ? "parent= wants Hyper-V's interface, which is x86's"
               : NULL;
}

const struct config_arch config_e500 = { .settle = settle };
