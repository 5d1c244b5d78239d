/*
 * vmmu sim TRACE...
 *
 * Options that take lists make one configuration of each combination. What makes no difference to a technique is not combined
 * with it: see is_pointless().
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/sim/output.h"
#include "tools/sim/results.h"
#include "tools/ui/options.h"

#define VALUES_MOST         16
#define CONFIGURATIONS_MOST 256
#define GEOMETRIES_MOST     8
#define PLOTS_MOST          8
#define INTERVAL_MOST       UINT64_C(1000000000000)
#define PAGES_AT_EXIT_MOST  4096
#define MEMORY_GIB_MOST     512
#define POOL_PAGES_LEAST    112
#define POOL_PAGES_MOST     524288

/* An option with several values. */
struct values {
    uint64_t value[VALUES_MOST];
    unsigned count;
};

/* A plot that is asked for. */
struct plot_option {
    unsigned what; /* of sim_plot_names */
    const char *path;
};

struct sim_options {
    struct ui_options ui;
    const char *paths[SIM_TRACES_MOST];
    unsigned path_count;
    enum sim_trace_format format;
    struct values techniques, vpids, pcids, pages, host_pages, upper, faults, switches, exits;
    struct sim_geometry geometries[GEOMETRIES_MOST];
    unsigned geometry_count;
    unsigned processes;
    uint64_t limit;
    uint64_t exit_pages;
    uint64_t memory_gib; /* 0: by the page size */
    uint64_t pool_pages;
    unsigned levels, nested_levels;
    struct sim_weights weights;
    struct plot_option plots[PLOTS_MOST];
    unsigned plot_count;
    const char *convert;
};

enum {
    KEY_FORMAT = 0x2000,
    KEY_TECHNIQUE,
    KEY_VPID,
    KEY_PCID,
    KEY_PAGE,
    KEY_HOST_PAGE,
    KEY_TLB,
    KEY_UPPER,
    KEY_FAULTS,
    KEY_PROCESSES,
    KEY_SWITCH,
    KEY_EXIT,
    KEY_EXIT_PAGES,
    KEY_MEMORY,
    KEY_POOL,
    KEY_LEVELS,
    KEY_NESTED_LEVELS,
    KEY_LIMIT,
    KEY_WEIGHTS,
    KEY_PLOT,
    KEY_CONVERT,
};

static const struct argp_option sim_argp_options[] = {
    { NULL, 0, NULL, 0,
      "What is simulated (LIST: words with commas between; one configuration for each combination):", 1 },
    { "technique", KEY_TECHNIQUE, "LIST", 0, "native, shadow, nested (all)", 1 },
    { "vpid", KEY_VPID, "LIST", 0, "off, on, roots: a VPID for each root of shadow paging (off,on)", 1 },
    { "pcid", KEY_PCID, "LIST", 0, "off, on: whether the guest uses PCIDs (off)", 1 },
    { "page", KEY_PAGE, "LIST", 0, "4k, 2m, 1g: the guest's pages (4k)", 1 },
    { "host-page", KEY_HOST_PAGE, "LIST", 0, "same, 4k, 2m, 1g: the machine's pages behind them (same)", 1 },
    { "tlb", KEY_TLB, "TLB", 0,
      "skylake, haswell, tiny; or code=E/W,data=E/W,second=E/W,upper=E/W,nested=E/W, entries and ways; more "
      "than once "
      "for several (skylake)",
      1 },
    { "upper", KEY_UPPER, "LIST", 0, "on, off: upper levels and guest-physical mappings are cached (on)", 1 },
    { "faults", KEY_FAULTS, "LIST", 0,
      "exit, silent: what page faults of the guest's own do under shadow paging (exit)", 1 },
    { "levels", KEY_LEVELS, "N", 0, "4 or 5: levels of the guest's tables (4)", 1 },
    { "nested-levels", KEY_NESTED_LEVELS, "N", 0, "4 or 5: levels of the second stage (4)", 1 },
    { "memory", KEY_MEMORY, "GIB", 0, "the guest's memory (4; with pages of 1g 64)", 1 },
    { "pool", KEY_POOL, "PAGES", 0, "shadow pages at most (16384)", 1 },
    { NULL, 0, NULL, 0, "What happens beside the trace:", 2 },
    { "processes", KEY_PROCESSES, "N", 0, "run the trace as so many processes, each a slice behind (1)", 2 },
    { "switch", KEY_SWITCH, "LIST", 0, "references until the next process runs (100000)", 2 },
    { "exit", KEY_EXIT, "LIST", 0, "references until an exit, as by an interrupt; 0: none (100000)", 2 },
    { "exit-pages", KEY_EXIT_PAGES, "N", 0, "pages that the hypervisor touches at an exit (24)", 2 },
    { NULL, 0, NULL, 0, "Input:", 3 },
    { "format", KEY_FORMAT, "FORMAT", 0, "lackey, binary, hypervisor (guessed; hypervisor never is)", 3 },
    { "limit", KEY_LIMIT, "N", 0, "so many references of each trace at most", 3 },
    /* The heading of this group is ui_argp's. */
    { "weights", KEY_WEIGHTS, "LIST", 0,
      "cycles of things, NAME=CYCLES: second (9), reference (12), fault (1000), exit (1500), switch (200)",
      8 },
    { "plot", KEY_PLOT, "[WHAT=]FILE", 0,
      "draw an SVG: walks, depth, references, exits, tables, cycles (references); more than once for "
      "several; "
      "a FILE with = in its name is ./FILE",
      8 },
    { "convert", KEY_CONVERT, "FILE", 0, "write the trace in the binary form, and simulate nothing", 8 },
    { 0 },
};

