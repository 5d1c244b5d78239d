/*
 * vmmu report: statistics of runs, side by side, as a page for a browser.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/report/document.h"
#include "tools/report/page.h"
#include "tools/ui/complain.h"
#include "tools/ui/json.h"
#include "tools/ui/options.h"
#include "tools/ui/overwrite.h"

#define MOST_DOCUMENTS 16

struct arguments {
    struct ui_options ui;
    const char *out;
    const char *title;
    unsigned count;
    struct {
        const char *path;
        const char *label; /* NULL: the file's name */
    } inputs[MOST_DOCUMENTS];
};

static const char doc[] = "One page of HTML with the tables and plots of one run of the hypervisor, or of "
                          "several side by side. It needs no network "
                          "and no other file."
                          "\v"
                          "STATS is what `scripts/vm run --stats FILE` writes, what the hypervisor answers "
                          "to `stats`, build/bench.json, or the "
                          "JSON of `vmmu sim`; NAME is what the page calls it. - is standard input.\n\n"
                          "Examples:\n"
                          "  vmmu report nested.json shadow.json -o report.html\n"
                          "  vmmu report \"EPT=a.json\" \"shadow=b.json\" --title \"A boot\" -o boot.html\n"
                          "  vmmu report build/bench.json > bench.html\n";

enum {
    KEY_TITLE = 0x2000,
};

static const struct argp_option options[] = {
    { "output", 'o', "FILE", 0, "the page (default, and -: standard output)", 0 },
    { "title", KEY_TITLE, "TEXT", 0, "the page's title", 0 },
    { 0 },
};

/* A name may stand before a path, unless there is a file of that whole name. */
static void take_input(struct argp_state *state, struct arguments *arguments, char *word)
{
    char *equals = strchr(word, '=');

    if (arguments->count == MOST_DOCUMENTS) {
        argp_error(state, "no more than %d documents", MOST_DOCUMENTS);
    }
    if (equals && equals != word && access(word, F_OK) != 0) {
        *equals = '\0';
        arguments->inputs[arguments->count].label = word;
        word = equals + 1;
    }
    arguments->inputs[arguments->count++].path = word;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->ui; return 0;
    case 'o': arguments->out = strcmp(argument, "-") == 0 ? NULL : argument; return 0;
    case KEY_TITLE: arguments->title = argument; return 0;
    case ARGP_KEY_ARG: take_input(state, arguments, argument); return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "give at least one document of statistics"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &ui_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = { options, parse, "[NAME=]STATS...", doc, children, NULL, NULL };

/* Whoever mixes up the order of words must not lose a document. */
static void refuse_overwriting(const struct arguments *arguments)
{
    for (unsigned i = 0; arguments->out && i < arguments->count; i++) {
        if (would_overwrite(arguments->out, arguments->inputs[i].path)) {
            give_up(COMMAND_USAGE, "%s is one of the documents, and would be overwritten", arguments->out);
        }
    }
}

static void read_documents(const struct arguments *arguments, struct document *documents)
{
    struct complaint complaint;

    for (unsigned i = 0; i < arguments->count; i++) {
        if (!document_read(arguments->inputs[i].path, &documents[i], &complaint)) {
            give_up_for(&complaint);
        }
        if (arguments->inputs[i].label) {
            document_rename(&documents[i], arguments->inputs[i].label);
        }
    }
    document_tell_apart(documents, arguments->count);
}

/* A page that ends in the middle is worse than none; what is no file, a device say, stays. */
static void take_back(const char *path)
{
    struct stat now;

    if (lstat(path, &now) == 0 && S_ISREG(now.st_mode)) {
        unlink(path);
    }
}

/* From memory at once: there is no half of a page unless the disk is full. */
static void write_out(const struct arguments *arguments, const char *page, size_t length)
{
    FILE *to = arguments->out ? fopen(arguments->out, "w") : stdout;
    bool written;

    if (!to) {
        give_up(COMMAND_INPUT, "%s: %s", arguments->out, strerror(errno));
    }
    errno = 0;
    written = fwrite(page, 1, length, to) == length;
    if (arguments->out && (fclose(to) != 0 || !written)) {
        const int why = errno;

        take_back(arguments->out);
        give_up(COMMAND_INPUT, "%s: %s", arguments->out, strerror(why));
    }
}

static void render(const struct arguments *arguments, const struct report *report)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory;

    memory = open_memstream(&text, &length);
    if (!memory) {
        give_up(COMMAND_INPUT, "there is no memory for the page");
    }
    if (arguments->ui.json) {
        struct json_object *json = page_json(report);

        fprintf(
            memory, "%s\n",
            json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(json);
    } else {
        page_write(memory, report);
    }
    if (fclose(memory) != 0) {
        give_up(COMMAND_INPUT, "there is no memory for the page");
    }
    write_out(arguments, text, length);
    free(text);
}

int report_command(int argc, char **argv)
{
    struct arguments arguments = { .title = NULL };
    struct document documents[MOST_DOCUMENTS];
    struct report *report;

    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    refuse_overwriting(&arguments);
    read_documents(&arguments, documents);
    report = report_make(arguments.title ? arguments.title : "vmmu: runs side by side", documents,
                         arguments.count);
    render(&arguments, report);
    report_free(report);
    for (unsigned i = 0; i < arguments.count; i++) {
        document_close(&documents[i]);
    }
    return COMMAND_OK;
}
