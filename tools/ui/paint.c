#include "tools/ui/paint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const escapes[PAINTS] = {
    [PAINT_PLAIN] = "",        [PAINT_HEAD] = "\033[1m", [PAINT_DIM] = "\033[2m",
    [PAINT_GOOD] = "\033[32m", [PAINT_BAD] = "\033[31m", [PAINT_NOTE] = "\033[36m",
};

static bool in_colour;

void paint_choose(enum paint_when when)
{
    const char *no_color = getenv("NO_COLOR");

    in_colour =
        when == PAINT_ALWAYS || (when == PAINT_AUTO && isatty(STDOUT_FILENO) && !(no_color && *no_color));
}

const char *paint_on(enum paint paint)
{
    return in_colour ? escapes[paint] : "";
}

const char *paint_off(void)
{
    return in_colour ? "\033[0m" : "";
}