static const char sim_doc[] =
    "Feed a trace of memory references to models of a processor: natively, under shadow paging, under nested "
    "paging, with and without tags. TRACE is a file, or - for standard input; several are processes."
    "\vWalks and page tables are real: a small guest system maps pages at first touch, the library's own "
    "engines build shadow and nested tables, its walkers walk them. docs/sim.md tells what is modelled.\n\n"
    "Examples:\n"
    "  valgrind --tool=lackey --trace-mem=yes --log-file=trace ls\n"
    "  vmmu sim trace\n"
    "  valgrind --tool=lackey --trace-mem=yes --log-fd=9 9>&1 >/dev/null ls |\n"
    "    vmmu sim -                                            # the same as a pipe\n"
    "  vmmu sim --upper off --technique native,nested trace    # 4 against 24\n"
    "  vmmu sim --exit 1000,10000,100000 --plot cycles=exits.svg trace\n"
    "  vmmu sim --page 4k,2m --processes 4 --pcid off,on trace\n"
    "  vmmu sim --convert trace.bin trace";

static const char *const format_words[] = { "guess", "lackey", "binary", "hypervisor", NULL };
static const char *const switch_words[] = { "off", "on", NULL };
static const char *const fault_words[] = { "exit", "silent", NULL };
static const char *const host_page_words[] = { "same", "4k", "2m", "1g", NULL };

/* --- parsing --- */

/* Call @add with each word of a list. */
static void each_word(struct argp_state *state, const char *what, const char *list, struct values *values,
                      uint64_t (*value)(struct argp_state *state, const char *what, const char *word))
{
    char *const copy = strdup(list);
    char *rest = copy;

    values->count = 0;
    for (const char *word; copy && (word = strsep(&rest, ",")) != NULL;) {
        if (values->count == VALUES_MOST) {
            argp_error(state, "%s: more than %u values", what, VALUES_MOST);
        }
        values->value[values->count++] = value(state, what, word);
    }
    free(copy);
}

static uint64_t interval(struct argp_state *state, const char *what, const char *word)
{
    return option_count(state, what, word, 0, INTERVAL_MOST);
}

static uint64_t slice(struct argp_state *state, const char *what, const char *word)
{
    return option_count(state, what, word, 1, SIM_SWITCH_MOST);
}

static uint64_t technique(struct argp_state *state, const char *what, const char *word)
{
    return option_word(state, what, word, sim_technique_names);
}

static uint64_t vpid(struct argp_state *state, const char *what, const char *word)
{
    return option_word(state, what, word, sim_vpid_names);
}

