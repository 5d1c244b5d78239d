/*
 * The client's end of a hypervisor's control port, a socket: requests of a line, and lines of the answers. docs/dump.md has
 * the protocol. Whoever is at the other end may say anything, or nothing: that is a complaint, after some time.
 */
#ifndef TOOLS_IMAGE_LINK_H
#define TOOLS_IMAGE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/ui/complain.h"

#define LINK_READ_MOST 4096 /* bytes that one `read` asks for */

struct link {
    int socket;  /* -1 if there is none */
    int idle_ms; /* how long the other end may be silent */
    char *text;  /* what came in, and was not taken yet: [begin, end) */
    size_t begin;
    size_t end;
    size_t room;
};

/* Connect to the socket @path. Harmless to close afterwards, whatever came of it. */
bool link_open(struct link *link, const char *path, struct complaint *complaint);

/* The same with a socket that is connected, which is taken over. */
void link_adopt(struct link *link, int socket);

void link_close(struct link *link);

/* Send the line @request, without its newline. */
bool link_ask(struct link *link, const char *request, struct complaint *complaint);

/*
 * The next line, without its newline and ended by a zero; it stands until the next call on @link. False if it is longer than
 * @most, or does not come.
 */
bool link_line(struct link *link, size_t most, const char **line, struct complaint *complaint);

/*
 * Ask @request, whose answer is text, and copy its first line to @answer; false if it has @room letters or more. What follows,
 * up to the empty line, is passed over, and so is what the hypervisor says by itself (a document when a partition ends).
 */
bool link_text(struct link *link, const char *request, char *answer, size_t room,
               struct complaint *complaint);

/* Ask @request, whose answer is text, and @take each line of it; others are passed over as by link_text(). */
bool link_lines(struct link *link, const char *request, void (*take)(void *context, const char *line),
                void *context, struct complaint *complaint);

/*
 * Ask @request, whose answer is a line of JSON that begins with @beginning, up to any blanks: other lines are passed over. It
 * stands until the next call on @link.
 */
bool link_document(struct link *link, const char *request, const char *beginning, const char **line,
                   struct complaint *complaint);

enum link_found {
    LINK_FAILED, /* *complaint */
    LINK_ABSENT, /* the machine has no memory there */
    LINK_THERE,
};

/* Ask for @count bytes of the machine's memory, LINK_READ_MOST at most. */
enum link_found link_read(struct link *link, uint64_t address, uint8_t *bytes, size_t count,
                          struct complaint *complaint);

/*
 * The same in two steps, so that several reads may be under way where the line is slow: ask for some, LINK_AHEAD at most, and
 * take the answers in the same order.
 */
#define LINK_AHEAD 32
bool link_ask_read(struct link *link, uint64_t address, size_t count, struct complaint *complaint);
enum link_found link_take_read(struct link *link, uint8_t *bytes, size_t count, struct complaint *complaint);

#endif
