#include "tools/live/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define OTHER_PAGE "\033[?1049h\033[?25l" /* and no cursor */
#define FIRST_PAGE "\033[?25h\033[?1049l"
#define HOME       "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

static struct termios saved;
static bool taken;
static volatile sig_atomic_t asked_to_end;

bool screen_is_there(void)
{
    const char *const term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

static void on_end(int number)
{
    asked_to_end = number;
}

static void on_resize(int number)
{
    (void)number; /* poll() returns, which is all */
}

void screen_give_back(void)
{
    if (taken) {
        taken = false;
        fputs(FIRST_PAGE, stdout);
        (void)fflush(stdout);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
    }
}

void screen_take(void)
{
    static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction action = { .sa_handler = on_end };
    struct termios raw;

    (void)sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        (void)sigaction(endings[i], &action, NULL);
    }
    action.sa_handler = on_resize;
    (void)sigaction(SIGWINCH, &action, NULL);
    if (tcgetattr(STDIN_FILENO, &saved) != 0) {
        return;
    }
    raw = saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    taken = true;
    (void)atexit(screen_give_back);
    fputs(OTHER_PAGE, stdout);
}

void screen_size(unsigned *rows, unsigned *columns)
{
    struct winsize size;

    *rows = 24;
    *columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        *rows = size.ws_row;
        *columns = size.ws_col;
    }
}

/* One line of @length letters, cut to @columns: orders to the terminal take no room. */
static void show_line(const char *line, size_t length, unsigned columns)
{
    unsigned shown = 0;

    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\033') {
            const size_t order = 1 + strcspn(line + i, "m");

            (void)fwrite(line + i, 1, order < length - i ? order : length - i, stdout);
            i += order - 1;
        } else if (shown < columns) {
            (void)putchar(line[i]);
            shown++;
        }
    }
    fputs(CLEAR_LINE, stdout);
}

void screen_show(const char *text)
{
    unsigned rows;
    unsigned columns;

    screen_size(&rows, &columns);
    fputs(HOME, stdout);
    for (unsigned row = 0; row < rows && *text != '\0'; row++) {
        const size_t length = strcspn(text, "\n");

        if (row > 0) {
            fputs("\r\n", stdout);
        }
        show_line(text, length, columns);
        text += length + (text[length] == '\n');
    }
    fputs(CLEAR_REST, stdout);
    (void)fflush(stdout);
}

enum screen_event screen_wait(bool keys, int socket, int ms, char *key)
{
    struct pollfd wanted[] = { { .fd = socket, .events = POLLIN },
                               { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN } };
    const int ready = asked_to_end ? -1 : poll(wanted, 2, ms);

    if (asked_to_end) {
        return SCREEN_END;
    }
    if (ready < 0) {
        return errno == EINTR ? SCREEN_RESIZED : SCREEN_END;
    }
    if (ready > 0 && wanted[1].revents) {
        return read(STDIN_FILENO, key, 1) == 1 ? SCREEN_KEY : SCREEN_END;
    }
    return ready > 0 ? SCREEN_SOCKET : SCREEN_NOTHING;
}