static uint64_t on_or_off(struct argp_state *state, const char *what, const char *word)
{
    return option_word(state, what, word, switch_words);
}

static uint64_t page(struct argp_state *state, const char *what, const char *word)
{
    return option_word(state, what, word, sim_page_names) + 1;
}

static uint64_t host_page(struct argp_state *state, const char *what, const char *word)
{
    return option_word(state, what, word, host_page_words);
}

static uint64_t faults(struct argp_state *state, const char *what, const char *word)
{
    return option_word(state, what, word, fault_words);
}

static void parse_weights(struct argp_state *state, const char *list, struct sim_weights *weights)
{
    static const char *const names[] = { "second", "reference", "fault", "exit", "switch", NULL };
    uint64_t *const of[] = { &weights->second, &weights->reference, &weights->fault, &weights->exit,
                             &weights->change };
    char *const copy = strdup(list);
    char *rest = copy;

    for (char *word; copy && (word = strsep(&rest, ",")) != NULL;) {
        char *const number = strchr(word, '=');

        if (!number) {
            argp_error(state, "--weights: '%s' is not NAME=CYCLES", word);
            break;
        }
        *number = '\0';
        *of[option_word(state, "--weights", word, names)] =
            option_count(state, "--weights", number + 1, 0, 1000000000);
    }
    free(copy);
}

static void add_geometry(struct argp_state *state, struct sim_options *options, const char *text)
{
    struct complaint complaint;

    if (options->geometry_count == GEOMETRIES_MOST) {
        argp_error(state, "--tlb: more than %u", GEOMETRIES_MOST);
    } else if (!sim_geometry_find(text, &options->geometries[options->geometry_count++], &complaint)) {
        argp_error(state, "--tlb: %s", complaint.text);
    }
}

/* `WHAT=FILE`, or a FILE that shows references. What has a slash is a path, and no word. */
static void add_plot(struct argp_state *state, struct sim_options *options, char *text)
{
    struct plot_option *const plot = &options->plots[options->plot_count];
    char *const equals = strchr(text, '=');
    const char *word = "references";

    if (options->plot_count == PLOTS_MOST) {
        argp_error(state, "--plot: more than %u", PLOTS_MOST);
        return;
    }
    plot->path = text;
    if (equals && !memchr(text, '/', (size_t)(equals - text))) {
        *equals = '\0';
        word = text;
        plot->path = equals + 1;
    }
    plot->what = option_word(state, "--plot", word, sim_plot_names);
    if (!*plot->path) {
        argp_error(state, "--plot: a FILE is wanted");
    }
    options->plot_count++;
}

static void add_path(struct argp_state *state, struct sim_options *options, const char *path)
{
    if (options->path_count == SIM_TRACES_MOST) {
        argp_error(state, "more than %u traces", SIM_TRACES_MOST);
    }
    options->paths[options->path_count++] = path;
}

static void set_defaults(struct sim_options *options)
{
    struct complaint complaint;

    if (options->geometry_count == 0 && sim_geometry_find("skylake", &options->geometries[0], &complaint)) {
        options->geometry_count = 1;
    }
}

static void check_options(struct argp_state *state, const struct sim_options *options)
{
    if (options->path_count == 0) {
        argp_error(state, "a TRACE is wanted, or - for standard input");
    }
    if (options->convert && options->path_count > 1) {
        argp_error(state, "--convert takes one TRACE");
    }
    if (options->processes > 1 && options->path_count > 1) {
        argp_error(state, "--processes is for one TRACE: several are processes already");
    }
    if (options->switches.count > 1 && options->processes == 1 && options->path_count == 1) {
        argp_error(state, "--switch needs something to switch to: --processes, or several traces");
    }
    if (options->processes > 1 && options->format == SIM_TRACE_HYPERVISOR) {
        argp_error(state, "a hypervisor's trace has address spaces of its own: no --processes");
    }
}

