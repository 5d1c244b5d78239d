/*
 * Text of others' in HTML and SVG.
 */
#ifndef TOOLS_UI_MARKUP_H
#define TOOLS_UI_MARKUP_H

#include <stdio.h>

/*
 * Write @text so that it is text in an element and in a quoted attribute: markup is escaped; bytes that are no UTF-8, and
 * characters that no document may have, become U+FFFD.
 */
void markup_text(FILE *to, const char *text);

#endif
