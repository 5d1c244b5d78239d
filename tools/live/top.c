/*
 * vmmu top.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/command.h"
#include "tools/image/link.h"
#include "tools/live/rates.h"
#include "tools/live/request.h"
#include "tools/live/screen.h"
#include "tools/ui/json.h"
#include "tools/ui/options.h"
#include "tools/ui/paint.h"

#define INTERVAL_LEAST_S 0.1
#define INTERVAL_MOST_S  3600.0
#define KEY_CTRL_C       '\003'
#define HEAD_ROWS        3

struct top_options {
    struct ui_options ui;
    const char *socket;
    uint32_t partition; /* or LIVE_ALL */
    double interval_s;
    uint64_t count; /* 0: without end */
};

struct top {
    const struct top_options *options;
    struct link link;
    bool screen; /* drawn in place */
    enum rates_order order;
    uint64_t shown;
    struct counters looks[2];
    unsigned now; /* which of them is the last */
    struct rates rates;
};

enum { KEY_INTERVAL = 'i', KEY_COUNT = 'n' };

static const struct argp_option option_list[] = {
    { "interval", KEY_INTERVAL, "SECONDS", 0, "Between two looks, 0.1 to 3600 (default: 1)", 0 },
    { "count", KEY_COUNT, "N", 0, "End after so many intervals", 0 },
    LIVE_OPTION_PARTITION,
    { 0 },
};

