/*
 * Colour on a terminal, and none elsewhere.
 */
#ifndef TOOLS_UI_PAINT_H
#define TOOLS_UI_PAINT_H

enum paint {
    PAINT_PLAIN,
    PAINT_HEAD, /* headings */
    PAINT_DIM,  /* what matters less */
    PAINT_GOOD,
    PAINT_BAD,
    PAINT_NOTE, /* what the eye should find */
    PAINTS
};

enum paint_when {
    PAINT_AUTO, /* if standard output is a terminal, and NO_COLOR is not set */
    PAINT_ALWAYS,
    PAINT_NEVER,
};

void paint_choose(enum paint_when when);

/* What to print before and after a painted word; empty if there is no colour. */
const char *paint_on(enum paint paint);
const char *paint_off(void);

#endif
