#include "tools/image/link.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A state with each shadow page of a large guest stays below. */
#define DOCUMENT_MOST 0x4000000
#define TEXT_MOST     0x4000

/* Lines that nobody asked for, and may stand before an answer. */
#define FOREIGN_MOST  64

/* An answer may have a line for each entry of two TLBs. */
#define LINES_MOST    4096

#define IDLE_MS       10000
#define LINE_MS       120000
#define READ_AT_ONCE  0x10000

void link_adopt(struct link *link, int socket)
{
    *link = (struct link){ .socket = socket, .idle_ms = IDLE_MS };
}

/* Why nobody at @path would have us: @error. */
static bool refused(const char *path, int error, struct complaint *complaint)
{
    struct stat status;

    if (error == ECONNREFUSED && stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
        return complain(complaint, "it is no socket: give that of a running hypervisor");
    switch (error) {
    case EAGAIN: return complain(complaint, "it has as many clients as it takes");
    case ECONNREFUSED: return complain(complaint, "nobody listens: the hypervisor is gone");
    default: return complain(complaint, "it cannot be asked: %s", strerror(error));
    }
}

bool link_open(struct link *link, const char *path, struct complaint *complaint)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    link_adopt(link, -1);
    if (strlen(path) >= sizeof(address.sun_path))
        return complain(complaint, "a socket's path has %zu letters at most", sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    link->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->socket < 0)
        return complain(complaint, "there is no socket to be had: %s", strerror(errno));
    return connect(link->socket, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
           refused(path, errno, complaint);
}

void link_close(struct link *link)
{
    if (link->socket >= 0)
        (void)close(link->socket);
    free(link->text);
    link_adopt(link, -1);
}

/* Until the socket is ready for @events. */
static bool wait_for(struct link *link, short events, struct complaint *complaint)
{
    struct pollfd wanted = { .fd = link->socket, .events = events };
    int ready;

    do {
        ready = poll(&wanted, 1, link->idle_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready > 0)
        return true;
    if (ready < 0)
        return complain(complaint, "waiting for it failed: %s", strerror(errno));
    return complain(complaint, "the hypervisor is silent for %d s", link->idle_ms / 1000);
}

static bool send_all(struct link *link, const char *text, struct complaint *complaint)
{
    size_t left = strlen(text);

    while (left != 0) {
        const ssize_t count = send(link->socket, text, left, MSG_NOSIGNAL);

        if (count >= 0) {
            text += count;
            left -= (size_t)count;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(link, POLLOUT, complaint))
                return false;
        } else if (errno != EINTR) {
            return complain(complaint, "the hypervisor has hung up: %s", strerror(errno));
        }
    }
    return true;
}

bool link_ask(struct link *link, const char *request, struct complaint *complaint)
{
    return send_all(link, request, complaint) && send_all(link, "\n", complaint);
}

/* Take in what comes next. */
static bool receive(struct link *link, struct complaint *complaint)
{
    ssize_t count;

    if (link->begin != 0) {
        memmove(link->text, link->text + link->begin, link->end - link->begin);
        link->end -= link->begin;
        link->begin = 0;
    }
    if (link->room - link->end < READ_AT_ONCE) {
        const size_t room = 2 * link->room + READ_AT_ONCE;

        link->text = grow_memory(link->text, link->room, room, 1);
        link->room = room;
    }
    for (;;) {
        count = recv(link->socket, link->text + link->end, link->room - link->end, 0);
        if (count > 0) {
            link->end += (size_t)count;
            return true;
        }
        if (count == 0)
            return complain(complaint, "the hypervisor has hung up");
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return complain(complaint, "the hypervisor cannot be heard: %s", strerror(errno));
        if (errno != EINTR && !wait_for(link, POLLIN, complaint))
            return false;
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Take the line that ends at @end. */
static const char *cut_line(struct link *link, char *end)
{
    char *const from = link->text + link->begin;

    *end = '\0';
    link->begin = (size_t)(end - link->text) + 1;
    if (end != from && end[-1] == '\r')
        end[-1] = '\0';
    return from;
}

bool link_line(struct link *link, size_t most, const char **line, struct complaint *complaint)
{
    const int64_t began = now_ms();
    size_t looked_at = 0;

    for (;;) {
        const size_t length = link->end - link->begin;
        char *const end = length == looked_at
                              ? NULL
                              : memchr(link->text + link->begin + looked_at, '\n', length - looked_at);

        if ((end == NULL ? length : (size_t)(end - link->text) - link->begin) > most)
            return complain(complaint, "the hypervisor sends a line of more than %zu letters", most);
        if (end != NULL) {
            *line = cut_line(link, end);
            return true;
        }
        if (now_ms() - began > LINE_MS)
            return complain(complaint, "the hypervisor does not come to the end of a line");
        looked_at = length;
        if (!receive(link, complaint))
            return false;
    }
}

/* What no program of ours would say. */
static bool nonsense(const char *line, struct complaint *complaint)
{
    char start[41] = { 0 };

    for (unsigned i = 0; i < sizeof(start) - 1 && line[i] != '\0'; i++)
        start[i] = (char)(line[i] >= ' ' && line[i] < 0x7F ? line[i] : '?');
    return complain(complaint, "the hypervisor answers nonsense: \"%s\"%s", start,
                    strlen(line) > sizeof(start) - 1 ? "..." : "");
}

/* Up to the empty line that ends an answer of text. */
static bool pass_over(struct link *link, struct complaint *complaint)
{
    const char *line = "";

    for (unsigned i = 0; i < FOREIGN_MOST; i++) {
        if (!link_line(link, TEXT_MOST, &line, complaint))
            return false;
        if (line[0] == '\0')
            return true;
    }
    return complain(complaint, "the hypervisor's answer has more than %u lines", FOREIGN_MOST);
}

/* The first line of an answer of text to @request. */
static bool take_text(struct link *link, const char *request, char *answer, size_t room,
                      struct complaint *complaint)
{
    const char *line = "";

    for (unsigned i = 0; i < FOREIGN_MOST; i++) {
        if (!link_line(link, DOCUMENT_MOST, &line, complaint))
            return false;
        if (line[0] == '{' || line[0] == '\0')
            continue;
        if (strlen(line) >= room)
            return nonsense(line, complaint);
        memcpy(answer, line, strlen(line) + 1);
        return pass_over(link, complaint);
    }
    return complain(complaint, "the hypervisor does not answer \"%.40s\"", request);
}

bool link_text(struct link *link, const char *request, char *answer, size_t room, struct complaint *complaint)
{
    return link_ask(link, request, complaint) && take_text(link, request, answer, room, complaint);
}

bool link_lines(struct link *link, const char *request, void (*take)(void *context, const char *line),
                void *context, struct complaint *complaint)
{
    const char *line = "";
    bool begun = false;

    if (!link_ask(link, request, complaint))
        return false;
    for (unsigned i = 0; i < LINES_MOST; i++) {
        if (!link_line(link, DOCUMENT_MOST, &line, complaint))
            return false;
        if (line[0] == '\0' && begun)
            return true;
        if (line[0] != '{' && line[0] != '\0') {
            begun = true;
            take(context, line);
        }
    }
    return complain(complaint, "the hypervisor does not come to the end of its answer to \"%.40s\"", request);
}

static bool begins(const char *line, const char *beginning)
{
    for (; *beginning != '\0'; beginning++, line++) {
        while (*line == ' ')
            line++;
        if (*line != *beginning)
            return false;
    }
    return true;
}

bool link_document(struct link *link, const char *request, const char *beginning, const char **line,
                   struct complaint *complaint)
{
    if (!link_ask(link, request, complaint))
        return false;
    for (unsigned i = 0; i < FOREIGN_MOST; i++) {
        if (!link_line(link, DOCUMENT_MOST, line, complaint))
            return false;
        if (begins(*line, beginning))
            return true;
    }
    return complain(complaint, "the hypervisor does not answer \"%.40s\"", request);
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool decode(const char *digits, uint8_t *bytes, size_t count)
{
    if (strlen(digits) != 2 * count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const int high = digit_of(digits[2 * i]);
        const int low = digit_of(digits[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool link_ask_read(struct link *link, uint64_t address, size_t count, struct complaint *complaint)
{
    char request[48];

    (void)snprintf(request, sizeof(request), "read %" PRIx64 " %zu", address, count);
    return link_ask(link, request, complaint);
}

enum link_found link_take_read(struct link *link, uint8_t *bytes, size_t count, struct complaint *complaint)
{
    char answer[2 * LINK_READ_MOST + 1] = "";

    if (!take_text(link, "read", answer, sizeof(answer), complaint))
        return LINK_FAILED;
    if (strcmp(answer, "absent") == 0)
        return LINK_ABSENT;
    if (strcmp(answer, "zero") == 0) {
        memset(bytes, 0, count);
        return LINK_THERE;
    }
    return decode(answer, bytes, count) || nonsense(answer, complaint) ? LINK_THERE : LINK_FAILED;
}

enum link_found link_read(struct link *link, uint64_t address, uint8_t *bytes, size_t count,
                          struct complaint *complaint)
{
    return link_ask_read(link, address, count, complaint) ? link_take_read(link, bytes, count, complaint)
                                                          : LINK_FAILED;
}
