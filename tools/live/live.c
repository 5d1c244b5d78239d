/*
 * vmmu live.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/image/link.h"
#include "tools/live/dump.h"
#include "tools/live/glance.h"
#include "tools/live/held.h"
#include "tools/live/tlb.h"
#include "tools/ui/json.h"
#include "tools/ui/options.h"
#include "tools/ui/paint.h"

struct live_options {
    struct ui_options ui;
    char *socket;
    uint32_t partition; /* or LIVE_ALL */
    char *verb;         /* NULL: a glance */
    char **words;       /* of the verb */
    int word_count;
};

static const struct argp_option option_list[] = {
    LIVE_OPTION_PARTITION,
    { 0 },
};

static const char manual[] =
    "Looks at a guest while it runs. SOCKET is that of the hypervisor's control port (scripts/vm --monitor "
    "SOCKET). "
    "Without more words: registers and counters at a glance."
    "\v"
    "  stop       the guest stands still, and its time with it\n"
    "  go         it goes on\n"
    "  dump FILE  a dump for the other commands, while the guest stands still\n"
    "  walk, maps, explain, check\n"
    "             that command with SOCKET for its image, while the guest stands still\n"
    "  tlb        on host ppc: the TLB that the guest fills, and what the processor has of it\n"
    "\n"
    "On host ppc there are no page tables: walk ADDRESS shows the TLBs' entries for it, with --cpu\n"
    "and --partition; maps, explain, check and dump are refused.\n"
    "\n"
    "Examples:\n"
    "  vmmu live /tmp/guest\n"
    "  vmmu live /tmp/guest walk ffffffff81000000\n"
    "  vmmu live /tmp/guest explain\n"
    "  vmmu live --json /tmp/guest maps\n"
    "  vmmu live --partition 1 /tmp/guest stop\n"
    "  vmmu live /tmp/guest dump guest.vmmu; vmmu check guest.vmmu\n"
    "\n"
    "Exit status: 0 done; of another command its own; 2 a command line that cannot be,\n"
    "3 the hypervisor cannot be asked, or the file not be written.";

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct live_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->ui; return 0;
    case LIVE_KEY_PARTITION: options->partition = live_partition(state, argument); return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) {
            options->socket = argument;
            return 0;
        }
        options->verb = argument;
        options->words = &state->argv[state->next];
        options->word_count = state->argc - state->next;
        state->next = state->argc; /* options behind it are not ours */
        return 0;
    case ARGP_KEY_END:
        if (!options->socket) {
            argp_error(state, "give the socket of a running hypervisor");
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* --- a glance --- */

static int show_glance(const struct live_options *options)
{
    struct json_object *document = NULL;
    struct complaint complaint;
    struct counters counters;
    struct link link;
    const char *line;
    const struct live_request request = live_request("stats", options->partition);
    const bool read = link_open(&link, options->socket, &complaint) &&
                      link_document(&link, request.text, "{\"vmmu\"", &line, &complaint) &&
                      counters_read(line, &counters, &document, &complaint);

    link_close(&link);
    if (!read) {
        give_up(COMMAND_INPUT, "%s: %s", options->socket, complaint.text);
    }
    if (options->ui.json) {
        json_print(document);
        return COMMAND_OK;
    }
    glance_print(options->socket, document, &counters);
    json_object_put(document);
    return COMMAND_OK;
}

/* --- stop and go --- */

static int tell_held(const struct live_options *options, bool held, bool before)
{
    struct json_object *document;

    if (options->ui.json) {
        document = json_object_new_object();
        json_put_flag(document, "held", held);
        json_put_flag(document, "before", before);
        json_print(document);
    } else if (held) {
        puts(before ? "it stood still before" : "stopped");
    } else {
        puts(before ? "it was running before" : "running");
    }
    return COMMAND_OK;
}

static int stop(struct live_options *options)
{
    struct complaint complaint;
    bool before;

    if (!held_stop(options->socket, options->partition, &before, &complaint)) {
        give_up(COMMAND_INPUT, "%s: %s", options->socket, complaint.text);
    }
    return tell_held(options, true, before);
}

static int go(struct live_options *options)
{
    struct complaint complaint;
    bool before;

    if (!held_go(options->socket, options->partition, &before, &complaint)) {
        give_up(COMMAND_INPUT, "%s: %s", options->socket, complaint.text);
    }
    return tell_held(options, false, before);
}

/* --- with the guest standing still --- */

static void tell_dump(const struct live_options *options, const struct dump_summary *summary)
{
    struct json_object *document;

    if (!options->ui.json) {
        printf("%s: %llu MiB of %s, %llu KiB of it not zero\n", options->words[0],
               (unsigned long long)(summary->memory_bytes >> 20),
               summary->whole ? "the machine's memory" : "the partition's memory and its tables",
               (unsigned long long)(summary->written_bytes >> 10));
        return;
    }
    document = json_object_new_object();
    json_put_text(document, "file", options->words[0]);
    json_put_number(document, "memory_bytes", summary->memory_bytes);
    json_put_number(document, "written_bytes", summary->written_bytes);
    json_put_number(document, "ranges", summary->ranges);
    json_put_flag(document, "whole", summary->whole);
    json_print(document);
}

static int write_dump(void *context)
{
    const struct live_options *const options = context;
    struct dump_summary summary;
    struct complaint complaint;

    if (!dump_write(options->socket, options->words[0], &summary, &complaint)) {
        give_up(COMMAND_INPUT, "%s: %s", options->socket, complaint.text);
    }
    tell_dump(options, &summary);
    return COMMAND_OK;
}

static int dump(struct live_options *options)
{
    return held_while(options->socket, write_dump, options);
}

/* The command by itself, as if it had been typed, with the options that stood before the socket. */
static int run_command(void *context)
{
    const struct live_options *const options = context;
    char **const words = take_memory((unsigned long)options->word_count + 7, sizeof(*words));
    char partition[32];
    unsigned count = 0;

    words[count++] = strdup("vmmu");
    words[count++] = options->verb;
    if (options->ui.json) {
        words[count++] = strdup("--json");
    }
    words[count++] = strdup(*paint_off() ? "--color=always" : "--color=never");
    if (options->partition != LIVE_ALL) {
        (void)snprintf(partition, sizeof(partition), "--partition=%" PRIu32, options->partition);
        words[count++] = partition;
    }
    words[count++] = options->socket;
    for (int i = 0; i < options->word_count; i++) {
        words[count++] = options->words[i];
    }
    (void)execv("/proc/self/exe", words);
    give_up(COMMAND_INPUT, "vmmu %s cannot be started: %s", options->verb, strerror(errno));
}

static int look(struct live_options *options)
{
    return held_while(options->socket, run_command, options);
}

/* --- where guests fill a TLB --- */

static struct tlb_question question_of(const struct live_options *options)
{
    return (struct tlb_question){ .socket = options->socket,
                                  .partition = options->partition == LIVE_ALL ? 0 : options->partition,
                                  .json = options->ui.json,
                                  .words = options->words,
                                  .word_count = options->word_count };
}

static bool has_tlb(const struct live_options *options)
{
    struct complaint complaint;
    bool has;

    if (!tlb_is_guests(options->socket, &has, &complaint)) {
        give_up(COMMAND_INPUT, "%s: %s", options->socket, complaint.text);
    }
    return has;
}

static int walk_tlb(void *context)
{
    return tlb_walk(question_of(context));
}

static int walk(struct live_options *options)
{
    return held_while(options->socket, has_tlb(options) ? walk_tlb : run_command, options);
}

static int list_tlb(struct live_options *options)
{
    if (!has_tlb(options)) {
        give_up(COMMAND_INPUT,
                "%s: its guests have page tables, and the TLB is the processor's own; see walk and maps",
                options->socket);
    }
    return tlb_list(question_of(options));
}

/* --- the command --- */

static const struct verb {
    const char *name;
    int words; /* that follow it; -1: any */
    int (*run)(struct live_options *options);
} verbs[] = {
    { "stop", 0, stop },  { "go", 0, go },         { "dump", 1, dump },   { "walk", -1, walk },
    { "maps", -1, look }, { "explain", -1, look }, { "check", -1, look }, { "tlb", -1, list_tlb },
};

static int run_verb(struct live_options *options)
{
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(options->verb, verbs[i].name) != 0) {
            continue;
        }
        if (verbs[i].words >= 0 && verbs[i].words != options->word_count) {
            give_up(COMMAND_USAGE, "%s takes %s", options->verb,
                    verbs[i].words ? "the name of a file" : "nothing behind it");
        }
        return verbs[i].run(options);
    }
    give_up(COMMAND_USAGE,
            "'%s' is nothing that can be done with a running guest; vmmu live --help tells what",
            options->verb);
}

int live_command(int argc, char **argv)
{
    static const struct argp_child children[] = { { &ui_argp, 0, NULL, 0 }, { 0 } };
    static const struct argp argp = { .options = option_list,
                                      .parser = parse,
                                      .args_doc = "SOCKET [WHAT...]",
                                      .doc = manual,
                                      .children = children };
    struct live_options options = { .ui = { 0 }, .partition = LIVE_ALL };

    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options);
    return options.verb ? run_verb(&options) : show_glance(&options);
}
