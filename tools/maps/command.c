#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/maps/diff.h"
#include "tools/maps/find.h"
#include "tools/maps/roots.h"
#include "tools/maps/show.h"
#include "tools/ui/options.h"

enum {
    KEY_RANGE = 0x3000,
    KEY_PAGES,
    KEY_JOIN,
    KEY_PHYSICAL,
    KEY_ALL,
    KEY_SECOND,
    KEY_BUDGET,
    KEY_DIFF,
    KEY_FIND,
    KEY_CR3,
    KEY_SCAN,
};

struct maps_options {
    struct ui_options ui;
    struct machine_options machine;
    struct show_options show;
    const char *path;
    bool pages;
    bool second;
    bool diff;
    bool find;
    bool scan;
    bool scan_any;
    bool has_range;
    uint64_t budget;
    uint64_t first;
    uint64_t last;
    uint64_t diff_cr3[2];
    uint64_t address; /* --find */
    uint64_t *cr3;    /* every --cr3 */
    unsigned cr3_count;
};

/* In the order of enum ranges_join. */
static const char *const join_words[] = { "protection", "rights", "type", "size", "all", NULL };

static const char *const scan_words[] = { "kin", "any", NULL };

/* START-END, END not included; START-, to the last address. */
static void parse_range(struct argp_state *state, const char *text, struct maps_options *options)
{
    char *copy = strdup(text);
    char *dash = copy ? strchr(copy, '-') : NULL;

    if (!dash) {
        free(copy);
        argp_error(state, "--range: '%s' is no range: give START-END, END not included, or START-", text);
        return;
    }
    *dash = '\0';
    options->has_range = true;
    options->first = option_address(state, "--range", copy);
    options->last = dash[1] ? option_address(state, "--range", dash + 1) - 1 : UINT64_MAX;
    if (options->last < options->first) {
        argp_error(state, "--range: '%s' ends before it begins", text);
    }
    free(copy);
}

/* One CR3, or several with commas between. */
static void parse_roots(struct argp_state *state, const char *text, struct maps_options *options)
{
    char *copy = strdup(text);
    char *rest = copy;
    char *word;

    while (copy && (word = strsep(&rest, ",")) != NULL) {
        options->cr3 =
            grow_memory(options->cr3, options->cr3_count, options->cr3_count + 1, sizeof(*options->cr3));
        options->cr3[options->cr3_count++] = option_address(state, "--cr3", word);
    }
    free(copy);
    options->machine.has_cr3 = true;
    options->machine.cr3 = options->cr3[0];
}

/* --diff A B, or A,B. */
static void parse_diff(struct argp_state *state, const char *text, struct maps_options *options)
{
    char *first = strdup(text);
    char *rest = first;
    const char *second = NULL;

    if (first) {
        (void)strsep(&rest, ",");
        second = rest ? rest : state->next < state->argc ? state->argv[state->next++] : NULL;
    }
    if (!second) {
        argp_error(state, "--diff: which two? Give CR3A CR3B");
    } else {
        options->diff = true;
        options->diff_cr3[0] = option_address(state, "--diff", first);
        options->diff_cr3[1] = option_address(state, "--diff", second);
    }
    free(first);
}

static void check(struct argp_state *state, struct maps_options *options)
{
    if (!options->path) {
        argp_error(state, "which IMAGE?");
    }
    if (options->diff + options->find + options->pages > 1) {
        argp_error(state, "--pages, --diff and --find are three questions: one at a time");
    }
    if (options->find && options->has_range) {
        argp_error(state, "--find looks through whole address spaces: leave --range out");
    }
    if (options->scan && (options->diff || options->pages)) {
        argp_error(state, "--scan lists roots, or tells --find where to look");
    }
    if (options->cr3_count > 1 && !options->find) {
        argp_error(state, "several --cr3 are for --find; --diff compares two");
    }
}

