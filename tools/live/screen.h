/*
 * A terminal that is drawn upon in place, and given back as it was.
 */
#ifndef TOOLS_LIVE_SCREEN_H
#define TOOLS_LIVE_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

/* Whether standard output and input are a terminal that can be drawn upon. */
bool screen_is_there(void);

/* Take it: nothing typed is echoed, and Ctrl-C is a key. It is given back at the end of the program, too. */
void screen_take(void);
void screen_give_back(void);

/* Rows and columns, as they are now. */
void screen_size(unsigned *rows, unsigned *columns);

/* Show @text, lines that end in a newline, from the top; what is too wide or too long for the screen is cut. */
void screen_show(const char *text);

enum screen_event { SCREEN_NOTHING, SCREEN_KEY, SCREEN_SOCKET, SCREEN_RESIZED, SCREEN_END };

/*
 * Wait up to @ms for a key, or something at @socket, or a change of size; @keys: a terminal was taken. *key is the letter.
 * SCREEN_END: this program is asked to end, by a signal.
 */
enum screen_event screen_wait(bool keys, int socket, int ms, char *key);

#endif