static const char manual[] =
    "Shows what a running guest costs: exits by kind and the counters of its memory, by the second, the most "
    "frequent first. "
    "SOCKET is that of the hypervisor's control port (scripts/vm --monitor SOCKET)."
    "\v"
    "On a terminal it is shown in place: q ends it, s changes the order (by speed, by total), a blank\n"
    "looks at once. Elsewhere a block for each interval, or with --json a line.\n"
    "\n"
    "Examples:\n"
    "  vmmu top /tmp/guest\n"
    "  vmmu top /tmp/guest --interval 10 --count 6 --json > minute.jsonl\n"
    "\n"
    "Exit status: 0 ended as asked, or with the guest; 2 a command line that cannot be,\n"
    "3 the hypervisor cannot be asked.";

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct top_options *options = state->input;
    char *end = NULL;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->ui; return 0;
    case KEY_INTERVAL:
        options->interval_s = strtod(argument, &end);
        if (end == argument || *end != '\0' ||
            !(options->interval_s >= INTERVAL_LEAST_S && options->interval_s <= INTERVAL_MOST_S)) {
            argp_error(state, "--interval: '%s' is no number from 0.1 to 3600", argument);
        }
        return 0;
    case LIVE_KEY_PARTITION: options->partition = live_partition(state, argument); return 0;
    case KEY_COUNT: options->count = option_count(state, "--count", argument, 1, UINT32_MAX); return 0;
    case ARGP_KEY_ARG:
        if (options->socket) {
            argp_error(state, "give one socket");
        }
        options->socket = argument;
        return 0;
    case ARGP_KEY_END:
        if (!options->socket) {
            argp_error(state, "give the socket of a running hypervisor");
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* --- looking --- */

static const struct counters *last_look(const struct top *top)
{
    return &top->looks[top->now];
}

/* Read the counters anew; those before stay where they are. */
static bool look(struct top *top, struct complaint *complaint)
{
    const struct live_request request = live_request("counters", top->options->partition);
    const char *line;

    top->now ^= 1;
    return link_document(&top->link, request.text, "{\"vmmu\"", &line, complaint) &&
           counters_read(line, &top->looks[top->now], NULL, complaint);
}

/* --- text --- */

static void print_rate(FILE *out, const struct rate *rate, const struct rates *rates)
{
    const struct counter *const counter = rate->counter;
    const bool idle = rate->per_second == 0;

    if (counter->level) {
        fprintf(out, "  %-24s %14s %14" PRIu64 "\n", counter->name, "", counter->value);
        return;
    }
    fprintf(out, "%s  %-24s %14.1f %14" PRIu64, paint_on(idle ? PAINT_DIM : PAINT_PLAIN), counter->name,
            rate->per_second, counter->value);
    if (counter->group == COUNTER_EXITS && rates->exits_per_second > 0) {
        fprintf(out, " %7.1f %%", 100 * rate->per_second / rates->exits_per_second);
    }
    fprintf(out, "%s\n", paint_off());
}

static void print_group(FILE *out, const struct rates *rates, enum counter_group group, unsigned most)
{
    fprintf(out, "%s%-26s %14s %14s%s%s\n", paint_on(PAINT_HEAD), counter_group_names[group], "a second",
            "in all", group == COUNTER_EXITS ? "     share" : "", paint_off());
    for (unsigned i = 0; i < rates->count[group] && i < most; i++) {
        print_rate(out, &rates->all[group][i], rates);
    }
}

/* How many rows each group may have if there are @rows for all of them: what one does not need the next may have. */
static void share_rows(const struct rates *rates, unsigned rows, unsigned *most)
{
    unsigned left = rows > HEAD_ROWS + COUNTER_GROUPS ? rows - HEAD_ROWS - COUNTER_GROUPS : COUNTER_GROUPS;

    for (unsigned group = 0; group < COUNTER_GROUPS; group++) {
        const unsigned share = left / (COUNTER_GROUPS - group);

        most[group] = rates->count[group] < share ? rates->count[group] : share;
        left -= most[group];
    }
    for (unsigned group = 0; group < COUNTER_GROUPS; group++) {
        const unsigned more = rates->count[group] - most[group];
        const unsigned given = more < left ? more : left;

        most[group] += given;
        left -= given;
    }
}

static void print_block(FILE *out, const struct top *top, unsigned rows)
{
    const struct counters *const now = last_look(top);
    unsigned most[COUNTER_GROUPS];

    fprintf(out, "%s%s%s: %s on %s, %" PRIu64 " MiB, %s%s after %.1f s\n", paint_on(PAINT_NOTE),
            top->options->socket, paint_off(), now->technique, now->backend, now->memory_bytes >> 20,
            paint_on(now->held ? PAINT_BAD : PAINT_GOOD), now->held ? "stopped" : now->outcome,
            (double)now->run_ns / 1e9);
    fprintf(out, "%s%.1f exits a second, %.1f entries; over %.2f s%s\n\n", paint_off(),
            top->rates.exits_per_second, top->rates.entries_per_second, top->rates.seconds,
            !top->screen                   ? ""
            : top->order == RATES_BY_SPEED ? "   [q] end [s] by total"
                                           : "   [q] end [s] by speed");
    share_rows(&top->rates, rows, most);
    for (unsigned group = 0; group < COUNTER_GROUPS; group++) {
        if (top->rates.count[group] != 0 || group != COUNTER_TRAPS) {
            print_group(out, &top->rates, (enum counter_group)group, most[group]);
        }
    }
}

/* --- JSON --- */

static void print_json(const struct top *top)
{
    static const char *const keys[COUNTER_GROUPS] = { "exits", "traps", "processors", "mmu" };
    const struct counters *const now = last_look(top);
    struct json_object *const line = json_object_new_object();

    json_put_number(line, "vmmu_top", 1);
    json_put_text(line, "outcome", now->outcome);
    json_put_flag(line, "held", now->held);
    json_put_text(line, "technique", now->technique);
    json_put_text(line, "backend", now->backend);
    json_put_number(line, "run_ns", now->run_ns);
    json_object_object_add(line, "seconds", json_object_new_double(top->rates.seconds));
    json_object_object_add(line, "exits_per_second", json_object_new_double(top->rates.exits_per_second));
    json_object_object_add(line, "entries_per_second", json_object_new_double(top->rates.entries_per_second));
    for (unsigned group = 0; group < COUNTER_GROUPS; group++) {
        struct json_object *const all = json_object_new_object();

        for (unsigned i = 0; i < top->rates.count[group]; i++) {
            const struct rate *const rate = &top->rates.all[group][i];
            struct json_object *const one = json_object_new_object();

            json_put_number(one, "total", rate->counter->value);
            if (!rate->counter->level) {
                json_object_object_add(one, "per_second", json_object_new_double(rate->per_second));
            }
            json_object_object_add(all, rate->counter->name, one);
        }
        json_object_object_add(line, keys[group], all);
    }
    puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(line);
    (void)fflush(stdout);
}

/* --- showing --- */

static void show_screen(const struct top *top)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    unsigned rows;
    unsigned columns;

    if (!out) {
        return;
    }
    screen_size(&rows, &columns);
    print_block(out, top, rows);
    if (fclose(out) == 0) {
        screen_show(text);
    }
    free(text);
}