static error_t parse_argument(char *argument, struct argp_state *state, struct maps_options *options)
{
    if (options->path) {
        argp_error(state, "'%s' is too much: one IMAGE, then options", argument);
    }
    options->path = argument;
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct maps_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->machine;
        state->child_inputs[1] = &options->ui;
        return 0;
    case KEY_RANGE: parse_range(state, argument, options); return 0;
    case KEY_PAGES: options->pages = true; return 0;
    case KEY_JOIN:
        options->show.join = (enum ranges_join)option_word(state, "--join", argument, join_words);
        return 0;
    case KEY_PHYSICAL: options->show.physical = true; return 0;
    case KEY_ALL: options->show.all = true; return 0;
    case KEY_SECOND: options->second = true; return 0;
    case KEY_BUDGET: options->budget = option_count(state, "--budget", argument, 1, INT64_MAX); return 0;
    case KEY_DIFF: parse_diff(state, argument, options); return 0;
    case KEY_FIND:
        options->find = true;
        options->address = option_address(state, "--find", argument);
        return 0;
    case KEY_CR3: parse_roots(state, argument, options); return 0;
    case KEY_SCAN:
        options->scan = true;
        options->scan_any = argument && option_word(state, "--scan", argument, scan_words) == 1;
        return 0;
    case ARGP_KEY_ARG: return parse_argument(argument, state, options);
    case ARGP_KEY_END: check(state, options); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option maps_options[] = {
    { NULL, 0, NULL, 0, "What is shown:", 1 },
    { "range", KEY_RANGE, "START-END", 0, "only these addresses; END is not included, and may be left out",
      1 },
    { "pages", KEY_PAGES, NULL, 0, "page by page, with each leaf entry", 1 },
    { "join", KEY_JOIN, "WHAT", 0,
      "pages of one range agree in protection (user and writable, as QEMU's info mem), rights (executable, "
      "too), type "
      "(memory type; unless said), size, or all (global, key)",
      1 },
    { "physical", KEY_PHYSICAL, NULL, 0, "ranges are contiguous in physical memory, too, and say where", 1 },
    { "all", KEY_ALL, NULL, 0, "every range, where runs of equal ones would be folded", 1 },
    { "second", KEY_SECOND, NULL, 0, "the second stage itself: guest-physical addresses", 1 },
    { "diff", KEY_DIFF, "CR3A CR3B", 0, "what one address space maps and not the other, or otherwise", 1 },
    { "find", KEY_FIND, "PHYSICAL", 0, "who maps this address, in every address space that is given or found",
      1 },
    { "scan", KEY_SCAN, "kin|any", OPTION_ARG_OPTIONAL,
      "find roots of page tables in memory: list them, or look there for --find; only kin of the processor's "
      "own root, unless any",
      1 },
    { "budget", KEY_BUDGET, "N", 0, "entries that may be read of one address space; 30000000 unless said",
      1 },
    { "cr3", KEY_CR3, "VALUE", OPTION_HIDDEN, NULL, 1 },
    { 0 },
};

static const char documentation[] =
    "Everything that an address space maps: ranges of addresses with their rights, memory type and pages."
    "\v"
    "Rights are r, w, x, and u for pages of user mode, s for a supervisor's: what all entries of a walk "
    "allow together, "
    "whatever CR0 and CR4 make of it. The memory type is the one that the PAT gives; MTRRs may narrow it. "
    "With --find, --cr3 "
    "may be given several times, or with commas.\n\n"
    "--scan takes a page for a root (with PAE, 32 bytes) if its entries are zero or sound and point to "
    "memory, at least one "
    "in the upper half of addresses, and nothing behind them is malformed or missing. 'shared' counts the "
    "upper entries "
    "that are those of the processor's own root: 0 is suspicious. A root that was freed and not overwritten "
    "is still "
    "found.\n\n"
    "EXAMPLES\n"
    "  vmmu maps core.elf\n"
    "  vmmu maps core.elf --range ffffffff80000000- --join size\n"
    "  vmmu maps memory.raw --cr3 1aa000 --mode 5level --pages\n"
    "  vmmu maps core.elf --diff 5c04000 5c05000\n"
    "  vmmu maps core.elf --find 1234000 --scan\n"
    "\n"
    "Exit status: 0 something is mapped (--diff: no difference), 1 nothing is (--diff: they differ), 2 the "
    "command line "
    "cannot be, 3 the image cannot be used, or its tables have no end.";

static const struct argp_child children[] = {
    { &machine_argp, 0, NULL, 0 },
    { &ui_argp, 0, NULL, 0 },
    { 0 },
};

static const struct argp maps_argp = { maps_options, parse, "IMAGE", documentation, children, NULL, NULL };

/* The address space that is asked for, with the range and the budget that were given. */
static bool take_space(const struct machine *machine, const struct maps_options *options,
                       struct space_memory *memory, struct space *space)
{
    if (options->second && !machine->has_second) {
        return false;
    }
    *space = options->second ? space_of_second(machine) : space_of(machine, memory);
    space->first = options->first;
    space->last = options->last;
    space->budget = options->budget;
    space->mode_known |= machine_mode_is_said(&options->machine);
    return true;
}

static struct roots_wanted wanted_of(const struct maps_options *options)
{
    return (struct roots_wanted){ .any = options->scan_any, .budget = ROOTS_BUDGET };
}

/* The spaces that --find looks through. */
struct spaces {
    struct space *list;
    unsigned count;
};

/* Those of --cr3 and of --scan, or the machine's own. */
static bool take_spaces(const struct machine *machine, const struct maps_options *options,
                        const struct space *own, struct spaces *spaces, struct complaint *complaint)
{
    const unsigned given = options->cr3_count;
    struct roots roots = { 0 };
    bool done = !options->scan || roots_scan(machine, wanted_of(options), &roots, complaint);

    spaces->count = given + roots.count;
    spaces->list = take_memory(spaces->count + 1, sizeof(*spaces->list));
    spaces->list[0] = *own;
    for (unsigned i = 0; done && i < spaces->count; i++) {
        const uint64_t cr3 = i < given ? options->cr3[i] : roots.found[i - given].cr3;

        spaces->list[i] = *own;
        done = space_with_root(machine, cr3, &spaces->list[i], complaint);
    }
    spaces->count += spaces->count == 0 && !options->scan;
    roots_free(&roots);
    return done;
}

static int find_command(const struct machine *machine, const struct maps_options *options,
                        const struct space *own, struct complaint *complaint)
{
    struct spaces spaces = { 0 };
    int status = COMMAND_INPUT;

    if (take_spaces(machine, options, own, &spaces, complaint)) {
        status = find_show(spaces.list, spaces.count, options->address, options->ui.json, complaint);
    }
    free(spaces.list);
    return status;
}

static int scan_command(const struct machine *machine, const struct maps_options *options,
                        const struct space *space, struct complaint *complaint)
{
    struct roots roots;
    int status;

    if (!roots_scan(machine, wanted_of(options), &roots, complaint)) {
        return COMMAND_INPUT;
    }
    status = roots_show(machine, space, &roots, options->ui.json);
    roots_free(&roots);
    return status;
}

static int diff_command(const struct machine *machine, const struct maps_options *options,
                        const struct space *own, struct complaint *complaint)
{
    struct space spaces[2] = { *own, *own };

    for (unsigned i = 0; i < 2; i++) {
        if (!space_with_root(machine, options->diff_cr3[i], &spaces[i], complaint)) {
            return COMMAND_INPUT;
        }
    }
    return diff_show(&spaces[0], &spaces[1], options->ui.json, complaint);
}

static int run(const struct machine *machine, struct maps_options *options, struct complaint *complaint)
{
    struct space_memory memory;
    struct space space;

    if (!take_space(machine, options, &memory, &space)) {
        (void)complain_usage(complaint,
                             "--second: there is no second stage: --ept or --ncr3 says where one is");
        return COMMAND_INPUT;
    }
    options->show.json = options->ui.json;
    if (options->diff) {
        return diff_command(machine, options, &space, complaint);
    }
    if (options->find) {
        return find_command(machine, options, &space, complaint);
    }
    if (options->scan) {
        return scan_command(machine, options, &space, complaint);
    }
    return options->pages ? show_pages(&space, &options->show, complaint)
                          : show_ranges(&space, &options->show, complaint);
}

/* An image that does not tell CR3 can be asked for roots all the same. */
static bool open_machine(struct maps_options *options, struct machine *machine, struct complaint *complaint)
{
    struct machine_options machine_options = options->machine;

    if (machine_open(options->path, &machine_options, machine, complaint)) {
        return true;
    }
    machine_options.has_cr3 = true;
    if ((options->scan || options->diff) && !options->machine.has_cr3 &&
        machine_open(options->path, &machine_options, machine, complaint)) {
        complaint->text[0] = '\0';
        return true;
    }
    return false;
}

int maps_command(int argc, char **argv)
{
    struct maps_options options = { .show.join = RANGES_TYPE, .last = UINT64_MAX, .budget = SPACE_BUDGET };
    struct machine machine;
    struct complaint complaint = { .text = "" };
    int status;

    argp_parse(&maps_argp, argc, argv, 0, NULL, &options);
    if (!open_machine(&options, &machine, &complaint)) {
        free(options.cr3);
        give_up_for(&complaint);
    }
    status = run(&machine, &options, &complaint);
    machine_close(&machine);
    free(options.cr3);
    if (complaint.text[0]) {
        fflush(stdout);
        give_up_for(&complaint);
    }
    return status;
}
