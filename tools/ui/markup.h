/*
 * Text of others' in HTML and SVG.
 */
#ifndef TOOLS_UI_MARKUP_H
#define TOOLS_UI_MARKUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Write @text so that it is text in an element and in a quoted attribute: markup is escaped; bytes that are no UTF-8, and
 * characters that no document may have, become U+FFFD.
 */
void markup_text(FILE *to, const char *text);

/* The same, but no more than @most characters; an ellipsis stands for the rest. */
void markup_text_cut(FILE *to, const char *text, size_t most);

/* Characters of @text. */
size_t markup_width(const char *text);

#define MARKUP_NUMBER 40

/* A count for people: 1,234,567. */
void markup_count(char text[MARKUP_NUMBER], uint64_t count);

/* The same of any number; four digits of what is no whole number. */
void markup_number(char text[MARKUP_NUMBER], double value);

#endif