static void show(struct top *top)
{
    rates_make(&top->rates, &top->looks[top->now ^ 1], last_look(top), top->order);
    if (top->options->ui.json) {
        print_json(top);
    } else if (top->screen) {
        show_screen(top);
    } else {
        print_block(stdout, top, UINT16_MAX);
        puts("");
        (void)fflush(stdout);
    }
}

/* --- the loop --- */

static double seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether to go on after @key. *due changes if it asks for a look. */
static bool take_key(struct top *top, char key, double *due)
{
    switch (key) {
    case 'q':
    case 'Q':
    case KEY_CTRL_C: return false;
    case 's':
        top->order = top->order == RATES_BY_SPEED ? RATES_BY_TOTAL : RATES_BY_SPEED;
        show(top);
        return true;
    case ' ': *due = seconds_now(); return true;
    default: return true;
    }
}

/* Until the next look is due, or the hypervisor says something by itself: it ends. False: nobody wants to see more. */
static bool wait_for_look(struct top *top)
{
    double due = seconds_now() + top->options->interval_s;

    for (;;) {
        const double left = due - seconds_now();
        char key = '\0';

        if (left <= 0) {
            return true;
        }
        switch (screen_wait(top->screen, top->link.socket, (int)(left * 1000) + 1, &key)) {
        case SCREEN_NOTHING: break;
        case SCREEN_KEY:
            if (!take_key(top, key, &due)) {
                return false;
            }
            break;
        case SCREEN_SOCKET: return true;
        case SCREEN_RESIZED: show(top); break;
        case SCREEN_END: return false;
        }
    }
}

static bool is_over(const struct top *top)
{
    return strcmp(last_look(top)->outcome, "running") != 0;
}

static int run(struct top *top)
{
    struct complaint complaint;

    if (!link_open(&top->link, top->options->socket, &complaint) || !look(top, &complaint)) {
        give_up(COMMAND_INPUT, "%s: %s", top->options->socket, complaint.text);
    }
    if (top->screen) {
        screen_take();
        top->looks[top->now ^ 1] = *last_look(top);
        show(top);
    }
    while (!is_over(top) && (top->options->count == 0 || top->shown < top->options->count) &&
           wait_for_look(top)) {
        if (!look(top, &complaint)) {
            screen_give_back();
            give_up(COMMAND_INPUT, "%s: %s", top->options->socket, complaint.text);
        }
        show(top);
        top->shown++;
    }
    screen_give_back();
    if (is_over(top)) {
        fprintf(stderr, "vmmu: %s: the partition has ended: %s\n", top->options->socket,
                last_look(top)->outcome);
    }
    link_close(&top->link);
    return COMMAND_OK;
}

int top_command(int argc, char **argv)
{
    static const struct argp_child children[] = { { &ui_argp, 0, NULL, 0 }, { 0 } };
    static const struct argp argp = {
        .options = option_list, .parser = parse, .args_doc = "SOCKET", .doc = manual, .children = children
    };
    struct top_options options = { .interval_s = 1, .partition = LIVE_ALL };
    struct top *const top = take_memory(1, sizeof(*top));
    int status;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    top->options = &options;
    top->screen = !options.ui.json && screen_is_there();
    status = run(top);
    free(top);
    return status;
}