static error_t parse_sim(int key, char *argument, struct argp_state *state)
{
    struct sim_options *const options = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->ui; return 0;
    case ARGP_KEY_ARG: add_path(state, options, argument); return 0;
    case ARGP_KEY_END:
        set_defaults(options);
        check_options(state, options);
        return 0;
    case KEY_FORMAT:
        options->format = (enum sim_trace_format)option_word(state, "--format", argument, format_words);
        return 0;
    case KEY_TECHNIQUE: each_word(state, "--technique", argument, &options->techniques, technique); return 0;
    case KEY_VPID: each_word(state, "--vpid", argument, &options->vpids, vpid); return 0;
    case KEY_PCID: each_word(state, "--pcid", argument, &options->pcids, on_or_off); return 0;
    case KEY_PAGE: each_word(state, "--page", argument, &options->pages, page); return 0;
    case KEY_HOST_PAGE: each_word(state, "--host-page", argument, &options->host_pages, host_page); return 0;
    case KEY_TLB: add_geometry(state, options, argument); return 0;
    case KEY_UPPER: each_word(state, "--upper", argument, &options->upper, on_or_off); return 0;
    case KEY_FAULTS: each_word(state, "--faults", argument, &options->faults, faults); return 0;
    case KEY_SWITCH: each_word(state, "--switch", argument, &options->switches, slice); return 0;
    case KEY_EXIT: each_word(state, "--exit", argument, &options->exits, interval); return 0;
    case KEY_PROCESSES:
        options->processes = (unsigned)option_count(state, "--processes", argument, 1, SIM_PROCESSES_MOST);
        return 0;
    case KEY_EXIT_PAGES:
        options->exit_pages = option_count(state, "--exit-pages", argument, 0, PAGES_AT_EXIT_MOST);
        return 0;
    case KEY_MEMORY:
        options->memory_gib = option_count(state, "--memory", argument, 1, MEMORY_GIB_MOST);
        return 0;
    case KEY_POOL:
        options->pool_pages = option_count(state, "--pool", argument, POOL_PAGES_LEAST, POOL_PAGES_MOST);
        return 0;
    case KEY_LEVELS: options->levels = (unsigned)option_count(state, "--levels", argument, 4, 5); return 0;
    case KEY_NESTED_LEVELS:
        options->nested_levels = (unsigned)option_count(state, "--nested-levels", argument, 4, 5);
        return 0;
    case KEY_LIMIT: options->limit = option_count(state, "--limit", argument, 1, UINT64_MAX / 2); return 0;
    case KEY_WEIGHTS: parse_weights(state, argument, &options->weights); return 0;
    case KEY_PLOT: add_plot(state, options, argument); return 0;
    case KEY_CONVERT: options->convert = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* --- configurations --- */

struct configurations {
    struct sim_config config[CONFIGURATIONS_MOST];
    unsigned count;
};

enum list {
    LIST_SWITCH,
    LIST_PAGE,
    LIST_TECHNIQUE,
    LIST_UPPER,
    LIST_VPID,
    LIST_PCID,
    LIST_HOST_PAGE,
    LIST_FAULTS,
    LIST_EXIT,
    LISTS,
};

static bool has(const struct values *values, uint64_t value)
{
    bool found = false;

    for (unsigned i = 0; i < values->count; i++) {
        found |= values->value[i] == value;
    }
    return found;
}

/* Whether a combination differs from one that is there already in nothing that its technique knows. */
static bool is_pointless(const struct sim_options *options, const struct sim_config *config,
                         const unsigned *choice)
{
    switch (config->technique) {
    case SIM_NATIVE:
        return choice[LIST_VPID] != 0 || choice[LIST_HOST_PAGE] != 0 || choice[LIST_FAULTS] != 0 ||
               choice[LIST_EXIT] != 0;
    case SIM_SHADOW: return choice[LIST_PCID] != 0;
    case SIM_NESTED:
        return choice[LIST_FAULTS] != 0 ||
               (config->vpid == SIM_VPID_ROOTS && has(&options->vpids, SIM_VPID_ON));
    case SIM_TECHNIQUES: break;
    }
    return true;
}

static void finish(const struct sim_options *options, struct sim_config *config)
{
    const bool native = config->technique == SIM_NATIVE;

    config->vpid = native                                                              ? SIM_VPID_OFF
                   : config->technique == SIM_NESTED && config->vpid == SIM_VPID_ROOTS ? SIM_VPID_ON
                                                                                       : config->vpid;
    config->pcids = config->pcids && config->technique != SIM_SHADOW;
    config->silent = config->silent && config->technique == SIM_SHADOW;
    config->host_page_level =
        config->host_page_level != 0 && !native ? config->host_page_level : config->page_level;
    config->levels = options->levels;
    config->nested_levels = options->nested_levels;
    /* A hypervisor's trace has exits of its own. */
    config->exit_every = options->format == SIM_TRACE_HYPERVISOR ? 0 : config->exit_every;
    config->exit_pages = (unsigned)options->exit_pages;
    config->pool_pages = (uint32_t)options->pool_pages;
    config->memory_bytes = (options->memory_gib != 0  ? options->memory_gib
                            : config->page_level == 3 ? 64
                                                      : 4) *
                           VMMU_1G_BYTES;
}

/* The choice of @number, a digit for each list, the last one fastest; false when all have been. */
static bool choose(const struct values *const *lists, unsigned count, unsigned number, unsigned *choice)
{
    for (unsigned i = count; i-- > 0;) {
        choice[i] = number % lists[i]->count;
        number /= lists[i]->count;
    }
    return number == 0;
}

static void add_configuration(const struct sim_options *options, unsigned geometry, const unsigned *choice,
                              struct configurations *all)
{
    struct sim_config *const config = &all->config[all->count];

    config->technique = (enum sim_technique)options->techniques.value[choice[LIST_TECHNIQUE]];
    config->vpid = (enum sim_vpid)options->vpids.value[choice[LIST_VPID]];
    config->pcids = options->pcids.value[choice[LIST_PCID]] != 0;
    config->upper_levels = options->upper.value[choice[LIST_UPPER]] != 0;
    config->silent = options->faults.value[choice[LIST_FAULTS]] != 0;
    config->page_level = (unsigned)options->pages.value[choice[LIST_PAGE]];
    config->host_page_level = (unsigned)options->host_pages.value[choice[LIST_HOST_PAGE]];
    config->switch_every = options->switches.value[choice[LIST_SWITCH]];
    config->exit_every = options->exits.value[choice[LIST_EXIT]];
    config->geometry = options->geometries[geometry];
    if (!is_pointless(options, config, choice)) {
        finish(options, config);
        all->count++;
    }
}

static struct configurations *combine(const struct sim_options *options)
{
    const struct values *const lists[LISTS] = {
        [LIST_SWITCH] = &options->switches,      [LIST_PAGE] = &options->pages,
        [LIST_TECHNIQUE] = &options->techniques, [LIST_UPPER] = &options->upper,
        [LIST_VPID] = &options->vpids,           [LIST_PCID] = &options->pcids,
        [LIST_HOST_PAGE] = &options->host_pages, [LIST_FAULTS] = &options->faults,
        [LIST_EXIT] = &options->exits,
    };
    struct configurations *const all = take_memory(1, sizeof *all);

    for (unsigned geometry = 0; geometry < options->geometry_count; geometry++) {
        unsigned choice[LISTS];

        for (unsigned number = 0; choose(lists, LISTS, number, choice); number++) {
            if (all->count == CONFIGURATIONS_MOST) {
                give_up(COMMAND_USAGE, "more than %u configurations", CONFIGURATIONS_MOST);
            }
            add_configuration(options, geometry, choice, all);
        }
    }
    return all;
}

/* --- running --- */

/* Before anything is read: what is computed for minutes should find its place, and no trace be lost. */
static void check_outputs(const struct sim_options *options)
{
    struct complaint complaint;

    for (unsigned i = 0; i < options->plot_count; i++) {
        if (!sim_output_may_be(options->plots[i].path, options->paths, options->path_count, &complaint)) {
            give_up_for(&complaint);
        }
    }
    if (options->convert &&
        !sim_output_may_be(options->convert, options->paths, options->path_count, &complaint)) {
        give_up_for(&complaint);
    }
}

static void open_traces(const struct sim_options *options, struct sim_schedule *schedule)
{
    struct complaint complaint;

    for (unsigned i = 0; i < options->path_count; i++) {
        schedule->traces[i] = sim_trace_open(options->paths[i], options->format, &complaint);
        if (!schedule->traces[i]) {
            give_up_for(&complaint);
        }
        schedule->trace_count++;
    }
}

/* A simulation of nothing is no answer: something went wrong where the trace was made. */
static void refuse_emptiness(const struct sim_schedule *schedule)
{
    for (unsigned i = 0; i < schedule->trace_count; i++) {
        if (schedule->references[i] == 0) {
            give_up(COMMAND_INPUT, "%s: no references in it", sim_trace_path(schedule->traces[i]));
        }
    }
}

static void convert(const struct sim_options *options, struct sim_schedule *schedule)
{
    FILE *const to = strcmp(options->convert, "-") == 0 ? stdout : fopen(options->convert, "w");
    struct complaint complaint;

    if (!to) {
        give_up(COMMAND_INPUT, "%s cannot be written", options->convert);
    }
    if (!sim_schedule_convert(schedule, to, &complaint)) {
        give_up_for(&complaint);
    }
    if (to != stdout && fclose(to) != 0) {
        give_up(COMMAND_INPUT, "%s cannot be written", options->convert);
    }
    refuse_emptiness(schedule);
}

static void simulate(const struct sim_options *options, struct sim_schedule *schedule)
{
    struct configurations *const all = combine(options);
    struct complaint complaint;
    struct sim_results results;

    schedule->configs = all->config;
    schedule->machines = take_memory(all->count, sizeof(struct sim_machine *));
    for (; schedule->machine_count < all->count; schedule->machine_count++) {
        schedule->machines[schedule->machine_count] =
            sim_machine_open(&all->config[schedule->machine_count], &complaint);
        if (!schedule->machines[schedule->machine_count]) {
            give_up_for(&complaint);
        }
    }
    if (!sim_schedule_run(schedule, &complaint)) {
        give_up_for(&complaint);
    }
    refuse_emptiness(schedule);
    results = sim_results_of(schedule, &options->weights);
    (options->ui.json ? sim_results_print_json : sim_results_print)(&results);
    for (unsigned i = 0; i < options->plot_count; i++) {
        if (!sim_results_plot(&results, options->plots[i].what, options->plots[i].path, &complaint)) {
            give_up_for(&complaint);
        }
    }
    sim_results_free(&results);
    for (unsigned i = 0; i < schedule->machine_count; i++) {
        sim_machine_close(schedule->machines[i]);
    }
    free(schedule->machines);
    free(all);
}

int sim_command(int argc, char **argv)
{
    static const struct argp_child children[] = { { &ui_argp, 0, NULL, 0 }, { 0 } };
    static const struct argp argp = { .options = sim_argp_options,
                                      .parser = parse_sim,
                                      .args_doc = "TRACE...",
                                      .doc = sim_doc,
                                      .children = children };
    static struct sim_options options = {
        .techniques = { { SIM_NATIVE, SIM_SHADOW, SIM_NESTED }, 3 },
        .vpids = { { SIM_VPID_OFF, SIM_VPID_ON }, 2 },
        .pcids = { { 0 }, 1 },
        .pages = { { 1 }, 1 },
        .host_pages = { { 0 }, 1 },
        .upper = { { 1 }, 1 },
        .faults = { { 0 }, 1 },
        .switches = { { 100000 }, 1 },
        .exits = { { 100000 }, 1 },
        .processes = 1,
        .exit_pages = 24,
        .pool_pages = 16384,
        .levels = 4,
        .nested_levels = 4,
        .weights = { .second = 9, .reference = 12, .fault = 1000, .exit = 1500, .change = 200 },
    };
    static struct sim_schedule schedule;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    check_outputs(&options);
    schedule.processes = options.processes;
    schedule.limit = options.limit;
    open_traces(&options, &schedule);
    if (options.convert) {
        convert(&options, &schedule);
    } else {
        simulate(&options, &schedule);
    }
    for (unsigned i = 0; i < schedule.trace_count; i++) {
        sim_trace_close(schedule.traces[i]);
    }
    return COMMAND_OK;
}
